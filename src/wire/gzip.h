/* SPDX-License-Identifier: MIT */
/*
 * Content codings of HTTP (RFC 9110 section 8.4): bodies in gzip or deflate, and what a
 * client says it takes. A worker has one scratch for all bodies; zlib's memory (about
 * 256 KB a coding) is taken when it is first needed and then kept.
 *
 * Thread: a scratch belongs to one thread at a time; the rest is pure.
 */
#ifndef PEAL_WIRE_GZIP_H
#define PEAL_WIRE_GZIP_H

#include "base/blob.h"
#include "wire/http_head.h"

/* Smaller bodies, in bytes, are sent as they are: as the original has it. */
#define PEAL_GZIP_THRESHOLD 1024

enum peal_coding {
    PEAL_CODING_NONE,
    PEAL_CODING_GZIP,
    PEAL_CODING_DEFLATE /* the zlib format, whatever its name says */
};

/* The values of Content-Encoding; NULL for PEAL_CODING_NONE. */
extern const char *const peal_coding_names[];

/*
 * peal_coding_accepted is what the Accept-Encoding fields of a request like best of the
 * two, gzip before deflate. A weight of zero, or one that cannot be read, is a no; "*"
 * stands for what is not named. Without the field: PEAL_CODING_NONE.
 */
enum peal_coding peal_coding_accepted(const struct peal_httphead *head);

/* peal_coding_takes_gzip: a body that exists in gzip may be sent in it. */
bool peal_coding_takes_gzip(const struct peal_httphead *head);

struct peal_gzip; /* opaque; see gzip.c */

/*
 * peal_gzip_new makes a scratch; zlib's memory is taken when it is first needed.
 *   level  1..9, 1 is fast, 6 is zlib's own choice
 *   out    set only on PEAL_OK; release it with peal_gzip_free
 * Errors: PEAL_ENOMEM; PEAL_EINVAL: a level out of range.
 */
PEAL_MUST_USE peal_err peal_gzip_new(int level, struct peal_gzip **out);

/* peal_gzip_free frees *zp and sets it to NULL. NULL is fine. */
void peal_gzip_free(struct peal_gzip **zp);

/*
 * peal_gzip_body is a whole body in a coding other than PEAL_CODING_NONE; the blob is the
 * caller's. NULL: send it as it is, for it would not become smaller, or out of memory.
 */
struct peal_blob *peal_gzip_body(
    struct peal_gzip *z, enum peal_coding coding, struct peal_slice body);

#endif

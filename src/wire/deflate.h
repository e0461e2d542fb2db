/* SPDX-License-Identifier: MIT */
/*
 * Deflate for permessage-deflate (RFC 7692): one message in, one message out, nothing
 * remembered between messages. So a connection needs no zlib state at all; a worker has
 * one scratch (about 256 KB for each window size in use, 40 KB for inflating) for all.
 *
 * Thread: a scratch belongs to one thread at a time.
 */
#ifndef PEAL_WIRE_DEFLATE_H
#define PEAL_WIRE_DEFLATE_H

#include "base/buf.h"

/* The window sizes that zlib can deflate with, as powers of two. */
#define PEAL_DEFLATE_BITS_MIN 9
#define PEAL_DEFLATE_BITS_MAX 15

/* Payloads below this many bytes are sent as they are, unless a scratch says otherwise.
 */
#define PEAL_DEFLATE_THRESHOLD 1024

struct peal_deflate; /* opaque; see deflate.c */

/*
 * peal_deflate_new makes a scratch; zlib's memory is taken when it is first needed.
 *   level      0..9, 1 is fast, 6 is zlib's own choice
 *   mem_level  1..9, zlib's own choice is 8
 *   out        set only on PEAL_OK; release it with peal_deflate_free
 * Errors: PEAL_ENOMEM; PEAL_EINVAL: a level out of range.
 */
PEAL_MUST_USE peal_err peal_deflate_new(
    int level, int mem_level, struct peal_deflate **out);

/* peal_deflate_free frees *zp and sets it to NULL. NULL is fine. */
void peal_deflate_free(struct peal_deflate **zp);

/* peal_deflate_set_threshold says from how many bytes on a payload is worth compressing,
 * to those who ask peal_deflate_pays (an empty one never is); peal_deflate_message
 * compresses whatever it gets. */
void peal_deflate_set_threshold(struct peal_deflate *z, size_t bytes);
bool peal_deflate_pays(const struct peal_deflate *z, size_t payload_len);

/*
 * peal_deflate_message appends in, compressed as the payload of one message, to out.
 *   window_bits  PEAL_DEFLATE_BITS_MIN..MAX, as negotiated for the receiver
 * Errors: PEAL_ENOMEM (out is as before).
 */
PEAL_MUST_USE peal_err peal_deflate_message(
    struct peal_deflate *z, int window_bits, struct peal_slice in, struct peal_buf *out);

/*
 * peal_inflate_message appends the text of one compressed message payload to out.
 *   max_out  bytes; inflating stops at the first one beyond
 * Errors (out is as before): PEAL_ELIMIT: more than max_out bytes. PEAL_EPROTO: not a
 * deflate stream, or one that ends in the middle. PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_inflate_message(
    struct peal_deflate *z, struct peal_slice in, size_t max_out, struct peal_buf *out);

#endif

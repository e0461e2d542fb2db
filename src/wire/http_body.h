/* SPDX-License-Identifier: MIT */
/*
 * Chunked bodies (RFC 9112 section 7.1), decoded as they come, read as strictly as heads
 * are: CRLF only, sizes of hex digits only. Extensions and trailers are skipped, and
 * bounded. Pure; nothing is allocated or copied.
 */
#ifndef PEAL_WIRE_HTTP_BODY_H
#define PEAL_WIRE_HTTP_BODY_H

#include "base/slice.h"

#define PEAL_CHUNKED_EXT_MAX 4096     /* bytes of extensions, over the whole body */
#define PEAL_CHUNKED_TRAILER_MAX 8192 /* bytes of trailers */

struct peal_chunked {
    uint64_t body_left; /* bytes of data that may still be announced */
    uint64_t chunk_left;
    uint32_t extra; /* bytes of extensions, then of trailers */
    uint8_t state;
    uint8_t digits;
    bool done; /* the last chunk and the trailers were read */
};

/* peal_chunked_init starts a body of at most body_max bytes of data. */
void peal_chunked_init(struct peal_chunked *c, uint64_t body_max);

/*
 * peal_chunked_decode takes bytes until it has data, the end, or nothing left.
 *   in        borrowed; data_out points into it
 *   used_out  bytes taken, also on an error; call again with what follows them
 *   data_out  the next piece of the body; empty when c->done, or on an error
 * PEAL_OK: data_out, or c->done, and the next request starts after used_out.
 * Errors: PEAL_EAGAIN: all of in was taken, more is needed. PEAL_EPROTO: not chunked
 * (400). PEAL_ELIMIT: the body is larger than body_max (413). After an error, close.
 */
PEAL_MUST_USE peal_err peal_chunked_decode(struct peal_chunked *c, const char *in,
    size_t len, size_t *used_out, struct peal_slice *data_out);

#endif

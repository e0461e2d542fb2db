/* SPDX-License-Identifier: MIT */
/*
 * Server-Sent Events (WHATWG HTML, 9.2): what an EventSource reads. Pure; any thread.
 */
#ifndef PEAL_WIRE_SSE_H
#define PEAL_WIRE_SSE_H

#include "base/buf.h"

/*
 * peal_sse_event appends one event, with its empty line at the end.
 *   event, id  left out when empty; CR, LF and NUL are dropped from them
 *   data       one data line for each of its lines, ended by CR, LF or both
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_sse_event(struct peal_buf *out, struct peal_slice event,
    struct peal_slice id, struct peal_slice data);

/* peal_sse_retry appends the time that a client is to wait before it comes back.
 * Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_sse_retry(struct peal_buf *out, uint64_t retry_ms);

/*
 * peal_sse_chunk appends bytes, at least one, as a chunk of HTTP/1.1. Clients that read a
 * body delimited by the end of its connection in blocks get each event at once this way.
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_sse_chunk(struct peal_buf *out, struct peal_slice bytes);

/* The last chunk, which ends the body. */
#define PEAL_SSE_LAST_CHUNK "0\r\n\r\n"

/* A comment: keeps the connection alive, means nothing to the client. */
#define PEAL_SSE_PING ":\n\n"

#endif

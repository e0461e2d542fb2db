/* SPDX-License-Identifier: MIT */
/*
 * Plain protocols: channels over a WebSocket (/ws/<channel>) and as Server-Sent Events
 * (/sse/<channel>). Thread: the worker's loop.
 */
#ifndef PEAL_PROTO_PLAIN_H
#define PEAL_PROTO_PLAIN_H

#include "proto/proto.h"

/* Handlers of the routes "/ws/", "/ws", "/sse/" and "/sse"; ctx is the struct
 * peal_proto. */
void peal_ws_begin(struct peal_http *h, void *proto);
void peal_ws_handle(struct peal_http *h, void *proto);
void peal_sse_begin(struct peal_http *h, void *proto);
void peal_sse_handle(struct peal_http *h, void *proto);

/* peal_sse_turn_away answers with a stream that ends at once, and says when its client is
 * to come back. */
void peal_sse_turn_away(const struct peal_proto *p, struct peal_http *h);

/*
 * peal_plain_drain closes up to n sessions so that clients come back elsewhere: 1012 for
 * a WebSocket, the end of the stream for SSE, after all that was published before.
 *   youngest  which ones first; else the oldest
 * Returns how many are left.
 */
unsigned peal_plain_drain(struct peal_proto *p, unsigned n, bool youngest);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Forwarding: a request that came to the wrong node is answered by the one that can. A
 * connection is opened to that node and gets the request's own bytes, with one line more
 * after the request line:
 *
 *   Peal-Forward: <secret> <address of the client> <http or https>
 *
 * From then on bytes go both ways, unchanged, until one side closes: an answer, however
 * long it takes, a WebSocket, an event stream. The other node serves such requests with a
 * struct peal_http_server that has a forward_secret.
 *
 * Thread: the worker's loop.
 */
#ifndef PEAL_HTTP_FORWARD_H
#define PEAL_HTTP_FORWARD_H

#include "http/http.h"

/* The node that a request is forwarded to. */
struct peal_http_forward_to {
    const char *host; /* as in peal_dial */
    uint16_t port;
    const char *secret; /* 8 to 32 visible ASCII characters */
    uint64_t connect_timeout_ms;
    uint64_t idle_timeout_ms; /* for the next byte of the other node */
    /* It could not be reached. Called like the route's begin, later or at once, and does
     * what begin would do with a request that it does not forward. */
    peal_http_fn *failed;
    void *ctx; /* kept, handed to failed */
};

/*
 * peal_http_forward, from begin only, for a request that is not forwarded already
 * (h->forwarded). As long as the other node has not answered the call, the request waits
 * as with peal_http_defer, and a client that leaves ends it.
 *   to  copied
 */
void peal_http_forward(struct peal_http *h, const struct peal_http_forward_to *to);

/* peal_http_forwards_drain ends up to n of the connections that the server forwards,
 * oldest first: nothing more is taken from the client, and what the other node has to say
 * still reaches it, until that one closes, within idle_timeout_ms. Returns how many are
 * left, without those that are ending. */
unsigned peal_http_forwards_drain(struct peal_http_server *s, unsigned n);

#endif

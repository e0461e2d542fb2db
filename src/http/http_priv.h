/* SPDX-License-Identifier: MIT */
/* What the files of http/ share. */
#ifndef PEAL_HTTP_HTTP_PRIV_H
#define PEAL_HTTP_HTTP_PRIV_H

#include "http/http.h"

#define PEAL_FORWARD_LINE_MAX 128 /* bytes of the line that a node adds */

struct peal_http_server {
    struct peal_loop *loop;
    const struct peal_http_config *config;
    struct peal_httphead_limits limits; /* of config, and room for what a node adds */
    const struct peal_http_route *routes;
    unsigned n_routes;
    struct peal_http_server **peers;
    struct peal_tls_ctx *tls; /* or NULL */
    struct peal_link all;
    struct peal_link forwards; /* joined to other nodes; oldest first */
    bool draining, finishing;
    bool stopping;           /* connections are neither handed over nor taken */
    struct peal_http *spare; /* linked by user */
    unsigned n_spare;
    int64_t date_s; /* second for which date was made */
    char date[PEAL_HTTP_DATE_LEN + 1];
};

extern const struct peal_conn_ops peal_http_conn_ops;

/* peal_http_release forgets the connection, frees h at the end of the turn. */
void peal_http_release(struct peal_http *h);

/* peal_http_wait_next waits for the next request of a connection. */
void peal_http_wait_next(struct peal_http *h);

/* peal_http_not_found is the handler where no route matches. */
void peal_http_not_found(struct peal_http *h, void *ctx);

/*
 * Forwarding, forward.c. peal_http_forward_accept looks for what another node adds to a
 * request that it forwards; returns 0, or the status with which to refuse it.
 */
unsigned peal_http_forward_accept(struct peal_http *h, const struct peal_httphead *head);
/* Instead of the route's begin, when h->forward could not be dialled. */
void peal_http_forward_failed(struct peal_http *h, void *ctx);
/* peal_http_forward_cancel: the request is not to be forwarded any more. */
void peal_http_forward_cancel(struct peal_http *h);
void peal_http_forwards_close(struct peal_http_server *s);

/* The reader of a body that does not come with its head; body.c. */
PEAL_MUST_USE peal_err peal_http_body_new(
    struct peal_http *h, const struct peal_httphead *head, size_t head_len);
/* Errors: PEAL_EAGAIN: more to come; PEAL_ELIMIT; PEAL_EPROTO; PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_http_body_read(
    struct peal_http *h, struct peal_slice in, size_t *used_out);
const struct peal_httphead *peal_http_body_head(const struct peal_http *h);
void peal_http_body_free(struct peal_http *h);

#endif

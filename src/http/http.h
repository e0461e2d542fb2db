/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1, the server's side: a connection is read request by request; a route's handler
 * answers at once, or later (a long poll), or takes the connection over (WebSocket, SSE).
 *
 * One request of a connection is in progress at a time; pipelined ones wait, unread and
 * bounded, until it is answered. Errors in framing close the connection after the answer.
 *
 * Thread: the worker's loop.
 */
#ifndef PEAL_HTTP_HTTP_H
#define PEAL_HTTP_HTTP_H

#include "io/conn.h"
#include "io/tls.h"
#include "wire/addr.h"
#include "wire/http_head.h"

#define PEAL_FORWARD_SECRET_MAX 32 /* bytes */

struct peal_http_server;
struct peal_http;

/* Called with a request; see the members of struct peal_http. */
typedef void peal_http_fn(struct peal_http *h, void *ctx);

struct peal_http_route {
    struct peal_slice path; /* kept */
    bool prefix;            /* path is the beginning of the request's raw path */
    size_t body_max;        /* bytes; 413 beyond */
    bool bare_errors;       /* 413 has an empty body */
    bool stays;             /* a drain leaves its connections open; see below */
    /*
     * Optional: the head is read, the body is not. May reply, which ends the request, or
     * call peal_http_migrate, peal_http_defer or peal_http_forward. May set h->user and
     * h->gone.
     */
    peal_http_fn *begin;
    /* The whole request is there. Replies now or later, or takes the connection over. */
    peal_http_fn *handle;
    void *ctx; /* kept, handed to both */
};

/* Origins that may read answers (CORS); shared by routes. */
struct peal_cors {
    const struct peal_slice *origins; /* "*" for any; n 0: CORS is off */
    unsigned n;
    bool credentials;
};

struct peal_http_config {
    struct peal_httphead_limits limits;
    uint64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms;
    const struct peal_cidr *trusted; /* proxies; kept */
    size_t n_trusted;
    bool proxy_protocol;
    enum peal_conn_kind conn_kind; /* of those that it accepts */
    /*
     * NULL: for clients. Else for other nodes, which forward their clients' requests with
     * this secret (kept; 8 to 32 visible ASCII characters): see http/forward.h. Such a
     * server takes client and secure from the other node, and closes a connection after
     * its answer.
     */
    const char *forward_secret;
};

/* Runs if the connection is lost before the answer, or before the body is complete; req
 * must then be forgotten. */
typedef void peal_http_gone_fn(struct peal_http *req);

/*
 * A request, as handlers see it; it is part of its connection (http_priv.h). head and
 * body are valid until the handler returns.
 */
struct peal_http {
    const struct peal_httphead *head;
    struct peal_slice body;
    struct peal_addr client; /* behind trusted proxies */
    struct peal_addr peer;   /* of the connection, or from its PROXY header */
    unsigned minor;          /* HTTP/1.minor */
    bool secure;             /* the client speaks https */
    bool trusted;            /* the peer is a trusted proxy */
    bool is_head;            /* answer without a body (done by peal_http_reply) */
    bool forwarded;          /* by another node: it is ours to answer */
    bool again; /* in begin: not for the first time, after a deferral or a migration */
    /* For those that answer later. */
    void *user;
    peal_http_gone_fn *gone;
};

/* peal_http_conn is the connection; NULL once it has gone. */
struct peal_conn *peal_http_conn(const struct peal_http *req);
struct peal_http_server *peal_http_server_of(const struct peal_http *req);

/*
 * peal_http_server_new serves on one loop.
 *   config, routes  kept; the first route that matches wins
 *   peers  kept, for moves: the servers of all workers, filled in before any runs; with
 *         the same config, or at least all for clients or all for nodes
 *
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_http_server_new(struct peal_loop *loop,
    const struct peal_http_config *config, const struct peal_http_route *routes,
    unsigned n_routes, struct peal_http_server **peers, struct peal_http_server **out);

/* peal_http_server_tls sets the context for connections accepted from now on; NULL:
 * plain. Takes ctx. */
void peal_http_server_tls(struct peal_http_server *s, struct peal_tls_ctx *ctx);

/* peal_http_server_accept is a peal_accept_fn; its arg is the server. */
void peal_http_server_accept(void *server, int fd, const struct sockaddr *peer);

/*
 * peal_http_server_close_after_answers makes every answer from now on close its
 * connection, but for routes that stay. To be called some time before the drain: a client
 * that sends one request after the other learns that its connection ends, and does not
 * meet its end with the next one.
 */
void peal_http_server_close_after_answers(struct peal_http_server *s);

/*
 * peal_http_server_drain makes every answer from now on close its connection, and closes
 * connections between two requests; but for those whose last request went to a route that
 * stays: their clients have something here that they would look for elsewhere in vain.
 * peal_http_server_finish spares nobody.
 */
void peal_http_server_drain(struct peal_http_server *s);
void peal_http_server_finish(struct peal_http_server *s);

/*
 * peal_http_server_close closes every connection; requests that are not answered yet are
 * told so (gone). From now on no connection is handed to another server, and those under
 * way to this one are closed. Before any of the peers is freed, all must have done this,
 * and their loops have run once more.
 */
void peal_http_server_close(struct peal_http_server *s);

struct peal_loop *peal_http_server_loop(const struct peal_http_server *s);

/* Put into what is to be closed with a server. close unlinks it. */
struct peal_http_attached {
    struct peal_link link;
    void (*close)(struct peal_http_attached *a);
};

/* The list of what is attached to a server, oldest first. */
struct peal_link *peal_http_server_attached(struct peal_http_server *s);

/* peal_http_server_free does the same with what is left and sets *sp to NULL. */
void peal_http_server_free(struct peal_http_server **sp);

/* peal_http_add adds a header field to the answer. Out of memory: the reply closes the
 * connection instead. */
void peal_http_add(struct peal_http *h, const char *name, const char *fmt, ...)
    PEAL_PRINTF(3, 4);

/*
 * peal_http_reply answers and ends the request. Adds Content-Length, Date, Connection.
 *   type  value of Content-Type, or NULL
 *   body  borrowed
 */
void peal_http_reply(
    struct peal_http *h, unsigned status, const char *type, struct peal_slice body);

/* peal_http_reply_blob is the same for a large body that is shared; held. */
void peal_http_reply_blob(
    struct peal_http *h, unsigned status, const char *type, struct peal_blob *body);

/* peal_http_close drops the connection without an answer. h->gone is not called. */
void peal_http_close(struct peal_http *h, enum peal_close why);

/* peal_http_refuse answers with a body and closes the connection whatever the client
 * wanted: for requests whose bytes cannot be trusted. */
void peal_http_refuse(
    struct peal_http *h, unsigned status, const char *type, struct peal_slice body);

/*
 * peal_http_hijack writes a response head without Content-Length (status 101 or 200, with
 * the fields added so far) and hands the connection to a new owner; h is released. Bytes
 * already received are offered to ops->data at the end of the turn.
 *   type  Content-Type, or NULL
 * NULL: out of memory; the connection is closed.
 */
struct peal_conn *peal_http_hijack(struct peal_http *h, unsigned status, const char *type,
    const struct peal_conn_ops *ops, void *owner);

/* peal_http_close_after makes the answer to come close its connection. */
void peal_http_close_after(struct peal_http *h);

/*
 * For a handler that answers later and needs the head again then: peal_http_copy_head,
 * from handle only, appends its bytes to out; peal_http_call_again calls fn as handle is
 * called, with the head that was copied (borrowed), but without a body.
 *
 * Errors: PEAL_ENOMEM; PEAL_EUNSUPP: the request has a body that came in pieces.
 */
PEAL_MUST_USE peal_err peal_http_copy_head(
    const struct peal_http *h, struct peal_buf *out);
void peal_http_call_again(
    struct peal_http *h, struct peal_slice head, peal_http_fn *fn, void *ctx);

/* peal_http_migrate, from begin only: hand the connection with this request to a worker.
 */
void peal_http_migrate(struct peal_http *h, unsigned worker);

/*
 * peal_http_defer, from begin only: the request waits, unread and without a timeout of
 * its own, until peal_http_resume has begin called once more, at the end of the turn; or
 * until the connection is lost (h->gone).
 */
void peal_http_defer(struct peal_http *h);
void peal_http_resume(struct peal_http *h);

/*
 * peal_http_resume_to has fn called instead of begin. If the connection is lost before,
 * dropped is called instead of both.
 */
struct peal_http_resumed {
    peal_http_fn *fn;
    void (*dropped)(void *ctx);
    void *ctx; /* kept */
};
void peal_http_resume_to(struct peal_http *h, const struct peal_http_resumed *to);

/* peal_http_line_len, from begin only: how many bytes of the connection from its unread
 * ones on are the request line of this request, and what came before it. */
size_t peal_http_line_len(const struct peal_http *h);

/* peal_http_hand_over hands the connection of a request that is deferred, or in progress,
 * to a new owner as it is: without an answer, the request's bytes still to be read if it
 * is deferred. h is released. */
struct peal_conn *peal_http_hand_over(
    struct peal_http *h, const struct peal_conn_ops *ops, void *owner);

/* peal_http_resume_now has begin called before it returns, as if for the first time:
 * fields of the answer are forgotten. Only where no callback of a connection is running.
 */
void peal_http_resume_now(struct peal_http *h);

/*
 * peal_http_cors adds the CORS fields for an allowed Origin, and answers OPTIONS, which
 * is taken for a preflight. true: it was one and is answered.
 */
bool peal_http_cors(struct peal_http *h, const struct peal_cors *cors);

/* peal_http_origin_ok: a page of the request's Origin may open a WebSocket here; so may a
 * client without one. An empty list means the same host as the request's. */
bool peal_http_origin_ok(
    const struct peal_http *h, const struct peal_slice *origins, unsigned n);

#endif

/* SPDX-License-Identifier: MIT */
/* Connections of HTTP from the inside, for the files of http/. The states are drawn in
 * http.c; peal_http_set_state alone changes them. */
#ifndef PEAL_HTTP_HTTP_PRIV_H
#define PEAL_HTTP_HTTP_PRIV_H

#include "base/assert.h"
#include "http/http.h"

enum peal_http_state {
    PEAL_HTTP_READING_PROXY, /* its PROXY header is awaited */
    PEAL_HTTP_READING_HEAD,  /* also between two requests */
    PEAL_HTTP_READING_BODY,
    PEAL_HTTP_IN_HANDLER, /* begin or handle is on the stack */
    PEAL_HTTP_DEFERRED,   /* unread, until it is resumed */
    PEAL_HTTP_ANSWERING,  /* the answer comes later */
    PEAL_HTTP_HIJACKED,   /* another owner has the connection */
    PEAL_HTTP_DEAD        /* closed, or at another worker */
};

struct peal_http_conn {
    struct peal_http req; /* what handlers see */
    struct peal_conn *conn;
    struct peal_http_server *server;
    const struct peal_http_route *route; /* of the last request; NULL: there was none */
    struct peal_link link;               /* on the server's list for its state */
    struct peal_timer timer;             /* for a head, a body, or the next request */
    struct peal_buf headers;             /* what peal_http_add collected for the answer */
    struct peal_buf in_body;
    struct peal_http_body *reader;    /* of a body that does not come with its head */
    struct peal_http_resumed instead; /* what is called instead of begin, if fn is set */
    struct peal_slice raw; /* bytes from the head of this request on, while in begin or
                              in the handler of a request without a body */
    size_t scan;           /* of a head that is not complete yet */
    int move_to;           /* worker that is to have this connection, or -1 */
    enum peal_http_state state;
    unsigned keep_alive : 1;
    unsigned need_tls : 1;    /* after the PROXY header */
    unsigned continued : 1;   /* 100 Continue has been sent */
    unsigned conn_secure : 1; /* the connection is TLS, or its PROXY header says so */
    unsigned no_memory : 1;   /* a field of the answer is missing */
};

struct peal_http_server {
    struct peal_loop *loop;
    const struct peal_http_config *config;
    struct peal_httphead_limits limits; /* of config, and room for what a node adds */
    const struct peal_http_route *routes;
    unsigned n_routes;
    struct peal_http_server **peers;
    struct peal_tls_ctx *tls;  /* or NULL */
    struct peal_link idle;     /* connections without a request in progress */
    struct peal_link busy;     /* connections with one */
    struct peal_link attached; /* what closes with the server; oldest first */
    bool draining, finishing;
    bool stopping;                /* connections are neither handed over nor taken */
    struct peal_http_conn *spare; /* linked by req.user */
    unsigned n_spare;
    int64_t date_s; /* second for which date was made */
    char date[PEAL_HTTP_DATE_LEN + 1];
};

static inline struct peal_http_conn *
peal_http_conn_of(const struct peal_http *req)
{
    return PEAL_CONTAINER(req, struct peal_http_conn, req);
}

/* A request is in progress. */
static inline bool
peal_http_is_busy(const struct peal_http_conn *h)
{
    return h->state >= PEAL_HTTP_READING_BODY && h->state <= PEAL_HTTP_ANSWERING;
}

static inline bool
peal_http_is_over(const struct peal_http_conn *h)
{
    return h->state >= PEAL_HTTP_HIJACKED;
}

/* Connections; http.c. */
extern const struct peal_conn_ops peal_http_conn_ops;
void peal_http_set_state(struct peal_http_conn *h, enum peal_http_state to);
/* Comes to an end, HIJACKED or DEAD: forgets the connection, frees h at the end of the
 * turn. */
void peal_http_release(struct peal_http_conn *h, enum peal_http_state end);
/* Tells the handler that was to answer the request that its client is gone. */
void peal_http_tell_gone(struct peal_http_conn *h);
void peal_http_arm(struct peal_http_conn *h, uint64_t ms);
/* Starts TLS as the server is set up. false: out of memory. */
bool peal_http_start_tls(struct peal_http_conn *h);
/* The server leaves this connection open after an answer of its route. */
bool peal_http_may_stay(const struct peal_http_conn *h);

/* Servers; server.c. A new connection, in READING_HEAD. NULL: out of memory. */
struct peal_http_conn *peal_http_conn_new(struct peal_http_server *s);
/* Hands h, whose begin has asked for it, to its new worker. */
void peal_http_move(struct peal_http_conn *h);

/* Answers; reply.c. The handler where no route matches. */
void peal_http_not_found(struct peal_http *req, void *ctx);

/* Bodies that do not come with their head; body.c. */
PEAL_MUST_USE peal_err peal_http_body_new(
    struct peal_http_conn *h, const struct peal_httphead *head, size_t head_len);
/* Errors: PEAL_EAGAIN: more to come; PEAL_ELIMIT; PEAL_EPROTO; PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_http_body_read(
    struct peal_http_conn *h, struct peal_slice in, size_t *used_out);
const struct peal_httphead *peal_http_body_head(const struct peal_http_conn *h);
void peal_http_body_free(struct peal_http_conn *h);

#endif

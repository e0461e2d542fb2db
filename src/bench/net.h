/* SPDX-License-Identifier: MIT */
/*
 * Client connections on one epoll loop.
 *
 * A connection goes through TCP, the WebSocket upgrade and, for Socket.IO, the packets
 * that open a session and join a room, without the mode knowing; then it is ready, and
 * messages come by callback. Pings of both kinds are answered and counted here.
 *
 * Thread: one. Callbacks may send, open and close any connection.
 */
#ifndef PEAL_BENCH_NET_H
#define PEAL_BENCH_NET_H

#include "base/buf.h"
#include "bench/hist.h"
#include "bench/opts.h"

#define PEAL_BENCH_SID_MAX 40

enum peal_bench_state {
    PEAL_BENCH_CLOSED,
    PEAL_BENCH_DIALLING, /* TCP */
    PEAL_BENCH_SHAKING,  /* TLS */
    PEAL_BENCH_POLLING,  /* Socket.IO: a session by HTTP long polling */
    PEAL_BENCH_UPGRADING,
    PEAL_BENCH_PROBING,  /* Socket.IO: waits for the answer to the probe */
    PEAL_BENCH_OPENING,  /* waits for the Engine.IO open packet */
    PEAL_BENCH_ENTERING, /* waits for the answer to CONNECT */
    PEAL_BENCH_JOINING,  /* waits for the acknowledgement of "join" */
    PEAL_BENCH_READY
};

struct peal_bench_conn {
    int fd; /* -1: closed */
    uint8_t state;
    bool join;                    /* Socket.IO: join the room before it is ready */
    uint8_t n_polls;              /* requests of the session that have been answered */
    char sid[PEAL_BENCH_SID_MAX]; /* of the session that is upgraded, or empty */
    uint32_t index;               /* in net->conns */
    uint32_t number; /* what {i} is; its index, if the mode does not say otherwise */
    uint32_t seq;    /* the mode's: what comes next */
    uint64_t began_ns;
    const struct peal_bench_target *target;
    struct ssl_st *ssl;             /* NULL: plain */
    struct ssl_session_st *session; /* of the TLS connection before, or NULL */
    struct peal_buf in;             /* an incomplete frame */
    struct peal_buf out;            /* what the kernel did not take */
};

struct peal_bench_net;

typedef void peal_bench_ready_fn(struct peal_bench_net *net, struct peal_bench_conn *c);
/* data is borrowed. Over Socket.IO it is the whole text packet ("42[...]"). */
typedef void peal_bench_message_fn(
    struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice data);
typedef void peal_bench_closed_fn(
    struct peal_bench_net *net, struct peal_bench_conn *c, const char *why);

struct peal_bench_net {
    const struct peal_bench_opts *opts;
    int ep;
    struct peal_bench_conn *conns;
    unsigned n; /* of conns */
    char *scratch;
    struct ssl_ctx_st *tls; /* NULL: plain */
    uint64_t now_ns;        /* of the last read */

    peal_bench_ready_fn *on_ready;     /* NULL: nothing */
    peal_bench_message_fn *on_message; /* NULL: nothing */
    peal_bench_closed_fn *on_closed;   /* NULL: nothing. Not for a close of ours */
    void *user;                        /* kept */

    unsigned n_pending; /* between open and ready */
    unsigned n_ready;
    unsigned n_failed; /* handshakes that did not succeed */
    unsigned n_broken; /* closed by the server, or broken, when ready */
    uint64_t n_pings;
    unsigned n_resumed;       /* TLS handshakes that resumed a session */
    const char *last_failure; /* static text, or NULL */
    struct peal_bench_hist handshake;
};

uint64_t peal_bench_now_ns(void);

/* Makes n closed connections to opts->target. opts is kept. Errors: PEAL_ENOMEM,
 * PEAL_EIO. */
PEAL_MUST_USE peal_err peal_bench_net_init(
    struct peal_bench_net *net, const struct peal_bench_opts *opts, unsigned n);

/* Closes all and releases. A zeroed struct is fine. */
void peal_bench_net_fini(struct peal_bench_net *net);

/* Starts a handshake on closed connection i. A failure is counted, not returned. */
void peal_bench_net_open(struct peal_bench_net *net, unsigned i);

/* Opens connections 0 to n - 1, opts->concurrency at a time, and waits until every one is
 * ready. false: not all are; it says on standard error why. */
bool peal_bench_net_open_all(struct peal_bench_net *net, unsigned n);

void peal_bench_net_close(struct peal_bench_net *net, struct peal_bench_conn *c);

/* Waits for events, at most timeout_ms, and handles them. Returns how many. */
int peal_bench_net_turn(struct peal_bench_net *net, int timeout_ms);

/* Runs the loop for so long, or until a ready connection breaks. */
void peal_bench_net_run(struct peal_bench_net *net, double seconds);

/* Writes bytes as they are; what the kernel does not take follows later. */
void peal_bench_net_send(
    struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice bytes);

/* Frames text and sends it. */
void peal_bench_net_say(
    struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice text);

/* Below: between net.c and client.c. */

/* Writes the upgrade request of a connection whose TCP is up. */
void peal_bench_client_begin(struct peal_bench_net *net, struct peal_bench_conn *c);

/* Takes what is complete from data; returns how much that was. May close c. */
size_t peal_bench_client_eat(
    struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice data);

/* Closes c and dials again, within the same handshake: the session goes on by another
 * connection. */
void peal_bench_net_redial(struct peal_bench_net *net, struct peal_bench_conn *c);

void peal_bench_net_ready(struct peal_bench_net *net, struct peal_bench_conn *c);
void peal_bench_net_fail(
    struct peal_bench_net *net, struct peal_bench_conn *c, const char *why);

#endif

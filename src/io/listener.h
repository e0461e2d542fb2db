/* SPDX-License-Identifier: MIT */
/*
 * Listeners: a listening socket on a loop. Each worker has its own socket on the same
 * address (SO_REUSEPORT), so the kernel spreads connections and no lock is needed.
 *
 * When file descriptors run out, a spare one is given up to accept and close at once, so
 * that clients see a refusal instead of hanging in the backlog; then accepting rests.
 */
#ifndef PEAL_IO_LISTENER_H
#define PEAL_IO_LISTENER_H

#include "io/conn.h"

struct peal_listener;

/* A new connection's socket, non-blocking, close-on-exec; taken. Loop's thread. */
typedef void peal_accept_fn(void *arg, int fd, const struct sockaddr *peer);

/* For whom a listener is. */
enum peal_listener_kind {
    PEAL_LISTENER_CLIENTS,
    PEAL_LISTENER_NODES, /* requests of sessions that this node has, forwarded to it */
    PEAL_LISTENER_ADMIN  /* probes and metrics, which must work on a full node too */
};

#define PEAL_LISTENER_ADMIN_RESERVE                                                      \
    32 /* descriptors that are left for administrators                                   \
        */

/*
 * Limits of accepting; one struct is shared by all listeners of a process. Clients' are
 * limited by all of it; other nodes' and administrators' by descriptors only, for a node
 * that is full of clients must still serve their requests and answer its probes.
 */
struct peal_accept_limits {
    _Atomic int64_t open;  /* clients' connections of the process; loops count them */
    _Atomic int64_t inner; /* its other connections */
    int64_t open_max;      /* of clients' connections; 0: no limit */
    int64_t all_max;       /* of all, without the reserve for administrators; 0: none */
    uint64_t rate;         /* accepts a second and listener; 0: no limit */
    bool paced;            /* with the loop's other newcomers, see base/pace.h */
};

/*
 * peal_listen_socket binds and listens.
 *   addr  copied; a unix socket's path is unlinked first if it is a dead socket
 *   port_out  the port the kernel chose, for port 0
 * Errors: PEAL_EEXIST: address in use; PEAL_EPERM; PEAL_EINVAL; PEAL_EIO.
 */
PEAL_MUST_USE peal_err peal_listen_socket(
    const struct sockaddr *addr, socklen_t len, int *fd_out, uint16_t *port_out);

/*
 * peal_listener_new watches a listening socket.
 *   fd   taken on PEAL_OK
 *   limits, arg  kept
 * Errors: PEAL_ENOMEM, PEAL_EIO.
 */
PEAL_MUST_USE peal_err peal_listener_new(struct peal_loop *loop, int fd,
    enum peal_listener_kind kind, struct peal_accept_limits *limits, peal_accept_fn *fn,
    void *arg, struct peal_listener **out);

/* peal_listener_close stops accepting and releases it, then sets *lp to NULL. */
void peal_listener_close(struct peal_listener **lp);

/* peal_listener_finish is the same, but accepts first those who have connected already,
 * whatever the rate. */
void peal_listener_finish(struct peal_listener **lp);

#endif

/* SPDX-License-Identifier: MIT */
/* Loops from the inside, for the files of io/ (and the unit tests that look there). */
#ifndef PEAL_IO_LOOP_PRIV_H
#define PEAL_IO_LOOP_PRIV_H

#include <uv.h>

#include "io/loop.h"
#include "io/outq_priv.h"

#define PEAL_READ_SIZE 65536 /* bytes a connection may read at once */

struct peal_flusher;

struct peal_hook {
    peal_hook_fn *fn;
    void *arg;
};

struct peal_loop {
    uv_loop_t uv;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_idle_t idle; /* active while work is left, so that the loop does not wait */
    uv_async_t wake;
    _Atomic bool runs; /* a thread is in peal_loop_run; else the caller makes its turns */
    struct peal_wheel wheel;
    struct peal_stats stats;
    struct peal_loop_config config;
    _Atomic(struct peal_task *) task; /* posted, newest first */
    struct peal_task *due, *last_due; /* to be run, oldest first */
    struct peal_link dirty;           /* connections with something to write */
    struct peal_link unread;          /* connections whose kept bytes may be read now */
    struct peal_link handshakes;      /* connections whose TLS handshake waits to begin */
    unsigned n_handshakes;            /* how many those are */
    struct peal_link dials;           /* not over yet */
    struct peal_resolver *resolver;   /* of host names; NULL: none was looked up yet */
    struct peal_hook hooks[PEAL_HOOKS_MAX];
    unsigned n_hooks;
    struct peal_flusher *flusher;
    struct peal_outq_spares spares;
    struct peal_garbage *garbage;
    size_t n_garbage, garbage_cap;
    struct peal_pace pace; /* of newcomers; it also knows when this turn began */
    const char *tls_why; /* of the client's handshake that failed last; static English */
    bool idle_active, stopping;
    bool again; /* peal_loop_again was called */
    uint8_t read_buf[PEAL_READ_SIZE];
};

/* The loop that this thread runs, or NULL. */
extern _Thread_local const struct peal_loop *peal_loop_running;

/* The condition of PEAL_ASSERT_ON_LOOP, inline for code that runs once a delivery. */
static inline bool
peal_loop_runs_here(const struct peal_loop *l)
{
    return peal_loop_running == l ||
           !atomic_load_explicit(&l->runs, memory_order_relaxed);
}

/* peal_loop_enter marks the beginning of a turn. Every callback that libuv makes for
 * something that has become ready calls it first; only the first one of a turn counts. */
static inline void
peal_loop_enter(struct peal_loop *l)
{
    if (l->pace.began_ns == 0)
        l->pace.began_ns = uv_hrtime();
}

/* The loop calls these at the end of a turn: conn_tls.c, conn_read.c. */
void peal_conn_begin_handshakes(struct peal_loop *l);
void peal_conn_offer_unread(struct peal_loop *l);

/* For the end of the loop: closes all connections, and names those that still have an
 * owner; conn.c. Cancels all dials; dial.c. */
void peal_conn_close_all(struct peal_loop *l);
void peal_dial_cancel_all(struct peal_loop *l);

#endif

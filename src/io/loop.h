/* SPDX-License-Identifier: MIT */
/*
 * Loops: one thread, one libuv loop, and what happens once a turn.
 *
 * A turn: libuv reports what is readable; connections hand their bytes to their owners;
 * owners append to output queues. Before the loop waits again, the end of the turn runs,
 * in this order: connections with unread bytes, hooks (fan-out that was cut into slices),
 * one write for each connection that has something to say, and what was to be freed.
 *
 * Thread: everything here belongs to the loop's thread, but for peal_loop_post.
 */
#ifndef PEAL_IO_LOOP_H
#define PEAL_IO_LOOP_H

#include <uv.h>

#include "base/list.h"
#include "base/log.h"
#include "base/pace.h"
#include "base/stats.h"
#include "base/wheel.h"

#define PEAL_READ_SIZE 65536 /* bytes a connection may read at once */

struct peal_loop;
struct peal_task;
struct peal_flusher;

/* Runs on the receiving loop's thread; releases the task. */
typedef void peal_task_fn(struct peal_loop *loop, struct peal_task *task);

/* Put first in what is posted; made by the sender, released by fn. */
struct peal_task {
    struct peal_task *next;
    peal_task_fn *fn;
};

/* Runs at the end of every turn. Returns true to be run again without waiting. */
typedef bool peal_hook_fn(void *arg);

struct peal_hook {
    peal_hook_fn *fn;
    void *arg;
};

#define PEAL_HOOKS_MAX 4

enum peal_io_engine {
    PEAL_IO_AUTO,
    PEAL_IO_URING,
    PEAL_IO_EPOLL
};

enum peal_slow_policy {
    PEAL_SLOW_DISCONNECT,
    PEAL_SLOW_DROP_OLDEST,
    PEAL_SLOW_LATEST
};

struct peal_loop_config {
    enum peal_io_engine engine;
    enum peal_slow_policy slow_policy;
    size_t queue_bytes_max; /* per connection */
    uint64_t queue_age_ms;  /* the oldest byte of a queue may wait this long */
    struct peal_log *log;   /* kept */
    _Atomic int64_t *open;  /* kept: clients' connections of the process, or NULL */
    _Atomic int64_t *inner; /* kept: its other connections, or NULL */
    uint64_t lag_ms;        /* what newcomers may add to the lag; 0: not paced */
};

struct peal_loop {
    uv_loop_t uv;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_idle_t idle; /* active while work is left, so that the loop does not wait */
    uv_async_t wake;
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
    struct peal_hook hooks[PEAL_HOOKS_MAX];
    unsigned n_hooks;
    struct peal_flusher *flusher;
    struct peal_outq *free_outqs; /* spare output queues */
    unsigned n_free_outqs;
    struct peal_garbage *garbage;
    size_t n_garbage, garbage_cap;
    struct peal_pace pace; /* of newcomers; it also knows when this turn began */
    const char *tls_why; /* of the client's handshake that failed last; static English */
    bool idle_active, stopping;
    bool again; /* peal_loop_again was called */
    uint8_t read_buf[PEAL_READ_SIZE];
};

/*
 * peal_loop_new makes a loop, to be run by one thread.
 *   config  copied; config->log kept
 * Errors: PEAL_ENOMEM; PEAL_EUNSUPP: io_uring was asked for and cannot be had; PEAL_EIO.
 */
PEAL_MUST_USE peal_err peal_loop_new(
    const struct peal_loop_config *config, struct peal_loop **out);

/* peal_loop_run runs until peal_loop_stop. */
void peal_loop_run(struct peal_loop *l);

/* peal_loop_stop ends the run after this turn. */
void peal_loop_stop(struct peal_loop *l);

/* peal_loop_free closes every connection and cancels every dial without telling its
 * owner, and releases the loop. A name that is being looked up is waited for. */
void peal_loop_free(struct peal_loop **lp);

/* peal_loop_engine names what writes: "uring" or "epoll". */
const char *peal_loop_engine(const struct peal_loop *l);

/* peal_loop_post hands m to the loop. Tasks of one sender run in the order of posting, at
 * most PEAL_TASKS_PER_TURN in a turn. Any thread. */
#define PEAL_TASKS_PER_TURN 256
void peal_loop_post(struct peal_loop *l, struct peal_task *m);

/* peal_loop_hook adds a function that runs at the end of each turn, in order of adding.
 */
void peal_loop_hook(struct peal_loop *l, peal_hook_fn *fn, void *arg);

/* peal_loop_again is for what a hook is to see to: if the hooks of this turn have run
 * already, as they have when the flush ends a connection, the next turn does not wait. */
static inline void
peal_loop_again(struct peal_loop *l)
{
    l->again = true;
}

/* peal_loop_start arms a timer delay_ms from now. Use this, not peal_timer_start. */
static inline void
peal_loop_start(struct peal_loop *l, struct peal_timer *t, uint64_t delay_ms)
{
    /* The wheel's clock stands still while the loop waits; libuv's does not. */
    uint64_t now = uv_now(&l->uv);

    peal_timer_start(
        &l->wheel, t, delay_ms + (now > l->wheel.now_ms ? now - l->wheel.now_ms : 0));
}

/*
 * peal_loop_start_coarse is for heartbeats, of which a loop has thousands: it may fire up
 * to delay_ms / 64 late, together with others, so that they are written together.
 */
static inline void
peal_loop_start_coarse(struct peal_loop *l, struct peal_timer *t, uint64_t delay_ms)
{
    uint64_t grain = delay_ms / 64 + 1, at = uv_now(&l->uv) + delay_ms;

    peal_loop_start(l, t, delay_ms + (grain - at % grain) % grain);
}

/* peal_loop_enter marks the beginning of a turn. Every callback that libuv makes for
 * something that has become ready calls it first; only the first one of a turn counts. */
static inline void
peal_loop_enter(struct peal_loop *l)
{
    if (l->pace.began_ns == 0)
        l->pace.began_ns = uv_hrtime();
}

static inline uint64_t
peal_loop_now_ms(const struct peal_loop *l)
{
    return uv_now(&l->uv);
}

/* peal_loop_free_later calls fn(p) at the end of the turn: for objects that may still be
 * on the call stack. */
void peal_loop_free_later(struct peal_loop *l, void (*fn)(void *), void *p);

#endif

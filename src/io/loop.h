/* SPDX-License-Identifier: MIT */
/*
 * Loops: one thread, one libuv loop, and what happens once a turn.
 *
 * A turn: libuv reports what is readable; connections hand their bytes to their owners;
 * owners append to output queues. Before the loop waits again, the end of the turn runs,
 * in this order: timers that are due, TLS handshakes that were put off, connections with
 * unread bytes, hooks (newcomers, fan-out, answers to polls), one write for each
 * connection that has output, and the freeing of objects that were given up.
 *
 * Thread: everything here belongs to the loop's thread, but for peal_loop_post.
 */
#ifndef PEAL_IO_LOOP_H
#define PEAL_IO_LOOP_H

#include <uv.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/log.h"
#include "base/pace.h"
#include "base/stats.h"
#include "base/wheel.h"

struct peal_loop;
struct peal_task;

/* Runs on the receiving loop's thread; releases the task. */
typedef void peal_task_fn(struct peal_loop *loop, struct peal_task *task);

/* Put first in what is posted; made by the sender, released by fn. */
struct peal_task {
    struct peal_task *next;
    peal_task_fn *fn;
};

/* Runs at the end of every turn. Returns true to be run again without waiting. */
typedef bool peal_hook_fn(void *arg);

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

/*
 * peal_loop_new makes a loop, to be run by one thread.
 *   config  copied; config->log kept
 * Errors: PEAL_ENOMEM; PEAL_EUNSUPP: io_uring was asked for and is not available;
 * PEAL_EIO.
 */
PEAL_MUST_USE peal_err peal_loop_new(
    const struct peal_loop_config *config, struct peal_loop **out);

/* peal_loop_run runs until peal_loop_stop. */
void peal_loop_run(struct peal_loop *l);

/* peal_loop_stop ends the run after this turn. */
void peal_loop_stop(struct peal_loop *l);

/*
 * peal_loop_free closes every connection and cancels every dial without telling its
 * owner, and releases the loop. A name that is being looked up is not waited for. What
 * its owner should have closed is named in the log.
 */
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
void peal_loop_again(struct peal_loop *l);

/* peal_loop_start arms a timer delay_ms from now. Use this, not peal_timer_start. */
void peal_loop_start(struct peal_loop *l, struct peal_timer *t, uint64_t delay_ms);

/*
 * peal_loop_start_coarse is for heartbeats, of which a loop has thousands: it may fire up
 * to delay_ms / 64 late, together with others, so that they are written together.
 */
void peal_loop_start_coarse(struct peal_loop *l, struct peal_timer *t, uint64_t delay_ms);

/* peal_loop_now_ms is the time at the beginning of the turn, of a clock that only grows.
 */
uint64_t peal_loop_now_ms(const struct peal_loop *l);

/* Parts of the loop. Its counters may be read, its pace only used, by its thread;
 * the uv_loop_t is for those that bring handles of libuv of their own. */
struct peal_stats *peal_loop_stats(struct peal_loop *l);
struct peal_pace *peal_loop_pace(struct peal_loop *l);
struct peal_log *peal_loop_log(const struct peal_loop *l);
uv_loop_t *peal_loop_uv(struct peal_loop *l);
const struct peal_loop_config *peal_loop_settings(const struct peal_loop *l);
size_t peal_loop_queue_max(const struct peal_loop *l); /* of them: queue_bytes_max */

/* peal_loop_take_tls_why says, once, why the handshake that failed last as a client did
 * so: static English, or NULL. */
const char *peal_loop_take_tls_why(struct peal_loop *l);

/* PEAL_ASSERT_ON_LOOP: this is the thread that runs the loop, or nobody runs it. */
bool peal_loop_is_here(const struct peal_loop *l);
#define PEAL_ASSERT_ON_LOOP(loop) PEAL_ASSERT(peal_loop_is_here(loop))

/* peal_loop_free_later calls fn(p) at the end of the turn: for objects that may still be
 * on the call stack. */
void peal_loop_free_later(struct peal_loop *l, void (*fn)(void *), void *p);

#endif

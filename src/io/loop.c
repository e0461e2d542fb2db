/* SPDX-License-Identifier: MIT */
/*
 * Loops: libuv's phases, bent to a turn. The prepare handle runs after timers and before
 * the wait, so what any callback queued is written there; an idle handle keeps the loop
 * from waiting while a hook has work left.
 */
#include "io/loop.h"

#include <limits.h>
#include <stdlib.h>

#include "base/vec.h"
#include "io/flusher_priv.h"
#include "io/loop_priv.h"
#include "io/resolve.h"

_Thread_local const struct peal_loop *peal_loop_running;

struct peal_garbage {
    void (*fn)(void *);
    void *p;
};

static void
loop_on_timer(uv_timer_t *t)
{
    /* Only here to end the wait; the wheel advances at the end of the turn. */
}

static void
loop_on_idle(uv_idle_t *idle)
{
}

/* Moves what has been posted behind what is due already. */
static void
collect_tasks(struct peal_loop *l)
{
    struct peal_task *m, *next, *first = NULL, *last;

    m = last = atomic_exchange_explicit(&l->task, NULL, memory_order_acquire);
    if (m == NULL)
        return;
    for (; m != NULL; m = next) { /* newest first: turn it round */
        next = m->next;
        m->next = first;
        first = m;
    }
    if (l->due == NULL)
        l->due = first;
    else
        l->last_due->next = first;
    l->last_due = last;
}

static void
run_tasks(struct peal_loop *l, unsigned n)
{
    struct peal_task *m;

    for (; n > 0 && (m = l->due) != NULL; n--) {
        l->due = m->next;
        m->fn(l, m);
    }
}

static void
loop_on_wake(uv_async_t *wake)
{
    struct peal_loop *l = wake->data;

    peal_loop_enter(l);
    collect_tasks(l);
    run_tasks(l, PEAL_TASKS_PER_TURN);
    if (l->due != NULL)
        uv_async_send(&l->wake);
}

void
peal_loop_post(struct peal_loop *l, struct peal_task *m)
{
    struct peal_task *head = atomic_load_explicit(&l->task, memory_order_relaxed);

    do
        m->next = head;
    while (!atomic_compare_exchange_weak_explicit(
        &l->task, &head, m, memory_order_release, memory_order_relaxed));
    if (head ==
        NULL) /* otherwise someone has rung the bell and it was not yet answered */
        uv_async_send(&l->wake);
}

static void
loop_collect_garbage(struct peal_loop *l)
{
    /* A destructor may add more: go by index until nothing is left. */
    for (size_t i = 0; i < l->n_garbage; i++) {
        struct peal_garbage g = l->garbage[i];

        g.fn(g.p);
    }
    l->n_garbage = 0;
}

static void
loop_set_idle(struct peal_loop *l, bool on)
{
    if (on == l->idle_active)
        return;
    l->idle_active = on;
    if (on)
        uv_idle_start(&l->idle, loop_on_idle);
    else
        uv_idle_stop(&l->idle);
}

/* Counts the time of the turn, from its first callback on, and what newcomers had of it.
 */
static void
loop_account_turn(struct peal_loop *l)
{
    uint64_t now = uv_hrtime();

    peal_stat_add(&l->stats, PEAL_STAT_LOOP_BUSY, (int64_t)(now - l->pace.began_ns));
    peal_pace_turn_end(&l->pace, now);
}

static void
loop_end_turn(uv_prepare_t *p)
{
    struct peal_loop *l = p->data;
    bool more = false;
    int64_t next;

    peal_loop_enter(l);
    uv_update_time(&l->uv);
    peal_wheel_advance(&l->wheel, uv_now(&l->uv));
    peal_conn_begin_handshakes(l);
    peal_conn_offer_unread(l);
    l->again = false;
    for (unsigned i = 0; i < l->n_hooks; i++)
        more |= l->hooks[i].fn(l->hooks[i].arg);
    l->flusher->flush(l->flusher, l);
    loop_collect_garbage(l);
    more |= l->again || l->n_handshakes > 0 || !peal_list_empty(&l->unread) ||
            !peal_list_empty(&l->dirty);
    loop_set_idle(l, more && !l->stopping);
    if ((next = peal_wheel_next_ms(&l->wheel)) < 0)
        uv_timer_stop(&l->timer);
    else
        uv_timer_start(&l->timer, loop_on_timer, (uint64_t)next, 0);
    if (l->stopping)
        uv_stop(&l->uv);
    loop_account_turn(l);
}

void
peal_loop_free_later(struct peal_loop *l, void (*fn)(void *), void *p)
{
    PEAL_ASSERT_ON_LOOP(l);
    if (PEAL_GROW(l->garbage, l->garbage_cap, l->n_garbage + 1) != PEAL_OK) {
        /* Leaking one object is better than freeing what is still in use. */
        peal_log(l->config.log, PEAL_LOG_ERROR, "out of memory", NULL);
        return;
    }
    l->garbage[l->n_garbage++] = (struct peal_garbage){ fn, p };
}

static peal_err
pick_flusher(struct peal_loop *l)
{
    peal_err err = PEAL_EUNSUPP;

    if (l->config.engine != PEAL_IO_EPOLL)
        err = peal_flusher_uring(&l->flusher);
    if (err == PEAL_OK || l->config.engine == PEAL_IO_URING)
        return err;
    return peal_flusher_epoll(&l->flusher);
}

peal_err
peal_loop_new(const struct peal_loop_config *config, struct peal_loop **out)
{
    struct peal_loop *l = calloc(1, sizeof(*l));
    peal_err err;
    int r;

    if (l == NULL)
        return PEAL_ENOMEM;
    l->config = *config;
    peal_pace_init(&l->pace, config->lag_ms);
    peal_list_init(&l->dirty);
    peal_list_init(&l->unread);
    peal_list_init(&l->handshakes);
    peal_list_init(&l->dials);
    if ((r = uv_loop_init(&l->uv)) < 0) {
        free(l);
        return r == UV_ENOMEM ? PEAL_ENOMEM : PEAL_EIO;
    }
    uv_timer_init(&l->uv, &l->timer);
    uv_prepare_init(&l->uv, &l->prepare);
    uv_idle_init(&l->uv, &l->idle);
    l->prepare.data = l->wake.data = l;
    uv_update_time(&l->uv);
    peal_wheel_init(&l->wheel, uv_now(&l->uv));
    if ((r = uv_async_init(&l->uv, &l->wake, loop_on_wake)) < 0) {
        err = PEAL_EIO;
        goto fail;
    }
    l->wake.data = l;
    if ((err = pick_flusher(l)) != PEAL_OK)
        goto fail;
    /* Last: there is no turn in what frees half a loop. */
    uv_prepare_start(&l->prepare, loop_end_turn);
    *out = l;
    return PEAL_OK;

fail:
    peal_loop_free(&l);
    return err;
}

bool
peal_loop_is_here(const struct peal_loop *l)
{
    return peal_loop_runs_here(l);
}

struct peal_stats *
peal_loop_stats(struct peal_loop *l)
{
    return &l->stats;
}

struct peal_pace *
peal_loop_pace(struct peal_loop *l)
{
    return &l->pace;
}

struct peal_log *
peal_loop_log(const struct peal_loop *l)
{
    return l->config.log;
}

uv_loop_t *
peal_loop_uv(struct peal_loop *l)
{
    return &l->uv;
}

const struct peal_loop_config *
peal_loop_settings(const struct peal_loop *l)
{
    return &l->config;
}

size_t
peal_loop_queue_max(const struct peal_loop *l)
{
    return l->config.queue_bytes_max;
}

const char *
peal_loop_take_tls_why(struct peal_loop *l)
{
    const char *why = l->tls_why;

    l->tls_why = NULL;
    return why;
}

uint64_t
peal_loop_now_ms(const struct peal_loop *l)
{
    return uv_now(&l->uv);
}

void
peal_loop_again(struct peal_loop *l)
{
    l->again = true;
}

void
peal_loop_start(struct peal_loop *l, struct peal_timer *t, uint64_t delay_ms)
{
    /* The wheel's clock stands still while the loop waits; libuv's does not. */
    uint64_t now = uv_now(&l->uv);

    PEAL_ASSERT_ON_LOOP(l);
    peal_timer_start(
        &l->wheel, t, delay_ms + (now > l->wheel.now_ms ? now - l->wheel.now_ms : 0));
}

void
peal_loop_start_coarse(struct peal_loop *l, struct peal_timer *t, uint64_t delay_ms)
{
    uint64_t grain = delay_ms / 64 + 1, at = uv_now(&l->uv) + delay_ms;

    peal_loop_start(l, t, delay_ms + (grain - at % grain) % grain);
}

void
peal_loop_hook(struct peal_loop *l, peal_hook_fn *fn, void *arg)
{
    PEAL_ASSERT(l->n_hooks < PEAL_HOOKS_MAX);
    l->hooks[l->n_hooks++] = (struct peal_hook){ fn, arg };
}

const char *
peal_loop_engine(const struct peal_loop *l)
{
    return l->flusher->name;
}

void
peal_loop_run(struct peal_loop *l)
{
    l->stopping = false;
    peal_loop_running = l;
    atomic_store_explicit(&l->runs, true, memory_order_relaxed);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    atomic_store_explicit(&l->runs, false, memory_order_relaxed);
    peal_loop_running = NULL;
}

void
peal_loop_stop(struct peal_loop *l)
{
    l->stopping = true;
    loop_set_idle(l, true); /* one more turn without waiting */
}

static bool
is_own(const struct peal_loop *l, const uv_handle_t *h)
{
    return h == (const uv_handle_t *)&l->timer || h == (const uv_handle_t *)&l->prepare ||
           h == (const uv_handle_t *)&l->idle || h == (const uv_handle_t *)&l->wake;
}

static void
close_handle(uv_handle_t *h, void *loop)
{
    struct peal_loop *l = loop;

    if (uv_is_closing(h))
        return;
    if (!is_own(l, h))
        peal_log(l->config.log, PEAL_LOG_WARN, "a handle was not closed by its owner",
            "kind=%s", uv_handle_type_name(h->type));
    uv_close(h, NULL);
}

void
peal_loop_free(struct peal_loop **lp)
{
    struct peal_loop *l = *lp;

    if (l == NULL)
        return;
    *lp = NULL;
    l->n_hooks = 0; /* theirs is gone */
    peal_conn_close_all(l);
    peal_dial_cancel_all(l);
    loop_collect_garbage(l);
    uv_run(&l->uv, UV_RUN_NOWAIT); /* lets connections be released */
    do {                           /* nobody else would release what has been posted */
        run_tasks(l, UINT_MAX);
        collect_tasks(l);
    } while (l->due != NULL);
    uv_walk(&l->uv, close_handle, l);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    uv_loop_close(&l->uv);
    peal_resolver_release(&l->resolver);
    if (l->flusher != NULL)
        l->flusher->fini(l->flusher);
    peal_outq_spares_fini(&l->spares);
    free(l->garbage);
    free(l);
}

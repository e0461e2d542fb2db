/* SPDX-License-Identifier: MIT */
/*
 * Loops: libuv's phases, bent to a turn. The prepare handle runs after timers and before
 * the wait, so what any callback queued is written there; an idle handle keeps the loop
 * from waiting while a hook has work left.
 */
#include "io/loop.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "io/dial.h"
#include "io/outq_priv.h"

struct peal_garbage {
    void (*fn)(void *);
    void *p;
};

static void
on_timer(uv_timer_t *t)
{
    /* Only here to end the wait; the wheel advances at the end of the turn. */
}

static void
on_idle(uv_idle_t *idle)
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
on_wake(uv_async_t *wake)
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

void
peal_conn_offer_kept(struct peal_conn *c)
{
    struct peal_buf in = c->in;

    peal_list_unlink(&c->unread);
    if (in.len > 0) {
        c->in = (struct peal_buf){ 0 };
        peal_conn_keep(c, &in, peal_conn_offer(c, (uint8_t *)in.data, in.len));
    }
    if (c->fd >= 0 && c->ssl != NULL && peal_conn_reads(c) && !c->handshaking)
        peal_conn_read(c);
}

static void
offer_unread(struct peal_loop *l)
{
    struct peal_link all, *link;

    peal_list_move(&all, &l->unread);
    while ((link = peal_list_take(&all)) != NULL)
        peal_conn_offer_kept(PEAL_CONTAINER(link, struct peal_conn, unread));
}

static void
collect_garbage(struct peal_loop *l)
{
    /* A destructor may add more: go by index until nothing is left. */
    for (size_t i = 0; i < l->n_garbage; i++) {
        struct peal_garbage g = l->garbage[i];

        g.fn(g.p);
    }
    l->n_garbage = 0;
}

static void
set_idle(struct peal_loop *l, bool on)
{
    if (on == l->idle_active)
        return;
    l->idle_active = on;
    if (on)
        uv_idle_start(&l->idle, on_idle);
    else
        uv_idle_stop(&l->idle);
}

/* Counts the time of the turn, from its first callback on, and what newcomers had of it.
 */
static void
account_turn(struct peal_loop *l)
{
    uint64_t now = uv_hrtime();

    peal_stat_add(&l->stats, PEAL_STAT_LOOP_BUSY, (int64_t)(now - l->pace.began_ns));
    peal_pace_turn_end(&l->pace, now);
}

static void
end_turn(uv_prepare_t *p)
{
    struct peal_loop *l = p->data;
    bool more = false;
    int64_t next;

    peal_loop_enter(l);
    uv_update_time(&l->uv);
    peal_wheel_advance(&l->wheel, uv_now(&l->uv));
    peal_conn_begin_handshakes(l);
    offer_unread(l);
    l->again = false;
    for (unsigned i = 0; i < l->n_hooks; i++)
        more |= l->hooks[i].fn(l->hooks[i].arg);
    l->flusher->flush(l->flusher, l);
    collect_garbage(l);
    more |= l->again || l->n_handshakes > 0 || !peal_list_empty(&l->unread) ||
            !peal_list_empty(&l->dirty);
    set_idle(l, more && !l->stopping);
    if ((next = peal_wheel_next_ms(&l->wheel)) < 0)
        uv_timer_stop(&l->timer);
    else
        uv_timer_start(&l->timer, on_timer, (uint64_t)next, 0);
    if (l->stopping)
        uv_stop(&l->uv);
    account_turn(l);
}

void
peal_loop_free_later(struct peal_loop *l, void (*fn)(void *), void *p)
{
    if (l->n_garbage == l->garbage_cap) {
        size_t cap = l->garbage_cap ? l->garbage_cap * 2 : 64;
        struct peal_garbage *more = realloc(l->garbage, cap * sizeof(*more));

        if (more == NULL) {
            /* Leaking one object is better than freeing what is still in use. */
            peal_log(l->config.log, PEAL_LOG_ERROR, "out of memory", NULL);
            return;
        }
        l->garbage = more;
        l->garbage_cap = cap;
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
    if ((r = uv_async_init(&l->uv, &l->wake, on_wake)) < 0) {
        err = PEAL_EIO;
        goto fail;
    }
    l->wake.data = l;
    if ((err = pick_flusher(l)) != PEAL_OK)
        goto fail;
    /* Last: there is no turn in what frees half a loop. */
    uv_prepare_start(&l->prepare, end_turn);
    *out = l;
    return PEAL_OK;

fail:
    peal_loop_free(&l);
    return err;
}

void
peal_loop_hook(struct peal_loop *l, peal_hook_fn *fn, void *arg)
{
    assert(l->n_hooks < PEAL_HOOKS_MAX);
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
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void
peal_loop_stop(struct peal_loop *l)
{
    l->stopping = true;
    set_idle(l, true); /* one more turn without waiting */
}

/* What is polled and is no listener is a connection; a list would cost each of them two
 * pointers. */
static void
close_conn(uv_handle_t *h, void *loop)
{
    if (h->type == UV_POLL && h->data != loop && !uv_is_closing(h))
        peal_conn_close(PEAL_CONTAINER(h, struct peal_conn, poll), PEAL_CLOSE_LOCAL);
}

static void
close_handle(uv_handle_t *h, void *arg)
{
    if (!uv_is_closing(h))
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
    uv_walk(&l->uv, close_conn, l);
    peal_dial_cancel_all(l);
    collect_garbage(l);
    uv_run(&l->uv, UV_RUN_NOWAIT); /* lets connections be released */
    do {                           /* nobody else would release what has been posted */
        run_tasks(l, UINT_MAX);
        collect_tasks(l);
    } while (l->due != NULL);
    uv_walk(&l->uv, close_handle, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    uv_loop_close(&l->uv);
    if (l->flusher != NULL)
        l->flusher->fini(l->flusher);
    while (l->free_outqs != NULL) {
        struct peal_outq *q = l->free_outqs;

        l->free_outqs = q->next_free;
        free(q);
    }
    free(l->garbage);
    free(l);
}

/* SPDX-License-Identifier: MIT */
/*
 * The life of a node, on the control thread: run, drain, stop.
 *
 * SIGTERM or SIGINT: the node is not ready any more, and its answers close their
 * connections, but for those of sessions, so that no client's next request meets the end.
 * After drain.delay, when balancers have noticed, no session begins any more, and those
 * that are there are closed evenly over drain.window, so that their clients do not all
 * come back elsewhere at once; more slowly if the nodes that remain ask for it
 * (drain_pace). A second signal ends the node at once. SIGHUP: the certificate is read
 * again.
 *
 * Who leaves here comes back at once, perhaps by a balancer that would bring it here
 * again. To be refused the connection is the one answer that every balancer and every
 * client takes rightly, so the listeners are closed first of all (but for admin.listen:
 * metrics go on). Whoever polls comes by a new connection now and then; other nodes bring
 * such requests here. Where there are none, the listeners go with the last session that
 * polls, and those are the first to be closed.
 */
#include <signal.h>
#include <stdlib.h>

#include "server/server_priv.h"

#define STEP_MS 100  /* between two steps of a drain */
#define LAST_MS 3000 /* for the last bytes of closed connections */

struct life {
    struct peal_server *node;
    uv_loop_t *loop; /* of the control thread */
    uv_signal_t term, interrupt, hup;
    uv_timer_t timer;
    int64_t sessions; /* at the beginning of the drain */
    double keep;      /* the share of them that may be left now */
    uint64_t end;     /* of the window, loop time in ms */
    bool draining, listeners_closed;
};

static void
stop_now(struct life *life)
{
    peal_loop_stop(life->node->control);
}

/* Sessions that are closed already, but wait for a poll to be told, are among them. */
static int64_t
count_sessions(const struct peal_server *n)
{
    int64_t all = 0;

    for (unsigned i = 0; i < n->n_workers; i++)
        all += peal_stats_sessions(peal_loop_stats(n->workers[i].loop));
    return all;
}

/* Sessions whose clients need new connections to this node now and then. */
static int64_t
count_polling(const struct peal_server *n)
{
    int64_t all = 0;

    for (unsigned i = 0; i < n->n_workers; i++)
        all += peal_stat_get(
            peal_loop_stats(n->workers[i].loop), PEAL_STAT_POLLING_SESSIONS);
    return all;
}

static unsigned
count_forwards(const struct peal_server *n)
{
    unsigned all = 0;

    for (unsigned i = 0; i < n->n_workers; i++)
        all += n->workers[i].forwards;
    return all;
}

static void
lifecycle_see_other(
    void *others, const struct peal_node_report *r, uint64_t seen_ms, bool own)
{
    *(bool *)others |= !own && r->state != PEAL_NODE_LEAVING;
}

/* Are there nodes that bring requests of this one's sessions? With a backplane a node may
 * be alone as well, or its Redis is away. */
static bool
lifecycle_has_others(struct peal_server *n)
{
    bool others = false;

    if (n->nodes != NULL)
        peal_nodes_each(n->nodes, lifecycle_see_other, &others);
    return others;
}

static void
stop_accepting_if_nobody_needs_it(struct life *life)
{
    struct peal_server *n = life->node;

    if (life->listeners_closed || (!lifecycle_has_others(n) && count_polling(n) > 0))
        return;
    life->listeners_closed = true;
    for (unsigned i = 0; i < n->n_workers; i++)
        peal_worker_stop_accepting(&n->workers[i]);
}

/* All have been told; wait for what is still being written, and for polls. */
static void
on_last(uv_timer_t *t)
{
    struct life *life = t->data;
    struct peal_server *n = life->node;

    stop_accepting_if_nobody_needs_it(life);
    if ((n->limits.open + n->limits.inner == 0 && count_sessions(n) == 0) ||
        uv_now(life->loop) >= life->end + LAST_MS)
        stop_now(life);
}

/* The share that goes in a step: evenly over the window, or as slowly as others ask for,
 * but over twice the window at most. */
static double
share(const struct life *life)
{
    struct peal_server *n = life->node;
    double even = 1.0 / (1 + (double)(n->o->drain_window_ms / STEP_MS)), asked;
    uint32_t pace = atomic_load_explicit(&n->drain_pace, memory_order_relaxed);

    if (pace == 0 || life->sessions == 0)
        return even;
    asked = (double)pace * STEP_MS / 1000 / (double)life->sessions;
    return asked > even ? even : asked < even / 2 ? even / 2 : asked;
}

static void
on_step(uv_timer_t *t)
{
    struct life *life = t->data;
    struct peal_server *n = life->node;

    life->keep -= share(life);
    if (life->keep < 0 || (count_sessions(n) == 0 && count_forwards(n) == 0))
        life->keep = 0;
    for (unsigned i = 0; i < n->n_workers; i++)
        peal_worker_drain(&n->workers[i], life->keep);
    stop_accepting_if_nobody_needs_it(life);
    if (life->keep > 0)
        return;
    if (life->end < uv_now(life->loop))
        life->end = uv_now(life->loop);
    uv_timer_start(t, on_last, STEP_MS / 4, STEP_MS / 4);
}

static void
on_delay(uv_timer_t *t)
{
    struct life *life = t->data;
    struct peal_server *n = life->node;

    life->sessions = count_sessions(n);
    life->keep = 1;
    life->end = uv_now(life->loop) + n->o->drain_window_ms;
    peal_log(&n->log, PEAL_LOG_INFO, "draining", "sessions=%lld window=%llums",
        (long long)life->sessions, (unsigned long long)n->o->drain_window_ms);
    for (unsigned i = 0; i < n->n_workers; i++) {
        n->workers[i].forwards = 1; /* not known yet */
        peal_worker_refuse(&n->workers[i]);
    }
    uv_timer_start(t, on_step, 0, STEP_MS);
}

static void
on_stop_signal(uv_signal_t *s, int number)
{
    struct life *life = s->data;
    struct peal_server *n = life->node;

    if (life->draining) {
        peal_log(&n->log, PEAL_LOG_WARN, "stopping now", "connections=%lld",
            (long long)n->limits.open);
        stop_now(life);
        return;
    }
    life->draining = true;
    n->api.unready = "draining";
    peal_log(&n->log, PEAL_LOG_INFO, "stopping", "signal=%s delay=%llums",
        number == SIGTERM ? "SIGTERM" : "SIGINT",
        (unsigned long long)n->o->drain_delay_ms);
    for (unsigned i = 0; i < n->n_workers; i++)
        peal_worker_close_after_answers(&n->workers[i]);
    uv_timer_start(&life->timer, on_delay, n->o->drain_delay_ms, 0);
}

static void
on_reload_signal(uv_signal_t *s, int number)
{
    struct peal_server *n = ((struct life *)s->data)->node;
    struct peal_tls_ctx *ctx;

    if (n->tls == NULL) {
        peal_log(&n->log, PEAL_LOG_INFO, "nothing to reload", NULL);
        return;
    }
    if ((ctx = peal_server_load_tls(n)) == NULL)
        return; /* logged; the old one stays */
    for (unsigned i = 0; i < n->n_workers; i++)
        peal_worker_tls(&n->workers[i], peal_tls_ctx_retain(ctx));
    peal_tls_ctx_release(n->tls);
    n->tls = ctx;
    peal_log(
        &n->log, PEAL_LOG_INFO, "certificate reloaded", "tls.cert=%s", n->o->tls_cert);
}

void
peal_server_block_signals(bool block)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static void
watch(struct life *life, uv_signal_t *s, uv_signal_cb cb, int number)
{
    uv_signal_init(life->loop, s);
    s->data = life;
    uv_signal_start(s, cb, number);
}

/* Runs until told to stop. */
static void
live(struct life *life)
{
    watch(life, &life->term, on_stop_signal, SIGTERM);
    watch(life, &life->interrupt, on_stop_signal, SIGINT);
    watch(life, &life->hup, on_reload_signal, SIGHUP);
    uv_timer_init(life->loop, &life->timer);
    life->timer.data = life;
    peal_server_block_signals(false); /* one that came meanwhile is handled now */
    peal_loop_run(life->node->control);
    peal_server_block_signals(true); /* one more must not kill what is being taken down */
    uv_close((uv_handle_t *)&life->term, NULL);
    uv_close((uv_handle_t *)&life->interrupt, NULL);
    uv_close((uv_handle_t *)&life->hup, NULL);
    uv_close((uv_handle_t *)&life->timer, NULL);
    uv_run(life->loop, UV_RUN_NOWAIT);
}

/* Ends the threads, and lets the loops take their last tasks while all of them are still
 * there. */
static void
join(struct peal_server *n)
{
    for (unsigned i = 0; i < n->n_workers; i++)
        if (n->workers[i].started)
            peal_worker_stop(&n->workers[i]);
    for (unsigned i = 0; i < n->n_workers; i++)
        if (n->workers[i].started)
            uv_thread_join(&n->workers[i].thread);
    for (unsigned i = 0; i < n->n_workers; i++)
        peal_worker_close(&n->workers[i]);
    for (unsigned i = 0; i < n->n_workers; i++)
        if (n->workers[i].loop != NULL)
            uv_run(peal_loop_uv(n->workers[i].loop), UV_RUN_NOWAIT);
    uv_run(peal_loop_uv(n->control), UV_RUN_NOWAIT);
}

int
peal_server_run(struct peal_server *n)
{
    struct life life = { .node = n, .loop = peal_loop_uv(n->control) };
    bool ok = true;

    for (unsigned i = 0; i < n->n_workers && ok; i++)
        ok = peal_worker_start(&n->workers[i]);
    peal_cluster_start(n);
    if (ok)
        live(&life);
    peal_cluster_leave(n);
    join(n);
    peal_log(&n->log, PEAL_LOG_INFO, "stopped", NULL);
    return ok ? 0 : 1;
}

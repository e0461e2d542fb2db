/* SPDX-License-Identifier: MIT */
/*
 * The life of a node, on the control thread: run, drain, stop.
 *
 * SIGTERM or SIGINT begins the drain, whose plan is in server/drain.h; a second one stops
 * the node at once. SIGHUP reads the certificate again. admin.listen stays open to the
 * end, for metrics.
 */
#include <signal.h>
#include <stdlib.h>

#include "server/drain.h"
#include "server/server_priv.h"

struct life {
    struct peal_server *node;
    uv_loop_t *loop; /* of the control thread */
    uv_signal_t term, interrupt, hup;
    uv_timer_t timer; /* of the drain's steps */
    struct peal_drain drain;
};

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

static struct peal_drain_view
lifecycle_look(const struct life *life)
{
    struct peal_server *n = life->node;
    struct peal_drain_view v = { .now_ms = uv_now(life->loop),
        .connections = n->limits.open + n->limits.inner,
        .has_others = lifecycle_has_others(n),
        .pace = atomic_load_explicit(&n->drain_pace, memory_order_relaxed) };

    for (unsigned i = 0; i < n->n_workers; i++) {
        const struct peal_stats *stats = peal_loop_stats(n->workers[i].loop);

        v.sessions += peal_stats_sessions(stats);
        v.polling += peal_stat_get(stats, PEAL_STAT_POLLING_SESSIONS);
        v.forwards += n->workers[i].forwards;
    }
    return v;
}

static void
lifecycle_refuse(struct life *life)
{
    struct peal_server *n = life->node;

    peal_log(&n->log, PEAL_LOG_INFO, "draining", "sessions=%lld window=%llums",
        (long long)life->drain.sessions, (unsigned long long)n->o->drain_window_ms);
    for (unsigned i = 0; i < n->n_workers; i++) {
        n->workers[i].forwards = 1; /* not known yet */
        peal_worker_refuse(&n->workers[i]);
    }
}

static void
lifecycle_on_step(uv_timer_t *t)
{
    struct life *life = t->data;
    struct peal_server *n = life->node;
    struct peal_drain_view v = lifecycle_look(life);
    struct peal_drain_orders orders = peal_drain_step(&life->drain, &v);

    if (orders.refuse)
        lifecycle_refuse(life);
    for (unsigned i = 0; i < n->n_workers && orders.close_sessions; i++)
        peal_worker_drain(&n->workers[i], life->drain.keep);
    for (unsigned i = 0; i < n->n_workers && orders.close_listeners; i++)
        peal_worker_stop_accepting(&n->workers[i]);
    if (orders.stop)
        peal_loop_stop(n->control);
    else
        uv_timer_start(t, lifecycle_on_step, orders.next_ms, 0);
}

static void
lifecycle_on_stop_signal(uv_signal_t *s, int number)
{
    struct life *life = s->data;
    struct peal_server *n = life->node;

    if (life->drain.phase != PEAL_DRAIN_SERVING) {
        peal_log(&n->log, PEAL_LOG_WARN, "stopping now", "connections=%lld",
            (long long)n->limits.open);
        peal_loop_stop(n->control);
        return;
    }
    peal_drain_begin(&life->drain);
    n->api.unready = "draining";
    peal_log(&n->log, PEAL_LOG_INFO, "stopping", "signal=%s delay=%llums",
        number == SIGTERM ? "SIGTERM" : "SIGINT",
        (unsigned long long)n->o->drain_delay_ms);
    for (unsigned i = 0; i < n->n_workers; i++)
        peal_worker_close_after_answers(&n->workers[i]);
    uv_timer_start(&life->timer, lifecycle_on_step, n->o->drain_delay_ms, 0);
}

static void
lifecycle_on_reload_signal(uv_signal_t *s, int number)
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
lifecycle_watch(struct life *life, uv_signal_t *s, uv_signal_cb cb, int number)
{
    uv_signal_init(life->loop, s);
    s->data = life;
    uv_signal_start(s, cb, number);
}

/* Runs until told to stop. */
static void
lifecycle_run(struct life *life)
{
    lifecycle_watch(life, &life->term, lifecycle_on_stop_signal, SIGTERM);
    lifecycle_watch(life, &life->interrupt, lifecycle_on_stop_signal, SIGINT);
    lifecycle_watch(life, &life->hup, lifecycle_on_reload_signal, SIGHUP);
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
lifecycle_join(struct peal_server *n)
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
    struct life life = { .node = n,
        .loop = peal_loop_uv(n->control),
        .drain.window_ms = n->o->drain_window_ms };
    bool ok = true;

    for (unsigned i = 0; i < n->n_workers && ok; i++)
        ok = peal_worker_start(&n->workers[i]);
    peal_cluster_start(n);
    if (ok)
        lifecycle_run(&life);
    peal_cluster_leave(n);
    lifecycle_join(n);
    peal_log(&n->log, PEAL_LOG_INFO, "stopped", NULL);
    return ok ? 0 : 1;
}

/* SPDX-License-Identifier: MIT */
/*
 * Connections: what it costs to open them, to hold them, and to let them be.
 *
 * connect opens all, waits until the server's memory stands still, and divides; then it
 * may watch the server answer nothing but timers. storm opens and closes the same few
 * connections for as long as it is told.
 */
#include <stdio.h>

#include "bench/modes.h"
#include "bench/net.h"
#include "bench/proc.h"

#define SETTLE_STEP_S 0.5
#define SETTLE_STEPS_MAX 8

/* Resident bytes once two looks in a row agree. */
static uint64_t
settled_rss(struct peal_bench_net *net)
{
    const struct peal_bench_opts *o = net->opts;
    uint64_t before, now = peal_bench_proc_rss_bytes(o->pids, o->n_pids);

    for (int i = 0; i < SETTLE_STEPS_MAX; i++) {
        before = now;
        peal_bench_net_run(net, SETTLE_STEP_S);
        now = peal_bench_proc_rss_bytes(o->pids, o->n_pids);
        if (now == before)
            break;
    }
    return now;
}

/* Memory that the first connections make the server allocate for good is no cost of a
 * connection: some come and go before the first look. */
static bool
warm_up(struct peal_bench_net *net)
{
    unsigned n = net->opts->warmup < net->n ? net->opts->warmup : net->n;

    if (!peal_bench_net_open_all(net, n))
        return false;
    for (unsigned i = 0; i < n; i++)
        peal_bench_net_close(net, &net->conns[i]);
    net->handshake = (struct peal_bench_hist){ 0 };
    peal_bench_net_run(net, SETTLE_STEP_S);
    return true;
}

static void
watch_idle(struct peal_bench_net *net, struct peal_bench_report *r)
{
    struct peal_bench_span span;
    struct peal_bench_cost cost;
    uint64_t pings = net->n_pings;

    if (net->opts->idle_s <= 0)
        return;
    peal_bench_span_begin(&span, net->opts);
    peal_bench_net_run(net, net->opts->idle_s);
    cost = peal_bench_span_end(&span, net->opts);
    peal_bench_report_add(r, "idle_seconds", cost.seconds, "s");
    peal_bench_report_add(r, "idle_pings", (double)(net->n_pings - pings), "");
    peal_bench_report_add(
        r, "idle_cpu_percent", cost.server_us / 1e4 / cost.seconds, "% of a core");
}

static bool
measure(struct peal_bench_net *net, struct peal_bench_report *r)
{
    double n = net->n;
    struct peal_bench_span span;
    struct peal_bench_cost cost;
    uint64_t empty = settled_rss(net), full;

    peal_bench_span_begin(&span, net->opts);
    if (!peal_bench_net_open_all(net, net->n))
        return false;
    peal_bench_report_add(r, "connects_per_s",
        n * 1e9 / (double)(peal_bench_now_ns() - span.began_ns), "/s");
    peal_bench_net_run(net, 0.01);
    cost = peal_bench_span_end(&span, net->opts);
    full = settled_rss(net);
    peal_bench_report_add(r, "connections", n, "");
    peal_bench_report_add(r, "cpu_us_per_connect", cost.server_us / n, "us");
    peal_bench_report_hist(r, &net->handshake);
    peal_bench_report_cost(r, &cost);
    peal_bench_report_add(r, "rss_before", (double)empty, "bytes");
    peal_bench_report_add(r, "rss_after", (double)full, "bytes");
    peal_bench_report_add(
        r, "bytes_per_connection", ((double)full - (double)empty) / n, "bytes");
    watch_idle(net, r);
    if (net->n_broken == 0)
        return true;
    fprintf(stderr, "peal bench: LOST: %u of %u idle connections broke: %s\n",
        net->n_broken, net->n, net->last_failure);
    return false;
}

bool
peal_bench_connect(const struct peal_bench_opts *opts, struct peal_bench_report *report)
{
    struct peal_bench_net net = { .ep = -1 };
    bool ok = peal_bench_net_init(&net, opts, opts->connections) == PEAL_OK &&
              warm_up(&net) && measure(&net, report);

    peal_bench_net_fini(&net);
    return ok;
}

static void
storm_ready(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    uint64_t *n_cycles = net->user;

    (*n_cycles)++;
    peal_bench_net_close(net, c);
}

/* Opens what is closed, turn by turn: not in the callback, where the bytes of the
 * connection that just ended may still be in hand. */
static void
storm_run(struct peal_bench_net *net)
{
    uint64_t end = peal_bench_now_ns() + (uint64_t)(net->opts->duration_s * 1e9);

    while (peal_bench_now_ns() < end) {
        for (unsigned i = 0; i < net->n; i++) {
            if (net->conns[i].state == PEAL_BENCH_CLOSED)
                peal_bench_net_open(net, i);
        }
        peal_bench_net_turn(net, 100);
    }
}

bool
peal_bench_storm(const struct peal_bench_opts *opts, struct peal_bench_report *report)
{
    struct peal_bench_net net;
    uint64_t n_cycles = 0;
    struct peal_bench_span span;
    struct peal_bench_cost cost;
    unsigned n =
        opts->concurrency < opts->connections ? opts->concurrency : opts->connections;
    bool ok;

    if (peal_bench_net_init(&net, opts, n) != PEAL_OK)
        return false;
    net.user = &n_cycles;
    net.on_ready = storm_ready;
    peal_bench_span_begin(&span, opts);
    storm_run(&net);
    cost = peal_bench_span_end(&span, opts);
    peal_bench_report_add(report, "at_once", n, "");
    peal_bench_report_add(report, "cycles", (double)n_cycles, "");
    peal_bench_report_add(report, "failed", net.n_failed, "");
    peal_bench_report_add(
        report, "cpu_us_per_cycle", cost.server_us / (double)n_cycles, "us");
    peal_bench_report_add(report, "cycles_per_s", (double)n_cycles / cost.seconds, "/s");
    peal_bench_report_hist(report, &net.handshake);
    peal_bench_report_cost(report, &cost);
    ok = net.n_failed == 0 && n_cycles > 0;
    if (!ok)
        fprintf(stderr, "peal bench: FAILED: %u handshakes: %s\n", net.n_failed,
            net.last_failure ? net.last_failure : "no answer");
    peal_bench_net_fini(&net);
    return ok;
}

/* SPDX-License-Identifier: MIT */
/*
 * An avalanche: all clients lose their node, and come back to another one.
 *
 * The caller kills the node of --lost when "ready" appears on standard error. Each
 * client then does as the official Socket.IO client: it tries again after 1 s, then 2, 4
 * and 5 s, each half longer or shorter by chance; at the node of --url, where a balancer
 * would bring it. Meanwhile clients that are at that node already (--present) measure
 * what they notice of it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/modes.h"
#include "bench/net.h"
#include "bench/present.h"

#define BACKOFF_MS 1000.0
#define BACKOFF_MAX_MS 5000.0
#define LOOK_NS 1000000u      /* between two looks at who is due */
#define SECOND_NS 1000000000u /* between two looks at the processor */

struct client {
    uint64_t lost_ns; /* 0: not yet */
    uint64_t due_ns;  /* of the next attempt, when closed */
    unsigned attempts;
    bool back;
};

struct avalanche {
    const struct peal_bench_opts *opts;
    struct client *clients;
    struct peal_bench_present *present; /* NULL: there are none */
    uint64_t first_ns, last_ns;         /* the first loss; the last return */
    bool all_there; /* until then a client that is refused tries the same node again */
    unsigned n_lost, n_back, n_again, n_failed;
    uint64_t chance; /* a generator's state: the same delays in every run */
    struct peal_bench_span second;
    double busiest; /* second of the remaining node, in % of a core */
    struct peal_bench_hist away;
};

/* 0 to 1 */
static double
next_chance(struct avalanche *a)
{
    a->chance = a->chance * 6364136223846793005u + 1442695040888963407u;
    return (double)(a->chance >> 32) / 4294967296.0;
}

static uint64_t
next_delay_ns(struct avalanche *a, unsigned attempts)
{
    double ms = BACKOFF_MS * (double)(1u << (attempts < 8 ? attempts : 8));

    ms *= 0.5 + next_chance(a);
    return (uint64_t)((ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS) * 1e6);
}

static void
on_closed(struct peal_bench_net *net, struct peal_bench_conn *c, const char *why)
{
    struct avalanche *a = net->user;
    struct client *one = &a->clients[c->index];
    uint64_t now = peal_bench_now_ns();

    (void)why;
    if (one->lost_ns == 0 && a->all_there) {
        if (a->n_lost++ == 0)
            a->first_ns = now;
        one->lost_ns = now;
        c->target = &a->opts->target;
    } else if (one->back) {
        one->back = false;
        one->attempts = 0;
        a->n_back--;
        a->n_again++;
    }
    one->due_ns = now + next_delay_ns(a, one->attempts++);
}

static void
on_ready(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    struct avalanche *a = net->user;
    struct client *one = &a->clients[c->index];

    if (one->lost_ns == 0)
        return;
    one->back = true;
    a->n_back++;
    a->last_ns = peal_bench_now_ns();
    peal_bench_hist_add(&a->away, a->last_ns - one->lost_ns);
}

/* At most so many handshakes at once. */
static void
open_due(struct peal_bench_net *net, uint64_t now, unsigned n_pending_max)
{
    struct avalanche *a = net->user;

    for (unsigned i = 0; i < net->n && net->n_pending < n_pending_max; i++) {
        if (net->conns[i].state == PEAL_BENCH_CLOSED && a->clients[i].due_ns <= now)
            peal_bench_net_open(net, i);
    }
}

static void
look_at_cpu(struct avalanche *a, uint64_t now)
{
    struct peal_bench_cost cost;

    if (now - a->second.began_ns < SECOND_NS)
        return;
    cost = peal_bench_span_end(&a->second, a->opts);
    if (cost.server_us / 1e4 / cost.seconds > a->busiest)
        a->busiest = cost.server_us / 1e4 / cost.seconds;
    peal_bench_span_begin(&a->second, a->opts);
}

/* Until all that were lost are back, or the time is over. */
static void
come_back(struct peal_bench_net *net, uint64_t until_ns)
{
    struct avalanche *a = net->user;
    uint64_t now = peal_bench_now_ns(), looked = 0;

    while (now < until_ns && a->n_back < net->n) {
        if (now - looked >= LOOK_NS) {
            open_due(net, now, net->n);
            look_at_cpu(a, now);
            looked = now;
        }
        peal_bench_net_turn(net, 1);
        now = peal_bench_now_ns();
    }
}

/* All connect to the node that they will lose: it need not be fast. */
static bool
gather(struct peal_bench_net *net)
{
    struct avalanche *a = net->user;
    uint64_t limit_ns = (uint64_t)(a->opts->duration_s * 1e9);
    uint64_t began_ns = peal_bench_now_ns(), now = began_ns;

    while (net->n_ready < net->n && now - began_ns < limit_ns) {
        open_due(net, now, a->opts->concurrency);
        peal_bench_net_turn(net, 1);
        now = peal_bench_now_ns();
    }
    a->n_failed = net->n_failed;
    for (unsigned i = 0; i < net->n; i++)
        a->clients[i] = (struct client){ 0 };
    net->handshake = (struct peal_bench_hist){ 0 };
    net->n_resumed = 0;
    a->all_there = net->n_ready == net->n;
    return a->all_there;
}

static bool
measure(struct peal_bench_net *net, struct peal_bench_report *r)
{
    struct avalanche *a = net->user;
    uint64_t limit_ns = (uint64_t)(a->opts->duration_s * 1e9);
    uint64_t until_ns = peal_bench_now_ns() + limit_ns;
    struct peal_bench_span span;
    struct peal_bench_cost cost;

    fprintf(stderr, "peal bench: ready\n");
    while (a->n_lost == 0 && peal_bench_now_ns() < until_ns)
        peal_bench_net_turn(net, 10);
    if (a->present != NULL)
        peal_bench_present_storm(a->present);
    peal_bench_span_begin(&span, a->opts);
    a->second = span;
    come_back(net, peal_bench_now_ns() + limit_ns);
    cost = peal_bench_span_end(&span, a->opts);
    peal_bench_report_add(r, "connections", net->n, "");
    peal_bench_report_add(r, "lost", a->n_lost, "");
    peal_bench_report_add(r, "back", a->n_back, "");
    peal_bench_report_add(r, "failed_attempts", net->n_failed - a->n_failed, "");
    peal_bench_report_add(r, "lost_again", a->n_again, "");
    peal_bench_report_add(r, "all_back_s",
        a->n_back == net->n ? (double)(a->last_ns - a->first_ns) / 1e9 : (double)NAN,
        "s");
    peal_bench_report_add(
        r, "away_p50_s", (double)peal_bench_hist_quantile(&a->away, 0.5) / 1e9, "s");
    peal_bench_report_add(
        r, "away_p99_s", (double)peal_bench_hist_quantile(&a->away, 0.99) / 1e9, "s");
    peal_bench_report_add(r, "cpu_us_per_return", cost.server_us / a->n_back, "us");
    peal_bench_report_add(r, "busiest_second_percent", a->busiest, "% of a core");
    peal_bench_report_add(r, "tls_resumed", net->n_resumed, "");
    peal_bench_report_hist(r, &net->handshake);
    peal_bench_report_cost(r, &cost);
    return a->n_back == net->n && a->n_again == 0;
}

bool
peal_bench_avalanche(const struct peal_bench_opts *opts, struct peal_bench_report *report)
{
    struct peal_bench_net net = { .ep = -1 };
    struct avalanche *a = calloc(1, sizeof(*a));
    bool ok = false;

    if (a == NULL)
        return false;
    a->opts = opts;
    a->clients = calloc(opts->connections, sizeof(*a->clients));
    if (opts->present > 0 && (a->present = peal_bench_present_start(opts)) == NULL)
        goto out;
    if (a->clients != NULL &&
        peal_bench_net_init(&net, opts, opts->connections) == PEAL_OK) {
        for (unsigned i = 0; i < net.n; i++) {
            net.conns[i].join = true;
            net.conns[i].target = &opts->lost;
        }
        net.user = a;
        net.on_closed = on_closed;
        net.on_ready = on_ready;
        ok = gather(&net) && measure(&net, report);
        if (!ok)
            fprintf(stderr, "peal bench: FAILED: %u of %u clients are there: %s\n",
                net.n_ready, net.n, net.last_failure ? net.last_failure : "no loss");
    }
    if (a->present != NULL && !peal_bench_present_end(a->present, report))
        ok = false;
out:
    peal_bench_net_fini(&net);
    free(a->clients);
    free(a);
    return ok;
}

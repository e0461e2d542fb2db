/* SPDX-License-Identifier: MIT */
/*
 * Drops: clients whose connections are cut again and again, while somebody publishes.
 *
 * Every client is connected for a while, then away for a while; their turns are spread
 * evenly. Without history what is published meanwhile is not for them. So the share of
 * messages that is delivered cannot exceed the share of time connected, and is to be near
 * it; from one cut to the next nothing may be missing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/message.h"
#include "bench/modes.h"
#include "bench/net.h"

#define FRESH UINT32_MAX /* has not received since it came */
#define SETTLE_S 0.5

struct drops {
    const struct peal_bench_opts *opts;
    struct peal_bench_message message;
    struct peal_bench_conn *publisher;
    uint64_t *due_ns; /* of each client: when it goes, or comes */
    uint64_t *since_ns;
    uint64_t began_ns, connected_ns;
    uint32_t next_seq;
    uint64_t received, skipped, repeated, corrupt, n_cuts;
};

static uint64_t
to_ns(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

static void
on_message(struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice data)
{
    struct drops *d = net->user;
    uint32_t seq;

    if (!c->join)
        return;
    if (!peal_bench_message_read(&d->message, data, &seq)) {
        d->corrupt++;
        return;
    }
    if (c->seq == FRESH)
        c->seq = seq;
    if (seq < c->seq) {
        d->repeated++;
        return;
    }
    d->skipped += seq - c->seq;
    c->seq = seq + 1;
    d->received++;
}

static void
on_ready(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    struct drops *d = net->user;

    if (!c->join)
        return;
    d->since_ns[c->index] = peal_bench_now_ns();
    d->due_ns[c->index] = d->since_ns[c->index] + to_ns(d->opts->up_s);
}

static void
cut(struct peal_bench_net *net, struct peal_bench_conn *c, uint64_t now)
{
    struct drops *d = net->user;

    peal_bench_net_close(net, c);
    c->seq = FRESH;
    d->connected_ns += now - d->since_ns[c->index];
    d->due_ns[c->index] = now + to_ns(d->opts->down_s);
    d->n_cuts++;
}

static void
come_and_go(struct peal_bench_net *net, uint64_t now)
{
    struct drops *d = net->user;

    for (unsigned i = 0; i < d->opts->connections; i++) {
        struct peal_bench_conn *c = &net->conns[i];

        if (d->due_ns[i] > now)
            continue;
        if (c->state == PEAL_BENCH_READY)
            cut(net, c, now);
        else if (c->state == PEAL_BENCH_CLOSED)
            peal_bench_net_open(net, i);
    }
}

/* Publishes the messages that are due by now; false: out of memory. */
static bool
publish_due(struct peal_bench_net *net, uint64_t now)
{
    struct drops *d = net->user;
    uint64_t due = (uint64_t)((double)(now - d->began_ns) / 1e9 * d->opts->rate);
    struct peal_buf wire = { 0 };
    bool ok = true;

    while (ok && d->next_seq < due)
        ok = peal_bench_message_publish(&d->message, &d->opts->publish,
                 d->publisher->number, d->next_seq++, &wire) == PEAL_OK;
    if (wire.len > 0)
        peal_bench_net_send(net, d->publisher, peal_buf_slice(&wire));
    peal_buf_fini(&wire);
    return ok;
}

/* Returns for how long it ran, in nanoseconds. */
static uint64_t
play(struct peal_bench_net *net)
{
    struct drops *d = net->user;
    unsigned n = d->opts->connections;
    uint64_t now = d->began_ns = peal_bench_now_ns(), end;

    end = now + to_ns(d->opts->duration_s);
    for (unsigned i = 0; i < n; i++) {
        d->since_ns[i] = now;
        d->due_ns[i] = now + to_ns((d->opts->up_s + d->opts->down_s) * (i + 1) / n);
    }
    while (now < end && net->n_broken == 0 && publish_due(net, now)) {
        come_and_go(net, now);
        peal_bench_net_turn(net, 1);
        now = peal_bench_now_ns();
    }
    for (unsigned i = 0; i < n; i++) {
        if (net->conns[i].state == PEAL_BENCH_READY)
            d->connected_ns += now - d->since_ns[i];
    }
    peal_bench_net_run(net, SETTLE_S);
    return now - d->began_ns;
}

static bool
measure(struct peal_bench_net *net, struct peal_bench_report *r)
{
    struct drops *d = net->user;
    struct peal_bench_span span;
    struct peal_bench_cost cost;
    double n = d->opts->connections, ran_ns;

    peal_bench_span_begin(&span, d->opts);
    ran_ns = (double)play(net);
    cost = peal_bench_span_end(&span, d->opts);
    peal_bench_report_add(r, "connections", n, "");
    peal_bench_report_add(r, "cuts", (double)d->n_cuts, "");
    peal_bench_report_add(r, "published", d->next_seq, "");
    peal_bench_report_add(r, "received", (double)d->received, "");
    peal_bench_report_add(r, "skipped", (double)d->skipped, "");
    peal_bench_report_add(r, "repeated", (double)d->repeated, "");
    peal_bench_report_add(r, "corrupt", (double)d->corrupt, "");
    peal_bench_report_add(r, "failed", net->n_failed, "");
    peal_bench_report_add(
        r, "connected_percent", 100 * (double)d->connected_ns / ran_ns / n, "%");
    peal_bench_report_add(
        r, "delivered_percent", 100 * (double)d->received / d->next_seq / n, "%");
    peal_bench_report_hist(r, &net->handshake);
    peal_bench_report_cost(r, &cost);
    if (d->skipped + d->repeated + d->corrupt + net->n_failed + net->n_broken == 0)
        return true;
    fprintf(stderr,
        "peal bench: LOST: %llu messages were skipped, %llu repeated, %llu corrupt; %u "
        "connections failed, %u broke%s%s\n",
        (unsigned long long)d->skipped, (unsigned long long)d->repeated,
        (unsigned long long)d->corrupt, net->n_failed, net->n_broken,
        net->last_failure ? ": " : "", net->last_failure ? net->last_failure : "");
    return false;
}

static bool
open_parties(struct peal_bench_net *net, struct drops *d)
{
    unsigned n = d->opts->connections;

    for (unsigned i = 0; i < n; i++) {
        net->conns[i].join = true;
        net->conns[i].seq = FRESH;
    }
    d->publisher = &net->conns[n];
    d->publisher->target = &d->opts->publish;
    net->user = d;
    net->on_message = on_message;
    if (!peal_bench_net_open_all(net, n + 1))
        return false;
    net->on_ready = on_ready;
    return true;
}

bool
peal_bench_drops(const struct peal_bench_opts *opts, struct peal_bench_report *report)
{
    struct peal_bench_net net = { .ep = -1 };
    struct drops *d = calloc(1, sizeof(*d));
    bool ok = false;

    if (d == NULL)
        return false;
    d->opts = opts;
    d->due_ns = calloc(opts->connections, sizeof(*d->due_ns));
    d->since_ns = calloc(opts->connections, sizeof(*d->since_ns));
    if (d->due_ns != NULL && d->since_ns != NULL &&
        peal_bench_message_init(&d->message, opts) == PEAL_OK &&
        peal_bench_net_init(&net, opts, opts->connections + 1) == PEAL_OK)
        ok = open_parties(&net, d) && measure(&net, report);
    peal_bench_net_fini(&net);
    peal_bench_message_fini(&d->message);
    free(d->due_ns);
    free(d->since_ns);
    free(d);
    return ok;
}

/* SPDX-License-Identifier: MIT */
/*
 * Fan-out: what it costs the server to deliver one message to many.
 *
 * A round is one message (in step) or a burst in one write; the next begins when every
 * subscriber has all of it, so queues never grow and latency means delivery. If the
 * server echoes to the publisher too, the trial before the warm-up finds out, and those
 * deliveries count as well.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/message.h"
#include "bench/modes.h"
#include "bench/net.h"

#define SETTLE_S 0.1

struct fanout {
    const struct peal_bench_opts *opts;
    struct peal_bench_conn *publisher;
    struct peal_bench_message message;
    uint32_t next_seq; /* of the next message to send */
    bool echoes;       /* the publisher receives its own */
    bool measuring;
    uint64_t sent_ns;
    uint64_t received, wanted; /* of this round */
    uint64_t deliveries, skipped, repeated, corrupt, lost;
    struct peal_bench_hist latency;
};

static void
on_message(struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice data)
{
    struct fanout *f = net->user;
    uint32_t seq;

    if (peal_bench_message_is_notice(&f->message, data))
        return;
    if (!peal_bench_message_read(&f->message, data, &seq)) {
        f->corrupt++;
        return;
    }
    if (seq < c->seq) {
        f->repeated++;
        return;
    }
    f->skipped += seq - c->seq;
    c->seq = seq + 1;
    f->received++;
    if (f->measuring)
        peal_bench_hist_add(&f->latency, net->now_ns - f->sent_ns);
}

/* Publishes n messages in one write and waits for all deliveries; false: some are
 * missing, or a connection broke. */
static bool
play_round(struct peal_bench_net *net, unsigned n)
{
    struct fanout *f = net->user;
    uint64_t stall_ns = (uint64_t)(f->opts->stall_s * 1e9);
    struct peal_buf wire = { 0 };
    peal_err err = PEAL_OK;

    for (unsigned i = 0; i < n && err == PEAL_OK; i++)
        err = peal_bench_message_publish(
            &f->message, &f->opts->publish, f->publisher->number, f->next_seq++, &wire);
    f->received = 0;
    f->wanted = (uint64_t)n * (f->opts->connections + f->echoes);
    net->now_ns = f->sent_ns = peal_bench_now_ns();
    if (err == PEAL_OK)
        peal_bench_net_send(net, f->publisher, peal_buf_slice(&wire));
    peal_buf_fini(&wire);
    while (err == PEAL_OK && f->received < f->wanted && net->n_broken == 0) {
        peal_bench_net_turn(net, 100);
        if (peal_bench_now_ns() - net->now_ns > stall_ns)
            break;
    }
    f->deliveries += f->received;
    if (f->received < f->wanted)
        f->lost += f->wanted - f->received;
    return f->received >= f->wanted;
}

/* One message to find out whether the publisher hears itself, then the warm-up. */
static bool
warm_up(struct peal_bench_net *net)
{
    struct fanout *f = net->user;

    if (!play_round(net, 1))
        return false;
    peal_bench_net_run(net, SETTLE_S);
    f->echoes = f->publisher->seq > 0;
    for (unsigned i = 0; i < f->opts->warmup; i++) {
        if (!play_round(net, f->opts->burst))
            return false;
    }
    f->deliveries = 0;
    peal_bench_net_run(net, SETTLE_S);
    return true;
}

static unsigned
measure(struct peal_bench_net *net, struct peal_bench_cost *cost_out)
{
    struct fanout *f = net->user;
    struct peal_bench_span span;
    uint64_t end;
    unsigned rounds = 0;

    f->measuring = true;
    peal_bench_span_begin(&span, f->opts);
    end = span.began_ns + (uint64_t)(f->opts->duration_s * 1e9);
    while (rounds < f->opts->rounds && peal_bench_now_ns() < end) {
        if (!play_round(net, f->opts->burst))
            break;
        rounds++;
    }
    /* The scheduler books a running thread by the tick; an idle one is booked. */
    peal_bench_net_run(net, 0.01);
    *cost_out = peal_bench_span_end(&span, f->opts);
    return rounds;
}

static bool
complain(const struct peal_bench_net *net)
{
    const struct fanout *f = net->user;

    if (f->lost + f->skipped + f->repeated + f->corrupt + net->n_broken == 0)
        return true;
    fprintf(stderr,
        "peal bench: LOST: %llu deliveries never came, %llu were skipped, %llu repeated, "
        "%llu corrupt; %u connections broke%s%s\n",
        (unsigned long long)f->lost, (unsigned long long)f->skipped,
        (unsigned long long)f->repeated, (unsigned long long)f->corrupt, net->n_broken,
        net->last_failure ? ": " : "", net->last_failure ? net->last_failure : "");
    return false;
}

static void
fill_report(const struct fanout *f, unsigned rounds, const struct peal_bench_cost *cost,
    struct peal_bench_report *r)
{
    double n = (double)f->deliveries;

    peal_bench_report_add(r, "connections", f->opts->connections, "");
    peal_bench_report_add(r, "size", f->opts->size, "bytes");
    peal_bench_report_add(r, "burst", f->opts->burst, "");
    peal_bench_report_add(r, "rounds", rounds, "");
    peal_bench_report_add(r, "publisher_hears_itself", f->echoes, "");
    peal_bench_report_add(r, "deliveries", n, "");
    peal_bench_report_add(r, "lost", (double)f->lost, "");
    peal_bench_report_add(r, "skipped", (double)f->skipped, "");
    peal_bench_report_add(r, "repeated", (double)f->repeated, "");
    peal_bench_report_add(r, "corrupt", (double)f->corrupt, "");
    peal_bench_report_add(r, "cpu_us_per_delivery", cost->server_us / n, "us");
    peal_bench_report_add(r, "generator_us_per_delivery", cost->self_us / n, "us");
    peal_bench_report_add(r, "deliveries_per_s", n / cost->seconds, "/s");
    peal_bench_report_hist(r, &f->latency);
    peal_bench_report_cost(r, cost);
}

/* Subscribers are the first connections, the publisher is the last. */
static bool
open_parties(struct peal_bench_net *net, struct fanout *f)
{
    unsigned n = f->opts->connections;

    for (unsigned i = 0; i < n; i++)
        net->conns[i].join = true;
    f->publisher = &net->conns[n];
    f->publisher->target = &f->opts->publish;
    net->user = f;
    net->on_message = on_message;
    return peal_bench_net_open_all(net, n + 1);
}

bool
peal_bench_fanout(const struct peal_bench_opts *opts, struct peal_bench_report *report)
{
    struct peal_bench_net net = { .ep = -1 };
    struct peal_bench_cost cost = { 0 };
    struct fanout *f = calloc(1, sizeof(*f));
    unsigned rounds = 0;
    bool ok = false;

    if (f == NULL)
        return false;
    f->opts = opts;
    if (peal_bench_message_init(&f->message, opts) == PEAL_OK &&
        peal_bench_net_init(&net, opts, opts->connections + 1) == PEAL_OK &&
        open_parties(&net, f)) {
        if (warm_up(&net))
            rounds = measure(&net, &cost);
        ok = complain(&net) && rounds > 0;
        fill_report(f, rounds, &cost, report);
    }
    peal_bench_net_fini(&net);
    peal_bench_message_fini(&f->message);
    free(f);
    return ok;
}

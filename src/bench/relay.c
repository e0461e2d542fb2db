/* SPDX-License-Identifier: MIT */
/*
 * Two nodes: what goes from a publisher on one to subscribers on the other.
 *
 * Throughput: on each of some channels a publisher keeps a window of messages that have
 * not arrived, and fills it up when half of it has; so the far side sets the pace, and
 * nothing queues beyond the window. Latency: one message at a time, with a pause after
 * each, in turn from a publisher on the far node and from one on the subscribers' own;
 * the difference is the hop. All clients are in this process, so one clock measures.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/message.h"
#include "bench/modes.h"
#include "bench/net.h"

#define PAUSE_S 0.001
#define SETTLE_S 0.1
#define WARM_UP_MAX_S 2.0 /* a server with a JIT compiler needs it */

struct channel {
    uint32_t next_seq; /* of the next message to send */
    uint64_t arrived;  /* at any subscriber, or known to be lost */
};

struct relay {
    const struct peal_bench_opts *opts;
    struct peal_bench_message message;
    struct channel *channels;
    unsigned n_listeners; /* of each channel */
    struct peal_buf wire; /* what is to be sent, for one connection */
    uint64_t sent_ns, moved_ns;
    struct peal_bench_hist *latency; /* where arrivals are recorded, or NULL */
    struct peal_bench_hist remote, local;
    uint64_t received, skipped, repeated, corrupt;
};

static uint64_t
in_flight(const struct relay *t, const struct channel *ch)
{
    return ch->next_seq - ch->arrived / t->n_listeners;
}

static void
on_message(struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice data)
{
    struct relay *t = net->user;
    uint32_t seq;

    if (!c->join)
        return; /* a publisher on a WebSocket is in its channel, too */
    if (!peal_bench_message_read(&t->message, data, &seq)) {
        t->corrupt++;
        return;
    }
    if (seq < c->seq) {
        t->repeated++;
        return;
    }
    t->skipped += seq - c->seq;
    t->channels[c->number].arrived += seq - c->seq + 1;
    c->seq = seq + 1;
    t->received++;
    t->moved_ns = net->now_ns;
    if (t->latency != NULL)
        peal_bench_hist_add(t->latency, net->now_ns - t->sent_ns);
}

/* Publishes n messages in one write. */
static bool
publish(struct peal_bench_net *net, struct peal_bench_conn *from, unsigned n)
{
    struct relay *t = net->user;
    struct channel *ch = &t->channels[from->number];

    t->wire.len = 0;
    for (unsigned i = 0; i < n; i++) {
        if (peal_bench_message_publish(&t->message, from->target, from->number,
                ch->next_seq++, &t->wire) != PEAL_OK)
            return false;
    }
    t->sent_ns = peal_bench_now_ns();
    peal_bench_net_send(net, from, peal_buf_slice(&t->wire));
    return true;
}

/* The publishers: on the far node one a channel, on the subscribers' own one for the
 * first channel. */
static struct peal_bench_conn *
far_publisher(const struct peal_bench_net *net, unsigned channel)
{
    return &net->conns[net->opts->connections + channel];
}

static struct peal_bench_conn *
near_publisher(const struct peal_bench_net *net)
{
    return far_publisher(net, net->opts->channels);
}

static bool
fill_windows(struct peal_bench_net *net)
{
    struct relay *t = net->user;
    unsigned window = t->opts->outstanding;

    for (unsigned i = 0; i < t->opts->channels; i++) {
        uint64_t n = in_flight(t, &t->channels[i]);

        if (n <= window / 2 && !publish(net, far_publisher(net, i), window - (unsigned)n))
            return false;
    }
    return true;
}

/* Waits until everything has arrived; false: something is missing. */
static bool
drain(struct peal_bench_net *net)
{
    struct relay *t = net->user;
    uint64_t stall_ns = (uint64_t)(t->opts->stall_s * 1e9);

    t->moved_ns = peal_bench_now_ns();
    for (unsigned i = 0; i < t->opts->channels; i++) {
        while (in_flight(t, &t->channels[i]) > 0) {
            if (net->n_broken > 0 || peal_bench_now_ns() - t->moved_ns > stall_ns)
                return false;
            peal_bench_net_turn(net, 100);
        }
    }
    return true;
}

/* Publishes for so long as the far side keeps up. */
static bool
flood(struct peal_bench_net *net, double seconds)
{
    struct relay *t = net->user;
    uint64_t stall_ns = (uint64_t)(t->opts->stall_s * 1e9), now = peal_bench_now_ns();
    uint64_t end = now + (uint64_t)(seconds * 1e9);

    t->moved_ns = now;
    while (now < end) {
        if (net->n_broken > 0 || now - t->moved_ns > stall_ns || !fill_windows(net))
            return false;
        peal_bench_net_turn(net, 100);
        now = peal_bench_now_ns();
    }
    return drain(net);
}

static bool
measure_rate(struct peal_bench_net *net, struct peal_bench_report *r)
{
    struct relay *t = net->user;
    struct peal_bench_span span;
    struct peal_bench_cost cost;
    double duration_s = t->opts->duration_s;
    bool ok = flood(net, duration_s < WARM_UP_MAX_S ? duration_s : WARM_UP_MAX_S);

    peal_bench_net_run(net, SETTLE_S);
    t->received = 0;
    peal_bench_span_begin(&span, t->opts);
    ok = ok && flood(net, duration_s);
    cost = peal_bench_span_end(&span, t->opts);
    peal_bench_report_add(r, "messages", (double)t->received, "");
    peal_bench_report_add(r, "messages_per_s", (double)t->received / cost.seconds, "/s");
    peal_bench_report_add(
        r, "cpu_us_per_message", cost.server_us / (double)t->received, "us");
    peal_bench_report_add(
        r, "generator_us_per_message", cost.self_us / (double)t->received, "us");
    peal_bench_report_cost(r, &cost);
    return ok;
}

static bool
send_one(struct peal_bench_net *net, struct peal_bench_conn *from,
    struct peal_bench_hist *hist)
{
    struct relay *t = net->user;

    t->latency = hist;
    if (!publish(net, from, 1) || !drain(net))
        return false;
    t->latency = NULL;
    peal_bench_net_run(net, PAUSE_S);
    return true;
}

static bool
measure_latency(struct peal_bench_net *net, struct peal_bench_report *r)
{
    struct relay *t = net->user;
    static const struct {
        const char *remote, *local, *added;
        double q;
    } rows[] = {
        { "remote_p50_us", "local_p50_us", "added_p50_us", 0.5 },
        { "remote_p99_us", "local_p99_us", "added_p99_us", 0.99 },
        { "remote_max_us", "local_max_us", "added_max_us", 1 },
    };

    for (unsigned i = 0; i < t->opts->warmup + t->opts->rounds; i++) {
        bool counts = i >= t->opts->warmup;

        if (!send_one(net, far_publisher(net, 0), counts ? &t->remote : NULL) ||
            !send_one(net, near_publisher(net), counts ? &t->local : NULL))
            return false;
    }
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double remote = (double)peal_bench_hist_quantile(&t->remote, rows[i].q) / 1e3;
        double local = (double)peal_bench_hist_quantile(&t->local, rows[i].q) / 1e3;

        peal_bench_report_add(r, rows[i].remote, remote, "us");
        peal_bench_report_add(r, rows[i].local, local, "us");
        peal_bench_report_add(r, rows[i].added, remote - local, "us");
    }
    return true;
}

static bool
open_parties(struct peal_bench_net *net, struct relay *t)
{
    unsigned n = t->opts->connections, k = t->opts->channels;

    for (unsigned i = 0; i < net->n; i++) {
        net->conns[i].join = i < n;
        net->conns[i].number = i < n ? i % k : (i - n) % k;
        if (i >= n && i < n + k)
            net->conns[i].target = &t->opts->publish;
    }
    net->user = t;
    net->on_message = on_message;
    return peal_bench_net_open_all(net, net->n);
}

static bool
complain(const struct peal_bench_net *net, bool complete)
{
    const struct relay *t = net->user;

    if (complete && t->skipped + t->repeated + t->corrupt + net->n_broken == 0)
        return true;
    fprintf(stderr,
        "peal bench: LOST: %s: %llu messages were skipped, %llu repeated, %llu corrupt; "
        "%u connections broke%s%s\n",
        complete ? "not all" : "messages never came", (unsigned long long)t->skipped,
        (unsigned long long)t->repeated, (unsigned long long)t->corrupt, net->n_broken,
        net->last_failure ? ": " : "", net->last_failure ? net->last_failure : "");
    return false;
}

static bool
measure(struct peal_bench_net *net, struct peal_bench_report *r)
{
    struct relay *t = net->user;
    bool complete;

    peal_bench_report_add(r, "channels", t->opts->channels, "");
    peal_bench_report_add(r, "connections", t->opts->connections, "");
    peal_bench_report_add(r, "size", t->opts->size, "bytes");
    peal_bench_report_add(r, "outstanding", t->opts->outstanding, "");
    complete = measure_rate(net, r) && measure_latency(net, r);
    peal_bench_report_add(r, "skipped", (double)t->skipped, "");
    peal_bench_report_add(r, "repeated", (double)t->repeated, "");
    peal_bench_report_add(r, "corrupt", (double)t->corrupt, "");
    return complain(net, complete);
}

bool
peal_bench_relay(const struct peal_bench_opts *opts, struct peal_bench_report *report)
{
    struct peal_bench_net net = { .ep = -1 };
    struct relay *t = calloc(1, sizeof(*t));
    bool ok = false;

    if (t == NULL)
        return false;
    t->opts = opts;
    t->n_listeners = opts->connections / opts->channels;
    t->channels = calloc(opts->channels, sizeof(*t->channels));
    if (t->channels != NULL && peal_bench_message_init(&t->message, opts) == PEAL_OK &&
        peal_bench_net_init(&net, opts, opts->connections + opts->channels + 1) ==
            PEAL_OK)
        ok = open_parties(&net, t) && measure(&net, report);
    peal_bench_net_fini(&net);
    peal_bench_message_fini(&t->message);
    peal_buf_fini(&t->wire);
    free(t->channels);
    free(t);
    return ok;
}

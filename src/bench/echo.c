/* SPDX-License-Identifier: MIT */
/*
 * Round trips: every connection keeps some messages unanswered, for a while.
 *
 * Over Socket.IO a message is an event with an acknowledgement, which the server answers
 * with the event's own arguments; over plain WebSocket it is a text that comes back. The
 * packet's id, or the text itself, says which slot of the connection is answered; what
 * comes back must be what that slot sent.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/modes.h"
#include "bench/net.h"

#define DIGITS 15 /* ten of the counter, five of the slot */

struct slot {
    uint64_t sent_ns;
    uint32_t seq;
    bool waiting;
};

struct echo {
    const struct peal_bench_opts *opts;
    bool sio;
    bool stopping;
    struct slot *slots; /* outstanding per connection */
    char *filler;       /* what follows the digits */
    size_t filler_len;
    uint64_t n_sent, n_back, wrong;
    uint64_t moved_ns;
    struct peal_bench_hist latency;
};

static struct slot *
slot_of(struct echo *e, struct peal_bench_conn *c, unsigned i)
{
    return &e->slots[(size_t)c->index * e->opts->outstanding + i];
}

static void
say(struct peal_bench_net *net, struct peal_bench_conn *c, unsigned i)
{
    struct echo *e = net->user;
    struct slot *slot = slot_of(e, c, i);
    struct peal_buf text = { 0 };
    peal_err err;

    slot->seq = c->seq++;
    slot->waiting = true;
    slot->sent_ns = peal_bench_now_ns();
    if (e->sio)
        err = peal_buf_printf(&text, "42%u[\"echo\",\"%010u%05u%.*s\"]", i,
            (unsigned)slot->seq, i, (int)e->filler_len, e->filler);
    else
        err = peal_buf_printf(&text, "%010u%05u%.*s", (unsigned)slot->seq, i,
            (int)e->filler_len, e->filler);
    if (err == PEAL_OK) {
        e->n_sent++;
        peal_bench_net_say(net, c, peal_buf_slice(&text));
    }
    peal_buf_fini(&text);
}

/* Takes the decimal digits at the start off s. */
static unsigned
take_number(struct peal_slice *s, size_t max)
{
    unsigned v = 0;

    while (s->len > 0 && max-- > 0 && s->data[0] >= '0' && s->data[0] <= '9') {
        v = v * 10 + (unsigned)(s->data[0] - '0');
        *s = peal_slice_skip(*s, 1);
    }
    return v;
}

/* Reads which slot an answer belongs to and which message of it; false: not as sent. */
static bool
read_answer(struct echo *e, struct peal_slice data, unsigned *slot_out, uint32_t *seq_out)
{
    unsigned id = 0;

    if (e->sio) {
        if (!peal_slice_starts(data, PEAL_S("43")))
            return false;
        data = peal_slice_skip(data, 2);
        id = take_number(&data, 9);
        if (!peal_slice_starts(data, PEAL_S("[\"")) || data.len < 4 ||
            memcmp(data.data + data.len - 2, "\"]", 2) != 0)
            return false;
        data = peal_slice_of(data.data + 2, data.len - 4);
    }
    if (data.len != DIGITS + e->filler_len ||
        memcmp(data.data + DIGITS, e->filler, e->filler_len) != 0)
        return false;
    *seq_out = take_number(&data, 10);
    *slot_out = take_number(&data, 5);
    return *slot_out < e->opts->outstanding && (!e->sio || id == *slot_out);
}

static void
on_message(struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice data)
{
    struct echo *e = net->user;
    struct slot *slot;
    uint32_t seq;
    unsigned i;

    if (!read_answer(e, data, &i, &seq) || !(slot = slot_of(e, c, i))->waiting ||
        slot->seq != seq) {
        e->wrong++;
        return;
    }
    slot->waiting = false;
    e->n_back++;
    e->moved_ns = net->now_ns;
    peal_bench_hist_add(&e->latency, net->now_ns - slot->sent_ns);
    if (!e->stopping)
        say(net, c, i);
}

static void
start(struct peal_bench_net *net)
{
    struct echo *e = net->user;

    for (unsigned i = 0; i < net->n; i++) {
        for (unsigned k = 0; k < e->opts->outstanding; k++)
            say(net, &net->conns[i], k);
    }
}

static void
drain(struct peal_bench_net *net)
{
    struct echo *e = net->user;
    uint64_t stall_ns = (uint64_t)(e->opts->stall_s * 1e9);

    e->stopping = true;
    e->moved_ns = peal_bench_now_ns();
    while (e->n_back < e->n_sent && net->n_broken == 0 &&
           peal_bench_now_ns() - e->moved_ns < stall_ns)
        peal_bench_net_turn(net, 100);
}

static bool
complain(const struct peal_bench_net *net)
{
    const struct echo *e = net->user;

    if (e->n_back == e->n_sent && e->wrong == 0 && net->n_broken == 0)
        return true;
    fprintf(stderr,
        "peal bench: LOST: %llu of %llu answers never came, %llu were wrong; %u "
        "connections broke%s%s\n",
        (unsigned long long)(e->n_sent - e->n_back), (unsigned long long)e->n_sent,
        (unsigned long long)e->wrong, net->n_broken, net->last_failure ? ": " : "",
        net->last_failure ? net->last_failure : "");
    return false;
}

static void
measure(struct peal_bench_net *net, struct peal_bench_report *r)
{
    struct echo *e = net->user;
    struct peal_bench_span span;
    struct peal_bench_cost cost;
    double n;

    peal_bench_span_begin(&span, e->opts);
    start(net);
    peal_bench_net_run(net, e->opts->duration_s);
    drain(net);
    cost = peal_bench_span_end(&span, e->opts);
    n = (double)e->n_back;
    peal_bench_report_add(r, "connections", net->n, "");
    peal_bench_report_add(r, "outstanding", e->opts->outstanding, "");
    peal_bench_report_add(r, "size", e->opts->size, "bytes");
    peal_bench_report_add(r, "round_trips", n, "");
    peal_bench_report_add(r, "lost", (double)(e->n_sent - e->n_back), "");
    peal_bench_report_add(r, "wrong", (double)e->wrong, "");
    peal_bench_report_add(r, "cpu_us_per_round_trip", cost.server_us / n, "us");
    peal_bench_report_add(r, "round_trips_per_s", n / cost.seconds, "/s");
    peal_bench_report_hist(r, &e->latency);
    peal_bench_report_cost(r, &cost);
}

bool
peal_bench_echo(const struct peal_bench_opts *opts, struct peal_bench_report *report)
{
    struct peal_bench_net net = { .ep = -1 };
    struct echo *e = calloc(1, sizeof(*e));
    bool ok = false;

    if (e == NULL)
        return false;
    e->opts = opts;
    e->sio = opts->target.protocol == PEAL_BENCH_SOCKETIO;
    e->filler_len = opts->size - DIGITS;
    e->filler = malloc(e->filler_len);
    e->slots = calloc((size_t)opts->connections * opts->outstanding, sizeof(*e->slots));
    if (e->filler == NULL || e->slots == NULL)
        goto out;
    memset(e->filler, 'x', e->filler_len);
    if (peal_bench_net_init(&net, opts, opts->connections) != PEAL_OK)
        goto out;
    net.user = e;
    net.on_message = on_message;
    if (peal_bench_net_open_all(&net, opts->connections)) {
        measure(&net, report);
        ok = complain(&net) && e->n_back > 0;
    }
out:
    peal_bench_net_fini(&net);
    free(e->slots);
    free(e->filler);
    free(e);
    return ok;
}

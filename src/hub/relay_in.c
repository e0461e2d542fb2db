/* SPDX-License-Identifier: MIT */
/*
 * The way in: payloads of other nodes. A payload must have this cluster's seal. Its
 * records become messages; one that came before by another topic is passed over; the
 * others are delivered to the workers that may have subscribers, for each worker all of a
 * turn in one task.
 */
#include <stdlib.h>

#include "base/vec.h"
#include "hub/relay_priv.h"
#include "wire/envelope.h"

#define WORKER_BATCH_MAX 64   /* messages that a worker delivers in one task */
#define UNSEALED_LOG_MS 60000 /* between two lines about payloads with a wrong seal */

struct peal_worker_batch {
    struct peal_task task; /* first */
    struct peal_hub *hub;
    unsigned to;
    unsigned n, cap;
    struct peal_msg **msgs; /* retained */
};

static void
worker_batch_free(struct peal_worker_batch *b)
{
    if (b == NULL)
        return;
    for (unsigned i = 0; i < b->n; i++)
        peal_msg_release(b->msgs[i]);
    free(b->msgs);
    free(b);
}

static void
relay_on_worker_batch(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_worker_batch *b = PEAL_CONTAINER(task, struct peal_worker_batch, task);

    for (unsigned i = 0; i < b->n; i++) {
        /* Before it is put off, and counted for that. */
        peal_backlog_sub(b->hub, b->to, peal_msg_weight(b->msgs[i]));
        if (b->hub->shards[b->to] != NULL)
            peal_shard_deliver(b->hub->shards[b->to], b->msgs[i]);
    }
    worker_batch_free(b);
}

void
peal_relay_deliveries_free(struct peal_relay *r)
{
    for (unsigned w = 0; w < PEAL_WORKERS_MAX; w++)
        worker_batch_free(r->deliveries[w]);
}

/* NULL: out of memory. */
static struct peal_worker_batch *
worker_batch_of(struct peal_relay *r, unsigned worker)
{
    struct peal_worker_batch *b = r->deliveries[worker];

    if (b != NULL || (b = malloc(sizeof(*b))) == NULL)
        return b;
    *b = (struct peal_worker_batch){
        .task.fn = relay_on_worker_batch, .hub = r->hub, .to = worker
    };
    return r->deliveries[worker] = b;
}

static void
relay_post_delivery(struct peal_relay *r, unsigned worker)
{
    struct peal_worker_batch *b = r->deliveries[worker];

    r->deliveries[worker] = NULL;
    if (b != NULL)
        peal_loop_post(r->hub->shards[worker]->loop, &b->task);
}

void
peal_relay_post_deliveries(struct peal_relay *r)
{
    for (unsigned w = 0; w < r->hub->n_shards; w++)
        relay_post_delivery(r, w);
}

static void
relay_deliver_to(struct peal_relay *r, unsigned worker, struct peal_msg *m)
{
    struct peal_worker_batch *b;

    if (!peal_backlog_add(r->hub, worker, peal_msg_weight(m), peal_loop_stats(r->loop)))
        return;
    b = worker_batch_of(r, worker);
    if (b == NULL || PEAL_GROW(b->msgs, b->cap, b->n + 1) != PEAL_OK) {
        peal_backlog_sub(r->hub, worker, peal_msg_weight(m));
        peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_WORKER_LOST, 1);
        return;
    }
    b->msgs[b->n++] = peal_msg_retain(m);
    if (b->n == WORKER_BATCH_MAX)
        relay_post_delivery(r, worker);
}

void
peal_relay_deliver(struct peal_relay *r, struct peal_msg *m, uint64_t workers)
{
    for (; workers != 0; workers &= workers - 1)
        relay_deliver_to(r, (unsigned)__builtin_ctzll(workers), m);
}

static void
relay_on_bad(struct peal_relay *r, struct peal_slice topic, peal_err err)
{
    if (err == PEAL_ENOMEM) {
        peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_WORKER_LOST, 1);
        return;
    }
    peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_BACKPLANE_BAD, 1);
    peal_log(peal_loop_log(r->loop), PEAL_LOG_DEBUG,
        "unreadable message from the backplane", "topic=%.*s why=\"%s\"", PEAL_ARG(topic),
        peal_err_text(err));
}

/* Some node has no secret, or another one: that is logged, but not for each payload. */
static void
relay_on_bad_seal(struct peal_relay *r, struct peal_slice topic)
{
    uint64_t now = peal_loop_now_ms(r->loop);

    peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_BACKPLANE_UNSEALED, 1);
    if (r->unsealed_ms != 0 && now - r->unsealed_ms < UNSEALED_LOG_MS)
        return;
    r->unsealed_ms = now;
    peal_log(peal_loop_log(r->loop), PEAL_LOG_WARN,
        "refused what was published with another backplane.secret, or without one",
        "topic=%.*s", PEAL_ARG(topic));
}

static void
relay_on_msg(struct peal_relay *r, uint32_t node, uint32_t number, struct peal_msg *m)
{
    if (number == 0 || peal_dedup_is_new(&r->dedup, node, number)) {
        peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_BACKPLANE_RECEIVED, 1);
        peal_relay_deliver(r, m, peal_hub_workers(r->hub, m));
    } else {
        peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_BACKPLANE_DUPLICATES, 1);
    }
}

static void
relay_on_record(struct peal_relay *r, uint32_t node, struct peal_record *record)
{
    if (record->kind == PEAL_RECORD_MESSAGE)
        relay_on_msg(r, node, record->number, record->msg);
    else if (r->on_record != NULL)
        r->on_record(r->on_record_arg, node, record);
}

/* The records of a batch; one that cannot be read, or is of a kind that only later
 * versions know, is counted, and does not spoil the others. */
static void
relay_on_records(struct peal_relay *r, struct peal_slice topic, uint32_t node,
    struct peal_slice records)
{
    struct peal_record record;
    peal_err err;

    do {
        err = peal_envelope_next(&records, &record);
        if (err == PEAL_EUNSUPP)
            peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_BACKPLANE_UNKNOWN, 1);
        else if (err != PEAL_OK)
            relay_on_bad(r, topic, err);
        else if (record.kind != PEAL_RECORD_NONE)
            relay_on_record(r, node, &record);
        peal_record_fini(&record);
    } while (err != PEAL_OK || record.kind != PEAL_RECORD_NONE);
}

void
peal_relay_on_payload(
    struct peal_relay *r, struct peal_slice topic, struct peal_slice bytes)
{
    struct peal_slice rest = peal_slice_skip(topic, r->prefix_len), payload, records;
    const struct peal_seal_key *key;
    uint32_t node;
    peal_err err;

    if (peal_seal_open(&r->seal, topic, bytes, &payload, &key) != PEAL_OK)
        relay_on_bad_seal(r, topic);
    else if (peal_slice_eq(rest, PEAL_S("nodes")))
        r->events->message(r->arg, payload, key);
    else if ((err = peal_envelope_open(payload, &node, &records)) != PEAL_OK)
        relay_on_bad(r, topic, err);
    else if (node != r->node) /* else it was delivered when it was published */
        relay_on_records(r, topic, node, records);
}

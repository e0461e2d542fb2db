/* SPDX-License-Identifier: MIT */
/*
 * The way out: messages for other nodes. A message's record goes into the batch of each
 * topic that it is for: that of a channel, or of the node whose session's id a channel
 * is; with more channels than are worth a topic each, that of all nodes. The batches wait
 * for the end of the turn, or for the link.
 */
#include "hub/relay_priv.h"
#include "wire/envelope.h"

#define TOPICS_MAX 16 /* channels of a message that are worth a topic each */

/* The topic, or node, that a channel's messages go to. */
struct target {
    uint32_t node; /* 0: to the channel's topic */
    struct peal_slice channel;
};

static struct target
target_of(const struct peal_relay *r, struct peal_slice channel)
{
    uint32_t node;
    uint8_t worker;

    if (peal_hub_owner(r->hub, peal_channel_address(channel), &node, &worker))
        return (struct target){ node, PEAL_S("") };
    return (struct target){ 0, channel };
}

/* Its topic, in the scratch. */
static struct peal_slice
target_topic(struct peal_relay *r, const struct target *t)
{
    return t->node == 0 ? peal_relay_channel_topic(r, t->channel)
                        : peal_relay_node_topic(r, t->node);
}

/* All that m is for, each once; not this node. */
static unsigned
targets_of(const struct peal_relay *r, const struct peal_msg *m, struct target *out)
{
    unsigned n = 0, i;

    for (unsigned k = 0; k < m->n_channels; k++) {
        struct target t = target_of(r, m->channels[k].name);

        if (t.node == r->node)
            continue;
        for (i = 0; i < n; i++)
            if (out[i].node == t.node && peal_slice_eq(out[i].channel, t.channel))
                break;
        if (i == n)
            out[n++] = t;
    }
    return n;
}

static bool
add_record(struct peal_relay *r, struct peal_slice topic, struct peal_blob *record,
    enum peal_batching how)
{
    return topic.data != NULL &&
           peal_batches_add(&r->batches, topic, record, how) == PEAL_OK;
}

/* One for all nodes: what is published later on its channels must not overtake it. */
static bool
add_for_all(struct peal_relay *r, const struct peal_msg *m, struct peal_blob *record)
{
    for (unsigned k = 0; k < m->n_channels; k++) {
        struct target t = target_of(r, m->channels[k].name);
        struct peal_slice topic = target_topic(r, &t);

        if (topic.data == NULL)
            return false;
        peal_batches_close(&r->batches, topic);
    }
    return add_record(r, peal_relay_topic(r, "all"), record, PEAL_ALONE);
}

/* Counts bytes that come into batches, or leave them (negative). */
static void
relay_count_queued(struct peal_relay *r, size_t before)
{
    atomic_fetch_add_explicit(
        &r->queued, r->batches.bytes - before, memory_order_relaxed);
}

void
peal_relay_route(struct peal_relay *r, const struct peal_msg *m, struct peal_blob *record)
{
    struct target targets[TOPICS_MAX];
    unsigned wanted = 1, added = 0;
    size_t before = r->batches.bytes;

    if (m->n_channels > TOPICS_MAX) {
        added = add_for_all(r, m, record);
    } else {
        wanted = targets_of(r, m, targets);
        for (unsigned i = 0; i < wanted; i++)
            added += add_record(r, target_topic(r, &targets[i]), record,
                wanted > 1 ? PEAL_ALONE : PEAL_TOGETHER);
    }
    if (added < wanted)
        peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_BACKPLANE_NO_MEMORY, 1);
    relay_count_queued(r, before);
    atomic_fetch_sub_explicit(&r->queued, record->len, memory_order_relaxed);
}

void
peal_relay_flush(struct peal_relay *r)
{
    const struct peal_payload *list;
    size_t before = r->batches.bytes;
    unsigned n;

    if (!r->connected)
        return; /* it waits, bounded by queue_max */
    if ((list = peal_batches_list(&r->batches, &n), n) == 0)
        return;
    peal_backplane_publish(r->backplane, list, n);
    peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_BACKPLANE_PUBLISHED, n);
    peal_batches_remove_first(&r->batches, n);
    relay_count_queued(r, before);
}

static peal_err
relay_add_counted(struct peal_relay *r, struct peal_slice topic, struct peal_blob *blob,
    enum peal_batching how)
{
    size_t before = r->batches.bytes;
    bool added = add_record(r, topic, blob, how);

    relay_count_queued(r, before);
    return added ? PEAL_OK : PEAL_ENOMEM;
}

/* A request for all nodes may be about a message: what was published before must not come
 * after it, and what is published later not before it. So all batches leave first. */
peal_err
peal_relay_publish_record(
    struct peal_relay *r, uint32_t node, const struct peal_record *record)
{
    struct peal_blob *blob = peal_envelope_other(record);
    peal_err err;

    if (blob == NULL) {
        peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_BACKPLANE_NO_MEMORY, 1);
        return PEAL_ENOMEM;
    }
    if (!peal_relay_up(r) || !peal_relay_has_room(r, blob->len)) {
        peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_BACKPLANE_DROPPED, 1);
        err = PEAL_EAGAIN;
    } else if (node != 0) {
        err = relay_add_counted(r, peal_relay_node_topic(r, node), blob, PEAL_TOGETHER);
    } else {
        peal_relay_flush(r);
        err = relay_add_counted(r, peal_relay_topic(r, "all"), blob, PEAL_ALONE);
        peal_relay_flush(r);
    }
    peal_blob_release(blob);
    return err;
}

void
peal_relay_publish_control(struct peal_relay *r, struct peal_slice bytes)
{
    struct peal_payload p = { peal_relay_topic(r, "nodes"), bytes };
    struct peal_buf sealed = { 0 };
    char head[PEAL_SEAL_HEAD];
    peal_err err = PEAL_OK;

    if (!r->connected || p.topic.data == NULL)
        return;
    if (r->seal.n > 0) {
        peal_seal_head(&r->seal, p.topic, bytes, head);
        if ((err = peal_buf_add(&sealed, head, sizeof(head))) == PEAL_OK)
            err = peal_buf_add_slice(&sealed, bytes);
        p.bytes = peal_buf_slice(&sealed);
    }
    if (err == PEAL_OK)
        peal_backplane_publish(r->backplane, &p, 1);
    peal_buf_fini(&sealed);
}

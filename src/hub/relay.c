/* SPDX-License-Identifier: MIT */
/*
 * The relay on the control thread: topics and what is wanted of them; messages on their
 * way out, which wait for the end of the turn, and those that come in.
 */
#include "hub/relay.h"

#include <stdio.h>
#include <stdlib.h>

#include "hub/batch.h"
#include "hub/dedup.h"
#include "hub/outbox_priv.h"
#include "wire/envelope.h"

#define TICK_MS 250           /* how often topics without subscribers are looked at */
#define TOPICS_MAX 16         /* channels of a message that are worth a topic each */
#define UNSEALED_LOG_MS 60000 /* between two lines about payloads with a wrong seal */

enum topic_state {
    OFF,
    PENDING, /* asked for */
    ON
};

/* What is subscribed, or should be, or still is. */
struct topic {
    struct peal_link idle; /* it has no subscriber and waits to be left */
    uint64_t wanted;       /* a bit for each worker that has a subscriber */
    uint64_t waiting;      /* workers to be told when it is subscribed */
    uint64_t idle_since;   /* loop time in ms */
    enum topic_state state;
    bool needed;                /* it is one of the relay's pending ones */
    bool peer_waits, peer_told; /* the peer has still to subscribe; knows of it */
    uint32_t name_len;
    char name[]; /* prefix and all */
};

/* Deliveries of a turn for one worker. */
struct delivery {
    struct peal_task task; /* first */
    struct peal_hub *hub;
    unsigned to;
    unsigned n, cap;
    struct peal_msg *msgs[]; /* held */
};

struct confirmation {
    struct peal_task task; /* first */
    struct peal_hub *hub;
    unsigned to;
    uint64_t n_heard;
    uint32_t len;
    char channel[];
};

struct peal_relay {
    struct peal_hub *hub;
    uint32_t node; /* the hub's number, by which the link is known */
    struct peal_seal seal;
    uint64_t unsealed_ms; /* when a payload with a wrong seal was logged; 0: never */
    struct peal_loop *loop;
    struct peal_backplane *backplane;
    const struct peal_relay_events *events;
    void *arg;
    const struct peal_relay_tap *peer; /* or NULL */
    void *peer_arg;
    size_t queue_max;
    uint64_t linger_ms;
    struct peal_map topics;
    struct peal_link idle;
    struct peal_timer tick;
    struct peal_batches packets;
    struct peal_dedup copies;
    unsigned pending; /* topics whose subscription makes the link usable */
    bool connected;
    _Atomic bool up; /* connected, and none of them pending any more */
    _Atomic size_t queued, backed;
    struct delivery *deliveries[PEAL_WORKERS_MAX];
    uint64_t n_heard[PEAL_WORKERS_MAX]; /* parcels of each worker */
    struct peal_buf key;                /* scratch for a topic's name */
    size_t prefix_len;                  /* with its colon */
    char prefix[PEAL_RELAY_PREFIX_MAX + 2];
};

static struct peal_slice
name_of(const struct topic *t)
{
    return (struct peal_slice){ t->name, t->name_len };
}

/* Topics. */

/* <prefix>:<kind>:<rest>, in the scratch. data NULL: out of memory. */
static struct peal_slice
topic_name(struct peal_relay *r, const char *kind, struct peal_slice rest)
{
    r->key.len = 0;
    if (peal_buf_add(&r->key, r->prefix, r->prefix_len) != PEAL_OK ||
        peal_buf_add_slice(&r->key, peal_slice_str(kind)) != PEAL_OK ||
        peal_buf_add_slice(&r->key, rest) != PEAL_OK)
        return peal_slice_of(NULL, 0);
    return peal_buf_slice(&r->key);
}

static struct topic *
topic_get(struct peal_relay *r, struct peal_slice name)
{
    struct topic *t = name.data != NULL ? peal_map_get(&r->topics, name) : NULL;

    if (t != NULL || name.data == NULL || (t = calloc(1, sizeof(*t) + name.len)) == NULL)
        return t;
    memcpy(t->name, name.data, name.len);
    t->name_len = (uint32_t)name.len;
    if (peal_map_put(&r->topics, name_of(t), t) == PEAL_OK)
        return t;
    free(t);
    return NULL;
}

static void
topic_free(struct peal_relay *r, struct topic *t)
{
    peal_map_del(&r->topics, name_of(t));
    peal_list_unlink(&t->idle);
    free(t);
}

static struct peal_slice channel_of(const struct peal_relay *r, const struct topic *t);

/* Forgets a topic that nobody wants and that is not subscribed. */
static void
topic_release(struct peal_relay *r, struct topic *t)
{
    if (t->wanted != 0 || t->state != OFF)
        return;
    if (t->peer_told)
        r->peer->unwant(r->peer_arg, channel_of(r, t));
    topic_free(r, t);
}

/* The channel whose topic this is. */
static struct peal_slice
channel_of(const struct peal_relay *r, const struct topic *t)
{
    return peal_slice_skip(name_of(t), r->prefix_len + 2);
}

static void
on_confirmation(struct peal_loop *loop, struct peal_task *task)
{
    struct confirmation *c = (struct confirmation *)task;

    if (c->hub->shards[c->to] != NULL)
        peal_shard_confirm(
            c->hub->shards[c->to], peal_slice_of(c->channel, c->len), c->n_heard);
    free(c);
}

static void
confirm(struct peal_relay *r, unsigned worker, struct peal_slice channel)
{
    struct confirmation *c = malloc(sizeof(*c) + channel.len);

    if (c == NULL) {
        /* Whoever waits for it has a deadline of its own. */
        peal_log(r->loop->config.log, PEAL_LOG_ERROR, "out of memory",
            "what=\"a subscription\"");
        return;
    }
    c->task.fn = on_confirmation;
    c->hub = r->hub;
    c->to = worker;
    c->n_heard = r->n_heard[worker];
    c->len = (uint32_t)channel.len;
    memcpy(c->channel, channel.data, channel.len);
    peal_loop_post(r->hub->shards[worker]->loop, &c->task);
}

static void
confirm_waiting(struct peal_relay *r, struct topic *t)
{
    uint64_t left = t->waiting;

    if (t->state == PENDING || t->peer_waits)
        return;
    t->waiting = 0;
    for (; left != 0; left &= left - 1)
        confirm(r, (unsigned)__builtin_ctzll(left), channel_of(r, t));
}

static void
subscribe(struct peal_relay *r, struct topic *t)
{
    t->state = PENDING;
    r->backplane->ops->subscribe(r->backplane, name_of(t));
}

static void
want(struct peal_relay *r, unsigned worker, struct peal_slice channel)
{
    struct topic *t = topic_get(r, topic_name(r, "c:", channel));

    if (t == NULL) { /* the client hears what is said on this node */
        confirm(r, worker, channel);
        return;
    }
    t->wanted |= 1ull << worker;
    peal_list_unlink(&t->idle);
    if (r->connected && t->state == OFF)
        subscribe(r, t);
    if (r->peer != NULL && !t->peer_told) {
        t->peer_told = true;
        t->peer_waits = r->peer->want(r->peer_arg, channel);
    }
    if (t->state == PENDING || t->peer_waits)
        t->waiting |= 1ull << worker;
    else /* subscribed; or there is nothing to subscribe to, and no use in waiting */
        confirm(r, worker, channel);
}

static void
unwant(struct peal_relay *r, unsigned worker, struct peal_slice channel)
{
    struct peal_slice name = topic_name(r, "c:", channel);
    struct topic *t = name.data != NULL ? peal_map_get(&r->topics, name) : NULL;

    if (t == NULL)
        return;
    t->wanted &= ~(1ull << worker);
    t->waiting &= ~(1ull << worker);
    if (t->wanted != 0)
        return;
    if (t->state == OFF) {
        topic_release(r, t);
        return;
    }
    t->idle_since = peal_loop_now_ms(r->loop);
    peal_list_unlink(&t->idle);
    peal_list_append(&r->idle, &t->idle);
}

/* Leaves topics that have had no subscriber for long enough; the oldest are first. */
static void
on_tick(struct peal_timer *timer)
{
    struct peal_relay *r = PEAL_CONTAINER(timer, struct peal_relay, tick);
    uint64_t now = peal_loop_now_ms(r->loop);

    while (!peal_list_empty(&r->idle)) {
        struct topic *t = PEAL_CONTAINER(r->idle.next, struct topic, idle);

        if (now - t->idle_since < r->linger_ms || t->state == PENDING)
            break;
        peal_list_unlink(&t->idle);
        t->state = OFF;
        r->backplane->ops->unsubscribe(r->backplane, name_of(t));
        topic_release(r, t);
    }
    peal_loop_start(r->loop, &r->tick, TICK_MS);
}

/* Publishing. */

/* What waits in packets instead of with a worker, or leaves (negative), is counted. */
static void
count(struct peal_relay *r, size_t packets_before)
{
    atomic_fetch_add_explicit(
        &r->queued, r->packets.bytes - packets_before, memory_order_relaxed);
}

static void
flush(struct peal_relay *r)
{
    const struct peal_payload *list;
    size_t before = r->packets.bytes;
    unsigned n;

    if (!r->connected)
        return; /* it waits, bounded by queue_max */
    if ((list = peal_batches_list(&r->packets, &n), n) == 0)
        return;
    r->backplane->ops->publish(r->backplane, list, n);
    peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_PUBLISHED, n);
    peal_batches_remove_first(&r->packets, n);
    count(r, before);
}

/* Where a channel's messages go: to its own topic, or to that of the node whose session's
 * id it is. */
struct target {
    uint32_t node; /* 0: channel */
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
    char hex[16];

    if (t->node == 0)
        return topic_name(r, "c:", t->channel);
    snprintf(hex, sizeof(hex), "%08x", t->node);
    return topic_name(r, "n:", peal_slice_str(hex));
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
add_record(
    struct peal_relay *r, struct peal_slice topic, struct peal_blob *record, bool alone)
{
    return topic.data != NULL &&
           peal_batches_add(&r->packets, topic, record, alone) == PEAL_OK;
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
        peal_batches_close(&r->packets, topic);
    }
    return add_record(r, topic_name(r, "all", PEAL_S("")), record, true);
}

static void
route(struct peal_relay *r, const struct peal_msg *m, struct peal_blob *record)
{
    struct target targets[TOPICS_MAX];
    unsigned wanted = 1, added = 0;
    size_t before = r->packets.bytes;

    if (m->n_channels > TOPICS_MAX) {
        added = add_for_all(r, m, record);
    } else {
        wanted = targets_of(r, m, targets);
        for (unsigned i = 0; i < wanted; i++)
            added += add_record(r, target_topic(r, &targets[i]), record, wanted > 1);
    }
    if (added < wanted)
        peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_NO_MEMORY, 1);
    count(r, before);
    atomic_fetch_sub_explicit(&r->queued, record->len, memory_order_relaxed);
}

void
peal_relay_on_batch(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_relay_batch *p = (struct peal_relay_batch *)task;
    struct peal_relay *r = p->hub->relay; /* NULL: freed */

    if (r != NULL)
        r->n_heard[p->worker]++;
    for (unsigned i = 0; r != NULL && i < p->n; i++) {
        struct peal_relay_cmd *o = &p->orders[i];

        if (o->kind == PEAL_RELAY_CMD_PUBLISH && r->peer != NULL)
            r->peer->publish(r->peer_arg, o->msg);
        if (o->kind == PEAL_RELAY_CMD_PUBLISH)
            route(r, o->msg, o->blob);
        else if (o->kind == PEAL_RELAY_CMD_SUBSCRIBE)
            want(r, p->worker, peal_blob_slice(o->blob));
        else
            unwant(r, p->worker, peal_blob_slice(o->blob));
    }
    peal_relay_batch_free(p);
}

bool
peal_relay_has_room(const struct peal_relay *r, size_t bytes)
{
    return atomic_load_explicit(&r->queued, memory_order_relaxed) +
               atomic_load_explicit(&r->backed, memory_order_relaxed) + bytes <=
           r->queue_max;
}

void
peal_relay_add_queued(struct peal_relay *r, size_t bytes)
{
    atomic_fetch_add_explicit(&r->queued, bytes, memory_order_relaxed);
}

size_t
peal_relay_queued(const struct peal_relay *r)
{
    return atomic_load_explicit(&r->queued, memory_order_relaxed) +
           atomic_load_explicit(&r->backed, memory_order_relaxed);
}

bool
peal_relay_up(const struct peal_relay *r)
{
    return atomic_load_explicit(&r->up, memory_order_relaxed);
}

/* What comes from other nodes. */

static void
on_delivery(struct peal_loop *loop, struct peal_task *task)
{
    struct delivery *d = (struct delivery *)task;

    for (unsigned i = 0; i < d->n; i++) {
        if (d->hub->shards[d->to] != NULL)
            peal_shard_deliver(d->hub->shards[d->to], d->msgs[i]);
        peal_msg_release(d->msgs[i]);
    }
    free(d);
}

void
peal_relay_post_deliveries(struct peal_relay *r)
{
    for (unsigned w = 0; w < r->hub->n_shards; w++) {
        struct delivery *d = r->deliveries[w];

        r->deliveries[w] = NULL;
        if (d != NULL)
            peal_loop_post(r->hub->shards[w]->loop, &d->task);
    }
}

static void
hand_over(struct peal_relay *r, unsigned worker, struct peal_msg *m)
{
    struct delivery *d = r->deliveries[worker];
    unsigned cap = d == NULL ? 16 : d->cap * 2;

    if (d == NULL || d->n == d->cap) {
        struct delivery *more = realloc(d, sizeof(*d) + cap * sizeof(struct peal_msg *));

        if (more == NULL) {
            peal_stat_add(&r->loop->stats, PEAL_STAT_LETTERS_LOST, 1);
            return;
        }
        if (d == NULL)
            *more =
                (struct delivery){ .task.fn = on_delivery, .hub = r->hub, .to = worker };
        more->cap = cap;
        r->deliveries[worker] = d = more;
    }
    d->msgs[d->n++] = peal_msg_retain(m);
}

void
peal_relay_deliver(struct peal_relay *r, struct peal_msg *m, uint64_t workers)
{
    for (; workers != 0; workers &= workers - 1)
        hand_over(r, (unsigned)__builtin_ctzll(workers), m);
}

void
peal_relay_set_tap(struct peal_relay *r, const struct peal_relay_tap *peer, void *arg)
{
    r->peer = peer;
    r->peer_arg = arg;
}

void
peal_relay_tap_ready(struct peal_relay *r, struct peal_slice channel)
{
    struct peal_slice name = topic_name(r, "c:", channel);
    struct topic *t = name.data != NULL ? peal_map_get(&r->topics, name) : NULL;

    if (t == NULL || !t->peer_waits)
        return;
    t->peer_waits = false;
    confirm_waiting(r, t);
}

static void
bad(struct peal_relay *r, struct peal_slice topic, peal_err err)
{
    if (err == PEAL_ENOMEM) {
        peal_stat_add(&r->loop->stats, PEAL_STAT_LETTERS_LOST, 1);
        return;
    }
    peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_BAD, 1);
    peal_log(r->loop->config.log, PEAL_LOG_DEBUG, "unreadable message from the backplane",
        "topic=%.*s why=\"%s\"", (int)topic.len, topic.data, peal_err_text(err));
}

/* Somebody has no secret, or another one: that is worth a word, but not one a payload. */
static void
bad_seal(struct peal_relay *r, struct peal_slice topic)
{
    uint64_t now = peal_loop_now_ms(r->loop);

    peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_UNSEALED, 1);
    if (r->unsealed_ms != 0 && now - r->unsealed_ms < UNSEALED_LOG_MS)
        return;
    r->unsealed_ms = now;
    peal_log(r->loop->config.log, PEAL_LOG_WARN,
        "refused what was published with another backplane.secret, or without one",
        "topic=%.*s", (int)topic.len, topic.data);
}

static void
on_message(void *arg, struct peal_slice topic, struct peal_slice bytes)
{
    struct peal_relay *r = arg;
    struct peal_slice rest = peal_slice_skip(topic, r->prefix_len), payload, records;
    const struct peal_seal_key *key;
    struct peal_msg *m;
    uint32_t node, number;
    peal_err err;

    if (peal_seal_open(&r->seal, topic, bytes, &payload, &key) != PEAL_OK) {
        bad_seal(r, topic);
        return;
    }
    if (peal_slice_eq(rest, PEAL_S("nodes"))) {
        r->events->message(r->arg, payload, key);
        return;
    }
    if ((err = peal_envelope_open(payload, &node, &records)) != PEAL_OK) {
        bad(r, topic, err);
        return;
    }
    if (node == r->node)
        return; /* delivered when it was published */
    while ((err = peal_envelope_next(&records, &number, &m)) != PEAL_OK || m != NULL) {
        if (err != PEAL_OK) {
            bad(r, topic, err);
            continue;
        }
        if (number == 0 || peal_dedup_is_new(&r->copies, node, number)) {
            peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_RECEIVED, 1);
            peal_relay_deliver(r, m, peal_hub_workers(r->hub, m));
        } else {
            peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_DUPLICATES, 1);
        }
        peal_msg_release(m);
    }
}

/* The link. */

static void
is_up(struct peal_relay *r)
{
    atomic_store_explicit(&r->up, true, memory_order_relaxed);
    r->events->up(r->arg);
}

static struct peal_slice
node_topic_name(struct peal_relay *r, uint32_t node)
{
    char hex[16];

    snprintf(hex, sizeof(hex), "%08x", node);
    return topic_name(r, "n:", peal_slice_str(hex));
}

/* Its own topics, besides those that workers want. */
static bool
subscribe_own(struct peal_relay *r)
{
    struct topic *t[3];

    t[0] = topic_get(r, topic_name(r, "nodes", PEAL_S("")));
    t[1] = topic_get(r, node_topic_name(r, r->node));
    t[2] = topic_get(r, topic_name(r, "all", PEAL_S("")));
    for (unsigned i = 0; i < 3; i++) {
        if (t[i] == NULL)
            return false;
        t[i]->wanted |= 1; /* for good */
    }
    return true;
}

static void
on_up(void *arg)
{
    struct peal_relay *r = arg;
    struct topic *t;

    if (!subscribe_own(r)) {
        r->backplane->ops->restart(r->backplane, "out of memory");
        return;
    }
    r->connected = true;
    for (size_t pos = 0; (t = peal_map_next(&r->topics, &pos)) != NULL;)
        if (t->wanted != 0 && t->state == OFF) {
            t->needed = true;
            r->pending++;
            subscribe(r, t);
        }
}

static void
on_down(void *arg)
{
    struct peal_relay *r = arg;
    struct topic *t;
    bool was_up = peal_relay_up(r);

    r->connected = false;
    r->pending = 0;
    atomic_store_explicit(&r->up, false, memory_order_relaxed);
    atomic_store_explicit(&r->backed, 0, memory_order_relaxed);
    for (size_t pos = 0; (t = peal_map_next(&r->topics, &pos)) != NULL;) {
        t->state = OFF;
        t->needed = false;
        confirm_waiting(r, t); /* no use in waiting longer */
    }
    if (was_up && r->events->down != NULL)
        r->events->down(r->arg);
}

static void
on_subscribed(void *arg, struct peal_slice topic)
{
    struct peal_relay *r = arg;
    struct topic *t = peal_map_get(&r->topics, topic);

    if (t == NULL || t->state != PENDING)
        return;
    t->state = ON;
    r->pending -= t->needed;
    t->needed = false;
    confirm_waiting(r, t);
    if (r->pending == 0 && !peal_relay_up(r))
        is_up(r);
}

static void
on_lost(void *arg, struct peal_slice topic)
{
    struct peal_relay *r = arg;
    struct topic *t = peal_map_get(&r->topics, topic);

    if (t == NULL || t->state != ON)
        return;
    t->state = OFF;
    peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_GAPS, 1);
    if (t->wanted != 0)
        subscribe(r, t);
}

/* Is it one of the relay's own topics, without which this node is none of the cluster? */
static bool
is_own_topic(const struct peal_relay *r, struct peal_slice topic)
{
    return !peal_slice_starts(peal_slice_skip(topic, r->prefix_len), PEAL_S("c:"));
}

/* A channel's topic: its subscribers get what is published on this node, and are not kept
 * waiting for more. It is asked for again with the next worker, or the next link. */
static void
on_refused(void *arg, struct peal_slice topic, const char *why)
{
    struct peal_relay *r = arg;
    struct topic *t = peal_map_get(&r->topics, topic);

    if (t == NULL || t->state != PENDING)
        return;
    if (is_own_topic(r, topic)) {
        r->backplane->ops->restart(r->backplane, why);
        return;
    }
    t->state = OFF;
    r->pending -= t->needed;
    t->needed = false;
    confirm_waiting(r, t);
    peal_list_unlink(&t->idle);
    topic_release(r, t);
    if (r->pending == 0 && !peal_relay_up(r))
        is_up(r);
}

const struct peal_backplane_counters peal_relay_counters = {
    .connects = PEAL_STAT_BACKPLANE_CONNECTS,
    .topics_refused = PEAL_STAT_BACKPLANE_TOPICS_REFUSED,
    .refused = PEAL_STAT_BACKPLANE_ERRORS,
    .unanswered = PEAL_STAT_BACKPLANE_UNANSWERED,
};

static const struct peal_backplane_events backplane_events = { .up = on_up,
    .down = on_down,
    .subscribed = on_subscribed,
    .lost = on_lost,
    .refused = on_refused,
    .message = on_message };

static bool
on_turn(void *arg)
{
    struct peal_relay *r = arg;

    /* What the last turn has written and is still there. */
    atomic_store_explicit(
        &r->backed, r->backplane->ops->queued(r->backplane), memory_order_relaxed);
    flush(r);
    peal_relay_post_deliveries(r);
    return false;
}

peal_err
peal_relay_new(
    struct peal_hub *hub, const struct peal_relay_config *config, struct peal_relay **out)
{
    struct peal_relay *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return PEAL_ENOMEM;
    if (peal_seal_init(&r->seal, config->secrets, config->n_secrets) != PEAL_OK) {
        free(r);
        return PEAL_ENOMEM;
    }
    r->hub = hub;
    r->node = hub->node;
    r->loop = config->loop;
    r->backplane = config->backplane;
    r->queue_max = config->queue_max;
    r->linger_ms = config->linger_ms;
    r->tick.fn = on_tick;
    r->prefix_len = (size_t)snprintf(r->prefix, sizeof(r->prefix), "%.*s:",
        (int)(config->prefix.len < PEAL_RELAY_PREFIX_MAX ? config->prefix.len
                                                         : PEAL_RELAY_PREFIX_MAX),
        config->prefix.data);
    peal_map_init(&r->topics);
    peal_batches_init(&r->packets, r->node, &r->seal);
    peal_list_init(&r->idle);
    peal_loop_hook(r->loop, on_turn, r);
    for (unsigned i = 0; i < hub->n_shards; i++)
        peal_loop_hook(hub->shards[i]->loop, peal_outbox_turn, hub->shards[i]);
    hub->control = config->loop;
    hub->relay = r;
    *out = r;
    return PEAL_OK;
}

void
peal_relay_start(struct peal_relay *r, const struct peal_relay_events *events, void *arg)
{
    r->events = events;
    r->arg = arg;
    peal_loop_start(r->loop, &r->tick, TICK_MS);
    peal_backplane_start(r->backplane, &backplane_events, r);
}

void
peal_relay_free(struct peal_relay **rp)
{
    struct peal_relay *r = *rp;
    struct topic *t;
    size_t pos;

    if (r == NULL)
        return;
    *rp = NULL;
    r->hub->relay = NULL;
    peal_timer_stop(&r->tick);
    r->backplane->ops->free(r->backplane);
    while ((pos = 0, t = peal_map_next(&r->topics, &pos)) != NULL)
        topic_free(r, t);
    peal_map_fini(&r->topics);
    for (unsigned w = 0; w < PEAL_WORKERS_MAX; w++) {
        struct delivery *d = r->deliveries[w];

        for (unsigned i = 0; d != NULL && i < d->n; i++)
            peal_msg_release(d->msgs[i]);
        free(d);
    }
    peal_batches_fini(&r->packets);
    peal_dedup_fini(&r->copies);
    peal_buf_fini(&r->key);
    free(r);
}

void
peal_relay_publish_control(struct peal_relay *r, struct peal_slice bytes)
{
    struct peal_payload p = { topic_name(r, "nodes", PEAL_S("")), bytes };
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
        r->backplane->ops->publish(r->backplane, &p, 1);
    peal_buf_fini(&sealed);
}

const struct peal_seal *
peal_relay_seal(const struct peal_relay *r)
{
    return &r->seal;
}

void
peal_relay_renumber(struct peal_relay *r)
{
    struct topic *t;
    struct peal_slice old = node_topic_name(r, r->node);

    if (old.data != NULL && (t = peal_map_get(&r->topics, old)) != NULL) {
        t->wanted = 0; /* the tick leaves it, as any that is idle */
        t->idle_since = peal_loop_now_ms(r->loop);
        peal_list_unlink(&t->idle);
        peal_list_append(&r->idle, &t->idle);
    }
    r->node = r->hub->node;
    peal_batches_renumber(&r->packets, r->node);
    r->backplane->ops->restart(r->backplane, "this node has another number");
}

void
peal_relay_restart(struct peal_relay *r, const char *why)
{
    r->backplane->ops->restart(r->backplane, why);
}

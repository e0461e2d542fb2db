/* SPDX-License-Identifier: MIT */
/*
 * The relay on the control thread: topics, what is wanted of them, what is to be
 * published on them. Records are collected for each topic until the end of the turn.
 */
#include "hub/relay.h"

#include <stdio.h>
#include <stdlib.h>

#include "hub/outbox.h"
#include "wire/envelope.h"

#define TICK_MS 250 /* how often topics without subscribers are looked at */
#define BATCH_MAX                                                                        \
    (256 << 10)       /* bytes of one payload; beyond, it leaves before the turn ends */
#define TOPICS_MAX 16 /* channels of a message that are worth a topic each */

enum topic_state {
    OFF,
    PENDING, /* asked for */
    ON
};

struct topic {
    struct peal_link dirty; /* it has a batch */
    struct peal_link idle;  /* it has no subscriber and waits to be left */
    struct peal_buf batch;  /* to be published */
    uint64_t last;          /* number of the message whose record is last in it */
    uint64_t wanted;        /* a bit for each worker that has a subscriber */
    uint64_t waiting;       /* workers to be told when it is subscribed */
    uint64_t idle_since;    /* loop time in ms */
    enum topic_state state;
    bool peer_waits, peer_told; /* the peer has still to subscribe; knows of it */
    uint32_t name_len;
    char name[]; /* prefix and all */
};

/* Deliveries of a turn for one worker. */
struct delivery {
    struct peal_mail mail; /* first */
    struct peal_shard *to;
    unsigned n, cap;
    struct delivery_item {
        struct peal_msg *msg; /* held */
        unsigned k;
        enum peal_copy how;
    } items[];
};

struct confirmation {
    struct peal_mail mail; /* first */
    struct peal_shard *to;
    uint32_t len;
    char channel[];
};

struct peal_relay {
    struct peal_hub *hub;
    struct peal_loop *loop;
    struct peal_backplane *backplane;
    const struct peal_relay_events *events;
    void *arg;
    const struct peal_relay_peer *peer; /* or NULL */
    void *peer_arg;
    size_t queue_max;
    uint64_t linger_ms;
    struct peal_map topics;
    struct peal_link dirty, idle;
    struct peal_timer tick;
    struct peal_payload *list; /* of a flush; kept for its memory */
    unsigned list_cap;
    uint64_t routed;  /* messages, so far */
    unsigned pending; /* topics that are asked for */
    bool together;    /* a message is in more than one batch */
    bool connected;
    _Atomic bool up; /* connected, and nothing pending since */
    _Atomic size_t queued, backed;
    struct delivery *deliveries[PEAL_WORKERS_MAX];
    struct peal_buf key; /* scratch for a topic's name */
    size_t prefix_len;   /* with its colon */
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
    peal_list_unlink(&t->dirty);
    peal_list_unlink(&t->idle);
    peal_buf_fini(&t->batch);
    free(t);
}

static struct peal_slice channel_of(const struct peal_relay *r, const struct topic *t);

/* Forgets a topic that nobody wants and that has nothing to say. */
static void
topic_release(struct peal_relay *r, struct topic *t)
{
    if (t->wanted != 0 || t->state != OFF)
        return;
    if (t->peer_told)
        r->peer->unwant(r->peer_arg, channel_of(r, t));
    t->peer_told = t->peer_waits = false;
    if (t->batch.len == 0)
        topic_free(r, t);
}

/* The channel whose topic this is. */
static struct peal_slice
channel_of(const struct peal_relay *r, const struct topic *t)
{
    return peal_slice_from(name_of(t), r->prefix_len + 2);
}

static void
on_confirmation(struct peal_loop *loop, struct peal_mail *mail)
{
    struct confirmation *c = (struct confirmation *)mail;

    peal_shard_confirm(c->to, peal_slice_of(c->channel, c->len));
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
    c->mail.fn = on_confirmation;
    c->to = r->hub->shards[worker];
    c->len = (uint32_t)channel.len;
    memcpy(c->channel, channel.data, channel.len);
    peal_loop_post(c->to->loop, &c->mail);
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
    r->pending++;
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

static void
flush(struct peal_relay *r)
{
    struct peal_link *l;
    unsigned n = 0;
    size_t bytes = 0;

    if (!r->connected)
        return; /* it waits, bounded by queue_max */
    for (l = r->dirty.next; l != &r->dirty; l = l->next) {
        struct topic *t = PEAL_CONTAINER(l, struct topic, dirty);

        if (n == r->list_cap) {
            unsigned cap = r->list_cap ? r->list_cap * 2 : 64;
            struct peal_payload *list = realloc(r->list, cap * sizeof(*list));

            if (list == NULL)
                break; /* the rest goes with the next */
            r->list = list;
            r->list_cap = cap;
        }
        bytes += t->batch.len - PEAL_ENVELOPE_HEAD;
        r->list[n++] = (struct peal_payload){ name_of(t), peal_buf_slice(&t->batch) };
    }
    if (n == 0)
        return;
    r->backplane->ops->publish(r->backplane, r->list, n, r->together);
    r->together = false;
    peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_PUBLISHED, n);
    while (n-- > 0) {
        struct topic *t = PEAL_CONTAINER(r->dirty.next, struct topic, dirty);

        peal_list_unlink(&t->dirty);
        t->batch.len = 0;
        if (t->batch.cap > BATCH_MAX)
            peal_buf_fini(&t->batch);
        topic_release(r, t);
    }
    atomic_fetch_sub_explicit(&r->queued, bytes, memory_order_relaxed);
}

/* Adds the record of the message being routed to what is published on a topic. Errors:
 * PEAL_EEXIST: it is there already; PEAL_ENOMEM. */
static peal_err
add_record(struct peal_relay *r, struct peal_slice name, struct peal_blob *record)
{
    struct topic *t = topic_get(r, name);
    char head[PEAL_ENVELOPE_HEAD];
    peal_err err;

    if (t == NULL)
        return PEAL_ENOMEM;
    if (t->batch.len > 0 && t->last == r->routed)
        return PEAL_EEXIST;
    if (t->batch.len == 0) {
        peal_envelope_head(r->hub->node, head);
        if ((err = peal_buf_add(&t->batch, head, sizeof(head))) != PEAL_OK)
            return err;
        peal_list_append(&r->dirty, &t->dirty);
    }
    if ((err = peal_buf_add_slice(&t->batch, peal_blob_slice(record))) != PEAL_OK) {
        if (t->batch.len == PEAL_ENVELOPE_HEAD) {
            t->batch.len = 0;
            peal_list_unlink(&t->dirty);
        }
        return err;
    }
    t->last = r->routed;
    return PEAL_OK;
}

/* The topic of channel k of m, in the scratch; len 0: nobody elsewhere is meant. */
static struct peal_slice
destination(struct peal_relay *r, const struct peal_msg *m, unsigned k)
{
    struct peal_slice name = m->channels[k].name;
    uint32_t node;
    uint8_t worker;
    char hex[16];

    if (!peal_hub_owner(r->hub, peal_channel_address(name), &node, &worker))
        return topic_name(r, "c:", name);
    if (node == r->hub->node)
        return PEAL_S("");
    snprintf(hex, sizeof(hex), "%08x", node);
    return topic_name(r, "n:", peal_slice_str(hex));
}

static void
route(struct peal_relay *r, struct peal_msg *m, struct peal_blob *record)
{
    unsigned topics = 0, lost = 0;

    r->routed++;
    if (m->n_channels > TOPICS_MAX) {
        lost += add_record(r, topic_name(r, "all", PEAL_S("")), record) == PEAL_ENOMEM;
        topics = 1;
    } else {
        for (unsigned k = 0; k < m->n_channels; k++) {
            struct peal_slice name = destination(r, m, k);
            peal_err err;

            if (name.data != NULL && name.len == 0)
                continue;
            err = add_record(r, name, record);
            topics += err == PEAL_OK;
            lost += err == PEAL_ENOMEM;
        }
    }
    r->together |= topics > 1;
    if (lost > 0)
        peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_DROPPED, 1);
    /* What waits is counted for each topic it goes to; so far it was counted once. */
    if (topics != 1)
        atomic_fetch_add_explicit(
            &r->queued, (size_t)(topics - 1) * record->len, memory_order_relaxed);
}

void
peal_relay_on_parcel(struct peal_loop *loop, struct peal_mail *mail)
{
    struct peal_parcel *p = (struct peal_parcel *)mail;
    struct peal_relay *r = p->hub->relay;

    for (unsigned i = 0; i < p->n; i++) {
        struct peal_order *o = &p->orders[i];

        if (o->kind == PEAL_ORDER_PUBLISH && r->peer != NULL)
            r->peer->publish(r->peer_arg, o->msg);
        if (o->kind == PEAL_ORDER_PUBLISH)
            route(r, o->msg, o->blob);
        else if (o->kind == PEAL_ORDER_WANT)
            want(r, p->worker, peal_blob_slice(o->blob));
        else
            unwant(r, p->worker, peal_blob_slice(o->blob));
    }
    peal_parcel_free(p);
}

bool
peal_relay_room(const struct peal_relay *r, size_t bytes)
{
    return atomic_load_explicit(&r->queued, memory_order_relaxed) +
               atomic_load_explicit(&r->backed, memory_order_relaxed) + bytes <=
           r->queue_max;
}

void
peal_relay_count(struct peal_relay *r, size_t bytes)
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
on_delivery(struct peal_loop *loop, struct peal_mail *mail)
{
    struct delivery *d = (struct delivery *)mail;

    for (unsigned i = 0; i < d->n; i++) {
        peal_shard_take(d->to, d->items[i].msg, d->items[i].k, d->items[i].how);
        peal_msg_drop(d->items[i].msg);
    }
    free(d);
}

static void
post_deliveries(struct peal_relay *r)
{
    for (unsigned w = 0; w < r->hub->n_shards; w++) {
        struct delivery *d = r->deliveries[w];

        r->deliveries[w] = NULL;
        if (d != NULL)
            peal_loop_post(d->to->loop, &d->mail);
    }
}

static void
hand_over(struct peal_relay *r, unsigned worker, struct peal_msg *m, unsigned k,
    enum peal_copy how)
{
    struct delivery *d = r->deliveries[worker];
    unsigned cap = d == NULL ? 16 : d->cap * 2;

    if (d == NULL || d->n == d->cap) {
        struct delivery *more =
            realloc(d, sizeof(*d) + cap * sizeof(struct delivery_item));

        if (more == NULL) {
            peal_stat_add(&r->loop->stats, PEAL_STAT_LETTERS_LOST, 1);
            return;
        }
        if (d == NULL)
            *more =
                (struct delivery){ .mail.fn = on_delivery, .to = r->hub->shards[worker] };
        more->cap = cap;
        r->deliveries[worker] = d = more;
    }
    d->items[d->n++] = (struct delivery_item){ peal_msg_hold(m), k, how };
}

/* Hands channel k of m to the workers that have subscribers of it. */
static void
hand_channel(struct peal_relay *r, struct peal_msg *m, unsigned k)
{
    uint64_t mask = peal_hub_interest(r->hub, m->channels[k].hash);

    for (; mask != 0; mask &= mask - 1)
        hand_over(r, (unsigned)__builtin_ctzll(mask), m, k, PEAL_COPY_CHANNEL);
}

static void
hand_addresses(struct peal_relay *r, struct peal_msg *m)
{
    for (unsigned k = 0; k < m->n_channels; k++) {
        uint32_t node;
        uint8_t worker;

        if (peal_hub_owner(
                r->hub, peal_channel_address(m->channels[k].name), &node, &worker) &&
            node == r->hub->node && worker < r->hub->n_shards)
            hand_over(r, worker, m, k, PEAL_COPY_ADDRESS);
    }
}

static void
hand_all(struct peal_relay *r, struct peal_msg *m)
{
    /* Its channels come together, like those of a message of this node. */
    m->flags &= ~(unsigned)PEAL_MSG_REMOTE;
    for (unsigned w = 0; w < r->hub->n_shards; w++)
        hand_over(r, w, m, 0, PEAL_COPY_ALL);
}

void
peal_relay_deliver(struct peal_relay *r, struct peal_msg *m, uint64_t workers)
{
    for (; workers != 0; workers &= workers - 1)
        hand_over(r, (unsigned)__builtin_ctzll(workers), m, 0, PEAL_COPY_ALL);
}

void
peal_relay_set_peer(struct peal_relay *r, const struct peal_relay_peer *peer, void *arg)
{
    r->peer = peer;
    r->peer_arg = arg;
}

void
peal_relay_peer_ready(struct peal_relay *r, struct peal_slice channel)
{
    struct peal_slice name = topic_name(r, "c:", channel);
    struct topic *t = name.data != NULL ? peal_map_get(&r->topics, name) : NULL;

    if (t == NULL || !t->peer_waits)
        return;
    t->peer_waits = false;
    confirm_waiting(r, t);
}

static void
hand_message(struct peal_relay *r, struct peal_slice topic, struct peal_msg *m)
{
    struct peal_slice channel = peal_slice_from(topic, 2);

    peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_RECEIVED, 1);
    if (topic.data[0] == 'n') {
        hand_addresses(r, m);
        return;
    }
    if (topic.data[0] == 'a') {
        hand_all(r, m);
        return;
    }
    for (unsigned k = 0; k < m->n_channels; k++)
        if (peal_slice_eq(m->channels[k].name, channel)) {
            hand_channel(r, m, k);
            return;
        }
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

static void
on_message(void *arg, struct peal_slice topic, struct peal_slice payload)
{
    struct peal_relay *r = arg;
    struct peal_slice rest = peal_slice_from(topic, r->prefix_len), records;
    struct peal_msg *m;
    uint32_t node;
    peal_err err;

    if (peal_slice_eq(rest, PEAL_S("nodes"))) {
        r->events->message(r->arg, payload);
        return;
    }
    if (rest.len < 3)
        return;
    if ((err = peal_envelope_open(payload, &node, &records)) != PEAL_OK) {
        bad(r, topic, err);
        return;
    }
    if (node == r->hub->node)
        return; /* delivered when it was published */
    while ((err = peal_envelope_next(&records, &m)) != PEAL_OK || m != NULL) {
        if (err != PEAL_OK) {
            bad(r, topic, err);
            continue;
        }
        hand_message(r, rest, m);
        peal_msg_drop(m);
    }
}

/* The link. */

static void
is_up(struct peal_relay *r)
{
    atomic_store_explicit(&r->up, true, memory_order_relaxed);
    r->events->up(r->arg);
}

/* Its own topics, besides those that workers want. */
static bool
subscribe_own(struct peal_relay *r)
{
    char hex[16];
    struct topic *t[3];

    snprintf(hex, sizeof(hex), "%08x", r->hub->node);
    t[0] = topic_get(r, topic_name(r, "nodes", PEAL_S("")));
    t[1] = topic_get(r, topic_name(r, "n:", peal_slice_str(hex)));
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
        if (t->wanted != 0 && t->state == OFF)
            subscribe(r, t);
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
        confirm_waiting(r, t); /* no use in waiting longer */
    }
    if (was_up)
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
    r->pending--;
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

static const struct peal_backplane_events backplane_events = { .up = on_up,
    .down = on_down,
    .subscribed = on_subscribed,
    .lost = on_lost,
    .message = on_message };

static bool
on_turn(void *arg)
{
    struct peal_relay *r = arg;

    /* What the last turn has written and is still there. */
    atomic_store_explicit(
        &r->backed, r->backplane->ops->queued(r->backplane), memory_order_relaxed);
    if (!peal_list_empty(&r->dirty))
        flush(r);
    post_deliveries(r);
    return false;
}

peal_err
peal_relay_new(
    struct peal_hub *hub, const struct peal_relay_config *config, struct peal_relay **out)
{
    struct peal_relay *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return PEAL_ENOMEM;
    r->hub = hub;
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
    peal_list_init(&r->dirty);
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
            peal_msg_drop(d->items[i].msg);
        free(d);
    }
    peal_buf_fini(&r->key);
    free(r->list);
    free(r);
}

void
peal_relay_say(struct peal_relay *r, struct peal_slice bytes)
{
    struct peal_payload p = { topic_name(r, "nodes", PEAL_S("")), bytes };

    if (r->connected && p.topic.data != NULL)
        r->backplane->ops->publish(r->backplane, &p, 1, false);
}

void
peal_relay_restart(struct peal_relay *r, const char *why)
{
    r->backplane->ops->restart(r->backplane, why);
}

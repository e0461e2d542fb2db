/* SPDX-License-Identifier: MIT */
/*
 * Topics of the relay: the interest of workers becomes subscriptions on the backplane,
 * and their confirmations go back to the workers that wait for them. A topic that no
 * worker wants any more is left after linger_ms, in case somebody comes back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "hub/relay_priv.h"

struct sub_ack {
    struct peal_task task; /* first */
    struct peal_hub *hub;
    unsigned to;
    uint64_t n_heard;
    uint32_t len;
    char channel[];
};

/* Names. */

/* <prefix>:<a><b><c>, in the scratch. */
static struct peal_slice
name_of(struct peal_relay *r, const char *a, struct peal_slice b, const char *c)
{
    r->name.len = 0;
    if (peal_buf_add(&r->name, r->prefix, r->prefix_len) != PEAL_OK ||
        peal_buf_add_slice(&r->name, peal_slice_str(a)) != PEAL_OK ||
        peal_buf_add_slice(&r->name, b) != PEAL_OK ||
        peal_buf_add_slice(&r->name, peal_slice_str(c)) != PEAL_OK)
        return peal_slice_of(NULL, 0);
    return peal_buf_slice(&r->name);
}

struct peal_slice
peal_relay_topic(struct peal_relay *r, const char *rest)
{
    return name_of(r, rest, PEAL_S(""), "");
}

struct peal_slice
peal_relay_node_topic(struct peal_relay *r, uint32_t node)
{
    char hex[16];

    snprintf(hex, sizeof(hex), "%08x", node);
    return name_of(r, "n:", peal_slice_str(hex), "");
}

/*
 * A Redis Cluster places a name by what is between its first brace and the next closing
 * one, if that is not empty. So whatever is kept of a channel under other names, with the
 * same braces, is on the same master. The prefix has no braces; a channel may have some:
 * of one that begins with a closing brace the part would be empty, so it has a dot first.
 */
struct peal_slice
peal_relay_channel_topic(struct peal_relay *r, struct peal_slice channel)
{
    bool brace = channel.len > 0 && channel.data[0] == '}';

    return name_of(r, brace ? "x:{." : "c:{", channel, "}");
}

struct peal_slice
peal_relay_topic_channel(const struct peal_relay *r, struct peal_slice topic)
{
    struct peal_slice rest = peal_slice_skip(topic, r->prefix_len);
    size_t before = peal_slice_starts(rest, PEAL_S("c:{"))    ? 3
                    : peal_slice_starts(rest, PEAL_S("x:{.")) ? 4
                                                              : 0;

    if (before == 0 || rest.data[rest.len - 1] != '}')
        return peal_slice_of(NULL, 0);
    return peal_slice_of(rest.data + before, rest.len - before - 1);
}

/* States. */

static void
topic_check(const struct peal_topic *t)
{
    PEAL_ASSERT(t->wanted != 0 || t->state != PEAL_TOPIC_OFF);
    PEAL_ASSERT(peal_list_linked(&t->idle) == (t->wanted == 0));
    PEAL_ASSERT((t->waiting & ~t->wanted) == 0);
    PEAL_ASSERT(!t->needed || t->state == PEAL_TOPIC_PENDING);
}

static void
topic_set_state(struct peal_relay *r, struct peal_topic *t, enum peal_topic_state to)
{
    PEAL_ASSERT(to == PEAL_TOPIC_PENDING ? t->state == PEAL_TOPIC_OFF
                : to == PEAL_TOPIC_ON    ? t->state == PEAL_TOPIC_PENDING
                                         : t->state != PEAL_TOPIC_OFF);
    PEAL_ASSERT(!t->needed || r->n_needed > 0);
    r->n_needed -= t->needed;
    t->needed = false;
    t->state = to;
}

static struct peal_topic *
topic_find(struct peal_relay *r, struct peal_slice name)
{
    return name.data != NULL ? peal_map_get(&r->topics, name) : NULL;
}

/* NULL: out of memory. */
static struct peal_topic *
topic_get(struct peal_relay *r, struct peal_slice name)
{
    struct peal_topic *t = topic_find(r, name);

    if (t != NULL || name.data == NULL || (t = calloc(1, sizeof(*t) + name.len)) == NULL)
        return t;
    memcpy(t->name, name.data, name.len);
    t->name_len = (uint32_t)name.len;
    if (peal_map_put(&r->topics, peal_topic_name(t), t) == PEAL_OK)
        return t;
    free(t);
    return NULL;
}

static void
topic_free(struct peal_relay *r, struct peal_topic *t)
{
    if (t->tap_told && r->tap != NULL)
        r->tap->unsubscribe(r->tap_arg, peal_relay_topic_channel(r, peal_topic_name(t)));
    peal_map_del(&r->topics, peal_topic_name(t));
    peal_list_unlink(&t->idle);
    free(t);
}

static void
topic_ask(struct peal_relay *r, struct peal_topic *t)
{
    topic_set_state(r, t, PEAL_TOPIC_PENDING);
    r->backplane->ops->subscribe(r->backplane, peal_topic_name(t));
}

/* Nobody wants it any more. */
static void
topic_idle(struct peal_relay *r, struct peal_topic *t)
{
    t->wanted = t->waiting = 0;
    if (t->state == PEAL_TOPIC_OFF) {
        topic_free(r, t);
        return;
    }
    t->idle_since = peal_loop_now_ms(r->loop);
    peal_list_unlink(&t->idle);
    peal_list_append(&r->idle, &t->idle);
    topic_check(t);
}

/* Confirmations. */

static void
relay_on_sub_ack(struct peal_loop *loop, struct peal_task *task)
{
    struct sub_ack *c = PEAL_CONTAINER(task, struct sub_ack, task);

    if (c->hub->shards[c->to] != NULL)
        peal_shard_confirm(
            c->hub->shards[c->to], peal_slice_of(c->channel, c->len), c->n_heard);
    free(c);
}

static void
relay_confirm(struct peal_relay *r, unsigned worker, struct peal_slice channel)
{
    struct sub_ack *c = malloc(sizeof(*c) + channel.len);

    if (c == NULL) {
        /* A client that waits for it has a deadline of its own. */
        peal_log(peal_loop_log(r->loop), PEAL_LOG_ERROR, "out of memory",
            "what=\"a subscription\"");
        return;
    }
    c->task.fn = relay_on_sub_ack;
    c->hub = r->hub;
    c->to = worker;
    c->n_heard = r->n_heard[worker];
    c->len = (uint32_t)channel.len;
    memcpy(c->channel, channel.data, channel.len);
    peal_loop_post(r->hub->shards[worker]->loop, &c->task);
}

static bool
topic_is_awaited(const struct peal_topic *t)
{
    return t->state == PEAL_TOPIC_PENDING || t->tap_waits;
}

/* Tells the workers that wait, if there is nothing to wait for any more: it is
 * subscribed, or cannot be. */
static void
topic_confirm(struct peal_relay *r, struct peal_topic *t)
{
    struct peal_slice channel = peal_relay_topic_channel(r, peal_topic_name(t));
    uint64_t left = t->waiting;

    if (topic_is_awaited(t))
        return;
    t->waiting = 0;
    for (; left != 0; left &= left - 1)
        relay_confirm(r, (unsigned)__builtin_ctzll(left), channel);
}

/* Interest. */

void
peal_relay_subscribe(struct peal_relay *r, unsigned worker, struct peal_slice channel)
{
    struct peal_topic *t = topic_get(r, peal_relay_channel_topic(r, channel));

    if (t == NULL) { /* the client hears what is published on this node */
        relay_confirm(r, worker, channel);
        return;
    }
    t->wanted |= 1ull << worker;
    t->waiting |= 1ull << worker;
    peal_list_unlink(&t->idle);
    if (r->connected && t->state == PEAL_TOPIC_OFF)
        topic_ask(r, t);
    if (r->tap != NULL && !t->tap_told) {
        t->tap_told = true;
        t->tap_waits = r->tap->subscribe(r->tap_arg, channel);
    }
    topic_confirm(r, t);
    topic_check(t);
}

void
peal_relay_unsubscribe(struct peal_relay *r, unsigned worker, struct peal_slice channel)
{
    struct peal_topic *t = topic_find(r, peal_relay_channel_topic(r, channel));

    if (t == NULL)
        return;
    t->wanted &= ~(1ull << worker);
    t->waiting &= ~(1ull << worker);
    if (t->wanted == 0)
        topic_idle(r, t);
}

/* Leaves topics that have had no subscriber for long enough; the oldest are first. */
void
peal_relay_on_tick(struct peal_timer *timer)
{
    struct peal_relay *r = PEAL_CONTAINER(timer, struct peal_relay, tick);
    uint64_t now = peal_loop_now_ms(r->loop);

    while (!peal_list_empty(&r->idle)) {
        struct peal_topic *t = PEAL_CONTAINER(r->idle.next, struct peal_topic, idle);

        if (now - t->idle_since < r->linger_ms || t->state == PEAL_TOPIC_PENDING)
            break;
        topic_set_state(r, t, PEAL_TOPIC_OFF);
        r->backplane->ops->unsubscribe(r->backplane, peal_topic_name(t));
        topic_free(r, t);
    }
    peal_loop_start(r->loop, &r->tick, PEAL_RELAY_TICK_MS);
}

void
peal_relay_tap_ready(struct peal_relay *r, struct peal_slice channel)
{
    struct peal_topic *t = topic_find(r, peal_relay_channel_topic(r, channel));

    if (t == NULL || !t->tap_waits)
        return;
    t->tap_waits = false;
    topic_confirm(r, t);
}

/* The relay's own. */

static peal_err
want_for_good(struct peal_relay *r, struct peal_slice name)
{
    struct peal_topic *t = topic_get(r, name);

    if (t == NULL)
        return PEAL_ENOMEM;
    t->wanted |= 1;
    peal_list_unlink(&t->idle);
    return PEAL_OK;
}

peal_err
peal_relay_want_own_topics(struct peal_relay *r)
{
    peal_err err = want_for_good(r, peal_relay_topic(r, "nodes"));

    if (err == PEAL_OK)
        err = want_for_good(r, peal_relay_node_topic(r, r->node));
    return err == PEAL_OK ? want_for_good(r, peal_relay_topic(r, "all")) : err;
}

void
peal_relay_renumber_topic(struct peal_relay *r, uint32_t old)
{
    struct peal_topic *t = topic_find(r, peal_relay_node_topic(r, old));

    if (t != NULL)
        topic_idle(r, t);
}

/* The link. */

void
peal_relay_topics_ask(struct peal_relay *r)
{
    struct peal_topic *t;

    for (size_t pos = 0; (t = peal_map_next(&r->topics, &pos)) != NULL;) {
        if (t->state != PEAL_TOPIC_OFF)
            continue;
        topic_ask(r, t);
        t->needed = true;
        r->n_needed++;
        topic_check(t);
    }
}

void
peal_relay_topics_off(struct peal_relay *r)
{
    struct peal_topic *t;

    for (size_t pos = 0; (t = peal_map_next(&r->topics, &pos)) != NULL;) {
        if (t->state != PEAL_TOPIC_OFF)
            topic_set_state(r, t, PEAL_TOPIC_OFF);
        topic_confirm(r, t); /* no use in waiting longer */
    }
    while (!peal_list_empty(&r->idle))
        topic_free(r, PEAL_CONTAINER(r->idle.next, struct peal_topic, idle));
    PEAL_ASSERT(r->n_needed == 0);
}

void
peal_relay_topic_on(struct peal_relay *r, struct peal_slice name)
{
    struct peal_topic *t = topic_find(r, name);

    if (t == NULL || t->state != PEAL_TOPIC_PENDING)
        return;
    topic_set_state(r, t, PEAL_TOPIC_ON);
    topic_confirm(r, t);
    topic_check(t);
}

void
peal_relay_topic_lost(struct peal_relay *r, struct peal_slice name)
{
    struct peal_topic *t = topic_find(r, name);

    if (t == NULL || t->state != PEAL_TOPIC_ON)
        return;
    topic_set_state(r, t, PEAL_TOPIC_OFF);
    peal_stat_add(peal_loop_stats(r->loop), PEAL_STAT_BACKPLANE_GAPS, 1);
    if (t->wanted != 0) {
        topic_ask(r, t);
    } else { /* so that the backplane does not keep it among what is to come back */
        r->backplane->ops->unsubscribe(r->backplane, peal_topic_name(t));
        topic_free(r, t);
    }
}

/* Subscribers of a channel get what is published on this node, and are not kept waiting
 * for more. The topic is asked for again with the next worker, or the next link. */
bool
peal_relay_topic_refused(struct peal_relay *r, struct peal_slice name)
{
    struct peal_topic *t = topic_find(r, name);

    if (t == NULL || t->state != PEAL_TOPIC_PENDING)
        return true;
    if (peal_relay_topic_channel(r, name).data == NULL)
        return false;
    topic_set_state(r, t, PEAL_TOPIC_OFF);
    topic_confirm(r, t);
    if (t->wanted == 0)
        topic_free(r, t);
    return true;
}

void
peal_relay_topics_free(struct peal_relay *r)
{
    struct peal_topic *t;
    size_t pos;

    while ((pos = 0, t = peal_map_next(&r->topics, &pos)) != NULL)
        topic_free(r, t);
    peal_map_fini(&r->topics);
}

/* SPDX-License-Identifier: MIT */
/*
 * Subjects: what is subscribed for the channels that have a subscriber here. A namespace
 * is shared as soon as somebody has joined one of its channels, and "/" always: from then
 * on other servers count this node and wait for its answers.
 *
 * In the classic dialect one pattern brings all broadcasts of a namespace, as with Node
 * servers: a remote join and the broadcast to the joined room right after it stay in
 * order only so. In the sharded one a room has a channel of its own.
 *
 * What has been asked for is left only when it has been confirmed: otherwise a late
 * confirmation would be taken for that of the next subscription.
 */
#include <stdlib.h>

#include "adapter/adapter_priv.h"

#define TOPICS 2
#define NONE ((struct peal_slice){ NULL, 0 })

/* Somebody who waits for a subject: one of our channels. */
struct waiting {
    struct waiting *next;
    size_t len;
    char channel[];
};

/* A namespace or, sharded, a room. */
struct subject {
    struct peal_link link; /* on the adapter's list */
    unsigned wanted;       /* channels that have a subscriber here */
    unsigned missing;      /* confirmations that are still to come */
    bool asked;            /* for its subscriptions, since the link is up */
    bool own;              /* without it this is no server among the others */
    struct waiting *waiting;
    /* The second one is the pattern of a namespace, classic. */
    struct peal_buf topics[TOPICS];
    unsigned n_topics;
};

/* Which topics are those of a subject? The first one tells it from others. */
enum topic {
    NAMESPACE_REQUESTS,
    NAMESPACE_PATTERN,
    NAMESPACE_CHANNEL, /* sharded: all but what is of a room's */
    ROOM_CHANNEL
};

static peal_err
add_topic(const struct peal_adapter *a, enum topic t, struct peal_slice nsp,
    struct peal_slice room, struct peal_buf *out)
{
    struct peal_slice key = peal_adapter_key(a);

    switch (t) {
    case NAMESPACE_REQUESTS:
        return peal_sio_redis_channel(out, PEAL_SIO_REDIS_ON_REQUEST, key, nsp, NONE);
    case NAMESPACE_PATTERN:
        return peal_sio_redis_pattern(out, key, nsp);
    case NAMESPACE_CHANNEL:
        return peal_sio_redis_channel(out, PEAL_SIO_REDIS_ON_BROADCAST, key, nsp, NONE);
    default:
        return peal_sio_redis_channel(out, PEAL_SIO_REDIS_ON_BROADCAST, key, nsp, room);
    }
}

static void
free_waiting(struct waiting **list)
{
    struct waiting *w;

    while ((w = *list) != NULL) {
        *list = w->next;
        free(w);
    }
}

static void
subject_free(struct peal_adapter *a, struct subject *s)
{
    free_waiting(&s->waiting);
    for (unsigned i = 0; i < s->n_topics; i++)
        peal_map_del(&a->topics, peal_buf_slice(&s->topics[i]));
    for (unsigned i = 0; i < TOPICS; i++)
        peal_buf_fini(&s->topics[i]);
    peal_list_unlink(&s->link);
    free(s);
}

static peal_err
give_topic(struct peal_adapter *a, struct subject *s, enum topic t, struct peal_slice nsp,
    struct peal_slice room)
{
    struct peal_buf *b = &s->topics[s->n_topics];
    peal_err err = add_topic(a, t, nsp, room, b);

    if (err == PEAL_OK)
        err = peal_map_put(&a->topics, peal_buf_slice(b), s);
    s->n_topics += err == PEAL_OK;
    return err;
}

/* NULL: there is none, or (make) no memory. */
static struct subject *
get(struct peal_adapter *a, enum topic t, struct peal_slice nsp, struct peal_slice room,
    bool make)
{
    struct subject *s;

    a->name.len = 0;
    if (add_topic(a, t, nsp, room, &a->name) != PEAL_OK)
        return NULL;
    if ((s = peal_map_get(&a->topics, peal_buf_slice(&a->name))) != NULL || !make ||
        (s = calloc(1, sizeof(*s))) == NULL)
        return s;
    peal_list_append(&a->subjects, &s->link);
    if (give_topic(a, s, t, nsp, room) == PEAL_OK &&
        (t != NAMESPACE_REQUESTS ||
            give_topic(a, s, NAMESPACE_PATTERN, nsp, room) == PEAL_OK))
        return s;
    subject_free(a, s);
    return NULL;
}

static struct subject *
get_namespace(struct peal_adapter *a, struct peal_slice nsp, bool make)
{
    return get(a, a->sharded ? NAMESPACE_CHANNEL : NAMESPACE_REQUESTS, nsp, NONE, make);
}

/* NULL also if the channel is none of a room that has its own. */
static struct subject *
get_room(struct peal_adapter *a, struct peal_slice channel, bool make)
{
    struct peal_slice room;

    if (!a->sharded || !peal_channel_room(channel, &room) ||
        !peal_sio_redis_own_channel(room))
        return NULL;
    return get(a, ROOM_CHANNEL, peal_channel_nsp(channel), room, make);
}

/* Subscribing. */

static void
subscribe(struct peal_adapter *a, struct subject *s)
{
    s->asked = true;
    s->missing = s->n_topics;
    a->link->b.ops->subscribe(&a->link->b, peal_buf_slice(&s->topics[0]));
    if (s->n_topics > 1)
        a->link->ops->subscribe_pattern(a->link, peal_buf_slice(&s->topics[1]));
}

/* Nobody wants it any more. */
static void
release(struct peal_adapter *a, struct subject *s)
{
    if (s->missing > 0)
        return; /* later */
    if (s->asked) {
        a->link->b.ops->unsubscribe(&a->link->b, peal_buf_slice(&s->topics[0]));
        if (s->n_topics > 1)
            a->link->ops->unsubscribe_pattern(a->link, peal_buf_slice(&s->topics[1]));
    }
    subject_free(a, s);
}

/* What a channel has still to wait for, or NULL. */
static struct subject *
missing_for(struct peal_adapter *a, struct peal_slice channel)
{
    struct subject *s = get_room(a, channel, false);

    if (s == NULL || s->missing == 0)
        s = get_namespace(a, peal_channel_nsp(channel), false);
    return s != NULL && s->missing > 0 ? s : NULL;
}

/* false: there is nothing to wait for; or no memory: told early rather than never. */
static bool
wait_for(struct peal_adapter *a, struct peal_slice channel)
{
    struct subject *s = missing_for(a, channel);
    struct waiting *w = s != NULL ? malloc(sizeof(*w) + channel.len) : NULL;

    if (w == NULL)
        return false;
    w->len = channel.len;
    memcpy(w->channel, channel.data, channel.len);
    w->next = s->waiting;
    s->waiting = w;
    return true;
}

static void
tell_waiting(struct peal_adapter *a, struct subject *s)
{
    struct waiting *list = s->waiting;

    s->waiting = NULL;
    for (const struct waiting *w = list; w != NULL; w = w->next) {
        struct peal_slice channel = peal_slice_of(w->channel, w->len);

        if (!wait_for(a, channel))
            peal_relay_tap_ready(a->relay, channel);
    }
    free_waiting(&list);
}

static void
hold(struct peal_adapter *a, struct subject *s)
{
    s->wanted++;
    if (a->up && !s->asked)
        subscribe(a, s);
}

static bool
want(void *arg, struct peal_slice channel)
{
    struct peal_adapter *a = arg;
    struct subject *s = get_namespace(a, peal_channel_nsp(channel), true);
    struct subject *room = get_room(a, channel, true);

    if (s != NULL)
        hold(a, s);
    if (room != NULL)
        hold(a, room);
    return wait_for(a, channel);
}

static void
drop(struct peal_adapter *a, struct subject *s)
{
    if (s != NULL && s->wanted > 0 && --s->wanted == 0)
        release(a, s);
}

static void
unwant(void *arg, struct peal_slice channel)
{
    struct peal_adapter *a = arg;

    drop(a, get_room(a, channel, false));
    drop(a, get_namespace(a, peal_channel_nsp(channel), false));
}

const struct peal_relay_tap peal_adapter_tap = {
    .subscribe = want, .unsubscribe = unwant, .publish = peal_adapter_publish
};

peal_err
peal_adapter_subscribe_nsp(struct peal_adapter *a, struct peal_slice nsp)
{
    struct subject *s = get_namespace(a, nsp, true);

    if (s == NULL)
        return PEAL_ENOMEM;
    s->own = true;
    hold(a, s);
    return PEAL_OK;
}

void
peal_adapter_subscribe_all(struct peal_adapter *a)
{
    for (struct peal_link *l = a->subjects.next; l != &a->subjects; l = l->next)
        subscribe(a, PEAL_CONTAINER(l, struct subject, link));
}

void
peal_adapter_unsubscribe_all(struct peal_adapter *a)
{
    struct peal_link *l, *next;

    for (l = a->subjects.next; l != &a->subjects; l = l->next) {
        struct subject *s = PEAL_CONTAINER(l, struct subject, link);

        s->asked = false;
        s->missing = 0;
    }
    for (l = a->subjects.next; l != &a->subjects; l = next) {
        struct subject *s = PEAL_CONTAINER(l, struct subject, link);

        next = l->next;
        tell_waiting(a, s); /* no use in waiting longer */
        if (s->wanted == 0)
            subject_free(a, s);
    }
}

static bool
is_complete(const struct peal_adapter *a)
{
    for (struct peal_link *l = a->subjects.next; l != &a->subjects; l = l->next)
        if (PEAL_CONTAINER(l, struct subject, link)->missing > 0)
            return false;
    return true;
}

/* One topic less to wait for. true: nothing is missing any more, for the first time since
 * the link is up. */
static bool
settle(struct peal_adapter *a, struct subject *s)
{
    if (s == NULL || s->missing == 0 || --s->missing > 0)
        return false;
    tell_waiting(a, s);
    if (s->wanted == 0)
        release(a, s);
    return !a->complete && is_complete(a);
}

bool
peal_adapter_subscribed(struct peal_adapter *a, struct peal_slice topic)
{
    return settle(a, peal_map_get(&a->topics, topic));
}

/* Who waits for a namespace or room that cannot be had is told: there is no use in
 * waiting longer. It is asked for again with the next link. */
bool
peal_adapter_refused(struct peal_adapter *a, struct peal_slice topic, const char *why)
{
    struct subject *s = peal_map_get(&a->topics, topic);

    if (s == NULL || !s->own)
        return settle(a, s);
    a->link->b.ops->restart(&a->link->b, why);
    return false;
}

void
peal_adapter_lost(struct peal_adapter *a, struct peal_slice topic)
{
    struct subject *s = peal_map_get(&a->topics, topic);

    if (s == NULL)
        return;
    peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_GAPS, 1);
    s->missing += s->missing < s->n_topics; /* else it was not confirmed yet */
    a->link->b.ops->subscribe(&a->link->b, topic);
}

void
peal_adapter_subscriptions_free(struct peal_adapter *a)
{
    struct peal_link *l;

    while ((l = peal_list_take(&a->subjects)) != NULL)
        subject_free(a, PEAL_CONTAINER(l, struct subject, link));
}

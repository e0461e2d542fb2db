/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions are kept by subject: a namespace, or in the sharded dialect a room, with
 * the one or two topics of Redis that bring its messages.
 *
 * In the classic dialect one pattern brings all broadcasts of a namespace, as with Node
 * servers: a remote join and the broadcast to the joined room right after it stay in
 * order only so.
 *
 * What has been asked for is left only when it has been confirmed: otherwise a late
 * confirmation would be taken for that of the next subscription.
 */
#include "adapter/subscriptions.h"

#include <stdlib.h>

#include "base/assert.h"
#include "hub/hub.h"
#include "wire/sio_redis.h"

#define TOPICS 2
#define NO_ROOM ((struct peal_slice){ NULL, 0 })

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

/* The kinds of topics of a subject. The first one tells it from others. */
enum topic {
    NAMESPACE_REQUESTS,
    NAMESPACE_PATTERN,
    NAMESPACE_CHANNEL, /* sharded: all but broadcasts to a room that has a channel of its
                          own */
    ROOM_CHANNEL
};

static peal_err
add_topic(const struct peal_adapter_subscriptions *all, enum topic t,
    struct peal_slice nsp, struct peal_slice room, struct peal_buf *out)
{
    struct peal_slice key = all->key;

    switch (t) {
    case NAMESPACE_REQUESTS:
        return peal_sio_redis_channel(out, PEAL_SIO_REDIS_ON_REQUEST, key, nsp, NO_ROOM);
    case NAMESPACE_PATTERN:
        return peal_sio_redis_pattern(out, key, nsp);
    case NAMESPACE_CHANNEL:
        return peal_sio_redis_channel(
            out, PEAL_SIO_REDIS_ON_BROADCAST, key, nsp, NO_ROOM);
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
subject_free(struct peal_adapter_subscriptions *all, struct subject *s)
{
    free_waiting(&s->waiting);
    for (unsigned i = 0; i < s->n_topics; i++)
        peal_map_del(&all->topics, peal_buf_slice(&s->topics[i]));
    for (unsigned i = 0; i < TOPICS; i++)
        peal_buf_fini(&s->topics[i]);
    peal_list_unlink(&s->link);
    free(s);
}

static peal_err
give_topic(struct peal_adapter_subscriptions *all, struct subject *s, enum topic t,
    struct peal_slice nsp, struct peal_slice room)
{
    struct peal_buf *b = &s->topics[s->n_topics];
    peal_err err = add_topic(all, t, nsp, room, b);

    if (err == PEAL_OK)
        err = peal_map_put(&all->topics, peal_buf_slice(b), s);
    s->n_topics += err == PEAL_OK;
    return err;
}

enum lookup {
    FIND,
    MAKE /* if there is none */
};

/* NULL: there is none, or (MAKE) no memory. */
static struct subject *
get(struct peal_adapter_subscriptions *all, enum topic t, struct peal_slice nsp,
    struct peal_slice room, enum lookup how)
{
    struct subject *s;

    all->name.len = 0;
    if (add_topic(all, t, nsp, room, &all->name) != PEAL_OK)
        return NULL;
    if ((s = peal_map_get(&all->topics, peal_buf_slice(&all->name))) != NULL ||
        how == FIND || (s = calloc(1, sizeof(*s))) == NULL)
        return s;
    peal_list_append(&all->subjects, &s->link);
    if (give_topic(all, s, t, nsp, room) == PEAL_OK &&
        (t != NAMESPACE_REQUESTS ||
            give_topic(all, s, NAMESPACE_PATTERN, nsp, room) == PEAL_OK))
        return s;
    subject_free(all, s);
    return NULL;
}

static struct subject *
get_namespace(
    struct peal_adapter_subscriptions *all, struct peal_slice nsp, enum lookup how)
{
    return get(
        all, all->sharded ? NAMESPACE_CHANNEL : NAMESPACE_REQUESTS, nsp, NO_ROOM, how);
}

/* NULL also if the channel is none of a room that has its own. */
static struct subject *
get_room(
    struct peal_adapter_subscriptions *all, struct peal_slice channel, enum lookup how)
{
    struct peal_slice room;

    if (!all->sharded || !peal_channel_room(channel, &room) ||
        !peal_sio_redis_own_channel(room))
        return NULL;
    return get(all, ROOM_CHANNEL, peal_channel_nsp(channel), room, how);
}

/* Subscribing. */

static void
subject_subscribe(struct peal_adapter_subscriptions *all, struct subject *s)
{
    s->asked = true;
    s->missing = s->n_topics;
    all->link->b.ops->subscribe(&all->link->b, peal_buf_slice(&s->topics[0]));
    if (s->n_topics > 1)
        all->link->ops->subscribe_pattern(all->link, peal_buf_slice(&s->topics[1]));
}

/* Its last subscriber has gone. What was asked for is unsubscribed after it has been
 * confirmed: a late confirmation would be taken for that of the next subscription. */
static void
subject_leave(struct peal_adapter_subscriptions *all, struct subject *s)
{
    if (s->missing > 0)
        return; /* later */
    if (s->asked) {
        all->link->b.ops->unsubscribe(&all->link->b, peal_buf_slice(&s->topics[0]));
        if (s->n_topics > 1)
            all->link->ops->unsubscribe_pattern(all->link, peal_buf_slice(&s->topics[1]));
    }
    subject_free(all, s);
}

/* Finds the subscription that a channel still has to wait for, or NULL. */
static struct subject *
missing_for(struct peal_adapter_subscriptions *all, struct peal_slice channel)
{
    struct subject *s = get_room(all, channel, FIND);

    if (s == NULL || s->missing == 0)
        s = get_namespace(all, peal_channel_nsp(channel), FIND);
    return s != NULL && s->missing > 0 ? s : NULL;
}

/* false: there is nothing to wait for; or no memory: told early rather than never. */
static bool
wait_for(struct peal_adapter_subscriptions *all, struct peal_slice channel)
{
    struct subject *s = missing_for(all, channel);
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
tell_waiting(struct peal_adapter_subscriptions *all, struct subject *s)
{
    struct waiting *list = s->waiting;

    s->waiting = NULL;
    for (const struct waiting *w = list; w != NULL; w = w->next) {
        struct peal_slice channel = peal_slice_of(w->channel, w->len);

        if (!wait_for(all, channel))
            all->confirmed(all->arg, channel);
    }
    free_waiting(&list);
}

static void
subject_retain(struct peal_adapter_subscriptions *all, struct subject *s)
{
    s->wanted++;
    if (all->up && !s->asked)
        subject_subscribe(all, s);
}

bool
peal_adapter_subscriptions_add(
    struct peal_adapter_subscriptions *all, struct peal_slice channel)
{
    struct subject *s = get_namespace(all, peal_channel_nsp(channel), MAKE);
    struct subject *room = get_room(all, channel, MAKE);

    if (s != NULL)
        subject_retain(all, s);
    if (room != NULL)
        subject_retain(all, room);
    return wait_for(all, channel);
}

static void
subject_release(struct peal_adapter_subscriptions *all, struct subject *s)
{
    if (s != NULL && s->wanted > 0 && --s->wanted == 0)
        subject_leave(all, s);
}

void
peal_adapter_subscriptions_remove(
    struct peal_adapter_subscriptions *all, struct peal_slice channel)
{
    subject_release(all, get_room(all, channel, FIND));
    subject_release(all, get_namespace(all, peal_channel_nsp(channel), FIND));
}

peal_err
peal_adapter_subscriptions_keep(
    struct peal_adapter_subscriptions *all, struct peal_slice nsp)
{
    struct subject *s = get_namespace(all, nsp, MAKE);

    if (s == NULL)
        return PEAL_ENOMEM;
    s->own = true;
    subject_retain(all, s);
    return PEAL_OK;
}

void
peal_adapter_subscriptions_up(struct peal_adapter_subscriptions *all)
{
    PEAL_ASSERT(!all->up);
    all->up = true;
    /* For want of memory the link may go down on the way. */
    for (struct peal_link *l = all->subjects.next; all->up && l != &all->subjects;
         l = l->next)
        subject_subscribe(all, PEAL_CONTAINER(l, struct subject, link));
}

void
peal_adapter_subscriptions_down(struct peal_adapter_subscriptions *all)
{
    struct peal_link *l, *next;

    all->up = false;
    all->complete = false;
    peal_stat_add(peal_loop_stats(all->loop), PEAL_STAT_ADAPTER_GAPS, 1);
    for (l = all->subjects.next; l != &all->subjects; l = l->next) {
        struct subject *s = PEAL_CONTAINER(l, struct subject, link);

        s->asked = false;
        s->missing = 0;
    }
    for (l = all->subjects.next; l != &all->subjects; l = next) {
        struct subject *s = PEAL_CONTAINER(l, struct subject, link);

        next = l->next;
        tell_waiting(all, s); /* no use in waiting longer */
        if (s->wanted == 0)
            subject_free(all, s);
    }
}

static bool
is_complete(const struct peal_adapter_subscriptions *all)
{
    for (struct peal_link *l = all->subjects.next; l != &all->subjects; l = l->next)
        if (PEAL_CONTAINER(l, struct subject, link)->missing > 0)
            return false;
    return true;
}

/* One topic less to wait for. true: nothing is missing any more, for the first time since
 * the link is up. */
static bool
settle(struct peal_adapter_subscriptions *all, struct subject *s)
{
    if (s == NULL || s->missing == 0 || --s->missing > 0)
        return false;
    tell_waiting(all, s);
    if (s->wanted == 0)
        subject_leave(all, s);
    if (all->complete || !is_complete(all))
        return false;
    all->complete = true;
    return true;
}

bool
peal_adapter_subscriptions_subscribed(
    struct peal_adapter_subscriptions *all, struct peal_slice topic)
{
    return settle(all, peal_map_get(&all->topics, topic));
}

/* Redis has refused a subscription: the relay tells the clients that wait for it, for
 * waiting longer would not help them. The next link subscribes again. */
bool
peal_adapter_subscriptions_refused(
    struct peal_adapter_subscriptions *all, struct peal_slice topic, const char *why)
{
    struct subject *s = peal_map_get(&all->topics, topic);

    if (s == NULL || !s->own)
        return settle(all, s);
    all->link->b.ops->restart(&all->link->b, why);
    return false;
}

void
peal_adapter_subscriptions_lost(
    struct peal_adapter_subscriptions *all, struct peal_slice topic)
{
    struct subject *s = peal_map_get(&all->topics, topic);

    if (s == NULL)
        return;
    peal_stat_add(peal_loop_stats(all->loop), PEAL_STAT_ADAPTER_GAPS, 1);
    s->missing += s->missing < s->n_topics; /* else it was not confirmed yet */
    all->link->b.ops->subscribe(&all->link->b, topic);
}

void
peal_adapter_subscriptions_init(struct peal_adapter_subscriptions *all,
    struct peal_loop *loop, struct peal_redis_pubsub *link, bool sharded,
    struct peal_slice key, peal_adapter_confirmed_fn *confirmed, void *arg)
{
    *all = (struct peal_adapter_subscriptions){ .loop = loop,
        .link = link,
        .sharded = sharded,
        .key = key,
        .confirmed = confirmed,
        .arg = arg };
    peal_list_init(&all->subjects);
    peal_map_init(&all->topics);
}

void
peal_adapter_subscriptions_fini(struct peal_adapter_subscriptions *all)
{
    while (!peal_list_empty(&all->subjects))
        subject_free(all, PEAL_CONTAINER(all->subjects.next, struct subject, link));
    PEAL_ASSERT(all->topics.n == 0);
    peal_map_fini(&all->topics);
    peal_buf_fini(&all->name);
}

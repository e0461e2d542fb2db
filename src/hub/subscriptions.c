/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions: the channels of a shard, their members, and the interest that a worker
 * shows to the others.
 *
 * A channel exists as long as it has a member. Its members are an array, so that a
 * fan-out walks through memory in order; a subscription knows its place in it, and the
 * last one fills the gap of one that leaves. The subscriptions of a session are a list,
 * whose first element is part of the session, since most sessions have only one.
 */
#include <stdlib.h>

#include "hub/outbox_priv.h"

/* The first subscriber of a channel with this hash makes the worker one that others post
 * to. */
static void
interest_add(struct peal_shard *sh, uint32_t hash)
{
    uint32_t slot = hash & (PEAL_INTEREST_SLOTS - 1);

    if (sh->interest[slot]++ == 0)
        atomic_fetch_or(&sh->hub->interest[slot], 1ull << sh->index);
}

static void
interest_drop(struct peal_shard *sh, uint32_t hash)
{
    uint32_t slot = hash & (PEAL_INTEREST_SLOTS - 1);

    PEAL_ASSERT(sh->interest[slot] > 0);
    if (--sh->interest[slot] == 0)
        atomic_fetch_and(&sh->hub->interest[slot], ~(1ull << sh->index));
}

static struct peal_channel *
channel_new(struct peal_shard *sh, struct peal_slice name)
{
    struct peal_channel *ch = calloc(1, sizeof(*ch) + name.len);

    if (ch == NULL)
        return NULL;
    memcpy(ch->name, name.data, name.len);
    ch->name_len = (uint32_t)name.len;
    ch->hash = peal_channel_hash(name);
    ch->like_id = peal_channel_address(name).len == PEAL_ID_LEN;
    ch->confirmed = sh->hub->relay == NULL;
    ch->asked = sh->n_batches_posted + 1;
    peal_list_init(&ch->waiters);
    if (peal_map_put(&sh->channels, peal_channel_slice(ch), ch) != PEAL_OK) {
        free(ch);
        return NULL;
    }
    if (!ch->confirmed && peal_outbox_subscribe(sh, name) != PEAL_OK) {
        peal_map_del(&sh->channels, peal_channel_slice(ch));
        free(ch);
        return NULL;
    }
    interest_add(sh, ch->hash);
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_CHANNELS, 1);
    return ch;
}

static void
channel_free(struct peal_shard *sh, struct peal_channel *ch)
{
    PEAL_ASSERT(ch->n == 0 && peal_list_empty(&ch->waiters));
    if (sh->hub->relay != NULL)
        peal_outbox_unsubscribe(sh, peal_channel_slice(ch));
    peal_map_del(&sh->channels, peal_channel_slice(ch));
    interest_drop(sh, ch->hash);
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_CHANNELS, -1);
    peal_fanout_free(sh, ch);
    free(ch->members);
    free(ch);
}

static peal_err
channel_add(struct peal_channel *ch, struct peal_sub *sub)
{
    if (ch->n == ch->cap) {
        uint32_t cap = ch->cap ? ch->cap + ch->cap / 2 + 1 : 2;
        struct peal_sub **members = realloc(ch->members, cap * sizeof(struct peal_sub *));

        if (members == NULL)
            return PEAL_ENOMEM;
        ch->members = members;
        ch->cap = cap;
    }
    sub->at = ch->n;
    ch->members[ch->n++] = sub;
    return PEAL_OK;
}

static struct peal_sub **
sub_find(struct peal_session *s, struct peal_slice channel)
{
    struct peal_sub **at = &s->subs;

    while (*at != NULL && !peal_slice_eq(peal_channel_slice((*at)->channel), channel))
        at = &(*at)->next;
    return at;
}

static struct peal_sub *
sub_new(struct peal_session *s)
{
    return s->first.channel == NULL ? &s->first : malloc(sizeof(struct peal_sub));
}

static void
sub_release(struct peal_session *s, struct peal_sub *sub)
{
    if (sub == &s->first)
        sub->channel = NULL;
    else
        free(sub);
}

bool
peal_session_is_subscribed(const struct peal_session *s, struct peal_slice channel)
{
    for (const struct peal_sub *sub = s->subs; sub != NULL; sub = sub->next)
        if (peal_slice_eq(peal_channel_slice(sub->channel), channel))
            return true;
    return false;
}

static peal_err
session_may_subscribe(const struct peal_session *s, struct peal_slice channel)
{
    unsigned max = s->n_subs_max ? s->n_subs_max : UINT16_MAX;

    if (channel.len == 0 || channel.len > PEAL_CHANNEL_NAME_MAX)
        return PEAL_ELIMIT;
    if (peal_session_is_subscribed(s, channel))
        return PEAL_EEXIST;
    if (s->n_subs >= max)
        return PEAL_ELIMIT;
    /* A session's id is its address, as a room of any namespace: a subscriber of that
     * name would read what is meant for the session alone. */
    if (peal_hub_is_address(s->shard->hub, channel))
        return PEAL_EPERM;
    return PEAL_OK;
}

peal_err
peal_session_subscribe(struct peal_session *s, struct peal_slice channel)
{
    struct peal_shard *sh = s->shard;
    struct peal_channel *ch;
    struct peal_sub *sub;
    peal_err err = session_may_subscribe(s, channel);

    PEAL_ASSERT_ON_LOOP(sh->loop);
    PEAL_ASSERT(!sh->delivering);
    if (err != PEAL_OK)
        return err;
    if ((sub = sub_new(s)) == NULL)
        return PEAL_ENOMEM;
    /* A message on several channels asks at delivery who is a member of which. */
    peal_session_catch_up(s);
    ch = peal_map_get(&sh->channels, channel);
    if (ch == NULL && (ch = channel_new(sh, channel)) == NULL) {
        sub_release(s, sub);
        return PEAL_ENOMEM;
    }
    *sub = (struct peal_sub){ .session = s, .channel = ch, .since = ch->seq };
    if (channel_add(ch, sub) != PEAL_OK) {
        if (ch->n == 0)
            channel_free(sh, ch);
        sub_release(s, sub);
        return PEAL_ENOMEM;
    }
    sub->next = s->subs;
    s->subs = sub;
    s->n_subs++;
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_SUBSCRIPTIONS, 1);
    return PEAL_OK;
}

/* Takes sub, which is off its session's list already, out of its channel. */
static void
sub_free(struct peal_shard *sh, struct peal_sub *sub)
{
    struct peal_channel *ch = sub->channel;
    struct peal_sub *last;

    PEAL_ASSERT_ON_LOOP(sh->loop);
    PEAL_ASSERT(!sh->delivering);
    peal_waiters_tell_gone(ch, sub->session);
    PEAL_ASSERT(sub->at < ch->n && ch->members[sub->at] == sub);
    peal_fanout_leave(sub);
    last = ch->members[--ch->n];
    ch->members[sub->at] = last;
    last->at = sub->at;
    sub->session->n_subs--;
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_SUBSCRIPTIONS, -1);
    sub_release(sub->session, sub);
    if (ch->n == 0)
        channel_free(sh, ch);
}

peal_err
peal_session_unsubscribe(struct peal_session *s, struct peal_slice channel)
{
    struct peal_sub **at = sub_find(s, channel), *sub = *at;

    if (sub == NULL)
        return PEAL_ENOTFOUND;
    /* Messages that were put off are delivered while the session is still a member. */
    peal_session_catch_up(s);
    *at = sub->next;
    sub_free(s->shard, sub);
    return PEAL_OK;
}

void
peal_session_fini(struct peal_session *s)
{
    struct peal_sub *sub;

    while ((sub = s->subs) != NULL) {
        s->subs = sub->next;
        sub_free(s->shard, sub);
    }
    PEAL_ASSERT(s->n_subs == 0 && s->n_waiters == 0);
    if (s->listed)
        peal_map_del(&s->shard->sessions, peal_session_id(s));
    s->listed = false;
    if (s->user != NULL)
        s->user->free(s->user);
    s->user = NULL;
}

uint64_t
peal_hub_interest(const struct peal_hub *h, uint32_t channel_hash)
{
    return atomic_load_explicit(
        &h->interest[channel_hash & (PEAL_INTEREST_SLOTS - 1)], memory_order_acquire);
}

struct peal_channel *
peal_shard_channel(struct peal_shard *sh, struct peal_slice name)
{
    struct peal_channel *ch = peal_map_get(&sh->channels, name);

    return ch == NULL || peal_channel_is_address(sh, ch) ? NULL : ch;
}

void
peal_shard_each_channel(
    struct peal_shard *sh, void (*fn)(void *arg, struct peal_slice channel), void *arg)
{
    const struct peal_channel *ch;

    for (size_t pos = 0; (ch = peal_map_next(&sh->channels, &pos)) != NULL;)
        if (ch->n > 0)
            fn(arg, peal_channel_slice(ch));
}

struct peal_slice
peal_sub_channel(const struct peal_sub *sub)
{
    return peal_channel_slice(sub->channel);
}

struct peal_slice
peal_session_channel(const struct peal_session *s)
{
    return s->subs == NULL ? peal_slice_of(NULL, 0)
                           : peal_channel_slice(s->subs->channel);
}

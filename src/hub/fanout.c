/* SPDX-License-Identifier: MIT */
/*
 * Fan-out: one message to every member of a channel.
 *
 * A message to a channel of any size waits for the end of the turn, with all others that
 * come for it until then: a member is touched once for all of them, while it is warm in
 * the cache, and its connection is written once. A turn has a budget of deliveries; what
 * does not fit goes on in the next turn from a cursor over the members. Small channels
 * are not worth the wait. What waits is counted, and publishers that are faster than the
 * fan-out are paused: see backlog.c.
 *
 * Membership stays exact: who leaves gets what was published before; who joins does not.
 * So does order: before something is sent to a session past its channels, it catches up.
 */
#include <stdlib.h>

#include "base/vec.h"
#include "hub/hub_priv.h"

/* Tells that no exclusion of m is a channel that a session here can be in. Mostly m
 * excludes its sender's id; then no subscriptions have to be looked through. */
static bool
msg_excludes_ids_only(struct peal_shard *sh, const struct peal_msg *m)
{
    for (unsigned i = 0; i < m->n_except; i++)
        if (peal_shard_channel(sh, m->except[i]) != NULL)
            return false;
    return true;
}

/* Tells whether s does not get m: it is excluded, or has m from an earlier channel. */
static bool
fanout_skips(
    const struct peal_session *s, const struct peal_msg *m, unsigned k, bool except_ids)
{
    for (unsigned i = 0; i < m->n_except; i++)
        if (except_ids ? peal_session_has_address(s, m->except[i])
                       : peal_session_is_named(s, m->except[i]))
            return true;
    for (unsigned i = 0; i < k; i++)
        if (peal_session_is_named(s, m->channels[i].name))
            return true;
    return false;
}

static inline bool
fanout_must_skip(
    const struct peal_session *s, const struct peal_msg *m, unsigned k, bool except_ids)
{
    return (m->n_except > 0 || k > 0) && fanout_skips(s, m, k, except_ids);
}

static inline unsigned
fanout_deliver(struct peal_session *s, struct peal_msg *m, unsigned k, bool except_ids)
{
    bool delivered;

    if (fanout_must_skip(s, m, k, except_ids))
        return 0;
    s->shard->delivering = true;
    delivered = s->ops->deliver(s, m, k);
    s->shard->delivering = false;
    return delivered;
}

/* Channels of this size, or less, are served at once, as long as the budget of a turn is
 * not used up by that. */
#define SMALL 8

/* Messages, and their bytes, that the cursor carries at a time: enough for one good write
 * to a connection. */
#define BATCH_MAX 1024
#define BATCH_BYTES_MAX (256u << 10)

void
peal_deliver_session(
    struct peal_shard *sh, struct peal_session *s, struct peal_msg *m, unsigned k)
{
    peal_session_catch_up(s);
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_DELIVERED,
        fanout_deliver(s, m, k, msg_excludes_ids_only(sh, m)));
}

void
peal_meant_for(struct peal_shard *sh, struct peal_msg *m,
    bool (*fn)(void *arg, struct peal_session *s, unsigned k), void *arg)
{
    bool except_ids = msg_excludes_ids_only(sh, m);

    for (unsigned k = 0; k < m->n_channels; k++) {
        struct peal_slice name = m->channels[k].name;
        const struct peal_channel *ch = peal_shard_channel(sh, name);
        struct peal_session *s = peal_session_find(sh, peal_channel_address(name));

        for (uint32_t i = 0; ch != NULL && i < ch->n; i++)
            if (!fanout_must_skip(ch->members[i]->session, m, k, except_ids) &&
                !fn(arg, ch->members[i]->session, k))
                return;
        if (s != NULL && !fanout_must_skip(s, m, k, except_ids) && !fn(arg, s, k))
            return;
    }
}

/* Says to publishers whether f is more than there should be: from the maximum on, until
 * half of it is gone. */
static void
fanout_mark_full(struct peal_shard *sh, struct peal_fanout *f)
{
    const struct peal_backlog_limits *max = &sh->hub->limits;
    bool over = f->n >= max->channel_messages || f->bytes >= max->channel_bytes;
    bool under = f->n <= max->channel_messages / 2 && f->bytes <= max->channel_bytes / 2;

    if (f->full ? !under : !over)
        return;
    f->full = over;
    peal_backlog_mark(sh, f->channel->hash, over);
}

/* Gives up the first n items. */
static void
fanout_drop_items(struct peal_shard *sh, struct peal_fanout *f, uint32_t n)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < n; i++) {
        bytes += peal_msg_weight(f->items[i].msg);
        peal_msg_release(f->items[i].msg);
    }
    if (f->n > n) /* else items may be NULL, which memmove must not be given */
        memmove(f->items, f->items + n, (f->n - n) * sizeof(*f->items));
    f->n -= n;
    f->bytes -= bytes;
    peal_backlog_sub(sh->hub, sh->index, bytes);
    fanout_mark_full(sh, f);
}

/* The cursor begins anew, with what has come meanwhile. */
static void
fanout_begin_batch(struct peal_fanout *f)
{
    size_t bytes = 0;

    f->cursor = 0;
    f->batch = 0;
    while (f->batch < f->n && f->batch < BATCH_MAX && bytes < BATCH_BYTES_MAX)
        bytes += peal_msg_weight(f->items[f->batch++].msg);
}

void
peal_fanout_free(struct peal_shard *sh, struct peal_channel *ch)
{
    struct peal_fanout *f = ch->fanout;

    if (f == NULL)
        return;
    fanout_drop_items(sh, f, f->n);
    peal_list_unlink(&f->link);
    free(f->items);
    free(f);
    ch->fanout = NULL;
}

/*
 * A member's `since` is compared with the numbers of messages by their difference, which
 * is right as long as it is less than 2^31 behind. So that this holds for members that
 * stay for ever, those that are far behind are drawn along once in 2^30 messages.
 */
static uint32_t
channel_next_seq(struct peal_channel *ch)
{
    if (++ch->seq % PEAL_SEQ_RENEW == 0)
        for (uint32_t i = 0; i < ch->n; i++)
            if (ch->seq - ch->members[i]->since > PEAL_SEQ_RENEW)
                ch->members[i]->since = ch->seq - PEAL_SEQ_RENEW;
    return ch->seq;
}

static peal_err
fanout_put_off(
    struct peal_shard *sh, struct peal_channel *ch, struct peal_msg *m, unsigned k)
{
    struct peal_fanout *f = ch->fanout;

    if (f == NULL) {
        if ((f = calloc(1, sizeof(*f))) == NULL)
            return PEAL_ENOMEM;
        f->channel = ch;
        ch->fanout = f;
        peal_list_append(&sh->fanouts, &f->link);
        peal_loop_again(sh->loop); /* it may be after the hook has run */
    }
    if (PEAL_GROW(f->items, f->cap, f->n + 1) != PEAL_OK) {
        if (f->n == 0)
            peal_fanout_free(sh, ch);
        return PEAL_ENOMEM;
    }
    f->items[f->n++] = (struct peal_fanout_item){ .msg = peal_msg_retain(m),
        .seq = channel_next_seq(ch),
        .k = (uint16_t)k,
        .except_ids = msg_excludes_ids_only(sh, m) };
    f->bytes += peal_msg_weight(m);
    fanout_mark_full(sh, f);
    return PEAL_OK;
}

/* Puts m off for a later turn. false: there is no memory to wait with. */
static bool
fanout_wait(
    struct peal_shard *sh, struct peal_channel *ch, struct peal_msg *m, unsigned k)
{
    struct peal_stats *stats = peal_shard_stats(sh);

    if (!peal_backlog_add(sh->hub, sh->index, peal_msg_weight(m), stats))
        return true;
    if (fanout_put_off(sh, ch, m, k) == PEAL_OK)
        return true;
    peal_backlog_sub(sh->hub, sh->index, peal_msg_weight(m));
    if (ch->fanout == NULL)
        return false;
    peal_stat_add(stats, PEAL_STAT_WORKER_LOST, 1); /* it must not overtake others */
    return true;
}

void
peal_deliver_channel(
    struct peal_shard *sh, struct peal_channel *ch, struct peal_msg *m, unsigned k)
{
    unsigned delivered = 0;
    bool except_ids;

    if ((ch->fanout != NULL || ch->n > SMALL || sh->at_once >= sh->turn_budget) &&
        fanout_wait(sh, ch, m, k))
        return;
    sh->at_once += ch->n;
    except_ids = msg_excludes_ids_only(sh, m);
    for (uint32_t i = 0; i < ch->n; i++) {
        peal_session_catch_up(ch->members[i]->session);
        delivered += fanout_deliver(ch->members[i]->session, m, k, except_ids);
    }
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_DELIVERED, delivered);
}

static unsigned
fanout_deliver_items(
    struct peal_sub *sub, const struct peal_fanout *f, uint32_t from, uint32_t to)
{
    unsigned delivered = 0;

    if (peal_channel_is_address(sub->session->shard, sub->channel))
        return 0; /* that was not known when it was put off */
    for (uint32_t i = from; i < to; i++) {
        const struct peal_fanout_item *x = &f->items[i];

        if ((int32_t)(x->seq - sub->since) > 0)
            delivered += fanout_deliver(sub->session, x->msg, x->k, x->except_ids);
    }
    return delivered;
}

/* Counts the messages that have not reached sub yet. */
static unsigned
fanout_deliver_rest(struct peal_sub *sub)
{
    const struct peal_fanout *f = sub->channel->fanout;

    return fanout_deliver_items(sub, f, sub->at < f->cursor ? f->batch : 0, f->n);
}

void
peal_session_catch_up(struct peal_session *s)
{
    unsigned delivered = 0;

    if (peal_list_empty(&s->shard->fanouts))
        return;
    for (struct peal_sub *sub = s->subs; sub != NULL; sub = sub->next) {
        if (sub->channel->fanout == NULL)
            continue;
        delivered += fanout_deliver_rest(sub);
        sub->since = sub->channel->seq;
    }
    peal_stat_add(peal_shard_stats(s->shard), PEAL_STAT_DELIVERED, delivered);
}

/* Asks the cache for the members to come: what they point to is spread all over. */
static void
fanout_prefetch(const struct peal_channel *ch, uint32_t at)
{
    if (at + 8 < ch->n)
        __builtin_prefetch(ch->members[at + 8]);
    if (at + 4 < ch->n)
        __builtin_prefetch(ch->members[at + 4]->session);
}

/* Carries batches to as many members as the budget allows. A batch that is as large as it
 * may be is the last one of the turn: connections are written before more comes. */
static void
fanout_advance(struct peal_shard *sh, struct peal_fanout *f)
{
    struct peal_channel *ch = f->channel;
    unsigned delivered = 0;
    bool large = false;

    PEAL_ASSERT(f->cursor <= ch->n && f->batch <= f->n);
    while (f->n > 0 && sh->left > 0 && !large) {
        if (f->cursor == 0)
            fanout_begin_batch(f);
        while (f->cursor < ch->n && sh->left > 0) {
            fanout_prefetch(ch, f->cursor);
            delivered += fanout_deliver_items(ch->members[f->cursor++], f, 0, f->batch);
            sh->left -= f->batch < sh->left ? f->batch : sh->left;
        }
        if (f->cursor < ch->n)
            break;
        large = f->batch < f->n;
        fanout_drop_items(sh, f, f->batch);
        f->cursor = f->batch = 0;
    }
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_DELIVERED, delivered);
    if (f->n == 0)
        peal_fanout_free(sh, ch);
    else if (sh->left == 0)
        peal_stat_add(peal_shard_stats(sh), PEAL_STAT_FANOUT_SLICED, 1);
}

bool
peal_fanout_turn(void *shard)
{
    struct peal_shard *sh = shard;
    struct peal_link waiting, *l;

    sh->left = sh->turn_budget;
    sh->at_once = 0;
    peal_list_move(&waiting, &sh->fanouts);
    while (sh->left > 0 && (l = peal_list_take(&waiting)) != NULL) {
        struct peal_fanout *f = PEAL_CONTAINER(l, struct peal_fanout, link);

        peal_list_append(&sh->fanouts, &f->link);
        fanout_advance(sh, f);
    }
    /* Channels take turns: those that were not reached are first in the next one. */
    while ((l = peal_list_take(&sh->fanouts)) != NULL)
        peal_list_append(&waiting, l);
    peal_list_move(&sh->fanouts, &waiting);
    if (sh->relieved) {
        sh->relieved = false;
        peal_publishers_resume(sh);
    }
    return !peal_list_empty(&sh->fanouts);
}

void
peal_fanout_leave(struct peal_sub *sub)
{
    struct peal_channel *ch = sub->channel;
    struct peal_fanout *f = ch->fanout;

    if (f == NULL)
        return;
    PEAL_ASSERT(f->cursor <= ch->n && ch->members[sub->at] == sub);
    if (sub->at < f->cursor) {
        /* The last of those who have the batch takes the place, and the place of that one
         * becomes the hole: nobody moves across the cursor. */
        struct peal_sub *last = ch->members[--f->cursor];

        ch->members[sub->at] = last;
        last->at = sub->at;
        ch->members[f->cursor] = sub;
        sub->at = f->cursor;
    }
}

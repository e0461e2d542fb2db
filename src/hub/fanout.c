/* SPDX-License-Identifier: MIT */
/*
 * Fan-out: one message to every member of a channel.
 *
 * A turn has a budget of deliveries. What fits is delivered at once, inside publish. What
 * does not fit is put off: the channel remembers messages and a cursor over its members,
 * and each later turn carries all messages of the batch to the next members, so that a
 * member gets them in one write. While something is put off, later messages queue behind
 * it: a channel never overtakes itself.
 *
 * Membership stays exact: who leaves gets what was published before; who joins does not.
 */
#include <assert.h>
#include <stdlib.h>

#include "hub/shard.h"

static bool
member_of(const struct peal_session *s, struct peal_slice name)
{
    for (const struct peal_sub *sub = s->subs; sub != NULL; sub = sub->next)
        if (peal_slice_eq(peal_channel_slice(sub->channel), name))
            return true;
    return false;
}

/* Is s kept from m, by an exclusion or because it has it from an earlier channel? */
static bool
skip(const struct peal_session *s, const struct peal_msg *m, unsigned k)
{
    for (unsigned i = 0; i < m->n_except; i++)
        if (peal_slice_eq(m->except[i], peal_session_id(s)) || member_of(s, m->except[i]))
            return true;
    for (unsigned i = 0; i < k; i++)
        if (member_of(s, m->channels[i].name) ||
            peal_slice_eq(m->channels[i].name, peal_session_id(s)))
            return true;
    return false;
}

static inline unsigned
deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    if ((m->n_except > 0 || k > 0) && skip(s, m, k))
        return 0;
    return s->ops->deliver(s, m, k);
}

void
peal_deliver_session(
    struct peal_shard *sh, struct peal_session *s, struct peal_msg *m, unsigned k)
{
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_DELIVERED, deliver(s, m, k));
}

static void
end_batch(struct peal_fanout *f, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        peal_msg_drop(f->items[i].msg);
    memmove(f->items, f->items + n, (f->n - n) * sizeof(*f->items));
    f->n -= n;
    f->batch = f->n; /* all that has come meanwhile travels together */
    f->cursor = 0;
}

void
peal_fanout_free(struct peal_channel *ch)
{
    struct peal_fanout *f = ch->fanout;

    if (f == NULL)
        return;
    for (uint32_t i = 0; i < f->n; i++)
        peal_msg_drop(f->items[i].msg);
    peal_list_unlink(&f->link);
    free(f->items);
    free(f);
    ch->fanout = NULL;
}

static peal_err
put_off(struct peal_shard *sh, struct peal_channel *ch, struct peal_msg *m, unsigned k)
{
    struct peal_fanout *f = ch->fanout;

    if (f == NULL) {
        if ((f = calloc(1, sizeof(*f))) == NULL)
            return PEAL_ENOMEM;
        f->channel = ch;
        ch->fanout = f;
        peal_list_append(&sh->fanouts, &f->link);
    }
    if (f->n == f->cap) {
        uint32_t cap = f->cap ? f->cap * 2 : 4;
        struct peal_fanout_item *items = realloc(f->items, cap * sizeof(*items));

        if (items == NULL) {
            if (f->n == 0)
                peal_fanout_free(ch);
            return PEAL_ENOMEM;
        }
        f->items = items;
        f->cap = cap;
    }
    f->items[f->n++] = (struct peal_fanout_item){ peal_msg_hold(m), k, ++ch->seq };
    if (f->cursor == 0) /* not yet under way: it can still join the batch */
        f->batch = f->n;
    return PEAL_OK;
}

void
peal_deliver_channel(
    struct peal_shard *sh, struct peal_channel *ch, struct peal_msg *m, unsigned k)
{
    unsigned delivered = 0;

    if (ch->fanout != NULL || ch->n > sh->left) {
        peal_stat_add(peal_shard_stats(sh), PEAL_STAT_FANOUT_SLICED, 1);
        if (put_off(sh, ch, m, k) == PEAL_OK || ch->fanout != NULL)
            return;
        /* No memory to wait with: delivering at once is late for others but loses
         * nothing. */
    }
    sh->left -= ch->n < sh->left ? ch->n : sh->left;
    for (uint32_t i = 0; i < ch->n; i++)
        delivered += deliver(ch->members[i]->session, m, k);
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_DELIVERED, delivered);
}

static unsigned
deliver_items(
    struct peal_sub *sub, const struct peal_fanout *f, uint32_t from, uint32_t to)
{
    unsigned delivered = 0;

    for (uint32_t i = from; i < to; i++)
        if ((int32_t)(f->items[i].seq - sub->since) > 0)
            delivered += deliver(sub->session, f->items[i].msg, f->items[i].k);
    return delivered;
}

/* Carry the batch to as many members as the budget allows. */
static void
advance(struct peal_shard *sh, struct peal_fanout *f)
{
    struct peal_channel *ch = f->channel;
    unsigned delivered = 0;

    while (f->n > 0 && sh->left > 0) {
        if (f->cursor >= ch->n) {
            end_batch(f, f->batch);
            continue;
        }
        delivered += deliver_items(ch->members[f->cursor++], f, 0, f->batch);
        sh->left -= f->batch < sh->left ? f->batch : sh->left;
    }
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_DELIVERED, delivered);
    if (f->n == 0)
        peal_fanout_free(ch);
}

bool
peal_fanout_turn(void *shard)
{
    struct peal_shard *sh = shard;
    struct peal_link *l;

    /* The turn's own publishes have spent from the same budget; a new one begins here, so
     * that put-off work goes on however busy publishers are. */
    sh->left = sh->turn_budget;
    while (sh->left > 0 && (l = peal_list_take(&sh->fanouts)) != NULL) {
        struct peal_fanout *f = PEAL_CONTAINER(l, struct peal_fanout, link);

        peal_list_append(&sh->fanouts, &f->link); /* to the end: channels take turns */
        advance(sh, f);
    }
    sh->left = sh->turn_budget;
    return !peal_list_empty(&sh->fanouts);
}

void
peal_fanout_leave(struct peal_shard *sh, struct peal_sub *sub, bool may_deliver)
{
    struct peal_channel *ch = sub->channel;
    struct peal_fanout *f = ch->fanout;
    unsigned delivered;

    if (f == NULL)
        return;
    if (may_deliver) {
        delivered = deliver_items(sub, f, sub->at < f->cursor ? f->batch : 0, f->n);
        peal_stat_add(peal_shard_stats(sh), PEAL_STAT_DELIVERED, delivered);
    }
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

/* SPDX-License-Identifier: MIT */
/*
 * Waiting until a channel is subscribed on the backplane: only then is a client told that
 * it is subscribed, or has an event acknowledged that may have subscribed it.
 *
 * Waiters are on a list of the channel, and counted for their session and, in
 * bytes, for the shard (backlog.c). The relay confirms a channel; it also does so when
 * there is no use in waiting, because the link is down.
 */
#include <stdlib.h>

#include "hub/outbox_priv.h"

static peal_err
channel_await(
    struct peal_channel *ch, struct peal_session *s, peal_confirmed_fn *fn, void *arg)
{
    struct peal_waiter *w;

    if (ch->confirmed)
        return PEAL_OK;
    if (s->n_waiters == UINT16_MAX || (w = malloc(sizeof(*w))) == NULL)
        return PEAL_ENOMEM;
    *w = (struct peal_waiter){ .session = s, .fn = fn, .arg = arg };
    peal_list_append(&ch->waiters, &w->link);
    s->n_waiters++;
    peal_shard_held_add(s->shard, sizeof(*w));
    return PEAL_EAGAIN;
}

peal_err
peal_session_await_subscribed(
    struct peal_session *s, struct peal_slice channel, peal_confirmed_fn *fn, void *arg)
{
    for (struct peal_sub *sub = s->subs; sub != NULL; sub = sub->next)
        if (peal_slice_eq(peal_channel_slice(sub->channel), channel))
            return channel_await(sub->channel, s, fn, arg);
    return PEAL_ENOTFOUND;
}

peal_err
peal_session_await_all_subscribed(
    struct peal_session *s, peal_confirmed_fn *fn, void *arg)
{
    for (struct peal_sub *sub = s->subs; sub != NULL; sub = sub->next)
        if (!sub->channel->confirmed)
            return channel_await(sub->channel, s, fn, arg);
    return PEAL_OK;
}

bool
peal_session_all_subscribed(const struct peal_session *s)
{
    for (const struct peal_sub *sub = s->subs; sub != NULL; sub = sub->next)
        if (!sub->channel->confirmed)
            return false;
    return true;
}

/* Takes w off its channel's list and tells it. Its function may do anything, so nothing
 * that was known before holds after it. */
static void
waiter_tell(struct peal_waiter *w, bool gone)
{
    struct peal_waiter told = *w;

    PEAL_ASSERT(told.session->n_waiters > 0);
    peal_list_unlink(&w->link);
    free(w);
    told.session->n_waiters--;
    peal_shard_held_sub(told.session->shard, sizeof(told));
    told.fn(told.arg, gone);
}

static struct peal_waiter *
waiter_find(const struct peal_channel *ch, const struct peal_session *s)
{
    for (struct peal_link *l = ch->waiters.next; l != &ch->waiters; l = l->next) {
        struct peal_waiter *w = PEAL_CONTAINER(l, struct peal_waiter, link);

        if (w->session == s)
            return w;
    }
    return NULL;
}

void
peal_waiters_tell_gone(struct peal_channel *ch, const struct peal_session *s)
{
    struct peal_waiter *w;

    while (s->n_waiters > 0 && (w = waiter_find(ch, s)) != NULL)
        waiter_tell(w, true);
}

void
peal_shard_confirm(struct peal_shard *sh, struct peal_slice channel, uint64_t n_heard)
{
    struct peal_channel *ch = peal_map_get(&sh->channels, channel);

    if (ch == NULL || ch->asked > n_heard)
        return;
    ch->confirmed = true;
    while ((ch = peal_map_get(&sh->channels, channel)) != NULL && ch->confirmed &&
           !peal_list_empty(&ch->waiters))
        waiter_tell(PEAL_CONTAINER(ch->waiters.next, struct peal_waiter, link), false);
}

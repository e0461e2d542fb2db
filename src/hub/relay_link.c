/* SPDX-License-Identifier: MIT */
/*
 * The relay's link: what the backplane says of itself and of topics. The link counts as
 * up when all that was wanted at its beginning is subscribed; before that a node would
 * seem to hear what it does not.
 */
#include "hub/relay_priv.h"

static void
link_look_if_up(struct peal_relay *r)
{
    if (!r->connected || r->n_needed > 0 || peal_relay_up(r))
        return;
    atomic_store_explicit(&r->up, true, memory_order_relaxed);
    r->events->up(r->arg);
}

static void
link_on_up(void *arg)
{
    struct peal_relay *r = arg;

    if (peal_relay_want_own_topics(r) != PEAL_OK) {
        r->backplane->ops->restart(r->backplane, "out of memory");
        return;
    }
    r->connected = true;
    peal_relay_topics_ask(r);
}

static void
link_on_down(void *arg)
{
    struct peal_relay *r = arg;
    bool was_up = peal_relay_up(r);

    r->connected = false;
    atomic_store_explicit(&r->up, false, memory_order_relaxed);
    atomic_store_explicit(&r->backed, 0, memory_order_relaxed);
    peal_relay_topics_off(r);
    if (was_up && r->events->down != NULL)
        r->events->down(r->arg);
}

static void
link_on_subscribed(void *arg, struct peal_slice topic)
{
    struct peal_relay *r = arg;

    peal_relay_topic_on(r, topic);
    link_look_if_up(r);
}

static void
link_on_lost(void *arg, struct peal_slice topic)
{
    peal_relay_topic_lost(arg, topic);
}

static void
link_on_refused(void *arg, struct peal_slice topic, const char *why)
{
    struct peal_relay *r = arg;

    if (peal_relay_topic_refused(r, topic))
        link_look_if_up(r);
    else
        r->backplane->ops->restart(r->backplane, why);
}

static void
link_on_message(void *arg, struct peal_slice topic, struct peal_slice payload)
{
    peal_relay_on_payload(arg, topic, payload);
}

const struct peal_backplane_events peal_relay_backplane_events = { .up = link_on_up,
    .down = link_on_down,
    .subscribed = link_on_subscribed,
    .lost = link_on_lost,
    .refused = link_on_refused,
    .message = link_on_message };

void
peal_relay_renumber(struct peal_relay *r)
{
    peal_relay_renumber_topic(r, r->node);
    r->node = r->hub->node;
    peal_batches_renumber(&r->batches, r->node);
    r->backplane->ops->restart(r->backplane, "this node has another number");
}

void
peal_relay_restart(struct peal_relay *r, const char *why)
{
    r->backplane->ops->restart(r->backplane, why);
}

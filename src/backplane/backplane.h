/* SPDX-License-Identifier: MIT */
/*
 * Backplanes: what carries payloads between nodes. A payload is published on a topic, and
 * every node that has subscribed to the topic gets it, the publisher's too, once and in
 * the order of each publisher (over all topics, unless they live in different places).
 * Nothing is kept: who is not subscribed at that moment, or not connected, does not get
 * it.
 *
 * A backplane knows nothing of what it carries, and keeps no list of subscriptions:
 * whoever uses it says everything again each time that it comes up.
 *
 * Thread: everything, events too, on the loop it was made with.
 */
#ifndef PEAL_BACKPLANE_BACKPLANE_H
#define PEAL_BACKPLANE_BACKPLANE_H

#include "base/slice.h"
#include "io/loop.h"

struct peal_backplane;

/* The rows of base/stats.h in which a backplane counts, so that two links of one node are
 * told apart. */
struct peal_backplane_counters {
    enum peal_stat connects;       /* times that the link was made */
    enum peal_stat topics_refused; /* subscriptions that were refused */
    enum peal_stat refused;        /* payloads that were refused */
    enum peal_stat unanswered; /* payloads that the link had not answered at its end */
};

/* What happens; arg is what peal_backplane_start was given. Slices are borrowed. */
struct peal_backplane_events {
    /* It can carry. Nothing is subscribed. */
    void (*up)(void *arg);
    /* It cannot, and is being mended. What was subscribed is not any more. */
    void (*down)(void *arg);
    /* A subscription, to a topic or a pattern, holds from now on: no payload published
     * after this is missed. */
    void (*subscribed)(void *arg, struct peal_slice topic);
    /* A subscription was taken away by the other side: ask for it again. */
    void (*lost)(void *arg, struct peal_slice topic);
    /* A subscription was refused (no permission, for example): nothing of this topic will
     * come. Others are not touched. The backplane has counted it. why: as the other side
     * says it; terminated. */
    void (*refused)(void *arg, struct peal_slice topic, const char *why);
    void (*message)(void *arg, struct peal_slice topic, struct peal_slice payload);
};

struct peal_payload {
    struct peal_slice topic, bytes;
};

struct peal_backplane_ops {
    const char *name;
    void (*start)(struct peal_backplane *b);
    /* These are for when it is up, and do nothing otherwise. Everything of a turn leaves
     * in one write. */
    void (*subscribe)(struct peal_backplane *b, struct peal_slice topic);
    void (*unsubscribe)(struct peal_backplane *b, struct peal_slice topic);
    /* The same for all topics that a pattern of Redis (glob) finds; NULL: it has none. */
    void (*subscribe_pattern)(struct peal_backplane *b, struct peal_slice pattern);
    void (*unsubscribe_pattern)(struct peal_backplane *b, struct peal_slice pattern);
    void (*publish)(
        struct peal_backplane *b, const struct peal_payload *list, unsigned n);
    /* Bytes that wait to be taken by the other side. */
    size_t (*queued)(const struct peal_backplane *b);
    /* What is published does not come back: begin again with a new connection. */
    void (*restart)(struct peal_backplane *b, const char *why);
    void (*free)(struct peal_backplane *b);
};

/* Implementations begin with this. */
struct peal_backplane {
    const struct peal_backplane_ops *ops;
    const struct peal_backplane_events *events;
    void *arg;
};

/* peal_backplane_start connects, for ever: events follow. events and arg are kept. */
static inline void
peal_backplane_start(
    struct peal_backplane *b, const struct peal_backplane_events *events, void *arg)
{
    b->events = events;
    b->arg = arg;
    b->ops->start(b);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The subscriptions of the adapter. A namespace is shared as soon as somebody has joined
 * one of its channels, and those that are kept always: from then on other servers count
 * this node and wait for its answers. In the sharded dialect a room has a channel of its
 * own.
 *
 * Thread: the control loop's.
 */
#ifndef PEAL_ADAPTER_SUBSCRIPTIONS_H
#define PEAL_ADAPTER_SUBSCRIPTIONS_H

#include "backplane/redis_pubsub.h"
#include "base/list.h"
#include "base/map.h"

/* A channel waits for nothing any more. */
typedef void peal_adapter_confirmed_fn(void *arg, struct peal_slice channel);

struct peal_adapter_subscriptions {
    struct peal_loop *loop;
    struct peal_redis_pubsub *link;
    bool sharded;
    struct peal_slice key;
    peal_adapter_confirmed_fn *confirmed;
    void *arg;
    bool up; /* the link is */
    /* All is subscribed that was wanted when the link came, or was refused. Any thread
     * may read it. */
    _Atomic bool complete;
    struct peal_link subjects;
    struct peal_map topics; /* channel or pattern of Redis -> its subject */
    struct peal_buf name;   /* scratch of look-ups */
};

/* All is kept. key: what channels of Redis begin with. */
void peal_adapter_subscriptions_init(struct peal_adapter_subscriptions *s,
    struct peal_loop *loop, struct peal_redis_pubsub *link, bool sharded,
    struct peal_slice key, peal_adapter_confirmed_fn *confirmed, void *arg);
void peal_adapter_subscriptions_fini(struct peal_adapter_subscriptions *s);

/* peal_adapter_subscriptions_keep subscribes to a namespace for good: without it this is
 * no server among the others. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_adapter_subscriptions_keep(
    struct peal_adapter_subscriptions *s, struct peal_slice nsp);

/* A channel of ours has its first subscriber here, or its last one has gone. true: it has
 * to wait, and will be confirmed. */
bool peal_adapter_subscriptions_add(
    struct peal_adapter_subscriptions *s, struct peal_slice channel);
void peal_adapter_subscriptions_remove(
    struct peal_adapter_subscriptions *s, struct peal_slice channel);

/* The link reports its events here. true: s is complete now, for the first time since the
 * link is up. */
void peal_adapter_subscriptions_up(struct peal_adapter_subscriptions *s);
void peal_adapter_subscriptions_down(struct peal_adapter_subscriptions *s);
bool peal_adapter_subscriptions_subscribed(
    struct peal_adapter_subscriptions *s, struct peal_slice topic);
bool peal_adapter_subscriptions_refused(
    struct peal_adapter_subscriptions *s, struct peal_slice topic, const char *why);
void peal_adapter_subscriptions_lost(
    struct peal_adapter_subscriptions *s, struct peal_slice topic);

#endif

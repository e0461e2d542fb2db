/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions that were sent on a listening connection and are not answered yet, oldest
 * first. Redis answers the commands of a connection in their order, and an error does not
 * name the topic that it is about: it is about the oldest one.
 *
 * A topic is on such a list at most twice, subscribed and unsubscribed, so that the list
 * is bounded by the topics of its user; a connection whose answers stay away is ended.
 *
 * Thread: the loop's.
 */
#ifndef PEAL_BACKPLANE_REDIS_PENDING_H
#define PEAL_BACKPLANE_REDIS_PENDING_H

#include "base/list.h"
#include "base/slice.h"

enum peal_redis_change {
    PEAL_REDIS_SUBSCRIBE,
    PEAL_REDIS_UNSUBSCRIBE,
    PEAL_REDIS_PSUBSCRIBE,
    PEAL_REDIS_PUNSUBSCRIBE
};

struct peal_redis_pending {
    struct peal_link link;
    enum peal_redis_change change;
    unsigned slot, hops; /* of a topic in a cluster: how often it was redirected */
    uint32_t len;
    char topic[];
};

/* peal_redis_pending_add appends an entry; topic is copied. NULL: out of memory. */
struct peal_redis_pending *peal_redis_pending_add(
    struct peal_link *list, enum peal_redis_change change, struct peal_slice topic);

static inline struct peal_slice
peal_redis_pending_topic(const struct peal_redis_pending *p)
{
    return peal_slice_of(p->topic, p->len);
}

/* peal_redis_pending_first is the oldest entry, which stays on the list; or NULL. */
struct peal_redis_pending *peal_redis_pending_first(const struct peal_link *list);

/* peal_redis_pending_answer removes the oldest entry if a reply is the answer to it.
 * false: it is not; Redis takes subscriptions away by itself, too. */
bool peal_redis_pending_answer(
    struct peal_link *list, enum peal_redis_change change, struct peal_slice topic);

/* peal_redis_pending_remove unlinks and frees one. NULL is fine. */
void peal_redis_pending_remove(struct peal_redis_pending *p);

/* peal_redis_pending_clear removes all. */
void peal_redis_pending_clear(struct peal_link *list);

/*
 * peal_redis_dooms: this error on a listening connection says that the whole connection
 * is of no use. Any other one is about a single topic.
 */
bool peal_redis_dooms(struct peal_slice error);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One master of a Redis Cluster: a connection that publishes, one that listens, and the
 * commands that were sent on both and are not answered yet. Payloads are kept until then,
 * to be sent elsewhere if their slot has moved.
 *
 * Commands that are given before the connections are greeted wait for that.
 *
 * Thread: the loop's.
 */
#ifndef PEAL_BACKPLANE_REDIS_MEMBER_H
#define PEAL_BACKPLANE_REDIS_MEMBER_H

#include "backplane/redis_conn.h"
#include "backplane/redis_pending.h"
#include "backplane/redis_slots.h"

struct peal_redis_member;

/* Events of a member. Each of these functions may free it. Everything is borrowed for the
 * call. */
struct peal_redis_member_ops {
    /* Both connections are greeted. */
    void (*ready)(void *arg);
    /* It is of no use any more: free it. */
    void (*failed)(void *arg, struct peal_redis_member *m, const char *why);
    void (*subscribed)(void *arg, struct peal_slice topic);
    void (*lost)(void *arg, struct peal_slice topic);
    void (*message)(void *arg, struct peal_slice topic, struct peal_slice payload);
    /* A subscription was refused. */
    void (*topic_refused)(void *arg, struct peal_slice topic, const char *why);
    /* Redis answered MOVED: the slot of what was to be changed is elsewhere. */
    void (*redirected)(void *arg, struct peal_redis_member *m,
        const struct peal_redis_range *to, const struct peal_redis_pending *what);
    /* The same for a payload: the bytes of its command; hops: how often it was redirected
     * before. */
    void (*moved)(void *arg, struct peal_redis_member *m,
        const struct peal_redis_range *to, struct peal_blob *command, unsigned hops);
    /* A payload was not taken. */
    void (*refused)(void *arg, const char *why);
    /* The answer to peal_redis_member_ask. */
    void (*slots)(void *arg, struct peal_redis_member *m, const redisReply *reply);
};

struct peal_redis_sent;

struct peal_redis_member {
    struct peal_link link; /* of the cluster that has it */
    struct peal_loop *loop;
    const struct peal_redis_member_ops *ops;
    void *arg;
    struct peal_redis_conn_config config;
    struct peal_redis_conn *in, *out;
    bool in_ready, out_ready;
    bool has_slots; /* as the last map of the cluster has it */
    bool leaving;   /* a map says that it has none, and it is to be asked itself */
    struct peal_redis_sent *sent; /* a ring, oldest first */
    unsigned head, n, cap;
    size_t held;              /* bytes of them that wait for the greeting */
    struct peal_link pending; /* subscriptions without an answer, oldest first */
    int64_t subscriptions;
    uint16_t port;
    char host[PEAL_REDIS_HOST_MAX];
};

/*
 * peal_redis_member_new dials.
 *   config  all but host and port; copied, what it points to is kept
 *   host    copied
 *   ops, arg  kept
 *
 * Errors: PEAL_ENOMEM, PEAL_EIO, PEAL_EINVAL.
 */
PEAL_MUST_USE peal_err peal_redis_member_new(struct peal_loop *loop,
    const struct peal_redis_conn_config *config, struct peal_slice host, uint16_t port,
    const struct peal_redis_member_ops *ops, void *arg, struct peal_redis_member **out);
void peal_redis_member_free(struct peal_redis_member *m);

static inline bool
peal_redis_member_ready(const struct peal_redis_member *m)
{
    return m->in_ready && m->out_ready;
}

/* peal_redis_member_publish sends a command (retained) about a slot. hops: how often it
 * was redirected. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_redis_member_publish(
    struct peal_redis_member *m, struct peal_blob *command, unsigned slot, unsigned hops);

/* peal_redis_member_publishes: a payload of this slot waits for its answer. */
bool peal_redis_member_publishes(const struct peal_redis_member *m, unsigned slot);

/* peal_redis_member_keep_slots makes this member the owner of each slot of which a
 * payload waits for its answer here. Returns whether the map had another owner for one of
 * them. */
bool peal_redis_member_keep_slots(
    struct peal_redis_member *m, struct peal_redis_member *owner[PEAL_REDIS_SLOTS]);

/*
 * peal_redis_member_hand_over sends to another member the payloads of a slot that were
 * sent here and are not answered. The slot is not here any more, so Redis has taken none
 * of them; and payloads that are published from now on must not overtake them. Returns
 * how many could not be sent, for want of memory.
 */
unsigned peal_redis_member_hand_over(
    struct peal_redis_member *m, unsigned slot, struct peal_redis_member *to);

/* hops: how often this topic was redirected. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_redis_member_subscribe(
    struct peal_redis_member *m, struct peal_slice topic, unsigned slot, unsigned hops);
PEAL_MUST_USE peal_err peal_redis_member_unsubscribe(
    struct peal_redis_member *m, struct peal_slice topic, unsigned slot, unsigned hops);

/* peal_redis_member_ask asks for the map of slots. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_redis_member_ask(struct peal_redis_member *m);

/* Bytes not yet taken by the system. */
size_t peal_redis_member_queued(const struct peal_redis_member *m);

/* Payloads that were not answered. */
uint64_t peal_redis_member_unanswered(const struct peal_redis_member *m);

/* Nothing is subscribed, and nothing is to be answered. */
bool peal_redis_member_idle(const struct peal_redis_member *m);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Pub/sub of a Redis as it is, for those who share its channels with programs of other
 * makers (the Socket.IO adapter): a backplane whose topics are channels of Redis by their
 * own names, and in the classic dialect patterns of them, too. What is said in
 * backplane.h of topics is true of patterns: they are confirmed, refused and lost with
 * the pattern as their name.
 */
#ifndef PEAL_BACKPLANE_REDIS_PUBSUB_H
#define PEAL_BACKPLANE_REDIS_PUBSUB_H

#include "backplane/backplane.h"

struct peal_redis_pubsub;

enum peal_redis_dialect {
    PEAL_REDIS_CLASSIC,
    PEAL_REDIS_SHARDED /* Redis 7: a channel lives in a slot; there are no patterns */
};

typedef void peal_redis_pattern_fn(
    struct peal_redis_pubsub *p, struct peal_slice pattern);

struct peal_redis_pubsub_ops {
    /* For all channels that a pattern of Redis (glob) finds. Classic dialect only. */
    peal_redis_pattern_fn *subscribe_pattern;
    peal_redis_pattern_fn *unsubscribe_pattern;
};

/* Implementations begin with this. */
struct peal_redis_pubsub {
    struct peal_backplane b; /* first */
    const struct peal_redis_pubsub_ops *ops;
};

/* peal_redis_pubsub_check: why there is no pub/sub in this dialect at a URL that is right
 * as a backplane, as static English, or NULL. */
const char *peal_redis_pubsub_check(const char *url, enum peal_redis_dialect dialect);

/* peal_redis_pubsub_open is peal_backplane_open for a URL of Redis. End it with
 * peal_redis_pubsub_free. */
PEAL_MUST_USE peal_err peal_redis_pubsub_open(const struct peal_backplane_config *config,
    enum peal_redis_dialect dialect, struct peal_redis_pubsub **out,
    struct peal_buf *why);
void peal_redis_pubsub_free(struct peal_redis_pubsub **pp);

#endif

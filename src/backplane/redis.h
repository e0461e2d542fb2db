/* SPDX-License-Identifier: MIT */
/*
 * Redis (or Valkey) as the backplane: topics are channels of its pub/sub. Two
 * connections, one that publishes and one that listens; a failure of either ends both,
 * and both are made again, for ever, with a jittered pause between attempts and a
 * deadline on each. Of a Redis Cluster the sharded kind has two connections to each
 * master, see redis_cluster.h.
 */
#ifndef PEAL_BACKPLANE_REDIS_H
#define PEAL_BACKPLANE_REDIS_H

#include "backplane/backplane.h"
#include "backplane/redis_url.h"

/*
 * peal_redis_new prepares; nothing is connected before peal_backplane_start.
 *   loop  kept
 *   url   taken; left empty
 *   sharded  topics are channels of its sharded pub/sub (Redis 7), which has no patterns
 *   name  how its connections call themselves (CLIENT SETNAME); copied
 *   counters  kept
 *
 * Errors: PEAL_ENOMEM; PEAL_EINVAL: why says what cannot be (a certificate).
 */
PEAL_MUST_USE peal_err peal_redis_new(struct peal_loop *loop, struct peal_redis_url *url,
    bool sharded, const char *name, const struct peal_backplane_counters *counters,
    struct peal_backplane **out, struct peal_buf *why);

#endif

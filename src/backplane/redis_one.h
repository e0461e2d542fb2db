/* SPDX-License-Identifier: MIT */
/*
 * One Redis (or Valkey), or whichever Sentinels say the master is: topics are channels of
 * its pub/sub. Two connections, one that publishes and one that listens; a failure of
 * either ends both, and both are made again, for ever, with a jittered pause between
 * attempts and a deadline on each.
 */
#ifndef PEAL_BACKPLANE_REDIS_ONE_H
#define PEAL_BACKPLANE_REDIS_ONE_H

#include "backplane/redis_pubsub.h"
#include "backplane/redis_url.h"

/*
 * peal_redis_one_new prepares; nothing is connected before peal_backplane_start.
 *   config  all but url
 *   url     taken; left empty
 * Errors: PEAL_ENOMEM; PEAL_EINVAL: why says what cannot be (a certificate).
 */
PEAL_MUST_USE peal_err peal_redis_one_new(const struct peal_backplane_config *config,
    struct peal_redis_url *url, enum peal_redis_dialect dialect,
    struct peal_redis_pubsub **out, struct peal_buf *why);

#endif

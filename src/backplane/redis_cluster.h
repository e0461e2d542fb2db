/* SPDX-License-Identifier: MIT */
/*
 * A Redis Cluster (7.0 or later) as the backplane: topics are channels of its sharded
 * pub/sub, each of which lives on the master that serves its slot. So a payload visits
 * one master, and more masters carry more.
 *
 * Two connections to each master. It is up when all masters that have slots are greeted;
 * when one of them is lost all begin again, as with one Redis. A slot that moves is
 * followed without that: the cluster takes its subscriptions away, which is told, and
 * answers its payloads with the new place, where they are sent once more.
 */
#ifndef PEAL_BACKPLANE_REDIS_CLUSTER_H
#define PEAL_BACKPLANE_REDIS_CLUSTER_H

#include "backplane/redis_pubsub.h"
#include "backplane/redis_url.h"

/* As peal_redis_one_new; the dialect is the sharded one. */
PEAL_MUST_USE peal_err peal_redis_cluster_new(const struct peal_backplane_config *config,
    struct peal_redis_url *url, struct peal_redis_pubsub **out, struct peal_buf *why);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The slots of a Redis Cluster: which one a topic falls into, and replies that tell which
 * master serves which. Pure functions; results point into the arguments.
 */
#ifndef PEAL_BACKPLANE_REDIS_SLOTS_H
#define PEAL_BACKPLANE_REDIS_SLOTS_H

#include <hiredis/hiredis.h>

#include "base/slice.h"

#define PEAL_REDIS_SLOTS 16384
#define PEAL_REDIS_HOST_MAX                                                              \
    256 /* bytes of a host's name or address, its zero included                          \
         */

/* peal_redis_slot is CRC16 (XMODEM) of a name, or of what stands between the first { and
 * the next }, if anything does. */
unsigned peal_redis_slot(struct peal_slice name);

/* Slots in a row that one master serves. */
struct peal_redis_range {
    unsigned first, last;
    struct peal_slice host; /* empty: the one that sent the reply */
    uint16_t port;
};

/* peal_redis_range_read reads an element of the reply to CLUSTER SLOTS. false: it is
 * none. */
bool peal_redis_range_read(const redisReply *row, struct peal_redis_range *out);

/* peal_redis_moved_read reads the error "MOVED <slot> <host>:<port>", as a range of one
 * slot. false: it is another one. */
bool peal_redis_moved_read(struct peal_slice error, struct peal_redis_range *out);

#endif

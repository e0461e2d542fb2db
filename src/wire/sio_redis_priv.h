/* SPDX-License-Identifier: MIT */
/* The numbers of the Redis wire's message types, for those who read and write them. */
#ifndef PEAL_WIRE_SIO_REDIS_PRIV_H
#define PEAL_WIRE_SIO_REDIS_PRIV_H

#include "wire/sio_redis.h"

/* A message type that a dialect has no number for. The classic one tells most answers by
 * their fields. */
#define PEAL_SIO_REDIS_NO_TYPE 255

struct peal_sio_redis_type {
    uint8_t classic, sharded;
    /* The request id: a broadcast has one on the classic request channel. */
    enum {
        PEAL_SIO_REDIS_NO_ID,
        PEAL_SIO_REDIS_MAY_ID,
        PEAL_SIO_REDIS_ID
    } id;
};

/* One for each op. A classic 6 is a request or an answer, depending on the channel. */
extern const struct peal_sio_redis_type peal_sio_redis_types[PEAL_SIO_REDIS_OPS];

static inline bool
peal_sio_redis_is_answer(enum peal_sio_redis_op op)
{
    return op >= PEAL_SIO_REDIS_SOCKETS;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The way out of the adapter: who this cluster is among the Socket.IO servers, and
 * messages on the channels that are meant for them.
 *
 * Nothing is sent that a Node server could not read. What cannot be written, or finds the
 * link down or too slow, is counted.
 *
 * Thread: the control loop's.
 */
#ifndef PEAL_ADAPTER_SENDER_H
#define PEAL_ADAPTER_SENDER_H

#include "backplane/redis_pubsub.h"
#include "wire/sio_redis.h"

#define PEAL_ADAPTER_UID_MAX 17 /* a zero included */
#define PEAL_ADAPTER_NO_TAIL ((struct peal_slice){ NULL, 0 })

struct peal_adapter_sender {
    struct peal_loop *loop;
    struct peal_redis_pubsub *link;
    bool sharded;
    bool up; /* the link is */
    size_t queue_max;
    char uid[PEAL_ADAPTER_UID_MAX];
    struct peal_buf key;
    struct peal_buf payload, channel; /* scratch of peal_adapter_send alone */
};

/*
 * peal_adapter_sender_init
 *   loop, link  kept
 *   key     what channels begin with; copied
 *   prefix  of the relay's topics, of which the uid is made
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_adapter_sender_init(struct peal_adapter_sender *s,
    struct peal_loop *loop, struct peal_redis_pubsub *link, bool sharded,
    struct peal_slice key, struct peal_slice prefix, size_t queue_max);
void peal_adapter_sender_fini(struct peal_adapter_sender *s);

static inline struct peal_slice
peal_adapter_key(const struct peal_adapter_sender *s)
{
    return peal_buf_slice(&s->key);
}

/* tail: a room or a uid, or PEAL_ADAPTER_NO_TAIL. */
void peal_adapter_send(struct peal_adapter_sender *s, const struct peal_sio_redis_msg *m,
    enum peal_sio_redis_channel channel, struct peal_slice tail);

/* A copy of the parts of a request that its answer needs. */
struct peal_adapter_request {
    struct peal_buf text;
    struct peal_slice uid, nsp, request_id;
};

PEAL_MUST_USE peal_err peal_adapter_request_init(
    struct peal_adapter_request *r, const struct peal_sio_redis_msg *m);
void peal_adapter_request_fini(struct peal_adapter_request *r);

/* peal_adapter_answer sends an answer; who asked, and what, is filled in. */
void peal_adapter_answer(struct peal_adapter_sender *s,
    const struct peal_adapter_request *r, struct peal_sio_redis_msg *answer);

#endif

/* SPDX-License-Identifier: MIT */
/* What the files of adapter/ share. */
#ifndef PEAL_ADAPTER_INSIDE_H
#define PEAL_ADAPTER_INSIDE_H

#include "adapter/adapter.h"
#include "base/map.h"
#include "wire/sio_redis.h"

#define PEAL_ADAPTER_UID_MAX 17 /* a zero included */

struct peal_adapter {
    struct peal_loop *loop;
    struct peal_hub *hub;
    struct peal_relay *relay;
    struct peal_backplane *link;
    bool sharded;
    bool up;
    unsigned jobs; /* under way: rooms may be about to get members */
    struct peal_buf key;
    struct peal_map spaces; /* name -> struct space */
    struct peal_map rooms;  /* sharded: channel of Redis -> struct room */
    struct peal_sio_redis_reader *reader;
    struct peal_buf out, name; /* scratch */
    char uid[PEAL_ADAPTER_UID_MAX];
};

static inline struct peal_slice
peal_adapter_key(const struct peal_adapter *a)
{
    return peal_buf_slice(&a->key);
}

/* peal_adapter_send publishes a message on the channel that is meant for it. Nothing is
 * sent that a Node server could not read; what cannot be written is counted. */
void peal_adapter_send(struct peal_adapter *a, const struct peal_sio_redis_msg *m,
    enum peal_sio_redis_channel channel, struct peal_slice tail);

/* From our messages to theirs, and back; convert.c. */

/* What a message of theirs was made of; release with peal_adapter_names_fini. */
struct peal_adapter_names {
    struct peal_buf text;
    struct peal_slice *v;
    unsigned n;
};

/* peal_adapter_channels gives the channels of rooms of a namespace. Errors: PEAL_ENOMEM,
 * PEAL_ELIMIT: a name is too long. */
PEAL_MUST_USE peal_err peal_adapter_channels(struct peal_slice nsp,
    const struct peal_slice *rooms, unsigned n, struct peal_adapter_names *out);
void peal_adapter_names_fini(struct peal_adapter_names *names);

/* peal_adapter_msg makes our message of their broadcast. */
PEAL_MUST_USE peal_err peal_adapter_msg(
    const struct peal_sio_redis_msg *in, struct peal_msg **out);

/* peal_adapter_publish tells the others what was published here. */
void peal_adapter_publish(void *adapter, struct peal_msg *m);

/* Jobs; job.c. */

/* peal_adapter_job does what a message asks of sockets, on all workers, and answers. */
void peal_adapter_job(struct peal_adapter *a, const struct peal_sio_redis_msg *m);

#endif

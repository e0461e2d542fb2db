/* SPDX-License-Identifier: MIT */
/* What the files of adapter/ share. */
#ifndef PEAL_ADAPTER_ADAPTER_PRIV_H
#define PEAL_ADAPTER_ADAPTER_PRIV_H

#include "adapter/adapter.h"
#include "base/list.h"
#include "base/map.h"
#include "base/names.h"
#include "wire/sio_redis.h"

#define PEAL_ADAPTER_UID_MAX 17 /* a zero included */
#define PEAL_ADAPTER_KEEP_MAX                                                            \
    (256u << 10) /* bytes of scratch that are kept for the next message */

struct peal_adapter {
    struct peal_loop *loop;
    struct peal_hub *hub;
    struct peal_relay *relay;
    struct peal_redis_pubsub *link;
    bool sharded;
    bool up;               /* the link */
    _Atomic bool complete; /* and all is subscribed that was wanted when it came */
    size_t queue_max;
    void (*ready)(void *arg); /* NULL: it has been called */
    void *arg;
    char uid[PEAL_ADAPTER_UID_MAX];
    struct peal_buf key;
    struct peal_link subjects;
    struct peal_map topics; /* channel or pattern of Redis -> its subject */
    struct peal_link jobs;  /* under way: rooms may be about to get members */
    size_t jobs_bytes;
    struct peal_link asks;
    unsigned n_asks;
    unsigned asking;       /* asks whose clients have not all been asked yet */
    struct peal_link held; /* what has come since */
    struct peal_log_limit unreadable, refused_joins;
    size_t held_bytes;
    /* Scratch: */
    struct peal_sio_redis_reader *reader;
    struct peal_buf out, name, text;
    struct peal_slice rooms[PEAL_CHANNELS_MAX], except[PEAL_CHANNELS_MAX];
};

static inline struct peal_slice
peal_adapter_key(const struct peal_adapter *a)
{
    return peal_buf_slice(&a->key);
}

/* peal_adapter_send publishes a message on the channel that is meant for it. Nothing is
 * sent that a Node server could not read. What cannot be written, or finds the link down
 * or too slow, is counted. */
void peal_adapter_send(struct peal_adapter *a, const struct peal_sio_redis_msg *m,
    enum peal_sio_redis_channel channel, struct peal_slice tail);

/* peal_adapter_handle does what a message asks for. */
void peal_adapter_handle(
    struct peal_adapter *a, struct peal_slice topic, struct peal_slice payload);

/* What an answer needs of the request, kept. */
struct peal_adapter_request {
    struct peal_buf text;
    struct peal_slice uid, nsp, request_id;
};

PEAL_MUST_USE peal_err peal_adapter_request_init(
    struct peal_adapter_request *r, const struct peal_sio_redis_msg *m);
void peal_adapter_request_fini(struct peal_adapter_request *r);

/* peal_adapter_answer sends an answer; who asked, and what, is filled in. */
void peal_adapter_answer(struct peal_adapter *a, const struct peal_adapter_request *r,
    struct peal_sio_redis_msg *answer);

/* Subscriptions; subjects.c. */

extern const struct peal_relay_tap peal_adapter_tap;

/* peal_adapter_subscribe_nsp subscribes a namespace for good. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_adapter_subscribe_nsp(
    struct peal_adapter *a, struct peal_slice nsp);
void peal_adapter_subscribe_all(struct peal_adapter *a);   /* the link has come up */
void peal_adapter_unsubscribe_all(struct peal_adapter *a); /* it has gone down */
/* true: nothing is missing any more. */
bool peal_adapter_subscribed(struct peal_adapter *a, struct peal_slice topic);
void peal_adapter_lost(struct peal_adapter *a, struct peal_slice topic);
/* Redis refused it. true: nothing is missing any more, but what was refused. */
bool peal_adapter_refused(
    struct peal_adapter *a, struct peal_slice topic, const char *why);
void peal_adapter_subscriptions_free(struct peal_adapter *a);

/* From our messages to theirs, and back; convert.c. */

/*
 * peal_adapter_channels gives the channels of rooms of a namespace, but for those whose
 * names are longer than any that a session can be in.
 *   hub  not NULL: also without those that nobody on this node is in now
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_adapter_channels(const struct peal_hub *hub,
    struct peal_slice nsp, const struct peal_slice *rooms, unsigned n,
    struct peal_names *out);

/*
 * peal_adapter_msg makes our message of their broadcast, for this node alone: rooms that
 * nobody here is in are left out. flags: more of PEAL_MSG_... *out NULL: it is for nobody
 * here. Errors: PEAL_ENOMEM; PEAL_ELIMIT: for more rooms than one message may have.
 */
PEAL_MUST_USE peal_err peal_adapter_msg(const struct peal_adapter *a,
    const struct peal_sio_redis_msg *in, unsigned flags, struct peal_msg **out);

/* peal_adapter_unreadable counts a message of theirs that was not understood, and says
 * why. */
void peal_adapter_unreadable(struct peal_adapter *a, struct peal_slice nsp, peal_err why);

/* peal_adapter_workers: a bit for each worker that may have somebody for m, now or after
 * the jobs that are under way. */
uint64_t peal_adapter_workers(const struct peal_adapter *a, const struct peal_msg *m);

/* peal_adapter_publish tells the others what was published here. */
void peal_adapter_publish(void *adapter, struct peal_msg *m);

/* peal_adapter_remote_op does what a message asks of sockets, on all workers, and
 * answers; job.c. */
void peal_adapter_remote_op(struct peal_adapter *a, const struct peal_sio_redis_msg *m);
void peal_adapter_remote_ops_free(struct peal_adapter *a);

/* peal_adapter_request_acks sends a broadcast whose receivers are to acknowledge it;
 * ask.c. */
void peal_adapter_request_acks(
    struct peal_adapter *a, const struct peal_sio_redis_msg *m);
void peal_adapter_ack_requests_free(struct peal_adapter *a);

/* peal_adapter_defer keeps a message that must not overtake a question; held.c. false: it
 * may be taken now. */
bool peal_adapter_defer(
    struct peal_adapter *a, struct peal_slice topic, struct peal_slice payload);
/* peal_adapter_resume takes what was held, unless it has to wait again. */
void peal_adapter_resume(struct peal_adapter *a);
void peal_adapter_deferred_free(struct peal_adapter *a);

#endif

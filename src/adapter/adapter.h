/* SPDX-License-Identifier: MIT */
/*
 * The adapter: this node as one more Socket.IO server among Node servers that share a
 * Redis, @socket.io/redis-adapter, and @socket.io/redis-emitter. What is published here
 * is told to them, what they say is done here: broadcasts, remote joins, leaves and
 * disconnects, and every question is answered, also with nothing.
 *
 * Nodes of our own cluster reach each other through the relay. What they tell the Node
 * servers comes back here too, and is dropped: all of them sign with the same uid, which
 * is made of the prefix of their topics.
 *
 * Thread: the control loop's. What concerns sockets is done by their workers, in jobs.
 */
#ifndef PEAL_ADAPTER_ADAPTER_H
#define PEAL_ADAPTER_ADAPTER_H

#include "backplane/redis_pubsub.h"
#include "hub/relay.h"

struct peal_adapter;

/* The counters of an adapter's link. */
extern const struct peal_backplane_counters peal_adapter_counters;

struct peal_adapter_config {
    struct peal_loop *loop;         /* the control thread's; kept */
    struct peal_hub *hub;           /* kept */
    struct peal_relay *relay;       /* kept; the adapter becomes its peer */
    struct peal_redis_pubsub *link; /* to that Redis; taken on PEAL_OK */
    bool sharded;                   /* as createShardedAdapter, in its dynamic mode */
    struct peal_slice key;          /* "socket.io" unless they say otherwise; copied */
    struct peal_slice prefix; /* of the relay: nodes with the same one are one cluster */
    size_t queue_max; /* bytes that may wait for that Redis; beyond, they are dropped */
    /* Called once: what the others say arrives from now on. arg is kept. */
    void (*ready)(void *arg);
    void *arg;
};

/* peal_adapter_new prepares; before the relay starts. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_adapter_new(
    const struct peal_adapter_config *config, struct peal_adapter **out);
void peal_adapter_start(struct peal_adapter *a);
/* peal_adapter_up points to a flag: the link is up, and all is subscribed that was wanted
 * when it came. Any thread may read it as long as the adapter lives. */
const _Atomic bool *peal_adapter_up(const struct peal_adapter *a);
/* peal_adapter_free: the loops of all workers have been freed; the relay is still there,
 * and the adapter's own loop too, which runs no more. */
void peal_adapter_free(struct peal_adapter **ap);

#endif

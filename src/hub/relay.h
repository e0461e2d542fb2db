/* SPDX-License-Identifier: MIT */
/*
 * The relay: the hub's link to the hubs of other nodes, over a backplane. The node is
 * subscribed to the topic of a channel as long as one of its workers has a subscriber,
 * and a little longer; so a message goes only to nodes where somebody listens.
 *
 *   <prefix>:c:{<channel>}   messages on the channel
 *   <prefix>:x:{.<channel>}  the same for a channel that begins with a closing brace
 *   <prefix>:n:<node>        messages to sessions of a node (8 hex digits), by their ids
 *   <prefix>:all             messages on more channels than are worth a topic each
 *   <prefix>:nodes           reports of nodes, see hub/nodes.h
 *
 * The braces place all names that have to do with a channel on one master of a Redis
 * Cluster.
 *
 * A message on several channels travels once for each of their topics. A node that is
 * subscribed to two of them gets it twice; the first copy goes to the subscribers of all
 * its channels, like a message of the node's own, and the rest is dropped.
 *
 * Thread: the control loop's, but for what says otherwise. Workers speak to it by task,
 * all that they have to say in a turn in one.
 */
#ifndef PEAL_HUB_RELAY_H
#define PEAL_HUB_RELAY_H

#include "backplane/backplane.h"
#include "hub/hub.h"

#define PEAL_RELAY_PREFIX_MAX 200 /* bytes */

struct peal_relay;

/* The counters of a relay's backplane. */
extern const struct peal_backplane_counters peal_relay_counters;

struct peal_relay_config {
    struct peal_loop *loop;           /* the control thread's; kept */
    struct peal_backplane *backplane; /* taken on PEAL_OK */
    struct peal_slice prefix;         /* of all topics; copied */
    const struct peal_slice *secrets; /* of hub/seal.h, n of them; borrowed */
    unsigned n_secrets;
    size_t queue_max;   /* bytes that may wait for the backplane; beyond, publishers are
                           told */
    uint64_t linger_ms; /* how long a topic outlives its last subscriber here */
};

struct peal_seal;
struct peal_seal_key;

/* The owner of the relay, which is told of the link. Control thread. */
struct peal_relay_events {
    void (*up)(void *arg);   /* all that was wanted then is subscribed */
    void (*down)(void *arg); /* optional */
    /* A payload on <prefix>:nodes, and the key that it was sealed with, or NULL. */
    void (*message)(
        void *arg, struct peal_slice payload, const struct peal_seal_key *key);
};

/*
 * A second consumer of what workers subscribe to and publish, besides the backplane: the
 * adapter for Node's Socket.IO servers. Control thread.
 */
struct peal_relay_tap {
    /* A channel has a subscriber here. true: that client waits for peal_relay_tap_ready.
     */
    bool (*subscribe)(void *arg, struct peal_slice channel);
    void (*unsubscribe)(void *arg, struct peal_slice channel);
    void (*publish)(void *arg, struct peal_msg *m);
};

/* peal_relay_new joins hub and backplane; after all shards have been made, before any
 * loop runs. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_relay_new(struct peal_hub *hub,
    const struct peal_relay_config *config, struct peal_relay **out);

/* peal_relay_start connects. events and arg are kept. */
void peal_relay_start(
    struct peal_relay *r, const struct peal_relay_events *events, void *arg);

/* peal_relay_free: the loops of all workers have ended, and its own one runs no more. */
void peal_relay_free(struct peal_relay **rp);

/* peal_relay_set_tap: before the start. tap and arg are kept. */
void peal_relay_set_tap(
    struct peal_relay *r, const struct peal_relay_tap *tap, void *arg);
void peal_relay_tap_ready(struct peal_relay *r, struct peal_slice channel);

struct peal_record;

/* A request of another node, or a part of its answer to one; borrowed. Control thread. */
typedef void peal_relay_record_fn(void *arg, uint32_t node, struct peal_record *record);

/* peal_relay_set_on_record: fn NULL ends it. arg is kept. */
void peal_relay_set_on_record(struct peal_relay *r, peal_relay_record_fn *fn, void *arg);

/* peal_relay_publish_record publishes a record, borrowed: to a node, or all with 0.
 * Errors: PEAL_EAGAIN: the link is down, or as much waits for it as may;
 * PEAL_ENOMEM. Each is counted, so a caller may do without the result. */
peal_err peal_relay_publish_record(
    struct peal_relay *r, uint32_t node, const struct peal_record *record);

/* peal_relay_deliver gives a message to the sessions of this node alone; only workers
 * whose bit is set are asked. */
void peal_relay_deliver(struct peal_relay *r, struct peal_msg *m, uint64_t workers);

/* peal_relay_post_deliveries posts what was delivered in this turn at once, not at the
 * turn's end: for who is about to post something that must not overtake it. */
void peal_relay_post_deliveries(struct peal_relay *r);

/* peal_relay_publish_control publishes bytes on <prefix>:nodes; they come back as a
 * message. */
void peal_relay_publish_control(struct peal_relay *r, struct peal_slice bytes);

/* peal_relay_seal is what payloads are sealed with. */
const struct peal_seal *peal_relay_seal(const struct peal_relay *r);

/* peal_relay_renumber takes the hub's new number, and begins the link again with it. */
void peal_relay_renumber(struct peal_relay *r);

/* peal_relay_restart: the link says that it is up, but nothing comes back. */
void peal_relay_restart(struct peal_relay *r, const char *why);

/* The link is up, and all is subscribed that was wanted when it came. Any thread. */
bool peal_relay_up(const struct peal_relay *r);

/* Bytes waiting for the backplane. Any thread. */
size_t peal_relay_queued(const struct peal_relay *r);

#endif

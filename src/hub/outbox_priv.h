/* SPDX-License-Identifier: MIT */
/*
 * The way between a worker and the relay: commands that a worker collects during a turn
 * and posts in one task at its end, and what the relay has done on the worker.
 *
 * Thread: each function says which.
 */
#ifndef PEAL_HUB_OUTBOX_PRIV_H
#define PEAL_HUB_OUTBOX_PRIV_H

#include "hub/hub_priv.h"

enum peal_relay_cmd_kind {
    PEAL_RELAY_CMD_PUBLISH,
    PEAL_RELAY_CMD_SUBSCRIBE,  /* the first subscriber of a channel has come */
    PEAL_RELAY_CMD_UNSUBSCRIBE /* the last one has gone */
};

struct peal_relay_cmd {
    enum peal_relay_cmd_kind kind;
    struct peal_msg *msg;   /* retained; PUBLISH only */
    struct peal_blob *blob; /* retained; the record, or the channel's name */
};

/* The commands of a turn, as a task for the relay. */
struct peal_relay_batch {
    struct peal_task task; /* first */
    struct peal_hub *hub;
    unsigned worker;
    unsigned n, cap;
    struct peal_relay_cmd cmds[];
};

/* On the worker's thread; outbox.c. Errors: PEAL_ENOMEM: the command is not given;
 * PEAL_EAGAIN: as many bytes wait for the backplane as may. */
peal_err peal_outbox_publish(struct peal_shard *sh, struct peal_msg *m);
PEAL_MUST_USE peal_err peal_outbox_subscribe(
    struct peal_shard *sh, struct peal_slice channel);
void peal_outbox_unsubscribe(struct peal_shard *sh, struct peal_slice channel);
bool peal_outbox_turn(void *shard); /* a peal_hook_fn */
void peal_outbox_free(struct peal_shard *sh);
/* peal_relay_batch_free releases what its commands refer to. */
void peal_relay_batch_free(struct peal_relay_batch *p);

/* On the worker's thread, in tasks that the relay posts. */

/* peal_shard_deliver delivers m to the sessions of this shard alone. */
void peal_shard_deliver(struct peal_shard *sh, struct peal_msg *m);

/* peal_shard_confirm: the relay is subscribed to a channel. n_heard is the number of this
 * worker's batches that the relay had read by then: if the one that asks for the channel
 * is later, the channel has been left meanwhile, and this one is another of its name. */
void peal_shard_confirm(
    struct peal_shard *sh, struct peal_slice channel, uint64_t n_heard);

/* On the control thread; relay.c. */
peal_task_fn peal_relay_on_batch;

/* peal_relay_has_room: so many bytes more may wait for the backplane. Any thread. */
bool peal_relay_has_room(const struct peal_relay *r, size_t bytes);
/* peal_relay_add_queued counts bytes that wait for it. Any thread. */
void peal_relay_add_queued(struct peal_relay *r, size_t bytes);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a worker has to say to the relay, and what the relay answers; inside hub/ only.
 * All of a turn travels in one task.
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
    struct peal_msg *msg;   /* held; PUBLISH only */
    struct peal_blob *blob; /* held; the record, or the channel's name */
};

/* A task to the relay. */
struct peal_relay_batch {
    struct peal_task task; /* first */
    struct peal_hub *hub;
    unsigned worker;
    unsigned n, cap;
    struct peal_relay_cmd cmds[];
};

/* Worker's side; outbox.c. Errors: PEAL_ENOMEM: not said. */
peal_err peal_outbox_publish(struct peal_shard *sh, struct peal_msg *m);
PEAL_MUST_USE peal_err peal_outbox_subscribe(
    struct peal_shard *sh, struct peal_slice channel);
void peal_outbox_unsubscribe(struct peal_shard *sh, struct peal_slice channel);
bool peal_outbox_turn(void *shard); /* hook */
void peal_outbox_free(struct peal_shard *sh);
/* peal_relay_batch_free drops what it holds. */
void peal_relay_batch_free(struct peal_relay_batch *p);

/* Relay's side, on a worker's thread. */
void peal_shard_deliver(struct peal_shard *sh, struct peal_msg *m);
/* n_heard: how many of this worker's parcels the relay had read when it said so. One that
 * was under way meanwhile may be about another channel of that name. */
void peal_shard_confirm(
    struct peal_shard *sh, struct peal_slice channel, uint64_t n_heard);

/* What the relay does with a parcel, on its thread; relay.c. */
peal_task_fn peal_relay_on_batch;
/* May so many bytes more wait? Any thread. */
bool peal_relay_has_room(const struct peal_relay *r, size_t bytes);
void peal_relay_add_queued(struct peal_relay *r, size_t bytes);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a worker has to say to the relay, and what the relay answers; inside hub/ only.
 * All of a turn travels in one mail.
 */
#ifndef PEAL_HUB_OUTBOX_H
#define PEAL_HUB_OUTBOX_H

#include "hub/shard.h"

enum peal_order_kind {
    PEAL_ORDER_PUBLISH,
    PEAL_ORDER_WANT,  /* the first subscriber of a channel has come */
    PEAL_ORDER_UNWANT /* the last one has gone */
};

struct peal_order {
    enum peal_order_kind kind;
    struct peal_msg *msg;   /* held; PUBLISH only */
    struct peal_blob *blob; /* held; the record, or the channel's name */
};

/* A mail to the relay. */
struct peal_parcel {
    struct peal_mail mail; /* first */
    struct peal_hub *hub;
    unsigned worker;
    unsigned n, cap;
    struct peal_order orders[];
};

/* Worker's side; outbox.c. Errors: PEAL_ENOMEM: not said. */
peal_err peal_outbox_publish(struct peal_shard *sh, struct peal_msg *m);
PEAL_MUST_USE peal_err peal_outbox_want(struct peal_shard *sh, struct peal_slice channel);
void peal_outbox_unwant(struct peal_shard *sh, struct peal_slice channel);
bool peal_outbox_turn(void *shard); /* hook */
void peal_outbox_free(struct peal_shard *sh);
/* peal_parcel_free drops what it holds. */
void peal_parcel_free(struct peal_parcel *p);

/* Relay's side, on a worker's thread. */
void peal_shard_take(struct peal_shard *sh, struct peal_msg *m);
/* n_heard: how many of this worker's parcels the relay had read when it said so. One that
 * was under way meanwhile may be about another channel of that name. */
void peal_shard_confirm(
    struct peal_shard *sh, struct peal_slice channel, uint64_t n_heard);

/* What the relay does with a parcel, on its thread; relay.c. */
peal_mail_fn peal_relay_on_parcel;
/* May so many bytes more wait? Any thread. */
bool peal_relay_room(const struct peal_relay *r, size_t bytes);
void peal_relay_count(struct peal_relay *r, size_t bytes);

#endif

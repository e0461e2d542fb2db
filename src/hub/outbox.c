/* SPDX-License-Identifier: MIT */
/* A worker's outbox: orders of a turn, posted to the control thread at its end. */
#include "hub/outbox.h"

#include <stdlib.h>

#include "hub/relay.h"
#include "wire/envelope.h"

#define ORDERS_FIRST 16

void
peal_parcel_free(struct peal_parcel *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; i < p->n; i++) {
        peal_msg_drop(p->orders[i].msg);
        peal_blob_drop(p->orders[i].blob);
    }
    free(p);
}

/* Room for one more order. NULL: out of memory. */
static struct peal_order *
add(struct peal_shard *sh)
{
    struct peal_parcel *p = sh->outbox;
    unsigned cap = p == NULL ? ORDERS_FIRST : p->cap * 2;

    if (p == NULL || p->n == p->cap) {
        struct peal_parcel *more =
            realloc(p, sizeof(*p) + cap * sizeof(struct peal_order));

        if (more == NULL)
            return NULL;
        if (p == NULL)
            *more = (struct peal_parcel){
                .mail.fn = peal_relay_on_parcel, .hub = sh->hub, .worker = sh->index
            };
        more->cap = cap;
        sh->outbox = p = more;
    }
    return &p->orders[p->n++];
}

/* More channels than one can mean more topics than one. */
static uint32_t
number_for(struct peal_hub *h, const struct peal_msg *m)
{
    uint32_t number = 0;

    while (m->n_channels > 1 && number == 0)
        number = ++h->n_numbered;
    return number;
}

peal_err
peal_outbox_publish(struct peal_shard *sh, struct peal_msg *m)
{
    struct peal_relay *r = sh->hub->relay;
    struct peal_blob *record = peal_envelope_record(m, number_for(sh->hub, m));
    struct peal_order *o = NULL;
    peal_err err = PEAL_ENOMEM;

    if (record != NULL && !peal_relay_room(r, record->len))
        err = PEAL_EAGAIN;
    else if (record != NULL)
        o = add(sh);
    if (o == NULL) {
        peal_stat_add(peal_shard_stats(sh), PEAL_STAT_BACKPLANE_DROPPED, 1);
        peal_blob_drop(record);
        return err;
    }
    peal_relay_count(r, record->len);
    *o = (struct peal_order){ PEAL_ORDER_PUBLISH, peal_msg_hold(m), record };
    return PEAL_OK;
}

static peal_err
say(struct peal_shard *sh, enum peal_order_kind kind, struct peal_slice channel)
{
    struct peal_blob *name = peal_blob_copy(channel);
    struct peal_order *o = name != NULL ? add(sh) : NULL;

    if (o == NULL) {
        peal_blob_drop(name);
        return PEAL_ENOMEM;
    }
    *o = (struct peal_order){ kind, NULL, name };
    return PEAL_OK;
}

peal_err
peal_outbox_want(struct peal_shard *sh, struct peal_slice channel)
{
    return say(sh, PEAL_ORDER_WANT, channel);
}

void
peal_outbox_unwant(struct peal_shard *sh, struct peal_slice channel)
{
    (void)!say(sh, PEAL_ORDER_UNWANT, channel); /* else it stays subscribed for nothing */
}

bool
peal_outbox_turn(void *shard)
{
    struct peal_shard *sh = shard;
    struct peal_parcel *p = sh->outbox;

    sh->outbox = NULL;
    if (p == NULL)
        return false;
    sh->n_parcels++;
    peal_loop_post(sh->hub->control, &p->mail);
    return false;
}

void
peal_outbox_free(struct peal_shard *sh)
{
    peal_parcel_free(sh->outbox);
    sh->outbox = NULL;
}

/* SPDX-License-Identifier: MIT */
/* A worker's outbox: the relay commands of a turn, posted to the control thread at its
 * end. */
#include "hub/outbox_priv.h"

#include <stdlib.h>

#include "hub/relay.h"
#include "wire/envelope.h"

#define CMDS_FIRST 16

void
peal_relay_batch_free(struct peal_relay_batch *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; i < p->n; i++) {
        peal_msg_release(p->cmds[i].msg);
        peal_blob_release(p->cmds[i].blob);
    }
    free(p);
}

/* Room for one more command. NULL: out of memory. */
static struct peal_relay_cmd *
outbox_add(struct peal_shard *sh)
{
    struct peal_relay_batch *p = sh->outbox;
    unsigned cap = p == NULL ? CMDS_FIRST : p->cap * 2;

    if (p == NULL || p->n == p->cap) {
        struct peal_relay_batch *more =
            realloc(p, sizeof(*p) + cap * sizeof(struct peal_relay_cmd));

        if (more == NULL)
            return NULL;
        if (p == NULL) {
            peal_loop_again(sh->loop); /* a session may end after the hooks have run */
            *more = (struct peal_relay_batch){
                .task.fn = peal_relay_on_batch, .hub = sh->hub, .worker = sh->index
            };
        }
        more->cap = cap;
        sh->outbox = p = more;
    }
    return &p->cmds[p->n++];
}

/* More channels than one can mean more topics than one. */
static uint32_t
outbox_number(struct peal_hub *h, const struct peal_msg *m)
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
    struct peal_blob *record = peal_envelope_record(m, outbox_number(sh->hub, m));
    struct peal_relay_cmd *o = NULL;
    peal_err err = PEAL_ENOMEM;

    if (record != NULL && !peal_relay_has_room(r, record->len))
        err = PEAL_EAGAIN;
    else if (record != NULL)
        o = outbox_add(sh);
    if (o == NULL) {
        peal_stat_add(peal_shard_stats(sh), PEAL_STAT_BACKPLANE_DROPPED, 1);
        peal_blob_release(record);
        return err;
    }
    peal_relay_add_queued(r, record->len);
    *o = (struct peal_relay_cmd){ PEAL_RELAY_CMD_PUBLISH, peal_msg_retain(m), record };
    return PEAL_OK;
}

static peal_err
outbox_add_channel(
    struct peal_shard *sh, enum peal_relay_cmd_kind kind, struct peal_slice channel)
{
    struct peal_blob *name = peal_blob_copy(channel);
    struct peal_relay_cmd *o = name != NULL ? outbox_add(sh) : NULL;

    if (o == NULL) {
        peal_blob_release(name);
        return PEAL_ENOMEM;
    }
    *o = (struct peal_relay_cmd){ kind, NULL, name };
    return PEAL_OK;
}

peal_err
peal_outbox_subscribe(struct peal_shard *sh, struct peal_slice channel)
{
    return outbox_add_channel(sh, PEAL_RELAY_CMD_SUBSCRIBE, channel);
}

void
peal_outbox_unsubscribe(struct peal_shard *sh, struct peal_slice channel)
{
    /* Without memory the topic stays subscribed for nothing, which does no harm. */
    (void)outbox_add_channel(sh, PEAL_RELAY_CMD_UNSUBSCRIBE, channel);
}

bool
peal_outbox_turn(void *shard)
{
    struct peal_shard *sh = shard;
    struct peal_relay_batch *p = sh->outbox;

    sh->outbox = NULL;
    if (p == NULL)
        return false;
    sh->n_batches_posted++;
    peal_loop_post(sh->hub->control, &p->task);
    return false;
}

void
peal_outbox_free(struct peal_shard *sh)
{
    peal_relay_batch_free(sh->outbox);
    sh->outbox = NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * Batches: what waits to be published; inside hub/ only. All records that come for a
 * topic until they leave are in one batch, in the form of wire/envelope.h.
 *
 * Batches leave in the order in which they were begun. A message on several topics has a
 * batch on each, alone, and closes those that were open: so by whichever of its topics it
 * arrives first, it is after all that was published on its channels before, and before
 * all that comes later.
 *
 * Thread: the control loop's.
 */
#ifndef PEAL_HUB_BATCH_PRIV_H
#define PEAL_HUB_BATCH_PRIV_H

#include "backplane/backplane.h"
#include "base/blob.h"
#include "base/map.h"
#include "hub/seal.h"

#define PEAL_BATCH_MAX (256 << 10) /* bytes; beyond, another batch is begun */

struct peal_batches {
    uint32_t node;                /* the publisher */
    const struct peal_seal *seal; /* kept */
    struct peal_link all;         /* oldest first */
    struct peal_map open;         /* topic -> the batch that takes more */
    size_t bytes;                 /* that all of them take, with what they need besides */
    struct peal_payload *list;    /* of peal_batches_list */
    unsigned list_cap;
};

void peal_batches_init(
    struct peal_batches *p, uint32_t node, const struct peal_seal *seal);
void peal_batches_fini(struct peal_batches *p);

enum peal_batching {
    PEAL_TOGETHER, /* with what is published on the topic before and after it */
    PEAL_ALONE     /* in a batch of its own */
};

/*
 * peal_batches_add adds a record to the topic's batch, or to one of its own. Both
 * are borrowed. Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_batches_add(struct peal_batches *p, struct peal_slice topic,
    const struct peal_blob *record, enum peal_batching how);

/* peal_batches_close makes what comes next on a topic begin a new batch. */
void peal_batches_close(struct peal_batches *p, struct peal_slice topic);

/* peal_batches_list is what is to be published now, borrowed until the next call here: n
 * payloads, all unless memory is short. */
const struct peal_payload *peal_batches_list(struct peal_batches *p, unsigned *n_out);

/* peal_batches_renumber makes another node the publisher of all. */
void peal_batches_renumber(struct peal_batches *p, uint32_t node);

/* peal_batches_remove_first releases the first n. */
void peal_batches_remove_first(struct peal_batches *p, unsigned n);

#endif

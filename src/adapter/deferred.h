/* SPDX-License-Identifier: MIT */
/*
 * Messages of other servers that are put off while clients are being asked for
 * acknowledgements. Asking takes the workers two steps, and what its publisher said next,
 * to the same clients, must not overtake it. A message waits until all have been asked,
 * not until they have answered.
 *
 * Thread: the control loop's.
 */
#ifndef PEAL_ADAPTER_DEFERRED_H
#define PEAL_ADAPTER_DEFERRED_H

#include "base/list.h"
#include "base/slice.h"

#define PEAL_ADAPTER_DEFERRED_MAX (16u << 20) /* bytes; beyond, order is given up */

typedef void peal_adapter_handle_fn(
    void *arg, struct peal_slice topic, struct peal_slice payload);

struct peal_adapter_deferred {
    peal_adapter_handle_fn *handle;
    void *arg;
    unsigned n_reasons; /* to wait */
    struct peal_link list;
    size_t bytes;
};

/* handle is called with each message when it is resumed. arg is kept. */
void peal_adapter_deferred_init(
    struct peal_adapter_deferred *d, peal_adapter_handle_fn *handle, void *arg);
void peal_adapter_deferred_fini(struct peal_adapter_deferred *d);

/* peal_adapter_deferred_put keeps a message if it has to wait. false: handle it now. */
bool peal_adapter_deferred_put(
    struct peal_adapter_deferred *d, struct peal_slice topic, struct peal_slice payload);

/* peal_adapter_deferred_block gives one reason more to wait; each is taken back once. */
void peal_adapter_deferred_block(struct peal_adapter_deferred *d);
/* peal_adapter_deferred_unblock takes one back, and does not handle anything yet. */
void peal_adapter_deferred_unblock(struct peal_adapter_deferred *d);
/* peal_adapter_deferred_resume handles what waits, in order, until there is a reason to
 * wait again. */
void peal_adapter_deferred_resume(struct peal_adapter_deferred *d);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Requests of other servers about sockets: to make them join, leave or disconnect, or to
 * list them. Each is done on all workers and then answered. A server that is asked must
 * always answer, if only with an empty list, since the one that asks waits for all.
 *
 * Thread: the control loop's.
 */
#ifndef PEAL_ADAPTER_REMOTE_OPS_H
#define PEAL_ADAPTER_REMOTE_OPS_H

#include "adapter/sender.h"
#include "hub/remote_op.h"

struct peal_adapter_remote_ops {
    struct peal_hub *hub;
    struct peal_relay *relay;
    struct peal_adapter_sender *sender;
    struct peal_link list; /* under way */
    size_t bytes;
    struct peal_log_limit refused_joins;
};

/* All is kept. */
void peal_adapter_remote_ops_init(struct peal_adapter_remote_ops *r, struct peal_hub *hub,
    struct peal_relay *relay, struct peal_adapter_sender *sender);

/* peal_adapter_remote_ops_add begins with one. */
void peal_adapter_remote_ops_add(
    struct peal_adapter_remote_ops *r, const struct peal_sio_redis_msg *m);

/* An operation is under way, so rooms may be about to get members. */
static inline bool
peal_adapter_remote_ops_busy(const struct peal_adapter_remote_ops *r)
{
    return !peal_list_empty(&r->list);
}

/* peal_adapter_remote_ops_fini lets those that are under way end by themselves, without
 * an answer. */
void peal_adapter_remote_ops_fini(struct peal_adapter_remote_ops *r);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * An ack request to the sessions of all nodes: what hub/ackreq.h does for one node, for a
 * cluster. First every node counts the sessions that would be asked; more than
 * PEAL_ACK_REQUEST_MAX in all are refused before anything is sent. Then every node asks
 * its own, and passes on what they answer.
 *
 * A node that does not count in time is asked with the others all the same.
 *
 * Thread: the asking worker's loop.
 */
#ifndef PEAL_HUB_CLUSTER_ACK_H
#define PEAL_HUB_CLUSTER_ACK_H

#include "hub/ackreq.h"

struct peal_cluster_ack;

struct peal_cluster_ack_result {
    peal_err err; /* PEAL_OK: all have acknowledged, or ended; PEAL_ETIMEOUT: not all, or
                     not all nodes; PEAL_ELIMIT: too many sessions, nothing was sent;
                     PEAL_EAGAIN: too many requests; PEAL_ENOMEM */
    unsigned n_asked;    /* sessions */
    unsigned n_nodes;    /* that were there, this one included; 0: it is no cluster */
    unsigned n_answered; /* nodes that have told all that their sessions answered */
};

struct peal_cluster_ack_ops {
    /* One session has acknowledged; answer is borrowed. */
    void (*answer)(void *ctx, const struct peal_ack_answer *answer);
    /* The end, after which the request is gone. */
    void (*done)(void *ctx, const struct peal_cluster_ack_result *result);
};

/*
 * peal_cluster_ack begins a request. Nothing is called before it returns.
 *   m  retained; with PEAL_MSG_NEEDS_ACK among its flags
 *   timeout_ms  for the answers; begins when a node has asked all of its own
 *   ops, ctx    kept until done, or peal_cluster_ack_cancel
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_cluster_ack(struct peal_shard *sh, struct peal_msg *m,
    uint32_t timeout_ms, const struct peal_cluster_ack_ops *ops, void *ctx,
    struct peal_cluster_ack **out);

/* peal_cluster_ack_cancel ends the request without a call. */
void peal_cluster_ack_cancel(struct peal_cluster_ack *c);

#endif

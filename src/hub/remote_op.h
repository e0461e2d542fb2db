/* SPDX-License-Identifier: MIT */
/*
 * Remote operations: something that is done to sessions of this node, wherever they are,
 * because another server asks for it: to subscribe or unsubscribe them, to disconnect
 * them, or to list them. Each worker does it to its own sessions and posts its part back;
 * when all parts are back, the loop that asked for it is told.
 *
 * What was published before is delivered before: no session is made to leave a channel,
 * or disconnected, before it has got it.
 *
 * At the end of the node the loops of workers are freed first, which brings their parts
 * back, and the loop that asked last: an operation that its owner has abandoned is then
 * only freed.
 *
 * Thread: the loop that asks, but for what says otherwise.
 */
#ifndef PEAL_HUB_REMOTE_OP_H
#define PEAL_HUB_REMOTE_OP_H

#include "hub/relay.h"

struct peal_remote_op;

/* The share of one worker: the worker's own until it is done, then the asking loop's. */
struct peal_remote_part {
    struct peal_task task;
    struct peal_remote_op *op;
    unsigned worker;
    struct peal_buf out; /* a list, in whatever form the operation makes it */
    unsigned n;          /* sessions, or items of the list */
    unsigned left_out;   /* of them, for want of room or memory */
    unsigned refused;    /* subscriptions that could not be */
};

/* Does it to one session, on its worker. */
typedef void peal_remote_session_fn(
    struct peal_remote_part *part, struct peal_session *s);

struct peal_remote_spec {
    struct peal_hub *hub;     /* kept */
    struct peal_relay *relay; /* kept */
    struct peal_loop *loop;   /* that asks; kept */
    /* The sessions that it is about; what it points to is kept until release. */
    struct peal_selection what;
    bool nobody; /* there can be none, whatever the selection says */
    peal_remote_session_fn *session;
    /* Optional: called on each worker for each of its channels, after the sessions. */
    void (*channel)(void *part, struct peal_slice channel);
    /* For the functions below; kept until release. */
    const struct peal_slice *targets;
    unsigned n_targets;
    bool everything; /* disconnect: also the connection */
    /* All parts are back; not called after peal_remote_op_abandon. */
    void (*done)(struct peal_remote_op *op);
    /* The operation is freed after this: nothing that was kept is needed any more. */
    void (*release)(void *ctx);
    void *ctx;
};

struct peal_remote_op {
    struct peal_remote_spec spec; /* the same for all workers */
    bool abandoned;
    unsigned n_left; /* parts that have not come back */
    unsigned n_parts;
    struct peal_remote_part parts[];
};

/* peal_remote_op_begin begins one. Nothing is called before it returns. Errors:
 * PEAL_ENOMEM: release is not called. */
PEAL_MUST_USE peal_err peal_remote_op_begin(
    const struct peal_remote_spec *spec, struct peal_remote_op **out);

/* peal_remote_op_abandon lets it end by itself: only release is called. */
void peal_remote_op_abandon(struct peal_remote_op *op);

/* The operations on a session; each counts it in the part. */
peal_remote_session_fn peal_remote_subscribe;   /* to the targets */
peal_remote_session_fn peal_remote_unsubscribe; /* from them */
peal_remote_session_fn peal_remote_disconnect;

#endif

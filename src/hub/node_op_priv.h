/* SPDX-License-Identifier: MIT */
/*
 * Operations that nodes do for each other: what hub/node_request.c runs when a request
 * comes. An operation answers in parts, now or later, and ends its answer once. Add one
 * by a number and a row in node_request.c; one that is about sessions of all workers, to
 * find them, to subscribe or to end them, does its work with hub/remote_op.h. Inside hub/
 * only.
 *
 * Thread: the control loop's.
 */
#ifndef PEAL_HUB_NODE_OP_PRIV_H
#define PEAL_HUB_NODE_OP_PRIV_H

#include "hub/node_request.h"

/* On the wire: a number never changes its meaning. */
enum peal_node_op {
    PEAL_NODE_OP_ACK_COUNT = 1, /* how many sessions would be asked to acknowledge? */
    PEAL_NODE_OP_ACK = 2        /* ask them; hub/cluster_ack.c */
};

/* An answer that has not ended. */
struct peal_node_reply {
    struct peal_link link; /* on the list of all */
    struct peal_node_requests *requests;
    uint32_t node;    /* that asked */
    uint32_t id;      /* by which it knows the request */
    uint32_t n_parts; /* so far; the end says how many there were */
    /* The operation's: called if the answer must end before the operation has. NULL:
     * never needed. */
    void (*cancel)(struct peal_node_reply *reply);
    void *ctx;
};

/* Does what request asks for; it is borrowed, but its message may be retained, and nobody
 * else has it. Ends the reply, now or later. */
typedef void peal_node_op_fn(
    struct peal_node_reply *reply, const struct peal_record *request);

/* The hub, the relay and the loop of the node that runs the operation. */
struct peal_hub *peal_node_reply_hub(const struct peal_node_reply *reply);
struct peal_loop *peal_node_reply_loop(const struct peal_node_reply *reply);

/* peal_node_reply_part sends a part; kind and id are filled in. One that cannot be sent
 * is counted. */
void peal_node_reply_part(struct peal_node_reply *reply, struct peal_record *part);

/* peal_node_reply_end sends the last part and frees the reply. */
void peal_node_reply_end(struct peal_node_reply *reply, peal_err status);

peal_node_op_fn peal_node_op_ack_count, peal_node_op_ack; /* cluster_ack.c */

#endif

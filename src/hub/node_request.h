/* SPDX-License-Identifier: MIT */
/*
 * Node requests: a worker asks all nodes of the cluster something, this one included, and
 * is told what each of them answers, in parts, until all have ended or time is up.
 *
 *   worker             control thread                        other nodes
 *     begin  ------->    who is there? a request on :all  --->   the operation begins
 *                        the operation begins here, too
 *            <-------  part           <------------------------  part, ..., the last one
 *            <-------  done           all have ended, are gone, or it is time
 *
 * Who is there is what hub/nodes.h knows when the request begins. A node that leaves, or
 * becomes silent, is not waited for any longer. While the link is down this node alone is
 * asked.
 *
 * What a request asks for is an operation: a number, and a function that each node runs
 * on its control thread (node_op_priv.h). A node that does not know an operation says so.
 *
 * Bounded: PEAL_NODE_REQUESTS_MAX requests of this node, and as many of others, at a
 * time; PEAL_NODE_PARTS_BYTES_MAX of parts of one request that wait for its worker.
 *
 * Thread: the asking worker's loop, but for what says otherwise.
 */
#ifndef PEAL_HUB_NODE_REQUEST_H
#define PEAL_HUB_NODE_REQUEST_H

#include "hub/nodes.h"
#include "wire/envelope.h"

#define PEAL_NODE_REQUESTS_MAX 1000
#define PEAL_NODE_PARTS_BYTES_MAX (16u << 20)

struct peal_node_requests;
struct peal_node_request;

/* peal_node_requests_new makes requests possible, before any loop runs. hub, relay, nodes
 * and loop, the control thread's, are kept. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_node_requests_new(struct peal_hub *hub,
    struct peal_relay *relay, struct peal_nodes *nodes, struct peal_loop *loop,
    struct peal_node_requests **out);
/* After the loops of all workers have ended; before relay and nodes. */
void peal_node_requests_free(struct peal_node_requests **rp);

struct peal_node_request_result {
    peal_err err;        /* PEAL_OK; PEAL_ETIMEOUT; PEAL_EAGAIN: too many requests;
                            PEAL_ENOMEM */
    unsigned n_nodes;    /* that were there, this one included */
    unsigned n_answered; /* of them have said all that they had to, and no part of it was
                            lost */
};

struct peal_node_request_ops {
    /* A part of a node's answer, borrowed. */
    void (*part)(void *ctx, uint32_t node, const struct peal_record *part);
    /* The end, after which the request is gone. */
    void (*done)(void *ctx, const struct peal_node_request_result *result);
};

/*
 * peal_node_request begins a request. Nothing is called before it returns. What the shard
 * has published before is published before the request.
 *   op, timeout_ms  of the operation; answers are waited for a little longer
 *   m         retained; NULL: the operation needs none
 *   ops, ctx  kept until done, or peal_node_request_cancel
 * Errors: PEAL_ENOMEM; PEAL_EUNSUPP: there are no other nodes, ever.
 */
PEAL_MUST_USE peal_err peal_node_request(struct peal_shard *sh, uint32_t op,
    struct peal_msg *m, uint32_t timeout_ms, const struct peal_node_request_ops *ops,
    void *ctx, struct peal_node_request **out);

/* peal_node_request_cancel ends the request without a call. Nodes that were asked are not
 * told. */
void peal_node_request_cancel(struct peal_node_request *q);

#endif

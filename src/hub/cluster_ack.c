/* SPDX-License-Identifier: MIT */
/*
 * Ack requests to all nodes: the worker's side, two node requests one after the other;
 * and what each node does for them, an ack request of its own to its sessions. Where
 * there are no other nodes, ever, it is that alone.
 */
#include "hub/cluster_ack.h"

#include <stdlib.h>

#include "base/assert.h"
#include "hub/hub_priv.h"
#include "hub/node_op_priv.h"

#define COUNT_TIMEOUT_MS 1000
#define ACK_TIMEOUT_MAX_MS 3600000 /* whatever another node says */

/* The kinds of parts; these numbers are on the wire. */
enum {
    PART_COUNT = 1, /* n sessions would be asked; or were */
    PART_ACK = 2    /* what one of them answered */
};

struct peal_cluster_ack {
    struct peal_shard *sh;
    struct peal_msg *msg; /* retained */
    uint32_t timeout_ms;
    const struct peal_cluster_ack_ops *ops;
    void *ctx;
    struct peal_node_request *request; /* the one under way; or */
    struct peal_ack_request *local;    /* of the only node */
    unsigned n_counted;
    struct peal_cluster_ack_result result;
};

static void
cluster_ack_free(struct peal_cluster_ack *c)
{
    peal_msg_release(c->msg);
    free(c);
}

static void
cluster_ack_end(struct peal_cluster_ack *c, peal_err err)
{
    c->result.err = err;
    c->ops->done(c->ctx, &c->result);
    cluster_ack_free(c);
}

/* The only node. */

static void
local_on_asked(void *ctx, unsigned n)
{
    ((struct peal_cluster_ack *)ctx)->result.n_asked = n;
}

static void
local_on_answer(void *ctx, const struct peal_ack_answer *answer)
{
    const struct peal_cluster_ack *c = ctx;

    c->ops->answer(c->ctx, answer);
}

static void
local_on_done(void *ctx, peal_err why)
{
    cluster_ack_end(ctx, why);
}

static const struct peal_ack_request_ops local_ops = {
    .asked = local_on_asked, .answer = local_on_answer, .done = local_on_done
};

/* The second request: all nodes ask their sessions. */

static void
ask_on_part(void *ctx, uint32_t node, const struct peal_record *part)
{
    struct peal_cluster_ack *c = ctx;
    const struct peal_ack_answer answer = { .args = part->args,
        .n_args = part->n_args,
        .atts = part->atts,
        .n_atts = part->n_atts };

    if (part->part == PART_COUNT)
        c->result.n_asked += part->n;
    else if (part->part == PART_ACK)
        c->ops->answer(c->ctx, &answer);
}

static void
ask_on_done(void *ctx, const struct peal_node_request_result *result)
{
    struct peal_cluster_ack *c = ctx;
    peal_err err = result->err;

    c->result.n_nodes = result->n_nodes;
    c->result.n_answered = result->n_answered;
    if (err == PEAL_OK && result->n_answered < result->n_nodes)
        err = PEAL_ETIMEOUT;
    cluster_ack_end(c, err);
}

static const struct peal_node_request_ops ask_ops = { .part = ask_on_part,
    .done = ask_on_done };

/* The first one: they count. */

static void
count_on_part(void *ctx, uint32_t node, const struct peal_record *part)
{
    if (part->part == PART_COUNT)
        ((struct peal_cluster_ack *)ctx)->n_counted += part->n;
}

static void
count_on_done(void *ctx, const struct peal_node_request_result *result)
{
    struct peal_cluster_ack *c = ctx;
    peal_err err = PEAL_ELIMIT;

    if (result->err != PEAL_OK && result->err != PEAL_ETIMEOUT)
        err = result->err;
    else if (c->n_counted <= PEAL_ACK_REQUEST_MAX)
        err = peal_node_request(
            c->sh, PEAL_NODE_OP_ACK, c->msg, c->timeout_ms, &ask_ops, c, &c->request);
    if (err != PEAL_OK)
        cluster_ack_end(c, err);
}

static const struct peal_node_request_ops count_ops = { .part = count_on_part,
    .done = count_on_done };

peal_err
peal_cluster_ack(struct peal_shard *sh, struct peal_msg *m, uint32_t timeout_ms,
    const struct peal_cluster_ack_ops *ops, void *ctx, struct peal_cluster_ack **out)
{
    struct peal_cluster_ack *c = calloc(1, sizeof(*c));
    peal_err err;

    PEAL_ASSERT((m->flags & PEAL_MSG_NEEDS_ACK) != 0);
    if (c == NULL)
        return PEAL_ENOMEM;
    c->sh = sh;
    c->msg = peal_msg_retain(m);
    c->timeout_ms = timeout_ms;
    c->ops = ops;
    c->ctx = ctx;
    err = peal_node_request(
        sh, PEAL_NODE_OP_ACK_COUNT, m, COUNT_TIMEOUT_MS, &count_ops, c, &c->request);
    if (err == PEAL_EUNSUPP)
        err = peal_ack_request(sh->hub, sh->loop, m, peal_hub_workers(sh->hub, m),
            timeout_ms, &local_ops, c, &c->local);
    if (err != PEAL_OK) {
        cluster_ack_free(c);
        return err;
    }
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_PUBLISHED, 1);
    *out = c;
    return PEAL_OK;
}

void
peal_cluster_ack_cancel(struct peal_cluster_ack *c)
{
    if (c->local != NULL)
        peal_ack_request_cancel(c->local);
    else
        peal_node_request_cancel(c->request);
    cluster_ack_free(c);
}

/* The operations, run by each node that is asked. ctx of a reply is its ack request. */

static void
op_cancel(struct peal_node_reply *reply)
{
    peal_ack_request_cancel(reply->ctx);
}

static void
op_send_count(struct peal_node_reply *reply, unsigned n)
{
    struct peal_record part = { .part = PART_COUNT, .n = n };

    peal_node_reply_part(reply, &part);
}

static bool
op_on_counted(void *ctx, unsigned n)
{
    op_send_count(ctx, n);
    peal_node_reply_end(ctx, PEAL_OK);
    return false;
}

static void
op_on_asked(void *ctx, unsigned n)
{
    op_send_count(ctx, n);
}

static void
op_on_answer(void *ctx, const struct peal_ack_answer *answer)
{
    struct peal_record part = { .part = PART_ACK,
        .args = answer->args,
        .n_args = answer->n_args,
        .n_atts = answer->n_atts };

    for (unsigned i = 0; i < answer->n_atts; i++)
        part.atts[i] = answer->atts[i]; /* borrowed */
    peal_node_reply_part(ctx, &part);
}

/* Too many sessions are counted as more than there may be. */
static void
op_on_done(void *ctx, peal_err why)
{
    struct peal_node_reply *reply = ctx;

    if (why == PEAL_ELIMIT)
        op_send_count(reply, PEAL_ACK_REQUEST_MAX + 1);
    peal_node_reply_end(reply, why == PEAL_ETIMEOUT ? PEAL_OK : why);
}

static const struct peal_ack_request_ops op_count_ops = {
    .counted = op_on_counted, .asked = op_on_asked, .done = op_on_done
};

static const struct peal_ack_request_ops op_ask_ops = {
    .asked = op_on_asked, .answer = op_on_answer, .done = op_on_done
};

static void
op_begin(struct peal_node_reply *reply, const struct peal_record *request,
    const struct peal_ack_request_ops *ops)
{
    struct peal_hub *hub = peal_node_reply_hub(reply);
    struct peal_ack_request *a;
    peal_err err = PEAL_EPROTO;

    if (request->msg != NULL) {
        /* A record cannot say it, and nobody else has the message yet. */
        if ((request->msg->flags & PEAL_MSG_NEEDS_ACK) == 0)
            request->msg->flags |= PEAL_MSG_NEEDS_ACK;
        err = peal_ack_request(hub, peal_node_reply_loop(reply), request->msg,
            peal_hub_workers(hub, request->msg),
            request->timeout_ms < ACK_TIMEOUT_MAX_MS ? request->timeout_ms
                                                     : ACK_TIMEOUT_MAX_MS,
            ops, reply, &a);
    }
    if (err != PEAL_OK) {
        peal_node_reply_end(reply, err);
        return;
    }
    reply->ctx = a;
    reply->cancel = op_cancel;
}

void
peal_node_op_ack_count(struct peal_node_reply *reply, const struct peal_record *request)
{
    op_begin(reply, request, &op_count_ops);
}

void
peal_node_op_ack(struct peal_node_reply *reply, const struct peal_record *request)
{
    op_begin(reply, request, &op_ask_ops);
}

/* SPDX-License-Identifier: MIT */
/*
 * Ack requests to all nodes. Each node has a session that can be asked, and answers now
 * and then; workers ask, and cancel now and then. A request must end, once, however the
 * nodes and links that it needs fare; it may not tell of more than was asked.
 */
#include <stdlib.h>

#include "chance.h"
#include "hub/cluster_ack.h"
#include "world.h"

#define CHANNEL "q"

struct request {
    struct peal_link link; /* on the world's list */
    struct peal_cluster_ack *ack;
    unsigned node, n_answers; /* node: index of its life */
};

static bool
answerer_deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    if ((m->flags & PEAL_MSG_NEEDS_ACK) == 0)
        sim_wrong("nobody publishes on this channel");
    return false;
}

static bool
answerer_deliver_with_ack(struct peal_session *s, struct peal_msg *m, unsigned k,
    struct peal_pending_ack *pending)
{
    struct answerer *a = (struct answerer *)s;

    if (!peal_pending_ack_has_room(a->pending))
        return false;
    peal_pending_ack_add(&a->pending, pending);
    return true;
}

static const struct peal_session_ops ops = { .protocol = "sim",
    .deliver = answerer_deliver,
    .deliver_with_ack = answerer_deliver_with_ack };

void
answerer_begin(struct node *n)
{
    n->answerer = (struct answerer){ .pending = NULL };
    if (peal_session_init(&n->answerer.s, n->shards[sim_pick(n->n_shards)], &ops,
            PEAL_LISTED) != PEAL_OK ||
        peal_session_subscribe(&n->answerer.s, PEAL_S(CHANNEL)) != PEAL_OK)
        sim_wrong("a session cannot begin");
}

void
answerer_end(struct node *n)
{
    peal_pending_acks_clear(&n->answerer.pending);
    peal_session_fini(&n->answerer.s);
}

void
world_answer(struct world *w)
{
    struct node *n = &w->nodes[sim_pick(w->n_places)];
    struct peal_pending_ack *pending = n->alive ? n->answerer.pending : NULL;
    const struct peal_ack_answer yes = { .args = PEAL_S("1"), .n_args = 1 };

    if (pending != NULL &&
        !peal_pending_ack_resolve(n->answerer.pending, pending->id, &yes))
        sim_wrong("node %u: what was asked cannot be answered", n->place);
}

static void
request_on_answer(void *ctx, const struct peal_ack_answer *answer)
{
    struct request *r = ctx;

    r->n_answers++;
}

static void
request_on_done(void *ctx, const struct peal_cluster_ack_result *result)
{
    struct request *r = ctx;

    sim_trace("a request ends: %s, %u of %u nodes, %u answers",
        peal_err_text(result->err), result->n_answered, result->n_nodes, r->n_answers);
    if (result->err == PEAL_OK && result->n_answered != result->n_nodes)
        sim_wrong("a request ends well without an answer of every node");
    if (result->n_answered > result->n_nodes)
        sim_wrong("%u of %u nodes have answered", result->n_answered, result->n_nodes);
    if (result->err == PEAL_OK && r->n_answers > result->n_asked)
        sim_wrong("%u answers of %u sessions", r->n_answers, result->n_asked);
    peal_list_unlink(&r->link);
    free(r);
}

static const struct peal_cluster_ack_ops request_ops = { .answer = request_on_answer,
    .done = request_on_done };

void
world_request(struct world *w)
{
    struct node *n = &w->nodes[sim_pick(w->n_places)];
    const struct peal_slice channel = PEAL_S(CHANNEL);
    const struct peal_msg_spec spec = { .channels = &channel,
        .n_channels = 1,
        .args = PEAL_S("1"),
        .n_args = 1,
        .flags = PEAL_MSG_NEEDS_ACK };
    struct request *r = n->alive ? calloc(1, sizeof(*r)) : NULL;
    struct peal_msg *m;

    if (r == NULL)
        return;
    r->node = n->index;
    if (peal_msg_new(&spec, &m) != PEAL_OK ||
        peal_cluster_ack(n->shards[sim_pick(n->n_shards)], m, sim_pick(3000),
            &request_ops, r, &r->ack) != PEAL_OK)
        sim_wrong("a request cannot begin");
    peal_msg_release(m);
    peal_list_append(&w->requests, &r->link);
    sim_trace("node %u asks all", n->place);
}

static void
request_cancel(struct request *r)
{
    peal_cluster_ack_cancel(r->ack);
    peal_list_unlink(&r->link);
    free(r);
}

void
world_cancel_request(struct world *w)
{
    if (!peal_list_empty(&w->requests))
        request_cancel(PEAL_CONTAINER(w->requests.next, struct request, link));
}

void
world_cancel_requests_of(struct world *w, const struct node *n)
{
    struct peal_link *l = w->requests.next, *next;

    for (; l != &w->requests; l = next) {
        struct request *r = PEAL_CONTAINER(l, struct request, link);

        next = l->next;
        if (r->node == n->index)
            request_cancel(r);
    }
}

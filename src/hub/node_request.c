/* SPDX-License-Identifier: MIT */
/*
 * Node requests: the control thread's side of both ends.
 *
 * A request is counted: its worker has a reference until done or cancel, the control
 * thread until it has ended there, and so has each task under way. The worker closes it,
 * after which tasks that arrive find nobody to call; so it may close it and go.
 */
#include "hub/node_request.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/vec.h"
#include "hub/node_op_priv.h"
#include "hub/outbox_priv.h"

#define GRACE_MS 1000 /* for answers, beyond the operation's own time */

struct peal_node_requests {
    struct peal_hub *hub;
    struct peal_relay *relay;
    struct peal_nodes *nodes;
    struct peal_loop *loop;
    struct peal_link requests; /* of this node, under way */
    struct peal_link replies;  /* to requests, under way */
    unsigned n_requests, n_replies;
    uint32_t next_id;
};

struct peal_node_request {
    struct peal_task begin, cancel, done;
    atomic_uint refs;
    _Atomic bool closed;  /* nobody is to be called any more */
    _Atomic size_t bytes; /* of parts that are under way */
    struct peal_hub *hub;
    struct peal_loop *loop; /* the worker's */
    const struct peal_node_request_ops *ops;
    void *ctx;
    uint32_t op, timeout_ms;
    struct peal_msg *msg; /* retained, or NULL */
    /* The control thread's: */
    struct peal_node_requests *requests; /* NULL: not begun, or ended */
    struct peal_link link;
    struct peal_timer timer;
    uint32_t id;
    struct waiting {
        uint32_t node;
        uint32_t n_parts; /* that have come */
    } * waiting;          /* for nodes that have not ended their answer */
    unsigned n_waiting, cap;
    struct peal_node_request_result result;
};

/* A part on its way to the worker. */
struct part {
    struct peal_task task; /* first */
    struct peal_node_request *request;
    uint32_t node;
    size_t bytes;
    struct peal_record record; /* its attachments are retained, its args follow */
    char args[];
};

static void
request_drop(struct peal_node_request *q)
{
    if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) != 1)
        return;
    PEAL_ASSERT(q->requests == NULL);
    peal_msg_release(q->msg);
    free(q->waiting);
    free(q);
}

static void
request_post(struct peal_node_request *q, struct peal_loop *to, struct peal_task *task,
    peal_task_fn *fn)
{
    atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    task->fn = fn;
    peal_loop_post(to, task);
}

/* To the worker. */

static void
request_on_done(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_node_request *q = PEAL_CONTAINER(task, struct peal_node_request, done);

    if (!q->closed) {
        q->closed = true;
        q->ops->done(q->ctx, &q->result);
        request_drop(q);
    }
    request_drop(q);
}

static void
request_on_part(struct peal_loop *loop, struct peal_task *task)
{
    struct part *p = PEAL_CONTAINER(task, struct part, task);
    struct peal_node_request *q = p->request;

    atomic_fetch_sub_explicit(&q->bytes, p->bytes, memory_order_relaxed);
    if (!q->closed)
        q->ops->part(q->ctx, p->node, &p->record);
    peal_record_fini(&p->record);
    free(p);
    request_drop(q);
}

/* false: it is lost, which is counted. */
static bool
request_post_part(
    struct peal_node_request *q, uint32_t node, const struct peal_record *record)
{
    size_t bytes = sizeof(struct part) + record->args.len;
    struct part *p;

    for (unsigned i = 0; i < record->n_atts; i++)
        bytes += record->atts[i]->len;
    if (atomic_load_explicit(&q->bytes, memory_order_relaxed) + bytes >
            PEAL_NODE_PARTS_BYTES_MAX ||
        (p = malloc(sizeof(*p) + record->args.len)) == NULL) {
        peal_stat_add(peal_loop_stats(q->requests->loop), PEAL_STAT_WORKER_LOST, 1);
        return false;
    }
    *p = (struct part){ .request = q, .node = node, .bytes = bytes, .record = *record };
    p->record.msg = NULL;
    if (record->args.len > 0)
        memcpy(p->args, record->args.data, record->args.len);
    p->record.args.data = p->args;
    for (unsigned i = 0; i < record->n_atts; i++)
        peal_blob_retain(record->atts[i]);
    atomic_fetch_add_explicit(&q->bytes, bytes, memory_order_relaxed);
    request_post(q, q->loop, &p->task, request_on_part);
    return true;
}

/* On the control thread. */

static void
request_unlink(struct peal_node_request *q)
{
    peal_list_unlink(&q->link);
    peal_timer_stop(&q->timer);
    q->requests->n_requests--;
    q->requests = NULL;
    request_drop(q);
}

static void
request_end(struct peal_node_request *q, peal_err err)
{
    q->result.err = err;
    if (!q->closed)
        request_post(q, q->loop, &q->done, request_on_done);
    request_unlink(q);
}

static void
request_on_timer(struct peal_timer *t)
{
    request_end(PEAL_CONTAINER(t, struct peal_node_request, timer), PEAL_ETIMEOUT);
}

static struct waiting *
request_waiting(struct peal_node_request *q, uint32_t node)
{
    for (unsigned i = 0; i < q->n_waiting; i++)
        if (q->waiting[i].node == node)
            return &q->waiting[i];
    return NULL;
}

/* The node is not waited for any longer. */
static void
request_node_ended(struct peal_node_request *q, struct waiting *w, bool answered)
{
    q->result.n_answered += answered;
    *w = q->waiting[--q->n_waiting];
    if (q->n_waiting == 0)
        request_end(q, PEAL_OK);
}

static struct peal_node_request *
request_find(struct peal_node_requests *rq, uint32_t id)
{
    for (struct peal_link *l = rq->requests.next; l != &rq->requests; l = l->next) {
        struct peal_node_request *q = PEAL_CONTAINER(l, struct peal_node_request, link);

        if (q->id == id)
            return q;
    }
    return NULL;
}

static void
requests_on_answer(
    struct peal_node_requests *rq, uint32_t node, const struct peal_record *record)
{
    struct peal_node_request *q = request_find(rq, record->id);
    struct waiting *w = q != NULL ? request_waiting(q, node) : NULL;

    if (w == NULL) /* it has ended */
        return;
    if (record->last) /* it says how many parts there were: some may be lost */
        request_node_ended(q, w, record->status == PEAL_OK && record->n == w->n_parts);
    else if (!q->closed)
        w->n_parts += request_post_part(q, node, record);
}

/* Replies. */

static peal_node_op_fn *const operations[] = {
    [PEAL_NODE_OP_ACK_COUNT] = peal_node_op_ack_count,
    [PEAL_NODE_OP_ACK] = peal_node_op_ack,
};

#define N_OPERATIONS (sizeof(operations) / sizeof(*operations))

struct peal_hub *
peal_node_reply_hub(const struct peal_node_reply *reply)
{
    return reply->requests->hub;
}

struct peal_loop *
peal_node_reply_loop(const struct peal_node_reply *reply)
{
    return reply->requests->loop;
}

/* A part that cannot be sent is counted by the relay; the asking node does without it. */
static void
send_answer(struct peal_node_requests *rq, uint32_t node, struct peal_record *part)
{
    part->kind = PEAL_RECORD_ANSWER;
    if (node == rq->hub->node)
        requests_on_answer(rq, node, part);
    else
        (void)peal_relay_publish_record(rq->relay, node, part);
}

void
peal_node_reply_part(struct peal_node_reply *reply, struct peal_record *part)
{
    part->id = reply->id;
    reply->n_parts++;
    send_answer(reply->requests, reply->node, part);
}

static void
reply_free(struct peal_node_reply *reply)
{
    peal_list_unlink(&reply->link);
    reply->requests->n_replies--;
    free(reply);
}

void
peal_node_reply_end(struct peal_node_reply *reply, peal_err status)
{
    struct peal_record last = {
        .id = reply->id, .status = status, .n = reply->n_parts, .last = true
    };

    send_answer(reply->requests, reply->node, &last);
    reply_free(reply);
}

static void
requests_on_request(
    struct peal_node_requests *rq, uint32_t node, const struct peal_record *record)
{
    struct peal_record refusal = { .id = record->id, .last = true };
    struct peal_node_reply *reply = NULL;

    if (record->op >= N_OPERATIONS || operations[record->op] == NULL)
        refusal.status = PEAL_EUNSUPP;
    else if (rq->n_replies >= PEAL_NODE_REQUESTS_MAX)
        refusal.status = PEAL_ELIMIT;
    else if ((reply = calloc(1, sizeof(*reply))) == NULL)
        refusal.status = PEAL_ENOMEM;
    if (reply == NULL) {
        send_answer(rq, node, &refusal);
        return;
    }
    reply->requests = rq;
    reply->node = node;
    reply->id = record->id;
    rq->n_replies++;
    peal_list_append(&rq->replies, &reply->link);
    peal_relay_post_deliveries(rq->relay); /* what was published before goes before */
    operations[record->op](reply, record);
}

static void
requests_on_record(void *arg, uint32_t node, struct peal_record *record)
{
    struct peal_node_requests *rq = arg;

    if (record->kind == PEAL_RECORD_ANSWER)
        requests_on_answer(rq, node, record);
    else
        requests_on_request(rq, node, record);
}

static void
requests_on_node_gone(void *arg, uint32_t node)
{
    struct peal_node_requests *rq = arg;
    struct peal_link *l = rq->requests.next, *next;

    for (; l != &rq->requests; l = next) {
        struct peal_node_request *q = PEAL_CONTAINER(l, struct peal_node_request, link);
        struct waiting *w = request_waiting(q, node);

        next = l->next; /* this one may end */
        if (w != NULL)
            request_node_ended(q, w, false);
    }
}

/* Requests. */

static void
add_waiting(void *arg, const struct peal_node_report *r, uint64_t seen_ms, bool own)
{
    struct peal_node_request *q = arg;

    q->result.n_nodes++;
    if (PEAL_GROW(q->waiting, q->cap, q->n_waiting + 1) == PEAL_OK)
        q->waiting[q->n_waiting++] = (struct waiting){ .node = r->number };
}

/* Asks the others. Where there are none, or they cannot be reached, this node is left. */
static void
request_send(struct peal_node_request *q)
{
    const struct peal_node_requests *rq = q->requests;
    const struct peal_record record = { .kind = PEAL_RECORD_REQUEST,
        .id = q->id,
        .op = q->op,
        .timeout_ms = q->timeout_ms,
        .msg = q->msg };

    peal_nodes_each(rq->nodes, add_waiting, q); /* this node is the first */
    if (q->n_waiting > 1 && peal_relay_publish_record(rq->relay, 0, &record) != PEAL_OK)
        q->n_waiting = 1;
}

static void
request_on_begin(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_node_request *q = PEAL_CONTAINER(task, struct peal_node_request, begin);
    struct peal_node_requests *rq = q->hub->requests; /* NULL: freed */
    struct peal_record own = { .kind = PEAL_RECORD_REQUEST, .op = q->op };

    if (rq == NULL || q->closed)
        goto out;
    atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    q->requests = rq;
    rq->n_requests++;
    peal_list_append(&rq->requests, &q->link);
    own.id = q->id = ++rq->next_id;
    own.timeout_ms = q->timeout_ms;
    own.msg = q->msg;
    if (rq->n_requests > PEAL_NODE_REQUESTS_MAX) {
        request_end(q, PEAL_EAGAIN);
        goto out;
    }
    request_send(q);
    if (q->n_waiting == 0) {
        request_end(q, PEAL_ENOMEM);
        goto out;
    }
    peal_loop_start(loop, &q->timer, q->timeout_ms + GRACE_MS);
    requests_on_request(rq, rq->hub->node, &own);

out:
    request_drop(q);
}

static void
request_on_cancel(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_node_request *q = PEAL_CONTAINER(task, struct peal_node_request, cancel);

    if (q->requests != NULL)
        request_unlink(q);
    request_drop(q);
}

peal_err
peal_node_request(struct peal_shard *sh, uint32_t op, struct peal_msg *m,
    uint32_t timeout_ms, const struct peal_node_request_ops *ops, void *ctx,
    struct peal_node_request **out)
{
    struct peal_node_request *q;

    if (sh->hub->requests == NULL)
        return PEAL_EUNSUPP;
    if ((q = calloc(1, sizeof(*q))) == NULL)
        return PEAL_ENOMEM;
    atomic_init(&q->refs, 1);
    q->hub = sh->hub;
    q->loop = sh->loop;
    q->ops = ops;
    q->ctx = ctx;
    q->op = op;
    q->timeout_ms = timeout_ms;
    q->msg = m != NULL ? peal_msg_retain(m) : NULL;
    q->timer.fn = request_on_timer;
    peal_outbox_turn(sh); /* what was published before goes before */
    request_post(q, sh->hub->control, &q->begin, request_on_begin);
    *out = q;
    return PEAL_OK;
}

void
peal_node_request_cancel(struct peal_node_request *q)
{
    PEAL_ASSERT(!q->closed);
    q->closed = true;
    request_post(q, q->hub->control, &q->cancel, request_on_cancel);
    request_drop(q);
}

peal_err
peal_node_requests_new(struct peal_hub *hub, struct peal_relay *relay,
    struct peal_nodes *nodes, struct peal_loop *loop, struct peal_node_requests **out)
{
    struct peal_node_requests *rq = calloc(1, sizeof(*rq));

    if (rq == NULL)
        return PEAL_ENOMEM;
    rq->hub = hub;
    rq->relay = relay;
    rq->nodes = nodes;
    rq->loop = loop;
    peal_list_init(&rq->requests);
    peal_list_init(&rq->replies);
    peal_relay_set_on_record(relay, requests_on_record, rq);
    peal_nodes_set_on_gone(nodes, requests_on_node_gone, rq);
    hub->requests = rq;
    *out = rq;
    return PEAL_OK;
}

void
peal_node_requests_free(struct peal_node_requests **rp)
{
    struct peal_node_requests *rq = *rp;

    if (rq == NULL)
        return;
    *rp = NULL;
    rq->hub->requests = NULL;
    peal_relay_set_on_record(rq->relay, NULL, NULL);
    peal_nodes_set_on_gone(rq->nodes, NULL, NULL);
    while (!peal_list_empty(&rq->requests))
        request_unlink(PEAL_CONTAINER(rq->requests.next, struct peal_node_request, link));
    while (!peal_list_empty(&rq->replies)) {
        struct peal_node_reply *reply =
            PEAL_CONTAINER(rq->replies.next, struct peal_node_reply, link);

        if (reply->cancel != NULL)
            reply->cancel(reply);
        reply_free(reply);
    }
    free(rq);
}

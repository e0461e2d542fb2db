/* SPDX-License-Identifier: MIT */
/*
 * Asking: a request has a part for each worker that may have somebody to ask.
 *
 *   asking loop        worker
 *     count  ------->          how many would be asked?
 *            <-------  counted
 *     ask    ------->          when all have counted, and they are not too many
 *            <-------  asked
 *            <-------  answer, or left: a session has ended
 *     close  ------->          all have answered, or it is time: forget the others
 *
 * Mails of one sender arrive in order. All but answers are within the part, so that only
 * an answer can fail for want of memory; it is then as if its session had left.
 *
 * Request and parts are one allocation, counted: the loop that asks has a reference, so
 * has each part until its worker is through with it, and each task under way.
 */
#include "hub/ackreq.h"

#include <stdlib.h>

#include "base/assert.h"
#include "hub/outbox_priv.h"

struct peal_ack_share {
    struct peal_task order, reply, left, close;
    struct peal_ack_request *ask;
    unsigned worker;
    unsigned n;              /* counted; then asked */
    _Atomic unsigned n_left; /* sessions that ended, of which the asker was not told */
    _Atomic bool over;       /* the worker is through with it */
    /* The worker's: */
    struct peal_link link; /* on its shard's list */
    struct peal_pending_ack *owed;
    unsigned n_owed; /* places in it */
};

struct peal_ack_request {
    atomic_uint refs;
    _Atomic bool closed; /* nobody wants to know any more */
    struct peal_hub *hub;
    struct peal_msg *msg; /* held */
    struct peal_loop *loop;
    /* The asking loop's: */
    struct peal_timer timer; /* for answers, once all have been asked */
    uint64_t timeout_ms;
    const struct peal_ack_request_ops *ops;
    void *ctx;
    unsigned replies;         /* to the order that is under way */
    unsigned asked, resolved; /* sessions; resolved: have answered, or left */
    bool all_asked;
    unsigned n_parts;
    struct peal_ack_share parts[];
};

struct answer {
    struct peal_task task; /* first */
    struct peal_ack_request *ask;
    struct peal_ack_answer said;
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX]; /* held */
    char args[];
};

static peal_task_fn on_counted, on_asked, on_left, on_answer;

static void
drop(struct peal_ack_request *a)
{
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < a->n_parts; i++)
        free(a->parts[i].owed);
    peal_msg_release(a->msg);
    free(a);
}

static void
post(struct peal_ack_request *a, struct peal_loop *to, struct peal_task *task,
    peal_task_fn *fn)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    task->fn = fn;
    peal_loop_post(to, task);
}

/* To the asking loop. If nobody wants to know, the loop may be gone. */
static void
tell(struct peal_ack_request *a, struct peal_task *task, peal_task_fn *fn)
{
    if (!a->closed)
        post(a, a->loop, task, fn);
}

/* What a session owes. */

bool
peal_pending_ack_has_room(const struct peal_pending_ack *list)
{
    unsigned n = 0;

    for (; list != NULL; list = list->next)
        n++;
    return n < PEAL_PENDING_ACKS_MAX;
}

void
peal_pending_ack_add(struct peal_pending_ack **list, struct peal_pending_ack *o)
{
    o->next = *list;
    o->at = list;
    if (o->next != NULL)
        o->next->at = &o->next;
    *list = o;
}

static void
take_off(struct peal_pending_ack *o)
{
    if (o->at == NULL)
        return;
    *o->at = o->next;
    if (o->next != NULL)
        o->next->at = o->at;
    o->at = NULL;
}

static void
leave(struct peal_pending_ack *o)
{
    struct peal_ack_share *p = o->part;

    take_off(o);
    if (atomic_fetch_add(&p->n_left, 1) == 0) /* else the asker has not looked yet */
        tell(p->ask, &p->left, on_left);
}

void
peal_pending_acks_clear(struct peal_pending_ack **list)
{
    while (*list != NULL)
        leave(*list);
}

static struct answer *
copy_answer(struct peal_ack_request *a, const struct peal_ack_answer *said)
{
    struct answer *c = malloc(sizeof(*c) + said->args.len);

    PEAL_ASSERT(said->n_atts <= PEAL_ATTACHMENTS_MAX);
    if (c == NULL)
        return NULL;
    if (said->args.len > 0)
        memcpy(c->args, said->args.data, said->args.len);
    for (unsigned i = 0; i < said->n_atts; i++)
        c->atts[i] = peal_blob_retain(said->atts[i]);
    c->ask = a;
    c->said = *said;
    c->said.args.data = c->args;
    c->said.atts = c->atts;
    return c;
}

bool
peal_pending_ack_resolve(
    struct peal_pending_ack *list, uint64_t id, const struct peal_ack_answer *said)
{
    struct peal_pending_ack *o = list;
    struct peal_ack_request *a;
    struct answer *c;

    while (o != NULL && o->id != id)
        o = o->next;
    if (o == NULL)
        return false;
    a = o->part->ask;
    if (a->closed || (c = copy_answer(a, said)) == NULL) {
        leave(o);
        return true;
    }
    take_off(o);
    post(a, a->loop, &c->task, on_answer);
    return true;
}

/* Workers. */

static void
give_up(struct peal_ack_share *p)
{
    if (p->over)
        return;
    for (unsigned i = 0; i < p->n_owed; i++)
        take_off(&p->owed[i]);
    peal_list_unlink(&p->link);
    p->over = true;
    drop(p->ask);
}

void
peal_ack_requests_detach(struct peal_shard *sh)
{
    while (!peal_list_empty(&sh->asks))
        give_up(PEAL_CONTAINER(sh->asks.next, struct peal_ack_share, link));
}

static bool
count_one(void *part, struct peal_session *s, unsigned k)
{
    struct peal_ack_share *p = part;

    p->n += s->ops->deliver_with_ack != NULL;
    return p->n <= PEAL_ACK_REQUEST_MAX;
}

static void
do_count(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, order);
    struct peal_ack_request *a = p->ask;
    struct peal_shard *sh = a->hub->shards[p->worker];

    if (sh == NULL) { /* it has ended */
        give_up(p);
    } else {
        peal_list_append(&sh->asks, &p->link);
        peal_meant_for(sh, a->msg, count_one, p);
        tell(a, &p->reply, on_counted);
    }
    drop(a);
}

static bool
ask_one(void *part, struct peal_session *s, unsigned k)
{
    struct peal_ack_share *p = part;
    struct peal_pending_ack *o = &p->owed[p->n];

    if (s->ops->deliver_with_ack == NULL)
        return true;
    if (p->n == p->n_owed) /* they have become more */
        return false;
    *o = (struct peal_pending_ack){ .part = p, .id = s->shard->next_ask++ };
    peal_session_catch_up(s);
    if (s->ops->deliver_with_ack(s, p->ask->msg, k, o))
        p->n++;
    return true;
}

static void
ask_all(struct peal_shard *sh, struct peal_ack_share *p)
{
    struct peal_stats *stats = peal_shard_stats(sh);

    if (p->n > 0 && (p->owed = calloc(p->n, sizeof(*p->owed))) != NULL)
        p->n_owed = p->n;
    else if (p->n > 0)
        peal_stat_add(stats, PEAL_STAT_WORKER_LOST, 1);
    p->n = 0;
    if (p->n_owed > 0)
        peal_meant_for(sh, p->ask->msg, ask_one, p);
    peal_stat_add(stats, PEAL_STAT_DELIVERED, p->n);
    peal_stat_add(stats, PEAL_STAT_ASKED, p->n);
    /* Those who cannot answer get it too: the others do not take it in this way. */
    peal_shard_deliver(sh, p->ask->msg);
}

static void
do_ask(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, order);
    struct peal_ack_request *a = p->ask;
    struct peal_shard *sh = a->hub->shards[p->worker];

    if (sh != NULL && !a->closed) {
        ask_all(sh, p);
        tell(a, &p->reply, on_asked);
    }
    drop(a);
}

static void
do_close(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, close);
    struct peal_ack_request *a = p->ask;

    give_up(p);
    drop(a);
}

/* The asking loop. */

void
peal_ack_request_cancel(struct peal_ack_request *a)
{
    a->closed = true;
    peal_timer_stop(&a->timer);
    for (unsigned i = 0; i < a->n_parts; i++) {
        struct peal_ack_share *p = &a->parts[i];

        if (!p->over) /* else its loop may be gone */
            post(a, a->hub->shards[p->worker]->loop, &p->close, do_close);
    }
    drop(a);
}

static void
finish(struct peal_ack_request *a, peal_err why)
{
    const struct peal_ack_request_ops *ops = a->ops;
    void *ctx = a->ctx;

    peal_ack_request_cancel(a);
    ops->done(ctx, why);
}

static void
on_timer(struct peal_timer *t)
{
    struct peal_ack_request *a = PEAL_CONTAINER(t, struct peal_ack_request, timer);

    if (a->n_parts == 0) { /* nobody is there */
        a->ops->asked(a->ctx, 0);
        finish(a, PEAL_OK);
    } else {
        finish(a, PEAL_ETIMEOUT);
    }
}

/* Has everybody who was asked answered, or left? */
static void
check(struct peal_ack_request *a)
{
    if (!a->closed && a->all_asked && a->resolved == a->asked)
        finish(a, PEAL_OK);
}

static void
send_orders(struct peal_ack_request *a, peal_task_fn *fn)
{
    a->replies = 0;
    for (unsigned i = 0; i < a->n_parts; i++)
        post(a, a->hub->shards[a->parts[i].worker]->loop, &a->parts[i].order, fn);
}

static void
on_counted(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, reply);
    struct peal_ack_request *a = p->ask;
    unsigned n = 0;

    if (!a->closed && ++a->replies == a->n_parts) {
        for (unsigned i = 0; i < a->n_parts; i++)
            n += a->parts[i].n;
        if (n > PEAL_ACK_REQUEST_MAX)
            finish(a, PEAL_ELIMIT);
        else if (a->ops->counted != NULL && !a->ops->counted(a->ctx, n))
            peal_ack_request_cancel(a);
        else
            send_orders(a, do_ask);
    }
    drop(a);
}

static void
on_asked(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, reply);
    struct peal_ack_request *a = p->ask;

    a->asked += p->n;
    if (!a->closed && ++a->replies == a->n_parts) {
        a->all_asked = true;
        peal_loop_start(loop, &a->timer, a->timeout_ms);
        a->ops->asked(a->ctx, a->asked);
        check(a);
    }
    drop(a);
}

static void
on_left(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, left);
    struct peal_ack_request *a = p->ask;

    a->resolved += atomic_exchange(&p->n_left, 0);
    check(a);
    drop(a);
}

static void
on_answer(struct peal_loop *loop, struct peal_task *task)
{
    struct answer *c = (struct answer *)task;
    struct peal_ack_request *a = c->ask;

    if (!a->closed) {
        a->resolved++;
        peal_stat_add(peal_loop_stats(loop), PEAL_STAT_ANSWERED, 1);
        a->ops->answer(a->ctx, &c->said);
    }
    check(a);
    for (unsigned i = 0; i < c->said.n_atts; i++)
        peal_blob_release(c->atts[i]);
    free(c);
    drop(a);
}

peal_err
peal_ack_request(struct peal_hub *hub, struct peal_loop *loop, struct peal_msg *m,
    uint64_t workers, uint64_t timeout_ms, const struct peal_ack_request_ops *ops,
    void *ctx, struct peal_ack_request **out)
{
    unsigned n = (unsigned)__builtin_popcountll(workers);
    struct peal_ack_request *a = calloc(1, sizeof(*a) + n * sizeof(a->parts[0]));

    PEAL_ASSERT((m->flags & PEAL_MSG_NEEDS_ACK) != 0);
    if (a == NULL)
        return PEAL_ENOMEM;
    atomic_init(&a->refs, 1 + n);
    a->hub = hub;
    a->msg = peal_msg_retain(m);
    a->loop = loop;
    a->ops = ops;
    a->ctx = ctx;
    a->n_parts = n;
    for (unsigned i = 0; i < n; i++, workers &= workers - 1) {
        a->parts[i].ask = a;
        a->parts[i].worker = (unsigned)__builtin_ctzll(workers);
    }
    a->timer.fn = on_timer;
    a->timeout_ms = timeout_ms;
    if (n == 0)
        peal_loop_start(loop, &a->timer, 0);
    send_orders(a, do_count);
    *out = a;
    return PEAL_OK;
}

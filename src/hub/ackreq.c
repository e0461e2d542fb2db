/* SPDX-License-Identifier: MIT */
/*
 * Ack requests: a request has a share for each worker that may have sessions to ask.
 *
 *   asking loop        worker
 *     count  ------->          how many would be asked?
 *            <-------  counted
 *     ask    ------->          when all have counted, and they are not too many
 *            <-------  asked
 *            <-------  answer, or ended: a session will not answer any more
 *     close  ------->          all have answered, or it is time: forget the others
 *
 * Tasks of one sender arrive in order. All but answers are within the share, so that only
 * an answer can fail for want of memory; it is then as if its session had ended.
 *
 * Request and shares are one allocation, counted: the loop that asks has a reference, so
 * has each share until its worker is through with it, and each task under way.
 */
#include "hub/ackreq.h"

#include <stdlib.h>

#include "base/assert.h"
#include "hub/outbox_priv.h"

struct peal_ack_share {
    struct peal_task to_worker, reply, ended, close;
    struct peal_ack_request *request;
    unsigned worker;
    unsigned n;               /* counted; then asked */
    _Atomic unsigned n_ended; /* sessions that ended, and the asker does not know of */
    _Atomic bool over;        /* the worker is through with it */
    /* The worker's: */
    struct peal_link link; /* on its shard's list */
    struct peal_pending_ack *pending;
    unsigned n_pending; /* places in it */
};

struct peal_ack_request {
    atomic_uint refs;
    _Atomic bool closed; /* nobody is to be called any more */
    struct peal_hub *hub;
    struct peal_msg *msg; /* retained */
    struct peal_loop *loop;
    /* The asking loop's: */
    struct peal_timer timer; /* for answers, once all have been asked */
    uint64_t timeout_ms;
    const struct peal_ack_request_ops *ops;
    void *ctx;
    unsigned replies;         /* to the tasks that are under way */
    unsigned asked, resolved; /* sessions; resolved: have answered, or ended */
    bool all_asked;
    unsigned n_shares;
    struct peal_ack_share shares[];
};

struct ack_msg {
    struct peal_task task; /* first */
    struct peal_ack_request *request;
    struct peal_ack_answer answer;
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX]; /* retained */
    char args[];
};

static peal_task_fn ackreq_on_counted, ackreq_on_asked, ackreq_on_ended, ackreq_on_answer;

static void
ackreq_drop(struct peal_ack_request *a)
{
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < a->n_shares; i++)
        free(a->shares[i].pending);
    peal_msg_release(a->msg);
    free(a);
}

static void
ackreq_post(struct peal_ack_request *a, struct peal_loop *to, struct peal_task *task,
    peal_task_fn *fn)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    task->fn = fn;
    peal_loop_post(to, task);
}

/* To the asking loop, which may be gone if the request is closed. */
static void
ackreq_tell(struct peal_ack_request *a, struct peal_task *task, peal_task_fn *fn)
{
    if (!a->closed)
        ackreq_post(a, a->loop, task, fn);
}

/* Pending acks of a session. */

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
pending_unlink(struct peal_pending_ack *o)
{
    if (o->at == NULL)
        return;
    *o->at = o->next;
    if (o->next != NULL)
        o->next->at = o->at;
    o->at = NULL;
}

static void
pending_end(struct peal_pending_ack *o)
{
    struct peal_ack_share *p = o->share;

    pending_unlink(o);
    if (atomic_fetch_add(&p->n_ended, 1) == 0) /* else the asker has not looked yet */
        ackreq_tell(p->request, &p->ended, ackreq_on_ended);
}

void
peal_pending_acks_clear(struct peal_pending_ack **list)
{
    while (*list != NULL)
        pending_end(*list);
}

static struct ack_msg *
answer_copy(struct peal_ack_request *a, const struct peal_ack_answer *answer)
{
    struct ack_msg *c = malloc(sizeof(*c) + answer->args.len);

    PEAL_ASSERT(answer->n_atts <= PEAL_ATTACHMENTS_MAX);
    if (c == NULL)
        return NULL;
    if (answer->args.len > 0)
        memcpy(c->args, answer->args.data, answer->args.len);
    for (unsigned i = 0; i < answer->n_atts; i++)
        c->atts[i] = peal_blob_retain(answer->atts[i]);
    c->request = a;
    c->answer = *answer;
    c->answer.args.data = c->args;
    c->answer.atts = c->atts;
    return c;
}

bool
peal_pending_ack_resolve(
    struct peal_pending_ack *list, uint64_t id, const struct peal_ack_answer *answer)
{
    struct peal_pending_ack *o = list;
    struct peal_ack_request *a;
    struct ack_msg *c;

    while (o != NULL && o->id != id)
        o = o->next;
    if (o == NULL)
        return false;
    a = o->share->request;
    if (a->closed || (c = answer_copy(a, answer)) == NULL) {
        pending_end(o);
        return true;
    }
    pending_unlink(o);
    ackreq_post(a, a->loop, &c->task, ackreq_on_answer);
    return true;
}

/* Workers. */

static void
share_end(struct peal_ack_share *p)
{
    if (p->over)
        return;
    for (unsigned i = 0; i < p->n_pending; i++)
        pending_unlink(&p->pending[i]);
    peal_list_unlink(&p->link);
    p->over = true;
    ackreq_drop(p->request);
}

void
peal_ack_requests_detach(struct peal_shard *sh)
{
    while (!peal_list_empty(&sh->ack_shares))
        share_end(PEAL_CONTAINER(sh->ack_shares.next, struct peal_ack_share, link));
}

static bool
share_count_session(void *part, struct peal_session *s, unsigned k)
{
    struct peal_ack_share *p = part;

    p->n += s->ops->deliver_with_ack != NULL;
    return p->n <= PEAL_ACK_REQUEST_MAX;
}

static void
share_on_count(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, to_worker);
    struct peal_ack_request *a = p->request;
    struct peal_shard *sh = a->hub->shards[p->worker];

    if (sh == NULL) { /* it has ended */
        share_end(p);
    } else {
        peal_list_append(&sh->ack_shares, &p->link);
        peal_meant_for(sh, a->msg, share_count_session, p);
        ackreq_tell(a, &p->reply, ackreq_on_counted);
    }
    ackreq_drop(a);
}

static bool
share_ask_session(void *part, struct peal_session *s, unsigned k)
{
    struct peal_ack_share *p = part;
    struct peal_pending_ack *o = &p->pending[p->n];

    if (s->ops->deliver_with_ack == NULL)
        return true;
    if (p->n == p->n_pending) /* they have become more */
        return false;
    *o = (struct peal_pending_ack){ .share = p, .id = s->shard->next_ack_id++ };
    peal_session_catch_up(s);
    if (s->ops->deliver_with_ack(s, p->request->msg, k, o))
        p->n++;
    return true;
}

static void
share_ask_all(struct peal_shard *sh, struct peal_ack_share *p)
{
    struct peal_stats *stats = peal_shard_stats(sh);

    if (p->n > 0 && (p->pending = calloc(p->n, sizeof(*p->pending))) != NULL)
        p->n_pending = p->n;
    else if (p->n > 0)
        peal_stat_add(stats, PEAL_STAT_WORKER_LOST, 1);
    p->n = 0;
    if (p->n_pending > 0)
        peal_meant_for(sh, p->request->msg, share_ask_session, p);
    peal_stat_add(stats, PEAL_STAT_DELIVERED, p->n);
    peal_stat_add(stats, PEAL_STAT_ASKED, p->n);
    /* Sessions that cannot answer get it as any other message, which the others, that
     * have been asked, do not take. */
    peal_shard_deliver(sh, p->request->msg);
}

static void
share_on_ask(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, to_worker);
    struct peal_ack_request *a = p->request;
    struct peal_shard *sh = a->hub->shards[p->worker];

    if (sh != NULL && !a->closed) {
        share_ask_all(sh, p);
        ackreq_tell(a, &p->reply, ackreq_on_asked);
    }
    ackreq_drop(a);
}

static void
share_on_close(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, close);
    struct peal_ack_request *a = p->request;

    share_end(p);
    ackreq_drop(a);
}

/* The asking loop. */

void
peal_ack_request_cancel(struct peal_ack_request *a)
{
    a->closed = true;
    peal_timer_stop(&a->timer);
    for (unsigned i = 0; i < a->n_shares; i++) {
        struct peal_ack_share *p = &a->shares[i];

        if (!p->over) /* else its loop may be gone */
            ackreq_post(a, a->hub->shards[p->worker]->loop, &p->close, share_on_close);
    }
    ackreq_drop(a);
}

static void
ackreq_end(struct peal_ack_request *a, peal_err why)
{
    const struct peal_ack_request_ops *ops = a->ops;
    void *ctx = a->ctx;

    peal_ack_request_cancel(a);
    ops->done(ctx, why);
}

static void
ackreq_on_timer(struct peal_timer *t)
{
    struct peal_ack_request *a = PEAL_CONTAINER(t, struct peal_ack_request, timer);

    if (a->n_shares == 0) { /* nobody is there */
        a->ops->asked(a->ctx, 0);
        ackreq_end(a, PEAL_OK);
    } else {
        ackreq_end(a, PEAL_ETIMEOUT);
    }
}

/* Ends the request if everybody who was asked has answered, or left. */
static void
ackreq_look_if_done(struct peal_ack_request *a)
{
    if (!a->closed && a->all_asked && a->resolved == a->asked)
        ackreq_end(a, PEAL_OK);
}

static void
ackreq_post_all(struct peal_ack_request *a, peal_task_fn *fn)
{
    a->replies = 0;
    for (unsigned i = 0; i < a->n_shares; i++)
        ackreq_post(
            a, a->hub->shards[a->shares[i].worker]->loop, &a->shares[i].to_worker, fn);
}

static void
ackreq_on_counted(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, reply);
    struct peal_ack_request *a = p->request;
    unsigned n = 0;

    if (!a->closed && ++a->replies == a->n_shares) {
        for (unsigned i = 0; i < a->n_shares; i++)
            n += a->shares[i].n;
        if (n > PEAL_ACK_REQUEST_MAX)
            ackreq_end(a, PEAL_ELIMIT);
        else if (a->ops->counted != NULL && !a->ops->counted(a->ctx, n))
            peal_ack_request_cancel(a);
        else
            ackreq_post_all(a, share_on_ask);
    }
    ackreq_drop(a);
}

static void
ackreq_on_asked(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, reply);
    struct peal_ack_request *a = p->request;

    a->asked += p->n;
    if (!a->closed && ++a->replies == a->n_shares) {
        a->all_asked = true;
        peal_loop_start(loop, &a->timer, a->timeout_ms);
        a->ops->asked(a->ctx, a->asked);
        ackreq_look_if_done(a);
    }
    ackreq_drop(a);
}

static void
ackreq_on_ended(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_ack_share *p = PEAL_CONTAINER(task, struct peal_ack_share, ended);
    struct peal_ack_request *a = p->request;

    a->resolved += atomic_exchange(&p->n_ended, 0);
    ackreq_look_if_done(a);
    ackreq_drop(a);
}

static void
ackreq_on_answer(struct peal_loop *loop, struct peal_task *task)
{
    struct ack_msg *c = PEAL_CONTAINER(task, struct ack_msg, task);
    struct peal_ack_request *a = c->request;

    if (!a->closed) {
        a->resolved++;
        peal_stat_add(peal_loop_stats(loop), PEAL_STAT_ANSWERED, 1);
        a->ops->answer(a->ctx, &c->answer);
    }
    ackreq_look_if_done(a);
    for (unsigned i = 0; i < c->answer.n_atts; i++)
        peal_blob_release(c->atts[i]);
    free(c);
    ackreq_drop(a);
}

peal_err
peal_ack_request(struct peal_hub *hub, struct peal_loop *loop, struct peal_msg *m,
    uint64_t workers, uint64_t timeout_ms, const struct peal_ack_request_ops *ops,
    void *ctx, struct peal_ack_request **out)
{
    unsigned n = (unsigned)__builtin_popcountll(workers);
    struct peal_ack_request *a = calloc(1, sizeof(*a) + n * sizeof(a->shares[0]));

    PEAL_ASSERT((m->flags & PEAL_MSG_NEEDS_ACK) != 0);
    if (a == NULL)
        return PEAL_ENOMEM;
    atomic_init(&a->refs, 1 + n);
    a->hub = hub;
    a->msg = peal_msg_retain(m);
    a->loop = loop;
    a->ops = ops;
    a->ctx = ctx;
    a->n_shares = n;
    for (unsigned i = 0; i < n; i++, workers &= workers - 1) {
        a->shares[i].request = a;
        a->shares[i].worker = (unsigned)__builtin_ctzll(workers);
    }
    a->timer.fn = ackreq_on_timer;
    a->timeout_ms = timeout_ms;
    if (n == 0)
        peal_loop_start(loop, &a->timer, 0);
    ackreq_post_all(a, share_on_count);
    *out = a;
    return PEAL_OK;
}

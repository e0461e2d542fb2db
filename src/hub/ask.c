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
 * has each part until its worker is through with it, and each mail under way.
 */
#include "hub/ask.h"

#include <assert.h>
#include <stdlib.h>

#include "hub/outbox.h"

struct peal_ask_part {
    struct peal_mail order, reply, left, close;
    struct peal_ask *ask;
    unsigned worker;
    unsigned n;              /* counted; then asked */
    _Atomic unsigned n_left; /* sessions that ended, of which the asker was not told */
    _Atomic bool over;       /* the worker is through with it */
    /* The worker's: */
    struct peal_link link; /* on its shard's list */
    struct peal_owed *owed;
    unsigned n_owed; /* places in it */
};

struct peal_ask {
    atomic_uint refs;
    _Atomic bool closed; /* nobody wants to know any more */
    struct peal_hub *hub;
    struct peal_msg *msg; /* held */
    struct peal_loop *loop;
    /* The asking loop's: */
    struct peal_timer timer; /* for answers, once all have been asked */
    uint64_t timeout_ms;
    const struct peal_ask_ops *ops;
    void *ctx;
    unsigned replies;         /* to the order that is under way */
    unsigned asked, resolved; /* sessions; resolved: have answered, or left */
    bool all_asked;
    unsigned n_parts;
    struct peal_ask_part parts[];
};

struct answer {
    struct peal_mail mail; /* first */
    struct peal_ask *ask;
    struct peal_answer said;
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX]; /* held */
    char args[];
};

static peal_mail_fn on_counted, on_asked, on_left, on_answer;

static void
drop(struct peal_ask *a)
{
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < a->n_parts; i++)
        free(a->parts[i].owed);
    peal_msg_drop(a->msg);
    free(a);
}

static void
post(struct peal_ask *a, struct peal_loop *to, struct peal_mail *mail, peal_mail_fn *fn)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    mail->fn = fn;
    peal_loop_post(to, mail);
}

/* To the asking loop. If nobody wants to know, the loop may be gone. */
static void
tell(struct peal_ask *a, struct peal_mail *mail, peal_mail_fn *fn)
{
    if (!a->closed)
        post(a, a->loop, mail, fn);
}

/* What a session owes. */

bool
peal_may_owe(const struct peal_owed *list)
{
    unsigned n = 0;

    for (; list != NULL; list = list->next)
        n++;
    return n < PEAL_OWED_MAX;
}

void
peal_owe(struct peal_owed **list, struct peal_owed *o)
{
    o->next = *list;
    o->at = list;
    if (o->next != NULL)
        o->next->at = &o->next;
    *list = o;
}

static void
take_off(struct peal_owed *o)
{
    if (o->at == NULL)
        return;
    *o->at = o->next;
    if (o->next != NULL)
        o->next->at = o->at;
    o->at = NULL;
}

static void
leave(struct peal_owed *o)
{
    struct peal_ask_part *p = o->part;

    take_off(o);
    if (atomic_fetch_add(&p->n_left, 1) == 0) /* else the asker has not looked yet */
        tell(p->ask, &p->left, on_left);
}

void
peal_owed_drop(struct peal_owed **list)
{
    while (*list != NULL)
        leave(*list);
}

static struct answer *
copy_answer(struct peal_ask *a, const struct peal_answer *said)
{
    struct answer *c = malloc(sizeof(*c) + said->args.len);

    assert(said->n_atts <= PEAL_ATTACHMENTS_MAX);
    if (c == NULL)
        return NULL;
    if (said->args.len > 0)
        memcpy(c->args, said->args.data, said->args.len);
    for (unsigned i = 0; i < said->n_atts; i++)
        c->atts[i] = peal_blob_hold(said->atts[i]);
    c->ask = a;
    c->said = *said;
    c->said.args.data = c->args;
    c->said.atts = c->atts;
    return c;
}

bool
peal_owed_answer(struct peal_owed *list, uint64_t id, const struct peal_answer *said)
{
    struct peal_owed *o = list;
    struct peal_ask *a;
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
    post(a, a->loop, &c->mail, on_answer);
    return true;
}

/* Workers. */

static void
give_up(struct peal_ask_part *p)
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
peal_asks_drop(struct peal_shard *sh)
{
    while (!peal_list_empty(&sh->asks))
        give_up(PEAL_CONTAINER(sh->asks.next, struct peal_ask_part, link));
}

static bool
count_one(void *part, struct peal_session *s, unsigned k)
{
    struct peal_ask_part *p = part;

    p->n += s->ops->ask != NULL;
    return p->n <= PEAL_ASK_MAX;
}

static void
do_count(struct peal_loop *loop, struct peal_mail *mail)
{
    struct peal_ask_part *p = PEAL_CONTAINER(mail, struct peal_ask_part, order);
    struct peal_ask *a = p->ask;
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
    struct peal_ask_part *p = part;
    struct peal_owed *o = &p->owed[p->n];

    if (s->ops->ask == NULL)
        return true;
    if (p->n == p->n_owed) /* they have become more */
        return false;
    *o = (struct peal_owed){ .part = p, .id = s->shard->next_ask++ };
    peal_session_catch_up(s);
    if (s->ops->ask(s, p->ask->msg, k, o))
        p->n++;
    return true;
}

static void
ask_all(struct peal_shard *sh, struct peal_ask_part *p)
{
    struct peal_stats *stats = peal_shard_stats(sh);

    if (p->n > 0 && (p->owed = calloc(p->n, sizeof(*p->owed))) != NULL)
        p->n_owed = p->n;
    else if (p->n > 0)
        peal_stat_add(stats, PEAL_STAT_LETTERS_LOST, 1);
    p->n = 0;
    if (p->n_owed > 0)
        peal_meant_for(sh, p->ask->msg, ask_one, p);
    peal_stat_add(stats, PEAL_STAT_DELIVERED, p->n);
    peal_stat_add(stats, PEAL_STAT_ASKED, p->n);
    /* Those who cannot answer get it too: the others do not take it in this way. */
    peal_shard_take(sh, p->ask->msg);
}

static void
do_ask(struct peal_loop *loop, struct peal_mail *mail)
{
    struct peal_ask_part *p = PEAL_CONTAINER(mail, struct peal_ask_part, order);
    struct peal_ask *a = p->ask;
    struct peal_shard *sh = a->hub->shards[p->worker];

    if (sh != NULL && !a->closed) {
        ask_all(sh, p);
        tell(a, &p->reply, on_asked);
    }
    drop(a);
}

static void
do_close(struct peal_loop *loop, struct peal_mail *mail)
{
    struct peal_ask_part *p = PEAL_CONTAINER(mail, struct peal_ask_part, close);
    struct peal_ask *a = p->ask;

    give_up(p);
    drop(a);
}

/* The asking loop. */

void
peal_ask_cancel(struct peal_ask *a)
{
    a->closed = true;
    peal_timer_stop(&a->timer);
    for (unsigned i = 0; i < a->n_parts; i++) {
        struct peal_ask_part *p = &a->parts[i];

        if (!p->over) /* else its loop may be gone */
            post(a, a->hub->shards[p->worker]->loop, &p->close, do_close);
    }
    drop(a);
}

static void
finish(struct peal_ask *a, peal_err why)
{
    const struct peal_ask_ops *ops = a->ops;
    void *ctx = a->ctx;

    peal_ask_cancel(a);
    ops->done(ctx, why);
}

static void
on_timer(struct peal_timer *t)
{
    struct peal_ask *a = PEAL_CONTAINER(t, struct peal_ask, timer);

    if (a->n_parts == 0) { /* nobody is there */
        a->ops->asked(a->ctx, 0);
        finish(a, PEAL_OK);
    } else {
        finish(a, PEAL_ETIMEOUT);
    }
}

/* Has everybody who was asked answered, or left? */
static void
check(struct peal_ask *a)
{
    if (!a->closed && a->all_asked && a->resolved == a->asked)
        finish(a, PEAL_OK);
}

static void
send_orders(struct peal_ask *a, peal_mail_fn *fn)
{
    a->replies = 0;
    for (unsigned i = 0; i < a->n_parts; i++)
        post(a, a->hub->shards[a->parts[i].worker]->loop, &a->parts[i].order, fn);
}

static void
on_counted(struct peal_loop *loop, struct peal_mail *mail)
{
    struct peal_ask_part *p = PEAL_CONTAINER(mail, struct peal_ask_part, reply);
    struct peal_ask *a = p->ask;
    unsigned n = 0;

    if (!a->closed && ++a->replies == a->n_parts) {
        for (unsigned i = 0; i < a->n_parts; i++)
            n += a->parts[i].n;
        if (n <= PEAL_ASK_MAX)
            send_orders(a, do_ask);
        else
            finish(a, PEAL_ELIMIT);
    }
    drop(a);
}

static void
on_asked(struct peal_loop *loop, struct peal_mail *mail)
{
    struct peal_ask_part *p = PEAL_CONTAINER(mail, struct peal_ask_part, reply);
    struct peal_ask *a = p->ask;

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
on_left(struct peal_loop *loop, struct peal_mail *mail)
{
    struct peal_ask_part *p = PEAL_CONTAINER(mail, struct peal_ask_part, left);
    struct peal_ask *a = p->ask;

    a->resolved += atomic_exchange(&p->n_left, 0);
    check(a);
    drop(a);
}

static void
on_answer(struct peal_loop *loop, struct peal_mail *mail)
{
    struct answer *c = (struct answer *)mail;
    struct peal_ask *a = c->ask;

    if (!a->closed) {
        a->resolved++;
        peal_stat_add(&loop->stats, PEAL_STAT_ANSWERED, 1);
        a->ops->answer(a->ctx, &c->said);
    }
    check(a);
    for (unsigned i = 0; i < c->said.n_atts; i++)
        peal_blob_drop(c->atts[i]);
    free(c);
    drop(a);
}

peal_err
peal_ask(struct peal_hub *hub, struct peal_loop *loop, struct peal_msg *m,
    uint64_t workers, uint64_t timeout_ms, const struct peal_ask_ops *ops, void *ctx,
    struct peal_ask **out)
{
    unsigned n = (unsigned)__builtin_popcountll(workers);
    struct peal_ask *a = calloc(1, sizeof(*a) + n * sizeof(a->parts[0]));

    assert((m->flags & PEAL_MSG_ASK) != 0);
    if (a == NULL)
        return PEAL_ENOMEM;
    atomic_init(&a->refs, 1 + n);
    a->hub = hub;
    a->msg = peal_msg_hold(m);
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
    peal_stat_add(&loop->stats, PEAL_STAT_PUBLISHED, 1);
    send_orders(a, do_count);
    *out = a;
    return PEAL_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * Questions that are answered later.
 *
 * Two sides hold a question: the app by its references, from any thread, and the session
 * by its list, on its loop. What the session's side needs (the list, the timer, the
 * owner) is touched on the loop only; what an answer needs is set once, by the thread
 * whose answer is the first, before it posts. The memory goes with the last of the app's
 * references, the place on the list, and the tasks under way.
 */
#include "app/question.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/msg.h"
#include "wire/sio.h"

/* An answer on its way to the loop. */
struct letter {
    struct peal_task task;
    struct peal_question *question; /* retained */
    peal_err err;
    const char *why;
    struct peal_blob *event, *args; /* or NULL */
    unsigned n_args, n_atts;
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
};

struct peal_questions {
    struct peal_link open; /* oldest first */
    unsigned n;
};

struct peal_question {
    _Atomic unsigned n_app;    /* references of the app */
    _Atomic unsigned n_memory; /* one for all of those, one for the list, one a letter */
    atomic_bool answered, gone;
    struct peal_loop *loop;
    void *owner;
    struct peal_questions **list; /* NULL: decided, or the session is gone */
    struct peal_link link;
    struct peal_timer timer;
    peal_answer_fn *decided, *emit;
    enum peal_ask_kind kind;
    struct letter verdict; /* for answers that must not need memory */
    size_t id_len;
    char id[];
};

static void
question_unref(struct peal_question *q)
{
    if (atomic_fetch_sub(&q->n_memory, 1) != 1)
        return;
    PEAL_ASSERT(q->list == NULL && q->n_app == 0);
    free(q);
}

static void
leave_list(struct peal_question *q)
{
    struct peal_questions *qs = *q->list;

    PEAL_ASSERT(qs->n > 0);
    peal_list_unlink(&q->link);
    peal_timer_stop(&q->timer);
    if (--qs->n == 0) {
        *q->list = NULL;
        free(qs);
    }
    q->list = NULL;
    atomic_store(&q->gone, true);
}

/* Ends the session's side of q with an answer. */
static void
decide(struct peal_question *q, struct peal_answer *a)
{
    a->id = peal_slice_of(q->id, q->id_len);
    leave_list(q);
    q->decided(q->owner, a);
    question_unref(q);
}

static void
question_on_timeout(struct peal_timer *t)
{
    struct peal_question *q = PEAL_CONTAINER(t, struct peal_question, timer);

    atomic_store(&q->answered, true);
    peal_stat_add(peal_loop_stats(q->loop), PEAL_STAT_QUESTIONS_TIMED_OUT, 1);
    decide(q, &(struct peal_answer){ .err = PEAL_ETIMEOUT, .why = "try again later" });
}

/* A letter that comes after the verdict, or after the session, finds no list. */
static void
deliver(struct peal_question *q, const struct letter *l)
{
    struct peal_answer a = { .err = l->err,
        .why = l->why,
        .event = l->event != NULL ? peal_blob_slice(l->event) : PEAL_S(""),
        .args = l->args != NULL ? peal_blob_slice(l->args) : PEAL_S(""),
        .n_args = l->n_args,
        .atts = l->atts,
        .n_atts = l->n_atts };

    if (q->list == NULL)
        peal_stat_add(peal_loop_stats(q->loop), PEAL_STAT_ANSWERS_LATE, 1);
    else if (l->event != NULL)
        q->emit(q->owner, &a);
    else
        decide(q, &a);
}

static void
letter_release(struct letter *l)
{
    for (unsigned i = 0; i < l->n_atts; i++)
        peal_blob_release(l->atts[i]);
    l->n_atts = 0;
    peal_blob_release(l->event);
    peal_blob_release(l->args);
    l->event = l->args = NULL;
}

static void
question_on_letter(struct peal_loop *loop, struct peal_task *task)
{
    struct letter *l = PEAL_CONTAINER(task, struct letter, task);
    struct peal_question *q = l->question;

    deliver(q, l);
    letter_release(l);
    if (l != &q->verdict)
        free(l);
    question_unref(q);
}

static void
post(struct peal_question *q, struct letter *l)
{
    l->task.fn = question_on_letter;
    l->question = q;
    atomic_fetch_add(&q->n_memory, 1);
    peal_loop_post(q->loop, &l->task);
}

/* Fills l in with copies. Errors: PEAL_ENOMEM, PEAL_EINVAL: l has nothing. */
static peal_err
letter_fill(struct letter *l, const struct peal_slice *event, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts)
{
    if (n_atts > PEAL_SIO_ATTACHMENTS_MAX) /* the default parser takes no more */
        return PEAL_EINVAL;
    if ((l->args = peal_blob_copy(args)) == NULL ||
        (event != NULL && (l->event = peal_blob_copy(*event)) == NULL)) {
        letter_release(l);
        return PEAL_ENOMEM;
    }
    for (; l->n_atts < n_atts; l->n_atts++)
        l->atts[l->n_atts] = peal_blob_retain(atts[l->n_atts]);
    return PEAL_OK;
}

/* Posts the one answer that counts; l, filled in on this thread, is taken. */
static peal_err
answer(struct peal_question *q, const struct letter *filled)
{
    if (atomic_exchange(&q->answered, true)) {
        letter_release(&(struct letter){ .event = filled->event, .args = filled->args });
        for (unsigned i = 0; i < filled->n_atts; i++)
            peal_blob_release(filled->atts[i]);
        return atomic_load(&q->gone) ? PEAL_ECLOSED : PEAL_EEXIST;
    }
    q->verdict = *filled;
    post(q, &q->verdict);
    return atomic_load(&q->gone) ? PEAL_ECLOSED : PEAL_OK;
}

static peal_err
list_get(struct peal_questions **at)
{
    struct peal_questions *qs = *at;

    if (qs != NULL)
        return qs->n < PEAL_QUESTIONS_MAX ? PEAL_OK : PEAL_ELIMIT;
    if ((qs = calloc(1, sizeof(*qs))) == NULL)
        return PEAL_ENOMEM;
    peal_list_init(&qs->open);
    *at = qs;
    return PEAL_OK;
}

struct peal_question *
peal_ask_keep(const struct peal_ask *ask)
{
    struct peal_question *q;

    if (ask->kind == PEAL_ASK_NONE || (q = calloc(1, sizeof(*q) + ask->id.len)) == NULL)
        return NULL;
    if (list_get(ask->questions) != PEAL_OK) {
        free(q);
        return NULL;
    }
    q->n_app = 1;
    q->n_memory = 2;
    q->loop = ask->loop;
    q->owner = ask->owner;
    q->list = ask->questions;
    q->kind = ask->kind;
    q->decided = ask->decided;
    q->emit = ask->emit;
    q->id_len = ask->id.len;
    if (ask->id.len > 0)
        memcpy(q->id, ask->id.data, ask->id.len);
    peal_list_append(&(*q->list)->open, &q->link);
    (*q->list)->n++;
    q->timer.fn = question_on_timeout;
    peal_loop_start(q->loop, &q->timer,
        q->kind == PEAL_ASK_EVENT ? PEAL_EVENT_KEPT_MAX_MS : PEAL_QUESTION_TIMEOUT_MS);
    return q;
}

struct peal_question *
peal_question_retain(struct peal_question *q)
{
    unsigned before = atomic_fetch_add(&q->n_app, 1);

    PEAL_ASSERT(before > 0);
    return q;
}

void
peal_question_release(struct peal_question *q)
{
    unsigned before;

    if (q == NULL)
        return;
    before = atomic_fetch_sub(&q->n_app, 1);
    PEAL_ASSERT(before > 0);
    if (before != 1)
        return;
    if (!atomic_load(&q->answered) && !atomic_load(&q->gone))
        answer(q, &(struct letter){ .err = PEAL_ENOTFOUND, .why = "try again later" });
    question_unref(q);
}

peal_err
peal_question_allow(struct peal_question *q)
{
    if (q->kind == PEAL_ASK_EVENT)
        return PEAL_EINVAL;
    return answer(q, &(struct letter){ .err = PEAL_OK });
}

peal_err
peal_question_refuse(struct peal_question *q, const char *why)
{
    if (q->kind == PEAL_ASK_EVENT)
        return PEAL_EINVAL;
    return answer(q, &(struct letter){ .err = PEAL_EPERM, .why = why });
}

peal_err
peal_question_ack(struct peal_question *q, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts)
{
    struct letter l = { .err = PEAL_OK };
    peal_err err;

    if (q->kind != PEAL_ASK_EVENT)
        return PEAL_EINVAL;
    if ((err = letter_fill(&l, NULL, args, atts, n_atts)) != PEAL_OK)
        return err;
    return answer(q, &l);
}

peal_err
peal_question_emit(struct peal_question *q, struct peal_slice event,
    struct peal_slice args, unsigned n_args, struct peal_blob *const *atts,
    unsigned n_atts)
{
    struct letter *l;
    peal_err err;

    if (q->emit == NULL)
        return PEAL_EINVAL;
    if (atomic_load(&q->gone))
        return PEAL_ECLOSED;
    if ((l = calloc(1, sizeof(*l))) == NULL)
        return PEAL_ENOMEM;
    if ((err = letter_fill(l, &event, args, atts, n_atts)) != PEAL_OK) {
        free(l);
        return err;
    }
    l->n_args = n_args;
    post(q, l);
    return PEAL_OK;
}

void
peal_questions_drop(struct peal_questions **at)
{
    while (*at != NULL) {
        struct peal_question *q =
            PEAL_CONTAINER((*at)->open.next, struct peal_question, link);

        leave_list(q);
        question_unref(q);
    }
}

void
peal_questions_move(struct peal_questions **to, struct peal_questions **from)
{
    PEAL_ASSERT(*to == NULL);
    *to = *from;
    *from = NULL;
    if (*to == NULL)
        return;
    for (struct peal_link *l = (*to)->open.next; l != &(*to)->open; l = l->next)
        PEAL_CONTAINER(l, struct peal_question, link)->list = to;
}

bool
peal_questions_wait(const struct peal_questions *qs)
{
    const struct peal_question *last;

    if (qs == NULL)
        return false;
    /* A question that stops the reading is the last one: nothing came after it. */
    last = PEAL_CONTAINER(qs->open.prev, const struct peal_question, link);
    return last->kind != PEAL_ASK_EVENT || qs->n >= PEAL_QUESTIONS_MAX;
}

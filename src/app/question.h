/* SPDX-License-Identifier: MIT */
/*
 * Questions to the app that are answered later, from any thread.
 *
 * A question is a counted token. It knows its session for as long as that lives: an
 * answer is posted to the session's loop as a task, which finds the session again there,
 * or finds it gone and drops the answer (counted). The first answer counts; a question
 * that nobody answers in time, or that is released without an answer, is decided by the
 * protocol that has asked: a connect, a subscription and a publish are refused, an event
 * stays unacknowledged.
 *
 * Of one client at most PEAL_QUESTIONS_MAX are open in each namespace. A question about a
 * connect, a subscription or a publish stops the reading of its client until it is
 * decided; events stop it only when there are as many as may be.
 */
#ifndef PEAL_APP_QUESTION_H
#define PEAL_APP_QUESTION_H

#include "base/blob.h"
#include "io/loop.h"

#define PEAL_QUESTIONS_MAX 64          /* open ones of a session */
#define PEAL_QUESTION_TIMEOUT_MS 10000 /* of a connect, a subscription, a publish */
#define PEAL_EVENT_KEPT_MAX_MS 60000   /* of an event */

struct peal_question;

enum peal_ask_kind {
    PEAL_ASK_NONE, /* cannot be kept */
    PEAL_ASK_CONNECT,
    PEAL_ASK_SUBSCRIBE,
    PEAL_ASK_PUBLISH,
    PEAL_ASK_EVENT
};

/* For apps. All functions may be called by any thread, but for peal_ask_keep. */

/*
 * peal_ask_keep makes a question of what the app is being asked: only from inside that
 * call, at most once in it. The caller has the one reference. NULL: out of memory, too
 * many are open, or this cannot be kept; answer at once.
 */
struct peal_ask;
struct peal_question *peal_ask_keep(const struct peal_ask *ask);

struct peal_question *peal_question_retain(struct peal_question *q);
/* peal_question_release gives a reference up. NULL is fine. */
void peal_question_release(struct peal_question *q);

/*
 * The answers. Errors, which need not be looked at: PEAL_EEXIST: it was answered before;
 * PEAL_ECLOSED: the session is gone; PEAL_EINVAL: not to this kind of question;
 * PEAL_ENOMEM: it is not answered yet.
 */

/* To a connect, a subscription or a publish. why: static English for the client. */
peal_err peal_question_allow(struct peal_question *q);
peal_err peal_question_refuse(struct peal_question *q, const char *why);

/* To an event: its acknowledgement, if the client wants one. args and atts as in struct
 * peal_event; copied, retained. */
peal_err peal_question_ack(struct peal_question *q, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts);

/* peal_question_emit sends an event to the session that has sent this one, as often as
 * needed until it is answered. */
peal_err peal_question_emit(struct peal_question *q, struct peal_slice event,
    struct peal_slice args, unsigned n_args, struct peal_blob *const *atts,
    unsigned n_atts);

/* For protocols. Thread: the session's loop. */

/* The app's answer, or the end of a question without one. Borrowed. */
struct peal_answer {
    peal_err err; /* PEAL_OK: allowed, or acknowledged; PEAL_EPERM: refused, see why;
                     PEAL_ETIMEOUT, PEAL_ENOTFOUND: nobody has answered */
    const char *why;
    struct peal_slice id;          /* as given in struct peal_ask */
    struct peal_slice event, args; /* event: only of peal_question_emit */
    unsigned n_args;
    struct peal_blob *const *atts;
    unsigned n_atts;
};

/* owner is that of struct peal_ask; it may drop its questions. */
typedef void peal_answer_fn(void *owner, const struct peal_answer *a);

/* The open questions of a session. It has a pointer to them, which is NULL for as long as
 * there are none. */
struct peal_questions;

/* The part of a question by which the app can keep it. */
struct peal_ask {
    struct peal_questions **questions; /* kept by the question, as are loop and owner */
    struct peal_loop *loop;
    void *owner;
    peal_answer_fn *decided; /* called once, but not after peal_questions_drop */
    peal_answer_fn *emit;    /* for peal_question_emit; NULL: not possible */
    struct peal_slice id;    /* the protocol's own; copied when it is kept */
    enum peal_ask_kind kind;
};

/* peal_questions_drop is for a session that ends: answers to what is open find it gone.
 */
void peal_questions_drop(struct peal_questions **qs);

/* peal_questions_move: *to, which is NULL before, has the questions that *from had. */
void peal_questions_move(struct peal_questions **to, struct peal_questions **from);

/* peal_questions_wait: the client must wait until this one is decided. NULL: it need not.
 */
bool peal_questions_wait(const struct peal_questions *qs);

#endif

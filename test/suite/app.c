/* SPDX-License-Identifier: MIT */
/*
 * An app is asked everything a protocol asks, by a session that writes down the answers:
 * each question has one decision, now or later, and none has two.
 */
#include "app.h"

#include <stdio.h>

#include "../unit/check.h"
#include "base/json.h"
#include "base/utf8.h"

struct world {
    struct peal_log log;
    struct peal_loop *loop;
    struct peal_hub *hub;
    struct peal_shard *shard;
    struct peal_app *app;
    struct peal_session session;
    struct peal_questions *questions;
    unsigned n_decided, want; /* late decisions, and how many the loop waits for */
    unsigned n_acks, n_kept;  /* of all events; of all questions */
};

static bool
deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    return true;
}

static const struct peal_session_ops session_ops = { .protocol = "suite",
    .deliver = deliver };

static void
check_answer(enum peal_ask_kind kind, peal_err err, const char *why)
{
    CHECK(err == PEAL_OK || err == PEAL_EPERM || err == PEAL_EAGAIN ||
          (err == PEAL_ENOTFOUND && kind == PEAL_ASK_CONNECT));
    if (why != NULL)
        CHECK(peal_utf8_valid(peal_slice_str(why)));
}

static void
on_decided(void *owner, const struct peal_answer *a)
{
    struct world *w = owner;

    CHECK(a->err == PEAL_OK || a->err == PEAL_EPERM || a->err == PEAL_ENOTFOUND ||
          a->err == PEAL_ETIMEOUT);
    CHECK_SLICE(a->id, "id");
    if (++w->n_decided == w->want)
        peal_loop_stop(w->loop);
}

static void
on_late_emit(void *owner, const struct peal_answer *a)
{
    CHECK(peal_json_check(a->event) == PEAL_OK);
}

static struct peal_ask
ask_of(struct world *w, enum peal_ask_kind kind)
{
    return (struct peal_ask){ .questions = &w->questions,
        .loop = w->loop,
        .owner = w,
        .decided = on_decided,
        .emit = kind == PEAL_ASK_EVENT ? on_late_emit : NULL,
        .id = PEAL_S("id"),
        .kind = kind };
}

/* An answer of PEAL_EAGAIN says that there is a question, and no other one does. */
static void
check_kept(struct world *w, unsigned before, bool kept)
{
    CHECK((w->questions != NULL) == kept);
    if (!kept)
        return;
    w->n_kept++;
    w->want = before + 1;
    if (w->n_decided < w->want)
        peal_loop_run(w->loop);
    CHECK_INT(w->n_decided, before + 1);
    CHECK(w->questions == NULL);
}

static void
try_connect(struct world *w, const char *nsp, const char *auth)
{
    struct peal_connect c = { .ask = ask_of(w, PEAL_ASK_CONNECT),
        .session = &w->session,
        .nsp = peal_slice_str(nsp),
        .auth = peal_slice_str(auth) };
    unsigned before = w->n_decided;
    const char *why = NULL;
    peal_err err = w->app->ops->connect(w->app, &c, &why);

    check_answer(PEAL_ASK_CONNECT, err, why);
    check_kept(w, before, err == PEAL_EAGAIN);
}

static void
try_access(
    struct world *w, enum peal_ask_kind kind, peal_app_access_fn *fn, const char *channel)
{
    struct peal_access a = {
        .ask = ask_of(w, kind), .session = &w->session, .channel = peal_slice_str(channel)
    };
    unsigned before = w->n_decided;
    const char *why = NULL;
    peal_err err = fn(w->app, &a, &why);

    check_answer(kind, err, why);
    check_kept(w, before, err == PEAL_EAGAIN);
}

/* An event as the suite sends it. */
struct sent {
    struct peal_event ev;
    struct world *w;
};

static void
on_ack(const struct peal_event *ev, struct peal_slice args, struct peal_blob *const *atts,
    unsigned n_atts)
{
    PEAL_CONTAINER(ev, const struct sent, ev)->w->n_acks++;
}

static void
on_emit(const struct peal_event *ev, struct peal_slice event, struct peal_slice args,
    unsigned n_args, struct peal_blob *const *atts, unsigned n_atts)
{
    CHECK(peal_json_check(event) == PEAL_OK);
}

static void
try_event(struct world *w, const char *name, const char *args, bool wants_ack)
{
    char token[64];
    struct peal_slice rest = peal_slice_str(args), value;
    struct sent s = { .w = w,
        .ev = { .ask = ask_of(w, PEAL_ASK_EVENT),
            .session = &w->session,
            .nsp = PEAL_S("/"),
            .name = peal_slice_str(name),
            .args = rest,
            .ack = wants_ack ? on_ack : NULL,
            .emit = on_emit } };
    unsigned before = w->n_decided, acks = w->n_acks;
    bool kept;

    snprintf(token, sizeof(token), "\"%s\"", name);
    s.ev.event = peal_slice_str(token);
    while (peal_json_next(&rest, &value))
        s.ev.n_args++;
    w->app->ops->event(w->app, &s.ev);
    kept = w->questions != NULL;
    CHECK(w->n_acks - acks <= (wants_ack && !kept ? 1u : 0u));
    check_kept(w, before, kept);
}

static void
world_open(struct world *w, const struct app_maker *maker)
{
    struct peal_loop_config config = {
        .engine = PEAL_IO_EPOLL, .queue_bytes_max = 1 << 20, .log = &w->log
    };

    *w = (struct world){ .log = { .fd = 2 } };
    CHECK_OK(peal_loop_new(&config, &w->loop));
    CHECK_OK(peal_hub_new(1, &w->hub));
    CHECK_OK(peal_shard_new(w->hub, 0, w->loop, 1000, NULL, &w->shard));
    CHECK_OK(peal_session_init(&w->session, w->shard, &session_ops, PEAL_LISTED));
    w->app = maker->make();
}

static void
world_close(struct world *w)
{
    if (w->app->ops->disconnect != NULL)
        w->app->ops->disconnect(w->app, &w->session, PEAL_END_CLIENT);
    peal_questions_drop(&w->questions);
    peal_session_fini(&w->session);
    if (w->app->ops->stop != NULL)
        w->app->ops->stop(w->app);
    peal_loop_free(&w->loop); /* runs what was posted to it */
    peal_shard_free(&w->shard);
    peal_hub_free(&w->hub);
    w->app->ops->free(w->app);
}

static void
every_question_has_one_answer(const struct app_maker *maker)
{
    static const char *const names[] = { "/", "/chat", "/nobody", "/a#b", "news", "x" };
    struct world w;

    world_open(&w, maker);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        try_connect(&w, names[i], i % 2 ? "{\"token\":\"t\"}" : "");
        try_access(&w, PEAL_ASK_SUBSCRIBE, w.app->ops->may_subscribe, names[i]);
        try_access(&w, PEAL_ASK_PUBLISH, w.app->ops->may_publish, names[i]);
        for (int ack = 0; ack < 2; ack++) {
            try_event(&w, "join", "\"r\"", ack);
            try_event(&w, "to", "\"r\",\"x\",1", ack);
            try_event(&w, "say", "{\"a\":[1,2]}", ack);
            try_event(&w, "", "", ack);
        }
    }
    CHECK((w.n_kept > 0) == maker->defers);
    world_close(&w);
}

/* The session ends while a question is open: nothing is decided, and nothing leaks. */
static void
a_session_may_end_with_open_questions(const struct app_maker *maker)
{
    struct world w;

    world_open(&w, maker);
    for (int i = 0; i < 20; i++) {
        struct peal_connect c = {
            .ask = ask_of(&w, PEAL_ASK_CONNECT), .session = &w.session, .nsp = PEAL_S("/")
        };
        const char *why;

        (void)!w.app->ops->connect(w.app, &c, &why);
        peal_questions_drop(&w.questions);
    }
    CHECK_INT(w.n_decided, 0);
    world_close(&w);
    CHECK_INT(w.n_decided, 0);
}

void
suite_app(const struct app_maker *maker)
{
    struct peal_app *app = maker->make();
    const struct peal_app_ops *ops = app->ops;

    CHECK(ops->name != NULL && ops->connect != NULL && ops->event != NULL);
    CHECK(ops->may_subscribe != NULL && ops->may_publish != NULL && ops->free != NULL);
    if (ops->stop != NULL)
        ops->stop(app);
    ops->free(app);
    every_question_has_one_answer(maker);
    a_session_may_end_with_open_questions(maker);
}

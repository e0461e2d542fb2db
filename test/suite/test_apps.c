/* SPDX-License-Identifier: MIT */
/* Every app, held to the suite of app.h: the rules, and one that answers later. */
#include "../unit/check.h"

#include <stdlib.h>

#include "app.h"
#include "app/rules.h"

/* The rules, with and without --dev. */

static struct peal_app *
rules_with(bool dev)
{
    struct peal_buf errors = { 0 };
    struct peal_app *app = NULL;

    CHECK_OK(peal_rules_new(NULL, "f", dev, &errors, &app));
    peal_buf_fini(&errors);
    return app;
}

static struct peal_app *
make_rules(void)
{
    return rules_with(false);
}

static struct peal_app *
make_dev_rules(void)
{
    return rules_with(true);
}

/* An app whose thread answers all that it is asked, each time in another way. */

struct late_question {
    struct peal_link link;
    struct peal_question *question;
    enum peal_ask_kind kind;
};

struct late_app {
    struct peal_app app;
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t changed;
    struct peal_link questions;
    bool stop;
};

static struct late_app *
late_of(struct peal_app *app)
{
    return PEAL_CONTAINER(app, struct late_app, app);
}

static void
late_answer(const struct late_question *lq, unsigned n)
{
    struct peal_question *q = lq->question;

    if (n % 4 == 3) /* gives it up */
        return;
    if (lq->kind == PEAL_ASK_EVENT) {
        (void)!peal_question_emit(q, PEAL_S("\"tick\""), PEAL_S("1"), 1, NULL, 0);
        (void)!peal_question_ack(q, PEAL_S("\"late\""), NULL, 0);
    } else if (n % 4 == 0) {
        (void)!peal_question_allow(q);
    } else {
        (void)!peal_question_refuse(q, "not today");
        if (n % 4 == 2)
            CHECK(peal_question_allow(q) != PEAL_OK);
    }
}

static void
late_thread(void *arg)
{
    struct late_app *app = arg;
    struct peal_link *l;
    unsigned n = 0;

    uv_mutex_lock(&app->lock);
    while (!app->stop) {
        if ((l = peal_list_take(&app->questions)) == NULL) {
            uv_cond_wait(&app->changed, &app->lock);
            continue;
        }
        uv_mutex_unlock(&app->lock);
        late_answer(PEAL_CONTAINER(l, struct late_question, link), n++);
        peal_question_release(PEAL_CONTAINER(l, struct late_question, link)->question);
        free(PEAL_CONTAINER(l, struct late_question, link));
        uv_mutex_lock(&app->lock);
    }
    uv_mutex_unlock(&app->lock);
}

static peal_err
late_keep(struct peal_app *app, const struct peal_ask *ask)
{
    struct late_app *late = late_of(app);
    struct late_question *lq = calloc(1, sizeof(*lq));

    CHECK(lq != NULL);
    lq->question = peal_ask_keep(ask);
    lq->kind = ask->kind;
    CHECK(lq->question != NULL);
    uv_mutex_lock(&late->lock);
    peal_list_append(&late->questions, &lq->link);
    uv_cond_signal(&late->changed);
    uv_mutex_unlock(&late->lock);
    return PEAL_EAGAIN;
}

static peal_err
late_connect(struct peal_app *app, const struct peal_connect *c, const char **why_out)
{
    return late_keep(app, &c->ask);
}

static peal_err
late_access(struct peal_app *app, const struct peal_access *a, const char **why_out)
{
    return late_keep(app, &a->ask);
}

static void
late_event(struct peal_app *app, const struct peal_event *ev)
{
    (void)!late_keep(app, &ev->ask);
}

static void
late_stop(struct peal_app *app)
{
    struct late_app *late = late_of(app);

    uv_mutex_lock(&late->lock);
    late->stop = true;
    uv_cond_signal(&late->changed);
    uv_mutex_unlock(&late->lock);
    uv_thread_join(&late->thread);
}

static void
late_free(struct peal_app *app)
{
    struct late_app *late = late_of(app);
    struct peal_link *l;

    while ((l = peal_list_take(&late->questions)) != NULL) {
        peal_question_release(PEAL_CONTAINER(l, struct late_question, link)->question);
        free(PEAL_CONTAINER(l, struct late_question, link));
    }
    uv_cond_destroy(&late->changed);
    uv_mutex_destroy(&late->lock);
    free(late);
}

static const struct peal_app_ops late_ops = { .name = "late",
    .connect = late_connect,
    .event = late_event,
    .may_subscribe = late_access,
    .may_publish = late_access,
    .stop = late_stop,
    .free = late_free };

static struct peal_app *
make_late(void)
{
    struct late_app *app = calloc(1, sizeof(*app));

    CHECK(app != NULL);
    app->app.ops = &late_ops;
    peal_list_init(&app->questions);
    CHECK_INT(uv_mutex_init(&app->lock), 0);
    CHECK_INT(uv_cond_init(&app->changed), 0);
    CHECK_INT(uv_thread_create(&app->thread, late_thread, app), 0);
    return &app->app;
}

static void
rules_are_an_app(void **state)
{
    suite_app(&(struct app_maker){ "rules", make_rules, false });
}

static void
rules_of_dev_are_an_app(void **state)
{
    suite_app(&(struct app_maker){ "rules --dev", make_dev_rules, false });
}

static void
an_app_may_answer_later(void **state)
{
    suite_app(&(struct app_maker){ "late", make_late, true });
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_an_app),
        cmocka_unit_test(rules_of_dev_are_an_app),
        cmocka_unit_test(an_app_may_answer_later),
    };

    return cmocka_run_group_tests_name("apps", tests, NULL, NULL);
}

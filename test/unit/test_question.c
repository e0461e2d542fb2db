/* SPDX-License-Identifier: MIT */
/* app/question: answers from other threads, late, twice, never, and to nobody. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "app/question.h"
#include "base/buf.h"
#include "base/msg.h"
#include "base/stats.h"
#include "clock.h"

/* A session that writes down what becomes of its questions: "id ok;", "id no why;",
 * "id ack[args]+att;", "id emit event[args];". */
struct asker {
    struct peal_questions *questions;
    struct peal_loop *loop;
    struct peal_buf log;
    unsigned n;    /* lines */
    unsigned want; /* the loop stops when there are so many */
    bool drop;     /* end the session at the next answer */
};

struct world {
    struct peal_log log;
    struct peal_loop *loop;
    struct asker asker;
};

static const char *
word_of(const struct peal_answer *a)
{
    switch (a->err) {
    case PEAL_OK:
        return "ok";
    case PEAL_EPERM:
        return "no";
    case PEAL_ETIMEOUT:
        return "late";
    default:
        return "none";
    }
}

static void
line_done(struct asker *s)
{
    CHECK_OK(peal_buf_add_char(&s->log, ';'));
    if (s->drop)
        peal_questions_drop(&s->questions);
    if (++s->n == s->want)
        peal_loop_stop(s->loop);
}

static void
on_decided(void *owner, const struct peal_answer *a)
{
    struct asker *s = owner;

    CHECK_OK(peal_buf_printf(&s->log, "%.*s %s", PEAL_ARG(a->id), word_of(a)));
    if (a->why != NULL)
        CHECK_OK(peal_buf_printf(&s->log, " %s", a->why));
    if (a->args.len > 0)
        CHECK_OK(peal_buf_printf(&s->log, "[%.*s]", PEAL_ARG(a->args)));
    for (unsigned i = 0; i < a->n_atts; i++)
        CHECK_OK(peal_buf_printf(
            &s->log, "+%.*s", (int)a->atts[i]->len, (char *)a->atts[i]->data));
    line_done(s);
}

static void
on_emit(void *owner, const struct peal_answer *a)
{
    struct asker *s = owner;

    CHECK_OK(peal_buf_printf(
        &s->log, "emit %.*s[%.*s]%u", PEAL_ARG(a->event), PEAL_ARG(a->args), a->n_args));
    line_done(s);
}

static void
begin(struct world *w)
{
    struct peal_loop_config config = {
        .engine = PEAL_IO_EPOLL, .queue_bytes_max = 1 << 20, .log = &w->log
    };

    *w = (struct world){ .log = { .fd = 2 } };
    CHECK_OK(peal_loop_new(&config, &w->loop));
    w->asker.loop = w->loop;
}

static void
end(struct world *w)
{
    peal_questions_drop(&w->asker.questions);
    peal_loop_free(&w->loop);
    peal_buf_fini(&w->asker.log);
}

static struct peal_question *
ask(struct world *w, enum peal_ask_kind kind, const char *id)
{
    struct peal_ask a = { .questions = &w->asker.questions,
        .loop = w->loop,
        .owner = &w->asker,
        .decided = on_decided,
        .emit = on_emit,
        .id = peal_slice_str(id),
        .kind = kind };

    return peal_ask_keep(&a);
}

/* Runs the loop until n lines more have been written, and returns them all. */
static const char *
lines(struct world *w, unsigned n)
{
    static char text[1024];

    w->asker.want = w->asker.n + n;
    peal_loop_run(w->loop);
    snprintf(text, sizeof(text), "%.*s", PEAL_ARG(peal_buf_slice(&w->asker.log)));
    w->asker.log.len = 0;
    return text;
}

/* What a thread of the app does with a question that it has been given. */
struct job {
    struct peal_question *q;
    int what;
    peal_err first, second;
};

enum {
    ALLOW_TWICE,
    REFUSE,
    EMIT_AND_ACK,
    RELEASE,
};

static void
app_thread(void *arg)
{
    struct job *j = arg;
    struct peal_blob *att = peal_blob_copy(PEAL_S("bytes"));

    switch (j->what) {
    case ALLOW_TWICE:
        j->first = peal_question_allow(j->q);
        j->second = peal_question_refuse(j->q, "changed its mind");
        break;
    case REFUSE:
        j->first = peal_question_refuse(j->q, "no entry");
        break;
    case EMIT_AND_ACK:
        j->first =
            peal_question_emit(j->q, PEAL_S("\"tick\""), PEAL_S("1,2"), 2, NULL, 0);
        j->second = peal_question_ack(j->q, PEAL_S("\"yes\",3"), &att, 1);
        break;
    default:
        break;
    }
    peal_blob_release(att);
    peal_question_release(j->q);
}

static void
start(uv_thread_t *t, struct job *j)
{
    CHECK_INT(uv_thread_create(t, app_thread, j), 0);
}

static void
an_answer_from_another_thread_comes_to_the_loop(void **state)
{
    struct job j = { .what = REFUSE };
    struct world w;
    uv_thread_t t;

    begin(&w);
    j.q = ask(&w, PEAL_ASK_CONNECT, "a");
    CHECK(peal_questions_wait(w.asker.questions));
    start(&t, &j);
    assert_string_equal(lines(&w, 1), "a no no entry;");
    uv_thread_join(&t);
    CHECK_OK(j.first);
    CHECK(!peal_questions_wait(w.asker.questions));
    end(&w);
}

static void
questions_can_move_to_another_place(void **state)
{
    struct peal_questions *elsewhere = NULL;
    struct job j = { .what = REFUSE };
    struct world w;
    uv_thread_t t;

    begin(&w);
    peal_question_release(ask(&w, PEAL_ASK_EVENT, "a")); /* its answer is under way */
    j.q = ask(&w, PEAL_ASK_CONNECT, "b");
    peal_questions_move(&elsewhere, &w.asker.questions);
    CHECK(w.asker.questions == NULL);
    CHECK(peal_questions_wait(elsewhere));
    start(&t, &j);
    assert_non_null(strstr(lines(&w, 2), "b no no entry;"));
    uv_thread_join(&t);
    CHECK(elsewhere == NULL); /* none is open */
    peal_questions_move(&elsewhere, &w.asker.questions);
    CHECK(elsewhere == NULL);
    end(&w);
}

static void
the_first_answer_counts(void **state)
{
    struct job j = { .what = ALLOW_TWICE };
    struct world w;
    uv_thread_t t;

    begin(&w);
    j.q = ask(&w, PEAL_ASK_PUBLISH, "a");
    start(&t, &j);
    uv_thread_join(&t); /* both answers are given before the loop looks */
    CHECK_OK(j.first);
    CHECK_ERR(j.second, PEAL_EEXIST);
    assert_string_equal(lines(&w, 1), "a ok;");
    CHECK(w.asker.questions == NULL);
    end(&w);
}

static void
an_event_is_answered_by_events_and_an_acknowledgement(void **state)
{
    struct job j = { .what = EMIT_AND_ACK };
    struct world w;
    uv_thread_t t;

    begin(&w);
    j.q = ask(&w, PEAL_ASK_EVENT, "17");
    CHECK(!peal_questions_wait(w.asker.questions)); /* further events may come */
    start(&t, &j);
    assert_string_equal(lines(&w, 2), "emit \"tick\"[1,2]2;17 ok[\"yes\",3]+bytes;");
    uv_thread_join(&t);
    CHECK_OK(j.second);
    end(&w);
}

static void
a_question_that_is_released_without_an_answer_is_told(void **state)
{
    struct job j = { .what = RELEASE };
    struct world w;
    uv_thread_t t;

    begin(&w);
    j.q = ask(&w, PEAL_ASK_SUBSCRIBE, "a");
    peal_question_release(peal_question_retain(j.q)); /* one more, and gone again */
    start(&t, &j);
    assert_string_equal(lines(&w, 1), "a none try again later;");
    uv_thread_join(&t);
    end(&w);
}

static void
an_answer_to_a_session_that_is_gone_is_counted(void **state)
{
    struct job j = { .what = EMIT_AND_ACK }, other = { .what = REFUSE };
    struct world w;
    uv_thread_t t;

    begin(&w);
    /* One that is on its way while the session ends, and one that comes after. */
    j.q = ask(&w, PEAL_ASK_EVENT, "1");
    other.q = ask(&w, PEAL_ASK_EVENT, "2");
    start(&t, &j);
    uv_thread_join(&t);
    CHECK_OK(j.first);
    CHECK_OK(j.second);
    peal_questions_drop(&w.asker.questions);
    CHECK(w.asker.questions == NULL);
    other.what = EMIT_AND_ACK;
    start(&t, &other);
    uv_thread_join(&t);
    CHECK_ERR(other.first, PEAL_ECLOSED);
    CHECK_ERR(other.second, PEAL_ECLOSED);
    end(&w); /* the loop runs what was posted, or nothing would release it */
}

static void
a_session_may_end_inside_an_answer(void **state)
{
    struct job j = { .what = REFUSE };
    struct peal_question *other;
    struct world w;
    uv_thread_t t;

    begin(&w);
    other = ask(&w, PEAL_ASK_EVENT, "1");
    j.q = ask(&w, PEAL_ASK_CONNECT, "2");
    w.asker.drop = true;
    start(&t, &j);
    assert_string_equal(lines(&w, 1), "2 no no entry;");
    uv_thread_join(&t);
    CHECK_ERR(peal_question_ack(other, PEAL_S(""), NULL, 0), PEAL_ECLOSED);
    peal_question_release(other);
    end(&w);
}

static void
a_question_that_nobody_answers_is_decided_in_time(void **state)
{
    struct peal_question *connect, *event;
    struct world w;

    begin(&w);
    event = ask(&w, PEAL_ASK_EVENT, "1");
    connect = ask(&w, PEAL_ASK_CONNECT, "2");
    clock_ms += PEAL_QUESTION_TIMEOUT_MS + 1000;
    assert_string_equal(lines(&w, 1), "2 late try again later;");
    CHECK_ERR(peal_question_allow(connect), PEAL_ECLOSED);
    clock_ms += PEAL_EVENT_KEPT_MAX_MS;
    assert_string_equal(lines(&w, 1), "1 late try again later;");
    CHECK_INT(peal_stat_get(peal_loop_stats(w.loop), PEAL_STAT_QUESTIONS_TIMED_OUT), 2);
    peal_question_release(connect);
    peal_question_release(event);
    end(&w);
}

static void
open_questions_are_bounded(void **state)
{
    struct peal_question *q[PEAL_QUESTIONS_MAX];
    struct world w;

    begin(&w);
    for (unsigned i = 0; i < PEAL_QUESTIONS_MAX; i++) {
        CHECK(!peal_questions_wait(w.asker.questions));
        q[i] = ask(&w, PEAL_ASK_EVENT, "e");
        CHECK(q[i] != NULL);
    }
    CHECK(peal_questions_wait(w.asker.questions));
    CHECK(ask(&w, PEAL_ASK_EVENT, "e") == NULL);
    CHECK(ask(&w, PEAL_ASK_CONNECT, "c") == NULL);
    CHECK_OK(peal_question_ack(q[0], PEAL_S("1"), NULL, 0));
    assert_string_equal(lines(&w, 1), "e ok[1];");
    CHECK(!peal_questions_wait(w.asker.questions));
    for (unsigned i = 0; i < PEAL_QUESTIONS_MAX; i++)
        peal_question_release(q[i]);
    end(&w);
}

static void
answers_must_fit_their_question(void **state)
{
    struct peal_question *event, *connect;
    struct world w;

    begin(&w);
    event = ask(&w, PEAL_ASK_EVENT, "1");
    CHECK_ERR(peal_question_allow(event), PEAL_EINVAL);
    CHECK_ERR(peal_question_refuse(event, "x"), PEAL_EINVAL);
    connect = ask(&w, PEAL_ASK_CONNECT, "2");
    CHECK_ERR(peal_question_ack(connect, PEAL_S(""), NULL, 0), PEAL_EINVAL);
    CHECK(ask(&w, PEAL_ASK_NONE, "3") == NULL);
    alloc_left = 0;
    CHECK_ERR(peal_question_ack(event, PEAL_S("1"), NULL, 0), PEAL_ENOMEM);
    CHECK_ERR(
        peal_question_emit(event, PEAL_S("\"e\""), PEAL_S(""), 0, NULL, 0), PEAL_ENOMEM);
    CHECK_OK(peal_question_allow(connect)); /* needs no memory */
    CHECK(ask(&w, PEAL_ASK_EVENT, "4") == NULL);
    alloc_left = -1;
    CHECK_OK(peal_question_ack(event, PEAL_S("1"), NULL, 0));
    assert_string_equal(lines(&w, 2), "2 ok;1 ok[1];");
    peal_question_release(event);
    peal_question_release(connect);
    end(&w);
}

static void
many_threads_answer_at_once(void **state)
{
    enum {
        N = 48
    };
    struct job jobs[N];
    uv_thread_t threads[N];
    struct world w;

    begin(&w);
    for (unsigned i = 0; i < N; i++) {
        jobs[i] = (struct job){ .q = ask(&w, PEAL_ASK_EVENT, "e"),
            .what = i % 3 == 0 ? RELEASE : EMIT_AND_ACK };
        start(&threads[i], &jobs[i]);
    }
    lines(&w, N + N - N / 3);
    for (unsigned i = 0; i < N; i++)
        uv_thread_join(&threads[i]);
    CHECK(w.asker.questions == NULL);
    end(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_from_another_thread_comes_to_the_loop),
        cmocka_unit_test(questions_can_move_to_another_place),
        cmocka_unit_test(the_first_answer_counts),
        cmocka_unit_test(an_event_is_answered_by_events_and_an_acknowledgement),
        cmocka_unit_test(a_question_that_is_released_without_an_answer_is_told),
        cmocka_unit_test(an_answer_to_a_session_that_is_gone_is_counted),
        cmocka_unit_test(a_session_may_end_inside_an_answer),
        cmocka_unit_test(a_question_that_nobody_answers_is_decided_in_time),
        cmocka_unit_test(open_questions_are_bounded),
        cmocka_unit_test(answers_must_fit_their_question),
        cmocka_unit_test(many_threads_answer_at_once),
    };

    return cmocka_run_group_tests_name("question", tests, NULL, NULL);
}

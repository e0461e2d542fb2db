/* SPDX-License-Identifier: MIT */
/* hub/ask: who is asked, what comes back, and that nothing is left in the end. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "alloc.h"
#include "hub/ackreq.h"
#include "hub/hub_priv.h"

#define TIMEOUT_MS 3600000 /* in vain */

static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };

/* A session that can be asked, or, with plain_ops, cannot. */
struct member {
    struct peal_session s; /* first */
    struct peal_pending_ack *owed;
    uint64_t id; /* of the last question */
    unsigned asked, delivered;
    bool refuses;
};

static bool
deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    ((struct member *)s)->delivered++;
    return true;
}

static bool
deliver_unasked(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    return (m->flags & PEAL_MSG_NEEDS_ACK) == 0 && deliver(s, m, k);
}

static bool
ask_member(
    struct peal_session *s, struct peal_msg *m, unsigned k, struct peal_pending_ack *owed)
{
    struct member *me = (struct member *)s;

    if (me->refuses || !peal_pending_ack_has_room(me->owed))
        return false;
    me->asked++;
    me->id = owed->id;
    peal_pending_ack_add(&me->owed, owed);
    return true;
}

static const struct peal_session_ops plain_ops = { .protocol = "plain",
    .deliver = deliver };
static const struct peal_session_ops ops = {
    .protocol = "test", .deliver = deliver_unasked, .deliver_with_ack = ask_member
};

/* Two workers and a loop that asks, all turned by the test. */
struct rig {
    struct peal_hub *hub;
    struct peal_loop *loops[2], *asking;
    struct peal_shard *shards[2];
};

static struct rig
rig_new(void)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL, .log = &log_to };
    struct rig r;

    CHECK_OK(peal_hub_new(7, &r.hub));
    CHECK_OK(peal_loop_new(&config, &r.asking));
    for (unsigned i = 0; i < 2; i++) {
        CHECK_OK(peal_loop_new(&config, &r.loops[i]));
        CHECK_OK(peal_shard_new(r.hub, i, r.loops[i], 1000, NULL, &r.shards[i]));
    }
    return r;
}

/* As a server does it: each shard before its loop, worker after worker. */
static void
rig_free(struct rig *r)
{
    for (unsigned i = 0; i < 2; i++) {
        peal_shard_free(&r->shards[i]);
        peal_loop_free(&r->loops[i]);
    }
    peal_loop_free(&r->asking);
    peal_hub_free(&r->hub);
}

/* Until all tasks that follow from each other have arrived. */
static void
turn(struct rig *r)
{
    for (int i = 0; i < 8; i++) {
        uv_run(peal_loop_uv(r->asking), UV_RUN_NOWAIT);
        uv_run(peal_loop_uv(r->loops[0]), UV_RUN_NOWAIT);
        uv_run(peal_loop_uv(r->loops[1]), UV_RUN_NOWAIT);
    }
}

static struct member *
members_new(struct peal_shard *sh, const struct peal_session_ops *how, const char *room,
    unsigned n)
{
    struct member *all = __real_calloc(n, sizeof(*all));

    CHECK(all != NULL);
    for (unsigned i = 0; i < n; i++) {
        CHECK_OK(peal_session_init(&all[i].s, sh, how, PEAL_LISTED));
        CHECK_OK(peal_session_subscribe(&all[i].s, peal_slice_str(room)));
    }
    return all;
}

static void
leave(struct member *me)
{
    peal_pending_acks_clear(&me->owed);
    peal_session_fini(&me->s);
}

static void
members_free(struct member *all, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        leave(&all[i]);
    free(all);
}

/* What the asker hears. */
struct heard {
    unsigned n_asked, asked, done;
    peal_err why;
    struct peal_buf answers; /* "args/attachments;" */
};

static void
on_asked(void *ctx, unsigned n)
{
    struct heard *h = ctx;

    CHECK_INT(h->done, 0);
    h->n_asked++;
    h->asked += n;
}

static void
on_answer(void *ctx, const struct peal_ack_answer *said)
{
    struct heard *h = ctx;
    long left = alloc_left;

    CHECK_INT(h->done, 0);
    alloc_left = -1;
    CHECK_OK(peal_buf_printf(&h->answers, "%.*s", (int)said->args.len, said->args.data));
    for (unsigned i = 0; i < said->n_atts; i++)
        CHECK_OK(peal_buf_printf(
            &h->answers, "/%.*s", (int)said->atts[i]->len, said->atts[i]->data));
    CHECK_OK(peal_buf_add_char(&h->answers, ';'));
    alloc_left = left;
}

static void
on_done(void *ctx, peal_err why)
{
    struct heard *h = ctx;

    h->done++;
    h->why = why;
}

static const struct peal_ack_request_ops ask_ops = {
    .asked = on_asked, .answer = on_answer, .done = on_done
};

static struct peal_msg *
msg(const struct peal_slice *channels, unsigned n, const char *except)
{
    struct peal_slice kept = peal_slice_str(except);
    struct peal_msg *m = NULL;

    CHECK_OK(peal_msg_new(&(struct peal_msg_spec){ .channels = channels,
                              .n_channels = n,
                              .except = &kept,
                              .n_except = except != NULL,
                              .flags = PEAL_MSG_NEEDS_ACK,
                              .n_args = 1,
                              .args = PEAL_S("1") },
        &m));
    return m;
}

static struct peal_ack_request *
begin(struct rig *r, const char *room, uint64_t timeout_ms, struct heard *h)
{
    struct peal_slice channel = peal_slice_str(room);
    struct peal_msg *m = msg(&channel, 1, NULL);
    struct peal_ack_request *a = NULL;

    *h = (struct heard){ .done = 0 };
    CHECK_OK(peal_ack_request(
        r->hub, r->asking, m, peal_hub_workers(r->hub, m), timeout_ms, &ask_ops, h, &a));
    peal_msg_release(m);
    CHECK_INT(h->n_asked + h->done, 0);
    return a;
}

static bool
answer(struct member *me, const char *args)
{
    struct peal_ack_answer said = { .args = peal_slice_str(args), .n_args = 1 };

    return peal_pending_ack_resolve(me->owed, me->id, &said);
}

static void
heard_fini(struct heard *h)
{
    peal_buf_fini(&h->answers);
}

static void
all_members_on_all_workers_are_asked_and_heard(void **state)
{
    struct rig r = rig_new();
    struct member *a = members_new(r.shards[0], &ops, "red", 2);
    struct member *b = members_new(r.shards[1], &ops, "red", 1);
    struct member *other = members_new(r.shards[1], &ops, "blue", 1);
    struct heard h;

    begin(&r, "red", TIMEOUT_MS, &h);
    turn(&r);
    CHECK_INT(h.n_asked, 1);
    CHECK_INT(h.asked, 3);
    CHECK(a[0].id != a[1].id);
    CHECK(answer(&b[0], "\"b\""));
    CHECK(answer(&a[1], ""));
    turn(&r);
    CHECK_SLICE(peal_buf_slice(&h.answers), "\"b\";;");
    CHECK(!answer(&a[1], "\"again\""));
    CHECK_INT(h.done, 0);
    CHECK(answer(&a[0], "1,2"));
    turn(&r);
    CHECK_SLICE(peal_buf_slice(&h.answers), "\"b\";;1,2;");
    CHECK_INT(h.done, 1);
    CHECK_INT(h.why, PEAL_OK);
    CHECK_INT(other[0].asked + other[0].delivered + a[0].delivered, 0);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loops[0]), PEAL_STAT_ASKED), 2);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.asking), PEAL_STAT_ANSWERED), 3);
    heard_fini(&h);
    members_free(a, 2);
    members_free(b, 1);
    members_free(other, 1);
    rig_free(&r);
}

static void
attachments_travel_with_the_answer(void **state)
{
    struct rig r = rig_new();
    struct member *a = members_new(r.shards[0], &ops, "red", 1);
    struct peal_blob *atts[2] = { peal_blob_copy(PEAL_S("one")),
        peal_blob_copy(PEAL_S("two")) };
    struct peal_ack_answer said = {
        .args = PEAL_S("[]"), .n_args = 1, .atts = atts, .n_atts = 2
    };
    struct heard h;

    begin(&r, "red", TIMEOUT_MS, &h);
    turn(&r);
    CHECK(peal_pending_ack_resolve(a[0].owed, a[0].id, &said));
    peal_blob_release(atts[0]);
    peal_blob_release(atts[1]);
    turn(&r);
    CHECK_SLICE(peal_buf_slice(&h.answers), "[]/one/two;");
    CHECK_INT(h.done, 1);
    heard_fini(&h);
    members_free(a, 1);
    rig_free(&r);
}

static void
channels_ids_and_exceptions_say_who_is_asked_and_nobody_twice(void **state)
{
    struct rig r = rig_new();
    struct member *a = members_new(r.shards[0], &ops, "red", 3);
    struct member *b = members_new(r.shards[1], &ops, "blue", 1);
    struct member *c = members_new(r.shards[1], &ops, "none", 1);
    struct peal_slice names[] = { PEAL_S("red"), PEAL_S("blue"), PEAL_S("red"),
        peal_session_id(&c[0].s), peal_session_id(&a[0].s) };
    struct peal_msg *m;
    struct peal_ack_request *ask = NULL;
    struct heard h = { .done = 0 };

    CHECK_OK(peal_session_subscribe(&a[1].s, PEAL_S("blue")));
    CHECK_OK(peal_session_subscribe(&a[2].s, PEAL_S("quiet")));
    m = msg(names, 5, "quiet");
    CHECK_OK(peal_ack_request(
        r.hub, r.asking, m, peal_hub_workers(r.hub, m), TIMEOUT_MS, &ask_ops, &h, &ask));
    peal_msg_release(m);
    turn(&r);
    CHECK_INT(h.asked, 4);
    CHECK_INT(a[0].asked, 1);
    CHECK_INT(a[1].asked, 1);
    CHECK_INT(a[2].asked, 0);
    CHECK_INT(b[0].asked, 1);
    CHECK_INT(c[0].asked, 1);
    peal_ack_request_cancel(ask);
    turn(&r);
    members_free(a, 3);
    members_free(b, 1);
    members_free(c, 1);
    rig_free(&r);
}

static void
those_who_cannot_answer_get_the_message(void **state)
{
    struct rig r = rig_new();
    struct member *plain = members_new(r.shards[0], &plain_ops, "red", 20);
    struct member *a = members_new(r.shards[0], &ops, "red", 1);
    struct heard h;

    begin(&r, "red", TIMEOUT_MS, &h);
    turn(&r);
    CHECK_INT(h.asked, 1);
    CHECK_INT(a[0].asked, 1);
    CHECK_INT(a[0].delivered, 0);
    for (unsigned i = 0; i < 20; i++)
        CHECK_INT(plain[i].delivered, 1);
    CHECK(answer(&a[0], "1"));
    turn(&r);
    CHECK_INT(h.done, 1);
    heard_fini(&h);
    members_free(a, 1);
    members_free(plain, 20);
    rig_free(&r);
}

static void
nobody_to_ask_is_an_answer_too(void **state)
{
    struct rig r = rig_new();
    struct member *a = members_new(r.shards[0], &ops, "red", 1);
    struct heard h;

    begin(&r, "nobody", TIMEOUT_MS, &h);
    while (h.done == 0)
        turn(&r);
    CHECK_INT(h.n_asked, 1);
    CHECK_INT(h.asked, 0);
    CHECK_INT(h.why, PEAL_OK);

    a[0].refuses = true;
    begin(&r, "red", TIMEOUT_MS, &h);
    turn(&r);
    CHECK_INT(h.asked, 0);
    CHECK_INT(h.done, 1);
    CHECK_INT(h.why, PEAL_OK);
    members_free(a, 1);
    rig_free(&r);
}

static void
who_ends_is_not_waited_for(void **state)
{
    struct rig r = rig_new();
    struct member *a = members_new(r.shards[0], &ops, "red", 3);
    struct member *b = members_new(r.shards[1], &ops, "red", 1);
    struct heard h;

    begin(&r, "red", TIMEOUT_MS, &h);
    turn(&r);
    leave(&a[0]);
    leave(&a[1]);
    CHECK(answer(&b[0], "1"));
    turn(&r);
    CHECK_INT(h.done, 0);
    leave(&a[2]);
    turn(&r);
    CHECK_INT(h.done, 1);
    CHECK_INT(h.why, PEAL_OK);
    CHECK_INT(h.asked, 4);
    CHECK_SLICE(peal_buf_slice(&h.answers), "1;");
    heard_fini(&h);
    members_free(b, 1);
    free(a);
    rig_free(&r);
}

static void
at_the_timeout_the_others_are_forgotten(void **state)
{
    struct rig r = rig_new();
    struct member *a = members_new(r.shards[0], &ops, "red", 2);
    struct heard h;

    begin(&r, "red", 1, &h);
    turn(&r);
    if (h.done == 0)
        CHECK(answer(&a[0], "1"));
    while (h.done == 0)
        turn(&r);
    turn(&r);
    CHECK_INT(h.why, PEAL_ETIMEOUT);
    CHECK_INT(h.asked, 2);
    CHECK(a[1].owed == NULL);
    CHECK(!answer(&a[1], "late"));
    heard_fini(&h);
    members_free(a, 2);
    rig_free(&r);
}

static void
a_request_that_is_given_up_is_silent(void **state)
{
    struct rig r = rig_new();
    struct member *a = members_new(r.shards[0], &ops, "red", 2);
    struct member *b = members_new(r.shards[1], &ops, "red", 1);
    struct heard h;

    /* At every step of the way: as many loops have turned as steps have been taken. */
    for (int steps = 0; steps < 12; steps++) {
        struct peal_ack_request *ask = begin(&r, "red", TIMEOUT_MS, &h);
        struct heard before;

        for (int i = 0; i < steps; i++)
            uv_run(i % 3 == 0   ? peal_loop_uv(r.loops[0])
                   : i % 3 == 1 ? peal_loop_uv(r.asking)
                                : peal_loop_uv(r.loops[1]),
                UV_RUN_NOWAIT);
        if (a[0].owed != NULL)
            CHECK(answer(&a[0], "under way"));
        before = h;
        peal_ack_request_cancel(ask);
        turn(&r);
        CHECK(memcmp(&before, &h, sizeof(h)) == 0);
        CHECK(a[0].owed == NULL && a[1].owed == NULL && b[0].owed == NULL);
        CHECK_INT(h.done, 0);
    }
    members_free(a, 2);
    members_free(b, 1);
    rig_free(&r);
}

static void
more_than_a_thousand_are_not_asked_at_all(void **state)
{
    struct rig r = rig_new();
    struct member *a = members_new(r.shards[0], &ops, "red", 500);
    struct member *b = members_new(r.shards[1], &ops, "red", 501);
    struct heard h;

    begin(&r, "red", TIMEOUT_MS, &h);
    turn(&r);
    CHECK_INT(h.done, 1);
    CHECK_INT(h.why, PEAL_ELIMIT);
    CHECK_INT(h.n_asked, 0);
    for (unsigned i = 0; i < 500; i++)
        CHECK_INT(a[i].asked + b[i].asked, 0);

    leave(&b[500]);
    begin(&r, "red", TIMEOUT_MS, &h);
    turn(&r);
    CHECK_INT(h.asked, PEAL_ACK_REQUEST_MAX);
    for (unsigned i = 0; i < 500; i++)
        CHECK(answer(&a[i], "") && answer(&b[i], ""));
    turn(&r);
    CHECK_INT(h.done, 1);
    CHECK_INT(h.answers.len, PEAL_ACK_REQUEST_MAX);
    heard_fini(&h);
    members_free(a, 500);
    members_free(b, 500);
    rig_free(&r);
}

static void
what_a_session_owes_is_bounded_and_told_apart(void **state)
{
    static struct heard heard[PEAL_PENDING_ACKS_MAX + 1];
    static uint64_t ids[PEAL_PENDING_ACKS_MAX];
    struct rig r = rig_new();
    struct member *a = members_new(r.shards[1], &ops, "red", 1);

    for (unsigned i = 0; i < PEAL_PENDING_ACKS_MAX; i++) {
        begin(&r, "red", TIMEOUT_MS, &heard[i]);
        turn(&r);
        CHECK_INT(heard[i].asked, 1);
        ids[i] = a[0].id;
    }
    CHECK(!peal_pending_ack_has_room(a[0].owed));
    begin(&r, "red", TIMEOUT_MS, &heard[PEAL_PENDING_ACKS_MAX]);
    turn(&r);
    CHECK_INT(heard[PEAL_PENDING_ACKS_MAX].asked, 0);
    CHECK_INT(heard[PEAL_PENDING_ACKS_MAX].done, 1);
    for (unsigned i = 0; i < PEAL_PENDING_ACKS_MAX; i++) {
        struct peal_ack_answer said = { .args = PEAL_S("x"), .n_args = 1 };

        /* The middle first, then both ends. */
        CHECK(peal_pending_ack_resolve(
            a[0].owed, ids[(i + 100) % PEAL_PENDING_ACKS_MAX], &said));
    }
    turn(&r);
    for (unsigned i = 0; i < PEAL_PENDING_ACKS_MAX; i++) {
        CHECK_INT(heard[i].done, 1);
        CHECK_SLICE(peal_buf_slice(&heard[i].answers), "x;");
        heard_fini(&heard[i]);
    }
    CHECK(a[0].owed == NULL);
    members_free(a, 1);
    rig_free(&r);
}

/* A server ends while requests are under way: each worker's sessions, shard and loop, one
 * worker after the other, and the asker at any moment before its own loop. */
static void
nothing_is_left_when_all_ends_at_any_step(void **state)
{
    for (int steps = 0; steps < 12; steps++) {
        struct rig r = rig_new();
        struct member *a = members_new(r.shards[0], &ops, "red", 2);
        struct member *b = members_new(r.shards[1], &ops, "red", 1);
        struct heard h;
        struct peal_ack_request *ask = begin(&r, "red", TIMEOUT_MS, &h);

        for (int i = 0; i < steps; i++)
            uv_run(i % 3 == 0   ? peal_loop_uv(r.loops[0])
                   : i % 3 == 1 ? peal_loop_uv(r.asking)
                                : peal_loop_uv(r.loops[1]),
                UV_RUN_NOWAIT);
        if (steps % 2 == 0)
            peal_ack_request_cancel(ask);
        members_free(a, 2);
        peal_shard_free(&r.shards[0]);
        peal_loop_free(&r.loops[0]);
        members_free(b, 1);
        peal_shard_free(&r.shards[1]);
        peal_loop_free(&r.loops[1]);
        if (steps % 2 == 1)
            peal_ack_request_cancel(ask);
        peal_loop_free(&r.asking);
        peal_hub_free(&r.hub);
        CHECK_INT(h.done, 0);
    }
}

static void
every_failing_allocation_is_survived(void **state)
{
    struct rig r = rig_new();
    struct member *a = members_new(r.shards[0], &ops, "red", 1);
    struct member *b = members_new(r.shards[1], &ops, "red", 1);
    struct peal_slice red = PEAL_S("red");
    struct peal_msg *m = msg(&red, 1, NULL);
    bool all = false;

    for (long n = 0; !all; n++) {
        struct peal_ack_request *ask = NULL;
        struct heard h = { .done = 0 };
        peal_err err;

        alloc_one = 1;
        alloc_left = n;
        err = peal_ack_request(r.hub, r.asking, m, peal_hub_workers(r.hub, m), TIMEOUT_MS,
            &ask_ops, &h, &ask);
        if (err == PEAL_OK) {
            turn(&r);
            if (a[0].owed != NULL)
                CHECK(answer(&a[0], "a"));
            if (b[0].owed != NULL)
                CHECK(answer(&b[0], "b"));
            turn(&r);
            CHECK_INT(h.done, 1);
            CHECK_INT(h.why, PEAL_OK);
        } else {
            CHECK_ERR(err, PEAL_ENOMEM);
        }
        CHECK(a[0].owed == NULL && b[0].owed == NULL);
        all = alloc_left >= 0;
        alloc_left = -1;
        if (all)
            CHECK_INT(h.answers.len, 4);
        heard_fini(&h);
    }
    alloc_one = 0;
    peal_msg_release(m);
    members_free(a, 1);
    members_free(b, 1);
    rig_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_members_on_all_workers_are_asked_and_heard),
        cmocka_unit_test(attachments_travel_with_the_answer),
        cmocka_unit_test(channels_ids_and_exceptions_say_who_is_asked_and_nobody_twice),
        cmocka_unit_test(those_who_cannot_answer_get_the_message),
        cmocka_unit_test(nobody_to_ask_is_an_answer_too),
        cmocka_unit_test(who_ends_is_not_waited_for),
        cmocka_unit_test(at_the_timeout_the_others_are_forgotten),
        cmocka_unit_test(a_request_that_is_given_up_is_silent),
        cmocka_unit_test(more_than_a_thousand_are_not_asked_at_all),
        cmocka_unit_test(what_a_session_owes_is_bounded_and_told_apart),
        cmocka_unit_test(nothing_is_left_when_all_ends_at_any_step),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

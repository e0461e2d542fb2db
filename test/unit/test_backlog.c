/* SPDX-License-Identifier: MIT */
/* hub/backlog, hub/publisher: what waits is bounded, and publishers wait for it. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "hub/hub_priv.h"
#include "hub/publish.h"
#include "hub/publisher.h"

#define MEMBERS 20
#define BUDGET 100 /* deliveries of a turn */
#define MIB ((size_t)1 << 20)

static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };

/* Sessions that count, and check the order. */
struct member {
    struct peal_session s; /* first */
    unsigned n;
};

static bool
deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    struct member *me = (struct member *)s;
    uint64_t number;

    assert_true(
        peal_slice_u64(peal_slice_of(m->args.data, 8), UINT32_MAX, &number) == PEAL_OK);
    assert_int_equal(number, 10000000 + me->n);
    me->n++;
    return true;
}

static const struct peal_session_ops ops = { .protocol = "test", .deliver = deliver };

/* Two workers whose loops the test turns; subscribers of "a" are on the second one. */
struct rig {
    struct peal_loop *loops[2];
    struct peal_hub *hub;
    struct peal_shard *sh[2];
    struct member members[MEMBERS];
    char *args; /* of a message: its number, and as much as is asked for */
    unsigned n_published;
};

static void
turn(struct rig *r, unsigned worker)
{
    uv_run(peal_loop_uv(r->loops[worker]), UV_RUN_NOWAIT);
}

static void
rig_open(struct rig *r)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL, .log = &log_to };

    *r = (struct rig){ 0 };
    CHECK_OK(peal_hub_new(7, &r->hub));
    for (unsigned i = 0; i < 2; i++) {
        CHECK_OK(peal_loop_new(&config, &r->loops[i]));
        CHECK_OK(peal_shard_new(r->hub, i, r->loops[i], BUDGET, NULL, &r->sh[i]));
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        CHECK_OK(peal_session_init(&r->members[i].s, r->sh[1], &ops, PEAL_UNLISTED));
        CHECK_OK(peal_session_subscribe(&r->members[i].s, PEAL_S("a")));
    }
    r->args = calloc(1, 8 * MIB);
    CHECK(r->args != NULL);
}

static void
rig_close(struct rig *r)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        peal_session_fini(&r->members[i].s);
    for (unsigned i = 0; i < 2; i++) {
        peal_shard_free(&r->sh[i]);
        peal_loop_free(&r->loops[i]);
    }
    CHECK_INT(peal_hub_backlog(r->hub), 0);
    peal_hub_free(&r->hub);
    free(r->args);
}

/* The next message. */
static struct peal_msg *
make(struct rig *r, size_t size, struct peal_blob *attachment)
{
    struct peal_slice a = PEAL_S("a");
    char number[9];
    struct peal_msg *m;

    snprintf(number, sizeof(number), "%u", 10000000 + r->n_published++);
    memcpy(r->args, number, 8);
    CHECK_OK(peal_msg_new(&(struct peal_msg_spec){ .channels = &a,
                              .n_channels = 1,
                              .atts = &attachment,
                              .n_atts = attachment != NULL,
                              .n_args = 1,
                              .args = peal_slice_of(r->args, 8 + size) },
        &m));
    return m;
}

static void
publish(struct rig *r, unsigned worker, size_t size, struct peal_blob *attachment)
{
    struct peal_msg *m = make(r, size, attachment);

    CHECK_OK(peal_publish(r->sh[worker], m));
    peal_msg_release(m);
}

static int64_t
counted(const struct rig *r, unsigned worker, enum peal_stat id)
{
    return peal_stat_get(peal_loop_stats(r->loops[worker]), id);
}

/* A client that publishes. */
struct client {
    unsigned resumed;
};

static void
on_resume(void *client)
{
    ((struct client *)client)->resumed++;
}

/* false: it may go on. */
static bool
must_pause(struct rig *r, unsigned worker, struct client *c)
{
    return peal_publisher_check(r->sh[worker], c, 0, on_resume);
}

/* Publishes until that pauses the client; how many that took. */
static unsigned
publish_until_paused(
    struct rig *r, unsigned worker, size_t size, struct peal_blob *b, struct client *c)
{
    for (unsigned n = 1; n < 100000; n++) {
        publish(r, worker, size, b);
        if (must_pause(r, worker, c))
            return n;
        CHECK_INT(r->sh[worker]->publishers.n, 0); /* it costs nothing meanwhile */
    }
    return 0;
}

/* A publisher on the worker of the subscribers. */
static void
a_full_channel_pauses_its_publisher_and_keeps_the_budget(void **state)
{
    struct client c = { 0 }, other = { 0 };
    struct rig r;
    unsigned turns = 0;

    rig_open(&r);
    CHECK_INT(
        publish_until_paused(&r, 1, 0, NULL, &c), PEAL_BACKLOG_LIMITS.channel_messages);
    CHECK_INT(r.members[0].n, 0); /* nothing is delivered past the turn */
    CHECK_INT(counted(&r, 1, PEAL_STAT_FANOUT_BACKLOG), 1);
    CHECK_INT(counted(&r, 1, PEAL_STAT_PAUSED_BACKLOG), 1);
    CHECK(!must_pause(&r, 1, &other)); /* who publishes nothing is not to blame */
    for (; c.resumed == 0; turns++) {
        int64_t before = counted(&r, 1, PEAL_STAT_DELIVERED);

        CHECK(turns < 1000);
        turn(&r, 1);
        CHECK(counted(&r, 1, PEAL_STAT_DELIVERED) - before <=
              BUDGET + PEAL_BACKLOG_LIMITS.channel_messages);
    }
    CHECK(turns > 10);
    CHECK_INT(r.sh[1]->publishers.n, 0);
    CHECK_INT(c.resumed, 1);
    while (r.members[0].n < r.n_published)
        turn(&r, 1);
    rig_close(&r);
}

static void
a_full_channel_pauses_publishers_of_other_workers(void **state)
{
    struct client c = { 0 };
    struct rig r;
    unsigned n;

    rig_open(&r);
    for (n = 0; c.resumed == 0; n++) {
        bool paused = peal_publisher_paused(r.sh[0], &c);

        /* It hears of it when the other worker has taken its messages. */
        CHECK(n < 2 * PEAL_BACKLOG_LIMITS.channel_messages);
        if (!paused) {
            publish(&r, 0, 0, NULL);
            paused = must_pause(&r, 0, &c);
        }
        if (n % 50 == 49) {
            r.sh[1]->turn_budget = paused ? BUDGET * 1000 : 0;
            turn(&r, 1);
            turn(&r, 0);
        }
    }
    CHECK(r.n_published >= PEAL_BACKLOG_LIMITS.channel_messages);
    CHECK_INT(counted(&r, 0, PEAL_STAT_PAUSED_BACKLOG), 1);
    while (r.members[0].n < r.n_published)
        turn(&r, 1);
    rig_close(&r);
}

/* The worker does not run: what is posted to it waits, up to here and no further. */
static void
what_is_posted_to_a_worker_is_bounded(void **state)
{
    struct client c = { 0 };
    struct rig r;
    unsigned n, soft, hard;

    rig_open(&r);
    soft = (unsigned)(PEAL_BACKLOG_LIMITS.soft / MIB);
    hard = (unsigned)(PEAL_BACKLOG_LIMITS.hard / MIB) - 1; /* each is a little larger */
    n = publish_until_paused(&r, 0, MIB, NULL, &c);
    CHECK_INT(n, soft);
    for (; n < hard + 5; n++)
        publish(&r, 0, MIB, NULL); /* by those that do not wait */
    CHECK_INT(counted(&r, 0, PEAL_STAT_WORKER_DROPPED), 5);
    CHECK(peal_hub_backlog(r.hub) <= PEAL_BACKLOG_LIMITS.hard);
    CHECK_INT(c.resumed, 0);
    r.sh[1]->turn_budget = 1000 * MEMBERS;
    for (unsigned i = 0; r.members[MEMBERS - 1].n < hard; i++) {
        CHECK(i < 1000);
        turn(&r, 1);
        turn(&r, 0);
    }
    turn(&r, 0);
    CHECK_INT(c.resumed, 1);
    CHECK_INT(peal_hub_backlog(r.hub), 0);
    rig_close(&r);
}

/* What is put off on a channel is bounded, too, whoever publishes. */
static void
what_a_worker_puts_off_is_bounded(void **state)
{
    struct rig r;
    unsigned hard = (unsigned)(PEAL_BACKLOG_LIMITS.hard / MIB) - 1;

    rig_open(&r);
    for (unsigned i = 0; i < hard + 5; i++)
        publish(&r, 1, MIB, NULL);
    CHECK_INT(counted(&r, 1, PEAL_STAT_WORKER_DROPPED), 5);
    r.sh[1]->turn_budget = 1000 * MEMBERS;
    while (r.members[MEMBERS - 1].n < hard)
        turn(&r, 1);
    CHECK_INT(peal_hub_backlog(r.hub), 0);
    rig_close(&r);
}

static void
attachments_count(void **state)
{
    struct peal_blob *b = peal_blob_new(4 * MIB);
    struct client c = { 0 };
    struct rig r;

    rig_open(&r);
    CHECK_INT(publish_until_paused(&r, 1, 0, b, &c), 4);
    peal_publisher_forget(r.sh[1], &c);
    for (unsigned i = 0; i < MEMBERS; i++) /* and no more when nobody waits for them */
        peal_session_fini(&r.members[i].s);
    CHECK_INT(peal_hub_backlog(r.hub), 0);
    peal_blob_release(b);
    rig_close(&r);
}

static void
what_is_held_back_pauses_its_client(void **state)
{
    struct client c = { 0 }, other = { 0 };
    struct rig r;

    rig_open(&r);
    peal_shard_held_add(r.sh[1], 3 * MIB);
    CHECK(!must_pause(&r, 1, &c));
    peal_shard_held_add(r.sh[1], 3 * MIB);
    CHECK(must_pause(&r, 1, &c));
    CHECK(!must_pause(&r, 1, &other));
    peal_shard_held_sub(r.sh[1], 3 * MIB);
    turn(&r, 1);
    CHECK_INT(c.resumed, 0);
    peal_shard_held_sub(r.sh[1], 3 * MIB);
    turn(&r, 1);
    CHECK_INT(c.resumed, 1);
    rig_close(&r);
}

static void
a_client_that_ends_is_not_resumed(void **state)
{
    struct client c = { 0 }, late = { 0 };
    struct rig r;

    rig_open(&r);
    publish_until_paused(&r, 1, 0, NULL, &c);
    publish(&r, 1, 0, NULL);
    CHECK(must_pause(&r, 1, &late));
    publish(&r, 1, 0, NULL);
    CHECK(!peal_publisher_check(r.sh[1], NULL, 0, on_resume)); /* it has ended */
    CHECK(peal_publisher_paused(r.sh[1], &c));
    peal_publisher_forget(r.sh[1], &c);
    CHECK(!peal_publisher_paused(r.sh[1], &c));
    while (r.members[0].n < r.n_published)
        turn(&r, 1);
    CHECK_INT(c.resumed, 0);
    CHECK_INT(late.resumed, 1);
    rig_close(&r);
}

static void
on_published(void *client, peal_err err)
{
    CHECK_ERR(err, PEAL_OK);
    ((struct client *)client)->resumed++;
}

/* Publishes with a completion until a message is not accepted at once. */
static struct peal_publish *
publish_until_pending(struct rig *r, unsigned worker, struct client *c)
{
    struct peal_publish *p = NULL;

    for (unsigned n = 0; n < 100000 && p == NULL; n++) {
        struct peal_msg *m = make(r, 0, NULL);

        CHECK_OK(peal_publish_then(r->sh[worker], m, on_published, c, &p));
        peal_msg_release(m);
        CHECK_INT(c->resumed, 0);
    }
    CHECK(p != NULL);
    return p;
}

static void
a_publish_is_accepted_when_the_congestion_that_it_met_is_over(void **state)
{
    struct client c = { 0 };
    struct rig r;

    for (unsigned worker = 0; worker < 2; worker++) {
        struct peal_publish *p;

        rig_open(&r);
        c.resumed = 0;
        p = publish_until_pending(&r, worker, &c);
        for (unsigned i = 0; i < 2000; i++) {
            turn(&r, 1);
            turn(&r, 0);
        }
        CHECK_INT(c.resumed, 1);
        c.resumed = 0;
        p = publish_until_pending(&r, worker, &c);
        peal_publish_cancel(p); /* nobody is told any more */
        for (unsigned i = 0; i < 2000; i++) {
            turn(&r, 1);
            turn(&r, 0);
        }
        CHECK_INT(c.resumed, 0);
        for (unsigned i = 0; i < MEMBERS; i++)
            CHECK_INT(r.members[i].n, r.n_published);
        rig_close(&r);
    }
}

static void
a_rate_pauses_until_there_is_a_token(void **state)
{
    struct client c = { 0 };
    struct rig r;
    unsigned n = 0;

    rig_open(&r);
    while (!peal_publisher_check(r.sh[0], &c, 10, on_resume))
        n++;
    CHECK_INT(n, 9); /* a second's worth at once: after the tenth it waits */
    CHECK(peal_publisher_paused(r.sh[0], &c));
    CHECK_INT(counted(&r, 0, PEAL_STAT_PAUSED_RATE), 1);
    clock_ms += 90;
    turn(&r, 0);
    CHECK_INT(c.resumed, 0);
    clock_ms += 20;
    turn(&r, 0);
    CHECK_INT(c.resumed, 1);
    CHECK(!peal_publisher_paused(r.sh[0], &c));
    CHECK(peal_publisher_check(r.sh[0], &c, 10, on_resume));
    clock_ms += 5000;
    turn(&r, 0);
    CHECK_INT(c.resumed, 2);
    for (n = 0; !peal_publisher_check(r.sh[0], &c, 10, on_resume);)
        n++;
    CHECK_INT(n, 9);
    peal_publisher_forget(r.sh[0], &c);
    rig_close(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_channel_pauses_its_publisher_and_keeps_the_budget),
        cmocka_unit_test(a_full_channel_pauses_publishers_of_other_workers),
        cmocka_unit_test(what_is_posted_to_a_worker_is_bounded),
        cmocka_unit_test(what_a_worker_puts_off_is_bounded),
        cmocka_unit_test(attachments_count),
        cmocka_unit_test(what_is_held_back_pauses_its_client),
        cmocka_unit_test(a_client_that_ends_is_not_resumed),
        cmocka_unit_test(a_publish_is_accepted_when_the_congestion_that_it_met_is_over),
        cmocka_unit_test(a_rate_pauses_until_there_is_a_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

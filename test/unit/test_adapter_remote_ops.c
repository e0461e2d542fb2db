/* SPDX-License-Identifier: MIT */
/* adapter/: what is asked of sockets and what is answered, in which order; and that
 * nothing is left of what is under way in the end. */
#include "adapter_rig.h"

#include "alloc.h"

#define OPTS(rooms, except) "\"opts\":{\"rooms\":" rooms ",\"except\":" except "}"
#define ANSWER(json) "pub k-response#/# " json "\n"

/* A broadcast to room. */
static void
broadcast(struct site *s, const char *room, const char *event)
{
    char json[256], topic[64];

    snprintf(topic, sizeof(topic), "k#/#%s#", room);
    snprintf(json, sizeof(json),
        "[\"Node12\",{\"type\":2,\"data\":[\"%s\"],\"nsp\":\"/\"},{\"rooms\":[\"%s\"],"
        "\"except\":[],\"flags\":{}}]",
        event, room);
    told_packed(s, topic, json);
}

static void
request(struct site *s, const char *fmt, const char *text)
{
    char json[512];

    snprintf(json, sizeof(json), fmt, text);
    told(s, "k-request#/#", json);
}

/* Joins, leaves, disconnects. */

static void
remote_orders_are_followed(void **state)
{
    struct socket a, b, c;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/ a");
    enter(&s, 1, &b, "/ a b");
    enter(&s, 1, &c, "/");
    told(&s, "k-request#/#",
        "{\"uid\":\"x\",\"type\":2," OPTS("[\"a\"]", "[\"b\"]") ",\"rooms\":[\"n\",42]}");
    turns(&s);
    CHECK(peal_session_is_subscribed(&a.s, PEAL_S("n")) &&
          peal_session_is_subscribed(&a.s, PEAL_S("42")));
    CHECK(!peal_session_is_subscribed(&b.s, PEAL_S("n")));
    told(
        &s, "k-request#/#", "{\"type\":3," OPTS("[]", "[]") ",\"rooms\":[\"a\",\"zz\"]}");
    turns(&s);
    CHECK(!peal_session_is_subscribed(&a.s, PEAL_S("a")) &&
          !peal_session_is_subscribed(&b.s, PEAL_S("a")));
    request(&s, "{\"uid\":\"x\",\"type\":4," OPTS("[\"%s\"]", "[]") ",\"close\":true}",
        id_text(&a));
    HEARD(&s, a, "!! ");
    told(&s, "k-request#/#",
        "{\"uid\":\"x\",\"type\":4," OPTS("[]", "[\"b\"]") ",\"close\":false}");
    HEARD(&s, c, "! ");
    HEARD(&s, b, "");
    SAID(&s, ""); /* nobody waits for an answer */
    quit(&s, &b);
    site_close(&s);
}

/* Rooms with names that nobody can have are nobody's, not everybody's. */
static void
joins_that_cannot_be_are_counted(void **state)
{
    static char fmt[2048], long_name[PEAL_CHANNEL_NAME_MAX + 2];
    struct socket a, b;
    struct site s;

    memset(long_name, 'x', sizeof(long_name) - 1);
    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/");
    enter(&s, 1, &b, "/");
    a.s.n_subs_max = 2;
    told(&s, "k-request#/#",
        "{\"uid\":\"x\",\"type\":2," OPTS("[]", "[]") ",\"rooms\":[\"n\",\"m\",\"n\"]}");
    turns(&s);
    CHECK(peal_session_is_subscribed(&a.s, PEAL_S("n")));
    CHECK(!peal_session_is_subscribed(&a.s, PEAL_S("m")));
    CHECK(peal_session_is_subscribed(&b.s, PEAL_S("m")));
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_JOINS_REFUSED), 1);
    snprintf(fmt, sizeof(fmt),
        "{\"type\":2," OPTS("[\"n\"]", "[]") ",\"rooms\":[\"%s\",\"k\"]}", long_name);
    told(&s, "k-request#/#", fmt);
    turns(&s);
    CHECK(peal_session_is_subscribed(&b.s, PEAL_S("k")));
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_JOINS_REFUSED), 4);
    snprintf(fmt, sizeof(fmt), "{\"type\":4," OPTS("[\"%s\"]", "[]") ",\"close\":false}",
        long_name);
    told(&s, "k-request#/#", fmt);
    HEARD(&s, a, "");
    snprintf(fmt, sizeof(fmt),
        "{\"type\":4," OPTS("[\"%s\",\"n\"]", "[]") ",\"close\":false}", long_name);
    told(&s, "k-request#/#", fmt);
    HEARD(&s, a, "! ");
    HEARD(&s, b, "! ");
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_BAD), 0);
    site_close(&s);
}

static void
orders_and_broadcasts_keep_their_order(void **state)
{
    struct socket a, b;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/ a");
    enter(&s, 1, &b, "/ a");
    /* All of it in one turn, as it comes from one connection. */
    broadcast(&s, "a", "one");
    broadcast(&s, "new", "lost");
    told(&s, "k-request#/#", "{\"type\":2," OPTS("[]", "[]") ",\"rooms\":[\"new\"]}");
    broadcast(&s, "new", "two");
    told(&s, "k-request#/#", "{\"type\":3," OPTS("[]", "[]") ",\"rooms\":[\"new\"]}");
    broadcast(&s, "new", "lost too");
    broadcast(&s, "a", "three");
    told(&s, "k-request#/#", "{\"type\":4," OPTS("[]", "[]") ",\"close\":false}");
    broadcast(&s, "a", "late");
    HEARD(&s, a, "\"one\"() \"two\"() \"three\"() ! ");
    HEARD(&s, b, "\"one\"() \"two\"() \"three\"() ! ");
    site_close(&s);
}

static void
old_adapters_are_answered_by_the_one_who_has_the_socket(void **state)
{
    struct socket a;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 1, &a, "/");
    request(&s, "{\"requestId\":\"r\",\"type\":2,\"sid\":\"%s\",\"room\":\"n\"}",
        "AAAAAAAAAAAAAAAAAAAA");
    turns(&s);
    SAID(&s, "");
    request(&s, "{\"requestId\":\"r\",\"type\":2,\"sid\":\"%s\",\"room\":\"n\"}",
        id_text(&a));
    turns(&s);
    CHECK(peal_session_is_subscribed(&a.s, PEAL_S("n")));
    SAID(&s, ANSWER("{\"requestId\":\"r\"}"));
    quit(&s, &a);
    site_close(&s);
}

/* Questions. */

static void
every_question_is_answered_also_with_nothing(void **state)
{
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    told(&s, "k-request#/#",
        "{\"uid\":\"x\",\"requestId\":\"0\",\"type\":0,\"rooms\":[]}");
    told(&s, "k-request#/#", "{\"uid\":\"x\",\"requestId\":\"1\",\"type\":1}");
    told(&s, "k-request#/#",
        "{\"uid\":\"x\",\"requestId\":\"5\",\"type\":5," OPTS("[]", "[]") "}");
    told(&s, "k-request#/#",
        "{\"uid\":\"x\",\"requestId\":\"6\",\"type\":6,\"data\":[\"e\",1]}");
    told(&s, "k-request#/#",
        "{\"uid\":\"x\",\"type\":6,\"data\":[\"e\",1]}"); /* no question */
    turns(&s);
    SAID(&s, ANSWER("{\"type\":6,\"requestId\":\"6\",\"data\":null}")
                 ANSWER("{\"requestId\":\"0\",\"sockets\":[]}")
                     ANSWER("{\"requestId\":\"1\",\"rooms\":[]}")
                         ANSWER("{\"requestId\":\"5\",\"sockets\":[]}"));
    site_close(&s);

    site_open(&s, true);
    redis_up(&s);
    told(&s, "k#/#",
        "{\"type\":7,\"data\":{" OPTS(
            "[]", "[]") ",\"requestId\":\"7\"},\"uid\":\"theirs\",\"nsp\":\"/\"}");
    turns(&s);
    told(&s, "k#/#",
        "{\"type\":9,\"data\":{\"packet\":[\"e\"],\"requestId\":\"9\"},\"uid\":"
        "\"theirs\",\"nsp\":\"/\"}");
    SAID(&s,
        "pub k#/#theirs# {\"type\":8,\"data\":{\"requestId\":\"7\",\"sockets\":[]},"
        "\"uid\":\"ME\",\"nsp\":\"/\"}\n"
        "pub k#/#theirs# {\"type\":10,\"data\":{\"requestId\":\"9\",\"packet\":null},"
        "\"uid\":\"ME\",\"nsp\":\"/\"}\n");
    site_close(&s);
}

static void
sockets_of_all_workers_are_listed(void **state)
{
    static const char handshake[] = "{\"headers\":{},\"time\":\"Tue Nov 24 2026 03:09:46 "
                                    "GMT+0000 (Coordinated Universal "
                                    "Time)\",\"address\":\"\",\"xdomain\":false,"
                                    "\"secure\":false,\"issued\":1795489786000,"
                                    "\"url\":\"/socket.io/\",\"query\":{},\"auth\":{}}";
    struct socket a, b, c, d;
    struct peal_buf want = { 0 };
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/ r");
    enter(&s, 1, &b, "/ r q");
    a.s.connected_s = b.s.connected_s = 1795489786;
    enter(&s, 1, &c, "r"); /* not in the namespace: none of its sockets */
    told(&s, "k-request#/#",
        "{\"uid\":\"x\",\"requestId\":\"5\",\"type\":5," OPTS("[\"r\"]", "[]") "}");
    turns(&s);
    CHECK_OK(peal_buf_printf(&want,
        ANSWER("{\"requestId\":\"5\",\"sockets\":["
               "{\"id\":\"%s\",\"handshake\":%s,\"rooms\":[\"%s\",\"r\"],\"data\":{}},"
               "{\"id\":\"%s\",\"handshake\":%s,\"rooms\":[\"%s\",\"q\",\"r\"],\"data\":{"
               "}}]}"),
        id_text(&a), handshake, id_text(&a), id_text(&b), handshake, id_text(&b)));
    SAID(&s, want.data);
    want.len = 0;
    told(&s, "k-request#/#",
        "{\"uid\":\"x\",\"requestId\":\"0\",\"type\":0,\"rooms\":[\"q\"]}");
    turns(&s);
    CHECK_OK(peal_buf_printf(
        &want, ANSWER("{\"requestId\":\"0\",\"sockets\":[\"%s\"]}"), id_text(&b)));
    SAID(&s, want.data);
    want.len = 0;
    CHECK_OK(peal_session_unsubscribe(&b.s, PEAL_S("q")));
    enter(&s, 1, &d, "/ r"); /* a room is listed once a worker, however many are in it */
    told(&s, "k-request#/#", "{\"uid\":\"x\",\"requestId\":\"1\",\"type\":1}");
    turns(&s);
    CHECK_OK(peal_buf_printf(&want,
        ANSWER("{\"requestId\":\"1\",\"rooms\":[\"%s\",\"r\",\"%s\",\"%s\",\"r\"]}"),
        id_text(&a), id_text(&b), id_text(&d)));
    SAID(&s, want.data);
    quit(&s, &d);
    quit(&s, &a);
    quit(&s, &b);
    quit(&s, &c);
    peal_buf_fini(&want);
    site_close(&s);
}

/* Acknowledgements. */

#define ASK(rooms, more)                                                                 \
    "{\"uid\":\"x\",\"requestId\":\"q\",\"type\":7,\"packet\":{\"type\":2,\"data\":["    \
    "\"e\",1],"                                                                          \
    "\"nsp\":\"/\"},\"opts\":{\"rooms\":" rooms ",\"except\":[],\"flags\":{" more "}}}"
#define COUNT(n) ANSWER("{\"type\":8,\"requestId\":\"q\",\"clientCount\":" n "}")
#define ACK(value) ANSWER("{\"type\":9,\"requestId\":\"q\"" value "}")

static void
reply(struct site *s, struct socket *so, const char *args, unsigned n_args)
{
    struct peal_blob *att = peal_blob_copy(PEAL_S("\x07"));
    const struct peal_ack_answer said = {
        .args = peal_slice_str(args), .n_args = n_args, .atts = &att, .n_atts = 1
    };

    CHECK(peal_pending_ack_resolve(so->owed, so->id, &said));
    peal_blob_release(att);
    turns(s);
}

static void
clients_are_asked_and_what_they_answer_is_told(void **state)
{
    struct socket a, b, c, d;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/ r");
    enter(&s, 1, &b, "/ r");
    enter(&s, 1, &c, "/ r");
    enter(&s, 1, &d, "/");
    broadcast(&s, "r", "before");
    told_packed(&s, "k-request#/#", ASK("[\"r\"]", "\"timeout\":1000"));
    HEARD(&s, a, "\"before\"() *\"e\"(1) ");
    HEARD(&s, d, "");
    SAID(&s, COUNT("3"));
    reply(&s, &b, "{\"x\":1},2", 2); /* the first argument only */
    SAID(&s, ACK(",\"packet\":{\"x\":1}"));
    reply(&s, &a, "", 0);
    SAID(&s, ACK(""));
    reply(&s, &c, "[{\"_placeholder\":true,\"num\":0}]", 1);
    SAID(&s, ACK(",\"packet\":[{\"_placeholder\":true,\"num\":0}]"));
    CHECK(peal_list_empty(&s.a->requests.list));

    told_packed(&s, "k-request#/#", ASK("[\"nobody\"]", "\"timeout\":1000"));
    SAID(&s, COUNT("0"));
    /* A room that is about to get members. */
    told(&s, "k-request#/#", "{\"type\":2," OPTS("[]", "[]") ",\"rooms\":[\"new\"]}");
    told_packed(&s, "k-request#/#", ASK("[\"new\"]", "\"timeout\":1000"));
    turns(&s);
    SAID(&s, COUNT("4"));
    quit(&s, &a);
    quit(&s, &b);
    quit(&s, &c);
    quit(&s, &d); /* the last one: nobody is left to answer */
    CHECK(peal_list_empty(&s.a->requests.list));
    SAID(&s, "");
    site_close(&s);
}

static void
what_follows_a_question_does_not_overtake_it(void **state)
{
    struct socket a, b;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/ r");
    enter(&s, 1, &b, "/ r");
    broadcast(&s, "r", "one");
    told_packed(&s, "k-request#/#", ASK("[]", "\"timeout\":1000"));
    broadcast(&s, "r", "two");
    told_packed(&s, "k-request#/#", ASK("[\"r\"]", "\"timeout\":1000"));
    broadcast(&s, "r", "three");
    told(&s, "k-request#/#", "{\"type\":4," OPTS("[]", "[]") ",\"close\":false}");
    turns(&s);
    HEARD(&s, a, "\"one\"() *\"e\"(1) \"two\"() *\"e\"(1) \"three\"() ! ");
    HEARD(&s, b, "\"one\"() *\"e\"(1) \"two\"() *\"e\"(1) \"three\"() ! ");
    SAID(&s, COUNT("2") COUNT("2"));
    CHECK_INT(s.a->deferred.bytes, 0);
    site_close(&s);
}

static void
sharded_questions_are_answered_to_the_one_who_asks(void **state)
{
    struct socket a;
    struct site s;

    site_open(&s, true);
    redis_up(&s);
    enter(&s, 0, &a, "/");
    told(&s, "k#/#",
        "{\"type\":3,\"data\":{\"packet\":{\"type\":2,\"data\":[\"e\"]},"
        "\"requestId\":\"q\",\"opts\":{\"rooms\":[],\"except\":[],\"flags\":{\"timeout\":"
        "9}}},"
        "\"uid\":\"theirs\",\"nsp\":\"/\"}");
    turns(&s);
    SAID(&s,
        "pub k#/#theirs# {\"type\":11,\"data\":{\"requestId\":\"q\",\"clientCount\":1},"
        "\"uid\":\"ME\",\"nsp\":\"/\"}\n");
    reply(&s, &a, "true", 1);
    SAID(&s,
        "pub k#/#theirs# {\"type\":12,\"data\":{\"requestId\":\"q\",\"packet\":true},"
        "\"uid\":\"ME\",\"nsp\":\"/\"}\n");
    quit(&s, &a);
    site_close(&s);
}

static void
answers_are_waited_for_as_long_as_the_one_who_asks_does(void **state)
{
    static const struct {
        const char *flags;
        uint64_t ms;
    } cases[] = { { ASK("[]", "\"timeout\":1000"), 1000 }, { ASK("[]", ""), 5000 } };
    struct socket a;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/");
    for (unsigned i = 0; i < 2; i++) {
        told_packed(&s, "k-request#/#", cases[i].flags);
        turns(&s);
        SAID(&s, COUNT("1"));
        clock_ms += cases[i].ms - 10;
        turns(&s);
        CHECK(a.owed != NULL);
        clock_ms += 20;
        turns(&s);
        CHECK(a.owed == NULL);
        CHECK(peal_list_empty(&s.a->requests.list));
        SAID(&s, "");
    }
    quit(&s, &a);
    site_close(&s);
}

static void
of_more_clients_than_can_be_asked_none_is(void **state)
{
    static struct socket all[PEAL_ACK_REQUEST_MAX + 1];
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    for (unsigned i = 0; i <= PEAL_ACK_REQUEST_MAX; i++) {
        all[i] = (struct socket){ 0 };
        CHECK_OK(peal_session_init(&all[i].s, s.r.sh[i % 2], &socket_ops, PEAL_LISTED));
        CHECK_OK(peal_session_subscribe(&all[i].s, PEAL_S("/")));
    }
    told_packed(&s, "k-request#/#", ASK("[]", "\"timeout\":1000"));
    turns(&s);
    SAID(&s, COUNT("1001"));
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_REFUSED), 1);
    HEARD(&s, all[0], "");
    for (unsigned i = 0; i <= PEAL_ACK_REQUEST_MAX; i++)
        peal_session_fini(&all[i].s);
    site_close(&s);
}

/* The end. */

/* Everything that can be under way: deliveries, orders, questions, acknowledgements. */
static void
begin_everything(struct site *s)
{
    broadcast(s, "r", "e");
    told(s, "k-request#/#", "{\"type\":2," OPTS("[]", "[]") ",\"rooms\":[\"new\"]}");
    told(s, "k-request#/#",
        "{\"uid\":\"x\",\"requestId\":\"5\",\"type\":5," OPTS("[]", "[]") "}");
    told_packed(s, "k-request#/#", ASK("[]", "\"timeout\":1000"));
    broadcast(s, "r", "held");
}

/* However far it has come when the node ends. */
static void
nothing_is_left_in_the_end(void **state)
{
    for (unsigned stage = 0; stage < 12; stage++) {
        struct socket a, b;
        struct site s;

        site_open(&s, false);
        redis_up(&s);
        enter(&s, 0, &a, "/ r");
        enter(&s, 1, &b, "/ r");
        begin_everything(&s);
        for (unsigned i = 0; i < stage; i++)
            turn(i % 3 == 0 ? s.r.loops[0] : i % 3 == 1 ? s.r.loops[1] : s.r.control);
        peal_pending_acks_clear(&a.owed);
        peal_pending_acks_clear(&b.owed);
        peal_session_fini(&a.s);
        peal_session_fini(&b.s);
        site_close(&s);
    }
}

/* Whatever fails is not done, and nothing else is lost or left. */
static void
without_memory_nothing_breaks(void **state)
{
    static const struct {
        const char *topic, *json;
    } letters[] = {
        { "k#/#r#", "[\"Node12\",{\"type\":2,\"data\":[\"e\"]},{\"rooms\":[\"r\",\"n\"],"
                    "\"except\":[\"x\"]}]" },
        { "k-request#/#", "{\"type\":2," OPTS("[]", "[]") ",\"rooms\":[\"new\"]}" },
        { "k-request#/#",
            "{\"uid\":\"x\",\"requestId\":\"5\",\"type\":5," OPTS("[]", "[]") "}" },
        { "k-request#/#", ASK("[]", "\"timeout\":1000") },
    };

    for (unsigned i = 0; i < sizeof(letters) / sizeof(*letters); i++)
        for (long n = 0;; n++) {
            struct peal_buf payload = packed(letters[i].json);
            struct socket a, b;
            struct site s;
            bool done;

            site_open(&s, false);
            redis_up(&s);
            s.redis.quiet = true;
            enter(&s, 0, &a, "/ r");
            enter(&s, 1, &b, "/");
            alloc_one = 1;
            alloc_left = n;
            s.redis.p.b.events->message(s.redis.p.b.arg, peal_slice_str(letters[i].topic),
                peal_buf_slice(&payload));
            turns(&s);
            done = alloc_left >= 0; /* none has failed */
            alloc_left = -1;
            alloc_one = 0;
            peal_pending_acks_clear(&a.owed);
            peal_pending_acks_clear(&b.owed);
            peal_session_fini(&a.s);
            peal_session_fini(&b.s);
            turns(&s);
            CHECK(peal_list_empty(&s.a->remote_ops.list) &&
                  peal_list_empty(&s.a->requests.list));
            CHECK_INT(s.a->remote_ops.bytes, 0);
            site_close(&s);
            peal_buf_fini(&payload);
            if (done) {
                CHECK(n > 2);
                break;
            }
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remote_orders_are_followed),
        cmocka_unit_test(joins_that_cannot_be_are_counted),
        cmocka_unit_test(orders_and_broadcasts_keep_their_order),
        cmocka_unit_test(old_adapters_are_answered_by_the_one_who_has_the_socket),
        cmocka_unit_test(every_question_is_answered_also_with_nothing),
        cmocka_unit_test(sockets_of_all_workers_are_listed),
        cmocka_unit_test(clients_are_asked_and_what_they_answer_is_told),
        cmocka_unit_test(what_follows_a_question_does_not_overtake_it),
        cmocka_unit_test(sharded_questions_are_answered_to_the_one_who_asks),
        cmocka_unit_test(answers_are_waited_for_as_long_as_the_one_who_asks_does),
        cmocka_unit_test(of_more_clients_than_can_be_asked_none_is),
        cmocka_unit_test(nothing_is_left_in_the_end),
        cmocka_unit_test(without_memory_nothing_breaks),
    };

    return cmocka_run_group_tests_name("adapter_jobs", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* http/forward: requests that another node answers, and bytes both ways. */
#include "forward_rig.h"

#include <sys/un.h>

static void
requests_are_answered_as_if_they_had_come_to_the_right_node(void **state)
{
    static const struct {
        const char *first, *second, *answer;
    } cases[] = {
        { GET("/who"), "", "127.0.0.1 http forwarded" },
        { "GET /who HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 2.2.2.2\r\n"
          "X-Forwarded-Proto: https\r\n\r\n",
            "", "2.2.2.2 https forwarded" },
        { "\r\nGET /who HTTP/1.0\r\nX-Forwarded-For: fe80::1\r\n\r\n", "",
            "fe80::1 http forwarded" },
        { POST("/echo", "5") "hello", "", "hello" },
        { POST("/echo", "5") "he", "llo", "hello" },
        { POST_CHUNKED("/echo"), "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello" },
        { GET("/none"), "", "there is nothing here\n" },
        /* To its other worker, where the request is read again. */
        { GET("/move/who"), "", "127.0.0.1 http forwarded" },
        { "GET /move/who HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 2.2.2.2\r\n"
          "X-Forwarded-Proto: https\r\n\r\n",
            "", "2.2.2.2 https forwarded" },
        { POST("/move/x", "5") "he", "llo", "hello" },
    };
    size_t n = sizeof(cases) / sizeof(cases[0]);
    struct client c;

    start_both((struct before){ 0 });
    for (size_t i = 0; i < n; i++) {
        struct response r;

        c = front_client();
        say(&c, cases[i].first);
        if (cases[i].second[0] != '\0') {
            wait_for(&front.began);
            say(&c, cases[i].second);
        }
        r = hear_head(&c, true);
        CHECK_INT(r.status, strstr(cases[i].first, "/none") != NULL ? 404 : 200);
        assert_string_equal(field_of(&r, "Connection"), "close");
        CHECK_SLICE(peal_buf_slice(&r.body), cases[i].answer);
        response_fini(&r);
        EXPECT_END(&c);
        client_close(&c);
    }
    CHECK_INT(front_stat(PEAL_STAT_FORWARDED), n);
    CHECK_INT(front_stat(PEAL_STAT_HTTP_REQUESTS), n);
    CHECK_INT(stat_of(PEAL_STAT_FORWARDED_IN), n);
    CHECK_INT(stat_of(PEAL_STAT_HTTP_REQUESTS), n);
    CHECK_INT(stat_of(PEAL_STAT_HANDED_OVER), 3);
    stop_both();
}

static void
bytes_go_both_ways_unchanged(void **state)
{
    struct owner o = owner_new(16);
    struct client c, other;

    start_front((struct before){ .port = o.port });
    c = front_client();
    say(&c, POST("/local", "2") "ok" /* an earlier request of the same connection */
                                "POST /x?y=%20 HTTP/1.1\r\nhost:  a \r\n"
                                "Content-Length: 3\r\n\r\nab");
    EXPECT(&c, 200, "ok");
    other = owner_accept(&o);
    say(&c, "cd"); /* more than was announced: it is for the other node to say so */
    expect_bytes(&other, "POST /x?y=%20 HTTP/1.1\r\n" ADDED "host:  a \r\n"
                         "Content-Length: 3\r\n\r\nabcd");
    say(&other, "whatever it is");
    expect_bytes(&c, "whatever it is");
    say(&c, "is all the same");
    expect_bytes(&other, "is all the same");
    client_close(&other);
    EXPECT_END(&c);
    client_close(&c);
    stop_front();
    close(o.listener);
}

static void
unix_sockets_lead_to_other_nodes_too(void **state)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct owner o = { .listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    struct client c, other;

    snprintf(un.sun_path, sizeof(un.sun_path), "%s/sock", dir);
    CHECK_INT(bind(o.listener, (struct sockaddr *)&un, sizeof(un)), 0);
    CHECK_INT(listen(o.listener, 16), 0);
    start_front((struct before){ .host = un.sun_path, .port = 1 });
    c = front_client();
    say(&c, GET("/"));
    other = owner_accept(&o);
    expect_bytes(&other, "GET / HTTP/1.1\r\n" ADDED "Host: a\r\n\r\n");
    client_close(&other);
    EXPECT_END(&c);
    client_close(&c);
    stop_front();
    close(o.listener);
    unlink(un.sun_path);
}

static void
what_is_pipelined_behind_a_forwarded_request_is_not_answered(void **state)
{
    struct client c;

    start_both((struct before){ 0 });
    c = front_client();
    say(&c,
        POST("/local", "5") "local" GET("/who") GET("/who") POST("/local", "5") "local");
    EXPECT(&c, 200, "local");
    EXPECT(&c, 200, "127.0.0.1 http forwarded");
    EXPECT_END(&c);
    client_close(&c);
    CHECK_INT(stat_of(PEAL_STAT_HTTP_REQUESTS), 1);
    stop_both();
}

static void
answers_may_come_later(void **state)
{
    struct client poll, c;

    start_both((struct before){ 0 });
    for (int leaves = 0; leaves < 2; leaves++) {
        poll = front_client();
        say(&poll, GET("/later"));
        wait_for(&rig.came);
        if (leaves) {
            client_close(&poll);
            wait_for(&rig.gone);
            continue;
        }
        c = front_client();
        say(&c, GET("/release"));
        EXPECT(&c, 200, "released");
        client_close(&c);
        EXPECT(&poll, 200, "later");
        EXPECT_END(&poll);
        client_close(&poll);
    }
    stop_both();
}

static void
upgrades_are_forwarded(void **state)
{
    struct client c;
    struct response r;

    start_both((struct before){ 0 });
    for (int tls = 0; tls < 2; tls++) {
        if (tls) {
            stop_front();
            start_front((struct before){ .tls = true });
        }
        c = front_client();
        if (tls)
            start_tls(&c, PEAL_S(""));
        say(&c, GET("/take") "already here,");
        r = hear_head(&c, false);
        CHECK_INT(r.status, 101);
        assert_string_equal(field_of(&r, "X-Taken"), "yes");
        response_fini(&r);
        expect_bytes(&c, "already here,");
        for (int i = 0; i < 100; i++) {
            say(&c, "and back");
            expect_bytes(&c, "and back");
        }
        client_close(&c);
        wait_for(&rig.gone);
    }
    stop_both();
}

/* The answer waits where it comes from, until the client reads; see QUEUE_BYTES. */
static void
slow_readers_hold_up_the_other_node(void **state)
{
    struct client c;
    struct response r;

    for (int tls = 0; tls < 2; tls++) {
        start_both((struct before){ .tls = tls });
        c = client_of(front.port, 16384);
        if (tls)
            start_tls(&c, PEAL_S(""));
        say(&c, GET("/big"));
        WAIT_UNTIL(front_stat(PEAL_STAT_QUEUE_BYTES) > 0);
        r = hear_head(&c, false);
        CHECK_INT(r.status, 200);
        response_fini(&r);
        for (size_t left = BIG; left > 0;) {
            size_t n = left < 65536 ? left : 65536;
            struct peal_buf part = { 0 };

            CHECK(front_stat(PEAL_STAT_QUEUE_BYTES) <= QUEUE_MAX);
            hear_bytes(&c, n, &part);
            CHECK_INT(memcmp(part.data, rig.big->data, n), 0);
            peal_buf_fini(&part);
            left -= n;
        }
        EXPECT_END(&c);
        client_close(&c);
        WAIT_UNTIL(front_stat(PEAL_STAT_QUEUE_BYTES) == 0);
        CHECK_INT(front_stat(PEAL_STAT_CLOSED_SLOW), 0);
        stop_both();
    }
}

static void
a_node_that_reads_slowly_holds_up_the_client(void **state)
{
    struct owner o = owner_new(16);
    struct client c, other;
    size_t sent, heard = 0;

    start_front((struct before){ .port = o.port });
    c = front_client();
    say(&c, GET("/"));
    other = owner_accept(&o);
    sent = say_until_full(&c, true);
    CHECK(front_stat(PEAL_STAT_QUEUE_BYTES) <= QUEUE_MAX);
    CHECK_INT(shutdown(c.fd, SHUT_WR), 0);
    while (heard < sent + strlen("GET / HTTP/1.1\r\n" ADDED "Host: a\r\n\r\n")) {
        CHECK(front_stat(PEAL_STAT_QUEUE_BYTES) <= QUEUE_MAX);
        CHECK(hear_more(&other));
        heard += other.in.len;
        other.in.len = 0;
    }
    EXPECT_END(&other); /* all of it, and then the end */
    client_close(&c);
    client_close(&other);
    stop_front();
    close(o.listener);
}

static void
expect_all(struct client *c, size_t n)
{
    CHECK_INT(hear_end(c), n);
    client_close(c);
}

/* One side says a lot, which waits, and is gone. */
static void
what_is_queued_for_one_side_outlives_the_other(void **state)
{
    struct owner o = owner_new(16);

    start_front((struct before){ .port = o.port });
    for (int side = 0; side < 2; side++) {
        struct client c = front_client(), other;
        size_t sent;

        say(&c, GET("/"));
        other = owner_accept(&o);
        expect_bytes(&other, "GET / HTTP/1.1\r\n" ADDED "Host: a\r\n\r\n");
        sent = say_until_queued(side ? &other : &c);
        client_close(side ? &other : &c);
        WAIT_UNTIL(front_stat(PEAL_STAT_CLOSED_PEER) == side + 1);
        expect_all(side ? &c : &other, sent);
        WAIT_UNTIL(front.limits.open == 0);
    }
    stop_front();
    close(o.listener);
}

/* Whatever the queues of connections may hold, it is enough to forward. */
static void
small_queues_are_enough(void **state)
{
    char *body = malloc(1000000);
    struct client c;
    struct response r;

    CHECK(body != NULL);
    memset(body, 'b', 1000000);
    start_both((struct before){ .queue_max = 1000 });
    c = client_of(front.port, 16384);
    say(&c, POST("/large", "1000000"));
    say_bytes(&c, body, 1000000);
    r = hear_head(&c, true);
    CHECK_MEM(r.body.data, r.body.len, body, 1000000);
    response_fini(&r);
    EXPECT_END(&c);
    client_close(&c);
    CHECK_INT(front_stat(PEAL_STAT_CLOSED_SLOW), 0);
    free(body);
    stop_both();
}

/* Echoed while the client does not read, so that every queue on the way is full. */
static void
both_ways_may_be_full_at_once(void **state)
{
    char *bytes = malloc(BIG);
    struct peal_buf got = { 0 };
    struct client c;
    struct response r;

    CHECK(bytes != NULL);
    for (size_t i = 0; i < BIG; i++)
        bytes[i] = (char)(i * 7 / 5);
    start_both((struct before){ 0 });
    c = client_of(front.port, 16384);
    say(&c, GET("/take"));
    r = hear_head(&c, false);
    CHECK_INT(r.status, 101);
    response_fini(&r);
    say_bytes(&c, bytes, BIG);
    hear_bytes(&c, BIG, &got);
    CHECK_MEM(got.data, got.len, bytes, BIG);
    peal_buf_fini(&got);
    free(bytes);
    client_close(&c);
    wait_for(&rig.gone);
    stop_both();
}

/* A head as large as the front takes is not too large with a line more. */
static void
the_largest_head_has_room_for_one_line_more(void **state)
{
    static const char longest[] = "1111:2222:3333:4444:5555:6666:7777:8888";
    struct peal_httphead_limits lim = peal_httphead_limits_default;
    char answer[100];

    start_both((struct before){ 0 });
    snprintf(answer, sizeof(answer), "%s https forwarded", longest);
    for (size_t more = 0; more < 2; more++) {
        struct peal_buf text = { 0 };
        struct client c = front_client();

        CHECK_OK(peal_buf_printf(&text,
            "GET /who HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\n"
            "X-Forwarded-Proto: https\r\n",
            longest));
        for (unsigned i = 0; i < lim.headers_max - 4; i++)
            CHECK_OK(peal_buf_printf(&text, "A: %u\r\n", i));
        CHECK_OK(peal_buf_printf(&text, "B: "));
        while (text.len < lim.head_max + more - 4)
            CHECK_OK(peal_buf_add_char(&text, 'b'));
        CHECK_OK(peal_buf_printf(&text, "\r\n\r\n"));
        say_bytes(&c, text.data, text.len);
        EXPECT(&c, more ? 431 : 200, more ? NULL : answer);
        peal_buf_fini(&text);
        client_close(&c);
    }
    stop_both();
}

#define FORWARDED(value) "GET /who HTTP/1.1\r\nPeal-Forward: " value "\r\nHost: a\r\n\r\n"

static void
a_server_for_nodes_serves_nobody_else(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *answer;
    } cases[] = {
        { FORWARDED(SECRET " 1.2.3.4 https"), 200, "1.2.3.4 https forwarded" },
        { FORWARDED(SECRET " ::1 http"), 200, "::1 http forwarded" },
        { FORWARDED(SECRET " unix http"), 200, "unix http forwarded" },
        { FORWARDED(SECRET " unknown http"), 200, "unknown http forwarded" },
        /* No other header says who asks. */
        { "GET /who HTTP/1.1\r\npeal-forward: " SECRET " 1.2.3.4 http\r\nHost: a\r\n"
          "X-Forwarded-For: 2.2.2.2\r\nX-Forwarded-Proto: https\r\n\r\n",
            200, "1.2.3.4 http forwarded" },
        { GET("/who"), 403, NULL },
        { "GET /who HTTP/1.1\r\nHost: a\r\nPeal-Forward: " SECRET " 1.2.3.4 http\r\n\r\n",
            403, NULL },
        { "GET /who HTTP/1.1\r\nPeal-Forward: " SECRET " 1.2.3.4 http\r\n"
          "Host: a\r\nPeal-Forward: " SECRET " 1.2.3.4 http\r\n\r\n",
            403, NULL },
        { FORWARDED("S3cret-of-16-chr 1.2.3.4 http"), 403, NULL },
        { FORWARDED("s3cret-of-16-ch 1.2.3.4 http"), 403, NULL },
        { FORWARDED(SECRET "x 1.2.3.4 http"), 403, NULL },
        { FORWARDED(""), 403, NULL },
        { FORWARDED(SECRET), 403, NULL },
        { FORWARDED(SECRET " 1.2.3.4"), 403, NULL },
        { FORWARDED(SECRET " 1.2.3 http"), 403, NULL },
        { FORWARDED(SECRET " 1.2.3.4 ftp"), 403, NULL },
        { FORWARDED(SECRET " 1.2.3.4 http http"), 403, NULL },
        { FORWARDED(SECRET " 1.2.3.4  http"), 403, NULL },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n", 403, NULL },
    };
    struct client c;

    start_with((struct setup){ .forward_secret = SECRET });
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        c = client();
        say(&c, cases[i].text);
        say(&c, FORWARDED(SECRET " 1.2.3.4 https")); /* one request a connection */
        EXPECT(&c, cases[i].status, cases[i].answer);
        EXPECT_END(&c);
        client_close(&c);
    }
    CHECK_INT(stat_of(PEAL_STAT_FORWARDED_IN), 5);
    CHECK_INT(stat_of(PEAL_STAT_HTTP_BAD), sizeof(cases) / sizeof(cases[0]) - 5);
    stop();
}

static void
a_wrong_secret_is_refused(void **state)
{
    struct client c;

    start_both((struct before){ .secret = "another-secret" });
    c = front_client();
    say(&c, GET("/who"));
    EXPECT(&c, 403, NULL);
    EXPECT_END(&c);
    client_close(&c);
    CHECK_INT(stat_of(PEAL_STAT_FORWARDED_IN), 0);
    stop_both();
}

static void
clients_must_not_say_that_they_forward(void **state)
{
    struct client c;

    start_both((struct before){ 0 });
    c = front_client();
    say(&c, POST("/local", "2") "ok" FORWARDED(SECRET " 1.2.3.4 http"));
    EXPECT(&c, 200, "ok");
    EXPECT(&c, 400, NULL);
    EXPECT_END(&c);
    client_close(&c);
    c = front_client();
    say(&c, "GET /local HTTP/1.1\r\nHost: a\r\nPEAL-FORWARD: x\r\n\r\n");
    EXPECT(&c, 400, NULL);
    EXPECT_END(&c);
    client_close(&c);
    CHECK_INT(front_stat(PEAL_STAT_HTTP_BAD), 2);
    CHECK_INT(front_stat(PEAL_STAT_FORWARDED), 0);
    stop_both();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered_as_if_they_had_come_to_the_right_node),
        cmocka_unit_test(bytes_go_both_ways_unchanged),
        cmocka_unit_test(unix_sockets_lead_to_other_nodes_too),
        cmocka_unit_test(what_is_pipelined_behind_a_forwarded_request_is_not_answered),
        cmocka_unit_test(answers_may_come_later),
        cmocka_unit_test(upgrades_are_forwarded),
        cmocka_unit_test(slow_readers_hold_up_the_other_node),
        cmocka_unit_test(a_node_that_reads_slowly_holds_up_the_client),
        cmocka_unit_test(what_is_queued_for_one_side_outlives_the_other),
        cmocka_unit_test(small_queues_are_enough),
        cmocka_unit_test(both_ways_may_be_full_at_once),
        cmocka_unit_test(the_largest_head_has_room_for_one_line_more),
        cmocka_unit_test(a_server_for_nodes_serves_nobody_else),
        cmocka_unit_test(a_wrong_secret_is_refused),
        cmocka_unit_test(clients_must_not_say_that_they_forward),
    };

    return run_with_each_engine(tests, sizeof(tests) / sizeof(tests[0]));
}

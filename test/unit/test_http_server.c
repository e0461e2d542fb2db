/* SPDX-License-Identifier: MIT */
/* http: requests and answers, with real sockets. */
#include "http_rig.h"

#include "alloc.h"

static void
a_connection_serves_many_requests(void **state)
{
    struct client c;
    struct response r;

    start();
    c = client();
    for (int i = 0; i < 3; i++) {
        say(&c, POST("/echo", "5") "hello");
        r = hear_head(&c, true);
        CHECK_INT(r.status, 200);
        assert_string_equal(field_of(&r, "Content-Length"), "5");
        assert_string_equal(field_of(&r, "Content-Type"), "text/plain");
        CHECK_INT(strlen(field_of(&r, "Date")), PEAL_HTTP_DATE_LEN);
        CHECK(field_of(&r, "Connection") == NULL);
        CHECK_SLICE(peal_buf_slice(&r.body), "hello");
        response_fini(&r);
    }
    say(&c, "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    r = hear_head(&c, true);
    CHECK_INT(r.status, 404);
    assert_string_equal(field_of(&r, "Connection"), "close");
    response_fini(&r);
    EXPECT_END(&c);
    client_close(&c);
    c = client(); /* HTTP/1.0: kept only if asked for */
    say(&c, "GET /who HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    r = hear_head(&c, true);
    assert_string_equal(field_of(&r, "Connection"), "keep-alive");
    response_fini(&r);
    say(&c, "GET /who HTTP/1.0\r\n\r\n");
    EXPECT(&c, 200, "127.0.0.1 http");
    EXPECT_END(&c);
    client_close(&c);
    stop();
}

static void
pipelined_requests_are_answered_in_order(void **state)
{
    struct client c, other;

    start();
    c = client();
    other = client();
    say(&c, POST("/echo", "3") "one" POST_CHUNKED("/echo") "3\r\ntwo\r\n0\r\n\r\n" GET(
                "/later") GET("/nothing") POST("/echo", "5") "three");
    EXPECT(&c, 200, "one");
    EXPECT(&c, 200, "two");
    wait_for(&rig.came);
    say(&other, GET("/release"));
    EXPECT(&other, 200, "released");
    EXPECT(&c, 200, "later");
    EXPECT(&c, 404, NULL);
    EXPECT(&c, 200, "three");
    client_close(&c);
    client_close(&other);
    stop();
}

/* Reading stops while more than it will keep waits for an answer, and goes on after. */
static void
a_long_pipeline_waits_for_an_answer(void **state)
{
    static const char one[] = POST("/echo", "1000");
    enum {
        N = 400
    };
    char body[1000];
    struct client c, other;

    start();
    c = client();
    other = client();
    memset(body, 'x', sizeof(body));
    say(&c, GET("/later"));
    wait_for(&rig.came);
    for (int i = 0; i < N; i++) {
        say(&c, one);
        say_bytes(&c, body, sizeof(body));
    }
    say(&other, GET("/release"));
    EXPECT(&other, 200, "released");
    EXPECT(&c, 200, "later");
    for (int i = 0; i < N; i++)
        EXPECT(&c, 200, NULL);
    say(&c, POST("/echo", "3") "end");
    EXPECT(&c, 200, "end");
    client_close(&c);
    client_close(&other);
    stop();
}

static void
requests_may_come_byte_by_byte(void **state)
{
    static const char *const texts[] = { POST("/echo", "5") "hello",
        POST_CHUNKED("/echo") "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n",
        "\r\n" POST("/echo", "5") "hello" };
    struct client c;
    int on = 1;

    start();
    c = client();
    CHECK_INT(setsockopt(c.fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on)), 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t n = 0; texts[i][n] != 0; n++)
            say_bytes(&c, texts[i] + n, 1);
        EXPECT(&c, 200, "hello");
    }
    client_close(&c);
    stop();
}

static void
bad_requests_are_told_and_closed(void **state)
{
    static const struct {
        const char *text;
        int status;
    } bad[] = {
        { "GET / HTTP/1.1\r\n\r\n", 400 },
        { "GET /echo HTTP/1.1\nHost: a\n\n", 400 },
        { "\x16\x03\x01\x02\x00\x01\x00\x01", 400 }, /* TLS */
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
          "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("/echo"),
            400 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", 400 },
        { POST_CHUNKED("/echo") "x\r\n" GET("/echo"), 400 },
        { POST_CHUNKED("/echo") "3\r\nabcd\r\n0\r\n\r\n", 400 },
        { "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
        { POST("/echo", "1001"), 413 },
        { POST_CHUNKED("/echo") "3e9\r\n", 413 },
        { POST("/echo", "99999999999999999999"), 413 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501 },
        { "GET / HTTP/2.0\r\n\r\n", 505 },
        { POST("/nothing", "5") "he", 404 }, /* whose body did not come with it */
        { POST("/key", "5") "he", 403 },
    };
    char text[20000];
    struct client c;

    start();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        c = client();
        say(&c, POST("/echo", "2") "ok");
        EXPECT(&c, 200, "ok");
        say(&c, bad[i].text);
        EXPECT(&c, bad[i].status, NULL);
        EXPECT_END(&c);
        client_close(&c);
    }
    for (int line = 0; line < 2; line++) {
        c = client();
        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = 0;
        if (!line)
            memcpy(text, "GET / HTTP/1.1\r\n", 16);
        say(&c, text);
        EXPECT(&c, line ? 414 : 431, NULL);
        client_close(&c);
    }
    CHECK(stat_of(PEAL_STAT_HTTP_BAD) >= 15);
    stop();
}

static void
a_refusal_has_its_body_whatever_came_before(void **state)
{
    struct client c;
    struct response r;

    start_with((struct setup){ .head_ms = 100 });
    for (int slow = 0; slow < 2; slow++) {
        c = client();
        say(&c, "HEAD /big HTTP/1.1\r\nHost: a\r\n\r\n");
        r = hear_head(&c, false);
        CHECK_INT(strtoul(field_of(&r, "Content-Length"), NULL, 10), BIG);
        response_fini(&r);
        say(&c, slow ? "GET /" : "GET / \r\n\r\n");
        EXPECT(&c, slow ? 408 : 400, NULL);
        EXPECT_END(&c);
        client_close(&c);
    }
    stop();
}

static void
slow_requests_time_out(void **state)
{
    static const struct {
        const char *text;
        int status; /* 0: closed without a word */
    } slow[] = {
        { "", 0 },
        { "GET / HTTP/1.1\r\nHo", 408 },
        { POST("/echo", "5") "he", 408 },
        { POST_CHUNKED("/echo") "5\r\nhe", 408 },
        { GET("/echo"), 200 }, /* and then nothing */
        { GET("/echo") "GET ", 408 },
    };
    struct client c[6];

    start_with((struct setup){ .head_ms = 200, .body_ms = 200, .idle_ms = 200 });
    for (size_t i = 0; i < 6; i++) {
        c[i] = client();
        say(&c[i], slow[i].text);
    }
    EXPECT(&c[5], 200, "");
    for (size_t i = 0; i < 6; i++) {
        if (slow[i].status != 0)
            EXPECT(&c[i], slow[i].status, NULL);
        EXPECT_END(&c[i]);
        client_close(&c[i]);
    }
    CHECK_INT(stat_of(PEAL_STAT_HTTP_TIMEOUT), 6);
    stop();
}

static void
a_head_that_trickles_in_has_no_more_time(void **state)
{
    struct client c;

    start_with((struct setup){ .head_ms = 200 });
    c = client();
    say(&c, "GET / HTTP/1.1\r\nX: ");
    while (send(c.fd, "x", 1, MSG_NOSIGNAL) == 1 &&
           recv(c.fd, (char[1]){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
        usleep(20000);
    EXPECT(&c, 408, NULL);
    client_close(&c);
    stop();
}

static void
bodies_are_waited_for(void **state)
{
    struct client c;
    struct response r;

    start();
    c = client();
    say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            "Content-Length: 5\r\n\r\n");
    r = hear_head(&c, false);
    CHECK_INT(r.status, 100);
    response_fini(&r);
    say(&c, "hello" GET("/who"));
    EXPECT(&c, 200, "hello");
    EXPECT(&c, 200, "127.0.0.1 http");
    /* Refused before the body: the client does not send it. */
    say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            "Content-Length: 5000\r\n\r\n");
    EXPECT(&c, 413, NULL);
    EXPECT_END(&c);
    client_close(&c);
    stop();
}

static void
head_is_answered_without_a_body(void **state)
{
    struct client c;
    struct response r;

    start();
    c = client();
    say(&c, "HEAD /who HTTP/1.1\r\nHost: a\r\n\r\n" GET("/who"));
    r = hear_head(&c, false);
    assert_string_equal(field_of(&r, "Content-Length"), "14");
    response_fini(&r);
    EXPECT(&c, 200, "127.0.0.1 http");
    client_close(&c);
    stop();
}

static const char *
cors_field(struct client *c, const char *request, int status, const char *name)
{
    struct response r;
    const char *value;

    say(c, request);
    r = hear_head(c, true);
    CHECK_INT(r.status, status);
    value = field_of(&r, name);
    response_fini(&r);
    return value;
}

#define FROM(method, path, origin)                                                       \
    method " " path " HTTP/1.1\r\nHost: a\r\nOrigin: " origin                            \
           "\r\nAccess-Control-Request-Method: PUT\r\n"                                  \
           "Access-Control-Request-Headers: x-a, x-b\r\n\r\n"
#define ALLOW(what) "Access-Control-Allow-" what

static void
pages_of_allowed_origins_may_read(void **state)
{
    static const char good[] = FROM("GET", "/cors", "https://a.example.com"),
                      ask[] = FROM("OPTIONS", "/cors", "https://a.example.com"),
                      bad[] = FROM("GET", "/cors", "https://example.org"),
                      ask_bad[] = FROM("OPTIONS", "/cors", "https://example.org");
    struct client c;

    start();
    c = client();
    assert_string_equal(
        cors_field(&c, good, 200, ALLOW("Origin")), "https://a.example.com");
    assert_string_equal(cors_field(&c, good, 200, ALLOW("Credentials")), "true");
    assert_string_equal(cors_field(&c, good, 200, "Vary"), "Origin");
    assert_string_equal(cors_field(&c, ask, 204, ALLOW("Headers")), "x-a, x-b");
    CHECK(strstr(cors_field(&c, ask, 204, ALLOW("Methods")), "PUT") != NULL);
    CHECK(cors_field(&c, bad, 200, ALLOW("Origin")) == NULL);
    CHECK(cors_field(&c, bad, 200, ALLOW("Credentials")) == NULL);
    CHECK(cors_field(&c, ask_bad, 204, ALLOW("Methods")) == NULL);
    assert_string_equal(
        cors_field(&c, FROM("GET", "/any", "https://x"), 200, ALLOW("Origin")), "*");
    CHECK(cors_field(&c, GET("/cors"), 200, ALLOW("Origin")) == NULL);
    client_close(&c);
    stop();
}

static void
who_leaves_before_the_answer_is_gone(void **state)
{
    struct client c;

    start();
    for (int i = 0; i < 2; i++) {
        c = client();
        say(&c, i == 0 ? GET("/later") : POST_CHUNKED("/later") "0\r\n\r\n");
        wait_for(&rig.came);
        client_close(&c);
        wait_for(&rig.gone);
    }
    stop();
}

/* A client that closes only its own side gets all of a large answer. */
static void
who_has_said_everything_still_gets_the_answer(void **state)
{
    struct client c;
    struct response r;

    start();
    for (int close_asked = 0; close_asked < 2; close_asked++) {
        c = client_of(rig.port, 16384);
        say(&c, close_asked ? "GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                            : GET("/big"));
        CHECK_INT(shutdown(c.fd, SHUT_WR), 0);
        r = hear_head(&c, false);
        CHECK_INT(r.status, 200);
        response_fini(&r);
        CHECK_INT(hear_end(&c), BIG);
        client_close(&c);
    }
    stop();
}

static void
what_is_asked_of_the_server_itself_is_answered(void **state)
{
    struct client c;
    struct response r;

    start();
    c = client();
    say(&c, "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n\r\n\r\n" GET("/who"));
    r = hear_head(&c, true);
    CHECK_INT(r.status, 204);
    assert_string_equal(field_of(&r, "Allow"), "GET, HEAD, POST, OPTIONS");
    response_fini(&r);
    EXPECT(&c, 200, NULL);
    client_close(&c);
    stop();
}

#define CODED(path, coding, rest)                                                        \
    "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Encoding: " coding "\r\n" rest

static void
bodies_in_a_coding_are_refused(void **state)
{
    static const char *const bad[] = {
        CODED("/echo", "gzip", "Content-Length: 2\r\n\r\nhi"),
        CODED("/echo", "br", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        CODED("/expect", "identity, gzip", "Content-Length: 9\r\n\r\n"),
    };
    struct client c;
    struct response r;

    start();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        c = client();
        say(&c, bad[i]);
        r = hear_head(&c, true);
        CHECK_INT(r.status, 415);
        assert_string_equal(field_of(&r, "Accept-Encoding"), "identity");
        response_fini(&r);
        EXPECT_END(&c);
        client_close(&c);
    }
    wait_for(&rig.gone); /* /expect has been told */
    c = client();
    say(&c, CODED("/echo", "Identity", "Content-Length: 2\r\n\r\nhi"));
    EXPECT(&c, 200, "hi");
    say(&c, CODED("/echo", "gzip", "Content-Length: 0\r\n\r\n")); /* of nothing */
    EXPECT(&c, 200, "");
    client_close(&c);
    stop();
}

/* Those who were to answer must not do so later. */
static void
requests_that_wait_are_told_when_their_server_goes(void **state)
{
    static const char *const requests[] = { GET("/later"), GET("/hold"),
        POST("/expect", "9") "a" };

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct client c;

        start();
        c = client();
        say(&c, requests[i]);
        wait_for(&rig.came);
        stop();
        wait_for(&rig.gone);
        EXPECT_END(&c);
        client_close(&c);
    }
}

/* A request whose body is waited for; the nth allocation fails. */
static void
begin_a_body(long n)
{
    struct client c;

    start_with((struct setup){ .by_hand = true });
    c = client();
    say(&c, POST("/expect", "9"));
    alloc_left = n;
    alloc_one = 1;
    while (stat_of(PEAL_STAT_ACCEPTED) + stat_of(PEAL_STAT_ACCEPT_ERRORS) == 0)
        uv_run(peal_loop_uv(rig.loops[0]), UV_RUN_NOWAIT);
    for (int i = 0; i < 10; i++)
        uv_run(peal_loop_uv(rig.loops[0]), UV_RUN_NOWAIT);
    if (rig.limits.open > 0)
        CHECK(sem_trywait(&rig.came) == 0 && rig.waiting != NULL);
    else
        CHECK(rig.waiting == NULL);
    client_close(&c);
}

/* Without memory for a body the request is lost: that must be told as well. */
static void
every_failing_allocation_of_a_body_is_told(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        begin_a_body(n);
        failed = alloc_left < 0;
        alloc_left = -1;
        stop();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_serves_many_requests),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_long_pipeline_waits_for_an_answer),
        cmocka_unit_test(requests_may_come_byte_by_byte),
        cmocka_unit_test(bad_requests_are_told_and_closed),
        cmocka_unit_test(a_refusal_has_its_body_whatever_came_before),
        cmocka_unit_test(slow_requests_time_out),
        cmocka_unit_test(a_head_that_trickles_in_has_no_more_time),
        cmocka_unit_test(bodies_are_waited_for),
        cmocka_unit_test(head_is_answered_without_a_body),
        cmocka_unit_test(pages_of_allowed_origins_may_read),
        cmocka_unit_test(who_leaves_before_the_answer_is_gone),
        cmocka_unit_test(who_has_said_everything_still_gets_the_answer),
        cmocka_unit_test(what_is_asked_of_the_server_itself_is_answered),
        cmocka_unit_test(bodies_in_a_coding_are_refused),
        cmocka_unit_test(requests_that_wait_are_told_when_their_server_goes),
        cmocka_unit_test(every_failing_allocation_of_a_body_is_told),
    };

    return run_with_each_engine(tests, sizeof(tests) / sizeof(tests[0]));
}

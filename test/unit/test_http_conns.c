/* SPDX-License-Identifier: MIT */
/* http: connections: handed over, taken, behind proxies, with TLS, drained. */
#include "http_rig.h"

static void
connections_are_handed_to_other_workers(void **state)
{
    struct client c;

    start();
    for (int split = 0; split < 2; split++) {
        c = client();
        say(&c, POST("/echo", "5") "first");
        EXPECT(&c, 200, "first");
        say(&c, POST("/move/x", "5"));
        if (split)
            usleep(1000);
        say(&c, "hello" GET("/move/y") POST_CHUNKED("/move/"));
        EXPECT(&c, 200, "hello");
        EXPECT(&c, 200, "");
        say(&c, "2\r\nok\r\n0\r\n\r\n" GET("/who"));
        EXPECT(&c, 200, "ok");
        EXPECT(&c, 200, "127.0.0.1 http");
        client_close(&c);
    }
    CHECK_INT(stat_of(PEAL_STAT_HANDED_OVER), 2);
    stop();
}

static void
connections_are_taken_over(void **state)
{
    struct peal_buf got = { 0 };
    struct client c;
    struct response r;

    start();
    c = client();
    say(&c, GET("/take") "already here,");
    r = hear_head(&c, false);
    CHECK_INT(r.status, 101);
    assert_string_equal(field_of(&r, "X-Taken"), "yes");
    assert_string_equal(field_of(&r, "Upgrade"), "websocket");
    CHECK(field_of(&r, "Content-Length") == NULL);
    response_fini(&r);
    say(&c, " and later");
    hear_bytes(&c, 23, &got);
    CHECK_SLICE(peal_buf_slice(&got), "already here, and later");
    peal_buf_fini(&got);
    client_close(&c);
    wait_for(&rig.gone);
    stop();
}

static void
the_client_is_the_one_behind_the_proxies(void **state)
{
    char text[1000];
    size_t n;
    struct client c;

    start();
    c = client();
    say(&c, "GET /who HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n"
            "X-Forwarded-Proto: https\r\n\r\n");
    EXPECT(&c, 200, "2.2.2.2 https");
    say(&c, GET("/who"));
    EXPECT(&c, 200, "127.0.0.1 http");
    /* However many fields a client sends, what the proxy adds comes last and counts. */
    n = (size_t)snprintf(text, sizeof(text), "GET /who HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 20; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "X-Forwarded-For: 6.6.6.6\r\n");
    snprintf(text + n, sizeof(text) - n, "X-Forwarded-For: 2.2.2.2\r\n\r\n");
    say(&c, text);
    EXPECT(&c, 200, "2.2.2.2 http");
    client_close(&c);
    stop();
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2_TLS                                                                           \
    SIGNATURE "\x21\x11\x00\x14\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb"         \
              "\x20\x00\x05\x01\0\0\0\0"
#define V2_LOCAL SIGNATURE "\x20\x00\x00\x00"
#define V1 "PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\n"

static void
proxy_headers_are_read(void **state)
{
    static const struct {
        struct peal_slice header;
        const char *who;
    } good[] = {
        { PEAL_S(V1), "1.2.3.4 http" },
        { PEAL_S("PROXY UNKNOWN\r\n"), "127.0.0.1 http" },
        { PEAL_S(V2_LOCAL), "127.0.0.1 http" },
        { PEAL_S(V2_TLS), "1.2.3.4 https" },
    };
    static const struct peal_slice bad[] = { PEAL_S(GET("/who")), PEAL_S("PROXY TCP4 x"),
        PEAL_S(V2_LOCAL "\x16"), PEAL_S(SIGNATURE "\x31") };
    struct client c;

    start_with((struct setup){ .proxy = true, .head_ms = 300 });
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        for (int split = 0; split < 2; split++) {
            c = client();
            for (size_t n = 0; split && n < good[i].header.len; n++)
                say_bytes(&c, good[i].header.data + n, 1);
            if (!split)
                say_bytes(&c, good[i].header.data, good[i].header.len);
            say(&c, GET("/who") GET("/who"));
            EXPECT(&c, 200, good[i].who);
            EXPECT(&c, 200, good[i].who);
            client_close(&c);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        c = client();
        say_bytes(&c, bad[i].data, bad[i].len);
        if (i == 2)
            EXPECT(&c, 400, NULL);
        EXPECT_END(&c);
        client_close(&c);
    }
    c = client(); /* nothing, and half of one: closed without a word */
    EXPECT_END(&c);
    client_close(&c);
    CHECK_INT(stat_of(PEAL_STAT_PROXY_BAD), 3);
    stop();
}

static void
tls_is_spoken(void **state)
{
    char *body = malloc(BIG);
    struct client c;
    struct response r;

    CHECK(body != NULL);
    memset(body, 'b', BIG);
    start_with((struct setup){ .tls = true });
    c = client();
    start_tls(&c, PEAL_S(""));
    say(&c, GET("/who") GET("/who"));
    EXPECT(&c, 200, "127.0.0.1 https");
    EXPECT(&c, 200, "127.0.0.1 https");
    say(&c, GET("/big"));
    r = hear_head(&c, true);
    CHECK_MEM(r.body.data, r.body.len, body, BIG);
    response_fini(&r);
    say(&c, POST("/large", "1000000"));
    say_bytes(&c, body, 1000000);
    r = hear_head(&c, true);
    CHECK_MEM(r.body.data, r.body.len, body, 1000000);
    response_fini(&r);
    say(&c, POST("/move/", "5") "hello" GET("/who")); /* to another worker */
    EXPECT(&c, 200, "hello");
    EXPECT(&c, 200, "127.0.0.1 https");
    say(&c, "GET / HTTP/1.1\r\n\r\n");
    EXPECT(&c, 400, NULL);
    EXPECT_END(&c);
    client_close(&c);
    c = client(); /* plain HTTP to a TLS port */
    say(&c, GET("/who"));
    (void)hear_end(&c);
    client_close(&c);
    CHECK_INT(stat_of(PEAL_STAT_TLS_HANDSHAKES), 1);
    CHECK_INT(stat_of(PEAL_STAT_TLS_FAILED), 1);
    free(body);
    stop();
}

/* Each text is a record of its own; all of them reach the server at once. */
static void
say_records(struct client *c, const char *const *texts, size_t n)
{
    BIO *records = BIO_new(BIO_s_mem());
    char *bytes;
    long len;

    CHECK(records != NULL);
    SSL_set0_wbio(c->ssl, records);
    for (size_t i = 0; i < n; i++)
        CHECK_INT(SSL_write(c->ssl, texts[i], (int)strlen(texts[i])), strlen(texts[i]));
    len = BIO_get_mem_data(records, &bytes);
    CHECK(len > 0);
    CHECK_INT(send(c->fd, bytes, (size_t)len, MSG_NOSIGNAL), len);
    CHECK_INT(SSL_set_fd(c->ssl, c->fd), 1);
}

/* What follows the last request of a connection must not become one of another client's,
 * who would get the answer. */
static void
tls_bytes_after_the_last_request_are_nobodys(void **state)
{
    static const char *const texts[] = {
        "GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/nowhere"), "x",
        "x", "x", "x", "x", "x", "x", "x", "x", "x", "x", "x", "x", "x", "x", "x", "x",
        "x", "x"
    };
    struct client c, other;

    start_with((struct setup){ .tls = true });
    for (int i = 0; i < 3; i++) {
        c = client();
        start_tls(&c, PEAL_S(""));
        say_records(&c, texts, sizeof(texts) / sizeof(texts[0]));
        other = client();
        start_tls(&other, PEAL_S(""));
        EXPECT(&c, 200, "127.0.0.1 https");
        EXPECT_END(&c);
        say(&other, GET("/who"));
        EXPECT(&other, 200, "127.0.0.1 https");
        client_close(&c);
        client_close(&other);
    }
    CHECK_INT(stat_of(PEAL_STAT_HTTP_REQUESTS), 6);
    CHECK_INT(stat_of(PEAL_STAT_HTTP_BAD), 0);
    stop();
}

/* An ordinary client goes on sending what was refused. */
static void
a_refused_upload_over_tls_ends_its_connection_alone(void **state)
{
    char *body = calloc(1, 1 << 20);
    struct client c, other;

    CHECK(body != NULL);
    start_with((struct setup){ .tls = true });
    c = client();
    start_tls(&c, PEAL_S(""));
    say(&c, POST("/echo", "1048576"));
    say_bytes(&c, body, 1 << 20);
    EXPECT(&c, 413, NULL);
    EXPECT_END(&c);
    other = client();
    start_tls(&other, PEAL_S(""));
    say(&other, GET("/who"));
    EXPECT(&other, 200, "127.0.0.1 https");
    client_close(&c);
    client_close(&other);
    CHECK_INT(stat_of(PEAL_STAT_HTTP_REQUESTS), 2);
    free(body);
    stop();
}

static void
tls_comes_after_a_proxy_header(void **state)
{
    struct client c;

    start_with((struct setup){ .tls = true, .proxy = true });
    for (int split = 0; split < 2; split++) {
        c = client();
        for (size_t n = 0; split && n < sizeof(V1) - 1; n++)
            say_bytes(&c, &V1[n], 1);
        start_tls(&c, split ? PEAL_S("") : PEAL_S(V1));
        say(&c, GET("/who"));
        EXPECT(&c, 200, "1.2.3.4 https");
        client_close(&c);
    }
    stop();
}

/* What is only looked at stays readable: its end must be seen all the same. */
static void
half_a_proxy_header_is_closed_with_its_sender(void **state)
{
    struct client c;

    start_with((struct setup){ .tls = true, .proxy = true });
    c = client();
    say(&c, "PROXY ");
    CHECK_INT(shutdown(c.fd, SHUT_WR), 0);
    EXPECT_END(&c);
    client_close(&c);
    c = client();
    say(&c, "GET");
    EXPECT_END(&c);
    client_close(&c);
    stop();
}

static void
on_drain(struct peal_loop *loop, struct peal_task *task)
{
    peal_http_server_drain(rig.servers[loop == rig.loops[0] ? 0 : 1]);
    free(task);
    sem_post(&rig.drained);
}

static void
draining_ends_idle_connections_and_the_others_after_their_answer(void **state)
{
    struct client fresh, idle, busy, half, body;
    struct response r;

    start();
    fresh = client();
    idle = client();
    busy = client();
    half = client();
    body = client();
    say(&idle, GET("/who"));
    EXPECT(&idle, 200, NULL);
    say(&half, GET("/who") "GET /who HTTP/1.1\r\n");
    EXPECT(&half, 200, NULL);
    say(&body, GET("/who") POST_CHUNKED("/echo"));
    EXPECT(&body, 200, NULL);
    say(&busy, GET("/later"));
    wait_for(&rig.came);
    post(0, on_drain);
    wait_for(&rig.drained);
    EXPECT_END(&idle);
    say(&fresh, GET("/release"));
    r = hear_head(&fresh, true);
    assert_string_equal(field_of(&r, "Connection"), "close");
    response_fini(&r);
    EXPECT_END(&fresh);
    EXPECT(&busy, 200, "later");
    EXPECT_END(&busy);
    say(&half, "Host: a\r\n\r\n");
    EXPECT(&half, 200, NULL);
    EXPECT_END(&half);
    say(&body, "2\r\nhi\r\n0\r\n\r\n");
    EXPECT(&body, 200, "hi");
    EXPECT_END(&body);
    client_close(&fresh);
    client_close(&idle);
    client_close(&busy);
    client_close(&half);
    client_close(&body);
    stop();
}

static void
on_finish(struct peal_loop *loop, struct peal_task *task)
{
    peal_http_server_finish(rig.servers[loop == rig.loops[0] ? 0 : 1]);
    free(task);
    sem_post(&rig.drained);
}

static void
routes_that_stay_keep_their_connections_until_the_end(void **state)
{
    struct client staying, left, fresh;
    struct response r;

    start();
    staying = client();
    left = client();
    say(&staying, GET("/stays"));
    EXPECT(&staying, 200, NULL);
    say(&left, GET("/stays") GET("/who"));
    EXPECT(&left, 200, NULL);
    EXPECT(&left, 200, NULL);
    fresh = client();
    post(0, on_drain);
    wait_for(&rig.drained);
    EXPECT_END(&left);
    say(&staying, GET("/stays"));
    r = hear_head(&staying, true);
    CHECK(field_of(&r, "Connection") == NULL);
    response_fini(&r);
    post(0, on_finish);
    wait_for(&rig.drained);
    EXPECT_END(&staying);
    EXPECT_END(&fresh);
    client_close(&fresh);
    client_close(&staying);
    client_close(&left);
    stop();
}

/* Where the header is only looked at, what follows must not be shown to an owner that is
 * no more. */
static void
half_a_proxy_header_is_forgotten_with_its_connection(void **state)
{
    struct client c;

    start_with((struct setup){ .tls = true, .proxy = true });
    c = client();
    say(&c, "PROXY ");
    while (stat_of(PEAL_STAT_ACCEPTED) == 0)
        usleep(1000);
    post(0, on_finish);
    wait_for(&rig.drained);
    say(&c, "TCP4 1.2.3.4");
    EXPECT_END(&c);
    client_close(&c);
    stop();
}

static void
a_held_request_is_read_again_with_what_follows_it(void **state)
{
    struct client c, other;

    start();
    c = client();
    other = client();
    say(&c, POST("/hold", "4") "bo");
    wait_for(&rig.came);
    say(&other, GET("/let-in"));
    EXPECT(&other, 200, "open");
    say(&c, "dy" GET("/who"));
    EXPECT(&c, 200, "body");
    EXPECT(&c, 200, NULL);
    CHECK_INT(stat_of(PEAL_STAT_HTTP_REQUESTS), 3);
    client_close(&c);
    client_close(&other);
    stop();
}

static void
whoever_leaves_while_held_is_forgotten(void **state)
{
    struct client c, other;

    start();
    c = client();
    say(&c, GET("/hold"));
    wait_for(&rig.came);
    client_close(&c);
    wait_for(&rig.gone);
    other = client();
    say(&other, GET("/who"));
    EXPECT(&other, 200, NULL);
    client_close(&other);
    stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_handed_to_other_workers),
        cmocka_unit_test(connections_are_taken_over),
        cmocka_unit_test(the_client_is_the_one_behind_the_proxies),
        cmocka_unit_test(proxy_headers_are_read),
        cmocka_unit_test(tls_is_spoken),
        cmocka_unit_test(tls_bytes_after_the_last_request_are_nobodys),
        cmocka_unit_test(a_refused_upload_over_tls_ends_its_connection_alone),
        cmocka_unit_test(tls_comes_after_a_proxy_header),
        cmocka_unit_test(half_a_proxy_header_is_closed_with_its_sender),
        cmocka_unit_test(
            draining_ends_idle_connections_and_the_others_after_their_answer),
        cmocka_unit_test(routes_that_stay_keep_their_connections_until_the_end),
        cmocka_unit_test(half_a_proxy_header_is_forgotten_with_its_connection),
        cmocka_unit_test(a_held_request_is_read_again_with_what_follows_it),
        cmocka_unit_test(whoever_leaves_while_held_is_forgotten),
    };

    return run_with_each_engine(tests, sizeof(tests) / sizeof(tests[0]));
}

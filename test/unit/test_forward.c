/* SPDX-License-Identifier: MIT */
/*
 * http/forward: a server that forwards, in front of the rig's, which is for nodes; or in
 * front of a plain socket, where the test says what the other node does.
 */
#include "http_rig.h"

#include <sys/un.h>

#include "http/forward.h"

#define SECRET "s3cret-of-16-chr"
#define QUEUE_MAX (128 * 1024) /* as in forward.c */

struct front {
    struct peal_http_config config;
    struct peal_loop *loop;
    struct peal_http_server *server;
    struct peal_listener *listener;
    struct peal_accept_limits limits;
    struct peal_http_forward_to to;
    pthread_t thread;
    uint16_t port;
    unsigned drained_left;
    sem_t began, failed, drained;
};

static struct front front;

static void
on_failed(struct peal_http *h, void *ctx)
{
    char path[64];
    int n;

    CHECK(ctx == &front);
    n = snprintf(path, sizeof(path), "no owner for %.*s\n", (int)h->head->path.len,
        h->head->path.data);
    peal_http_reply(h, 503, "text/plain", peal_slice_of(path, (size_t)n));
    sem_post(&front.failed);
}

static void
forward(struct peal_http *h, void *ctx)
{
    peal_http_forward(h, &front.to);
    sem_post(&front.began);
}

static const struct peal_http_route front_routes[] = {
    { .path = PEAL_S("/local"), .body_max = BODY_MAX, .handle = echo },
    { .path = PEAL_S("/"), .prefix = true, .begin = forward, .handle = echo },
};

/* What a test may set before it starts the front. */
struct before {
    const char *host, *secret;
    uint16_t port; /* of the owner; 0: the rig's */
    uint64_t connect_ms, idle_ms;
    size_t queue_max;
    bool tls;
};

static void
start_front(struct before b)
{
    struct peal_loop_config loop = { .engine = engine,
        .log = &log_to,
        .queue_bytes_max = b.queue_max ? b.queue_max : BIG * 2,
        .queue_age_ms = 60000,
        .open = &front.limits.open };
    struct sockaddr_in at = { .sin_family = AF_INET };
    struct peal_tls_ctx *tls = NULL;
    struct peal_buf why = { 0 };
    int fd;

    memset(&front, 0, sizeof(front));
    sem_init(&front.began, 0, 0);
    sem_init(&front.failed, 0, 0);
    sem_init(&front.drained, 0, 0);
    front.to = (struct peal_http_forward_to){ .host = b.host ? b.host : "127.0.0.1",
        .port = b.port ? b.port : rig.port,
        .secret = b.secret ? b.secret : SECRET,
        .connect_timeout_ms = b.connect_ms ? b.connect_ms : 60000,
        .idle_timeout_ms = b.idle_ms ? b.idle_ms : 60000,
        .failed = on_failed,
        .ctx = &front };
    front.config = (struct peal_http_config){ .limits = peal_http_limits_default,
        .head_timeout_ms = 60000,
        .body_timeout_ms = 60000,
        .idle_timeout_ms = 60000,
        .trusted = &rig.trusted,
        .n_trusted = 1 };
    CHECK_OK(peal_cidr_parse(PEAL_S("127.0.0.1"), &rig.trusted));
    CHECK_OK(peal_loop_new(&loop, &front.loop));
    CHECK_OK(peal_http_server_new(
        front.loop, &front.config, front_routes, 2, NULL, &front.server));
    if (b.tls) {
        CHECK_OK(peal_tls_ctx_new(cert, key, "1.2", &tls, &why));
        peal_http_server_tls(front.server, tls);
    }
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_OK(peal_listen_socket((struct sockaddr *)&at, sizeof(at), &fd, &front.port));
    CHECK_OK(peal_listener_new(front.loop, fd, &front.limits, peal_http_server_accept,
        front.server, &front.listener));
    CHECK_INT(pthread_create(&front.thread, NULL, run, front.loop), 0);
}

static void
on_front_stop(struct peal_loop *loop, struct peal_mail *mail)
{
    peal_listener_close(&front.listener);
    peal_http_server_free(&front.server);
    peal_loop_stop(loop);
    free(mail);
}

static void
on_front_drain(struct peal_loop *loop, struct peal_mail *mail)
{
    front.drained_left = peal_http_forwards_drain(front.server, 1);
    free(mail);
    sem_post(&front.drained);
}

static void
post_front(peal_mail_fn *fn)
{
    struct peal_mail *m = calloc(1, sizeof(*m));

    CHECK(m != NULL);
    m->fn = fn;
    peal_loop_post(front.loop, m);
}

static void
stop_front(void)
{
    post_front(on_front_stop);
    CHECK_INT(pthread_join(front.thread, NULL), 0);
    peal_loop_free(&front.loop);
    CHECK_INT(front.limits.open, 0);
}

static void
start_both(struct before b)
{
    start_with((struct setup){ .forward_secret = SECRET });
    start_front(b);
}

static void
stop_both(void)
{
    stop_front();
    stop();
}

static long
front_stat(enum peal_stat which)
{
    return (long)peal_stat_get(&front.loop->stats, which);
}

/* Until a number of a running loop is as it must become. */
#define WAIT_UNTIL(condition)                                                            \
    for (int tries = 0; !(condition); tries++) {                                         \
        CHECK(tries < NET_PATIENCE_S * 1000);                                            \
        usleep(1000);                                                                    \
    }

static struct client
front_client(void)
{
    return client_of(front.port, 0);
}

/* Another node, played by the test. */
struct owner {
    int listener;
    uint16_t port;
};

static struct owner
owner_new(int backlog)
{
    struct owner o = { .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    struct sockaddr_in at = { .sin_family = AF_INET };
    struct timeval patience = { .tv_sec = NET_PATIENCE_S };
    socklen_t len = sizeof(at);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(
        setsockopt(o.listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    CHECK_INT(bind(o.listener, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_INT(getsockname(o.listener, (struct sockaddr *)&at, &len), 0);
    if (backlog >= 0)
        CHECK_INT(listen(o.listener, backlog), 0);
    o.port = ntohs(at.sin_port);
    return o;
}

static struct client
owner_accept(struct owner *o)
{
    struct timeval patience = { .tv_sec = NET_PATIENCE_S };
    struct client c = { .fd = -1 };

    while ((c.fd = accept4(o->listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
        CHECK_INT(errno, EINTR);
    CHECK_INT(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    CHECK_INT(setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    return c;
}

static void
expect_bytes(struct client *c, const char *want)
{
    struct peal_buf got = { 0 };

    hear_bytes(c, strlen(want), &got);
    CHECK_SLICE(peal_buf_slice(&got), want);
    peal_buf_fini(&got);
}

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

#define ADDED "Peal-Forward: " SECRET " 127.0.0.1 http\r\n"

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

static char bytes_of_nothing[65536];

/* As much as goes into the sockets; returns how many bytes. The front's queues are
 * full then, if it is to have any. */
static size_t
say_until_full(struct client *c, bool queues)
{
    size_t sent = 0;

    for (int idle = 0; idle < 50 || (queues && !front_stat(PEAL_STAT_QUEUE_BYTES));) {
        ssize_t n = send(c->fd, bytes_of_nothing, sizeof(bytes_of_nothing),
            MSG_DONTWAIT | MSG_NOSIGNAL);

        CHECK(sent < 100 << 20 && idle < NET_PATIENCE_S * 1000);
        if (n > 0) {
            sent += (size_t)n;
            idle = 0;
        } else {
            CHECK(errno == EAGAIN || errno == EINTR);
            usleep(1000);
            idle++;
        }
    }
    return sent;
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

static void
who_cannot_be_reached_is_answered_for(void **state)
{
    struct owner o = owner_new(-1); /* nobody listens */
    struct client c;

    start_front((struct before){ .port = o.port });
    c = front_client();
    say(&c, GET("/x") POST("/y", "3") "abc" POST("/local", "5") "local");
    EXPECT(&c, 503, "no owner for /x\n");
    EXPECT(&c, 503, "no owner for /y\n");
    EXPECT(&c, 200, "local");
    say(&c, POST("/z", "3") "a");
    EXPECT(&c, 503, "no owner for /z\n");
    EXPECT_END(&c); /* what may come of the body is not looked at */
    client_close(&c);
    CHECK_INT(front_stat(PEAL_STAT_FORWARD_FAILED), 3);
    CHECK_INT(front_stat(PEAL_STAT_FORWARDED), 0);
    CHECK_INT(front_stat(PEAL_STAT_HTTP_REQUESTS), 4);
    stop_front();
    /* Where it is known at once: the path is too long. */
    start_front((struct before){
        .host =
            "/////////////////////////////////////////////////////////////////////////"
            "////////////////////////////////////////////////////" });
    c = front_client();
    say(&c, GET("/x") POST("/local", "5") "local");
    EXPECT(&c, 503, "no owner for /x\n");
    EXPECT(&c, 200, "local");
    client_close(&c);
    CHECK_INT(front_stat(PEAL_STAT_FORWARD_FAILED), 1);
    stop_front();
    close(o.listener);
}

/* Its backlog is full: who calls gets no answer. */
static struct owner
deaf_owner(struct client waiting[8])
{
    struct owner o = owner_new(0);

    for (int i = 0; i < 8; i++) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(o.port) };

        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        waiting[i] =
            (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) };
        CHECK(connect(waiting[i].fd, (struct sockaddr *)&to, sizeof(to)) == 0 ||
              errno == EINPROGRESS);
    }
    return o;
}

static void
deaf_owner_close(struct owner *o, struct client waiting[8])
{
    close(o->listener);
    for (int i = 0; i < 8; i++)
        client_close(&waiting[i]);
}

static void
who_does_not_answer_the_call_is_answered_for(void **state)
{
    struct client waiting[8], c;
    struct owner o = deaf_owner(waiting);

    start_front((struct before){ .port = o.port, .connect_ms = 50 });
    c = front_client();
    say(&c, GET("/x") POST("/local", "5") "local");
    EXPECT(&c, 503, "no owner for /x\n");
    EXPECT(&c, 200, "local");
    client_close(&c);
    stop_front();
    deaf_owner_close(&o, waiting);
}

static void
who_leaves_while_the_other_node_is_called_ends_the_call(void **state)
{
    struct client waiting[8], c, more;
    struct owner o = deaf_owner(waiting);

    start_front((struct before){ .port = o.port });
    c = front_client();
    more = front_client();
    say(&c, GET("/x"));
    say(&more, POST("/x", "9999999"));
    wait_for(&front.began);
    wait_for(&front.began);
    /* What comes meanwhile is bounded: the front reads no more. */
    CHECK(say_until_full(&more, false) > 0);
    client_close(&c);
    WAIT_UNTIL(front.limits.open == 1);
    CHECK_INT(sem_trywait(&front.failed), -1);
    stop_front(); /* with one call still to end */
    client_close(&more);
    deaf_owner_close(&o, waiting);
}

static void
what_a_dying_node_has_said_is_passed_on(void **state)
{
    struct owner o = owner_new(16);
    struct linger reset = { .l_onoff = 1 };
    struct client c, other;

    start_front((struct before){ .port = o.port });
    for (int how = 0; how < 3; how++) {
        c = front_client();
        say(&c, GET("/"));
        other = owner_accept(&o);
        if (how > 0) {
            say(&other, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            expect_bytes(&c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        }
        if (how > 1)
            CHECK_INT(
                setsockopt(other.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        client_close(&other);
        EXPECT_END(&c);
        client_close(&c);
    }
    WAIT_UNTIL(front.limits.open == 0);
    stop_front();
    close(o.listener);
}

static void
what_a_leaving_client_has_said_is_passed_on(void **state)
{
    struct owner o = owner_new(16);
    struct client c, other;

    start_front((struct before){ .port = o.port });
    c = front_client();
    say(&c, GET("/"));
    other = owner_accept(&o);
    say(&c, "goodbye");
    client_close(&c);
    expect_bytes(&other, "GET / HTTP/1.1\r\n" ADDED "Host: a\r\n\r\ngoodbye");
    EXPECT_END(&other);
    client_close(&other);
    WAIT_UNTIL(front.limits.open == 0);
    stop_front();
    close(o.listener);
}

static void
a_node_that_is_silent_for_too_long_is_left(void **state)
{
    struct owner o = owner_new(16);
    struct client c, other;

    start_front((struct before){ .port = o.port, .idle_ms = 50 });
    c = front_client();
    say(&c, GET("/"));
    other = owner_accept(&o);
    EXPECT_END(&c);
    while (hear_more(&other))
        continue;
    client_close(&c);
    client_close(&other);
    stop_front();
    close(o.listener);
}

/* With all kinds of requests still there; a sanitizer sees what is left of them. */
static void
a_server_may_end_before_what_it_forwards(void **state)
{
    struct client poll, upgraded, slow;
    struct response r;

    start_both((struct before){ 0 });
    poll = front_client();
    say(&poll, GET("/later"));
    wait_for(&rig.came);
    upgraded = front_client();
    say(&upgraded, GET("/take"));
    r = hear_head(&upgraded, false);
    CHECK_INT(r.status, 101);
    response_fini(&r);
    slow = client_of(front.port, 16384);
    say(&slow, GET("/big"));
    WAIT_UNTIL(front_stat(PEAL_STAT_QUEUE_BYTES) > 0);
    stop_front();
    EXPECT_END(&poll);
    EXPECT_END(&upgraded);
    (void)hear_end(&slow);
    CHECK(slow.in.len < BIG);
    client_close(&poll);
    client_close(&upgraded);
    client_close(&slow);
    wait_for(&rig.gone);
    wait_for(&rig.gone);
    stop();
}

static void
a_drain_ends_the_oldest_first(void **state)
{
    struct client c[3];

    start_both((struct before){ 0 });
    for (int i = 0; i < 3; i++) {
        struct response r;

        c[i] = front_client();
        say(&c[i], GET("/take"));
        r = hear_head(&c[i], false);
        CHECK_INT(r.status, 101);
        response_fini(&r);
    }
    for (int i = 0; i < 3; i++) {
        post_front(on_front_drain);
        wait_for(&front.drained);
        CHECK_INT(front.drained_left, 2 - i);
        EXPECT_END(&c[i]);
        wait_for(&rig.gone);
        for (int k = i + 1; k < 3; k++) {
            say(&c[k], "still here");
            expect_bytes(&c[k], "still here");
        }
        client_close(&c[i]);
    }
    post_front(on_front_drain);
    wait_for(&front.drained);
    CHECK_INT(front.drained_left, 0);
    stop_both();
}

/* A head as large as the front takes is not too large with a line more. */
static void
the_largest_head_has_room_for_one_line_more(void **state)
{
    static const char longest[] = "1111:2222:3333:4444:5555:6666:7777:8888";
    struct peal_http_limits lim = peal_http_limits_default;
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
        cmocka_unit_test(small_queues_are_enough),
        cmocka_unit_test(both_ways_may_be_full_at_once),
        cmocka_unit_test(who_cannot_be_reached_is_answered_for),
        cmocka_unit_test(who_does_not_answer_the_call_is_answered_for),
        cmocka_unit_test(who_leaves_while_the_other_node_is_called_ends_the_call),
        cmocka_unit_test(what_a_dying_node_has_said_is_passed_on),
        cmocka_unit_test(what_a_leaving_client_has_said_is_passed_on),
        cmocka_unit_test(a_node_that_is_silent_for_too_long_is_left),
        cmocka_unit_test(a_server_may_end_before_what_it_forwards),
        cmocka_unit_test(a_drain_ends_the_oldest_first),
        cmocka_unit_test(the_largest_head_has_room_for_one_line_more),
        cmocka_unit_test(a_server_for_nodes_serves_nobody_else),
        cmocka_unit_test(a_wrong_secret_is_refused),
        cmocka_unit_test(clients_must_not_say_that_they_forward),
    };

    return run_with_each_engine(tests, sizeof(tests) / sizeof(tests[0]));
}

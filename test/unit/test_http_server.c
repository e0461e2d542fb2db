/* SPDX-License-Identifier: MIT */
/* http: a server on two loops of its own, and clients with sockets. */
#include "net.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

#include "http/http.h"
#include "io/listener.h"

#define BIG (24u << 20) /* more than two socket buffers hold */
#define BODY_MAX 1000
#define N_LOOPS 2

static const struct peal_slice origins[] = { PEAL_S("https://*.example.com") };
static const struct peal_cors cors = { .origins = origins, .n = 1, .credentials = true };
static const struct peal_slice anyone[] = { PEAL_S("*") };
static const struct peal_cors cors_any = { .origins = anyone, .n = 1 };

/* What a test may set before it starts the server. */
struct setup {
    uint64_t head_ms, body_ms, idle_ms; /* 0: a minute */
    bool proxy, tls;
};

struct rig {
    struct peal_http_config config;
    struct peal_loop *loops[N_LOOPS];
    struct peal_http_server *servers[N_LOOPS]; /* each for its own loop's thread */
    struct peal_http_server *peers[N_LOOPS];
    struct peal_listener *listener; /* on the first loop */
    struct peal_accept_limits limits;
    struct peal_cidr trusted;
    pthread_t threads[N_LOOPS];
    uint16_t port;
    struct peal_http *waiting; /* /later: to be answered by /release */
    sem_t came, gone, drained; /* posted by the loops' threads */
    struct peal_blob *big;
};

static struct rig rig;
static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };
static enum peal_io_engine engine;
static char dir[] = "/tmp/peal-test-XXXXXX";
static char cert[64], key[64];

static void
echo(struct peal_http *h, void *ctx)
{
    peal_http_reply(h, 200, "text/plain", h->body);
}

static void
on_gone(struct peal_http *h)
{
    rig.waiting = NULL;
    sem_post(&rig.gone);
}

static void
later(struct peal_http *h, void *ctx)
{
    rig.waiting = h;
    h->gone = on_gone;
    sem_post(&rig.came);
}

static void
release(struct peal_http *h, void *ctx)
{
    CHECK(rig.waiting != NULL);
    peal_http_reply(rig.waiting, 200, "text/plain", PEAL_S("later"));
    rig.waiting = NULL;
    peal_http_reply(h, 200, "text/plain", PEAL_S("released"));
}

static void
big(struct peal_http *h, void *ctx)
{
    peal_http_reply_blob(h, 200, "text/plain", rig.big);
}

static void
who(struct peal_http *h, void *ctx)
{
    char ip[PEAL_ADDR_TEXT_MAX], text[PEAL_ADDR_TEXT_MAX + 16];
    int n;

    peal_addr_format_ip(&h->client, ip);
    n = snprintf(text, sizeof(text), "%s %s", ip, h->secure ? "https" : "http");
    peal_http_reply(h, 200, "text/plain", peal_slice_of(text, (size_t)n));
}

static void
forbid(struct peal_http *h, void *ctx)
{
    if (peal_http_header(h->head, PEAL_S("X-Key")).data == NULL)
        peal_http_reply(h, 403, "text/plain", PEAL_S("no\n"));
}

/* begin: to the second loop, once. */
static void
move(struct peal_http *h, void *ctx)
{
    if (h->server == rig.peers[0])
        peal_http_move(h, 1);
}

static void
moved(struct peal_http *h, void *ctx)
{
    peal_http_reply(h, h->server == rig.peers[1] ? 200 : 500, "text/plain", h->body);
}

static void
with_cors(struct peal_http *h, void *ctx)
{
    if (!peal_http_cors(h, ctx))
        peal_http_reply(h, 200, "text/plain", PEAL_S("read me"));
}

static size_t
taken_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    peal_conn_send_bytes(c, peal_slice_of(data, len));
    return len;
}

static void
taken_closed(struct peal_conn *c, enum peal_close why)
{
    sem_post(&rig.gone);
}

static void
take(struct peal_http *h, void *ctx)
{
    static const struct peal_conn_ops ops = { .data = taken_data,
        .closed = taken_closed };

    peal_http_add(h, "X-Taken", "%s", "yes");
    CHECK(peal_http_take(h, 101, NULL, &ops, NULL) != NULL);
}

static const struct peal_http_route routes[] = {
    { .path = PEAL_S("/echo"), .body_max = BODY_MAX, .handle = echo },
    { .path = PEAL_S("/large"), .body_max = BIG, .handle = echo },
    { .path = PEAL_S("/later"), .body_max = BODY_MAX, .handle = later },
    { .path = PEAL_S("/release"), .handle = release },
    { .path = PEAL_S("/big"), .handle = big },
    { .path = PEAL_S("/who"), .handle = who },
    { .path = PEAL_S("/key"), .body_max = BODY_MAX, .begin = forbid, .handle = echo },
    { .path = PEAL_S("/move/"),
        .prefix = true,
        .body_max = BODY_MAX,
        .begin = move,
        .handle = moved },
    { .path = PEAL_S("/cors"), .handle = with_cors, .ctx = (void *)&cors },
    { .path = PEAL_S("/any"), .handle = with_cors, .ctx = (void *)&cors_any },
    { .path = PEAL_S("/take"), .handle = take },
};

static void *
run(void *loop)
{
    peal_loop_run(loop);
    return NULL;
}

static void
listen_on_loopback(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    int fd;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_OK(peal_listen_socket((struct sockaddr *)&at, sizeof(at), &fd, &rig.port));
    CHECK_OK(peal_listener_new(rig.loops[0], fd, &rig.limits, peal_http_server_accept,
        rig.servers[0], &rig.listener));
}

static void
start_with(struct setup s)
{
    struct peal_loop_config loop = { .engine = engine,
        .log = &log_to,
        .queue_bytes_max = BIG * 2,
        .queue_age_ms = 60000,
        .open = &rig.limits.open };
    struct peal_buf why = { 0 };
    struct peal_tls_ctx *tls = NULL;

    memset(&rig, 0, sizeof(rig));
    sem_init(&rig.came, 0, 0);
    sem_init(&rig.gone, 0, 0);
    sem_init(&rig.drained, 0, 0);
    CHECK_OK(peal_cidr_parse(PEAL_S("127.0.0.1"), &rig.trusted));
    rig.config = (struct peal_http_config){ .limits = peal_http_limits_default,
        .head_timeout_ms = s.head_ms ? s.head_ms : 60000,
        .body_timeout_ms = s.body_ms ? s.body_ms : 60000,
        .idle_timeout_ms = s.idle_ms ? s.idle_ms : 60000,
        .trusted = &rig.trusted,
        .n_trusted = 1,
        .proxy_protocol = s.proxy };
    CHECK((rig.big = peal_blob_new(BIG)) != NULL);
    memset(rig.big->data, 'b', BIG);
    for (int i = 0; i < N_LOOPS; i++) {
        CHECK_OK(peal_loop_new(&loop, &rig.loops[i]));
        CHECK_OK(peal_http_server_new(rig.loops[i], &rig.config, routes,
            sizeof(routes) / sizeof(routes[0]), rig.peers, &rig.servers[i]));
        rig.peers[i] = rig.servers[i];
    }
    if (s.tls) {
        CHECK_OK(peal_tls_ctx_new(cert, key, "1.2", &tls, &why));
        peal_http_server_tls(rig.servers[0], tls);
    }
    listen_on_loopback();
    for (int i = 0; i < N_LOOPS; i++)
        CHECK_INT(pthread_create(&rig.threads[i], NULL, run, rig.loops[i]), 0);
}

static void
start(void)
{
    start_with((struct setup){ 0 });
}

static void
on_stop(struct peal_loop *loop, struct peal_mail *mail)
{
    int i = loop == rig.loops[0] ? 0 : 1;

    if (i == 0)
        peal_listener_close(&rig.listener);
    peal_http_server_free(&rig.servers[i]);
    peal_loop_stop(loop);
    free(mail);
}

static void
post(int i, peal_mail_fn *fn)
{
    struct peal_mail *m = calloc(1, sizeof(*m));

    CHECK(m != NULL);
    m->fn = fn;
    peal_loop_post(rig.loops[i], m);
}

/* Nothing may be left: neither connections nor memory (a sanitizer sees to that). */
static void
stop(void)
{
    for (int i = 0; i < N_LOOPS; i++) {
        post(i, on_stop);
        CHECK_INT(pthread_join(rig.threads[i], NULL), 0);
    }
    for (int i = 0; i < N_LOOPS; i++)
        peal_loop_free(&rig.loops[i]);
    CHECK_INT(rig.limits.open, 0);
    peal_blob_drop(rig.big);
}

static struct client
client(void)
{
    return client_of(rig.port, 0);
}

/* Waits for an event; a test that waits too long has failed. */
static void
wait_for(sem_t *sem)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += NET_PATIENCE_S;
    CHECK_INT(sem_timedwait(sem, &until), 0);
}

static long
stat_of(enum peal_stat which)
{
    long n = 0;

    for (int i = 0; i < N_LOOPS; i++)
        n += (long)peal_stat_get(&rig.loops[i]->stats, which);
    return n;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, len)                                                                  \
    "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " len "\r\n\r\n"
#define POST_CHUNKED(path)                                                               \
    "POST " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

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

/* A self-signed certificate, in files. */
static int
make_certificate(void **state)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *name = x ? X509_get_subject_name(x) : NULL;
    FILE *f;
    int ok;

    if (pair == NULL || name == NULL || mkdtemp(dir) == NULL)
        return -1;
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, pair);
    ok = X509_sign(x, pair, EVP_sha256()) > 0;
    snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
    snprintf(key, sizeof(key), "%s/key.pem", dir);
    ok = ok && (f = fopen(cert, "w")) != NULL && PEM_write_X509(f, x) == 1 &&
         fclose(f) == 0;
    ok = ok && (f = fopen(key, "w")) != NULL &&
         PEM_write_PrivateKey(f, pair, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0;
    X509_free(x);
    EVP_PKEY_free(pair);
    return ok ? 0 : -1;
}

static int
remove_certificate(void **state)
{
    unlink(cert);
    unlink(key);
    return rmdir(dir);
}

/* A handshake; before: bytes that go out together with the first of it. */
static void
start_tls(struct client *c, struct peal_slice before)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct peal_buf hello = { 0 };
    BIO *first;
    char *bytes;
    long n;

    CHECK(ctx != NULL && (c->ssl = SSL_new(ctx)) != NULL);
    SSL_CTX_free(ctx);
    CHECK((first = BIO_new(BIO_s_mem())) != NULL);
    SSL_set_bio(c->ssl, BIO_new(BIO_s_mem()), first);
    SSL_set_connect_state(c->ssl);
    CHECK(SSL_do_handshake(c->ssl) < 0); /* the hello is written; no answer yet */
    n = BIO_get_mem_data(first, &bytes);
    CHECK(n > 0);
    CHECK_OK(peal_buf_add_slice(&hello, before));
    CHECK_OK(peal_buf_add(&hello, bytes, (size_t)n));
    CHECK_INT(send(c->fd, hello.data, hello.len, MSG_NOSIGNAL), hello.len);
    peal_buf_fini(&hello);
    CHECK_INT(SSL_set_fd(c->ssl, c->fd), 1);
    while ((n = SSL_do_handshake(c->ssl)) != 1)
        CHECK(try_again(c, (int)n));
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

static void
tls_comes_after_a_proxy_header(void **state)
{
    struct client c;

    start_with((struct setup){ .tls = true, .proxy = true });
    for (int split = 0; split < 2; split++) {
        c = client();
        for (size_t n = 0; split && n < sizeof(V1) - 1; n++)
            say_bytes(&c, V1 + n, 1);
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
on_drain(struct peal_loop *loop, struct peal_mail *mail)
{
    peal_http_server_drain(rig.servers[loop == rig.loops[0] ? 0 : 1]);
    free(mail);
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
    EXPECT_END(&fresh);
    EXPECT_END(&idle);
    client_close(&fresh);
    fresh = client(); /* who still comes is served, once */
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
        cmocka_unit_test(connections_are_handed_to_other_workers),
        cmocka_unit_test(connections_are_taken_over),
        cmocka_unit_test(the_client_is_the_one_behind_the_proxies),
        cmocka_unit_test(proxy_headers_are_read),
        cmocka_unit_test(tls_is_spoken),
        cmocka_unit_test(tls_comes_after_a_proxy_header),
        cmocka_unit_test(half_a_proxy_header_is_closed_with_its_sender),
        cmocka_unit_test(
            draining_ends_idle_connections_and_the_others_after_their_answer),
    };

    int failed;

    signal(SIGPIPE, SIG_IGN);
    failed = cmocka_run_group_tests_name(
        "the best engine", tests, make_certificate, remove_certificate);
    engine = PEAL_IO_EPOLL;
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    return failed + cmocka_run_group_tests_name(
                        "epoll", tests, make_certificate, remove_certificate);
}

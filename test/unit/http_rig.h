/* SPDX-License-Identifier: MIT */
/* An HTTP server on two loops of its own, for tests whose clients have sockets. */
#ifndef TEST_HTTP_RIG_H
#define TEST_HTTP_RIG_H

#include "cert.h"
#include "net.h"

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
    const char *forward_secret;           /* not NULL: the server is for nodes */
    const struct peal_http_route *routes; /* NULL: those below */
    unsigned n_routes;
    bool by_hand; /* the test makes the turns of the first loop */
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
    struct peal_http *waiting; /* /later: to be answered by /release; /hold by /let-in */
    sem_t came, gone, drained; /* posted by the loops' threads */
    struct peal_blob *big;
};

static struct rig rig;
static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };
static enum peal_io_engine engine;

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
    char ip[PEAL_ADDR_TEXT_MAX], text[PEAL_ADDR_TEXT_MAX + 32];
    int n;

    peal_addr_format_ip(&h->client, ip);
    n = snprintf(text, sizeof(text), "%s %s%s", ip, h->secure ? "https" : "http",
        h->forwarded ? " forwarded" : "");
    peal_http_reply(h, 200, "text/plain", peal_slice_of(text, (size_t)n));
}

static void
forbid(struct peal_http *h, void *ctx)
{
    if (peal_httphead_get(h->head, PEAL_S("X-Key")).data == NULL)
        peal_http_reply(h, 403, "text/plain", PEAL_S("no\n"));
}

/* begin: to the second loop, once. */
static void
move(struct peal_http *h, void *ctx)
{
    if (peal_http_server_of(h) == rig.peers[0])
        peal_http_migrate(h, 1);
}

static void
moved(struct peal_http *h, void *ctx)
{
    peal_http_reply(
        h, peal_http_server_of(h) == rig.peers[1] ? 200 : 500, "text/plain", h->body);
}

static void
with_cors(struct peal_http *h, void *ctx)
{
    if (!peal_http_cors(h, ctx))
        peal_http_reply(h, 200, "text/plain", PEAL_S("read me"));
}

/* begin: wants to know if nothing comes of it. */
static void
expect(struct peal_http *h, void *ctx)
{
    rig.waiting = h;
    h->gone = on_gone;
    sem_post(&rig.came);
}

static void
expected(struct peal_http *h, void *ctx)
{
    CHECK(rig.waiting == h);
    rig.waiting = NULL;
    peal_http_reply(h, 200, "text/plain", h->body);
}

/* begin: not before /let-in. */
static void
hold(struct peal_http *h, void *ctx)
{
    if (h->again)
        return;
    rig.waiting = h;
    h->gone = on_gone;
    peal_http_defer(h);
    sem_post(&rig.came);
}

static void
let_in(struct peal_http *h, void *ctx)
{
    peal_http_resume(rig.waiting);
    peal_http_reply(h, 200, "text/plain", PEAL_S("open"));
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
    CHECK(peal_http_hijack(h, 101, NULL, &ops, NULL) != NULL);
}

static const struct peal_http_route routes[] = {
    { .path = PEAL_S("/echo"), .body_max = BODY_MAX, .handle = echo },
    { .path = PEAL_S("/large"), .body_max = BIG, .handle = echo },
    { .path = PEAL_S("/later"), .body_max = BODY_MAX, .handle = later },
    { .path = PEAL_S("/release"), .handle = release },
    { .path = PEAL_S("/big"), .handle = big },
    { .path = PEAL_S("/who"), .handle = who },
    { .path = PEAL_S("/key"), .body_max = BODY_MAX, .begin = forbid, .handle = echo },
    { .path = PEAL_S("/move/who"), .begin = move, .handle = who },
    { .path = PEAL_S("/move/"),
        .prefix = true,
        .body_max = BODY_MAX,
        .begin = move,
        .handle = moved },
    { .path = PEAL_S("/cors"), .handle = with_cors, .ctx = (void *)&cors },
    { .path = PEAL_S("/any"), .handle = with_cors, .ctx = (void *)&cors_any },
    { .path = PEAL_S("/take"), .handle = take },
    { .path = PEAL_S("/hold"), .body_max = BODY_MAX, .begin = hold, .handle = echo },
    { .path = PEAL_S("/let-in"), .handle = let_in },
    { .path = PEAL_S("/expect"),
        .body_max = BODY_MAX,
        .begin = expect,
        .handle = expected },
    { .path = PEAL_S("/stays"), .stays = true, .handle = who },
};

static void *
run(void *loop)
{
    peal_loop_run(loop);
    return NULL;
}

static inline void
listen_on_loopback(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    int fd;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_OK(peal_listen_socket((struct sockaddr *)&at, sizeof(at), &fd, &rig.port));
    CHECK_OK(peal_listener_new(rig.loops[0], fd, PEAL_LISTENER_CLIENTS, &rig.limits,
        peal_http_server_accept, rig.servers[0], &rig.listener));
}

static inline void
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
    rig.config = (struct peal_http_config){ .limits = peal_httphead_limits_default,
        .head_timeout_ms = s.head_ms ? s.head_ms : 60000,
        .body_timeout_ms = s.body_ms ? s.body_ms : 60000,
        .idle_timeout_ms = s.idle_ms ? s.idle_ms : 60000,
        .trusted = &rig.trusted,
        .n_trusted = 1,
        .proxy_protocol = s.proxy,
        .forward_secret = s.forward_secret };
    CHECK((rig.big = peal_blob_new(BIG)) != NULL);
    memset(rig.big->data, 'b', BIG);
    for (int i = 0; i < N_LOOPS; i++) {
        CHECK_OK(peal_loop_new(&loop, &rig.loops[i]));
        CHECK_OK(
            peal_http_server_new(rig.loops[i], &rig.config, s.routes ? s.routes : routes,
                s.routes ? s.n_routes : sizeof(routes) / sizeof(routes[0]), rig.peers,
                &rig.servers[i]));
        rig.peers[i] = rig.servers[i];
    }
    if (s.tls) {
        CHECK_OK(peal_tls_ctx_new(cert, key, "1.2", &tls, &why));
        peal_http_server_tls(rig.servers[0], tls);
    }
    listen_on_loopback();
    for (int i = 0; i < N_LOOPS && !s.by_hand; i++)
        CHECK_INT(pthread_create(&rig.threads[i], NULL, run, rig.loops[i]), 0);
}

static inline void
start(void)
{
    start_with((struct setup){ 0 });
}

static inline void
on_stop(struct peal_loop *loop, struct peal_task *task)
{
    int i = loop == rig.loops[0] ? 0 : 1;

    if (i == 0)
        peal_listener_close(&rig.listener);
    peal_http_server_free(&rig.servers[i]);
    peal_loop_stop(loop);
    free(task);
}

static inline void
post(int i, peal_task_fn *fn)
{
    struct peal_task *m = calloc(1, sizeof(*m));

    CHECK(m != NULL);
    m->fn = fn;
    peal_loop_post(rig.loops[i], m);
}

/* Nothing may be left: neither connections nor memory (a sanitizer sees to that). */
static inline void
stop(void)
{
    for (int i = 0; i < N_LOOPS; i++) {
        post(i, on_stop);
        if (rig.threads[i] != 0)
            CHECK_INT(pthread_join(rig.threads[i], NULL), 0);
        else
            run(rig.loops[i]);
    }
    for (int i = 0; i < N_LOOPS; i++)
        peal_loop_free(&rig.loops[i]);
    CHECK_INT(rig.limits.open, 0);
    peal_blob_release(rig.big);
}

static inline struct client
client(void)
{
    return client_of(rig.port, 0);
}

/* Waits for an event; a test that waits too long has failed. */
static inline void
wait_for(sem_t *sem)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += NET_PATIENCE_S;
    CHECK_INT(sem_timedwait(sem, &until), 0);
}

static inline long
stat_of(enum peal_stat which)
{
    long n = 0;

    for (int i = 0; i < N_LOOPS; i++)
        n += (long)peal_stat_get(peal_loop_stats(rig.loops[i]), which);
    return n;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, len)                                                                  \
    "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " len "\r\n\r\n"
#define POST_CHUNKED(path)                                                               \
    "POST " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

/* A handshake; before: bytes that go out together with the first of it. */
static inline void
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

/* The tests with each engine. */
static inline int
run_with_each_engine(const struct CMUnitTest *tests, size_t n)
{
    int failed;

    signal(SIGPIPE, SIG_IGN);
    failed = _cmocka_run_group_tests(
        "the best engine", tests, n, make_certificate, remove_certificate);
    engine = PEAL_IO_EPOLL;
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    return failed + _cmocka_run_group_tests(
                        "epoll", tests, n, make_certificate, remove_certificate);
}

#endif

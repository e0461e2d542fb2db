/* SPDX-License-Identifier: MIT */
/*
 * For tests of http/forward: a server that forwards, in front of the rig's, which is for
 * nodes; or in front of a plain socket, where the test says what the other node does.
 */
#ifndef TEST_FORWARD_RIG_H
#define TEST_FORWARD_RIG_H

#include "http_rig.h"

#include "http/forward.h"

#define SECRET "s3cret-of-16-chr"
#define QUEUE_MAX (128 * 1024) /* as in forward.c */
#define ADDED "Peal-Forward: " SECRET " 127.0.0.1 http\r\n"

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
    bool by_hand; /* the test makes the turns of the front's loop */
};

static inline void
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
    front.config = (struct peal_http_config){ .limits = peal_httphead_limits_default,
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
    CHECK_OK(peal_listener_new(front.loop, fd, PEAL_LISTENER_CLIENTS, &front.limits,
        peal_http_server_accept, front.server, &front.listener));
    if (!b.by_hand)
        CHECK_INT(pthread_create(&front.thread, NULL, run, front.loop), 0);
}

static inline void
on_front_stop(struct peal_loop *loop, struct peal_task *task)
{
    peal_listener_close(&front.listener);
    peal_http_server_free(&front.server);
    peal_loop_stop(loop);
    free(task);
}

static inline void
on_front_drain(struct peal_loop *loop, struct peal_task *task)
{
    front.drained_left = peal_http_forwards_drain(front.server, 1);
    free(task);
    sem_post(&front.drained);
}

static inline void
post_front(peal_task_fn *fn)
{
    struct peal_task *m = calloc(1, sizeof(*m));

    CHECK(m != NULL);
    m->fn = fn;
    peal_loop_post(front.loop, m);
}

static inline void
stop_front(void)
{
    post_front(on_front_stop);
    CHECK_INT(pthread_join(front.thread, NULL), 0);
    peal_loop_free(&front.loop);
    CHECK_INT(front.limits.open, 0);
}

static inline void
start_both(struct before b)
{
    start_with((struct setup){ .forward_secret = SECRET });
    start_front(b);
}

static inline void
stop_both(void)
{
    stop_front();
    stop();
}

static inline long
front_stat(enum peal_stat which)
{
    return (long)peal_stat_get(peal_loop_stats(front.loop), which);
}

/* Until a number of a running loop is as it must become. */
#define WAIT_UNTIL(condition)                                                            \
    for (int tries = 0; !(condition); tries++) {                                         \
        CHECK(tries < NET_PATIENCE_S * 1000);                                            \
        usleep(1000);                                                                    \
    }

static inline struct client
front_client(void)
{
    return client_of(front.port, 0);
}

/* Another node, played by the test. */
struct owner {
    int listener;
    uint16_t port;
};

static inline struct owner
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

static inline struct client
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

static inline void
expect_bytes(struct client *c, const char *want)
{
    struct peal_buf got = { 0 };

    hear_bytes(c, strlen(want), &got);
    CHECK_SLICE(peal_buf_slice(&got), want);
    peal_buf_fini(&got);
}

static char bytes_of_nothing[65536];

/* As much as goes into the sockets; returns how many bytes. The front's queues are
 * full then, if it is to have any. */
static inline size_t
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

/* Says more and more, until some of it waits in a queue of the front's that is not full:
 * its reader reads nothing, but the front still listens. */
static inline size_t
say_until_queued(struct client *c)
{
    size_t sent = 0;

    while (front_stat(PEAL_STAT_QUEUE_BYTES) == 0) {
        long before = front_stat(PEAL_STAT_BYTES_IN);

        say_bytes(c, bytes_of_nothing, 16384);
        sent += 16384;
        WAIT_UNTIL(front_stat(PEAL_STAT_BYTES_IN) == before + 16384);
    }
    CHECK(front_stat(PEAL_STAT_QUEUE_BYTES) < QUEUE_MAX);
    return sent;
}

#endif

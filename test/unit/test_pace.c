/* SPDX-License-Identifier: MIT */
/* base/pace, and what keeps to it below HTTP: accepting, and TLS handshakes. The test
 * makes the loops' turns and says what time it is. */
#include "cert.h"
#include "net.h"

#include "base/pace.h"
#include "io/listener.h"
#include "io/loop_priv.h"
#include "io/tls.h"

#define MS 1000000ull

static uint64_t clock_ns = MS, tick_ns;

uint64_t __wrap_uv_hrtime(void);

/* Time goes on whenever somebody looks. */
uint64_t
__wrap_uv_hrtime(void)
{
    return clock_ns += tick_ns;
}

static void
turn(struct peal_pace *p, uint64_t began_ns, uint64_t took_ns)
{
    p->began_ns = began_ns;
    peal_pace_turn_end(p, began_ns + took_ns);
}

static void
newcomers_have_half_of_the_lag_in_a_turn(void **state)
{
    struct peal_pace p;

    peal_pace_init(&p, 50);
    p.began_ns = MS;
    for (int i = 0; i < 1000; i++)
        CHECK(peal_pace_try(&p, MS + 24 * MS));
    CHECK(!peal_pace_try(&p, MS + 25 * MS));
    turn(&p, MS, 25 * MS);
    CHECK_INT(p.n_served, 0);
    CHECK_INT(p.began_ns, 0);
}

static void
a_few_are_served_however_long_the_turn_is(void **state)
{
    struct peal_pace p;

    peal_pace_init(&p, 50);
    p.began_ns = MS;
    for (int i = 0; i < PEAL_PACE_ALWAYS; i++)
        CHECK(peal_pace_try(&p, 1000 * MS));
    CHECK(!peal_pace_try(&p, 1000 * MS));
}

static void
the_share_shrinks_at_once_and_grows_slowly(void **state)
{
    struct peal_pace p;
    uint64_t before;

    peal_pace_init(&p, 64);
    CHECK_INT(p.share_ns, 32 * MS);
    turn(&p, MS, 33 * MS);
    CHECK_INT(p.share_ns, 16 * MS);
    turn(&p, MS, 33 * MS);
    CHECK_INT(p.share_ns, 8 * MS);
    for (int i = 0; i < 100; i++)
        turn(&p, MS, 1000 * MS);
    CHECK_INT(p.share_ns, MS);
    for (int i = 0; i < 31; i++) {
        before = p.share_ns;
        turn(&p, MS, 32 * MS);
        CHECK(p.share_ns == before + MS);
    }
    turn(&p, MS, 0);
    CHECK_INT(p.share_ns, 32 * MS);
}

static void
without_a_target_nobody_is_put_off(void **state)
{
    struct peal_pace p;

    peal_pace_init(&p, 0);
    p.began_ns = MS;
    for (int i = 0; i < 100; i++)
        CHECK(peal_pace_try(&p, 1000000 * MS));
}

struct accepted {
    unsigned n;
};

static void
on_accept(void *arg, int fd, const struct sockaddr *peer)
{
    ((struct accepted *)arg)->n++;
    close(fd);
}

static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };

static struct peal_loop *
loop_of(uint64_t lag_ms)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL,
        .log = &log_to,
        .queue_bytes_max = 1 << 20,
        .queue_age_ms = 60000,
        .lag_ms = lag_ms };
    struct peal_loop *loop;

    CHECK_OK(peal_loop_new(&config, &loop));
    return loop;
}

/* Accepts what waits on a port, turn by turn; returns how many came in the first one. */
static unsigned
accept_all(bool paced, unsigned n)
{
    struct peal_accept_limits limits = { .paced = paced };
    struct peal_loop *loop = loop_of(50);
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct accepted got = { 0 };
    struct peal_listener *listener;
    struct client c[40];
    uint16_t port;
    unsigned first;
    int fd;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_OK(peal_listen_socket((struct sockaddr *)&in, sizeof(in), &fd, &port));
    CHECK_OK(peal_listener_new(
        loop, fd, PEAL_LISTENER_CLIENTS, &limits, on_accept, &got, &listener));
    for (unsigned i = 0; i < n; i++)
        c[i] = client_of(port, 0);
    tick_ns = 5 * MS;
    uv_run(peal_loop_uv(loop), UV_RUN_ONCE);
    first = got.n;
    while (got.n < n)
        uv_run(peal_loop_uv(loop), UV_RUN_ONCE);
    tick_ns = 0;
    for (unsigned i = 0; i < n; i++)
        client_close(&c[i]);
    peal_listener_close(&listener);
    peal_loop_free(&loop);
    return first;
}

static void
connections_wait_in_the_backlog_while_the_turn_has_no_time(void **state)
{
    CHECK_INT(accept_all(true, 40), PEAL_PACE_ALWAYS + 4); /* 25 ms at 5 ms each */
    CHECK_INT(accept_all(false, 40), 40);
}

static size_t
on_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    return len;
}

static void
on_closed(struct peal_conn *c, enum peal_close why)
{
}

static const struct peal_conn_ops ops = { .data = on_data, .closed = on_closed };

#define N_TLS 12

/* A TLS client whose first bytes are on their way; its server is in the same thread. */
static SSL *
tls_client(struct peal_loop *loop, struct peal_tls_ctx *server, SSL_CTX *ctx)
{
    struct peal_conn *conn;
    SSL *ssl = SSL_new(ctx);
    int fds[2];

    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_OK(peal_conn_new(loop, fds[0], PEAL_CONN_CLIENT, &ops, NULL, &conn));
    CHECK_OK(peal_conn_start_tls(conn, server));
    CHECK_INT(SSL_set_fd(ssl, fds[1]), 1);
    CHECK(SSL_connect(ssl) < 0);
    return ssl;
}

static unsigned
shake_hands(SSL **clients)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_TLS; i++)
        n += SSL_connect(clients[i]) == 1;
    return n;
}

static void
tls_handshakes_begin_in_order_and_only_while_there_is_time(void **state)
{
    struct peal_loop *loop = loop_of(50);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct peal_tls_ctx *server;
    struct peal_buf why = { 0 };
    SSL *clients[N_TLS];

    CHECK_OK(peal_tls_ctx_new(cert, key, "1.2", &server, &why));
    for (unsigned i = 0; i < N_TLS; i++)
        clients[i] = tls_client(loop, server, ctx);
    tick_ns = 10 * MS;
    uv_run(peal_loop_uv(loop), UV_RUN_ONCE);
    CHECK_INT(shake_hands(clients), PEAL_PACE_ALWAYS);
    for (unsigned i = 0; i < PEAL_PACE_ALWAYS; i++)
        CHECK(SSL_is_init_finished(clients[i]));
    CHECK_INT(peal_stat_get(peal_loop_stats(loop), PEAL_STAT_TLS_DEFERRED),
        N_TLS - PEAL_PACE_ALWAYS);
    CHECK_INT(loop->n_handshakes, N_TLS - PEAL_PACE_ALWAYS);
    while (shake_hands(clients) < N_TLS)
        uv_run(peal_loop_uv(loop), UV_RUN_ONCE);
    tick_ns = 0;
    uv_run(peal_loop_uv(loop), UV_RUN_NOWAIT);
    CHECK_INT(peal_stat_get(peal_loop_stats(loop), PEAL_STAT_TLS_HANDSHAKES), N_TLS);
    CHECK_INT(loop->n_handshakes, 0);
    for (unsigned i = 0; i < N_TLS; i++) {
        close(SSL_get_fd(clients[i]));
        SSL_free(clients[i]);
    }
    SSL_CTX_free(ctx);
    peal_tls_ctx_release(server);
    peal_loop_free(&loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newcomers_have_half_of_the_lag_in_a_turn),
        cmocka_unit_test(a_few_are_served_however_long_the_turn_is),
        cmocka_unit_test(the_share_shrinks_at_once_and_grows_slowly),
        cmocka_unit_test(without_a_target_nobody_is_put_off),
        cmocka_unit_test(connections_wait_in_the_backlog_while_the_turn_has_no_time),
        cmocka_unit_test(tls_handshakes_begin_in_order_and_only_while_there_is_time),
    };

    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}

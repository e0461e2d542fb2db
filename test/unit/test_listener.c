/* SPDX-License-Identifier: MIT */
/* io/listener: what accepted connections are like; the loop's turns are made here. */
#include "net.h"

#include <fcntl.h>
#include <netinet/tcp.h>

#include "io/listener.h"

struct rig {
    struct peal_loop *loop;
    struct peal_listener *listener;
    struct peal_accept_limits limits;
    enum peal_listener_kind kind;
    uint16_t port;
    int fd; /* the last one that was accepted, or -1 */
    unsigned n;
    int flood;         /* so many more connect, one whenever one is accepted */
    uint16_t peers[8]; /* ports of those that were accepted */
};

static void
flood(struct rig *r)
{
    struct client c = client_of(r->port, 0);

    client_close(&c);
}

static void
on_accept(void *arg, int fd, const struct sockaddr *peer)
{
    struct rig *r = arg;

    CHECK_INT(peer->sa_family, AF_INET);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = fd;
    if (r->flood > 0 && r->flood-- > 0)
        flood(r);
    r->peers[r->n++ % 8] = ntohs(((const struct sockaddr_in *)peer)->sin_port);
}

static void
rig_init(struct rig *r)
{
    static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL, .log = &log_to };
    struct sockaddr_in in = { .sin_family = AF_INET };
    int fd;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->fd = -1;
    CHECK_OK(peal_loop_new(&config, &r->loop));
    CHECK_OK(peal_listen_socket((struct sockaddr *)&in, sizeof(in), &fd, &r->port));
    CHECK_OK(
        peal_listener_new(r->loop, fd, r->kind, &r->limits, on_accept, r, &r->listener));
}

static void
rig_fini(struct rig *r)
{
    if (r->fd >= 0)
        close(r->fd);
    peal_listener_close(&r->listener);
    peal_loop_free(&r->loop);
}

static int
option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    CHECK_INT(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void
accepted_sockets_are_prompt_and_notice_dead_peers(void **state)
{
    struct rig r = { 0 };
    struct client c;

    rig_init(&r);
    c = client_of(r.port, 0);
    while (r.n == 0)
        uv_run(peal_loop_uv(r.loop), UV_RUN_ONCE);
    CHECK(option(r.fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK(option(r.fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
    CHECK_INT(option(r.fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    CHECK_INT(option(r.fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
    CHECK_INT(option(r.fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    CHECK((fcntl(r.fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((fcntl(r.fd, F_GETFD) & FD_CLOEXEC) != 0);
    client_close(&c);
    rig_fini(&r);
}

static void
connections_beyond_the_limit_are_closed_at_once(void **state)
{
    struct rig r = { .limits = { .open_max = 1 } };
    struct client c;
    char byte;

    rig_init(&r);
    r.limits.open = 1; /* as if one were open already */
    c = client_of(r.port, 0);
    while (peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_REFUSED_MAX) == 0)
        uv_run(peal_loop_uv(r.loop), UV_RUN_ONCE);
    CHECK_INT(recv(c.fd, &byte, 1, 0), 0);
    CHECK_INT(r.n, 0);
    client_close(&c);
    rig_fini(&r);
}

/* A node that is full of clients still serves other nodes, and answers its probes even
 * when hardly any descriptors are left. */
static void
only_clients_are_held_to_their_limit(void **state)
{
    static const struct {
        enum peal_listener_kind kind;
        int64_t open, inner;
        bool accepted;
    } cases[] = {
        { PEAL_LISTENER_CLIENTS, 9, 0, true },
        { PEAL_LISTENER_CLIENTS, 10, 0, false },
        { PEAL_LISTENER_CLIENTS, 9, 11, false },
        { PEAL_LISTENER_NODES, 10, 9, true },
        { PEAL_LISTENER_NODES, 10, 10, false },
        { PEAL_LISTENER_ADMIN, 10, 10, true },
        { PEAL_LISTENER_ADMIN, 10, 10 + PEAL_LISTENER_ADMIN_RESERVE, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig r = { .kind = cases[i].kind,
            .limits = { .open_max = 10, .all_max = 20 } };
        struct client c;

        rig_init(&r);
        r.limits.open = cases[i].open;
        r.limits.inner = cases[i].inner;
        c = client_of(r.port, 0);
        while (r.n + peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_REFUSED_MAX) == 0)
            uv_run(peal_loop_uv(r.loop), UV_RUN_ONCE);
        CHECK_INT(r.n, cases[i].accepted);
        client_close(&c);
        rig_fini(&r);
    }
}

static uint16_t
port_of(const struct client *c)
{
    struct sockaddr_in in;
    socklen_t len = sizeof(in);

    CHECK_INT(getsockname(c->fd, (struct sockaddr *)&in, &len), 0);
    return ntohs(in.sin_port);
}

static void
whoever_comes_too_fast_waits_in_order_and_nobody_is_lost(void **state)
{
    struct rig r = { .limits = { .rate = 1 } };
    struct client c[5];

    rig_init(&r);
    for (int i = 0; i < 5; i++)
        c[i] = client_of(r.port, 0);
    while (r.n < 2) /* the second has to wait for a token */
        uv_run(peal_loop_uv(r.loop), UV_RUN_ONCE);
    peal_listener_finish(&r.listener);
    CHECK(r.listener == NULL);
    CHECK_INT(r.n, 5);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(r.peers[i], port_of(&c[i]));
        client_close(&c[i]);
    }
    rig_fini(&r);
}

/* As many as were waiting; not as long as somebody comes. */
static void
a_flood_does_not_keep_a_listener_from_its_end(void **state)
{
    struct rig r = { .flood = 200 };

    rig_init(&r);
    for (int i = 0; i < 3; i++)
        flood(&r);
    peal_listener_finish(&r.listener);
    CHECK_INT(r.n, 3);
    rig_fini(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_sockets_are_prompt_and_notice_dead_peers),
        cmocka_unit_test(connections_beyond_the_limit_are_closed_at_once),
        cmocka_unit_test(only_clients_are_held_to_their_limit),
        cmocka_unit_test(whoever_comes_too_fast_waits_in_order_and_nobody_is_lost),
        cmocka_unit_test(a_flood_does_not_keep_a_listener_from_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

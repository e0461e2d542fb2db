/* SPDX-License-Identifier: MIT */
/* io/dial: from a name to a socket; the loop's turns are made here. */
#include "net.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <sys/un.h>

#include "alloc.h"
#include "io/dial.h"
#include "io/resolve.h"

#define PATIENCE_MS (NET_PATIENCE_S * 1000)

struct rig {
    struct peal_loop *loop;
    struct peal_dial *dial;
    int listener; /* with a backlog, and nobody who accepts */
    uint16_t port;
    unsigned calls;
    peal_err err;
    int fd;
};

static void
on_dialled(void *arg, peal_err err, int fd)
{
    struct rig *r = arg;

    CHECK_INT(fd >= 0, err == PEAL_OK);
    r->dial = NULL;
    r->calls++;
    r->err = err;
    r->fd = fd;
    peal_loop_stop(r->loop);
}

static void
rig_init(struct rig *r)
{
    static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL, .log = &log_to };
    struct sockaddr_in in = { .sin_family = AF_INET };
    socklen_t len = sizeof(in);

    *r = (struct rig){ .fd = -1 };
    CHECK_OK(peal_loop_new(&config, &r->loop));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(r->listener, (struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_INT(getsockname(r->listener, (struct sockaddr *)&in, &len), 0);
    CHECK_INT(listen(r->listener, 16), 0);
    r->port = ntohs(in.sin_port);
}

static void
rig_fini(struct rig *r)
{
    peal_loop_free(&r->loop);
    close(r->listener);
    if (r->fd >= 0)
        close(r->fd);
}

static void
dial(struct rig *r, const char *host, uint16_t port, uint64_t timeout_ms)
{
    unsigned calls = r->calls;

    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    CHECK_OK(peal_dial(r->loop, host, port, timeout_ms, on_dialled, r, &r->dial));
    CHECK_INT(r->calls, calls); /* never from inside */
}

static void
wait_for_end(struct rig *r)
{
    unsigned calls = r->calls;

    peal_loop_run(r->loop);
    CHECK_INT(r->calls, calls + 1);
}

/* A few turns in which nothing may happen any more. */
static void
expect_silence(struct rig *r)
{
    unsigned calls = r->calls;

    for (int i = 0; i < 5; i++)
        uv_run(peal_loop_uv(r->loop), UV_RUN_NOWAIT);
    CHECK_INT(r->calls, calls);
}

static int
option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    CHECK_INT(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

/* A port of loopback that refuses: bound, and nobody listens. */
static int
closed_port(uint16_t *port_out)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *port_out = ntohs(in.sin_port);
    return fd;
}

static void
addresses_and_names_are_dialled(void **state)
{
    /* The second has to be resolved; where it stands for ::1 first, that one refuses. */
    static const char *const hosts[] = { "127.0.0.1", "localhost" };
    struct rig r;

    rig_init(&r);
    for (int i = 0; i < 2; i++) {
        dial(&r, hosts[i], r.port, PATIENCE_MS);
        wait_for_end(&r);
        CHECK_OK(r.err);
        CHECK(option(r.fd, IPPROTO_TCP, TCP_NODELAY) != 0);
        CHECK(option(r.fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
        CHECK_INT(option(r.fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
        CHECK((fcntl(r.fd, F_GETFL) & O_NONBLOCK) != 0);
        CHECK((fcntl(r.fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    rig_fini(&r);
}

static void
unix_sockets_are_dialled(void **state)
{
    char dir[] = "/tmp/peal-test-XXXXXX", path[64], too_long[200];
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct rig r;
    int fd;

    rig_init(&r);
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/sock", dir);
    dial(&r, path, 0, PATIENCE_MS);
    wait_for_end(&r);
    CHECK_ERR(r.err, PEAL_EIO); /* there is none */
    memcpy(un.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    CHECK_INT(listen(fd, 16), 0);
    dial(&r, path, 0, PATIENCE_MS);
    wait_for_end(&r);
    CHECK_OK(r.err);
    memset(too_long, '/', sizeof(too_long));
    too_long[sizeof(too_long) - 1] = '\0';
    CHECK_ERR(peal_dial(r.loop, too_long, 0, PATIENCE_MS, on_dialled, &r, &r.dial),
        PEAL_EINVAL);
    expect_silence(&r);
    close(fd);
    unlink(path);
    rmdir(dir);
    rig_fini(&r);
}

static void
who_cannot_be_reached_is_told(void **state)
{
    struct rig r;
    uint16_t port;
    int fd = closed_port(&port);

    rig_init(&r);
    dial(&r, "127.0.0.1", port, PATIENCE_MS);
    wait_for_end(&r);
    CHECK_ERR(r.err, PEAL_EIO);
    dial(&r, "localhost", port, PATIENCE_MS); /* each of its addresses */
    wait_for_end(&r);
    CHECK_ERR(r.err, PEAL_EIO);
    dial(&r, "255.255.255.255", port, PATIENCE_MS); /* the system says no at once */
    wait_for_end(&r);
    CHECK_ERR(r.err, PEAL_EIO);
    dial(&r, "no..host", port, PATIENCE_MS);
    wait_for_end(&r);
    CHECK_ERR(r.err, PEAL_ENOTFOUND);
    expect_silence(&r);
    close(fd);
    rig_fini(&r);
}

/* A listener whose backlog is full: more connections get no answer. Returns a client
 * that is still waiting, or -1 if the system answers all the same. */
static void
fill_backlog(struct rig *r, int *fds, int n)
{
    CHECK_INT(listen(r->listener, 0), 0);
    for (int i = 0; i < n; i++) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(r->port) };

        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(connect(fds[i], (struct sockaddr *)&to, sizeof(to)) == 0 ||
              errno == EINPROGRESS);
    }
}

static void
the_deadline_is_over_everything(void **state)
{
    struct rig r;
    int fds[8];

    rig_init(&r);
    fill_backlog(&r, fds, 8);
    dial(&r, "127.0.0.1", r.port, 50);
    wait_for_end(&r);
    CHECK_ERR(r.err, PEAL_ETIMEOUT);
    expect_silence(&r);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    rig_fini(&r);
}

static void
what_is_cancelled_is_not_told(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost", "no..host", "/x" };
    struct rig r;

    rig_init(&r);
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        dial(&r, hosts[i], r.port, PATIENCE_MS);
        peal_dial_cancel(&r.dial);
        CHECK(r.dial == NULL);
        peal_dial_cancel(&r.dial);
        expect_silence(&r);
        /* Not at once, but some turns later; it may have come to an end by then. */
        for (int turns = 1; turns < 4; turns++) {
            dial(&r, hosts[i], r.port, PATIENCE_MS);
            for (int t = 0; t < turns; t++)
                uv_run(peal_loop_uv(r.loop), UV_RUN_NOWAIT);
            peal_dial_cancel(&r.dial);
            expect_silence(&r);
        }
    }
    rig_fini(&r);
}

/* A sanitizer sees to it that nothing is left. */
static void
a_loop_may_end_before_its_dials(void **state)
{
    struct rig r;
    uint16_t port;
    int fd = closed_port(&port);

    for (int turns = 0; turns < 4; turns++) {
        rig_init(&r);
        dial(&r, "localhost", r.port, PATIENCE_MS);
        dial(&r, "127.0.0.1", r.port, PATIENCE_MS);
        dial(&r, "127.0.0.1", port, PATIENCE_MS);
        dial(&r, "/no/such/path", 0, PATIENCE_MS);
        for (int t = 0; t < turns; t++) {
            uv_run(peal_loop_uv(r.loop), UV_RUN_NOWAIT);
            if (r.fd >= 0)
                close(r.fd);
            r.fd = -1;
        }
        r.calls = 0;
        peal_loop_free(&r.loop);
        CHECK_INT(r.calls, 0);
        rig_fini(&r);
    }
    close(fd);
}

/* A resolver that hangs for this name until the test lets it go on. */
#define HANGING "hangs.example"

static sem_t hanging, go_on, gone_on;

int __real_getaddrinfo(const char *host, const char *service,
    const struct addrinfo *hints, struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service,
    const struct addrinfo *hints, struct addrinfo **out);

int
__wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **out)
{
    if (strcmp(host, HANGING) != 0 || (hints->ai_flags & AI_NUMERICHOST) != 0)
        return __real_getaddrinfo(host, service, hints, out);
    sem_post(&hanging);
    sem_wait(&go_on);
    sem_post(&gone_on);
    return __real_getaddrinfo("127.0.0.1", service, hints, out);
}

static void
a_resolver_that_hangs_keeps_nobody_waiting(void **state)
{
    struct peal_dial *more[PEAL_LOOKUPS_MAX];
    struct rig r;

    sem_init(&hanging, 0, 0);
    sem_init(&go_on, 0, 0);
    sem_init(&gone_on, 0, 0);
    rig_init(&r);
    dial(&r, HANGING, r.port, PATIENCE_MS); /* this one is answered late */
    sem_wait(&hanging);
    sem_post(&go_on);
    wait_for_end(&r);
    CHECK_OK(r.err);
    sem_wait(&gone_on);

    dial(&r, HANGING, r.port, 1);
    wait_for_end(&r);
    CHECK_ERR(r.err, PEAL_ETIMEOUT);
    for (unsigned i = 1; i < PEAL_LOOKUPS_MAX; i++)
        CHECK_OK(
            peal_dial(r.loop, HANGING, r.port, PATIENCE_MS, on_dialled, &r, &more[i]));
    dial(&r, HANGING, r.port, PATIENCE_MS); /* one more than may hang */
    wait_for_end(&r);
    CHECK_ERR(r.err, PEAL_EIO);
    peal_loop_free(&r.loop); /* while all of them hang */
    for (unsigned i = 0; i < PEAL_LOOKUPS_MAX; i++)
        sem_wait(&hanging);
    for (unsigned i = 0; i < PEAL_LOOKUPS_MAX; i++)
        sem_post(&go_on);
    for (unsigned i = 0; i < PEAL_LOOKUPS_MAX; i++)
        sem_wait(&gone_on);
    rig_fini(&r);
}

static void
want_of_memory_is_told(void **state)
{
    struct rig r;
    peal_err err;

    rig_init(&r);
    alloc_left = 0;
    err = peal_dial(r.loop, "127.0.0.1", r.port, PATIENCE_MS, on_dialled, &r, &r.dial);
    alloc_left = -1;
    CHECK_ERR(err, PEAL_ENOMEM);
    expect_silence(&r);
    rig_fini(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_and_names_are_dialled),
        cmocka_unit_test(unix_sockets_are_dialled),
        cmocka_unit_test(who_cannot_be_reached_is_told),
        cmocka_unit_test(the_deadline_is_over_everything),
        cmocka_unit_test(what_is_cancelled_is_not_told),
        cmocka_unit_test(a_loop_may_end_before_its_dials),
        cmocka_unit_test(a_resolver_that_hangs_keeps_nobody_waiting),
        cmocka_unit_test(want_of_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

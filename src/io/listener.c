/* SPDX-License-Identifier: MIT */
/*
 * Listeners: they accept in bounded batches, so that a storm of connections does not keep
 * the loop from those that are open; at a bounded rate, if accept.rate says so; and fewer
 * while the loop is late (base/pace.h). Connections that are not accepted wait in the
 * kernel's backlog, in order.
 *
 * Without file descriptors a connection would stay in the backlog and wake the loop for
 * ever. So a spare descriptor is closed, the connection accepted and closed in its place,
 * and accepting rests for a moment.
 */
#include "io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bucket.h"
#include "io/loop_priv.h"
#include "io/sock_priv.h"

/* The kernel cuts it to net.core.somaxconn: what comes faster than it is accepted waits
 * there, in order, and only beyond that do clients have to knock again. */
#define BACKLOG INT_MAX
#define BATCH 64
#define FINISH_MAX 4096 /* accepted at the end, where it is not known how many wait */
#define REST_MS 100     /* no accepting for this long after descriptors have run out */

struct peal_listener {
    uv_poll_t poll;
    struct peal_loop *loop;
    struct peal_accept_limits *limits;
    enum peal_listener_kind kind;
    peal_accept_fn *fn;
    void *arg;
    int fd, spare;
    struct peal_bucket bucket; /* connections that may be accepted now */
    struct peal_timer rest;
};

static void
remove_dead_socket(const struct sockaddr_un *un)
{
    struct stat st;
    int fd;

    if (stat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
        return;
    if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 &&
        errno == ECONNREFUSED)
        unlink(un->sun_path);
    close(fd);
}

peal_err
peal_listen_socket(
    const struct sockaddr *addr, socklen_t len, int *fd_out, uint16_t *port_out)
{
    struct sockaddr_storage got;
    socklen_t got_len = sizeof(got);
    int on = 1, off = 0, saved;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return peal_err_from_errno(errno);
    if (addr->sa_family == AF_UNIX)
        remove_dead_socket((const struct sockaddr_un *)addr);
    else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
             setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
             (addr->sa_family == AF_INET6 &&
                 setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0))
        goto fail;
    /* Accepted sockets inherit this: system calls for a listener, none for a client. */
    if (addr->sa_family != AF_UNIX)
        peal_sock_tune(fd);
    if (bind(fd, addr, len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&got, &got_len) < 0)
        goto fail;
    *port_out = got.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&got)->sin_port)
                : got.ss_family == AF_INET6
                    ? ntohs(((struct sockaddr_in6 *)&got)->sin6_port)
                    : 0;
    *fd_out = fd;
    return PEAL_OK;

fail:
    saved = errno;
    close(fd);
    return peal_err_from_errno(saved);
}

static void listener_on_acceptable(uv_poll_t *p, int status, int events);

static void
rest(struct peal_listener *l, uint64_t ms)
{
    uv_poll_stop(&l->poll);
    peal_loop_start(l->loop, &l->rest, ms);
}

static void
listener_on_rested(struct peal_timer *t)
{
    struct peal_listener *l = PEAL_CONTAINER(t, struct peal_listener, rest);

    uv_poll_start(&l->poll, UV_READABLE, listener_on_acceptable);
}

/* No descriptors are left: give up the spare one to refuse somebody, then take it back.
 */
static void
refuse_one(struct peal_listener *l)
{
    int fd;

    peal_stat_add(&l->loop->stats, PEAL_STAT_ACCEPT_ERRORS, 1);
    peal_log(l->loop->config.log, PEAL_LOG_WARN,
        "accept failed: no file descriptors left",
        "hint=\"raise the limit (ulimit -n) or set max_connections\"");
    if (l->spare >= 0)
        close(l->spare);
    if ((fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(fd);
    l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    rest(l, REST_MS);
}

/* Tells whether one more connection of this kind may be open. */
static bool
has_room(const struct peal_listener *l)
{
    const struct peal_accept_limits *x = l->limits;
    int64_t open = atomic_load_explicit(&x->open, memory_order_relaxed);
    int64_t all = open + atomic_load_explicit(&x->inner, memory_order_relaxed);
    int64_t all_max = x->all_max;

    if (l->kind == PEAL_LISTENER_CLIENTS && x->open_max > 0 && open >= x->open_max)
        return false;
    if (l->kind == PEAL_LISTENER_ADMIN)
        all_max += PEAL_LISTENER_ADMIN_RESERVE;
    return x->all_max == 0 || all < all_max;
}

/* Accepts one connection and gives it to the server. false: none is waiting, or accepting
 * failed. */
static bool
accept_one(struct peal_listener *l)
{
    struct peal_stats *stats = &l->loop->stats;
    struct sockaddr_storage peer = { 0 };
    socklen_t len = sizeof(peer);
    int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            refuse_one(l);
        return errno == EINTR || errno == ECONNABORTED;
    }
    peal_bucket_take(&l->bucket);
    if (!has_room(l)) {
        peal_stat_add(stats, PEAL_STAT_REFUSED_MAX, 1);
        close(fd);
        return true;
    }
    peal_stat_add(stats, PEAL_STAT_ACCEPTED, 1);
    l->fn(l->arg, fd, (struct sockaddr *)&peer);
    return true;
}

/* While as many TLS handshakes wait as can keep the loop busy, the next connections wait
 * in the kernel's backlog, which is in order too. */
static bool
has_time(const struct peal_listener *l, unsigned n_accepted)
{
    const struct peal_pace *pace = &l->loop->pace;

    if (l->kind != PEAL_LISTENER_CLIENTS || !l->limits->paced || pace->lag_ns == 0)
        return true;
    return l->loop->n_handshakes < BATCH &&
           (n_accepted < PEAL_PACE_ALWAYS || peal_pace_has_time(pace, uv_hrtime()));
}

static uint64_t
rate_of(const struct peal_listener *l)
{
    return l->kind == PEAL_LISTENER_CLIENTS ? l->limits->rate : 0;
}

static void
listener_on_acceptable(uv_poll_t *p, int status, int events)
{
    struct peal_listener *l = PEAL_CONTAINER(p, struct peal_listener, poll);
    uint64_t rate = rate_of(l), now = peal_loop_now_ms(l->loop);

    peal_loop_enter(l->loop);
    for (unsigned i = 0; i < BATCH && has_time(l, i); i++) {
        if (!peal_bucket_has(&l->bucket, rate, now, 1)) {
            rest(l, 1000 / rate + 1);
            return;
        }
        if (!accept_one(l))
            return;
    }
}

peal_err
peal_listener_new(struct peal_loop *loop, int fd, enum peal_listener_kind kind,
    struct peal_accept_limits *limits, peal_accept_fn *fn, void *arg,
    struct peal_listener **out)
{
    struct peal_listener *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return PEAL_ENOMEM;
    if (uv_poll_init(&loop->uv, &l->poll, fd) < 0) {
        free(l);
        return PEAL_EIO;
    }
    l->loop = loop;
    l->limits = limits;
    l->kind = kind;
    l->fn = fn;
    l->arg = arg;
    l->fd = fd;
    l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l->rest.fn = listener_on_rested;
    peal_bucket_init(&l->bucket, rate_of(l), peal_loop_now_ms(loop));
    uv_poll_start(&l->poll, UV_READABLE, listener_on_acceptable);
    *out = l;
    return PEAL_OK;
}

static void
listener_on_released(uv_handle_t *h)
{
    free(PEAL_CONTAINER(h, struct peal_listener, poll));
}

/* Returns how many have connected and are not accepted yet, as Linux says it of a socket
 * that listens; of a unix socket it says nothing. */
static unsigned
n_waiting(const struct peal_listener *l)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof(info);

    if (getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return FINISH_MAX;
    return info.tcpi_unacked;
}

void
peal_listener_finish(struct peal_listener **lp)
{
    struct peal_listener *l = *lp;

    /* To close the socket would reset those who have connected and wait. Not more of
     * them than there are now: they may come faster than they are accepted. */
    for (unsigned left = l != NULL ? n_waiting(l) : 0; left > 0 && accept_one(l); left--)
        ;
    peal_listener_close(lp);
}

void
peal_listener_close(struct peal_listener **lp)
{
    struct peal_listener *l = *lp;

    if (l == NULL)
        return;
    *lp = NULL;
    peal_timer_stop(&l->rest);
    uv_close((uv_handle_t *)&l->poll, listener_on_released);
    close(l->fd);
    if (l->spare >= 0)
        close(l->spare);
}

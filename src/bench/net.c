/* SPDX-License-Identifier: MIT */
/*
 * The loop and the sockets.
 *
 * Edge-triggered, registered once for both directions, so a connection costs no system
 * call besides its reads and writes; a read that did not fill the buffer emptied the
 * socket. Bytes are read into one buffer for all: an idle connection owns no memory
 * but its row. To a loopback server connections come from several loopback addresses,
 * because one address has 28,000 ports.
 */
#include "bench/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/tls.h"

#define SCRATCH_BYTES (4u << 20)
#define EVENTS_MAX 1024
#define WAIT_MS 100

uint64_t
peal_bench_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

peal_err
peal_bench_net_init(
    struct peal_bench_net *net, const struct peal_bench_opts *opts, unsigned n)
{
    *net = (struct peal_bench_net){ .opts = opts, .ep = -1 };
    net->conns = calloc(n, sizeof(*net->conns));
    net->scratch = malloc(SCRATCH_BYTES);
    if (net->conns == NULL || net->scratch == NULL) {
        peal_bench_net_fini(net);
        return PEAL_ENOMEM;
    }
    net->n = n;
    for (unsigned i = 0; i < n; i++) {
        net->conns[i].fd = -1;
        net->conns[i].index = net->conns[i].number = i;
        net->conns[i].target = &opts->target;
    }
    if ((net->ep = epoll_create1(EPOLL_CLOEXEC)) < 0) {
        peal_bench_net_fini(net);
        return PEAL_EIO;
    }
    if (opts->target.tls && peal_bench_tls_init(net) != PEAL_OK) {
        peal_bench_net_fini(net);
        return PEAL_ENOMEM;
    }
    return PEAL_OK;
}

void
peal_bench_net_fini(struct peal_bench_net *net)
{
    for (unsigned i = 0; i < net->n; i++) {
        peal_bench_tls_end(&net->conns[i], true);
        if (net->conns[i].fd >= 0)
            close(net->conns[i].fd);
        peal_buf_fini(&net->conns[i].in);
        peal_buf_fini(&net->conns[i].out);
    }
    if (net->conns != NULL && net->ep >= 0)
        close(net->ep);
    peal_bench_tls_fini(net);
    free(net->conns);
    free(net->scratch);
    *net = (struct peal_bench_net){ .ep = -1 };
}

/* Moves a connection into or out of the handshake and keeps the counts; the steps of the
 * handshake are client.c's. */
static void
set_state(struct peal_bench_net *net, struct peal_bench_conn *c, uint8_t state)
{
    bool was_pending = c->state != PEAL_BENCH_CLOSED && c->state != PEAL_BENCH_READY;
    bool pending = state != PEAL_BENCH_CLOSED && state != PEAL_BENCH_READY;

    net->n_pending += (unsigned)pending - (unsigned)was_pending;
    net->n_ready +=
        (unsigned)(state == PEAL_BENCH_READY) - (unsigned)(c->state == PEAL_BENCH_READY);
    c->state = state;
}

static void
close_socket(struct peal_bench_conn *c)
{
    peal_bench_tls_end(c, false);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    peal_buf_fini(&c->in);
    peal_buf_fini(&c->out);
}

void
peal_bench_net_close(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    close_socket(c);
    c->sid[0] = '\0';
    set_state(net, c, PEAL_BENCH_CLOSED);
}

void
peal_bench_net_fail(
    struct peal_bench_net *net, struct peal_bench_conn *c, const char *why)
{
    if (c->state == PEAL_BENCH_READY)
        net->n_broken++;
    else
        net->n_failed++;
    net->last_failure = why;
    peal_bench_net_close(net, c);
    if (net->on_closed != NULL)
        net->on_closed(net, c, why);
}

void
peal_bench_net_ready(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    set_state(net, c, PEAL_BENCH_READY);
    peal_bench_hist_add(&net->handshake, peal_bench_now_ns() - c->began_ns);
    if (net->on_ready != NULL)
        net->on_ready(net, c);
}

static bool
bind_source(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    struct sockaddr_in sin = { .sin_family = AF_INET };
    uint32_t to = ntohl(c->target->addr.sin_addr.s_addr);
    int one = 1;

    if (to >> 24 != 127)
        return true;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + c->index % net->opts->sources);
    (void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    return bind(c->fd, (struct sockaddr *)&sin, sizeof(sin)) == 0;
}

static void
dial(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
    int one = 1;

    set_state(net, c, PEAL_BENCH_DIALLING);
    ev.data.u32 = c->index;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        peal_bench_net_fail(net, c, "no socket: too many open files");
        return;
    }
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (!bind_source(net, c) || epoll_ctl(net->ep, EPOLL_CTL_ADD, c->fd, &ev) != 0 ||
        (connect(c->fd, (const struct sockaddr *)&c->target->addr,
             sizeof(c->target->addr)) != 0 &&
            errno != EINPROGRESS))
        peal_bench_net_fail(net, c, "connect failed at once");
}

void
peal_bench_net_open(struct peal_bench_net *net, unsigned i)
{
    struct peal_bench_conn *c = &net->conns[i];

    PEAL_ASSERT(c->state == PEAL_BENCH_CLOSED);
    c->began_ns = peal_bench_now_ns();
    dial(net, c);
}

void
peal_bench_net_redial(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    close_socket(c);
    dial(net, c);
}

static ssize_t
write_some(struct peal_bench_conn *c, const void *data, size_t len)
{
    return c->ssl != NULL ? peal_bench_tls_write(c, data, len)
                          : send(c->fd, data, len, MSG_NOSIGNAL);
}

void
peal_bench_net_send(
    struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice bytes)
{
    ssize_t n = 0;

    if (c->fd < 0)
        return;
    if (c->out.len == 0) {
        n = write_some(c, bytes.data, bytes.len);
        if (n < 0 && errno != EAGAIN) {
            peal_bench_net_fail(net, c, "write failed");
            return;
        }
        n = n < 0 ? 0 : n;
    }
    if ((size_t)n < bytes.len &&
        peal_buf_add_slice(&c->out, peal_slice_skip(bytes, (size_t)n)) != PEAL_OK)
        peal_bench_net_fail(net, c, "out of memory");
}

static void
flush(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    while (c->out.len > 0) {
        ssize_t n = write_some(c, c->out.data, c->out.len);

        if (n < 0) {
            if (errno != EAGAIN)
                peal_bench_net_fail(net, c, "write failed");
            return;
        }
        peal_buf_consume(&c->out, (size_t)n);
    }
    peal_buf_fini(&c->out);
}

/* Keeps the incomplete rest of what was read. */
static void
keep_rest(struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice rest)
{
    c->in.len = 0;
    if (rest.len == 0)
        peal_buf_fini(&c->in);
    else if (peal_buf_add_slice(&c->in, rest) != PEAL_OK)
        peal_bench_net_fail(net, c, "out of memory");
}

static void
read_all(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    for (;;) {
        size_t have = c->in.len, used;
        ssize_t n;

        if (have == SCRATCH_BYTES) {
            peal_bench_net_fail(net, c, "message too large");
            return;
        }
        if (have > 0)
            memcpy(net->scratch, c->in.data, have);
        n = c->ssl != NULL
                ? peal_bench_tls_read(c, net->scratch + have, SCRATCH_BYTES - have)
                : recv(c->fd, net->scratch + have, SCRATCH_BYTES - have, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            peal_bench_net_fail(net, c, n == 0 ? "closed by the server" : "reset");
            return;
        }
        net->now_ns = peal_bench_now_ns();
        have += (size_t)n;
        used = peal_bench_client_eat(net, c, peal_slice_of(net->scratch, have));
        if (c->fd < 0 || c->state == PEAL_BENCH_DIALLING)
            return;
        keep_rest(net, c, peal_slice_of(net->scratch + used, have - used));
        if (c->fd < 0 || (c->ssl == NULL && have < SCRATCH_BYTES))
            return;
    }
}

static void
shake_hands(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    int r = peal_bench_tls_handshake(net, c);

    if (r < 0) {
        peal_bench_net_fail(net, c, "the TLS handshake failed");
    } else if (r > 0) {
        set_state(net, c, PEAL_BENCH_UPGRADING);
        peal_bench_client_begin(net, c);
    }
}

static void
dialled(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    int e = 0;
    socklen_t len = sizeof(e);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0 || e != 0) {
        peal_bench_net_fail(net, c, e == ECONNREFUSED ? "refused" : "connect failed");
        return;
    }
    if (net->tls == NULL) {
        set_state(net, c, PEAL_BENCH_UPGRADING);
        peal_bench_client_begin(net, c);
    } else if (peal_bench_tls_begin(net, c)) {
        set_state(net, c, PEAL_BENCH_SHAKING);
    } else {
        peal_bench_net_fail(net, c, "out of memory");
    }
}

static void
handle(struct peal_bench_net *net, struct peal_bench_conn *c, uint32_t events)
{
    if (c->fd >= 0 && c->state == PEAL_BENCH_DIALLING &&
        (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
        dialled(net, c);
    else if (c->fd >= 0 && (events & EPOLLOUT) != 0 && c->out.len > 0)
        flush(net, c);
    if (c->fd >= 0 && c->state == PEAL_BENCH_SHAKING)
        shake_hands(net, c);
    if (c->fd >= 0 && c->state > PEAL_BENCH_SHAKING && (events & ~EPOLLOUT) != 0)
        read_all(net, c);
}

int
peal_bench_net_turn(struct peal_bench_net *net, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(net->ep, events, EVENTS_MAX, timeout_ms);

    for (int i = 0; i < n; i++)
        handle(net, &net->conns[events[i].data.u32], events[i].events);
    return n < 0 ? 0 : n;
}

void
peal_bench_net_run(struct peal_bench_net *net, double seconds)
{
    uint64_t end = peal_bench_now_ns() + (uint64_t)(seconds * 1e9), now;
    unsigned broken = net->n_broken;

    while ((now = peal_bench_now_ns()) < end && net->n_broken == broken) {
        uint64_t left_ms = (end - now) / 1000000 + 1;

        peal_bench_net_turn(net, left_ms < WAIT_MS ? (int)left_ms : WAIT_MS);
    }
}

bool
peal_bench_net_open_all(struct peal_bench_net *net, unsigned n)
{
    uint64_t stall_ns = (uint64_t)(net->opts->stall_s * 1e9);
    uint64_t moved_ns = peal_bench_now_ns();
    unsigned next = 0, failed_before = net->n_failed, ready_before = net->n_ready;

    while (next < n || net->n_pending > 0) {
        while (next < n && net->n_pending < net->opts->concurrency)
            peal_bench_net_open(net, next++);
        if (peal_bench_net_turn(net, WAIT_MS) > 0)
            moved_ns = peal_bench_now_ns();
        else if (peal_bench_now_ns() - moved_ns > stall_ns)
            break;
    }
    if (net->n_ready - ready_before == n)
        return true;
    fprintf(stderr, "peal bench: FAILED: %u of %u connections are ready, %u failed: %s\n",
        net->n_ready - ready_before, n, net->n_failed - failed_before,
        net->last_failure ? net->last_failure : "no answer");
    return false;
}

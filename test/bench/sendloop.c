/* SPDX-License-Identifier: MIT */
/*
 * The bare send loop: the cheapest broadcast that one send() per connection can be.
 *
 * It accepts WebSocket upgrades on any path, and what one connection says goes to all of
 * them: the frames that came in one turn of the loop are built once, joined, and written
 * with one send() to each. No channels, no queues but what the kernel would not take, no
 * limits, no timers.
 *
 *     sendloop PORT       listens on 127.0.0.1:PORT, prints "ready", ends on SIGTERM
 *     sendloop PORT ring  sends by io_uring, 256 at a time, from registered files
 *     sendloop PORT echo  answers who said it, and nobody else
 *
 * The last two say what a server on this kernel cannot do without: no send can be cheaper
 * than one of a batch that looks up no file, no round trip than a read and a write.
 *
 * It trusts its peers: a broken frame ends the connection that sent it and nothing more.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/id.h"

#define READ_BYTES (256u << 10)
#define EVENTS_MAX 1024
#define FDS_MAX 65536
#define BATCH 256
#define WS_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

struct client {
    int fd; /* -1: free */
    bool upgraded;
    struct peal_buf in;  /* an incomplete head or frame */
    struct peal_buf out; /* what the kernel did not take */
};

struct sendloop {
    int ep, listener;
    struct client **clients; /* by fd; NULL where none */
    int fd_max;              /* highest fd that ever was a client */
    struct peal_buf turn;    /* frames to all, joined, of this turn */
    char *scratch;
    bool echo;
    bool ringing;         /* there is a ring */
    struct io_uring ring; /* a client's file is registered at the index of its fd */
};

static void
client_close(struct sendloop *s, struct client *c)
{
    int none = -1;

    s->clients[c->fd] = NULL;
    if (s->ringing)
        (void)io_uring_register_files_update(&s->ring, (unsigned)c->fd, &none, 1);
    close(c->fd);
    peal_buf_fini(&c->in);
    peal_buf_fini(&c->out);
    free(c);
}

static void
watch_writable(struct sendloop *s, struct client *c, bool on)
{
    struct epoll_event ev = { .events = EPOLLIN | (on ? EPOLLOUT : 0u) };

    ev.data.ptr = c;
    (void)epoll_ctl(s->ep, EPOLL_CTL_MOD, c->fd, &ev);
}

/* Keeps what the kernel did not take of data, of which it took n or said -errno. false:
 * the connection is gone. */
static bool
client_sent(struct sendloop *s, struct client *c, const char *data, size_t len, ssize_t n)
{
    if ((size_t)n == len)
        return true;
    if (n < 0 && n != -EAGAIN)
        return false;
    watch_writable(s, c, true);
    n = n < 0 ? 0 : n;
    return peal_buf_add(&c->out, data + n, len - (size_t)n) == PEAL_OK;
}

static bool
client_send(struct sendloop *s, struct client *c, const char *data, size_t len)
{
    ssize_t n;

    if (c->out.len > 0)
        return peal_buf_add(&c->out, data, len) == PEAL_OK;
    n = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return client_sent(s, c, data, len, n < 0 ? -errno : n);
}

static bool
client_flush(struct sendloop *s, struct client *c)
{
    ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN;
    peal_buf_consume(&c->out, (size_t)n);
    if (c->out.len == 0) {
        watch_writable(s, c, false);
        peal_buf_fini(&c->out);
    }
    return true;
}

static const char *
find_key(const char *head, size_t len)
{
    static const char name[] = "sec-websocket-key:";
    const size_t n = sizeof(name) - 1;

    for (size_t i = 0; i + n + 24 <= len; i++) {
        if (strncasecmp(head + i, name, n) == 0) {
            const char *key = head + i + n;

            while (*key == ' ')
                key++;
            return key + 24 <= head + len ? key : NULL;
        }
    }
    return NULL;
}

static bool
client_upgrade(struct sendloop *s, struct client *c, const char *head, size_t len)
{
    const char *key = find_key(head, len);
    unsigned char digest[EVP_MAX_MD_SIZE];
    char joined[24 + sizeof(WS_GUID)], accept[32] = "", answer[256];
    int n;

    if (key == NULL)
        return false;
    memcpy(joined, key, 24);
    memcpy(joined + 24, WS_GUID, sizeof(WS_GUID));
    if (EVP_Digest(joined, sizeof(joined) - 1, digest, NULL, EVP_sha1(), NULL) != 1)
        return false;
    peal_base64_encode(digest, 20, accept);
    n = snprintf(answer, sizeof(answer),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Accept: %.28s\r\n\r\n",
        accept);
    c->upgraded = true;
    return client_send(s, c, answer, (size_t)n);
}

/* Appends an unmasked frame to what goes out at the end of the turn. */
static bool
turn_add(struct sendloop *s, uint8_t first, const char *payload, size_t len)
{
    char head[10];
    size_t n = 2;

    head[0] = (char)first;
    if (len < 126) {
        head[1] = (char)len;
    } else if (len < 65536) {
        head[1] = 126;
        head[2] = (char)(len >> 8);
        head[3] = (char)len;
        n = 4;
    } else {
        head[1] = 127;
        for (int i = 0; i < 8; i++)
            head[2 + i] = (char)(len >> (56 - 8 * i));
        n = 10;
    }
    return peal_buf_add(&s->turn, head, n) == PEAL_OK &&
           peal_buf_add(&s->turn, payload, len) == PEAL_OK;
}

/* One masked frame at p: 0 when it is not complete, otherwise its length on the wire. */
static size_t
take_frame(struct sendloop *s, char *p, size_t len, bool *closed_out)
{
    const uint8_t *u = (const uint8_t *)p;
    size_t head = 2, n, i;

    if (len < 2)
        return 0;
    n = u[1] & 0x7f;
    if (n == 126)
        head = 4;
    else if (n == 127)
        head = 10;
    if (len < head + 4)
        return 0;
    if (head > 2) {
        for (n = 0, i = 2; i < head; i++)
            n = n << 8 | u[i];
    }
    if (n > READ_BYTES / 2 || (u[1] & 0x80) == 0 || (u[0] & 0x0f) == 8) {
        *closed_out = true;
        return 0;
    }
    if (len < head + 4 + n)
        return 0;
    for (i = 0; i < n; i++)
        p[head + 4 + i] ^= p[head + (i & 3)];
    if ((u[0] & 0x0f) < 8 && !turn_add(s, u[0], p + head + 4, n))
        *closed_out = true;
    return head + 4 + n;
}

/* Eats what is complete in data; used_out says how much that was. */
static bool
client_eat(struct sendloop *s, struct client *c, char *data, size_t len, size_t *used_out)
{
    size_t used = 0, n;
    bool closed = false;

    if (!c->upgraded) {
        char *end = memmem(data, len, "\r\n\r\n", 4);

        if (end == NULL) {
            *used_out = 0;
            return len < READ_BYTES / 2;
        }
        used = (size_t)(end - data) + 4;
        if (!client_upgrade(s, c, data, used))
            return false;
    }
    while (!closed && (n = take_frame(s, data + used, len - used, &closed)) > 0)
        used += n;
    *used_out = used;
    return !closed;
}

static bool
client_read(struct sendloop *s, struct client *c)
{
    size_t have = c->in.len, used = 0;
    ssize_t n;

    if (have > 0)
        memcpy(s->scratch, c->in.data, have);
    n = recv(c->fd, s->scratch + have, READ_BYTES - have, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0 || !client_eat(s, c, s->scratch, have + (size_t)n, &used))
        return false;
    peal_buf_fini(&c->in);
    if (s->echo && s->turn.len > 0) {
        if (!client_send(s, c, s->turn.data, s->turn.len))
            return false;
        s->turn.len = 0;
    }
    if (used == have + (size_t)n)
        return true;
    return peal_buf_add(&c->in, s->scratch + used, have + (size_t)n - used) == PEAL_OK;
}

static void
accept_all(struct sendloop *s)
{
    int fd, one = 1;

    while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *c = fd < FDS_MAX ? calloc(1, sizeof(*c)) : NULL;
        struct epoll_event ev = { .events = EPOLLIN };

        if (c == NULL) {
            close(fd);
            continue;
        }
        c->fd = fd;
        ev.data.ptr = c;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        s->clients[fd] = c;
        s->fd_max = fd > s->fd_max ? fd : s->fd_max;
        if (epoll_ctl(s->ep, EPOLL_CTL_ADD, fd, &ev) != 0 ||
            (s->ringing &&
                io_uring_register_files_update(&s->ring, (unsigned)fd, &fd, 1) != 1))
            client_close(s, c);
    }
}

/* Sends the batch that is prepared; sends finish inline, so all have been answered. */
static void
ring_submit(struct sendloop *s)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;

    (void)io_uring_submit_and_get_events(&s->ring);
    io_uring_for_each_cqe(&s->ring, head, cqe)
    {
        struct client *c = io_uring_cqe_get_data(cqe);

        n++;
        if (!client_sent(s, c, s->turn.data, s->turn.len, cqe->res))
            client_close(s, c);
    }
    io_uring_cq_advance(&s->ring, n);
}

static void
ring_broadcast(struct sendloop *s)
{
    unsigned n = 0;

    for (int fd = 0; fd <= s->fd_max; fd++) {
        struct client *c = s->clients[fd];
        struct io_uring_sqe *sqe;

        if (c == NULL || !c->upgraded)
            continue;
        if (c->out.len > 0) {
            if (!client_send(s, c, s->turn.data, s->turn.len))
                client_close(s, c);
            continue;
        }
        sqe = io_uring_get_sqe(&s->ring);
        io_uring_prep_send(
            sqe, fd, s->turn.data, s->turn.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        sqe->flags |= IOSQE_FIXED_FILE;
        io_uring_sqe_set_data(sqe, c);
        if (++n % BATCH == 0)
            ring_submit(s);
    }
    ring_submit(s);
    s->turn.len = 0;
}

static bool
ring_open(struct sendloop *s)
{
    s->ringing = io_uring_queue_init(BATCH, &s->ring,
                     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) == 0 &&
                 io_uring_register_files_sparse(&s->ring, 20000) == 0;
    return s->ringing;
}

static void
broadcast_turn(struct sendloop *s)
{
    for (int fd = 0; fd <= s->fd_max; fd++) {
        struct client *c = s->clients[fd];

        if (c != NULL && c->upgraded && !client_send(s, c, s->turn.data, s->turn.len))
            client_close(s, c);
    }
    s->turn.len = 0;
}

static void
serve(struct sendloop *s)
{
    struct epoll_event events[EVENTS_MAX];

    for (;;) {
        int n = epoll_wait(s->ep, events, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            bool alive = true;

            if (c == NULL) {
                accept_all(s);
                continue;
            }
            if (events[i].events & EPOLLOUT)
                alive = client_flush(s, c);
            if (alive && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                alive = client_read(s, c);
            if (!alive)
                client_close(s, c);
        }
        if (s->turn.len > 0 && s->ringing)
            ring_broadcast(s);
        else if (s->turn.len > 0)
            broadcast_turn(s);
    }
}

static int
listen_on(uint16_t port)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 && listen(fd, 4096) == 0)
        return fd;
    close(fd);
    return -1;
}

int
main(int argc, char **argv)
{
    struct sendloop s = { .fd_max = 0 };
    struct epoll_event ev = { .events = EPOLLIN };
    struct rlimit files;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: sendloop PORT [ring|echo]\n");
        return 2;
    }
    s.echo = argc == 3 && strcmp(argv[2], "echo") == 0;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    s.listener = listen_on((uint16_t)atoi(argv[1]));
    s.ep = epoll_create1(EPOLL_CLOEXEC);
    s.clients = calloc(FDS_MAX, sizeof(struct client *));
    s.scratch = malloc(READ_BYTES);
    if (s.listener < 0 || s.ep < 0 || s.clients == NULL || s.scratch == NULL ||
        epoll_ctl(s.ep, EPOLL_CTL_ADD, s.listener, &ev) != 0 ||
        (argc == 3 && !s.echo && !ring_open(&s))) {
        perror("sendloop");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    serve(&s);
    return 0;
}

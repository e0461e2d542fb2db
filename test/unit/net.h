/* SPDX-License-Identifier: MIT */
/* A client's end of a connection to a server under test: blocking, over loopback, plain
 * or TLS. What does not come within NET_PATIENCE_S fails the test instead of hanging it.
 */
#ifndef TEST_NET_H
#define TEST_NET_H

#include "check.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"

#define NET_PATIENCE_S 20

struct client {
    int fd;
    SSL *ssl;
    struct peal_buf in; /* received, not yet looked at */
};

struct response {
    int status;
    struct peal_buf head; /* with its blank line; a zero follows */
    struct peal_buf body;
};

/* Connects, also where the call is interrupted: then it goes on by itself, and is asked
 * again. */
static inline bool
connect_to(int fd, const struct sockaddr_in *to)
{
    while (connect(fd, (const struct sockaddr *)to, sizeof(*to)) != 0) {
        struct pollfd p = { .fd = fd, .events = POLLOUT };

        if (errno == EISCONN)
            return true;
        if (errno != EINTR && errno != EALREADY)
            return false;
        poll(&p, 1, NET_PATIENCE_S * 1000);
    }
    return true;
}

/* rcvbuf 0: as the system has it. */
static inline struct client
client_of(uint16_t port, int rcvbuf)
{
    struct client c = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct timeval patience = { .tv_sec = NET_PATIENCE_S };

    CHECK(c.fd >= 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    CHECK_INT(setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    if (rcvbuf > 0)
        CHECK_INT(setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)), 0);
    CHECK(connect_to(c.fd, &to));
    return c;
}

static inline void
client_close(struct client *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    peal_buf_fini(&c->in);
}

/* A blocking call may come back early: io_uring interrupts who once made a ring. */
static inline bool
try_again(const struct client *c, int result)
{
    int e = c->ssl ? SSL_get_error(c->ssl, result) : SSL_ERROR_NONE;

    return c->ssl
               ? (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) && errno == EINTR
               : result < 0 && errno == EINTR;
}

static inline void
say_bytes(struct client *c, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n =
            c->ssl ? SSL_write(c->ssl, p, (int)len) : send(c->fd, p, len, MSG_NOSIGNAL);

        if (n <= 0 && try_again(c, (int)n))
            continue;
        CHECK(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

static inline void
say(struct client *c, const char *text)
{
    say_bytes(c, text, strlen(text));
}

/* More bytes into c->in. false: the peer has closed. */
static inline bool
hear_more(struct client *c)
{
    ssize_t n;

    CHECK_OK(peal_buf_reserve(&c->in, 65536));
    do
        n = c->ssl ? SSL_read(c->ssl, c->in.data + c->in.len, 65536)
                   : recv(c->fd, c->in.data + c->in.len, 65536, 0);
    while (n <= 0 && try_again(c, (int)n));
    if (n < 0 && c->ssl == NULL) {
        if (errno != ECONNRESET)
            print_error("nothing came: %s\n", strerror(errno));
        CHECK_INT(errno, ECONNRESET);
    }
    if (n <= 0)
        return false;
    c->in.len += (size_t)n;
    return true;
}

/* Takes n bytes off c->in, waiting for them, and adds them to out. */
static inline void
hear_bytes(struct client *c, size_t n, struct peal_buf *out)
{
    while (c->in.len < n)
        CHECK(hear_more(c));
    CHECK_OK(peal_buf_add(out, c->in.data, n));
    peal_buf_consume(&c->in, n);
}

/* Everything up to the end; returns how many bytes. */
static inline size_t
hear_end(struct client *c)
{
    while (hear_more(c))
        continue;
    return c->in.len;
}

/* The value of a field of r->head, up to the line's end; NULL: absent. */
static inline const char *
field_of(const struct response *r, const char *name)
{
    static char value[512];
    char line[64];
    const char *at;

    snprintf(line, sizeof(line), "\r\n%s: ", name);
    if ((at = strcasestr(r->head.data, line)) == NULL)
        return NULL;
    at += strlen(line);
    snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

/* One answer. with_body false: to a HEAD, or one that has none. */
static inline struct response
hear_head(struct client *c, bool with_body)
{
    struct response r = { 0 };
    const char *end;

    while (c->in.len == 0 || (end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4)) == NULL)
        CHECK(hear_more(c));
    hear_bytes(c, (size_t)(end - c->in.data) + 4, &r.head);
    CHECK_OK(peal_buf_add_char(&r.head, 0));
    CHECK_INT(sscanf(r.head.data, "HTTP/1.1 %d", &r.status), 1);
    if (with_body && field_of(&r, "Content-Length") != NULL)
        hear_bytes(c, strtoul(field_of(&r, "Content-Length"), NULL, 10), &r.body);
    return r;
}

static inline void
response_fini(struct response *r)
{
    peal_buf_fini(&r->head);
    peal_buf_fini(&r->body);
}

/* One answer is that, and nothing is said of the rest. */
static inline void
expect_answer(struct client *c, int status, const char *body, int line)
{
    struct response r = hear_head(c, true);

    if (r.status != status ||
        (body != NULL && !peal_slice_eq(peal_buf_slice(&r.body), peal_slice_str(body)))) {
        print_error("line %d: %s%.*s\n", line, r.head.data, (int)r.body.len, r.body.data);
        fail();
    }
    response_fini(&r);
}

#define EXPECT(c, status, body) expect_answer((c), (status), (body), __LINE__)

/* The connection ends here, and nothing comes before that. */
static inline void
expect_end(struct client *c, int line)
{
    if (hear_end(c) > 0) {
        print_error("line %d: more came: %.*s\n", line, (int)c->in.len, c->in.data);
        fail();
    }
}

#define EXPECT_END(c) expect_end((c), __LINE__)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One blocking HTTP request. It is HTTP/1.0, so that the answer ends with the connection
 * and is never chunked.
 */
#include "cli/http_call.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST_MAX 256
#define PORT_MAX 8

static PEAL_PRINTF(3, 4) peal_err
    fail_with(struct peal_buf *why, peal_err err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (peal_buf_vprintf(why, fmt, ap) != PEAL_OK)
        err = PEAL_ENOMEM;
    va_end(ap);
    return err;
}

static int
open_socket(int family, const struct sockaddr *addr, socklen_t len)
{
    const struct timeval limit = { .tv_sec = PEAL_HTTP_CALL_TIMEOUT_S };
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), kept;

    if (fd < 0)
        return -1;
    /* On Linux the limit for sending holds for connect, too. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, addr, len) == 0)
        return fd;
    kept = errno;
    close(fd);
    errno = kept;
    return -1;
}

static peal_err
connect_unix(const char *server, int *fd_out, struct peal_buf *why)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    if (server[5] != '/' || strlen(server + 5) >= sizeof(un.sun_path))
        return fail_with(why, PEAL_EINVAL, "%s: expected unix:/path", server);
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", server + 5);
    *fd_out = open_socket(AF_UNIX, (const struct sockaddr *)&un, sizeof(un));
    if (*fd_out < 0)
        return fail_with(why, PEAL_EIO, "%s: %s", server, strerror(errno));
    return PEAL_OK;
}

/* Cuts "http://host:port/" into its parts; authority is for the Host field. */
static bool
cut_url(const char *server, char authority[HOST_MAX], char host[HOST_MAX],
    char port[PORT_MAX])
{
    struct peal_slice rest = peal_slice_skip(peal_slice_str(server), 7), part;
    const char *colon;
    size_t end;

    part = peal_slice_cut(&rest, '/');
    if (part.len == 0 || part.len >= HOST_MAX || rest.len > 0)
        return false;
    snprintf(authority, HOST_MAX, "%.*s", (int)part.len, part.data);
    colon = strrchr(authority, ':');
    if (colon != NULL && strchr(colon, ']') != NULL)
        colon = NULL; /* inside of [::1] */
    end = colon != NULL ? (size_t)(colon - authority) : part.len;
    if (colon != NULL && (colon[1] == '\0' || strlen(colon + 1) > 5))
        return false;
    snprintf(port, PORT_MAX, "%s", colon != NULL ? colon + 1 : "80");
    if (authority[0] == '[' && end > 2 && authority[end - 1] == ']')
        snprintf(host, HOST_MAX, "%.*s", (int)end - 2, authority + 1);
    else
        snprintf(host, HOST_MAX, "%.*s", (int)end, authority);
    return host[0] != '\0' && strpbrk(authority, " \t\r\n@?#") == NULL;
}

static peal_err
connect_tcp(
    const char *server, char authority[HOST_MAX], int *fd_out, struct peal_buf *why)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
    char host[HOST_MAX], port[PORT_MAX];
    int failed;

    if (strncmp(server, "https://", 8) == 0)
        return fail_with(why, PEAL_EINVAL,
            "%s: this command does not speak TLS; use curl, or a plain address of the "
            "node",
            server);
    if (strncmp(server, "http://", 7) != 0 || !cut_url(server, authority, host, port))
        return fail_with(
            why, PEAL_EINVAL, "%s: expected http://host:port or unix:/path", server);
    if ((failed = getaddrinfo(host, port, &hints, &list)) != 0)
        return fail_with(why, PEAL_EIO, "%s: %s", server, gai_strerror(failed));
    for (const struct addrinfo *ai = list; ai != NULL && *fd_out < 0; ai = ai->ai_next)
        *fd_out = open_socket(ai->ai_family, ai->ai_addr, ai->ai_addrlen);
    failed = errno;
    freeaddrinfo(list);
    if (*fd_out < 0)
        return fail_with(why, PEAL_EIO, "%s: %s", server,
            failed == EINPROGRESS ? "timed out" : strerror(failed));
    return PEAL_OK;
}

static peal_err
send_all(int fd, struct peal_slice s, struct peal_buf *why)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.data, s.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_with(why, PEAL_EIO, "sending: %s", strerror(errno));
        s = peal_slice_skip(s, (size_t)n);
    }
    return PEAL_OK;
}

static peal_err
receive_all(int fd, struct peal_buf *in, struct peal_buf *why)
{
    for (;;) {
        ssize_t n;

        if (in->len > PEAL_HTTP_CALL_ANSWER_MAX)
            return fail_with(why, PEAL_ELIMIT, "the answer is too large");
        if (peal_buf_reserve(in, 4096) != PEAL_OK)
            return PEAL_ENOMEM;
        n = recv(fd, in->data + in->len, 4096, 0);
        if (n == 0)
            return PEAL_OK;
        if (n > 0)
            in->len += (size_t)n;
        else if (errno == EAGAIN)
            return fail_with(
                why, PEAL_ETIMEOUT, "no answer in %d seconds", PEAL_HTTP_CALL_TIMEOUT_S);
        else if (errno != EINTR)
            return fail_with(why, PEAL_EIO, "receiving: %s", strerror(errno));
    }
}

/* "HTTP/1.1 200 OK", fields, an empty line, the body. */
static peal_err
parse(struct peal_slice in, unsigned *status_out, struct peal_buf *answer,
    struct peal_buf *why)
{
    const char *end;
    uint64_t status;

    if (in.data == NULL || in.len < 12 ||
        (end = memmem(in.data, in.len, "\r\n\r\n", 4)) == NULL ||
        !peal_slice_starts(in, PEAL_S("HTTP/1.")) ||
        peal_slice_u64(peal_slice_of(in.data + 9, 3), 999, &status) != PEAL_OK)
        return fail_with(why, PEAL_EPROTO, "%s",
            in.len == 0 ? "the connection was closed without an answer"
                        : "the answer is not HTTP");
    *status_out = (unsigned)status;
    return peal_buf_add_slice(answer, peal_slice_skip(in, (size_t)(end - in.data) + 4));
}

peal_err
peal_http_call(const char *server, const char *key, const char *path,
    struct peal_slice body, unsigned *status_out, struct peal_buf *answer,
    struct peal_buf *why)
{
    struct peal_buf out = { 0 }, in = { 0 };
    char authority[HOST_MAX] = "localhost";
    int fd = -1;
    peal_err err = strncmp(server, "unix:", 5) == 0
                       ? connect_unix(server, &fd, why)
                       : connect_tcp(server, authority, &fd, why);

    if (err == PEAL_OK)
        err = peal_buf_printf(&out,
            "POST %s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\n"
            "Content-Length: %zu\r\n",
            path, authority, body.len);
    if (err == PEAL_OK && key != NULL)
        err = peal_buf_printf(&out, "Authorization: Bearer %s\r\n", key);
    if (err == PEAL_OK)
        err = peal_buf_add_slice(&out, PEAL_S("\r\n"));
    if (err == PEAL_OK)
        err = peal_buf_add_slice(&out, body);
    if (err == PEAL_OK)
        err = send_all(fd, peal_buf_slice(&out), why);
    if (err == PEAL_OK)
        err = receive_all(fd, &in, why);
    if (err == PEAL_OK)
        err = parse(peal_buf_slice(&in), status_out, answer, why);
    if (fd >= 0)
        close(fd);
    peal_buf_fini(&out);
    peal_buf_fini(&in);
    return err;
}

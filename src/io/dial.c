/* SPDX-License-Identifier: MIT */
/*
 * Dialling. What is no numeric address is looked up (io/resolve.h); then one address
 * after the other is tried until one answers.
 *
 * A dial that is over may still be in libuv's hands, with a handle being closed; it is
 * released when libuv lets go of it.
 */
#include "io/dial.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/loop_priv.h"
#include "io/resolve.h"
#include "io/sock_priv.h"

struct peal_dial {
    struct peal_link link; /* on the loop's list until it is over */
    struct peal_loop *loop;
    peal_dial_fn *fn;
    void *arg;
    struct peal_timer timer;     /* the deadline, or a failure to be told later */
    peal_err err;                /* what the timer tells */
    struct peal_lookup *lookup;  /* NULL: none is under way */
    struct addrinfo *all, *next; /* what the name stands for; the next one to try */
    uv_poll_t poll;
    int fd;       /* being connected, or -1 */
    bool polling; /* libuv has the handle */
    struct sockaddr_un un;
};

static void try_next(struct peal_dial *d);

static void
dial_release(struct peal_dial *d)
{
    if (d->all != NULL)
        freeaddrinfo(d->all);
    free(d);
}

/* No more of it is told. Released now, or by the callback that is still to come. */
static void
dial_end(struct peal_dial *d)
{
    peal_list_unlink(&d->link);
    peal_timer_stop(&d->timer);
    peal_resolve_cancel(&d->lookup);
    if (!d->polling)
        dial_release(d);
}

static bool
is_over(const struct peal_dial *d)
{
    return !peal_list_linked(&d->link);
}

static void
dial_on_poll_closed(uv_handle_t *h)
{
    struct peal_dial *d = PEAL_CONTAINER(h, struct peal_dial, poll);

    d->polling = false;
    if (is_over(d))
        dial_release(d);
    else
        try_next(d);
}

/* Stops watching the socket and hands it to the caller. */
static int
let_go(struct peal_dial *d)
{
    int fd = d->fd;

    d->fd = -1;
    uv_close((uv_handle_t *)&d->poll, dial_on_poll_closed);
    return fd;
}

static void
dial_tell(struct peal_dial *d, peal_err err, int fd)
{
    peal_dial_fn *fn = d->fn;
    void *arg = d->arg;

    dial_end(d);
    fn(arg, err, fd);
}

static void
dial_on_timer(struct peal_timer *t)
{
    struct peal_dial *d = PEAL_CONTAINER(t, struct peal_dial, timer);

    if (d->fd >= 0)
        close(let_go(d));
    dial_tell(d, d->err, -1);
}

static void
fail_later(struct peal_dial *d, peal_err err)
{
    d->err = err;
    peal_loop_start(d->loop, &d->timer, 0);
}

static void
dial_on_poll(uv_poll_t *p, int status, int events)
{
    struct peal_dial *d = PEAL_CONTAINER(p, struct peal_dial, poll);
    int error = 0, fd = let_go(d);
    socklen_t len = sizeof(error);

    peal_loop_enter(d->loop);
    /* The status of the poll says no more than this. */
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0)
        dial_tell(d, PEAL_OK, fd);
    else
        close(fd); /* and once the handle is closed, the next address */
}

/* true: connecting, or connected already; on_poll will say which. */
static bool
try_address(struct peal_dial *d, const struct sockaddr *to, socklen_t len)
{
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    if (to->sa_family != AF_UNIX)
        peal_sock_tune(fd);
    /* Interrupted, it goes on by itself all the same. */
    if ((connect(fd, to, len) < 0 && errno != EINPROGRESS && errno != EINTR) ||
        uv_poll_init(&d->loop->uv, &d->poll, fd) < 0) {
        close(fd);
        return false;
    }
    d->fd = fd;
    d->polling = true;
    uv_poll_start(&d->poll, UV_WRITABLE, dial_on_poll);
    return true;
}

static void
try_next(struct peal_dial *d)
{
    while (d->next != NULL) {
        const struct addrinfo *a = d->next;

        d->next = a->ai_next;
        if (try_address(d, a->ai_addr, a->ai_addrlen))
            return;
    }
    fail_later(d, PEAL_EIO);
}

static void
dial_on_resolved(void *arg, struct addrinfo *all)
{
    struct peal_dial *d = arg;

    d->lookup = NULL;
    d->all = d->next = all;
    if (all == NULL)
        fail_later(d, PEAL_ENOTFOUND);
    else
        try_next(d);
}

static peal_err
resolve(struct peal_dial *d, const char *host, uint16_t port)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    char service[8];
    peal_err err;

    snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(host, service, &hints, &d->all) == 0) {
        d->next = d->all;
        try_next(d);
        return PEAL_OK;
    }
    d->all = NULL;
    err = peal_resolve(
        d->loop, &d->loop->resolver, host, service, dial_on_resolved, d, &d->lookup);
    if (err == PEAL_ELIMIT || err == PEAL_EIO) {
        fail_later(d, PEAL_EIO);
        return PEAL_OK;
    }
    return err;
}

static peal_err
dial_unix(struct peal_dial *d, const char *path)
{
    size_t len = strlen(path);

    if (len >= sizeof(d->un.sun_path))
        return PEAL_EINVAL;
    d->un.sun_family = AF_UNIX;
    memcpy(d->un.sun_path, path, len);
    if (!try_address(d, (const struct sockaddr *)&d->un, sizeof(d->un)))
        fail_later(d, PEAL_EIO);
    return PEAL_OK;
}

peal_err
peal_dial(struct peal_loop *loop, const char *host, uint16_t port, uint64_t timeout_ms,
    peal_dial_fn *fn, void *arg, struct peal_dial **out)
{
    struct peal_dial *d = calloc(1, sizeof(*d));
    peal_err err;

    if (d == NULL)
        return PEAL_ENOMEM;
    d->loop = loop;
    d->fn = fn;
    d->arg = arg;
    d->fd = -1;
    d->err = PEAL_ETIMEOUT;
    d->timer.fn = dial_on_timer;
    peal_list_append(&loop->dials, &d->link);
    peal_loop_start(loop, &d->timer, timeout_ms);
    err = host[0] == '/' ? dial_unix(d, host) : resolve(d, host, port);
    if (err != PEAL_OK) {
        dial_end(d);
        return err;
    }
    *out = d;
    return PEAL_OK;
}

void
peal_dial_cancel(struct peal_dial **dp)
{
    struct peal_dial *d = *dp;

    if (d == NULL)
        return;
    *dp = NULL;
    if (d->fd >= 0)
        close(let_go(d));
    dial_end(d);
}

void
peal_dial_cancel_all(struct peal_loop *loop)
{
    while (!peal_list_empty(&loop->dials)) {
        struct peal_dial *d = PEAL_CONTAINER(loop->dials.next, struct peal_dial, link);

        peal_dial_cancel(&d);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Connections: their life, from a socket to its end. Reading is in conn_read.c, sending
 * in conn_send.c, TLS handshakes in conn_tls.c.
 *
 *      start_tls     .-----------.  a limit is passed, no memory   .--------.
 *     .------------- |   OPEN    | ------------------------------> | DOOMED |
 *     v              '-----------'                                 '--------'
 *   .-----------. done ^   |   |                                     ^    |
 *   | HANDSHAKE | -----'   |   | finish, or the peer sends no more   |    | end of
 *   '-----------' ---------|---|-------------------------------------'    | the turn
 *     |                    |   v                                          |
 *     |                    | .----------. all is written .------.         |
 *     |                    | | FLUSHING | -------------> | SHUT |         |
 *     |                    | '----------'                '------'         |
 *     |   close, or the    |      | the peer is slow,       | the peer    |
 *     v   peer is gone     v      v or gone                 v closes      v
 *   .--------------------------------------------------------------------------.
 *   |                                 CLOSED                                    |
 *   '--------------------------------------------------------------------------'
 *
 * In the upper row c has an owner, who is told if it comes to CLOSED by itself. Nobody is
 * told from inside a send: that is what DOOMED is for. A closed connection's memory goes
 * once libuv has let go of its handle, so it can be looked at until the turn is over.
 */
#include "io/conn.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/conn_priv.h"
#include "io/outq_priv.h"

static const enum peal_stat closed_stat[] = {
    [PEAL_CLOSE_PEER] = PEAL_STAT_CLOSED_PEER,
    [PEAL_CLOSE_LOCAL] = PEAL_STAT_CLOSED_LOCAL,
    [PEAL_CLOSE_ERROR] = PEAL_STAT_CLOSED_ERROR,
    [PEAL_CLOSE_TIMEOUT] = PEAL_STAT_CLOSED_TIMEOUT,
    [PEAL_CLOSE_SLOW] = PEAL_STAT_CLOSED_SLOW,
    [PEAL_CLOSE_PROTO] = PEAL_STAT_CLOSED_PROTO,
    [PEAL_CLOSE_MEMORY] = PEAL_STAT_CLOSED_MEMORY,
};

#define TO(state) (1u << (state))

/* The states that each state may lead to. */
static const uint8_t edges[] = {
    [PEAL_CONN_OPEN] = TO(PEAL_CONN_HANDSHAKE) | TO(PEAL_CONN_DOOMED) |
                       TO(PEAL_CONN_FLUSHING) | TO(PEAL_CONN_CLOSED),
    [PEAL_CONN_HANDSHAKE] =
        TO(PEAL_CONN_OPEN) | TO(PEAL_CONN_DOOMED) | TO(PEAL_CONN_CLOSED),
    [PEAL_CONN_DOOMED] = TO(PEAL_CONN_CLOSED),
    [PEAL_CONN_FLUSHING] = TO(PEAL_CONN_SHUT) | TO(PEAL_CONN_CLOSED),
    [PEAL_CONN_SHUT] = TO(PEAL_CONN_CLOSED),
    [PEAL_CONN_CLOSED] = 0,
};

void
peal_conn_set_state(struct peal_conn *c, enum peal_conn_state to)
{
    PEAL_ASSERT((edges[c->state] & TO(to)) != 0);
    c->state = to & 7;
}

struct peal_loop *
peal_conn_loop(const struct peal_conn *c)
{
    return peal_conn_loop_of(c);
}

void *
peal_conn_owner(const struct peal_conn *c)
{
    return c->poll.data;
}

void
peal_conn_set_owner(struct peal_conn *c, const struct peal_conn_ops *ops, void *owner)
{
    PEAL_ASSERT(peal_conn_has_owner(c));
    c->ops = ops;
    c->poll.data = owner;
}

bool
peal_conn_is_owned(const struct peal_conn *c)
{
    return peal_conn_has_owner(c);
}

static void
conn_on_poll(uv_poll_t *p, int status, int events)
{
    struct peal_conn *c = PEAL_CONTAINER(p, struct peal_conn, poll);

    peal_loop_enter(peal_conn_loop_of(c));
    if (status < 0) { /* the socket has failed, and libuv has stopped watching it */
        c->events = 0;
        if (!peal_conn_reads(c)) { /* nobody will read to the end of it */
            peal_conn_die(c, PEAL_CLOSE_PEER);
            return;
        }
    }
    if (c->state == PEAL_CONN_HANDSHAKE) {
        peal_conn_on_handshake(c, status);
        return;
    }
    if (c->state == PEAL_CONN_DOOMED)
        return;
    if (c->tls_want_write && (events & UV_WRITABLE)) {
        c->tls_want_write = 0;
        events |= UV_READABLE;
    }
    if ((events & UV_WRITABLE) && c->out != NULL)
        peal_conn_flush(c);
    if (c->state != PEAL_CONN_CLOSED && ((events & UV_READABLE) || status < 0))
        peal_conn_read(c);
    peal_conn_watch(c);
}

void
peal_conn_watch(struct peal_conn *c)
{
    int events = 0;

    if (c->state == PEAL_CONN_CLOSED || c->tls_waits)
        return;
    if ((peal_conn_reads(c) || c->state == PEAL_CONN_HANDSHAKE) && !c->eof)
        events |= UV_READABLE;
    if (c->stalled || c->tls_want_write)
        events |= UV_WRITABLE;
    if (events == (int)c->events)
        return;
    c->events = (unsigned)events & 7;
    if (events == 0)
        uv_poll_stop(&c->poll);
    else
        uv_poll_start(&c->poll, events, conn_on_poll);
}

/* The counter of connections of its kind for the process, or NULL. */
static _Atomic int64_t *
counter_of(const struct peal_conn *c)
{
    const struct peal_loop_config *config = &peal_conn_loop_of(c)->config;

    return c->inner ? config->inner : config->open;
}

static void
count(struct peal_conn *c, int by)
{
    peal_stat_add(peal_conn_stats(c),
        c->inner ? PEAL_STAT_INNER_CONNECTIONS : PEAL_STAT_CONNECTIONS, by);
}

static void
add_to(_Atomic int64_t *counter, int by)
{
    if (counter != NULL)
        atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static void
conn_on_released(uv_handle_t *h)
{
    struct peal_conn *c = PEAL_CONTAINER(h, struct peal_conn, poll);

    peal_conn_drop_kept(c);
    free(c);
}

/* Leaves every list and has libuv let go; the socket itself stays as it is. */
static void
conn_release(struct peal_conn *c)
{
    peal_conn_drop_queue(c);
    peal_list_unlink(&c->dirty);
    peal_conn_stop_waiting(c);
    peal_list_unlink(&c->unread);
    uv_poll_stop(&c->poll);
    peal_conn_set_state(c, PEAL_CONN_CLOSED);
    c->fd = -1;
    c->stalled = 0;
    count(c, -1);
    uv_close((uv_handle_t *)&c->poll, conn_on_released);
}

peal_err
peal_conn_new(struct peal_loop *loop, int fd, enum peal_conn_kind kind,
    const struct peal_conn_ops *ops, void *owner, struct peal_conn **out)
{
    struct peal_conn *c = calloc(1, sizeof(*c));

    PEAL_ASSERT_ON_LOOP(loop);
    if (c == NULL)
        return PEAL_ENOMEM;
    if (uv_poll_init(&loop->uv, &c->poll, fd) < 0) {
        free(c);
        return PEAL_EIO;
    }
    c->fd = fd;
    c->ops = ops;
    c->poll.data = owner;
    c->inner = kind == PEAL_CONN_INNER;
    count(c, 1);
    add_to(counter_of(c), 1);
    peal_conn_watch(c);
    *out = c;
    return PEAL_OK;
}

void
peal_conn_close(struct peal_conn *c, enum peal_close why)
{
    int fd = c->fd;

    if (c->state == PEAL_CONN_CLOSED)
        return;
    PEAL_ASSERT_ON_LOOP(peal_conn_loop_of(c));
    peal_stat_add(peal_conn_stats(c), closed_stat[why], 1);
    add_to(counter_of(c), -1);
    peal_ssl_free(c->ssl);
    c->ssl = NULL;
    conn_release(c);
    close(fd);
}

void
peal_conn_die(struct peal_conn *c, enum peal_close why)
{
    const struct peal_conn_ops *ops = c->ops;

    if (c->state == PEAL_CONN_CLOSED)
        return;
    if (!peal_conn_has_owner(c)) {
        peal_conn_close(c, (enum peal_close)c->why);
        return;
    }
    peal_conn_close(c, why);
    ops->closed(c, why);
}

void
peal_conn_doom(struct peal_conn *c, enum peal_close why)
{
    if (c->state != PEAL_CONN_OPEN && c->state != PEAL_CONN_HANDSHAKE)
        return;
    peal_conn_stop_waiting(c);
    peal_conn_set_state(c, PEAL_CONN_DOOMED);
    c->why = why & 7;
    c->corked = 0;
    peal_conn_mark_dirty(c);
}

void
peal_conn_disown(struct peal_conn *c, enum peal_close why)
{
    peal_conn_set_state(c, PEAL_CONN_FLUSHING);
    c->why = why & 7;
    c->peek = 0; /* there is nobody to look */
    peal_conn_drop_kept(c);
    peal_list_unlink(&c->unread);
}

void
peal_conn_finish(struct peal_conn *c, enum peal_close why)
{
    if (!peal_conn_has_owner(c))
        return;
    PEAL_ASSERT_ON_LOOP(peal_conn_loop_of(c));
    /* The queue has the timer that bounds what follows. */
    if (c->state != PEAL_CONN_OPEN || peal_conn_queue(c) == NULL) {
        peal_conn_close(c, why);
        return;
    }
    peal_conn_disown(c, why);
    c->corked = 0;
    peal_conn_mark_dirty(c);
    peal_conn_watch(c);
}

peal_err
peal_conn_detach(
    struct peal_conn *c, struct peal_slice unread, struct peal_conn_parts *out)
{
    struct peal_buf in = { 0 };

    PEAL_ASSERT(c->state == PEAL_CONN_OPEN && c->out == NULL);
    if (peal_buf_add_slice(&in, unread) != PEAL_OK ||
        peal_buf_add_slice(&in, peal_conn_unread(c)) != PEAL_OK) {
        peal_buf_fini(&in);
        return PEAL_ENOMEM;
    }
    *out = (struct peal_conn_parts){ .fd = c->fd,
        .ssl = c->ssl,
        .unread = in,
        .open = counter_of(c),
        .kind = c->inner ? PEAL_CONN_INNER : PEAL_CONN_CLIENT };
    c->ssl = NULL;
    conn_release(c);
    return PEAL_OK;
}

peal_err
peal_conn_adopt(struct peal_loop *loop, struct peal_conn_parts *parts,
    const struct peal_conn_ops *ops, void *owner, struct peal_conn **out)
{
    peal_err err = peal_conn_new(loop, parts->fd, parts->kind, ops, owner, out);
    struct peal_conn *c;

    if (err != PEAL_OK) {
        peal_conn_parts_fini(parts);
        return err;
    }
    add_to(parts->open, -1); /* it was counted already */
    c = *out;
    c->ssl = parts->ssl;
    if (peal_conn_keep(c, &parts->unread) != PEAL_OK) {
        peal_conn_close(c, PEAL_CLOSE_MEMORY);
        return PEAL_ENOMEM;
    }
    peal_conn_read_again(c);
    return PEAL_OK;
}

void
peal_conn_parts_fini(struct peal_conn_parts *parts)
{
    add_to(parts->open, -1);
    peal_ssl_free(parts->ssl);
    close(parts->fd);
    peal_buf_fini(&parts->unread);
}

/* An owner should have closed this one: names the other side in the log. */
static void
report_leak(struct peal_conn *c)
{
    struct sockaddr_storage peer = { 0 };
    socklen_t len = sizeof(peer);
    char host[NI_MAXHOST] = "unknown", port[NI_MAXSERV] = "";

    if (getpeername(c->fd, (struct sockaddr *)&peer, &len) == 0)
        (void)getnameinfo((struct sockaddr *)&peer, len, host, sizeof(host), port,
            sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    peal_log(peal_conn_loop_of(c)->config.log, PEAL_LOG_WARN,
        "a connection was not closed by its owner", "peer=%s port=%s", host, port);
}

/* There is no list of connections, which would cost each of them two pointers: libuv
 * knows its handles, and a connection is told from others by its callback. */
static void
conn_close_handle(uv_handle_t *h, void *loop)
{
    struct peal_conn *c;

    if (h->type != UV_POLL || ((uv_poll_t *)h)->poll_cb != conn_on_poll)
        return;
    c = PEAL_CONTAINER(h, struct peal_conn, poll);
    if (c->state == PEAL_CONN_CLOSED)
        return;
    if (peal_conn_has_owner(c))
        report_leak(c);
    peal_conn_close(c, PEAL_CLOSE_LOCAL);
}

void
peal_conn_close_all(struct peal_loop *l)
{
    uv_walk(&l->uv, conn_close_handle, l);
}

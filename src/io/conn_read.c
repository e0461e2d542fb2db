/* SPDX-License-Identifier: MIT */
/*
 * Connections: reading. Bytes are read into the loop's buffer and offered to the owner
 * from there; only what it leaves is copied, and offered again in front of what follows.
 *
 * Reading stops while the owner has paused it, and while more is kept than it may leave.
 * A connection without an owner is read on: its bytes are thrown away, for to close a
 * socket with unread input would reset it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "io/conn_priv.h"

#define UNREAD_MAX (256 * 1024) /* kept bytes beyond which reading stops */
#define READS_MAX 4             /* full reads of one connection in a row */

/* OpenSSL may hold bytes that no readiness will announce: they are asked for at the end
 * of the turn. */
static void
mark_unread(struct peal_conn *c)
{
    if (!peal_list_linked(&c->unread))
        peal_list_append(&peal_conn_loop_of(c)->unread, &c->unread);
}

void
peal_conn_read_more(struct peal_conn *c)
{
    peal_conn_watch(c);
    if (c->ssl != NULL && !c->in_data)
        mark_unread(c);
}

peal_err
peal_conn_keep(struct peal_conn *c, struct peal_buf *in)
{
    PEAL_ASSERT(c->in == NULL);
    if (in->len > 0 && (c->in = malloc(sizeof(*c->in))) == NULL) {
        peal_buf_fini(in);
        return PEAL_ENOMEM;
    }
    if (in->len > 0)
        *c->in = *in;
    else
        peal_buf_fini(in);
    *in = (struct peal_buf){ 0 };
    return PEAL_OK;
}

void
peal_conn_drop_kept(struct peal_conn *c)
{
    if (c->in != NULL)
        peal_buf_fini(c->in);
    free(c->in);
    c->in = NULL;
}

static void
set_full(struct peal_conn *c)
{
    bool full = c->in != NULL && c->in->len > UNREAD_MAX;

    if (full == c->full)
        return;
    c->full = full;
    if (full)
        peal_conn_watch(c);
    else
        peal_conn_read_more(c);
}

/* Keeps what the owner has left over of in, which is taken. */
static void
keep(struct peal_conn *c, struct peal_buf *in, size_t used)
{
    peal_buf_consume(in, used);
    /* An owner that has let go of c in the call may be gone before the next one: what it
     * left is nobody's. */
    if (!peal_conn_has_owner(c)) {
        peal_buf_fini(in);
        return;
    }
    if (peal_conn_keep(c, in) != PEAL_OK) {
        peal_conn_die(c, PEAL_CLOSE_MEMORY);
        return;
    }
    set_full(c);
    if (c->again && (c->in != NULL || c->paused))
        peal_conn_read_again(c);
}

/* Calls the owner; returns how many bytes it has consumed. */
static size_t
offer(struct peal_conn *c, uint8_t *data, size_t len)
{
    size_t used;

    PEAL_ASSERT(peal_conn_has_owner(c) && !c->in_data);
    c->in_data = 1;
    c->again = 0;
    used = c->ops->data(c, data, len);
    c->in_data = 0;
    PEAL_ASSERT(used <= len);
    return used;
}

static void
offer_in(struct peal_conn *c)
{
    struct peal_buf in = *c->in;

    free(c->in);
    c->in = NULL;
    keep(c, &in, offer(c, (uint8_t *)in.data, in.len));
}

/* Offers bytes in the loop's read buffer, behind those that are kept. */
static void
offer_read(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct peal_buf in = { 0 };
    size_t used;

    if (!peal_conn_has_owner(c))
        return;
    if (c->in != NULL) {
        if (peal_buf_add(c->in, data, len) != PEAL_OK)
            peal_conn_die(c, PEAL_CLOSE_MEMORY);
        else
            offer_in(c);
        return;
    }
    used = offer(c, data, len);
    if (used == len || !peal_conn_has_owner(c))
        return;
    if (peal_buf_add(&in, data + used, len - used) != PEAL_OK)
        peal_conn_die(c, PEAL_CLOSE_MEMORY);
    else
        keep(c, &in, 0);
}

/* The peer sends no more. What is queued for it goes out first: it may have closed only
 * its own side. */
static void
conn_on_eof(struct peal_conn *c)
{
    c->eof = 1;
    if (c->out != NULL && !c->stalled)
        peal_conn_flush(c);
    /* The write may have failed, or have found that the queue is too long. */
    if (c->state == PEAL_CONN_CLOSED || c->state == PEAL_CONN_DOOMED)
        return;
    if (!c->stalled) {
        peal_conn_die(c, PEAL_CLOSE_PEER);
        return;
    }
    peal_conn_watch(c);
    if (!peal_conn_has_owner(c))
        return;
    peal_conn_disown(c, PEAL_CLOSE_PEER);
    c->ops->closed(c, PEAL_CLOSE_PEER);
}

static ssize_t
read_some(struct peal_conn *c, uint8_t *buf, size_t len)
{
    ssize_t n;

    if (c->ssl != NULL)
        return peal_ssl_read(c->ssl, buf, len);
    do
        n = recv(c->fd, buf, len, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EWOULDBLOCK ? PEAL_IO_AGAIN : PEAL_IO_FAILED;
}

/* Tells whether the peer has closed its side, which a socket that is only peeked at does
 * not say. */
static bool
peer_is_done(const struct peal_conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0;
}

/* Looks at what is there, takes what the owner takes, and wakes only when there is more.
 */
static void
peek(struct peal_conn *c)
{
    uint8_t *buf = peal_conn_loop_of(c)->read_buf;
    ssize_t n = recv(c->fd, buf, PEAL_READ_SIZE, MSG_DONTWAIT | MSG_PEEK);
    size_t used;
    int low;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        peal_conn_die(c, PEAL_CLOSE_PEER);
        return;
    }
    used = offer(c, buf, (size_t)n);
    if (!peal_conn_has_owner(c))
        return;
    if (used == 0 && peer_is_done(c)) { /* or it would be readable without end */
        peal_conn_die(c, PEAL_CLOSE_PEER);
        return;
    }
    low = used > 0 ? 1 : (int)n + 1;
    if (used > 0 && recv(c->fd, buf, used, MSG_DONTWAIT) != (ssize_t)used)
        peal_conn_die(c, PEAL_CLOSE_ERROR);
    else
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
}

/* Handles the result that ended a row of reads, unless that was a full buffer. */
static void
read_ended(struct peal_conn *c, ssize_t result)
{
    switch (result) {
    case PEAL_IO_AGAIN:
        break;
    case PEAL_IO_WANT_WRITE:
        c->tls_want_write = 1;
        peal_conn_watch(c);
        break;
    case PEAL_IO_EOF:
        conn_on_eof(c);
        break;
    default:
        peal_conn_die(c, PEAL_CLOSE_PEER);
    }
}

void
peal_conn_read(struct peal_conn *c)
{
    struct peal_loop *l = peal_conn_loop_of(c);

    if (c->state == PEAL_CONN_DOOMED)
        return;
    if (c->peek) {
        peek(c);
        return;
    }
    for (unsigned i = 0; i < READS_MAX; i++) {
        ssize_t n = read_some(c, l->read_buf, sizeof(l->read_buf));

        if (n <= 0) {
            read_ended(c, n);
            return;
        }
        peal_stat_add(&l->stats, PEAL_STAT_BYTES_IN, n);
        offer_read(c, l->read_buf, (size_t)n);
        if (c->state == PEAL_CONN_CLOSED || c->state == PEAL_CONN_DOOMED ||
            !peal_conn_reads(c))
            return;
        if ((size_t)n < sizeof(l->read_buf) && c->ssl == NULL)
            return;
    }
    if (c->ssl != NULL)
        mark_unread(c);
}

void
peal_conn_offer_kept(struct peal_conn *c)
{
    peal_list_unlink(&c->unread);
    if (c->in != NULL)
        offer_in(c);
    if (c->state != PEAL_CONN_CLOSED && c->state != PEAL_CONN_HANDSHAKE &&
        c->ssl != NULL && peal_conn_reads(c))
        peal_conn_read(c);
}

void
peal_conn_offer_unread(struct peal_loop *l)
{
    struct peal_link all, *link;

    peal_list_move(&all, &l->unread);
    while ((link = peal_list_take(&all)) != NULL)
        peal_conn_offer_kept(PEAL_CONTAINER(link, struct peal_conn, unread));
}

void
peal_conn_read_again(struct peal_conn *c)
{
    if (!peal_conn_has_owner(c))
        return;
    PEAL_ASSERT_ON_LOOP(peal_conn_loop_of(c));
    if (c->in_data) { /* what will be kept is not known yet */
        c->again = 1;
        return;
    }
    c->again = 0;
    if (c->paused)
        peal_conn_resume(c);
    if (c->in != NULL || c->ssl != NULL)
        mark_unread(c);
}

struct peal_slice
peal_conn_unread(const struct peal_conn *c)
{
    return c->in != NULL ? peal_buf_slice(c->in) : peal_slice_of(NULL, 0);
}

void
peal_conn_peek(struct peal_conn *c)
{
    c->peek = 1;
}

void
peal_conn_end_peek(struct peal_conn *c)
{
    c->peek = 0;
}

void
peal_conn_pause(struct peal_conn *c)
{
    c->paused = 1;
    peal_conn_watch(c);
}

void
peal_conn_resume(struct peal_conn *c)
{
    c->paused = 0;
    peal_conn_read_more(c);
}

bool
peal_conn_is_paused(const struct peal_conn *c)
{
    return c->paused;
}

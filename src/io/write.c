/* SPDX-License-Identifier: MIT */
/*
 * Writing with plain system calls: one send or sendmsg for each connection that has
 * something to say, at the end of the turn. Also what every engine uses for TLS and for
 * writes outside the turn.
 */
#include <errno.h>
#include <stdlib.h>

#include "io/conn_priv.h"
#include "io/flusher_priv.h"

#define ARENA (512 * 1024)
#define TLS_RECORD 16384
#define TLS_TURN_MAX (256 * 1024) /* bytes one connection may encrypt at once */

/*
 * A record at a time. When OpenSSL could not get rid of one it must be offered the very
 * same bytes again, so they are locked in the queue until it has.
 */
static ssize_t
write_tls(struct peal_conn *c, struct peal_gather *g)
{
    struct peal_outq *q = c->out;
    size_t done = 0;

    while (done < q->bytes && done < TLS_TURN_MAX) {
        size_t len = q->locked ? q->locked : q->bytes - done;
        ssize_t r;

        if (len > TLS_RECORD)
            len = TLS_RECORD;
        peal_outq_copy(q, done, g->arena, len);
        r = peal_ssl_write(c->ssl, g->arena, len);
        if (r == PEAL_IO_FAILED || r == PEAL_IO_EOF)
            return -EPIPE;
        q->locked = r < 0 ? len : 0;
        if (r < 0)
            break;
        done += (size_t)r;
    }
    /* Shared runs in the arena are gone. */
    peal_gather_reset(g);
    return done > 0 ? (ssize_t)done : -EAGAIN;
}

ssize_t
peal_conn_write(struct peal_conn *c, struct peal_gather *g)
{
    struct iovec iov[PEAL_IOV_MAX];
    unsigned n;
    ssize_t r;

    if (c->ssl != NULL)
        return write_tls(c, g);
    n = peal_gather_fill(g, c->out, iov);
    if (n == 0) {
        peal_gather_reset(g);
        n = peal_gather_fill(g, c->out, iov);
    }
    if (n == 1) {
        r = send(c->fd, iov[0].iov_base, iov[0].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
        struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };

        r = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return r < 0 ? -errno : r;
}

static void
flush(struct peal_flusher *f, struct peal_loop *l)
{
    struct peal_link all, *link;

    peal_list_move(&all, &l->dirty);
    while ((link = peal_list_take(&all)) != NULL) {
        struct peal_conn *c = PEAL_CONTAINER(link, struct peal_conn, dirty);
        ssize_t r;

        if (c->state != PEAL_CONN_OPEN || c->stalled || c->out == NULL) {
            if (c->state == PEAL_CONN_DOOMED || !c->stalled)
                peal_conn_flush(c);
            continue;
        }
        /* The arena is not reset between connections: equal queues share one run. */
        r = peal_conn_write(c, &f->gather);
        peal_conn_written(c, r);
    }
    peal_gather_reset(&f->gather);
}

static void
fini(struct peal_flusher *f)
{
    free(f->gather.arena);
    free(f);
}

peal_err
peal_flusher_epoll(struct peal_flusher **out)
{
    struct peal_flusher *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return PEAL_ENOMEM;
    f->name = "epoll";
    f->flush = flush;
    f->fini = fini;
    f->gather.cap = ARENA;
    if ((f->gather.arena = malloc(ARENA)) == NULL) {
        free(f);
        return PEAL_ENOMEM;
    }
    *out = f;
    return PEAL_OK;
}

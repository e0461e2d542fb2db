/* SPDX-License-Identifier: MIT */
/*
 * Connections: sending. Blobs are queued, and written at the end of the turn; what the
 * kernel does not take then waits (the queue is stalled) until the socket is writable.
 * A queue that waits has limits, in memory and in age, and a slow policy for the first.
 */
#include <errno.h>

#include "io/conn_priv.h"
#include "io/flusher_priv.h"
#include "io/outq_priv.h"

/* Queued bytes beyond which a write does not wait for the end of the turn. */
#define FLUSH_EARLY (256 * 1024)
#define LINGER_MS 2000 /* for the peer to close after our side is shut */

/* To be written at the end of the turn; but not before TLS has shaken hands. */
void
peal_conn_mark_dirty(struct peal_conn *c)
{
    if (!c->corked && c->state != PEAL_CONN_HANDSHAKE && !peal_list_linked(&c->dirty))
        peal_list_append(&peal_conn_loop_of(c)->dirty, &c->dirty);
}

/* The age limit: the item that was first when the clock was set must have gone. Where
 * there is no owner any more, the peer had that time to take the rest, or to close. */
static void
send_on_age(struct peal_timer *t)
{
    struct peal_outq *q = PEAL_CONTAINER(t, struct peal_outq, age);
    struct peal_conn *c = q->conn;
    struct peal_loop *l = peal_conn_loop_of(c);

    if (q->sent_items != q->age_mark) {
        q->age_mark = q->sent_items;
        peal_loop_start(l, t, l->config.queue_age_ms);
    } else if (peal_conn_has_owner(c)) {
        peal_conn_doom(c, PEAL_CLOSE_SLOW);
    } else {
        peal_conn_close(c, (enum peal_close)c->why);
    }
}

struct peal_outq *
peal_conn_queue(struct peal_conn *c)
{
    if (c->out == NULL &&
        (c->out = peal_outq_get(&peal_conn_loop_of(c)->spares)) != NULL) {
        c->out->conn = c;
        c->out->age.fn = send_on_age;
    }
    return c->out;
}

void
peal_conn_drop_queue(struct peal_conn *c)
{
    struct peal_outq *q = c->out;

    if (q == NULL)
        return;
    c->out = NULL;
    peal_timer_stop(&q->age);
    if (q->counted > 0)
        peal_stat_add(peal_conn_stats(c), PEAL_STAT_QUEUE_BYTES, -(int64_t)q->counted);
    peal_outq_put(&peal_conn_loop_of(c)->spares, q);
}

/* Brings the gauge up to date: the queue counts as long as it is stalled. */
static void
count_queue(struct peal_conn *c)
{
    struct peal_outq *q = c->out;
    size_t now = c->stalled ? peal_outq_size(q) : 0;

    if (now != q->counted)
        peal_stat_add(peal_conn_stats(c), PEAL_STAT_QUEUE_BYTES,
            (int64_t)now - (int64_t)q->counted);
    q->counted = now;
}

/* Applies the slow policy so that need more bytes of memory fit. false: they must not be
 * queued. */
static bool
make_fit(struct peal_conn *c, size_t need, uint32_t tag)
{
    const struct peal_loop_config *cfg = &peal_conn_loop_of(c)->config;
    struct peal_outq *q = c->out;
    unsigned dropped = 0;

    if (cfg->slow_policy == PEAL_SLOW_LATEST && tag != 0)
        dropped = peal_outq_drop_tag(q, tag);
    if (cfg->slow_policy != PEAL_SLOW_DISCONNECT)
        dropped += peal_outq_drop_oldest(q, need, cfg->queue_bytes_max);
    if (dropped > 0) {
        peal_stat_add(peal_conn_stats(c), PEAL_STAT_SLOW_DROPPED, dropped);
        count_queue(c);
    }
    if (peal_outq_size(q) + need <= cfg->queue_bytes_max)
        return true;
    peal_conn_doom(c, PEAL_CLOSE_SLOW);
    return false;
}

static void
set_stalled(struct peal_conn *c)
{
    struct peal_loop *l = peal_conn_loop_of(c);
    struct peal_outq *q = c->out;

    if (!c->stalled) {
        c->stalled = 1;
        if (!peal_timer_active(&q->age)) {
            q->age_mark = q->sent_items;
            peal_loop_start(l, &q->age, l->config.queue_age_ms);
        }
        peal_conn_watch(c);
    }
    count_queue(c);
}

/* Writes now, from inside a send, without ever calling the owner. */
static void
try_write(struct peal_conn *c)
{
    struct peal_gather *g = &peal_conn_loop_of(c)->flusher->gather;
    ssize_t r = peal_conn_write(c, g);

    peal_gather_reset(g);
    if (r < 0 && r != -EAGAIN && r != -EINTR)
        return; /* it fails again at the end of the turn, when the owner may be told */
    r = r > 0 ? r : 0;
    peal_stat_add(peal_conn_stats(c), PEAL_STAT_BYTES_OUT, r);
    peal_outq_sent(c->out, (size_t)r);
    if (c->out->n == 0)
        peal_conn_drop_queue(c);
    else
        set_stalled(c);
}

bool
peal_conn_send(struct peal_conn *c, struct peal_blob *b, uint32_t tag)
{
    bool waits = c->stalled || c->corked || c->state == PEAL_CONN_HANDSHAKE;
    struct peal_outq *q;

    PEAL_ASSERT(peal_loop_runs_here(peal_conn_loop_of(c)));
    if (c->state > PEAL_CONN_HANDSHAKE)
        return false;
    if (b->len == 0)
        return true;
    if (waits && c->out != NULL && !make_fit(c, b->len + PEAL_CONN_ITEM_COST, tag))
        return false;
    if ((q = peal_conn_queue(c)) == NULL || peal_outq_add(q, b, tag) != PEAL_OK) {
        peal_conn_doom(c, PEAL_CLOSE_MEMORY);
        return false;
    }
    if (c->stalled) {
        count_queue(c);
        return true;
    }
    peal_conn_mark_dirty(c);
    /* A burst within a turn is not a slow reader. */
    if (q->bytes > FLUSH_EARLY && !waits)
        try_write(c);
    return true;
}

bool
peal_conn_send_bytes(struct peal_conn *c, struct peal_slice bytes)
{
    struct peal_blob *b = peal_blob_copy(bytes);
    bool ok;

    if (b == NULL) {
        peal_conn_doom(c, PEAL_CLOSE_MEMORY);
        return false;
    }
    ok = peal_conn_send(c, b, 0);
    peal_blob_release(b);
    return ok;
}

size_t
peal_conn_queued(const struct peal_conn *c)
{
    return c->out != NULL ? peal_outq_size(c->out) : 0;
}

bool
peal_conn_ready(const struct peal_conn *c)
{
    return !c->stalled && c->state <= PEAL_CONN_HANDSHAKE;
}

/* Everything is written: our side is shut, and the peer has a moment to do the same, for
 * to close with unread input would reset the connection and lose what was written last.
 */
static void
shut_down(struct peal_conn *c)
{
    struct peal_outq *q = c->out;

    if (c->state == PEAL_CONN_SHUT)
        return;
    if (c->ssl != NULL)
        peal_ssl_shutdown(c->ssl);
    if (c->eof || shutdown(c->fd, SHUT_WR) < 0) {
        peal_conn_close(c, (enum peal_close)c->why);
        return;
    }
    peal_conn_set_state(c, PEAL_CONN_SHUT);
    q->age_mark = q->sent_items;
    peal_loop_start(peal_conn_loop_of(c), &q->age, LINGER_MS);
    peal_conn_watch(c);
}

static void
set_empty(struct peal_conn *c)
{
    bool was_stalled = c->stalled;

    if (was_stalled) {
        c->stalled = 0;
        count_queue(c);
        peal_conn_watch(c);
    }
    if (!peal_conn_has_owner(c)) {
        shut_down(c);
        return;
    }
    peal_conn_drop_queue(c);
    if (was_stalled && c->ops->drained != NULL)
        c->ops->drained(c);
}

void
peal_conn_written(struct peal_conn *c, ssize_t result)
{
    struct peal_loop *l = peal_conn_loop_of(c);
    size_t sent = result > 0 ? (size_t)result : 0;

    if (result < 0 && result != -EAGAIN && result != -EWOULDBLOCK && result != -EINTR) {
        peal_conn_die(c, PEAL_CLOSE_PEER);
        return;
    }
    peal_stat_add(&l->stats, PEAL_STAT_WRITES, 1);
    peal_stat_add(&l->stats, PEAL_STAT_BYTES_OUT, (int64_t)sent);
    peal_outq_sent(c->out, sent);
    if (c->out->n == 0) {
        set_empty(c);
        return;
    }
    peal_stat_add(&l->stats, PEAL_STAT_WRITES_SHORT, 1);
    set_stalled(c);
    if (peal_conn_has_owner(c) && peal_outq_size(c->out) > l->config.queue_bytes_max)
        make_fit(c, 0, 0);
}

void
peal_conn_flush(struct peal_conn *c)
{
    struct peal_gather *g = &peal_conn_loop_of(c)->flusher->gather;

    peal_list_unlink(&c->dirty);
    if (c->state == PEAL_CONN_DOOMED) {
        peal_conn_die(c, (enum peal_close)c->why);
        return;
    }
    if (c->state == PEAL_CONN_HANDSHAKE)
        return;
    while (c->out != NULL && c->out->n > 0) {
        size_t before = c->out->bytes;
        uint32_t items = c->out->n;
        ssize_t r = peal_conn_write(c, g);

        peal_gather_reset(g);
        peal_conn_written(c, r);
        if (c->state == PEAL_CONN_CLOSED || r <= 0 || items <= PEAL_IOV_MAX ||
            (size_t)r == before)
            break;
    }
    /* Nothing was left to write: it was dropped, or there never was anything. */
    if (c->state != PEAL_CONN_CLOSED && (!peal_conn_has_owner(c) || c->stalled) &&
        (c->out == NULL || c->out->n == 0))
        peal_conn_written(c, 0);
}

void
peal_conn_cork(struct peal_conn *c)
{
    c->corked = 1;
    peal_list_unlink(&c->dirty);
}

void
peal_conn_uncork(struct peal_conn *c)
{
    c->corked = 0;
    if (c->out != NULL && c->state != PEAL_CONN_CLOSED)
        peal_conn_mark_dirty(c);
}

void
peal_conn_shutdown(struct peal_conn *c)
{
    PEAL_ASSERT(c->ssl == NULL && peal_conn_queued(c) == 0);
    if (c->state != PEAL_CONN_CLOSED)
        (void)shutdown(c->fd, SHUT_WR);
}

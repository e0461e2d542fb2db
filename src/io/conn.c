/* SPDX-License-Identifier: MIT */
/*
 * Connections: reading, queueing, closing. A connection is on one of these roads: open;
 * finishing (no owner, flushes what is queued, shuts down, closes); closed (fd is -1,
 * memory goes once libuv has let go of the handle).
 */
#include "io/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/outq_priv.h"
#include "io/tls_priv.h"

#define UNREAD_MAX (256 * 1024) /* kept bytes beyond which reading stops */
#define FLUSH_EARLY                                                                      \
    (256 * 1024)       /* queued bytes beyond which we do not wait for the turn */
#define LINGER_MS 2000 /* for the peer to close after we have shut down */
#define READS_MAX 4    /* full reads of one connection in a row */

static const enum peal_stat closed_stat[] = {
    [PEAL_CLOSE_PEER] = PEAL_STAT_CLOSED_PEER,
    [PEAL_CLOSE_LOCAL] = PEAL_STAT_CLOSED_LOCAL,
    [PEAL_CLOSE_ERROR] = PEAL_STAT_CLOSED_ERROR,
    [PEAL_CLOSE_TIMEOUT] = PEAL_STAT_CLOSED_TIMEOUT,
    [PEAL_CLOSE_SLOW] = PEAL_STAT_CLOSED_SLOW,
    [PEAL_CLOSE_PROTO] = PEAL_STAT_CLOSED_PROTO,
};

static void on_poll(uv_poll_t *p, int status, int events);
static void stop_waiting(struct peal_conn *c);

static void
watch(struct peal_conn *c)
{
    int events = 0;

    if (c->fd < 0 || c->waits_to_shake)
        return;
    if ((peal_conn_reads(c) || c->handshaking) && !c->eof)
        events |= UV_READABLE;
    if (c->stalled || c->tls_want_write)
        events |= UV_WRITABLE;
    if (events == (int)c->events)
        return;
    c->events = (unsigned)events & 7;
    if (events == 0)
        uv_poll_stop(&c->poll);
    else
        uv_poll_start(&c->poll, events, on_poll);
}

static void
on_released(uv_handle_t *h)
{
    struct peal_conn *c = PEAL_CONTAINER(h, struct peal_conn, poll);

    peal_buf_fini(&c->in);
    free(c);
}

/* Where connections of its kind are counted for the process, or NULL. */
static _Atomic int64_t *
counter_of(const struct peal_conn *c)
{
    const struct peal_loop_config *config = &peal_conn_loop(c)->config;

    return c->inner ? config->inner : config->open;
}

static void
count(struct peal_conn *c, int by)
{
    peal_stat_add(&peal_conn_loop(c)->stats,
        c->inner ? PEAL_STAT_INNER_CONNECTIONS : PEAL_STAT_CONNECTIONS, by);
}

static void
add_to(_Atomic int64_t *counter, int by)
{
    if (counter != NULL)
        atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

/* Leave every list and let libuv go; the socket itself stays as it is. */
static void
release(struct peal_conn *c)
{
    peal_outq_put(c);
    peal_list_unlink(&c->dirty);
    stop_waiting(c);
    peal_list_unlink(&c->unread);
    uv_poll_stop(&c->poll);
    c->fd = -1;
    c->stalled = 0;
    count(c, -1);
    uv_close((uv_handle_t *)&c->poll, on_released);
}

void
peal_conn_close(struct peal_conn *c, enum peal_close why)
{
    int fd = c->fd;

    if (fd < 0)
        return;
    peal_stat_add(&peal_conn_loop(c)->stats, closed_stat[why], 1);
    add_to(counter_of(c), -1);
    peal_ssl_free(c->ssl);
    c->ssl = NULL;
    release(c);
    close(fd);
}

/* c died by itself: close it and tell the owner, unless it has none any more. */
static void
die(struct peal_conn *c, enum peal_close why)
{
    const struct peal_conn_ops *ops = c->ops;
    bool tell = !c->finishing;

    if (c->fd < 0)
        return;
    peal_conn_close(c, tell ? why : (enum peal_close)c->finish_why);
    if (tell)
        ops->closed(c, why);
}

peal_err
peal_conn_new(struct peal_loop *loop, int fd, enum peal_conn_kind kind,
    const struct peal_conn_ops *ops, void *owner, struct peal_conn **out)
{
    struct peal_conn *c = calloc(1, sizeof(*c));

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
    watch(c);
    *out = c;
    return PEAL_OK;
}

/* OpenSSL may hold bytes that no readiness will announce. */
static void
read_more(struct peal_conn *c)
{
    watch(c);
    if (c->ssl != NULL && !c->in_data && !peal_list_linked(&c->unread))
        peal_list_append(&peal_conn_loop(c)->unread, &c->unread);
}

/* Reading stops while more is kept than the owner may leave. */
static void
set_full(struct peal_conn *c)
{
    bool full = c->in.len > UNREAD_MAX;

    if (full == c->full)
        return;
    c->full = full;
    if (full)
        watch(c);
    else
        read_more(c);
}

void
peal_conn_keep(struct peal_conn *c, struct peal_buf *in, size_t used)
{
    peal_buf_consume(in, used);
    /* An owner that has finished c in the call may be gone before the next one: what it
     * left is nobody's. */
    if (in->len == 0 || c->fd < 0 || c->finishing) {
        peal_buf_fini(in);
    } else {
        PEAL_ASSERT(c->in.len == 0);
        peal_buf_fini(&c->in);
        c->in = *in;
    }
    if (c->fd < 0 || c->finishing)
        return;
    set_full(c);
    if (c->again && (c->in.len > 0 || c->paused))
        peal_conn_read_again(c);
}

size_t
peal_conn_offer(struct peal_conn *c, uint8_t *data, size_t len)
{
    size_t used;

    PEAL_ASSERT(c->fd >= 0 && !c->finishing && !c->in_data);
    c->in_data = 1;
    c->again = 0;
    used = c->ops->data(c, data, len);
    c->in_data = 0;
    PEAL_ASSERT(used <= len);
    return used;
}

/* Offer bytes in the loop's read buffer, or keep them behind older ones. */
static void
offer(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct peal_buf in = { 0 };
    size_t used;

    if (c->finishing)
        return;
    if (c->in.len > 0) {
        if (peal_buf_add(&c->in, data, len) != PEAL_OK) {
            die(c, PEAL_CLOSE_ERROR);
            return;
        }
        in = c->in;
        c->in = (struct peal_buf){ 0 };
        used = peal_conn_offer(c, (uint8_t *)in.data, in.len);
        peal_conn_keep(c, &in, used);
        return;
    }
    used = peal_conn_offer(c, data, len);
    if (used == len || c->fd < 0 || c->finishing)
        return;
    if (peal_buf_add(&in, data + used, len - used) != PEAL_OK) {
        die(c, PEAL_CLOSE_ERROR);
        return;
    }
    peal_conn_keep(c, &in, 0);
}

/* c has no owner any more: what is queued is written, then it is closed. */
static void
let_go(struct peal_conn *c, enum peal_close why)
{
    c->finishing = 1;
    c->finish_why = why;
    c->peek = 0; /* there is nobody to look */
    peal_buf_fini(&c->in);
    peal_list_unlink(&c->unread);
}

/* The peer is done. What we owe it goes out first: it may have closed only its own side.
 */
static void
on_eof(struct peal_conn *c)
{
    c->eof = 1;
    if (c->out != NULL && !c->stalled)
        peal_conn_flush(c);
    if (c->fd < 0)
        return;
    if (!c->stalled) {
        die(c, PEAL_CLOSE_PEER);
        return;
    }
    watch(c);
    if (c->finishing)
        return;
    let_go(c, PEAL_CLOSE_PEER);
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
    return errno == EAGAIN || errno == EWOULDBLOCK ? PEAL_TLS_AGAIN : PEAL_TLS_ERROR;
}

/* Has the peer closed its side? A socket that is only looked at does not say so. */
static bool
peer_is_done(const struct peal_conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0;
}

/* Look at what is there, take what the owner takes, and wake only when there is more. */
static void
on_peek(struct peal_conn *c)
{
    uint8_t *buf = peal_conn_loop(c)->read_buf;
    ssize_t n = recv(c->fd, buf, PEAL_READ_SIZE, MSG_DONTWAIT | MSG_PEEK);
    size_t used;
    int low;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        die(c, PEAL_CLOSE_PEER);
        return;
    }
    used = peal_conn_offer(c, buf, (size_t)n);
    if (c->fd < 0 || c->finishing)
        return;
    if (used == 0 && peer_is_done(c)) { /* or it would be readable without end */
        die(c, PEAL_CLOSE_PEER);
        return;
    }
    low = used > 0 ? 1 : (int)n + 1;
    if (used > 0 && recv(c->fd, buf, used, MSG_DONTWAIT) != (ssize_t)used)
        die(c, PEAL_CLOSE_ERROR);
    else
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
}

void
peal_conn_peek(struct peal_conn *c, bool on)
{
    c->peek = on;
}

void
peal_conn_read(struct peal_conn *c)
{
    struct peal_loop *l = peal_conn_loop(c);

    if (c->peek) {
        on_peek(c);
        return;
    }
    for (unsigned i = 0; i < READS_MAX; i++) {
        ssize_t n = read_some(c, l->read_buf, sizeof(l->read_buf));

        if (n > 0) {
            peal_stat_add(&l->stats, PEAL_STAT_BYTES_IN, n);
            offer(c, l->read_buf, (size_t)n);
            if (c->fd < 0 || !peal_conn_reads(c))
                return;
            if ((size_t)n < sizeof(l->read_buf) && c->ssl == NULL)
                return;
            continue;
        }
        if (n == PEAL_TLS_AGAIN)
            return;
        if (n == PEAL_TLS_WANT_WRITE) {
            c->tls_want_write = 1;
            watch(c);
            return;
        }
        if (n == PEAL_TLS_EOF)
            on_eof(c);
        else
            die(c, PEAL_CLOSE_PEER);
        return;
    }
    /* OpenSSL may hold decrypted bytes that no readiness will announce. */
    if (c->ssl != NULL && !peal_list_linked(&c->unread))
        peal_list_append(&l->unread, &c->unread);
}

/* To be written at the end of the turn; but not before TLS has shaken hands. */
static void
mark_dirty(struct peal_conn *c)
{
    if (!c->corked && (!c->handshaking || c->doomed) && !peal_list_linked(&c->dirty))
        peal_list_append(&peal_conn_loop(c)->dirty, &c->dirty);
}

static void
on_handshake(struct peal_conn *c)
{
    const char *why;
    int r = peal_ssl_handshake(c->ssl, &why);

    c->tls_want_write = r == PEAL_TLS_WANT_WRITE;
    if (r == PEAL_TLS_AGAIN || r == PEAL_TLS_WANT_WRITE) {
        watch(c);
        return;
    }
    peal_stat_add(&peal_conn_loop(c)->stats,
        r == 1 ? PEAL_STAT_TLS_HANDSHAKES : PEAL_STAT_TLS_FAILED, 1);
    if (r != 1) {
        if (peal_ssl_is_client(c->ssl)) /* who dialled wants to know */
            peal_conn_loop(c)->tls_why = why;
        die(c, PEAL_CLOSE_ERROR);
        return;
    }
    if (peal_ssl_is_resumed(c->ssl))
        peal_stat_add(&peal_conn_loop(c)->stats, PEAL_STAT_TLS_RESUMED, 1);
    c->handshaking = 0;
    if (c->out != NULL)
        mark_dirty(c);
    watch(c);
    if (peal_conn_reads(c))
        peal_conn_read(c);
}

/* A handshake that begins costs the most that a newcomer can. Where there is no time for
 * it in this turn, or others wait, c is not watched until its turn comes. */
static bool
must_wait(struct peal_conn *c)
{
    struct peal_loop *l = peal_conn_loop(c);

    if (l->pace.lag_ns == 0 ||
        (l->n_handshakes == 0 && peal_pace_try(&l->pace, uv_hrtime())))
        return false;
    uv_poll_stop(&c->poll);
    c->events = 0;
    c->waits_to_shake = 1;
    peal_list_unlink(&c->unread); /* a handshake ends with reading anyway */
    peal_list_append(&l->handshakes, &c->unread);
    l->n_handshakes++;
    peal_stat_add(&l->stats, PEAL_STAT_TLS_DEFERRED, 1);
    return true;
}

static void
stop_waiting(struct peal_conn *c)
{
    struct peal_loop *l = peal_conn_loop(c);

    if (!c->waits_to_shake)
        return;
    PEAL_ASSERT(l->n_handshakes > 0);
    c->waits_to_shake = 0;
    peal_list_unlink(&c->unread);
    l->n_handshakes--;
}

void
peal_conn_begin_handshakes(struct peal_loop *l)
{
    while (l->n_handshakes > 0 && peal_pace_try(&l->pace, uv_hrtime())) {
        struct peal_conn *c =
            PEAL_CONTAINER(l->handshakes.next, struct peal_conn, unread);

        stop_waiting(c);
        on_handshake(c);
    }
}

static void
on_poll(uv_poll_t *p, int status, int events)
{
    struct peal_conn *c = PEAL_CONTAINER(p, struct peal_conn, poll);

    peal_loop_enter(peal_conn_loop(c));
    if (status < 0) { /* the socket has failed, and libuv has stopped watching it */
        c->events = 0;
        if (c->paused && !c->finishing) { /* nobody will read to the end of it */
            die(c, PEAL_CLOSE_PEER);
            return;
        }
    }
    if (c->handshaking) {
        if (status < 0 || peal_ssl_has_begun(c->ssl) || !must_wait(c))
            on_handshake(c);
        return;
    }
    if (c->tls_want_write && (events & UV_WRITABLE)) {
        c->tls_want_write = 0;
        events |= UV_READABLE;
    }
    if ((events & UV_WRITABLE) && c->out != NULL)
        peal_conn_flush(c);
    if (c->fd >= 0 && ((events & UV_READABLE) || status < 0))
        peal_conn_read(c);
    watch(c);
}

void
peal_conn_doom(struct peal_conn *c)
{
    if (c->doomed)
        return;
    c->doomed = 1;
    c->corked = 0;
    mark_dirty(c);
}

/* Brings the gauge up to date: the queue counts as long as it is stalled. */
static void
count_queue(struct peal_conn *c)
{
    struct peal_outq *q = c->out;
    size_t now = c->stalled ? peal_outq_size(q) : 0;

    if (now != q->counted)
        peal_stat_add(&peal_conn_loop(c)->stats, PEAL_STAT_QUEUE_BYTES,
            (int64_t)now - (int64_t)q->counted);
    q->counted = now;
}

/* Apply the slow policy so that need more bytes of memory fit. false: they must not be
 * queued. */
static bool
make_fit(struct peal_conn *c, size_t need, uint32_t tag)
{
    const struct peal_loop_config *cfg = &peal_conn_loop(c)->config;
    struct peal_outq *q = c->out;
    unsigned dropped = 0;

    if (cfg->slow_policy == PEAL_SLOW_LATEST && tag != 0)
        dropped = peal_outq_drop_tag(q, tag);
    if (cfg->slow_policy != PEAL_SLOW_DISCONNECT)
        dropped += peal_outq_drop_oldest(q, need, cfg->queue_bytes_max);
    if (dropped > 0) {
        peal_stat_add(&peal_conn_loop(c)->stats, PEAL_STAT_SLOW_DROPPED, dropped);
        count_queue(c);
    }
    if (peal_outq_size(q) + need <= cfg->queue_bytes_max)
        return true;
    peal_conn_doom(c);
    return false;
}

bool
peal_conn_send(struct peal_conn *c, struct peal_blob *b, uint32_t tag)
{
    struct peal_outq *q;

    if (c->doomed || c->finishing || c->fd < 0)
        return false;
    if (b->len == 0)
        return true;
    if ((c->stalled || c->corked || c->handshaking) && c->out != NULL &&
        !make_fit(c, b->len + PEAL_CONN_ITEM_COST, tag))
        return false;
    if ((q = peal_outq_get(c)) == NULL || peal_outq_add(q, b, tag) != PEAL_OK) {
        peal_conn_doom(c);
        return false;
    }
    if (c->stalled) {
        count_queue(c);
        return true;
    }
    mark_dirty(c);
    /* A burst within a turn is not a slow reader. */
    if (q->bytes > FLUSH_EARLY && !c->corked && !c->handshaking)
        peal_conn_try_write(c);
    return true;
}

bool
peal_conn_send_bytes(struct peal_conn *c, struct peal_slice bytes)
{
    struct peal_blob *b = peal_blob_copy(bytes);
    bool ok;

    if (b == NULL) {
        peal_conn_doom(c);
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

void
peal_conn_read_again(struct peal_conn *c)
{
    if (c->fd < 0 || c->finishing)
        return;
    if (c->in_data) { /* what will be kept is not known yet */
        c->again = 1;
        return;
    }
    c->again = 0;
    if (c->paused)
        peal_conn_resume(c);
    if ((c->in.len > 0 || c->ssl != NULL) && !peal_list_linked(&c->unread))
        peal_list_append(&peal_conn_loop(c)->unread, &c->unread);
}

void
peal_conn_pause(struct peal_conn *c)
{
    c->paused = 1;
    watch(c);
}

void
peal_conn_resume(struct peal_conn *c)
{
    c->paused = 0;
    read_more(c);
}

/* Everything is written: shut our side down and give the peer a moment to do the same,
 * for closing with unread input would reset the connection and lose what we wrote last.
 */
static void
shut_down(struct peal_conn *c)
{
    struct peal_outq *q;

    if (c->shut)
        return;
    c->shut = 1;
    if (c->ssl != NULL)
        peal_ssl_shutdown(c->ssl);
    if (c->eof || shutdown(c->fd, SHUT_WR) < 0 || (q = peal_outq_get(c)) == NULL) {
        peal_conn_close(c, (enum peal_close)c->finish_why);
        return;
    }
    q->age_mark = q->sent_items;
    peal_loop_start(peal_conn_loop(c), &q->age, LINGER_MS);
    watch(c);
}

void
peal_conn_finish(struct peal_conn *c, enum peal_close why)
{
    struct peal_outq *q;

    if (c->fd < 0 || c->finishing)
        return;
    if (c->doomed || c->handshaking || (q = peal_outq_get(c)) == NULL) {
        peal_conn_close(c, why);
        return;
    }
    let_go(c, why);
    c->corked = 0;
    mark_dirty(c);
    watch(c);
}

void
peal_conn_shutdown(struct peal_conn *c)
{
    PEAL_ASSERT(c->ssl == NULL && peal_conn_queued(c) == 0);
    if (c->fd >= 0)
        (void)shutdown(c->fd, SHUT_WR);
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
    if (c->out != NULL && c->fd >= 0)
        mark_dirty(c);
}

static void
set_stalled(struct peal_conn *c)
{
    struct peal_loop *l = peal_conn_loop(c);
    struct peal_outq *q = c->out;

    if (!c->stalled) {
        c->stalled = 1;
        if (!peal_timer_active(&q->age)) {
            q->age_mark = q->sent_items;
            peal_loop_start(l, &q->age, l->config.queue_age_ms);
        }
        watch(c);
    }
    count_queue(c);
}

static void
set_empty(struct peal_conn *c)
{
    bool was_stalled = c->stalled;

    if (was_stalled) {
        c->stalled = 0;
        count_queue(c);
        watch(c);
    }
    if (c->finishing) {
        shut_down(c);
        return;
    }
    peal_outq_put(c);
    if (was_stalled && c->ops->drained != NULL)
        c->ops->drained(c);
}

void
peal_conn_written(struct peal_conn *c, ssize_t result)
{
    struct peal_loop *l = peal_conn_loop(c);
    size_t sent = result > 0 ? (size_t)result : 0;

    if (result < 0 && result != -EAGAIN && result != -EWOULDBLOCK && result != -EINTR) {
        die(c, PEAL_CLOSE_PEER);
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
    if (!c->finishing && peal_outq_size(c->out) > l->config.queue_bytes_max)
        make_fit(c, 0, 0);
}

void
peal_conn_try_write(struct peal_conn *c)
{
    struct peal_gather *g = &peal_conn_loop(c)->flusher->gather;
    ssize_t r = peal_conn_write(c, g);

    peal_gather_reset(g);
    if (r < 0 && r != -EAGAIN && r != -EINTR)
        return; /* shows itself again at the end of the turn, when the owner may be told
                 */
    r = r > 0 ? r : 0;
    peal_stat_add(&peal_conn_loop(c)->stats, PEAL_STAT_BYTES_OUT, r);
    peal_outq_sent(c->out, (size_t)r);
    if (c->out->n == 0)
        peal_outq_put(c);
    else
        set_stalled(c);
}

void
peal_conn_die_slow(struct peal_conn *c)
{
    die(c, c->finishing ? PEAL_CLOSE_TIMEOUT : PEAL_CLOSE_SLOW);
}

peal_err
peal_conn_start_tls(struct peal_conn *c, struct peal_tls_ctx *ctx)
{
    PEAL_ASSERT(c->ssl == NULL);
    if ((c->ssl = peal_ssl_new(ctx, c->fd)) == NULL)
        return PEAL_ENOMEM;
    c->handshaking = 1;
    return PEAL_OK;
}

peal_err
peal_conn_start_tls_client(
    struct peal_conn *c, struct peal_tls_ctx *ctx, const char *server_name)
{
    PEAL_ASSERT(c->ssl == NULL && !c->stalled);
    if ((c->ssl = peal_ssl_new_client(ctx, c->fd, server_name)) == NULL)
        return PEAL_ENOMEM;
    peal_list_unlink(&c->dirty);
    c->handshaking = 1;
    c->tls_want_write = 1; /* it is ours to begin */
    watch(c);
    return PEAL_OK;
}

peal_err
peal_conn_detach(
    struct peal_conn *c, struct peal_slice unread, struct peal_conn_parts *out)
{
    struct peal_buf in = { 0 };

    PEAL_ASSERT(c->out == NULL && c->fd >= 0 && !c->handshaking);
    if (peal_buf_add_slice(&in, unread) != PEAL_OK ||
        peal_buf_add(&in, c->in.data, c->in.len) != PEAL_OK) {
        peal_buf_fini(&in);
        return PEAL_ENOMEM;
    }
    *out = (struct peal_conn_parts){ .fd = c->fd,
        .ssl = c->ssl,
        .unread = in,
        .open = counter_of(c),
        .kind = c->inner ? PEAL_CONN_INNER : PEAL_CONN_CLIENT };
    c->ssl = NULL;
    release(c);
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
    c->in = parts->unread;
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

/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO over long polling: packets wait as pieces of the next poll's body. A poll
 * that finds something is answered at once; a parked one at the end of the turn, with
 * everything that the turn has queued.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/vec.h"
#include "proto/eio_priv.h"

peal_err
peal_eio_polling_new(struct peal_eio_session *s)
{
    if ((s->polling = calloc(1, sizeof(*s->polling))) == NULL)
        return PEAL_ENOMEM;
    s->polling->session = s;
    peal_stat_add(peal_loop_stats(peal_eio_loop(s)), PEAL_STAT_POLLING_SESSIONS, 1);
    return PEAL_OK;
}

static void
poll_drop_pieces(struct peal_eio_polling *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        PEAL_ASSERT(p->bytes >= p->pieces[i].blob->len);
        p->bytes -= p->pieces[i].blob->len;
        peal_blob_release(p->pieces[i].blob);
    }
    PEAL_ASSERT(p->bytes == 0);
    p->n = 0;
}

/* The POST that was deferred is the caller's to answer. */
static struct peal_http *
post_undefer(struct peal_eio_session *s)
{
    struct peal_eio_polling *p = s->polling;
    struct peal_http *h = p->post;

    p->post = NULL;
    p->deferred = false;
    peal_buf_fini(&p->body);
    h->gone = NULL;
    return h;
}

void
peal_eio_polling_free(struct peal_eio_session *s)
{
    struct peal_eio_polling *p = s->polling;

    if (p == NULL)
        return;
    PEAL_ASSERT(p->poll == NULL && p->probe == NULL);
    if (p->deferred)
        peal_http_reply(post_undefer(s), 400, NULL, PEAL_S(""));
    else if (p->post != NULL)
        p->post->user = NULL; /* it is answered when its body is there */
    poll_drop_pieces(p);
    free(p->pieces);
    peal_list_unlink(&p->dirty);
    free(p);
    s->polling = NULL;
    peal_stat_add(peal_loop_stats(peal_eio_loop(s)), PEAL_STAT_POLLING_SESSIONS, -1);
}

void
peal_eio_answer(struct peal_http *h, const char *type, struct peal_blob *body)
{
    peal_http_add(h, "Cache-Control", "no-store");
    peal_http_reply_blob(h, 200, type, body);
}

/* The answer's body in the coding that its client takes. NULL: it goes as it is. */
static struct peal_blob *
poll_compress(struct peal_eio_session *s, struct peal_http *h, struct peal_blob *body)
{
    enum peal_coding coding = s->polling->coding;
    struct peal_blob *b;

    if (!s->eio->config->http_compression || body->len < PEAL_GZIP_THRESHOLD)
        return NULL;
    peal_http_add(h, "Vary", "Accept-Encoding");
    if (coding == PEAL_CODING_NONE)
        return NULL;
    b = peal_gzip_body(s->eio->gzip, coding, peal_blob_slice(body));
    if (b != NULL)
        peal_http_add(h, "Content-Encoding", "%s", peal_coding_names[coding]);
    return b;
}

void
peal_eio_release(struct peal_eio_session *s, struct peal_blob *body)
{
    struct peal_http *h = s->polling->poll;
    struct peal_blob *small;

    if (h == NULL)
        return;
    s->polling->poll = NULL;
    h->gone = NULL;
    small = poll_compress(s, h, body);
    peal_eio_answer(h, PEAL_EIO_TYPE_PACKETS, small != NULL ? small : body);
    peal_blob_release(small);
}

/* All pieces, with separators between. NULL: out of memory. */
static struct peal_blob *
poll_join(const struct peal_eio_polling *p)
{
    size_t len = p->bytes + p->n;
    struct peal_blob *b;
    char *at;

    if (p->n == 1)
        return peal_blob_retain(p->pieces[0].blob);
    if ((b = peal_blob_new(len - 1)) == NULL)
        return NULL;
    at = b->data;
    for (uint32_t i = 0; i < p->n; i++) {
        const struct peal_blob *piece = p->pieces[i].blob;

        if (i > 0)
            *at++ = PEAL_EIO_SEPARATOR;
        memcpy(at, piece->data, piece->len);
        at += piece->len;
    }
    return b;
}

static void
poll_mark_dirty(struct peal_eio_session *s)
{
    if (peal_list_linked(&s->polling->dirty))
        return;
    peal_list_append(&s->eio->dirty, &s->polling->dirty);
    peal_loop_again(peal_eio_loop(s)); /* it may be after the hook has run */
}

/* To be ended by the hook: never from inside a send. */
static void
poll_doom(struct peal_eio_session *s)
{
    s->doomed = 1;
    poll_mark_dirty(s);
}

void
peal_eio_flush(struct peal_eio_session *s)
{
    struct peal_eio_polling *p = s->polling;
    struct peal_blob *body;

    if (p->poll == NULL || p->n == 0)
        return;
    if ((body = poll_join(p)) == NULL) {
        poll_doom(s);
        return;
    }
    poll_drop_pieces(p);
    peal_eio_release(s, body);
    peal_blob_release(body);
}

bool
peal_eio_turn(void *eio)
{
    struct peal_eio *e = eio;
    struct peal_link *l;

    while ((l = peal_list_take(&e->dirty)) != NULL) {
        struct peal_eio_session *s =
            PEAL_CONTAINER(l, struct peal_eio_polling, dirty)->session;

        if (s->doomed) {
            peal_stat_add(peal_loop_stats(e->proto->loop), PEAL_STAT_CLOSED_SLOW, 1);
            peal_eio_end(s, e->close, PEAL_END_SLOW, NULL);
        } else {
            peal_eio_flush(s);
        }
    }
    return false;
}

/* The memory that the pieces take, as an output queue counts it. */
static size_t
poll_pieces_size(const struct peal_eio_polling *p)
{
    return p->bytes + (size_t)p->n * PEAL_CONN_ITEM_COST;
}

/* Drops pieces that may go: those of one tag, or (tag 0) the oldest until their size is
 * below max. */
static void
poll_drop_some(struct peal_eio_session *s, uint32_t tag, size_t max)
{
    struct peal_eio_polling *p = s->polling;
    size_t size = poll_pieces_size(p);
    uint32_t kept = 0;

    for (uint32_t i = 0; i < p->n; i++) {
        struct peal_eio_piece *x = &p->pieces[i];
        bool drop = tag != 0 ? x->tag == tag : x->tag != 0 && size > max;

        if (!drop) {
            p->pieces[kept++] = *x;
            continue;
        }
        p->bytes -= x->blob->len;
        size -= x->blob->len + PEAL_CONN_ITEM_COST;
        peal_blob_release(x->blob);
        peal_stat_add(peal_loop_stats(peal_eio_loop(s)), PEAL_STAT_SLOW_DROPPED, 1);
    }
    p->n = kept;
}

/* Makes room as the slow policy has it. false: this piece is the one to go. */
static bool
poll_make_room(struct peal_eio_session *s, size_t len, uint32_t tag)
{
    const struct peal_loop_config *c = peal_loop_settings(peal_eio_loop(s));
    struct peal_eio_polling *p = s->polling;
    size_t max = c->queue_bytes_max, need = len + PEAL_CONN_ITEM_COST;

    if (c->slow_policy == PEAL_SLOW_LATEST && tag != 0)
        poll_drop_some(s, tag, 0);
    if (poll_pieces_size(p) + need <= max)
        return true;
    if (c->slow_policy != PEAL_SLOW_DISCONNECT) {
        /* An eighth more than needed, for each time passes over all of them. */
        poll_drop_some(s, 0, max - max / 8 > need ? max - max / 8 - need : 0);
        if (poll_pieces_size(p) + need <= max)
            return true;
        if (tag != 0) {
            peal_stat_add(peal_loop_stats(peal_eio_loop(s)), PEAL_STAT_SLOW_DROPPED, 1);
            return false;
        }
    }
    poll_doom(s);
    return false;
}

bool
peal_eio_queue(struct peal_eio_session *s, struct peal_blob *piece, uint32_t tag)
{
    struct peal_eio_polling *p = s->polling;

    if (s->doomed || !poll_make_room(s, piece->len, tag))
        return false;
    if (PEAL_GROW(p->pieces, p->cap, p->n + 1) != PEAL_OK) {
        poll_doom(s);
        return false;
    }
    p->pieces[p->n++] = (struct peal_eio_piece){ peal_blob_retain(piece), tag };
    p->bytes += piece->len;
    if (p->poll != NULL)
        poll_mark_dirty(s);
    return true;
}

void
peal_eio_close_poll(struct peal_eio_session *s, struct peal_blob *last)
{
    struct peal_http *h = s->polling->poll;

    if (s->draining) {
        s->polling->poll = NULL;
        h->gone = NULL;
        peal_http_close_after(h); /* by a new connection it can reach another node */
        peal_eio_refuse(h, PEAL_EIO_SESSION_UNKNOWN);
    }
    peal_eio_end(s, last, PEAL_END_SERVER, NULL); /* the close has been logged */
}

/* The client gave up its poll: nothing of this session can be trusted to arrive. */
static void
poll_on_gone(struct peal_http *h)
{
    struct peal_eio_session *s = h->user;

    s->polling->poll = NULL;
    peal_eio_end(s, s->eio->close, PEAL_END_LOST, "it gave up its poll");
}

void
peal_eio_get(struct peal_eio_session *s, struct peal_http *h)
{
    struct peal_eio_polling *p = s->polling;
    struct peal_eio_probe *probe = p->probe;

    if (p->poll != NULL) {
        peal_http_reply(h, 400, NULL, PEAL_S(""));
        peal_eio_fail(s, "a second poll while one waits");
        return;
    }
    p->poll = h;
    p->coding = peal_coding_accepted(h->head);
    h->user = s;
    h->gone = poll_on_gone;
    if (p->n > 0) {
        peal_eio_flush(s);
    } else if (s->state == PEAL_EIO_CLOSING) {
        peal_eio_close_poll(s, s->eio->noop_close);
    } else if (probe != NULL && probe->probed && probe->noop) {
        probe->noop = 0;
        peal_eio_release(s, s->eio->noop);
    }
}

/* A connection is lost in the middle of a body; one too large leaves the session. */
static void
post_on_gone(struct peal_http *h)
{
    struct peal_eio_session *s = h->user;

    if (s == NULL)
        return;
    s->polling->post = NULL;
    s->polling->deferred = false;
    peal_buf_fini(&s->polling->body);
    if (!peal_conn_is_owned(peal_http_conn(h)))
        peal_eio_end(s, s->eio->close, PEAL_END_LOST, "in the middle of a POST");
}

void
peal_eio_post_begin(struct peal_eio_session *s, struct peal_http *h)
{
    struct peal_slice type = peal_httphead_get(h->head, PEAL_S("Content-Type"));
    struct peal_http *first = s->polling->post;
    bool deferred = s->polling->deferred; /* then the end of the session answers it */

    if (first == NULL && !peal_slice_ieq(peal_slice_trim(peal_slice_cut(&type, ';')),
                             PEAL_S("application/octet-stream"))) {
        s->polling->post = h;
        h->user = s;
        h->gone = post_on_gone;
        return;
    }
    peal_http_reply(h, 400, NULL, PEAL_S(""));
    peal_eio_fail(s, first != NULL ? "a second POST while one is coming"
                                   : "a POST of application/octet-stream");
    if (first != NULL && !deferred)
        peal_http_close(first, PEAL_CLOSE_PROTO);
}

/* Deals with packets of a body. true: some are left, for its client is to be paused. */
static bool
post_run_packets(
    struct peal_eio_session *s, struct peal_slice *rest, enum peal_eio_extent extent)
{
    struct peal_slice packet;

    while (peal_eiopkt_payload_next(rest, &packet) && peal_eio_on_packet(s, packet))
        if (!peal_eio_may_read(s) && extent == PEAL_EIO_UNTIL_PAUSED &&
            peal_eio_is_open(s) && s->polling != NULL)
            return true;
    return false;
}

static void
post_defer(struct peal_eio_session *s, struct peal_http *h, size_t at, bool done)
{
    struct peal_eio_polling *p = s->polling;

    p->post = h;
    p->body_at = at;
    p->body_done = done;
    p->deferred = true;
    h->user = s;
    h->gone = post_on_gone;
}

static void
post_answer(struct peal_http *h)
{
    peal_http_add(h, "Cache-Control", "no-store");
    peal_http_reply(h, 200, "text/html", PEAL_S("ok"));
}

void
peal_eio_post(struct peal_http *h)
{
    struct peal_eio_session *s = h->user;
    struct peal_slice rest = h->body;

    h->gone = NULL;
    if (s == NULL) { /* it ended, or left polling, while the body came */
        peal_http_reply(h, 400, NULL, PEAL_S(""));
        return;
    }
    s->polling->post = NULL;
    if (rest.data == NULL)
        rest = PEAL_S("");
    if (post_run_packets(s, &rest, PEAL_EIO_UNTIL_PAUSED)) {
        if (peal_buf_add_slice(&s->polling->body, rest) == PEAL_OK) {
            post_defer(s, h, 0, rest.data == NULL);
            return;
        }
        post_run_packets(s, &rest, PEAL_EIO_WHOLE); /* without memory it cannot wait */
    }
    post_answer(h);
}

void
peal_eio_post_rest(struct peal_eio_session *s, enum peal_eio_extent extent)
{
    struct peal_eio_polling *p = s->polling;
    struct peal_buf body = p->body;
    struct peal_slice rest = { NULL, 0 };
    struct peal_http *h;

    if (!p->deferred)
        return;
    if (!p->body_done)
        rest = body.len == 0
                   ? PEAL_S("")
                   : peal_slice_of(body.data + p->body_at, body.len - p->body_at);
    p->body = (struct peal_buf){ 0 };
    h = post_undefer(s);
    if (post_run_packets(s, &rest, extent)) {
        s->polling->body = body;
        post_defer(s, h, rest.data != NULL ? (size_t)(rest.data - body.data) : 0,
            rest.data == NULL);
        return;
    }
    peal_buf_fini(&body);
    post_answer(h);
}

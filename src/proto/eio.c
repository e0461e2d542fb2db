/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO sessions: their life, their packets and their heartbeat. Which transport
 * carries them is in eio_poll.c and eio_ws.c, what requests may ask for in eio_http.c.
 *
 * A session ends in one of two ways. The client, or an error, ends it at once. The
 * server's own close lets what is queued go first: on polling it may have to wait for the
 * next poll to be told in; until then the session is `closing` and does nothing else.
 */
#include "proto/eio.h"

#include <assert.h>
#include <stdlib.h>

#include "hub/publisher.h"
#include "proto/eio_priv.h"

#define GZIP_LEVEL 1     /* a poll's body is compressed for one client alone */
#define LATE_MS 50       /* that a timer may be late without a reason */
#define CLOSING_MS 30000 /* how long a close waits for a poll */
#define PARTED_MS 2000   /* how long the last poll of a client that closed may take */

static void on_timer(struct peal_timer *t);
static void bury(struct peal_eio_session *s);

peal_err
peal_eio_new(struct peal_proto *p, const struct peal_eio_ops *ops)
{
    struct peal_eio *e = calloc(1, sizeof(*e));

    if (e == NULL)
        return PEAL_ENOMEM;
    e->proto = p;
    e->ops = ops;
    peal_map_init(&e->sessions);
    peal_list_init(&e->all);
    peal_list_init(&e->closing);
    peal_list_init(&e->dirty);
    e->ping_frame = peal_sio_pack_engine(PEAL_S("2"), PEAL_SIO_WS);
    e->ping = peal_blob_copy(PEAL_S("2"));
    e->noop = peal_blob_copy(PEAL_S("6"));
    e->close = peal_blob_copy(PEAL_S("1"));
    e->noop_close = peal_blob_copy(PEAL_S("6\x1e"
                                          "1"));
    p->eio = e;
    if (peal_gzip_new(GZIP_LEVEL, &e->gzip) != PEAL_OK || e->ping_frame == NULL ||
        e->ping == NULL || e->noop == NULL || e->close == NULL || e->noop_close == NULL) {
        peal_eio_free(p);
        return PEAL_ENOMEM;
    }
    peal_loop_hook(p->loop, peal_eio_turn, e);
    return PEAL_OK;
}

void
peal_eio_free(struct peal_proto *p)
{
    struct peal_eio *e = p->eio;

    if (e == NULL)
        return;
    while (!peal_list_empty(&e->all))
        peal_eio_end(PEAL_CONTAINER(e->all.next, struct peal_eio_session, link), e->close,
            PEAL_END_STOP, NULL);
    while (!peal_list_empty(&e->closing)) {
        struct peal_eio_session *s =
            PEAL_CONTAINER(e->closing.next, struct peal_eio_session, link);

        if (s->parted)
            bury(s);
        else
            peal_eio_end(s, e->close, PEAL_END_STOP, NULL);
    }
    peal_map_fini(&e->sessions);
    peal_blob_release(e->ping_frame);
    peal_blob_release(e->ping);
    peal_blob_release(e->noop);
    peal_blob_release(e->close);
    peal_blob_release(e->noop_close);
    peal_gzip_free(&e->gzip);
    peal_buf_fini(&p->scratch);
    p->eio = NULL;
    free(e);
}

struct peal_eio_session *
peal_eio_session_new(struct peal_eio *e, bool polling, bool b64)
{
    struct peal_eio_session *s = calloc(1, sizeof(*s) + e->ops->size);
    peal_err err;

    if (s == NULL)
        return NULL;
    s->eio = e;
    s->b64 = b64;
    s->timer.fn = on_timer;
    do { /* two ids can be equal by chance */
        peal_shard_new_id(e->proto->shard, s->id);
        err = peal_map_put(&e->sessions, peal_eio_sid(s), s);
    } while (err == PEAL_EEXIST);
    if (err == PEAL_OK && polling && (err = peal_eio_polling_new(s)) != PEAL_OK)
        peal_map_del(&e->sessions, peal_eio_sid(s));
    if (err != PEAL_OK) {
        peal_eio_polling_free(s);
        free(s);
        return NULL;
    }
    peal_list_append(&e->all, &s->link);
    e->n_all++;
    peal_stat_add(&e->proto->loop->stats, PEAL_STAT_EIO_SESSIONS, 1);
    return s;
}

static void
arm(struct peal_eio_session *s)
{
    uint64_t now = peal_loop_now_ms(peal_eio_loop(s));
    uint64_t at = s->deadline != 0 && s->deadline < s->due ? s->deadline : s->due;

    /* A ping is part of a crowd; whoever has not answered one is judged by the clock. */
    if (at == s->due && !s->waiting && at > now)
        peal_loop_start_coarse(peal_eio_loop(s), &s->timer, at - now);
    else
        peal_loop_start(peal_eio_loop(s), &s->timer, at > now ? at - now : 0);
}

/* Waits for a ping to be due, or for its pong, from `from` on. */
static void
wait_ping(struct peal_eio_session *s, uint64_t from)
{
    const struct peal_proto_config *c = s->eio->proto->config;

    s->due = from + (s->waiting ? c->ping_timeout_ms : c->ping_interval_ms);
    arm(s);
}

void
peal_eio_start(struct peal_eio_session *s)
{
    const struct peal_proto *p = s->eio->proto;
    uint64_t now = peal_loop_now_ms(p->loop);

    s->opened = 1;
    s->joined = !s->eio->ops->must_join;
    s->deadline =
        s->joined ? peal_session_drain_at(p) : now + p->config->connect_timeout_ms;
    wait_ping(s, now);
    s->eio->ops->open(s);
}

void
peal_eio_joined(struct peal_eio_session *s)
{
    if (s->joined)
        return;
    s->joined = 1;
    s->deadline = peal_session_drain_at(s->eio->proto);
    arm(s);
}

/* Closes the transport so that the client comes back. A Socket.IO DISCONNECT, or a close
 * code that means the end, would keep it from that. */
static void
send_away(struct peal_eio_session *s)
{
    if (s->eio->ops->settle != NULL)
        s->eio->ops->settle(s);
    s->leaving = 1;
    if (s->polling == NULL)
        peal_wsconn_close(&s->ws, PEAL_WS_CLOSE_RESTART, PEAL_S("please reconnect"));
    peal_eio_close(s, PEAL_END_DRAIN, NULL);
}

static void
on_timer(struct peal_timer *t)
{
    struct peal_eio_session *s = PEAL_CONTAINER(t, struct peal_eio_session, timer);
    struct peal_stats *stats = &peal_eio_loop(s)->stats;
    uint64_t now = peal_loop_now_ms(peal_eio_loop(s));

    if (s->parted) {
        bury(s);
    } else if (s->closing) {
        peal_eio_end(s, s->eio->close, PEAL_END_SERVER, NULL);
    } else if (s->deadline != 0 && now >= s->deadline && s->joined) {
        send_away(s);
    } else if (s->deadline != 0 && now >= s->deadline) {
        peal_stat_add(stats, PEAL_STAT_CONNECT_TIMEOUTS, 1);
        peal_eio_close(s, PEAL_END_CONNECT_TIMEOUT, NULL);
    } else if (now < s->due) {
        arm(s);
    } else if (peal_eio_overdue(s)) {
        return;
    } else if (s->eio->ops->heartbeat != NULL && !s->eio->ops->heartbeat(s)) {
        peal_eio_close(s, PEAL_END_BAD_INPUT, "attachments that do not come");
    } else {
        s->waiting = 1;
        s->graced = 0;
        peal_eio_send(s, s->polling != NULL ? s->eio->ping : s->eio->ping_frame, 0);
        /* From when it was due: a tick of the wheel late here must not add up. */
        wait_ping(s, now - s->due <= LATE_MS ? s->due : now);
    }
}

/* A sign of life that is no pong: worth one more timeout, once a ping. */
static void
grace(struct peal_eio_session *s)
{
    if (!s->waiting || s->graced)
        return;
    s->graced = 1;
    wait_ping(s, peal_loop_now_ms(peal_eio_loop(s)));
}

static void
eio_resume(void *session)
{
    struct peal_eio_session *s = session;

    if (s->polling != NULL)
        peal_eio_post_rest(s, false);
    else
        peal_wsconn_resume(&s->ws);
}

bool
peal_eio_may_read(struct peal_eio_session *s)
{
    const struct peal_proto *p = s->eio->proto;
    bool over = s->ended || s->closing;

    return !peal_publisher_check(
               p->shard, over ? NULL : s, p->config->events_rate, eio_resume) &&
           !over;
}

bool
peal_eio_overdue(struct peal_eio_session *s)
{
    if (!s->waiting || s->closing || peal_loop_now_ms(peal_eio_loop(s)) < s->due)
        return false;
    if (peal_publisher_paused(
            s->eio->proto->shard, s)) { /* its pong may be among what is not read */
        wait_ping(s, peal_loop_now_ms(peal_eio_loop(s)));
        return false;
    }
    peal_stat_add(&peal_eio_loop(s)->stats, PEAL_STAT_PING_TIMEOUTS, 1);
    peal_eio_end(s, s->eio->close, PEAL_END_PING_TIMEOUT, NULL);
    return true;
}

static bool
on_message(struct peal_eio_session *s, bool binary, struct peal_slice data)
{
    if (!s->eio->ops->message(s, binary, data) && !s->ended && !s->closing)
        peal_eio_close(
            s, PEAL_END_BAD_INPUT, "not a Socket.IO packet that is allowed here");
    return !s->ended && !s->closing;
}

bool
peal_eio_on_binary_message(struct peal_eio_session *s, struct peal_slice data)
{
    grace(s);
    return on_message(s, true, data);
}

static bool
on_base64(struct peal_eio_session *s, struct peal_slice base64)
{
    struct peal_blob *b = NULL;
    bool go_on;

    if (peal_eiopkt_binary(base64, &b) != PEAL_OK) {
        peal_eio_fail(s, "malformed base64");
        return false;
    }
    go_on = on_message(s, true, peal_blob_slice(b));
    peal_blob_release(b);
    return go_on;
}

bool
peal_eio_on_packet(struct peal_eio_session *s, struct peal_slice packet)
{
    struct peal_eiopkt p;

    if (s->ended || s->closing)
        return false;
    if (peal_eiopkt_parse(packet, &p) != PEAL_OK) {
        peal_eio_fail(s, "malformed packet");
        return false;
    }
    if (p.type == PEAL_EIO_PONG) {
        s->waiting = 0;
        wait_ping(s, peal_loop_now_ms(peal_eio_loop(s)));
        return true;
    }
    grace(s);
    switch (p.type) {
    case PEAL_EIO_MESSAGE:
        return p.binary ? on_base64(s, p.data) : on_message(s, false, p.data);
    case PEAL_EIO_PING:
        peal_eio_fail(s, "a ping, which only servers send");
        return false;
    case PEAL_EIO_CLOSE:
        if (s->polling == NULL)
            return true;
        peal_eio_part(s);
        return false;
    default:
        return true;
    }
}

/* What rides on the session learns that it is over. */
static void
leave(struct peal_eio_session *s, enum peal_session_end how, const char *detail)
{
    struct peal_eio *e = s->eio;
    struct peal_session_name name = { .protocol = "socketio",
        .transport = s->polling != NULL ? "polling" : "websocket",
        .id = peal_eio_sid(s) };

    if (s->closing)
        return;
    s->closing = 1;
    peal_session_log_ended(e->proto, &name, how, detail);
    peal_publisher_forget(e->proto->shard, s);
    peal_list_unlink(&s->link);
    e->n_all--;
    peal_list_append(&e->closing, &s->link);
    if (s->opened)
        e->ops->close(s);
}

/* Ends all that s has, but for its id. */
static void
stop(struct peal_eio_session *s, struct peal_blob *last, enum peal_session_end how,
    const char *detail)
{
    struct peal_eio *e = s->eio;

    s->ended = 1;
    leave(s, how, detail);
    peal_timer_stop(&s->timer);
    if (s->polling != NULL) {
        peal_eio_release(s, last);
        peal_eio_probe_free(s);
        peal_eio_polling_free(s);
    }
    peal_wsconn_close(&s->ws, PEAL_WS_CLOSE_NONE, PEAL_S(""));
    peal_stat_add(&e->proto->loop->stats, PEAL_STAT_EIO_SESSIONS, -1);
}

/* Forgets the id of a session that has been stopped. */
static void
bury(struct peal_eio_session *s)
{
    struct peal_eio *e = s->eio;

    peal_timer_stop(&s->timer);
    peal_map_del(&e->sessions, peal_eio_sid(s));
    peal_list_unlink(&s->link);
    peal_loop_free_later(e->proto->loop, free, s);
}

void
peal_eio_end(struct peal_eio_session *s, struct peal_blob *last,
    enum peal_session_end how, const char *detail)
{
    if (s->ended)
        return;
    stop(s, last, how, detail);
    bury(s);
}

void
peal_eio_part(struct peal_eio_session *s)
{
    bool polled = s->polling->poll != NULL;

    stop(s, s->eio->noop, PEAL_END_CLIENT, NULL);
    if (polled) {
        bury(s);
        return;
    }
    s->parted = 1;
    peal_loop_start(peal_eio_loop(s), &s->timer, PARTED_MS);
}

void
peal_eio_last_poll(struct peal_eio_session *s, struct peal_http *h)
{
    peal_eio_answer(h, PEAL_EIO_TYPE_PACKETS, s->eio->noop);
    bury(s);
}

void
peal_eio_fail(struct peal_eio_session *s, const char *detail)
{
    if (s->ended)
        return;
    peal_stat_add(&peal_eio_loop(s)->stats, PEAL_STAT_EIO_BAD, 1);
    peal_eio_end(s, s->eio->close, PEAL_END_BAD_INPUT, detail);
}

void
peal_eio_close(struct peal_eio_session *s, enum peal_session_end how, const char *detail)
{
    if (s->ended || s->closing)
        return;
    leave(s, how, detail);
    if (s->polling == NULL) {
        peal_eio_end(s, NULL, how, detail);
    } else if (s->polling->poll != NULL && s->polling->n == 0) {
        peal_eio_close_poll(s, s->eio->close);
    } else {
        /* Not both in one answer: the official client would look at the close first. */
        peal_eio_flush(s);
        peal_eio_probe_free(s);
        peal_loop_start(peal_eio_loop(s), &s->timer, CLOSING_MS);
    }
}

void
peal_eio_pollers_first(struct peal_proto *p)
{
    struct peal_eio *e = p->eio;
    struct peal_link sorted, *l, *next;

    peal_list_init(&sorted);
    for (l = e->all.next; l != &e->all; l = next) {
        next = l->next;
        if (PEAL_CONTAINER(l, struct peal_eio_session, link)->polling == NULL)
            continue;
        peal_list_unlink(l);
        peal_list_append(&sorted, l);
    }
    while ((l = peal_list_take(&e->all)) != NULL)
        peal_list_append(&sorted, l);
    peal_list_move(&e->all, &sorted);
}

unsigned
peal_eio_drain(struct peal_proto *p, unsigned n, bool youngest)
{
    struct peal_eio *e = p->eio;

    for (; n > 0 && !peal_list_empty(&e->all); n--) {
        struct peal_link *l = youngest ? e->all.prev : e->all.next;

        send_away(PEAL_CONTAINER(l, struct peal_eio_session, link));
    }
    return e->n_all;
}

void *
peal_eio_user(struct peal_eio_session *s)
{
    return s->user;
}

struct peal_proto *
peal_eio_proto(const struct peal_eio_session *s)
{
    return s->eio->proto;
}

enum peal_sio_transport
peal_eio_transport(const struct peal_eio_session *s)
{
    return s->polling != NULL ? PEAL_SIO_POLL : s->b64 ? PEAL_SIO_B64 : PEAL_SIO_WS;
}

bool
peal_eio_deflates(const struct peal_eio_session *s)
{
    return s->polling == NULL && !s->b64 &&
           peal_wsconn_deflate_bits(&s->ws) == PEAL_DEFLATE_BITS_MAX;
}

bool
peal_eio_ready(const struct peal_eio_session *s)
{
    if (s->ended || s->closing)
        return false;
    return s->polling != NULL ? s->polling->poll != NULL && !s->doomed
                              : s->ws.conn != NULL && peal_conn_ready(s->ws.conn);
}

bool
peal_eio_send(struct peal_eio_session *s, struct peal_blob *packed, uint32_t tag)
{
    if (s->ended || s->closing)
        return false;
    if (s->polling != NULL)
        return peal_eio_queue(s, packed, tag);
    return peal_wsconn_send_frames(&s->ws, packed, tag);
}

/* SPDX-License-Identifier: MIT */
/*
 * The life of an Engine.IO session: its states, its packets and its heartbeat.
 *
 *              handshake                 WebSocket opened
 *   OPENING ---------------> POLLING <----------------------> PROBING
 *      |                        |       given up, too late       |
 *      | handshake              |                                | packet 5
 *      +----------------------- | ---------------------------> WEBSOCKET
 *                               |                                |
 *          +----------+---------+---------- (PROBING too)        |
 *          |          |         |                                |
 *   closed by     closed by   error, lost, overdue, drained      |
 *   the server    the client    |                                |
 *          |          |         |                                |
 *          v          v         v                                |
 *       CLOSING    PARTED --> ENDED <----------------------------+
 *          |                    ^
 *          +--------------------+
 *
 * A session on WebSocket ends at once, whatever ends it: what is queued on the connection
 * goes first. On polling the server's own close may have to wait for the next poll to be
 * told in (CLOSING), and the client's last poll may come after its close (PARTED). Both
 * are bounded in time. OPENING can end too, for want of memory.
 *
 * The rider is told of the end once, when the session leaves the open states.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "hub/publisher.h"
#include "proto/eio_priv.h"

#define LATE_MS 50       /* slack of timers; later than this, the process was stopped */
#define CLOSING_MS 30000 /* how long a close waits for a poll */
#define PARTED_MS 2000   /* how long the last poll of a client that closed may take */

#define BIT(state) (1u << PEAL_EIO_##state)

/* The edges of the drawing. */
static const unsigned edges[PEAL_EIO_STATE_N] = {
    [PEAL_EIO_OPENING] = BIT(POLLING) | BIT(WEBSOCKET) | BIT(ENDED),
    [PEAL_EIO_POLLING] = BIT(PROBING) | BIT(CLOSING) | BIT(PARTED) | BIT(ENDED),
    [PEAL_EIO_PROBING] =
        BIT(POLLING) | BIT(WEBSOCKET) | BIT(CLOSING) | BIT(PARTED) | BIT(ENDED),
    [PEAL_EIO_WEBSOCKET] = BIT(ENDED),
    [PEAL_EIO_CLOSING] = BIT(ENDED),
    [PEAL_EIO_PARTED] = BIT(ENDED),
    [PEAL_EIO_ENDED] = 0,
};

void
peal_eio_set_state(struct peal_eio_session *s, enum peal_eio_state to)
{
    struct peal_eio *e = s->eio;
    bool was_open = peal_eio_is_open(s);

    PEAL_ASSERT((edges[s->state] & 1u << to) != 0);
    s->state = (uint8_t)to;
    if (peal_eio_is_open(s))
        return;
    if (was_open) {
        PEAL_ASSERT(e->n_open > 0);
        e->n_open--;
    }
    peal_list_unlink(&s->link);
    if (to != PEAL_EIO_ENDED)
        peal_list_append(&e->closing, &s->link);
}

static void eio_on_timer(struct peal_timer *t);

struct peal_eio_session *
peal_eio_session_new(struct peal_eio *e, enum peal_eio_transport_kind kind, bool b64)
{
    struct peal_eio_session *s = calloc(1, sizeof(*s) + e->config->rider->size);

    if (s == NULL)
        return NULL;
    s->eio = e;
    s->b64 = b64;
    s->timer.fn = eio_on_timer;
    do
        peal_shard_new_id(e->proto->shard, s->id);
    while (peal_map_get(&e->sessions, peal_eio_sid(s)) != NULL);
    if ((kind == PEAL_EIO_ON_POLLING && peal_eio_polling_new(s) != PEAL_OK) ||
        peal_map_put(&e->sessions, peal_eio_sid(s), s) != PEAL_OK) {
        peal_eio_polling_free(s);
        free(s);
        return NULL;
    }
    peal_list_append(&e->open, &s->link);
    e->n_open++;
    peal_protocol_began(&e->base);
    return s;
}

/* The heartbeat. */

static void
eio_arm(struct peal_eio_session *s)
{
    uint64_t now = peal_loop_now_ms(peal_eio_loop(s));
    uint64_t at = s->deadline != 0 && s->deadline < s->due ? s->deadline : s->due;

    /* The time of a ping may be coarse, so that pings of many share a tick; the deadline
     * of a pong is exact. */
    if (at == s->due && !s->waiting && at > now)
        peal_loop_start_coarse(peal_eio_loop(s), &s->timer, at - now);
    else
        peal_loop_start(peal_eio_loop(s), &s->timer, at > now ? at - now : 0);
}

/* Waits for a ping to be due, or for its pong, from `from` on. */
static void
eio_wait_ping(struct peal_eio_session *s, uint64_t from)
{
    const struct peal_eio_config *c = s->eio->config;

    s->due = from + (s->waiting ? c->ping_timeout_ms : c->ping_interval_ms);
    eio_arm(s);
}

void
peal_eio_start(struct peal_eio_session *s)
{
    const struct peal_eio *e = s->eio;
    uint64_t now = peal_loop_now_ms(peal_eio_loop(s));

    peal_eio_set_state(s, s->polling != NULL ? PEAL_EIO_POLLING : PEAL_EIO_WEBSOCKET);
    s->joined = !e->config->rider->must_join;
    if (!s->joined)
        peal_stat_add(peal_proto_stats(e->proto), PEAL_STAT_SIO_CONNECTING, 1);
    s->deadline =
        s->joined ? peal_session_drain_at(e->proto) : now + e->config->connect_timeout_ms;
    eio_wait_ping(s, now);
    e->config->rider->open(s);
}

void
peal_eio_joined(struct peal_eio_session *s)
{
    if (s->joined)
        return;
    s->joined = 1;
    peal_stat_add(peal_proto_stats(s->eio->proto), PEAL_STAT_SIO_CONNECTING, -1);
    s->deadline = peal_session_drain_at(s->eio->proto);
    eio_arm(s);
}

static void
eio_ping(struct peal_eio_session *s, uint64_t now)
{
    const struct peal_eio_ops *rider = s->eio->config->rider;

    if (rider->heartbeat != NULL && !rider->heartbeat(s)) {
        peal_eio_close(s, PEAL_END_BAD_INPUT, "attachments that do not come");
        return;
    }
    s->waiting = 1;
    s->graced = 0;
    peal_eio_send(s, s->polling != NULL ? s->eio->ping : s->eio->ping_frame, 0);
    /* From when it was due: a tick of the wheel late here must not add up. */
    eio_wait_ping(s, now - s->due <= LATE_MS ? s->due : now);
}

static void
eio_on_timer(struct peal_timer *t)
{
    struct peal_eio_session *s = PEAL_CONTAINER(t, struct peal_eio_session, timer);
    uint64_t now = peal_loop_now_ms(peal_eio_loop(s));
    bool is_late = s->deadline != 0 && now >= s->deadline;

    if (!peal_eio_is_open(s)) {
        peal_eio_end(s, s->eio->close, PEAL_END_SERVER, NULL);
    } else if (is_late && s->joined) {
        peal_eio_drain_session(s);
    } else if (is_late) {
        peal_stat_add(peal_loop_stats(peal_eio_loop(s)), PEAL_STAT_CONNECT_TIMEOUTS, 1);
        peal_eio_close(s, PEAL_END_CONNECT_TIMEOUT, NULL);
    } else if (now < s->due) {
        eio_arm(s);
    } else if (!peal_eio_overdue(s)) {
        eio_ping(s, now);
    }
}

/* A sign of life that is no pong is worth one more timeout, once for each ping. */
static void
eio_grace(struct peal_eio_session *s)
{
    if (!s->waiting || s->graced)
        return;
    s->graced = 1;
    eio_wait_ping(s, peal_loop_now_ms(peal_eio_loop(s)));
}

static void
eio_resume(void *session)
{
    struct peal_eio_session *s = session;

    if (s->paused)
        return;
    if (s->polling != NULL)
        peal_eio_post_rest(s, PEAL_EIO_UNTIL_PAUSED);
    else
        peal_wsconn_resume(&s->ws);
}

bool
peal_eio_may_read(struct peal_eio_session *s)
{
    const struct peal_proto *p = s->eio->proto;
    bool is_open = peal_eio_is_open(s);

    return !peal_publisher_check(
               p->shard, is_open ? s : NULL, p->config->events_rate, eio_resume) &&
           is_open && !s->paused;
}

void
peal_eio_pause(struct peal_eio_session *s)
{
    s->paused = 1;
}

void
peal_eio_resume(struct peal_eio_session *s)
{
    if (!s->paused)
        return;
    s->paused = 0;
    if (peal_eio_is_open(s) && !peal_publisher_paused(s->eio->proto->shard, s))
        eio_resume(s);
}

bool
peal_eio_overdue(struct peal_eio_session *s)
{
    if (!s->waiting || !peal_eio_is_open(s) ||
        peal_loop_now_ms(peal_eio_loop(s)) < s->due)
        return false;
    if (s->paused || peal_publisher_paused(s->eio->proto->shard, s)) {
        /* Its pong may be among what is not read. */
        eio_wait_ping(s, peal_loop_now_ms(peal_eio_loop(s)));
        return false;
    }
    peal_stat_add(peal_loop_stats(peal_eio_loop(s)), PEAL_STAT_PING_TIMEOUTS, 1);
    peal_eio_end(s, s->eio->close, PEAL_END_PING_TIMEOUT, NULL);
    return true;
}

/* Packets of the client. */

static bool
eio_on_message(struct peal_eio_session *s, bool binary, struct peal_slice data)
{
    if (!s->eio->config->rider->message(s, binary, data) && peal_eio_is_open(s))
        peal_eio_close(
            s, PEAL_END_BAD_INPUT, "not a Socket.IO packet that is allowed here");
    return peal_eio_is_open(s);
}

bool
peal_eio_on_binary_message(struct peal_eio_session *s, struct peal_slice data)
{
    eio_grace(s);
    return eio_on_message(s, true, data);
}

static bool
eio_on_base64(struct peal_eio_session *s, struct peal_slice base64)
{
    struct peal_blob *b = NULL;
    bool go_on;

    if (peal_eiopkt_binary(base64, &b) != PEAL_OK) {
        peal_eio_fail(s, "malformed base64");
        return false;
    }
    go_on = eio_on_message(s, true, peal_blob_slice(b));
    peal_blob_release(b);
    return go_on;
}

bool
peal_eio_on_packet(struct peal_eio_session *s, struct peal_slice packet)
{
    struct peal_eiopkt p;

    if (!peal_eio_is_open(s))
        return false;
    if (peal_eiopkt_parse(packet, &p) != PEAL_OK) {
        peal_eio_fail(s, "malformed packet");
        return false;
    }
    if (p.type == PEAL_EIO_PONG) {
        s->waiting = 0;
        eio_wait_ping(s, peal_loop_now_ms(peal_eio_loop(s)));
        return true;
    }
    eio_grace(s);
    switch (p.type) {
    case PEAL_EIO_MESSAGE:
        return p.binary ? eio_on_base64(s, p.data) : eio_on_message(s, false, p.data);
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

/* The end. */

/* Leaves the open states: the rider learns of it, and the log. */
static void
eio_leave(struct peal_eio_session *s, enum peal_eio_state to, enum peal_session_end how,
    const char *detail)
{
    struct peal_eio *e = s->eio;
    bool was_open = peal_eio_is_open(s), was_opening = s->state == PEAL_EIO_OPENING;

    peal_eio_set_state(s, to);
    if (!was_open)
        return;
    peal_session_log_ended(e->proto,
        &(struct peal_session_name){ .protocol = e->base.ops->name,
            .transport = s->polling != NULL ? "polling" : "websocket",
            .id = peal_eio_sid(s) },
        how, detail);
    peal_publisher_forget(e->proto->shard, s);
    if (was_opening)
        return;
    if (!s->joined)
        peal_stat_add(peal_proto_stats(e->proto), PEAL_STAT_SIO_CONNECTING, -1);
    e->config->rider->close(s, how);
}

/* Closes what carries the session. last as in peal_eio_end. */
static void
eio_drop_transports(struct peal_eio_session *s, struct peal_blob *last)
{
    if (s->polling != NULL) {
        peal_eio_release(s, last);
        peal_eio_probe_free(s);
        peal_eio_polling_free(s);
    }
    peal_wsconn_close(&s->ws, PEAL_WS_CLOSE_NONE, PEAL_S(""));
    peal_protocol_ended(&s->eio->base);
}

/* Forgets a session whose transports are gone. */
static void
eio_bury(struct peal_eio_session *s)
{
    PEAL_ASSERT(s->state == PEAL_EIO_ENDED && s->polling == NULL);
    peal_timer_stop(&s->timer);
    peal_map_del(&s->eio->sessions, peal_eio_sid(s));
    peal_loop_free_later(peal_eio_loop(s), free, s);
}

void
peal_eio_end(struct peal_eio_session *s, struct peal_blob *last,
    enum peal_session_end how, const char *detail)
{
    bool has_parted = s->state == PEAL_EIO_PARTED;

    if (s->state == PEAL_EIO_ENDED)
        return;
    eio_leave(s, PEAL_EIO_ENDED, how, detail);
    if (!has_parted)
        eio_drop_transports(s, last);
    eio_bury(s);
}

void
peal_eio_part(struct peal_eio_session *s)
{
    bool is_polled = s->polling->poll != NULL;

    if (is_polled) {
        peal_eio_end(s, s->eio->noop, PEAL_END_CLIENT, NULL);
        return;
    }
    eio_leave(s, PEAL_EIO_PARTED, PEAL_END_CLIENT, NULL);
    eio_drop_transports(s, s->eio->noop);
    peal_loop_start(peal_eio_loop(s), &s->timer, PARTED_MS);
}

void
peal_eio_last_poll(struct peal_eio_session *s, struct peal_http *h)
{
    peal_eio_answer(h, PEAL_EIO_TYPE_PACKETS, s->eio->noop);
    peal_eio_end(s, NULL, PEAL_END_CLIENT, NULL);
}

void
peal_eio_fail(struct peal_eio_session *s, const char *detail)
{
    if (s->state == PEAL_EIO_ENDED)
        return;
    peal_stat_add(peal_loop_stats(peal_eio_loop(s)), PEAL_STAT_EIO_BAD, 1);
    peal_eio_end(s, s->eio->close, PEAL_END_BAD_INPUT, detail);
}

void
peal_eio_close(struct peal_eio_session *s, enum peal_session_end how, const char *detail)
{
    if (!peal_eio_is_open(s))
        return;
    if (s->polling == NULL) {
        peal_eio_end(s, NULL, how, detail);
        return;
    }
    eio_leave(s, PEAL_EIO_CLOSING, how, detail);
    if (s->polling->poll != NULL && s->polling->n == 0) {
        peal_eio_close_poll(s, s->eio->close);
    } else {
        /* Not both in one answer: the official client would look at the close first. */
        peal_eio_flush(s);
        peal_eio_probe_free(s);
        peal_loop_start(peal_eio_loop(s), &s->timer, CLOSING_MS);
    }
}

void
peal_eio_drain_session(struct peal_eio_session *s)
{
    const struct peal_eio_ops *rider = s->eio->config->rider;

    if (rider->settle != NULL)
        rider->settle(s);
    s->draining = 1;
    if (s->polling == NULL)
        peal_wsconn_close(&s->ws, PEAL_WS_CLOSE_RESTART, PEAL_S("please reconnect"));
    peal_eio_close(s, PEAL_END_DRAIN, NULL);
}

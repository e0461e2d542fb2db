/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO over WebSocket, and the way there from polling: the client opens a WebSocket
 * beside its polls, sends 2probe, is answered 3probe, stops polling and sends 5.
 *
 * A client that has just begun a poll must be released from it to go on, and may begin
 * another one before it has read 3probe. So the first poll after the probe is released at
 * once and later ones every PROBE_TICK_MS: nobody waits for a ping to be set free, and
 * nobody polls in a circle.
 */
#include <stdlib.h>

#include "proto/eio_priv.h"

#define PROBE_TICK_MS 100

/* Sessions on WebSocket. */

static struct peal_eio_session *
ws_session_of(struct peal_wsconn *w)
{
    return PEAL_CONTAINER(w, struct peal_eio_session, ws);
}

static void
ws_on_message(struct peal_wsconn *w, bool binary, struct peal_slice payload)
{
    struct peal_eio_session *s = ws_session_of(w);

    if (!peal_eio_is_open(s))
        return;
    if (binary)
        peal_eio_on_binary_message(s, payload);
    else
        peal_eio_on_packet(s, payload);
    if (!peal_eio_may_read(s))
        peal_wsconn_pause(w);
}

static void
ws_on_closed(
    struct peal_wsconn *w, uint16_t code, enum peal_close why, const char *detail)
{
    peal_eio_end(ws_session_of(w), NULL, peal_session_end_of(why), detail);
}

static struct peal_deflate *
ws_codec(const struct peal_wsconn *w)
{
    return PEAL_CONTAINER(w, struct peal_eio_session, ws)->eio->proto->deflate;
}

static const struct peal_wsconn_ops ws_session_ops = {
    .message = ws_on_message, .codec = ws_codec, .closed = ws_on_closed
};

static struct peal_wsconn_config
ws_config_of(const struct peal_eio *e)
{
    return (struct peal_wsconn_config){ .limits = &e->config->ws,
        .deflate = e->config->deflate };
}

/* The handshake packet goes first. */
static bool
ws_send_open(struct peal_eio_session *s)
{
    const struct peal_eio_config *c = s->eio->config;
    struct peal_buf text = { 0 };
    struct peal_blob *b = NULL;
    bool ok;

    if (peal_eiopkt_open(&text, peal_eio_sid(s), false, c->ping_interval_ms,
            c->ping_timeout_ms, c->max_payload) == PEAL_OK)
        b = peal_sio_pack_engine(peal_buf_slice(&text), peal_eio_transport(s));
    ok = b != NULL && peal_eio_send(s, b, 0);
    peal_blob_release(b);
    peal_buf_fini(&text);
    return ok;
}

void
peal_eio_ws_open(struct peal_eio *e, struct peal_http *h, bool b64)
{
    struct peal_wsconn_config config = ws_config_of(e);
    struct peal_eio_session *s = peal_eio_session_new(e, PEAL_EIO_ON_WEBSOCKET, b64);
    peal_err err;

    if (s == NULL) {
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    if ((err = peal_wsconn_accept(&s->ws, h, &config, &ws_session_ops)) != PEAL_OK) {
        peal_eio_end(s, NULL, err == PEAL_EPROTO ? PEAL_END_BAD_INPUT : PEAL_END_MEMORY,
            "in its handshake");
        return;
    }
    if (!ws_send_open(s)) {
        peal_eio_end(s, NULL, PEAL_END_MEMORY, NULL);
        return;
    }
    peal_eio_start(s);
}

/* The way from polling. A probe without a session is one that was too late. */

/* The probe's WebSocket is closed, or was moved. */
static void
probe_forget(struct peal_eio_probe *probe)
{
    struct peal_eio_session *s = probe->session;

    if (s != NULL) {
        s->polling->probe = NULL;
        if (s->state == PEAL_EIO_PROBING)
            peal_eio_set_state(s, PEAL_EIO_POLLING);
    }
    probe->session = NULL;
    peal_timer_stop(&probe->timer);
    peal_loop_free_later(probe->proto->loop, free, probe);
}

static void
probe_give_up(struct peal_eio_probe *probe)
{
    peal_wsconn_close(&probe->ws, PEAL_WS_CLOSE_NONE, PEAL_S(""));
    probe_forget(probe);
}

void
peal_eio_probe_free(struct peal_eio_session *s)
{
    if (s->polling->probe != NULL)
        probe_give_up(s->polling->probe);
}

static void
probe_on_tick(struct peal_timer *t)
{
    struct peal_eio_probe *probe = PEAL_CONTAINER(t, struct peal_eio_probe, timer);
    uint64_t now = peal_loop_now_ms(probe->proto->loop);

    if (now >= probe->deadline) {
        probe_give_up(probe);
        return;
    }
    peal_eio_release(probe->session, probe->session->eio->noop);
    peal_loop_start(probe->proto->loop, t,
        probe->deadline - now < PROBE_TICK_MS ? probe->deadline - now : PROBE_TICK_MS);
}

static void
probe_on_probe(struct peal_eio_probe *probe)
{
    struct peal_eio_session *s = probe->session;

    peal_wsconn_send(&probe->ws, PEAL_WS_TEXT, PEAL_S("3probe"), SIZE_MAX);
    probe->probed = 1;
    probe->noop = s->polling->poll == NULL;
    peal_eio_flush(s);
    peal_eio_release(s, s->eio->noop);
    peal_loop_start(probe->proto->loop, &probe->timer, PROBE_TICK_MS);
}

/* Sends a piece of a polling body as frames: a packet between two separators each. */
static bool
upgrade_send_piece(struct peal_eio_session *s, struct peal_slice piece, uint32_t tag)
{
    enum peal_sio_transport t = peal_eio_transport(s);
    struct peal_slice packet;
    bool ok = true;

    while (ok && peal_eiopkt_payload_next(&piece, &packet)) {
        struct peal_blob *bytes = NULL, *b;

        if (packet.len > 0 && packet.data[0] == 'b' && t == PEAL_SIO_WS) {
            if (peal_eiopkt_binary(peal_slice_skip(packet, 1), &bytes) != PEAL_OK)
                return false;
            b = peal_sio_pack_binary(peal_blob_slice(bytes), t);
        } else {
            b = peal_sio_pack_engine(packet, t);
        }
        ok = b != NULL && peal_eio_send(s, b, tag);
        peal_blob_release(b);
        peal_blob_release(bytes);
    }
    return ok;
}

/* The client has stopped polling: the WebSocket is the transport now. */
static void
probe_upgrade(struct peal_eio_probe *probe)
{
    struct peal_eio_session *s = probe->session;
    struct peal_eio_polling *p = s->polling;
    bool ok = true;

    /* It comes before what the WebSocket brings. */
    peal_eio_post_rest(s, PEAL_EIO_WHOLE);
    if (!peal_eio_is_open(s))
        return;
    peal_eio_flush(s); /* no official client has a poll open now */
    peal_eio_release(s, s->eio->noop);
    if (s->state != PEAL_EIO_PROBING || s->doomed)
        return;
    peal_wsconn_move(&s->ws, &probe->ws, &ws_session_ops);
    if (s->paused)
        peal_wsconn_pause(&s->ws);
    peal_eio_set_state(s, PEAL_EIO_WEBSOCKET);
    probe_forget(probe);
    s->polling = NULL;
    for (uint32_t i = 0; i < p->n && ok; i++)
        ok = upgrade_send_piece(s, peal_blob_slice(p->pieces[i].blob), 0);
    s->polling = p;
    peal_eio_polling_free(s);
    if (!ok)
        peal_eio_end(s, NULL, PEAL_END_MEMORY, NULL);
}

static void
probe_on_message(struct peal_wsconn *w, bool binary, struct peal_slice payload)
{
    struct peal_eio_probe *probe = PEAL_CONTAINER(w, struct peal_eio_probe, ws);

    if (probe->session == NULL)
        return;
    if (!binary && peal_slice_eq(payload, PEAL_S("2probe")) && !probe->probed)
        probe_on_probe(probe);
    else if (!binary && peal_slice_eq(payload, PEAL_S("5")))
        probe_upgrade(probe);
    else
        probe_give_up(probe);
}

static void
probe_on_closed(
    struct peal_wsconn *w, uint16_t code, enum peal_close why, const char *detail)
{
    probe_forget(PEAL_CONTAINER(w, struct peal_eio_probe, ws));
}

static struct peal_deflate *
probe_codec(const struct peal_wsconn *w)
{
    return PEAL_CONTAINER(w, struct peal_eio_probe, ws)->proto->deflate;
}

static const struct peal_wsconn_ops probe_ops = {
    .message = probe_on_message, .codec = probe_codec, .closed = probe_on_closed
};

void
peal_eio_ws_probe(struct peal_eio_session *s, struct peal_http *h)
{
    struct peal_wsconn_config config = ws_config_of(s->eio);
    struct peal_proto *p = s->eio->proto;
    struct peal_eio_probe *probe = calloc(1, sizeof(*probe));

    if (probe == NULL) {
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    probe->proto = p;
    probe->timer.fn = probe_on_tick;
    if (peal_wsconn_accept(&probe->ws, h, &config, &probe_ops) != PEAL_OK) {
        free(probe);
        return;
    }
    if (s->state != PEAL_EIO_POLLING) {
        probe_give_up(probe);
        return;
    }
    probe->session = s;
    s->polling->probe = probe;
    peal_eio_set_state(s, PEAL_EIO_PROBING);
    probe->deadline = peal_loop_now_ms(p->loop) + s->eio->config->upgrade_timeout_ms;
    peal_loop_start(p->loop, &probe->timer, s->eio->config->upgrade_timeout_ms);
}

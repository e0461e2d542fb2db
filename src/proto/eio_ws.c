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
session_of(struct peal_wsconn *w)
{
    return PEAL_CONTAINER(w, struct peal_eio_session, ws);
}

static void
on_message(struct peal_wsconn *w, bool binary, struct peal_slice payload)
{
    struct peal_eio_session *s = session_of(w);

    if (s->ended || s->closing)
        return;
    if (binary)
        peal_eio_on_binary_message(s, payload);
    else
        peal_eio_on_packet(s, payload);
    if (!peal_eio_may_read(s))
        peal_wsconn_pause(w);
}

static void
on_closed(struct peal_wsconn *w, uint16_t code, enum peal_close why, const char *detail)
{
    peal_eio_end(session_of(w), NULL, peal_session_end_of(why), detail);
}

static struct peal_deflate *
codec(const struct peal_wsconn *w)
{
    return PEAL_CONTAINER(w, struct peal_eio_session, ws)->eio->proto->deflate;
}

static const struct peal_wsconn_ops session_ops = {
    .message = on_message, .codec = codec, .closed = on_closed
};

static struct peal_wsconn_config
config_of(const struct peal_eio *e)
{
    return (struct peal_wsconn_config){ .limits = &e->proto->config->sio_ws,
        .deflate = e->proto->config->sio_deflate };
}

/* The handshake packet goes first. */
static bool
send_open(struct peal_eio_session *s)
{
    const struct peal_proto_config *c = s->eio->proto->config;
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
    struct peal_wsconn_config config = config_of(e);
    struct peal_eio_session *s = peal_eio_session_new(e, false, b64);

    if (s == NULL) {
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    if (peal_wsconn_accept(&s->ws, h, &config, &session_ops) != PEAL_OK ||
        !send_open(s)) {
        peal_eio_end(s, NULL, PEAL_END_MEMORY, NULL);
        return;
    }
    peal_eio_start(s);
}

/* The way from polling. A probe without a session is one that was too late. */

/* The probe's WebSocket is closed, or was moved. */
static void
forget(struct peal_eio_probe *probe)
{
    if (probe->session != NULL)
        probe->session->polling->probe = NULL;
    probe->session = NULL;
    peal_timer_stop(&probe->timer);
    peal_loop_free_later(probe->proto->loop, free, probe);
}

static void
give_up(struct peal_eio_probe *probe)
{
    peal_wsconn_close(&probe->ws, PEAL_WS_CLOSE_NONE, PEAL_S(""));
    forget(probe);
}

void
peal_eio_probe_free(struct peal_eio_session *s)
{
    if (s->polling->probe != NULL)
        give_up(s->polling->probe);
}

static void
on_tick(struct peal_timer *t)
{
    struct peal_eio_probe *probe = PEAL_CONTAINER(t, struct peal_eio_probe, timer);
    uint64_t now = peal_loop_now_ms(probe->proto->loop);

    if (now >= probe->deadline) {
        give_up(probe);
        return;
    }
    peal_eio_release(probe->session, probe->session->eio->noop);
    peal_loop_start(probe->proto->loop, t,
        probe->deadline - now < PROBE_TICK_MS ? probe->deadline - now : PROBE_TICK_MS);
}

static void
on_probe(struct peal_eio_probe *probe)
{
    struct peal_eio_session *s = probe->session;

    peal_wsconn_send(&probe->ws, false, PEAL_S("3probe"), SIZE_MAX);
    probe->probed = 1;
    probe->noop = s->polling->poll == NULL;
    peal_eio_flush(s);
    peal_eio_release(s, s->eio->noop);
    peal_loop_start(probe->proto->loop, &probe->timer, PROBE_TICK_MS);
}

/* Sends a piece of a polling body as frames: a packet between two separators each. */
static bool
send_piece(struct peal_eio_session *s, struct peal_slice piece, uint32_t tag)
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
upgrade(struct peal_eio_probe *probe)
{
    struct peal_eio_session *s = probe->session;
    struct peal_eio_polling *p = s->polling;
    bool ok = true;

    peal_eio_post_rest(s, true); /* it comes before what the WebSocket brings */
    if (s->ended || s->polling == NULL)
        return;
    peal_eio_flush(s); /* no official client has a poll open now */
    peal_eio_release(s, s->eio->noop);
    if (s->ended || s->polling == NULL)
        return;
    peal_wsconn_move(&s->ws, &probe->ws, &session_ops);
    forget(probe);
    s->polling = NULL;
    for (uint32_t i = 0; i < p->n && ok; i++)
        ok = send_piece(s, peal_blob_slice(p->pieces[i].blob), 0);
    s->polling = p;
    peal_eio_polling_free(s);
    if (!ok)
        peal_eio_end(s, NULL, PEAL_END_MEMORY, NULL);
}

static void
on_probe_message(struct peal_wsconn *w, bool binary, struct peal_slice payload)
{
    struct peal_eio_probe *probe = PEAL_CONTAINER(w, struct peal_eio_probe, ws);

    if (probe->session == NULL)
        return;
    if (!binary && peal_slice_eq(payload, PEAL_S("2probe")) && !probe->probed)
        on_probe(probe);
    else if (!binary && peal_slice_eq(payload, PEAL_S("5")))
        upgrade(probe);
    else
        give_up(probe);
}

static void
on_probe_closed(
    struct peal_wsconn *w, uint16_t code, enum peal_close why, const char *detail)
{
    forget(PEAL_CONTAINER(w, struct peal_eio_probe, ws));
}

static struct peal_deflate *
probe_codec(const struct peal_wsconn *w)
{
    return PEAL_CONTAINER(w, struct peal_eio_probe, ws)->proto->deflate;
}

static const struct peal_wsconn_ops probe_ops = {
    .message = on_probe_message, .codec = probe_codec, .closed = on_probe_closed
};

void
peal_eio_ws_probe(struct peal_eio_session *s, struct peal_http *h)
{
    struct peal_wsconn_config config = config_of(s->eio);
    const struct peal_proto *p = s->eio->proto;
    struct peal_eio_probe *probe = calloc(1, sizeof(*probe));

    if (probe == NULL) {
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    probe->proto = p;
    probe->timer.fn = on_tick;
    if (peal_wsconn_accept(&probe->ws, h, &config, &probe_ops) != PEAL_OK) {
        free(probe);
        return;
    }
    if (s->closing || s->polling == NULL || s->polling->probe != NULL) {
        give_up(probe);
        return;
    }
    probe->session = s;
    s->polling->probe = probe;
    probe->deadline = peal_loop_now_ms(p->loop) + p->config->upgrade_timeout_ms;
    peal_loop_start(p->loop, &probe->timer, p->config->upgrade_timeout_ms);
}

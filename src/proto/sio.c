/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO as the rider of an Engine.IO session: messages become packets, with their
 * attachments collected, which sio_packet.c carries out. sio_socket.c has the sockets,
 * sio_send.c what is sent to one client.
 */
#include "proto/sio.h"

#include <stdlib.h>

#include "base/assert.h"
#include "proto/sio_priv.h"
#include "wire/sio_msgpack.h"

/* Attachments. */

static void
sio_drop_pending(struct peal_socketio_client *c)
{
    struct peal_socketio_pending *w = c->pending;

    if (w == NULL)
        return;
    for (unsigned i = 0; i < w->have; i++)
        peal_blob_release(w->atts[i]);
    peal_buf_fini(&w->text);
    free(w);
    c->pending = NULL;
}

static bool
sio_wait_attachments(struct peal_socketio_client *c, struct peal_slice text, unsigned n)
{
    struct peal_socketio_pending *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return false;
    c->pending = w;
    w->since = peal_loop_now_ms(peal_socketio_proto(c)->loop);
    w->want = n;
    return peal_buf_add_slice(&w->text, text) == PEAL_OK;
}

static bool
sio_on_attachment(struct peal_socketio_client *c, struct peal_slice data)
{
    struct peal_socketio_pending *w = c->pending;
    struct peal_sio_packet p;
    bool ok;

    /* Each is a message of its own, of at most max_payload bytes, as with Node's server.
     */
    if (w == NULL || (w->atts[w->have] = peal_blob_copy(data)) == NULL)
        return false;
    w->since = peal_loop_now_ms(peal_socketio_proto(c)->loop);
    if (++w->have < w->want)
        return true;
    ok = peal_sio_parse(peal_buf_slice(&w->text), &p) == PEAL_OK;
    PEAL_ASSERT(ok); /* it was parsed before */
    c->pending = NULL;
    ok = peal_socketio_on_packet(c, &p, w->atts);
    for (unsigned i = 0; i < w->have; i++)
        peal_blob_release(w->atts[i]);
    peal_buf_fini(&w->text);
    free(w);
    return ok;
}

static bool
sio_on_text(struct peal_socketio_client *c, struct peal_slice text)
{
    struct peal_sio_packet p;

    if (c->pending != NULL || peal_sio_parse(text, &p) != PEAL_OK)
        return false;
    return p.n_atts > 0 ? sio_wait_attachments(c, text, p.n_atts)
                        : peal_socketio_on_packet(c, &p, NULL);
}

static bool
sio_on_msgpack(struct peal_socketio_client *c, struct peal_slice data)
{
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
    struct peal_buf text = { 0 };
    struct peal_sio_packet p;
    bool ok = peal_sio_msgpack_parse(data, &text, &p, atts) == PEAL_OK;

    if (ok) {
        ok = peal_socketio_on_packet(c, &p, atts);
        for (unsigned i = 0; i < p.n_atts; i++)
            peal_blob_release(atts[i]);
    }
    peal_buf_fini(&text);
    return ok;
}

static void
sio_on_open(struct peal_eio_session *s)
{
    struct peal_socketio_client *c = peal_eio_user(s);

    c->engine = s;
}

static bool
sio_on_message(struct peal_eio_session *s, bool binary, struct peal_slice data)
{
    struct peal_socketio_client *c = peal_eio_user(s);
    bool ok;

    if (peal_socketio_is_msgpack(c))
        ok = binary && sio_on_msgpack(c, data);
    else
        ok = binary ? sio_on_attachment(c, data) : sio_on_text(c, data);
    if (!ok)
        peal_stat_add(peal_proto_stats(peal_socketio_proto(c)), PEAL_STAT_SIO_BAD, 1);
    return ok;
}

/* As long as a client may be silent, its next attachment may be on its way. */
static bool
sio_on_heartbeat(struct peal_eio_session *s)
{
    struct peal_socketio_client *c = peal_eio_user(s);
    const struct peal_eio_config *config = peal_eio_config(c->engine);
    uint64_t now = peal_loop_now_ms(peal_socketio_proto(c)->loop);

    if (c->pending == NULL ||
        now - c->pending->since < config->ping_interval_ms + config->ping_timeout_ms)
        return true;
    peal_stat_add(peal_proto_stats(peal_socketio_proto(c)), PEAL_STAT_SIO_BAD, 1);
    return false;
}

static void
sio_on_settle(struct peal_eio_session *s)
{
    struct peal_socketio_client *c = peal_eio_user(s);

    for (struct peal_socketio_socket *so = c->sockets; so != NULL; so = so->next)
        peal_session_catch_up(&so->session);
}

static void
sio_on_close(struct peal_eio_session *s, enum peal_session_end how)
{
    struct peal_socketio_client *c = peal_eio_user(s);

    while (c->sockets != NULL)
        peal_socketio_socket_end(c->sockets, how);
    sio_drop_pending(c);
}

const struct peal_eio_ops peal_socketio_rider = { .size =
                                                      sizeof(struct peal_socketio_client),
    .open = sio_on_open,
    .message = sio_on_message,
    .heartbeat = sio_on_heartbeat,
    .settle = sio_on_settle,
    .close = sio_on_close,
    .must_join = true };

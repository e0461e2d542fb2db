/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO packets to one client: built in the worker's scratch, then packed for the
 * client's transport.
 *
 * An acknowledgement and the answer to a CONNECT promise that nothing is missed from then
 * on. So they are deferred until the backplane has confirmed all that their socket has
 * joined; until then they are kept as copies.
 */
#include <stdlib.h>

#include "proto/sio_priv.h"
#include "wire/sio_msgpack.h"

/* Sends what was built. Without memory the packet is lost, as on any bad line. */
static void
sio_send_built(struct peal_socketio_client *c, const struct peal_buf *packet,
    peal_err err, struct peal_blob *const *atts, unsigned n_atts)
{
    enum peal_sio_transport t = peal_eio_transport(c->engine);
    struct peal_slice built = peal_buf_slice(packet);
    struct peal_blob *b = NULL;

    if (err == PEAL_OK)
        b = peal_socketio_is_msgpack(c) ? peal_sio_pack_binary(built, t)
                                        : peal_sio_pack(built, atts, n_atts, t);
    /* Messages that were published before the packet go before it. */
    for (struct peal_socketio_socket *so = c->sockets; so != NULL; so = so->next)
        peal_session_catch_up(&so->session);
    if (b != NULL)
        peal_eio_send(c->engine, b, 0);
    peal_blob_release(b);
}

void
peal_socketio_send_connected(struct peal_socketio_socket *so)
{
    struct peal_buf *b = peal_eio_scratch(so->client->engine);
    struct peal_slice sid = peal_session_id(&so->session), none = PEAL_S("");

    sio_send_built(so->client, b,
        peal_socketio_is_msgpack(so->client)
            ? peal_sio_msgpack_connected(b, peal_socketio_nsp(so), sid, none)
            : peal_sio_connected(b, PEAL_SIO_PACKET, peal_socketio_nsp(so), sid, none),
        NULL, 0);
}

void
peal_socketio_send_refused(
    struct peal_socketio_client *c, struct peal_slice nsp, const char *why)
{
    struct peal_buf *b = peal_eio_scratch(c->engine);
    struct peal_slice message = peal_slice_str(why), none = PEAL_S("");

    sio_send_built(c, b,
        peal_socketio_is_msgpack(c)
            ? peal_sio_msgpack_refused(b, nsp, message, none)
            : peal_sio_refused(b, PEAL_SIO_PACKET, nsp, message, none),
        NULL, 0);
}

void
peal_socketio_send_disconnect(struct peal_socketio_socket *so)
{
    struct peal_buf *b = peal_eio_scratch(so->client->engine);

    sio_send_built(so->client, b,
        peal_socketio_is_msgpack(so->client)
            ? peal_sio_msgpack_disconnect(b, peal_socketio_nsp(so))
            : peal_sio_disconnect(b, PEAL_SIO_PACKET, peal_socketio_nsp(so)),
        NULL, 0);
}

static void
sio_send_ack_now(struct peal_socketio_socket *so, struct peal_slice id,
    struct peal_slice args, struct peal_blob *const *atts, unsigned n_atts)
{
    struct peal_socketio_client *c = so->client;
    struct peal_buf *b = peal_eio_scratch(c->engine);

    sio_send_built(c, b,
        peal_socketio_is_msgpack(c)
            ? peal_sio_msgpack_ack(b, peal_socketio_nsp(so), id, args, atts, n_atts)
            : peal_sio_ack(b, PEAL_SIO_PACKET, peal_socketio_nsp(so), id, args, n_atts),
        atts, n_atts);
}

void
peal_socketio_send_event(struct peal_socketio_socket *so, struct peal_slice event,
    struct peal_slice args, struct peal_blob *const *atts, unsigned n_atts)
{
    struct peal_socketio_client *c = so->client;
    struct peal_slice nsp = peal_socketio_nsp(so), none = PEAL_S("");
    struct peal_buf *b = peal_eio_scratch(c->engine);

    sio_send_built(c, b,
        peal_socketio_is_msgpack(c)
            ? peal_sio_msgpack_event(b, nsp, none, event, args, atts, n_atts)
            : peal_sio_event(b, PEAL_SIO_PACKET, nsp, none, event, args, n_atts),
        atts, n_atts);
}

/* An acknowledgement, or the answer to a CONNECT, that is deferred until all that its
 * socket has joined is subscribed. */
struct sio_deferred {
    struct peal_socketio_socket *socket;
    struct peal_blob *id, *args; /* of an acknowledgement */
    size_t weight;               /* counted with peal_shard_count_held */
    unsigned n_atts;
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
};

static void
sio_deferred_free(struct sio_deferred *w)
{
    peal_shard_held_sub(w->socket->session.shard, w->weight);
    for (unsigned i = 0; i < w->n_atts; i++)
        peal_blob_release(w->atts[i]);
    peal_blob_release(w->id);
    peal_blob_release(w->args);
    free(w);
}

static void
sio_on_ack_due(void *arg, bool gone)
{
    struct sio_deferred *w = arg;

    /* The room that it waited for may have been left: that concerns no other room. */
    if (!w->socket->ended && peal_session_await_all_subscribed(
                                 &w->socket->session, sio_on_ack_due, w) == PEAL_EAGAIN)
        return;
    if (!w->socket->ended)
        sio_send_ack_now(w->socket, peal_blob_slice(w->id), peal_blob_slice(w->args),
            w->atts, w->n_atts);
    sio_deferred_free(w);
}

/* true: it is kept and will be sent. */
static bool
sio_defer_ack(struct peal_socketio_socket *so, struct peal_slice id,
    struct peal_slice args, struct peal_blob *const *atts, unsigned n_atts)
{
    struct sio_deferred *w;

    if (peal_session_all_subscribed(&so->session) || (w = calloc(1, sizeof(*w))) == NULL)
        return false;
    w->socket = so;
    w->id = peal_blob_copy(id);
    w->args = peal_blob_copy(args);
    w->weight = sizeof(*w) + args.len;
    for (; w->n_atts < n_atts; w->n_atts++) {
        w->atts[w->n_atts] = peal_blob_retain(atts[w->n_atts]);
        w->weight += atts[w->n_atts]->len;
    }
    peal_shard_held_add(so->session.shard, w->weight);
    if (w->id != NULL && w->args != NULL &&
        peal_session_await_all_subscribed(&so->session, sio_on_ack_due, w) == PEAL_EAGAIN)
        return true;
    sio_deferred_free(w);
    return false;
}

void
peal_socketio_send_ack(struct peal_socketio_socket *so, struct peal_slice id,
    struct peal_slice args, struct peal_blob *const *atts, unsigned n_atts)
{
    if (!sio_defer_ack(so, id, args, atts, n_atts))
        sio_send_ack_now(so, id, args, atts, n_atts);
}

static void
sio_on_welcome_due(void *arg, bool gone)
{
    struct sio_deferred *w = arg;

    if (!w->socket->ended && peal_session_await_all_subscribed(&w->socket->session,
                                 sio_on_welcome_due, w) == PEAL_EAGAIN)
        return;
    if (!w->socket->ended) {
        peal_socketio_send_connected(w->socket);
        peal_socketio_tell_connected(w->socket, peal_blob_slice(w->args));
    }
    sio_deferred_free(w);
}

void
peal_socketio_welcome(struct peal_socketio_socket *so, struct peal_slice auth)
{
    struct sio_deferred *w = NULL;

    if (!peal_session_all_subscribed(&so->session) &&
        (w = calloc(1, sizeof(*w))) != NULL) {
        w->socket = so;
        if ((w->args = peal_blob_copy(auth)) != NULL &&
            peal_session_await_all_subscribed(&so->session, sio_on_welcome_due, w) ==
                PEAL_EAGAIN)
            return;
        sio_deferred_free(w);
    }
    peal_socketio_send_connected(so);
    peal_socketio_tell_connected(so, auth);
}

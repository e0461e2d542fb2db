/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO packets from a client: CONNECT and DISCONNECT of a namespace, events for the
 * app, answers to events that asked for one. A client that breaks the protocol is closed,
 * as the original does it.
 *
 * The app is asked in two places, sio_may_connect and sio_on_event, and answers before it
 * returns. For an app that answers later, both would keep a copy of what they ask about,
 * and the client would not be read until then (peal_conn_pause on a WebSocket, an answer
 * that comes late on polling), so that one packet is all that waits for one client.
 */
#include "base/json.h"
#include "proto/sio_priv.h"

/* An event, with what it takes to answer it. */
struct sio_event {
    struct peal_event ev; /* first */
    struct peal_socketio_socket *socket;
    struct peal_slice id; /* of the acknowledgement */
};

static void
sio_on_emit(const struct peal_event *ev, struct peal_slice event, struct peal_slice args,
    unsigned n_args, struct peal_blob *const *atts, unsigned n_atts)
{
    peal_socketio_send_event(
        ((const struct sio_event *)ev)->socket, event, args, atts, n_atts);
}

static void
sio_on_app_ack(const struct peal_event *ev, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts)
{
    const struct sio_event *e = (const struct sio_event *)ev;

    peal_socketio_send_ack(e->socket, e->id, args, atts, n_atts);
}

void
peal_socketio_tell_connected(struct peal_socketio_socket *so, struct peal_slice auth)
{
    struct peal_app *app = peal_socketio_app(so->client);
    struct sio_event e = { .ev = { .session = &so->session,
                               .nsp = peal_socketio_nsp(so),
                               .args = auth,
                               .n_args = auth.len > 0,
                               .emit = sio_on_emit },
        .socket = so };

    if (app->ops->connected != NULL)
        app->ops->connected(app, &e.ev);
}

/* Asks the app. Returns why not, or NULL: welcome. */
static const char *
sio_may_connect(struct peal_socketio_socket *so, struct peal_slice auth)
{
    struct peal_app *app = peal_socketio_app(so->client);
    struct peal_connect connect = {
        .session = &so->session, .nsp = peal_socketio_nsp(so), .auth = auth
    };
    const char *why = "not allowed";
    peal_err err = app->ops->connect(app, &connect, &why);

    /* '#' separates a namespace from its rooms in the names of channels. */
    if (err == PEAL_ENOTFOUND || memchr(so->nsp, '#', so->nsp_len) != NULL)
        return "Invalid namespace";
    if (err != PEAL_OK)
        return err == PEAL_EPERM ? why : "try again later";
    return peal_session_subscribe(&so->session, peal_socketio_nsp(so)) == PEAL_OK
               ? NULL
               : "try again later";
}

static bool
sio_on_connect(struct peal_socketio_client *c, const struct peal_sio_packet *p)
{
    struct peal_proto *proto = peal_socketio_proto(c);
    struct peal_socketio_socket *so;
    const char *why;

    if (peal_socketio_socket_find(c, p->nsp) != NULL)
        return false;
    if (c->n_sockets >= peal_socketio_config(c)->namespaces_max) {
        peal_socketio_send_refused(c, p->nsp, "too many namespaces");
        return true;
    }
    if ((so = peal_socketio_socket_new(c, p->nsp)) == NULL) {
        peal_socketio_send_refused(c, p->nsp, "try again later");
        return true;
    }
    if ((why = sio_may_connect(so, p->payload)) != NULL) {
        peal_stat_add(peal_proto_stats(proto), PEAL_STAT_DENIED, 1);
        peal_socketio_send_refused(c, p->nsp, why);
        peal_socketio_socket_end(so, false);
        return true;
    }
    peal_stat_add(peal_proto_stats(proto), PEAL_STAT_SIO_SOCKETS, 1);
    peal_eio_joined(c->engine);
    peal_socketio_welcome(so, p->payload);
    return true;
}

/* The text of an event's name. Mostly it stands between its quotes as it is. */
static struct peal_slice
sio_event_name(struct peal_slice token, struct peal_buf *b)
{
    if (token.data[0] != '"')
        return token;
    if (memchr(token.data, '\\', token.len) == NULL)
        return peal_slice_of(token.data + 1, token.len - 2);
    return peal_json_unquote(b, token) == PEAL_OK ? peal_buf_slice(b) : PEAL_S("");
}

static bool
sio_on_event(struct peal_socketio_client *c, const struct peal_sio_packet *p,
    struct peal_blob *const *atts)
{
    struct peal_socketio_socket *so = peal_socketio_socket_find(c, p->nsp);
    struct peal_app *app = peal_socketio_app(c);
    struct peal_buf name = { 0 };
    struct sio_event e;

    if (so == NULL)
        return false;
    if (p->ignore)
        return true;
    peal_stat_add(peal_proto_stats(peal_socketio_proto(c)), PEAL_STAT_RECEIVED, 1);
    e = (struct sio_event){ .ev = { .session = &so->session,
                                .nsp = peal_socketio_nsp(so),
                                .event = p->event,
                                .name = sio_event_name(p->event, &name),
                                .args = p->args,
                                .n_args = p->n_args,
                                .atts = atts,
                                .n_atts = p->n_atts,
                                .ack = p->id.data != NULL ? sio_on_app_ack : NULL,
                                .emit = sio_on_emit },
        .socket = so,
        .id = p->id };
    app->ops->event(app, &e.ev);
    peal_buf_fini(&name);
    return true;
}

/* An answer that is not owed, or not any more, means nothing. */
static bool
sio_on_ack(struct peal_socketio_client *c, const struct peal_sio_packet *p,
    struct peal_blob *const *atts)
{
    struct peal_socketio_socket *so = peal_socketio_socket_find(c, p->nsp);
    struct peal_ack_answer said = {
        .args = p->args, .n_args = p->n_args, .atts = atts, .n_atts = p->n_atts
    };
    uint64_t id;

    if (so == NULL)
        return false;
    if (peal_slice_u64(p->id, UINT64_MAX, &id) == PEAL_OK)
        peal_pending_ack_resolve(so->owed, id, &said);
    return true;
}

bool
peal_socketio_on_packet(struct peal_socketio_client *c, const struct peal_sio_packet *p,
    struct peal_blob *const *atts)
{
    struct peal_socketio_socket *so;

    switch (p->type) {
    case PEAL_SIO_CONNECT:
        return sio_on_connect(c, p);
    case PEAL_SIO_EVENT:
        return sio_on_event(c, p, atts);
    case PEAL_SIO_ACK:
        return sio_on_ack(c, p, atts);
    case PEAL_SIO_DISCONNECT:
        if ((so = peal_socketio_socket_find(c, p->nsp)) == NULL)
            return false;
        peal_socketio_socket_end(so, true);
        return true;
    default:
        return false;
    }
}

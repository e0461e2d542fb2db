/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO packets from a client: CONNECT and DISCONNECT of a namespace, events for the
 * app, answers to events that asked for one. A client that breaks the protocol is closed,
 * as the original does it.
 *
 * The app is asked in two places, sio_ask_connect and sio_on_event, and may answer later
 * (app/question.h). While it decides about a CONNECT the client is not read, so no packet
 * can come for a socket that is not connected yet; events that it has kept stop the
 * reading only when there are too many of them.
 */
#include "base/json.h"
#include "proto/sio_priv.h"

/* An event, with what it takes to answer it. */
struct sio_event {
    struct peal_event ev;
    struct peal_socketio_socket *socket;
    struct peal_slice id; /* of the acknowledgement */
};

static void
sio_on_emit(const struct peal_event *ev, struct peal_slice event, struct peal_slice args,
    unsigned n_args, struct peal_blob *const *atts, unsigned n_atts)
{
    peal_socketio_send_event(PEAL_CONTAINER(ev, const struct sio_event, ev)->socket,
        event, args, atts, n_atts);
}

static void
sio_on_app_ack(const struct peal_event *ev, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts)
{
    const struct sio_event *e = PEAL_CONTAINER(ev, const struct sio_event, ev);

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

static void
sio_refuse_connect(struct peal_socketio_socket *so, const char *why)
{
    struct peal_socketio_client *c = so->client;

    peal_stat_add(peal_proto_stats(peal_socketio_proto(c)), PEAL_STAT_DENIED, 1);
    peal_socketio_send_refused(c, peal_socketio_nsp(so), why);
    peal_socketio_socket_end(so, PEAL_END_SERVER);
}

/* Carries out the app's decision about a CONNECT. */
static void
sio_decide_connect(struct peal_socketio_socket *so, peal_err err, const char *why,
    struct peal_slice auth)
{
    struct peal_socketio_client *c = so->client;

    /* '#' separates a namespace from its rooms in the names of channels. */
    if (err == PEAL_ENOTFOUND || memchr(so->nsp, '#', so->nsp_len) != NULL) {
        sio_refuse_connect(so, "Invalid namespace");
    } else if (err != PEAL_OK) {
        sio_refuse_connect(
            so, err == PEAL_EPERM && why != NULL ? why : "try again later");
    } else if (peal_session_subscribe(&so->session, peal_socketio_nsp(so)) != PEAL_OK) {
        sio_refuse_connect(so, "try again later");
    } else {
        so->connected = true;
        peal_stat_add(peal_proto_stats(peal_socketio_proto(c)), PEAL_STAT_SIO_SOCKETS, 1);
        peal_eio_joined(c->engine);
        peal_socketio_welcome(so, auth);
    }
}

static void
sio_on_connect_decided(void *owner, const struct peal_answer *a)
{
    struct peal_socketio_socket *so = owner;
    struct peal_socketio_client *c = so->client;
    struct peal_blob *auth = so->auth;

    so->auth = NULL;
    /* The app has not answered, which does not mean that the namespace does not exist. */
    sio_decide_connect(so, a->err == PEAL_ENOTFOUND ? PEAL_ETIMEOUT : a->err, a->why,
        peal_blob_slice(auth));
    peal_blob_release(auth);
    peal_socketio_pause_or_resume(c);
}

/* Asks the app, which may answer later. */
static void
sio_ask_connect(struct peal_socketio_socket *so, struct peal_slice auth)
{
    struct peal_app *app = peal_socketio_app(so->client);
    struct peal_connect connect = { .session = &so->session,
        .nsp = peal_socketio_nsp(so),
        .auth = auth,
        .ask = { .questions = &so->questions,
            .loop = peal_socketio_proto(so->client)->loop,
            .owner = so,
            .decided = sio_on_connect_decided,
            .kind = PEAL_ASK_CONNECT } };
    const char *why = "not allowed";
    peal_err err = app->ops->connect(app, &connect, &why);

    if (err == PEAL_EAGAIN && so->questions != NULL &&
        (so->auth = peal_blob_copy(auth)) != NULL) {
        peal_eio_pause(so->client->engine);
        return;
    }
    peal_questions_drop(&so->questions);
    sio_decide_connect(so, err, why, auth);
}

static bool
sio_on_connect(struct peal_socketio_client *c, const struct peal_sio_packet *p)
{
    struct peal_socketio_socket *so;

    if (peal_socketio_socket_find(c, p->nsp) != NULL)
        return false;
    if (c->n_sockets >= peal_socketio_config(c)->namespaces_max)
        peal_socketio_send_refused(c, p->nsp, "too many namespaces");
    else if ((so = peal_socketio_socket_new(c, p->nsp)) == NULL)
        peal_socketio_send_refused(c, p->nsp, "try again later");
    else
        sio_ask_connect(so, p->payload);
    return true;
}

/* The app acknowledges an event that it has kept. */
static void
sio_on_event_decided(void *owner, const struct peal_answer *a)
{
    struct peal_socketio_socket *so = owner;

    if (a->err == PEAL_OK && a->id.len > 0)
        peal_socketio_send_ack(so, a->id, a->args, a->atts, a->n_atts);
    peal_socketio_pause_or_resume(so->client);
}

static void
sio_on_event_emit(void *owner, const struct peal_answer *a)
{
    peal_socketio_send_event(owner, a->event, a->args, a->atts, a->n_atts);
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

    if (so == NULL || !so->connected)
        return false;
    if (p->ignore)
        return true;
    peal_stat_add(peal_proto_stats(peal_socketio_proto(c)), PEAL_STAT_RECEIVED, 1);
    e = (struct sio_event){ .ev = { .ask = { .questions = &so->questions,
                                        .loop = peal_socketio_proto(c)->loop,
                                        .owner = so,
                                        .decided = sio_on_event_decided,
                                        .emit = sio_on_event_emit,
                                        .id = p->id,
                                        .kind = PEAL_ASK_EVENT },
                                .session = &so->session,
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
    if (peal_questions_wait(so->questions))
        peal_eio_pause(c->engine);
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
        peal_socketio_socket_end(so, PEAL_END_CLIENT);
        return true;
    default:
        return false;
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO sockets: sessions of the hub, one for each namespace of a client. What is
 * published comes through socket_deliver, in the form that the client's transport wants,
 * made once a message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "proto/sio_priv.h"

struct peal_socketio_socket *
peal_socketio_socket_find(const struct peal_socketio_client *c, struct peal_slice nsp)
{
    struct peal_socketio_socket *so = c->sockets;

    while (so != NULL && !peal_slice_eq(peal_socketio_nsp(so), nsp))
        so = so->next;
    return so;
}

void
peal_socketio_pause_or_resume(struct peal_socketio_client *c)
{
    for (const struct peal_socketio_socket *so = c->sockets; so != NULL; so = so->next)
        if (peal_questions_wait(so->questions)) {
            peal_eio_pause(c->engine);
            return;
        }
    peal_eio_resume(c->engine);
}

void
peal_socketio_socket_end(struct peal_socketio_socket *so, enum peal_session_end how)
{
    struct peal_socketio_client *c = so->client;
    struct peal_proto *p = peal_socketio_proto(c);
    struct peal_socketio_socket **at = &c->sockets;

    PEAL_ASSERT(!so->ended && c->n_sockets > 0);
    while (*at != so)
        at = &(*at)->next;
    *at = so->next;
    c->n_sockets--;
    so->ended = true;
    peal_pending_acks_clear(&so->owed);
    if (so->questions != NULL) {
        peal_questions_drop(&so->questions);
        peal_socketio_pause_or_resume(c);
    }
    peal_blob_release(so->auth);
    so->auth = NULL;
    if (so->connected) {
        peal_stat_add(peal_proto_stats(p), PEAL_STAT_SIO_SOCKETS, -1);
        if (p->app->ops->disconnect != NULL)
            p->app->ops->disconnect(p->app, &so->session, how);
    }
    peal_session_fini(&so->session);
    peal_loop_free_later(p->loop, free, so);
}

static enum peal_format
socket_format(const struct peal_socketio_client *c)
{
    bool msgpack = peal_socketio_is_msgpack(c);

    switch (peal_eio_transport(c->engine)) {
    case PEAL_SIO_POLL:
        return msgpack ? PEAL_FMT_SIO_MSGPACK_POLL : PEAL_FMT_SIO_POLL;
    case PEAL_SIO_B64:
        return PEAL_FMT_SIO_B64;
    default:
        return msgpack                        ? PEAL_FMT_SIO_MSGPACK
               : peal_eio_deflates(c->engine) ? PEAL_FMT_SIO_DEFLATE
                                              : PEAL_FMT_SIO;
    }
}

/* The msgpack parser over WebSocket for a client without binary: rare, so not cached. */
static bool
socket_deliver_msgpack_b64(struct peal_socketio_client *c, struct peal_msg *m, unsigned k)
{
    struct peal_blob *piece =
        peal_encode_form(m, PEAL_FMT_SIO_MSGPACK_POLL, peal_socketio_proto(c)->deflate);
    struct peal_blob *b =
        piece == NULL ? NULL : peal_sio_pack_engine(peal_blob_slice(piece), PEAL_SIO_B64);
    bool ok = b != NULL && peal_eio_send(c->engine, b, m->channels[k].hash | 1);

    peal_blob_release(b);
    return ok;
}

/* Tells whether m is for this socket, now. */
static bool
socket_takes(const struct peal_socketio_socket *so, const struct peal_msg *m)
{
    const struct peal_socketio_client *c = so->client;

    if (!peal_slice_eq(m->nsp, peal_socketio_nsp(so)))
        return false;
    if ((m->flags & PEAL_MSG_VOLATILE) == 0 || peal_eio_ready(c->engine))
        return true;
    peal_stat_add(
        peal_proto_stats(peal_socketio_proto(c)), PEAL_STAT_VOLATILE_DROPPED, 1);
    return false;
}

static bool
socket_deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    struct peal_socketio_socket *so =
        PEAL_CONTAINER(s, struct peal_socketio_socket, session);
    struct peal_socketio_client *c = so->client;
    enum peal_format fmt = socket_format(c);
    struct peal_blob *b;

    if ((m->flags & PEAL_MSG_NEEDS_ACK) != 0 || !socket_takes(so, m))
        return false;
    if (fmt == PEAL_FMT_SIO_B64 && peal_socketio_is_msgpack(c))
        return socket_deliver_msgpack_b64(c, m, k);
    b = peal_encode_form(m, fmt, peal_socketio_proto(c)->deflate);
    return b != NULL && peal_eio_send(c->engine, b, m->channels[k].hash | 1);
}

/* The event has an id of its own, so it is built for this socket alone. */
static bool
socket_deliver_with_ack(
    struct peal_session *s, struct peal_msg *m, unsigned k, struct peal_pending_ack *owed)
{
    struct peal_socketio_socket *so =
        PEAL_CONTAINER(s, struct peal_socketio_socket, session);
    struct peal_socketio_client *c = so->client;
    struct peal_proto *p = peal_socketio_proto(c);
    struct peal_blob *b;
    char id[24];
    bool ok;

    if (!socket_takes(so, m))
        return false;
    if (!peal_pending_ack_has_room(so->owed)) {
        peal_stat_add(peal_proto_stats(p), PEAL_STAT_ASKS_DROPPED, 1);
        return false;
    }
    snprintf(id, sizeof(id), "%llu", (unsigned long long)owed->id);
    b = peal_encode_sio_with_ack(m, peal_slice_str(id), peal_socketio_is_msgpack(c),
        peal_eio_transport(c->engine), peal_eio_deflates(c->engine) ? p->deflate : NULL);
    ok = b != NULL && peal_eio_send(c->engine, b, m->channels[k].hash | 1);
    peal_blob_release(b);
    if (ok)
        peal_pending_ack_add(&so->owed, owed);
    return ok;
}

static void
socket_disconnect(struct peal_session *s, bool everything)
{
    struct peal_socketio_socket *so =
        PEAL_CONTAINER(s, struct peal_socketio_socket, session);
    struct peal_socketio_client *c = so->client;

    if (!everything) {
        peal_socketio_send_disconnect(so);
        peal_socketio_socket_end(so, PEAL_END_SERVER);
        return;
    }
    for (so = c->sockets; so != NULL; so = so->next)
        peal_socketio_send_disconnect(so);
    peal_eio_close(c->engine, PEAL_END_SERVER, NULL);
}

static const struct peal_session_ops session_ops = { .protocol = "socketio",
    .deliver = socket_deliver,
    .disconnect = socket_disconnect,
    .deliver_with_ack = socket_deliver_with_ack };

struct peal_socketio_socket *
peal_socketio_socket_new(struct peal_socketio_client *c, struct peal_slice nsp)
{
    struct peal_proto *p = peal_socketio_proto(c);
    const struct peal_socketio_config *config = peal_socketio_config(c);
    struct peal_socketio_socket *so = calloc(1, sizeof(*so) + nsp.len);

    if (so == NULL)
        return NULL;
    if (peal_session_init(&so->session, p->shard, &session_ops, PEAL_LISTED) != PEAL_OK) {
        free(so);
        return NULL;
    }
    /* The namespace itself is a channel too. */
    so->session.n_subs_max = (uint16_t)(config->rooms_max + 1); /* and its own id */
    so->session.connected_s = (uint32_t)time(NULL);
    so->client = c;
    so->nsp_len = (uint32_t)nsp.len;
    memcpy(so->nsp, nsp.data, nsp.len);
    so->next = c->sockets;
    c->sockets = so;
    c->n_sockets++;
    return so;
}

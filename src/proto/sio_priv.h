/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of Socket.IO. A client is what one Engine.IO session carries; it
 * has a socket for each namespace that it has joined, and a socket is a session of the
 * hub.
 */
#ifndef PEAL_PROTO_SIO_PRIV_H
#define PEAL_PROTO_SIO_PRIV_H

#include "hub/ackreq.h"
#include "proto/sio.h"

struct peal_socketio_socket;

/* A packet whose attachments are still coming, each of them in time and as large as a
 * message may be. */
struct peal_socketio_pending {
    struct peal_buf text;
    uint64_t since; /* when the last piece of it came, loop time in ms */
    unsigned want, have;
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
};

/* A client: the rider of one Engine.IO session. */
struct peal_socketio_client {
    struct peal_eio_session *engine;
    struct peal_socketio_socket *sockets;
    struct peal_socketio_pending *pending; /* NULL: none */
    unsigned n_sockets;
};

struct peal_socketio_socket {
    struct peal_session session; /* first */
    struct peal_socketio_client *client;
    struct peal_socketio_socket *next;
    struct peal_pending_ack *owed;    /* acknowledgements that the client owes */
    struct peal_questions *questions; /* to the app, that are open; or NULL */
    struct peal_blob *auth; /* of a CONNECT that the app is deciding about; or NULL */
    bool connected;         /* the app has admitted it */
    bool ended;             /* nothing is sent to it any more */
    uint32_t nsp_len;
    char nsp[];
};

static inline struct peal_slice
peal_socketio_nsp(const struct peal_socketio_socket *so)
{
    return (struct peal_slice){ so->nsp, so->nsp_len };
}

static inline struct peal_proto *
peal_socketio_proto(const struct peal_socketio_client *c)
{
    return peal_eio_proto(c->engine);
}

static inline struct peal_app *
peal_socketio_app(const struct peal_socketio_client *c)
{
    return peal_socketio_proto(c)->app;
}

static inline const struct peal_socketio_config *
peal_socketio_config(const struct peal_socketio_client *c)
{
    return PEAL_CONTAINER(
        peal_eio_config(c->engine), const struct peal_socketio_config, engine);
}

static inline bool
peal_socketio_is_msgpack(const struct peal_socketio_client *c)
{
    return peal_socketio_config(c)->msgpack;
}

/* Packets to the client; sio_send.c. Out of memory: the packet is lost, as on any bad
 * line. */

void peal_socketio_send_connected(struct peal_socketio_socket *so);
void peal_socketio_send_refused(
    struct peal_socketio_client *c, struct peal_slice nsp, const char *why);
void peal_socketio_send_disconnect(struct peal_socketio_socket *so);
void peal_socketio_send_event(struct peal_socketio_socket *so, struct peal_slice event,
    struct peal_slice args, struct peal_blob *const *atts, unsigned n_atts);
/* peal_socketio_send_ack waits until all that so has joined is subscribed: it may
 * acknowledge a join, and nothing is to be missed from then on. */
void peal_socketio_send_ack(struct peal_socketio_socket *so, struct peal_slice id,
    struct peal_slice args, struct peal_blob *const *atts, unsigned n_atts);
/* peal_socketio_welcome tells the client that so is connected, as soon as all that it has
 * joined is subscribed, and then the app. auth is what the client sent with its CONNECT.
 */
void peal_socketio_welcome(struct peal_socketio_socket *so, struct peal_slice auth);

/* Sockets; sio_socket.c. */

/* NULL: out of memory. */
struct peal_socketio_socket *peal_socketio_socket_new(
    struct peal_socketio_client *c, struct peal_slice nsp);
struct peal_socketio_socket *peal_socketio_socket_find(
    const struct peal_socketio_client *c, struct peal_slice nsp);
/* peal_socketio_socket_end takes so off its client; its memory goes at the end of the
 * turn. The app is told, if it has let so in. */
void peal_socketio_socket_end(struct peal_socketio_socket *so, enum peal_session_end how);

/* peal_socketio_pause_or_resume stops the reading of a client while the app decides about
 * one of its sockets, or owes it too many answers; else it goes on. */
void peal_socketio_pause_or_resume(struct peal_socketio_client *c);

/* Packets of the client; sio_packet.c. */

/* peal_socketio_on_packet does what a packet with all its attachments asks for. false:
 * the client is to be closed. */
bool peal_socketio_on_packet(struct peal_socketio_client *c,
    const struct peal_sio_packet *p, struct peal_blob *const *atts);
/* peal_socketio_tell_connected tells the app that so is connected. */
void peal_socketio_tell_connected(
    struct peal_socketio_socket *so, struct peal_slice auth);

#endif

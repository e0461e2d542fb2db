/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO v4: sessions that live on HTTP long polling, on WebSocket, or move from one
 * to the other. What rides on them (Socket.IO, an echo) is handed in as ops.
 *
 * Thread: an engine and its sessions belong to their worker's loop.
 */
#ifndef PEAL_PROTO_EIO_H
#define PEAL_PROTO_EIO_H

#include "proto/proto.h"
#include "wire/encode.h"

struct peal_eio;
struct peal_eio_session;

struct peal_eio_ops {
    size_t size; /* bytes that each session carries for its rider, zeroed at open */
    /* A session has begun; its handshake packet is queued. May close it. */
    void (*open)(struct peal_eio_session *s);
    /* A message; data is valid for the call and may be written to. false: it breaks the
     * protocol above, and the session is to be closed. */
    bool (*message)(struct peal_eio_session *s, bool binary, struct peal_slice data);
    /* Optional: a ping is due. false: what s has begun is not going on, and the session
     * is to be closed. */
    bool (*heartbeat)(struct peal_eio_session *s);
    /* Optional: s is about to be closed: sends it what was published before. */
    void (*settle)(struct peal_eio_session *s);
    /* The session has ended; s is released at the end of the turn. */
    void (*close)(struct peal_eio_session *s);
    /* Sessions that have not called peal_eio_joined within connect_timeout are closed. */
    bool must_join;
};

/* peal_eio_new makes the engine of p's worker, p->eio. ops kept. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_eio_new(struct peal_proto *p, const struct peal_eio_ops *ops);
/* peal_eio_free drops what is left, and sets p->eio to NULL. */
void peal_eio_free(struct peal_proto *p);

/* For the route below socketio.path; ctx is the struct peal_proto. */
void peal_eio_begin(struct peal_http *h, void *proto);
void peal_eio_handle(struct peal_http *h, void *proto);

/* peal_eio_pollers_first makes them the first ones that a drain closes. */
void peal_eio_pollers_first(struct peal_proto *p);

/*
 * peal_eio_drain closes the transports of up to n sessions, after all that was published
 * before, and without a word to what rides on them: so clients come back elsewhere.
 *   youngest  which ones first; else the oldest
 * Returns how many are left, besides those that wait for a poll to be told.
 */
unsigned peal_eio_drain(struct peal_proto *p, unsigned n, bool youngest);

/* peal_eio_user is what ops->size asked for. */
void *peal_eio_user(struct peal_eio_session *s);
struct peal_proto *peal_eio_proto(const struct peal_eio_session *s);

/* peal_eio_transport is how packets for s are to be packed now; see peal_sio_pack. */
enum peal_sio_transport peal_eio_transport(const struct peal_eio_session *s);
/* peal_eio_deflates: does s take frames compressed with a window of 15 bits? */
bool peal_eio_deflates(const struct peal_eio_session *s);
/* peal_eio_ready: is what is sent now likely to leave at once (volatile)? */
bool peal_eio_ready(const struct peal_eio_session *s);

/*
 * peal_eio_send queues packed bytes, held; tag as in io/conn.h. Never closes s from
 * inside, but at the end of the turn. false: dropped.
 */
bool peal_eio_send(struct peal_eio_session *s, struct peal_blob *packed, uint32_t tag);

/* peal_eio_joined lifts the connect timeout. */
void peal_eio_joined(struct peal_eio_session *s);

/* peal_eio_close ends s as the server: what is queued goes first. ops->close is called
 * before it returns. how and detail (kept while it runs, or NULL) are for the log. */
void peal_eio_close(
    struct peal_eio_session *s, enum peal_session_end how, const char *detail);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The protocol "socketio": Engine.IO v4, whose sessions live on HTTP long polling, on
 * WebSocket, or move from one to the other. What rides on them is its rider, handed in
 * as ops: Socket.IO (proto/sio.h), or an echo in tests.
 *
 * Thread: an engine and its sessions belong to their worker's loop.
 */
#ifndef PEAL_PROTO_EIO_H
#define PEAL_PROTO_EIO_H

#include "proto/proto.h"
#include "wire/encode.h"

struct peal_eio_session;

/* Calls of a rider; s is the session it rides on. */
typedef void peal_eio_open_fn(struct peal_eio_session *s);
typedef bool peal_eio_message_fn(
    struct peal_eio_session *s, bool binary, struct peal_slice data);
typedef bool peal_eio_heartbeat_fn(struct peal_eio_session *s);
typedef void peal_eio_settle_fn(struct peal_eio_session *s);
typedef void peal_eio_close_fn(struct peal_eio_session *s, enum peal_session_end how);

struct peal_eio_ops {
    size_t size; /* bytes that each session carries for its rider, zeroed at open */
    /* A session has begun; its handshake packet is queued. May close it. */
    peal_eio_open_fn *open;
    /* A message; data is valid for the call and may be written to. false: it breaks the
     * protocol above, and the session is to be closed. */
    peal_eio_message_fn *message;
    /* Optional: a ping is due. false: what s has begun is not going on, and the session
     * is to be closed. */
    peal_eio_heartbeat_fn *heartbeat;
    /* Optional: s is about to be drained: sends it what was published before. */
    peal_eio_settle_fn *settle;
    /* The session has ended; s is released at the end of the turn. */
    peal_eio_close_fn *close;
    /* Sessions that have not called peal_eio_joined within connect_timeout are closed. */
    bool must_join;
};

struct peal_eio_config {
    const struct peal_eio_ops *rider;
    struct peal_slice path; /* with a slash at its end */
    struct peal_wsframe_limits ws;
    size_t max_payload; /* bytes */
    uint64_t ping_interval_ms, ping_timeout_ms, upgrade_timeout_ms, connect_timeout_ms;
    struct peal_cors cors;
    struct peal_slice cookie; /* name, or empty */
    bool polling, websocket;  /* transports that are on */
    bool deflate;
    bool http_compression; /* of polls */
};

/* Its config is a struct peal_eio_config, or begins with one. */
extern const struct peal_protocol_ops peal_protocol_socketio;

/* peal_eio_user is what ops->size asked for. */
void *peal_eio_user(struct peal_eio_session *s);
struct peal_proto *peal_eio_proto(const struct peal_eio_session *s);
const struct peal_eio_config *peal_eio_config(const struct peal_eio_session *s);

/* peal_eio_scratch is where a rider builds a packet: empty, and kept for its memory. */
struct peal_buf *peal_eio_scratch(const struct peal_eio_session *s);

/* peal_eio_transport is how packets for s are to be packed now; see peal_sio_pack. */
enum peal_sio_transport peal_eio_transport(const struct peal_eio_session *s);
/* peal_eio_deflates: s takes frames that are compressed with a window of 15 bits. */
bool peal_eio_deflates(const struct peal_eio_session *s);
/* peal_eio_ready: what is sent now will probably leave at once (for volatile messages).
 */
bool peal_eio_ready(const struct peal_eio_session *s);

/*
 * peal_eio_send queues packed bytes, retained; tag as in io/conn.h. Never closes s from
 * inside, but at the end of the turn. false: dropped.
 */
bool peal_eio_send(struct peal_eio_session *s, struct peal_blob *packed, uint32_t tag);

/* peal_eio_pause stops reading s after the message that is being dealt with: its rider
 * waits for the app. peal_eio_resume goes on. */
void peal_eio_pause(struct peal_eio_session *s);
void peal_eio_resume(struct peal_eio_session *s);

/* peal_eio_joined lifts the connect timeout. */
void peal_eio_joined(struct peal_eio_session *s);

/* peal_eio_close ends s as the server: what is queued goes first. ops->close is called
 * before it returns. how and detail (kept while it runs, or NULL) are for the log. */
void peal_eio_close(
    struct peal_eio_session *s, enum peal_session_end how, const char *detail);

#endif

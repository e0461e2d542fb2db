/* SPDX-License-Identifier: MIT */
/*
 * A WebSocket connection, the server's end: handshake, messages, control frames, closing.
 * Its users, /ws and Engine.IO, are in files of their own. Thread: the loop's.
 */
#ifndef PEAL_PROTO_WSCONN_H
#define PEAL_PROTO_WSCONN_H

#include "proto/proto.h"

struct peal_wsconn;

struct peal_wsconn_ops {
    /* A message; payload is valid for the call. May close w. */
    void (*message)(struct peal_wsconn *w, bool binary, struct peal_slice payload);
    /* Optional: a pong. */
    void (*pong)(struct peal_wsconn *w);
    /* The compressor of w's worker, for permessage-deflate. */
    struct peal_deflate *(*codec)(const struct peal_wsconn *w);
    /* w is closed, and not by peal_wsconn_close. code as RFC 6455 has it, 1006 without a
     * close frame; detail says more for the log, or is NULL. */
    void (*closed)(
        struct peal_wsconn *w, uint16_t code, enum peal_close why, const char *detail);
};

/* Embedded in what owns it; movable by peal_wsconn_move. */
struct peal_wsconn {
    struct peal_conn *conn; /* NULL: closed */
    const struct peal_wsconn_ops *ops;
    struct peal_wsframe_decoder decoder;
    struct peal_wsconn_pong *pong; /* while the peer pings without reading, else NULL */
};

/* peal_wsconn_deflate_bits is the window agreed on; 0: permessage-deflate is off. */
static inline unsigned
peal_wsconn_deflate_bits(const struct peal_wsconn *w)
{
    return w->decoder.peer_bits;
}

/* Demands on a handshake, besides RFC 6455's rules. */
struct peal_wsconn_config {
    const struct peal_wsframe_limits *limits; /* copied */
    bool deflate;
};

/*
 * peal_wsconn_check checks a WebSocket handshake against RFC 6455 section 4.2.1. On
 * PEAL_EPROTO *status_out and *why_out say how to refuse it.
 */
PEAL_MUST_USE peal_err peal_wsconn_check(
    const struct peal_http *h, unsigned *status_out, const char **why_out);

/*
 * peal_wsconn_accept completes a checked handshake; h is released. The first offered
 * subprotocol is echoed.
 * Errors: PEAL_EPROTO: malformed extensions or key, answered with 400; PEAL_ENOMEM: the
 * connection is closed. w->conn is NULL then.
 */
PEAL_MUST_USE peal_err peal_wsconn_accept(struct peal_wsconn *w, struct peal_http *h,
    const struct peal_wsconn_config *config, const struct peal_wsconn_ops *ops);

/* peal_wsconn_move makes to the owner of from's connection; from is empty after it. */
void peal_wsconn_move(
    struct peal_wsconn *to, struct peal_wsconn *from, const struct peal_wsconn_ops *ops);

/* peal_wsconn_send_frames appends ready frames, shared by reference. tag as in conn.h. */
static inline bool
peal_wsconn_send_frames(struct peal_wsconn *w, struct peal_blob *frames, uint32_t tag)
{
    return w->conn != NULL && peal_conn_send(w->conn, frames, tag);
}

/* peal_wsconn_send sends one message, text or binary, to this client alone, compressed if
 * it is at least threshold bytes and the client agreed. */
bool peal_wsconn_send(struct peal_wsconn *w, enum peal_wsframe_opcode op,
    struct peal_slice payload, size_t threshold);

/* peal_wsconn_pause: after the message that is being dealt with, no further one is read,
 * nor anything else of the connection, until peal_wsconn_resume. */
void peal_wsconn_pause(struct peal_wsconn *w);
void peal_wsconn_resume(struct peal_wsconn *w);

void peal_wsconn_ping(struct peal_wsconn *w);

/* peal_wsconn_close sends a close frame and closes once it is written. ops->closed is not
 * called. code PEAL_WS_CLOSE_NONE: an empty one. */
void peal_wsconn_close(struct peal_wsconn *w, uint16_t code, struct peal_slice reason);

/* peal_wsconn_abort closes at once, without a frame. */
void peal_wsconn_abort(struct peal_wsconn *w, enum peal_close why);

#endif

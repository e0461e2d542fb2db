/* SPDX-License-Identifier: MIT */
/*
 * One message, every form: the encoders behind peal_msg_bytes, one a wire format, and the
 * same packing for packets that go to one session only. docs/PROTOCOLS.md has the table.
 *
 * The data of a message, for plain protocols:
 *   TEXT, BYTES            as they are
 *   JSON, one argument     that argument; a string gives its text, unescaped; a lone
 *                          placeholder gives the bytes of its attachment
 *   JSON, none or several  the JSON array of them, [] or [1,{"a":2}]
 *   other placeholders     are replaced by base64 strings
 *
 * Pure; any thread, but ctx (struct peal_deflate, borrowed) belongs to the caller's.
 */
#ifndef PEAL_WIRE_ENCODE_H
#define PEAL_WIRE_ENCODE_H

#include "base/msg.h"
#include "wire/sio.h"

struct peal_deflate;

/* The formats of messages that are encoded here. Indices from PEAL_FMT_N on are given to
 * protocols that have encoders of their own (proto/protocol.h). */
enum peal_format {
    PEAL_FMT_WS,         /* /ws, one channel: one whole frame */
    PEAL_FMT_WS_DEFLATE, /* the same, permessage-deflate, 15 bits, no context */
    PEAL_FMT_ENVELOPE,   /* /ws, several channels: frame with the envelope */
    PEAL_FMT_ENVELOPE_DEFLATE,
    PEAL_FMT_SSE,         /* one event */
    PEAL_FMT_SSE_CHUNKED, /* the same as one chunk of HTTP/1.1 */
    PEAL_FMT_SIO,         /* Socket.IO over WebSocket: header frame, attachment frames */
    PEAL_FMT_SIO_DEFLATE,
    PEAL_FMT_SIO_POLL,    /* Engine.IO polling payload piece, attachments in base64 */
    PEAL_FMT_SIO_B64,     /* over WebSocket for a client that cannot take binary */
    PEAL_FMT_SIO_MSGPACK, /* the msgpack parser over WebSocket: one binary frame */
    PEAL_FMT_SIO_MSGPACK_POLL,
    PEAL_FMT_N
};

/* The encoders, as peal_msg_bytes wants them. ctx may be NULL: then the deflate forms
 * give the plain ones, as they do where it does not pay and for PEAL_MSG_NO_COMPRESS. */
peal_msg_encode_fn peal_encode_ws, peal_encode_ws_deflate;
peal_msg_encode_fn peal_encode_envelope, peal_encode_envelope_deflate;
peal_msg_encode_fn peal_encode_sse, peal_encode_sse_chunked;
peal_msg_encode_fn peal_encode_sio, peal_encode_sio_deflate;
peal_msg_encode_fn peal_encode_sio_poll, peal_encode_sio_b64;
peal_msg_encode_fn peal_encode_sio_msgpack, peal_encode_sio_msgpack_poll;

/* peal_encoders[fmt] is the encoder of a format. */
extern peal_msg_encode_fn *const peal_encoders[PEAL_FMT_N];

/* peal_encode_form is m in a format, borrowed, built if need be. NULL: out of memory. */
static inline struct peal_blob *
peal_encode_form(struct peal_msg *m, enum peal_format fmt, struct peal_deflate *ctx)
{
    return peal_msg_bytes(m, fmt, peal_encoders[fmt], ctx);
}

/* peal_encode_envelope_for names channel k of m instead of the first, for messages with
 * several channels. Not cached: the blob is the caller's. ctx NULL: not compressed.
 * NULL: out of memory. */
struct peal_blob *peal_encode_envelope_for(
    const struct peal_msg *m, unsigned k, struct peal_deflate *ctx);

/* The ways in which a session takes its Socket.IO packets. */
enum peal_sio_transport {
    PEAL_SIO_WS,   /* WebSocket: a text frame, a binary frame for each attachment */
    PEAL_SIO_POLL, /* piece of a polling body; the transport joins pieces with 0x1e */
    PEAL_SIO_B64   /* WebSocket, client without binary: text frames only */
};

/*
 * peal_encode_sio_with_ack is m as an event to be acknowledged, packed for one session.
 *   id  decimal digits
 *   msgpack  for a client of the msgpack parser
 *   ctx  NULL: the client takes no frames compressed with a window of 15 bits
 * NULL: out of memory.
 */
struct peal_blob *peal_encode_sio_with_ack(const struct peal_msg *m, struct peal_slice id,
    bool msgpack, enum peal_sio_transport t, struct peal_deflate *ctx);

/*
 * peal_sio_pack makes what is queued for one session from a packet's text (of the
 * builders in sio.h, without Engine.IO's '4') and its attachments, borrowed. The blob is
 * the caller's. NULL: out of memory.
 */
struct peal_blob *peal_sio_pack(struct peal_slice text, struct peal_blob *const *atts,
    unsigned n_atts, enum peal_sio_transport t);

/* peal_sio_pack_binary does it for one binary message: a packet of the msgpack parser, or
 * an Engine.IO client's bytes. NULL: out of memory. */
struct peal_blob *peal_sio_pack_binary(
    struct peal_slice bytes, enum peal_sio_transport t);

/* peal_sio_pack_engine does it for an Engine.IO packet that is complete, as "2" or
 * "0{...}". NULL: out of memory. */
struct peal_blob *peal_sio_pack_engine(
    struct peal_slice packet, enum peal_sio_transport t);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * WebSocket (RFC 6455) with permessage-deflate (RFC 7692), both ends: bytes in, events
 * out; frame heads and handshake values out.
 *
 * A decoder at rest is 16 bytes. What belongs to the middle of a frame or a message is
 * allocated when such a middle is seen and released after it.
 *
 * Thread: a decoder belongs to one thread at a time; everything else is pure.
 */
#ifndef PEAL_WIRE_WS_H
#define PEAL_WIRE_WS_H

#include "base/buf.h"
#include "wire/deflate.h"

#define PEAL_WS_HEAD_MAX 14     /* bytes: a masked frame head with a 64-bit length */
#define PEAL_WS_CONTROL_MAX 125 /* bytes: payload of a control frame */

/* Opcodes of RFC 6455 section 5.2; those of whole messages name the events too. */
enum peal_wsframe_opcode {
    PEAL_WS_CONTINUATION = 0x0,
    PEAL_WS_TEXT = 0x1,
    PEAL_WS_BINARY = 0x2,
    PEAL_WS_CLOSE = 0x8,
    PEAL_WS_PING = 0x9,
    PEAL_WS_PONG = 0xa
};

/* RFC 6455 section 7.4.1, and its registry. */
enum peal_wsframe_close_code {
    PEAL_WS_CLOSE_NORMAL = 1000,
    PEAL_WS_CLOSE_GOING_AWAY = 1001,
    PEAL_WS_CLOSE_PROTOCOL = 1002,
    PEAL_WS_CLOSE_UNSUPPORTED = 1003,
    PEAL_WS_CLOSE_NONE = 1005,     /* never sent: the peer gave no code */
    PEAL_WS_CLOSE_ABNORMAL = 1006, /* never sent: there was no close frame */
    PEAL_WS_CLOSE_BAD_DATA = 1007,
    PEAL_WS_CLOSE_POLICY = 1008,
    PEAL_WS_CLOSE_TOO_BIG = 1009,
    PEAL_WS_CLOSE_INTERNAL = 1011,
    PEAL_WS_CLOSE_RESTART = 1012,
    PEAL_WS_CLOSE_TRY_LATER = 1013
};

struct peal_wsframe_event {
    enum peal_wsframe_opcode type; /* TEXT, BINARY, CLOSE, PING or PONG */
    struct peal_slice payload; /* whole message, unmasked, inflated; CLOSE: the reason */
    uint16_t close_code;       /* CLOSE only; PEAL_WS_CLOSE_NONE if the peer gave none */
};

enum peal_wsframe_flags {
    PEAL_WS_CLIENT = 0, /* this end is the client: the peer must not mask */
    PEAL_WS_SERVER = 1, /* this end is the server: the peer must mask */
    PEAL_WS_DEFLATE = 2 /* permessage-deflate was negotiated */
};

struct peal_wsframe_limits {
    uint32_t message_max; /* bytes of a message, inflated */
};

struct peal_wsframe_partial; /* opaque; see ws.c */

struct peal_wsframe_decoder {
    struct peal_wsframe_partial *part; /* NULL between messages */
    struct peal_wsframe_limits limits;
    uint16_t fail_code; /* after an error: the close code to send */
    uint8_t flags;      /* PEAL_WS_..., and what ws.c adds */
    uint8_t peer_bits;  /* the owner's: window to deflate with, 0: none; not used here */
};

/* peal_wsframe_decoder_init allocates nothing. limits is copied. */
void peal_wsframe_decoder_init(struct peal_wsframe_decoder *d, unsigned flags,
    const struct peal_wsframe_limits *limits);

/* peal_wsframe_decoder_fini releases what a message in progress holds. */
void peal_wsframe_decoder_fini(struct peal_wsframe_decoder *d);

/*
 * peal_wsframe_decode reads up to the next event. Call it with what is left of the bytes
 * until it returns something other than PEAL_OK, also when nothing is left: that call
 * releases the last message. data      borrowed and written to: payloads are unmasked in
 * place z         borrowed; NULL if PEAL_WS_DEFLATE is not set used_out  always set:
 * bytes taken from data ev_out    set on PEAL_OK; its payload lives as long as data and
 * until the next call with d, whichever ends first PEAL_OK: one event. PEAL_EAGAIN: all
 * bytes taken, more are needed. After a CLOSE event all further bytes are taken and
 * ignored. Fatal, the same again on every later call, and d->fail_code is what to close
 * with: PEAL_EPROTO (1002, 1007); PEAL_ELIMIT (1009); PEAL_ENOMEM (1011).
 */
PEAL_MUST_USE peal_err peal_wsframe_decode(struct peal_wsframe_decoder *d, uint8_t *data,
    size_t len, struct peal_deflate *z, size_t *used_out,
    struct peal_wsframe_event *ev_out);

/*
 * peal_wsframe_head writes the head of an unfragmented frame from a server and returns
 * its size (at most 10). rsv1: the payload is compressed. The payload follows as it is.
 */
size_t peal_wsframe_head(
    uint8_t out[PEAL_WS_HEAD_MAX], enum peal_wsframe_opcode op, bool rsv1, uint64_t len);

/* peal_wsframe_head_masked is the same for a client; the payload goes through
 * peal_wsframe_mask. */
size_t peal_wsframe_head_masked(uint8_t out[PEAL_WS_HEAD_MAX],
    enum peal_wsframe_opcode op, bool rsv1, uint64_t len, const uint8_t key[4]);

/*
 * peal_wsframe_mask masks or unmasks n bytes in place.
 *   offset  of p in the payload; only its last two bits matter
 */
void peal_wsframe_mask(uint8_t *p, size_t n, const uint8_t key[4], size_t offset);

/*
 * peal_wsframe_close_payload writes code and reason and returns the size. A reason too
 * long is cut between two characters. PEAL_WS_CLOSE_NONE gives an empty payload.
 */
size_t peal_wsframe_close_payload(
    uint8_t out[PEAL_WS_CONTROL_MAX], uint16_t code, struct peal_slice reason);

/* peal_wsframe_close_code_valid: code may be in a close frame (RFC 6455 section 7.4). */
bool peal_wsframe_close_code_valid(unsigned code);

/* Handshake, in ws_handshake.c. */

#define PEAL_WS_KEY_LEN 24    /* characters of Sec-WebSocket-Key */
#define PEAL_WS_ACCEPT_LEN 28 /* characters of Sec-WebSocket-Accept */

/*
 * peal_wshandshake_accept_key answers a Sec-WebSocket-Key; no zero is written. A client
 * makes its key with peal_base64_encode of 16 random bytes and compares the answer with
 * this. Errors: PEAL_EPROTO: key is not base64 of 16 bytes.
 */
PEAL_MUST_USE peal_err peal_wshandshake_accept_key(
    struct peal_slice key, char out[PEAL_WS_ACCEPT_LEN]);

/* The windows that a server wants of permessage-deflate. */
struct peal_wsdeflate_settings {
    uint8_t server_bits; /* largest window we deflate with, 9..15 */
    uint8_t client_bits; /* window the client is asked to keep to, 8..15; 15: not asked */
};

/* The outcome of a negotiation. No context is ever taken over, in either direction. */
struct peal_wsdeflate {
    bool on;
    uint8_t deflate_bits; /* window for peal_deflate_message on this connection, 9..15 */
};

/*
 * peal_wsdeflate_negotiate picks the first acceptable offer.
 *   offers    borrowed: the value of Sec-WebSocket-Extensions (several fields joined by
 *             commas), or empty
 *   out       always set; out->on false: no extension, nothing is appended
 *   response  appended: the value of Sec-WebSocket-Extensions for the answer
 * Errors: PEAL_EPROTO: offers is not an extension list at all (RFC 6455 section 9.1: fail
 * the handshake). PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_wsdeflate_negotiate(struct peal_slice offers,
    const struct peal_wsdeflate_settings *settings, struct peal_wsdeflate *out,
    struct peal_buf *response);

/* The client's offer, for Sec-WebSocket-Extensions. */
#define PEAL_WS_DEFLATE_OFFER                                                            \
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "       \
    "client_max_window_bits"

/*
 * peal_wsdeflate_accept reads the server's answer to PEAL_WS_DEFLATE_OFFER; empty means
 * that it declined. Errors: PEAL_EPROTO: an answer to something that was not offered, or
 * one that we cannot follow: fail the connection.
 */
PEAL_MUST_USE peal_err peal_wsdeflate_accept(
    struct peal_slice response, struct peal_wsdeflate *out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO v4: packets, polling payloads, the handshake and the table of errors.
 *
 * A packet is one digit and its data; over polling packets are joined by 0x1e, which JSON
 * text can never contain, and binary is 'b' and base64. Pure; any thread. Slices given
 * out point into the input.
 */
#ifndef PEAL_WIRE_EIO_H
#define PEAL_WIRE_EIO_H

#include "base/blob.h"
#include "base/buf.h"

#define PEAL_EIO_SEPARATOR '\x1e'

enum peal_eiopkt_type {
    PEAL_EIO_OPEN = 0,
    PEAL_EIO_CLOSE,
    PEAL_EIO_PING,
    PEAL_EIO_PONG,
    PEAL_EIO_MESSAGE,
    PEAL_EIO_UPGRADE,
    PEAL_EIO_NOOP
};

struct peal_eiopkt {
    enum peal_eiopkt_type type;
    bool binary; /* a MESSAGE whose data is base64: see peal_eiopkt_binary */
    struct peal_slice data;
};

/*
 * peal_eiopkt_payload_next takes one packet off a polling body. Start with *rest = the
 * body; false: no more. As in JavaScript's split, an empty body is one empty packet
 * (which does not parse), so an empty body must come with data not NULL.
 */
bool peal_eiopkt_payload_next(struct peal_slice *rest, struct peal_slice *packet_out);

/* peal_eiopkt_parse reads one packet: of a polling body, or a WebSocket text message.
 * Errors: PEAL_EPROTO: empty, or an unknown first character. */
PEAL_MUST_USE peal_err peal_eiopkt_parse(
    struct peal_slice packet, struct peal_eiopkt *out);

/*
 * peal_eiopkt_binary decodes the base64 data of a binary packet into a new blob, the
 * caller's. CR and LF are skipped: the official Java client breaks base64 into lines of
 * 76 characters, as MIME does, and ends the last one too.
 *
 * Errors: PEAL_EPROTO, PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_eiopkt_binary(
    struct peal_slice base64, struct peal_blob **out);

/*
 * peal_eiopkt_open appends the handshake packet, 0{"sid":...}, with exactly the five keys
 * that the protocol knows.
 *   websocket_upgrade  whether to offer it; false for a session that is on WebSocket
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_eiopkt_open(struct peal_buf *out, struct peal_slice sid,
    bool websocket_upgrade, uint64_t ping_interval_ms, uint64_t ping_timeout_ms,
    uint64_t max_payload_bytes);

enum peal_eiopkt_code {
    PEAL_EIO_TRANSPORT_UNKNOWN = 0,
    PEAL_EIO_SESSION_UNKNOWN,
    PEAL_EIO_BAD_METHOD,
    PEAL_EIO_BAD_REQUEST,
    PEAL_EIO_FORBIDDEN,
    PEAL_EIO_BAD_VERSION,
    PEAL_EIO_CODE_N
};

/* The answers to refused requests, indexed by code. A refused WebSocket upgrade gets 400
 * and the message as its body whatever the status here says. */
struct peal_eiopkt_error {
    int code;
    const char *message;
    int status; /* HTTP */
};

extern const struct peal_eiopkt_error peal_eiopkt_errors[PEAL_EIO_CODE_N];

/* peal_eiopkt_error_body appends {"code":N,"message":"..."}; message empty: the table's.
 * Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_eiopkt_error_body(
    struct peal_buf *out, enum peal_eiopkt_code code, struct peal_slice message);

#endif

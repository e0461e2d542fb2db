/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO v5 packets, default parser: text headers, raw JSON payloads.
 *
 *   type [attachments "-"] [namespace ","] [ack id] [json]
 *
 * A payload is checked once and then passes through byte for byte: the event name is its
 * raw JSON token, the arguments are the raw text between the brackets, and an attachment
 * is an object {"_placeholder":true,"num":k} in it. Types 5 and 6 are types 2 and 3 with
 * attachments and are told as such. Text here has no Engine.IO '4' in front. Pure; any
 * thread. Slices given out point into the input.
 */
#ifndef PEAL_WIRE_SIO_H
#define PEAL_WIRE_SIO_H

#include "base/buf.h"
#include "base/msg.h"

#define PEAL_SIO_NSP_MAX 256 /* bytes */
/* More in one packet make an official client disconnect (parser 4.2.6 and later). */
#define PEAL_SIO_ATTACHMENTS_MAX 10
#define PEAL_SIO_ID_MAX 20 /* digits: any 64-bit number */

enum peal_sio_type {
    PEAL_SIO_CONNECT = 0,
    PEAL_SIO_DISCONNECT,
    PEAL_SIO_EVENT,
    PEAL_SIO_ACK,
    PEAL_SIO_CONNECT_ERROR
};

struct peal_sio_packet {
    enum peal_sio_type type;
    bool binary;     /* n_atts binary messages follow (with the msgpack parser: came) */
    bool ignore;     /* an event without payload: legal, means nothing */
    unsigned n_atts; /* 0..PEAL_SIO_ATTACHMENTS_MAX; with msgpack PEAL_ATTACHMENTS_MAX */
    unsigned n_args;
    struct peal_slice nsp;     /* "/" if the packet names none */
    struct peal_slice id;      /* its digits as they came; data NULL: none */
    struct peal_slice payload; /* raw JSON with its brackets, or empty */
    struct peal_slice event;   /* EVENT: raw token of the name, string or number */
    struct peal_slice args;    /* EVENT, ACK: raw values joined by commas, may be empty */
};

/*
 * peal_sio_parse reads and checks one packet: header, JSON, the form that the type asks
 * of its payload, reserved event names, attachment counts and placeholders. What depends
 * on the session (is the namespace joined, is an attachment due) is the caller's.
 * Errors: PEAL_EPROTO; PEAL_ELIMIT: nested too deep, a namespace or id too long, too many
 * attachments. The connection is to be closed in both cases.
 */
PEAL_MUST_USE peal_err peal_sio_parse(
    struct peal_slice text, struct peal_sio_packet *out);

/*
 * peal_sio_check_payload fills event, args and n_args of *p from p->payload, of which
 * nothing is known yet, as p->type, binary and n_atts ask. For other parsers.
 */
PEAL_MUST_USE peal_err peal_sio_check_payload(struct peal_sio_packet *p);

/* peal_sio_nsp_clean says whether a namespace is UTF-8 without control characters. For
 * other parsers; peal_sio_parse has asked. */
bool peal_sio_nsp_clean(struct peal_slice nsp);

/* peal_sio_event_reserved says whether a name, a checked JSON token, is one that only the
 * library itself may emit ("connect", "disconnect", ...). */
bool peal_sio_event_reserved(struct peal_slice token);

/*
 * peal_sio_check_placeholders looks at checked JSON values joined by commas: every object
 * whose "_placeholder" is true must have a "num" below n_atts.
 *   used_out  NULL, or set to the attachments that are referred to: bit k for num k
 * Errors: PEAL_EPROTO.
 */
PEAL_MUST_USE peal_err peal_sio_check_placeholders(
    struct peal_slice args, unsigned n_atts, uint32_t *used_out);

/* peal_sio_count_placeholders checks in the same way and counts them: one attachment may
 * be referred to again and again. Errors: PEAL_EPROTO. */
PEAL_MUST_USE peal_err peal_sio_count_placeholders(
    struct peal_slice args, unsigned n_atts, unsigned *n_out);

/*
 * peal_sio_inline appends checked values with each placeholder replaced by its attachment
 * as a base64 string token. An attachment repeated over and over (beyond 1 MiB more than
 * all of them once) becomes null, so that a small message cannot make a huge one.
 * Errors: PEAL_ENOMEM; PEAL_EPROTO: a placeholder out of range.
 */
PEAL_MUST_USE peal_err peal_sio_inline(struct peal_buf *out, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts);

#define PEAL_SIO_REPEAT_MAX (1u << 20) /* bytes */

/* peal_sio_is_placeholder says whether one checked value is a placeholder, and whose. */
bool peal_sio_is_placeholder(struct peal_slice value, unsigned *num_out);

enum peal_sio_form {
    PEAL_SIO_PACKET, /* alone, for peal_sio_pack */
    PEAL_SIO_MESSAGE /* of Engine.IO: its '4' is in front */
};

/*
 * The builders append the text of one packet. nsp empty means "/"; id empty means none.
 *   event   raw JSON token of the name; empty means "message"
 *   args    raw JSON values joined by commas, n_atts attachments referred to in them
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_sio_event(struct peal_buf *out, enum peal_sio_form form,
    struct peal_slice nsp, struct peal_slice id, struct peal_slice event,
    struct peal_slice args, unsigned n_atts);

/* peal_sio_event_parts gives the same as slices to be joined, for those who write them
 * elsewhere; returns how many. They point to the arguments and to constants. */
#define PEAL_SIO_PARTS_MAX 10
unsigned peal_sio_event_parts(struct peal_slice parts[PEAL_SIO_PARTS_MAX],
    enum peal_sio_form form, struct peal_slice nsp, struct peal_slice id,
    struct peal_slice event, struct peal_slice args, unsigned n_atts);

PEAL_MUST_USE peal_err peal_sio_ack(struct peal_buf *out, enum peal_sio_form form,
    struct peal_slice nsp, struct peal_slice id, struct peal_slice args, unsigned n_atts);

/* pid, the recovery id, is left out when empty. */
PEAL_MUST_USE peal_err peal_sio_connected(struct peal_buf *out, enum peal_sio_form form,
    struct peal_slice nsp, struct peal_slice sid, struct peal_slice pid);

/* message is text, data is raw JSON or empty. */
PEAL_MUST_USE peal_err peal_sio_refused(struct peal_buf *out, enum peal_sio_form form,
    struct peal_slice nsp, struct peal_slice message, struct peal_slice data);

PEAL_MUST_USE peal_err peal_sio_disconnect(
    struct peal_buf *out, enum peal_sio_form form, struct peal_slice nsp);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * MessagePack to JSON text and back, for the Socket.IO wires. Byte arrays leave JSON as
 * attachments: {"_placeholder":true,"num":k} stands for the k-th. Pure; any thread.
 *
 * Both ways are our own code, because the reader has to see the difference between
 * fixext 8 and ext 8 of type 0 (a date, and eight bytes, to the JavaScript library on the
 * other side), which msgpack-c hides; and because both work on text directly, without a
 * tree.
 */
#ifndef PEAL_WIRE_MSGPACK_H
#define PEAL_WIRE_MSGPACK_H

#include "base/blob.h"
#include "base/buf.h"
#include "base/msg.h"

#define PEAL_MSGPACK_DEPTH_MAX 64

/* Collects the byte arrays while values are read. Zeroed to start with. */
struct peal_msgpack_atts {
    unsigned n;
    struct peal_blob *blobs[PEAL_ATTACHMENTS_MAX]; /* each with one reference */
};

/* peal_msgpack_atts_fini drops them all and empties the list. */
void peal_msgpack_atts_fini(struct peal_msgpack_atts *a);

enum peal_msgpack_kind {
    PEAL_MSGPACK_MAP,
    PEAL_MSGPACK_ARRAY,
    PEAL_MSGPACK_STR,
    PEAL_MSGPACK_UINT, /* not negative, up to 2^64 - 1 */
    PEAL_MSGPACK_NIL,  /* also the old library's undefined */
    PEAL_MSGPACK_OTHER
};

/* peal_msgpack_peek tells what the next value of *rest is; empty: OTHER. */
enum peal_msgpack_kind peal_msgpack_peek(struct peal_slice rest);

/* These take the head of a map or array, or one whole value, off *rest.
 * Errors: PEAL_EPROTO: something else, or cut short; PEAL_ELIMIT: too deep. */
PEAL_MUST_USE peal_err peal_msgpack_map(struct peal_slice *rest, uint32_t *n_out);
PEAL_MUST_USE peal_err peal_msgpack_array(struct peal_slice *rest, uint32_t *n_out);
PEAL_MUST_USE peal_err peal_msgpack_str(struct peal_slice *rest, struct peal_slice *out);
PEAL_MUST_USE peal_err peal_msgpack_uint(struct peal_slice *rest, uint64_t *out);
PEAL_MUST_USE peal_err peal_msgpack_skip(struct peal_slice *rest);

/*
 * peal_msgpack_to_json takes one value off *rest and appends it as JSON text.
 * undefined, NaN and infinities become null; dates ISO strings; integers stay exact;
 * unknown extensions become [type,bytes]. On error *out may hold part of the text, and
 * atts what was found so far.
 * Errors: PEAL_EPROTO (also: a string that is not UTF-8); PEAL_ELIMIT: too deep, too many
 * byte arrays; PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_msgpack_to_json(
    struct peal_slice *rest, struct peal_buf *out, struct peal_msgpack_atts *atts);

/*
 * peal_msgpack_from_json appends checked JSON values joined by commas, one after the
 * other, placeholders as bin. Whole numbers are written as integers while they fit 64
 * bits, others as float64. Repeated attachments: as peal_sio_inline.
 * Errors (out is as before): PEAL_ENOMEM; PEAL_EPROTO: a placeholder out of range;
 * PEAL_ELIMIT: deeper than checked JSON can be.
 */
PEAL_MUST_USE peal_err peal_msgpack_from_json(struct peal_buf *out,
    struct peal_slice values, struct peal_blob *const *atts, unsigned n_atts);

/* peal_msgpack_from_pieces is the same for a text in n pieces, cut between tokens. */
PEAL_MUST_USE peal_err peal_msgpack_from_pieces(struct peal_buf *out,
    const struct peal_slice *pieces, unsigned n, struct peal_blob *const *atts,
    unsigned n_atts);

/* These append one head or value. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_msgpack_add_map(struct peal_buf *out, uint32_t n);
PEAL_MUST_USE peal_err peal_msgpack_add_array(struct peal_buf *out, uint32_t n);
PEAL_MUST_USE peal_err peal_msgpack_add_str(struct peal_buf *out, struct peal_slice s);
PEAL_MUST_USE peal_err peal_msgpack_add_uint(struct peal_buf *out, uint64_t n);

#endif

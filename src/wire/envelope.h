/* SPDX-License-Identifier: MIT */
/*
 * Envelopes: messages on their way between nodes. A batch holds all that one node
 * publishes on one topic in one turn of its loop:
 *
 *   batch   'P', version (1), 4 bytes number of the publishing node (big-endian), records
 *   record  length, fields
 *   field   tag, length, bytes
 *
 * A record is a message, unless its first field says that it is of another kind: a
 * request to other nodes, or a part of an answer to one. Kinds that a node does not know
 * are skipped, so that kinds can be added while nodes of both versions run.
 *
 * Tags and lengths are varints (base 128, low bits first). A tag that a node does not
 * know is skipped, so fields can be added while nodes of both versions run; what has no
 * meaning without a new field gets a new version, which older nodes refuse as a whole.
 * Payloads lie in it as they are and are not parsed again.
 *
 * A message on several topics has a number, the same in each of its copies: see
 * hub/dedup.h.
 *
 * Pure. Any thread.
 */
#ifndef PEAL_WIRE_ENVELOPE_H
#define PEAL_WIRE_ENVELOPE_H

#include "base/buf.h"
#include "base/msg.h"

#define PEAL_ENVELOPE_HEAD 6 /* bytes of a batch before its records */

/* peal_envelope_head writes the beginning of a batch. */
void peal_envelope_head(uint32_t node, char out[PEAL_ENVELOPE_HEAD]);

/* Values never change their meaning. */
enum peal_record_kind {
    PEAL_RECORD_MESSAGE,
    PEAL_RECORD_REQUEST,
    PEAL_RECORD_ANSWER,
    PEAL_RECORD_NONE = 255 /* there are no more; never on the wire */
};

/* A record, read or to be written. What is not named for a kind is not sent with it. */
struct peal_record {
    enum peal_record_kind kind;
    uint32_t number;      /* MESSAGE: 0 if it travels once */
    struct peal_msg *msg; /* MESSAGE; REQUEST: NULL if it has none */
    uint32_t id;         /* REQUEST, ANSWER: by which the asking node knows the request */
    uint32_t op;         /* REQUEST: what is asked */
    uint32_t timeout_ms; /* REQUEST */
    /* ANSWER: */
    uint32_t part;   /* what this part says; the operation's */
    uint32_t n;      /* and a number with it */
    uint32_t status; /* a peal_err; of the last part */
    bool last;
    struct peal_slice args; /* JSON values with commas between; borrowed */
    uint32_t n_args;
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX]; /* retained */
    unsigned n_atts;
};

/* peal_record_fini releases what a record that was read holds. */
void peal_record_fini(struct peal_record *r);

/* peal_envelope_record makes the record of a message. number: 0 if it travels once. NULL:
 * out of memory, or too large for a record. */
struct peal_blob *peal_envelope_record(const struct peal_msg *m, uint32_t number);

/* peal_envelope_other makes a record of another kind, borrowed. NULL: out of memory, or
 * too large for a record. */
struct peal_blob *peal_envelope_other(const struct peal_record *r);

/* peal_envelope_open reads the beginning of a batch. Errors: PEAL_EPROTO: no batch;
 * PEAL_EUNSUPP: of a later version. */
PEAL_MUST_USE peal_err peal_envelope_open(
    struct peal_slice batch, uint32_t *node_out, struct peal_slice *records_out);

/*
 * peal_envelope_next takes one record off *records.
 *   out  release with peal_record_fini, also after an error; its kind is PEAL_RECORD_NONE
 *        on PEAL_OK: no more records
 * Errors: PEAL_EPROTO (the rest cannot be read), PEAL_EUNSUPP (a kind that this node does
 * not know), PEAL_ELIMIT, PEAL_ENOMEM (the next record may be fine).
 */
PEAL_MUST_USE peal_err peal_envelope_next(
    struct peal_slice *records, struct peal_record *out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Envelopes: messages on their way between nodes. A batch holds all that one node
 * publishes on one topic in one turn of its loop:
 *
 *   batch   'P', version (1), 4 bytes number of the publishing node (big-endian), records
 *   record  length, fields
 *   field   tag, length, bytes
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

/* peal_envelope_record makes the record of a message. number: 0 if it travels once. NULL:
 * out of memory, or too large for a record. */
struct peal_blob *peal_envelope_record(const struct peal_msg *m, uint32_t number);

/* peal_envelope_open reads the beginning of a batch. Errors: PEAL_EPROTO: no batch;
 * PEAL_EUNSUPP: of a later version. */
PEAL_MUST_USE peal_err peal_envelope_open(
    struct peal_slice batch, uint32_t *node_out, struct peal_slice *records_out);

/*
 * peal_envelope_next takes one record off *records and makes the message.
 *   number_out  0: it has none
 *   out         NULL on PEAL_OK: no more records
 * Errors: PEAL_EPROTO (the rest cannot be read), PEAL_ELIMIT, PEAL_ENOMEM (the next
 * record may be fine).
 */
PEAL_MUST_USE peal_err peal_envelope_next(
    struct peal_slice *records, uint32_t *number_out, struct peal_msg **out);

#endif

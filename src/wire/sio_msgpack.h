/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO packets in MessagePack: the other side of socket.io-msgpack-parser.
 *
 * A packet is one binary message, a map {type, nsp, data, id}; binary is inline. It is
 * turned into the same struct as the default parser's packets, payload as JSON text and
 * attachments apart, so that everything above knows one form only. Pure; any thread.
 */
#ifndef PEAL_WIRE_SIO_MSGPACK_H
#define PEAL_WIRE_SIO_MSGPACK_H

#include "wire/sio.h"

/*
 * peal_sio_msgpack_parse reads and checks one packet.
 *   scratch  emptied and filled: *out points into it until its next use
 *   atts     set to out->n_atts blobs, the caller's; none on error
 * Event names are held to the rules of the default parser. Unknown keys are skipped.
 * Errors: PEAL_EPROTO; PEAL_ELIMIT: too deep, more than PEAL_ATTACHMENTS_MAX byte arrays,
 * a namespace too long; PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_sio_msgpack_parse(struct peal_slice bytes,
    struct peal_buf *scratch, struct peal_sio_packet *out,
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX]);

/*
 * The builders append the bytes of one packet; arguments as in sio.h, attachments become
 * bin in the place of their placeholders.
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_sio_msgpack_event(struct peal_buf *out, struct peal_slice nsp,
    struct peal_slice id, struct peal_slice event, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts);
PEAL_MUST_USE peal_err peal_sio_msgpack_ack(struct peal_buf *out, struct peal_slice nsp,
    struct peal_slice id, struct peal_slice args, struct peal_blob *const *atts,
    unsigned n_atts);
PEAL_MUST_USE peal_err peal_sio_msgpack_connected(struct peal_buf *out,
    struct peal_slice nsp, struct peal_slice sid, struct peal_slice pid);
PEAL_MUST_USE peal_err peal_sio_msgpack_refused(struct peal_buf *out,
    struct peal_slice nsp, struct peal_slice message, struct peal_slice data);
PEAL_MUST_USE peal_err peal_sio_msgpack_disconnect(
    struct peal_buf *out, struct peal_slice nsp);

#endif

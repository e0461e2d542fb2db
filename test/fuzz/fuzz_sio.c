/* SPDX-License-Identifier: MIT */
/* Engine.IO payloads and the Socket.IO packets in them, text and msgpack. */
#include "fuzz.h"

#include "wire/eio.h"
#include "wire/sio.h"
#include "wire/sio_msgpack.h"

static void
text(struct peal_slice data)
{
    struct peal_sio_packet p;
    uint32_t used;
    struct peal_buf again = { 0 };

    if (peal_sio_parse(data, &p) != PEAL_OK || peal_sio_check_payload(&p) != PEAL_OK)
        return;
    if (p.nsp.len > PEAL_SIO_NSP_MAX || p.n_atts > PEAL_SIO_ATTACHMENTS_MAX)
        abort();
    if (p.type == PEAL_SIO_EVENT && !p.ignore) {
        (void)!peal_sio_check_placeholders(p.args, p.n_atts, &used);
        (void)peal_sio_event_reserved(p.event);
        if (peal_sio_event(&again, false, p.nsp, p.id, p.event, p.args, p.n_atts) !=
            PEAL_OK)
            abort();
        if (peal_sio_parse(peal_buf_slice(&again), &p) != PEAL_OK)
            abort();
    }
    peal_buf_fini(&again);
}

static void
msgpack(struct peal_slice bytes)
{
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX] = { NULL };
    struct peal_buf scratch = { 0 };
    struct peal_sio_packet p = { 0 };

    if (peal_sio_msgpack_parse(bytes, &scratch, &p, atts) == PEAL_OK)
        for (unsigned i = 0; i < p.n_atts; i++)
            peal_blob_drop(atts[i]);
    peal_buf_fini(&scratch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_slice rest = { (const char *)data, size }, one;
    struct peal_eio_packet p;

    while (peal_eio_payload_next(&rest, &one)) {
        struct peal_blob *blob = NULL;

        if (peal_eio_parse(one, &p) != PEAL_OK)
            continue;
        if (p.binary) {
            if (peal_eio_binary(p.data, &blob) == PEAL_OK)
                peal_blob_drop(blob);
        } else if (p.type == PEAL_EIO_MESSAGE) {
            text(p.data);
        }
    }
    msgpack(peal_slice_of(data, size));
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* MessagePack values and the packets of the msgpack parser: text made of them is JSON,
 * and bytes made of that text are read as the same text. */
#include "fuzz.h"

#include "base/json.h"
#include "wire/msgpack.h"
#include "wire/sio_msgpack.h"

static void
check(bool ok)
{
    if (!ok)
        abort();
}

/* A map of the client's own that looks like a placeholder makes the text ambiguous. */
static bool
ambiguous(struct peal_slice json, unsigned n_atts)
{
    static const char word[] = "_placeholder";
    unsigned n = 0;

    for (size_t i = 0; i + sizeof(word) - 1 <= json.len; i++)
        n += memcmp(json.data + i, word, sizeof(word) - 1) == 0;
    return n != n_atts;
}

static void
value(struct peal_slice bytes)
{
    struct peal_msgpack_atts atts = { 0 }, again_atts = { 0 };
    struct peal_buf json = { 0 }, packed = { 0 }, again = { 0 };
    struct peal_slice rest = bytes, skipped = bytes;
    peal_err err = peal_msgpack_to_json(&rest, &json, &atts);

    if (err == PEAL_OK) {
        check(peal_json_check(peal_buf_slice(&json)) == PEAL_OK);
        check(peal_msgpack_skip(&skipped) == PEAL_OK && skipped.len == rest.len);
        err = peal_msgpack_from_json(&packed, peal_buf_slice(&json), atts.blobs, atts.n);
        if (!ambiguous(peal_buf_slice(&json), atts.n)) {
            check(err == PEAL_OK);
            rest = peal_buf_slice(&packed);
            err = peal_msgpack_to_json(&rest, &again, &again_atts);
            /* An extension has become an array, one level deeper. */
            check(err == PEAL_OK || err == PEAL_ELIMIT);
            check(err != PEAL_OK || (rest.len == 0 && again_atts.n == atts.n));
            check(err != PEAL_OK ||
                  peal_slice_eq(peal_buf_slice(&json), peal_buf_slice(&again)));
        }
    }
    peal_msgpack_atts_fini(&atts);
    peal_msgpack_atts_fini(&again_atts);
    peal_buf_fini(&json);
    peal_buf_fini(&packed);
    peal_buf_fini(&again);
}

static void
drop(struct peal_blob **atts, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        peal_blob_release(atts[i]);
}

static void
packet(struct peal_slice bytes)
{
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX], *more[PEAL_ATTACHMENTS_MAX];
    struct peal_buf text = { 0 }, built = { 0 }, text2 = { 0 };
    struct peal_sio_packet p, q;
    peal_err err = PEAL_EPROTO; /* nothing built */

    if (peal_sio_msgpack_parse(bytes, &text, &p, atts) != PEAL_OK) {
        peal_buf_fini(&text);
        return;
    }
    check(p.n_atts <= PEAL_ATTACHMENTS_MAX && peal_json_count(p.args) == p.n_args);
    if (p.type == PEAL_SIO_EVENT && !p.ignore && !ambiguous(p.payload, p.n_atts)) {
        check(peal_sio_msgpack_event(
                  &built, p.nsp, p.id, p.event, p.args, atts, p.n_atts) == PEAL_OK);
        err = peal_sio_msgpack_parse(peal_buf_slice(&built), &text2, &q, more);
        check(err == PEAL_OK || err == PEAL_ELIMIT);
    }
    if (err == PEAL_OK) {
        check(peal_slice_eq(p.event, q.event) && peal_slice_eq(p.args, q.args));
        check(peal_slice_eq(p.nsp, q.nsp) && peal_slice_eq(p.id, q.id));
        drop(more, q.n_atts);
    }
    drop(atts, p.n_atts);
    peal_buf_fini(&text);
    peal_buf_fini(&text2);
    peal_buf_fini(&built);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    value(peal_slice_of(data, size));
    packet(peal_slice_of(data, size));
    return 0;
}

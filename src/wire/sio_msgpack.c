/* SPDX-License-Identifier: MIT */
/* Socket.IO packets in MessagePack: a map whose data becomes the JSON payload that the
 * default parser would have seen, and is then held to the same rules. */
#include "wire/sio_msgpack.h"

#include "base/json.h"
#include "wire/msgpack.h"

/* The parts of a packet, as slices of its bytes. */
struct parts {
    struct peal_slice nsp, data; /* data NULL: absent */
    uint64_t type, id;
    bool has_type, has_id;
};

static peal_err
read_field(struct peal_slice *rest, struct parts *p)
{
    struct peal_slice key, from;
    peal_err err = peal_msgpack_str(rest, &key);

    if (err != PEAL_OK)
        return err;
    if (peal_slice_eq(key, PEAL_S("type"))) {
        p->has_type = true;
        return peal_msgpack_uint(rest, &p->type);
    }
    if (peal_slice_eq(key, PEAL_S("nsp")))
        return peal_msgpack_str(rest, &p->nsp);
    if (peal_slice_eq(key, PEAL_S("id")) &&
        peal_msgpack_peek(*rest) != PEAL_MSGPACK_NIL) {
        p->has_id = true;
        return peal_msgpack_uint(rest, &p->id);
    }
    from = *rest;
    err = peal_msgpack_skip(rest);
    if (err == PEAL_OK && peal_slice_eq(key, PEAL_S("data")))
        p->data = peal_slice_of(from.data, (size_t)(rest->data - from.data));
    return err;
}

static peal_err
read_parts(struct peal_slice bytes, struct parts *p)
{
    uint32_t n;
    peal_err err = peal_msgpack_map(&bytes, &n);

    *p = (struct parts){ 0 };
    for (; n > 0 && err == PEAL_OK; n--)
        err = read_field(&bytes, p);
    if (err != PEAL_OK)
        return err;
    if (bytes.len > 0 || !p->has_type || p->type > PEAL_SIO_CONNECT_ERROR ||
        p->nsp.len == 0 || p->nsp.data[0] != '/' || !peal_sio_nsp_clean(p->nsp))
        return PEAL_EPROTO;
    return p->nsp.len > PEAL_SIO_NSP_MAX ? PEAL_ELIMIT : PEAL_OK;
}

/* The texts of a packet, one after the other in the scratch. Slices are made at the end:
 * the scratch moves while it grows. */
static peal_err
write_texts(const struct parts *p, struct peal_buf *scratch, struct peal_sio_packet *out,
    struct peal_msgpack_atts *atts)
{
    struct peal_slice rest = p->data;
    size_t id_end;
    peal_err err = PEAL_OK;

    scratch->len = 0;
    if (p->has_id)
        err = peal_buf_printf(scratch, "%llu", (unsigned long long)p->id);
    id_end = scratch->len;
    if (err == PEAL_OK && p->data.data != NULL &&
        peal_msgpack_peek(rest) != PEAL_MSGPACK_NIL)
        err = peal_msgpack_to_json(&rest, scratch, atts);
    if (err != PEAL_OK)
        return err;
    *out = (struct peal_sio_packet){ .type = (enum peal_sio_type)p->type,
        .nsp = p->nsp,
        .n_atts = atts->n,
        .binary = atts->n > 0 };
    if (p->has_id)
        out->id = peal_slice_of(scratch->data, id_end);
    out->payload = scratch->len > id_end
                       ? peal_slice_of(scratch->data + id_end, scratch->len - id_end)
                       : PEAL_S("");
    return PEAL_OK;
}

peal_err
peal_sio_msgpack_parse(struct peal_slice bytes, struct peal_buf *scratch,
    struct peal_sio_packet *out, struct peal_blob *atts[PEAL_ATTACHMENTS_MAX])
{
    struct peal_msgpack_atts found = { 0 };
    struct parts p;
    peal_err err = read_parts(bytes, &p);

    if (err == PEAL_OK)
        err = write_texts(&p, scratch, out, &found);
    if (err == PEAL_OK)
        err = peal_sio_check_payload(out);
    if (err != PEAL_OK) {
        peal_msgpack_atts_fini(&found);
        return err;
    }
    memcpy(atts, found.blobs, found.n * sizeof(*atts));
    return PEAL_OK;
}

enum data {
    NO_DATA,
    DATA_FOLLOWS
};

/* {type, nsp, id?} and, if data is to follow, its key. */
static peal_err
begin(struct peal_buf *out, enum peal_sio_type type, struct peal_slice nsp,
    struct peal_slice id, enum data data)
{
    uint64_t n = 0;
    bool has_id = id.len > 0 && peal_slice_u64(id, UINT64_MAX, &n) == PEAL_OK;
    peal_err err;

    if (nsp.len == 0)
        nsp = PEAL_S("/");
    if ((err = peal_msgpack_add_map(out, 2u + has_id + (data == DATA_FOLLOWS))) !=
            PEAL_OK ||
        (err = peal_msgpack_add_str(out, PEAL_S("type"))) != PEAL_OK ||
        (err = peal_msgpack_add_uint(out, type)) != PEAL_OK ||
        (err = peal_msgpack_add_str(out, PEAL_S("nsp"))) != PEAL_OK ||
        (err = peal_msgpack_add_str(out, nsp)) != PEAL_OK)
        return err;
    if (has_id && ((err = peal_msgpack_add_str(out, PEAL_S("id"))) != PEAL_OK ||
                      (err = peal_msgpack_add_uint(out, n)) != PEAL_OK))
        return err;
    return data == DATA_FOLLOWS ? peal_msgpack_add_str(out, PEAL_S("data")) : PEAL_OK;
}

peal_err
peal_sio_msgpack_event(struct peal_buf *out, struct peal_slice nsp, struct peal_slice id,
    struct peal_slice event, struct peal_slice args, struct peal_blob *const *atts,
    unsigned n_atts)
{
    peal_err err = begin(out, PEAL_SIO_EVENT, nsp, id, DATA_FOLLOWS);

    if (event.len == 0)
        event = PEAL_S("\"message\"");
    if (err == PEAL_OK)
        err = peal_msgpack_add_array(out, 1 + peal_json_count(args));
    if (err == PEAL_OK)
        err = peal_msgpack_from_json(out, event, NULL, 0);
    return err == PEAL_OK ? peal_msgpack_from_json(out, args, atts, n_atts) : err;
}

peal_err
peal_sio_msgpack_ack(struct peal_buf *out, struct peal_slice nsp, struct peal_slice id,
    struct peal_slice args, struct peal_blob *const *atts, unsigned n_atts)
{
    peal_err err = begin(out, PEAL_SIO_ACK, nsp, id, DATA_FOLLOWS);

    if (err == PEAL_OK)
        err = peal_msgpack_add_array(out, peal_json_count(args));
    return err == PEAL_OK ? peal_msgpack_from_json(out, args, atts, n_atts) : err;
}

peal_err
peal_sio_msgpack_connected(struct peal_buf *out, struct peal_slice nsp,
    struct peal_slice sid, struct peal_slice pid)
{
    peal_err err = begin(out, PEAL_SIO_CONNECT, nsp, PEAL_S(""), DATA_FOLLOWS);

    if (err == PEAL_OK)
        err = peal_msgpack_add_map(out, 1 + (pid.len > 0));
    if (err == PEAL_OK)
        err = peal_msgpack_add_str(out, PEAL_S("sid"));
    if (err == PEAL_OK)
        err = peal_msgpack_add_str(out, sid);
    if (err == PEAL_OK && pid.len > 0)
        err = peal_msgpack_add_str(out, PEAL_S("pid"));
    return err == PEAL_OK && pid.len > 0 ? peal_msgpack_add_str(out, pid) : err;
}

peal_err
peal_sio_msgpack_refused(struct peal_buf *out, struct peal_slice nsp,
    struct peal_slice message, struct peal_slice data)
{
    peal_err err = begin(out, PEAL_SIO_CONNECT_ERROR, nsp, PEAL_S(""), DATA_FOLLOWS);

    if (err == PEAL_OK)
        err = peal_msgpack_add_map(out, 1 + (data.len > 0));
    if (err == PEAL_OK)
        err = peal_msgpack_add_str(out, PEAL_S("message"));
    if (err == PEAL_OK)
        err = peal_msgpack_add_str(out, message);
    if (err == PEAL_OK && data.len > 0 &&
        (err = peal_msgpack_add_str(out, PEAL_S("data"))) == PEAL_OK)
        err = peal_msgpack_from_json(out, data, NULL, 0);
    return err;
}

peal_err
peal_sio_msgpack_disconnect(struct peal_buf *out, struct peal_slice nsp)
{
    return begin(out, PEAL_SIO_DISCONNECT, nsp, PEAL_S(""), NO_DATA);
}

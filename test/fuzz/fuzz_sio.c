/* SPDX-License-Identifier: MIT */
/* Socket.IO packets: what is read is built again and read as the same; its arguments can
 * be given to every kind of client. */
#include "fuzz.h"

#include "base/json.h"
#include "wire/encode.h"
#include "wire/msgpack.h"

static void
check(bool ok)
{
    if (!ok)
        abort();
}

static void
build_again(const struct peal_sio_packet *p)
{
    struct peal_buf text = { 0 };
    struct peal_sio_packet q;
    peal_err err =
        p->type == PEAL_SIO_EVENT
            ? peal_sio_event(
                  &text, PEAL_SIO_PACKET, p->nsp, p->id, p->event, p->args, p->n_atts)
            : peal_sio_ack(&text, PEAL_SIO_PACKET, p->nsp, p->id, p->args, p->n_atts);

    check(err == PEAL_OK && peal_sio_parse(peal_buf_slice(&text), &q) == PEAL_OK);
    check(q.type == p->type && q.n_atts == p->n_atts && q.n_args == p->n_args);
    check(peal_slice_eq(q.nsp, p->nsp) && peal_slice_eq(q.id, p->id));
    check(peal_slice_eq(q.event, p->event) && peal_slice_eq(q.args, p->args));
    peal_buf_fini(&text);
}

/* Attachments as strings: JSON as before, and nothing in it that refers to one. */
static void
put_inline(const struct peal_sio_packet *p, struct peal_blob **atts)
{
    struct peal_buf out = { 0 };
    uint32_t used;

    check(peal_sio_check_placeholders(p->args, p->n_atts, &used) == PEAL_OK);
    check(p->n_atts == 0 ? used == 0 : used >> p->n_atts == 0);
    check(peal_sio_inline(&out, p->args, atts, p->n_atts) == PEAL_OK);
    check(peal_json_count(peal_buf_slice(&out)) == p->n_args);
    check(peal_sio_check_placeholders(peal_buf_slice(&out), p->n_atts, &used) == PEAL_OK);
    check(used == 0);
    peal_buf_fini(&out);
}

static void
put_msgpack(const struct peal_sio_packet *p, struct peal_blob **atts)
{
    struct peal_msgpack_atts found = { 0 };
    struct peal_buf bytes = { 0 }, json = { 0 };
    struct peal_slice rest;
    peal_err err = PEAL_OK;

    check(peal_msgpack_from_json(&bytes, p->args, atts, p->n_atts) == PEAL_OK);
    rest = peal_buf_slice(&bytes);
    for (unsigned i = 0; i < p->n_args && err == PEAL_OK; i++) {
        json.len = 0;
        err = peal_msgpack_to_json(&rest, &json, &found);
        check(err == PEAL_ELIMIT ||
              (err == PEAL_OK && peal_json_check(peal_buf_slice(&json)) == PEAL_OK));
    }
    check(err != PEAL_OK || rest.len == 0);
    peal_msgpack_atts_fini(&found);
    peal_buf_fini(&bytes);
    peal_buf_fini(&json);
}

static void
every_form(const struct peal_sio_packet *p, struct peal_blob **atts)
{
    struct peal_slice channel = PEAL_S("c");
    struct peal_msg_spec spec = { .channels = &channel,
        .n_channels = 1,
        .atts = atts,
        .n_atts = p->n_atts,
        .n_args = p->n_args,
        .nsp = p->nsp,
        .event = p->event,
        .args = p->args };
    struct peal_msg *m = NULL;

    check(peal_msg_new(&spec, &m) == PEAL_OK);
    for (int f = 0; f < PEAL_FMT_N; f++)
        check(peal_encode_form(m, (enum peal_format)f, NULL) != NULL);
    peal_msg_release(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_blob *att = peal_blob_copy(PEAL_S("bytes"));
    struct peal_blob *atts[PEAL_SIO_ATTACHMENTS_MAX];
    struct peal_sio_packet p;

    check(att != NULL);
    for (unsigned i = 0; i < PEAL_SIO_ATTACHMENTS_MAX; i++)
        atts[i] = att;
    if (peal_sio_parse(peal_slice_of(data, size), &p) == PEAL_OK && !p.ignore) {
        check(p.nsp.len <= PEAL_SIO_NSP_MAX && p.id.len <= PEAL_SIO_ID_MAX);
        check(p.n_atts <= PEAL_SIO_ATTACHMENTS_MAX && p.binary == (p.n_atts > 0));
        check(p.payload.len == 0 || peal_json_check(p.payload) == PEAL_OK);
        check(peal_json_count(p.args) == p.n_args);
        if (p.type == PEAL_SIO_EVENT || (p.type == PEAL_SIO_ACK && p.payload.len > 0)) {
            build_again(&p);
            put_msgpack(&p, atts);
            every_form(&p, atts);
            if (p.n_atts > 0)
                put_inline(&p, atts);
        }
    }
    peal_blob_release(att);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Envelopes: what a batch holds makes records again that hold the same, and whatever its
 * bytes are, every encoder of a message can be called on it. */
#include "fuzz.h"

#include "wire/encode.h"
#include "wire/envelope.h"

static void
check(bool ok)
{
    if (!ok)
        abort();
}

static bool
same_names(const struct peal_msg *a, const struct peal_msg *b)
{
    bool same = a->n_channels == b->n_channels && a->n_except == b->n_except;

    for (unsigned i = 0; same && i < a->n_channels; i++)
        same = peal_slice_eq(a->channels[i].name, b->channels[i].name);
    for (unsigned i = 0; same && i < a->n_except; i++)
        same = peal_slice_eq(a->except[i], b->except[i]);
    return same && peal_slice_eq(a->nsp, b->nsp);
}

static bool
same_content(const struct peal_msg *a, const struct peal_msg *b)
{
    bool same = a->kind == b->kind && a->flags == b->flags && a->n_args == b->n_args &&
                a->n_atts == b->n_atts && peal_slice_eq(a->event, b->event) &&
                peal_slice_eq(a->args, b->args);

    for (unsigned i = 0; same && i < a->n_atts; i++)
        same = peal_slice_eq(peal_blob_slice(a->atts[i]), peal_blob_slice(b->atts[i]));
    return same;
}

static void
again(const struct peal_record *r)
{
    struct peal_blob *blob = r->kind == PEAL_RECORD_MESSAGE
                                 ? peal_envelope_record(r->msg, r->number)
                                 : peal_envelope_other(r);
    struct peal_record back;
    struct peal_slice rest;

    check(blob != NULL);
    rest = peal_blob_slice(blob);
    check(peal_envelope_next(&rest, &back) == PEAL_OK && rest.len == 0);
    check(back.kind == r->kind && back.number == r->number && back.id == r->id &&
          back.op == r->op && back.part == r->part && back.n == r->n &&
          back.status == r->status && back.last == r->last);
    check((r->msg == NULL) == (back.msg == NULL));
    check(r->msg == NULL ||
          (same_names(r->msg, back.msg) && same_content(r->msg, back.msg)));
    peal_record_fini(&back);
    peal_blob_release(blob);
}

/* Arguments are not checked when they are read: encoders must bear any bytes. */
static void
encode_all(struct peal_msg *m)
{
    for (unsigned fmt = 0; fmt < PEAL_FMT_N; fmt++)
        peal_encode_form(m, (enum peal_format)fmt, NULL);
    peal_blob_release(peal_encode_envelope_for(m, m->n_channels - 1, NULL));
    for (int i = 0; i < 6; i++)
        peal_blob_release(peal_encode_sio_with_ack(
            m, PEAL_S("7"), i >= 3, (enum peal_sio_transport)(i % 3), NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_slice records;
    struct peal_record r;
    uint32_t node;
    size_t left;

    if (peal_envelope_open(peal_slice_of(data, size), &node, &records) != PEAL_OK)
        return 0;
    for (;;) {
        left = records.len;
        peal_err err = peal_envelope_next(&records, &r);

        if (err == PEAL_OK && r.kind == PEAL_RECORD_NONE)
            break;
        check(records.len < left);
        if (err == PEAL_OK)
            again(&r);
        if (err == PEAL_OK && r.msg != NULL)
            encode_all(r.msg);
        peal_record_fini(&r);
    }
    return 0;
}

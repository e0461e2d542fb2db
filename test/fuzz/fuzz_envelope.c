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
again(const struct peal_msg *m, uint32_t number)
{
    struct peal_blob *record = peal_envelope_record(m, number);
    struct peal_slice rest;
    struct peal_msg *back;
    uint32_t number_back;

    check(record != NULL);
    rest = peal_blob_slice(record);
    check(peal_envelope_next(&rest, &number_back, &back) == PEAL_OK && back != NULL);
    check(rest.len == 0 && number_back == number);
    check(same_names(m, back) && same_content(m, back));
    peal_msg_release(back);
    peal_blob_release(record);
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
    struct peal_msg *m;
    uint32_t node, number;
    size_t left;

    if (peal_envelope_open(peal_slice_of(data, size), &node, &records) != PEAL_OK)
        return 0;
    while (left = records.len,
        peal_envelope_next(&records, &number, &m) != PEAL_OK || m != NULL) {
        check(records.len < left);
        if (m != NULL) {
            again(m, number);
            encode_all(m);
        }
        peal_msg_release(m);
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Compressed messages: any bytes are inflated or refused, within the bound; and any bytes
 * deflated come back (the first byte says how). */
#include "fuzz.h"

#include "wire/deflate.h"

#define OUT_MAX 20000

static void
inflate_any(struct peal_deflate *z, struct peal_slice in)
{
    struct peal_buf out = { 0 }, again = { 0 };
    peal_err err = peal_inflate_message(z, in, OUT_MAX, &out);

    if (out.len > OUT_MAX || (err != PEAL_OK && out.len > 0))
        abort();
    /* Nothing is remembered: the second time is as the first. */
    if (peal_inflate_message(z, in, OUT_MAX, &again) != err ||
        !peal_slice_eq(peal_buf_slice(&out), peal_buf_slice(&again)))
        abort();
    if (err == PEAL_OK && out.len > 0 &&
        peal_inflate_message(z, in, out.len - 1, &again) != PEAL_ELIMIT)
        abort();
    peal_buf_fini(&out);
    peal_buf_fini(&again);
}

static void
round_trip(struct peal_deflate *z, int bits, struct peal_slice in)
{
    struct peal_buf packed = { 0 }, out = { 0 };

    if (peal_deflate_message(z, bits, in, &packed) != PEAL_OK ||
        peal_inflate_message(z, peal_buf_slice(&packed), in.len, &out) != PEAL_OK ||
        !peal_slice_eq(peal_buf_slice(&out), in))
        abort();
    peal_buf_fini(&packed);
    peal_buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_deflate *z = NULL;
    struct peal_slice in;

    if (size < 1)
        return 0;
    in = peal_slice_of(data + 1, size - 1);
    if (peal_deflate_new(data[0] % 10, 1 + data[0] % 9, &z) != PEAL_OK)
        abort();
    inflate_any(z, in);
    round_trip(z, 9 + data[0] % 7, in);
    peal_deflate_free(&z);
    return 0;
}

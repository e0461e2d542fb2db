/* SPDX-License-Identifier: MIT */
/* Engine.IO payloads: packets joined again are the payload; binary survives base64. */
#include "fuzz.h"

#include "base/base64.h"
#include "base/id.h"
#include "wire/eio.h"

/* Are the first n characters of text those of base64, without its line breaks? */
static bool
begins_with(struct peal_slice base64, const char *text, size_t n)
{
    size_t i, at = 0;

    for (i = 0; i < base64.len && at < n; i++) {
        if (base64.data[i] == '\r' || base64.data[i] == '\n')
            continue;
        if (base64.data[i] != text[at++])
            return false;
    }
    return at == n;
}

/* An encoder's text decodes to the same bytes; a decoder's bytes encode to the same text,
 * but for line breaks, for padding, and for bits that the last character has too many. */
static void
binary(struct peal_slice base64)
{
    struct peal_blob *b = NULL, *again = NULL;
    size_t len;
    char *text;

    if (peal_eiopkt_binary(base64, &b) != PEAL_OK)
        return;
    len = peal_base64_len(b->len);
    if ((text = malloc(len + 1)) == NULL)
        abort();
    peal_base64_encode(b->data, b->len, text);
    if (peal_eiopkt_binary(peal_slice_of(text, len), &again) != PEAL_OK ||
        !peal_slice_eq(peal_blob_slice(b), peal_blob_slice(again)))
        abort();
    if (!begins_with(base64, text, b->len / 3 * 4))
        abort();
    free(text);
    peal_blob_release(b);
    peal_blob_release(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_slice all = { (const char *)data, size }, rest = all, one;
    struct peal_eiopkt p;
    const char *at = all.data;

    while (peal_eiopkt_payload_next(&rest, &one)) {
        if (one.data != at || one.data + one.len > all.data + all.len)
            abort();
        at += one.len + 1;
        if (peal_eiopkt_parse(one, &p) != PEAL_OK)
            continue;
        if (p.type > PEAL_EIO_NOOP || p.data.data != one.data + 1 ||
            p.data.len != one.len - 1)
            abort();
        if (p.binary)
            binary(p.data);
    }
    if (size > 0 && at != all.data + all.len + 1)
        abort();
    return 0;
}

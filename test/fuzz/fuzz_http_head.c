/* SPDX-License-Identifier: MIT */
/* Request heads: one that comes byte by byte is the one that came at once. And what is
 * read from one, the codings that its client takes. */
#include "fuzz.h"

#include "wire/gzip.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_slice in = { (const char *)data, size };
    struct peal_httphead whole = { 0 }, slow = { 0 };
    size_t used = 0, slow_used = 0, scan = 0;
    peal_err err = peal_httphead_parse(in, NULL, NULL, &whole, &used), slow_err;

    in.len = 0;
    do {
        in.len++;
        slow_err = in.len > size
                       ? PEAL_EAGAIN
                       : peal_httphead_parse(in, NULL, &scan, &slow, &slow_used);
    } while (slow_err == PEAL_EAGAIN && in.len < size);
    if (size == 0)
        return 0;
    if (err != slow_err || (err == PEAL_OK && used != slow_used) || used > size)
        abort();
    if (err == PEAL_OK &&
        (!peal_slice_eq(whole.path, slow.path) || whole.n_headers != slow.n_headers ||
            whole.content_length != slow.content_length || whole.path.len == 0))
        abort();
    if (err == PEAL_OK && peal_coding_accepted(&whole) != peal_coding_accepted(&slow))
        abort();
    if (err != PEAL_OK && err != PEAL_EAGAIN && (whole.status < 400 || whole.why == NULL))
        abort();
    return 0;
}

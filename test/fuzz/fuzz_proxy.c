/* SPDX-License-Identifier: MIT */
/* PROXY headers: one that comes byte by byte is the one that came at once, and a verdict
 * stays. */
#include "fuzz.h"

#include "wire/proxy.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_slice in = { (const char *)data, size };
    struct peal_proxy whole, slow;
    size_t used = 0, slow_used = 0;
    peal_err err = peal_proxy_parse(in, &whole, &used), slow_err = PEAL_EAGAIN;
    char text[PEAL_ADDR_TEXT_MAX];

    for (in.len = 0; in.len <= size && slow_err == PEAL_EAGAIN; in.len++)
        slow_err = peal_proxy_parse(in, &slow, &slow_used);
    if (err != slow_err || used != slow_used || used > size)
        abort();
    if (err == PEAL_OK &&
        (whole.local != slow.local || whole.tls != slow.tls ||
            !peal_addr_eq(&whole.src, &slow.src) || !peal_addr_eq(&whole.dst, &slow.dst)))
        abort();
    if (err != PEAL_OK || whole.local) {
        if (whole.src.kind != PEAL_ADDR_NONE || whole.tls)
            abort();
    } else if (whole.src.kind == PEAL_ADDR_NONE ||
               peal_addr_format(&whole.src, text) == 0) {
        abort();
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Addresses, PROXY headers, queries: parsed, written, parsed again as the same. */
#include "fuzz.h"

#include "wire/proxy.h"
#include "wire/query.h"

static void
addresses(struct peal_slice in)
{
    struct peal_addr a, b;
    struct peal_cidr c;
    struct peal_slice path;
    char text[PEAL_ADDR_TEXT_MAX];

    if (peal_addr_parse(in, &a, &path) == PEAL_OK && a.kind != PEAL_ADDR_UNIX) {
        size_t n = peal_addr_format(&a, text);

        if (peal_addr_parse(peal_slice_of(text, n), &b, NULL) != PEAL_OK ||
            !peal_addr_eq(&a, &b))
            abort();
    }
    if (peal_cidr_parse(in, &c) == PEAL_OK && !peal_cidr_match(&c, &c.net))
        abort();
}

static void
queries(struct peal_slice in)
{
    struct peal_slice rest = in, key, value;
    struct peal_buf text = { 0 }, code = { 0 }, again = { 0 };
    bool found;

    while (peal_query_next(&rest, &key, &value))
        ;
    (void)!peal_query_get(in, PEAL_S("a"), &text, &found);
    text.len = 0;
    if (peal_percent_encode(in, &code) != PEAL_OK)
        abort();
    if (peal_percent_decode(peal_buf_slice(&code), false, &again) != PEAL_OK) {
        if (memchr(in.data, 0, in.len) == NULL)
            abort(); /* only a zero byte is refused */
    } else if (!peal_slice_eq(peal_buf_slice(&again), in)) {
        abort();
    }
    peal_buf_fini(&text);
    peal_buf_fini(&code);
    peal_buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_slice in = { (const char *)data, size };
    struct peal_proxy p;
    size_t used = 0;

    if (peal_proxy_parse(in, &p, &used) == PEAL_OK && used > size)
        abort();
    addresses(in);
    queries(in);
    return 0;
}

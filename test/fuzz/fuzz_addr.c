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
    struct peal_buf text = { 0 };
    size_t last = 0;

    while (peal_query_next(&rest, &key, &value))
        ;
    (void)!peal_percent_decode(
        peal_query_raw(in, PEAL_S("a")), PEAL_PLUS_IS_SPACE, &text);
    /* A prefix that decodes is never longer than what it stands for. */
    for (size_t n = 0; n <= in.len && n < 64; n++) {
        text.len = 0;
        if (peal_percent_decode(peal_slice_of(in.data, n), PEAL_PLUS_IS_PLUS, &text) !=
            PEAL_OK)
            continue;
        if (text.len > n || text.len < last)
            abort();
        last = text.len;
    }
    peal_buf_fini(&text);
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

/* SPDX-License-Identifier: MIT */
/* JSON slices: checked text can be walked, and a string survives unquote and quote. */
#include "fuzz.h"

#include "base/json.h"

static void
walk(struct peal_slice value, unsigned depth)
{
    struct peal_slice rest, key, item;
    struct peal_buf text = { 0 }, token = { 0 }, again = { 0 };

    if (value.data[0] == '{' || value.data[0] == '[') {
        rest = peal_slice_of(value.data + 1, value.len - 2);
        while (value.data[0] == '{' ? peal_json_field(&rest, &key, &item)
                                    : peal_json_next(&rest, &item))
            walk(item, depth + 1);
        assert(depth < PEAL_JSON_DEPTH_MAX);
    } else if (value.data[0] == '"') {
        if (peal_json_unquote(&text, value) != PEAL_OK ||
            peal_json_quote(&token, peal_buf_slice(&text)) != PEAL_OK ||
            peal_json_unquote(&again, peal_buf_slice(&token)) != PEAL_OK)
            abort();
        if (!peal_slice_eq(peal_buf_slice(&text), peal_buf_slice(&again)) ||
            !peal_json_string_is(value, peal_buf_slice(&text)))
            abort();
    }
    peal_buf_fini(&text);
    peal_buf_fini(&token);
    peal_buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_slice value;
    size_t used;

    if (peal_json_skip(peal_slice_of(data, size), &value, &used) != PEAL_OK)
        return 0;
    if (used > size || value.len == 0 || peal_json_check(value) != PEAL_OK)
        abort();
    walk(value, 0);
    return 0;
}

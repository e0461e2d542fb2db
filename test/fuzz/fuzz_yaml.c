/* SPDX-License-Identifier: MIT */
/* YAML trees: what was read is written, and reads and writes the same again. */
#include "fuzz.h"

#include "config/yaml.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_buf why = { 0 }, one = { 0 }, two = { 0 };
    struct peal_yaml *y = NULL, *again = NULL;

    if (peal_yaml_read(peal_slice_of(data, size), "f", &y, &why) == PEAL_OK &&
        peal_yaml_write(y, &one) == PEAL_OK) {
        if (peal_yaml_read(peal_buf_slice(&one), "f", &again, &why) != PEAL_OK ||
            peal_yaml_write(again, &two) != PEAL_OK)
            abort();
        if (!peal_slice_eq(peal_buf_slice(&one), peal_buf_slice(&two)))
            abort();
    } else if (why.len == 0) {
        abort(); /* refused without a word */
    }
    peal_yaml_free(&y);
    peal_yaml_free(&again);
    peal_buf_fini(&why);
    peal_buf_fini(&one);
    peal_buf_fini(&two);
    return 0;
}

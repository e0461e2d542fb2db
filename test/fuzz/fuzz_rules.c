/* SPDX-License-Identifier: MIT */
/* Declarative rules: any tree is taken or refused with a line for each mistake. */
#include "fuzz.h"

#include "app/rules.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_buf why = { 0 };
    struct peal_yaml *y = NULL;
    struct peal_app *app = NULL;

    if (peal_yaml_read(peal_slice_of(data, size), "f", &y, &why) == PEAL_OK) {
        if (peal_rules_new(y, "f", false, &why, &app) == PEAL_OK)
            app->ops->free(app);
        else if (why.len == 0 || why.data[why.len - 1] != '\n')
            abort();
    }
    peal_yaml_free(&y);
    peal_buf_fini(&why);
    return 0;
}

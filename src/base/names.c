/* SPDX-License-Identifier: MIT */
/* Lists of names: lengths first, pointers when the text has stopped moving. */
#include "base/names.h"

#include <stdlib.h>

peal_err
peal_names_begin(struct peal_names *names, unsigned max)
{
    *names = (struct peal_names){ 0 };
    if (max > 0 && (names->v = calloc(max, sizeof(*names->v))) == NULL)
        return PEAL_ENOMEM;
    return PEAL_OK;
}

struct peal_slice
peal_names_add(struct peal_names *names)
{
    size_t from = names->used;

    names->used = names->text.len;
    names->v[names->n].len = names->used - from;
    return peal_slice_of(names->text.data + from, names->v[names->n++].len);
}

void
peal_names_end(struct peal_names *names)
{
    const char *at = names->text.data;

    for (unsigned i = 0; i < names->n; i++) {
        names->v[i].data = at;
        at += names->v[i].len;
    }
}

void
peal_names_fini(struct peal_names *names)
{
    free(names->v);
    peal_buf_fini(&names->text);
    *names = (struct peal_names){ 0 };
}

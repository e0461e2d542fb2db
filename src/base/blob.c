/* SPDX-License-Identifier: MIT */
/* Blobs: one allocation each, count first. */
#include "base/blob.h"

#include <stdlib.h>

struct peal_blob *
peal_blob_new(size_t len)
{
    struct peal_blob *b;

    if (len > INT32_MAX || (b = malloc(sizeof(*b) + len)) == NULL)
        return NULL;
    atomic_init(&b->refs, 1);
    b->len = (uint32_t)len;
    return b;
}

struct peal_blob *
peal_blob_copy(struct peal_slice s)
{
    struct peal_blob *b = peal_blob_new(s.len);

    if (b != NULL && s.len > 0)
        memcpy(b->data, s.data, s.len);
    return b;
}

void
peal_blob_release(struct peal_blob *b)
{
    if (b == NULL)
        return;
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        free(b);
}

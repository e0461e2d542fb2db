/* SPDX-License-Identifier: MIT */
/*
 * Blobs: immutable bytes with a reference count. What goes to a client is a blob; ten
 * thousand output queues can hold the same one. hold and drop: any thread.
 */
#ifndef PEAL_BASE_BLOB_H
#define PEAL_BASE_BLOB_H

#include <stdatomic.h>

#include "base/slice.h"

struct peal_blob {
    atomic_uint refs;
    uint32_t len; /* bytes */
    char data[];
};

/* peal_blob_new makes a blob of len bytes, not yet filled; one reference, the caller's.
 * NULL: out of memory, or len above 2^31. */
struct peal_blob *peal_blob_new(size_t len);

/* peal_blob_copy makes a blob with a copy of s. NULL: out of memory. */
struct peal_blob *peal_blob_copy(struct peal_slice s);

static inline struct peal_blob *
peal_blob_retain(struct peal_blob *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

/* peal_blob_release gives one reference back; the last one frees. NULL is fine. */
void peal_blob_release(struct peal_blob *b);

/* peal_blob_is_shared says whether others than the caller hold b. */
static inline bool
peal_blob_is_shared(struct peal_blob *b)
{
    return atomic_load_explicit(&b->refs, memory_order_acquire) > 1;
}

static inline struct peal_slice
peal_blob_slice(const struct peal_blob *b)
{
    return (struct peal_slice){ b->data, b->len };
}

#endif

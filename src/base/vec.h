/* SPDX-License-Identifier: MIT */
/*
 * Arrays that grow: the one place where a capacity is doubled. The array, its number of
 * elements and its capacity stay plain members of the struct that owns them:
 *
 *   if (PEAL_GROW(l->items, l->cap, l->n + 1) != PEAL_OK)
 *       return PEAL_ENOMEM;
 *   l->items[l->n++] = item;
 *
 * One thread at a time.
 */
#ifndef PEAL_BASE_VEC_H
#define PEAL_BASE_VEC_H

#include <stddef.h>

#include "peal/err.h"

/*
 * peal_grow reallocates *array, which has room for *cap elements of size bytes, so that
 * need of them fit: to twice the room, or more. Errors: PEAL_ENOMEM: nothing changed.
 */
PEAL_MUST_USE peal_err peal_grow(void **array, size_t *cap, size_t need, size_t size);

/* The same for an array of any type with a capacity of any integer type. */
#define PEAL_GROW(array, cap, need)                                                      \
    __extension__({                                                                      \
        void *grow_array = (array);                                                      \
        size_t grow_cap = (cap);                                                         \
        peal_err grow_err = peal_grow(&grow_array, &grow_cap, (need), sizeof(*(array))); \
                                                                                         \
        (array) = grow_array;                                                            \
        (cap) = (__typeof__(cap))grow_cap;                                               \
        grow_err;                                                                        \
    })

#endif

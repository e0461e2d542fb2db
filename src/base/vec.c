/* SPDX-License-Identifier: MIT */
/* Arrays that grow: doubling, from eight elements on. */
#include "base/vec.h"

#include <stdint.h>
#include <stdlib.h>

#define FIRST 8 /* elements of an array that was empty */

peal_err
peal_grow(void **array, size_t *cap, size_t need, size_t size)
{
    size_t n = *cap ? *cap : FIRST;
    void *more;

    if (need <= *cap)
        return PEAL_OK;
    if (need > SIZE_MAX / 2 / size)
        return PEAL_ENOMEM;
    while (n < need)
        n *= 2;
    if ((more = realloc(*array, n * size)) == NULL)
        return PEAL_ENOMEM;
    *array = more;
    *cap = n;
    return PEAL_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * Every allocation fails once: link with alloc_fail (test/unit/meson.build), set
 * alloc_left to n, and after n more allocations all fail, until it is negative again:
 *
 *   for (long n = 0;; n++) {
 *       alloc_left = n;
 *       err = thing_under_test();
 *       alloc_left = -1;
 *       if (err != PEAL_ENOMEM)
 *           break;
 *       check that nothing changed or leaked;
 *   }
 */
#ifndef TEST_ALLOC_H
#define TEST_ALLOC_H

#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static long alloc_left = -1; /* allocations that still succeed; negative: all */
static int alloc_one;        /* only the one after them fails */

static inline int
alloc_refused(void)
{
    if (alloc_left == 0 && alloc_one) {
        alloc_left = -1;
        return 1;
    }
    if (alloc_left <= 0)
        return alloc_left == 0;
    alloc_left--;
    return 0;
}

void *
__wrap_malloc(size_t n)
{
    return alloc_refused() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return alloc_refused() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
    return alloc_refused() ? NULL : __real_realloc(p, n);
}

#endif

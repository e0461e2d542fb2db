/* SPDX-License-Identifier: MIT */
/* What every unit test includes: cmocka and a few checks that print both sides. */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"

#define CHECK(cond) assert_true(cond)
#define CHECK_OK(expr) assert_int_equal((expr), PEAL_OK)
#define CHECK_ERR(expr, err) assert_int_equal((expr), (err))
#define CHECK_INT(got, want) assert_int_equal((got), (want))
#define CHECK_MEM(got, got_len, want, want_len)                                          \
    do {                                                                                 \
        assert_int_equal((got_len), (want_len));                                         \
        assert_memory_equal((got), (want), (want_len));                                  \
    } while (0)
#define CHECK_SLICE(got, want)                                                           \
    check_slice((got), peal_slice_str(want), __FILE__, __LINE__)

static inline void
check_slice(struct peal_slice got, struct peal_slice want, const char *file, int line)
{
    if (!peal_slice_eq(got, want)) {
        print_error("%s:%d: got \"%.*s\", want \"%.*s\"\n", file, line, (int)got.len,
            got.data ? got.data : "", (int)want.len, want.data ? want.data : "");
        fail();
    }
}

#endif

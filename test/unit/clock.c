/* SPDX-License-Identifier: MIT */
/* The clock that the loops of a test read, in place of libuv's. */
#include "clock.h"

#include <uv.h>

uint64_t clock_ms = 1000;

uint64_t __wrap_uv_now(const uv_loop_t *loop);

uint64_t
__wrap_uv_now(const uv_loop_t *loop)
{
    return clock_ms;
}

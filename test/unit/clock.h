/* SPDX-License-Identifier: MIT */
/* Loops whose time stands still until the test moves it: link with virtual_time
 * (test/unit/meson.build). What is due happens at the end of the next turn. */
#ifndef TEST_CLOCK_H
#define TEST_CLOCK_H

#include <uv.h>

static uint64_t clock_ms = 1000;

uint64_t __wrap_uv_now(const uv_loop_t *loop);

uint64_t
__wrap_uv_now(const uv_loop_t *loop)
{
    return clock_ms;
}

#endif

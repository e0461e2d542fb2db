/* SPDX-License-Identifier: MIT */
/* Loops whose time stands still until the test moves it: link with virtual_time
 * (test/unit/meson.build). What is due happens at the end of the next turn. */
#ifndef TEST_CLOCK_H
#define TEST_CLOCK_H

#include <stdint.h>

extern uint64_t clock_ms;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Chance: all that could differ from one run to the next comes from the seed: choices,
 * what OpenSSL would make of nothing, and the time, which the simulator moves. (The
 * program is linked so that uv_now and RAND_bytes are the ones here.)
 */
#ifndef TEST_SIM_CHANCE_H
#define TEST_SIM_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

/* Loop time, in ms. */
extern uint64_t sim_now_ms;

/* From here on everything is as it always is after this seed. */
void sim_seed(uint64_t seed);

/* A number below n, which is not 0. Never twice in one expression: compilers may do
 * either first. */
unsigned sim_pick(unsigned n);

/* True in so many cases of a thousand. */
bool sim_chance(unsigned permille);

#endif

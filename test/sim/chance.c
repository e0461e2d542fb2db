/* SPDX-License-Identifier: MIT */
/* Chance: splitmix64, once for the simulator and once for the program. */
#include "chance.h"

#include <uv.h>

#include "base/id.h"

#define POOL 512 /* bytes that base/id.c takes at once */

uint64_t sim_now_ms;

static uint64_t choices, bytes;
static unsigned n_refills;

uint64_t __wrap_uv_now(const uv_loop_t *loop);
int __wrap_RAND_bytes(unsigned char *out, int n);

static uint64_t
next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15ull;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

uint64_t
__wrap_uv_now(const uv_loop_t *loop)
{
    return sim_now_ms;
}

int
__wrap_RAND_bytes(unsigned char *out, int n)
{
    n_refills++;
    for (int i = 0; i < n; i++)
        out[i] = (unsigned char)next(&bytes);
    return 1;
}

void
sim_seed(uint64_t seed)
{
    /* What an earlier seed has left in the pool is used up. */
    for (unsigned before = n_refills; n_refills == before;)
        peal_random_u64();
    for (unsigned i = 1; i < POOL / 8; i++)
        peal_random_u64();
    sim_now_ms = 1000;
    choices = seed;
    bytes = ~seed;
}

unsigned
sim_pick(unsigned n)
{
    return (unsigned)(next(&choices) >> 16) % n;
}

bool
sim_chance(unsigned permille)
{
    return sim_pick(1000) < permille;
}

/* SPDX-License-Identifier: MIT */
/* The histogram: index = 64 * (power of two beyond 2^6) + the next six bits. */
#include "bench/hist.h"

#include <math.h>

static unsigned
bucket_of(uint64_t ns)
{
    unsigned shift, i;

    if (ns < 64)
        return (unsigned)ns;
    shift = 63 - (unsigned)__builtin_clzll(ns) - 6;
    i = 64 * (shift + 1) + (unsigned)(ns >> shift) - 64;
    return i < PEAL_BENCH_HIST_BUCKETS ? i : PEAL_BENCH_HIST_BUCKETS - 1;
}

static uint64_t
bucket_top(unsigned i)
{
    unsigned shift = i / 64;

    if (shift == 0)
        return i;
    return ((uint64_t)(64 + i % 64 + 1) << (shift - 1)) - 1;
}

void
peal_bench_hist_add(struct peal_bench_hist *h, uint64_t ns)
{
    h->buckets[bucket_of(ns)]++;
    h->count++;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

uint64_t
peal_bench_hist_quantile(const struct peal_bench_hist *h, double q)
{
    /* Upwards, so that the share is reached; 0.99 of 100 is 99, whatever the rounding. */
    uint64_t want = (uint64_t)ceil(q * (double)h->count - 1e-6), seen = 0;

    for (unsigned i = 0; i < PEAL_BENCH_HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= want && seen > 0)
            return bucket_top(i) < h->max_ns ? bucket_top(i) : h->max_ns;
    }
    return h->max_ns;
}

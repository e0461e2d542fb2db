/* SPDX-License-Identifier: MIT */
/*
 * Latencies, counted in buckets: 64 to every power of two, so a quantile is exact to
 * 1.6 %, recording is a few instructions, and memory does not depend on how many.
 */
#ifndef PEAL_BENCH_HIST_H
#define PEAL_BENCH_HIST_H

#include <stdint.h>

#define PEAL_BENCH_HIST_BUCKETS (64 * 40)

/* A zeroed struct is an empty histogram. Units: nanoseconds. */
struct peal_bench_hist {
    uint64_t count;
    uint64_t max_ns;
    uint64_t buckets[PEAL_BENCH_HIST_BUCKETS];
};

void peal_bench_hist_add(struct peal_bench_hist *h, uint64_t ns);

/* The value that the share q of all (0 to 1) does not pass; 0 when empty. */
uint64_t peal_bench_hist_quantile(const struct peal_bench_hist *h, double q);

#endif

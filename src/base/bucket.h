/* SPDX-License-Identifier: MIT */
/*
 * Token buckets: so many a second, and a second's worth at once after a rest. A rate of 0
 * is no limit. Thread: the owner's.
 */
#ifndef PEAL_BASE_BUCKET_H
#define PEAL_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct peal_bucket {
    double tokens;
    uint64_t filled_ms; /* when tokens were last added; the clock of the caller */
};

/* peal_bucket_init fills the bucket. rate: tokens a second. */
static inline void
peal_bucket_init(struct peal_bucket *b, uint64_t rate, uint64_t now_ms)
{
    b->tokens = (double)rate;
    b->filled_ms = now_ms;
}

/* peal_bucket_has: there are n tokens now. Pass the same rate every time. */
static inline bool
peal_bucket_has(struct peal_bucket *b, uint64_t rate, uint64_t now_ms, double n)
{
    if (rate == 0)
        return true;
    b->tokens += (double)(now_ms - b->filled_ms) * (double)rate / 1000;
    if (b->tokens > (double)rate)
        b->tokens = (double)rate;
    b->filled_ms = now_ms;
    return b->tokens >= n;
}

/* peal_bucket_take is for one that was there. */
static inline void
peal_bucket_take(struct peal_bucket *b)
{
    b->tokens -= 1;
}

#endif

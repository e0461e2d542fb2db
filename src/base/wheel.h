/* SPDX-License-Identifier: MIT */
/*
 * Timers: a hierarchical timing wheel, four levels of 64 slots, 8 ms a tick. Starting and
 * stopping a timer is O(1) and allocates nothing: the timer lives in the object that
 * waits. The resolution is one tick; a timer never fires early. Thread: the owning
 * loop's.
 */
#ifndef PEAL_BASE_WHEEL_H
#define PEAL_BASE_WHEEL_H

#include <stdint.h>

#include "base/list.h"

#define PEAL_WHEEL_TICK_MS 8

struct peal_timer;

/* Runs once, with t stopped; may start t again or free its owner. */
typedef void peal_timer_fn(struct peal_timer *t);

/* Zeroed but for fn: a stopped timer. Recover the owner with PEAL_CONTAINER. */
struct peal_timer {
    struct peal_link link;
    peal_timer_fn *fn;
    uint64_t due; /* tick */
};

struct peal_wheel {
    uint64_t now;     /* tick up to which timers have fired */
    uint64_t now_ms;  /* the clock at the last peal_wheel_advance */
    uint64_t used[4]; /* a bit for each slot that may hold timers */
    struct peal_link slots[4][64];
};

/* peal_wheel_init starts the wheel at now_ms of any monotonic clock. */
void peal_wheel_init(struct peal_wheel *w, uint64_t now_ms);

/* peal_wheel_advance fires everything due up to now_ms, in order of ticks. */
void peal_wheel_advance(struct peal_wheel *w, uint64_t now_ms);

/* peal_wheel_next_ms is the time from the last advance to when advance should be called
 * next (it may be early, never late), or -1 if no timer is set. */
int64_t peal_wheel_next_ms(const struct peal_wheel *w);

/* peal_timer_start arms t, or re-arms it, delay_ms from the last advance. */
void peal_timer_start(struct peal_wheel *w, struct peal_timer *t, uint64_t delay_ms);

/* peal_timer_stop is fine for a stopped timer. */
static inline void
peal_timer_stop(struct peal_timer *t)
{
    peal_list_unlink(&t->link);
}

static inline bool
peal_timer_active(const struct peal_timer *t)
{
    return peal_list_linked(&t->link);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Timers: a slot of level L covers 64^L ticks. When level 0 comes round, the next slot of
 * level 1 is dealt out over it, and so on up: each timer moves at most three times.
 */
#include "base/wheel.h"

#include <string.h>

#include "base/assert.h"

#define LEVELS 4
#define BITS 6
#define MASK 63

void
peal_wheel_init(struct peal_wheel *w, uint64_t now_ms)
{
    memset(w, 0, sizeof(*w));
    w->now_ms = now_ms;
    w->now = now_ms / PEAL_WHEEL_TICK_MS;
    for (int l = 0; l < LEVELS; l++)
        for (int i = 0; i < 64; i++)
            peal_list_init(&w->slots[l][i]);
}

static void
place(struct peal_wheel *w, struct peal_timer *t)
{
    uint64_t delta = t->due > w->now ? t->due - w->now : 1;
    uint64_t due = w->now + delta;
    unsigned level = 0, slot;

    while (level < LEVELS - 1 && delta >= 1ull << (BITS * (level + 1)))
        level++;
    if (delta >= 1ull << (BITS * LEVELS)) /* beyond the wheel: wait in its last slot */
        due = w->now + (1ull << (BITS * LEVELS)) - 1;
    slot = (unsigned)(due >> (BITS * level)) & MASK;
    peal_list_append(&w->slots[level][slot], &t->link);
    w->used[level] |= 1ull << slot;
}

void
peal_timer_start(struct peal_wheel *w, struct peal_timer *t, uint64_t delay_ms)
{
    PEAL_ASSERT(t->fn != NULL);
    peal_list_unlink(&t->link);
    /* Rounded up, so that a timer never fires early. */
    t->due = (w->now_ms + delay_ms + PEAL_WHEEL_TICK_MS - 1) / PEAL_WHEEL_TICK_MS;
    if (t->due <= w->now)
        t->due = w->now + 1;
    place(w, t);
}

/* Deal the slot of a level that has just come up over the levels below. */
static void
cascade(struct peal_wheel *w, unsigned level)
{
    unsigned slot = (unsigned)(w->now >> (BITS * level)) & MASK;
    struct peal_link all, *l;

    if (slot == 0 && level + 1 < LEVELS)
        cascade(w, level + 1);
    peal_list_move(&all, &w->slots[level][slot]);
    w->used[level] &= ~(1ull << slot);
    while ((l = peal_list_take(&all)) != NULL) {
        struct peal_timer *t = PEAL_CONTAINER(l, struct peal_timer, link);

        if (t->due <= w->now) { /* due this very tick */
            peal_list_append(&w->slots[0][w->now & MASK], &t->link);
            w->used[0] |= 1ull << (w->now & MASK);
        } else {
            place(w, t);
        }
    }
}

static void
fire(struct peal_wheel *w)
{
    struct peal_link due, *l;

    peal_list_move(&due, &w->slots[0][w->now & MASK]);
    w->used[0] &= ~(1ull << (w->now & MASK));
    while ((l = peal_list_take(&due)) != NULL) {
        struct peal_timer *t = PEAL_CONTAINER(l, struct peal_timer, link);

        t->fn(t);
    }
}

/* Ticks until something may be due, at least 1; or UINT64_MAX. */
static uint64_t
next_ticks(const struct peal_wheel *w)
{
    uint64_t best = UINT64_MAX;

    for (unsigned level = 0; level < LEVELS; level++) {
        unsigned shift = BITS * level, at = (unsigned)(w->now >> shift) & MASK;
        uint64_t used = w->used[level], after, ticks;

        if (used == 0)
            continue;
        /* Rotate so that bit 0 is the next slot; the current one comes last, a lap away.
         */
        after = at == MASK ? used : used >> (at + 1) | used << (MASK - at);
        ticks = (uint64_t)__builtin_ctzll(after) + 1;
        ticks = (((w->now >> shift) + ticks) << shift) - w->now;
        if (ticks < best)
            best = ticks;
    }
    return best;
}

void
peal_wheel_advance(struct peal_wheel *w, uint64_t now_ms)
{
    uint64_t target = now_ms / PEAL_WHEEL_TICK_MS;

    if (now_ms <= w->now_ms) /* a clock that stands still or jumps back fires nothing */
        return;
    w->now_ms = now_ms;
    while (w->now < target) {
        uint64_t step = next_ticks(w);

        if (step > target - w->now) {
            w->now = target;
            return;
        }
        w->now += step; /* nothing lies between: jump, whatever the clock did */
        if ((w->now & MASK) == 0)
            cascade(w, 1);
        fire(w);
    }
}

int64_t
peal_wheel_next_ms(const struct peal_wheel *w)
{
    uint64_t ticks = next_ticks(w), at;

    if (ticks == UINT64_MAX)
        return -1;
    at = (w->now + ticks) * PEAL_WHEEL_TICK_MS;
    return at > w->now_ms ? (int64_t)(at - w->now_ms) : 0;
}

/* SPDX-License-Identifier: MIT */
/* The plan of a drain: its phases, and how many sessions go in a step. */
#include "server/drain.h"

#include "base/assert.h"

#define STEP_MS 100  /* between two steps of closing */
#define LOOK_MS 25   /* between two looks whether all has been written */
#define LAST_MS 3000 /* for the last bytes of closed connections */

static void
drain_set_phase(struct peal_drain *d, enum peal_drain_phase phase)
{
    PEAL_ASSERT(phase == d->phase + 1);
    d->phase = phase;
}

void
peal_drain_begin(struct peal_drain *d)
{
    drain_set_phase(d, PEAL_DRAIN_DELAY);
}

/* The share of the sessions that goes in a step. */
static double
drain_share(const struct peal_drain *d, uint32_t pace)
{
    double even = 1.0 / (1 + (double)(d->window_ms / STEP_MS)), asked;

    if (pace == 0 || d->sessions == 0)
        return even;
    asked = (double)pace * STEP_MS / 1000 / (double)d->sessions;
    return asked > even ? even : asked < even / 2 ? even / 2 : asked;
}

static bool
drain_close_listeners(struct peal_drain *d, const struct peal_drain_view *v)
{
    if (d->listeners_closed || (!v->has_others && v->polling > 0))
        return false;
    d->listeners_closed = true;
    return true;
}

static struct peal_drain_orders
drain_begin_closing(struct peal_drain *d, const struct peal_drain_view *v)
{
    drain_set_phase(d, PEAL_DRAIN_CLOSING);
    d->sessions = v->sessions;
    d->keep = 1;
    d->end_ms = v->now_ms + d->window_ms;
    return (struct peal_drain_orders){ .refuse = true };
}

static struct peal_drain_orders
drain_close_some(struct peal_drain *d, const struct peal_drain_view *v)
{
    d->keep -= drain_share(d, v->pace);
    if (d->keep < 0 || (v->sessions == 0 && v->forwards == 0))
        d->keep = 0;
    if (d->keep <= 0) {
        drain_set_phase(d, PEAL_DRAIN_FLUSHING);
        if (d->end_ms < v->now_ms)
            d->end_ms = v->now_ms;
    }
    return (struct peal_drain_orders){ .close_sessions = true,
        .close_listeners = drain_close_listeners(d, v),
        .next_ms = d->keep > 0 ? STEP_MS : LOOK_MS };
}

static struct peal_drain_orders
drain_flush(struct peal_drain *d, const struct peal_drain_view *v)
{
    bool over =
        (v->connections == 0 && v->sessions == 0) || v->now_ms >= d->end_ms + LAST_MS;

    if (over)
        drain_set_phase(d, PEAL_DRAIN_OVER);
    return (struct peal_drain_orders){
        .close_listeners = drain_close_listeners(d, v), .stop = over, .next_ms = LOOK_MS
    };
}

struct peal_drain_orders
peal_drain_step(struct peal_drain *d, const struct peal_drain_view *v)
{
    switch (d->phase) {
    case PEAL_DRAIN_DELAY:
        return drain_begin_closing(d, v);
    case PEAL_DRAIN_CLOSING:
        return drain_close_some(d, v);
    default:
        return drain_flush(d, v);
    }
}

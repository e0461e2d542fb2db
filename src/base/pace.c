/* SPDX-License-Identifier: MIT */
/* Pace: the share shrinks at once and grows slowly, so that one long turn is not followed
 * by another. */
#include "base/pace.h"

#define STEPS 32 /* of growth, from nothing to the largest share */

void
peal_pace_init(struct peal_pace *p, uint64_t lag_ms)
{
    *p = (struct peal_pace){ .lag_ns = lag_ms * 1000000 };
    p->share_ns = p->lag_ns / 2;
}

void
peal_pace_turn_end(struct peal_pace *p, uint64_t now_ns)
{
    uint64_t most = p->lag_ns / 2, step = most / STEPS;

    if (p->began_ns != 0 && now_ns - p->began_ns > most)
        p->share_ns = p->share_ns / 2 > step ? p->share_ns / 2 : step;
    else
        p->share_ns = p->share_ns + step < most ? p->share_ns + step : most;
    p->began_ns = 0;
    p->n_served = 0;
}

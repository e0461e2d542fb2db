/* SPDX-License-Identifier: MIT */
/*
 * Pace: how much of a loop's turn newcomers may have.
 *
 * What becomes ready while a turn runs is served in the next one, so it waits for two
 * turns at most: the lag stays below its target while turns are shorter than half of it.
 * A turn therefore serves newcomers (connections to accept, TLS handshakes to begin,
 * sessions to begin) only until its share of time is used up; those that are left come
 * later, while the clients that are connected already are served as ever.
 *
 * The share adapts, because a newcomer costs most of its time after it was let in, in
 * turns to come: a turn that took longer than half of the target halves the share, one
 * that stayed below lets it grow again. A few newcomers are served in every turn, however
 * long it is, so that they never stop altogether.
 *
 * Pure: the caller brings the time. Thread: the loop's.
 */
#ifndef PEAL_BASE_PACE_H
#define PEAL_BASE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PEAL_PACE_ALWAYS 4 /* newcomers that every turn serves */

struct peal_pace {
    uint64_t lag_ns;   /* the target; 0: newcomers are not paced */
    uint64_t share_ns; /* newcomers are served until the turn is this old */
    uint64_t began_ns; /* of this turn; 0: it has not begun */
    unsigned n_served; /* newcomers of this turn */
};

/* peal_pace_init sets the target, in ms. */
void peal_pace_init(struct peal_pace *p, uint64_t lag_ms);

/* peal_pace_has_time: the share of this turn is not used up yet. */
static inline bool
peal_pace_has_time(const struct peal_pace *p, uint64_t now_ns)
{
    return p->lag_ns == 0 || now_ns - p->began_ns < p->share_ns;
}

/* peal_pace_try counts a newcomer that is served now. false: it must come later. */
static inline bool
peal_pace_try(struct peal_pace *p, uint64_t now_ns)
{
    if (p->n_served >= PEAL_PACE_ALWAYS && !peal_pace_has_time(p, now_ns))
        return false;
    p->n_served++;
    return true;
}

/* peal_pace_turn_end learns from the turn that ends now. */
void peal_pace_turn_end(struct peal_pace *p, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Decides when a node sheds sessions, how many, and when that is of no use. Pure: what
 * the node sees of the cluster and its loop's time go in, a number of sessions comes out.
 */
#ifndef PEAL_SERVER_BALANCE_H
#define PEAL_SERVER_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

/* The cluster, as it reports itself. */
struct peal_balance_view {
    unsigned n;       /* nodes that are up, this one included */
    int64_t sessions; /* of all of them */
    int64_t own;
    uint64_t members; /* a sum over which nodes those are, and their starts */
    bool all_up;      /* nobody is starting, draining or leaving */
};

/* The memory between two steps; zeroed at first. */
struct peal_balance {
    uint64_t members;   /* as it was last seen */
    uint64_t since_ms;  /* when it became so */
    uint64_t began_ms;  /* of the try that is being judged; 0: none */
    int64_t began_over; /* sessions above the mean then */
    int64_t n_shed;     /* sessions given away since */
    bool hopeless;      /* they come back here: not again before something changes */
};

enum peal_balance_verdict {
    PEAL_BALANCE_REST,
    PEAL_BALANCE_SHED,
    PEAL_BALANCE_GIVE_UP /* said once */
};

/* peal_balance_step is to be called about once a second. n_out: sessions to give away,
 * with PEAL_BALANCE_SHED. */
enum peal_balance_verdict peal_balance_step(struct peal_balance *b,
    const struct peal_balance_view *v, uint64_t now_ms, int64_t *n_out);

#endif

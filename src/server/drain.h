/* SPDX-License-Identifier: MIT */
/*
 * The plan of a drain: what is to be done at which moment, from the signal to the end.
 * Pure: the control thread's time and what it sees go in, what it is to do comes out.
 *
 *     SERVING --begin--> DELAY --> CLOSING --> FLUSHING --> OVER
 *
 * DELAY: not ready, but all is served, until balancers have noticed. CLOSING: nobody is
 * admitted; sessions are closed evenly over the window, or more slowly if the nodes that
 * remain ask for it, but in twice the window at most. FLUSHING: all have been told; last
 * bytes are written, and those that poll come for theirs.
 *
 * A client that was closed comes back at once, perhaps by a balancer that would bring it
 * here again. To be refused the connection is the one answer that every balancer and
 * every client takes rightly, so the listeners are closed first of all. Clients that poll
 * come by a new connection now and then; other nodes bring such requests here. Where
 * there are none, the listeners stay until no session polls any more.
 */
#ifndef PEAL_SERVER_DRAIN_H
#define PEAL_SERVER_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

enum peal_drain_phase {
    PEAL_DRAIN_SERVING,
    PEAL_DRAIN_DELAY,
    PEAL_DRAIN_CLOSING,
    PEAL_DRAIN_FLUSHING,
    PEAL_DRAIN_OVER
};

/* Zeroed at first, but for the window. */
struct peal_drain {
    uint64_t window_ms; /* drain.window */
    enum peal_drain_phase phase;
    int64_t sessions; /* at the beginning of CLOSING */
    double keep;      /* the share of them that may be left now, 0 to 1 */
    uint64_t end_ms;  /* of the window */
    bool listeners_closed;
};

/* The node at the moment of a step. */
struct peal_drain_view {
    uint64_t now_ms;
    int64_t sessions; /* also those that are closed and wait for a poll to be told */
    int64_t polling;  /* sessions that need new connections now and then */
    int64_t connections;
    unsigned forwards; /* requests under way to other nodes */
    bool has_others;   /* nodes that bring requests of this one's sessions */
    uint32_t pace;     /* sessions a second that they ask for; 0: any */
};

/* The orders of a step, to be carried out in this order. */
struct peal_drain_orders {
    bool refuse;          /* admit nobody any more */
    bool close_sessions;  /* until keep is left */
    bool close_listeners; /* of clients */
    bool stop;
    uint64_t next_ms; /* until the next step */
};

/* peal_drain_begin is for the signal; the first step is due after the delay. */
void peal_drain_begin(struct peal_drain *d);

/* peal_drain_step is to be called when the step before said. */
struct peal_drain_orders peal_drain_step(
    struct peal_drain *d, const struct peal_drain_view *v);

#endif

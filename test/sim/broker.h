/* SPDX-License-Identifier: MIT */
/*
 * A broker: pub/sub as a Redis does it, with a backplane (a link) for each node, and
 * nothing that happens by itself. A link has two ways to the broker, one for
 * subscriptions and one for what is published, and one back; each keeps its order, and
 * all move on only when the simulator says so.
 *
 *   relay -> commands, payloads -> broker -> events -> relay
 *
 * Faults: a link is cut, which loses what is on it, and its node notices later; a
 * subscription is lost.
 */
#ifndef TEST_SIM_BROKER_H
#define TEST_SIM_BROKER_H

#include "backplane/backplane.h"

#define BROKER_LINKS_MAX 8
#define BROKER_REFUSES "no:" /* what topics begin with that nobody may have */

struct broker {
    struct link *links[BROKER_LINKS_MAX]; /* NULL: none */
    /* A link has been cut; by the simulator or by the node itself. */
    void (*on_cut)(void *arg, unsigned node);
    void *arg;
};

struct link;

/* link_new makes the backplane of a node, which releases it. */
struct link *link_new(struct broker *b, unsigned node, struct peal_loop *control);
struct peal_backplane *link_backplane(struct link *l);

/* Each of these does one thing, if there is one to do: the broker takes a command or a
 * payload; an event reaches the node; the node gets its link, or notices that it is
 * gone. */
bool link_serve(struct link *l);
bool link_arrive(struct link *l);
bool link_proceed(struct link *l);

void link_cut(struct link *l);
/* A subscription is taken away; it is there. */
void link_take_away(struct link *l, struct peal_slice topic);
/* The same for one of them by chance. false: there is none. */
bool link_lose(struct link *l);

/* Does it carry, and has it every subscription that it was given? */
bool link_whole(const struct link *l);
/* Is it gone, and its node does not know? */
bool link_is_cut(const struct link *l);
/* Is nothing on its way to the node? */
bool link_empty(const struct link *l);
bool link_has(const struct link *l, const char *topic);
unsigned link_n_topics(const struct link *l);

#endif

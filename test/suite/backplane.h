/* SPDX-License-Identifier: MIT */
/*
 * What every backplane has to do, as backplane.h promises it. An implementation is done
 * when this passes for it: give it a struct backplane_maker in test_backplanes.c.
 *
 * Topics begin with "ok:"; those that begin with "no:" the other side has to refuse.
 */
#ifndef TEST_SUITE_BACKPLANE_H
#define TEST_SUITE_BACKPLANE_H

#include "backplane/backplane.h"

#define SUITE_LINKS 3

struct backplane_maker {
    const char *name;
    /* Begins what the links are joined by. NULL: it can be begun; else why not. */
    const char *(*begin)(void);
    void (*end)(void);
    /* A link that is not started. */
    struct peal_backplane *(*open)(const struct peal_backplane_config *config);
    /* The other side ends all links; or takes a subscription away. NULL: it cannot. */
    void (*cut)(struct peal_backplane *const *links, unsigned n);
    void (*take_away)(struct peal_backplane *b, struct peal_slice topic);
    /* Moves what does not move by itself; NULL: everything does. */
    void (*turn)(void);
    bool ordered_over_topics; /* all topics live in one place */
};

/* Fails the test that runs if the implementation breaks a promise. Returns why it was not
 * tried, or NULL. */
const char *suite_backplane(const struct backplane_maker *maker);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Deduplication: a message on several topics comes as often as this node is subscribed to
 * one of them, and is taken the first time. Each publisher numbers such messages in a
 * row; which of its last ones have come is remembered. Inside hub/ only.
 *
 * Thread: the control loop's.
 */
#ifndef PEAL_HUB_DEDUP_H
#define PEAL_HUB_DEDUP_H

#include <stdbool.h>
#include <stdint.h>

/* A message comes by its topics in close succession: so many others of its publisher may
 * come in between. One that is later still is taken for a duplicate. */
#define PEAL_DEDUP_WINDOW 4096

struct peal_dedup {
    struct peal_publisher *list;
    unsigned n, cap;
    unsigned next; /* to be forgotten, if there are too many */
};

/* peal_dedup_is_new: this message comes for the first time, or memory is lacking to tell.
 */
bool peal_dedup_is_new(struct peal_dedup *c, uint32_t node, uint32_t number);

/* peal_dedup_fini forgets everything, and leaves c as good as new. */
void peal_dedup_fini(struct peal_dedup *c);

#endif

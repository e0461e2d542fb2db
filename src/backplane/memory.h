/* SPDX-License-Identifier: MIT */
/*
 * Memory as a backplane: topics within one process. As the option `backplane` it stands
 * for a node alone. In tests several hubs are joined by one bus, which does what the bad
 * days of a real backplane do: it refuses topics, takes them away, and loses links.
 *
 * Thread: all links of a bus belong to loops that one thread turns.
 */
#ifndef PEAL_BACKPLANE_MEMORY_H
#define PEAL_BACKPLANE_MEMORY_H

#include "backplane/backplane.h"

struct peal_memory_bus;

/* Bytes that may wait to be told to one link; beyond, the link is lost and made again, as
 * that of a subscriber of Redis that does not read. */
#define PEAL_MEMORY_INBOX_MAX (64u << 20)
#define PEAL_MEMORY_PAYLOAD_MAX (16u << 20) /* bytes */

/* peal_memory_bus_new makes a bus with one reference, the caller's. Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_memory_bus_new(struct peal_memory_bus **out);

/* peal_memory_bus_release gives the reference back and sets *bp to NULL. NULL is fine.
 * Links keep the bus. */
void peal_memory_bus_release(struct peal_memory_bus **bp);

/* peal_memory_new makes a link to a bus; config->url is not looked at. Errors:
 * PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_memory_new(struct peal_memory_bus *bus,
    const struct peal_backplane_config *config, struct peal_backplane **out);

/* peal_memory_bus_forbid has topics that begin with a text refused to everybody from now
 * on; an empty one allows all. beginning is kept. */
void peal_memory_bus_forbid(struct peal_memory_bus *bus, struct peal_slice beginning);

/* peal_memory_take_away ends a subscription of a link, which is told that it is lost. */
void peal_memory_take_away(struct peal_backplane *b, struct peal_slice topic);

/* peal_memory_cut loses a link with all that is on its way to it. */
void peal_memory_cut(struct peal_backplane *b);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Publishers: when a client that publishes is to be read no further for a while. That is
 * as long as what it publishes meets congestion (hub/backlog.c), and, where there is a
 * rate, until it may send the next message.
 *
 * A client costs a pointer, which stays NULL as long as nothing of this happens. Thread:
 * the shard's loop.
 */
#ifndef PEAL_HUB_PUBLISHER_H
#define PEAL_HUB_PUBLISHER_H

#include "hub/hub.h"

struct peal_publisher;

/* The client may be read again. Runs at the end of a turn, and may end anything. */
typedef void peal_publisher_fn(void *arg);

/*
 * peal_publisher_check is called after each message of a client has been dealt with.
 * true: it is not to be read until resume is called.
 *   at    the client's pointer; kept until peal_publisher_free. NULL: the client has
 *         ended
 *   rate  messages a second; 0: no limit. The same every time
 */
bool peal_publisher_check(struct peal_publisher **at, struct peal_shard *sh,
    uint64_t rate, peal_publisher_fn *resume, void *arg);

bool peal_publisher_paused(const struct peal_publisher *p); /* NULL: no */

/* peal_publisher_free is for a client that ends; resume is not called. */
void peal_publisher_free(struct peal_publisher **at);

#endif

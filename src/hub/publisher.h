/* SPDX-License-Identifier: MIT */
/*
 * Publishers: when a client that publishes is to be read no further for a while. That is
 * as long as what it publishes meets congestion (hub/backlog.c), and, where there is a
 * rate, until it may send the next message.
 *
 * A client costs nothing as long as nothing of this happens to it: those to which it does
 * are in a table of their shard, under the address of the object that the caller has for
 * them. Thread: the shard's loop.
 */
#ifndef PEAL_HUB_PUBLISHER_H
#define PEAL_HUB_PUBLISHER_H

#include "hub/hub.h"

/* The client may be read again. Runs at the end of a turn, and may end anything. */
typedef void peal_publisher_fn(void *client);

/*
 * peal_publisher_check is called after each message of a client has been dealt with.
 * true: it is not to be read until resume(client) is called.
 *   client  kept until peal_publisher_forget. NULL: the client has ended meanwhile
 *   rate    messages a second; 0: no limit. The same every time
 */
bool peal_publisher_check(
    struct peal_shard *sh, void *client, uint64_t rate, peal_publisher_fn *resume);

bool peal_publisher_paused(const struct peal_shard *sh, const void *client);

/* peal_publisher_forget is for a client that ends; resume is not called. */
void peal_publisher_forget(struct peal_shard *sh, const void *client);

#endif

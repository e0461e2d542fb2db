/* SPDX-License-Identifier: MIT */
/*
 * Host names, looked up without blocking a loop. The C library does it, each on a thread
 * of its own: a look-up that hangs for as long as the resolver likes keeps nobody
 * waiting, at the end of the process neither. (libuv waits for its threads when a process
 * ends.)
 *
 * Thread: the loop's.
 */
#ifndef PEAL_IO_RESOLVE_H
#define PEAL_IO_RESOLVE_H

#include <netdb.h>

#include "io/loop.h"

#define PEAL_LOOKUPS_MAX                                                                 \
    16 /* of one loop at a time, cancelled ones that hang included                       \
        */

struct peal_lookup;
struct peal_resolver;

/* all: taken by the callee, for freeaddrinfo; NULL: the name does not resolve. Never
 * called from inside peal_resolve. */
typedef void peal_resolve_fn(void *arg, struct addrinfo *all);

/*
 * peal_resolve begins a look-up for stream sockets.
 *   resolver  the loop's: made by the first look-up
 *   host, service  copied
 *   out       of use to peal_resolve_cancel until fn is called
 * Errors: PEAL_ENOMEM; PEAL_ELIMIT: too many at a time; PEAL_EIO: no thread.
 */
PEAL_MUST_USE peal_err peal_resolve(struct peal_loop *loop,
    struct peal_resolver **resolver, const char *host, const char *service,
    peal_resolve_fn *fn, void *arg, struct peal_lookup **out);

/* peal_resolve_cancel: fn will not be called. Sets *lp to NULL. NULL is fine. */
void peal_resolve_cancel(struct peal_lookup **lp);

/* peal_resolver_release is for the end of the loop: all look-ups have been cancelled.
 * NULL is fine. */
void peal_resolver_release(struct peal_resolver **rp);

#endif

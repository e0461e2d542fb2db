/* SPDX-License-Identifier: MIT */
/*
 * Dialling: from a host and a port to a connected socket, without blocking the loop.
 * Thread: the loop's.
 */
#ifndef PEAL_IO_DIAL_H
#define PEAL_IO_DIAL_H

#include "io/loop.h"

struct peal_dial;

/*
 * The call has ended. Runs on the loop's thread, never from inside peal_dial.
 *   fd  taken by the callee on PEAL_OK: connected, non-blocking, close-on-exec; else -1
 * Errors: PEAL_ETIMEOUT; PEAL_ENOTFOUND: the host's name does not resolve; PEAL_EIO:
 * refused, or unreachable.
 */
typedef void peal_dial_fn(void *arg, peal_err err, int fd);

/*
 * peal_dial resolves the host and tries each of its addresses in turn.
 *   host  a name, an address (IPv6 without brackets), or the path of a unix socket, which
 *         begins with '/' (port is not used then); copied
 *   timeout_ms  for everything
 *   arg   kept
 *   out   of use to peal_dial_cancel until fn is called, which releases it
 * Errors: PEAL_ENOMEM; PEAL_EINVAL: the path is too long. fn is not called then.
 */
PEAL_MUST_USE peal_err peal_dial(struct peal_loop *loop, const char *host, uint16_t port,
    uint64_t timeout_ms, peal_dial_fn *fn, void *arg, struct peal_dial **out);

/* peal_dial_cancel: fn will not be called. Sets *dp to NULL. NULL is fine. */
void peal_dial_cancel(struct peal_dial **dp);

#endif

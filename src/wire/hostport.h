/* SPDX-License-Identifier: MIT */
/*
 * host:port, as it is written in options, URLs, Host fields and between nodes. An IPv6
 * address that has a port stands in brackets: "[::1]:80"; without brackets its colons are
 * its own, and there is no port.
 *
 * Pure. Any thread.
 */
#ifndef PEAL_WIRE_HOSTPORT_H
#define PEAL_WIRE_HOSTPORT_H

#include "base/slice.h"

struct peal_hostport {
    struct peal_slice host; /* without brackets; may be empty */
    struct peal_slice port; /* as written; data NULL: there is no colon before it */
    bool brackets;          /* the host stood in brackets */
};

/* peal_hostport_split cuts text in two; out borrows it. What host and port may look like
 * is the caller's to check. Errors: PEAL_EINVAL: a bracket that is not closed, or
 * something other than a port after it. */
PEAL_MUST_USE peal_err peal_hostport_split(
    struct peal_slice text, struct peal_hostport *out);

/* peal_hostport_split_last cuts at the last colon, brackets or not: for peers that write
 * IPv6 addresses without them and never leave the port out. Errors: PEAL_EINVAL: there is
 * no colon. */
PEAL_MUST_USE peal_err peal_hostport_split_last(
    struct peal_slice text, struct peal_hostport *out);

/*
 * peal_hostport_port reads the port.
 *   fallback  where there is none, or nothing after the colon; negative: an error
 * Errors: PEAL_EINVAL: not a decimal number up to 65535.
 */
PEAL_MUST_USE peal_err peal_hostport_port(
    const struct peal_hostport *hp, int fallback, uint16_t *out);

#endif

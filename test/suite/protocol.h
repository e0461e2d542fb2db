/* SPDX-License-Identifier: MIT */
/*
 * What every protocol must keep (proto/protocol.h): its routes are found, its sessions
 * are counted, drained in order, shed, freed, and end in order where memory ends. A
 * protocol passes it with a few lines that say how a client of it looks.
 */
#ifndef TEST_SUITE_PROTOCOL_H
#define TEST_SUITE_PROTOCOL_H

#include "../unit/proto_rig.h"

/* Lines of a script as in proto_rig.h, told for client A, B, C and so on: each begins
 * with the line of A, NULL at the end. */
struct suite_protocol {
    const char *name;                    /* ops->name */
    const struct peal_protocol_row *row; /* of a protocol that the rig has not, or NULL */
    const char *const *open;             /* begins a session */
    const char *const *drained;          /* what its client sees of a drain */
    const char *ask; /* one request that begins a session, for the end of memory */
};

/* All of it, on a rig of its own each. fail_after is set to let the allocation after n
 * others fail, once; negative: none. */
void suite_protocol_run(const struct suite_protocol *p, long *fail_after);

#endif

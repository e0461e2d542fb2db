/* SPDX-License-Identifier: MIT */
/*
 * A node's report as text: a JSON object that each node publishes once a second. Fields
 * that a node does not know are skipped, so nodes of several versions understand each
 * other.
 *
 *   node     number of the node, 8 hexadecimal digits
 *   state    starting, up, draining, leaving
 *   started, connections, sessions, room, name, address, version
 *            see struct peal_node_report
 *   sent     when it was sent: microseconds of the sender's clock, which only goes on
 *   hello    true: the others are asked to report at once
 *   hears    numbers of the nodes that the sender hears, one after the other; at most
 *            PEAL_REPORT_HEARS_MAX of them, the next ones come in the next report
 *   hears_n  how many they are in all
 *   key, secret
 *            the key of its session ids, and what opens its address; instead of both,
 *            with `backplane.secret`,
 *   private  the same, encrypted
 *
 * Inside hub/ only. Pure; any thread.
 */
#ifndef PEAL_HUB_NODE_REPORT_PRIV_H
#define PEAL_HUB_NODE_REPORT_PRIV_H

#include "base/buf.h"
#include "base/id.h"
#include "hub/nodes.h"
#include "hub/seal.h"

#define PEAL_REPORT_HEARS_MAX 128 /* numbers in one report */

/* Fields of a report that are not about its sender itself. */
struct peal_report_extra {
    struct peal_id_key key;
    uint64_t sent; /* 0: not said */
    bool hello;
    /* Of those that the sender hears. */
    uint32_t hears[PEAL_REPORT_HEARS_MAX];
    unsigned n_hears;
    unsigned n_heard_in_all;
    bool lists_hears; /* an older version does not say whom it hears */
};

/* peal_report_write appends a report. seal_key NULL: nothing is encrypted. Errors:
 * PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_report_write(struct peal_buf *out,
    const struct peal_node_report *r, const struct peal_report_extra *extra,
    const struct peal_seal_key *seal_key);

/* peal_report_read reads one. Of a node that says no address, or a secret that no node
 * would make, the address is empty. Errors: PEAL_EPROTO: it is no report. */
PEAL_MUST_USE peal_err peal_report_read(struct peal_slice text,
    const struct peal_seal_key *seal_key, struct peal_node_report *r,
    struct peal_report_extra *extra);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A protocol: routes that begin sessions, and what a node does to all sessions of a kind
 * without knowing more about them: count them, drain them, free them.
 *
 * A protocol is one const struct of operations and one row in a table of them
 * (server/protocols.c). Each worker opens every protocol once; what it opens is the
 * protocol's context there, in which it keeps its sessions. docs/HACKING.md says step by
 * step how to add one; test/suite/protocol.c checks what this file promises.
 *
 * Thread: a context belongs to its worker's loop.
 */
#ifndef PEAL_PROTO_PROTOCOL_H
#define PEAL_PROTO_PROTOCOL_H

#include "base/list.h"
#include "base/stats.h"
#include "http/http.h"

#define PEAL_PROTOCOL_ROUTES_MAX 4

struct peal_proto;
struct peal_protocol;

enum peal_drain_order {
    PEAL_OLDEST_FIRST,
    PEAL_MIDDLE_FIRST /* in the order of age those in the middle */
};

/*
 * Opens the protocol on a worker: its context, with struct peal_protocol as the first
 * member and zero but for what the protocol keeps for itself. config is that of its row,
 * kept. Errors: PEAL_ENOMEM: nothing is left of it.
 */
typedef peal_err peal_protocol_open_fn(
    struct peal_proto *proto, const void *config, struct peal_protocol **out);

/* Writes the protocol's routes, PEAL_PROTOCOL_ROUTES_MAX at most; returns how many. */
typedef unsigned peal_protocol_routes_fn(
    struct peal_protocol *pr, struct peal_http_route *out);

/* The sessions that a drain has to close: not those that are closing already. */
typedef unsigned peal_protocol_count_fn(const struct peal_protocol *pr);

/*
 * Closes up to n sessions in this order, so that their clients come back elsewhere: after
 * all that was published before, and with nothing that a client takes for the end.
 */
typedef void peal_protocol_drain_fn(
    struct peal_protocol *pr, unsigned n, enum peal_drain_order order);

/* The node begins to drain: sessions that need the node's listeners may be put first. */
typedef void peal_protocol_prepare_drain_fn(struct peal_protocol *pr);

/* Ends all sessions at once and frees the context, sets *pp to NULL. The loop does not
 * run any more. */
typedef void peal_protocol_free_fn(struct peal_protocol **pp);

struct peal_protocol_ops {
    const char *name; /* label of its metrics and in the log: "ws" */
    /* Wire formats of its own that messages are to cache, besides those of wire/encode.h:
     * indices first_format and on. */
    unsigned n_formats;
    peal_protocol_open_fn *open;
    peal_protocol_routes_fn *routes;
    peal_protocol_count_fn *count;
    peal_protocol_drain_fn *drain;
    peal_protocol_prepare_drain_fn *prepare_drain; /* optional */
    peal_protocol_free_fn *free;
};

/* Begins each protocol's context; filled in after open. */
struct peal_protocol {
    const struct peal_protocol_ops *ops;
    struct peal_proto *proto; /* of the worker */
    unsigned index;           /* of its gauge */
    unsigned first_format;    /* see ops->n_formats */
};

/* A row of a table of protocols. */
struct peal_protocol_row {
    const struct peal_protocol_ops *ops;
    const void *config; /* for ops->open */
};

/* peal_protocols_open opens the protocols of a table on a worker, in order: the index of
 * a gauge is that of its row. Errors: PEAL_ENOMEM; what is open already stays. */
PEAL_MUST_USE peal_err peal_protocols_open(
    struct peal_proto *p, const struct peal_protocol_row *rows, unsigned n);

/* peal_protocols_free frees all that are open. */
void peal_protocols_free(struct peal_proto *p);

/* peal_protocols_routes writes the routes of all and returns how many there are. */
unsigned peal_protocols_routes(
    const struct peal_proto *p, struct peal_http_route *out, unsigned max);

/* peal_protocol_began and _ended count a session of pr, for metrics and limits. */
void peal_protocol_began(struct peal_protocol *pr);
void peal_protocol_ended(struct peal_protocol *pr);

/*
 * peal_sessions_shed closes n sessions as a drain does, for nodes that have fewer; each
 * protocol loses its share. Those in the middle go, by age: the oldest keep what has
 * worked for long, and the youngest may be those that a sticky balancer has just brought
 * back here; it would always be the same ones.
 */
void peal_sessions_shed(struct peal_proto *p, unsigned n);

#endif

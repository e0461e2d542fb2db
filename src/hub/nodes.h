/* SPDX-License-Identifier: MIT */
/*
 * The nodes of the cluster: each says once a second that it is there, and how it is, on a
 * topic that all are subscribed to. One that is silent for a while is gone. What a node
 * says of itself comes back to it too: that is the proof that the backplane works.
 *
 * A report is a JSON object; fields that a node does not know are ignored.
 *
 * Thread: the control loop's, but for what says otherwise.
 */
#ifndef PEAL_HUB_NODES_H
#define PEAL_HUB_NODES_H

#include "hub/relay.h"

#define PEAL_NODE_TEXT_MAX 256 /* bytes of each text, its zero included */
#define PEAL_NODE_SECRET_LEN 32

enum peal_node_state {
    PEAL_NODE_STARTING,
    PEAL_NODE_UP,
    PEAL_NODE_DRAINING,
    PEAL_NODE_LEAVING /* its last word */
};

/* What a node says of itself. */
struct peal_node_report {
    uint32_t number; /* in session ids */
    enum peal_node_state state;
    int64_t started_ms;  /* unix time */
    int64_t connections; /* open now */
    int64_t sessions;
    int64_t room;                          /* sessions a second that it can accept */
    char name[PEAL_NODE_TEXT_MAX];         /* for people */
    char address[PEAL_NODE_TEXT_MAX];      /* host:port for requests of its sessions */
    char version[PEAL_NODE_TEXT_MAX];      /* of Peal */
    char secret[PEAL_NODE_SECRET_LEN + 1]; /* what opens that address */
};

struct peal_nodes;

/* Fills in the changing parts of this node's own report. Control thread. */
typedef void peal_node_report_fn(void *arg, struct peal_node_report *own);

/*
 * peal_nodes_new prepares; peal_nodes_start begins.
 *   relay  kept
 *   own    copied: name, address, version, secret, started_ms
 *   fill   called before each report; arg kept
 *
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_nodes_new(struct peal_hub *hub, struct peal_relay *relay,
    struct peal_loop *loop, const struct peal_node_report *own, peal_node_report_fn *fill,
    void *arg, struct peal_nodes **out);
void peal_nodes_start(struct peal_nodes *n);

/* peal_nodes_leave says that this node is going, so that others need not wait. */
void peal_nodes_leave(struct peal_nodes *n);
void peal_nodes_free(struct peal_nodes **np);

/* peal_nodes_find copies what is known of a node. false: nothing, or it is gone. Any
 * thread. */
bool peal_nodes_find(struct peal_nodes *n, uint32_t number, struct peal_node_report *out);

/* peal_nodes_each calls fn for each report, this node's own first; fn must not call back.
 * seen_ms: how long ago it was heard of. Any thread. */
typedef void peal_nodes_fn(
    void *arg, const struct peal_node_report *r, uint64_t seen_ms, bool own);
void peal_nodes_each(struct peal_nodes *n, peal_nodes_fn *fn, void *arg);

/* What the probe has shown. Any thread. */
struct peal_nodes_probe_result {
    bool ready;       /* the link is up and has been proven lately */
    int64_t age_ms;   /* since a report of ours came back; -1: never */
    int64_t lag_us;   /* how long the last one took; -1: never */
    unsigned n_nodes; /* this one included */
};
void peal_nodes_probe(struct peal_nodes *n, struct peal_nodes_probe_result *out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The nodes of the cluster. Each of them reports once a second, on a topic that all are
 * subscribed to, that it is there, how it is, and which others it hears. A node that is
 * silent for 5 s is taken for gone. What a node reports comes back to it too, which
 * proves that the backplane works; and when most of the others do not list it among those
 * they hear, what it publishes is lost on the way, however well it hears them itself.
 *
 * A known node's address, secret and key of session ids never change while it is there: a
 * report that says otherwise is refused, so nobody can take its sessions over by speaking
 * in its name. (Who knows `backplane.secret`, or reads the Redis where there is none, can
 * still make its reports; see docs/OPERATIONS.md.)
 *
 * Numbers are drawn by chance. If two nodes have the same one, the younger draws another:
 * it begins its link again under the new number, and all its sessions end, because the
 * others look for the node of a session by the number in its id, and for the old number
 * they find the older node. Such sessions could be reached by nobody. Since a node learns
 * of its twin within a second of its start, there are hardly any. Without the secret a
 * node that is older than a minute goes on as it is, and logs an error: the report may be
 * a forgery.
 *
 * Thread: the control loop's, but for what says otherwise.
 */
#ifndef PEAL_HUB_NODES_H
#define PEAL_HUB_NODES_H

#include "hub/relay.h"

#define PEAL_NODE_TEXT_MAX 256 /* bytes of each text, its zero included */
#define PEAL_NODE_SECRET_LEN 32
#define PEAL_NODE_SECRET_MIN 8

/* The states of a node, with their names in reports and in the API. LEAVING is that of a
 * node's last report. */
#define PEAL_NODE_STATES(X)                                                              \
    X(STARTING, "starting")                                                              \
    X(UP, "up")                                                                          \
    X(DRAINING, "draining")                                                              \
    X(LEAVING, "leaving")

enum peal_node_state {
#define X(name, word) PEAL_NODE_##name,
    PEAL_NODE_STATES(X)
#undef X
};

const char *peal_node_state_name(enum peal_node_state state);

/* The state that a node reports of itself. */
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

/* The node has another number now: ids of sessions that it has are nobody's, and they
 * must end so that their clients come back. Control thread. */
typedef void peal_node_renumbered_fn(void *arg);

struct peal_nodes_config {
    struct peal_hub *hub;     /* kept */
    struct peal_relay *relay; /* kept */
    struct peal_loop *loop;   /* kept */
    const struct peal_node_report
        *own;                  /* copied: name, address, version, secret, started_ms */
    peal_node_report_fn *fill; /* called before each report */
    peal_node_renumbered_fn *renumbered;
    void *arg; /* kept */
};

/* peal_nodes_new prepares; peal_nodes_start begins. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_nodes_new(
    const struct peal_nodes_config *config, struct peal_nodes **out);
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

/* peal_nodes_set_on_gone: fn is told of each node that leaves, or becomes silent; NULL
 * ends it. arg is kept. */
typedef void peal_nodes_gone_fn(void *arg, uint32_t number);
void peal_nodes_set_on_gone(struct peal_nodes *n, peal_nodes_gone_fn *fn, void *arg);

/* The result of a probe: of our reports that came back, and of those of other nodes. */
struct peal_nodes_probe_result {
    const char *unready;  /* why no clients should be sent here; NULL: they may be */
    int64_t age_ms;       /* since a report of ours came back; -1: never */
    int64_t lag_us;       /* how long the last one took; -1: never */
    unsigned n_nodes;     /* this one included */
    unsigned not_hearing; /* nodes that do not list this one among those they hear */
};

/*
 * peal_nodes_probe says what is known at now_ms, the caller's loop time: if the control
 * thread hangs, its own clock stands still and would prove nothing. Any thread.
 */
void peal_nodes_probe(
    struct peal_nodes *n, uint64_t now_ms, struct peal_nodes_probe_result *out);

#endif

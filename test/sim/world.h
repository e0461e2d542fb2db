/* SPDX-License-Identifier: MIT */
/*
 * The world: nodes, each with a hub, a relay and what it says of itself, on loops that
 * the simulator turns; their sessions; and all that can happen to them.
 */
#ifndef TEST_SIM_WORLD_H
#define TEST_SIM_WORLD_H

#include "broker.h"
#include "hub/ackreq.h"
#include "hub/node_request.h"
#include "hub/nodes.h"
#include "hub/publisher.h"
#include "model.h"

#define NODES_MAX 5
#define SHARDS_MAX 2
#define THIEF_NAMES_MAX 20

extern const char *const channel_names[CHANNELS];

/* A session that tries to subscribe to the ids of others. The model does not know of it:
 * it may get nothing that its node knows to be another's. */
struct thief {
    struct peal_session s; /* first */
    unsigned n_names;
};

/* A session that ack requests find; see requests.c. */
struct answerer {
    struct peal_session s; /* first */
    struct peal_pending_ack *pending;
};

/* What publishes on a worker, and is to wait when there is congestion. */
struct publisher {
    bool paused;
};

/* A node is started and ended several times in the same place; index tells its lives
 * apart. */
struct node {
    bool alive, leaving, known[NODES_MAX];
    unsigned place, index, n_shards;
    unsigned publishers[SHARDS_MAX]; /* their numbers in the model */
    struct publisher clients[SHARDS_MAX];
    struct thief thief;
    struct answerer answerer;
    int64_t n_dropped; /* messages, for a full backlog, at the last look */
    struct peal_loop *control, *loops[SHARDS_MAX];
    struct peal_hub *hub;
    struct peal_shard *shards[SHARDS_MAX];
    struct peal_relay *relay;
    struct peal_nodes *nodes;
    struct peal_node_requests *requests;
    struct link *link;
    bool up; /* its relay, at the last look */
    unsigned n_ups;
};

struct world {
    struct broker broker;
    struct node nodes[NODES_MAX];
    unsigned n_places, n_lives, n_publishers;
    struct model *model;
    struct peal_link requests; /* of requests.c, under way */
    unsigned n_waiters;        /* of peal_session_await_subscribed, not yet told */
    /* What is different in each world. */
    bool sealed; /* its nodes have a secret */
    size_t queue_max;
    uint64_t linger_ms;
    unsigned turn_budget;
    struct peal_backlog_limits limits;
};

void world_open(struct world *w, struct model *model);
/* world_close ends everything as it is. */
void world_close(struct world *w);

void node_start(struct world *w, unsigned place);
/* node_end: as if killed, or (LEAVING) with a last word. */
void node_end(struct world *w, struct node *n, bool leaving);
/* One turn of a loop: of a worker, or (n_shards) of the control thread. */
void node_turn(struct world *w, struct node *n, unsigned loop);
void node_arrive(struct world *w, struct node *n);
void node_proceed(struct world *w, struct node *n);

/* Something that clients do, in clients.c; nothing if there is nobody to do it. */
void world_begin(struct world *w);
void world_end(struct world *w);
void world_join(struct world *w);
void world_leave(struct world *w);
void world_publish(struct world *w);
void world_steal(struct world *w);

void thief_begin(struct node *n);

/* Ack requests; requests.c. */
void answerer_begin(struct node *n);
void answerer_end(struct node *n);
void world_request(struct world *w);
void world_answer(struct world *w);
void world_cancel_request(struct world *w);
void world_cancel_requests_of(struct world *w, const struct node *n);

/* world_look_at_backlog is for after anything that may make it larger. */
void world_look_at_backlog(struct world *w, struct node *n);

/* The end of one session. */
void world_end_session(struct world *w, struct session *s);

/* A fault of one link. */
void world_lose(struct world *w, struct node *n);

/* world_quiet lets everything arrive, and time pass, without faults. */
void world_quiet(struct world *w);
/* world_dark: no node has a link any more. Nobody is kept waiting for one. */
void world_dark(struct world *w);
/* world_check: after all sessions have ended, and a quiet time, nothing is left. */
void world_check(struct world *w);
void world_end_all(struct world *w);

#endif

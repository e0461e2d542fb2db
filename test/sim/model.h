/* SPDX-License-Identifier: MIT */
/*
 * The model: who must get which message, who may, and who must not. It knows of every
 * publish, membership and fault, and is told of every delivery.
 *
 * A session is owed what is published while it is a member of one of the message's
 * channels (or is addressed by its id) and is not excluded; of another node's messages,
 * while a channel of them is confirmed to it and its node's link is whole. It is owed no
 * longer what a change of its own, a fault of a link on the way, or a full backlog may
 * keep from it. At the end nothing may be owed. Never may anything come twice, against
 * the order of its publisher on the channel that it comes by, or to whom it does not
 * mean.
 */
#ifndef TEST_SIM_MODEL_H
#define TEST_SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/hub.h"

#define CHANNELS 6
#define MESSAGES_MAX 1000
#define SESSIONS_MAX 400
#define PUBLISHERS_MAX 100 /* workers of all nodes that ever were */
#define IDS_MAX 2          /* of a message */
#define FILLERS 16         /* channels that nobody joins, in a message for all nodes */

/* A message, and all that is known of who gets it. */
struct message {
    unsigned node, publisher;
    unsigned channels, except; /* bits */
    unsigned ids[IDS_MAX], n_ids;
    unsigned except_id; /* SESSIONS_MAX: none */
};

struct session {
    struct peal_session s; /* first */
    struct model *model;
    unsigned index, node, publisher; /* publisher: of its worker */
    bool alive;
    bool member[CHANNELS], confirmed[CHANNELS];
    unsigned joined_at[CHANNELS],
        confirmed_at[CHANNELS];                  /* messages published until then */
    unsigned last[PUBLISHERS_MAX][CHANNELS + 1]; /* message + 1; the last one: by id */
    bool got[MESSAGES_MAX], owed[MESSAGES_MAX];
    bool by_id[MESSAGES_MAX];   /* its publisher knew that the id is this session's */
    bool excused[MESSAGES_MAX]; /* by a fault */
};

struct model {
    struct message messages[MESSAGES_MAX];
    struct session sessions[SESSIONS_MAX];
    unsigned n_messages, n_sessions;
    unsigned n_delivered, n_lost, n_paused;
    uint64_t digest; /* of all deliveries, in order */
};

/* Says what is wrong, and how to see it again; does not return. */
void sim_wrong(const char *fmt, ...) __attribute__((noreturn)) PEAL_PRINTF(1, 2);
/* Says what happens, if anybody wants to know. */
void sim_trace(const char *fmt, ...) PEAL_PRINTF(1, 2);

/* model_publish: before it is published. It is owed to sessions of the same node. */
void model_publish(struct model *o, const struct message *m);
/* model_owe: it is on its way to a session of another node, whose link is whole. */
void model_owe(struct model *o, unsigned message, struct session *s, bool id_known);

void model_joined(struct model *o, struct session *s, unsigned channel);
void model_confirmed(struct model *o, struct session *s, unsigned channel);
void model_left(struct model *o, struct session *s, unsigned channel);
void model_ended(struct model *o, struct session *s);

/* channel: CHANNELS if it came by its id. */
void model_delivered(
    struct model *o, struct session *s, unsigned message, unsigned channel);

/* A fault of a node's link: what was on its way to it, or from it, may be lost. */
void model_receives_not(struct model *o, unsigned node);
void model_sends_not(struct model *o, unsigned node);
/* A backlog of a node was full: something for its sessions has been dropped. */
void model_dropped(struct model *o, unsigned node);
/* A node does not know another one's sessions any more. */
void model_forgets(struct model *o, unsigned node, unsigned other);

/* model_settle: everything had the time to arrive. */
void model_settle(struct model *o);

#endif

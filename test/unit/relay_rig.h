/* SPDX-License-Identifier: MIT */
/*
 * A relay between a hub with two workers and a backplane that the test plays: what the
 * relay asks of it is written down as text, a line each,
 *
 *   sub t:c:{a}     unsub t:c:{a}     pub t:c:{a} 1 2*     restart
 *
 * (a payload as the arguments of its messages; * for one that has a number), and the test
 * calls its events. All loops are turned by the test, in its thread.
 */
#ifndef TEST_RELAY_RIG_H
#define TEST_RELAY_RIG_H

#include "check.h"

#include "clock.h"
#include "hub/hub_priv.h"
#include "hub/relay.h"
#include "hub/seal.h"

#define NODE 7u
#define OTHER 8u /* the one that publishes, mostly */
#define OWN_TOPICS "sub t:all\nsub t:n:00000007\nsub t:nodes\n"

extern struct peal_log rig_log;

struct rig {
    struct peal_backplane b; /* first */
    struct peal_loop *control, *loops[2];
    struct peal_hub *hub;
    struct peal_shard *sh[2];
    struct peal_relay *relay;
    size_t backed; /* what the backplane says of its queue */
    bool quiet;    /* nothing is written down */
    unsigned ups, downs, restarts;
    char said[64]; /* the last payload on t:nodes */
    char log[8192];
    size_t log_len;
};

extern const struct peal_relay_events rig_events;

void turn(struct peal_loop *l);

/* Everything that was posted arrives, and what is posted because of it. */
void settle(struct rig *r);

/* Without the relay's start. */
void rig_make_with(
    struct rig *r, size_t queue_max, uint64_t linger_ms, const char *secret);

void rig_make(struct rig *r, size_t queue_max, uint64_t linger_ms);

void rig_open(struct rig *r, size_t queue_max, uint64_t linger_ms);

/* As a node ends: its workers, then the relay, then what they lived on. */
void rig_close(struct rig *r);

/* What was asked since the last look; sorted: order is not promised. */
void check_asked(struct rig *r, const char *want, bool sorted, int line);

#define ASKED(r, want) check_asked((r), (want), false, __LINE__)
#define ASKED_SORTED(r, want) check_asked((r), (want), true, __LINE__)

void subscribed(struct rig *r, const char *topic);

/* The link comes up, with nothing but the relay's own topics. */
void rig_connect(struct rig *r);

/* Sessions that write down what reaches them, as text. */
struct member {
    struct peal_session s; /* first */
    char got[1024];
};

void begin(struct rig *r, unsigned worker, struct member *me);

void join(struct member *me, const char *channel);

void leave(struct member *me, const char *channel);

/* Joins, and lets the backplane confirm it. */
void join_and_confirm(struct rig *r, struct member *me, const char *channel);

void check_got(struct member *me, const char *want, int line);

/* What has reached it since the last look. */
#define GOT(me, want) check_got(&(me), (want), __LINE__)

/* A message on channels (and ids), given as "a b c"; except in the same way, or NULL. */
struct peal_msg *message(const char *to, const char *except, const char *args);

peal_err publish(struct rig *r, unsigned worker, const char *to, const char *args);

/* A payload of node with one message. Takes m. */
struct peal_buf payload_of(uint32_t node, struct peal_msg *m, uint32_t number);

/* It arrives on topic. */
void hear(
    struct rig *r, const char *topic, uint32_t node, struct peal_msg *m, uint32_t number);

/* An id as text, of a session here. */
const char *id_of(const struct member *me);

int64_t stat_of(const struct rig *r, enum peal_stat id);

#endif

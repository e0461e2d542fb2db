/* SPDX-License-Identifier: MIT */
/*
 * An adapter on the relay of relay_rig.h, with a Redis of its own that the test plays:
 * what is asked of it is written down as text, a line each,
 *
 *   sub k#/#     psub k#/#*     unsub k#/#     punsub k#/#*     pub k#/#a#
 * ["ME",{...},{...}]
 *
 * (a payload as JSON, whatever it is written in; ME is the adapter's uid). The other
 * link, that of the relay, is down, so that a channel is left with its last subscriber.
 */
#ifndef TEST_ADAPTER_RIG_H
#define TEST_ADAPTER_RIG_H

#include "relay_rig.h"

#include "adapter/adapter_priv.h"
#include "hub/ackreq.h"
#include "wire/msgpack.h"

struct redis {
    struct peal_redis_pubsub p; /* first */
    size_t backed;              /* what it says of its queue */
    bool quiet;                 /* nothing is written down */
    const char *me;
    struct peal_buf log;
};

struct site {
    struct rig r;
    struct redis redis;
    struct peal_adapter *a;
    unsigned ready; /* times that it has said so */
};

extern const struct peal_redis_pubsub_ops redis_pubsub_ops;

extern const struct peal_backplane_ops redis_ops;

void site_open(struct site *s, bool sharded);

/* As a node ends: its workers, then the adapter and the relay, then what they lived on.
 */
void site_close(struct site *s);

void check_said(struct site *s, const char *want, int line);

/* What was asked of Redis since the last look. */
#define SAID(s, want) check_said((s), (want), __LINE__)

/* Two rounds: what workers answer may have them asked again. */
void turns(struct site *s);

void confirmed(struct site *s, const char *topic);

void redis_up(struct site *s);

/* A payload of another server: JSON, which on a classic broadcast channel, or with bytes,
 * goes as MessagePack. */
void told(struct site *s, const char *topic, const char *json);

struct peal_buf packed(const char *json);

void told_packed(struct site *s, const char *topic, const char *json);

/* Sockets that write down what happens to them: events with their arguments, * if they
 * are asked, ! when they are disconnected. */
struct socket {
    struct peal_session s; /* first */
    struct peal_pending_ack *owed;
    uint64_t id; /* of the last question */
    char got[512];
};

extern const struct peal_session_ops socket_ops;

/* rooms: channels, "/ a b". */
void enter(struct site *s, unsigned worker, struct socket *so, const char *channels);

void quit(struct site *s, struct socket *so);

void check_heard(struct site *s, struct socket *so, const char *want, int line);

#define HEARD(s, so, want) check_heard((s), &(so), (want), __LINE__)

const char *id_text(const struct socket *so);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Sessions: one client as a protocol sees it; what subscribes to channels. A protocol
 * embeds one in its own struct. Thread: the shard's loop.
 */
#ifndef PEAL_HUB_SESSION_H
#define PEAL_HUB_SESSION_H

#include "base/buf.h"
#include "base/id.h"
#include "base/msg.h"

struct peal_session;
struct peal_shard;
struct peal_channel;
struct peal_pending_ack; /* hub/ackreq.h */

/* A subscription; the hub's. */
struct peal_sub {
    struct peal_session *session;
    struct peal_channel *channel; /* NULL: not in use */
    struct peal_sub *next;        /* of the session */
    uint32_t at;                  /* index in channel->members */
    uint32_t since; /* channel->seq when it joined: earlier messages are not for it */
};

/* The data that an app has attached to a session: the first member of a struct of its
 * own. free is called when the session ends. */
struct peal_session_user {
    void (*free)(struct peal_session_user *u);
};

struct peal_session_ops {
    const char *protocol; /* "ws", "sse", "socketio" */
    /*
     * Appends m to the client's output in the protocol's form. k is the index in
     * m->channels through which it comes. Never closes anything and never calls back into
     * the hub. Returns false if the message was dropped, or is of another namespace (one
     * addressed by id may be).
     */
    bool (*deliver)(struct peal_session *s, struct peal_msg *m, unsigned k);
    /* Ends the session; everything: also the connection under it. The session may be
     * released at the end of the turn. */
    void (*disconnect)(struct peal_session *s, bool everything);
    /* Optional: as deliver, but the client is to acknowledge m with the id in owed, which
     * is kept until then. deliver leaves messages with PEAL_MSG_NEEDS_ACK to it. false:
     * it was not sent. */
    bool (*deliver_with_ack)(struct peal_session *s, struct peal_msg *m, unsigned k,
        struct peal_pending_ack *owed);
    /* Optional, the protocol's own: ends the session so that its client comes back. */
    void (*drain)(struct peal_session *s);
};

struct peal_session {
    const struct peal_session_ops *ops;
    struct peal_shard *shard;
    struct peal_session_user *user; /* the app's, or NULL */
    struct peal_sub *subs;          /* the channels it is subscribed to */
    struct peal_sub first;          /* most have one: it needs no allocation */
    char id[PEAL_ID_LEN];
    uint16_t n_subs_max; /* subscriptions that peal_session_subscribe allows; 0: 65535 */
    uint16_t n_subs;
    uint16_t n_waiters; /* peal_session_await_subscribed calls that were not told yet */
    bool listed;        /* can be addressed by its id */
    /* The rest is the protocol's, in what room there is: idle sessions are many. */
    bool heard : 1, pinged : 1; /* since the last look at it; /ws alone */
    bool envelopes : 1; /* /ws: it names channels as ?channel=: each message says which */
    union {
        uint32_t connected_s; /* listed: unix time, which other servers are told */
        uint32_t drain_at_ms; /* plain: loop time; 32 bits tell how far it is */
    };
};

static inline struct peal_slice
peal_session_id(const struct peal_session *s)
{
    return (struct peal_slice){ s->id, PEAL_ID_LEN };
}

/* peal_session_channel is the channel that s joined last; data NULL: it has none. */
struct peal_slice peal_session_channel(const struct peal_session *s);

#endif

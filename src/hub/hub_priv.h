/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of hub/.
 *
 *   hub.c            hub, shards and sessions; publishing
 *   subscriptions.c  channels and their members
 *   confirm.c        waiting until a channel is subscribed on the backplane
 *   fanout.c         delivery to members, in slices
 *   backlog.c        how much waits, and who is told; publisher.c: who is paused for it
 *   ids.c, names.c   whose id it is; how rooms are named
 *   select.c         sockets by rooms
 *   ackreq.c         events that are to be acknowledged
 *   outbox.c         what a worker has to say to the relay
 *
 * The relay and what it consists of is in relay_priv.h.
 */
#ifndef PEAL_HUB_HUB_PRIV_H
#define PEAL_HUB_HUB_PRIV_H

#include "base/assert.h"
#include "base/map.h"
#include "hub/hub.h"

/* Channel hashes that are told apart, powers of two: for interest, for backlogs. */
#define PEAL_INTEREST_SLOTS 65536
#define PEAL_FULL_SLOTS 4096

/* Messages of a channel whose delivery goes on in later turns. */
struct peal_fanout {
    struct peal_link link; /* on the shard's list */
    struct peal_channel *channel;
    struct peal_fanout_item {
        struct peal_msg *msg; /* retained */
        uint32_t seq;
        uint16_t k;      /* index of the channel in the message */
        bool except_ids; /* none of the exclusions is a channel here */
    } * items;
    uint32_t n, cap;
    uint32_t batch;  /* items[0 .. batch) are what the cursor carries */
    size_t bytes;    /* peal_msg_weight of the items */
    uint32_t cursor; /* members[0 .. cursor) have them */
    bool full;       /* peal_backlog_mark has been called */
};

/* Somebody who waits until a channel is subscribed on the backplane. */
struct peal_waiter {
    struct peal_link link; /* on the channel's list */
    struct peal_session *session;
    peal_confirmed_fn *fn;
    void *arg;
};

#define PEAL_SEQ_RENEW (1u << 30) /* see fanout.c */

struct peal_channel {
    struct peal_sub **members;
    struct peal_link waiters; /* oldest first */
    uint32_t n, cap;
    uint32_t seq; /* counts messages that were put off */
    uint32_t hash;
    struct peal_fanout *fanout; /* NULL: nothing was put off */
    uint32_t name_len;
    bool like_id;   /* its name has the form of a session's id, or a room of it has */
    bool confirmed; /* what other nodes publish arrives; true without others */
    uint64_t asked; /* number of the batch that asks the relay for it */
    char name[];
};

#define PEAL_NODES_MAX 1024    /* of a cluster */
#define PEAL_GONE_NODES_MAX 64 /* whose ids stay addresses after they are gone */

/* A node and the key that its session ids are made with; number 0: not in use. */
struct peal_node_key {
    _Atomic uint32_t number;
    _Atomic uint64_t key[2]; /* the bytes of a struct peal_id_key */
};

struct peal_hub {
    _Atomic uint32_t node;  /* this node's number; changed by the control thread */
    struct peal_id_key key; /* of this node's session ids */
    unsigned n_shards;
    struct peal_shard *shards[PEAL_WORKERS_MAX]; /* NULL: freed */
    struct peal_relay *relay;                    /* NULL: this is the only node */
    struct peal_node_requests *requests;         /* NULL: the same */
    struct peal_loop *control;                   /* of the relay */
    struct peal_node_key known[PEAL_NODES_MAX];  /* other nodes; see ids.c */
    struct peal_node_key gone[PEAL_GONE_NODES_MAX];
    unsigned next_gone;          /* the oldest entry of gone */
    _Atomic unsigned n_known;    /* entries of known that were ever used */
    _Atomic uint32_t n_numbered; /* messages on several channels, so far */
    /* A bit for each worker that has a subscriber of a channel with this hash. */
    _Atomic uint64_t interest[PEAL_INTEREST_SLOTS];
    /* A bit for each worker where a channel with this hash has a full backlog. */
    _Atomic uint64_t full[PEAL_FULL_SLOTS];
    struct peal_backlog_limits limits;
    _Atomic uint64_t paused; /* a bit for each worker with publishers that are paused */
    struct peal_backlog {
        _Atomic size_t bytes;    /* that wait for, or on, this worker */
        struct peal_task relief; /* tells it that there is less of a backlog */
        struct peal_hub *hub;
        _Atomic bool relief_posted;
        char apart[31]; /* each has a cache line */
    } backlog[PEAL_WORKERS_MAX];
};

struct peal_shard {
    struct peal_hub *hub;
    struct peal_loop *loop;
    void *codec;
    unsigned index;
    unsigned turn_budget;     /* deliveries of a turn, by the fan-out and again at once */
    unsigned left;            /* of them, for the fan-out */
    unsigned at_once;         /* deliveries at once in this turn */
    struct peal_map channels; /* name -> struct peal_channel */
    struct peal_map sessions; /* id -> struct peal_session, the listed ones */
    struct peal_link fanouts;
    struct peal_relay_batch *outbox; /* what this turn has to say to the relay, or NULL */
    uint64_t n_batches_posted;       /* posted so far */
    struct peal_link ack_shares;     /* of hub/ackreq.h */
    uint64_t next_ack_id;            /* that a client answers with */
    size_t held;                     /* peal_shard_count_held */
    bool delivering; /* sessions are given messages: nobody may subscribe or leave */
    bool congested;  /* congestion holds what the last publishes met */
    bool relieved;   /* the hook is to look at those that are paused */
    struct peal_congestion congestion;
    struct peal_map publishers; /* client -> struct publisher, see publisher.c */
    struct peal_link paused;    /* those that wait for a smaller backlog */
    uint32_t interest[PEAL_INTEREST_SLOTS]; /* channels here, by hash */
    uint32_t full[PEAL_FULL_SLOTS];         /* channels with a full backlog, by hash */
};

/* peal_msg_weight is about what a message that waits takes in memory, in bytes. */
static inline size_t
peal_msg_weight(const struct peal_msg *m)
{
    size_t n =
        512 + m->args.len; /* the message itself, its names, and who waits for it */

    for (unsigned i = 0; i < m->n_atts; i++)
        n += m->atts[i]->len;
    return n;
}

static inline struct peal_slice
peal_channel_slice(const struct peal_channel *ch)
{
    return (struct peal_slice){ ch->name, ch->name_len };
}

/* peal_channel_address is the part of a channel's name that may be the id of a session:
 * the room. */
static inline struct peal_slice
peal_channel_address(struct peal_slice channel)
{
    struct peal_slice rest = channel;

    if (channel.len > 0 && channel.data[0] == '/')
        peal_slice_cut(&rest, '#');
    return rest;
}

static inline bool
peal_session_has_address(const struct peal_session *s, struct peal_slice name)
{
    return peal_slice_eq(peal_channel_address(name), peal_session_id(s));
}

/* peal_session_is_named: a message on name is for s, as its address or as a channel that
 * it is subscribed to. */
static inline bool
peal_session_is_named(const struct peal_session *s, struct peal_slice name)
{
    return peal_session_has_address(s, name) || peal_session_is_subscribed(s, name);
}

/* peal_waiters_tell_gone is for a session that leaves ch, or ends; confirm.c. */
void peal_waiters_tell_gone(struct peal_channel *ch, const struct peal_session *s);

/* peal_hub_set_relay joins hub and relay, NULL: parts them; before any loop of a worker
 * runs, or when none does any more. */
void peal_hub_set_relay(
    struct peal_hub *h, struct peal_relay *relay, struct peal_loop *control);

/* Backlogs; backlog.c. */

/* peal_backlog_add counts bytes that are posted to a worker, or put off by it. false:
 * more than there may be; they are to be dropped, which is counted for the caller's loop.
 */
bool peal_backlog_add(
    struct peal_hub *h, unsigned worker, size_t bytes, struct peal_stats *stats);
void peal_backlog_sub(struct peal_hub *h, unsigned worker, size_t bytes);

/* peal_backlog_mark says to publishers that a channel of sh has a full backlog, or has
 * not any more. */
void peal_backlog_mark(struct peal_shard *sh, uint32_t channel_hash, bool full);

/* peal_backlog_note looks whether m, published by sh for these workers, meets a full
 * backlog. */
void peal_backlog_note(struct peal_shard *sh, const struct peal_msg *m, uint64_t workers);

/* peal_backlog_init: before any loop runs. */
void peal_backlog_init(struct peal_hub *h);

/* peal_publishers_resume goes on with those that are paused and need not be any more;
 * publisher.c. */
void peal_publishers_resume(struct peal_shard *sh);

/* peal_shard_channel is the channel of this shard by that name, if a message on the name
 * is for its members. NULL: there is none; or the name is the id of a session, which
 * alone may get such a message, even if others had subscribed before the id was known. */
struct peal_channel *peal_shard_channel(struct peal_shard *sh, struct peal_slice name);

/* peal_channel_is_address: it is such a name, so nothing is delivered to its members. */
static inline bool
peal_channel_is_address(const struct peal_shard *sh, const struct peal_channel *ch)
{
    return ch->like_id && peal_hub_is_address(sh->hub, peal_channel_slice(ch));
}

/* peal_deliver_channel sends m to the members of ch, now or in later turns; fanout.c. */
void peal_deliver_channel(
    struct peal_shard *sh, struct peal_channel *ch, struct peal_msg *m, unsigned k);

/* peal_deliver_session sends m to one session, addressed by its id. */
void peal_deliver_session(
    struct peal_shard *sh, struct peal_session *s, struct peal_msg *m, unsigned k);

/*
 * peal_meant_for calls fn for each session of this shard that m is meant for, once, with
 * the channel it comes by, until it returns false. fn must not join or leave.
 */
void peal_meant_for(struct peal_shard *sh, struct peal_msg *m,
    bool (*fn)(void *arg, struct peal_session *s, unsigned k), void *arg);

/* peal_fanout_leave keeps the cursor right while the member at sub->at is taken out. Call
 * before removing. */
void peal_fanout_leave(struct peal_sub *sub);

/* peal_fanout_free drops what was put off for a channel. */
void peal_fanout_free(struct peal_shard *sh, struct peal_channel *ch);

/* peal_fanout_turn is the loop's hook. */
bool peal_fanout_turn(void *shard);

#endif

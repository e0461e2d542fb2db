/* SPDX-License-Identifier: MIT */
/*
 * The hub: who is subscribed to what, and how a message reaches them all.
 *
 * A hub has a shard a worker. A shard knows the subscribers that live on its worker; a
 * table of bits shared by all shards says which workers have a subscriber of a channel
 * (by hash: a worker may be asked in vain, never forgotten). Publishing reads that table,
 * hands the message to the mailboxes of the workers named there, and delivers to its own
 * sessions. No locks.
 *
 * Order: what one publisher publishes on one channel arrives in that order, everywhere.
 *
 * Thread: a shard belongs to its worker's loop.
 */
#ifndef PEAL_HUB_HUB_H
#define PEAL_HUB_HUB_H

#include "hub/session.h"
#include "io/loop.h"

#define PEAL_WORKERS_MAX 64
#define PEAL_CHANNEL_NAME_MAX 1024 /* bytes */

struct peal_hub;
struct peal_shard;

/* peal_hub_new: node is this node's number in session ids, not 0. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_hub_new(uint32_t node, struct peal_hub **out);
/* peal_hub_free: after the loops of its shards and of its relay have been freed, since
 * tasks in their mailboxes refer to the hub. */
void peal_hub_free(struct peal_hub **hp);

/*
 * peal_shard_new adds the shard of worker number index; all are added before any loop
 * runs.
 *
 *   loop         kept; the shard adds a hook to it
 *   turn_budget  deliveries of one turn, before a large fan-out waits for the next
 *   codec        kept: scratch for peal_msg_bytes
 *
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_shard_new(struct peal_hub *hub, unsigned index,
    struct peal_loop *loop, unsigned turn_budget, void *codec, struct peal_shard **out);
/* peal_shard_free: all sessions have ended, and no loop of the hub runs any more. Tasks
 * in the mailbox of its loop do nothing when that is freed. */
void peal_shard_free(struct peal_shard **sp);

struct peal_hub *peal_shard_hub(const struct peal_shard *sh);
struct peal_loop *peal_shard_loop(const struct peal_shard *sh);
unsigned peal_shard_index(const struct peal_shard *sh);
static inline struct peal_stats *
peal_shard_stats(const struct peal_shard *sh)
{
    return peal_loop_stats(peal_shard_loop(sh));
}

/* This node's number, and the key of its session ids, which other nodes are told. */
uint32_t peal_hub_node(const struct peal_hub *h);
const struct peal_id_key *peal_hub_key(const struct peal_hub *h);

/* peal_hub_add_node makes the ids of another node's sessions known; peal_hub_remove_node
 * ends the routing to them, but they stay addresses (peal_hub_is_address) as long as
 * there is room to remember the node. Control thread. Errors: PEAL_ELIMIT. */
PEAL_MUST_USE peal_err peal_hub_add_node(
    struct peal_hub *h, uint32_t node, const struct peal_id_key *key);
void peal_hub_remove_node(struct peal_hub *h, uint32_t node);

/* peal_hub_has_node: number is that of a node other than this one. Any thread. */
bool peal_hub_has_node(const struct peal_hub *h, uint32_t node);

/* The shards, for code that has something to do on all of them. */
unsigned peal_hub_n_workers(const struct peal_hub *h);
struct peal_shard *peal_hub_shard(const struct peal_hub *h, unsigned index);
static inline uint64_t
peal_hub_all_workers(const struct peal_hub *h)
{
    unsigned n = peal_hub_n_workers(h);

    return n < 64 ? (1ull << n) - 1 : UINT64_MAX;
}

/* peal_hub_owner says which node and worker made the id of a session, which may have
 * ended. false: none that is known. Any thread. */
bool peal_hub_owner(const struct peal_hub *h, struct peal_slice id, uint32_t *node_out,
    uint8_t *worker_out);

/* peal_hub_is_address: this channel's name, or its room's, is the id of a session of a
 * node that is known, or was. Nobody may subscribe to it. Any thread. */
bool peal_hub_is_address(const struct peal_hub *h, struct peal_slice channel);

/* peal_shard_each_channel calls fn with every channel that has a subscriber on this
 * worker, in no order. fn may not subscribe or unsubscribe anybody. */
void peal_shard_each_channel(
    struct peal_shard *sh, void (*fn)(void *arg, struct peal_slice channel), void *arg);

/* peal_hub_interest: a bit for each worker that may have a subscriber. Any thread. */
uint64_t peal_hub_interest(const struct peal_hub *h, uint32_t channel_hash);

/* peal_shard_owner returns the index of the worker whose session has this id, or -1: it
 * is not of this node. */
int peal_shard_owner(const struct peal_shard *sh, struct peal_slice id);

/* peal_shard_new_id writes an id that this shard owns. */
void peal_shard_new_id(const struct peal_shard *sh, char out[PEAL_ID_LEN]);

enum peal_listing {
    PEAL_UNLISTED,
    PEAL_LISTED /* addressable: a message on its id reaches it */
};

/*
 * peal_session_init begins a session and gives it an id.
 * Errors: PEAL_ENOMEM (only if listed).
 */
PEAL_MUST_USE peal_err peal_session_init(struct peal_session *s, struct peal_shard *sh,
    const struct peal_session_ops *ops, enum peal_listing listing);

/* peal_session_fini ends all subscriptions of s; what was put off for it is dropped. */
void peal_session_fini(struct peal_session *s);

/* peal_session_find returns a listed session of this shard, or NULL. */
struct peal_session *peal_session_find(struct peal_shard *sh, struct peal_slice id);

/*
 * peal_session_subscribe subscribes s. From its return on, what any worker publishes on
 * the channel reaches s. Errors: PEAL_EEXIST: already subscribed; PEAL_ELIMIT: too many
 * subscriptions, or the name is too long; PEAL_EPERM: the name, or that of the
 * room in it, is the id of a session; PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_session_subscribe(
    struct peal_session *s, struct peal_slice channel);

/* Runs once: when the channel is subscribed, or (gone) when the session unsubscribes or
 * ends. */
typedef void peal_confirmed_fn(void *arg, bool gone);

/*
 * peal_session_await_subscribed waits until what other nodes publish on a channel that s
 * has joined arrives here too. Only after that may the client be told that it is
 * subscribed. (While the backplane is down nobody waits.)
 *
 * Returns PEAL_OK: it is so already, fn is not called. PEAL_EAGAIN: fn will be called.
 * Errors: PEAL_ENOTFOUND: not joined; PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_session_await_subscribed(
    struct peal_session *s, struct peal_slice channel, peal_confirmed_fn *fn, void *arg);

/* peal_session_await_all_subscribed waits in the same way for one that is missing of all
 * that s has joined.
 */
PEAL_MUST_USE peal_err peal_session_await_all_subscribed(
    struct peal_session *s, peal_confirmed_fn *fn, void *arg);

/* peal_session_all_subscribed: peal_session_await_all_subscribed has nothing to wait for.
 */
bool peal_session_all_subscribed(const struct peal_session *s);

/* peal_session_unsubscribe unsubscribes s, after what was published before. Errors:
 * PEAL_ENOTFOUND. */
peal_err peal_session_unsubscribe(struct peal_session *s, struct peal_slice channel);

/*
 * peal_session_catch_up delivers to s what its channels have put off. Call it before
 * sending s something that must not overtake what was published before.
 */
void peal_session_catch_up(struct peal_session *s);

bool peal_session_is_subscribed(const struct peal_session *s, struct peal_slice channel);

/*
 * peal_publish sends m to every subscriber of its channels, on every node, and to
 * sessions addressed by their id. Borrows m. Delivery here is before the end of the turn,
 * or in later turns for what is beyond its budget. Without memory for a task those of
 * another worker are left out (counted).
 *
 * Returns PEAL_EAGAIN or PEAL_ENOMEM if other nodes do not get it: the backplane is down,
 * or slow, and as much waits for it as may (counted). Subscribers of this node have it.
 */
peal_err peal_publish(struct peal_shard *sh, struct peal_msg *m);

/* Limits of messages that wait to be delivered; hub/backlog.c explains them. */
struct peal_backlog_limits {
    uint32_t channel_messages; /* of a channel on a worker */
    size_t channel_bytes;      /* the same in bytes */
    size_t soft, hard;         /* bytes of a worker */
};

/* PEAL_BACKLOG_LIMITS are those of a new hub. */
#define PEAL_BACKLOG_LIMITS                                                              \
    ((struct peal_backlog_limits){ 1024, 16u << 20, 16u << 20, 64u << 20 })

/* peal_hub_set_backlog_limits: before any loop runs. */
void peal_hub_set_backlog_limits(
    struct peal_hub *h, const struct peal_backlog_limits *limits);

/* The backlogs beyond their limits that a published message has met. */
struct peal_congestion {
    uint64_t channel_workers; /* of a channel: a bit for each worker */
    uint64_t workers;         /* of all that a worker has */
    uint32_t channel_hash;
    bool held; /* more is held back for clients of the shard than should be */
};

/*
 * peal_shard_take_congestion: something that was published from this shard since the last
 * call has met congestion. The client that sent it, which is the caller's to know, is
 * not to be read until peal_shard_still_congested is false.
 */
bool peal_shard_take_congestion(struct peal_shard *sh, struct peal_congestion *out);
/* peal_shard_is_congested is the same without taking. */
bool peal_shard_is_congested(const struct peal_shard *sh);
bool peal_shard_still_congested(
    const struct peal_shard *sh, const struct peal_congestion *c);

/* peal_shard_held_add counts bytes that are held back for a client until its channels are
 * subscribed; peal_shard_held_sub counts them no longer. */
void peal_shard_held_add(struct peal_shard *sh, size_t bytes);
void peal_shard_held_sub(struct peal_shard *sh, size_t bytes);

/* peal_hub_backlog: bytes that wait for all workers. Any thread. */
size_t peal_hub_backlog(const struct peal_hub *h);

/* peal_sub_channel is the channel of a subscription, see struct peal_session. */
struct peal_slice peal_sub_channel(const struct peal_sub *sub);

/* Which sockets of a namespace are meant: all of them, or those in at least one of the
 * channels (which may be ids), and in none of except. */
struct peal_selection {
    struct peal_slice nsp;
    const struct peal_slice *channels, *except;
    unsigned n_channels, n_except;
};

/* peal_select calls fn for each one on this shard; it may end any session. Errors:
 * PEAL_ENOMEM: fn was called for none. */
typedef void peal_select_fn(void *arg, struct peal_session *s);
PEAL_MUST_USE peal_err peal_select(struct peal_shard *sh,
    const struct peal_selection *what, peal_select_fn *fn, void *arg);

/* peal_hub_workers: a bit for each worker that may have a subscriber of m's channels, or
 * a session that m addresses. Any thread. */
uint64_t peal_hub_workers(const struct peal_hub *h, const struct peal_msg *m);

/*
 * Channel names of Socket.IO rooms: room R of "/" is R, of N it is N#R; the namespace N
 * is the channel N. A room of "/" that begins with "/", or is empty, is "/#" R, so that
 * no room is ever taken for a namespace. A session's id stands for itself in any
 * namespace.
 */
PEAL_MUST_USE peal_err peal_room_channel(
    struct peal_slice nsp, struct peal_slice room, struct peal_buf *out);

/* peal_channel_room undoes peal_room_channel: false: channel is a namespace itself. */
bool peal_channel_room(struct peal_slice channel, struct peal_slice *room_out);

/* peal_channel_nsp is the namespace that a channel's name belongs to. */
struct peal_slice peal_channel_nsp(struct peal_slice channel);

#endif

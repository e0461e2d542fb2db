/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the relay.
 *
 *   relay.c         made and freed; what workers have to say, the turn
 *   relay_topics.c  interest of workers -> subscriptions on the backplane
 *   relay_link.c    the link: up, down, confirmed, lost, refused
 *   relay_out.c     what leaves: records to batches, batches to the backplane
 *   relay_in.c      what comes: seals, records, duplicates, deliveries to workers
 *
 * A topic is in one of three states, which relay_topics.c alone changes:
 *
 *            asked for            confirmed
 *     OFF ------------> PENDING ------------> ON
 *      ^                   | refused, link     | lost, link down,
 *      |                   | down              | left by us
 *      +-------------------+-------------------+
 *
 * It lives as long as a worker wants it, or it is not OFF.
 *
 * Thread: the control loop's.
 */
#ifndef PEAL_HUB_RELAY_PRIV_H
#define PEAL_HUB_RELAY_PRIV_H

#include "base/assert.h"
#include "hub/batch_priv.h"
#include "hub/dedup.h"
#include "hub/outbox_priv.h"
#include "hub/relay.h"

#define PEAL_RELAY_TICK_MS 250 /* how often topics that nobody wants are looked at */

enum peal_topic_state {
    PEAL_TOPIC_OFF,
    PEAL_TOPIC_PENDING, /* asked for */
    PEAL_TOPIC_ON
};

/* A topic that is subscribed, is about to be, or still is while it lingers. */
struct peal_topic {
    struct peal_link idle; /* it has no subscriber and waits to be left */
    uint64_t wanted;       /* a bit for each worker that has a subscriber */
    uint64_t waiting;      /* workers to be told when it is subscribed */
    uint64_t idle_since;   /* loop time in ms */
    enum peal_topic_state state;
    bool needed;    /* PENDING, and the link is not up before it is ON */
    bool tap_told;  /* the tap knows of its channel */
    bool tap_waits; /* the tap has still to subscribe */
    uint32_t name_len;
    char name[]; /* prefix and all */
};

/* Deliveries of a turn for one worker. */
struct peal_worker_batch;

struct peal_relay {
    struct peal_hub *hub;
    struct peal_loop *loop;
    struct peal_backplane *backplane;
    const struct peal_relay_events *events;
    void *arg;
    uint32_t node; /* the hub's number, by which the link is known */
    size_t queue_max;
    uint64_t linger_ms;
    size_t prefix_len; /* with its colon */
    char prefix[PEAL_RELAY_PREFIX_MAX + 2];
    /* Topics: */
    const struct peal_relay_tap *tap; /* or NULL */
    void *tap_arg;
    struct peal_map topics;
    struct peal_link idle; /* topics that nobody wants; the oldest first */
    struct peal_timer tick;
    unsigned n_needed;                  /* topics that are needed */
    uint64_t n_heard[PEAL_WORKERS_MAX]; /* batches of each worker */
    struct peal_buf name;               /* scratch for a topic's name */
    /* The link: */
    bool connected;
    _Atomic bool up; /* connected, and no topic is needed any more */
    /* Out: */
    struct peal_seal seal;
    struct peal_batches batches;
    _Atomic size_t queued; /* bytes of what is in batches, or on its way to them */
    _Atomic size_t backed; /* bytes that wait in the backplane */
    /* In: */
    struct peal_dedup dedup;
    peal_relay_record_fn *on_record; /* NULL: records of other kinds are passed over */
    void *on_record_arg;
    uint64_t unsealed_ms; /* when a payload with a wrong seal was logged; 0: never */
    struct peal_worker_batch *deliveries[PEAL_WORKERS_MAX];
};

static inline struct peal_slice
peal_topic_name(const struct peal_topic *t)
{
    return (struct peal_slice){ t->name, t->name_len };
}

/* Names of topics; relay_topics.c. Each is in the scratch until the next one. data NULL:
 * out of memory. */
struct peal_slice peal_relay_topic(struct peal_relay *r, const char *rest);
struct peal_slice peal_relay_node_topic(struct peal_relay *r, uint32_t node);
struct peal_slice peal_relay_channel_topic(
    struct peal_relay *r, struct peal_slice channel);

/* peal_relay_topic_channel undoes peal_relay_channel_topic. data NULL: it is the topic of
 * no channel. */
struct peal_slice peal_relay_topic_channel(
    const struct peal_relay *r, struct peal_slice topic);

/* Interest; relay_topics.c. */
void peal_relay_subscribe(
    struct peal_relay *r, unsigned worker, struct peal_slice channel);
void peal_relay_unsubscribe(
    struct peal_relay *r, unsigned worker, struct peal_slice channel);
/* Its own topics, for good. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_relay_want_own_topics(struct peal_relay *r);
void peal_relay_renumber_topic(struct peal_relay *r, uint32_t old);
/* The link is there: all topics are asked for, and needed. */
void peal_relay_topics_ask(struct peal_relay *r);
/* It is gone: nothing is subscribed, and nobody waits. */
void peal_relay_topics_off(struct peal_relay *r);
/* These are for a name that the backplane says. */
void peal_relay_topic_on(struct peal_relay *r, struct peal_slice name);
void peal_relay_topic_lost(struct peal_relay *r, struct peal_slice name);
/* false: it is one of the relay's own, without which there is no link. */
PEAL_MUST_USE bool peal_relay_topic_refused(struct peal_relay *r, struct peal_slice name);
void peal_relay_topics_free(struct peal_relay *r);
peal_timer_fn peal_relay_on_tick;

/* relay_link.c */
extern const struct peal_backplane_events peal_relay_backplane_events;

/* peal_relay_route adds a message's record, taken, to the batches of its topics, and its
 * bytes, which were counted as queued, to them; relay_out.c. */
void peal_relay_route(
    struct peal_relay *r, const struct peal_msg *m, struct peal_blob *record);
/* peal_relay_flush publishes all batches, if the link is there. */
void peal_relay_flush(struct peal_relay *r);

/* peal_relay_on_payload takes what comes on a topic; relay_in.c. */
void peal_relay_on_payload(
    struct peal_relay *r, struct peal_slice topic, struct peal_slice bytes);
void peal_relay_deliveries_free(struct peal_relay *r);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Backplanes: what carries payloads between nodes. A payload is published on a topic, and
 * every node that has subscribed to the topic gets it, the publisher's too, once and in
 * the order of each publisher (over all topics, unless they live in different places).
 * Nothing is kept: a node that is not subscribed at that moment, or not connected, does
 * not get it.
 *
 * A backplane knows nothing of what it carries, and keeps no list of subscriptions: its
 * user subscribes to everything again each time that it comes up.
 *
 *            start                  up                    restart, or the link is lost
 *   MADE ------------> CONNECTING ------------> UP ---------------------> CONNECTING
 *                                              <---- subscribe, publish ...   (down)
 *
 * Events are told between turns or from the loop, never from inside a function that the
 * user has called, but for two: restart, and a function that has found no memory, may
 * tell down before they return.
 *
 * An implementation is one struct of functions and one row in the registry
 * (backplane.c), and is done when test/suite/backplane.c passes for it.
 *
 * Thread: everything, events too, on the loop it was made with.
 */
#ifndef PEAL_BACKPLANE_BACKPLANE_H
#define PEAL_BACKPLANE_BACKPLANE_H

#include "base/buf.h"
#include "io/loop.h"

struct peal_backplane;

/* The rows of base/stats.h in which a backplane counts, so that two links of one node are
 * told apart. */
struct peal_backplane_counters {
    enum peal_stat connects;       /* times that the link was made */
    enum peal_stat topics_refused; /* subscriptions that were refused */
    enum peal_stat refused;        /* payloads that were refused */
    enum peal_stat unanswered; /* payloads that the link had not answered at its end */
};

/* Events of a link; arg is that of peal_backplane_start. Slices are borrowed. */
typedef void peal_backplane_link_fn(void *arg);
typedef void peal_backplane_topic_fn(void *arg, struct peal_slice topic);
typedef void peal_backplane_refused_fn(
    void *arg, struct peal_slice topic, const char *why);
typedef void peal_backplane_message_fn(
    void *arg, struct peal_slice topic, struct peal_slice payload);

struct peal_backplane_events {
    /* It can carry. Nothing is subscribed. */
    peal_backplane_link_fn *up;
    /* It cannot, and is being mended. What was subscribed is not any more. */
    peal_backplane_link_fn *down;
    /* A subscription is in force from now on: no payload published after this is missed.
     */
    peal_backplane_topic_fn *subscribed;
    /* A subscription was taken away by the other side: ask for it again. */
    peal_backplane_topic_fn *lost;
    /* A subscription was refused (no permission, for example): nothing of this topic will
     * come. Others are not touched. The backplane has counted it. why: as the other side
     * says it; terminated. */
    peal_backplane_refused_fn *refused;
    peal_backplane_message_fn *message;
};

struct peal_payload {
    struct peal_slice topic, bytes;
};

typedef void peal_backplane_start_fn(struct peal_backplane *b);
typedef void peal_backplane_change_fn(struct peal_backplane *b, struct peal_slice topic);
typedef void peal_backplane_publish_fn(
    struct peal_backplane *b, const struct peal_payload *list, unsigned n);
typedef size_t peal_backplane_queued_fn(const struct peal_backplane *b);
typedef void peal_backplane_restart_fn(struct peal_backplane *b, const char *why);
typedef void peal_backplane_free_fn(struct peal_backplane *b);

struct peal_backplane_ops {
    const char *name;
    size_t payload_max; /* bytes of a payload; see peal_backplane_publish */

    /* Begins to connect, and goes on for ever. Called once. */
    peal_backplane_start_fn *start;

    /* The next three are for when it is up, and do nothing otherwise. Everything of a
     * turn leaves in one write. Every subscribe is answered by subscribed or refused,
     * unless the link goes down or the topic is unsubscribed before. A topic may be
     * subscribed again at any time, which is answered again and changes nothing. */
    peal_backplane_change_fn *subscribe;
    peal_backplane_change_fn *unsubscribe;
    /* Bytes are copied. None is larger than payload_max. */
    peal_backplane_publish_fn *publish;

    /* Bytes that wait to be taken by the other side. */
    peal_backplane_queued_fn *queued;
    /* Begins again with a new connection, because payloads that were published do not
     * come back. Does nothing unless the link is up. why is borrowed. */
    peal_backplane_restart_fn *restart;
    /* In any state; no event is told any more. */
    peal_backplane_free_fn *free;
};

/* Implementations begin with this. */
struct peal_backplane {
    const struct peal_backplane_ops *ops;
    const struct peal_backplane_events *events;
    void *arg;
    struct peal_loop *loop;
    const struct peal_backplane_counters *counters;
};

/* peal_backplane_start connects, for ever: events follow. events and arg are kept. */
void peal_backplane_start(
    struct peal_backplane *b, const struct peal_backplane_events *events, void *arg);

/* peal_backplane_publish publishes payloads, in order. One that is larger than the
 * backplane carries is left out, and counted as refused. */
void peal_backplane_publish(
    struct peal_backplane *b, const struct peal_payload *list, unsigned n);

/* peal_backplane_free ends it and sets *bp to NULL. NULL is fine. */
void peal_backplane_free(struct peal_backplane **bp);

/* The registry: what can stand in the option `backplane`. */

struct peal_backplane_config {
    const char *url;        /* as configured; borrowed */
    struct peal_loop *loop; /* kept */
    const char *name;       /* how its connections call themselves; copied */
    const struct peal_backplane_counters *counters; /* kept */
};

/* Returns why a URL cannot be used, as static English, or NULL. Opens nothing. */
typedef const char *peal_backplane_check_fn(const char *url);
/* Errors: PEAL_ENOMEM; PEAL_EINVAL: why says what cannot be (a certificate). */
typedef peal_err peal_backplane_open_fn(const struct peal_backplane_config *config,
    struct peal_backplane **out, struct peal_buf *why);

struct peal_backplane_kind {
    const char *const *schemes; /* what its URLs begin with; the last one is NULL */
    bool alone;                 /* no other process can be reached by it */
    peal_backplane_check_fn *check;
    peal_backplane_open_fn *open;
};

extern const struct peal_backplane_kind peal_backplane_memory, peal_backplane_redis;

/* peal_backplane_kind_of finds the one whose scheme a URL begins with, or NULL. */
const struct peal_backplane_kind *peal_backplane_kind_of(const char *url);

/* peal_backplane_check: why a URL cannot be used, as static English, or NULL. */
peal_backplane_check_fn peal_backplane_check;

/* peal_backplane_open prepares; nothing is connected before peal_backplane_start. Errors
 * as above. */
PEAL_MUST_USE peal_backplane_open_fn peal_backplane_open;

#endif

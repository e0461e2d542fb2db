/* SPDX-License-Identifier: MIT */
/*
 * Shared by links to one Redis and to a cluster: the pauses between attempts, the log
 * lines and the counters.
 *
 * A reason that stays the same is logged once. A link that came up and did not last is no
 * success: the pauses go on growing, so that a Redis which accepts a connection and then
 * refuses every command is not asked all the time.
 *
 * Thread: the loop's. Texts are borrowed for the call.
 */
#ifndef PEAL_BACKPLANE_REDIS_LINK_H
#define PEAL_BACKPLANE_REDIS_LINK_H

#include "backplane/backplane.h"

/* Bytes of one word of a command: proto-max-bulk-len of Redis, unless it is configured.
 */
#define PEAL_REDIS_PAYLOAD_MAX (512u << 20)

struct peal_redis_link {
    struct peal_loop *loop;
    const struct peal_backplane_counters *counters;
    unsigned attempts; /* since it last held for a while */
    uint64_t up_ms;    /* loop time; 0: it is not up */
    bool said_up;
    bool said_refused; /* that a publish was refused, since it last held for a while */
    bool said_topic_refused; /* the same of a subscription */
    char said[192];          /* why it is unavailable */
};

/* peal_redis_link_up: it is greeted. */
void peal_redis_link_up(struct peal_redis_link *l);

/* peal_redis_link_works: call at a confirmed subscription. It logs `where` as connected,
 * once a link. */
void peal_redis_link_works(struct peal_redis_link *l, const char *where);

/*
 * peal_redis_link_down: the link was lost, or could not be made.
 *   unanswered  payloads that it may have lost
 * Returns the pause before the next attempt, in ms.
 */
uint64_t peal_redis_link_down(
    struct peal_redis_link *l, const char *where, const char *why, uint64_t unanswered);

/* peal_redis_link_refused counts payloads that were not taken. n 0: nothing happens. */
void peal_redis_link_refused(struct peal_redis_link *l, const char *why, unsigned n);

/* peal_redis_link_topic_refused counts one subscription that was refused. */
void peal_redis_link_topic_refused(
    struct peal_redis_link *l, struct peal_slice topic, const char *why);

/* peal_redis_pause is that pause: at random below a bound that doubles, so that the nodes
 * of a cluster do not all come back in step. */
uint64_t peal_redis_pause(unsigned attempts);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The pauses between attempts grow with every attempt that fails, and with every link
 * that did not last for STEADY_MS; a link that lasted begins with short pauses again.
 */
#include "backplane/redis_link.h"

#include <stdio.h>

#include "base/id.h"

#define PAUSE_MIN_MS 50
#define PAUSE_BOUND_MS 100   /* of the first */
#define PAUSE_BOUND_MAX 5000 /* of all others */
#define STEADY_MS 10000      /* a link that lasted for so long was a success */

uint64_t
peal_redis_pause(unsigned attempts)
{
    uint64_t bound = PAUSE_BOUND_MAX;

    if (attempts < 6)
        bound = (uint64_t)PAUSE_BOUND_MS << attempts;
    return PAUSE_MIN_MS + peal_random_u64() % bound;
}

void
peal_redis_link_up(struct peal_redis_link *l)
{
    l->up_ms = peal_loop_now_ms(l->loop);
    peal_stat_add(peal_loop_stats(l->loop), l->counters->connects, 1);
}

void
peal_redis_link_works(struct peal_redis_link *l, const char *where)
{
    if (!l->said_up)
        peal_log(peal_loop_log(l->loop), PEAL_LOG_INFO, "redis connected", "%s", where);
    l->said_up = true;
}

uint64_t
peal_redis_link_down(
    struct peal_redis_link *l, const char *where, const char *why, uint64_t unanswered)
{
    char what[sizeof(l->said)];

    if (l->up_ms != 0 && peal_loop_now_ms(l->loop) - l->up_ms >= STEADY_MS)
        l->attempts = l->said_refused = l->said_topic_refused = 0;
    l->up_ms = 0;
    snprintf(what, sizeof(what), "%s", why);
    if (l->said_up || strcmp(what, l->said) != 0)
        peal_log(peal_loop_log(l->loop), PEAL_LOG_WARN, "redis unavailable",
            "%s why=\"%s\" unanswered=%llu", where, why, (unsigned long long)unanswered);
    l->said_up = false;
    memcpy(l->said, what, sizeof(what));
    peal_stat_add(peal_loop_stats(l->loop), l->counters->unanswered, (int64_t)unanswered);
    return peal_redis_pause(l->attempts++);
}

void
peal_redis_link_refused(struct peal_redis_link *l, const char *why, unsigned n)
{
    if (n == 0)
        return;
    peal_stat_add(peal_loop_stats(l->loop), l->counters->refused, n);
    if (!l->said_refused)
        peal_log(peal_loop_log(l->loop), PEAL_LOG_WARN, "redis refused a publish",
            "why=\"%s\"", why);
    l->said_refused = true;
}

void
peal_redis_link_topic_refused(
    struct peal_redis_link *l, struct peal_slice topic, const char *why)
{
    peal_stat_add(peal_loop_stats(l->loop), l->counters->topics_refused, 1);
    peal_log(peal_loop_log(l->loop),
        l->said_topic_refused ? PEAL_LOG_DEBUG : PEAL_LOG_WARN,
        "redis refused a subscription", "topic=\"%.*s\" why=\"%s\"", PEAL_ARG(topic),
        why);
    l->said_topic_refused = true;
}

/* SPDX-License-Identifier: MIT */
/*
 * Publishers that are paused are on a list of their shard. When there is less of a
 * backlog anywhere, a task tells the shard, and its hook looks at all of them
 * (hub/backlog.c). A rate is a token bucket for each client and a timer until there is a
 * token again.
 */
#include "hub/publisher.h"

#include <stdlib.h>

#include "base/bucket.h"
#include "hub/hub_priv.h"

struct peal_publisher {
    struct peal_link link;   /* on its shard's list while it is congested */
    struct peal_timer timer; /* runs while there is no token */
    struct peal_publisher **at;
    struct peal_shard *shard;
    peal_publisher_fn *resume;
    void *arg;
    struct peal_congestion congestion;
    struct peal_bucket bucket;
    uint64_t rate;
};

bool
peal_publisher_paused(const struct peal_publisher *p)
{
    return p != NULL && (peal_list_linked(&p->link) || peal_timer_active(&p->timer));
}

void
peal_publisher_free(struct peal_publisher **at)
{
    struct peal_publisher *p = *at;

    if (p == NULL)
        return;
    peal_list_unlink(&p->link);
    peal_timer_stop(&p->timer);
    free(p);
    *at = NULL;
}

static void
go_on(struct peal_publisher *p)
{
    peal_publisher_fn *resume = p->resume;
    void *arg = p->arg;

    if (peal_publisher_paused(p))
        return;
    if (p->rate == 0) /* there is nothing to remember */
        peal_publisher_free(p->at);
    resume(arg);
}

static void
publisher_on_timer(struct peal_timer *t)
{
    go_on(PEAL_CONTAINER(t, struct peal_publisher, timer));
}

static struct peal_publisher *
publisher_new(struct peal_publisher **at, struct peal_shard *sh, uint64_t rate)
{
    struct peal_publisher *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->at = at;
    p->shard = sh;
    p->timer.fn = publisher_on_timer;
    p->rate = rate;
    peal_bucket_init(&p->bucket, rate, peal_loop_now_ms(sh->loop));
    *at = p;
    return p;
}

/* Pauses p for congestion. It is over if it went away while p was put on the list. */
static void
pause_congested(struct peal_publisher *p, const struct peal_congestion *c)
{
    struct peal_shard *sh = p->shard;

    p->congestion = *c;
    if (!peal_list_linked(&p->link))
        peal_list_append(&sh->paused, &p->link);
    atomic_fetch_or(&sh->hub->paused, 1ull << sh->index);
    if (peal_shard_still_congested(sh, c))
        peal_stat_add(peal_shard_stats(sh), PEAL_STAT_PAUSED_BACKLOG, 1);
    else
        peal_list_unlink(&p->link);
}

/* Takes a token for the message that has come, and pauses p if there is none for the
 * next. */
static void
pause_rated(struct peal_publisher *p)
{
    struct peal_loop *loop = p->shard->loop;

    (void)peal_bucket_has(&p->bucket, p->rate, peal_loop_now_ms(loop), 1);
    peal_bucket_take(&p->bucket);
    if (p->bucket.tokens >= 1)
        return;
    peal_stat_add(&loop->stats, PEAL_STAT_PAUSED_RATE, 1);
    peal_loop_start(
        loop, &p->timer, 1 + (uint64_t)((1 - p->bucket.tokens) * 1000 / (double)p->rate));
}

bool
peal_publisher_check(struct peal_publisher **at, struct peal_shard *sh, uint64_t rate,
    peal_publisher_fn *resume, void *arg)
{
    struct peal_congestion c;
    bool congested = peal_shard_take_congestion(sh, &c);
    struct peal_publisher *p;

    if ((!congested && rate == 0) || at == NULL)
        return false;
    /* Without memory it goes on; the hard limits are still there. */
    if ((p = *at) == NULL && (p = publisher_new(at, sh, rate)) == NULL)
        return false;
    p->resume = resume;
    p->arg = arg;
    if (congested)
        pause_congested(p, &c);
    if (rate > 0)
        pause_rated(p);
    if (peal_publisher_paused(p))
        return true;
    if (rate == 0)
        peal_publisher_free(at);
    return false;
}

void
peal_publishers_resume(struct peal_shard *sh)
{
    struct peal_link all, *l;

    peal_list_move(&all, &sh->paused);
    while ((l = peal_list_take(&all)) != NULL) {
        struct peal_publisher *p = PEAL_CONTAINER(l, struct peal_publisher, link);

        peal_list_append(&sh->paused, l);
        if (peal_shard_still_congested(sh, &p->congestion))
            continue;
        peal_list_unlink(l);
        go_on(p);
    }
    if (peal_list_empty(&sh->paused))
        atomic_fetch_and(&sh->hub->paused, ~(1ull << sh->index));
}

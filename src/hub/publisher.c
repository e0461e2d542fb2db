/* SPDX-License-Identifier: MIT */
/*
 * Publishers that are paused for congestion are on a list of their shard. When there is
 * less of a backlog anywhere, a task tells the shard, and its hook looks at all of them
 * (hub/backlog.c). A rate is a token bucket for each client, and a timer until there is a
 * token again; with a rate a client stays in the table until it ends.
 */
#include "hub/publisher.h"

#include <stdlib.h>

#include "base/bucket.h"
#include "hub/hub_priv.h"

struct publisher {
    void *client;            /* the key in the shard's table */
    struct peal_link link;   /* on the shard's list while it is congested */
    struct peal_timer timer; /* runs while there is no token */
    struct peal_shard *shard;
    peal_publisher_fn *resume;
    struct peal_congestion congestion;
    struct peal_bucket bucket;
    uint64_t rate;
};

static struct peal_slice
publisher_key(const void *const *client)
{
    return peal_slice_of(client, sizeof(*client));
}

static struct publisher *
publisher_find(const struct peal_shard *sh, const void *client)
{
    return sh->publishers.n == 0 ? NULL
                                 : peal_map_get(&sh->publishers, publisher_key(&client));
}

static bool
publisher_is_paused(const struct publisher *p)
{
    return peal_list_linked(&p->link) || peal_timer_active(&p->timer);
}

bool
peal_publisher_paused(const struct peal_shard *sh, const void *client)
{
    const struct publisher *p = publisher_find(sh, client);

    return p != NULL && publisher_is_paused(p);
}

static void
publisher_free(struct publisher *p)
{
    peal_map_del(&p->shard->publishers, publisher_key((const void **)&p->client));
    peal_list_unlink(&p->link);
    peal_timer_stop(&p->timer);
    free(p);
}

void
peal_publisher_forget(struct peal_shard *sh, const void *client)
{
    struct publisher *p = publisher_find(sh, client);

    if (p != NULL)
        publisher_free(p);
}

static void
publisher_resume(struct publisher *p)
{
    peal_publisher_fn *resume = p->resume;
    void *client = p->client;

    if (publisher_is_paused(p))
        return;
    if (p->rate == 0) /* there is nothing to remember */
        publisher_free(p);
    resume(client);
}

static void
publisher_on_timer(struct peal_timer *t)
{
    publisher_resume(PEAL_CONTAINER(t, struct publisher, timer));
}

static struct publisher *
publisher_new(
    struct peal_shard *sh, void *client, uint64_t rate, peal_publisher_fn *resume)
{
    struct publisher *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->client = client;
    p->shard = sh;
    p->timer.fn = publisher_on_timer;
    p->resume = resume;
    p->rate = rate;
    peal_bucket_init(&p->bucket, rate, peal_loop_now_ms(sh->loop));
    if (peal_map_put(&sh->publishers, publisher_key((const void **)&p->client), p) ==
        PEAL_OK)
        return p;
    free(p);
    return NULL;
}

/* Pauses p for congestion, unless it went away while p was put on the list. */
static void
publisher_pause_congested(struct publisher *p, const struct peal_congestion *c)
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
publisher_pause_rated(struct publisher *p)
{
    struct peal_loop *loop = p->shard->loop;

    (void)peal_bucket_has(&p->bucket, p->rate, peal_loop_now_ms(loop), 1);
    peal_bucket_take(&p->bucket);
    if (p->bucket.tokens >= 1)
        return;
    peal_stat_add(peal_loop_stats(loop), PEAL_STAT_PAUSED_RATE, 1);
    peal_loop_start(
        loop, &p->timer, 1 + (uint64_t)((1 - p->bucket.tokens) * 1000 / (double)p->rate));
}

bool
peal_publisher_check(
    struct peal_shard *sh, void *client, uint64_t rate, peal_publisher_fn *resume)
{
    struct peal_congestion c;
    bool congested = peal_shard_take_congestion(sh, &c);
    struct publisher *p;

    PEAL_ASSERT_ON_LOOP(sh->loop);
    if ((!congested && rate == 0) || client == NULL)
        return false;
    /* Without memory it goes on; the hard limit is still there. */
    if ((p = publisher_find(sh, client)) == NULL &&
        (p = publisher_new(sh, client, rate, resume)) == NULL)
        return false;
    if (congested)
        publisher_pause_congested(p, &c);
    if (rate > 0)
        publisher_pause_rated(p);
    if (publisher_is_paused(p))
        return true;
    if (rate == 0)
        publisher_free(p);
    return false;
}

void
peal_publishers_resume(struct peal_shard *sh)
{
    struct peal_link all, *l;

    peal_list_move(&all, &sh->paused);
    while ((l = peal_list_take(&all)) != NULL) {
        struct publisher *p = PEAL_CONTAINER(l, struct publisher, link);

        if (peal_shard_still_congested(sh, &p->congestion))
            peal_list_append(&sh->paused, l);
        else
            publisher_resume(p);
    }
    /* As long as its bit is set the shard is told when there is less of a backlog. */
    if (peal_list_empty(&sh->paused))
        atomic_fetch_and(&sh->hub->paused, ~(1ull << sh->index));
}

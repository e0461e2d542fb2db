/* SPDX-License-Identifier: MIT */
/*
 * Backlogs: what has been published and is not delivered yet, and how it stays bounded.
 *
 * A message waits in the mailbox of a worker, then, on its channel there, for the
 * fan-out. Both are counted together for each worker, in bytes. Publishers do not wait
 * for the fan-out, but they are told when there is too much of it, in two steps:
 *
 *   congestion  A channel has put off as many messages or bytes as it should, or a worker
 *               has limits.soft bytes: a client that publishes there is read no
 *               further until half of it is gone (publisher.c). Then a task tells the
 *               workers that have paused publishers. Nothing is lost.
 *   full        A worker has limits.hard bytes, because of publishers that do not
 *               wait, such as other nodes: what comes is dropped and counted.
 *
 * Which channels are congested on which workers is a table of bits by hash, like that of
 * interest: two channels with the same hash are paused together, which is rare and short.
 *
 * What a protocol holds back for a client, until a channel is subscribed on the
 * backplane, is counted apart (peal_shard_count_held): it is congestion for that client
 * alone.
 *
 * Thread: the counters and bits are atomic and any thread's; all else is the shard's.
 */
#include "hub/hub_priv.h"

#define HELD_MAX (4u << 20) /* bytes that a shard holds back before clients wait */

bool
peal_backlog_add(
    struct peal_hub *h, unsigned worker, size_t bytes, struct peal_stats *stats)
{
    _Atomic size_t *b = &h->backlog[worker].bytes;

    if (atomic_load_explicit(b, memory_order_relaxed) + bytes > h->limits.hard) {
        peal_stat_add(stats, PEAL_STAT_WORKER_DROPPED, 1);
        return false;
    }
    atomic_fetch_add_explicit(b, bytes, memory_order_relaxed);
    return true;
}

static void
backlog_on_relief(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_backlog *b = PEAL_CONTAINER(task, struct peal_backlog, relief);
    struct peal_shard *sh = b->hub->shards[b - b->hub->backlog];

    b->relief_posted = false;
    if (sh == NULL)
        return;
    sh->relieved = true;
    peal_loop_again(loop);
}

void
peal_hub_set_backlog_limits(struct peal_hub *h, const struct peal_backlog_limits *limits)
{
    h->limits = *limits;
}

void
peal_backlog_init(struct peal_hub *h)
{
    h->limits = PEAL_BACKLOG_LIMITS;
    for (unsigned i = 0; i < PEAL_WORKERS_MAX; i++) {
        h->backlog[i].hub = h;
        h->backlog[i].relief.fn = backlog_on_relief;
    }
}

/* There is less of a backlog: tells all workers whose publishers may wait for that. */
static void
relieve(struct peal_hub *h)
{
    for (uint64_t left = h->paused; left != 0; left &= left - 1) {
        unsigned w = (unsigned)__builtin_ctzll(left);
        struct peal_backlog *b = &h->backlog[w];

        if (h->shards[w] != NULL && !atomic_exchange(&b->relief_posted, true))
            peal_loop_post(h->shards[w]->loop, &b->relief);
    }
}

void
peal_backlog_sub(struct peal_hub *h, unsigned worker, size_t bytes)
{
    /* In one order with what peal_publisher_check does: it says that it is paused, and
     * looks once more; here it is the other way round. */
    size_t before = atomic_fetch_sub(&h->backlog[worker].bytes, bytes);

    PEAL_ASSERT(before >= bytes);
    if (before > h->limits.soft / 2 && before - bytes <= h->limits.soft / 2)
        relieve(h);
}

void
peal_backlog_mark(struct peal_shard *sh, uint32_t channel_hash, bool full)
{
    uint32_t slot = channel_hash & (PEAL_FULL_SLOTS - 1);
    uint64_t bit = 1ull << sh->index;

    if (full) {
        peal_stat_add(peal_shard_stats(sh), PEAL_STAT_FANOUT_BACKLOG, 1);
        if (sh->full[slot]++ == 0)
            atomic_fetch_or(&sh->hub->full[slot], bit);
        return;
    }
    PEAL_ASSERT(sh->full[slot] > 0);
    if (--sh->full[slot] == 0) {
        atomic_fetch_and(&sh->hub->full[slot], ~bit);
        relieve(sh->hub);
    }
}

static uint64_t
full_workers(const struct peal_hub *h, uint32_t channel_hash)
{
    return h->full[channel_hash & (PEAL_FULL_SLOTS - 1)];
}

/* Returns those of workers whose backlog is above limit bytes. */
static uint64_t
workers_above(const struct peal_hub *h, uint64_t workers, size_t limit)
{
    uint64_t above = 0;

    for (uint64_t left = workers; left != 0; left &= left - 1) {
        unsigned w = (unsigned)__builtin_ctzll(left);

        if (h->backlog[w].bytes > limit)
            above |= 1ull << w;
    }
    return above;
}

static void
set_congestion(struct peal_shard *sh, const struct peal_congestion *c)
{
    sh->congestion = *c;
    sh->congested = true;
}

void
peal_backlog_note(struct peal_shard *sh, const struct peal_msg *m, uint64_t workers)
{
    struct peal_congestion c = { .workers = workers_above(
                                     sh->hub, workers, sh->hub->limits.soft) };

    for (unsigned k = 0; k < m->n_channels && c.channel_workers == 0; k++) {
        c.channel_hash = m->channels[k].hash;
        c.channel_workers = full_workers(sh->hub, c.channel_hash) & workers;
    }
    if (c.channel_workers != 0 || c.workers != 0)
        set_congestion(sh, &c);
}

bool
peal_shard_is_congested(const struct peal_shard *sh)
{
    return sh->congested;
}

bool
peal_shard_take_congestion(struct peal_shard *sh, struct peal_congestion *out)
{
    if (!sh->congested)
        return false;
    *out = sh->congestion;
    sh->congested = false;
    return true;
}

bool
peal_shard_still_congested(const struct peal_shard *sh, const struct peal_congestion *c)
{
    return (full_workers(sh->hub, c->channel_hash) & c->channel_workers) != 0 ||
           workers_above(sh->hub, c->workers, sh->hub->limits.soft / 2) != 0 ||
           (c->held && sh->held > HELD_MAX / 2);
}

void
peal_shard_held_add(struct peal_shard *sh, size_t bytes)
{
    sh->held += bytes;
    if (sh->held > HELD_MAX)
        set_congestion(sh, &(struct peal_congestion){ .held = true });
}

void
peal_shard_held_sub(struct peal_shard *sh, size_t bytes)
{
    PEAL_ASSERT(sh->held >= bytes);
    sh->held -= bytes;
    if (!peal_list_empty(&sh->paused)) {
        sh->relieved = true;
        peal_loop_again(sh->loop);
    }
}

size_t
peal_hub_backlog(const struct peal_hub *h)
{
    size_t sum = 0;

    for (unsigned i = 0; i < h->n_shards; i++)
        sum += atomic_load_explicit(&h->backlog[i].bytes, memory_order_relaxed);
    return sum;
}

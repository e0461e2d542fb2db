/* SPDX-License-Identifier: MIT */
/*
 * Living with the others: how fast a drain may send clients to them, and giving clients
 * away to nodes that have fewer. WebSockets stay where they are, so after a node was
 * added, or all were restarted one by one, the old ones hold nearly all clients, and no
 * balancer can change that. With `rebalance` a node that has more than its share closes
 * a few sessions a second, as a drain does, and their clients come back through the
 * balancer; most of them elsewhere if that counts connections.
 */
#include "server/server_priv.h"

#define EVERY_MS 1000
#define TOLERANCE 0.2    /* above the mean; within it nobody is moved */
#define FEW 20           /* sessions above the mean that are not worth the trouble */
#define SHARE 0.02       /* of its sessions a node gives away in a second, at most */
#define SETTLED_MS 15000 /* a node that is younger may still be filling up by itself */

/* What the other nodes can take, and how many sessions there are on the whole. */
struct view {
    unsigned n;       /* nodes that are up, this one included */
    int64_t sessions; /* of all of them */
    int64_t own;
    int64_t room; /* sessions a second that the others accept */
    int64_t now_ms;
    bool settled; /* nobody comes or goes */
};

static void
look_at(void *arg, const struct peal_node_report *r, uint64_t seen_ms, bool own)
{
    struct view *v = arg;

    v->settled &= r->state == PEAL_NODE_UP && v->now_ms - r->started_ms > SETTLED_MS;
    if (r->state != PEAL_NODE_UP)
        return;
    v->n++;
    v->sessions += r->sessions;
    if (own)
        v->own = r->sessions;
    else
        v->room += r->room;
}

static void
look(struct peal_server *node, struct view *v)
{
    uv_timeval64_t now;

    uv_gettimeofday(&now);
    *v = (struct view){ .now_ms = now.tv_sec * 1000 + now.tv_usec / 1000,
        .settled = true };
    peal_nodes_each(node->nodes, look_at, v);
}

/* Sessions to give away now. */
static int64_t
surplus(const struct view *v)
{
    int64_t mean = v->n > 0 ? v->sessions / v->n : 0, over = v->own - mean;
    int64_t most = (int64_t)((double)v->own * SHARE) + 1;

    if (v->n < 2 || !v->settled || over < FEW || (double)over < (double)mean * TOLERANCE)
        return 0;
    return over < most ? over : most;
}

static void
shed(struct peal_server *node, int64_t n)
{
    unsigned each = (unsigned)((n + node->n_workers - 1) / node->n_workers);

    for (unsigned i = 0; i < node->n_workers && n > 0; i++) {
        peal_worker_shed(&node->workers[i], each < n ? each : (unsigned)n);
        n -= each;
    }
}

static void
on_timer(struct peal_timer *t)
{
    struct peal_server *node = PEAL_CONTAINER(t, struct peal_server, balance);
    struct view v;
    int64_t n;

    peal_loop_start(node->control, t, EVERY_MS);
    look(node, &v);
    atomic_store_explicit(&node->drain_pace,
        v.room > UINT32_MAX ? UINT32_MAX : (uint32_t)v.room, memory_order_relaxed);
    if (!node->o->rebalance || !peal_relay_up(node->relay) || (n = surplus(&v)) == 0)
        return;
    peal_log(&node->log, PEAL_LOG_DEBUG, "giving sessions to other nodes",
        "sessions=%lld mean=%lld close=%lld", (long long)v.own,
        (long long)(v.sessions / v.n), (long long)n);
    shed(node, n);
}

void
peal_balance_start(struct peal_server *node)
{
    node->balance.fn = on_timer;
    peal_loop_start(node->control, &node->balance, EVERY_MS);
}

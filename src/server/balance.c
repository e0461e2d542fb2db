/* SPDX-License-Identifier: MIT */
/*
 * Living with other nodes: how fast a drain may send clients to them, and giving clients
 * to nodes that have fewer. WebSockets stay where they are, so after a node was added, or
 * all were restarted one by one, the old ones hold nearly all clients, and no balancer
 * can change that. With `rebalance` a node that has more than its share closes a few
 * sessions a second, as a drain does, and their clients come back through the balancer;
 * most of them elsewhere if that counts connections.
 *
 * A balancer that is sticky by a lasting cookie brings them back here. So each half
 * minute is judged: if the node has hardly come nearer to its share, it gives up, says
 * so, and rests until nodes come or go.
 */
#include "server/balance.h"

#include "server/server_priv.h"

#define EVERY_MS 1000
#define TOLERANCE 0.2    /* above the mean; within it nobody is moved */
#define FEW 20           /* sessions above the mean that are not worth the trouble */
#define SHARE 0.02       /* of its sessions a node gives away in a second, at most */
#define SETTLED_MS 15000 /* nodes that have just come may still be filling up */
#define JUDGE_MS 30000   /* for how long to shed before looking whether it helps */
#define HELPS 0.1        /* of those that were shed, how many must have stayed away */

/* Tells whether no node has come or gone for long enough; restarts the clock if one has.
 */
static bool
balance_is_settled(
    struct peal_balance *b, const struct peal_balance_view *v, uint64_t now_ms)
{
    if (v->members != b->members || !v->all_up)
        *b = (struct peal_balance){ .members = v->members, .since_ms = now_ms };
    return v->all_up && now_ms - b->since_ms >= SETTLED_MS;
}

/* Sessions to give away now. */
static int64_t
balance_surplus(const struct peal_balance_view *v, int64_t mean)
{
    int64_t over = v->own - mean, most = (int64_t)((double)v->own * SHARE) + 1;

    if (v->n < 2 || over < FEW || (double)over < (double)mean * TOLERANCE)
        return 0;
    return over < most ? over : most;
}

enum peal_balance_verdict
peal_balance_step(struct peal_balance *b, const struct peal_balance_view *v,
    uint64_t now_ms, int64_t *n_out)
{
    int64_t mean = v->n > 0 ? v->sessions / v->n : 0, over = v->own - mean;
    bool settled = balance_is_settled(b, v, now_ms);

    if ((*n_out = balance_surplus(v, mean)) == 0) { /* what has been tried has helped */
        b->began_ms = 0;
        b->hopeless = false;
        return PEAL_BALANCE_REST;
    }
    if (!settled || b->hopeless)
        return PEAL_BALANCE_REST;
    if (b->began_ms != 0 && now_ms - b->began_ms >= JUDGE_MS) {
        b->hopeless = (double)(b->began_over - over) < (double)b->n_shed * HELPS;
        b->began_ms = 0;
        if (b->hopeless)
            return PEAL_BALANCE_GIVE_UP;
    }
    if (b->began_ms == 0) {
        b->began_ms = now_ms;
        b->began_over = over;
        b->n_shed = 0;
    }
    b->n_shed += *n_out;
    return PEAL_BALANCE_SHED;
}

struct look {
    struct peal_balance_view view;
    int64_t room; /* sessions a second that the others accept */
};

static void
balance_look_at(void *arg, const struct peal_node_report *r, uint64_t seen_ms, bool own)
{
    struct look *look = arg;
    struct peal_balance_view *v = &look->view;
    uint64_t id = ((uint64_t)r->number << 32) ^ (uint64_t)r->started_ms;

    v->all_up &= r->state == PEAL_NODE_UP;
    if (r->state != PEAL_NODE_UP)
        return;
    v->n++;
    v->members += (id ^ id >> 29) * 0x9e3779b97f4a7c15u;
    v->sessions += r->sessions;
    if (own)
        v->own = r->sessions;
    else
        look->room += r->room;
}

static void
balance_shed(struct peal_server *node, int64_t n)
{
    unsigned each = (unsigned)((n + node->n_workers - 1) / node->n_workers);

    for (unsigned i = 0; i < node->n_workers && n > 0; i++) {
        peal_worker_shed(&node->workers[i], each < n ? each : (unsigned)n);
        n -= each;
    }
}

static void
balance_try(struct peal_server *node, const struct peal_balance_view *v)
{
    int64_t n, mean = v->n > 0 ? v->sessions / v->n : 0;

    switch (peal_balance_step(&node->balance, v, peal_loop_now_ms(node->control), &n)) {
    case PEAL_BALANCE_SHED:
        peal_log(&node->log, PEAL_LOG_DEBUG, "giving sessions to other nodes",
            "sessions=%lld mean=%lld close=%lld", (long long)v->own, (long long)mean,
            (long long)n);
        balance_shed(node, n);
        break;
    case PEAL_BALANCE_GIVE_UP:
        peal_log(&node->log, PEAL_LOG_WARN,
            "rebalance does not help: the clients come back to this node",
            "sessions=%lld mean=%lld hint=\"it needs a load balancer that goes by "
            "connections, and is not sticky by a cookie that lasts\"",
            (long long)v->own, (long long)mean);
        break;
    default:
        break;
    }
}

static void
balance_on_timer(struct peal_timer *t)
{
    struct peal_server *node = PEAL_CONTAINER(t, struct peal_server, balance_timer);
    struct look look = { .view.all_up = true };

    peal_loop_start(node->control, t, EVERY_MS);
    peal_nodes_each(node->nodes, balance_look_at, &look);
    atomic_store_explicit(&node->drain_pace,
        look.room > UINT32_MAX ? UINT32_MAX : (uint32_t)look.room, memory_order_relaxed);
    if (node->o->rebalance && peal_relay_up(node->relay))
        balance_try(node, &look.view);
}

void
peal_balance_start(struct peal_server *node)
{
    node->balance_timer.fn = balance_on_timer;
    peal_loop_start(node->control, &node->balance_timer, EVERY_MS);
}

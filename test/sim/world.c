/* SPDX-License-Identifier: MIT */
/* The world: how nodes begin, turn and end. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "chance.h"

#define QUIET_ROUNDS 100
#define QUIET_MS 40 /* each */
#define OWN_TOPICS 3

static struct peal_log no_log = { .fd = STDERR_FILENO, .level = -1 };

static void
need(peal_err err)
{
    if (err != PEAL_OK)
        sim_wrong("a node cannot begin: %s", peal_err_text(err));
}

static void
fill(void *arg, struct peal_node_report *own)
{
    const struct node *n = arg;

    own->state = n->leaving ? PEAL_NODE_LEAVING : PEAL_NODE_UP;
}

static void
on_cut(void *arg, unsigned place)
{
    struct world *w = arg;

    model_receives_not(w->model, w->nodes[place].index);
    model_sends_not(w->model, w->nodes[place].index);
}

void
node_start(struct world *w, unsigned place)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL, .log = &no_log };
    struct peal_relay_config relay = {
        .prefix = PEAL_S("s"), .queue_max = w->queue_max, .linger_ms = w->linger_ms
    };
    const struct peal_slice secret = PEAL_S("the secret of a world");
    struct peal_node_report own = { 0 };
    struct node *n = &w->nodes[place];
    struct peal_nodes_config nodes = { .own = &own, .fill = fill, .arg = n };

    if (w->n_publishers + SHARDS_MAX > PUBLISHERS_MAX)
        return;
    *n = (struct node){ .alive = true, .place = place, .index = w->n_lives++ };
    n->n_shards = 1 + sim_pick(SHARDS_MAX);
    need(peal_hub_new((uint32_t)peal_random_u64() | 1, &n->hub));
    peal_hub_set_backlog_limits(n->hub, &w->limits);
    need(peal_loop_new(&config, &n->control));
    for (unsigned i = 0; i < n->n_shards; i++) {
        n->publishers[i] = w->n_publishers++;
        need(peal_loop_new(&config, &n->loops[i]));
        need(peal_shard_new(n->hub, i, n->loops[i], w->turn_budget, NULL, &n->shards[i]));
    }
    n->link = link_new(&w->broker, place, n->control);
    relay.secrets = &secret;
    relay.n_secrets = w->sealed;
    relay.loop = n->control;
    relay.backplane = link_backplane(n->link);
    need(peal_relay_new(n->hub, &relay, &n->relay));
    snprintf(own.secret, sizeof(own.secret), "%u", n->index);
    nodes.hub = n->hub;
    nodes.relay = n->relay;
    nodes.loop = n->control;
    need(peal_nodes_new(&nodes, &n->nodes));
    need(peal_node_requests_new(n->hub, n->relay, n->nodes, n->control, &n->requests));
    peal_nodes_start(n->nodes);
    thief_begin(n);
    answerer_begin(n);
    sim_trace("node %u starts, %u workers, number %08x", place, n->n_shards,
        peal_hub_node(n->hub));
}

/* In the order in which the server does it. */
static void
release(struct node *n)
{
    peal_session_fini(&n->thief.s);
    answerer_end(n);
    for (unsigned i = 0; i < n->n_shards; i++)
        peal_publisher_forget(n->shards[i], &n->clients[i]);
    for (unsigned i = 0; i < n->n_shards; i++) {
        peal_shard_free(&n->shards[i]);
        peal_loop_free(&n->loops[i]);
    }
    peal_node_requests_free(&n->requests);
    peal_nodes_free(&n->nodes);
    peal_relay_free(&n->relay);
    peal_loop_free(&n->control);
    peal_hub_free(&n->hub);
    n->alive = false;
}

void
node_end(struct world *w, struct node *n, bool leaving)
{
    sim_trace("node %u %s", n->place, leaving ? "leaves" : "dies");
    model_receives_not(w->model, n->index);
    model_sends_not(w->model, n->index);
    if (leaving) {
        n->leaving = true;
        peal_nodes_leave(n->nodes);
        while (link_serve(n->link))
            continue;
    }
    for (unsigned i = 0; i < w->model->n_sessions; i++)
        if (w->model->sessions[i].alive && w->model->sessions[i].node == n->index)
            world_end_session(w, &w->model->sessions[i]);
    world_cancel_requests_of(w, n);
    release(n);
}

static int64_t
dropped(const struct node *n)
{
    int64_t sum = peal_stat_get(peal_loop_stats(n->control), PEAL_STAT_WORKER_DROPPED);

    for (unsigned i = 0; i < n->n_shards; i++)
        sum += peal_stat_get(peal_loop_stats(n->loops[i]), PEAL_STAT_WORKER_DROPPED);
    return sum;
}

/* No more waits than may; what was dropped for that is counted. */
void
world_look_at_backlog(struct world *w, struct node *n)
{
    int64_t now = dropped(n);

    if (peal_hub_backlog(n->hub) > n->n_shards * w->limits.hard)
        sim_wrong("node %u: %zu bytes wait", n->place, peal_hub_backlog(n->hub));
    if (now > n->n_dropped)
        model_dropped(w->model, n->index);
    n->n_dropped = now;
}

/* What may have changed while anything of a node ran. */
static void
look(struct world *w, struct node *n)
{
    bool up = peal_relay_up(n->relay);

    world_look_at_backlog(w, n);
    n->n_ups += up && !n->up;
    n->up = up;
    for (unsigned i = 0; i < w->n_places; i++) {
        const struct node *o = &w->nodes[i];
        bool known = o->alive && peal_hub_has_node(n->hub, peal_hub_node(o->hub));

        if (n->known[i] && !known && o->alive)
            model_forgets(w->model, n->index, o->index);
        n->known[i] = known;
    }
}

void
node_turn(struct world *w, struct node *n, unsigned loop)
{
    uv_run(loop < n->n_shards ? peal_loop_uv(n->loops[loop]) : peal_loop_uv(n->control),
        UV_RUN_NOWAIT);
    look(w, n);
}

void
node_arrive(struct world *w, struct node *n)
{
    link_arrive(n->link);
    look(w, n);
}

void
node_proceed(struct world *w, struct node *n)
{
    link_proceed(n->link);
    look(w, n);
}

void
world_lose(struct world *w, struct node *n)
{
    if (link_lose(n->link))
        model_receives_not(w->model, n->index);
}

void
world_open(struct world *w, struct model *model)
{
    static const size_t queues[] = { 1000, 5000, 1 << 20 };
    static const uint64_t lingers[] = { 0, 50, 1000 };
    const struct peal_backlog_limits limits[] = { PEAL_BACKLOG_LIMITS,
        { 3, 10000, 5000, 1 << 20 }, { 2, 10000, 3000, 6000 } };

    *w = (struct world){ .model = model };
    peal_list_init(&w->requests);
    w->n_places = 2 + sim_pick(NODES_MAX - 1);
    w->sealed = sim_pick(2) == 0;
    w->queue_max = queues[sim_pick(3)];
    w->linger_ms = lingers[sim_pick(3)];
    w->turn_budget = 1 + sim_pick(20);
    w->limits = limits[sim_pick(3)];
    w->broker.on_cut = on_cut;
    w->broker.arg = w;
    for (unsigned i = 0; i < w->n_places; i++)
        node_start(w, i);
}

void
world_end_all(struct world *w)
{
    for (unsigned i = 0; i < w->n_places; i++)
        if (w->nodes[i].alive) {
            peal_session_fini(&w->nodes[i].thief.s);
            answerer_end(&w->nodes[i]);
        }
    for (unsigned i = 0; i < w->model->n_sessions; i++)
        if (w->model->sessions[i].alive)
            world_end_session(w, &w->model->sessions[i]);
}

void
world_close(struct world *w)
{
    world_end_all(w);
    for (unsigned i = 0; i < w->n_places; i++)
        if (w->nodes[i].alive) {
            world_cancel_requests_of(w, &w->nodes[i]);
            release(&w->nodes[i]);
        }
    if (w->n_waiters > 0)
        sim_wrong("%u who waited were never told", w->n_waiters);
}

void
world_quiet(struct world *w)
{
    for (unsigned round = 0; round < QUIET_ROUNDS; round++) {
        for (unsigned i = 0; i < w->n_places; i++) {
            struct node *n = &w->nodes[i];

            if (!n->alive)
                continue;
            node_proceed(w, n);
            while (link_serve(n->link))
                continue;
            for (unsigned k = 0; k <= n->n_shards; k++)
                node_turn(w, n, k);
        }
        for (unsigned i = 0; i < w->n_places; i++)
            while (w->nodes[i].alive && !link_empty(w->nodes[i].link))
                node_arrive(w, &w->nodes[i]);
        if (round + 5 < QUIET_ROUNDS) /* the last ones are for what is left */
            sim_now_ms += QUIET_MS;
    }
}

void
world_dark(struct world *w)
{
    for (unsigned round = 0; round < 5; round++)
        for (unsigned i = 0; i < w->n_places; i++) {
            struct node *n = &w->nodes[i];

            if (!n->alive)
                continue;
            link_cut(n->link);
            if (link_is_cut(n->link))
                node_proceed(w, n);
            for (unsigned k = 0; k <= n->n_shards; k++)
                node_turn(w, n, k);
        }
    if (w->n_waiters > 0)
        sim_wrong("%u wait for a link that does not come", w->n_waiters);
}

static void
check_node(const struct node *n)
{
    int64_t gaps = peal_stat_get(peal_loop_stats(n->control), PEAL_STAT_BACKPLANE_GAPS);

    if (!n->up || !link_whole(n->link))
        sim_wrong("node %u is not up after a quiet time", n->place);
    if (link_n_topics(n->link) != OWN_TOPICS)
        sim_wrong("node %u is subscribed to %u topics that nobody needs", n->place,
            link_n_topics(n->link) - OWN_TOPICS);
    if (peal_relay_queued(n->relay) != 0)
        sim_wrong("node %u: %zu bytes still wait", n->place, peal_relay_queued(n->relay));
    if (gaps + 1 < (int64_t)n->n_ups)
        sim_wrong("node %u counts %d gaps of %u", n->place, (int)gaps, n->n_ups - 1);
    if (peal_hub_backlog(n->hub) != 0)
        sim_wrong("node %u: %zu bytes are still not delivered", n->place,
            peal_hub_backlog(n->hub));
    for (unsigned i = 0; i < n->n_shards; i++)
        if (n->clients[i].paused)
            sim_wrong("node %u: the publisher of worker %u waits for ever", n->place, i);
    for (unsigned i = 0; i < n->n_shards; i++)
        if (peal_stat_get(peal_loop_stats(n->loops[i]), PEAL_STAT_CHANNELS) != 0 ||
            peal_stat_get(peal_loop_stats(n->loops[i]), PEAL_STAT_SUBSCRIPTIONS) != 0)
            sim_wrong("node %u has channels without members", n->place);
    for (unsigned c = 0; c < CHANNELS; c++)
        if (peal_hub_interest(
                n->hub, peal_channel_hash(peal_slice_str(channel_names[c]))) != 0)
            sim_wrong("node %u is interested in what nobody is subscribed to", n->place);
}

void
world_check(struct world *w)
{
    if (!peal_list_empty(&w->requests))
        sim_wrong("a request of a worker never ends");
    for (unsigned i = 0; i < w->n_places; i++)
        if (w->nodes[i].alive)
            check_node(&w->nodes[i]);
}

/* SPDX-License-Identifier: MIT */
/* What clients do: they come and go, join, leave and publish. */
#include <stdio.h>
#include <stdlib.h>

#include "chance.h"
#include "world.h"

const char *const channel_names[CHANNELS] = { "c0", "c1", "c2", "c3", "c4", "c5" };
static const char *const fillers[FILLERS] = { "x0", "x1", "x2", "x3", "x4", "x5", "x6",
    "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15" };

static bool
deliver(struct peal_session *ps, struct peal_msg *m, unsigned k)
{
    struct session *s = (struct session *)ps;
    struct peal_slice name = m->channels[k].name;
    uint64_t number;
    unsigned c = 0;

    if (peal_slice_u64(m->args, MESSAGES_MAX, &number) != PEAL_OK)
        sim_wrong("a message has changed on its way");
    while (c < CHANNELS && !peal_slice_eq(name, peal_slice_str(channel_names[c])))
        c++;
    if (c == CHANNELS && !peal_slice_eq(name, peal_session_id(ps)))
        sim_wrong("message %u reaches session %u by a channel of others",
            (unsigned)number, s->index);
    sim_trace("  message %u reaches session %u by %u", (unsigned)number, s->index, c);
    model_delivered(s->model, s, (unsigned)number, c);
    return true;
}

static const struct peal_session_ops ops = { .protocol = "sim", .deliver = deliver };

static struct node *
some_node(struct world *w)
{
    struct node *n = &w->nodes[sim_pick(w->n_places)];

    return n->alive ? n : NULL;
}

/* Alive, or NULL. */
static struct session *
some_session(struct world *w)
{
    struct session *s;

    if (w->model->n_sessions == 0)
        return NULL;
    s = &w->model->sessions[sim_pick(w->model->n_sessions)];
    return s->alive ? s : NULL;
}

static struct node *
node_of(struct world *w, const struct session *s)
{
    for (unsigned i = 0; i < w->n_places; i++)
        if (w->nodes[i].alive && w->nodes[i].index == s->node)
            return &w->nodes[i];
    return NULL;
}

/* Nothing that is published from now on passes it by. */
static bool
hears_all(const struct node *n)
{
    return peal_relay_up(n->relay) && link_whole(n->link);
}

void
world_begin(struct world *w)
{
    struct node *n = some_node(w);
    struct model *o = w->model;
    struct session *s = &o->sessions[o->n_sessions];
    unsigned worker;

    if (n == NULL || o->n_sessions == SESSIONS_MAX)
        return;
    worker = sim_pick(n->n_shards);
    *s = (struct session){ .model = o,
        .index = o->n_sessions++,
        .node = n->index,
        .publisher = n->publishers[worker],
        .alive = true };
    if (peal_session_init(&s->s, n->shards[worker], &ops, PEAL_LISTED) != PEAL_OK)
        sim_wrong("a session cannot begin");
    sim_trace("session %u begins on node %u, worker %u", s->index, n->place, worker);
}

void
world_end_session(struct world *w, struct session *s)
{
    sim_trace("session %u ends", s->index);
    model_ended(w->model, s);
    peal_session_fini(&s->s);
}

void
world_end(struct world *w)
{
    struct session *s = some_session(w);

    if (s != NULL)
        world_end_session(w, s);
}

/* Thieves. */

static bool
thief_deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    struct peal_slice name = m->channels[k].name;

    if (peal_hub_is_address(peal_shard_hub(s->shard), name))
        sim_wrong("%.*s is another's, and is given to who has subscribed to it",
            PEAL_ARG(name));
    return true;
}

static const struct peal_session_ops thief_ops = { .protocol = "sim",
    .deliver = thief_deliver };

void
thief_begin(struct node *n)
{
    if (peal_session_init(&n->thief.s, n->shards[sim_pick(n->n_shards)], &thief_ops,
            PEAL_UNLISTED) != PEAL_OK)
        sim_wrong("a session cannot begin");
}

void
world_steal(struct world *w)
{
    struct node *n = some_node(w);
    unsigned k = w->model->n_sessions > 0 ? sim_pick(w->model->n_sessions) : 0;
    struct peal_slice id = peal_session_id(&w->model->sessions[k].s);
    peal_err err;
    bool known;

    if (n == NULL || n->thief.s.shard == NULL || w->model->n_sessions == 0 ||
        n->thief.n_names++ >= THIEF_NAMES_MAX)
        return;
    known = peal_hub_is_address(n->hub, id);
    sim_trace("node %u: somebody tries to join the id of session %u", n->place, k);
    err = peal_session_subscribe(&n->thief.s, id);
    if (err != PEAL_EEXIST && (err == PEAL_EPERM) != known)
        sim_wrong("session %u's id is %sknown, but it can%s be joined", k,
            known ? "" : "not ", known ? "" : "not");
}

/* Who waits for a channel. */
struct waiter {
    struct world *world;
    struct session *session;
    unsigned channel;
};

static void
confirmed(struct world *w, struct session *s, unsigned c)
{
    const struct node *n = node_of(w, s);
    char topic[24];

    sim_trace("session %u is subscribed to channel %u", s->index, c);
    snprintf(topic, sizeof(topic), "s:c:{%s}", channel_names[c]);
    if (hears_all(n) && !link_has(n->link, topic))
        sim_wrong(
            "session %u is told that it is subscribed to %u, and is not", s->index, c);
    model_confirmed(w->model, s, c);
}

static void
on_confirmed(void *arg, bool gone)
{
    struct waiter *wait = arg;
    struct world *w = wait->world;
    struct session *s = wait->session, *other;

    w->n_waiters--;
    if (!gone) {
        confirmed(w, s, wait->channel);
        /* It may do anything. */
        if (sim_chance(50) && (other = some_session(w)) != NULL && other->node == s->node)
            world_end_session(w, other);
    }
    free(wait);
}

static void
await(struct world *w, struct session *s, unsigned c)
{
    struct waiter *wait = malloc(sizeof(*wait));
    peal_err err;

    if (wait == NULL)
        abort();
    *wait = (struct waiter){ w, s, c };
    w->n_waiters++;
    err = peal_session_await_subscribed(
        &s->s, peal_slice_str(channel_names[c]), on_confirmed, wait);
    if (err == PEAL_EAGAIN)
        return;
    if (err != PEAL_OK)
        sim_wrong("session %u cannot wait: %s", s->index, peal_err_text(err));
    w->n_waiters--;
    free(wait);
    confirmed(w, s, c);
}

void
world_join(struct world *w)
{
    struct session *s = some_session(w);
    unsigned c = sim_pick(CHANNELS);

    if (s == NULL || s->member[c])
        return;
    sim_trace("session %u joins channel %u", s->index, c);
    if (peal_session_subscribe(&s->s, peal_slice_str(channel_names[c])) != PEAL_OK)
        sim_wrong("session %u cannot join", s->index);
    model_joined(w->model, s, c);
    await(w, s, c);
}

void
world_leave(struct world *w)
{
    struct session *s = some_session(w);
    unsigned c = sim_pick(CHANNELS);

    if (s == NULL || !s->member[c])
        return;
    sim_trace("session %u leaves channel %u", s->index, c);
    if (peal_session_unsubscribe(&s->s, peal_slice_str(channel_names[c])) != PEAL_OK)
        sim_wrong("session %u cannot leave", s->index);
    model_left(w->model, s, c);
}

/* Names of a message, while it is being made. */
struct draft {
    struct message m;
    struct peal_slice to[CHANNELS + IDS_MAX + FILLERS], except[CHANNELS + 1];
    unsigned n_to, n_except;
};

static void
address(struct world *w, struct draft *d)
{
    unsigned n_channels = sim_pick(4),
             n_ids = sim_pick(4) == 0 ? 1 + sim_pick(IDS_MAX) : 0;

    for (unsigned i = 0; i < n_channels || (i == 0 && n_ids == 0); i++) {
        unsigned c = sim_pick(CHANNELS);

        if ((d->m.channels & 1u << c) == 0)
            d->to[d->n_to++] = peal_slice_str(channel_names[c]);
        d->m.channels |= 1u << c;
    }
    for (unsigned i = 0; i < n_ids && w->model->n_sessions > 0; i++) {
        unsigned k = sim_pick(w->model->n_sessions); /* it may have ended */

        d->m.ids[d->m.n_ids++] = k;
        d->to[d->n_to++] = peal_session_id(&w->model->sessions[k].s);
    }
    for (unsigned i = 0, n = sim_pick(20) == 0 ? FILLERS : 0; i < n; i++)
        d->to[d->n_to++] = peal_slice_str(fillers[i]);
    /* Any order. */
    for (unsigned i = d->n_to; i > 1; i--) {
        unsigned k = sim_pick(i);
        struct peal_slice swap = d->to[i - 1];

        d->to[i - 1] = d->to[k];
        d->to[k] = swap;
    }
}

static void
exclude(struct world *w, struct draft *d)
{
    d->m.except_id = SESSIONS_MAX;
    if (sim_pick(6) == 0) {
        unsigned c = sim_pick(CHANNELS);

        d->m.except |= 1u << c;
        d->except[d->n_except++] = peal_slice_str(channel_names[c]);
    }
    if (sim_pick(6) == 0 && w->model->n_sessions > 0) {
        d->m.except_id = sim_pick(w->model->n_sessions);
        d->except[d->n_except++] = peal_session_id(&w->model->sessions[d->m.except_id].s);
    }
}

/* It is on its way: who is owed it on other nodes? */
static void
owe(struct world *w, const struct node *from, unsigned number)
{
    for (unsigned i = 0; i < w->model->n_sessions; i++) {
        struct session *s = &w->model->sessions[i];
        const struct node *n = s->alive ? node_of(w, s) : NULL;

        if (n != NULL && n != from && hears_all(n))
            model_owe(
                w->model, number, s, peal_hub_has_node(from->hub, peal_hub_node(n->hub)));
    }
}

static void
on_resume(void *client)
{
    ((struct publisher *)client)->paused = false;
}

void
world_publish(struct world *w)
{
    struct node *n = some_node(w);
    struct draft d = { 0 };
    struct peal_msg *m;
    unsigned worker, number = w->model->n_messages;
    char args[16];

    if (n == NULL || number == MESSAGES_MAX)
        return;
    worker = sim_pick(n->n_shards);
    if (n->clients[worker].paused)
        return;
    address(w, &d);
    exclude(w, &d);
    d.m.node = n->index;
    d.m.publisher = n->publishers[worker];
    snprintf(args, sizeof(args), "%u", number);
    if (peal_msg_new(&(struct peal_msg_spec){ .channels = d.to,
                         .n_channels = d.n_to,
                         .except = d.except,
                         .n_except = d.n_except,
                         .n_args = 1,
                         .args = peal_slice_str(args) },
            &m) != PEAL_OK)
        abort();
    sim_trace(
        "node %u, worker %u publishes message %u: channels %x, ids %u, except %x %u",
        n->place, worker, number, d.m.channels, d.m.n_ids, d.m.except, d.m.except_id);
    model_publish(w->model, &d.m);
    if (peal_publish(n->shards[worker], m) == PEAL_OK && !link_is_cut(n->link))
        owe(w, n, number);
    peal_msg_release(m);
    world_look_at_backlog(w, n);
    n->clients[worker].paused =
        peal_publisher_check(n->shards[worker], &n->clients[worker], 0, on_resume);
    w->model->n_paused += n->clients[worker].paused;
}

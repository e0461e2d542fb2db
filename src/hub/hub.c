/* SPDX-License-Identifier: MIT */
/*
 * The hub and its shards, sessions, and the way of a message from its publisher to the
 * workers that may have subscribers: into the mailbox of the others, to the fan-out of
 * the own one, and to the outbox if another node may have some.
 *
 * Who is subscribed to what is in subscriptions.c, the delivery to members of a channel
 * in fanout.c, what other nodes do in relay.c and nodes.c.
 */
#include "hub/hub.h"

#include <stdlib.h>

#include "hub/ackreq.h"
#include "hub/outbox_priv.h"

peal_err
peal_hub_new(uint32_t node, struct peal_hub **out)
{
    struct peal_hub *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return PEAL_ENOMEM;
    h->node = node;
    peal_id_key_new(&h->key);
    peal_backlog_init(h);
    *out = h;
    return PEAL_OK;
}

void
peal_hub_free(struct peal_hub **hp)
{
    free(*hp);
    *hp = NULL;
}

peal_err
peal_shard_new(struct peal_hub *hub, unsigned index, struct peal_loop *loop,
    unsigned turn_budget, void *codec, struct peal_shard **out)
{
    struct peal_shard *sh = calloc(1, sizeof(*sh));

    PEAL_ASSERT(index < PEAL_WORKERS_MAX && hub->shards[index] == NULL);
    if (sh == NULL)
        return PEAL_ENOMEM;
    sh->hub = hub;
    sh->loop = loop;
    sh->codec = codec;
    sh->index = index;
    sh->turn_budget = sh->left = turn_budget;
    peal_map_init(&sh->channels);
    peal_map_init(&sh->sessions);
    peal_map_init(&sh->publishers);
    peal_list_init(&sh->fanouts);
    peal_list_init(&sh->ack_shares);
    peal_list_init(&sh->paused);
    peal_loop_hook(loop, peal_fanout_turn, sh);
    hub->shards[index] = sh;
    if (hub->n_shards <= index)
        hub->n_shards = index + 1;
    *out = sh;
    return PEAL_OK;
}

void
peal_shard_free(struct peal_shard **sp)
{
    struct peal_shard *sh = *sp;

    if (sh == NULL)
        return;
    *sp = NULL;
    PEAL_ASSERT(sh->channels.n == 0 && sh->sessions.n == 0 && sh->publishers.n == 0);
    peal_ack_requests_detach(sh);
    sh->hub->shards[sh->index] = NULL;
    peal_map_fini(&sh->channels);
    peal_map_fini(&sh->sessions);
    peal_map_fini(&sh->publishers);
    peal_outbox_free(sh);
    free(sh);
}

void
peal_hub_set_relay(
    struct peal_hub *h, struct peal_relay *relay, struct peal_loop *control)
{
    PEAL_ASSERT((h->relay == NULL) != (relay == NULL));
    h->relay = relay;
    h->control = control;
    for (unsigned i = 0; relay != NULL && i < h->n_shards; i++)
        peal_loop_hook(h->shards[i]->loop, peal_outbox_turn, h->shards[i]);
}

struct peal_loop *
peal_shard_loop(const struct peal_shard *sh)
{
    return sh->loop;
}

unsigned
peal_shard_index(const struct peal_shard *sh)
{
    return sh->index;
}

uint32_t
peal_hub_node(const struct peal_hub *h)
{
    return h->node;
}

const struct peal_id_key *
peal_hub_key(const struct peal_hub *h)
{
    return &h->key;
}

unsigned
peal_hub_n_workers(const struct peal_hub *h)
{
    return h->n_shards;
}

struct peal_shard *
peal_hub_shard(const struct peal_hub *h, unsigned index)
{
    return h->shards[index];
}

struct peal_hub *
peal_shard_hub(const struct peal_shard *sh)
{
    return sh->hub;
}

peal_err
peal_session_init(struct peal_session *s, struct peal_shard *sh,
    const struct peal_session_ops *ops, enum peal_listing listing)
{
    peal_err err = PEAL_OK;

    PEAL_ASSERT_ON_LOOP(sh->loop);
    *s = (struct peal_session){ .ops = ops, .shard = sh };
    do { /* two ids can be equal by chance */
        peal_shard_new_id(sh, s->id);
        if (listing == PEAL_LISTED)
            err = peal_map_put(&sh->sessions, peal_session_id(s), s);
    } while (err == PEAL_EEXIST);
    s->listed = listing == PEAL_LISTED && err == PEAL_OK;
    return err;
}

struct peal_session *
peal_session_find(struct peal_shard *sh, struct peal_slice id)
{
    return peal_map_get(&sh->sessions, id);
}

static void
hub_deliver_to_channel(struct peal_shard *sh, struct peal_msg *m, unsigned k)
{
    struct peal_channel *ch = peal_shard_channel(sh, m->channels[k].name);

    if (ch != NULL)
        peal_deliver_channel(sh, ch, m, k);
}

static void
hub_deliver_to_address(struct peal_shard *sh, struct peal_msg *m, unsigned k)
{
    struct peal_slice id = peal_channel_address(m->channels[k].name);
    struct peal_session *s = id.len == PEAL_ID_LEN ? peal_session_find(sh, id) : NULL;

    if (s != NULL)
        peal_deliver_session(sh, s, m, k);
}

void
peal_shard_deliver(struct peal_shard *sh, struct peal_msg *m)
{
    PEAL_ASSERT_ON_LOOP(sh->loop);
    PEAL_ASSERT(!sh->delivering);
    for (unsigned k = 0; k < m->n_channels; k++) {
        hub_deliver_to_channel(sh, m, k);
        hub_deliver_to_address(sh, m, k);
    }
}

/* A message for another worker. */
struct worker_msg {
    struct peal_task task; /* first */
    struct peal_hub *hub;
    unsigned to;
    struct peal_msg *msg; /* retained */
};

static void
hub_on_worker_msg(struct peal_loop *loop, struct peal_task *task)
{
    struct worker_msg *wm = PEAL_CONTAINER(task, struct worker_msg, task);

    /* Before it is put off, and counted for that. */
    peal_backlog_sub(wm->hub, wm->to, peal_msg_weight(wm->msg));
    if (wm->hub->shards[wm->to] != NULL)
        peal_shard_deliver(wm->hub->shards[wm->to], wm->msg);
    peal_msg_release(wm->msg);
    free(wm);
}

static void
hub_post(struct peal_shard *from, unsigned to, struct peal_msg *m)
{
    struct peal_shard *sh = from->hub->shards[to];
    struct peal_stats *stats = peal_shard_stats(from);
    struct worker_msg *wm;

    if (sh == NULL || !peal_backlog_add(from->hub, to, peal_msg_weight(m), stats))
        return;
    if ((wm = malloc(sizeof(*wm))) == NULL) {
        peal_backlog_sub(from->hub, to, peal_msg_weight(m));
        peal_stat_add(stats, PEAL_STAT_WORKER_LOST, 1);
        return;
    }
    wm->task.fn = hub_on_worker_msg;
    wm->hub = from->hub;
    wm->to = to;
    wm->msg = peal_msg_retain(m);
    peal_loop_post(sh->loop, &wm->task);
}

uint64_t
peal_hub_workers(const struct peal_hub *h, const struct peal_msg *m)
{
    uint64_t mask = 0;

    for (unsigned k = 0; k < m->n_channels; k++) {
        uint32_t node;
        uint8_t worker;

        mask |= peal_hub_interest(h, m->channels[k].hash);
        if (peal_hub_owner(
                h, peal_channel_address(m->channels[k].name), &node, &worker) &&
            node == h->node && worker < h->n_shards)
            mask |= 1ull << worker;
    }
    return mask;
}

/* Tells whether a channel may have a subscriber, or be the id of one, on another node. */
static bool
hub_may_be_elsewhere(const struct peal_shard *sh, const struct peal_msg *m)
{
    for (unsigned k = 0; k < m->n_channels; k++)
        if (peal_shard_owner(sh, peal_channel_address(m->channels[k].name)) < 0)
            return true;
    return false;
}

peal_err
peal_publish(struct peal_shard *sh, struct peal_msg *m)
{
    uint64_t mask = peal_hub_workers(sh->hub, m), others = mask & ~(1ull << sh->index);
    peal_err err = PEAL_OK;

    PEAL_ASSERT_ON_LOOP(sh->loop);
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_PUBLISHED, 1);
    for (; others != 0; others &= others - 1)
        hub_post(sh, (unsigned)__builtin_ctzll(others), m);
    if (sh->hub->relay != NULL && hub_may_be_elsewhere(sh, m))
        err = peal_outbox_publish(sh, m);
    if (mask & (1ull << sh->index))
        peal_shard_deliver(sh, m);
    peal_backlog_note(sh, m, mask);
    return err;
}

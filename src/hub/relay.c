/* SPDX-License-Identifier: MIT */
/*
 * The relay: made, started and freed; what workers post to it; and the end of its turn,
 * when all that the turn has for other nodes leaves in one write, and all that it has for
 * a worker in one task.
 */
#include "hub/relay.h"

#include <stdlib.h>

#include "hub/relay_priv.h"

const struct peal_backplane_counters peal_relay_counters = {
    .connects = PEAL_STAT_BACKPLANE_CONNECTS,
    .topics_refused = PEAL_STAT_BACKPLANE_TOPICS_REFUSED,
    .refused = PEAL_STAT_BACKPLANE_ERRORS,
    .unanswered = PEAL_STAT_BACKPLANE_UNANSWERED,
};

static bool
relay_on_turn(void *arg)
{
    struct peal_relay *r = arg;

    /* Counts bytes of the last turn that have not been written yet. */
    atomic_store_explicit(
        &r->backed, r->backplane->ops->queued(r->backplane), memory_order_relaxed);
    peal_relay_flush(r);
    peal_relay_post_deliveries(r);
    return false;
}

static void
relay_take_prefix(struct peal_relay *r, struct peal_slice prefix)
{
    size_t n = prefix.len < PEAL_RELAY_PREFIX_MAX ? prefix.len : PEAL_RELAY_PREFIX_MAX;

    memcpy(r->prefix, prefix.data, n);
    r->prefix[n] = ':';
    r->prefix_len = n + 1;
}

peal_err
peal_relay_new(
    struct peal_hub *hub, const struct peal_relay_config *config, struct peal_relay **out)
{
    struct peal_relay *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return PEAL_ENOMEM;
    if (peal_seal_init(&r->seal, config->secrets, config->n_secrets) != PEAL_OK) {
        free(r);
        return PEAL_ENOMEM;
    }
    r->hub = hub;
    r->node = hub->node;
    r->loop = config->loop;
    r->backplane = config->backplane;
    r->queue_max = config->queue_max;
    r->linger_ms = config->linger_ms;
    r->tick.fn = peal_relay_on_tick;
    relay_take_prefix(r, config->prefix);
    peal_map_init(&r->topics);
    peal_batches_init(&r->batches, r->node, &r->seal);
    peal_list_init(&r->idle);
    peal_loop_hook(r->loop, relay_on_turn, r);
    peal_hub_set_relay(hub, r, config->loop);
    *out = r;
    return PEAL_OK;
}

void
peal_relay_start(struct peal_relay *r, const struct peal_relay_events *events, void *arg)
{
    r->events = events;
    r->arg = arg;
    peal_loop_start(r->loop, &r->tick, PEAL_RELAY_TICK_MS);
    peal_backplane_start(r->backplane, &peal_relay_backplane_events, r);
}

void
peal_relay_free(struct peal_relay **rp)
{
    struct peal_relay *r = *rp;

    if (r == NULL)
        return;
    *rp = NULL;
    peal_hub_set_relay(r->hub, NULL, NULL);
    peal_timer_stop(&r->tick);
    peal_backplane_free(&r->backplane);
    peal_relay_topics_free(r);
    peal_relay_deliveries_free(r);
    peal_batches_fini(&r->batches);
    peal_dedup_fini(&r->dedup);
    peal_buf_fini(&r->name);
    free(r);
}

void
peal_relay_set_tap(struct peal_relay *r, const struct peal_relay_tap *tap, void *arg)
{
    r->tap = tap;
    r->tap_arg = arg;
}

void
peal_relay_set_on_record(struct peal_relay *r, peal_relay_record_fn *fn, void *arg)
{
    r->on_record = fn;
    r->on_record_arg = arg;
}

static void
relay_do(struct peal_relay *r, unsigned worker, const struct peal_relay_cmd *cmd)
{
    switch (cmd->kind) {
    case PEAL_RELAY_CMD_PUBLISH:
        if (r->tap != NULL)
            r->tap->publish(r->tap_arg, cmd->msg);
        peal_relay_route(r, cmd->msg, cmd->blob);
        break;
    case PEAL_RELAY_CMD_SUBSCRIBE:
        peal_relay_subscribe(r, worker, peal_blob_slice(cmd->blob));
        break;
    case PEAL_RELAY_CMD_UNSUBSCRIBE:
        peal_relay_unsubscribe(r, worker, peal_blob_slice(cmd->blob));
    }
}

void
peal_relay_on_batch(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_relay_batch *p = PEAL_CONTAINER(task, struct peal_relay_batch, task);
    struct peal_relay *r = p->hub->relay; /* NULL: freed */

    if (r != NULL)
        r->n_heard[p->worker]++;
    for (unsigned i = 0; r != NULL && i < p->n; i++)
        relay_do(r, p->worker, &p->cmds[i]);
    peal_relay_batch_free(p);
}

bool
peal_relay_has_room(const struct peal_relay *r, size_t bytes)
{
    return peal_relay_queued(r) + bytes <= r->queue_max;
}

void
peal_relay_add_queued(struct peal_relay *r, size_t bytes)
{
    atomic_fetch_add_explicit(&r->queued, bytes, memory_order_relaxed);
}

size_t
peal_relay_queued(const struct peal_relay *r)
{
    return atomic_load_explicit(&r->queued, memory_order_relaxed) +
           atomic_load_explicit(&r->backed, memory_order_relaxed);
}

bool
peal_relay_up(const struct peal_relay *r)
{
    return atomic_load_explicit(&r->up, memory_order_relaxed);
}

const struct peal_seal *
peal_relay_seal(const struct peal_relay *r)
{
    return &r->seal;
}

/* SPDX-License-Identifier: MIT */
/*
 * The adapter's parts and its link. What comes in is given to the part that is to do it;
 * what is not for this node is dropped before it is read, which is most of it: every
 * server hears all.
 *
 *   link --> deferred --> adapter --> relay, requests, remote_ops --> sender --> link
 *   relay --> subscriptions, sender
 */
#include "adapter/adapter.h"

#include <stdlib.h>

#include "adapter/adapter_priv.h"
#include "adapter/convert.h"

/* Nobody here listens to events between servers, but a server that asks waits for an
 * answer. */
static void
answer_event(struct peal_adapter *a, const struct peal_sio_redis_msg *m)
{
    const struct peal_adapter_request r = {
        .uid = m->uid, .nsp = m->nsp, .request_id = m->request_id
    };
    struct peal_sio_redis_msg out = {
        .op = PEAL_SIO_REDIS_EMIT_ANSWER, .args = PEAL_S("null"), .n_args = 1
    };

    if (m->request_id.len > 0)
        peal_adapter_answer(&a->sender, &r, &out);
}

static void
unreadable(struct peal_adapter *a, struct peal_slice nsp, peal_err why)
{
    peal_stat_add(peal_loop_stats(a->loop), PEAL_STAT_ADAPTER_BAD, 1);
    peal_log_limited(peal_loop_log(a->loop), &a->unreadable, peal_loop_now_ms(a->loop),
        PEAL_LOG_WARN, "unreadable message of another Socket.IO server",
        "namespace=%.*s why=%s", PEAL_ARG(nsp), peal_err_text(why));
}

/* While sockets are being made to join, nobody knows who will be where: then no room is
 * left out, and every worker is asked. */
static peal_err
message_of(const struct peal_adapter *a, const struct peal_sio_redis_msg *in,
    unsigned flags, struct peal_msg **out, uint64_t *workers_out)
{
    bool busy = peal_adapter_remote_ops_busy(&a->remote_ops);
    peal_err err = peal_adapter_msg(busy ? NULL : a->hub, in, flags, out);

    *workers_out = *out == NULL ? 0
                   : busy       ? peal_hub_all_workers(a->hub)
                                : peal_hub_workers(a->hub, *out);
    return err;
}

static void
adapter_on_broadcast(struct peal_adapter *a, const struct peal_sio_redis_msg *in)
{
    uint64_t workers;
    struct peal_msg *m;
    peal_err err = message_of(a, in, 0, &m, &workers);

    if (err != PEAL_OK)
        unreadable(a, in->nsp, err);
    if (m == NULL)
        return;
    peal_relay_deliver(a->relay, m, workers);
    peal_msg_release(m);
}

static void
adapter_on_ack_request(struct peal_adapter *a, const struct peal_sio_redis_msg *in)
{
    uint64_t workers;
    struct peal_msg *m;
    peal_err err = message_of(a, in, PEAL_MSG_NEEDS_ACK, &m, &workers);

    if (err != PEAL_OK)
        unreadable(a, in->nsp, err);
    peal_adapter_requests_add(&a->requests, in, m, workers);
    peal_msg_release(m);
}

static void
adapter_on_msg(struct peal_adapter *a, const struct peal_sio_redis_msg *m)
{
    peal_stat_add(peal_loop_stats(a->loop), PEAL_STAT_ADAPTER_RECEIVED, 1);
    if (m->op == PEAL_SIO_REDIS_SERVER_EMIT)
        answer_event(a, m);
    else if (m->op == PEAL_SIO_REDIS_BROADCAST && m->request_id.len > 0)
        adapter_on_ack_request(a, m);
    else if (m->op == PEAL_SIO_REDIS_BROADCAST)
        adapter_on_broadcast(a, m);
    else if (m->op < PEAL_SIO_REDIS_SOCKETS)
        peal_adapter_remote_ops_add(&a->remote_ops, m);
    /* Answers are of no use: nothing here asks. */
}

/* Tells whether somebody here may be in the room of a classic broadcast. */
static bool
room_is_here(struct peal_adapter *a, struct peal_slice nsp, struct peal_slice room)
{
    if (room.data == NULL || peal_adapter_remote_ops_busy(&a->remote_ops))
        return true;
    a->channel.len = 0;
    if (peal_room_channel(nsp, room, &a->channel) != PEAL_OK)
        return true; /* without memory it will fail later, and be counted */
    return peal_adapter_is_here(a->hub, room, peal_buf_slice(&a->channel));
}

static peal_err
read_message(struct peal_adapter *a, struct peal_slice payload,
    enum peal_sio_redis_channel channel, struct peal_slice nsp,
    struct peal_sio_redis_msg *m)
{
    peal_err err;

    if (a->sender.sharded)
        return peal_sio_redis_read_sharded(payload, &a->reader, m);
    if (channel == PEAL_SIO_REDIS_ON_BROADCAST)
        return peal_sio_redis_read_broadcast(payload, &a->reader, m);
    if ((err = peal_sio_redis_read_request(payload, &a->reader, m)) == PEAL_OK)
        m->nsp = nsp; /* a request's is that of its channel */
    return err;
}

/* Does what a message asks for, now. */
static void
adapter_handle(void *arg, struct peal_slice topic, struct peal_slice payload)
{
    struct peal_adapter *a = arg;
    enum peal_sio_redis_channel channel;
    struct peal_sio_redis_msg m;
    struct peal_slice nsp, tail;
    peal_err err;

    if (!peal_sio_redis_split(topic, peal_adapter_key(&a->sender), &channel, &nsp, &tail))
        return;
    if (!a->sender.sharded &&
        (channel == PEAL_SIO_REDIS_ON_RESPONSE ||
            (channel == PEAL_SIO_REDIS_ON_BROADCAST && !room_is_here(a, nsp, tail))))
        return;
    if ((err = read_message(a, payload, channel, nsp, &m)) == PEAL_EUNSUPP)
        return;
    if (err != PEAL_OK)
        unreadable(a, nsp, err);
    else if (peal_slice_eq(m.nsp, nsp))
        adapter_on_msg(a, &m);
}

static void
adapter_on_message(void *arg, struct peal_slice topic, struct peal_slice payload)
{
    struct peal_adapter *a = arg;

    if (!peal_slice_eq(peal_sio_redis_uid(payload), peal_slice_str(a->sender.uid)) &&
        !peal_adapter_deferred_put(&a->deferred, topic, payload))
        adapter_handle(a, topic, payload);
}

/* The link. */

static void
adapter_on_up(void *arg)
{
    struct peal_adapter *a = arg;

    a->sender.up = true;
    peal_adapter_subscriptions_up(&a->subscriptions);
}

static void
adapter_on_down(void *arg)
{
    struct peal_adapter *a = arg;

    a->sender.up = false;
    peal_adapter_subscriptions_down(&a->subscriptions);
}

/* Only the first time that the subscriptions are complete is told. */
static void
tell_ready(struct peal_adapter *a)
{
    void (*ready)(void *arg) = a->ready;

    a->ready = NULL;
    if (ready != NULL)
        ready(a->arg);
}

static void
adapter_on_subscribed(void *arg, struct peal_slice topic)
{
    struct peal_adapter *a = arg;

    if (peal_adapter_subscriptions_subscribed(&a->subscriptions, topic))
        tell_ready(a);
}

static void
adapter_on_refused(void *arg, struct peal_slice topic, const char *why)
{
    struct peal_adapter *a = arg;

    if (peal_adapter_subscriptions_refused(&a->subscriptions, topic, why))
        tell_ready(a);
}

static void
adapter_on_lost(void *arg, struct peal_slice topic)
{
    peal_adapter_subscriptions_lost(&((struct peal_adapter *)arg)->subscriptions, topic);
}

const struct peal_backplane_counters peal_adapter_counters = {
    .connects = PEAL_STAT_ADAPTER_CONNECTS,
    .topics_refused = PEAL_STAT_ADAPTER_TOPICS_REFUSED,
    .refused = PEAL_STAT_ADAPTER_ERRORS,
    .unanswered = PEAL_STAT_ADAPTER_UNANSWERED,
};

static const struct peal_backplane_events adapter_events = { .up = adapter_on_up,
    .down = adapter_on_down,
    .subscribed = adapter_on_subscribed,
    .lost = adapter_on_lost,
    .refused = adapter_on_refused,
    .message = adapter_on_message };

/* The relay's other consumer. */

static bool
tap_subscribe(void *arg, struct peal_slice channel)
{
    struct peal_adapter *a = arg;

    return peal_adapter_subscriptions_add(&a->subscriptions, channel);
}

static void
tap_unsubscribe(void *arg, struct peal_slice channel)
{
    struct peal_adapter *a = arg;

    peal_adapter_subscriptions_remove(&a->subscriptions, channel);
}

static void
tap_publish(void *arg, struct peal_msg *m)
{
    struct peal_adapter *a = arg;

    peal_adapter_publish(&a->sender, a->hub, m);
}

const struct peal_relay_tap peal_adapter_tap = {
    .subscribe = tap_subscribe, .unsubscribe = tap_unsubscribe, .publish = tap_publish
};

static void
adapter_on_confirmed(void *arg, struct peal_slice channel)
{
    peal_relay_tap_ready(((struct peal_adapter *)arg)->relay, channel);
}

/* The parts, in the order of who needs whom. link may be NULL only to be freed again. */
static peal_err
make_parts(struct peal_adapter *a, const struct peal_adapter_config *config)
{
    peal_err err = peal_adapter_sender_init(&a->sender, a->loop, config->link,
        config->sharded, config->key, config->prefix, config->queue_max);

    peal_adapter_subscriptions_init(&a->subscriptions, a->loop, config->link,
        config->sharded, peal_adapter_key(&a->sender), adapter_on_confirmed, a);
    peal_adapter_deferred_init(&a->deferred, adapter_handle, a);
    peal_adapter_requests_init(&a->requests, a->hub, a->relay, &a->sender, &a->deferred);
    peal_adapter_remote_ops_init(&a->remote_ops, a->hub, a->relay, &a->sender);
    if (err == PEAL_OK) /* every server has it */
        err = peal_adapter_subscriptions_keep(&a->subscriptions, PEAL_S("/"));
    return err;
}

peal_err
peal_adapter_new(const struct peal_adapter_config *config, struct peal_adapter **out)
{
    struct peal_adapter *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return PEAL_ENOMEM;
    a->loop = config->loop;
    a->hub = config->hub;
    a->relay = config->relay;
    a->ready = config->ready;
    a->arg = config->arg;
    if (make_parts(a, config) != PEAL_OK) {
        peal_adapter_free(&a);
        return PEAL_ENOMEM;
    }
    a->link = config->link; /* taken */
    peal_relay_set_tap(a->relay, &peal_adapter_tap, a);
    *out = a;
    return PEAL_OK;
}

void
peal_adapter_start(struct peal_adapter *a)
{
    peal_backplane_start(&a->link->b, &adapter_events, a);
}

const _Atomic bool *
peal_adapter_up(const struct peal_adapter *a)
{
    return &a->subscriptions.complete;
}

void
peal_adapter_free(struct peal_adapter **ap)
{
    struct peal_adapter *a = *ap;

    if (a == NULL)
        return;
    *ap = NULL;
    peal_relay_set_tap(a->relay, NULL, NULL);
    peal_adapter_requests_fini(&a->requests);
    peal_adapter_deferred_fini(&a->deferred);
    peal_adapter_remote_ops_fini(&a->remote_ops);
    peal_redis_pubsub_free(&a->link);
    peal_adapter_subscriptions_fini(&a->subscriptions);
    peal_adapter_sender_fini(&a->sender);
    peal_sio_redis_reader_fini(&a->reader);
    peal_buf_fini(&a->channel);
    free(a);
}

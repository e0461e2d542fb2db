/* SPDX-License-Identifier: MIT */
/*
 * The adapter's link: what comes in, and who is to do it; what goes out. What is not for
 * this node is dropped before it is read, which is most of it: every server hears all.
 */
#include "adapter/adapter_priv.h"

#include <stdio.h>
#include <stdlib.h>

#define NONE ((struct peal_slice){ NULL, 0 })

/* A hash (FNV-1a, then mixed) that tells our cluster from others and, with 36 or 64 bits,
 * from the random uids of Node servers. Any one will do that is the same everywhere. */
static uint64_t
hash_of(struct peal_slice prefix)
{
    uint64_t h = 0xcbf29ce484222325;

    for (size_t i = 0; i < prefix.len; i++)
        h = (h ^ (unsigned char)prefix.data[i]) * 0x100000001b3;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
    return h ^ h >> 32;
}

/* The uid of our cluster, as Node's adapters have theirs: six characters, or 16 hex
 * digits. */
static void
write_uid(struct peal_slice prefix, bool sharded, char out[PEAL_ADAPTER_UID_MAX])
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t h = hash_of(prefix);

    if (sharded) {
        snprintf(out, PEAL_ADAPTER_UID_MAX, "%016llx", (unsigned long long)h);
        return;
    }
    for (int i = 0; i < 6; i++)
        out[i] = digits[h >> (6 * i) & 63];
    out[6] = '\0';
}

/* Out. */

static bool
has_room(struct peal_adapter *a)
{
    return a->link->b.ops->queued(&a->link->b) + a->out.len <= a->queue_max;
}

static peal_err
write_out(struct peal_adapter *a, const struct peal_sio_redis_msg *m,
    enum peal_sio_redis_channel channel, struct peal_slice tail)
{
    peal_err err;

    if (a->out.cap > PEAL_ADAPTER_KEEP_MAX)
        peal_buf_fini(&a->out);
    a->out.len = a->name.len = 0;
    err = a->sharded ? peal_sio_redis_write_sharded(&a->out, m)
                     : peal_sio_redis_write(&a->out, m);
    if (err != PEAL_OK)
        return err;
    return peal_sio_redis_channel(&a->name,
        a->sharded ? PEAL_SIO_REDIS_ON_BROADCAST : channel, peal_adapter_key(a), m->nsp,
        tail);
}

void
peal_adapter_send(struct peal_adapter *a, const struct peal_sio_redis_msg *m,
    enum peal_sio_redis_channel channel, struct peal_slice tail)
{
    enum peal_stat result = PEAL_STAT_ADAPTER_SENT;
    struct peal_payload p;

    if (!a->up) {
        result = PEAL_STAT_ADAPTER_DROPPED;
    } else if (write_out(a, m, channel, tail) != PEAL_OK) {
        result = PEAL_STAT_ADAPTER_UNSENT;
    } else if (!has_room(a)) {
        result = PEAL_STAT_ADAPTER_DROPPED;
    } else {
        p = (struct peal_payload){ peal_buf_slice(&a->name), peal_buf_slice(&a->out) };
        peal_backplane_publish(&a->link->b, &p, 1);
    }
    peal_stat_add(&a->loop->stats, result, 1);
}

/* Answers. */

peal_err
peal_adapter_request_init(
    struct peal_adapter_request *r, const struct peal_sio_redis_msg *m)
{
    struct peal_slice parts[] = { m->uid, m->nsp, m->request_id };
    struct peal_slice *to[] = { &r->uid, &r->nsp, &r->request_id };
    size_t at = 0;
    peal_err err;

    *r = (struct peal_adapter_request){ 0 };
    for (unsigned i = 0; i < 3; i++)
        if ((err = peal_buf_add_slice(&r->text, parts[i])) != PEAL_OK) {
            peal_buf_fini(&r->text);
            return err;
        }
    for (unsigned i = 0; i < 3; at += parts[i++].len)
        *to[i] = peal_slice_of(r->text.data + at, parts[i].len);
    return PEAL_OK;
}

void
peal_adapter_request_fini(struct peal_adapter_request *r)
{
    peal_buf_fini(&r->text);
}

void
peal_adapter_answer(struct peal_adapter *a, const struct peal_adapter_request *r,
    struct peal_sio_redis_msg *answer)
{
    answer->uid = peal_slice_str(a->uid);
    answer->nsp = r->nsp;
    answer->request_id = r->request_id;
    /* The classic dialect answers on the channel of all, the sharded one on the asker's.
     */
    peal_adapter_send(a, answer, PEAL_SIO_REDIS_ON_RESPONSE, a->sharded ? r->uid : NONE);
}

/* Nobody here listens to events between servers, but whoever asks waits for an answer. */
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
        peal_adapter_answer(a, &r, &out);
}

/* In. */

void
peal_adapter_unreadable(struct peal_adapter *a, struct peal_slice nsp, peal_err why)
{
    peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_BAD, 1);
    peal_log_limited(a->loop->config.log, &a->unreadable, peal_loop_now_ms(a->loop),
        PEAL_LOG_WARN, "unreadable message of another Socket.IO server",
        "namespace=%.*s why=%s", (int)nsp.len, nsp.data, peal_err_text(why));
}

static void
on_broadcast(struct peal_adapter *a, const struct peal_sio_redis_msg *in)
{
    struct peal_msg *m;
    peal_err err = peal_adapter_msg(a, in, 0, &m);

    if (err != PEAL_OK)
        peal_adapter_unreadable(a, in->nsp, err);
    if (m == NULL)
        return;
    peal_relay_deliver(a->relay, m, peal_adapter_workers(a, m));
    peal_msg_release(m);
}

static void
on_msg(struct peal_adapter *a, const struct peal_sio_redis_msg *m)
{
    peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_RECEIVED, 1);
    if (m->op == PEAL_SIO_REDIS_SERVER_EMIT)
        answer_event(a, m);
    else if (m->op == PEAL_SIO_REDIS_BROADCAST && m->request_id.len > 0)
        peal_adapter_request_acks(a, m);
    else if (m->op == PEAL_SIO_REDIS_BROADCAST)
        on_broadcast(a, m);
    else if (m->op < PEAL_SIO_REDIS_SOCKETS)
        peal_adapter_remote_op(a, m);
    /* Answers are of no use: nothing here asks. */
}

/* May somebody here be in the room of a classic broadcast? */
static bool
room_is_here(struct peal_adapter *a, struct peal_slice nsp, struct peal_slice room)
{
    uint32_t node;
    uint8_t worker;

    if (room.data == NULL || !peal_list_empty(&a->jobs))
        return true;
    if (peal_hub_owner(a->hub, room, &node, &worker))
        return node == peal_hub_node(a->hub);
    a->name.len = 0;
    if (peal_room_channel(nsp, room, &a->name) != PEAL_OK)
        return true; /* without memory it will fail later, and be counted */
    return peal_hub_interest(a->hub, peal_channel_hash(peal_buf_slice(&a->name))) != 0;
}

void
peal_adapter_handle(
    struct peal_adapter *a, struct peal_slice topic, struct peal_slice payload)
{
    enum peal_sio_redis_channel channel;
    struct peal_sio_redis_msg m;
    struct peal_slice nsp, tail;
    peal_err err;

    if (!peal_sio_redis_split(topic, peal_adapter_key(a), &channel, &nsp, &tail))
        return;
    if (a->sharded) {
        err = peal_sio_redis_read_sharded(payload, a->reader, &m);
    } else if (channel == PEAL_SIO_REDIS_ON_BROADCAST) {
        if (!room_is_here(a, nsp, tail))
            return;
        err = peal_sio_redis_read_broadcast(payload, a->reader, &m);
    } else if (channel == PEAL_SIO_REDIS_ON_REQUEST) {
        err = peal_sio_redis_read_request(payload, a->reader, &m);
        m.nsp = err == PEAL_OK ? nsp : m.nsp; /* a request's is that of its channel */
    } else {
        return;
    }
    if (err == PEAL_EUNSUPP)
        return;
    if (err != PEAL_OK)
        peal_adapter_unreadable(a, nsp, err);
    else if (peal_slice_eq(m.nsp, nsp))
        on_msg(a, &m);
}

static void
on_message(void *arg, struct peal_slice topic, struct peal_slice payload)
{
    struct peal_adapter *a = arg;

    if (!peal_slice_eq(peal_sio_redis_uid(payload), peal_slice_str(a->uid)) &&
        !peal_adapter_defer(a, topic, payload))
        peal_adapter_handle(a, topic, payload);
}

/* The link. */

static void
on_up(void *arg)
{
    struct peal_adapter *a = arg;

    a->up = true;
    peal_adapter_subscribe_all(a);
}

static void
on_down(void *arg)
{
    struct peal_adapter *a = arg;

    a->up = false;
    a->complete = false;
    peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_GAPS, 1);
    peal_adapter_unsubscribe_all(a);
}

/* All that was wanted when the link came is subscribed, or was refused. */
static void
on_complete(struct peal_adapter *a)
{
    void (*ready)(void *arg) = a->ready;

    a->complete = true;
    a->ready = NULL;
    if (ready != NULL)
        ready(a->arg);
}

static void
on_subscribed(void *arg, struct peal_slice topic)
{
    if (peal_adapter_subscribed(arg, topic))
        on_complete(arg);
}

static void
on_refused(void *arg, struct peal_slice topic, const char *why)
{
    if (peal_adapter_refused(arg, topic, why))
        on_complete(arg);
}

static void
on_lost(void *arg, struct peal_slice topic)
{
    peal_adapter_lost(arg, topic);
}

const struct peal_backplane_counters peal_adapter_counters = {
    .connects = PEAL_STAT_ADAPTER_CONNECTS,
    .topics_refused = PEAL_STAT_ADAPTER_TOPICS_REFUSED,
    .refused = PEAL_STAT_ADAPTER_ERRORS,
    .unanswered = PEAL_STAT_ADAPTER_UNANSWERED,
};

static const struct peal_backplane_events events = { .up = on_up,
    .down = on_down,
    .subscribed = on_subscribed,
    .lost = on_lost,
    .refused = on_refused,
    .message = on_message };

peal_err
peal_adapter_new(const struct peal_adapter_config *config, struct peal_adapter **out)
{
    struct peal_adapter *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return PEAL_ENOMEM;
    a->loop = config->loop;
    a->hub = config->hub;
    a->relay = config->relay;
    a->sharded = config->sharded;
    a->queue_max = config->queue_max;
    a->ready = config->ready;
    a->arg = config->arg;
    peal_map_init(&a->topics);
    peal_list_init(&a->subjects);
    peal_list_init(&a->jobs);
    peal_list_init(&a->asks);
    peal_list_init(&a->held);
    write_uid(config->prefix, a->sharded, a->uid);
    if (peal_buf_add_slice(&a->key, config->key) != PEAL_OK ||
        (a->reader = calloc(1, sizeof(*a->reader))) == NULL ||
        peal_adapter_subscribe_nsp(a, PEAL_S("/")) != PEAL_OK) { /* every server has it */
        peal_adapter_free(&a);
        return PEAL_ENOMEM;
    }
    a->link = config->link;
    peal_relay_set_tap(a->relay, &peal_adapter_tap, a);
    *out = a;
    return PEAL_OK;
}

void
peal_adapter_start(struct peal_adapter *a)
{
    peal_backplane_start(&a->link->b, &events, a);
}

const _Atomic bool *
peal_adapter_up(const struct peal_adapter *a)
{
    return &a->complete;
}

void
peal_adapter_free(struct peal_adapter **ap)
{
    struct peal_adapter *a = *ap;

    if (a == NULL)
        return;
    *ap = NULL;
    peal_relay_set_tap(a->relay, NULL, NULL);
    peal_adapter_ack_requests_free(a);
    peal_adapter_deferred_free(a);
    peal_adapter_remote_ops_free(a);
    peal_redis_pubsub_free(&a->link);
    peal_adapter_subscriptions_free(a);
    peal_map_fini(&a->topics);
    if (a->reader != NULL)
        peal_sio_redis_reader_fini(a->reader);
    free(a->reader);
    peal_buf_fini(&a->key);
    peal_buf_fini(&a->out);
    peal_buf_fini(&a->name);
    peal_buf_fini(&a->text);
    free(a);
}

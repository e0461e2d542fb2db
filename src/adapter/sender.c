/* SPDX-License-Identifier: MIT */
/*
 * The way out: a message is written into scratch that is used again, its channel's name
 * too, and both are published at once.
 */
#include "adapter/sender.h"

#include <stdio.h>

#define KEEP_MAX (256u << 10) /* bytes of scratch that are kept for the next message */

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

peal_err
peal_adapter_sender_init(struct peal_adapter_sender *s, struct peal_loop *loop,
    struct peal_redis_pubsub *link, bool sharded, struct peal_slice key,
    struct peal_slice prefix, size_t queue_max)
{
    *s = (struct peal_adapter_sender){
        .loop = loop, .link = link, .sharded = sharded, .queue_max = queue_max
    };
    write_uid(prefix, sharded, s->uid);
    return peal_buf_add_slice(&s->key, key);
}

void
peal_adapter_sender_fini(struct peal_adapter_sender *s)
{
    peal_buf_fini(&s->key);
    peal_buf_fini(&s->payload);
    peal_buf_fini(&s->channel);
}

static bool
has_room(const struct peal_adapter_sender *s)
{
    return s->link->b.ops->queued(&s->link->b) + s->payload.len <= s->queue_max;
}

static peal_err
write_out(struct peal_adapter_sender *s, const struct peal_sio_redis_msg *m,
    enum peal_sio_redis_channel channel, struct peal_slice tail)
{
    peal_err err;

    if (s->payload.cap > KEEP_MAX)
        peal_buf_fini(&s->payload);
    s->payload.len = s->channel.len = 0;
    err = s->sharded ? peal_sio_redis_write_sharded(&s->payload, m)
                     : peal_sio_redis_write(&s->payload, m);
    if (err != PEAL_OK)
        return err;
    return peal_sio_redis_channel(&s->channel,
        s->sharded ? PEAL_SIO_REDIS_ON_BROADCAST : channel, peal_adapter_key(s), m->nsp,
        tail);
}

void
peal_adapter_send(struct peal_adapter_sender *s, const struct peal_sio_redis_msg *m,
    enum peal_sio_redis_channel channel, struct peal_slice tail)
{
    enum peal_stat result = PEAL_STAT_ADAPTER_SENT;
    struct peal_payload p;

    if (!s->up) {
        result = PEAL_STAT_ADAPTER_DROPPED;
    } else if (write_out(s, m, channel, tail) != PEAL_OK) {
        result = PEAL_STAT_ADAPTER_UNSENT;
    } else if (!has_room(s)) {
        result = PEAL_STAT_ADAPTER_DROPPED;
    } else {
        p = (struct peal_payload){ peal_buf_slice(&s->channel),
            peal_buf_slice(&s->payload) };
        peal_backplane_publish(&s->link->b, &p, 1);
    }
    peal_stat_add(peal_loop_stats(s->loop), result, 1);
}

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

/* The classic dialect answers on the channel of all, the sharded one on the asker's. */
void
peal_adapter_answer(struct peal_adapter_sender *s, const struct peal_adapter_request *r,
    struct peal_sio_redis_msg *answer)
{
    answer->uid = peal_slice_str(s->uid);
    answer->nsp = r->nsp;
    answer->request_id = r->request_id;
    peal_adapter_send(s, answer, PEAL_SIO_REDIS_ON_RESPONSE,
        s->sharded ? r->uid : PEAL_ADAPTER_NO_TAIL);
}

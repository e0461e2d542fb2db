/* SPDX-License-Identifier: MIT */
/*
 * Conversion, both ways. Of a broadcast of theirs only what concerns this node becomes
 * part of the message: users are notified by rooms, thousands at a time, and most of the
 * rooms are elsewhere.
 */
#include "adapter/convert.h"

#include "base/assert.h"
#include "base/json.h"

bool
peal_adapter_is_here(
    const struct peal_hub *hub, struct peal_slice room, struct peal_slice channel)
{
    uint32_t node;
    uint8_t worker;

    if (peal_hub_owner(hub, room, &node, &worker))
        return node == peal_hub_node(hub);
    return peal_hub_interest(hub, peal_channel_hash(channel)) != 0;
}

peal_err
peal_adapter_channels(const struct peal_hub *hub, struct peal_slice nsp,
    const struct peal_slice *rooms, unsigned n, struct peal_names *out)
{
    peal_err err = peal_names_begin(out, n);

    for (unsigned i = 0; i < n && err == PEAL_OK; i++) {
        struct peal_slice channel;

        err = peal_room_channel(nsp, rooms[i], &out->text);
        channel = peal_slice_skip(peal_buf_slice(&out->text), out->used);
        if (channel.len > PEAL_CHANNEL_NAME_MAX ||
            (hub != NULL && !peal_adapter_is_here(hub, rooms[i], channel)))
            out->text.len = out->used;
        else
            peal_names_add(out);
    }
    if (err == PEAL_OK)
        peal_names_end(out);
    else
        peal_names_fini(out);
    return err;
}

peal_err
peal_adapter_msg(const struct peal_hub *hub, const struct peal_sio_redis_msg *in,
    unsigned flags, struct peal_msg **out)
{
    struct peal_names rooms = { 0 }, except = { 0 };
    peal_err err = peal_adapter_channels(hub, in->nsp, in->rooms, in->n_rooms, &rooms);
    struct peal_msg_spec spec = { .nsp = in->nsp,
        .kind = PEAL_DATA_JSON,
        .flags = in->flags | flags,
        .event = in->event,
        .args = in->args,
        .n_args = in->n_args,
        .atts = in->atts,
        .n_atts = in->n_atts };

    *out = NULL;
    if (err == PEAL_OK && rooms.n == 0 && in->n_rooms > 0)
        goto done;
    if (err == PEAL_OK)
        err = peal_adapter_channels(hub, in->nsp, in->except, in->n_except, &except);
    spec.channels = rooms.n > 0 ? rooms.v : &in->nsp;
    spec.n_channels = rooms.n > 0 ? rooms.n : 1;
    spec.except = except.v;
    spec.n_except = except.n;
    if (err == PEAL_OK)
        err = peal_msg_new(&spec, out);
done:
    peal_names_fini(&rooms);
    peal_names_fini(&except);
    return err;
}

/* The arguments of m as JSON. text, bytes: what *out points into; released by the caller.
 */
static peal_err
put_args(const struct peal_msg *m, struct peal_buf *text, struct peal_blob **bytes,
    struct peal_sio_redis_msg *out)
{
    peal_err err = PEAL_OK;

    out->args = m->args;
    out->atts = m->atts;
    out->n_atts = m->n_atts;
    if (m->kind == PEAL_DATA_TEXT) {
        err = peal_json_quote(text, m->args);
        out->args = peal_buf_slice(text);
    } else if (m->kind == PEAL_DATA_BYTES) {
        if ((*bytes = peal_blob_copy(m->args)) == NULL)
            return PEAL_ENOMEM;
        out->args = PEAL_S("{\"_placeholder\":true,\"num\":0}");
        out->atts = bytes;
        out->n_atts = 1;
    }
    return err;
}

/* Rooms of theirs; *n_out 0: everybody. What is of another namespace none of their
 * sockets can be in; a session of ours is none of theirs. false: nothing is left. */
static bool
rooms_of(const struct peal_hub *hub, const struct peal_msg *m, struct peal_slice *rooms,
    unsigned *n_out)
{
    unsigned n = 0;
    uint32_t node;
    uint8_t worker;

    *n_out = 0;
    for (unsigned i = 0; i < m->n_channels; i++) {
        struct peal_slice channel = m->channels[i].name;

        if (!peal_slice_eq(peal_channel_nsp(channel), m->nsp))
            continue;
        if (!peal_channel_room(channel, &rooms[n]))
            return true;
        n += !peal_hub_owner(hub, rooms[n], &node, &worker);
    }
    *n_out = n;
    return n > 0;
}

static unsigned
exceptions_of(const struct peal_msg *m, struct peal_slice *except)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->n_except; i++)
        n += peal_channel_room(m->except[i], &except[n]);
    return n;
}

void
peal_adapter_publish(
    struct peal_adapter_sender *s, const struct peal_hub *hub, const struct peal_msg *m)
{
    struct peal_slice rooms[PEAL_CHANNELS_MAX], except[PEAL_CHANNELS_MAX];
    struct peal_sio_redis_msg out = { .op = PEAL_SIO_REDIS_BROADCAST,
        .flags = m->flags & (PEAL_MSG_VOLATILE | PEAL_MSG_NO_COMPRESS),
        .uid = peal_slice_str(s->uid),
        .nsp = m->nsp,
        .event = m->event,
        .rooms = rooms,
        .except = except,
        .numbers = true };
    struct peal_slice tail = PEAL_ADAPTER_NO_TAIL;
    struct peal_buf text = { 0 };
    struct peal_blob *bytes = NULL;

    PEAL_ASSERT(m->n_channels <= PEAL_CHANNELS_MAX && m->n_except <= PEAL_CHANNELS_MAX);
    if (!rooms_of(hub, m, rooms, &out.n_rooms))
        return;
    if (put_args(m, &text, &bytes, &out) != PEAL_OK) {
        peal_stat_add(peal_loop_stats(s->loop), PEAL_STAT_ADAPTER_UNSENT, 1);
    } else {
        out.n_except = exceptions_of(m, except);
        if (out.n_rooms == 1 && (!s->sharded || peal_sio_redis_own_channel(rooms[0])))
            tail = rooms[0];
        peal_adapter_send(s, &out, PEAL_SIO_REDIS_ON_BROADCAST, tail);
    }
    peal_buf_fini(&text);
    peal_blob_release(bytes);
}

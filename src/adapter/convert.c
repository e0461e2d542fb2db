/* SPDX-License-Identifier: MIT */
/*
 * Messages of ours as Node servers know them, and theirs as ours. A channel of ours is a
 * namespace and a room of theirs; what has no event is called "message", as Socket.IO
 * clients here see it too.
 */
#include <stdlib.h>

#include "adapter/adapter_priv.h"
#include "base/json.h"

/* Is somebody on this node in a room, or is it the id of a session here? */
static bool
is_here(const struct peal_hub *hub, struct peal_slice room, struct peal_slice channel)
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
            (hub != NULL && !is_here(hub, rooms[i], channel)))
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
peal_adapter_msg(const struct peal_adapter *a, const struct peal_sio_redis_msg *in,
    unsigned flags, struct peal_msg **out)
{
    /* While sockets are being made to join, nobody knows who will be where. */
    const struct peal_hub *hub = peal_list_empty(&a->jobs) ? a->hub : NULL;
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

uint64_t
peal_adapter_workers(const struct peal_adapter *a, const struct peal_msg *m)
{
    return peal_list_empty(&a->jobs) ? peal_hub_workers(a->hub, m)
                                     : peal_hub_all_workers(a->hub);
}

/* The arguments of m as JSON. bytes: to be dropped, what *out points to. */
static peal_err
put_args(struct peal_adapter *a, const struct peal_msg *m, struct peal_blob **bytes,
    struct peal_sio_redis_msg *out)
{
    peal_err err = PEAL_OK;

    out->args = m->args;
    out->atts = m->atts;
    out->n_atts = m->n_atts;
    if (m->kind == PEAL_DATA_TEXT) {
        if (a->text.cap > PEAL_ADAPTER_KEEP_MAX)
            peal_buf_fini(&a->text);
        a->text.len = 0;
        err = peal_json_quote(&a->text, m->args);
        out->args = peal_buf_slice(&a->text);
    } else if (m->kind == PEAL_DATA_BYTES) {
        if ((*bytes = peal_blob_copy(m->args)) == NULL)
            return PEAL_ENOMEM;
        out->args = PEAL_S("{\"_placeholder\":true,\"num\":0}");
        out->atts = bytes;
        out->n_atts = 1;
    }
    return err;
}

/* Rooms of theirs; n_out 0: everybody. What is of another namespace none of their sockets
 * can be in; a session of ours is none of theirs. false: nothing is left. */
static bool
rooms_of(struct peal_adapter *a, const struct peal_msg *m, unsigned *n_out)
{
    unsigned n = 0;

    *n_out = 0;
    for (unsigned i = 0; i < m->n_channels; i++) {
        struct peal_slice channel = m->channels[i].name;

        if (!peal_slice_eq(peal_channel_nsp(channel), m->nsp))
            continue;
        if (!peal_channel_room(channel, &a->rooms[n]))
            return true;
        n += !peal_hub_is_address(a->hub, channel);
    }
    *n_out = n;
    return n > 0;
}

static unsigned
exceptions_of(struct peal_adapter *a, const struct peal_msg *m)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->n_except; i++)
        n += peal_channel_room(m->except[i], &a->except[n]);
    return n;
}

void
peal_adapter_publish(void *adapter, struct peal_msg *m)
{
    struct peal_adapter *a = adapter;
    struct peal_sio_redis_msg out = { .op = PEAL_SIO_REDIS_BROADCAST,
        .flags = m->flags & (PEAL_MSG_VOLATILE | PEAL_MSG_NO_COMPRESS),
        .uid = peal_slice_str(a->uid),
        .nsp = m->nsp,
        .event = m->event,
        .rooms = a->rooms,
        .except = a->except,
        .numbers = true };
    struct peal_blob *bytes = NULL;
    struct peal_slice tail = { NULL, 0 };

    if (!rooms_of(a, m, &out.n_rooms))
        return;
    if (put_args(a, m, &bytes, &out) != PEAL_OK) {
        peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_UNSENT, 1);
        return;
    }
    out.n_except = exceptions_of(a, m);
    if (out.n_rooms == 1 && (!a->sharded || peal_sio_redis_own_channel(a->rooms[0])))
        tail = a->rooms[0];
    peal_adapter_send(a, &out, PEAL_SIO_REDIS_ON_BROADCAST, tail);
    peal_blob_release(bytes);
}

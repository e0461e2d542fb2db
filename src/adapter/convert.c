/* SPDX-License-Identifier: MIT */
/*
 * Messages of ours as Node servers know them, and theirs as ours. A channel of ours is a
 * namespace and a room of theirs; what has no event is called "message", as Socket.IO
 * clients here see it too.
 */
#include <stdlib.h>

#include "adapter/inside.h"
#include "base/json.h"

void
peal_adapter_names_fini(struct peal_adapter_names *names)
{
    peal_buf_fini(&names->text);
    free(names->v);
    *names = (struct peal_adapter_names){ 0 };
}

peal_err
peal_adapter_channels(struct peal_slice nsp, const struct peal_slice *rooms, unsigned n,
    struct peal_adapter_names *out)
{
    size_t at = 0;
    peal_err err = PEAL_OK;

    *out = (struct peal_adapter_names){ 0 };
    if (n == 0)
        return PEAL_OK;
    if ((out->v = calloc(n, sizeof(*out->v))) == NULL)
        return PEAL_ENOMEM;
    for (unsigned i = 0; i < n && err == PEAL_OK; i++) {
        if ((err = peal_room_channel(nsp, rooms[i], &out->text)) != PEAL_OK)
            break;
        out->v[i].len = out->text.len - at;
        at = out->text.len;
        if (out->v[i].len > PEAL_CHANNEL_NAME_MAX)
            err = PEAL_ELIMIT;
    }
    if (err != PEAL_OK) {
        peal_adapter_names_fini(out);
        return err;
    }
    out->n = n;
    at = 0;
    for (unsigned i = 0; i < n; i++) {
        out->v[i].data = out->text.data + at;
        at += out->v[i].len;
    }
    return PEAL_OK;
}

peal_err
peal_adapter_msg(const struct peal_sio_redis_msg *in, struct peal_msg **out)
{
    struct peal_adapter_names rooms = { 0 }, except = { 0 };
    peal_err err = peal_adapter_channels(in->nsp, in->rooms, in->n_rooms, &rooms);
    struct peal_msg_spec spec = { .nsp = in->nsp,
        .kind = PEAL_DATA_JSON,
        .flags = in->flags,
        .event = in->event,
        .args = in->args,
        .n_args = in->n_args,
        .atts = in->atts,
        .n_atts = in->n_atts };

    if (err == PEAL_OK)
        err = peal_adapter_channels(in->nsp, in->except, in->n_except, &except);
    spec.channels = rooms.n > 0 ? rooms.v : &in->nsp;
    spec.n_channels = rooms.n > 0 ? rooms.n : 1;
    spec.except = except.v;
    spec.n_except = except.n;
    if (err == PEAL_OK)
        err = peal_msg_new(&spec, out);
    peal_adapter_names_fini(&rooms);
    peal_adapter_names_fini(&except);
    return err;
}

/* The arguments of m as JSON. */
static peal_err
put_args(const struct peal_msg *m, struct peal_buf *text, struct peal_sio_redis_msg *out)
{
    static const struct peal_slice placeholder =
        PEAL_S("{\"_placeholder\":true,\"num\":0}");
    peal_err err = PEAL_OK;

    out->n_args = m->n_args;
    out->args = m->args;
    out->atts = m->atts;
    out->n_atts = m->n_atts;
    if (m->kind == PEAL_DATA_TEXT) {
        err = peal_json_quote(text, m->args);
        out->args = peal_buf_slice(text);
    } else if (m->kind == PEAL_DATA_BYTES) {
        out->args = placeholder;
    }
    return err;
}

/* Rooms of theirs; n_out 0: everybody. false: some channel is of another namespace, which
 * one message of theirs cannot say. */
static bool
rooms_of(const struct peal_msg *m, struct peal_slice *rooms, unsigned *n_out)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->n_channels; i++) {
        struct peal_slice channel = m->channels[i].name;

        if (!peal_slice_eq(peal_channel_nsp(channel), m->nsp) &&
            peal_channel_nsp(channel).len > 1)
            return false;
        if (!peal_channel_room(channel, &rooms[n++])) {
            *n_out = 0;
            return true;
        }
    }
    *n_out = n;
    return true;
}

void
peal_adapter_publish(void *adapter, struct peal_msg *m)
{
    struct peal_adapter *a = adapter;
    struct peal_slice rooms[PEAL_CHANNELS_MAX], except[PEAL_CHANNELS_MAX];
    struct peal_sio_redis_msg out = { .op = PEAL_SIO_REDIS_BROADCAST,
        .flags = m->flags & (PEAL_MSG_VOLATILE | PEAL_MSG_NO_COMPRESS),
        .uid = peal_slice_str(a->uid),
        .nsp = m->nsp,
        .event = m->event.len > 0 ? m->event : PEAL_S("\"message\""),
        .rooms = rooms,
        .except = except };
    struct peal_buf text = { 0 };
    struct peal_blob *bytes = NULL;
    bool own;

    if (!a->up || !rooms_of(m, rooms, &out.n_rooms) ||
        put_args(m, &text, &out) != PEAL_OK)
        goto done;
    if (m->kind == PEAL_DATA_BYTES) {
        if ((bytes = peal_blob_copy(m->args)) == NULL)
            goto done;
        out.atts = &bytes;
        out.n_atts = 1;
    }
    for (unsigned i = 0; i < m->n_except; i++)
        if (peal_channel_room(m->except[i], &except[out.n_except]))
            out.n_except++;
    own = out.n_rooms == 1 && (!a->sharded || peal_sio_redis_own_channel(
                                                  PEAL_SIO_REDIS_DYNAMIC, out.rooms[0]));
    peal_adapter_send(
        a, &out, PEAL_SIO_REDIS_ON_BROADCAST, own ? out.rooms[0] : PEAL_S(""));
done:
    peal_blob_drop(bytes);
    peal_buf_fini(&text);
}

/* SPDX-License-Identifier: MIT */
/*
 * Names of channels: how a Socket.IO room and its namespace are written as one name, and
 * read back. hub.h says how; nothing here knows whether such a channel exists.
 *
 * Thread: any.
 */
#include "hub/hub.h"

peal_err
peal_room_channel(struct peal_slice nsp, struct peal_slice room, struct peal_buf *out)
{
    bool root = peal_slice_eq(nsp, PEAL_S("/"));
    peal_err err = PEAL_OK;

    if (!root || room.len == 0 || room.data[0] == '/') {
        if ((err = peal_buf_add_slice(out, nsp)) == PEAL_OK)
            err = peal_buf_add_char(out, '#');
    }
    return err == PEAL_OK ? peal_buf_add_slice(out, room) : err;
}

struct peal_slice
peal_channel_nsp(struct peal_slice channel)
{
    if (channel.len == 0 || channel.data[0] != '/')
        return PEAL_S("/");
    return peal_slice_cut(&channel, '#');
}

bool
peal_channel_room(struct peal_slice channel, struct peal_slice *room_out)
{
    struct peal_slice rest = channel;

    *room_out = channel;
    if (channel.len == 0 || channel.data[0] != '/')
        return true;
    peal_slice_cut(&rest, '#');
    *room_out = rest;
    return rest.data != NULL;
}

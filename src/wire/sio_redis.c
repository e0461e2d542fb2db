/* SPDX-License-Identifier: MIT */
/* The Redis wire of Socket.IO: names of channels, numbers of types, whose a message is.
 */
#include "wire/sio_redis.h"

#include "base/json.h"
#include "wire/sio_redis_priv.h"

#define SOCKET_ID_LEN 20 /* as JavaScript counts: UTF-16 code units */

#define NONE PEAL_SIO_REDIS_NO_TYPE

const struct peal_sio_redis_type peal_sio_redis_types[PEAL_SIO_REDIS_OPS] = {
    [PEAL_SIO_REDIS_BROADCAST] = { 7, 3, PEAL_SIO_REDIS_MAY_ID },
    [PEAL_SIO_REDIS_JOIN] = { 2, 4, PEAL_SIO_REDIS_NO_ID },
    [PEAL_SIO_REDIS_LEAVE] = { 3, 5, PEAL_SIO_REDIS_NO_ID },
    [PEAL_SIO_REDIS_DISCONNECT] = { 4, 6, PEAL_SIO_REDIS_NO_ID },
    [PEAL_SIO_REDIS_FETCH] = { 5, 7, PEAL_SIO_REDIS_ID },
    [PEAL_SIO_REDIS_SERVER_EMIT] = { 6, 9, PEAL_SIO_REDIS_MAY_ID },
    [PEAL_SIO_REDIS_ASK_IDS] = { 0, NONE, PEAL_SIO_REDIS_ID },
    [PEAL_SIO_REDIS_ASK_ROOMS] = { 1, NONE, PEAL_SIO_REDIS_ID },
    [PEAL_SIO_REDIS_SOCKETS] = { NONE, 8, PEAL_SIO_REDIS_ID },
    [PEAL_SIO_REDIS_ROOMS] = { NONE, NONE, PEAL_SIO_REDIS_ID },
    [PEAL_SIO_REDIS_EMIT_ANSWER] = { 6, 10, PEAL_SIO_REDIS_ID },
    [PEAL_SIO_REDIS_COUNT] = { 8, 11, PEAL_SIO_REDIS_ID },
    [PEAL_SIO_REDIS_ACK] = { 9, 12, PEAL_SIO_REDIS_ID },
    [PEAL_SIO_REDIS_DONE] = { NONE, NONE, PEAL_SIO_REDIS_ID },
};

static const struct peal_slice middles[] = {
    [PEAL_SIO_REDIS_ON_BROADCAST] = { "#", 1 },
    [PEAL_SIO_REDIS_ON_REQUEST] = { "-request#", 9 },
    [PEAL_SIO_REDIS_ON_RESPONSE] = { "-response#", 10 },
};

peal_err
peal_sio_redis_channel(struct peal_buf *out, enum peal_sio_redis_channel c,
    struct peal_slice key, struct peal_slice nsp, struct peal_slice tail)
{
    size_t before = out->len;
    peal_err err;

    if ((err = peal_buf_add_slice(out, key)) == PEAL_OK &&
        (err = peal_buf_add_slice(out, middles[c])) == PEAL_OK &&
        (err = peal_buf_add_slice(out, nsp)) == PEAL_OK &&
        (err = peal_buf_add_char(out, '#')) == PEAL_OK && tail.data != NULL &&
        (err = peal_buf_add_slice(out, tail)) == PEAL_OK)
        err = peal_buf_add_char(out, '#');
    if (err != PEAL_OK)
        out->len = before;
    return err;
}

static peal_err
add_escaped(struct peal_buf *out, struct peal_slice s)
{
    peal_err err = PEAL_OK;

    for (size_t i = 0; i < s.len && err == PEAL_OK; i++) {
        if (memchr("*?[]\\", s.data[i], 5) != NULL)
            err = peal_buf_add_char(out, '\\');
        if (err == PEAL_OK)
            err = peal_buf_add_char(out, s.data[i]);
    }
    return err;
}

peal_err
peal_sio_redis_pattern(struct peal_buf *out, struct peal_slice key, struct peal_slice nsp)
{
    size_t before = out->len;
    peal_err err;

    if ((err = add_escaped(out, key)) == PEAL_OK &&
        (err = peal_buf_add_char(out, '#')) == PEAL_OK &&
        (err = add_escaped(out, nsp)) == PEAL_OK)
        err = peal_buf_add(out, "#*", 2);
    if (err != PEAL_OK)
        out->len = before;
    return err;
}

bool
peal_sio_redis_split(struct peal_slice channel, struct peal_slice key,
    enum peal_sio_redis_channel *c_out, struct peal_slice *nsp_out,
    struct peal_slice *tail_out)
{
    enum peal_sio_redis_channel c = PEAL_SIO_REDIS_ON_BROADCAST;
    struct peal_slice rest, nsp;

    if (channel.len == 0 || channel.data[channel.len - 1] != '#' ||
        !peal_slice_starts(channel, key))
        return false;
    rest = peal_slice_skip(channel, key.len);
    while (!peal_slice_starts(rest, middles[c]))
        if (c++ == PEAL_SIO_REDIS_ON_RESPONSE)
            return false;
    rest = peal_slice_skip(rest, middles[c].len);
    nsp = peal_slice_cut(&rest, '#');
    if (nsp.len == 0 || nsp.data[0] != '/')
        return false;
    *c_out = c;
    *nsp_out = nsp;
    *tail_out =
        rest.len > 0 ? peal_slice_of(rest.data, rest.len - 1) : peal_slice_of(NULL, 0);
    return true;
}

static size_t
utf16_len(struct peal_slice s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];

        n += ((c & 0xc0) != 0x80) + (c >= 0xf0);
    }
    return n;
}

bool
peal_sio_redis_own_channel(struct peal_slice room)
{
    return utf16_len(room) != SOCKET_ID_LEN;
}

static struct peal_slice
uid_of_json(struct peal_slice bytes)
{
    struct peal_slice rest = peal_slice_skip(bytes, 1), key, value;

    while (peal_json_field(&rest, &key, &value))
        if (peal_json_string_is(key, PEAL_S("uid")) && value.data[0] == '"')
            return peal_slice_of(value.data + 1, value.len - 2);
    return peal_slice_of(NULL, 0);
}

/* A classic broadcast is an array that begins with it. */
static struct peal_slice
uid_of_msgpack(struct peal_slice rest)
{
    struct peal_slice uid = { NULL, 0 }, key;
    bool array = peal_msgpack_peek(rest) == PEAL_MSGPACK_ARRAY, found = array;
    peal_err err;
    uint32_t n;

    err = array ? peal_msgpack_array(&rest, &n) : peal_msgpack_map(&rest, &n);
    for (; err == PEAL_OK && n > 0 && !found; n--) {
        if ((err = peal_msgpack_str(&rest, &key)) != PEAL_OK)
            break;
        if (!(found = peal_slice_eq(key, PEAL_S("uid"))))
            err = peal_msgpack_skip(&rest);
    }
    if (err == PEAL_OK && found && peal_msgpack_str(&rest, &uid) != PEAL_OK)
        uid = peal_slice_of(NULL, 0);
    return uid;
}

struct peal_slice
peal_sio_redis_uid(struct peal_slice bytes)
{
    return bytes.len > 0 && bytes.data[0] == '{' ? uid_of_json(bytes)
                                                 : uid_of_msgpack(bytes);
}

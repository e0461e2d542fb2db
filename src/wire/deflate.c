/* SPDX-License-Identifier: MIT */
/*
 * Deflate: a scratch of zlib streams, reset before every message.
 *
 * permessage-deflate cuts the four bytes 00 00 ff ff, with which a sync flush ends, off
 * every message (RFC 7692 section 7.2.1); the receiver puts them back.
 */
#include "wire/deflate.h"

#include <limits.h>
#include <stdlib.h>

#include "base/assert.h"
#include "wire/zlib_priv.h"

#define N_BITS (PEAL_DEFLATE_BITS_MAX - PEAL_DEFLATE_BITS_MIN + 1)

struct peal_deflate {
    int level, mem_level;
    size_t threshold;
    struct peal_zstream inflater;
    struct peal_zstream deflaters[N_BITS]; /* by window bits */
};

static const char tail[4] = { '\x00', '\x00', '\xff', '\xff' };

peal_err
peal_deflate_new(int level, int mem_level, struct peal_deflate **out)
{
    struct peal_deflate *z;

    if (level < 0 || level > 9 || mem_level < 1 || mem_level > 9)
        return PEAL_EINVAL;
    if ((z = calloc(1, sizeof(*z))) == NULL)
        return PEAL_ENOMEM;
    z->level = level;
    z->mem_level = mem_level;
    z->threshold = PEAL_DEFLATE_THRESHOLD;
    *out = z;
    return PEAL_OK;
}

void
peal_deflate_free(struct peal_deflate **zp)
{
    struct peal_deflate *z = *zp;

    if (z == NULL)
        return;
    peal_zstream_inflate_fini(&z->inflater);
    for (size_t i = 0; i < N_BITS; i++)
        peal_zstream_deflate_fini(&z->deflaters[i]);
    free(z);
    *zp = NULL;
}

void
peal_deflate_set_threshold(struct peal_deflate *z, size_t bytes)
{
    z->threshold = bytes;
}

bool
peal_deflate_pays(const struct peal_deflate *z, size_t payload_len)
{
    return payload_len > 0 && payload_len >= z->threshold;
}

peal_err
peal_deflate_message(
    struct peal_deflate *z, int window_bits, struct peal_slice in, struct peal_buf *out)
{
    struct peal_zstream *s = &z->deflaters[window_bits - PEAL_DEFLATE_BITS_MIN];
    size_t before = out->len, room;
    peal_err err;

    PEAL_ASSERT(
        window_bits >= PEAL_DEFLATE_BITS_MIN && window_bits <= PEAL_DEFLATE_BITS_MAX);
    if (in.len > UINT_MAX / 2 ||
        !peal_zstream_deflate(s, z->level, -window_bits, z->mem_level))
        return PEAL_ENOMEM;
    peal_zstream_in(s, in);
    room = deflateBound(&s->z, (uLong)in.len) +
           16; /* the flush marker is not in the bound */
    do {
        if ((err = peal_buf_reserve(out, room)) != PEAL_OK) {
            out->len = before;
            return err;
        }
        peal_zstream_out(s, out->data + out->len, room);
        deflate(&s->z, Z_SYNC_FLUSH);
        out->len += room - s->z.avail_out;
    } while (s->z.avail_out == 0);
    PEAL_ASSERT(out->len - before > sizeof(tail));
    out->len -= sizeof(tail);
    return PEAL_OK;
}

/*
 * Inflates all of in, until out is full up to limit. ended_out: in ended with the end of
 * a stream. A block marked as final need not be the last (RFC 7692 section 7.2.3.4).
 */
static peal_err
inflate_all(struct peal_zstream *s, struct peal_slice in, size_t limit,
    struct peal_buf *out, bool *ended_out)
{
    peal_zstream_in(s, in);
    for (;;) {
        size_t room;
        int rc;

        if (peal_buf_reserve(out, 1) != PEAL_OK)
            return PEAL_ENOMEM;
        room = out->cap - out->len;
        if (room > limit - out->len)
            room = limit - out->len + 1; /* one beyond shows that there is more */
        if (room > UINT_MAX)
            room = UINT_MAX;
        peal_zstream_out(s, out->data + out->len, room);
        rc = inflate(&s->z, Z_SYNC_FLUSH);
        out->len += room - s->z.avail_out;
        if (out->len > limit)
            return PEAL_ELIMIT;
        *ended_out = rc == Z_STREAM_END;
        if (rc == Z_MEM_ERROR)
            return PEAL_ENOMEM;
        if (rc == Z_STREAM_END && s->z.avail_in == 0)
            return PEAL_OK;
        if (rc == Z_STREAM_END)
            inflateReset(&s->z);
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return PEAL_EPROTO;
        else if (s->z.avail_out > 0)
            return PEAL_OK; /* room was left, so all of in was used */
    }
}

/* zlib says so in data_type: between two blocks, where a whole message leaves it. */
static bool
between_blocks(const z_stream *s)
{
    return (s->data_type & 128) != 0;
}

static peal_err
inflate_message(
    struct peal_zstream *s, struct peal_slice in, size_t limit, struct peal_buf *out)
{
    bool ended = false;
    peal_err err;

    if ((err = inflate_all(s, in, limit, out, &ended)) != PEAL_OK || ended)
        return err;
    err = inflate_all(s, peal_slice_of(tail, sizeof(tail)), limit, out, &ended);
    if (err != PEAL_OK || ended)
        return err;
    return between_blocks(&s->z) ? PEAL_OK : PEAL_EPROTO;
}

peal_err
peal_inflate_message(
    struct peal_deflate *z, struct peal_slice in, size_t max_out, struct peal_buf *out)
{
    size_t before = out->len;
    peal_err err;

    if (in.len == 0)
        return PEAL_OK; /* strictly it is one zero byte; some senders leave it out */
    if (in.len > UINT_MAX)
        return PEAL_ELIMIT;
    if (!peal_zstream_inflate(&z->inflater, -PEAL_DEFLATE_BITS_MAX))
        return PEAL_ENOMEM;
    if (max_out > SIZE_MAX / 2 - before)
        max_out = SIZE_MAX / 2 - before;
    err = inflate_message(&z->inflater, in, before + max_out, out);
    if (err != PEAL_OK)
        out->len = before;
    return err;
}

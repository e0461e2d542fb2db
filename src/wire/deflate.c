/* SPDX-License-Identifier: MIT */
/*
 * Deflate: a scratch of zlib streams, reset before every message.
 *
 * permessage-deflate cuts the four bytes 00 00 ff ff, with which a sync flush ends, off
 * every message (RFC 7692 section 7.2.1); the receiver puts them back.
 */
#include "wire/deflate.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#define N_BITS (PEAL_DEFLATE_BITS_MAX - PEAL_DEFLATE_BITS_MIN + 1)

struct peal_deflate {
    int level, mem_level;
    size_t threshold;
    bool inflater_ready;
    bool deflater_ready[N_BITS];
    z_stream inflater;
    z_stream deflaters[N_BITS]; /* by window bits; zlib keeps pointers to them */
};

static const char tail[4] = { '\x00', '\x00', '\xff', '\xff' };

/* zlib's own is the same, but out of reach of tests that let allocations fail. */
static void *
zlib_alloc(void *opaque, unsigned items, unsigned size)
{
    return malloc((size_t)items * size);
}

static void
zlib_free(void *opaque, void *p)
{
    free(p);
}

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
    if (z->inflater_ready)
        inflateEnd(&z->inflater);
    for (size_t i = 0; i < N_BITS; i++) {
        if (z->deflater_ready[i])
            deflateEnd(&z->deflaters[i]);
    }
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

/* A deflater as new for the window, or NULL: out of memory. */
static z_stream *
deflater(struct peal_deflate *z, int window_bits)
{
    int i = window_bits - PEAL_DEFLATE_BITS_MIN;
    z_stream *s = &z->deflaters[i];

    if (z->deflater_ready[i]) {
        deflateReset(s);
        return s;
    }
    s->zalloc = zlib_alloc;
    s->zfree = zlib_free;
    if (deflateInit2(s, z->level, Z_DEFLATED, -window_bits, z->mem_level,
            Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    z->deflater_ready[i] = true;
    return s;
}

peal_err
peal_deflate_message(
    struct peal_deflate *z, int window_bits, struct peal_slice in, struct peal_buf *out)
{
    size_t before = out->len, room;
    z_stream *s;
    peal_err err;

    assert(window_bits >= PEAL_DEFLATE_BITS_MIN && window_bits <= PEAL_DEFLATE_BITS_MAX);
    if (in.len > UINT_MAX / 2)
        return PEAL_ENOMEM;
    if ((s = deflater(z, window_bits)) == NULL)
        return PEAL_ENOMEM;
    s->next_in = (z_const Bytef *)in.data;
    s->avail_in = (uInt)in.len;
    room = deflateBound(s, (uLong)in.len) + 16; /* the flush marker is not in the bound */
    do {
        if ((err = peal_buf_reserve(out, room)) != PEAL_OK) {
            out->len = before;
            return err;
        }
        s->next_out = (Bytef *)out->data + out->len;
        s->avail_out = (uInt)room;
        deflate(s, Z_SYNC_FLUSH);
        out->len += room - s->avail_out;
    } while (s->avail_out == 0);
    assert(out->len - before > sizeof(tail));
    out->len -= sizeof(tail);
    return PEAL_OK;
}

/*
 * Inflates all of in, until out is full up to limit. ended_out: in ended with the end of
 * a stream. A block marked as final need not be the last (RFC 7692 section 7.2.3.4).
 */
static peal_err
inflate_all(z_stream *s, struct peal_slice in, size_t limit, struct peal_buf *out,
    bool *ended_out)
{
    s->next_in = (z_const Bytef *)in.data;
    s->avail_in = (uInt)in.len;
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
        s->next_out = (Bytef *)out->data + out->len;
        s->avail_out = (uInt)room;
        rc = inflate(s, Z_SYNC_FLUSH);
        out->len += room - s->avail_out;
        if (out->len > limit)
            return PEAL_ELIMIT;
        *ended_out = rc == Z_STREAM_END;
        if (rc == Z_MEM_ERROR)
            return PEAL_ENOMEM;
        if (rc == Z_STREAM_END && s->avail_in == 0)
            return PEAL_OK;
        if (rc == Z_STREAM_END)
            inflateReset(s);
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return PEAL_EPROTO;
        else if (s->avail_out > 0)
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
inflate_message(z_stream *s, struct peal_slice in, size_t limit, struct peal_buf *out)
{
    bool ended = false;
    peal_err err;

    if ((err = inflate_all(s, in, limit, out, &ended)) != PEAL_OK || ended)
        return err;
    err = inflate_all(s, peal_slice_of(tail, sizeof(tail)), limit, out, &ended);
    if (err != PEAL_OK || ended)
        return err;
    return between_blocks(s) ? PEAL_OK : PEAL_EPROTO;
}

/* Makes the inflater as new. false: out of memory. */
static bool
inflater(struct peal_deflate *z)
{
    if (z->inflater_ready)
        return inflateReset(&z->inflater) == Z_OK;
    z->inflater.zalloc = zlib_alloc;
    z->inflater.zfree = zlib_free;
    if (inflateInit2(&z->inflater, -PEAL_DEFLATE_BITS_MAX) != Z_OK)
        return false;
    z->inflater_ready = true;
    return true;
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
    if (!inflater(z))
        return PEAL_ENOMEM;
    if (max_out > SIZE_MAX / 2 - before)
        max_out = SIZE_MAX / 2 - before;
    err = inflate_message(&z->inflater, in, before + max_out, out);
    if (err != PEAL_OK)
        out->len = before;
    return err;
}

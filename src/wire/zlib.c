/* SPDX-License-Identifier: MIT */
/* zlib streams: set up once, with this program's allocator, then reset. */
#include <stdlib.h>

#include "wire/zlib_priv.h"

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

static void
set_up(struct peal_zstream *s)
{
    s->z = (z_stream){ .zalloc = zlib_alloc, .zfree = zlib_free };
}

bool
peal_zstream_deflate(struct peal_zstream *s, int level, int window_bits, int mem_level)
{
    if (s->ready)
        return deflateReset(&s->z) == Z_OK;
    set_up(s);
    s->ready = deflateInit2(&s->z, level, Z_DEFLATED, window_bits, mem_level,
                   Z_DEFAULT_STRATEGY) == Z_OK;
    return s->ready;
}

bool
peal_zstream_inflate(struct peal_zstream *s, int window_bits)
{
    if (s->ready)
        return inflateReset(&s->z) == Z_OK;
    set_up(s);
    s->ready = inflateInit2(&s->z, window_bits) == Z_OK;
    return s->ready;
}

void
peal_zstream_deflate_fini(struct peal_zstream *s)
{
    if (s->ready)
        deflateEnd(&s->z);
    s->ready = false;
}

void
peal_zstream_inflate_fini(struct peal_zstream *s)
{
    if (s->ready)
        inflateEnd(&s->z);
    s->ready = false;
}

/* SPDX-License-Identifier: MIT */
/*
 * zlib streams, for the two files that compress. Each keeps its streams and resets them
 * before every body or message: that is cheaper than the memory of a new one.
 */
#ifndef PEAL_WIRE_ZLIB_PRIV_H
#define PEAL_WIRE_ZLIB_PRIV_H

#include <stdbool.h>
#include <zlib.h>

#include "base/slice.h"

/* A stream that is set up when it is first used. Zeroed: it is not. It must stay where it
 * is, for zlib keeps pointers to it. */
struct peal_zstream {
    z_stream z;
    bool ready;
};

/*
 * These make s ready for a new body; window_bits and what follows are zlib's, and the
 * same at each call. They return false without memory. peal_zstream_fini releases it.
 */
bool peal_zstream_deflate(
    struct peal_zstream *s, int level, int window_bits, int mem_level);
bool peal_zstream_inflate(struct peal_zstream *s, int window_bits);
void peal_zstream_deflate_fini(struct peal_zstream *s);
void peal_zstream_inflate_fini(struct peal_zstream *s);

/* Sets the input; len is at most UINT_MAX. */
static inline void
peal_zstream_in(struct peal_zstream *s, struct peal_slice in)
{
    s->z.next_in = (z_const Bytef *)in.data;
    s->z.avail_in = (uInt)in.len;
}

/* Sets where the output goes, at most UINT_MAX bytes. */
static inline void
peal_zstream_out(struct peal_zstream *s, char *out, size_t room)
{
    s->z.next_out = (Bytef *)out;
    s->z.avail_out = (uInt)room;
}

#endif

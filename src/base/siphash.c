/* SPDX-License-Identifier: MIT */
/*
 * SipHash-2-4 as its paper describes it: 64-bit little-endian words are mixed into a
 * state of four words with two rounds each, the last word carries the length, and four
 * rounds end it. The names v0 to v3 are the paper's.
 */
#include "base/siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotate_left(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void
sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotate_left(s->v1, 13) ^ s->v0;
    s->v0 = rotate_left(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate_left(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate_left(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate_left(s->v1, 17) ^ s->v2;
    s->v2 = rotate_left(s->v2, 32);
}

static inline void
sip_mix(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

/* The word at p, of which n bytes (up to 8) are there; the others are zero. */
static inline uint64_t
word_at(const unsigned char *p, size_t n)
{
    uint64_t w = 0;

    if (n > 0)
        memcpy(&w, p, n);
    return le64toh(w);
}

uint64_t
peal_siphash(const uint8_t key[PEAL_SIPHASH_KEY_LEN], const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t k0 = word_at(key, 8), k1 = word_at(key + 8, 8);
    struct sip s = { k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull,
        k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull };
    size_t left = len;

    for (; left >= 8; p += 8, left -= 8)
        sip_mix(&s, word_at(p, 8));
    sip_mix(&s, word_at(p, left) | (uint64_t)len << 56);
    s.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

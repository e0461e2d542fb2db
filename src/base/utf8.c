/* SPDX-License-Identifier: MIT */
/*
 * UTF-8: the first byte of a character says how many follow and in which range the second
 * one must be; that range is what keeps overlong forms, surrogates and numbers beyond
 * U+10FFFF out. Runs of ASCII, which most text is, go eight bytes at a time.
 */
#include "base/utf8.h"

static inline bool
take_first(struct peal_utf8 *u, uint8_t c)
{
    u->lo = 0x80;
    u->hi = 0xbf;
    if (c < 0x80) {
        u->need = 0;
    } else if (c >= 0xc2 && c <= 0xdf) {
        u->need = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        u->need = 2;
        if (c == 0xe0)
            u->lo = 0xa0; /* below: overlong */
        if (c == 0xed)
            u->hi = 0x9f; /* above: surrogates */
    } else if (c >= 0xf0 && c <= 0xf4) {
        u->need = 3;
        if (c == 0xf0)
            u->lo = 0x90; /* below: overlong */
        if (c == 0xf4)
            u->hi = 0x8f; /* above: beyond U+10FFFF */
    } else {
        return false;
    }
    return true;
}

static inline size_t
ascii_run(const uint8_t *p, size_t n)
{
    size_t i = 0;
    uint64_t w;

    for (; n - i >= sizeof(w); i += sizeof(w)) {
        memcpy(&w, p + i, sizeof(w));
        if ((w & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    while (i < n && p[i] < 0x80)
        i++;
    return i;
}

bool
peal_utf8_feed(struct peal_utf8 *u, struct peal_slice piece)
{
    const uint8_t *p = (const uint8_t *)piece.data;
    struct peal_utf8 at = *u; /* in registers */
    size_t n = piece.len, i = 0;

    while (i < n) {
        if (at.need == 0) {
            i += ascii_run(p + i, n - i);
            if (i == n)
                break;
            if (!take_first(&at, p[i++]))
                return false;
        }
        for (; at.need > 0 && i < n; i++, at.need--) {
            if (p[i] < at.lo || p[i] > at.hi)
                return false;
            at.lo = 0x80;
            at.hi = 0xbf;
        }
    }
    *u = at;
    return true;
}

bool
peal_utf8_valid(struct peal_slice s)
{
    struct peal_utf8 u = { 0 };

    return peal_utf8_feed(&u, s) && peal_utf8_complete(&u);
}

size_t
peal_utf8_encode(unsigned c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

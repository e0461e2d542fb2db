/* SPDX-License-Identifier: MIT */
/* Slices: comparing, cutting and reading borrowed bytes. */
#include "base/slice.h"

static inline char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool
peal_slice_ieq(struct peal_slice a, struct peal_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

bool
peal_slice_eq_consttime(struct peal_slice a, struct peal_slice b)
{
    unsigned char diff = a.len != b.len;

    for (size_t i = 0; i < a.len; i++)
        diff |= (unsigned char)(a.data[i] ^ (b.len ? b.data[i % b.len] : 1));
    return diff == 0;
}

static inline bool
is_space(char c)
{
    return c == ' ' || c == '\t';
}

struct peal_slice
peal_slice_trim(struct peal_slice s)
{
    while (s.len > 0 && is_space(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.data[s.len - 1]))
        s.len--;
    return s;
}

struct peal_slice
peal_slice_cut(struct peal_slice *rest, char c)
{
    struct peal_slice head = *rest;
    const char *at = rest->len ? memchr(rest->data, c, rest->len) : NULL;

    if (at == NULL) {
        *rest = (struct peal_slice){ NULL, 0 };
        return head;
    }
    head.len = (size_t)(at - rest->data);
    rest->data = at + 1;
    rest->len -= head.len + 1;
    return head;
}

peal_err
peal_slice_u64(struct peal_slice s, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;

    if (s.len == 0)
        return PEAL_EINVAL;
    for (size_t i = 0; i < s.len; i++) {
        unsigned d = (unsigned)(unsigned char)s.data[i] - '0';

        if (d > 9 || n > (max - (d > max ? max : d)) / 10)
            return PEAL_EINVAL;
        n = n * 10 + d;
        if (n > max)
            return PEAL_EINVAL;
    }
    *out = n;
    return PEAL_OK;
}

bool
peal_slice_glob(struct peal_slice p, struct peal_slice s)
{
    size_t pi = 0, si = 0, star = SIZE_MAX, mark = 0;

    /* The classic two-pointer match: on a mismatch let the last star eat one byte more.
     */
    while (si < s.len) {
        if (pi < p.len && p.data[pi] == '*') {
            star = pi++;
            mark = si;
        } else if (pi < p.len && p.data[pi] == s.data[si]) {
            pi++;
            si++;
        } else if (star != SIZE_MAX) {
            pi = star + 1;
            si = ++mark;
        } else {
            return false;
        }
    }
    while (pi < p.len && p.data[pi] == '*')
        pi++;
    return pi == p.len;
}

/* Length of the sequence that starts at p, or 0 if it is not valid. */
static size_t
utf8_step(const unsigned char *p, size_t n)
{
    unsigned char lo = 0x80, hi = 0xbf;
    size_t len;

    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        len = 2;
    else if ((p[0] & 0xf0) == 0xe0)
        len = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        len = 4;
    else
        return 0;
    if (p[0] == 0xe0)
        lo = 0xa0;
    else if (p[0] == 0xed)
        hi = 0x9f;
    else if (p[0] == 0xf0)
        lo = 0x90;
    else if (p[0] == 0xf4)
        hi = 0x8f;
    if (n < len || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

bool
peal_utf8_valid(struct peal_slice s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t i = 0;

    while (i < s.len) {
        uint64_t eight;
        size_t step;

        if (s.len - i >= 8) { /* eight ASCII bytes at a time: most text is */
            memcpy(&eight, p + i, 8);
            if ((eight & 0x8080808080808080ull) == 0) {
                i += 8;
                continue;
            }
        }
        if (p[i] < 0x80) {
            i++;
            continue;
        }
        if ((step = utf8_step(p + i, s.len - i)) == 0)
            return false;
        i += step;
    }
    return true;
}

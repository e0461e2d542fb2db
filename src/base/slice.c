/* SPDX-License-Identifier: MIT */
/* Slices: comparing, cutting and reading borrowed bytes. */
#include "base/slice.h"

#include "base/ascii.h"

bool
peal_slice_ieq(struct peal_slice a, struct peal_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (peal_ascii_lower(a.data[i]) != peal_ascii_lower(b.data[i]))
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

struct peal_slice
peal_slice_trim(struct peal_slice s)
{
    while (s.len > 0 && peal_ascii_is_blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && peal_ascii_is_blank(s.data[s.len - 1]))
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

/* SPDX-License-Identifier: MIT */
/*
 * Query strings: walked pair by pair where they are; only a value that is asked for
 * is decoded. Keys are compared escape by escape, without a copy.
 */
#include "wire/query.h"

#include "base/ascii.h"

bool
peal_query_next(
    struct peal_slice *rest, struct peal_slice *key_raw, struct peal_slice *value_raw)
{
    while (rest->len > 0) {
        struct peal_slice pair = peal_slice_cut(rest, '&');

        if (pair.len == 0)
            continue;
        *key_raw = peal_slice_cut(&pair, '=');
        /* Absent or empty is the same; a slice at the pair's end says "was there". */
        if (pair.data == NULL)
            pair = (struct peal_slice){ key_raw->data + key_raw->len, 0 };
        *value_raw = pair;
        return true;
    }
    return false;
}

/* Takes one byte off the front of *s, escaped or not; -1: a bad escape or a zero byte. */
static int
next_byte(struct peal_slice *s, enum peal_plus plus)
{
    const char *p = s->data;
    int hi, lo, c;

    if (p[0] != '%') {
        *s = peal_slice_skip(*s, 1);
        c = p[0] == '+' && plus == PEAL_PLUS_IS_SPACE ? ' ' : (unsigned char)p[0];
        return c == 0 ? -1 : c;
    }
    if (s->len < 3 || (hi = peal_ascii_hex(p[1])) < 0 || (lo = peal_ascii_hex(p[2])) < 0)
        return -1;
    *s = peal_slice_skip(*s, 3);
    c = hi << 4 | lo;
    return c == 0 ? -1 : c;
}

peal_err
peal_percent_decode(struct peal_slice in, enum peal_plus plus, struct peal_buf *out)
{
    size_t len_before = out->len;
    peal_err err;

    if ((err = peal_buf_reserve(out, in.len)) != PEAL_OK)
        return err;
    while (in.len > 0) {
        int c = next_byte(&in, plus);

        if (c < 0) {
            out->len = len_before;
            return PEAL_EPROTO;
        }
        out->data[out->len++] = (char)c;
    }
    return PEAL_OK;
}

static bool
key_is(struct peal_slice raw, struct peal_slice key)
{
    size_t i = 0;

    while (raw.len > 0) {
        int c = next_byte(&raw, PEAL_PLUS_IS_SPACE);

        if (c < 0 || i == key.len || c != (unsigned char)key.data[i++])
            return false;
    }
    return i == key.len;
}

struct peal_slice
peal_query_raw(struct peal_slice query, struct peal_slice key)
{
    struct peal_slice k, v, found = { NULL, 0 };

    while (peal_query_next(&query, &k, &v))
        if (key_is(k, key))
            found = v;
    return found;
}

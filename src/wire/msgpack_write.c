/* SPDX-License-Identifier: MIT */
/*
 * MessagePack written straight from JSON text, in one pass. Every value has the shortest
 * head there is for it, as the JavaScript libraries write it; a number that is not whole
 * is a float64. How many items a container has is known only at its end, and whether it
 * stands for an attachment too; so one byte is left for its head, which is put there, or
 * replaced, when it closes.
 */
#include "wire/msgpack.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "base/id.h"
#include "base/json.h"
#include "wire/sio_mark_priv.h"

#define NUMBER_MAX 64 /* bytes of a JSON number that needs no allocation */
#define NIL '\xc0'
#define FALSE '\xc2'
#define TRUE '\xc3'
#define DIGITS_MAX (UINT64_C(1) << 53)

/* One more than a payload's items may have: they are checked apart from their array. */
#define DEPTH_MAX (PEAL_JSON_DEPTH_MAX + 1)

struct frame {
    size_t at; /* of its head in out */
    uint32_t n;
    bool map, key_next, bad; /* bad: what it was before this one opened */
    struct peal_sio_mark mark;
};

struct from_json {
    struct peal_buf *out;
    struct peal_blob *const *atts;
    unsigned n_atts, depth;
    bool bad;      /* a placeholder is out of range */
    size_t budget; /* bytes of attachments, as base64, that may still be written */
    struct frame frames[DEPTH_MAX];
};

/* A byte that tells the type, then n in so many bytes, the highest first. */
static peal_err
put_head(struct peal_buf *out, unsigned type, uint64_t n, unsigned bytes)
{
    char head[9];

    head[0] = (char)type;
    for (unsigned i = 0; i < bytes; i++)
        head[1 + i] = (char)(n >> 8 * (bytes - 1 - i));
    return peal_buf_add(out, head, 1 + bytes);
}

/* Types whose length takes 1, 2 or 4 bytes and which follow each other. 0: there is none
 * with a length of one byte. */
static peal_err
put_length(struct peal_buf *out, unsigned type8, unsigned type16, uint64_t n)
{
    if (n <= UINT8_MAX && type8 != 0)
        return put_head(out, type8, n, 1);
    return n <= UINT16_MAX ? put_head(out, type16, n, 2)
                           : put_head(out, type16 + 1, n, 4);
}

static peal_err
pack_uint(struct peal_buf *out, uint64_t n)
{
    if (n < 128)
        return peal_buf_add_char(out, (char)n);
    if (n <= UINT8_MAX)
        return put_head(out, 0xcc, n, 1);
    if (n <= UINT16_MAX)
        return put_head(out, 0xcd, n, 2);
    return n <= UINT32_MAX ? put_head(out, 0xce, n, 4) : put_head(out, 0xcf, n, 8);
}

/* n < 0 */
static peal_err
pack_negative(struct peal_buf *out, int64_t n)
{
    uint64_t bits = (uint64_t)n; /* two's complement, of which the end is written */

    if (n >= -32)
        return peal_buf_add_char(out, (char)n);
    if (n >= INT8_MIN)
        return put_head(out, 0xd0, bits, 1);
    if (n >= INT16_MIN)
        return put_head(out, 0xd1, bits, 2);
    return n >= INT32_MIN ? put_head(out, 0xd2, bits, 4) : put_head(out, 0xd3, bits, 8);
}

static peal_err
pack_float64(struct peal_buf *out, double d)
{
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    return put_head(out, 0xcb, bits, 8);
}

static peal_err
pack_str(struct peal_buf *out, struct peal_slice s)
{
    peal_err err = s.len < 32 ? peal_buf_add_char(out, (char)(0xa0 | s.len))
                              : put_length(out, 0xd9, 0xda, s.len);

    return err == PEAL_OK ? peal_buf_add_slice(out, s) : err;
}

static peal_err
pack_bin(struct peal_buf *out, struct peal_slice s)
{
    peal_err err = put_length(out, 0xc4, 0xc5, s.len);

    return err == PEAL_OK ? peal_buf_add_slice(out, s) : err;
}

static peal_err
pack_string(struct from_json *f, struct peal_slice token)
{
    struct peal_buf text = { 0 };
    peal_err err;

    if (token.len < 2 || token.data[0] != '"')
        return PEAL_EPROTO;
    if (memchr(token.data, '\\', token.len) == NULL)
        return pack_str(f->out, peal_slice_of(token.data + 1, token.len - 2));
    if ((err = peal_json_unquote(&text, token)) == PEAL_OK)
        err = pack_str(f->out, peal_buf_slice(&text));
    peal_buf_fini(&text);
    return err;
}

/* Takes digits off *rest. Returns how many; *n grows by them, up to DIGITS_MAX. */
static unsigned
take_digits(struct peal_slice *rest, uint64_t *n)
{
    unsigned digits = 0;

    while (digits < rest->len && peal_ascii_is_digit(rest->data[digits])) {
        if (*n <= DIGITS_MAX)
            *n = *n * 10 + (uint64_t)(rest->data[digits] - '0');
        digits++;
    }
    *rest = peal_slice_skip(*rest, digits);
    return digits;
}

/* Most numbers are short: digits below 2^53, and ten to the 22nd, are exact as doubles,
 * and one operation on exact ones is rounded right. false: this one is not short. */
static bool
short_double(struct peal_slice v, double *out)
{
    static const double tens[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10,
        1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    bool negative = v.data[0] == '-';
    struct peal_slice rest = peal_slice_skip(v, negative);
    uint64_t n = 0;
    unsigned scale = 0;

    take_digits(&rest, &n);
    if (rest.len > 0 && rest.data[0] == '.') {
        rest = peal_slice_skip(rest, 1);
        scale = take_digits(&rest, &n);
    }
    if (rest.len > 0 || n > DIGITS_MAX || scale >= sizeof(tens) / sizeof(*tens))
        return false;
    *out = (double)n / tens[scale] * (negative ? -1 : 1);
    return true;
}

/* strtod wants a zero at the end. Few numbers do not fit on the stack. */
static peal_err
pack_double(struct from_json *f, struct peal_slice v)
{
    char text[NUMBER_MAX], *copy = text;
    peal_err err;
    double d;

    if (short_double(v, &d))
        return pack_float64(f->out, d);
    if (v.len >= sizeof(text) && (copy = malloc(v.len + 1)) == NULL)
        return PEAL_ENOMEM;
    memcpy(copy, v.data, v.len);
    copy[v.len] = '\0';
    err = pack_float64(f->out, strtod(copy, NULL));
    if (copy != text)
        free(copy);
    return err;
}

static peal_err
pack_number(struct from_json *f, struct peal_slice v)
{
    bool whole = memchr(v.data, '.', v.len) == NULL &&
                 memchr(v.data, 'e', v.len) == NULL && memchr(v.data, 'E', v.len) == NULL;
    uint64_t u;

    if (whole && v.data[0] != '-' && peal_slice_u64(v, UINT64_MAX, &u) == PEAL_OK)
        return pack_uint(f->out, u);
    if (whole && v.data[0] == '-' && v.len > 1 &&
        peal_slice_u64(peal_slice_skip(v, 1), (uint64_t)INT64_MAX + 1, &u) == PEAL_OK)
        return u == 0 ? pack_uint(f->out, 0) : pack_negative(f->out, (int64_t)(0 - u));
    return pack_double(f, v);
}

static peal_err
pack_scalar(struct from_json *f, struct peal_slice v)
{
    switch (v.data[0]) {
    case '"':
        return pack_string(f, v);
    case 't':
        return peal_buf_add_char(f->out, TRUE);
    case 'f':
        return peal_buf_add_char(f->out, FALSE);
    case 'n':
        return peal_buf_add_char(f->out, NIL);
    default:
        if (v.data[0] != '-' && (v.data[0] < '0' || v.data[0] > '9'))
            return PEAL_EPROTO;
        return pack_number(f, v);
    }
}

static peal_err
pack_attachment(struct from_json *f, unsigned num)
{
    const struct peal_blob *b = f->atts[num];

    if (peal_base64_len(b->len) > f->budget)
        return peal_buf_add_char(f->out, NIL);
    f->budget -= peal_base64_len(b->len);
    return pack_bin(f->out, peal_blob_slice(b));
}

/* Writes the head of a container of n items at an offset where one byte was left for it,
 * and moves the items if the head is longer. */
static peal_err
close_head(struct peal_buf *out, size_t at, bool map, uint32_t n)
{
    unsigned more = n < 16 ? 0 : n < 65536 ? 2 : 4;
    peal_err err = peal_buf_reserve(out, more);

    if (err != PEAL_OK)
        return err;
    memmove(out->data + at + 1 + more, out->data + at + 1, out->len - at - 1);
    out->len += more;
    out->data[at] = (char)(more == 0   ? (map ? 0x80 : 0x90) | n
                           : more == 2 ? (map ? 0xde : 0xdc)
                                       : (map ? 0xdf : 0xdd));
    for (unsigned i = 0; i < more; i++)
        out->data[at + 1 + i] = (char)(n >> 8 * (more - 1 - i));
    return PEAL_OK;
}

/* The container that is open, or NULL. */
static struct frame *
top(struct from_json *f)
{
    return f->depth > 0 ? &f->frames[f->depth - 1] : NULL;
}

/* A value begins; what it is in has one item more. */
static void
count_value(struct from_json *f, struct peal_slice token)
{
    struct frame *in = top(f);

    if (in == NULL)
        return;
    in->n++;
    if (in->map && f->n_atts > 0)
        peal_sio_mark_value(&in->mark, token, f->n_atts);
}

static peal_err
open_container(struct from_json *f, bool map)
{
    count_value(f, PEAL_S(""));
    if (f->depth == DEPTH_MAX)
        return PEAL_ELIMIT;
    f->frames[f->depth++] = (struct frame){ .at = f->out->len,
        .map = map,
        .key_next = map,
        .bad = f->bad,
        .mark = PEAL_SIO_MARK_NONE };
    return peal_buf_add_char(f->out, 0);
}

static peal_err
close_container(struct from_json *f)
{
    const struct frame *c = top(f);

    if (c == NULL)
        return PEAL_EPROTO;
    f->depth--;
    if (c->mark.marked)
        f->bad = c->bad || c->mark.num < 0;
    if (!c->mark.marked || c->mark.num < 0)
        return close_head(f->out, c->at, c->map, c->n);
    f->out->len = c->at;
    return pack_attachment(f, (unsigned)c->mark.num);
}

static peal_err
pack_token(struct from_json *f, struct peal_slice token)
{
    struct frame *in = top(f);

    if (in == NULL || !in->key_next) {
        count_value(f, token);
        return pack_scalar(f, token);
    }
    in->key_next = false;
    if (f->n_atts > 0)
        peal_sio_mark_key(&in->mark, token);
    return pack_string(f, token);
}

/* Writes what *rest begins with and takes it off. */
static peal_err
step(struct from_json *f, struct peal_slice *rest)
{
    struct peal_slice token = *rest;
    char c = token.data[0];

    token.len = peal_json_token(token);
    *rest = peal_slice_skip(*rest, token.len);
    switch (c) {
    case '{':
    case '[':
        return open_container(f, c == '{');
    case '}':
    case ']':
        return close_container(f);
    case ',':
        if (top(f) != NULL)
            top(f)->key_next = top(f)->map;
        return PEAL_OK;
    case ':':
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return PEAL_OK;
    default:
        return pack_token(f, token);
    }
}

peal_err
peal_msgpack_from_json(struct peal_buf *out, struct peal_slice values,
    struct peal_blob *const *atts, unsigned n_atts)
{
    return peal_msgpack_from_pieces(out, &values, 1, atts, n_atts);
}

peal_err
peal_msgpack_from_pieces(struct peal_buf *out, const struct peal_slice *pieces,
    unsigned n, struct peal_blob *const *atts, unsigned n_atts)
{
    size_t before = out->len;
    struct from_json f;
    peal_err err = PEAL_OK;

    f.out = out;
    f.atts = atts;
    f.n_atts = n_atts;
    f.depth = 0;
    f.bad = false;
    f.budget = PEAL_SIO_REPEAT_MAX;
    for (unsigned i = 0; i < n_atts; i++)
        f.budget += peal_base64_len(atts[i]->len);
    for (unsigned i = 0; i < n && err == PEAL_OK; i++) {
        struct peal_slice rest = pieces[i];

        err = peal_buf_reserve(out, rest.len); /* mostly it is shorter than JSON */
        while (err == PEAL_OK && rest.len > 0)
            err = step(&f, &rest);
    }
    if (err == PEAL_OK && (f.depth > 0 || f.bad))
        err = PEAL_EPROTO;
    if (err != PEAL_OK)
        out->len = before;
    return err;
}

peal_err
peal_msgpack_add_map(struct peal_buf *out, uint32_t n)
{
    return n < 16 ? peal_buf_add_char(out, (char)(0x80 | n))
                  : put_length(out, 0, 0xde, n);
}

peal_err
peal_msgpack_add_array(struct peal_buf *out, uint32_t n)
{
    return n < 16 ? peal_buf_add_char(out, (char)(0x90 | n))
                  : put_length(out, 0, 0xdc, n);
}

peal_err
peal_msgpack_add_str(struct peal_buf *out, struct peal_slice s)
{
    return pack_str(out, s);
}

peal_err
peal_msgpack_add_uint(struct peal_buf *out, uint64_t n)
{
    return pack_uint(out, n);
}

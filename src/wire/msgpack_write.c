/* SPDX-License-Identifier: MIT */
/*
 * MessagePack written with msgpack-c, straight from JSON text, in one pass. How many
 * items a container has is known only at its end, and whether it stands for an attachment
 * too; so one byte is left for its head, which is put there, or replaced, when it closes.
 */
#include "wire/msgpack.h"

#include <msgpack.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/id.h"
#include "base/json.h"
#include "wire/sio_mark_priv.h"

#define NUMBER_MAX 64 /* bytes of a JSON number that needs no allocation */
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
    msgpack_packer pk;
    struct peal_buf *out;
    struct peal_blob *const *atts;
    unsigned n_atts, depth;
    bool bad;      /* a placeholder is out of range */
    size_t budget; /* bytes of attachments, as base64, that may still be written */
    struct frame frames[DEPTH_MAX];
};

static int
on_write(void *buf, const char *data, size_t len)
{
    return peal_buf_add(buf, data, len) == PEAL_OK ? 0 : -1;
}

/* msgpack-c's results as ours. */
static peal_err
packed(int result)
{
    return result == 0 ? PEAL_OK : PEAL_ENOMEM;
}

static peal_err
pack_str(msgpack_packer *pk, struct peal_slice s)
{
    if (msgpack_pack_str(pk, s.len) != 0)
        return PEAL_ENOMEM;
    return s.len == 0 ? PEAL_OK : packed(msgpack_pack_str_body(pk, s.data, s.len));
}

static peal_err
pack_string(struct from_json *f, struct peal_slice token)
{
    struct peal_buf text = { 0 };
    peal_err err;

    if (token.len < 2 || token.data[0] != '"')
        return PEAL_EPROTO;
    if (memchr(token.data, '\\', token.len) == NULL)
        return pack_str(&f->pk, peal_slice_of(token.data + 1, token.len - 2));
    if ((err = peal_json_unquote(&text, token)) == PEAL_OK)
        err = pack_str(&f->pk, peal_buf_slice(&text));
    peal_buf_fini(&text);
    return err;
}

/* Takes digits off *rest. Returns how many; *n grows by them, up to DIGITS_MAX. */
static unsigned
take_digits(struct peal_slice *rest, uint64_t *n)
{
    unsigned digits = 0;

    while (digits < rest->len && rest->data[digits] >= '0' && rest->data[digits] <= '9') {
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
        return packed(msgpack_pack_double(&f->pk, d));
    if (v.len >= sizeof(text) && (copy = malloc(v.len + 1)) == NULL)
        return PEAL_ENOMEM;
    memcpy(copy, v.data, v.len);
    copy[v.len] = '\0';
    err = packed(msgpack_pack_double(&f->pk, strtod(copy, NULL)));
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
        return packed(msgpack_pack_uint64(&f->pk, u));
    if (whole && v.data[0] == '-' && v.len > 1 &&
        peal_slice_u64(peal_slice_skip(v, 1), (uint64_t)INT64_MAX + 1, &u) == PEAL_OK)
        return packed(msgpack_pack_int64(&f->pk, (int64_t)(0 - u)));
    return pack_double(f, v);
}

static peal_err
pack_scalar(struct from_json *f, struct peal_slice v)
{
    switch (v.data[0]) {
    case '"':
        return pack_string(f, v);
    case 't':
        return packed(msgpack_pack_true(&f->pk));
    case 'f':
        return packed(msgpack_pack_false(&f->pk));
    case 'n':
        return packed(msgpack_pack_nil(&f->pk));
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
        return packed(msgpack_pack_nil(&f->pk));
    f->budget -= peal_base64_len(b->len);
    if (msgpack_pack_bin(&f->pk, b->len) != 0)
        return PEAL_ENOMEM;
    return b->len == 0 ? PEAL_OK : packed(msgpack_pack_bin_body(&f->pk, b->data, b->len));
}

/* Puts the head of n items before what was written from at on, where one byte has been
 * left for it: how many there are is only known after the walk. */
static peal_err
put_head(struct peal_buf *out, size_t at, bool map, uint32_t n)
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
        return put_head(f->out, c->at, c->map, c->n);
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
    msgpack_packer_init(&f.pk, out, on_write);
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

static msgpack_packer
packer(struct peal_buf *out)
{
    msgpack_packer pk;

    msgpack_packer_init(&pk, out, on_write);
    return pk;
}

peal_err
peal_msgpack_add_map(struct peal_buf *out, uint32_t n)
{
    msgpack_packer pk = packer(out);

    return packed(msgpack_pack_map(&pk, n));
}

peal_err
peal_msgpack_add_array(struct peal_buf *out, uint32_t n)
{
    msgpack_packer pk = packer(out);

    return packed(msgpack_pack_array(&pk, n));
}

peal_err
peal_msgpack_add_str(struct peal_buf *out, struct peal_slice s)
{
    msgpack_packer pk = packer(out);

    return pack_str(&pk, s);
}

peal_err
peal_msgpack_add_uint(struct peal_buf *out, uint64_t n)
{
    msgpack_packer pk = packer(out);

    return packed(msgpack_pack_uint64(&pk, n));
}

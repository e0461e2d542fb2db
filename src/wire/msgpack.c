/* SPDX-License-Identifier: MIT */
/*
 * MessagePack read by hand, straight into JSON text. Depth is bounded, so recursion is.
 * The other way is in msgpack_write.c.
 */
#include "wire/msgpack.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/json.h"
#include "base/utf8.h"

void
peal_msgpack_atts_fini(struct peal_msgpack_atts *a)
{
    for (unsigned i = 0; i < a->n; i++)
        peal_blob_release(a->blobs[i]);
    a->n = 0;
}

/* One value's head: what it is, and how much follows. */
struct head {
    enum {
        NIL,
        FALSE,
        TRUE,
        UINT,
        INT,
        DOUBLE,
        STR,
        BIN,
        EXT,
        ARRAY,
        MAP
    } kind;
    uint64_t n; /* UINT, INT: the number; STR, BIN, EXT: bytes; ARRAY, MAP: items */
    double d;
    int8_t ext;              /* type */
    bool fix;                /* EXT: one of fixext 1..16 */
    struct peal_slice bytes; /* STR, BIN, EXT */
};

static bool
take_be(struct peal_slice *s, unsigned size, uint64_t *out)
{
    uint64_t n = 0;

    if (s->len < size)
        return false;
    for (unsigned i = 0; i < size; i++)
        n = n << 8 | (uint8_t)s->data[i];
    *s = peal_slice_skip(*s, size);
    *out = n;
    return true;
}

static bool
take_sized(struct peal_slice *s, unsigned size, struct head *h, int kind)
{
    h->kind = kind;
    return take_be(s, size, &h->n);
}

static bool
take_int(struct peal_slice *s, unsigned size, struct head *h)
{
    unsigned shift = 64 - 8 * size;

    h->kind = INT;
    if (!take_be(s, size, &h->n))
        return false;
    h->n = (uint64_t)((int64_t)(h->n << shift) >> shift);
    return true;
}

static bool
take_float(struct peal_slice *s, unsigned size, struct head *h)
{
    uint64_t bits;
    uint32_t bits32;
    float f;

    h->kind = DOUBLE;
    if (!take_be(s, size, &bits))
        return false;
    if (size == 8) {
        memcpy(&h->d, &bits, 8);
        return true;
    }
    bits32 = (uint32_t)bits;
    memcpy(&f, &bits32, 4);
    h->d = (double)f;
    return true;
}

/* The heads from 0xc0 to 0xdf. */
static bool
take_long_head(struct peal_slice *s, uint8_t c, struct head *h)
{
    switch (c) {
    case 0xc0:
        h->kind = NIL;
        return true;
    case 0xc2:
    case 0xc3:
        h->kind = c == 0xc3 ? TRUE : FALSE;
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return take_sized(s, 1u << (c - 0xc4), h, BIN);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return take_sized(s, 1u << (c - 0xc7), h, EXT);
    case 0xca:
    case 0xcb:
        return take_float(s, c == 0xca ? 4 : 8, h);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return take_sized(s, 1u << (c - 0xcc), h, UINT);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_int(s, 1u << (c - 0xd0), h);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        h->kind = EXT;
        h->fix = true;
        h->n = 1u << (c - 0xd4);
        return true;
    case 0xd9:
    case 0xda:
    case 0xdb:
        return take_sized(s, 1u << (c - 0xd9), h, STR);
    case 0xdc:
    case 0xdd:
        return take_sized(s, c == 0xdc ? 2 : 4, h, ARRAY);
    case 0xde:
    case 0xdf:
        return take_sized(s, c == 0xde ? 2 : 4, h, MAP);
    default: /* 0xc1 */
        return false;
    }
}

/* Takes a head, and the bytes of what has bytes. */
static bool
take_head(struct peal_slice *s, struct head *h)
{
    uint64_t type;
    uint8_t c;

    *h = (struct head){ 0 };
    if (s->len == 0)
        return false;
    c = (uint8_t)s->data[0];
    *s = peal_slice_skip(*s, 1);
    if (c < 0x80 || c >= 0xe0) {
        h->kind = c < 0x80 ? UINT : INT;
        h->n = (uint64_t)(int64_t)(int8_t)c;
    } else if (c < 0xc0) {
        h->kind = c < 0x90 ? MAP : c < 0xa0 ? ARRAY : STR;
        h->n = h->kind == STR ? c & 0x1f : c & 0x0f;
    } else if (!take_long_head(s, c, h)) {
        return false;
    }
    if (h->kind == EXT) {
        if (!take_be(s, 1, &type))
            return false;
        h->ext = (int8_t)type;
    }
    if (h->kind == STR || h->kind == BIN || h->kind == EXT) {
        if (h->n > s->len)
            return false;
        h->bytes = peal_slice_of(s->data, (size_t)h->n);
        *s = peal_slice_skip(*s, (size_t)h->n);
    }
    return true;
}

static bool
is_undefined(const struct head *h)
{
    return h->kind == EXT && h->fix && h->n == 1 && h->ext == 0;
}

enum peal_msgpack_kind
peal_msgpack_peek(struct peal_slice rest)
{
    struct head h;

    if (!take_head(&rest, &h))
        return PEAL_MSGPACK_OTHER;
    switch (h.kind) {
    case MAP:
        return PEAL_MSGPACK_MAP;
    case ARRAY:
        return PEAL_MSGPACK_ARRAY;
    case STR:
        return PEAL_MSGPACK_STR;
    case UINT:
        return PEAL_MSGPACK_UINT;
    case INT:
        return (int64_t)h.n >= 0 ? PEAL_MSGPACK_UINT : PEAL_MSGPACK_OTHER;
    case NIL:
        return PEAL_MSGPACK_NIL;
    default:
        return is_undefined(&h) ? PEAL_MSGPACK_NIL : PEAL_MSGPACK_OTHER;
    }
}

static peal_err
take_kind(struct peal_slice *rest, int kind, struct head *h)
{
    struct peal_slice s = *rest;

    if (!take_head(&s, h) || (int)h->kind != kind)
        return PEAL_EPROTO;
    *rest = s;
    return PEAL_OK;
}

peal_err
peal_msgpack_map(struct peal_slice *rest, uint32_t *n_out)
{
    struct head h;
    peal_err err = take_kind(rest, MAP, &h);

    *n_out = err == PEAL_OK ? (uint32_t)h.n : 0;
    return err;
}

peal_err
peal_msgpack_array(struct peal_slice *rest, uint32_t *n_out)
{
    struct head h;
    peal_err err = take_kind(rest, ARRAY, &h);

    *n_out = err == PEAL_OK ? (uint32_t)h.n : 0;
    return err;
}

peal_err
peal_msgpack_str(struct peal_slice *rest, struct peal_slice *out)
{
    struct head h;
    peal_err err = take_kind(rest, STR, &h);

    if (err == PEAL_OK)
        *out = h.bytes;
    return err;
}

peal_err
peal_msgpack_uint(struct peal_slice *rest, uint64_t *out)
{
    struct head h;

    if (peal_msgpack_peek(*rest) != PEAL_MSGPACK_UINT || !take_head(rest, &h))
        return PEAL_EPROTO;
    *out = h.n;
    return PEAL_OK;
}

static peal_err
skip(struct peal_slice *rest, unsigned depth)
{
    struct head h;
    peal_err err = PEAL_OK;

    if (!take_head(rest, &h))
        return PEAL_EPROTO;
    if (h.kind != ARRAY && h.kind != MAP)
        return PEAL_OK;
    if (depth == PEAL_MSGPACK_DEPTH_MAX)
        return PEAL_ELIMIT;
    for (uint64_t n = h.kind == MAP ? h.n * 2 : h.n; n > 0 && err == PEAL_OK; n--)
        err = skip(rest, depth + 1);
    return err;
}

peal_err
peal_msgpack_skip(struct peal_slice *rest)
{
    return skip(rest, 0);
}

/* To JSON. */

struct to_json {
    struct peal_slice rest;
    struct peal_buf *out;
    struct peal_msgpack_atts *atts;
};

static peal_err put_value(struct to_json *t, unsigned depth);

/* The shortest text that reads back as d, as JavaScript writes it or nearly so. */
static peal_err
put_double(struct to_json *t, double d)
{
    char text[40];

    if (!isfinite(d))
        return peal_buf_add(t->out, "null", 4);
    if (d == 0) /* JSON.stringify(-0) is 0 */
        return peal_buf_add_char(t->out, '0');
    if (d == trunc(d) && fabs(d) < 1e15)
        return peal_buf_printf(t->out, "%.0f", d);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    return peal_buf_add_slice(t->out, peal_slice_str(text));
}

static peal_err
put_bytes(struct to_json *t, struct peal_slice bytes)
{
    struct peal_blob *b;

    if (t->atts->n == PEAL_ATTACHMENTS_MAX)
        return PEAL_ELIMIT;
    if ((b = peal_blob_copy(bytes)) == NULL)
        return PEAL_ENOMEM;
    t->atts->blobs[t->atts->n] = b;
    return peal_buf_printf(t->out, "{\"_placeholder\":true,\"num\":%u}", t->atts->n++);
}

static peal_err
put_date(struct to_json *t, int64_t s, unsigned ms)
{
    struct tm tm;
    time_t at = (time_t)s;

    if (s < -62135596800 || s > 253402300799 || gmtime_r(&at, &tm) == NULL)
        return peal_buf_add(t->out, "null", 4);
    return peal_buf_printf(t->out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03uZ\"",
        tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
        ms);
}

/* Timestamps of the specification: extension -1 in three sizes. false: not one. */
static bool
put_timestamp(struct to_json *t, const struct head *h, peal_err *err_out)
{
    struct peal_slice s = h->bytes;
    uint64_t a = 0, b = 0;

    if (h->n == 4 && take_be(&s, 4, &a))
        *err_out = put_date(t, (int64_t)a, 0);
    else if (h->n == 8 && take_be(&s, 8, &a))
        *err_out = put_date(
            t, (int64_t)(a & 0x3ffffffff), (unsigned)((a >> 34) / 1000000 % 1000));
    else if (h->n == 12 && take_be(&s, 4, &b) && take_be(&s, 8, &a))
        *err_out = put_date(t, (int64_t)a, (unsigned)(b / 1000000 % 1000));
    else
        return false;
    return true;
}

static peal_err
put_ext(struct to_json *t, const struct head *h)
{
    struct peal_slice s = h->bytes;
    uint64_t ms;
    peal_err err;

    if (is_undefined(h))
        return peal_buf_add(t->out, "null", 4);
    if (h->ext == 0 && h->fix && h->n == 8 && take_be(&s, 8, &ms)) {
        int64_t v = (int64_t)ms, part = v % 1000;

        return put_date(
            t, v / 1000 - (part < 0), (unsigned)(part < 0 ? part + 1000 : part));
    }
    if (h->ext == 0)
        return put_bytes(t, h->bytes);
    if (h->ext == -1 && put_timestamp(t, h, &err))
        return err;
    if ((err = peal_buf_printf(t->out, "[%d,", h->ext)) == PEAL_OK &&
        (err = put_bytes(t, h->bytes)) == PEAL_OK)
        err = peal_buf_add_char(t->out, ']');
    return err;
}

static peal_err
put_string(struct to_json *t, struct peal_slice s)
{
    return peal_utf8_valid(s) ? peal_json_quote(t->out, s) : PEAL_EPROTO;
}

static peal_err
put_key(struct to_json *t)
{
    struct head h;
    peal_err err;

    if (!take_head(&t->rest, &h))
        return PEAL_EPROTO;
    if (h.kind == STR)
        err = put_string(t, h.bytes);
    else if (h.kind == UINT)
        err = peal_buf_printf(t->out, "\"%" PRIu64 "\"", h.n);
    else
        err = PEAL_EPROTO;
    return err == PEAL_OK ? peal_buf_add_char(t->out, ':') : err;
}

static peal_err
put_items(struct to_json *t, const struct head *h, unsigned depth)
{
    bool map = h->kind == MAP;
    peal_err err = peal_buf_add_char(t->out, map ? '{' : '[');

    if (depth == PEAL_MSGPACK_DEPTH_MAX)
        return PEAL_ELIMIT;
    for (uint64_t i = 0; i < h->n && err == PEAL_OK; i++) {
        if (i > 0)
            err = peal_buf_add_char(t->out, ',');
        if (err == PEAL_OK && map)
            err = put_key(t);
        if (err == PEAL_OK)
            err = put_value(t, depth + 1);
    }
    return err == PEAL_OK ? peal_buf_add_char(t->out, map ? '}' : ']') : err;
}

static peal_err
put_value(struct to_json *t, unsigned depth)
{
    struct head h;

    if (!take_head(&t->rest, &h))
        return PEAL_EPROTO;
    switch (h.kind) {
    case NIL:
        return peal_buf_add(t->out, "null", 4);
    case FALSE:
        return peal_buf_add(t->out, "false", 5);
    case TRUE:
        return peal_buf_add(t->out, "true", 4);
    case UINT:
        return peal_buf_printf(t->out, "%" PRIu64, h.n);
    case INT:
        return peal_buf_printf(t->out, "%" PRId64, (int64_t)h.n);
    case DOUBLE:
        return put_double(t, h.d);
    case STR:
        return put_string(t, h.bytes);
    case BIN:
        return put_bytes(t, h.bytes);
    case EXT:
        return put_ext(t, &h);
    default:
        return put_items(t, &h, depth);
    }
}

peal_err
peal_msgpack_to_json(
    struct peal_slice *rest, struct peal_buf *out, struct peal_msgpack_atts *atts)
{
    struct to_json t = { *rest, out, atts };
    peal_err err = put_value(&t, 0);

    *rest = t.rest;
    return err;
}

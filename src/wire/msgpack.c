/* SPDX-License-Identifier: MIT */
/*
 * MessagePack read by hand, straight into JSON text, and written with msgpack-c straight
 * from JSON text. Depth is bounded on both sides, so recursion is.
 */
#include "wire/msgpack.h"

#include <inttypes.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/id.h"
#include "base/json.h"
#include "wire/sio.h"

#define NUMBER_MAX 64 /* bytes of a JSON number that needs no allocation */

void
peal_msgpack_atts_fini(struct peal_msgpack_atts *a)
{
    for (unsigned i = 0; i < a->n; i++)
        peal_blob_drop(a->blobs[i]);
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
    *s = peal_slice_from(*s, size);
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
    *s = peal_slice_from(*s, 1);
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
        *s = peal_slice_from(*s, (size_t)h->n);
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

/* From JSON. */

struct from_json {
    msgpack_packer pk;
    struct peal_buf *out;
    struct peal_blob *const *atts;
    unsigned n_atts;
    size_t budget; /* bytes of attachments that may still be written */
};

static peal_err pack_value(struct from_json *f, struct peal_slice v);

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

    if (memchr(token.data, '\\', token.len) == NULL)
        return pack_str(&f->pk, peal_slice_of(token.data + 1, token.len - 2));
    if ((err = peal_json_unquote(&text, token)) == PEAL_OK)
        err = pack_str(&f->pk, peal_buf_slice(&text));
    peal_buf_fini(&text);
    return err;
}

/* strtod wants a zero at the end. Few numbers do not fit on the stack. */
static peal_err
pack_double(struct from_json *f, struct peal_slice v)
{
    char text[NUMBER_MAX], *copy = v.len < sizeof(text) ? text : malloc(v.len + 1);
    peal_err err;

    if (copy == NULL)
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
        peal_slice_u64(peal_slice_from(v, 1), (uint64_t)INT64_MAX + 1, &u) == PEAL_OK)
        return packed(msgpack_pack_int64(&f->pk, (int64_t)(0 - u)));
    return pack_double(f, v);
}

static peal_err
pack_attachment(struct from_json *f, unsigned num)
{
    const struct peal_blob *b;

    if (num >= f->n_atts)
        return PEAL_EPROTO;
    b = f->atts[num];
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

static peal_err
pack_items(struct from_json *f, struct peal_slice v)
{
    struct peal_slice rest = peal_slice_of(v.data + 1, v.len - 2), key, item;
    bool map = v.data[0] == '{';
    size_t at = f->out->len;
    uint32_t n = 0;
    peal_err err = peal_buf_add_char(f->out, 0);

    while (err == PEAL_OK &&
           (map ? peal_json_field(&rest, &key, &item) : peal_json_next(&rest, &item))) {
        if (map)
            err = pack_string(f, key);
        if (err == PEAL_OK)
            err = pack_value(f, item);
        n++;
    }
    return err == PEAL_OK ? put_head(f->out, at, map, n) : err;
}

static peal_err
pack_value(struct from_json *f, struct peal_slice v)
{
    unsigned num;

    if (v.len == 0)
        return PEAL_EPROTO;
    switch (v.data[0]) {
    case '"':
        return pack_string(f, v);
    case '{':
        if (f->n_atts > 0 && peal_sio_is_placeholder(v, &num))
            return pack_attachment(f, num);
        return pack_items(f, v);
    case '[':
        return pack_items(f, v);
    case 't':
        return packed(msgpack_pack_true(&f->pk));
    case 'f':
        return packed(msgpack_pack_false(&f->pk));
    case 'n':
        return packed(msgpack_pack_nil(&f->pk));
    default:
        return pack_number(f, v);
    }
}

peal_err
peal_msgpack_from_json(struct peal_buf *out, struct peal_slice values,
    struct peal_blob *const *atts, unsigned n_atts)
{
    struct from_json f = { .out = out, .atts = atts, .n_atts = n_atts };
    size_t before = out->len;
    struct peal_slice v;
    peal_err err = PEAL_OK;

    f.budget = PEAL_SIO_REPEAT_MAX;
    for (unsigned i = 0; i < n_atts; i++)
        f.budget += peal_base64_len(atts[i]->len);
    msgpack_packer_init(&f.pk, out, on_write);
    while (err == PEAL_OK && peal_json_next(&values, &v))
        err = pack_value(&f, v);
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

/* SPDX-License-Identifier: MIT */
/*
 * JSON as raw slices: a recursive descent that only moves a pointer. Strings, which are
 * most of any payload, go eight bytes at a time; whether one is UTF-8 is asked only if a
 * byte above 0x7f was seen in it. Depth is counted, so the C stack is bounded too.
 */
#include "base/json.h"

#include <stdio.h>

#include "base/ascii.h"
#include "base/utf8.h"

typedef unsigned char byte;

struct scan {
    const byte *end;
    unsigned depth;
    bool too_deep;
};

#define ONES 0x0101010101010101ull
#define HIGH 0x8080808080808080ull

/* Compilers turn this into one load on little-endian machines. */
static inline uint64_t
load_le(const byte *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
           (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
           (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

/* Marks with its high bit each byte that ends a run inside a string: a quote, a
 * backslash, a control character. Only the lowest mark can be trusted: borrows go up. */
static inline uint64_t
stops(uint64_t x)
{
    uint64_t quote = x ^ (ONES * '"'), slash = x ^ (ONES * '\\');

    return (((quote - ONES) & ~quote) | ((slash - ONES) & ~slash) |
               ((x - ONES * 0x20) & ~x)) &
           HIGH;
}

/* The first byte from p on that is a quote, a backslash or a control character, or end.
 * *seen collects high bits of what was passed over (and perhaps of a few bytes more). */
static inline const byte *
run_end(const byte *p, const byte *end, uint64_t *seen)
{
    while (end - p >= 8) {
        uint64_t x = load_le(p), stop = stops(x);

        *seen |= x;
        if (stop != 0)
            return p + __builtin_ctzll(stop) / 8;
        p += 8;
    }
    for (; p < end && *p != '"' && *p != '\\' && *p >= 0x20; p++)
        *seen |= *p;
    return p;
}

static inline const byte *
space(const byte *p, const byte *end)
{
    while (p < end && *p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* p is at a backslash; returns what follows the escape, or NULL. */
static const byte *
escape(const byte *p, const byte *end)
{
    if (end - p < 2)
        return NULL;
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 2;
    case 'u':
        if (end - p < 6)
            return NULL;
        for (int i = 2; i < 6; i++)
            if (peal_ascii_hex((char)p[i]) < 0)
                return NULL;
        return p + 6;
    default:
        return NULL;
    }
}

/* p is at the opening quote; returns what follows the closing one, or NULL. */
static const byte *
string(const byte *p, const byte *end)
{
    const byte *start = ++p;
    uint64_t seen = 0;

    for (;;) {
        p = run_end(p, end, &seen);
        if (p == end || *p < 0x20)
            return NULL;
        if (*p == '"')
            break;
        if ((p = escape(p, end)) == NULL)
            return NULL;
    }
    if ((seen & HIGH) != 0 && !peal_utf8_valid(peal_slice_of(start, (size_t)(p - start))))
        return NULL;
    return p + 1;
}

static const byte *
digits(const byte *p, const byte *end)
{
    const byte *start = p;

    while (p < end && peal_ascii_is_digit((char)*p))
        p++;
    return p == start ? NULL : p;
}

static const byte *
number(const byte *p, const byte *end)
{
    if (*p == '-' && ++p == end)
        return NULL;
    if (*p == '0')
        p++;
    else if ((p = digits(p, end)) == NULL)
        return NULL;
    if (p < end && *p == '.' && (p = digits(p + 1, end)) == NULL)
        return NULL;
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = digits(p, end);
    }
    return p;
}

static const byte *
word(const byte *p, const byte *end, const char *text, size_t len)
{
    return (size_t)(end - p) >= len && memcmp(p, text, len) == 0 ? p + len : NULL;
}

static const byte *value(const byte *p, struct scan *s);

static const byte *
array(const byte *p, struct scan *s)
{
    p = space(p + 1, s->end);
    if (p < s->end && *p == ']')
        return p + 1;
    for (;;) {
        if ((p = value(p, s)) == NULL)
            return NULL;
        p = space(p, s->end);
        if (p == s->end)
            return NULL;
        if (*p == ']')
            return p + 1;
        if (*p++ != ',')
            return NULL;
    }
}

/* "key" : -- returns what follows the colon, or NULL; *key_end is after the key. */
static const byte *
key(const byte *p, const byte *end, const byte **key_end)
{
    if (p == end || *p != '"' || (p = string(p, end)) == NULL)
        return NULL;
    *key_end = p;
    p = space(p, end);
    return p < end && *p == ':' ? p + 1 : NULL;
}

static const byte *
object(const byte *p, struct scan *s)
{
    const byte *key_end;

    p = space(p + 1, s->end);
    if (p < s->end && *p == '}')
        return p + 1;
    for (;;) {
        if ((p = key(p, s->end, &key_end)) == NULL || (p = value(p, s)) == NULL)
            return NULL;
        p = space(p, s->end);
        if (p == s->end)
            return NULL;
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return NULL;
        p = space(p + 1, s->end);
    }
}

static const byte *
container(const byte *p, struct scan *s)
{
    if (++s->depth > PEAL_JSON_DEPTH_MAX) {
        s->too_deep = true;
        return NULL;
    }
    p = *p == '[' ? array(p, s) : object(p, s);
    s->depth--;
    return p;
}

/* One value with white space before it; returns what follows, or NULL. */
static const byte *
value(const byte *p, struct scan *s)
{
    p = space(p, s->end);
    if (p == s->end)
        return NULL;
    switch (*p) {
    case '"':
        return string(p, s->end);
    case '[':
    case '{':
        return container(p, s);
    case 't':
        return word(p, s->end, "true", 4);
    case 'f':
        return word(p, s->end, "false", 5);
    case 'n':
        return word(p, s->end, "null", 4);
    default:
        return *p == '-' || peal_ascii_is_digit((char)*p) ? number(p, s->end) : NULL;
    }
}

peal_err
peal_json_skip(struct peal_slice s, struct peal_slice *out, size_t *used_out)
{
    const byte *p = (const byte *)s.data, *after, *start;
    struct scan scan;

    if (s.len == 0)
        return PEAL_EPROTO;
    scan = (struct scan){ .end = p + s.len };
    if ((after = value(p, &scan)) == NULL)
        return scan.too_deep ? PEAL_ELIMIT : PEAL_EPROTO;
    start = space(p, scan.end);
    *out = peal_slice_of(start, (size_t)(after - start));
    *used_out = (size_t)(after - p);
    return PEAL_OK;
}

peal_err
peal_json_check(struct peal_slice s)
{
    struct peal_slice v;
    size_t used;
    peal_err err = peal_json_skip(s, &v, &used);

    if (err != PEAL_OK)
        return err;
    v = peal_slice_skip(s, used);
    return peal_json_blank(v) ? PEAL_OK : PEAL_EPROTO;
}

bool
peal_json_blank(struct peal_slice s)
{
    const byte *p = (const byte *)s.data;

    return s.len == 0 || space(p, p + s.len) == p + s.len;
}

/* Drops the comma before the next item, if there is one, and white space. */
static struct peal_slice
next_item(struct peal_slice s)
{
    const byte *p = (const byte *)s.data, *end;

    if (s.len == 0)
        return s;
    end = p + s.len;
    p = space(p, end);
    if (p < end && *p == ',')
        p = space(p + 1, end);
    return peal_slice_of(p, (size_t)(end - p));
}

bool
peal_json_next(struct peal_slice *rest, struct peal_slice *value_out)
{
    struct peal_slice s = next_item(*rest);
    size_t used;

    if (s.len == 0 || peal_json_skip(s, value_out, &used) != PEAL_OK) {
        *rest = (struct peal_slice){ NULL, 0 };
        return false;
    }
    *rest = peal_slice_skip(s, used);
    return true;
}

bool
peal_json_field(
    struct peal_slice *rest, struct peal_slice *key_out, struct peal_slice *value_out)
{
    struct peal_slice s = next_item(*rest);
    const byte *p = (const byte *)s.data, *after, *key_end;
    size_t used;

    if (s.len == 0 || (after = key(p, p + s.len, &key_end)) == NULL ||
        peal_json_skip(peal_slice_skip(s, (size_t)(after - p)), value_out, &used) !=
            PEAL_OK) {
        *rest = (struct peal_slice){ NULL, 0 };
        return false;
    }
    *key_out = peal_slice_of(p, (size_t)(key_end - p));
    *rest = peal_slice_skip(s, (size_t)(after - p) + used);
    return true;
}

unsigned
peal_json_count(struct peal_slice inner)
{
    struct peal_slice v;
    unsigned n = 0;

    while (peal_json_next(&inner, &v))
        n++;
    return n;
}

size_t
peal_json_token(struct peal_slice s)
{
    const byte *p = (const byte *)s.data, *start = p, *end;
    uint64_t seen = 0;

    if (s.len == 0)
        return 0;
    end = p + s.len;
    if (*p != '"') {
        while (
            p < end && (peal_ascii_is_digit((char)*p) || peal_ascii_is_letter((char)*p) ||
                           *p == '-' || *p == '+' || *p == '.'))
            p++;
        return p == start ? 1 : (size_t)(p - start);
    }
    for (p++; (p = run_end(p, end, &seen)) < end && *p != '"';)
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    return (size_t)(p - start) + (p < end);
}

/* Writes a byte that needs an escape as JSON.stringify does. */
static peal_err
add_escaped(struct peal_buf *b, byte c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[8];
    int n;

    for (const char *l = letters; *l != '\0'; l += 2)
        if (c == (byte)l[0])
            return peal_buf_add(b, (char[]){ '\\', l[1] }, 2);
    n = snprintf(text, sizeof(text), "\\u%04x", c);
    return peal_buf_add(b, text, (size_t)n);
}

peal_err
peal_json_quote(struct peal_buf *b, struct peal_slice s)
{
    const byte *p = (const byte *)s.data, *end = s.len > 0 ? p + s.len : p, *stop;
    size_t before = b->len;
    uint64_t seen = 0;
    peal_err err;

    if ((err = peal_buf_reserve(b, s.len + 2)) != PEAL_OK ||
        (err = peal_buf_add_char(b, '"')) != PEAL_OK)
        return err;
    while (p < end) {
        stop = run_end(p, end, &seen);
        if ((err = peal_buf_add(b, p, (size_t)(stop - p))) != PEAL_OK)
            goto fail;
        if ((p = stop) < end && (err = add_escaped(b, *p++)) != PEAL_OK)
            goto fail;
    }
    if ((err = peal_buf_add_char(b, '"')) == PEAL_OK)
        return PEAL_OK;

fail: /* what was appended so far goes again */
    b->len = before;
    return err;
}

/* The number that the escape at *s stands for, \\uXXXX. false: it is not a whole one. */
static bool
unicode_escape(struct peal_slice s, unsigned *out)
{
    unsigned n = 0;

    if (s.len < 6 || s.data[0] != '\\' || s.data[1] != 'u')
        return false;
    for (int i = 2; i < 6; i++) {
        int v = peal_ascii_hex(s.data[i]);

        if (v < 0)
            return false;
        n = n << 4 | (unsigned)v;
    }
    *out = n;
    return true;
}

/*
 * Takes one escape off the front of *s, which begins with a backslash. The token should
 * have been checked; if it was not, a backslash that begins no escape stands for itself.
 * Nothing that is put is longer than what was taken.
 */
static size_t
take_escape(struct peal_slice *s, char out[4])
{
    static const char letters[] = "b\bf\fn\nr\rt\t";
    unsigned c, low;
    size_t used = 6;

    if (s->len < 2 || (s->data[1] == 'u' && !unicode_escape(*s, &c))) {
        out[0] = '\\';
        *s = peal_slice_skip(*s, 1);
        return 1;
    }
    if (s->data[1] != 'u') {
        out[0] = s->data[1];
        for (const char *l = letters; *l != '\0'; l += 2)
            if (l[0] == s->data[1])
                out[0] = l[1];
        *s = peal_slice_skip(*s, 2);
        return 1;
    }
    if (c >= 0xd800 && c < 0xdc00 && unicode_escape(peal_slice_skip(*s, 6), &low) &&
        low >= 0xdc00 && low < 0xe000) {
        c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
        used = 12;
    } else if (c >= 0xd800 && c < 0xe000) {
        c = 0xfffd;
    }
    *s = peal_slice_skip(*s, used);
    return peal_utf8_encode(c, out);
}

/* The text between the quotes of a string token; false: not one. */
static bool
inside(struct peal_slice token, struct peal_slice *out)
{
    if (token.len < 2 || token.data[0] != '"')
        return false;
    *out = peal_slice_of(token.data + 1, token.len - 2);
    return true;
}

/* Takes the plain bytes before the next escape off *s. */
static struct peal_slice
take_plain(struct peal_slice *s)
{
    const char *slash = s->len ? memchr(s->data, '\\', s->len) : NULL;
    struct peal_slice plain = *s;

    if (slash != NULL)
        plain.len = (size_t)(slash - s->data);
    *s = peal_slice_skip(*s, plain.len);
    return plain;
}

peal_err
peal_json_unquote(struct peal_buf *b, struct peal_slice token)
{
    struct peal_slice s, plain;
    peal_err err;
    char c[4];

    if (!inside(token, &s))
        return PEAL_OK;
    /* An escape is never shorter than the bytes it stands for: one reservation does. */
    if ((err = peal_buf_reserve(b, s.len)) != PEAL_OK)
        return err;
    while (s.len > 0) {
        plain = take_plain(&s);
        memcpy(b->data + b->len, plain.data, plain.len);
        b->len += plain.len;
        if (s.len > 0) {
            size_t n = take_escape(&s, c);

            memcpy(b->data + b->len, c, n);
            b->len += n;
        }
    }
    return PEAL_OK;
}

bool
peal_json_string_is(struct peal_slice token, struct peal_slice want)
{
    struct peal_slice s, plain;
    char c[4];

    if (!inside(token, &s))
        return false;
    while (s.len > 0) {
        plain = take_plain(&s);
        if (!peal_slice_starts(want, plain))
            return false;
        want = peal_slice_skip(want, plain.len);
        if (s.len > 0) {
            plain = peal_slice_of(c, take_escape(&s, c));
            if (!peal_slice_starts(want, plain))
                return false;
            want = peal_slice_skip(want, plain.len);
        }
    }
    return want.len == 0;
}

static struct peal_json_field *
find_field(struct peal_json_field *fields, unsigned n, struct peal_slice key)
{
    for (unsigned i = 0; i < n; i++)
        if (peal_json_string_is(key, peal_slice_str(fields[i].name)))
            return &fields[i];
    return NULL;
}

peal_err
peal_json_fields(struct peal_slice object, enum peal_json_others others,
    struct peal_json_field *fields, unsigned n, struct peal_slice *key_out)
{
    struct peal_slice rest, key, value;
    struct peal_json_field *f;

    if (object.len < 2 || object.data[0] != '{')
        return PEAL_EPROTO;
    rest = peal_slice_of(object.data + 1, object.len - 2);
    while (peal_json_field(&rest, &key, &value)) {
        f = find_field(fields, n, key);
        if (others == PEAL_JSON_REFUSE_OTHERS && (f == NULL || f->value.data != NULL)) {
            *key_out = key;
            return f == NULL ? PEAL_ENOTFOUND : PEAL_EEXIST;
        }
        if (f != NULL)
            f->value = value;
    }
    return PEAL_OK;
}

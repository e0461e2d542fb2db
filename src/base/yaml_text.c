/* SPDX-License-Identifier: MIT */
/* YAML trees: writing one on a line, and which word was meant. */
#include <stdint.h>

#include "base/yaml.h"

#define WORD_MAX 64 /* bytes; what is longer resembles nothing */

static bool
is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Can text stand without quotes between brackets? Says no when in doubt. */
static bool
is_plain(const struct peal_yaml *y)
{
    if (y->quoted || y->len == 0 || (!is_alnum(y->text[0]) && y->text[0] != '/'))
        return false;
    for (size_t i = 0; i < y->len; i++) {
        char c = y->text[i];

        if (is_alnum(c) || strchr("._-/*#+@", c) != NULL)
            continue;
        if (c == ':' && i + 1 < y->len && (is_alnum(y->text[i + 1])))
            continue;
        return false;
    }
    return true;
}

/* The bytes at the start of s, UTF-8, that would not come back if they stood in quotes as
 * they are (line breaks, and what YAML does not call printable), as an escape. 0: none.
 */
static size_t
unprintable(struct peal_slice s, unsigned *code_out)
{
    static const struct {
        char bytes[4];
        unsigned code;
    } odd[] = { { "\xe2\x80\xa8", 0x2028 }, { "\xe2\x80\xa9", 0x2029 },
        { "\xef\xbb\xbf", 0xfeff }, { "\xef\xbf\xbe", 0xfffe },
        { "\xef\xbf\xbf", 0xffff } };
    unsigned char c = (unsigned char)s.data[0];

    if (c < 0x20 || c == 0x7f) {
        *code_out = c;
        return 1;
    }
    if (c == 0xc2 && s.len > 1 && (unsigned char)s.data[1] < 0xa0) {
        *code_out = (unsigned char)s.data[1];
        return 2;
    }
    for (unsigned i = 0; i < sizeof(odd) / sizeof(*odd); i++)
        if (s.len >= 3 && memcmp(s.data, odd[i].bytes, 3) == 0) {
            *code_out = odd[i].code;
            return 3;
        }
    return 0;
}

static peal_err
write_quoted(const struct peal_yaml *y, struct peal_buf *out)
{
    peal_err err = peal_buf_add_char(out, '"');
    struct peal_slice rest = peal_yaml_slice(y);

    while (rest.len > 0 && err == PEAL_OK) {
        unsigned code;
        size_t n = unprintable(rest, &code);

        if (n > 0) {
            err = peal_buf_printf(out, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
        } else {
            if (*rest.data == '"' || *rest.data == '\\')
                err = peal_buf_add_char(out, '\\');
            if (err == PEAL_OK)
                err = peal_buf_add_char(out, *rest.data);
            n = 1;
        }
        rest = peal_slice_skip(rest, n);
    }
    return err == PEAL_OK ? peal_buf_add_char(out, '"') : err;
}

static peal_err
write_scalar(const struct peal_yaml *y, struct peal_buf *out)
{
    if (peal_yaml_is_null(y))
        return peal_buf_add_slice(out, PEAL_S("null"));
    if (is_plain(y))
        return peal_buf_add(out, y->text, y->len);
    return write_quoted(y, out);
}

peal_err
peal_yaml_write(const struct peal_yaml *y, struct peal_buf *out)
{
    bool map = y->kind == PEAL_YAML_MAP;
    peal_err err;

    if (y->kind == PEAL_YAML_SCALAR)
        return write_scalar(y, out);
    if ((err = peal_buf_add_char(out, map ? '{' : '[')) != PEAL_OK)
        return err;
    for (const struct peal_yaml *v = y->first; v != NULL; v = v->next) {
        if (v != y->first && (err = peal_buf_add_slice(out, PEAL_S(", "))) != PEAL_OK)
            return err;
        if (map && ((err = write_scalar(v->key, out)) != PEAL_OK ||
                       (err = peal_buf_add_slice(out, PEAL_S(": "))) != PEAL_OK))
            return err;
        if ((err = peal_yaml_write(v, out)) != PEAL_OK)
            return err;
    }
    return peal_buf_add_char(out, map ? '}' : ']');
}

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* Letters to insert, drop, change or swap with their neighbour, to get from a to b. */
static unsigned
distance(struct peal_slice a, struct peal_slice b)
{
    unsigned row[3][WORD_MAX + 1];
    unsigned *two = row[0], *one = row[1], *cur = row[2], *spare;

    for (unsigned j = 0; j <= b.len; j++)
        one[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        cur[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            cur[j] = least(one[j] + 1, cur[j - 1] + 1,
                one[j - 1] + (a.data[i - 1] != b.data[j - 1]));
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
                a.data[i - 2] == b.data[j - 1] && two[j - 2] + 1 < cur[j])
                cur[j] = two[j - 2] + 1;
        }
        spare = two;
        two = one;
        one = cur;
        cur = spare;
    }
    return one[b.len];
}

const char *
peal_text_suggest(struct peal_slice word, const char *const *names)
{
    const char *best = NULL;
    unsigned best_d = (unsigned)(word.len / 3) + 1;

    if (word.len == 0 || word.len > WORD_MAX)
        return NULL;
    for (; *names != NULL; names++) {
        struct peal_slice name = peal_slice_str(*names);
        unsigned d;

        if (name.len > WORD_MAX)
            continue;
        d = distance(word, name);
        /* "ping_interval" for "ws.ping_interval": the right word in the wrong place. */
        if (name.len > word.len && name.data[name.len - word.len - 1] == '.' &&
            memcmp(name.data + name.len - word.len, word.data, word.len) == 0)
            d = 1;
        if (d < best_d || (d == best_d && best == NULL)) {
            best = *names;
            best_d = d;
        }
    }
    return best;
}

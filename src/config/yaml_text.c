/* SPDX-License-Identifier: MIT */
/*
 * YAML as text: a tree on one line, in flow form, so that it can be shown beside its
 * option. A scalar stands without quotes only where no reader could take it for anything
 * else; in quotes all that is not printable is escaped.
 */
#include "base/ascii.h"
#include "config/yaml.h"

/* Tells whether the text needs no quotes between brackets; false when in doubt. */
static bool
is_plain(const struct peal_yaml *y)
{
    if (y->quoted || y->len == 0 ||
        (!peal_ascii_is_alnum(y->text[0]) && y->text[0] != '/'))
        return false;
    for (size_t i = 0; i < y->len; i++) {
        char c = y->text[i];

        if (peal_ascii_is_alnum(c) || strchr("._-/*#+@", c) != NULL)
            continue;
        if (c == ':' && i + 1 < y->len && (peal_ascii_is_alnum(y->text[i + 1])))
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

void
peal_yaml_write_quoted(struct peal_slice text, struct peal_writer *w)
{
    peal_writer_putc(w, '"');
    while (text.len > 0) {
        unsigned code;
        size_t n = unprintable(text, &code);

        if (n > 0) {
            peal_writer_printf(w, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
        } else {
            if (*text.data == '"' || *text.data == '\\')
                peal_writer_putc(w, '\\');
            peal_writer_putc(w, *text.data);
            n = 1;
        }
        text = peal_slice_skip(text, n);
    }
    peal_writer_putc(w, '"');
}

static void
write_scalar(const struct peal_yaml *y, struct peal_writer *w)
{
    if (peal_yaml_is_null(y))
        peal_writer_puts(w, "null");
    else if (is_plain(y))
        peal_writer_put(w, peal_yaml_slice(y));
    else
        peal_yaml_write_quoted(peal_yaml_slice(y), w);
}

static void
write_tree(const struct peal_yaml *y, struct peal_writer *w)
{
    bool map = y->kind == PEAL_YAML_MAP;

    if (y->kind == PEAL_YAML_SCALAR) {
        write_scalar(y, w);
        return;
    }
    peal_writer_putc(w, map ? '{' : '[');
    for (const struct peal_yaml *v = y->first; v != NULL; v = v->next) {
        if (v != y->first)
            peal_writer_puts(w, ", ");
        if (map) {
            write_scalar(v->key, w);
            peal_writer_puts(w, ": ");
        }
        write_tree(v, w);
    }
    peal_writer_putc(w, map ? '}' : ']');
}

peal_err
peal_yaml_write(const struct peal_yaml *y, struct peal_buf *out)
{
    struct peal_writer w = peal_writer_on(out);

    write_tree(y, &w);
    return peal_writer_end(&w);
}

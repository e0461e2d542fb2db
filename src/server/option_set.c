/* SPDX-License-Identifier: MIT */
/* Setting options: what a text means for a row, and what is said when it means nothing.
 */
#include "base/suggest.h"
#include "base/vec.h"
#include "server/option_set_priv.h"

#include <errno.h>
#include <stdlib.h>

static void
out_of_memory(struct peal_option_loader *l)
{
    l->err = PEAL_ENOMEM;
}

void
peal_option_complain(struct peal_option_loader *l, const struct peal_option_source *src,
    const char *key, const char *fmt, ...)
{
    va_list ap;
    peal_err err = src->line > 0 ? peal_buf_printf(l->errors, "%s:%u:%u: ", src->name,
                                       src->line, src->column)
                                 : peal_buf_printf(l->errors, "%s: ", src->name);

    if (err == PEAL_OK && key != NULL)
        err = peal_buf_printf(l->errors, "%s: ", key);
    va_start(ap, fmt);
    if (err == PEAL_OK)
        err = peal_buf_vprintf(l->errors, fmt, ap);
    va_end(ap);
    if (err == PEAL_OK)
        err = peal_buf_add_char(l->errors, '\n');
    if (l->err == PEAL_OK)
        l->err = PEAL_EINVAL;
    if (err != PEAL_OK)
        out_of_memory(l);
}

void
peal_option_unknown(
    struct peal_option_loader *l, const struct peal_option_source *src, const char *key)
{
    const char *near = peal_text_suggest(peal_slice_str(key), peal_option_names);

    if (near != NULL)
        peal_option_complain(l, src, key, "unknown option; did you mean %s?", near);
    else
        peal_option_complain(l, src, key, "unknown option; `peal config` lists them");
}

static void
clear_strings(struct peal_strings *s)
{
    for (unsigned i = 0; i < s->n; i++)
        free(s->v[i]);
    free(s->v);
    *s = (struct peal_strings){ 0 };
}

bool
peal_option_begin(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src)
{
    struct peal_option_place *place = peal_option_place(l->o, row);
    bool again = place->level == src->level && src->level != PEAL_FROM_DEFAULT;

    /* --set listen=a --set listen=b collects; of others the last one wins, so that what a
     * script sets can be set otherwise behind it. */
    if (again && src->level == PEAL_FROM_SET && peal_option_is_list(row))
        return true;
    if (again && src->level != PEAL_FROM_SET) {
        peal_option_complain(l, src, row->name, "is set twice");
        return false;
    }
    *place = (struct peal_option_place){ src->level, src->line, src->column };
    if (peal_option_is_list(row))
        clear_strings(peal_option_field(l->o, row));
    return true;
}

static bool
read_bool(char *text, bool *out)
{
    const struct peal_yaml y = {
        .kind = PEAL_YAML_SCALAR, .text = text, .len = strlen(text)
    };

    return peal_yaml_bool(&y, out) == PEAL_OK;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit byte_units[] = { { "", 1 }, { "b", 1 }, { "k", 1 << 10 },
    { "kb", 1 << 10 }, { "kib", 1 << 10 }, { "m", 1 << 20 }, { "mb", 1 << 20 },
    { "mib", 1 << 20 }, { "g", 1 << 30 }, { "gb", 1 << 30 }, { "gib", 1 << 30 },
    { NULL, 0 } };
static const struct unit time_units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
    { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 } };

/* A whole number and its unit. */
static bool
read_amount(struct peal_slice text, const struct unit *units, uint64_t *out)
{
    struct peal_slice digits = text, unit;
    uint64_t n;

    digits.len = 0;
    while (digits.len < text.len && text.data[digits.len] >= '0' &&
           text.data[digits.len] <= '9')
        digits.len++;
    unit = peal_slice_skip(text, digits.len);
    if (peal_slice_u64(digits, INT64_MAX, &n) != PEAL_OK)
        return false;
    if (n == 0 && unit.len == 0) {
        *out = 0;
        return true;
    }
    for (; units->name != NULL; units++)
        if (peal_slice_ieq(unit, peal_slice_str(units->name))) {
            *out = n > INT64_MAX / units->factor ? INT64_MAX : n * units->factor;
            return true;
        }
    return false;
}

static bool
read_int(struct peal_slice text, int64_t *out)
{
    bool minus = text.len > 0 && text.data[0] == '-';
    uint64_t n;

    if (peal_slice_u64(minus ? peal_slice_skip(text, 1) : text, INT64_MAX, &n) != PEAL_OK)
        return false;
    *out = minus ? -(int64_t)n : (int64_t)n;
    return true;
}

static int
find_choice(const struct peal_option *row, struct peal_slice text)
{
    struct peal_slice rest = peal_slice_str(row->choices);

    for (int i = 0; rest.data != NULL; i++)
        if (peal_slice_eq(peal_slice_cut(&rest, ','), text))
            return i;
    return -1;
}

static void
complain_choice(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src, struct peal_slice text)
{
    struct peal_slice rest = peal_slice_str(row->choices), word;
    struct peal_buf list = { 0 };
    peal_err err = PEAL_OK;

    for (const char *sep = ""; rest.data != NULL && err == PEAL_OK; sep = ", ") {
        word = peal_slice_cut(&rest, ',');
        err = peal_buf_printf(&list, "%s%.*s", sep, PEAL_ARG(word));
    }
    if (err != PEAL_OK)
        out_of_memory(l);
    else
        peal_option_complain(l, src, row->name, "expected one of %.*s, not \"%.*s\"",
            PEAL_ARG(list), PEAL_ARG(text));
    peal_buf_fini(&list);
}

/* A range in the unit of the row. */
static void
complain_range(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src, struct peal_slice text)
{
    const char *unit = row->type == PEAL_OPT_BYTES      ? " bytes"
                       : row->type == PEAL_OPT_DURATION ? "ms"
                                                        : "";

    peal_option_complain(l, src, row->name, "%.*s is out of range: %lld%s to %lld%s",
        PEAL_ARG(text), (long long)row->min, unit, (long long)row->max, unit);
}

static void
put_number(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src, struct peal_slice text)
{
    void *field = peal_option_field(l->o, row);
    uint64_t amount = 0;
    int64_t n = 0;
    bool ok = true;

    if (row->type == PEAL_OPT_INT) {
        if (!(ok = read_int(text, &n)))
            peal_option_complain(l, src, row->name,
                "expected a whole number, not \"%.*s\"", PEAL_ARG(text));
    } else if (row->type == PEAL_OPT_BYTES) {
        if (!(ok = read_amount(text, byte_units, &amount)))
            peal_option_complain(l, src, row->name,
                "expected a size such as 65536, 64k or 1m, not \"%.*s\"", PEAL_ARG(text));
        n = (int64_t)amount;
    } else {
        if (!(ok = read_amount(text, time_units, &amount)))
            peal_option_complain(l, src, row->name,
                "expected a time such as 500ms, 25s or 5m, not \"%.*s\"", PEAL_ARG(text));
        n = (int64_t)amount;
    }
    if (!ok)
        return;
    if (n < row->min || n > row->max)
        complain_range(l, row, src, text);
    else if (row->type == PEAL_OPT_INT)
        *(int64_t *)field = n;
    else if (row->type == PEAL_OPT_BYTES)
        *(size_t *)field = (size_t)n;
    else
        *(uint64_t *)field = (uint64_t)n;
}

/* A checked copy of text; NULL after a complaint. */
static char *
check_string(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src, struct peal_slice text)
{
    const char *expected;
    char *s;

    if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL) {
        peal_option_complain(l, src, row->name, "has a zero byte");
        return NULL;
    }
    if ((s = strndup(text.len > 0 ? text.data : "", text.len)) == NULL) {
        out_of_memory(l);
        return NULL;
    }
    if (row->check == NULL || *s == '\0' || (expected = row->check(s)) == NULL)
        return s;
    peal_option_complain(l, src, row->name, "expected %s%s%s%s", expected,
        peal_option_is_secret(row) ? "" : ", not \"", peal_option_is_secret(row) ? "" : s,
        peal_option_is_secret(row) ? "" : "\"");
    free(s);
    return NULL;
}

/* Takes s. */
static void
append_string(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src, char *s)
{
    struct peal_strings *list = peal_option_field(l->o, row);

    if (list->n == PEAL_OPTION_VALUES_MAX) {
        peal_option_complain(
            l, src, row->name, "more than %d values", PEAL_OPTION_VALUES_MAX);
        free(s);
        return;
    }
    if (PEAL_GROW(list->v, list->cap, list->n + 2) != PEAL_OK) {
        free(s);
        out_of_memory(l);
        return;
    }
    list->v[list->n++] = s;
    list->v[list->n] = NULL;
}

void
peal_option_put(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src, struct peal_slice text)
{
    void *field = peal_option_field(l->o, row);
    bool on;
    char *s;
    int i;

    switch (row->type) {
    case PEAL_OPT_BOOL:
        if ((s = check_string(l, row, src, text)) == NULL)
            return;
        if (read_bool(s, &on))
            *(bool *)field = on;
        else
            peal_option_complain(l, src, row->name, "expected on or off, not \"%s\"", s);
        free(s);
        return;
    case PEAL_OPT_STRING:
    case PEAL_OPT_URL:
        if ((s = check_string(l, row, src, text)) == NULL)
            return;
        free(*(char **)field);
        *(char **)field = *s != '\0' ? s : NULL;
        if (*s == '\0')
            free(s);
        return;
    case PEAL_OPT_ENUM:
        if ((i = find_choice(row, text)) >= 0)
            *(int *)field = i;
        else
            complain_choice(l, row, src, text);
        return;
    case PEAL_OPT_LIST:
    case PEAL_OPT_SECRET:
        if (text.len > 0 && (s = check_string(l, row, src, text)) != NULL)
            append_string(l, row, src, s);
        return;
    default:
        put_number(l, row, src, text);
    }
}

static void
set_tree(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src, struct peal_slice text)
{
    struct peal_yaml *tree = NULL;
    peal_err err = peal_yaml_read(text, src->name, &tree, l->errors);

    if (err == PEAL_OK) {
        peal_option_put_tree(l, row, tree);
        return;
    }
    if (err == PEAL_ENOMEM || peal_buf_add_char(l->errors, '\n') != PEAL_OK)
        out_of_memory(l);
    else if (l->err == PEAL_OK)
        l->err = PEAL_EINVAL;
}

void
peal_option_set(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src, struct peal_slice text)
{
    if (!peal_option_begin(l, row, src))
        return;
    if (row->type == PEAL_OPT_TREE) {
        set_tree(l, row, src, text);
    } else if (peal_option_is_list(row)) {
        while (text.data != NULL)
            peal_option_put(l, row, src, peal_slice_trim(peal_slice_cut(&text, ',')));
    } else {
        peal_option_put(l, row, src, text);
    }
}

void
peal_option_put_tree(
    struct peal_option_loader *l, const struct peal_option *row, struct peal_yaml *tree)
{
    struct peal_yaml **field = peal_option_field(l->o, row);

    peal_yaml_free(field);
    *field = tree;
}

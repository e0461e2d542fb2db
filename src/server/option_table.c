/* SPDX-License-Identifier: MIT */
/* The option table: the rows of options.h as data, and how a value is written. */
#include <stddef.h>
#include <stdio.h>

#include "base/assert.h"
#include "server/option_checks_priv.h"
#include "server/option_set_priv.h"

#define AT(field) offsetof(struct peal_options, field)

#define ROW_B(field, name, dflt, help)                                                   \
    { name, PEAL_OPT_BOOL, AT(field), 0, 0, NULL, NULL, dflt, help },
#define ROW_I(field, name, min, max, dflt, help)                                         \
    { name, PEAL_OPT_INT, AT(field), min, max, NULL, NULL, dflt, help },
#define ROW_Z(field, name, min, max, dflt, help)                                         \
    { name, PEAL_OPT_BYTES, AT(field), min, max, NULL, NULL, dflt, help },
#define ROW_D(field, name, min, max, dflt, help)                                         \
    { name, PEAL_OPT_DURATION, AT(field##_ms), min, max, NULL, NULL, dflt, help },
#define ROW_S(field, name, check, dflt, help)                                            \
    { name, PEAL_OPT_STRING, AT(field), 0, 0, NULL, peal_check_##check, dflt, help },
#define ROW_E(field, name, choices, dflt, help)                                          \
    { name, PEAL_OPT_ENUM, AT(field), 0, 0, choices, NULL, dflt, help },
#define ROW_L(field, name, check, dflt, help)                                            \
    { name, PEAL_OPT_LIST, AT(field), 0, 0, NULL, peal_check_##check, dflt, help },
#define ROW_K(field, name, help)                                                         \
    { name, PEAL_OPT_SECRET, AT(field), 0, 0, NULL, peal_check_secret, "", help },
#define ROW_T(field, name, help)                                                         \
    { name, PEAL_OPT_TREE, AT(field), 0, 0, NULL, NULL, "", help },
#define ROW_U(field, name, check, dflt, help)                                            \
    { name, PEAL_OPT_URL, AT(field), 0, 0, NULL, peal_check_##check, dflt, help },

const struct peal_option peal_option_table[PEAL_OPTION_N] = { PEAL_OPTIONS(
    ROW_B, ROW_I, ROW_Z, ROW_D, ROW_S, ROW_E, ROW_L, ROW_K, ROW_T, ROW_U) };

#define NAME(field, name, ...) name,

const char *const peal_option_names[] = { PEAL_OPTIONS(NAME, NAME, NAME, NAME, NAME, NAME,
                                              NAME, NAME, NAME, NAME) "accept",
    "node", "log", "io", "http", "tls", "ws", "sse", "socketio", "api", "admin",
    "sessions", "drain", NULL };

const struct peal_option *
peal_option_find(struct peal_slice name)
{
    for (unsigned i = 0; i < PEAL_OPTION_N; i++)
        if (peal_slice_eq(name, peal_slice_str(peal_option_table[i].name)))
            return &peal_option_table[i];
    return NULL;
}

const char *
peal_option_env(const struct peal_option *row, char out[PEAL_OPTION_ENV_MAX])
{
    int n = snprintf(out, PEAL_OPTION_ENV_MAX, "PEAL_%s", row->name);

    PEAL_ASSERT(n < PEAL_OPTION_ENV_MAX - (int)sizeof("_FILE"));
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '.' ? '_' : (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    return out;
}

static struct peal_slice
choice(const struct peal_option *row, int index)
{
    struct peal_slice rest = peal_slice_str(row->choices), word;

    do
        word = peal_slice_cut(&rest, ',');
    while (index-- > 0 && rest.data != NULL);
    return word;
}

const char *
peal_option_word(const char *name, int value, char out[PEAL_OPTION_WORD_MAX])
{
    const struct peal_option *row = peal_option_find(peal_slice_str(name));
    struct peal_slice word = choice(row, value);

    snprintf(out, PEAL_OPTION_WORD_MAX, "%.*s", PEAL_ARG(word));
    return out;
}

static peal_err
write_strings(const struct peal_strings *s, bool secret, struct peal_buf *out)
{
    peal_err err = PEAL_OK;

    for (unsigned i = 0; i < s->n && err == PEAL_OK; i++)
        err = peal_buf_printf(out, "%s%s", i > 0 ? "," : "", secret ? "***" : s->v[i]);
    return err;
}

/* Without its password. */
static peal_err
write_url(struct peal_slice url, struct peal_buf *out)
{
    const char *at = url.len > 0 ? memrchr(url.data, '@', url.len) : NULL;
    struct peal_slice user = url;
    size_t scheme = 0;

    if (at == NULL)
        return peal_buf_add_slice(out, url);
    while (scheme + 3 < url.len && memcmp(url.data + scheme, "://", 3) != 0)
        scheme++;
    user = peal_slice_of(url.data + scheme + 3, (size_t)(at - url.data) - scheme - 3);
    user = peal_slice_cut(&user, ':');
    return peal_buf_printf(
        out, "%.*s%.*s:***%s", (int)scheme + 3, url.data, PEAL_ARG(user), at);
}

/* In the largest unit that leaves a whole number. */
peal_err
peal_option_number(enum peal_option_type type, int64_t n, struct peal_buf *out)
{
    static const struct unit {
        int64_t size;
        const char *name;
    } times[] = { { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" } },
      sizes[] = { { 1 << 30, "g" }, { 1 << 20, "m" }, { 1 << 10, "k" }, { 1, "" } };
    const struct unit *u = type == PEAL_OPT_DURATION ? times : sizes;

    if (type == PEAL_OPT_INT || n == 0)
        return peal_buf_printf(
            out, "%lld%s", (long long)n, type == PEAL_OPT_DURATION ? "s" : "");
    while (n % u->size != 0)
        u++;
    return peal_buf_printf(out, "%lld%s", (long long)(n / u->size), u->name);
}

peal_err
peal_option_value(
    const struct peal_options *o, const struct peal_option *row, struct peal_buf *out)
{
    const void *field = (const char *)o + row->offset;
    const struct peal_yaml *tree;

    switch (row->type) {
    case PEAL_OPT_BOOL:
        return peal_buf_add_slice(
            out, *(const bool *)field ? PEAL_S("on") : PEAL_S("off"));
    case PEAL_OPT_INT:
        return peal_option_number(row->type, *(const int64_t *)field, out);
    case PEAL_OPT_BYTES:
        return peal_option_number(row->type, (int64_t) * (const size_t *)field, out);
    case PEAL_OPT_DURATION:
        return peal_option_number(row->type, (int64_t) * (const uint64_t *)field, out);
    case PEAL_OPT_STRING:
        return peal_buf_add_slice(out, peal_slice_str(*(char *const *)field));
    case PEAL_OPT_URL:
        return write_url(peal_slice_str(*(char *const *)field), out);
    case PEAL_OPT_ENUM:
        return peal_buf_add_slice(out, choice(row, *(const int *)field));
    case PEAL_OPT_TREE:
        tree = *(struct peal_yaml *const *)field;
        return tree == NULL ? PEAL_OK : peal_yaml_write(tree, out);
    default:
        return write_strings(field, row->type == PEAL_OPT_SECRET, out);
    }
}

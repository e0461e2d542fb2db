/* SPDX-License-Identifier: MIT */
/* The option table for readers: as YAML, variables, Markdown and man page. */
#include "cli/list_priv.h"

#include "base/ascii.h"
#include "base/writer.h"
#include "config/yaml.h"

/* The text with some characters written as something else. */
static void
add_escaped(
    struct peal_writer *w, const char *text, const char *special, const char *prefix)
{
    for (; *text != '\0'; text++)
        peal_writer_printf(
            w, "%s%c", strchr(special, *text) != NULL ? prefix : "", *text);
}

static const char *
type_name(enum peal_option_type type)
{
    static const char *const names[] = {
        [PEAL_OPT_BOOL] = "on or off",
        [PEAL_OPT_INT] = "number",
        [PEAL_OPT_BYTES] = "size",
        [PEAL_OPT_DURATION] = "time",
        [PEAL_OPT_STRING] = "text",
        [PEAL_OPT_ENUM] = "one of",
        [PEAL_OPT_LIST] = "list",
        [PEAL_OPT_SECRET] = "secrets",
        [PEAL_OPT_TREE] = "map",
        [PEAL_OPT_URL] = "URL",
    };

    return names[type];
}

/* "on or off", "one of a, b", "size, 4k to 1024m". */
static void
add_type(struct peal_writer *w, const struct peal_option *row)
{
    struct peal_slice rest = peal_slice_str(row->choices), word;
    bool has_range = row->type == PEAL_OPT_INT || row->type == PEAL_OPT_BYTES ||
                     row->type == PEAL_OPT_DURATION;

    peal_writer_printf(w, "%s", type_name(row->type));
    for (const char *sep = " "; rest.data != NULL; sep = ", ") {
        word = peal_slice_cut(&rest, ',');
        peal_writer_printf(w, "%s%.*s", sep, PEAL_ARG(word));
    }
    if (!has_range)
        return;
    for (unsigned i = 0; i < 2; i++) {
        peal_writer_printf(w, i == 0 ? ", " : " to ");
        if (w->err == PEAL_OK)
            w->err = peal_option_number(row->type, i == 0 ? row->min : row->max, w->out);
    }
}

/* Tells whether text can be a value in YAML without quotes, on a line of its own. When in
 * doubt it is quoted. */
static bool
is_plain(struct peal_slice s)
{
    if (s.len == 0 || strchr("-?:,[]{}#&*!|>'\"%@` ~", s.data[0]) != NULL)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (peal_ascii_is_control(s.data[i]) || s.data[i] == '#' ||
            (s.data[i] == ':' && (i + 1 == s.len || s.data[i + 1] == ' ')))
            return false;
    return s.data[s.len - 1] != ' ';
}

static void
add_value(
    struct peal_writer *w, const struct peal_options *o, const struct peal_option *row)
{
    struct peal_buf value = { 0 };
    struct peal_slice s;

    peal_writer_fail(w, peal_option_value(o, row, &value));
    s = peal_buf_slice(&value);
    if (row->type == PEAL_OPT_TREE ? s.len > 0 : is_plain(s))
        peal_writer_put(w, s);
    else
        peal_yaml_write_quoted(s, w);
    peal_buf_fini(&value);
}

peal_err
peal_list_defaults(struct peal_buf *out)
{
    struct peal_writer w = peal_writer_on(out);

    peal_writer_printf(&w,
        "# Every option of Peal at its default. Use it as it is with `peal serve -c`\n"
        "# once listen is set. Nested maps may be written instead of dots.\n");
    for (unsigned i = 0; i < PEAL_OPTION_N; i++) {
        const struct peal_option *row = &peal_option_table[i];

        peal_writer_printf(&w, "\n# %s\n# (", row->help);
        add_type(&w, row);
        peal_writer_printf(&w, ")\n#%s: %s\n", row->name,
            is_plain(peal_slice_str(row->default_text)) ? row->default_text : "");
    }
    return peal_writer_end(&w);
}

static const char *
level_name(enum peal_option_level level)
{
    static const char *const names[] = {
        [PEAL_FROM_DEFAULT] = "default",
        [PEAL_FROM_DEV] = "dev",
        [PEAL_FROM_FILE] = "file",
        [PEAL_FROM_ENV] = "environment",
        [PEAL_FROM_SET] = "command line",
    };

    return names[level];
}

peal_err
peal_list_effective(const struct peal_options *o, struct peal_buf *out)
{
    struct peal_writer w = peal_writer_on(out);

    for (unsigned i = 0; i < PEAL_OPTION_N; i++) {
        const struct peal_option *row = &peal_option_table[i];
        bool unset = row->type == PEAL_OPT_TREE && o->rules == NULL;

        peal_writer_printf(&w, "%s%s: ", unset ? "#" : "", row->name);
        if (!unset)
            add_value(&w, o, row);
        peal_writer_printf(&w, " # %s", level_name(o->place[i].level));
        if (o->place[i].level == PEAL_FROM_FILE)
            peal_writer_printf(&w, " %s:%u", o->file, o->place[i].line);
        peal_writer_printf(&w, "\n");
    }
    return peal_writer_end(&w);
}

peal_err
peal_list_env(struct peal_buf *out)
{
    struct peal_writer w = peal_writer_on(out);
    char name[PEAL_OPTION_ENV_MAX];

    for (unsigned i = 0; i < PEAL_OPTION_N; i++) {
        const struct peal_option *row = &peal_option_table[i];

        peal_writer_printf(&w, "%s=%s\n", peal_option_env(row, name), row->default_text);
        if (peal_option_is_secret(row))
            peal_writer_printf(&w, "%s_FILE=\n", name);
    }
    return peal_writer_end(&w);
}

static void
add_markdown_row(struct peal_writer *w, const struct peal_option *row)
{
    char name[PEAL_OPTION_ENV_MAX];

    peal_writer_printf(w, "| `%s` | ", row->name);
    add_type(w, row);
    peal_writer_printf(w, " | ");
    if (*row->default_text != '\0')
        peal_writer_printf(w, "`%s`", row->default_text);
    peal_writer_printf(w, " | ");
    add_escaped(w, row->help, "|*<", "\\");
    peal_writer_printf(w, ". `%s`%s |\n", peal_option_env(row, name),
        row->type == PEAL_OPT_SECRET ? ", or a file with one a line, `..._FILE`"
        : row->type == PEAL_OPT_URL  ? ", or a file that holds it, `..._FILE`"
                                     : "");
}

static struct peal_slice
group_of(const struct peal_option *row)
{
    struct peal_slice name = peal_slice_str(row->name);

    return peal_slice_cut(&name, '.');
}

peal_err
peal_list_markdown(struct peal_buf *out)
{
    struct peal_writer w = peal_writer_on(out);

    peal_writer_printf(&w,
        "# Options\n"
        "\n"
        "<!-- Written by `peal config --markdown`; `make test` compares. -->\n"
        "\n"
        "An option has one dotted name and four places: a YAML file (`peal serve -c "
        "FILE`,\n"
        "nested or with dots), the environment, `--set name=value`, and for secrets a "
        "file\n"
        "that a variable names. The command line wins over the environment, that over "
        "the\n"
        "file, that over `--dev`, that over the default. A name that nobody knows is an\n"
        "error. A list is written with commas, or as a YAML list. Sizes take `k`, `m` "
        "and\n"
        "`g` (of 1024), times take `ms`, `s`, `m`, `h` and `d`.\n"
        "\n"
        "`peal check -c FILE` says what is wrong with a file, `peal config --effective` "
        "what\n"
        "is in force and why, `peal config --defaults` writes a file to start from.\n"
        "\n"
        "| option | type | default | meaning, variable |\n"
        "|---|---|---|---|\n");
    for (unsigned i = 0; i < PEAL_OPTION_N; i++)
        add_markdown_row(&w, &peal_option_table[i]);
    return peal_writer_end(&w);
}

peal_err
peal_list_man(struct peal_buf *out)
{
    struct peal_writer w = peal_writer_on(out);

    for (unsigned i = 0; i < PEAL_OPTION_N; i++) {
        const struct peal_option *row = &peal_option_table[i];

        if (i > 0 && !peal_slice_eq(group_of(row), group_of(row - 1)))
            peal_writer_printf(&w, ".PP\n");
        peal_writer_printf(&w, ".TP\n.B ");
        add_escaped(&w, row->name, "-", "\\");
        peal_writer_printf(&w, "\n\\&");
        add_escaped(&w, row->help, "-", "\\");
        peal_writer_printf(&w, ".\n.br\n(");
        add_type(&w, row);
        if (*row->default_text != '\0') {
            peal_writer_printf(&w, "; default ");
            add_escaped(&w, row->default_text, "-", "\\");
        }
        peal_writer_printf(&w, ")\n");
    }
    return peal_writer_end(&w);
}

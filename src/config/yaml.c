/* SPDX-License-Identifier: MIT */
/*
 * YAML trees: libyaml's events made into nodes, with a stack of what is open instead of
 * recursion. This is the only file that sees libyaml.
 */
#include "config/yaml.h"

#include <stdlib.h>
#include <yaml.h>

/* The state of the reader. */
struct reader {
    yaml_parser_t parser;
    const char *name;
    struct peal_buf *why;
    struct peal_yaml *root;
    struct peal_yaml
        *open[PEAL_YAML_DEPTH_MAX]; /* maps and sequences without their end */
    struct peal_yaml *last[PEAL_YAML_DEPTH_MAX]; /* the last value of each */
    struct peal_yaml *key;                       /* waits for its value, or NULL */
    unsigned depth, n_nodes;
    bool done;
};

/* line and column count from 0, as libyaml does. Returns err. */
static PEAL_PRINTF(5, 6) peal_err complain(
    struct reader *r, size_t line, size_t column, peal_err err, const char *fmt, ...)
{
    va_list ap;

    if (peal_buf_printf(r->why, "%s:%zu:%zu: ", r->name, line + 1, column + 1) != PEAL_OK)
        return PEAL_ENOMEM;
    va_start(ap, fmt);
    if (peal_buf_vprintf(r->why, fmt, ap) != PEAL_OK)
        err = PEAL_ENOMEM;
    va_end(ap);
    return err;
}

static peal_err
complain_parser(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;

    if (p->error == YAML_MEMORY_ERROR)
        return PEAL_ENOMEM;
    if (p->error == YAML_READER_ERROR)
        return complain(r, p->mark.line, p->mark.column, PEAL_EINVAL, "%s",
            p->problem ? p->problem : "not UTF-8 text");
    return complain(r, p->problem_mark.line, p->problem_mark.column, PEAL_EINVAL, "%s",
        p->problem ? p->problem : "not YAML");
}

static struct peal_yaml *
node_new(const yaml_event_t *ev)
{
    struct peal_yaml *y = calloc(1, sizeof(*y));

    if (y == NULL)
        return NULL;
    y->line = (unsigned)ev->start_mark.line + 1;
    y->column = (unsigned)ev->start_mark.column + 1;
    y->kind = ev->type == YAML_MAPPING_START_EVENT    ? PEAL_YAML_MAP
              : ev->type == YAML_SEQUENCE_START_EVENT ? PEAL_YAML_SEQ
                                                      : PEAL_YAML_SCALAR;
    if (y->kind != PEAL_YAML_SCALAR)
        return y;
    y->len = ev->data.scalar.length;
    y->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if ((y->text = malloc(y->len + 1)) == NULL) {
        free(y);
        return NULL;
    }
    memcpy(y->text, ev->data.scalar.value, y->len);
    y->text[y->len] = '\0';
    return y;
}

/* An anchor or a tag on a node, which we refuse. NULL: neither. */
static const char *
decoration(const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        return ev->data.scalar.anchor ? "anchors are not supported"
               : ev->data.scalar.tag  ? "tags are not supported"
                                      : NULL;
    case YAML_SEQUENCE_START_EVENT:
        return ev->data.sequence_start.anchor ? "anchors are not supported"
               : ev->data.sequence_start.tag  ? "tags are not supported"
                                              : NULL;
    case YAML_MAPPING_START_EVENT:
        return ev->data.mapping_start.anchor ? "anchors are not supported"
               : ev->data.mapping_start.tag  ? "tags are not supported"
                                             : NULL;
    default:
        return NULL;
    }
}

/* A key of the innermost open map. Takes y. */
static peal_err
take_key(struct reader *r, struct peal_yaml *y)
{
    const struct peal_yaml *map = r->open[r->depth - 1], *first;
    size_t line = y->line - 1, column = y->column - 1;
    peal_err err = PEAL_OK;

    if (y->kind != PEAL_YAML_SCALAR)
        err = complain(r, line, column, PEAL_EINVAL, "a key must be a word");
    else if (memchr(y->text, '\0', y->len) != NULL)
        err = complain(r, line, column, PEAL_EINVAL, "a key with a zero byte");
    else if ((first = peal_yaml_get(map, y->text)) != NULL)
        err = complain(r, line, column, PEAL_EINVAL,
            "%s: duplicate key, first in line %u", y->text, first->key->line);
    if (err != PEAL_OK) {
        peal_yaml_free(&y);
        return err;
    }
    r->key = y;
    return PEAL_OK;
}

/* Puts a value where it belongs. Takes y. */
static void
put(struct reader *r, struct peal_yaml *y)
{
    struct peal_yaml *in;

    if (r->depth == 0) {
        r->root = y;
        return;
    }
    in = r->open[r->depth - 1];
    y->key = r->key;
    r->key = NULL;
    if (r->last[r->depth - 1] == NULL)
        in->first = y;
    else
        r->last[r->depth - 1]->next = y;
    r->last[r->depth - 1] = y;
    in->n++;
}

static peal_err
take_node(struct reader *r, const yaml_event_t *ev)
{
    size_t line = ev->start_mark.line, column = ev->start_mark.column;
    const char *bad = decoration(ev);
    struct peal_yaml *y;

    if (bad != NULL)
        return complain(r, line, column, PEAL_EINVAL, "%s", bad);
    if (++r->n_nodes > PEAL_YAML_NODES_MAX)
        return complain(r, line, column, PEAL_ELIMIT, "too many values");
    if (ev->type != YAML_SCALAR_EVENT && r->depth == PEAL_YAML_DEPTH_MAX)
        return complain(r, line, column, PEAL_ELIMIT, "nested too deeply");
    if ((y = node_new(ev)) == NULL)
        return PEAL_ENOMEM;
    if (r->depth > 0 && r->open[r->depth - 1]->kind == PEAL_YAML_MAP && r->key == NULL)
        return take_key(r, y);
    put(r, y);
    if (y->kind != PEAL_YAML_SCALAR) {
        r->open[r->depth] = y;
        r->last[r->depth] = NULL;
        r->depth++;
    }
    return PEAL_OK;
}

static peal_err
take_event(struct reader *r, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return take_node(r, ev);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return PEAL_OK;
    case YAML_ALIAS_EVENT:
        return complain(r, ev->start_mark.line, ev->start_mark.column, PEAL_EINVAL,
            "aliases are not supported; quote a value that begins with *");
    case YAML_DOCUMENT_START_EVENT:
        if (r->root != NULL)
            return complain(r, ev->start_mark.line, ev->start_mark.column, PEAL_EINVAL,
                "a second document");
        return PEAL_OK;
    case YAML_STREAM_END_EVENT:
        r->done = true;
        return PEAL_OK;
    default:
        return PEAL_OK;
    }
}

peal_err
peal_yaml_read(struct peal_slice text, const char *name, struct peal_yaml **out,
    struct peal_buf *why)
{
    struct reader r = { .name = name, .why = why };
    peal_err err = PEAL_OK;

    if (text.len > PEAL_YAML_BYTES_MAX)
        return complain(&r, 0, 0, PEAL_ELIMIT, "larger than 1 MiB");
    if (!yaml_parser_initialize(&r.parser))
        return PEAL_ENOMEM;
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(
        &r.parser, (const unsigned char *)(text.data ? text.data : ""), text.len);
    while (err == PEAL_OK && !r.done) {
        yaml_event_t ev;

        if (!yaml_parser_parse(&r.parser, &ev)) {
            err = complain_parser(&r);
            break;
        }
        err = take_event(&r, &ev);
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&r.parser);
    if (err == PEAL_OK && (r.root == NULL || peal_yaml_is_null(r.root))) {
        peal_yaml_free(&r.root);
        if ((r.root = calloc(1, sizeof(*r.root))) == NULL)
            return PEAL_ENOMEM;
        r.root->kind = PEAL_YAML_MAP;
        r.root->line = r.root->column = 1;
    }
    if (err != PEAL_OK) {
        peal_yaml_free(&r.key);
        peal_yaml_free(&r.root);
        return err;
    }
    *out = r.root;
    return PEAL_OK;
}

void
peal_yaml_free(struct peal_yaml **yp)
{
    struct peal_yaml *y = *yp, *next;

    *yp = NULL;
    for (; y != NULL; y = next) {
        next = y->next;
        peal_yaml_free(&y->first); /* as deep as PEAL_YAML_DEPTH_MAX at most */
        peal_yaml_free(&y->key);
        free(y->text);
        free(y);
    }
}

const struct peal_yaml *
peal_yaml_get(const struct peal_yaml *map, const char *key)
{
    if (map->kind != PEAL_YAML_MAP)
        return NULL;
    for (const struct peal_yaml *y = map->first; y != NULL; y = y->next)
        if (strcmp(y->key->text, key) == 0)
            return y;
    return NULL;
}

bool
peal_yaml_is_null(const struct peal_yaml *y)
{
    return y->kind == PEAL_YAML_SCALAR && !y->quoted &&
           (y->len == 0 || strcmp(y->text, "~") == 0 || strcmp(y->text, "null") == 0);
}

peal_err
peal_yaml_bool(const struct peal_yaml *y, bool *out)
{
    static const char *const yes[] = { "true", "yes", "on" };
    static const char *const no[] = { "false", "no", "off" };

    if (y->kind != PEAL_YAML_SCALAR)
        return PEAL_EINVAL;
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(y->text, yes[i]) == 0 || strcmp(y->text, no[i]) == 0) {
            *out = strcmp(y->text, yes[i]) == 0;
            return PEAL_OK;
        }
    return PEAL_EINVAL;
}

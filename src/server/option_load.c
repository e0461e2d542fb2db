/* SPDX-License-Identifier: MIT */
/* Loading options: the default, --dev, the file, the environment and the command line,
 * one over the other; all mistakes are collected. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/rules.h"
#include "backplane/redis_pubsub.h"
#include "base/suggest.h"
#include "io/tls.h"
#include "server/option_set_priv.h"

#define KEY_MAX 128

/* The defaults that --dev (or dev: on) changes; every setting of the user wins. */
static const char *const dev_settings[][2] = { { "listen", "127.0.0.1:8080" },
    { "log.format", "friendly" }, { "socketio.cors", "*" }, { "ws.origins", "*" },
    { "http.cors", "*" }, { "drain.delay", "0s" }, { "drain.window", "0s" } };

static void
load_defaults(struct peal_option_loader *l)
{
    struct peal_option_source src = { .level = PEAL_FROM_DEFAULT, .name = "default" };

    for (unsigned i = 0; i < PEAL_OPTION_N; i++)
        if (peal_option_table[i].type != PEAL_OPT_TREE)
            peal_option_set(l, &peal_option_table[i], &src,
                peal_slice_str(peal_option_table[i].default_text));
}

/* Comes last, as the option dev can be set anywhere: fills in what nobody else set. */
static void
load_dev(struct peal_option_loader *l)
{
    struct peal_option_source src = { .level = PEAL_FROM_DEV, .name = "--dev" };

    for (unsigned i = 0; i < sizeof(dev_settings) / sizeof(*dev_settings); i++) {
        const struct peal_option *row =
            peal_option_find(peal_slice_str(dev_settings[i][0]));

        if (peal_option_place(l->o, row)->level == PEAL_FROM_DEFAULT)
            peal_option_set(l, row, &src, peal_slice_str(dev_settings[i][1]));
    }
}

/* The file. */

static peal_err
read_all(const char *name, struct peal_buf *out)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    peal_err err = fd < 0 ? PEAL_EIO : PEAL_OK;
    ssize_t n = 1;

    while (err == PEAL_OK && n > 0 && out->len <= PEAL_YAML_BYTES_MAX) {
        if ((err = peal_buf_reserve(out, 4096)) != PEAL_OK)
            break;
        if ((n = read(fd, out->data + out->len, 4096)) < 0)
            err = PEAL_EIO;
        else
            out->len += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    return err;
}

static bool
is_group(const char *key)
{
    size_t len = strlen(key);

    for (unsigned i = 0; i < PEAL_OPTION_N; i++)
        if (strncmp(peal_option_table[i].name, key, len) == 0 &&
            peal_option_table[i].name[len] == '.')
            return true;
    return false;
}

/* A value of the file for a row. */
static void
load_value(struct peal_option_loader *l, const struct peal_option *row,
    struct peal_option_source *src, const struct peal_yaml *y)
{
    bool list = peal_option_is_list(row);
    bool may_be_empty = list || row->type == PEAL_OPT_STRING;

    src->line = y->line;
    src->column = y->column;
    if (peal_yaml_is_null(y)) {
        if (!may_be_empty)
            peal_option_complain(l, src, row->name, "has no value");
        else
            peal_option_set(l, row, src, PEAL_S(""));
    } else if (y->kind == PEAL_YAML_SCALAR) {
        peal_option_set(l, row, src, peal_yaml_slice(y));
    } else if (y->kind == PEAL_YAML_SEQ && list) {
        if (!peal_option_begin(l, row, src))
            return;
        for (const struct peal_yaml *v = y->first; v != NULL; v = v->next) {
            src->line = v->line;
            src->column = v->column;
            if (v->kind == PEAL_YAML_SCALAR)
                peal_option_put(l, row, src, peal_yaml_slice(v));
            else
                peal_option_complain(
                    l, src, row->name, "expected a list of single values");
        }
    } else {
        peal_option_complain(l, src, row->name, "expected a %s, not a %s",
            list ? "value or a list" : "single value",
            y->kind == PEAL_YAML_MAP ? "map" : "list");
    }
}

/* Takes a subtree out of its document. */
static void
load_tree(struct peal_option_loader *l, const struct peal_option *row,
    struct peal_option_source *src, struct peal_yaml *map, struct peal_yaml *y)
{
    struct peal_yaml **at = &map->first;

    if (!peal_option_begin(l, row, src))
        return;
    while (*at != y)
        at = &(*at)->next;
    *at = y->next;
    y->next = NULL;
    peal_option_put_tree(l, row, y);
}

static void
load_map(struct peal_option_loader *l, const char *file, const char *prefix,
    struct peal_yaml *map)
{
    struct peal_yaml *next;

    for (struct peal_yaml *y = map->first; y != NULL; y = next) {
        struct peal_option_source src = { PEAL_FROM_FILE, file, y->key->line,
            y->key->column };
        const struct peal_option *row;
        char key[KEY_MAX];

        next = y->next;
        snprintf(key, sizeof(key), "%s%s%s", prefix, *prefix ? "." : "", y->key->text);
        row = peal_option_find(peal_slice_str(key));
        if (y->kind == PEAL_YAML_MAP && is_group(key))
            load_map(l, file, key, y);
        else if (row == NULL && is_group(key))
            peal_option_complain(l, &src, key, "is a group of options, not an option");
        else if (row == NULL)
            peal_option_unknown(l, &src, key);
        else if (row->type == PEAL_OPT_TREE && y->kind != PEAL_YAML_SCALAR)
            load_tree(l, row, &src, map, y);
        else
            load_value(l, row, &src, y);
    }
}

static void
load_file(struct peal_option_loader *l, const char *name)
{
    struct peal_option_source src = { .level = PEAL_FROM_FILE, .name = name };
    struct peal_yaml *doc = NULL;
    struct peal_buf text = { 0 };
    peal_err err = read_all(name, &text);

    if (err == PEAL_EIO) {
        peal_option_complain(l, &src, NULL, "cannot be read: %s", strerror(errno));
    } else if (err != PEAL_OK) {
        l->err = PEAL_ENOMEM;
    } else if ((err = peal_yaml_read(peal_buf_slice(&text), name, &doc, l->errors)) !=
               PEAL_OK) {
        l->err = err == PEAL_ENOMEM || peal_buf_add_char(l->errors, '\n') != PEAL_OK
                     ? PEAL_ENOMEM
                     : PEAL_EINVAL;
    } else if (doc->kind != PEAL_YAML_MAP) {
        src.line = doc->line;
        src.column = doc->column;
        peal_option_complain(l, &src, NULL, "expected a map of options");
    } else {
        load_map(l, name, "", doc);
    }
    peal_yaml_free(&doc);
    peal_buf_fini(&text);
}

/* The environment. */

/* Kubernetes sets such variables for a Service that is called peal, peal-redis and so on.
 */
static bool
is_service_variable(struct peal_slice name, struct peal_slice value)
{
    return peal_slice_glob(PEAL_S("PEAL*_SERVICE_HOST"), name) ||
           peal_slice_glob(PEAL_S("PEAL*_SERVICE_PORT*"), name) ||
           peal_slice_glob(PEAL_S("PEAL*_PORT_*"), name) ||
           (peal_slice_glob(PEAL_S("PEAL*_PORT"), name) &&
               peal_slice_glob(PEAL_S("*://*"), value));
}

static void
load_secret_file(struct peal_option_loader *l, const struct peal_option *row,
    struct peal_option_source *src, const char *file)
{
    struct peal_buf text = { 0 };
    struct peal_slice rest;
    peal_err err = read_all(file, &text);

    if (err == PEAL_ENOMEM) {
        l->err = PEAL_ENOMEM;
    } else if (err != PEAL_OK) {
        peal_option_complain(
            l, src, row->name, "%s cannot be read: %s", file, strerror(errno));
    } else if (peal_option_begin(l, row, src)) {
        for (rest = peal_buf_slice(&text); rest.data != NULL;) {
            struct peal_slice line = peal_slice_trim(peal_slice_cut(&rest, '\n'));

            if (line.len > 0)
                peal_option_put(l, row, src, line);
        }
    }
    peal_buf_fini(&text);
}

static void
complain_variable(struct peal_option_loader *l, const char *name)
{
    static const char form[] = "unknown variable";
    const size_t prefix = sizeof("PEAL_") - 1; /* would make all names alike */
    char names[PEAL_OPTION_N][PEAL_OPTION_ENV_MAX];
    const char *list[PEAL_OPTION_N + 1] = { NULL }, *near;
    struct peal_option_source src = { .level = PEAL_FROM_ENV, .name = "environment" };

    for (unsigned i = 0; i < PEAL_OPTION_N; i++)
        list[i] = peal_option_env(&peal_option_table[i], names[i]) + prefix;
    if ((near = peal_text_suggest(peal_slice_str(name + prefix), list)) != NULL)
        peal_option_complain(l, &src, name, "%s; did you mean PEAL_%s?", form, near);
    else
        peal_option_complain(l, &src, name, "%s; `peal config --env` lists them", form);
}

static void
load_variable(struct peal_option_loader *l, const char *variable)
{
    struct peal_slice value = peal_slice_str(variable),
                      name = peal_slice_cut(&value, '=');
    char known[PEAL_OPTION_ENV_MAX], copy[KEY_MAX];
    struct peal_option_source src = { .level = PEAL_FROM_ENV, .name = copy };

    if (!peal_slice_starts(name, PEAL_S("PEAL_")) || value.data == NULL ||
        is_service_variable(name, value))
        return;
    snprintf(copy, sizeof(copy), "%.*s", PEAL_ARG(name));
    for (unsigned i = 0; i < PEAL_OPTION_N; i++) {
        const struct peal_option *row = &peal_option_table[i];
        size_t len = strlen(peal_option_env(row, known));

        if (strncmp(copy, known, len) != 0)
            continue;
        if (copy[len] == '\0') {
            peal_option_set(l, row, &src, value);
            return;
        }
        if (peal_option_is_secret(row) && strcmp(copy + len, "_FILE") == 0) {
            load_secret_file(l, row, &src, value.data);
            return;
        }
    }
    complain_variable(l, copy);
}

/* The command line. */

static void
load_set(struct peal_option_loader *l, const char *set)
{
    struct peal_option_source src = { .level = PEAL_FROM_SET, .name = "--set" };
    struct peal_slice value = peal_slice_str(set), key = peal_slice_cut(&value, '=');
    const struct peal_option *row = peal_option_find(key);
    char name[KEY_MAX];

    snprintf(name, sizeof(name), "%.*s", PEAL_ARG(key));
    if (row == NULL && is_group(name))
        peal_option_complain(l, &src, name, "is a group of options, not an option");
    else if (row == NULL)
        peal_option_unknown(l, &src, name);
    else if (value.data == NULL)
        peal_option_complain(l, &src, name, "expected %s=value", name);
    else
        peal_option_set(l, row, &src, value);
}

/* The place to name in a complaint about the value of an option. */
static struct peal_option_source
source_of(const struct peal_options *o, const char *name)
{
    const struct peal_option *row = peal_option_find(peal_slice_str(name));
    const struct peal_option_place *place = &o->place[row - peal_option_table];
    struct peal_option_source src = { .level = place->level, .name = "options" };

    if (place->level == PEAL_FROM_FILE) {
        src.name = o->file;
        src.line = place->line;
        src.column = place->column;
    } else if (place->level == PEAL_FROM_ENV) {
        src.name = "environment";
    } else if (place->level == PEAL_FROM_SET) {
        src.name = "--set";
    } else if (o->file != NULL) {
        src.name = o->file;
    }
    return src;
}

static void
need(struct peal_option_loader *l, bool right, const char *name, const char *text)
{
    struct peal_option_source src = source_of(l->o, name);

    if (!right)
        peal_option_complain(l, &src, name, "%s", text);
}

/* Says why the adapter cannot use this backplane, or NULL if it can. */
static const char *
adapter_fault(const struct peal_options *o)
{
    switch (o->socketio_adapter) {
    case PEAL_ADAPTER_REDIS:
        return peal_redis_pubsub_check(o->backplane, PEAL_REDIS_CLASSIC);
    case PEAL_ADAPTER_SHARDED:
        return peal_redis_pubsub_check(o->backplane, PEAL_REDIS_SHARDED);
    default:
        return NULL;
    }
}

/* Checks that concern several options at once. */
static void
check_together(struct peal_option_loader *l)
{
    const struct peal_options *o = l->o;
    const struct peal_backplane_kind *kind =
        o->backplane != NULL ? peal_backplane_kind_of(o->backplane) : NULL;
    bool alone = kind == NULL || kind->alone;
    const char *no_adapter = kind == NULL ? NULL : adapter_fault(o);

    need(l, o->listen.n > 0, "listen",
        "is required: where to listen, such as 0.0.0.0:8080 (--dev: 127.0.0.1:8080)");
    need(l, o->tls_cert == NULL || o->tls_key != NULL, "tls.cert", "needs tls.key, too");
    need(l, o->tls_key == NULL || o->tls_cert != NULL, "tls.key", "needs tls.cert, too");
    need(l, o->tls_ticket_secret.n <= PEAL_TLS_SECRETS_MAX, "tls.ticket_secret",
        "has more than two");
    for (unsigned i = 0; i < o->tls_ticket_secret.n; i++)
        need(l, strlen(o->tls_ticket_secret.v[i]) >= 32, "tls.ticket_secret",
            "needs 32 characters or more, by chance: openssl rand -hex 32");
    need(l, o->socketio_path != NULL, "socketio.path", "must not be empty");
    need(l, o->socketio_transports.n > 0, "socketio.transports", "needs at least one");
    need(l, o->http_line_max <= o->http_head_max, "http.line_max",
        "is more than http.head_max");
    need(l, o->backplane != NULL, "backplane", "must not be empty: memory, or a URL");
    need(l, o->backplane_prefix != NULL, "backplane.prefix", "must not be empty");
    need(l, o->backplane_secret.n <= 4, "backplane.secret", "has more than four");
    for (unsigned i = 0; i < o->backplane_secret.n; i++)
        need(l, strlen(o->backplane_secret.v[i]) >= 16, "backplane.secret",
            "needs 16 characters or more, by chance: openssl rand -hex 16");
    need(l, o->socketio_adapter_key != NULL, "socketio.adapter_key", "must not be empty");
    need(l, !o->rebalance || !alone, "rebalance", "needs other nodes: set backplane");
    if (no_adapter != NULL)
        need(l, false, "socketio.adapter", no_adapter);
}

/* Rules are read by the application; here only to say what it would not take. */
static void
check_rules(struct peal_option_loader *l)
{
    struct peal_option_source src = source_of(l->o, "rules");
    struct peal_app *app = NULL;
    peal_err err;

    if (l->o->rules == NULL)
        return;
    err = peal_rules_new(l->o->rules, src.name, l->o->dev, l->errors, &app);
    if (err == PEAL_OK)
        app->ops->free(app);
    else if (l->err == PEAL_OK || err == PEAL_ENOMEM)
        l->err = err;
}

static void
load(struct peal_option_loader *l, const struct peal_option_input *in)
{
    struct peal_option_source src = { .level = PEAL_FROM_SET, .name = "--dev" };

    load_defaults(l);
    if (in->file != NULL) {
        if ((l->o->file = strdup(in->file)) == NULL)
            l->err = PEAL_ENOMEM;
        load_file(l, in->file);
    }
    for (const char *const *v = in->env; v != NULL && *v != NULL; v++)
        load_variable(l, *v);
    if (in->dev)
        peal_option_set(l, peal_option_find(PEAL_S("dev")), &src, PEAL_S("on"));
    for (unsigned i = 0; i < in->n_sets; i++)
        load_set(l, in->sets[i]);
    if (l->o->dev)
        load_dev(l);
    if (l->err == PEAL_OK)
        check_together(l);
    check_rules(l);
}

peal_err
peal_options_load(const struct peal_option_input *in, struct peal_options **out,
    struct peal_buf *errors)
{
    struct peal_option_loader l = { .errors = errors, .o = calloc(1, sizeof(*l.o)) };

    if (l.o == NULL)
        return PEAL_ENOMEM;
    load(&l, in);
    if (l.err != PEAL_OK) {
        peal_options_free(&l.o);
        return l.err;
    }
    *out = l.o;
    return PEAL_OK;
}

void
peal_options_free(struct peal_options **op)
{
    struct peal_options *o = *op;

    *op = NULL;
    if (o == NULL)
        return;
    for (unsigned i = 0; i < PEAL_OPTION_N; i++) {
        const struct peal_option *row = &peal_option_table[i];
        void *field = peal_option_field(o, row);

        if (row->type == PEAL_OPT_STRING || row->type == PEAL_OPT_URL) {
            free(*(char **)field);
        } else if (row->type == PEAL_OPT_TREE) {
            peal_yaml_free(field);
        } else if (peal_option_is_list(row)) {
            struct peal_strings *s = field;

            for (unsigned k = 0; k < s->n; k++)
                free(s->v[k]);
            free(s->v);
        }
    }
    free(o->file);
    free(o);
}

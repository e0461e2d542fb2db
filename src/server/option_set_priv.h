/* SPDX-License-Identifier: MIT */
/* Setting options one by one, inside server/ only: what the file, the environment and the
 * command line have in common. */
#ifndef PEAL_SERVER_OPTION_SET_PRIV_H
#define PEAL_SERVER_OPTION_SET_PRIV_H

#include "server/options.h"

/* Options being made. */
struct peal_option_loader {
    struct peal_options *o;
    struct peal_buf *errors; /* lines */
    peal_err err; /* PEAL_OK, PEAL_EINVAL after a mistake, PEAL_ENOMEM for ever */
};

/* The place that a value comes from, for error texts. */
struct peal_option_source {
    enum peal_option_level level;
    const char *name;      /* the file, the variable, "--set" */
    unsigned line, column; /* of a file */
};

/* Appends an error line: where, key (unless NULL) and what is wrong. */
void peal_option_complain(struct peal_option_loader *l,
    const struct peal_option_source *src, const char *key, const char *fmt, ...)
    PEAL_PRINTF(4, 5);

/* Complains about a name that is no option's, with the nearest one. */
void peal_option_unknown(
    struct peal_option_loader *l, const struct peal_option_source *src, const char *key);

/*
 * Begins a new value for row, over what weaker levels said. false: it cannot be (it was
 * set before on this level), which is complained about.
 */
bool peal_option_begin(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src);

/* Sets what is no list and no tree, or appends one value to a list. text need not end in
 * a zero. Call peal_option_begin first. */
void peal_option_put(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src, struct peal_slice text);

/* Sets any row from one text: a list is cut at commas, a tree is YAML. */
void peal_option_set(struct peal_option_loader *l, const struct peal_option *row,
    const struct peal_option_source *src, struct peal_slice text);

/* Puts a tree, taken, in the place of the one before. */
void peal_option_put_tree(
    struct peal_option_loader *l, const struct peal_option *row, struct peal_yaml *tree);

/* Names of all options and of their groups, NULL at the end. */
extern const char *const peal_option_names[];

static inline void *
peal_option_field(struct peal_options *o, const struct peal_option *row)
{
    return (char *)o + row->offset;
}

static inline struct peal_option_place *
peal_option_place(struct peal_options *o, const struct peal_option *row)
{
    return &o->place[row - peal_option_table];
}

static inline bool
peal_option_is_list(const struct peal_option *row)
{
    return row->type == PEAL_OPT_LIST || row->type == PEAL_OPT_SECRET;
}

#endif

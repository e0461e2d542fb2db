/* SPDX-License-Identifier: MIT */
/*
 * YAML trees: a document as nodes that remember where they stand, so that a complaint can
 * name file:line:column. No anchors, aliases or tags: a node says what is written.
 *
 * Depth and number of nodes are bounded. A tree is immutable once read; any thread.
 */
#ifndef PEAL_CONFIG_YAML_H
#define PEAL_CONFIG_YAML_H

#include "base/writer.h"

#define PEAL_YAML_DEPTH_MAX 32
#define PEAL_YAML_NODES_MAX 20000
#define PEAL_YAML_BYTES_MAX (1024 * 1024)

enum peal_yaml_kind {
    PEAL_YAML_SCALAR,
    PEAL_YAML_MAP,
    PEAL_YAML_SEQ
};

struct peal_yaml {
    enum peal_yaml_kind kind;
    unsigned line, column;   /* from 1, of the node's first character */
    bool quoted;             /* scalar: written in quotes or as a block, so never null */
    char *text;              /* scalar: its text, ends in a zero; never NULL */
    size_t len;              /* bytes of text */
    struct peal_yaml *key;   /* in a map: the scalar before this value; else NULL */
    struct peal_yaml *next;  /* next value of the same map or sequence */
    struct peal_yaml *first; /* map, sequence: the first value */
    unsigned n;              /* map, sequence: values */
};

/*
 * peal_yaml_read reads one document. An empty one is an empty map.
 *   name  borrowed: how messages call it, a file's name
 *   out   release it with peal_yaml_free
 *   why   appended on failure: "name:line:column: what is wrong", without a newline
 *
 * A key that stands twice in one map is an error.
 * Errors: PEAL_EINVAL: not such YAML; PEAL_ELIMIT: too deep, too large; PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_yaml_read(struct peal_slice text, const char *name,
    struct peal_yaml **out, struct peal_buf *why);

/* peal_yaml_free releases a tree and sets *yp to NULL. NULL is fine. */
void peal_yaml_free(struct peal_yaml **yp);

/* peal_yaml_get returns the value of a key of a map; NULL: no such key, or not a map. */
const struct peal_yaml *peal_yaml_get(const struct peal_yaml *map, const char *key);

static inline struct peal_slice
peal_yaml_slice(const struct peal_yaml *scalar)
{
    return (struct peal_slice){ scalar->text, scalar->len };
}

/* peal_yaml_is_null: nothing, ~ or null, as in "key:" with nothing behind it. */
bool peal_yaml_is_null(const struct peal_yaml *y);

/* peal_yaml_bool reads true/false, yes/no, on/off. Errors: PEAL_EINVAL. */
PEAL_MUST_USE peal_err peal_yaml_bool(const struct peal_yaml *y, bool *out);

/* peal_yaml_write appends the tree in flow form, on one line: {a: [1, "x y"]}.
 * Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_yaml_write(const struct peal_yaml *y, struct peal_buf *out);

/* peal_yaml_write_quoted writes text as a scalar in quotes. */
void peal_yaml_write_quoted(struct peal_slice text, struct peal_writer *w);

#endif

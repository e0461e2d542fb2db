/* SPDX-License-Identifier: MIT */
/*
 * Lists of names that are made one after another: the text of all lies in one buffer, so
 * a list of a thousand takes two allocations. While a list is made the text may move, so
 * the slices are good only after peal_names_end:
 *
 *   peal_names_begin(&names, n);
 *   n times: append the name to names.text, then peal_names_add(&names);
 *   peal_names_end(&names);
 *
 * A zeroed struct is an empty list. One thread at a time.
 */
#ifndef PEAL_BASE_NAMES_H
#define PEAL_BASE_NAMES_H

#include "base/buf.h"

struct peal_names {
    struct peal_slice *v;
    unsigned n;
    struct peal_buf text;
    size_t used; /* bytes of text that belong to names already */
};

/* peal_names_begin makes room for max names in an empty list. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_names_begin(struct peal_names *names, unsigned max);

/* peal_names_add makes a name of what was appended to the text since the last one, and
 * returns it; it is good until more is appended. */
struct peal_slice peal_names_add(struct peal_names *names);

/* peal_names_end makes all slices good. */
void peal_names_end(struct peal_names *names);

/* peal_names_fini releases the names and leaves an empty list. */
void peal_names_fini(struct peal_names *names);

#endif

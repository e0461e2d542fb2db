/* SPDX-License-Identifier: MIT */
/* "Did you mean": the known word that a mistyped one is nearest to. Pure. Any thread. */
#ifndef PEAL_BASE_SUGGEST_H
#define PEAL_BASE_SUGGEST_H

#include "base/slice.h"

/* peal_text_suggest returns the entry of names that is written most like word, or NULL if
 * none is near. names ends with NULL. */
const char *peal_text_suggest(struct peal_slice word, const char *const *names);

#endif

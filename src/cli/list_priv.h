/* SPDX-License-Identifier: MIT */
/* The option table for readers; inside cli/ only. */
#ifndef PEAL_CLI_LIST_PRIV_H
#define PEAL_CLI_LIST_PRIV_H

#include "server/options.h"

/* These append the table. Errors: PEAL_ENOMEM. */

/* A configuration file with every option at its default, commented out. */
PEAL_MUST_USE peal_err peal_list_defaults(struct peal_buf *out);
/* A configuration file with every value in force and where it comes from. */
PEAL_MUST_USE peal_err peal_list_effective(
    const struct peal_options *o, struct peal_buf *out);
/* The names of variables, with what they may be. */
PEAL_MUST_USE peal_err peal_list_env(struct peal_buf *out);
/* docs/OPTIONS.md. */
PEAL_MUST_USE peal_err peal_list_markdown(struct peal_buf *out);
/* The section of the man page. */
PEAL_MUST_USE peal_err peal_list_man(struct peal_buf *out);

#endif

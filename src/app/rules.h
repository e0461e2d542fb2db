/* SPDX-License-Identifier: MIT */
/*
 * Declarative rules: the application that a configuration file describes. docs/GUIDE.md
 * has the reference of what may be written.
 *
 * With rules, only the rules count. Without any, `--dev` allows everything (join, leave,
 * to, and an echo for the rest); otherwise nothing is allowed.
 *
 * Counting: refused events are counted here (PEAL_STAT_DENIED), refused connects,
 * subscriptions and publishes by the protocol that asked.
 */
#ifndef PEAL_APP_RULES_H
#define PEAL_APP_RULES_H

#include "app/app.h"
#include "config/yaml.h"

#define PEAL_RULES_ACTIONS_MAX 16  /* of one event */
#define PEAL_RULES_ARGS_MAX 16     /* positions that an action can name: 0 to 15 */
#define PEAL_RULES_PATTERNS_MAX 64 /* in one list of room patterns */

/*
 * peal_rules_new makes an application from the option "rules"; also how `peal check`
 * validates them (drop what comes out with app->ops->free).
 *   tree    borrowed; NULL: there are no rules
 *   file    borrowed: how messages call the place the tree comes from
 *   dev     what to do without rules; with rules it changes nothing
 *   errors  appended: a line "file:line:column: rules.key: what is wrong" a mistake
 *   out     set only on PEAL_OK; release it with (*out)->ops->free(*out)
 *
 * Errors: PEAL_EINVAL: see errors; PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_rules_new(const struct peal_yaml *tree, const char *file,
    bool dev, struct peal_buf *errors, struct peal_app **out);

#endif

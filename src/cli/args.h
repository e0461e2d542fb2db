/* SPDX-License-Identifier: MIT */
/*
 * Command lines: options that a command declares, "--name value" or "--name=value" or
 * "-n value", and what is left over. A mistake is said with the nearest option there is.
 */
#ifndef PEAL_CLI_ARGS_H
#define PEAL_CLI_ARGS_H

#include "server/options.h"

#define PEAL_ARGS_MAX 16 /* options of a command */

/* One option. The array ends with a NULL name. */
struct peal_arg {
    const char *name;    /* without dashes */
    char letter;         /* or 0 */
    bool *flag;          /* set to true; or else */
    const char **value;  /* the last value; or else */
    const char **values; /* all of them, at most as many as the command line has words */
    unsigned *n_values;
};

/*
 * peal_args_read goes over the command line; --help and -h print help and end.
 *   command  as the user knows it, such as "serve"
 *   rest     words that are no options are moved to the front of argv + 1; their number.
 *            NULL: there must be none
 * Returns -1 to go on, or the exit status.
 */
int peal_args_read(const char *command, const char *help, const struct peal_arg *args,
    int argc, char **argv, int *rest);

/* peal_args_complain prints a line for a wrong command line; returns PEAL_EXIT_USAGE. */
int peal_args_complain(const char *command, const char *fmt, ...) PEAL_PRINTF(2, 3);

/* The options of serve, check and config that say what to load. */
struct peal_config_args {
    struct peal_option_input in;
    const char **sets; /* owned */
};

#define PEAL_CONFIG_ARGS_HELP                                                            \
    "  -c, --config FILE   configuration in YAML; `peal config` lists the options\n"     \
    "      --set KEY=VALUE set one option; may be repeated, a list collects\n"           \
    "      --dev           for development: loopback, everything allowed, demo page,\n"  \
    "                      friendly log\n"                                               \
    "  -h, --help          print this\n"                                                 \
    "\n"                                                                                 \
    "Precedence: --set, environment (PEAL_LISTEN=...), file, --dev, default.\n"

/* peal_config_args_read reads these options and those of flags, which may be NULL.
 * Returns -1 to go on, or the exit status. Release with peal_config_args_fini always. */
int peal_config_args_read(const char *command, const char *help,
    const struct peal_arg *flags, int argc, char **argv, struct peal_config_args *out);
void peal_config_args_fini(struct peal_config_args *a);

/* peal_config_load loads options and says on stderr what is wrong with them, rules
 * included. Returns PEAL_EXIT_OK, with *out to be freed, or PEAL_EXIT_FAILED. */
int peal_config_load(const struct peal_config_args *a, struct peal_options **out);

#endif

/* SPDX-License-Identifier: MIT */
/* peal serve runs a node; peal check tells whether it would run. */
#include <stdio.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "server/server.h"

static const char serve_help[] =
    "usage: peal serve [-c FILE] [--set KEY=VALUE]... [--dev]\n"
    "\n"
    "Runs a node until it gets SIGTERM or SIGINT. It then stops being ready, waits\n"
    "drain.delay, closes its connections over drain.window and ends; a second signal\n"
    "ends it at once.\n"
    "\n" PEAL_CONFIG_ARGS_HELP "\n"
    "Exit status: 0 it was told to stop; 1 it could not run; 2 wrong command line.\n";

static const char check_help[] =
    "usage: peal check [-c FILE] [--set KEY=VALUE]... [--dev]\n"
    "\n"
    "Validates a configuration as `peal serve` would see it, the environment included,\n"
    "and opens nothing. Every mistake is a line: FILE:LINE:COLUMN: KEY: what is wrong.\n"
    "\n" PEAL_CONFIG_ARGS_HELP "\n"
    "Exit status: 0 it is valid; 1 it is not; 2 wrong command line.\n";

int
peal_cli_serve(int argc, char **argv)
{
    struct peal_config_args args;
    struct peal_options *o = NULL;
    int status = peal_config_args_read("serve", serve_help, NULL, argc, argv, &args);

    if (status < 0 && (status = peal_config_load(&args, &o)) == PEAL_EXIT_OK)
        status = peal_serve(o, NULL);
    peal_options_free(&o);
    peal_config_args_fini(&args);
    return status;
}

int
peal_cli_check(int argc, char **argv)
{
    struct peal_config_args args;
    struct peal_options *o = NULL;
    int status = peal_config_args_read("check", check_help, NULL, argc, argv, &args);

    if (status < 0 && (status = peal_config_load(&args, &o)) == PEAL_EXIT_OK)
        printf("%s: valid\n", args.in.file != NULL ? args.in.file : "options");
    peal_options_free(&o);
    peal_config_args_fini(&args);
    return status;
}

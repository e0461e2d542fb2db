/* SPDX-License-Identifier: MIT */
/*
 * The commands of the binary. Each gets its own name in argv[0] and returns the exit
 * status: one of these. What was asked for goes to stdout, complaints to stderr.
 */
#ifndef PEAL_CLI_CLI_H
#define PEAL_CLI_CLI_H

enum {
    PEAL_EXIT_OK = 0,
    PEAL_EXIT_FAILED = 1, /* it did not work, or the configuration is wrong */
    PEAL_EXIT_USAGE = 2   /* the command line is wrong */
};

int peal_cli_serve(int argc, char **argv);
int peal_cli_check(int argc, char **argv);
int peal_cli_config(int argc, char **argv);
int peal_cli_publish(int argc, char **argv);
int peal_cli_emit(int argc, char **argv);

#endif

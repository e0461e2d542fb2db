/* SPDX-License-Identifier: MIT */
/* What the servers of the conformance suites share: peal's server with another program on
 * it, and a command line of --listen and --set. */
#ifndef PEAL_TEST_SERVERS_RUN_H
#define PEAL_TEST_SERVERS_RUN_H

#include "server/server.h"

/*
 * run_server serves until it is told to stop.
 *   defaults  key=value settings, NULL at the end; the command line goes over them
 * Returns the exit status.
 */
int run_server(int argc, char **argv, const struct peal_program *program,
    const char *const *defaults);

#endif

/* SPDX-License-Identifier: MIT */
/* The server: workers, listeners and their life, from options to the last drained client. */
#ifndef PEAL_SERVER_SERVER_H
#define PEAL_SERVER_SERVER_H

#include "server/options.h"

/* peal_serve runs a node until it is told to stop. Returns the exit status.
 *   opts  borrowed for the call */
int peal_serve(struct peal_options *opts);

#endif

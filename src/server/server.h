/* SPDX-License-Identifier: MIT */
/* The server: workers, listeners and their life, from options to the last drained client.
 */
#ifndef PEAL_SERVER_SERVER_H
#define PEAL_SERVER_SERVER_H

#include "proto/eio.h"
#include "server/options.h"

#define PEAL_ROUTES_MAX 32

/* The parts that another program puts in place of those of peal; all optional. */
struct peal_program {
    /* Makes the application; NULL: the declarative rules. One for all workers. */
    peal_err (*app)(const struct peal_options *o, struct peal_app **out);
    /* The protocol over Engine.IO; NULL: Socket.IO. */
    const struct peal_eio_ops *rider;
    /* Protocols before those of peal itself: their routes win. Kept. */
    const struct peal_protocol_row *protocols;
    unsigned n_protocols;
    /* A route before all others of a worker; ctx is the struct peal_proto. NULL: none. */
    peal_http_fn *handle;
    const char *path; /* of handle; a prefix */
};

/*
 * peal_serve runs a node until it is told to stop. Returns the exit status. SIGTERM,
 * SIGINT and SIGHUP are its own while it runs, and blocked from then on. opts, program
 * borrowed for the call; program NULL: peal itself
 */
int peal_serve(struct peal_options *opts, const struct peal_program *program);

#endif

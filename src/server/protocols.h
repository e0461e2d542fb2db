/* SPDX-License-Identifier: MIT */
/*
 * The protocols of this program: one row each, in server/protocols.c.
 */
#ifndef PEAL_SERVER_PROTOCOLS_H
#define PEAL_SERVER_PROTOCOLS_H

#include "server/server_priv.h"

/* peal_server_protocols fills n->protocols in: the rows of the program, those of the
 * table, each with its config made of the options. false: out of memory. */
PEAL_MUST_USE bool peal_server_protocols(struct peal_server *n);
void peal_server_protocols_free(struct peal_server *n);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * TLS of the generator's connections: certificates are not verified, and a connection
 * that is opened again offers the session of its last one, as browsers and mobile clients
 * do.
 */
#ifndef PEAL_BENCH_TLS_H
#define PEAL_BENCH_TLS_H

#include <sys/types.h>

#include "bench/net.h"

/* Makes what all connections share. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_bench_tls_init(struct peal_bench_net *net);
void peal_bench_tls_fini(struct peal_bench_net *net);

/* Begins on a connected socket. false: out of memory. */
bool peal_bench_tls_begin(struct peal_bench_net *net, struct peal_bench_conn *c);

/* Ends it with the connection; forget: the session, too. */
void peal_bench_tls_end(struct peal_bench_conn *c, bool forget);

/* 1: hands are shaken; 0: not yet; -1: failed. */
int peal_bench_tls_handshake(struct peal_bench_net *net, struct peal_bench_conn *c);

/* As recv and send: -1 with errno EAGAIN: not now. */
ssize_t peal_bench_tls_read(struct peal_bench_conn *c, void *buf, size_t len);
ssize_t peal_bench_tls_write(struct peal_bench_conn *c, const void *buf, size_t len);

#endif

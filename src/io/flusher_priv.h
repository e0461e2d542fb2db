/* SPDX-License-Identifier: MIT */
/* Flushers: how a loop writes at the end of its turn. The kernel and io.engine pick one;
 * what the build does not have says so (uring_none.c). */
#ifndef PEAL_IO_FLUSHER_PRIV_H
#define PEAL_IO_FLUSHER_PRIV_H

#include "io/outq_priv.h"

struct peal_flusher;

/* Writes every connection on loop->dirty once. */
typedef void peal_flusher_flush_fn(struct peal_flusher *f, struct peal_loop *l);
typedef void peal_flusher_fini_fn(struct peal_flusher *f);

struct peal_flusher {
    const char *name;
    peal_flusher_flush_fn *flush;
    peal_flusher_fini_fn *fini;
    struct peal_gather gather;
};

PEAL_MUST_USE peal_err peal_flusher_epoll(struct peal_flusher **out);
/* Errors: PEAL_EUNSUPP: not built in, or the kernel or a filter forbids it. */
PEAL_MUST_USE peal_err peal_flusher_uring(struct peal_flusher **out);

#endif

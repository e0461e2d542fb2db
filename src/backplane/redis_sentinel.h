/* SPDX-License-Identifier: MIT */
/*
 * Sentinels know which Redis is the master. One is asked after the other until one knows;
 * the connection to that one is kept, as it tells when the master moves. When it is lost
 * the next one is asked, for ever.
 *
 * Thread: the loop's.
 */
#ifndef PEAL_BACKPLANE_REDIS_SENTINEL_H
#define PEAL_BACKPLANE_REDIS_SENTINEL_H

#include "backplane/redis_url.h"
#include "io/loop.h"
#include "io/tls.h"

struct peal_sentinel;

/* Texts are borrowed for the call. */
struct peal_sentinel_ops {
    /* Here the master is; said again whenever a Sentinel has been asked. */
    void (*master)(void *arg, const char *host, uint16_t port);
    /* None of them knows. They are asked again after a pause. */
    void (*none)(void *arg, const char *why);
};

/*
 * peal_sentinel_new prepares.
 *   loop, url, tls, name, ops, arg  kept
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_sentinel_new(struct peal_loop *loop,
    const struct peal_redis_url *url, struct peal_tls_ctx *tls, const char *name,
    const struct peal_sentinel_ops *ops, void *arg, struct peal_sentinel **out);

/* peal_sentinel_ask begins; or, when what was said last is not true, asks the next one.
 * The answer comes later. */
void peal_sentinel_ask(struct peal_sentinel *s);

/* NULL is fine. */
void peal_sentinel_free(struct peal_sentinel **sp);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Publishing with a completion: for publishers that answer somebody when a message has
 * been accepted, and may have to wait for that. Today that is while the message meets
 * congestion (hub/backlog.h); a store that numbers messages before they are delivered
 * would be another reason. Publishers that do not wait use peal_publish, which allocates
 * nothing for them.
 *
 * Thread: the shard's loop.
 */
#ifndef PEAL_HUB_PUBLISH_H
#define PEAL_HUB_PUBLISH_H

#include "hub/hub.h"

/* A message that has been published and is not accepted yet. */
struct peal_publish;

/* The message was accepted; or was not: as peal_publish returns it. The publish is gone
 * when this is called. */
typedef void peal_published_fn(void *arg, peal_err err);

/*
 * peal_publish_then is peal_publish, and says when m was accepted.
 *   fn, arg  kept until fn is called, or peal_publish_cancel
 *   out      NULL: it was accepted at once, and fn is not called; else fn will be
 * Errors: as peal_publish; fn is not called.
 */
PEAL_MUST_USE peal_err peal_publish_then(struct peal_shard *sh, struct peal_msg *m,
    peal_published_fn *fn, void *arg, struct peal_publish **out);

/* peal_publish_cancel: fn is not called any more. The message is not taken back. */
void peal_publish_cancel(struct peal_publish *p);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts of other servers that are to be acknowledged: the server that asks is told
 * how many clients were asked here, and then what each of them answers, its first
 * argument.
 *
 * Thread: the control loop's.
 */
#ifndef PEAL_ADAPTER_REQUESTS_H
#define PEAL_ADAPTER_REQUESTS_H

#include "adapter/deferred.h"
#include "adapter/sender.h"
#include "hub/relay.h"

struct peal_adapter_requests {
    struct peal_hub *hub;
    struct peal_relay *relay;
    struct peal_adapter_sender *sender;
    struct peal_adapter_deferred *deferred; /* waits while clients are being asked */
    struct peal_link list;
    unsigned n;
};

/* All is kept. */
void peal_adapter_requests_init(struct peal_adapter_requests *r, struct peal_hub *hub,
    struct peal_relay *relay, struct peal_adapter_sender *sender,
    struct peal_adapter_deferred *deferred);

/*
 * peal_adapter_requests_add sends a message to clients that are to acknowledge it.
 *   in  what it was made of
 *   m   borrowed; NULL: it is for nobody here, which is answered
 *   workers  that may have somebody for it
 */
void peal_adapter_requests_add(struct peal_adapter_requests *r,
    const struct peal_sio_redis_msg *in, struct peal_msg *m, uint64_t workers);

/* peal_adapter_requests_fini answers nobody any more. */
void peal_adapter_requests_fini(struct peal_adapter_requests *r);

#endif

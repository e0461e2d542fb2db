/* SPDX-License-Identifier: MIT */
/* The adapter's parts, for adapter.c and tests. Each part has a header of its own. */
#ifndef PEAL_ADAPTER_ADAPTER_PRIV_H
#define PEAL_ADAPTER_ADAPTER_PRIV_H

#include "adapter/adapter.h"
#include "adapter/deferred.h"
#include "adapter/remote_ops.h"
#include "adapter/requests.h"
#include "adapter/sender.h"
#include "adapter/subscriptions.h"

struct peal_adapter {
    struct peal_loop *loop;
    struct peal_hub *hub;
    struct peal_relay *relay;
    struct peal_redis_pubsub *link;
    void (*ready)(void *arg); /* NULL: it has been called */
    void *arg;
    struct peal_sio_redis_reader reader;
    struct peal_buf channel; /* scratch of room_is_here alone */
    struct peal_log_limit unreadable;
    struct peal_adapter_sender sender;
    struct peal_adapter_subscriptions subscriptions;
    struct peal_adapter_deferred deferred;
    struct peal_adapter_requests requests;
    struct peal_adapter_remote_ops remote_ops;
};

/* The relay calls these, with the adapter as their arg. */
extern const struct peal_relay_tap peal_adapter_tap;

#endif

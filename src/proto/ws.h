/* SPDX-License-Identifier: MIT */
/*
 * The protocol "ws": channels over a plain WebSocket, at /ws/<channel> and /ws?channel=.
 */
#ifndef PEAL_PROTO_WS_H
#define PEAL_PROTO_WS_H

#include "proto/protocol.h"
#include "wire/ws.h"

struct peal_ws_config {
    struct peal_wsframe_limits limits;
    uint64_t ping_interval_ms, ping_timeout_ms;
    bool deflate;
    const struct peal_slice *origins; /* pages that may connect; none: the same host's */
    unsigned n_origins;
    unsigned channels_max; /* of one connection */
};

/* Its config is a struct peal_ws_config. */
extern const struct peal_protocol_ops peal_protocol_ws;

#endif

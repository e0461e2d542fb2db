/* SPDX-License-Identifier: MIT */
/*
 * The protocol "sse": channels as Server-Sent Events, at /sse/<channel> and
 * /sse?channel=.
 */
#ifndef PEAL_PROTO_SSE_H
#define PEAL_PROTO_SSE_H

#include "proto/protocol.h"

struct peal_sse_config {
    struct peal_cors cors;
    uint64_t ping_interval_ms;
    uint64_t retry_ms;     /* that clients are told to wait before they come back */
    unsigned channels_max; /* of one connection */
};

/* Its config is a struct peal_sse_config. */
extern const struct peal_protocol_ops peal_protocol_sse;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Protocols: what turns a client's bytes into sessions, subscriptions and messages, and
 * back. This is what all of them share: a worker's context, and its settings.
 */
#ifndef PEAL_PROTO_PROTO_H
#define PEAL_PROTO_PROTO_H

#include "app/app.h"
#include "hub/nodes.h"
#include "proto/admission.h"
#include "proto/session_log.h"
#include "wire/ws.h"

/* Settings, the same for all workers; kept as long as they run. */
struct peal_proto_config {
    struct peal_wsframe_limits ws; /* /ws */
    uint64_t ws_ping_interval_ms, ws_ping_timeout_ms;
    bool ws_deflate;
    size_t deflate_threshold; /* bytes; smaller messages are sent as they are */
    const struct peal_slice *ws_origins;
    unsigned n_ws_origins;
    unsigned channels_max;  /* of one /ws or /sse connection */
    struct peal_slice node; /* this node's name, for who asks */
    struct peal_cors cors;  /* /sse */
    uint64_t sse_ping_interval_ms, sse_retry_ms;

    struct peal_slice sio_path; /* with a slash at its end */
    struct peal_wsframe_limits sio_ws;
    size_t max_payload;
    uint64_t ping_interval_ms, ping_timeout_ms, upgrade_timeout_ms, connect_timeout_ms;
    struct peal_cors sio_cors;
    struct peal_slice cookie; /* name, or empty */
    bool polling, websocket;  /* transports that are on */
    bool msgpack, sio_deflate;
    bool http_compression; /* of polls */
    unsigned namespaces_max, rooms_max;
    size_t queue_bytes_max; /* of a polling session */
    enum peal_slow_policy slow_policy;

    uint64_t admission_wait_ms;   /* how long newcomers may wait */
    unsigned admission_queue_max; /* how many may, on one worker */
    uint64_t events_rate;         /* messages that a client may send a second; 0: any */
    uint64_t sessions_rate;       /* that begin in a second on one worker; 0: no limit */
    int64_t sessions_max;         /* of the node; 0: no limit */
    uint64_t sessions_max_age_ms; /* 0: none */
    struct peal_loop *const *loops; /* of all workers, whose gauges count sessions */
    unsigned n_loops;
};

/* A worker's context. */
struct peal_proto {
    struct peal_shard *shard;
    struct peal_loop *loop;
    struct peal_app *app;
    struct peal_nodes *nodes; /* of the cluster; NULL: this is the only one */
    struct peal_deflate *deflate;
    const struct peal_proto_config *config;
    struct peal_link sessions; /* plain ones, for draining; struct peal_plain */
    struct peal_eio *eio;
    struct peal_admission admission;
    struct peal_session_log log;
    struct peal_buf scratch; /* where Socket.IO builds a packet; kept for its memory */
};

static inline struct peal_stats *
peal_proto_stats(const struct peal_proto *p)
{
    return &p->loop->stats;
}

#endif

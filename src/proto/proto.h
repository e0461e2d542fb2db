/* SPDX-License-Identifier: MIT */
/*
 * Shared by the protocols of a worker: its shard, its app, how it admits newcomers, and
 * the settings that concern all sessions. A protocol's own are in its own header.
 *
 * Thread: the worker's loop.
 */
#ifndef PEAL_PROTO_PROTO_H
#define PEAL_PROTO_PROTO_H

#include "app/app.h"
#include "hub/nodes.h"
#include "proto/admission.h"
#include "proto/protocol.h"
#include "proto/session_log.h"
#include "wire/ws.h"

/* Settings of all workers; kept as long as they run. */
struct peal_proto_config {
    struct peal_slice node;       /* this node's name, for clients that ask */
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
    struct peal_protocol *protocols[PEAL_PROTOCOLS_MAX];
    unsigned n_protocols;
    struct peal_admission admission;
    struct peal_session_log log;
};

static inline struct peal_stats *
peal_proto_stats(const struct peal_proto *p)
{
    return peal_loop_stats(p->loop);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The HTTP API for back ends and operators: publish and emit, health, metrics.
 * docs/GUIDE.md describes the requests and answers.
 *
 * A payload passes through byte for byte: the request is checked once and cut into
 * slices, never rebuilt.
 *
 * Thread: a struct peal_api belongs to its worker's loop; what it points to is shared and
 * read-only, but for unready.
 */
#ifndef PEAL_API_API_H
#define PEAL_API_API_H

#include "http/http.h"
#include "hub/nodes.h"

/* The same for all workers; kept as long as they run. */
struct peal_api_node {
    const struct peal_slice *keys; /* any of them opens /api/; n_keys 0: see dev */
    unsigned n_keys;
    bool dev; /* without keys: open for programs on this machine, else the API is off */
    const struct peal_cors *cors;   /* of /api/; NULL: off */
    struct peal_loop *const *loops; /* of all workers, whose counters /metrics adds up */
    unsigned n_loops;
    const char *const *protocols; /* names, in the order of peal_stats.sessions */
    unsigned n_protocols;
    struct peal_loop *control; /* whose counters of the backplane are added; or NULL */
    struct peal_hub *hub;      /* whose backlog is in /metrics; or NULL */
    struct peal_nodes *nodes;  /* of the cluster; NULL: this is the only node */
    struct peal_relay *relay;
    const _Atomic bool *adapter_up; /* see peal_adapter_up; NULL: there is no adapter */
    /* NULL: ready. Else why not, static English without newline, as "draining". */
    _Atomic(const char *) unready;
    const char *version; /* of Peal */
    const char *name;    /* of the node */
    int64_t started_s;   /* when the process began, unix time */
};

/* A worker's context: ctx of the handlers below. */
struct peal_api {
    struct peal_shard *shard; /* kept */
    struct peal_api_node *node;
    size_t body_max; /* bytes of a request, as in the routes */
};

#define PEAL_API_ROUTES_MAX 5
#define PEAL_API_ADMIN_ROUTES_MAX 3

/*
 * peal_api_routes fills in the routes below /api/, peal_api_admin_routes those of
 * operators: /livez, /readyz, /metrics. Both return how many.
 *   api  kept: ctx of the routes; body_max is taken from it
 */
unsigned peal_api_routes(
    struct peal_api *api, struct peal_http_route out[PEAL_API_ROUTES_MAX]);
unsigned peal_api_admin_routes(
    struct peal_api *api, struct peal_http_route out[PEAL_API_ADMIN_ROUTES_MAX]);

/* For routes that are put together elsewhere. ctx is the worker's struct peal_api.
 * peal_api_begin belongs before publish and emit: it refuses what needs no body. */
void peal_api_begin(struct peal_http *h, void *api);
void peal_api_publish(struct peal_http *h, void *api);   /* "/api/publish" */
void peal_api_emit(struct peal_http *h, void *api);      /* "/api/emit" */
void peal_api_nodes(struct peal_http *h, void *api);     /* "/api/nodes" */
void peal_api_not_found(struct peal_http *h, void *api); /* the prefix "/api/" */
void peal_api_livez(struct peal_http *h, void *api);
void peal_api_readyz(struct peal_http *h, void *api);
void peal_api_metrics(struct peal_http *h, void *api);

/* peal_api_metrics_text appends the whole exposition. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_api_metrics_text(
    const struct peal_api_node *node, struct peal_buf *out);

#endif

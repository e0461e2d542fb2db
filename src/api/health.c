/* SPDX-License-Identifier: MIT */
/*
 * Health, for supervisors and load balancers. /livez answers 200 as long as this worker's
 * loop turns. /readyz answers 200 while clients may be sent here, or else says why not.
 */
#include "api/api_priv.h"

/* true: the request is one to answer. */
static bool
enter(struct peal_http *h)
{
    if (!peal_api_method(h, "GET, HEAD")) {
        peal_http_reply(h, 405, "text/plain", PEAL_S("use GET\n"));
        return false;
    }
    peal_http_add(h, "Cache-Control", "no-store");
    return true;
}

void
peal_api_livez(struct peal_http *h, void *ctx)
{
    if (enter(h))
        peal_http_reply(h, 200, "text/plain", PEAL_S("ok\n"));
}

const char *
peal_api_unready(const struct peal_api_node *node)
{
    const char *why = atomic_load_explicit(&node->unready, memory_order_acquire);
    struct peal_nodes_probe_result proof;

    if (why != NULL || node->nodes == NULL)
        return why;
    peal_nodes_probe(node->nodes, uv_hrtime() / 1000000, &proof);
    return proof.unready;
}

void
peal_api_readyz(struct peal_http *h, void *ctx)
{
    struct peal_api *api = ctx;
    const char *why = peal_api_unready(api->node);
    char text[160];
    int n = snprintf(
        text, sizeof(text), "%.*s\n", (int)sizeof(text) - 2, why == NULL ? "ready" : why);

    if (enter(h))
        peal_http_reply(
            h, why == NULL ? 200 : 503, "text/plain", peal_slice_of(text, (size_t)n));
}

void
peal_api_metrics(struct peal_http *h, void *ctx)
{
    struct peal_api *api = ctx;
    struct peal_buf text = { 0 };

    if (!enter(h))
        return;
    if (peal_api_metrics_text(api->node, &text) == PEAL_OK)
        peal_http_reply(
            h, 200, "text/plain; version=0.0.4; charset=utf-8", peal_buf_slice(&text));
    else
        peal_http_reply(h, 503, "text/plain", PEAL_S("out of memory\n"));
    peal_buf_fini(&text);
}

unsigned
peal_api_admin_routes(
    struct peal_api *api, struct peal_http_route out[PEAL_API_ADMIN_ROUTES_MAX])
{
    const struct peal_http_route routes[] = {
        { .path = PEAL_S("/livez"), .handle = peal_api_livez, .ctx = api },
        { .path = PEAL_S("/readyz"), .handle = peal_api_readyz, .ctx = api },
        { .path = PEAL_S("/metrics"), .handle = peal_api_metrics, .ctx = api },
    };

    memcpy(out, routes, sizeof(routes));
    return sizeof(routes) / sizeof(routes[0]);
}

/* SPDX-License-Identifier: MIT */
/* GET /api/nodes: who is in the cluster, as this node sees it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/request.h"
#include "base/json.h"

static const char *const states[] = { "starting", "up", "draining", "leaving" };

static peal_err
put_text(struct peal_buf *out, const char *name, const char *value)
{
    peal_err err = peal_buf_printf(out, ",\"%s\":", name);

    return err == PEAL_OK ? peal_json_quote(out, peal_slice_str(value)) : err;
}

static peal_err
put_node(
    struct peal_buf *out, const struct peal_node_report *r, uint64_t seen_ms, bool self)
{
    peal_err err = peal_buf_printf(out,
        "{\"node\":\"%08x\",\"self\":%s,\"state\":\"%s\",\"started\":%" PRId64
        ",\"seen_ms\":%" PRIu64 ",\"connections\":%" PRId64 ",\"sessions\":%" PRId64,
        r->number, self ? "true" : "false", states[r->state], r->started_ms / 1000,
        seen_ms, r->connections, r->sessions);

    if (err == PEAL_OK)
        err = put_text(out, "name", r->name);
    if (err == PEAL_OK)
        err = put_text(out, "address", r->address);
    if (err == PEAL_OK)
        err = put_text(out, "version", r->version);
    return err == PEAL_OK ? peal_buf_add_char(out, '}') : err;
}

static peal_err
put_nodes(struct peal_nodes *nodes, struct peal_buf *out)
{
    struct peal_node_report *list = NULL;
    uint64_t *seen = NULL;
    unsigned n = 0, max = 64;
    peal_err err = PEAL_ENOMEM;

    for (;; max = n + 64) {
        free(list);
        free(seen);
        list = calloc(max, sizeof(*list));
        seen = calloc(max, sizeof(*seen));
        if (list == NULL || seen == NULL)
            goto fail;
        if ((n = peal_nodes_list(nodes, list, seen, max)) <= max)
            break;
    }
    err = peal_buf_add_slice(out, PEAL_S("{\"nodes\":["));
    for (unsigned i = 0; err == PEAL_OK && i < n; i++) {
        if (i > 0)
            err = peal_buf_add_char(out, ',');
        if (err == PEAL_OK)
            err = put_node(out, &list[i], seen[i], i == 0);
    }
    if (err == PEAL_OK)
        err = peal_buf_add_slice(out, PEAL_S("]}\n"));
fail:
    free(list);
    free(seen);
    return err;
}

/* Without a backplane: this node. */
static peal_err
put_alone(const struct peal_api *api, struct peal_buf *out)
{
    const struct peal_api_node *node = api->node;
    struct peal_node_report own = { .number = peal_hub_node(peal_shard_hub(api->shard)),
        .state = node->unready == NULL ? PEAL_NODE_UP : PEAL_NODE_DRAINING,
        .started_ms = node->started_s * 1000 };
    peal_err err = peal_buf_add_slice(out, PEAL_S("{\"nodes\":["));

    for (unsigned i = 0; i < node->n_loops; i++) {
        const struct peal_stats *stats = &node->loops[i]->stats;

        own.connections += peal_stat_get(stats, PEAL_STAT_CONNECTIONS);
        own.sessions += peal_stat_get(stats, PEAL_STAT_WS_SESSIONS) +
                        peal_stat_get(stats, PEAL_STAT_SSE_SESSIONS) +
                        peal_stat_get(stats, PEAL_STAT_EIO_SESSIONS);
    }
    snprintf(own.name, sizeof(own.name), "%s", node->name ? node->name : "");
    snprintf(own.version, sizeof(own.version), "%s", node->version ? node->version : "");
    if (err == PEAL_OK)
        err = put_node(out, &own, 0, true);
    return err == PEAL_OK ? peal_buf_add_slice(out, PEAL_S("]}\n")) : err;
}

void
peal_api_nodes(struct peal_http *h, void *ctx)
{
    struct peal_api *api = ctx;
    struct peal_buf text = { 0 };

    if (!peal_api_enter_get(h, api))
        return;
    if ((api->node->nodes == NULL ? put_alone(api, &text)
                                  : put_nodes(api->node->nodes, &text)) != PEAL_OK) {
        peal_api_memory(h, api);
    } else {
        peal_stat_add(peal_shard_stats(api->shard), PEAL_STAT_API_REQUESTS, 1);
        peal_http_reply(h, 200, "application/json", peal_buf_slice(&text));
    }
    peal_buf_fini(&text);
}

/* SPDX-License-Identifier: MIT */
/* GET /api/nodes: who is in the cluster, as this node sees it. */
#include <inttypes.h>
#include <stdio.h>

#include "api/api_priv.h"
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

/* A list that grows. */
struct list {
    struct peal_buf *out;
    peal_err err;
};

static void
add_node(void *arg, const struct peal_node_report *r, uint64_t seen_ms, bool own)
{
    struct list *l = arg;

    if (l->err == PEAL_OK && !own)
        l->err = peal_buf_add_char(l->out, ',');
    if (l->err == PEAL_OK)
        l->err = put_node(l->out, r, seen_ms, own);
}

/* Without a backplane: this node. */
static void
add_alone(const struct peal_api *api, struct list *l)
{
    const struct peal_api_node *node = api->node;
    struct peal_node_report own = { .number = peal_hub_node(peal_shard_hub(api->shard)),
        .state = node->unready == NULL ? PEAL_NODE_UP : PEAL_NODE_DRAINING,
        .started_ms = node->started_s * 1000 };

    for (unsigned i = 0; i < node->n_loops; i++) {
        const struct peal_stats *stats = &node->loops[i]->stats;

        own.connections += peal_stat_get(stats, PEAL_STAT_CONNECTIONS);
        own.sessions += peal_stat_get(stats, PEAL_STAT_WS_SESSIONS) +
                        peal_stat_get(stats, PEAL_STAT_SSE_SESSIONS) +
                        peal_stat_get(stats, PEAL_STAT_EIO_SESSIONS);
    }
    snprintf(own.name, sizeof(own.name), "%s", node->name ? node->name : "");
    snprintf(own.version, sizeof(own.version), "%s", node->version ? node->version : "");
    add_node(l, &own, 0, true);
}

void
peal_api_nodes(struct peal_http *h, void *ctx)
{
    struct peal_api *api = ctx;
    struct peal_buf text = { 0 };
    struct list list = { .out = &text };

    if (!peal_api_enter_get(h, api))
        return;
    list.err = peal_buf_add_slice(&text, PEAL_S("{\"nodes\":["));
    if (api->node->nodes != NULL)
        peal_nodes_each(api->node->nodes, add_node, &list);
    else
        add_alone(api, &list);
    if (list.err == PEAL_OK)
        list.err = peal_buf_add_slice(&text, PEAL_S("]}\n"));
    if (list.err != PEAL_OK) {
        peal_api_memory(h, api);
    } else {
        peal_stat_add(peal_shard_stats(api->shard), PEAL_STAT_API_REQUESTS, 1);
        peal_http_reply(h, 200, "application/json", peal_buf_slice(&text));
    }
    peal_buf_fini(&text);
}

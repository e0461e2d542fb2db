/* SPDX-License-Identifier: MIT */
/* GET /api/nodes: the nodes of the cluster, as this one knows them. */
#include <stdio.h>

#include "api/api_priv.h"
#include "base/writer.h"

static void
put_text(struct peal_writer *w, const char *name, const char *value)
{
    peal_writer_json_key(w, name);
    peal_writer_json_str(w, peal_slice_str(value));
}

static void
put_number(struct peal_writer *w, const char *name, int64_t value)
{
    peal_writer_json_key(w, name);
    peal_writer_json_i64(w, value);
}

static void
put_node(void *arg, const struct peal_node_report *r, uint64_t seen_ms, bool own)
{
    struct peal_writer *w = arg;
    char number[16];

    snprintf(number, sizeof(number), "%08x", r->number);
    peal_writer_json_begin(w, '{');
    put_text(w, "node", number);
    peal_writer_json_key(w, "self");
    peal_writer_json_bool(w, own);
    put_text(w, "state", peal_node_state_name(r->state));
    put_number(w, "started", r->started_ms / 1000);
    put_number(w, "seen_ms", (int64_t)seen_ms);
    put_number(w, "connections", r->connections);
    put_number(w, "sessions", r->sessions);
    put_text(w, "name", r->name);
    put_text(w, "address", r->address);
    put_text(w, "version", r->version);
    peal_writer_json_end(w, '}');
}

/* Without a backplane: this node. */
static void
put_alone(const struct peal_api *api, struct peal_writer *w)
{
    const struct peal_api_node *node = api->node;
    struct peal_node_report own = { .number = peal_hub_node(peal_shard_hub(api->shard)),
        .state = node->unready == NULL ? PEAL_NODE_UP : PEAL_NODE_DRAINING,
        .started_ms = node->started_s * 1000 };

    for (unsigned i = 0; i < node->n_loops; i++) {
        const struct peal_stats *stats = peal_loop_stats(node->loops[i]);

        own.connections += peal_stat_get(stats, PEAL_STAT_CONNECTIONS);
        own.sessions += peal_stats_sessions(stats);
    }
    snprintf(own.name, sizeof(own.name), "%s", node->name ? node->name : "");
    snprintf(own.version, sizeof(own.version), "%s", node->version ? node->version : "");
    put_node(w, &own, 0, true);
}

void
peal_api_nodes(struct peal_http *h, void *ctx)
{
    struct peal_api *api = ctx;
    struct peal_buf text = { 0 };
    struct peal_writer w = peal_writer_on(&text);

    if (!peal_api_enter_get(h, api))
        return;
    peal_writer_json_begin(&w, '{');
    peal_writer_json_key(&w, "nodes");
    peal_writer_json_begin(&w, '[');
    if (api->node->nodes != NULL)
        peal_nodes_each(api->node->nodes, put_node, &w);
    else
        put_alone(api, &w);
    peal_writer_puts(&w, "]}\n");
    if (peal_writer_end(&w) != PEAL_OK) {
        peal_api_memory(h, api);
    } else {
        peal_stat_add(peal_shard_stats(api->shard), PEAL_STAT_API_REQUESTS, 1);
        peal_http_reply(h, 200, "application/json", peal_buf_slice(&text));
    }
    peal_buf_fini(&text);
}

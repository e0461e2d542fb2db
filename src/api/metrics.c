/* SPDX-License-Identifier: MIT */
/*
 * Metrics in the text format of Prometheus, version 0.0.4: the counters of base/stats.h,
 * added up over all workers, and a few facts about the process.
 *
 * Any worker may read the others' counters: each is one atomic number, and a sum that is
 * a moment old does no harm.
 */
#include "api/api_priv.h"

/* Counters of connections are about those of clients and nodes. The connections of the
 * control thread go to Redis, and are left out. */
static bool
is_of_connections(enum peal_stat id)
{
    switch (id) {
    case PEAL_STAT_CONNECTIONS:
    case PEAL_STAT_INNER_CONNECTIONS:
    case PEAL_STAT_CLOSED_PEER:
    case PEAL_STAT_CLOSED_LOCAL:
    case PEAL_STAT_CLOSED_ERROR:
    case PEAL_STAT_CLOSED_TIMEOUT:
    case PEAL_STAT_CLOSED_SLOW:
    case PEAL_STAT_CLOSED_PROTO:
    case PEAL_STAT_BYTES_IN:
    case PEAL_STAT_BYTES_OUT:
    case PEAL_STAT_WRITES:
    case PEAL_STAT_WRITES_SHORT:
    case PEAL_STAT_QUEUE_BYTES:
    case PEAL_STAT_SLOW_DROPPED:
    case PEAL_STAT_TLS_HANDSHAKES:
    case PEAL_STAT_TLS_FAILED:
    case PEAL_STAT_TLS_RESUMED:
        return true;
    default:
        return false;
    }
}

static int64_t
sum(const struct peal_api_node *node, enum peal_stat id)
{
    int64_t total = 0;

    for (unsigned i = 0; i < node->n_loops; i++)
        total += peal_stat_get(peal_loop_stats(node->loops[i]), id);
    if (node->control != NULL && !is_of_connections(id))
        total += peal_stat_get(peal_loop_stats(node->control), id);
    return total;
}

static peal_err
put_head(struct peal_buf *out, const char *family, const char *type, const char *help)
{
    return peal_buf_printf(
        out, "# HELP %s %s\n# TYPE %s %s\n", family, help, family, type);
}

/* Each loop by itself: one that is always busy does not show in a sum. Counted in
 * nanoseconds, so that the counter is an integer. */
static peal_err
put_busy(struct peal_buf *out, const char *family, const char *loop, int number,
    const struct peal_stats *stats)
{
    char text[16] = "";

    if (number >= 0)
        snprintf(text, sizeof(text), "-%d", number);
    return peal_buf_printf(out, "%s{loop=\"%s%s\"} %.6f\n", family, loop, text,
        (double)peal_stat_get(stats, PEAL_STAT_LOOP_BUSY) / 1e9);
}

static peal_err
put_all_busy(struct peal_buf *out, const char *family, const struct peal_api_node *node)
{
    peal_err err = PEAL_OK;

    for (unsigned i = 0; err == PEAL_OK && i < node->n_loops; i++)
        err = put_busy(out, family, "worker", (int)i, peal_loop_stats(node->loops[i]));
    if (err == PEAL_OK && node->control != NULL)
        err = put_busy(out, family, "control", -1, peal_loop_stats(node->control));
    return err;
}

static peal_err
put_stat(struct peal_buf *out, const struct peal_api_node *node, enum peal_stat id)
{
    const struct peal_stat_info *row = &peal_stat_table[id];
    const char *before = id > 0 ? peal_stat_table[id - 1].family : "";
    peal_err err = PEAL_OK;

    if (strcmp(row->family, before) != 0)
        err =
            put_head(out, row->family, row->type == 'C' ? "counter" : "gauge", row->help);
    if (err != PEAL_OK)
        return err;
    if (id == PEAL_STAT_LOOP_BUSY)
        return put_all_busy(out, row->family, node);
    if (row->labels[0] == '\0')
        return peal_buf_printf(out, "%s %lld\n", row->family, (long long)sum(node, id));
    return peal_buf_printf(
        out, "%s{%s} %lld\n", row->family, row->labels, (long long)sum(node, id));
}

/* A label's value: what would end it is escaped. */
static peal_err
put_label(struct peal_buf *out, const char *name, const char *value)
{
    peal_err err = peal_buf_printf(out, "%s=\"", name);

    for (; err == PEAL_OK && *value != '\0'; value++) {
        if (*value == '\n')
            err = peal_buf_add(out, "\\n", 2);
        else if (*value == '"' || *value == '\\')
            err = peal_buf_printf(out, "\\%c", *value);
        else
            err = peal_buf_add_char(out, *value);
    }
    return err == PEAL_OK ? peal_buf_add_char(out, '"') : err;
}

static peal_err
put_build(struct peal_buf *out, const struct peal_api_node *node)
{
    const char *engine = node->n_loops > 0 ? peal_loop_engine(node->loops[0]) : "";
    peal_err err = put_head(out, "peal_build_info", "gauge",
        "1; version, what writes output, and name of this node");

    if (err == PEAL_OK)
        err = peal_buf_add_slice(out, PEAL_S("peal_build_info{"));
    if (err == PEAL_OK)
        err = put_label(out, "version", node->version ? node->version : "");
    if (err == PEAL_OK)
        err = peal_buf_add_char(out, ',');
    if (err == PEAL_OK)
        err = put_label(out, "engine", engine);
    if (err == PEAL_OK)
        err = peal_buf_add_char(out, ',');
    if (err == PEAL_OK)
        err = put_label(out, "node", node->name ? node->name : "");
    return err == PEAL_OK ? peal_buf_add(out, "} 1\n", 4) : err;
}

/* Sessions that are open, in one family: its labels add up to all of them. */
static peal_err
put_sessions(struct peal_buf *out, const struct peal_api_node *node)
{
    peal_err err = put_head(out, "peal_sessions", "gauge", "Sessions open now");

    for (unsigned k = 0; err == PEAL_OK && k < node->n_protocols; k++) {
        int64_t n = 0;

        for (unsigned i = 0; i < node->n_loops; i++)
            n += peal_stats_sessions_of(peal_loop_stats(node->loops[i]), k);
        err = peal_buf_printf(out, "peal_sessions{protocol=\"%s\"} %lld\n",
            node->protocols[k], (long long)n);
    }
    return err;
}

static peal_err
put_node(struct peal_buf *out, const struct peal_api_node *node)
{
    bool ready = peal_api_unready(node) == NULL;
    peal_err err = put_head(out, "peal_ready", "gauge", "What /readyz says: 1 is ready");

    if (err == PEAL_OK)
        err = peal_buf_printf(out, "peal_ready %d\n", ready);
    if (err == PEAL_OK)
        err = put_head(out, "peal_workers", "gauge", "Event-loop threads");
    if (err == PEAL_OK)
        err = peal_buf_printf(out, "peal_workers %u\n", node->n_loops);
    return err;
}

static peal_err
put_gauge(struct peal_buf *out, const char *family, const char *help, double value)
{
    peal_err err = put_head(out, family, "gauge", help);

    return err == PEAL_OK ? peal_buf_printf(out, "%s %.6g\n", family, value) : err;
}

static peal_err
put_cluster(struct peal_buf *out, const struct peal_api_node *node)
{
    struct peal_nodes_probe_result proof;
    peal_err err;

    if (node->nodes == NULL)
        return PEAL_OK;
    peal_nodes_probe(node->nodes, uv_hrtime() / 1000000, &proof);
    if (node->adapter_up != NULL &&
        (err = put_gauge(out, "peal_adapter_up",
             "1: the adapter's link to Redis is up, all is subscribed",
             atomic_load_explicit(node->adapter_up, memory_order_relaxed))) != PEAL_OK)
        return err;
    err = put_gauge(out, "peal_backplane_up", "1: the link is up, all is subscribed",
        peal_relay_up(node->relay));
    if (err == PEAL_OK && proof.lag_us >= 0)
        err = put_gauge(out, "peal_backplane_lag_seconds",
            "How long the last probe took to come back", (double)proof.lag_us / 1e6);
    if (err == PEAL_OK && proof.age_ms >= 0)
        err = put_gauge(out, "peal_backplane_proof_age_seconds",
            "Time since a probe came back", (double)proof.age_ms / 1e3);
    if (err == PEAL_OK)
        err = put_gauge(out, "peal_backplane_queued_bytes",
            "Bytes waiting for the backplane", (double)peal_relay_queued(node->relay));
    if (err == PEAL_OK)
        err = put_gauge(
            out, "peal_nodes", "Nodes of the cluster that are there", proof.n_nodes);
    if (err == PEAL_OK)
        err = put_gauge(out, "peal_nodes_not_hearing",
            "Other nodes that do not list this one among those they hear",
            proof.not_hearing);
    return err;
}

static peal_err
put_backlog(struct peal_buf *out, const struct peal_api_node *node)
{
    if (node->hub == NULL)
        return PEAL_OK;
    return put_gauge(out, "peal_worker_backlog_bytes",
        "Published messages that workers have not delivered yet",
        (double)peal_hub_backlog(node->hub));
}

peal_err
peal_api_metrics_text(const struct peal_api_node *node, struct peal_buf *out)
{
    peal_err err = put_build(out, node);

    if (err == PEAL_OK)
        err = put_node(out, node);
    if (err == PEAL_OK)
        err = put_backlog(out, node);
    if (err == PEAL_OK)
        err = put_sessions(out, node);
    if (err == PEAL_OK)
        err = put_cluster(out, node);
    for (unsigned id = 0; err == PEAL_OK && id < PEAL_STAT_N; id++)
        err = put_stat(out, node, id);
    if (err == PEAL_OK)
        err =
            peal_api_process_text(sum(node, PEAL_STAT_CONNECTIONS), node->started_s, out);
    return err;
}

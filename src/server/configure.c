/* SPDX-License-Identifier: MIT */
/*
 * From options to the settings of each layer: each gets a struct of its own, so that no
 * layer below knows the options. Everything made here lives as long as the node.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "app/rules.h"
#include "server/protocols.h"
#include "server/server_priv.h"

const struct peal_slice *
peal_server_slices(struct peal_server *n, const struct peal_strings *s, unsigned *n_out)
{
    struct peal_slice *list;

    *n_out = 0;
    if (s->n == 0)
        return NULL;
    if ((list = calloc(s->n, sizeof(*list))) == NULL) {
        n->no_memory = true; /* a list that is empty may allow more than it says */
        return NULL;
    }
    for (unsigned i = 0; i < s->n; i++)
        list[i] = peal_slice_str(s->v[i]);
    n->lists[n->n_lists++] = list;
    *n_out = s->n;
    return list;
}

static bool
configure_trusted(struct peal_server *n)
{
    const struct peal_strings *s = &n->o->http_trusted_proxies;

    if (s->n > 0 && (n->trusted = calloc(s->n, sizeof(*n->trusted))) == NULL)
        return false;
    for (unsigned i = 0; i < s->n; i++)
        if (peal_cidr_parse(peal_slice_str(s->v[i]), &n->trusted[i]) != PEAL_OK)
            return false;
    n->http.trusted = n->trusted;
    n->http.n_trusted = s->n;
    return true;
}

static bool
configure_http(struct peal_server *n)
{
    const struct peal_options *o = n->o;

    n->http = (struct peal_http_config){
        .limits = { .line_max = o->http_line_max,
            .head_max = o->http_head_max,
            .headers_max = (unsigned)o->http_headers_max },
        .head_timeout_ms = o->http_head_timeout_ms,
        .body_timeout_ms = o->http_body_timeout_ms,
        .idle_timeout_ms = o->http_idle_timeout_ms,
        .proxy_protocol = o->listen_proxy_protocol,
    };
    if (!configure_trusted(n))
        return false;
    n->admin_http = n->http;
    n->admin_http.proxy_protocol = false;
    n->admin_http.conn_kind = PEAL_CONN_INNER;
    n->inner_http = n->admin_http;
    n->inner_http.forward_secret = n->secret;
    return true;
}

static void
configure_proto(struct peal_server *n)
{
    const struct peal_options *o = n->o;

    n->proto = (struct peal_proto_config){
        .admission_wait_ms = o->admission_wait_ms,
        .admission_queue_max = (unsigned)o->admission_queue_max,
        .events_rate = (uint64_t)o->events_rate,
        .sessions_rate = (uint64_t)o->sessions_rate,
        /* Sessions that poll need no connection of their own, so max_connections does not
         * bound them. */
        .sessions_max = o->sessions_max > 0 ? o->sessions_max : 2 * n->limits.open_max,
        .sessions_max_age_ms = o->sessions_max_age_ms,
        .loops = n->loops,
        .n_loops = n->n_workers,
    };
}

static void
configure_api(struct peal_server *n)
{
    const struct peal_options *o = n->o;

    if (gethostname(n->hostname, sizeof(n->hostname) - 1) != 0)
        n->hostname[0] = '\0';
    /* --dev opens event streams to every page, but not the API: it needs no key there, so
     * any page that the developer's browser opens could use it. */
    if (o->place[PEAL_OPT_N_http_cors].level != PEAL_FROM_DEV)
        n->api_cors.origins = peal_server_slices(n, &o->http_cors, &n->api_cors.n);
    n->api = (struct peal_api_node){ .dev = o->dev,
        .cors = &n->api_cors,
        .loops = n->loops,
        .n_loops = n->n_workers,
        .control = n->control,
        .version = PEAL_VERSION,
        .name = o->node_name != NULL ? o->node_name : n->hostname,
        .started_s = (int64_t)time(NULL) };
    n->proto.node = peal_slice_str(n->api.name);
    n->api.keys = peal_server_slices(n, &o->api_key, &n->api.n_keys);
}

/* The application: of the program, or the rules. */
static bool
configure_app(struct peal_server *n)
{
    struct peal_buf errors = { 0 };
    const char *file = n->o->file != NULL ? n->o->file : "rules";
    peal_err err;

    if (n->program->app != NULL)
        err = n->program->app(n->o, &n->app);
    else
        err = peal_rules_new(n->o->rules, file, n->o->dev, &errors, &n->app);
    if (err != PEAL_OK)
        peal_log(&n->log, PEAL_LOG_ERROR, "the rules cannot be used", "why=\"%.*s\"",
            (int)errors.len, errors.len > 0 ? errors.data : "");
    peal_buf_fini(&errors);
    return err == PEAL_OK;
}

/* All workers of this node have the same secrets anyway, also after a reload. */
static peal_err
configure_tickets(struct peal_server *n, struct peal_tls_ctx *ctx)
{
    const struct peal_strings *shared = &n->o->tls_ticket_secret;
    struct peal_slice secrets[PEAL_TLS_SECRETS_MAX] = { peal_slice_of(
        (const char *)n->ticket_secret, sizeof(n->ticket_secret)) };

    for (unsigned i = 0; i < shared->n; i++)
        secrets[i] = peal_slice_str(shared->v[i]);
    return peal_tls_ctx_share_tickets(ctx, secrets, shared->n > 0 ? shared->n : 1);
}

struct peal_tls_ctx *
peal_server_load_tls(struct peal_server *n)
{
    const struct peal_options *o = n->o;
    struct peal_tls_ctx *ctx = NULL;
    struct peal_buf why = { 0 };

    if (peal_tls_ctx_new(o->tls_cert, o->tls_key,
            o->tls_min_version == PEAL_TLS_1_3 ? "1.3" : "1.2", &ctx, &why) != PEAL_OK)
        peal_log(&n->log, PEAL_LOG_ERROR, "the certificate cannot be used",
            "tls.cert=%s tls.key=%s why=\"%.*s\"", o->tls_cert, o->tls_key, (int)why.len,
            why.len > 0 ? why.data : "");
    else if (configure_tickets(n, ctx) != PEAL_OK) {
        peal_log(&n->log, PEAL_LOG_ERROR, "session tickets cannot be made", NULL);
        peal_tls_ctx_release(ctx);
        ctx = NULL;
    }
    peal_buf_fini(&why);
    return ctx;
}

bool
peal_server_configure(struct peal_server *n)
{
    snprintf(n->secret, sizeof(n->secret), "%016" PRIx64 "%016" PRIx64, peal_random_u64(),
        peal_random_u64());
    for (unsigned i = 0; i < sizeof(n->ticket_secret) / sizeof(n->ticket_secret[0]); i++)
        n->ticket_secret[i] = peal_random_u64();
    if (!configure_http(n))
        return peal_server_no_memory(n);
    configure_proto(n);
    configure_api(n);
    if (!peal_server_protocols(n) || n->no_memory ||
        peal_assets_new(n->o, &n->assets) != PEAL_OK ||
        peal_hub_new((uint32_t)peal_random_u64() | 1, &n->hub) != PEAL_OK)
        return peal_server_no_memory(n);
    n->api.hub = n->hub;
    if (!configure_app(n))
        return false;
    if (n->o->tls_cert == NULL)
        return true;
    return (n->tls = peal_server_load_tls(n)) != NULL;
}

void
peal_server_unconfigure(struct peal_server *n)
{
    if (n->app != NULL)
        n->app->ops->free(n->app);
    peal_hub_free(&n->hub);
    peal_tls_ctx_release(n->tls);
    peal_assets_free(&n->assets);
    peal_server_protocols_free(n);
    for (unsigned i = 0; i < n->n_lists; i++)
        free(n->lists[i]);
    free(n->trusted);
}

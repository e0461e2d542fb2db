/* SPDX-License-Identifier: MIT */
/*
 * The table of protocols: what is served, and what a protocol's settings are made of.
 *
 * A new protocol is its own file or folder in proto/, and a row here.
 */
#include "server/protocols.h"

#include <stdlib.h>

#include "proto/sio.h"
#include "proto/sse.h"
#include "proto/ws.h"

/* Makes a protocol's config, for free(). NULL: out of memory. */
typedef void *protocol_config_fn(struct peal_server *n);

static bool
has_word(const struct peal_strings *s, const char *word)
{
    for (unsigned i = 0; i < s->n; i++)
        if (strcmp(s->v[i], word) == 0)
            return true;
    return false;
}

static void *
socketio_config(struct peal_server *n)
{
    const struct peal_options *o = n->o;
    struct peal_socketio_config *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    *c = (struct peal_socketio_config){
        .engine = { .rider = n->program->rider != NULL ? n->program->rider
                                                       : &peal_socketio_rider,
            .path = peal_slice_str(o->socketio_path),
            .ws.message_max = (uint32_t)o->socketio_max_payload,
            .max_payload = o->socketio_max_payload,
            .ping_interval_ms = o->socketio_ping_interval_ms,
            .ping_timeout_ms = o->socketio_ping_timeout_ms,
            .upgrade_timeout_ms = o->socketio_upgrade_timeout_ms,
            .connect_timeout_ms = o->socketio_connect_timeout_ms,
            .cookie = peal_slice_str(o->socketio_cookie),
            .polling = has_word(&o->socketio_transports, "polling"),
            .websocket = has_word(&o->socketio_transports, "websocket"),
            .deflate = o->socketio_deflate,
            .http_compression = o->socketio_http_compression },
        .msgpack = o->socketio_parser == PEAL_PARSER_MSGPACK,
        .namespaces_max = (unsigned)o->socketio_namespaces_max,
        .rooms_max = (unsigned)o->socketio_rooms_max,
    };
    c->engine.cors.origins = peal_server_slices(n, &o->socketio_cors, &c->engine.cors.n);
    c->engine.cors.credentials = o->socketio_cors_credentials;
    return c;
}

static void *
ws_config(struct peal_server *n)
{
    const struct peal_options *o = n->o;
    struct peal_ws_config *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    *c = (struct peal_ws_config){ .limits.message_max = (uint32_t)o->ws_message_max,
        .ping_interval_ms = o->ws_ping_interval_ms,
        .ping_timeout_ms = o->ws_ping_timeout_ms,
        .deflate = o->ws_deflate,
        .channels_max = (unsigned)o->ws_channels_max };
    c->origins = peal_server_slices(n, &o->ws_origins, &c->n_origins);
    return c;
}

static void *
sse_config(struct peal_server *n)
{
    const struct peal_options *o = n->o;
    struct peal_sse_config *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    *c = (struct peal_sse_config){ .ping_interval_ms = o->sse_ping_interval_ms,
        .retry_ms = o->sse_retry_ms,
        .channels_max = (unsigned)o->ws_channels_max };
    c->cors.origins = peal_server_slices(n, &o->http_cors, &c->cors.n);
    return c;
}

static const struct {
    const struct peal_protocol_ops *ops;
    protocol_config_fn *config;
} table[] = {
    { &peal_protocol_socketio, socketio_config },
    { &peal_protocol_ws, ws_config },
    { &peal_protocol_sse, sse_config },
};

#define TABLE_N (sizeof(table) / sizeof(table[0]))

bool
peal_server_protocols(struct peal_server *n)
{
    const struct peal_program *program = n->program;

    for (unsigned i = 0; i < program->n_protocols; i++)
        n->protocols[n->n_protocols++] = program->protocols[i];
    for (unsigned i = 0; i < TABLE_N; i++) {
        void *config = table[i].config(n);

        if (config == NULL)
            return false;
        n->protocols[n->n_protocols++] =
            (struct peal_protocol_row){ table[i].ops, config };
    }
    for (unsigned i = 0; i < n->n_protocols; i++)
        n->protocol_names[i] = n->protocols[i].ops->name;
    n->api.protocols = n->protocol_names;
    n->api.n_protocols = n->n_protocols;
    return !n->no_memory;
}

void
peal_server_protocols_free(struct peal_server *n)
{
    for (unsigned i = n->program->n_protocols; i < n->n_protocols; i++)
        free((void *)n->protocols[i].config);
    n->n_protocols = 0;
}

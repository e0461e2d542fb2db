/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO's requests: what a request asks for, whether it may, and the exact refusal if
 * not. Checks in the order of the original: transport, session, method, version.
 */
#include "http/forward.h"
#include "hub/hub.h"
#include "proto/eio_priv.h"
#include "wire/hostport.h"
#include "wire/query.h"

#define TYPE_JSON "application/json"
#define FORWARD_CONNECT_MS 2000 /* for the node that has the session to take the call */

struct request {
    struct peal_slice sid; /* data NULL: a new session */
    bool websocket;        /* the transport it names */
    bool b64;
    bool upgrade; /* it is a WebSocket handshake */
};

void
peal_eio_refuse(struct peal_http *h, enum peal_eiopkt_code code)
{
    const struct peal_eiopkt_error *e = &peal_eiopkt_errors[code];
    struct peal_buf body = { 0 };

    if (peal_eiopkt_error_body(&body, code, PEAL_S("")) == PEAL_OK)
        peal_http_reply(h, (unsigned)e->status, TYPE_JSON, peal_buf_slice(&body));
    else
        peal_http_close(h, PEAL_CLOSE_ERROR);
    peal_buf_fini(&body);
}

static const char *
http_transport(const struct request *r)
{
    return r->websocket ? "websocket" : "polling";
}

/* Refuses a request and says why; a WebSocket client sees text and a closed socket,
 * everyone else JSON. Sessions that are not known are everyday life: no line for them. */
static void
http_refuse(struct peal_eio *e, struct peal_http *h, const struct request *r,
    enum peal_eiopkt_code code, const char *why)
{
    if (code == PEAL_EIO_BAD_VERSION &&
        peal_slice_eq(peal_query_raw(h->head->query, PEAL_S("EIO")), PEAL_S("3")))
        peal_session_log_engineio3(e->proto, h);
    else if (code != PEAL_EIO_SESSION_UNKNOWN)
        peal_session_log_refused(e->proto, h, "socketio", http_transport(r),
            why != NULL ? why : peal_eiopkt_errors[code].message);
    if (r->upgrade)
        peal_http_refuse(
            h, 400, "text/html", peal_slice_str(peal_eiopkt_errors[code].message));
    else
        peal_eio_refuse(h, code);
}

/* Checks a WebSocket handshake against RFC 6455. false: it has been refused. */
static bool
http_check_handshake(struct peal_eio *e, struct peal_http *h, const struct request *r)
{
    unsigned status;
    const char *why;

    if (!r->upgrade || peal_wsconn_check(h, &status, &why) == PEAL_OK)
        return true;
    peal_session_log_refused(e->proto, h, "socketio", http_transport(r), why);
    peal_http_refuse(h, 400, "text/html", peal_slice_str(why));
    return false;
}

/* Reads the query. false: refused. */
static bool
http_read_request(struct peal_eio *e, struct peal_http *h, struct request *r)
{
    const struct peal_eio_config *c = e->config;
    struct peal_slice query = h->head->query;
    struct peal_slice transport = peal_query_raw(query, PEAL_S("transport"));

    r->upgrade = h->head->upgrade_websocket;
    r->sid = peal_query_raw(query, PEAL_S("sid"));
    r->b64 = peal_query_raw(query, PEAL_S("b64")).len > 0;
    r->websocket = peal_slice_eq(transport, PEAL_S("websocket"));
    if (!(r->websocket ? c->websocket
                       : c->polling && peal_slice_eq(transport, PEAL_S("polling")))) {
        http_refuse(e, h, r, PEAL_EIO_TRANSPORT_UNKNOWN, NULL);
        return false;
    }
    if (r->upgrade && !r->websocket) {
        http_refuse(e, h, r, PEAL_EIO_BAD_REQUEST, "a WebSocket upgrade for polling");
        return false;
    }
    return true;
}

static bool
http_version_ok(const struct peal_http *h)
{
    return peal_slice_eq(peal_query_raw(h->head->query, PEAL_S("EIO")), PEAL_S("4"));
}

/* Pages of other origins may open a WebSocket only where CORS would let them poll. */
static bool
http_origin_ok(struct peal_eio *e, struct peal_http *h)
{
    const struct peal_cors *cors = &e->config->cors;

    if (peal_http_origin_ok(h, cors->origins, cors->n))
        return true;
    peal_stat_add(peal_loop_stats(e->proto->loop), PEAL_STAT_DENIED, 1);
    return false;
}

/* Checks whether this request may begin a session. false: it has been refused. */
static bool
http_check_new(struct peal_eio *e, struct peal_http *h, const struct request *r)
{
    if (!peal_slice_eq(h->head->method, PEAL_S("GET")))
        http_refuse(e, h, r, PEAL_EIO_BAD_METHOD, NULL);
    else if (r->websocket && !r->upgrade)
        http_refuse(e, h, r, PEAL_EIO_BAD_REQUEST, "it is no WebSocket upgrade");
    else if (r->upgrade && !http_origin_ok(e, h))
        http_refuse(e, h, r, PEAL_EIO_FORBIDDEN, "its Origin is not in socketio.cors");
    else if (!http_version_ok(h))
        http_refuse(e, h, r, PEAL_EIO_BAD_VERSION, NULL);
    else
        return http_check_handshake(e, h, r);
    return false;
}

/* The other node cannot be reached: its sessions are gone, and the client begins again.
 */
static void
http_on_unreachable(struct peal_http *h, void *eio)
{
    struct request r;

    if (http_read_request(eio, h, &r))
        http_refuse(eio, h, &r, PEAL_EIO_SESSION_UNKNOWN, NULL);
}

/* Cuts the host:port of a node in place. false: it is something else. */
static bool
http_split_address(char *address, struct peal_http_forward_to *to)
{
    struct peal_hostport hp;

    if (peal_hostport_split(peal_slice_str(address), &hp) != PEAL_OK ||
        peal_hostport_port(&hp, -1, &to->port) != PEAL_OK)
        return false;
    address[hp.host.data + hp.host.len - address] = '\0';
    to->host = hp.host.data;
    return true;
}

/* Forwards a request to the node that has its session. false: no such node. */
static bool
http_forward_request(struct peal_eio *e, struct peal_http *h, struct peal_slice sid)
{
    struct peal_proto *p = e->proto;
    struct peal_node_report there;
    struct peal_http_forward_to to = { .secret = there.secret,
        .connect_timeout_ms = FORWARD_CONNECT_MS,
        .idle_timeout_ms = e->config->ping_interval_ms + e->config->ping_timeout_ms +
                           e->config->upgrade_timeout_ms,
        .failed = http_on_unreachable,
        .ctx = e };
    uint32_t node;
    uint8_t worker;

    if (p->nodes == NULL || h->forwarded ||
        !peal_hub_owner(peal_shard_hub(p->shard), sid, &node, &worker) ||
        !peal_nodes_find(p->nodes, node, &there) ||
        !http_split_address(there.address, &to))
        return false;
    peal_http_forward(h, &to);
    return true;
}

static bool
http_is(const struct peal_http *h, struct peal_slice method)
{
    return peal_slice_eq(h->head->method, method);
}

/* The places to look for the session of a request: one whose body has been read cannot go
 * to another worker or node any more. */
enum where {
    HERE,
    ANYWHERE
};

/* The session a request belongs to; NULL: refused, or on its way to the worker, or the
 * node, that has it. */
static struct peal_eio_session *
http_find_session(
    struct peal_eio *e, struct peal_http *h, const struct request *r, enum where where)
{
    struct peal_eio_session *s = peal_map_get(&e->sessions, r->sid);
    int owner;

    if (s == NULL || peal_eio_overdue(s)) {
        owner = peal_shard_owner(e->proto->shard, r->sid);
        if (where == ANYWHERE && owner >= 0 &&
            (unsigned)owner != peal_shard_index(e->proto->shard))
            peal_http_migrate(h, (unsigned)owner);
        else if (where == HERE || owner >= 0 || !http_forward_request(e, h, r->sid))
            http_refuse(e, h, r, PEAL_EIO_SESSION_UNKNOWN, NULL);
        return NULL;
    }
    if (s->state == PEAL_EIO_PARTED && (r->upgrade || !http_is(h, PEAL_S("GET"))))
        http_refuse(e, h, r, PEAL_EIO_SESSION_UNKNOWN, NULL);
    else if (s->state == PEAL_EIO_PARTED)
        return s;
    else if ((!r->upgrade && r->websocket != (s->polling == NULL)) || !http_version_ok(h))
        http_refuse(e, h, r, PEAL_EIO_BAD_REQUEST,
            "of another transport or version than its session");
    else if (r->upgrade && !http_origin_ok(e, h))
        http_refuse(e, h, r, PEAL_EIO_FORBIDDEN, "its Origin is not in socketio.cors");
    else if (http_check_handshake(e, h, r))
        return s;
    return NULL;
}

void
peal_eio_http_begin(struct peal_http *h, void *eio)
{
    struct peal_eio *e = eio;
    struct peal_eio_session *s;
    struct request r;

    if (peal_http_cors(h, &e->config->cors) || !http_read_request(e, h, &r))
        return;
    if (r.sid.data == NULL) {
        (void)(http_check_new(e, h, &r) && peal_admission_try(e->proto, h, NULL, NULL));
        return;
    }
    if ((s = http_find_session(e, h, &r, ANYWHERE)) == NULL || r.upgrade ||
        http_is(h, PEAL_S("GET")))
        return;
    if (http_is(h, PEAL_S("POST")) && s->polling != NULL)
        peal_eio_post_begin(s, h);
    else
        peal_http_reply(h, 500, NULL, PEAL_S(""));
}

/* The first answer to a polling client: its handshake. */
static void
http_open_polling(struct peal_eio *e, struct peal_http *h, bool b64)
{
    const struct peal_eio_config *c = e->config;
    struct peal_eio_session *s = peal_eio_session_new(e, PEAL_EIO_ON_POLLING, b64);
    struct peal_buf text = { 0 };
    struct peal_blob *body = NULL;

    if (s != NULL &&
        peal_eiopkt_open(&text, peal_eio_sid(s), c->websocket, c->ping_interval_ms,
            c->ping_timeout_ms, c->max_payload) == PEAL_OK)
        body = peal_blob_copy(peal_buf_slice(&text));
    peal_buf_fini(&text);
    if (body == NULL) {
        if (s != NULL)
            peal_eio_end(s, e->close, PEAL_END_MEMORY, NULL);
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    if (c->cookie.len > 0)
        peal_http_add(h, "Set-Cookie", "%.*s=%.*s; Path=/; HttpOnly; SameSite=Lax",
            PEAL_ARG(c->cookie), PEAL_ID_LEN, s->id);
    peal_eio_answer(h, PEAL_EIO_TYPE_PACKETS, body);
    peal_blob_release(body);
    peal_eio_start(s);
}

void
peal_eio_http_handle(struct peal_http *h, void *eio)
{
    struct peal_eio *e = eio;
    struct peal_eio_session *s;
    struct request r;

    if (http_is(h, PEAL_S("POST"))) {
        peal_eio_post(h);
        return;
    }
    if (!http_read_request(e, h, &r))
        return;
    if (r.sid.data == NULL) {
        if (r.upgrade)
            peal_eio_ws_open(e, h, r.b64);
        else
            http_open_polling(e, h, r.b64);
        return;
    }
    /* Checked again: a body may have come between. */
    if ((s = http_find_session(e, h, &r, HERE)) == NULL)
        return;
    if (s->state == PEAL_EIO_PARTED)
        peal_eio_last_poll(s, h);
    else if (r.upgrade)
        peal_eio_ws_probe(s, h);
    else
        peal_eio_get(s, h);
}

/* SPDX-License-Identifier: MIT */
/*
 * Channels as Server-Sent Events: the response is a stream of events that ends when the
 * session does; comments keep proxies from cutting it. To clients of HTTP/1.1 each event
 * is a chunk, to those of HTTP/1.0 (nginx asks so by default) the end of the connection
 * is the end of the body. Last-Event-ID is accepted and means nothing yet: there is no
 * history.
 */
#include "wire/sse.h"

#include <limits.h>
#include <stdlib.h>

#include "base/id.h"
#include "proto/plain_priv.h"
#include "proto/sse.h"
#include "wire/encode.h"

#define TYPE "text/event-stream; charset=utf-8"
#define EXTRA_MAX 4096 /* bytes that a client may send after its request */

/* The protocol on one worker. */
struct sse_protocol {
    struct peal_plain_protocol plain; /* first */
    const struct peal_sse_config *config;
};

struct sse {
    struct peal_plain plain; /* first */
    struct peal_conn *conn;
    size_t extra; /* bytes that the client sent after its request */
    bool chunked;
};

static const struct peal_sse_config *
sse_config(const struct sse *s)
{
    return PEAL_CONTAINER(s->plain.protocol, const struct sse_protocol, plain)->config;
}

static struct peal_proto *
sse_proto(const struct sse *s)
{
    return peal_plain_proto(&s->plain);
}

static void
sse_end(struct sse *s, enum peal_session_end how, const char *detail)
{
    peal_plain_end(&s->plain, how, detail);
    peal_loop_free_later(sse_proto(s)->loop, free, s);
}

static void
sse_on_closed(struct peal_conn *c, enum peal_close why)
{
    sse_end(peal_conn_owner(c), peal_session_end_of(why), NULL);
}

static size_t
sse_on_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct sse *s = peal_conn_owner(c);

    if ((s->extra += len) > EXTRA_MAX) {
        peal_conn_close(c, PEAL_CLOSE_PROTO);
        sse_end(s, PEAL_END_BAD_INPUT, "it sends more after its request");
    }
    return len;
}

static const struct peal_conn_ops sse_conn_ops = { .data = sse_on_data,
    .closed = sse_on_closed };

static bool
sse_deliver(struct peal_session *session, struct peal_msg *m, unsigned k)
{
    struct sse *s = PEAL_CONTAINER(session, struct sse, plain.session);
    struct peal_blob *b;

    if (s->conn == NULL) /* the app has not allowed all of its channels yet */
        return false;
    if ((m->flags & PEAL_MSG_VOLATILE) != 0 && !peal_conn_ready(s->conn)) {
        peal_stat_add(peal_proto_stats(sse_proto(s)), PEAL_STAT_VOLATILE_DROPPED, 1);
        return false;
    }
    b = peal_encode_form(
        m, s->chunked ? PEAL_FMT_SSE_CHUNKED : PEAL_FMT_SSE, sse_proto(s)->deflate);
    return b != NULL && peal_conn_send(s->conn, b, m->channels[k].hash | 1);
}

/* Sends text of this session's own, as a chunk where the response is chunked. */
static void
sse_send_text(struct sse *s, struct peal_slice text)
{
    struct peal_buf chunk = { 0 };

    if (!s->chunked)
        peal_conn_send_bytes(s->conn, text);
    else if (peal_sse_chunk(&chunk, text) == PEAL_OK)
        peal_conn_send_bytes(s->conn, peal_buf_slice(&chunk));
    peal_buf_fini(&chunk);
}

/* The stream ends, and the client comes back by itself: EventSource reconnects. */
static void
sse_finish(struct sse *s, enum peal_session_end how)
{
    if (s->chunked)
        peal_conn_send_bytes(s->conn, PEAL_S(PEAL_SSE_LAST_CHUNK));
    peal_conn_finish(s->conn, PEAL_CLOSE_LOCAL);
    sse_end(s, how, NULL);
}

static void
sse_disconnect(struct peal_session *session, bool everything)
{
    sse_finish(PEAL_CONTAINER(session, struct sse, plain.session), PEAL_END_SERVER);
}

static void
sse_send_retry(struct sse *s, uint64_t ms)
{
    struct peal_buf retry = { 0 };

    if (peal_sse_retry(&retry, ms) == PEAL_OK)
        sse_send_text(s, peal_buf_slice(&retry));
    peal_buf_fini(&retry);
}

/* EventSource has no jitter of its own: clients whose streams end together are to come
 * back one after the other. */
static uint64_t
sse_jittered_retry(const struct peal_sse_config *c)
{
    return c->retry_ms / 2 + peal_random_u64() % (c->retry_ms + 1);
}

static void
sse_drain_one(struct peal_session *session)
{
    struct sse *s = PEAL_CONTAINER(session, struct sse, plain.session);

    sse_send_retry(s, sse_jittered_retry(sse_config(s)));
    sse_finish(s, PEAL_END_DRAIN);
}

static const struct peal_session_ops sse_session_ops = { .protocol = "sse",
    .deliver = sse_deliver,
    .disconnect = sse_disconnect,
    .drain = sse_drain_one };

static void
sse_on_timer(struct peal_timer *t)
{
    struct sse *s = PEAL_CONTAINER(t, struct sse, plain.timer);

    if (peal_plain_drain_if_aged(&s->plain))
        return;
    sse_send_text(s, PEAL_S(PEAL_SSE_PING));
    peal_plain_wait(&s->plain, sse_config(s)->ping_interval_ms);
}

static void
sse_add_fields(struct peal_http *h)
{
    peal_http_add(h, "Cache-Control", "no-cache, no-transform");
    peal_http_add(h, "X-Accel-Buffering", "no");
}

/* Answers a newcomer that cannot be admitted: a stream that says when to come back, and
 * ends at once. An EventSource would give up for ever at an error status. */
static void
sse_turn_away(struct peal_http *h, void *ctx)
{
    const struct sse_protocol *sse = ctx;
    struct peal_buf retry = { 0 };

    if (peal_sse_retry(&retry, sse_jittered_retry(sse->config)) == PEAL_OK) {
        sse_add_fields(h);
        peal_http_close_after(h);
        peal_http_reply(h, 200, TYPE, peal_buf_slice(&retry));
    } else {
        peal_http_close(h, PEAL_CLOSE_ERROR);
    }
    peal_buf_fini(&retry);
}

static void
sse_send_node(struct sse *s)
{
    struct peal_buf event = { 0 }, node = { 0 };

    if (peal_plain_node(sse_proto(s), &node) == PEAL_OK &&
        peal_sse_event(&event, PEAL_S("node"), PEAL_S(""), peal_buf_slice(&node)) ==
            PEAL_OK)
        sse_send_text(s, peal_buf_slice(&event));
    peal_buf_fini(&event);
    peal_buf_fini(&node);
}

/* Answers the request and takes its connection over. false: out of memory. */
static bool
sse_accept(struct sse *s, struct peal_http *h)
{
    bool asks_node = peal_plain_asks_node(h);

    s->chunked = h->minor == 1;
    sse_add_fields(h);
    if (s->chunked)
        peal_http_add(h, "Transfer-Encoding", "chunked");
    if ((s->conn = peal_http_hijack(h, 200, TYPE, &sse_conn_ops, s)) == NULL)
        return false;
    sse_send_retry(s, sse_config(s)->retry_ms);
    if (asks_node)
        sse_send_node(s);
    return true;
}

static void
sse_begin(struct peal_http *h, void *ctx)
{
    struct sse_protocol *sse = ctx;

    if (peal_http_cors(h, &sse->config->cors))
        return;
    if (peal_slice_eq(h->head->method, PEAL_S("GET")))
        (void)peal_admission_try(sse->plain.base.proto, h, sse_turn_away, sse);
}

static void
sse_cancel(struct peal_plain *plain)
{
    peal_session_fini(&plain->session);
    free(PEAL_CONTAINER(plain, struct sse, plain));
}

/* Begins the session, as soon as the app allows its channels. */
static void
sse_go_on(struct peal_plain *plain, struct peal_http *h)
{
    static const struct peal_plain_ops plain_ops = {
        .prefix = { "/sse/", 5 }, .again = sse_go_on, .cancel = sse_cancel
    };
    struct sse *s = PEAL_CONTAINER(plain, struct sse, plain);
    enum peal_plain_subscribed subscribed = peal_plain_subscribe(plain, h, &plain_ops);

    if (subscribed == PEAL_PLAIN_ASKED)
        return;
    if (subscribed == PEAL_PLAIN_REFUSED || !sse_accept(s, h)) {
        sse_cancel(plain);
        return;
    }
    peal_plain_begin(plain);
    peal_plain_cork(plain, s->conn);
    peal_plain_wait(plain, sse_config(s)->ping_interval_ms);
}

static void
sse_handle(struct peal_http *h, void *ctx)
{
    struct sse_protocol *sse = ctx;
    struct sse *s;

    if (!peal_slice_eq(h->head->method, PEAL_S("GET"))) {
        peal_http_add(h, "Allow", "GET");
        peal_http_reply(h, 405, "text/plain", PEAL_S("an event stream is a GET\n"));
        return;
    }
    if ((s = calloc(1, sizeof(*s))) == NULL) {
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    peal_plain_init(&s->plain, &sse->plain, &sse_session_ops, sse->config->channels_max,
        sse_on_timer);
    sse_go_on(&s->plain, h);
}

/* The protocol. */

static peal_err
sse_open(struct peal_proto *proto, const void *config, struct peal_protocol **out)
{
    struct sse_protocol *sse = calloc(1, sizeof(*sse));

    if (sse == NULL)
        return PEAL_ENOMEM;
    sse->config = config;
    peal_list_init(&sse->plain.sessions);
    *out = &sse->plain.base;
    return PEAL_OK;
}

static unsigned
sse_routes(struct peal_protocol *pr, struct peal_http_route *out)
{
    struct peal_http_route route = {
        .begin = sse_begin, .handle = sse_handle, .ctx = pr
    };

    out[0] = out[1] = route;
    out[0].path = PEAL_S("/sse/");
    out[0].prefix = true;
    out[1].path = PEAL_S("/sse");
    return 2;
}

static void
sse_free(struct peal_protocol **pp)
{
    peal_plain_drain(*pp, UINT_MAX, PEAL_OLDEST_FIRST);
    free(*pp);
    *pp = NULL;
}

const struct peal_protocol_ops peal_protocol_sse = { .name = "sse",
    .open = sse_open,
    .routes = sse_routes,
    .count = peal_plain_count,
    .drain = peal_plain_drain,
    .free = sse_free };

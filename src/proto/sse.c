/* SPDX-License-Identifier: MIT */
/*
 * Channels as Server-Sent Events: the response is a stream of events that ends when the
 * session does; comments keep proxies from cutting it. To clients of HTTP/1.1 each event
 * is a chunk, to those of HTTP/1.0 (nginx asks so by default) the end of the connection
 * is the end of the body. Last-Event-ID is accepted and means nothing yet: there is no
 * history.
 */
#include "wire/sse.h"

#include <stdlib.h>

#include "base/id.h"
#include "proto/plain_priv.h"
#include "wire/encode.h"

#define TYPE "text/event-stream; charset=utf-8"
#define EXTRA_MAX 4096 /* bytes that a client may send after its request */

struct sse {
    struct peal_plain plain; /* first */
    struct peal_conn *conn;
    size_t extra; /* bytes that the client sent after its request */
    bool chunked;
};

static void
end(struct sse *s, enum peal_session_end how, const char *detail)
{
    struct peal_loop *loop = s->plain.proto->loop;

    peal_plain_end(&s->plain, PEAL_STAT_SSE_SESSIONS, how, detail);
    peal_loop_free_later(loop, free, s);
}

static void
on_closed(struct peal_conn *c, enum peal_close why)
{
    end(peal_conn_owner(c), peal_session_end_of(why), NULL);
}

static size_t
on_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct sse *s = peal_conn_owner(c);

    if ((s->extra += len) > EXTRA_MAX) {
        peal_conn_close(c, PEAL_CLOSE_PROTO);
        end(s, PEAL_END_BAD_INPUT, "it sends more after its request");
    }
    return len;
}

static const struct peal_conn_ops conn_ops = { .data = on_data, .closed = on_closed };

static bool
deliver(struct peal_session *session, struct peal_msg *m, unsigned k)
{
    struct sse *s = (struct sse *)session;
    struct peal_blob *b;

    if ((m->flags & PEAL_MSG_VOLATILE) != 0 && !peal_conn_ready(s->conn)) {
        peal_stat_add(peal_proto_stats(s->plain.proto), PEAL_STAT_VOLATILE_DROPPED, 1);
        return false;
    }
    b = peal_encode_form(
        m, s->chunked ? PEAL_FMT_SSE_CHUNKED : PEAL_FMT_SSE, s->plain.proto->deflate);
    return b != NULL && peal_conn_send(s->conn, b, m->channels[k].hash | 1);
}

/* Sends text of this session's own, as a chunk where the response is chunked. */
static void
send_text(struct sse *s, struct peal_slice text)
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
finish(struct sse *s, enum peal_session_end how)
{
    if (s->chunked)
        peal_conn_send_bytes(s->conn, PEAL_S(PEAL_SSE_LAST_CHUNK));
    peal_conn_finish(s->conn, PEAL_CLOSE_LOCAL);
    end(s, how, NULL);
}

static void
disconnect(struct peal_session *session, bool everything)
{
    finish((struct sse *)session, PEAL_END_SERVER);
}

static void
send_retry(struct sse *s, uint64_t ms)
{
    struct peal_buf retry = { 0 };

    if (peal_sse_retry(&retry, ms) == PEAL_OK)
        send_text(s, peal_buf_slice(&retry));
    peal_buf_fini(&retry);
}

/* EventSource has no jitter of its own: those that leave together are to come back one
 * after the other. */
static uint64_t
jittered(const struct peal_proto *p)
{
    uint64_t retry = p->config->sse_retry_ms;

    return retry / 2 + peal_random_u64() % (retry + 1);
}

static void
leave(struct peal_session *session)
{
    struct sse *s = (struct sse *)session;

    send_retry(s, jittered(s->plain.proto));
    finish(s, PEAL_END_DRAIN);
}

static const struct peal_session_ops session_ops = {
    .protocol = "sse", .deliver = deliver, .disconnect = disconnect, .drain = leave
};

static void
on_timer(struct peal_timer *t)
{
    struct sse *s = PEAL_CONTAINER(t, struct sse, plain.timer);

    if (peal_plain_aged(&s->plain)) {
        peal_session_catch_up(&s->plain.session);
        leave(&s->plain.session);
        return;
    }
    send_text(s, PEAL_S(PEAL_SSE_PING));
    peal_plain_wait(&s->plain, s->plain.proto->config->sse_ping_interval_ms);
}

static void
add_fields(struct peal_http *h)
{
    peal_http_add(h, "Cache-Control", "no-cache, no-transform");
    peal_http_add(h, "X-Accel-Buffering", "no");
}

void
peal_sse_turn_away(const struct peal_proto *p, struct peal_http *h)
{
    struct peal_buf retry = { 0 };

    if (peal_sse_retry(&retry, jittered(p)) == PEAL_OK) {
        add_fields(h);
        peal_http_close_after(h);
        peal_http_reply(h, 200, TYPE, peal_buf_slice(&retry));
    } else {
        peal_http_close(h, PEAL_CLOSE_ERROR);
    }
    peal_buf_fini(&retry);
}

static struct peal_conn *
take(struct sse *s, struct peal_http *h)
{
    struct peal_buf event = { 0 }, node = { 0 };
    bool asks_node = peal_plain_asks_node(h);

    s->chunked = h->minor == 1;
    add_fields(h);
    if (s->chunked)
        peal_http_add(h, "Transfer-Encoding", "chunked");
    s->conn = peal_http_hijack(h, 200, TYPE, &conn_ops, s);
    if (s->conn != NULL)
        send_retry(s, s->plain.proto->config->sse_retry_ms);
    if (s->conn != NULL && asks_node &&
        peal_plain_node(s->plain.proto, &node) == PEAL_OK &&
        peal_sse_event(&event, PEAL_S("node"), PEAL_S(""), peal_buf_slice(&node)) ==
            PEAL_OK)
        send_text(s, peal_buf_slice(&event));
    peal_buf_fini(&event);
    peal_buf_fini(&node);
    return s->conn;
}

void
peal_sse_begin(struct peal_http *h, void *proto)
{
    struct peal_proto *p = proto;

    if (peal_http_cors(h, &p->config->cors))
        return;
    if (peal_slice_eq(h->head->method, PEAL_S("GET")))
        (void)peal_admission_try(p, h, PEAL_NEWCOMER_STREAM);
}

void
peal_sse_handle(struct peal_http *h, void *proto)
{
    struct peal_proto *p = proto;
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
    s->plain.proto = p;
    s->plain.timer.fn = on_timer;
    (void)!peal_session_init(&s->plain.session, p->shard, &session_ops, false);
    s->plain.session.n_subs_max = (uint16_t)p->config->channels_max;
    if (!peal_plain_subscribe(&s->plain, h, PEAL_S("/sse/")) || take(s, h) == NULL) {
        peal_session_fini(&s->plain.session);
        free(s);
        return;
    }
    peal_plain_begin(&s->plain, PEAL_STAT_SSE_SESSIONS);
    peal_plain_hold(&s->plain, s->conn);
    peal_plain_wait(&s->plain, p->config->sse_ping_interval_ms);
}

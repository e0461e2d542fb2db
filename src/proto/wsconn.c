/* SPDX-License-Identifier: MIT */
/*
 * A WebSocket connection: frames of the codec (wire/ws.h) become messages of its owner,
 * pings are answered, and a close of either side is completed.
 *
 * The owner may close the connection, or move it to another struct, at any message: so
 * the reading loop asks the connection for its owner again after each of them.
 */
#include "proto/wsconn.h"

#include <stdlib.h>

#include "base/assert.h"

#define SUBPROTOCOL_MAX 128 /* bytes that are echoed */

static size_t wsconn_on_data(struct peal_conn *c, uint8_t *data, size_t len);
static void wsconn_on_closed(struct peal_conn *c, enum peal_close why);

static void wsconn_on_drained(struct peal_conn *c);

static const struct peal_conn_ops wsconn_conn_ops = {
    .data = wsconn_on_data, .closed = wsconn_on_closed, .drained = wsconn_on_drained
};

/* A peer that pings and does not read has one pong waiting in its queue. What it pings
 * meanwhile is answered by one more, for the last of them (RFC 6455 section 5.5.3). */
struct peal_wsconn_pong {
    struct peal_blob *queued; /* retained; the queue has the other reference */
    bool again;               /* payload is to be answered */
    uint8_t len, payload[PEAL_WS_CONTROL_MAX];
};

static void
wsconn_drop_pong(struct peal_wsconn *w)
{
    if (w->pong != NULL)
        peal_blob_release(w->pong->queued);
    free(w->pong);
    w->pong = NULL;
}

static void
wsconn_forget(struct peal_wsconn *w)
{
    w->conn = NULL;
    wsconn_drop_pong(w);
    peal_wsframe_decoder_fini(&w->decoder);
}

static void
wsconn_on_closed(struct peal_conn *c, enum peal_close why)
{
    struct peal_wsconn *w = peal_conn_owner(c);

    wsconn_forget(w);
    w->ops->closed(w, PEAL_WS_CLOSE_ABNORMAL, why, NULL);
}

static void
wsconn_send_control(
    struct peal_wsconn *w, enum peal_wsframe_opcode op, const void *payload, size_t len)
{
    uint8_t frame[PEAL_WS_HEAD_MAX + PEAL_WS_CONTROL_MAX];
    size_t n = peal_wsframe_head(frame, op, false, len);

    PEAL_ASSERT(w->conn != NULL && len <= PEAL_WS_CONTROL_MAX);
    memcpy(frame + n, payload, len);
    peal_conn_send_bytes(w->conn, peal_slice_of(frame, n + len));
}

/* Queues a pong and remembers it. Without memory there is none, which a peer that does
 * not read will not miss. */
static void
wsconn_queue_pong(struct peal_wsconn *w, struct peal_slice payload)
{
    size_t room = PEAL_WS_HEAD_MAX + payload.len, n;
    struct peal_blob *b = peal_blob_new(room);

    if (b == NULL)
        return;
    n = peal_wsframe_head((uint8_t *)b->data, PEAL_WS_PONG, false, payload.len);
    memcpy(b->data + n, payload.data, payload.len);
    b->len = (uint32_t)(n + payload.len);
    peal_blob_release(w->pong->queued);
    w->pong->queued = b;
    w->pong->again = false;
    peal_conn_send(w->conn, b, 0);
}

static void
wsconn_on_ping(struct peal_wsconn *w, struct peal_slice payload)
{
    struct peal_wsconn_pong *p = w->pong;

    if (peal_conn_ready(w->conn)) {
        wsconn_send_control(w, PEAL_WS_PONG, payload.data, payload.len);
        return;
    }
    if (p == NULL && (p = w->pong = calloc(1, sizeof(*p))) == NULL)
        return;
    if (p->queued == NULL || !peal_blob_is_shared(p->queued)) {
        wsconn_queue_pong(w, payload);
        return;
    }
    p->again = true;
    p->len = (uint8_t)payload.len;
    memcpy(p->payload, payload.data, payload.len);
}

static void
wsconn_on_drained(struct peal_conn *c)
{
    struct peal_wsconn *w = peal_conn_owner(c);
    struct peal_wsconn_pong *p = w->pong;

    if (p != NULL && p->again)
        wsconn_send_control(w, PEAL_WS_PONG, p->payload, p->len);
    wsconn_drop_pong(w);
}

static void
wsconn_finish(
    struct peal_wsconn *w, uint16_t code, struct peal_slice reason, enum peal_close why)
{
    uint8_t payload[PEAL_WS_CONTROL_MAX];

    if (w->conn == NULL)
        return;
    wsconn_send_control(
        w, PEAL_WS_CLOSE, payload, peal_wsframe_close_payload(payload, code, reason));
    peal_conn_finish(w->conn, why);
    wsconn_forget(w);
}

void
peal_wsconn_close(struct peal_wsconn *w, uint16_t code, struct peal_slice reason)
{
    wsconn_finish(w, code, reason, PEAL_CLOSE_LOCAL);
}

void
peal_wsconn_abort(struct peal_wsconn *w, enum peal_close why)
{
    if (w->conn == NULL)
        return;
    peal_conn_close(w->conn, why);
    wsconn_forget(w);
}

void
peal_wsconn_ping(struct peal_wsconn *w)
{
    if (w->conn != NULL)
        wsconn_send_control(w, PEAL_WS_PING, "", 0);
}

void
peal_wsconn_pause(struct peal_wsconn *w)
{
    if (w->conn != NULL)
        peal_conn_pause(w->conn);
}

void
peal_wsconn_resume(struct peal_wsconn *w)
{
    if (w->conn != NULL)
        peal_conn_read_again(w->conn);
}

static void
wsconn_on_event(struct peal_wsconn *w, const struct peal_wsframe_event *ev)
{
    uint16_t code = ev->close_code;

    switch (ev->type) {
    case PEAL_WS_PING:
        wsconn_on_ping(w, ev->payload);
        break;
    case PEAL_WS_PONG:
        if (w->ops->pong != NULL)
            w->ops->pong(w);
        break;
    case PEAL_WS_CLOSE:
        wsconn_finish(w, code, peal_slice_of(NULL, 0), PEAL_CLOSE_PEER);
        w->ops->closed(w, code, PEAL_CLOSE_PEER, "it sent a close frame");
        break;
    default:
        w->ops->message(w, ev->type == PEAL_WS_BINARY, ev->payload);
    }
}

static void
wsconn_on_broken(struct peal_wsconn *w, struct peal_conn *c, peal_err err)
{
    uint16_t code = w->decoder.fail_code;

    peal_stat_add(peal_loop_stats(peal_conn_loop(c)), PEAL_STAT_WS_FRAMES_BAD, 1);
    wsconn_finish(w, code, peal_slice_str(peal_err_text(err)), PEAL_CLOSE_PROTO);
    w->ops->closed(w, code, PEAL_CLOSE_PROTO, peal_err_text(err));
}

static size_t
wsconn_on_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    size_t at = 0;

    /* The owner may close, or move the connection to another struct, at any message. */
    for (;;) {
        struct peal_wsconn *w = peal_conn_owner(c);
        struct peal_wsframe_event ev;
        size_t used = 0;
        peal_err err;

        if (!peal_conn_is_owned(c))
            return len;
        if (peal_conn_is_paused(c))
            return at;
        err = peal_wsframe_decode(
            &w->decoder, data + at, len - at, w->ops->codec(w), &used, &ev);
        at += used;
        if (err == PEAL_EAGAIN)
            return at;
        if (err != PEAL_OK) {
            wsconn_on_broken(w, c, err);
            return len;
        }
        wsconn_on_event(w, &ev);
    }
}

peal_err
peal_wsconn_check(const struct peal_http *h, unsigned *status_out, const char **why_out)
{
    const struct peal_httphead *head = h->head;
    struct peal_slice version = peal_httphead_get(head, PEAL_S("Sec-WebSocket-Version"));
    struct peal_slice key = peal_httphead_get(head, PEAL_S("Sec-WebSocket-Key"));
    char accept[PEAL_WS_ACCEPT_LEN];

    *status_out = 400;
    if (!head->upgrade_websocket) {
        *status_out = 426;
        *why_out = "this is a WebSocket address";
    } else if (!peal_slice_eq(head->method, PEAL_S("GET"))) {
        *why_out = "a WebSocket handshake is a GET";
    } else if (!peal_slice_eq(version, PEAL_S("13")) &&
               !peal_slice_eq(version, PEAL_S("8"))) {
        *status_out = 426;
        *why_out = "Sec-WebSocket-Version must be 13";
    } else if (peal_wshandshake_accept_key(key, accept) != PEAL_OK) {
        *why_out = "Sec-WebSocket-Key is missing or malformed";
    } else {
        return PEAL_OK;
    }
    return PEAL_EPROTO;
}

/* Several fields of extensions are one list. */
static peal_err
wsconn_negotiate(
    struct peal_http *h, bool on, struct peal_wsdeflate *out, struct peal_buf *answer)
{
    static const struct peal_wsdeflate_settings settings = { 15, 15 };
    struct peal_buf offers = { 0 };
    struct peal_slice value;
    unsigned i = 0;
    peal_err err = PEAL_OK;

    *out = (struct peal_wsdeflate){ 0 };
    if (!on)
        return PEAL_OK;
    while (err == PEAL_OK &&
           peal_httphead_next(h->head, PEAL_S("Sec-WebSocket-Extensions"), &i, &value)) {
        if (offers.len > 0)
            err = peal_buf_add_char(&offers, ',');
        if (err == PEAL_OK)
            err = peal_buf_add_slice(&offers, value);
    }
    if (err == PEAL_OK)
        err = peal_wsdeflate_negotiate(peal_buf_slice(&offers), &settings, out, answer);
    peal_buf_fini(&offers);
    return err;
}

static void
wsconn_add_subprotocol(struct peal_http *h)
{
    struct peal_slice rest = peal_httphead_get(h->head, PEAL_S("Sec-WebSocket-Protocol"));
    struct peal_slice first = peal_slice_trim(peal_slice_cut(&rest, ','));

    if (first.len > 0 && first.len <= SUBPROTOCOL_MAX && peal_httphead_is_token(first))
        peal_http_add(h, "Sec-WebSocket-Protocol", "%.*s", PEAL_ARG(first));
}

peal_err
peal_wsconn_accept(struct peal_wsconn *w, struct peal_http *h,
    const struct peal_wsconn_config *config, const struct peal_wsconn_ops *ops)
{
    struct peal_slice key = peal_httphead_get(h->head, PEAL_S("Sec-WebSocket-Key"));
    struct peal_wsdeflate deflate;
    struct peal_buf answer = { 0 };
    char accept[PEAL_WS_ACCEPT_LEN];
    peal_err err = wsconn_negotiate(h, config->deflate, &deflate, &answer);

    *w = (struct peal_wsconn){ .ops = ops };
    if (err == PEAL_OK)
        err = peal_wshandshake_accept_key(key, accept);
    if (err != PEAL_OK) {
        peal_buf_fini(&answer);
        peal_http_refuse(h, 400, "text/plain", PEAL_S("malformed WebSocket handshake\n"));
        return err;
    }
    peal_http_add(h, "Sec-WebSocket-Accept", "%.*s", PEAL_WS_ACCEPT_LEN, accept);
    if (deflate.on)
        peal_http_add(h, "Sec-WebSocket-Extensions", "%.*s", PEAL_ARG(answer));
    peal_buf_fini(&answer);
    wsconn_add_subprotocol(h);
    peal_wsframe_decoder_init(
        &w->decoder, PEAL_WS_SERVER | (deflate.on ? PEAL_WS_DEFLATE : 0), config->limits);
    w->decoder.peer_bits = deflate.on ? deflate.deflate_bits : 0;
    w->conn = peal_http_hijack(h, 101, NULL, &wsconn_conn_ops, w);
    return w->conn != NULL ? PEAL_OK : PEAL_ENOMEM;
}

void
peal_wsconn_move(
    struct peal_wsconn *to, struct peal_wsconn *from, const struct peal_wsconn_ops *ops)
{
    *to = *from;
    to->ops = ops;
    peal_conn_set_owner(to->conn, &wsconn_conn_ops, to);
    *from = (struct peal_wsconn){ .ops = from->ops };
}

bool
peal_wsconn_send(struct peal_wsconn *w, enum peal_wsframe_opcode op,
    struct peal_slice payload, size_t threshold)
{
    struct peal_buf packed = { 0 };
    uint8_t head[PEAL_WS_HEAD_MAX];
    int bits = (int)peal_wsconn_deflate_bits(w);
    struct peal_blob *b;
    bool rsv1 = false, ok;
    size_t n;

    if (w->conn == NULL)
        return false;
    if (bits != 0 && payload.len >= threshold && payload.len > 0 &&
        peal_deflate_message(w->ops->codec(w), bits, payload, &packed) == PEAL_OK) {
        rsv1 = true;
        payload = peal_buf_slice(&packed);
    }
    n = peal_wsframe_head(head, op, rsv1, payload.len);
    if ((b = peal_blob_new(n + payload.len)) != NULL) {
        memcpy(b->data, head, n);
        if (payload.len > 0)
            memcpy(b->data + n, payload.data, payload.len);
    }
    peal_buf_fini(&packed);
    ok = b != NULL && peal_conn_send(w->conn, b, 0);
    peal_blob_release(b);
    return ok;
}

/* SPDX-License-Identifier: MIT */
/*
 * Channels over a plain WebSocket. /ws/<channel>: messages as they are, both ways. With
 * ?channel=, whether it names one channel or several: an envelope
 * {"channel","event","data"} says to which one a message belongs, both ways. So a program
 * whose list of channels shrinks to one still meets the format it was written for.
 */
#include <limits.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/id.h"
#include "base/json.h"
#include "hub/publisher.h"
#include "proto/plain_priv.h"
#include "proto/ws.h"
#include "proto/wsconn.h"
#include "wire/encode.h"

/* The protocol on one worker. */
struct ws_protocol {
    struct peal_plain_protocol plain; /* first */
    const struct peal_ws_config *config;
};

struct ws {
    struct peal_plain plain; /* first */
    struct peal_wsconn conn;
};

static struct ws *
ws_of(struct peal_wsconn *w)
{
    return PEAL_CONTAINER(w, struct ws, conn);
}

static const struct peal_ws_config *
ws_config(const struct ws *w)
{
    return PEAL_CONTAINER(w->plain.protocol, const struct ws_protocol, plain)->config;
}

static struct peal_proto *
ws_proto(const struct ws *w)
{
    return peal_plain_proto(&w->plain);
}

static void
ws_end(struct ws *w, enum peal_session_end how, const char *detail)
{
    if (!peal_list_linked(&w->plain.link))
        return;
    peal_plain_end(&w->plain, how, detail);
    peal_publisher_forget(ws_proto(w)->shard, w);
    peal_loop_free_later(ws_proto(w)->loop, free, w);
}

static void
ws_close(struct ws *w, uint16_t code, const char *why, enum peal_session_end how)
{
    peal_wsconn_close(&w->conn, code, peal_slice_str(why));
    ws_end(w, how, *why != '\0' ? why : NULL);
}

static void
ws_on_closed(
    struct peal_wsconn *conn, uint16_t code, enum peal_close why, const char *detail)
{
    ws_end(ws_of(conn), peal_session_end_of(why), detail);
}

/* From channels to the client. */

static struct peal_blob *
ws_bytes_of(struct ws *w, struct peal_msg *m, unsigned k, bool *ours)
{
    struct peal_deflate *z = ws_proto(w)->deflate;
    bool deflate = peal_wsconn_deflate_bits(&w->conn) == PEAL_DEFLATE_BITS_MAX;

    *ours = false;
    if (!w->plain.session.envelopes)
        return peal_encode_form(m, deflate ? PEAL_FMT_WS_DEFLATE : PEAL_FMT_WS, z);
    if (k == 0)
        return peal_encode_form(
            m, deflate ? PEAL_FMT_ENVELOPE_DEFLATE : PEAL_FMT_ENVELOPE, z);
    *ours = true;
    return peal_encode_envelope_for(m, k, deflate ? z : NULL);
}

static bool
ws_deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    struct ws *w = PEAL_CONTAINER(s, struct ws, plain.session);
    struct peal_blob *b;
    bool ours, ok;

    if ((m->flags & PEAL_MSG_VOLATILE) != 0 &&
        (w->conn.conn == NULL || !peal_conn_ready(w->conn.conn))) {
        peal_stat_add(peal_proto_stats(ws_proto(w)), PEAL_STAT_VOLATILE_DROPPED, 1);
        return false;
    }
    b = ws_bytes_of(w, m, k, &ours);
    ok = b != NULL && peal_wsconn_send_frames(&w->conn, b, m->channels[k].hash | 1);
    if (ours)
        peal_blob_release(b);
    return ok;
}

static void
ws_disconnect(struct peal_session *s, bool everything)
{
    ws_close(PEAL_CONTAINER(s, struct ws, plain.session), PEAL_WS_CLOSE_NORMAL, "",
        PEAL_END_SERVER);
}

static void
ws_drain_one(struct peal_session *s)
{
    ws_close(PEAL_CONTAINER(s, struct ws, plain.session), PEAL_WS_CLOSE_RESTART,
        "please reconnect", PEAL_END_DRAIN);
}

static const struct peal_session_ops ws_session_ops = { .protocol = "ws",
    .deliver = ws_deliver,
    .disconnect = ws_disconnect,
    .drain = ws_drain_one };

/* From the client to channels. */

static bool
is_container(struct peal_slice s)
{
    size_t at = 0;

    while (at < s.len && strchr(" \t\r\n", s.data[at]) != NULL && s.data[at] != '\0')
        at++;
    return at < s.len && (s.data[at] == '{' || s.data[at] == '[') &&
           peal_json_check(s) == PEAL_OK;
}

static void
ws_resume(void *arg)
{
    struct ws *w = arg;

    if (w->plain.asking == NULL)
        peal_wsconn_resume(&w->conn);
}

static void
ws_deny_publish(struct ws *w, const char *why)
{
    peal_stat_add(peal_proto_stats(ws_proto(w)), PEAL_STAT_DENIED, 1);
    ws_close(w, PEAL_WS_CLOSE_POLICY,
        why != NULL ? why : "publishing here is not allowed", PEAL_END_BAD_INPUT);
}

static void
ws_on_publish_decided(void *owner, const struct peal_answer *a)
{
    struct ws *w = PEAL_CONTAINER(owner, struct ws, plain);
    struct peal_shard *shard = ws_proto(w)->shard;

    if (a->err != PEAL_OK) {
        ws_deny_publish(w, a->why);
        return;
    }
    peal_publish(shard, w->plain.asking->message);
    peal_plain_stop_asking(&w->plain);
    /* The message is dealt with only now. */
    if (!peal_publisher_check(shard, w, ws_proto(w)->config->events_rate, ws_resume))
        ws_resume(w);
}

static void
ws_publish(struct ws *w, struct peal_msg_spec *spec, struct peal_slice channel)
{
    struct peal_msg *m = NULL;
    const char *why = NULL;
    peal_err err =
        peal_plain_ask(&w->plain, PEAL_ASK_PUBLISH, channel, ws_on_publish_decided, &why);

    if (err != PEAL_OK && err != PEAL_EAGAIN && err != PEAL_ENOMEM) {
        ws_deny_publish(w, why);
        return;
    }
    spec->channels = &channel;
    spec->n_channels = 1;
    spec->nsp = peal_channel_nsp(channel);
    if (err == PEAL_ENOMEM || peal_msg_new(spec, &m) != PEAL_OK) {
        ws_close(w, PEAL_WS_CLOSE_TRY_LATER, "out of memory", PEAL_END_MEMORY);
        return;
    }
    if (err == PEAL_EAGAIN) {
        w->plain.asking->message = m; /* ws_on_message stops the reading */
        return;
    }
    peal_publish(ws_proto(w)->shard, m);
    peal_msg_release(m);
}

/* The one channel of a session. */
static struct peal_slice
ws_only_channel(const struct ws *w)
{
    return peal_session_channel(&w->plain.session);
}

static void
ws_on_bare(struct ws *w, bool binary, struct peal_slice payload)
{
    struct peal_msg_spec spec = { .args = payload,
        .n_args = 1,
        .kind = binary                  ? PEAL_DATA_BYTES
                : is_container(payload) ? PEAL_DATA_JSON
                                        : PEAL_DATA_TEXT };

    ws_publish(w, &spec, ws_only_channel(w));
}

/* The fields of an envelope, raw. */
struct envelope {
    struct peal_slice channel, event, data;
    bool base64; /* data is bytes */
};

static bool
ws_read_envelope(struct peal_slice text, struct envelope *e)
{
    struct peal_slice value, rest, key;
    size_t used;

    *e = (struct envelope){ 0 };
    if (peal_json_check(text) != PEAL_OK ||
        peal_json_skip(text, &value, &used) != PEAL_OK || value.data[0] != '{')
        return false;
    rest = peal_slice_of(value.data + 1, value.len - 2);
    while (peal_json_field(&rest, &key, &value)) {
        if (peal_json_string_is(key, PEAL_S("channel")))
            e->channel = value;
        else if (peal_json_string_is(key, PEAL_S("event")))
            e->event = value;
        else if (peal_json_string_is(key, PEAL_S("data")))
            e->data = value;
        else if (peal_json_string_is(key, PEAL_S("encoding")) &&
                 peal_json_string_is(value, PEAL_S("base64")))
            e->base64 = true;
        else
            return false;
    }
    return e->channel.len > 0 && e->channel.data[0] == '"' && e->data.len > 0 &&
           (e->event.len == 0 ||
               (e->event.data[0] == '"' && !peal_sio_event_reserved(e->event)));
}

/* The data of an envelope that says base64, in place of its string. */
static bool
ws_decode_data(struct envelope *e, struct peal_buf *bytes)
{
    struct peal_slice text = peal_slice_of(e->data.data + 1, e->data.len - 2);

    if (e->data.data[0] != '"' ||
        peal_buf_reserve(bytes, text.len / 4 * 3 + 3) != PEAL_OK ||
        peal_base64_decode(text, (unsigned char *)bytes->data, &bytes->len) != PEAL_OK)
        return false;
    e->data = peal_buf_slice(bytes);
    return true;
}

static void
ws_on_envelope(struct ws *w, bool binary, struct peal_slice payload)
{
    struct peal_buf name = { 0 }, bytes = { 0 };
    struct peal_msg_spec spec;
    struct envelope e;

    if (binary || !ws_read_envelope(payload, &e) ||
        (e.base64 && !ws_decode_data(&e, &bytes)) ||
        peal_json_unquote(&name, e.channel) != PEAL_OK ||
        !peal_plain_channel_ok(peal_buf_slice(&name))) {
        peal_stat_add(peal_proto_stats(ws_proto(w)), PEAL_STAT_WS_FRAMES_BAD, 1);
        ws_close(w, PEAL_WS_CLOSE_BAD_DATA,
            "expected {\"channel\":\"...\",\"event\":\"...\",\"data\":...}",
            PEAL_END_BAD_INPUT);
    } else {
        spec = (struct peal_msg_spec){ .args = e.data,
            .event = e.event,
            .n_args = 1,
            .kind = e.base64 ? PEAL_DATA_BYTES : PEAL_DATA_JSON };
        ws_publish(w, &spec, peal_buf_slice(&name));
    }
    peal_buf_fini(&name);
    peal_buf_fini(&bytes);
}

static void
ws_on_message(struct peal_wsconn *conn, bool binary, struct peal_slice payload)
{
    struct ws *w = ws_of(conn);
    struct peal_proto *p = ws_proto(w);

    w->plain.session.heard = true;
    peal_stat_add(peal_proto_stats(p), PEAL_STAT_RECEIVED, 1);
    if (w->plain.session.envelopes)
        ws_on_envelope(w, binary, payload);
    else
        ws_on_bare(w, binary, payload);
    if (w->plain.asking != NULL ||
        peal_publisher_check(
            p->shard, conn->conn != NULL ? w : NULL, p->config->events_rate, ws_resume))
        peal_wsconn_pause(conn);
}

static void
ws_on_pong(struct peal_wsconn *conn)
{
    struct ws *w = ws_of(conn);

    w->plain.session.heard = true;
    if (!w->plain.session.pinged)
        return;
    /* Now, not when the time for the answer is over: proxies cut those that are silent
     * for so long. */
    w->plain.session.heard = w->plain.session.pinged = false;
    peal_plain_wait(&w->plain, ws_config(w)->ping_interval_ms);
}

static struct peal_deflate *
ws_codec(const struct peal_wsconn *conn)
{
    return ws_proto(PEAL_CONTAINER(conn, struct ws, conn))->deflate;
}

static const struct peal_wsconn_ops ws_conn_ops = { .message = ws_on_message,
    .pong = ws_on_pong,
    .codec = ws_codec,
    .closed = ws_on_closed };

/* A client that was heard since the last look needs no ping; one that was pinged must
 * have been heard. */
static void
ws_on_timer(struct peal_timer *t)
{
    struct ws *w = PEAL_CONTAINER(t, struct ws, plain.timer);
    const struct peal_ws_config *c = ws_config(w);
    bool silent = w->plain.session.pinged && !w->plain.session.heard;
    bool paused = w->plain.asking != NULL || peal_publisher_paused(ws_proto(w)->shard, w);

    if (peal_plain_drain_if_aged(&w->plain))
        return;
    if (silent && paused) { /* its pong may be among what is not read */
        peal_plain_wait(&w->plain, c->ping_timeout_ms);
        return;
    }
    if (silent) {
        peal_stat_add(peal_proto_stats(ws_proto(w)), PEAL_STAT_PING_TIMEOUTS, 1);
        peal_wsconn_abort(&w->conn, PEAL_CLOSE_TIMEOUT);
        ws_end(w, PEAL_END_PING_TIMEOUT, NULL);
        return;
    }
    w->plain.session.pinged = !w->plain.session.heard && !w->plain.session.pinged;
    w->plain.session.heard = false;
    if (w->plain.session.pinged)
        peal_wsconn_ping(&w->conn);
    peal_plain_wait(
        &w->plain, w->plain.session.pinged ? c->ping_timeout_ms : c->ping_interval_ms);
}

/* Checks a handshake. false: it has been refused. */
static bool
ws_check(struct ws_protocol *ws, struct peal_http *h)
{
    struct peal_proto *p = ws->plain.base.proto;
    unsigned status;
    const char *why;

    if (peal_wsconn_check(h, &status, &why) != PEAL_OK) {
        if (status == 426)
            peal_http_add(h, "Upgrade", "websocket");
        if (status == 426)
            peal_http_add(h, "Sec-WebSocket-Version", "13");
        peal_session_log_refused(p, h, "ws", NULL, why);
        peal_http_reply(h, status, "text/plain", peal_slice_str(why));
        return false;
    }
    if (!peal_http_origin_ok(h, ws->config->origins, ws->config->n_origins)) {
        peal_stat_add(peal_proto_stats(p), PEAL_STAT_DENIED, 1);
        peal_session_log_refused(p, h, "ws", NULL, "its Origin is not in ws.origins");
        peal_http_reply(h, 403, "text/plain",
            PEAL_S("pages of this Origin may not connect: see ws.origins\n"));
        return false;
    }
    return true;
}

static void
ws_send_node(struct ws *w)
{
    struct peal_buf text = { 0 };

    if (peal_plain_node(ws_proto(w), &text) == PEAL_OK)
        peal_wsconn_send(&w->conn, PEAL_WS_TEXT, peal_buf_slice(&text), SIZE_MAX);
    peal_buf_fini(&text);
}

static void
ws_begin(struct peal_http *h, void *ctx)
{
    struct ws_protocol *ws = ctx;

    if (ws_check(ws, h))
        (void)peal_admission_try(ws->plain.base.proto, h, NULL, NULL);
}

static void
ws_cancel(struct peal_plain *plain)
{
    peal_session_fini(&plain->session);
    free(PEAL_CONTAINER(plain, struct ws, plain));
}

/* Begins the session, as soon as the app allows its channels. */
static void
ws_go_on(struct peal_plain *plain, struct peal_http *h)
{
    static const struct peal_plain_ops plain_ops = {
        .prefix = { "/ws/", 4 }, .again = ws_go_on, .cancel = ws_cancel
    };
    struct ws *w = PEAL_CONTAINER(plain, struct ws, plain);
    const struct peal_ws_config *c = ws_config(w);
    struct peal_wsconn_config config = { &c->limits, c->deflate };
    bool asks_node = peal_plain_asks_node(h);
    enum peal_plain_subscribed subscribed = peal_plain_subscribe(plain, h, &plain_ops);

    if (subscribed == PEAL_PLAIN_ASKED)
        return;
    if (subscribed == PEAL_PLAIN_REFUSED ||
        peal_wsconn_accept(&w->conn, h, &config, &ws_conn_ops) != PEAL_OK) {
        ws_cancel(plain);
        return;
    }
    peal_plain_begin(plain);
    peal_plain_cork(plain, w->conn.conn);
    if (asks_node)
        ws_send_node(w);
    peal_plain_wait(plain, c->ping_interval_ms);
}

static void
ws_handle(struct peal_http *h, void *ctx)
{
    struct ws_protocol *ws = ctx;
    struct ws *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    peal_plain_init(
        &w->plain, &ws->plain, &ws_session_ops, ws->config->channels_max, ws_on_timer);
    ws_go_on(&w->plain, h);
}

/* The protocol. */

static peal_err
ws_open(struct peal_proto *proto, const void *config, struct peal_protocol **out)
{
    struct ws_protocol *ws = calloc(1, sizeof(*ws));

    if (ws == NULL)
        return PEAL_ENOMEM;
    ws->config = config;
    peal_list_init(&ws->plain.sessions);
    *out = &ws->plain.base;
    return PEAL_OK;
}

static unsigned
ws_routes(struct peal_protocol *pr, struct peal_http_route *out)
{
    struct peal_http_route route = { .begin = ws_begin, .handle = ws_handle, .ctx = pr };

    out[0] = out[1] = route;
    out[0].path = PEAL_S("/ws/");
    out[0].prefix = true;
    out[1].path = PEAL_S("/ws");
    return 2;
}

static void
ws_free(struct peal_protocol **pp)
{
    peal_plain_drain(*pp, UINT_MAX, PEAL_OLDEST_FIRST);
    free(*pp);
    *pp = NULL;
}

const struct peal_protocol_ops peal_protocol_ws = { .name = "ws",
    .open = ws_open,
    .routes = ws_routes,
    .count = peal_plain_count,
    .drain = peal_plain_drain,
    .free = ws_free };

/* SPDX-License-Identifier: MIT */
/* Sessions are on a list in the order of their age; each owns its connection. */
#include "lines.h"

#include <limits.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "proto/proto.h"

/* The protocol on one worker. */
struct lines {
    struct peal_protocol base; /* first */
    const struct lines_config *config;
    struct peal_link sessions; /* struct lines_session, oldest first */
    unsigned n;
};

struct lines_session {
    struct peal_session session; /* first */
    struct lines *lines;
    struct peal_link link; /* on lines->sessions */
    struct peal_conn *conn;
    struct peal_timer timer; /* of sessions.max_age */
};

static struct peal_proto *
lines_proto(const struct lines_session *s)
{
    return s->lines->base.proto;
}

static void
lines_end(struct lines_session *s, enum peal_session_end how)
{
    const char *name = s->lines->base.ops->name;
    struct peal_app *app = lines_proto(s)->app;

    peal_session_log_ended(lines_proto(s),
        &(struct peal_session_name){ .protocol = name, .transport = name }, how, NULL);
    if (app->ops->disconnect != NULL)
        app->ops->disconnect(app, &s->session, how);
    peal_list_unlink(&s->link);
    s->lines->n--;
    peal_protocol_ended(&s->lines->base);
    peal_timer_stop(&s->timer);
    peal_session_fini(&s->session);
    peal_loop_free_later(lines_proto(s)->loop, free, s);
}

/* From the channel to the client. */

static struct peal_blob *
lines_encode(const struct peal_msg *m, void *ctx)
{
    struct peal_buf line = { 0 };
    struct peal_blob *b = NULL;

    if (peal_buf_add_slice(&line, m->args) == PEAL_OK &&
        peal_buf_add_char(&line, '\n') == PEAL_OK)
        b = peal_blob_copy(peal_buf_slice(&line));
    peal_buf_fini(&line);
    return b;
}

static bool
lines_deliver(struct peal_session *session, struct peal_msg *m, unsigned k)
{
    struct lines_session *s = (struct lines_session *)session;
    struct peal_blob *b =
        peal_msg_bytes(m, s->lines->base.first_format, lines_encode, NULL);

    return b != NULL && peal_conn_send(s->conn, b, m->channels[k].hash | 1);
}

static void
lines_finish(struct lines_session *s, enum peal_session_end how)
{
    peal_conn_finish(s->conn, PEAL_CLOSE_LOCAL);
    lines_end(s, how);
}

static void
lines_disconnect(struct peal_session *session, bool everything)
{
    lines_finish((struct lines_session *)session, PEAL_END_SERVER);
}

static void
lines_drain_one(struct peal_session *session)
{
    peal_session_catch_up(session);
    lines_finish((struct lines_session *)session, PEAL_END_DRAIN);
}

static const struct peal_session_ops session_ops = { .protocol = "lines",
    .deliver = lines_deliver,
    .disconnect = lines_disconnect,
    .drain = lines_drain_one };

static void
lines_on_timer(struct peal_timer *t)
{
    struct lines_session *s = PEAL_CONTAINER(t, struct lines_session, timer);

    lines_drain_one(&s->session);
}

/* From the client to the channel. */

static void
lines_publish(struct lines_session *s, struct peal_slice line)
{
    struct peal_slice channel = peal_session_channel(&s->session);
    struct peal_msg_spec spec = {
        .channels = &channel, .n_channels = 1, .args = line, .kind = PEAL_DATA_TEXT
    };
    struct peal_access access = { .session = &s->session, .channel = channel };
    struct peal_app *app = lines_proto(s)->app;
    struct peal_msg *m;
    const char *why;

    if (app->ops->may_publish(app, &access, &why) != PEAL_OK ||
        peal_msg_new(&spec, &m) != PEAL_OK)
        return;
    peal_publish(lines_proto(s)->shard, m);
    peal_msg_release(m);
}

static size_t
lines_on_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct lines_session *s = peal_conn_owner(c);
    struct peal_slice rest = peal_slice_of(data, len);
    const char *end;

    while (rest.len > 0 && (end = memchr(rest.data, '\n', rest.len)) != NULL) {
        size_t n = (size_t)(end - rest.data);

        if (peal_utf8_valid(peal_slice_of(rest.data, n)))
            lines_publish(s, peal_slice_of(rest.data, n));
        rest = peal_slice_skip(rest, n + 1);
    }
    if (rest.len > s->lines->config->line_max) {
        peal_conn_close(c, PEAL_CLOSE_PROTO);
        lines_end(s, PEAL_END_BAD_INPUT);
        return len;
    }
    return len - rest.len;
}

static void
lines_on_closed(struct peal_conn *c, enum peal_close why)
{
    lines_end(peal_conn_owner(c), peal_session_end_of(why));
}

static const struct peal_conn_ops conn_ops = { .data = lines_on_data,
    .closed = lines_on_closed };

/* Requests. */

static void
lines_begin(struct peal_http *h, void *ctx)
{
    struct lines *lines = ctx;

    if (peal_slice_eq(h->head->method, PEAL_S("GET")))
        (void)peal_admission_try(lines->base.proto, h, NULL, NULL);
    else
        peal_http_reply(h, 405, "text/plain", PEAL_S("use GET\n"));
}

static bool
lines_subscribe(struct lines_session *s, struct peal_slice channel)
{
    struct peal_access access = { .session = &s->session, .channel = channel };
    struct peal_app *app = lines_proto(s)->app;
    const char *why;

    return app->ops->may_subscribe(app, &access, &why) == PEAL_OK &&
           peal_session_subscribe(&s->session, channel) == PEAL_OK;
}

static void
lines_handle(struct peal_http *h, void *ctx)
{
    struct lines *lines = ctx;
    struct lines_session *s = calloc(1, sizeof(*s));
    struct peal_slice channel = peal_slice_skip(h->head->path, strlen("/lines/"));
    uint64_t drain_at = peal_session_drain_at(lines->base.proto);

    if (s == NULL) {
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    s->lines = lines;
    s->timer.fn = lines_on_timer;
    (void)!peal_session_init(
        &s->session, lines->base.proto->shard, &session_ops, PEAL_UNLISTED);
    if (!lines_subscribe(s, channel)) {
        peal_session_log_refused(lines->base.proto, h, "lines", NULL, "not allowed");
        peal_http_reply(h, 403, "text/plain", PEAL_S("not allowed\n"));
    } else if ((s->conn = peal_http_hijack(h, 200, "text/plain", &conn_ops, s)) != NULL) {
        peal_list_append(&lines->sessions, &s->link);
        lines->n++;
        peal_protocol_began(&lines->base);
        if (drain_at > 0)
            peal_loop_start(lines->base.proto->loop, &s->timer,
                drain_at - peal_loop_now_ms(lines->base.proto->loop));
        return;
    }
    peal_session_fini(&s->session);
    free(s);
}

/* The protocol. */

static peal_err
lines_open(struct peal_proto *proto, const void *config, struct peal_protocol **out)
{
    struct lines *lines = calloc(1, sizeof(*lines));

    if (lines == NULL)
        return PEAL_ENOMEM;
    lines->config = config;
    peal_list_init(&lines->sessions);
    *out = &lines->base;
    return PEAL_OK;
}

static unsigned
lines_routes(struct peal_protocol *pr, struct peal_http_route *out)
{
    *out = (struct peal_http_route){ .path = PEAL_S("/lines/"),
        .prefix = true,
        .begin = lines_begin,
        .handle = lines_handle,
        .ctx = pr };
    return 1;
}

static unsigned
lines_count(const struct peal_protocol *pr)
{
    return ((const struct lines *)pr)->n;
}

static void
lines_drain(struct peal_protocol *pr, unsigned n, enum peal_drain_order order)
{
    struct lines *lines = (struct lines *)pr;
    struct peal_link *from = &lines->sessions, middle;

    peal_list_init(&middle);
    if (order == PEAL_MIDDLE_FIRST) {
        peal_list_take_middle(&middle, from, lines->n, n < lines->n ? n : lines->n);
        from = &middle;
    }
    for (; n > 0 && !peal_list_empty(from); n--)
        lines_drain_one(&PEAL_CONTAINER(from->next, struct lines_session, link)->session);
}

static void
lines_free(struct peal_protocol **pp)
{
    lines_drain(*pp, UINT_MAX, PEAL_OLDEST_FIRST);
    free(*pp);
    *pp = NULL;
}

const struct peal_protocol_ops lines_protocol = { .name = "lines",
    .n_formats = 1,
    .open = lines_open,
    .routes = lines_routes,
    .count = lines_count,
    .drain = lines_drain,
    .free = lines_free };

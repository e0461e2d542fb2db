/* SPDX-License-Identifier: MIT */
/*
 * Plain sessions: which channels a request names, whether it may have them, and the ages
 * of those that are open.
 *
 * A session begins in three steps: peal_plain_init, peal_plain_subscribe (which may
 * refuse the request), peal_plain_begin. Only then is it on the protocol's list, which is
 * in the order of age because sessions are appended as they begin.
 */
#include "proto/plain_priv.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/json.h"
#include "base/utf8.h"
#include "wire/query.h"

/* How a request is refused. Status 0: not at all, its connection is closed; for an
 * EventSource would never come back after an error status. */
struct refusal {
    unsigned status;
    const char *why;
};

void
peal_plain_init(struct peal_plain *p, struct peal_plain_protocol *protocol,
    const struct peal_session_ops *ops, unsigned channels_max, peal_timer_fn *on_timer)
{
    p->protocol = protocol;
    p->timer.fn = on_timer;
    /* It cannot fail: only listed sessions need memory. */
    (void)!peal_session_init(&p->session, protocol->base.proto->shard, ops, false);
    p->session.n_subs_max = (uint16_t)channels_max;
}

bool
peal_plain_channel_ok(struct peal_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] < 0x20 || name.data[i] == 0x7f)
            return false;
    return name.len > 0 && name.len <= PEAL_CHANNEL_NAME_MAX && peal_utf8_valid(name);
}

static bool
plain_subscribe_one(
    struct peal_plain *p, struct peal_slice raw, bool query, struct refusal *no)
{
    struct peal_app *app = peal_plain_proto(p)->app;
    struct peal_buf name = { 0 };
    peal_err err = peal_percent_decode(raw, query, &name);
    struct peal_slice channel = peal_buf_slice(&name);

    *no = (struct refusal){ 400, "a channel's name is 1 to 1024 bytes of UTF-8 without "
                                 "control characters" };
    if (err == PEAL_OK && peal_plain_channel_ok(channel)) {
        struct peal_access a = { .session = &p->session, .channel = channel };
        const char *why = NULL;

        if (app->ops->may_subscribe(app, &a, &why) != PEAL_OK) {
            peal_stat_add(peal_proto_stats(peal_plain_proto(p)), PEAL_STAT_DENIED, 1);
            *no = (struct refusal){ 403, "this channel is not open to you" };
            err = PEAL_EPERM;
        } else if ((err = peal_session_subscribe(&p->session, channel)) == PEAL_EEXIST) {
            err = PEAL_OK;
        } else if (err == PEAL_EPERM) {
            *no = (struct refusal){ 403, "the id of a session is not a channel" };
        } else if (err == PEAL_ELIMIT) {
            *no = (struct refusal){ 400, "too many channels for one connection" };
        } else {
            *no = (struct refusal){ 0 };
        }
    } else {
        err = PEAL_EINVAL;
    }
    peal_buf_fini(&name);
    return err == PEAL_OK;
}

static void
plain_refuse(struct peal_plain *p, struct peal_http *h, const struct refusal *no)
{
    const char *why = no->status != 0 ? no->why : "out of memory";
    struct peal_buf text = { 0 };

    peal_session_log_refused(peal_plain_proto(p), h, p->session.ops->protocol, NULL, why);
    if (no->status != 0 && peal_buf_printf(&text, "%s\n", why) == PEAL_OK)
        peal_http_reply(h, no->status, "text/plain", peal_buf_slice(&text));
    else
        peal_http_close(h, PEAL_CLOSE_ERROR);
    peal_buf_fini(&text);
}

bool
peal_plain_subscribe(struct peal_plain *p, struct peal_http *h, struct peal_slice prefix)
{
    struct peal_slice path = peal_slice_skip(h->head->path, prefix.len);
    struct peal_slice rest = h->head->query, key, value;
    struct refusal no = { 400, "name a channel: in the path, or as ?channel=" };
    bool ok = true;

    if (path.len > 0)
        ok = plain_subscribe_one(p, path, false, &no);
    while (ok && peal_query_next(&rest, &key, &value))
        if (peal_slice_eq(key, PEAL_S("channel"))) {
            p->envelopes = true;
            ok = plain_subscribe_one(p, value, true, &no);
        }
    if (ok && p->session.n_subs > 0)
        return true;
    plain_refuse(p, h, &no);
    return false;
}

bool
peal_plain_asks_node(const struct peal_http *h)
{
    return peal_query_raw(h->head->query, PEAL_S("node")).data != NULL;
}

peal_err
peal_plain_node(const struct peal_proto *p, struct peal_buf *out)
{
    peal_err err = peal_buf_add_slice(out, PEAL_S("{\"node\":"));

    if (err == PEAL_OK)
        err = peal_json_quote(out, p->config->node);
    return err == PEAL_OK ? peal_buf_add_char(out, '}') : err;
}

void
peal_plain_begin(struct peal_plain *p)
{
    struct peal_plain_protocol *protocol = p->protocol;

    PEAL_ASSERT(!peal_list_linked(&p->link));
    p->session.time = (uint32_t)peal_session_drain_at(protocol->base.proto);
    peal_list_append(&protocol->sessions, &p->link);
    protocol->n++;
    peal_protocol_began(&protocol->base);
}

void
peal_plain_end(struct peal_plain *p, enum peal_session_end how, const char *detail)
{
    struct peal_plain_protocol *protocol = p->protocol;
    const char *name = protocol->base.ops->name;

    if (!peal_list_linked(&p->link))
        return;
    PEAL_ASSERT(protocol->n > 0);
    peal_session_log_ended(protocol->base.proto,
        &(struct peal_session_name){ .protocol = name, .transport = name }, how, detail);
    peal_list_unlink(&p->link);
    protocol->n--;
    peal_timer_stop(&p->timer);
    peal_protocol_ended(&protocol->base);
    peal_session_fini(&p->session);
}

/* A connection that is corked until its session's channels are subscribed. */
struct cork {
    struct peal_plain *plain;
    struct peal_conn *conn;
};

static void
plain_on_subscribed(void *arg, bool gone)
{
    struct cork *c = arg;

    if (!gone) {
        if (peal_session_await_all_subscribed(
                &c->plain->session, plain_on_subscribed, c) == PEAL_EAGAIN)
            return;
        peal_conn_uncork(c->conn);
    }
    free(c);
}

void
peal_plain_cork(struct peal_plain *p, struct peal_conn *conn)
{
    struct cork *c = malloc(sizeof(*c));

    if (c == NULL)
        return; /* better early than never */
    *c = (struct cork){ p, conn };
    if (peal_session_await_all_subscribed(&p->session, plain_on_subscribed, c) ==
        PEAL_EAGAIN)
        peal_conn_cork(conn);
    else
        free(c);
}

/* The time at which p is to be drained is kept in 32 bits: enough to tell how far it is.
 */
static int32_t
plain_left_ms(const struct peal_plain *p)
{
    return (
        int32_t)(p->session.time - (uint32_t)peal_loop_now_ms(peal_plain_proto(p)->loop));
}

static void
plain_drain_one(struct peal_plain *p)
{
    peal_session_catch_up(&p->session);
    p->session.ops->drain(&p->session);
}

bool
peal_plain_drain_if_aged(struct peal_plain *p)
{
    if (peal_plain_proto(p)->config->sessions_max_age_ms == 0 || plain_left_ms(p) > 0)
        return false;
    plain_drain_one(p);
    return true;
}

void
peal_plain_wait(struct peal_plain *p, uint64_t heartbeat_ms)
{
    struct peal_proto *proto = peal_plain_proto(p);
    int32_t left = plain_left_ms(p);

    if (proto->config->sessions_max_age_ms == 0 ||
        (left > 0 && (uint64_t)left > heartbeat_ms))
        peal_loop_start_coarse(proto->loop, &p->timer, heartbeat_ms);
    else
        peal_loop_start(proto->loop, &p->timer, left > 0 ? (uint64_t)left : 0);
}

unsigned
peal_plain_count(const struct peal_protocol *pr)
{
    return ((const struct peal_plain_protocol *)pr)->n;
}

void
peal_plain_drain(struct peal_protocol *pr, unsigned n, enum peal_drain_order order)
{
    struct peal_plain_protocol *protocol = (struct peal_plain_protocol *)pr;
    struct peal_link *all = &protocol->sessions;

    for (; n > 0 && !peal_list_empty(all); n--) {
        struct peal_link *l = order == PEAL_YOUNGEST_FIRST ? all->prev : all->next;

        plain_drain_one(PEAL_CONTAINER(l, struct peal_plain, link));
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Plain sessions: their list, their ages and their end. Which channels a request may have
 * is in plain_subscribe.c.
 *
 * A session begins in three steps: peal_plain_init, peal_plain_subscribe (which may
 * refuse the request, or wait for the app), peal_plain_begin. Only then is it on the
 * protocol's list, which is in the order of age because sessions are appended as they
 * begin.
 */
#include "proto/plain_priv.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/json.h"
#include "wire/query.h"

void
peal_plain_init(struct peal_plain *p, struct peal_plain_protocol *protocol,
    const struct peal_session_ops *ops, unsigned channels_max, peal_timer_fn *on_timer)
{
    peal_err err;

    p->protocol = protocol;
    p->timer.fn = on_timer;
    err = peal_session_init(&p->session, protocol->base.proto->shard, ops, PEAL_UNLISTED);
    PEAL_ASSERT(err == PEAL_OK); /* only listed sessions need memory */
    p->session.n_subs_max = (uint16_t)channels_max;
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
    p->session.drain_at_ms = (uint32_t)peal_session_drain_at(protocol->base.proto);
    peal_list_append(&protocol->sessions, &p->link);
    protocol->n++;
    peal_protocol_began(&protocol->base);
}

void
peal_plain_end(struct peal_plain *p, enum peal_session_end how, const char *detail)
{
    struct peal_plain_protocol *protocol = p->protocol;
    struct peal_app *app = protocol->base.proto->app;
    const char *name = protocol->base.ops->name;

    if (!peal_list_linked(&p->link))
        return;
    PEAL_ASSERT(protocol->n > 0);
    peal_session_log_ended(protocol->base.proto,
        &(struct peal_session_name){ .protocol = name, .transport = name }, how, detail);
    if (app->ops->disconnect != NULL)
        app->ops->disconnect(app, &p->session, how);
    peal_plain_stop_asking(p);
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

static int32_t
plain_left_ms(const struct peal_plain *p)
{
    return (int32_t)(p->session.drain_at_ms -
                     (uint32_t)peal_loop_now_ms(peal_plain_proto(p)->loop));
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
    return PEAL_CONTAINER(pr, const struct peal_plain_protocol, base)->n;
}

void
peal_plain_drain(struct peal_protocol *pr, unsigned n, enum peal_drain_order order)
{
    struct peal_plain_protocol *protocol =
        PEAL_CONTAINER(pr, struct peal_plain_protocol, base);
    struct peal_link *from = &protocol->sessions, middle;

    peal_list_init(&middle);
    if (order == PEAL_MIDDLE_FIRST) {
        peal_list_take_middle(
            &middle, from, protocol->n, n < protocol->n ? n : protocol->n);
        from = &middle;
    }
    for (; n > 0 && !peal_list_empty(from); n--)
        plain_drain_one(PEAL_CONTAINER(from->next, struct peal_plain, link));
}

/* SPDX-License-Identifier: MIT */
/* Plain sessions: which channels a request names, and whether it may have them. */
#include "proto/plain_priv.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"
#include "wire/query.h"

/* How a request is refused. Status 0: not at all, its connection is closed; for an
 * EventSource would never come back after an error status. */
struct refusal {
    unsigned status;
    const char *why;
};

bool
peal_plain_channel_ok(struct peal_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] < 0x20 || name.data[i] == 0x7f)
            return false;
    return name.len > 0 && name.len <= PEAL_CHANNEL_NAME_MAX && peal_utf8_valid(name);
}

static bool
subscribe(struct peal_plain *p, struct peal_slice raw, bool query, struct refusal *no)
{
    struct peal_app *app = p->proto->app;
    struct peal_buf name = { 0 };
    peal_err err = peal_percent_decode(raw, query, &name);
    struct peal_slice channel = peal_buf_slice(&name);

    *no = (struct refusal){ 400, "a channel's name is 1 to 1024 bytes of UTF-8 without "
                                 "control characters" };
    if (err == PEAL_OK && peal_plain_channel_ok(channel)) {
        struct peal_access a = { .session = &p->session, .channel = channel };
        const char *why = NULL;

        if (app->ops->may_subscribe(app, &a, &why) != PEAL_OK) {
            peal_stat_add(peal_proto_stats(p->proto), PEAL_STAT_DENIED, 1);
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
refuse(struct peal_plain *p, struct peal_http *h, const struct refusal *no)
{
    const char *why = no->status != 0 ? no->why : "out of memory";
    struct peal_buf text = { 0 };

    peal_session_log_refused(p->proto, h, p->session.ops->protocol, NULL, why);
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
        ok = subscribe(p, path, false, &no);
    while (ok && peal_query_next(&rest, &key, &value))
        if (peal_slice_eq(key, PEAL_S("channel"))) {
            p->envelopes = true;
            ok = subscribe(p, value, true, &no);
        }
    if (ok && p->session.n_subs > 0)
        return true;
    refuse(p, h, &no);
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
peal_plain_begin(struct peal_plain *p, enum peal_stat gauge)
{
    p->session.time = (uint32_t)peal_session_drain_at(p->proto);
    peal_list_append(&p->proto->sessions, &p->link);
    peal_stat_add(peal_proto_stats(p->proto), gauge, 1);
}

void
peal_plain_end(struct peal_plain *p, enum peal_stat gauge, enum peal_session_end end,
    const char *detail)
{
    struct peal_session_name name = { .protocol = p->session.ops->protocol,
        .transport = p->session.ops->protocol };

    if (!peal_list_linked(&p->link))
        return;
    peal_session_log_ended(p->proto, &name, end, detail);
    peal_list_unlink(&p->link);
    peal_timer_stop(&p->timer);
    peal_stat_add(peal_proto_stats(p->proto), gauge, -1);
    peal_session_fini(&p->session);
}

/* What is needed to let a connection go. */
struct hold {
    struct peal_plain *plain;
    struct peal_conn *conn;
};

static void
on_subscribed(void *arg, bool gone)
{
    struct hold *h = arg;

    if (!gone) {
        if (peal_session_await_all_subscribed(&h->plain->session, on_subscribed, h) ==
            PEAL_EAGAIN)
            return;
        peal_conn_uncork(h->conn);
    }
    free(h);
}

void
peal_plain_hold(struct peal_plain *p, struct peal_conn *conn)
{
    struct hold *h = malloc(sizeof(*h));

    if (h == NULL)
        return; /* better early than never */
    *h = (struct hold){ p, conn };
    if (peal_session_await_all_subscribed(&p->session, on_subscribed, h) == PEAL_EAGAIN)
        peal_conn_cork(conn);
    else
        free(h);
}

/* The time at which p is to leave is kept in 32 bits: enough to tell how far it is. */
static int32_t
left_ms(const struct peal_plain *p)
{
    return (int32_t)(p->session.time - (uint32_t)peal_loop_now_ms(p->proto->loop));
}

bool
peal_plain_aged(const struct peal_plain *p)
{
    return p->proto->config->sessions_max_age_ms > 0 && left_ms(p) <= 0;
}

void
peal_plain_wait(struct peal_plain *p, uint64_t heartbeat_ms)
{
    int32_t left = left_ms(p);

    if (p->proto->config->sessions_max_age_ms == 0 ||
        (left > 0 && (uint64_t)left > heartbeat_ms))
        peal_loop_start_coarse(p->proto->loop, &p->timer, heartbeat_ms);
    else
        peal_loop_start(p->proto->loop, &p->timer, left > 0 ? (uint64_t)left : 0);
}

unsigned
peal_plain_drain(struct peal_proto *proto, unsigned n, bool youngest)
{
    const struct peal_stats *stats = peal_proto_stats(proto);

    while (n > 0 && !peal_list_empty(&proto->sessions)) {
        struct peal_link *l = youngest ? proto->sessions.prev : proto->sessions.next;
        struct peal_plain *p = PEAL_CONTAINER(l, struct peal_plain, link);

        n--;
        peal_session_catch_up(&p->session);
        p->session.ops->drain(&p->session);
    }
    return (unsigned)(peal_stat_get(stats, PEAL_STAT_WS_SESSIONS) +
                      peal_stat_get(stats, PEAL_STAT_SSE_SESSIONS));
}

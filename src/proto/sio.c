/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO v5: an Engine.IO session carries one socket for each namespace that the
 * client has joined, and a socket is a session of the hub. What a client sends goes to
 * the app; what is published comes back through deliver, in the form that the transport
 * wants, made once a message.
 *
 * A client that breaks the protocol is closed, as the original does it.
 */
#include "proto/sio.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/json.h"
#include "hub/ackreq.h"
#include "wire/sio_msgpack.h"

struct socket;

/* A packet whose attachments are still coming. They must come in time, one after the
 * other, and all together may be as large as one message. */
struct pending {
    struct peal_buf text;
    uint64_t since; /* when the last piece of it came, loop time in ms */
    size_t bytes;   /* of the attachments */
    unsigned want, have;
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
};

/* What an Engine.IO session carries. */
struct client {
    struct peal_eio_session *engine;
    struct socket *sockets;
    struct pending *pending; /* NULL: none */
    unsigned n_sockets;
};

struct socket {
    struct peal_session session; /* first */
    struct client *client;
    struct socket *next;
    struct peal_pending_ack *owed; /* acknowledgements that the client owes */
    bool ended;                    /* nothing is sent to it any more */
    uint32_t nsp_len;
    char nsp[];
};

/* An event, with what it takes to answer it. */
struct event {
    struct peal_event ev; /* first */
    struct socket *socket;
    struct peal_slice id; /* of the acknowledgement */
};

static struct peal_slice
nsp_of(const struct socket *so)
{
    return (struct peal_slice){ so->nsp, so->nsp_len };
}

static struct peal_proto *
proto_of(const struct client *c)
{
    return peal_eio_proto(c->engine);
}

static struct peal_app *
app_of(const struct client *c)
{
    return proto_of(c)->app;
}

static bool
is_msgpack(const struct client *c)
{
    return proto_of(c)->config->msgpack;
}

/* Sending. A packet is built in the worker's scratch, then packed for the transport. */

static struct peal_buf *
scratch(const struct client *c)
{
    struct peal_buf *b = &proto_of(c)->scratch;

    b->len = 0;
    return b;
}

/* Sends what was built. Without memory the packet is lost, as on any bad line. */
static void
send_built(struct client *c, peal_err err, struct peal_blob *const *atts, unsigned n_atts)
{
    enum peal_sio_transport t = peal_eio_transport(c->engine);
    struct peal_slice built = peal_buf_slice(&proto_of(c)->scratch);
    struct peal_blob *b = NULL;

    if (err == PEAL_OK)
        b = is_msgpack(c) ? peal_sio_pack_binary(built, t)
                          : peal_sio_pack(built, atts, n_atts, t);
    /* What was published before goes before. */
    for (struct socket *so = c->sockets; so != NULL; so = so->next)
        peal_session_catch_up(&so->session);
    if (b != NULL)
        peal_eio_send(c->engine, b, 0);
    peal_blob_release(b);
}

static void
send_connected(struct socket *so)
{
    struct peal_buf *b = scratch(so->client);
    struct peal_slice sid = peal_session_id(&so->session), none = PEAL_S("");

    send_built(so->client,
        is_msgpack(so->client) ? peal_sio_msgpack_connected(b, nsp_of(so), sid, none)
                               : peal_sio_connected(b, false, nsp_of(so), sid, none),
        NULL, 0);
}

static void
send_refused(struct client *c, struct peal_slice nsp, const char *why)
{
    struct peal_buf *b = scratch(c);
    struct peal_slice message = peal_slice_str(why), none = PEAL_S("");

    send_built(c,
        is_msgpack(c) ? peal_sio_msgpack_refused(b, nsp, message, none)
                      : peal_sio_refused(b, false, nsp, message, none),
        NULL, 0);
}

static void
send_disconnect(struct socket *so)
{
    struct peal_buf *b = scratch(so->client);

    send_built(so->client,
        is_msgpack(so->client) ? peal_sio_msgpack_disconnect(b, nsp_of(so))
                               : peal_sio_disconnect(b, false, nsp_of(so)),
        NULL, 0);
}

static void
send_ack_now(struct socket *so, struct peal_slice id, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts)
{
    struct client *c = so->client;
    struct peal_buf *b = scratch(c);

    send_built(c,
        is_msgpack(c) ? peal_sio_msgpack_ack(b, nsp_of(so), id, args, atts, n_atts)
                      : peal_sio_ack(b, false, nsp_of(so), id, args, n_atts),
        atts, n_atts);
}

/* An acknowledgement, or the answer to a connect, that waits until all that its socket
 * has joined is subscribed. */
struct held {
    struct socket *socket;
    struct peal_blob *id, *args; /* of an acknowledgement */
    size_t weight;               /* counted with peal_shard_count_held */
    unsigned n_atts;
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
};

static void
free_held(struct held *w)
{
    peal_shard_count_held(w->socket->session.shard, w->weight, false);
    for (unsigned i = 0; i < w->n_atts; i++)
        peal_blob_release(w->atts[i]);
    peal_blob_release(w->id);
    peal_blob_release(w->args);
    free(w);
}

static void
on_ack_due(void *arg, bool gone)
{
    struct held *w = arg;

    /* The room that it waited for may have been left: that concerns no other room. */
    if (!w->socket->ended && peal_session_await_all_subscribed(
                                 &w->socket->session, on_ack_due, w) == PEAL_EAGAIN)
        return;
    if (!w->socket->ended)
        send_ack_now(w->socket, peal_blob_slice(w->id), peal_blob_slice(w->args), w->atts,
            w->n_atts);
    free_held(w);
}

/* true: it is kept and will be sent. */
static bool
hold_ack(struct socket *so, struct peal_slice id, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts)
{
    struct held *w;

    if (peal_session_all_subscribed(&so->session) || (w = calloc(1, sizeof(*w))) == NULL)
        return false;
    w->socket = so;
    w->id = peal_blob_copy(id);
    w->args = peal_blob_copy(args);
    w->weight = sizeof(*w) + args.len;
    for (; w->n_atts < n_atts; w->n_atts++) {
        w->atts[w->n_atts] = peal_blob_retain(atts[w->n_atts]);
        w->weight += atts[w->n_atts]->len;
    }
    peal_shard_count_held(so->session.shard, w->weight, true);
    if (w->id != NULL && w->args != NULL &&
        peal_session_await_all_subscribed(&so->session, on_ack_due, w) == PEAL_EAGAIN)
        return true;
    free_held(w);
    return false;
}

/* It may acknowledge a join: nothing is missed from then on. */
static void
send_ack(const struct peal_event *ev, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts)
{
    const struct event *e = (const struct event *)ev;

    if (!hold_ack(e->socket, e->id, args, atts, n_atts))
        send_ack_now(e->socket, e->id, args, atts, n_atts);
}

static void
send_event(const struct peal_event *ev, struct peal_slice event, struct peal_slice args,
    unsigned n_args, struct peal_blob *const *atts, unsigned n_atts)
{
    const struct event *e = (const struct event *)ev;
    struct client *c = e->socket->client;
    struct peal_slice nsp = nsp_of(e->socket), none = PEAL_S("");
    struct peal_buf *b = scratch(c);

    send_built(c,
        is_msgpack(c) ? peal_sio_msgpack_event(b, nsp, none, event, args, atts, n_atts)
                      : peal_sio_event(b, false, nsp, none, event, args, n_atts),
        atts, n_atts);
}

/* Sockets. */

static struct socket *
find(const struct client *c, struct peal_slice nsp)
{
    struct socket *so = c->sockets;

    while (so != NULL && !peal_slice_eq(nsp_of(so), nsp))
        so = so->next;
    return so;
}

/* Takes so off its client; it may still be on the stack. */
static void
remove_socket(struct socket *so, bool connected)
{
    struct client *c = so->client;
    struct peal_proto *p = proto_of(c);
    struct socket **at = &c->sockets;

    while (*at != so)
        at = &(*at)->next;
    *at = so->next;
    c->n_sockets--;
    so->ended = true;
    peal_pending_acks_clear(&so->owed);
    if (connected) {
        peal_stat_add(peal_proto_stats(p), PEAL_STAT_SIO_SESSIONS, -1);
        if (p->app->ops->disconnect != NULL)
            p->app->ops->disconnect(p->app, &so->session, PEAL_END_CLIENT);
    }
    peal_session_fini(&so->session);
    peal_loop_free_later(p->loop, free, so);
}

static enum peal_format
format_of(const struct client *c)
{
    bool msgpack = is_msgpack(c);

    switch (peal_eio_transport(c->engine)) {
    case PEAL_SIO_POLL:
        return msgpack ? PEAL_FMT_SIO_MSGPACK_POLL : PEAL_FMT_SIO_POLL;
    case PEAL_SIO_B64:
        return PEAL_FMT_SIO_B64;
    default:
        return msgpack                        ? PEAL_FMT_SIO_MSGPACK
               : peal_eio_deflates(c->engine) ? PEAL_FMT_SIO_DEFLATE
                                              : PEAL_FMT_SIO;
    }
}

/* The msgpack parser over WebSocket for a client without binary: rare, so not cached. */
static bool
deliver_msgpack_b64(struct client *c, struct peal_msg *m, unsigned k)
{
    struct peal_blob *piece =
        peal_encode_form(m, PEAL_FMT_SIO_MSGPACK_POLL, proto_of(c)->deflate);
    struct peal_blob *b =
        piece == NULL ? NULL : peal_sio_pack_engine(peal_blob_slice(piece), PEAL_SIO_B64);
    bool ok = b != NULL && peal_eio_send(c->engine, b, m->channels[k].hash | 1);

    peal_blob_release(b);
    return ok;
}

/* Is m for this socket, now? */
static bool
takes(const struct socket *so, const struct peal_msg *m)
{
    const struct client *c = so->client;

    if (!peal_slice_eq(m->nsp, nsp_of(so)))
        return false;
    if ((m->flags & PEAL_MSG_VOLATILE) == 0 || peal_eio_ready(c->engine))
        return true;
    peal_stat_add(peal_proto_stats(proto_of(c)), PEAL_STAT_VOLATILE_DROPPED, 1);
    return false;
}

static bool
deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    struct socket *so = (struct socket *)s;
    struct client *c = so->client;
    enum peal_format fmt = format_of(c);
    struct peal_blob *b;

    if ((m->flags & PEAL_MSG_NEEDS_ACK) != 0 || !takes(so, m))
        return false;
    if (fmt == PEAL_FMT_SIO_B64 && is_msgpack(c))
        return deliver_msgpack_b64(c, m, k);
    b = peal_encode_form(m, fmt, proto_of(c)->deflate);
    return b != NULL && peal_eio_send(c->engine, b, m->channels[k].hash | 1);
}

/* The event has an id of its own, so it is built for this socket alone. */
static bool
ask(struct peal_session *s, struct peal_msg *m, unsigned k, struct peal_pending_ack *owed)
{
    struct socket *so = (struct socket *)s;
    struct client *c = so->client;
    struct peal_proto *p = proto_of(c);
    struct peal_blob *b;
    char id[24];
    bool ok;

    if (!takes(so, m))
        return false;
    if (!peal_pending_ack_has_room(so->owed)) {
        peal_stat_add(peal_proto_stats(p), PEAL_STAT_ASKS_DROPPED, 1);
        return false;
    }
    snprintf(id, sizeof(id), "%llu", (unsigned long long)owed->id);
    b = peal_encode_sio_with_ack(m, peal_slice_str(id), is_msgpack(c),
        peal_eio_transport(c->engine), peal_eio_deflates(c->engine) ? p->deflate : NULL);
    ok = b != NULL && peal_eio_send(c->engine, b, m->channels[k].hash | 1);
    peal_blob_release(b);
    if (ok)
        peal_pending_ack_add(&so->owed, owed);
    return ok;
}

static void
disconnect(struct peal_session *s, bool everything)
{
    struct socket *so = (struct socket *)s;
    struct client *c = so->client;

    if (!everything) {
        send_disconnect(so);
        remove_socket(so, true);
        return;
    }
    for (so = c->sockets; so != NULL; so = so->next)
        send_disconnect(so);
    peal_eio_close(c->engine, PEAL_END_SERVER, NULL);
}

static const struct peal_session_ops session_ops = { .protocol = "socketio",
    .deliver = deliver,
    .disconnect = disconnect,
    .deliver_with_ack = ask };

static struct socket *
new_socket(struct client *c, struct peal_slice nsp)
{
    struct peal_proto *p = proto_of(c);
    struct socket *so = calloc(1, sizeof(*so) + nsp.len);

    if (so == NULL)
        return NULL;
    if (peal_session_init(&so->session, p->shard, &session_ops, true) != PEAL_OK) {
        free(so);
        return NULL;
    }
    /* The namespace itself is a channel too. */
    so->session.n_subs_max =
        (uint16_t)(p->config->rooms_max < 65534 ? p->config->rooms_max + 1 : 65535);
    so->session.time = (uint32_t)time(NULL);
    so->client = c;
    so->nsp_len = (uint32_t)nsp.len;
    memcpy(so->nsp, nsp.data, nsp.len);
    so->next = c->sockets;
    c->sockets = so;
    c->n_sockets++;
    return so;
}

/* Packets from the client. Each returns false to have it closed. */

static void
tell_connected(struct socket *so, struct peal_slice auth)
{
    struct peal_app *app = app_of(so->client);
    struct event e = { .ev = { .session = &so->session,
                           .nsp = nsp_of(so),
                           .args = auth,
                           .n_args = auth.len > 0,
                           .emit = send_event },
        .socket = so };

    if (app->ops->connected != NULL)
        app->ops->connected(app, &e.ev);
}

static void
on_welcome_due(void *arg, bool gone)
{
    struct held *w = arg;

    if (!w->socket->ended && peal_session_await_all_subscribed(
                                 &w->socket->session, on_welcome_due, w) == PEAL_EAGAIN)
        return;
    if (!w->socket->ended) {
        send_connected(w->socket);
        tell_connected(w->socket, peal_blob_slice(w->args));
    }
    free_held(w);
}

/* Tells the client that it is connected, as soon as its namespace is subscribed. */
static void
welcome(struct socket *so, struct peal_slice auth)
{
    struct held *w = NULL;

    if (!peal_session_all_subscribed(&so->session) &&
        (w = calloc(1, sizeof(*w))) != NULL) {
        w->socket = so;
        if ((w->args = peal_blob_copy(auth)) != NULL &&
            peal_session_await_all_subscribed(&so->session, on_welcome_due, w) ==
                PEAL_EAGAIN)
            return;
        free_held(w);
    }
    send_connected(so);
    tell_connected(so, auth);
}

/* Asks the app. Returns why not, or NULL: welcome. */
static const char *
may_connect(struct socket *so, struct peal_slice auth)
{
    struct peal_app *app = app_of(so->client);
    struct peal_connect connect = {
        .session = &so->session, .nsp = nsp_of(so), .auth = auth
    };
    const char *why = "not allowed";
    peal_err err = app->ops->connect(app, &connect, &why);

    /* '#' separates a namespace from its rooms in the names of channels. */
    if (err == PEAL_ENOTFOUND || memchr(so->nsp, '#', so->nsp_len) != NULL)
        return "Invalid namespace";
    if (err != PEAL_OK)
        return err == PEAL_EPERM ? why : "try again later";
    return peal_session_subscribe(&so->session, nsp_of(so)) == PEAL_OK
               ? NULL
               : "try again later";
}

static bool
on_connect(struct client *c, const struct peal_sio_packet *p)
{
    struct peal_proto *proto = proto_of(c);
    struct socket *so;
    const char *why;

    if (find(c, p->nsp) != NULL)
        return false;
    if (c->n_sockets >= proto->config->namespaces_max) {
        send_refused(c, p->nsp, "too many namespaces");
        return true;
    }
    if ((so = new_socket(c, p->nsp)) == NULL) {
        send_refused(c, p->nsp, "try again later");
        return true;
    }
    if ((why = may_connect(so, p->payload)) != NULL) {
        peal_stat_add(peal_proto_stats(proto), PEAL_STAT_DENIED, 1);
        send_refused(c, p->nsp, why);
        remove_socket(so, false);
        return true;
    }
    peal_stat_add(peal_proto_stats(proto), PEAL_STAT_SIO_SESSIONS, 1);
    peal_eio_joined(c->engine);
    welcome(so, p->payload);
    return true;
}

/* The text of an event's name. Mostly it stands between its quotes as it is. */
static struct peal_slice
name_of(struct peal_slice token, struct peal_buf *b)
{
    if (token.data[0] != '"')
        return token;
    if (memchr(token.data, '\\', token.len) == NULL)
        return peal_slice_of(token.data + 1, token.len - 2);
    return peal_json_unquote(b, token) == PEAL_OK ? peal_buf_slice(b) : PEAL_S("");
}

static bool
on_event(struct client *c, const struct peal_sio_packet *p, struct peal_blob *const *atts)
{
    struct socket *so = find(c, p->nsp);
    struct peal_app *app = app_of(c);
    struct peal_buf name = { 0 };
    struct event e;

    if (so == NULL)
        return false;
    if (p->ignore)
        return true;
    peal_stat_add(peal_proto_stats(proto_of(c)), PEAL_STAT_RECEIVED, 1);
    e = (struct event){ .ev = { .session = &so->session,
                            .nsp = nsp_of(so),
                            .event = p->event,
                            .name = name_of(p->event, &name),
                            .args = p->args,
                            .n_args = p->n_args,
                            .atts = atts,
                            .n_atts = p->n_atts,
                            .ack = p->id.data != NULL ? send_ack : NULL,
                            .emit = send_event },
        .socket = so,
        .id = p->id };
    app->ops->event(app, &e.ev);
    peal_buf_fini(&name);
    return true;
}

/* An answer that is not owed, or not any more, means nothing. */
static bool
on_ack(struct client *c, const struct peal_sio_packet *p, struct peal_blob *const *atts)
{
    struct socket *so = find(c, p->nsp);
    struct peal_ack_answer said = {
        .args = p->args, .n_args = p->n_args, .atts = atts, .n_atts = p->n_atts
    };
    uint64_t id;

    if (so == NULL)
        return false;
    if (peal_slice_u64(p->id, UINT64_MAX, &id) == PEAL_OK)
        peal_pending_ack_resolve(so->owed, id, &said);
    return true;
}

static bool
on_packet(
    struct client *c, const struct peal_sio_packet *p, struct peal_blob *const *atts)
{
    struct socket *so;

    switch (p->type) {
    case PEAL_SIO_CONNECT:
        return on_connect(c, p);
    case PEAL_SIO_EVENT:
        return on_event(c, p, atts);
    case PEAL_SIO_ACK:
        return on_ack(c, p, atts);
    case PEAL_SIO_DISCONNECT:
        if ((so = find(c, p->nsp)) == NULL)
            return false;
        remove_socket(so, true);
        return true;
    default:
        return false;
    }
}

/* Attachments. */

static void
drop_pending(struct client *c)
{
    struct pending *w = c->pending;

    if (w == NULL)
        return;
    for (unsigned i = 0; i < w->have; i++)
        peal_blob_release(w->atts[i]);
    peal_buf_fini(&w->text);
    free(w);
    c->pending = NULL;
}

static bool
wait_attachments(struct client *c, struct peal_slice text, unsigned n)
{
    struct pending *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return false;
    c->pending = w;
    w->since = peal_loop_now_ms(proto_of(c)->loop);
    w->want = n;
    return peal_buf_add_slice(&w->text, text) == PEAL_OK;
}

static bool
on_attachment(struct client *c, struct peal_slice data)
{
    struct pending *w = c->pending;
    struct peal_sio_packet p;
    bool ok;

    if (w == NULL || data.len > proto_of(c)->config->max_payload - w->bytes ||
        (w->atts[w->have] = peal_blob_copy(data)) == NULL)
        return false;
    w->bytes += data.len;
    w->since = peal_loop_now_ms(proto_of(c)->loop);
    if (++w->have < w->want)
        return true;
    ok = peal_sio_parse(peal_buf_slice(&w->text), &p) == PEAL_OK;
    PEAL_ASSERT(ok); /* it was parsed before */
    c->pending = NULL;
    ok = on_packet(c, &p, w->atts);
    for (unsigned i = 0; i < w->have; i++)
        peal_blob_release(w->atts[i]);
    peal_buf_fini(&w->text);
    free(w);
    return ok;
}

static bool
on_text(struct client *c, struct peal_slice text)
{
    struct peal_sio_packet p;

    if (c->pending != NULL || peal_sio_parse(text, &p) != PEAL_OK)
        return false;
    return p.n_atts > 0 ? wait_attachments(c, text, p.n_atts) : on_packet(c, &p, NULL);
}

static bool
on_msgpack(struct client *c, struct peal_slice data)
{
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
    struct peal_buf text = { 0 };
    struct peal_sio_packet p;
    bool ok = peal_sio_msgpack_parse(data, &text, &p, atts) == PEAL_OK;

    if (ok) {
        ok = on_packet(c, &p, atts);
        for (unsigned i = 0; i < p.n_atts; i++)
            peal_blob_release(atts[i]);
    }
    peal_buf_fini(&text);
    return ok;
}

static void
on_open(struct peal_eio_session *s)
{
    struct client *c = peal_eio_user(s);

    c->engine = s;
}

static bool
on_message(struct peal_eio_session *s, bool binary, struct peal_slice data)
{
    struct client *c = peal_eio_user(s);
    bool ok;

    if (is_msgpack(c))
        ok = binary && on_msgpack(c, data);
    else
        ok = binary ? on_attachment(c, data) : on_text(c, data);
    if (!ok)
        peal_stat_add(peal_proto_stats(proto_of(c)), PEAL_STAT_SIO_BAD, 1);
    return ok;
}

/* As long as a client may be silent, its next attachment may be on its way. */
static bool
on_heartbeat(struct peal_eio_session *s)
{
    struct client *c = peal_eio_user(s);
    const struct peal_proto_config *config = proto_of(c)->config;
    uint64_t now = peal_loop_now_ms(proto_of(c)->loop);

    if (c->pending == NULL ||
        now - c->pending->since < config->ping_interval_ms + config->ping_timeout_ms)
        return true;
    peal_stat_add(peal_proto_stats(proto_of(c)), PEAL_STAT_SIO_BAD, 1);
    return false;
}

static void
on_settle(struct peal_eio_session *s)
{
    struct client *c = peal_eio_user(s);

    for (struct socket *so = c->sockets; so != NULL; so = so->next)
        peal_session_catch_up(&so->session);
}

static void
on_close(struct peal_eio_session *s)
{
    struct client *c = peal_eio_user(s);

    while (c->sockets != NULL)
        remove_socket(c->sockets, true);
    drop_pending(c);
}

const struct peal_eio_ops peal_sio_ops = { .size = sizeof(struct client),
    .open = on_open,
    .message = on_message,
    .heartbeat = on_heartbeat,
    .settle = on_settle,
    .close = on_close,
    .must_join = true };

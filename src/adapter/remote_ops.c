/* SPDX-License-Identifier: MIT */
/*
 * Remote operations of other servers: hub/remote_op.h does them; here is what they say in
 * Socket.IO's words, and the answers.
 */
#include "adapter/remote_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "adapter/convert.h"
#include "base/assert.h"
#include "base/json.h"
#include "base/utf8.h"

/* Bytes of a worker's list; beyond, sockets are left out (counted). */
#define LIST_MAX (8u << 20)
/* Bytes of all that is under way; beyond, nothing more is done, or answered (counted). */
#define OPS_BYTES_MAX (64u << 20)

/* Read-only for the workers. */
struct op {
    struct peal_link link;               /* on the list */
    struct peal_adapter_remote_ops *all; /* NULL: it has ended */
    struct peal_remote_op *run;
    struct peal_loop *loop; /* the control thread's */
    enum peal_sio_redis_op kind;
    bool legacy;
    unsigned targets_refused; /* rooms to be joined that no session can be in */
    struct peal_adapter_request request;
    struct peal_names rooms, except, targets;
    size_t bytes;
};

/* On a worker. */

/* socket.handshake. Of it only the time is kept: what a client sent, tokens among it,
 * would be several times what a session takes. */
static struct peal_slice
handshake_of(const struct peal_session *s, char *out, size_t size)
{
    time_t t = (time_t)s->connected_s;
    struct tm utc;
    char when[80]; /* as JavaScript writes a date */

    if (gmtime_r(&t, &utc) == NULL ||
        strftime(when, sizeof(when),
            "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)", &utc) == 0)
        when[0] = '\0';
    snprintf(out, size,
        "{\"headers\":{},\"time\":\"%s\",\"address\":\"\",\"xdomain\":false,"
        "\"secure\":false,\"issued\":%lld,\"url\":\"/socket.io/"
        "\",\"query\":{},\"auth\":{}}",
        when, (long long)t * 1000);
    return peal_slice_str(out);
}

/* There is room for one more. */
static bool
may_add(struct peal_remote_part *p)
{
    bool yes = p->out.len < LIST_MAX;

    p->left_out += !yes;
    return yes;
}

static void
add_socket(struct peal_remote_part *p, const struct peal_session *s)
{
    struct peal_slice rooms[PEAL_CHANNELS_MAX];
    char handshake[256];
    unsigned n = 0;

    rooms[n++] = peal_session_id(s);
    for (const struct peal_sub *sub = s->subs; sub != NULL && n < PEAL_CHANNELS_MAX;
         sub = sub->next)
        n += peal_channel_room(peal_sub_channel(sub), &rooms[n]);
    if (peal_sio_redis_add_socket(&p->out, peal_session_id(s),
            handshake_of(s, handshake, sizeof(handshake)), rooms, n,
            PEAL_S("{}")) == PEAL_OK)
        p->n++;
    else
        p->left_out++;
}

static void
add_name(struct peal_remote_part *p, struct peal_slice name)
{
    size_t len = p->out.len;

    if (!may_add(p))
        return;
    if ((p->n > 0 && peal_buf_add_char(&p->out, ',') != PEAL_OK) ||
        !peal_utf8_valid(name) || peal_json_quote(&p->out, name) != PEAL_OK) {
        p->out.len = len;
        p->left_out++;
    } else {
        p->n++;
    }
}

static void
op_subscribe(struct peal_remote_part *p, struct peal_session *s)
{
    peal_remote_subscribe(p, s);
    p->refused += ((const struct op *)p->op->spec.ctx)->targets_refused;
}

static void
op_list_id(struct peal_remote_part *p, struct peal_session *s)
{
    add_name(p, peal_session_id(s));
}

static void
op_list_socket(struct peal_remote_part *p, struct peal_session *s)
{
    if (may_add(p))
        add_socket(p, s);
}

/* Rooms are listed as channels, each once, however many sockets are in it. */
static void
op_list_channel(void *part, struct peal_slice channel)
{
    struct peal_remote_part *p = part;
    struct peal_slice room;

    if (peal_slice_eq(peal_channel_nsp(channel), p->op->spec.what.nsp) &&
        peal_channel_room(channel, &room))
        add_name(p, room);
}

static peal_remote_session_fn *
session_fn(enum peal_sio_redis_op kind)
{
    switch (kind) {
    case PEAL_SIO_REDIS_JOIN:
        return op_subscribe;
    case PEAL_SIO_REDIS_LEAVE:
        return peal_remote_unsubscribe;
    case PEAL_SIO_REDIS_DISCONNECT:
        return peal_remote_disconnect;
    case PEAL_SIO_REDIS_ASK_IDS:
    case PEAL_SIO_REDIS_ASK_ROOMS: /* each is in a room of its own */
        return op_list_id;
    default:
        return op_list_socket;
    }
}

/* On the control thread. */

static void
op_free(void *op)
{
    struct op *o = op;

    peal_list_unlink(&o->link);
    peal_names_fini(&o->rooms);
    peal_names_fini(&o->except);
    peal_names_fini(&o->targets);
    peal_adapter_request_fini(&o->request);
    free(o);
}

static peal_err
merge(const struct peal_remote_op *run, struct peal_buf *list)
{
    peal_err err = peal_buf_add_char(list, '[');
    unsigned n = 0;

    for (unsigned i = 0; i < run->n_parts && err == PEAL_OK; i++) {
        if (run->parts[i].n == 0)
            continue;
        if (n++ > 0)
            err = peal_buf_add_char(list, ',');
        if (err == PEAL_OK)
            err = peal_buf_add_slice(list, peal_buf_slice(&run->parts[i].out));
    }
    return err == PEAL_OK ? peal_buf_add_char(list, ']') : err;
}

static void
answer_list(struct op *o)
{
    struct peal_sio_redis_msg out = { .op = PEAL_SIO_REDIS_SOCKETS };
    struct peal_buf list = { 0 };

    if (o->kind == PEAL_SIO_REDIS_ASK_ROOMS)
        out.op = PEAL_SIO_REDIS_ROOMS;
    if (merge(o->run, &list) == PEAL_OK) {
        out.list = peal_buf_slice(&list);
        peal_adapter_answer(o->all->sender, &o->request, &out);
    } else {
        peal_stat_add(peal_loop_stats(o->loop), PEAL_STAT_ADAPTER_UNSENT, 1);
    }
    peal_buf_fini(&list);
}

/* Nobody is told of it by an answer: for these requests there is none. */
static void
tell_refused(struct op *o, unsigned refused)
{
    if (refused == 0)
        return;
    peal_stat_add(peal_loop_stats(o->loop), PEAL_STAT_ADAPTER_JOINS_REFUSED, refused);
    peal_log_limited(peal_loop_log(o->loop), &o->all->refused_joins,
        peal_loop_now_ms(o->loop), PEAL_LOG_WARN,
        "rooms that another Socket.IO server asked for were not joined",
        "namespace=%.*s refused=%u", PEAL_ARG(o->request.nsp), refused);
}

static void
answer(struct op *o)
{
    struct peal_sio_redis_msg done = { .op = PEAL_SIO_REDIS_DONE };
    unsigned n = 0, left_out = 0, refused = 0;

    for (unsigned i = 0; i < o->run->n_parts; i++) {
        n += o->run->parts[i].n;
        left_out += o->run->parts[i].left_out;
        refused += o->run->parts[i].refused;
    }
    tell_refused(o, refused);
    peal_stat_add(peal_loop_stats(o->loop), PEAL_STAT_ADAPTER_UNSENT, left_out);
    if (o->kind == PEAL_SIO_REDIS_FETCH || o->kind == PEAL_SIO_REDIS_ASK_IDS ||
        o->kind == PEAL_SIO_REDIS_ASK_ROOMS)
        answer_list(o);
    else if (o->legacy && n > 0 && o->request.request_id.len > 0)
        peal_adapter_answer(o->all->sender, &o->request, &done);
}

static void
op_on_done(struct peal_remote_op *run)
{
    struct op *o = run->spec.ctx;

    PEAL_ASSERT(o->all != NULL && o->all->bytes >= o->bytes);
    o->all->bytes -= o->bytes;
    answer(o);
}

static size_t
size_of(const struct peal_names *names)
{
    return names->text.cap + names->n * sizeof(*names->v);
}

static peal_err
op_new(struct peal_adapter_remote_ops *r, const struct peal_sio_redis_msg *m,
    struct op **out)
{
    struct op *o = calloc(1, sizeof(*o));
    peal_err err;

    if (o == NULL)
        return PEAL_ENOMEM;
    o->all = r;
    o->loop = r->sender->loop;
    o->kind = m->op;
    o->legacy = m->legacy;
    if ((err = peal_adapter_request_init(&o->request, m)) != PEAL_OK ||
        (err = peal_adapter_channels(NULL, m->nsp, m->rooms, m->n_rooms, &o->rooms)) !=
            PEAL_OK ||
        (err = peal_adapter_channels(NULL, m->nsp, m->except, m->n_except, &o->except)) !=
            PEAL_OK ||
        (err = peal_adapter_channels(
             NULL, m->nsp, m->targets, m->n_targets, &o->targets)) != PEAL_OK) {
        op_free(o);
        return err;
    }
    o->targets_refused = m->n_targets - o->targets.n;
    o->bytes = sizeof(*o) + size_of(&o->rooms) + size_of(&o->except) +
               size_of(&o->targets) +
               peal_hub_n_workers(r->hub) * sizeof(struct peal_remote_part);
    *out = o;
    return PEAL_OK;
}

static peal_err
op_begin(struct op *o, const struct peal_sio_redis_msg *m)
{
    const struct peal_remote_spec spec = { .hub = o->all->hub,
        .relay = o->all->relay,
        .loop = o->loop,
        .what = { .nsp = o->request.nsp,
            .channels = o->rooms.v,
            .n_channels = o->rooms.n,
            .except = o->except.v,
            .n_except = o->except.n },
        .nobody = m->n_rooms > 0 && o->rooms.n == 0, /* none that one can be in */
        .session = session_fn(m->op),
        .channel = m->op == PEAL_SIO_REDIS_ASK_ROOMS ? op_list_channel : NULL,
        .targets = o->targets.v,
        .n_targets = o->targets.n,
        .everything = m->close,
        .done = op_on_done,
        .release = op_free,
        .ctx = o };

    return peal_remote_op_begin(&spec, &o->run);
}

void
peal_adapter_remote_ops_init(struct peal_adapter_remote_ops *r, struct peal_hub *hub,
    struct peal_relay *relay, struct peal_adapter_sender *sender)
{
    *r = (struct peal_adapter_remote_ops){ .hub = hub, .relay = relay, .sender = sender };
    peal_list_init(&r->list);
}

void
peal_adapter_remote_ops_add(
    struct peal_adapter_remote_ops *r, const struct peal_sio_redis_msg *m)
{
    struct peal_stats *stats = peal_loop_stats(r->sender->loop);
    struct op *o;

    if (r->bytes > OPS_BYTES_MAX) {
        peal_stat_add(stats, PEAL_STAT_ADAPTER_REFUSED, 1);
        return;
    }
    if (op_new(r, m, &o) != PEAL_OK) {
        peal_stat_add(stats, PEAL_STAT_ADAPTER_BAD, 1);
        return;
    }
    if (op_begin(o, m) != PEAL_OK) {
        peal_stat_add(stats, PEAL_STAT_ADAPTER_BAD, 1);
        op_free(o);
        return;
    }
    r->bytes += o->bytes;
    peal_list_append(&r->list, &o->link);
}

void
peal_adapter_remote_ops_fini(struct peal_adapter_remote_ops *r)
{
    struct peal_link *l;

    while ((l = peal_list_take(&r->list)) != NULL) {
        struct op *o = PEAL_CONTAINER(l, struct op, link);

        o->all = NULL;
        peal_remote_op_abandon(o->run);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Remote operations: each worker does one to its own sockets, or lists them, and posts
 * its part back; the last part sends the answer.
 *
 * What was broadcast before is handed to the workers before an operation is: no socket is
 * made to leave, or disconnected, before it has got it.
 *
 * At the end of the node the loops of workers are freed first, which brings their parts
 * back, and the control loop last: then an operation may outlive its list, and is only
 * freed.
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

struct op;

struct part {
    struct peal_task task;
    struct op *op;
    unsigned worker;
    struct peal_buf list; /* what it found */
    unsigned n, left_out, joins_refused;
};

/* Read-only for the workers, but for their own part. */
struct op {
    struct peal_link link;               /* control thread */
    struct peal_adapter_remote_ops *all; /* NULL: it has ended; control thread */
    struct peal_hub *hub;
    struct peal_loop *loop; /* the control thread's */
    enum peal_sio_redis_op kind;
    bool close, legacy;
    bool nobody; /* the rooms that it names are none that a session can be in */
    unsigned targets_refused; /* the same of rooms that are to be joined */
    struct peal_adapter_request request;
    struct peal_names rooms, except, targets;
    size_t bytes;
    unsigned left; /* parts that have not come back; control thread */
    unsigned n_parts;
    struct part parts[];
};

/* On a worker. */

/* socket.handshake. Of it only the time is kept: what a client sent, tokens among it,
 * would be several times what a session takes. */
static struct peal_slice
handshake_of(const struct peal_session *s, char *out, size_t size)
{
    time_t t = (time_t)s->time;
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

/* Is there room for one more? */
static bool
may_add(struct part *p)
{
    bool yes = p->list.len < LIST_MAX;

    p->left_out += !yes;
    return yes;
}

static void
add_socket(struct part *p, const struct peal_session *s)
{
    struct peal_slice rooms[PEAL_CHANNELS_MAX];
    char handshake[256];
    unsigned n = 0;

    rooms[n++] = peal_session_id(s);
    for (const struct peal_sub *sub = s->subs; sub != NULL && n < PEAL_CHANNELS_MAX;
         sub = sub->next)
        n += peal_channel_room(peal_sub_channel(sub), &rooms[n]);
    if (peal_sio_redis_add_socket(&p->list, peal_session_id(s),
            handshake_of(s, handshake, sizeof(handshake)), rooms, n,
            PEAL_S("{}")) == PEAL_OK)
        p->n++;
    else
        p->left_out++;
}

static void
add_name(struct part *p, struct peal_slice name)
{
    size_t len = p->list.len;

    if (!may_add(p))
        return;
    if ((p->n > 0 && peal_buf_add_char(&p->list, ',') != PEAL_OK) ||
        !peal_utf8_valid(name) || peal_json_quote(&p->list, name) != PEAL_OK) {
        p->list.len = len;
        p->left_out++;
    } else {
        p->n++;
    }
}

static void
join(struct part *p, struct peal_session *s)
{
    const struct peal_names *targets = &p->op->targets;

    for (unsigned i = 0; i < targets->n; i++) {
        peal_err err = peal_session_subscribe(s, targets->v[i]);

        p->joins_refused += err != PEAL_OK && err != PEAL_EEXIST;
    }
    p->joins_refused += p->op->targets_refused;
}

static void
leave(const struct part *p, struct peal_session *s)
{
    const struct peal_names *targets = &p->op->targets;

    for (unsigned i = 0; i < targets->n; i++)
        peal_session_unsubscribe(s, targets->v[i]);
}

static void
op_on_socket(void *arg, struct peal_session *s)
{
    struct part *p = arg;
    const struct op *o = p->op;

    switch (o->kind) {
    case PEAL_SIO_REDIS_JOIN:
        join(p, s);
        p->n++;
        return;
    case PEAL_SIO_REDIS_LEAVE:
        leave(p, s);
        p->n++;
        return;
    case PEAL_SIO_REDIS_DISCONNECT:
        s->ops->disconnect(s, o->close);
        p->n++;
        return;
    case PEAL_SIO_REDIS_ASK_IDS:
    case PEAL_SIO_REDIS_ASK_ROOMS: /* each is in a room of its own */
        add_name(p, peal_session_id(s));
        return;
    default:
        if (may_add(p))
            add_socket(p, s);
    }
}

/* Rooms are listed as channels, each once, however many sockets are in it. */
static void
op_on_channel(void *arg, struct peal_slice channel)
{
    struct part *p = arg;
    struct peal_slice room;

    if (peal_slice_eq(peal_channel_nsp(channel), p->op->request.nsp) &&
        peal_channel_room(channel, &room))
        add_name(p, room);
}

static void op_on_part_done(struct peal_loop *loop, struct peal_task *task);

static void
op_on_part(struct peal_loop *loop, struct peal_task *task)
{
    struct part *p = PEAL_CONTAINER(task, struct part, task);
    const struct op *o = p->op;
    struct peal_shard *sh = peal_hub_shard(o->hub, p->worker); /* NULL: it has ended */
    const struct peal_selection what = { .nsp = o->request.nsp,
        .channels = o->rooms.v,
        .n_channels = o->rooms.n,
        .except = o->except.v,
        .n_except = o->except.n };

    if (sh != NULL && !o->nobody && peal_select(sh, &what, op_on_socket, p) != PEAL_OK)
        peal_stat_add(peal_shard_stats(sh), PEAL_STAT_WORKER_LOST, 1);
    if (sh != NULL && o->kind == PEAL_SIO_REDIS_ASK_ROOMS)
        peal_shard_each_channel(sh, op_on_channel, p);
    p->task.fn = op_on_part_done;
    peal_loop_post(o->loop, &p->task);
}

/* On the control thread. */

static void
op_free(struct op *o)
{
    peal_list_unlink(&o->link);
    for (unsigned i = 0; i < o->n_parts; i++)
        peal_buf_fini(&o->parts[i].list);
    peal_names_fini(&o->rooms);
    peal_names_fini(&o->except);
    peal_names_fini(&o->targets);
    peal_adapter_request_fini(&o->request);
    free(o);
}

static peal_err
merge(const struct op *o, struct peal_buf *list)
{
    peal_err err = peal_buf_add_char(list, '[');
    unsigned n = 0;

    for (unsigned i = 0; i < o->n_parts && err == PEAL_OK; i++) {
        if (o->parts[i].n == 0)
            continue;
        if (n++ > 0)
            err = peal_buf_add_char(list, ',');
        if (err == PEAL_OK)
            err = peal_buf_add_slice(list, peal_buf_slice(&o->parts[i].list));
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
    if (merge(o, &list) == PEAL_OK) {
        out.list = peal_buf_slice(&list);
        peal_adapter_answer(o->all->sender, &o->request, &out);
    } else {
        peal_stat_add(&o->loop->stats, PEAL_STAT_ADAPTER_UNSENT, 1);
    }
    peal_buf_fini(&list);
}

/* Nobody is told of it by an answer: for these requests there is none. */
static void
tell_refused(struct op *o, unsigned refused)
{
    if (refused == 0)
        return;
    peal_stat_add(&o->loop->stats, PEAL_STAT_ADAPTER_JOINS_REFUSED, refused);
    peal_log_limited(o->loop->config.log, &o->all->refused_joins,
        peal_loop_now_ms(o->loop), PEAL_LOG_WARN,
        "rooms were not joined that another Socket.IO server asked for",
        "namespace=%.*s refused=%u", (int)o->request.nsp.len, o->request.nsp.data,
        refused);
}

static void
answer(struct op *o)
{
    struct peal_sio_redis_msg done = { .op = PEAL_SIO_REDIS_DONE };
    unsigned n = 0, left_out = 0, refused = 0;

    for (unsigned i = 0; i < o->n_parts; i++) {
        n += o->parts[i].n;
        left_out += o->parts[i].left_out;
        refused += o->parts[i].joins_refused;
    }
    tell_refused(o, refused);
    peal_stat_add(&o->loop->stats, PEAL_STAT_ADAPTER_UNSENT, left_out);
    if (o->kind == PEAL_SIO_REDIS_FETCH || o->kind == PEAL_SIO_REDIS_ASK_IDS ||
        o->kind == PEAL_SIO_REDIS_ASK_ROOMS)
        answer_list(o);
    else if (o->legacy && n > 0 && o->request.request_id.len > 0)
        peal_adapter_answer(o->all->sender, &o->request, &done);
}

static void
op_on_part_done(struct peal_loop *loop, struct peal_task *task)
{
    struct op *o = PEAL_CONTAINER(task, struct part, task)->op;

    PEAL_ASSERT(o->left > 0 && o->left <= o->n_parts);
    if (--o->left > 0)
        return;
    if (o->all != NULL) {
        PEAL_ASSERT(o->all->bytes >= o->bytes);
        o->all->bytes -= o->bytes;
        answer(o);
    }
    op_free(o);
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
    unsigned n = peal_hub_n_workers(r->hub);
    size_t size = sizeof(struct op) + n * sizeof(struct part);
    struct op *o = calloc(1, size);
    peal_err err;

    if (o == NULL)
        return PEAL_ENOMEM;
    o->all = r;
    o->hub = r->hub;
    o->loop = r->sender->loop;
    o->kind = m->op;
    o->close = m->close;
    o->legacy = m->legacy;
    o->n_parts = o->left = n;
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
    o->nobody = m->n_rooms > 0 && o->rooms.n == 0;
    o->targets_refused = m->n_targets - o->targets.n;
    o->bytes = size + size_of(&o->rooms) + size_of(&o->except) + size_of(&o->targets);
    *out = o;
    return PEAL_OK;
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
    struct peal_stats *stats = &r->sender->loop->stats;
    struct op *o;

    if (r->bytes > OPS_BYTES_MAX) {
        peal_stat_add(stats, PEAL_STAT_ADAPTER_REFUSED, 1);
        return;
    }
    if (op_new(r, m, &o) != PEAL_OK) {
        peal_stat_add(stats, PEAL_STAT_ADAPTER_BAD, 1);
        return;
    }
    r->bytes += o->bytes;
    peal_list_append(&r->list, &o->link);
    peal_relay_post_deliveries(r->relay);
    for (unsigned i = 0; i < o->n_parts; i++) {
        struct part *p = &o->parts[i];

        p->op = o;
        p->worker = i;
        p->task.fn = op_on_part;
        peal_loop_post(peal_shard_loop(peal_hub_shard(r->hub, i)), &p->task);
    }
}

void
peal_adapter_remote_ops_fini(struct peal_adapter_remote_ops *r)
{
    struct peal_link *l;

    while ((l = peal_list_take(&r->list)) != NULL)
        PEAL_CONTAINER(l, struct op, link)->all = NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * What another server asks of sockets: each worker does it to its own, or lists them, and
 * posts its part back; the last part sends the answer. A server that is asked must always
 * answer, also with nothing: whoever asks waits for every one.
 *
 * What was broadcast before is handed to the workers before a job is: nobody is made to
 * leave, or disconnected, before he has got it.
 *
 * At the end of the node the loops of workers are freed first, which brings their parts
 * back, and the control loop last: then a job may outlive its adapter, and is only freed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "adapter/adapter_priv.h"
#include "base/json.h"
#include "base/utf8.h"

/* Bytes of a worker's list; beyond, sockets are left out (counted). */
#define LIST_MAX (8u << 20)
/* Bytes of all jobs under way; beyond, nothing more is done, or answered (counted). */
#define JOBS_MAX (64u << 20)

struct job;

struct part {
    struct peal_task task; /* first */
    struct job *job;
    unsigned worker;
    struct peal_buf list; /* what it found */
    unsigned n, left_out, joins_refused;
};

/* Read-only for the workers, but for their own part. */
struct job {
    struct peal_link link;        /* on the adapter's list; control thread */
    struct peal_adapter *adapter; /* NULL: it has ended; control thread */
    struct peal_hub *hub;
    struct peal_loop *loop; /* the control thread's */
    enum peal_sio_redis_op op;
    bool close, legacy;
    bool nobody; /* the rooms that it names are none that a session can be in */
    unsigned targets_refused; /* the same of rooms that are to be joined */
    struct peal_adapter_request request;
    struct peal_names rooms, except, targets;
    size_t bytes;
    unsigned left; /* parts; control thread */
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
    const struct peal_names *targets = &p->job->targets;

    for (unsigned i = 0; i < targets->n; i++) {
        peal_err err = peal_session_subscribe(s, targets->v[i]);

        p->joins_refused += err != PEAL_OK && err != PEAL_EEXIST;
    }
    p->joins_refused += p->job->targets_refused;
}

static void
leave(const struct part *p, struct peal_session *s)
{
    const struct peal_names *targets = &p->job->targets;

    for (unsigned i = 0; i < targets->n; i++)
        peal_session_unsubscribe(s, targets->v[i]);
}

static void
on_socket(void *arg, struct peal_session *s)
{
    struct part *p = arg;
    const struct job *j = p->job;

    switch (j->op) {
    case PEAL_SIO_REDIS_JOIN:
        join(p, s);
        p->n++;
        return;
    case PEAL_SIO_REDIS_LEAVE:
        leave(p, s);
        p->n++;
        return;
    case PEAL_SIO_REDIS_DISCONNECT:
        s->ops->disconnect(s, j->close);
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
on_channel(void *arg, struct peal_slice channel)
{
    struct part *p = arg;
    struct peal_slice room;

    if (peal_slice_eq(peal_channel_nsp(channel), p->job->request.nsp) &&
        peal_channel_room(channel, &room))
        add_name(p, room);
}

static void on_part_done(struct peal_loop *loop, struct peal_task *task);

static void
on_part(struct peal_loop *loop, struct peal_task *task)
{
    struct part *p = (struct part *)task;
    const struct job *j = p->job;
    struct peal_shard *sh = peal_hub_shard(j->hub, p->worker); /* NULL: it has ended */
    const struct peal_selection what = { .nsp = j->request.nsp,
        .channels = j->rooms.v,
        .n_channels = j->rooms.n,
        .except = j->except.v,
        .n_except = j->except.n };

    if (sh != NULL && !j->nobody && peal_select(sh, &what, on_socket, p) != PEAL_OK)
        peal_stat_add(peal_shard_stats(sh), PEAL_STAT_WORKER_LOST, 1);
    if (sh != NULL && j->op == PEAL_SIO_REDIS_ASK_ROOMS)
        peal_shard_each_channel(sh, on_channel, p);
    p->task.fn = on_part_done;
    peal_loop_post(j->loop, &p->task);
}

/* On the control thread. */

static void
free_job(struct job *j)
{
    peal_list_unlink(&j->link);
    for (unsigned i = 0; i < j->n_parts; i++)
        peal_buf_fini(&j->parts[i].list);
    peal_names_fini(&j->rooms);
    peal_names_fini(&j->except);
    peal_names_fini(&j->targets);
    peal_adapter_request_fini(&j->request);
    free(j);
}

static peal_err
merge(const struct job *j, struct peal_buf *list)
{
    peal_err err = peal_buf_add_char(list, '[');
    unsigned n = 0;

    for (unsigned i = 0; i < j->n_parts && err == PEAL_OK; i++) {
        if (j->parts[i].n == 0)
            continue;
        if (n++ > 0)
            err = peal_buf_add_char(list, ',');
        if (err == PEAL_OK)
            err = peal_buf_add_slice(list, peal_buf_slice(&j->parts[i].list));
    }
    return err == PEAL_OK ? peal_buf_add_char(list, ']') : err;
}

static void
answer_list(struct job *j)
{
    struct peal_sio_redis_msg out = { .op = PEAL_SIO_REDIS_SOCKETS };
    struct peal_buf list = { 0 };

    if (j->op == PEAL_SIO_REDIS_ASK_ROOMS)
        out.op = PEAL_SIO_REDIS_ROOMS;
    if (merge(j, &list) == PEAL_OK) {
        out.list = peal_buf_slice(&list);
        peal_adapter_answer(j->adapter, &j->request, &out);
    } else {
        peal_stat_add(&j->loop->stats, PEAL_STAT_ADAPTER_UNSENT, 1);
    }
    peal_buf_fini(&list);
}

/* Nobody is told of it by an answer: for these requests there is none. */
static void
tell_refused(struct job *j, unsigned refused)
{
    struct peal_adapter *a = j->adapter;

    if (refused == 0)
        return;
    peal_stat_add(&j->loop->stats, PEAL_STAT_ADAPTER_JOINS_REFUSED, refused);
    peal_log_limited(j->loop->config.log, &a->refused_joins, peal_loop_now_ms(j->loop),
        PEAL_LOG_WARN, "rooms were not joined that another Socket.IO server asked for",
        "namespace=%.*s refused=%u", (int)j->request.nsp.len, j->request.nsp.data,
        refused);
}

static void
answer(struct job *j)
{
    struct peal_sio_redis_msg done = { .op = PEAL_SIO_REDIS_DONE };
    unsigned n = 0, left_out = 0, refused = 0;

    for (unsigned i = 0; i < j->n_parts; i++) {
        n += j->parts[i].n;
        left_out += j->parts[i].left_out;
        refused += j->parts[i].joins_refused;
    }
    tell_refused(j, refused);
    peal_stat_add(&j->loop->stats, PEAL_STAT_ADAPTER_UNSENT, left_out);
    if (j->op == PEAL_SIO_REDIS_FETCH || j->op == PEAL_SIO_REDIS_ASK_IDS ||
        j->op == PEAL_SIO_REDIS_ASK_ROOMS)
        answer_list(j);
    else if (j->legacy && n > 0 && j->request.request_id.len > 0)
        peal_adapter_answer(j->adapter, &j->request, &done);
}

static void
on_part_done(struct peal_loop *loop, struct peal_task *task)
{
    struct job *j = ((struct part *)task)->job;

    if (--j->left > 0)
        return;
    if (j->adapter != NULL) {
        j->adapter->jobs_bytes -= j->bytes;
        answer(j);
    }
    free_job(j);
}

static size_t
size_of(const struct peal_names *names)
{
    return names->text.cap + names->n * sizeof(*names->v);
}

static peal_err
new_job(struct peal_adapter *a, const struct peal_sio_redis_msg *m, struct job **out)
{
    unsigned n = peal_hub_n_workers(a->hub);
    size_t size = sizeof(struct job) + n * sizeof(struct part);
    struct job *j = calloc(1, size);
    peal_err err;

    if (j == NULL)
        return PEAL_ENOMEM;
    j->adapter = a;
    j->hub = a->hub;
    j->loop = a->loop;
    j->op = m->op;
    j->close = m->close;
    j->legacy = m->legacy;
    j->n_parts = j->left = n;
    if ((err = peal_adapter_request_init(&j->request, m)) != PEAL_OK ||
        (err = peal_adapter_channels(NULL, m->nsp, m->rooms, m->n_rooms, &j->rooms)) !=
            PEAL_OK ||
        (err = peal_adapter_channels(NULL, m->nsp, m->except, m->n_except, &j->except)) !=
            PEAL_OK ||
        (err = peal_adapter_channels(
             NULL, m->nsp, m->targets, m->n_targets, &j->targets)) != PEAL_OK) {
        free_job(j);
        return err;
    }
    j->nobody = m->n_rooms > 0 && j->rooms.n == 0;
    j->targets_refused = m->n_targets - j->targets.n;
    j->bytes = size + size_of(&j->rooms) + size_of(&j->except) + size_of(&j->targets);
    *out = j;
    return PEAL_OK;
}

void
peal_adapter_remote_op(struct peal_adapter *a, const struct peal_sio_redis_msg *m)
{
    struct job *j;

    if (a->jobs_bytes > JOBS_MAX) {
        peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_REFUSED, 1);
        return;
    }
    if (new_job(a, m, &j) != PEAL_OK) {
        peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_BAD, 1);
        return;
    }
    a->jobs_bytes += j->bytes;
    peal_list_append(&a->jobs, &j->link);
    peal_relay_post_deliveries(a->relay);
    for (unsigned i = 0; i < j->n_parts; i++) {
        struct part *p = &j->parts[i];

        p->job = j;
        p->worker = i;
        p->task.fn = on_part;
        peal_loop_post(peal_shard_loop(peal_hub_shard(a->hub, i)), &p->task);
    }
}

void
peal_adapter_remote_ops_free(struct peal_adapter *a)
{
    struct peal_link *l;

    while ((l = peal_list_take(&a->jobs)) != NULL)
        PEAL_CONTAINER(l, struct job, link)->adapter = NULL;
}

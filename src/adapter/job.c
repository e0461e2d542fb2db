/* SPDX-License-Identifier: MIT */
/*
 * What another server asks of sockets: each worker does it to its own, or lists them, and
 * posts its part back; the last part sends the answer. A server that is asked must always
 * answer, also with nothing: whoever asks waits for every one.
 */
#include <stdlib.h>

#include "adapter/inside.h"
#include "base/json.h"

#define ANSWER_MAX                                                                       \
    (8u << 20) /* bytes of a list; beyond, sockets are left out (counted) */

struct job;

struct part {
    struct peal_mail mail; /* first */
    struct job *job;
    struct peal_shard *shard;
    struct peal_buf list; /* what it found */
    unsigned n;
};

/* Read-only for the workers, but for their own part. */
struct job {
    struct peal_adapter *adapter;
    enum peal_sio_redis_op op;
    bool close, legacy, full;
    struct peal_buf text; /* uid, namespace, request id */
    struct peal_slice uid, nsp, request_id;
    struct peal_adapter_names rooms, except, targets;
    unsigned left; /* parts; control thread */
    unsigned n_parts;
    struct part parts[];
};

/* On a worker. */

/* {id, handshake, rooms, data}. What a client's handshake was is not kept. */
static const struct peal_slice handshake =
    PEAL_S("{\"headers\":{},\"time\":\"\",\"address\":\"\",\"xdomain\":false,\"secure\":"
           "false,\"issued\":0,\"url\":\"/socket.io/\",\"query\":{},\"auth\":{}}");

static void
add_socket(struct part *p, const struct peal_session *s)
{
    struct peal_slice rooms[PEAL_CHANNELS_MAX];
    unsigned n = 0;

    rooms[n++] = peal_session_id(s);
    for (const struct peal_sub *sub = s->subs; sub != NULL && n < PEAL_CHANNELS_MAX;
         sub = sub->next)
        n += peal_channel_room(peal_sub_channel(sub), &rooms[n]);
    if (peal_sio_redis_add_socket(
            &p->list, peal_session_id(s), handshake, rooms, n, PEAL_S("{}")) == PEAL_OK)
        p->n++;
}

static void
add_name(struct part *p, struct peal_slice name)
{
    size_t len = p->list.len;

    if ((p->n > 0 && peal_buf_add_char(&p->list, ',') != PEAL_OK) ||
        !peal_utf8_valid(name) || peal_json_quote(&p->list, name) != PEAL_OK)
        p->list.len = len;
    else
        p->n++;
}

static void
add_rooms(struct part *p, const struct peal_session *s)
{
    struct peal_slice room;

    add_name(p, peal_session_id(s));
    for (const struct peal_sub *sub = s->subs; sub != NULL; sub = sub->next)
        if (peal_channel_room(peal_sub_channel(sub), &room) && p->list.len < ANSWER_MAX)
            add_name(p, room);
}

static void
on_socket(void *arg, struct peal_session *s)
{
    struct part *p = arg;
    const struct job *j = p->job;

    switch (j->op) {
    case PEAL_SIO_REDIS_JOIN:
        for (unsigned i = 0; i < j->targets.n; i++)
            (void)!peal_join(s, j->targets.v[i]); /* in it already, or too many */
        return;
    case PEAL_SIO_REDIS_LEAVE:
        for (unsigned i = 0; i < j->targets.n; i++)
            peal_leave(s, j->targets.v[i]);
        return;
    case PEAL_SIO_REDIS_DISCONNECT:
        s->ops->disconnect(s, j->close);
        return;
    case PEAL_SIO_REDIS_ASK_IDS:
        if (p->list.len < ANSWER_MAX)
            add_name(p, peal_session_id(s));
        return;
    case PEAL_SIO_REDIS_ASK_ROOMS:
        if (p->list.len < ANSWER_MAX)
            add_rooms(p, s);
        return;
    default:
        if (p->list.len < ANSWER_MAX)
            add_socket(p, s);
    }
}

static void on_part_done(struct peal_loop *loop, struct peal_mail *mail);

static void
on_part(struct peal_loop *loop, struct peal_mail *mail)
{
    struct part *p = (struct part *)mail;
    const struct job *j = p->job;
    const struct peal_selection what = { .nsp = j->nsp,
        .channels = j->rooms.v,
        .n_channels = j->rooms.n,
        .except = j->except.v,
        .n_except = j->except.n };

    if (peal_select(p->shard, &what, on_socket, p) != PEAL_OK)
        peal_stat_add(peal_shard_stats(p->shard), PEAL_STAT_LETTERS_LOST, 1);
    p->mail.fn = on_part_done;
    peal_loop_post(j->adapter->loop, &p->mail);
}

/* On the control thread. */

static void
free_job(struct job *j)
{
    for (unsigned i = 0; i < j->n_parts; i++)
        peal_buf_fini(&j->parts[i].list);
    peal_adapter_names_fini(&j->rooms);
    peal_adapter_names_fini(&j->except);
    peal_adapter_names_fini(&j->targets);
    peal_buf_fini(&j->text);
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
send_answer(struct peal_adapter *a, enum peal_sio_redis_op op, struct peal_slice uid,
    struct peal_slice nsp, struct peal_slice request_id, struct peal_slice list)
{
    struct peal_sio_redis_msg out = { .op = op,
        .uid = peal_slice_str(a->uid),
        .nsp = nsp,
        .request_id = request_id,
        .list = list,
        .args = PEAL_S("null"),
        .n_args = 1 };

    /* The classic dialect answers on the channel of all, the sharded one on the asker's.
     */
    peal_adapter_send(a, &out, PEAL_SIO_REDIS_ON_RESPONSE, a->sharded ? uid : PEAL_S(""));
}

static bool
is_question(enum peal_sio_redis_op op)
{
    return op == PEAL_SIO_REDIS_FETCH || op == PEAL_SIO_REDIS_ASK_IDS ||
           op == PEAL_SIO_REDIS_ASK_ROOMS;
}

static void
answer(struct job *j)
{
    struct peal_buf list = { 0 };

    if (is_question(j->op) && merge(j, &list) == PEAL_OK)
        send_answer(j->adapter,
            j->op == PEAL_SIO_REDIS_ASK_ROOMS ? PEAL_SIO_REDIS_ROOMS
                                              : PEAL_SIO_REDIS_SOCKETS,
            j->uid, j->nsp, j->request_id, peal_buf_slice(&list));
    peal_buf_fini(&list);
}

static void
on_part_done(struct peal_loop *loop, struct peal_mail *mail)
{
    struct job *j = ((struct part *)mail)->job;

    if (--j->left > 0)
        return;
    j->adapter->jobs--;
    answer(j);
    free_job(j);
}

static peal_err
copy_ids(struct job *j, const struct peal_sio_redis_msg *m)
{
    struct peal_slice parts[] = { m->uid, m->nsp, m->request_id };
    struct peal_slice *to[] = { &j->uid, &j->nsp, &j->request_id };
    size_t at = 0;

    for (unsigned i = 0; i < 3; i++)
        if (peal_buf_add_slice(&j->text, parts[i]) != PEAL_OK)
            return PEAL_ENOMEM;
    for (unsigned i = 0; i < 3; i++) {
        *to[i] = peal_slice_of(j->text.data + at, parts[i].len);
        at += parts[i].len;
    }
    return PEAL_OK;
}

static peal_err
new_job(struct peal_adapter *a, const struct peal_sio_redis_msg *m, struct job **out)
{
    unsigned n = peal_hub_n_workers(a->hub);
    struct job *j = calloc(1, sizeof(*j) + n * sizeof(struct part));
    peal_err err;

    if (j == NULL)
        return PEAL_ENOMEM;
    j->adapter = a;
    j->op = m->op;
    j->close = m->close;
    j->n_parts = j->left = n;
    if ((err = copy_ids(j, m)) != PEAL_OK ||
        (err = peal_adapter_channels(m->nsp, m->rooms, m->n_rooms, &j->rooms)) !=
            PEAL_OK ||
        (err = peal_adapter_channels(m->nsp, m->except, m->n_except, &j->except)) !=
            PEAL_OK ||
        (err = peal_adapter_channels(m->nsp, m->targets, m->n_targets, &j->targets)) !=
            PEAL_OK) {
        free_job(j);
        return err;
    }
    *out = j;
    return PEAL_OK;
}

static void
run(struct peal_adapter *a, const struct peal_sio_redis_msg *m)
{
    struct job *j;

    if (new_job(a, m, &j) != PEAL_OK) {
        peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_BAD, 1);
        return;
    }
    a->jobs++;
    for (unsigned i = 0; i < j->n_parts; i++) {
        struct part *p = &j->parts[i];

        p->job = j;
        p->shard = peal_hub_shard(a->hub, i);
        p->mail.fn = on_part;
        peal_loop_post(peal_shard_loop(p->shard), &p->mail);
    }
}

/* Nobody here listens to events between servers, but whoever asks waits for an answer. */
static void
answer_event(struct peal_adapter *a, const struct peal_sio_redis_msg *m)
{
    if (m->request_id.len > 0)
        send_answer(
            a, PEAL_SIO_REDIS_EMIT_ANSWER, m->uid, m->nsp, m->request_id, PEAL_S(""));
}

void
peal_adapter_job(struct peal_adapter *a, const struct peal_sio_redis_msg *m)
{
    if (m->op == PEAL_SIO_REDIS_SERVER_EMIT)
        answer_event(a, m);
    else if (m->op == PEAL_SIO_REDIS_BROADCAST)
        send_answer(a, PEAL_SIO_REDIS_COUNT, m->uid, m->nsp, m->request_id, PEAL_S(""));
    else
        run(a, m);
}

/* SPDX-License-Identifier: MIT */
/*
 * A master of a cluster. Replies come in the order of commands, so what was sent waits
 * in two queues, one for each connection; only messages, and subscriptions that the
 * cluster takes away, come in between.
 *
 * An error on the listening connection does not say which topic it is about, but its
 * slot: all topics of that slot meet the same error, so the first one is taken.
 */
#include "backplane/redis_member.h"

#include <stdlib.h>

enum sent_kind {
    PUBLISH,
    ASK,    /* for the map */
    NOTHING /* the answer is of no interest */
};

struct peal_redis_sent {
    struct peal_blob *command; /* held */
    uint16_t slot;
    uint8_t kind;
    bool again;
};

struct asked {
    struct peal_link link;
    unsigned slot, hops;
    bool leave; /* else: join */
    uint32_t len;
    char topic[];
};

static struct peal_slice
topic_of(const struct asked *a)
{
    return peal_slice_of(a->topic, a->len);
}

/* What was sent. */

static struct peal_redis_sent *
sent_at(const struct peal_redis_member *m, unsigned i)
{
    return &m->sent[(m->head + i) & (m->cap - 1)];
}

static peal_err
make_room(struct peal_redis_member *m)
{
    unsigned cap = m->cap ? m->cap * 2 : 64;
    struct peal_redis_sent *more;

    if (m->n < m->cap)
        return PEAL_OK;
    if ((more = malloc(cap * sizeof(*more))) == NULL)
        return PEAL_ENOMEM;
    for (unsigned i = 0; i < m->n; i++)
        more[i] = *sent_at(m, i);
    free(m->sent);
    m->sent = more;
    m->cap = cap;
    m->head = 0;
    return PEAL_OK;
}

static peal_err
send_out(struct peal_redis_member *m, struct peal_redis_sent what)
{
    if (make_room(m) != PEAL_OK)
        return PEAL_ENOMEM;
    peal_blob_retain(what.command);
    *sent_at(m, m->n++) = what;
    if (m->out_ready)
        peal_redis_conn_send(m->out, what.command);
    else
        m->held += what.command->len;
    return PEAL_OK;
}

peal_err
peal_redis_member_publish(
    struct peal_redis_member *m, struct peal_blob *command, unsigned slot, bool again)
{
    return send_out(m, (struct peal_redis_sent){ .command = command,
                           .slot = (uint16_t)slot,
                           .kind = PUBLISH,
                           .again = again });
}

peal_err
peal_redis_member_ask(struct peal_redis_member *m)
{
    struct peal_slice words[] = { PEAL_S("CLUSTER"), PEAL_S("SLOTS") };
    struct peal_blob *b = peal_redis_command(words, 2);
    peal_err err = b == NULL ? PEAL_ENOMEM
                             : send_out(m, (struct peal_redis_sent){ b, 0, ASK, false });

    peal_blob_release(b);
    return err;
}

unsigned
peal_redis_member_hand_over(
    struct peal_redis_member *m, unsigned slot, struct peal_redis_member *to)
{
    unsigned lost = 0;

    for (unsigned i = 0; i < m->n; i++) {
        struct peal_redis_sent *s = sent_at(m, i);

        if (s->kind != PUBLISH || s->slot != slot || s->again)
            continue;
        lost += peal_redis_member_publish(to, s->command, slot, true) != PEAL_OK;
        s->kind = NOTHING;
    }
    return lost;
}

static void
on_publish_error(
    struct peal_redis_member *m, const struct peal_redis_sent *s, const redisReply *reply)
{
    struct peal_redis_range to;

    if (peal_redis_moved_read(peal_redis_text(reply), &to))
        m->ops->moved(m->arg, m, &to, s->command, s->again);
    else
        m->ops->refused(m->arg, reply->str);
}

static void
on_out(void *arg, const redisReply *reply)
{
    struct peal_redis_member *m = arg;
    struct peal_redis_sent s;

    if (m->n == 0)
        return;
    s = *sent_at(m, 0);
    m->head = (m->head + 1) & (m->cap - 1);
    m->n--;
    if (s.kind == ASK)
        m->ops->slots(m->arg, m, reply);
    else if (s.kind == PUBLISH && reply->type == REDIS_REPLY_ERROR)
        on_publish_error(m, &s, reply);
    peal_blob_release(s.command);
}

/* What is subscribed. */

static void
ask_in(struct peal_redis_member *m, const struct asked *a)
{
    struct peal_slice words[] = {
        a->leave ? PEAL_S("SUNSUBSCRIBE") : PEAL_S("SSUBSCRIBE"), topic_of(a)
    };

    peal_redis_conn_command(m->in, words, 2);
}

static peal_err
ask(struct peal_redis_member *m, struct peal_slice topic, unsigned slot, unsigned hops,
    bool leave)
{
    struct asked *a = malloc(sizeof(*a) + topic.len);

    if (a == NULL)
        return PEAL_ENOMEM;
    *a = (struct asked){
        .slot = slot, .hops = hops, .leave = leave, .len = (uint32_t)topic.len
    };
    memcpy(a->topic, topic.data, topic.len);
    peal_list_append(&m->asked, &a->link);
    if (m->in_ready)
        ask_in(m, a);
    return PEAL_OK;
}

peal_err
peal_redis_member_subscribe(
    struct peal_redis_member *m, struct peal_slice topic, unsigned slot, unsigned hops)
{
    return ask(m, topic, slot, hops, false);
}

peal_err
peal_redis_member_unsubscribe(
    struct peal_redis_member *m, struct peal_slice topic, unsigned slot)
{
    return ask(m, topic, slot, 0, true);
}

static struct asked *
first_asked(const struct peal_redis_member *m)
{
    return peal_list_empty(&m->asked) ? NULL
                                      : PEAL_CONTAINER(m->asked.next, struct asked, link);
}

/* Is this what was asked for first? Then it is not any more. */
static bool
answers(struct peal_redis_member *m, struct peal_slice topic, bool leave)
{
    struct asked *a = first_asked(m);

    if (a == NULL || a->leave != leave || !peal_slice_eq(topic_of(a), topic))
        return false;
    peal_list_unlink(&a->link);
    free(a);
    return true;
}

static void
on_in_error(struct peal_redis_member *m, const redisReply *reply)
{
    struct peal_redis_range to;
    struct peal_link *l;

    if (!peal_redis_moved_read(peal_redis_text(reply), &to)) {
        m->ops->failed(m->arg, m, reply->str);
        return;
    }
    for (l = m->asked.next; l != &m->asked; l = l->next) {
        struct asked *a = PEAL_CONTAINER(l, struct asked, link);

        if (a->slot != to.first)
            continue;
        peal_list_unlink(&a->link);
        if (!a->leave)
            m->ops->redirected(m->arg, m, &to, topic_of(a), a->hops);
        free(a);
        return;
    }
}

/* [smessage, topic, payload], [ssubscribe, topic, n], [sunsubscribe, topic, n] */
static void
on_in(void *arg, const redisReply *reply)
{
    struct peal_redis_member *m = arg;
    struct peal_slice kind, topic;

    if (reply->type == REDIS_REPLY_ERROR) {
        on_in_error(m, reply);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return;
    kind = peal_redis_text(reply->element[0]);
    topic = peal_redis_text(reply->element[1]);
    if (peal_slice_eq(kind, PEAL_S("smessage"))) {
        m->ops->message(m->arg, topic, peal_redis_text(reply->element[2]));
        return;
    }
    m->subscriptions = reply->element[2]->integer;
    if (peal_slice_eq(kind, PEAL_S("ssubscribe"))) {
        (void)answers(m, topic, false);
        m->ops->subscribed(m->arg, topic);
    } else if (peal_slice_eq(kind, PEAL_S("sunsubscribe")) && !answers(m, topic, true)) {
        m->ops->lost(m->arg, topic);
    }
}

/* The connections. */

static void
on_in_ready(void *arg)
{
    struct peal_redis_member *m = arg;

    m->in_ready = true;
    for (struct peal_link *l = m->asked.next; l != &m->asked; l = l->next)
        ask_in(m, PEAL_CONTAINER(l, struct asked, link));
    m->ops->ready(m->arg);
}

static void
on_in_closed(void *arg, const char *why)
{
    struct peal_redis_member *m = arg;

    m->in = NULL;
    m->ops->failed(m->arg, m, why);
}

static const struct peal_redis_conn_ops in_ops = {
    .ready = on_in_ready, .reply = on_in, .closed = on_in_closed
};

static void
on_out_ready(void *arg)
{
    struct peal_redis_member *m = arg;

    m->out_ready = true;
    m->held = 0;
    for (unsigned i = 0; i < m->n; i++)
        peal_redis_conn_send(m->out, sent_at(m, i)->command);
    if (peal_redis_conn_new(m->loop, &m->config, &in_ops, m, &m->in) != PEAL_OK)
        m->ops->failed(m->arg, m, "cannot dial");
}

static void
on_out_closed(void *arg, const char *why)
{
    struct peal_redis_member *m = arg;

    m->out = NULL;
    m->ops->failed(m->arg, m, why);
}

static const struct peal_redis_conn_ops out_ops = {
    .ready = on_out_ready, .reply = on_out, .closed = on_out_closed
};

peal_err
peal_redis_member_new(struct peal_loop *loop, const struct peal_redis_conn_config *config,
    struct peal_slice host, uint16_t port, const struct peal_redis_member_ops *ops,
    void *arg, struct peal_redis_member **out)
{
    struct peal_redis_member *m = calloc(1, sizeof(*m));
    peal_err err;

    if (m == NULL)
        return PEAL_ENOMEM;
    memcpy(m->host, host.data, host.len);
    m->loop = loop;
    m->ops = ops;
    m->arg = arg;
    m->port = port;
    m->config = *config;
    m->config.host = m->host;
    m->config.port = port;
    peal_list_init(&m->asked);
    if ((err = peal_redis_conn_new(loop, &m->config, &out_ops, m, &m->out)) != PEAL_OK) {
        free(m);
        return err;
    }
    *out = m;
    return PEAL_OK;
}

static void
destroy(void *p)
{
    struct peal_redis_member *m = p;
    struct peal_link *l;

    for (unsigned i = 0; i < m->n; i++)
        peal_blob_release(sent_at(m, i)->command);
    while ((l = peal_list_take(&m->asked)) != NULL)
        free(PEAL_CONTAINER(l, struct asked, link));
    free(m->sent);
    free(m);
}

void
peal_redis_member_free(struct peal_redis_member *m)
{
    peal_list_unlink(&m->link);
    peal_redis_conn_close(&m->in);
    peal_redis_conn_close(&m->out);
    peal_loop_free_later(m->loop, destroy, m);
}

size_t
peal_redis_member_queued(const struct peal_redis_member *m)
{
    return m->held + (m->out != NULL ? peal_redis_conn_queued(m->out) : 0);
}

uint64_t
peal_redis_member_unanswered(const struct peal_redis_member *m)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < m->n; i++)
        n += sent_at(m, i)->kind == PUBLISH;
    return n;
}

bool
peal_redis_member_idle(const struct peal_redis_member *m)
{
    return m->subscriptions == 0 && m->n == 0 && peal_list_empty(&m->asked);
}

/* SPDX-License-Identifier: MIT */
/*
 * A master of a cluster. Replies come in the order of commands, so what was sent waits
 * in two queues, one for each connection; only messages, and subscriptions that the
 * cluster takes away, come in between.
 *
 * An error on the listening connection does not name its topic. It is about the oldest
 * subscription without an answer; a MOVED names its slot, which is surer, as the cluster
 * takes subscriptions away by itself, too.
 */
#include "backplane/redis_member.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/vec.h"

enum sent_kind {
    PUBLISH,
    ASK,    /* CLUSTER SLOTS */
    NOTHING /* the answer is of no interest */
};

struct peal_redis_sent {
    struct peal_blob *command; /* retained */
    uint16_t slot;
    uint8_t kind;
    uint8_t hops; /* how often a payload was redirected */
};

/* Commands of the publishing connection. */

static struct peal_redis_sent *
sent_at(const struct peal_redis_member *m, unsigned i)
{
    return &m->sent[(m->head + i) & (m->cap - 1)];
}

static peal_err
make_room(struct peal_redis_member *m)
{
    unsigned full = m->cap;
    peal_err err;

    if (m->n < full)
        return PEAL_OK;
    if ((err = PEAL_GROW(m->sent, m->cap, full + 1)) != PEAL_OK)
        return err;
    /* The commands that had wrapped round to the front go on behind the old end. */
    memcpy(m->sent + full, m->sent, m->head * sizeof(*m->sent));
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
    struct peal_redis_member *m, struct peal_blob *command, unsigned slot, unsigned hops)
{
    return send_out(m, (struct peal_redis_sent){ .command = command,
                           .slot = (uint16_t)slot,
                           .kind = PUBLISH,
                           .hops = (uint8_t)hops });
}

peal_err
peal_redis_member_ask(struct peal_redis_member *m)
{
    struct peal_slice words[] = { PEAL_S("CLUSTER"), PEAL_S("SLOTS") };
    struct peal_blob *b = peal_redis_command(words, 2);
    peal_err err =
        b == NULL ? PEAL_ENOMEM
                  : send_out(m, (struct peal_redis_sent){ .command = b, .kind = ASK });

    peal_blob_release(b);
    return err;
}

static bool
sent_is_payload_of(const struct peal_redis_sent *s, unsigned slot)
{
    return s->kind == PUBLISH && s->slot == slot;
}

bool
peal_redis_member_publishes(const struct peal_redis_member *m, unsigned slot)
{
    for (unsigned i = 0; i < m->n; i++)
        if (sent_is_payload_of(sent_at(m, i), slot))
            return true;
    return false;
}

bool
peal_redis_member_keep_slots(
    struct peal_redis_member *m, struct peal_redis_member *owner[PEAL_REDIS_SLOTS])
{
    bool changed = false;

    for (unsigned i = 0; i < m->n; i++) {
        const struct peal_redis_sent *s = sent_at(m, i);

        if (s->kind != PUBLISH || owner[s->slot] == m)
            continue;
        owner[s->slot] = m;
        changed = true;
    }
    return changed;
}

unsigned
peal_redis_member_hand_over(
    struct peal_redis_member *m, unsigned slot, struct peal_redis_member *to)
{
    unsigned lost = 0;

    for (unsigned i = 0; i < m->n; i++) {
        struct peal_redis_sent *s = sent_at(m, i);

        if (!sent_is_payload_of(s, slot))
            continue;
        lost += peal_redis_member_publish(to, s->command, slot, s->hops + 1u) != PEAL_OK;
        s->kind = NOTHING;
    }
    return lost;
}

static void
member_on_publish_error(
    struct peal_redis_member *m, const struct peal_redis_sent *s, const redisReply *reply)
{
    struct peal_redis_range to;

    if (peal_redis_moved_read(peal_redis_text(reply), &to))
        m->ops->moved(m->arg, m, &to, s->command, s->hops);
    else
        m->ops->refused(m->arg, reply->str);
}

static void
member_on_out(void *arg, const redisReply *reply)
{
    struct peal_redis_member *m = arg;
    struct peal_redis_sent s;

    if (m->n == 0)
        return; /* it answers what was not asked */
    PEAL_ASSERT(m->n <= m->cap);
    s = *sent_at(m, 0);
    m->head = (m->head + 1) & (m->cap - 1);
    m->n--;
    if (s.kind == ASK)
        m->ops->slots(m->arg, m, reply);
    else if (s.kind == PUBLISH && reply->type == REDIS_REPLY_ERROR)
        member_on_publish_error(m, &s, reply);
    peal_blob_release(s.command);
}

/* Subscriptions. */

static void
send_change(struct peal_redis_member *m, const struct peal_redis_pending *p)
{
    struct peal_slice words[] = {
        p->change == PEAL_REDIS_SUBSCRIBE ? PEAL_S("SSUBSCRIBE") : PEAL_S("SUNSUBSCRIBE"),
        peal_redis_pending_topic(p)
    };

    peal_redis_conn_command(m->in, words, 2);
}

static peal_err
change(struct peal_redis_member *m, enum peal_redis_change what, struct peal_slice topic,
    unsigned slot, unsigned hops)
{
    struct peal_redis_pending *p = peal_redis_pending_add(&m->pending, what, topic);

    if (p == NULL)
        return PEAL_ENOMEM;
    p->slot = slot;
    p->hops = hops;
    if (m->in_ready)
        send_change(m, p);
    return PEAL_OK;
}

peal_err
peal_redis_member_subscribe(
    struct peal_redis_member *m, struct peal_slice topic, unsigned slot, unsigned hops)
{
    return change(m, PEAL_REDIS_SUBSCRIBE, topic, slot, hops);
}

peal_err
peal_redis_member_unsubscribe(
    struct peal_redis_member *m, struct peal_slice topic, unsigned slot, unsigned hops)
{
    return change(m, PEAL_REDIS_UNSUBSCRIBE, topic, slot, hops);
}

/* All topics of a slot meet the same MOVED, so the oldest of that slot is taken. */
static struct peal_redis_pending *
oldest_of_slot(struct peal_redis_member *m, unsigned slot)
{
    for (struct peal_link *l = m->pending.next; l != &m->pending; l = l->next) {
        struct peal_redis_pending *p = PEAL_CONTAINER(l, struct peal_redis_pending, link);

        if (p->slot == slot)
            return p;
    }
    return NULL;
}

static void
member_on_in_error(struct peal_redis_member *m, const redisReply *reply)
{
    struct peal_redis_pending *p = peal_redis_pending_first(&m->pending);
    struct peal_redis_range to;
    bool moved = peal_redis_moved_read(peal_redis_text(reply), &to);

    if (!moved && (p == NULL || peal_redis_dooms(peal_redis_text(reply)))) {
        m->ops->failed(m->arg, m, reply->str);
        return;
    }
    if (moved && (p = oldest_of_slot(m, to.first)) == NULL)
        return;
    peal_list_unlink(&p->link); /* the event may free the member */
    if (moved)
        m->ops->redirected(m->arg, m, &to, p);
    else if (p->change == PEAL_REDIS_SUBSCRIBE)
        m->ops->topic_refused(m->arg, peal_redis_pending_topic(p), reply->str);
    free(p);
}

/* [smessage, topic, payload], [ssubscribe, topic, n], [sunsubscribe, topic, n] */
static void
member_on_in(void *arg, const redisReply *reply)
{
    struct peal_redis_member *m = arg;
    struct peal_slice kind, topic;

    if (reply->type == REDIS_REPLY_ERROR) {
        member_on_in_error(m, reply);
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
        (void)peal_redis_pending_answer(&m->pending, PEAL_REDIS_SUBSCRIBE, topic);
        m->ops->subscribed(m->arg, topic);
    } else if (peal_slice_eq(kind, PEAL_S("sunsubscribe")) &&
               !peal_redis_pending_answer(&m->pending, PEAL_REDIS_UNSUBSCRIBE, topic)) {
        m->ops->lost(m->arg, topic);
    }
}

/* The connections. */

static void
member_on_in_ready(void *arg)
{
    struct peal_redis_member *m = arg;

    m->in_ready = true;
    for (struct peal_link *l = m->pending.next; l != &m->pending; l = l->next)
        send_change(m, PEAL_CONTAINER(l, struct peal_redis_pending, link));
    m->ops->ready(m->arg);
}

static void
member_on_in_closed(void *arg, const char *why)
{
    struct peal_redis_member *m = arg;

    m->in = NULL;
    m->ops->failed(m->arg, m, why);
}

static const struct peal_redis_conn_ops in_ops = {
    .ready = member_on_in_ready, .reply = member_on_in, .closed = member_on_in_closed
};

static void
member_on_out_ready(void *arg)
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
member_on_out_closed(void *arg, const char *why)
{
    struct peal_redis_member *m = arg;

    m->out = NULL;
    m->ops->failed(m->arg, m, why);
}

static const struct peal_redis_conn_ops out_ops = {
    .ready = member_on_out_ready, .reply = member_on_out, .closed = member_on_out_closed
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
    peal_list_init(&m->pending);
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

    for (unsigned i = 0; i < m->n; i++)
        peal_blob_release(sent_at(m, i)->command);
    peal_redis_pending_clear(&m->pending);
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
    return m->subscriptions == 0 && m->n == 0 && peal_list_empty(&m->pending);
}

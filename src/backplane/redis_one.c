/* SPDX-License-Identifier: MIT */
/*
 * One Redis as the backplane. Two connections, for a listening one may send little else;
 * it is up when both are greeted. When one ends the other is ended too: what one of them
 * missed cannot be told, so both begin again.
 *
 * A replica takes a PUBLISH without an error and delivers it to its own subscribers
 * alone. A planned failover turns the master into one and leaves its connections open, so
 * ROLE is asked once a second on the connection that publishes, and the link goes
 * down when the answer is not "master". Redis answers in order: the answers are
 * counted to tell which one is that to ROLE.
 *
 * With Sentinel the one Redis is whatever they say the master is.
 */
#include "backplane/redis_one.h"

#include <stdio.h>
#include <stdlib.h>

#include "backplane/redis_conn.h"
#include "backplane/redis_link.h"
#include "backplane/redis_pending.h"
#include "backplane/redis_sentinel.h"
#include "base/assert.h"

#define ROLE_MS 1000 /* between two questions */

struct redis {
    struct peal_redis_pubsub p; /* first */
    struct peal_redis_link link;
    struct peal_redis_url url;
    char *name, *master; /* master: its host, as Sentinel tells it */
    struct peal_tls_ctx *tls;
    struct peal_sentinel *sentinel; /* or NULL */
    struct peal_redis_conn_config config;
    struct peal_redis_conn *in, *out; /* NULL: not connected */
    struct peal_timer again;          /* down: the next attempt; up: the next ROLE */
    struct peal_link pending;         /* subscriptions without an answer */
    uint64_t unanswered;              /* publishes */
    uint64_t n_sent, n_answered;      /* commands of the out connection */
    uint64_t role_at; /* the number of the last ROLE; 0: none is under way */
    uint64_t n_published, n_at_role; /* publishes; before that ROLE */
    uint64_t n_proven;               /* of them, those that a master took */
    bool up, sharded;
    bool said_no_role;
};

static struct redis *
of(struct peal_backplane *b)
{
    return PEAL_CONTAINER(b, struct redis, p.b);
}

static struct peal_loop *
loop_of(const struct redis *r)
{
    return r->link.loop;
}

static void
redis_down(struct redis *r, const char *why)
{
    bool was_up = r->up;
    char where[320];

    peal_redis_conn_close(&r->in);
    peal_redis_conn_close(&r->out);
    peal_redis_pending_clear(&r->pending);
    snprintf(where, sizeof(where), "host=%s port=%u", r->config.host, r->config.port);
    peal_loop_start(
        loop_of(r), &r->again, peal_redis_link_down(&r->link, where, why, r->unanswered));
    r->unanswered = r->n_sent = r->n_answered = r->role_at = 0;
    r->n_published = r->n_at_role = r->n_proven = 0;
    r->up = false;
    if (was_up)
        r->p.b.events->down(r->p.b.arg);
}

static void
redis_on_in_closed(void *arg, const char *why)
{
    struct redis *r = arg;

    r->in = NULL;
    redis_down(r, why);
}

static void
redis_on_out_closed(void *arg, const char *why)
{
    struct redis *r = arg;

    r->out = NULL;
    redis_down(r, why);
}

/* The role of the Redis. */

static void
ask_role(struct redis *r)
{
    struct peal_slice words[] = { PEAL_S("ROLE") };

    peal_loop_start(loop_of(r), &r->again, ROLE_MS);
    if (r->role_at != 0)
        return; /* if no answer comes the connection notices */
    peal_redis_conn_command(r->out, words, 1);
    r->role_at = ++r->n_sent;
    r->n_at_role = r->n_published;
}

/* Counts the publishes since the last good answer: they may have reached nobody. */
static void
redis_on_role(struct redis *r, const redisReply *reply)
{
    struct peal_slice role = peal_redis_role_of(reply);
    char why[80];

    r->role_at = 0;
    if (role.len == 0) {
        peal_timer_stop(&r->again); /* the permission was taken away meanwhile */
        return;
    }
    if (peal_slice_eq(role, PEAL_S("master"))) {
        r->n_proven = r->n_at_role;
        return;
    }
    snprintf(why, sizeof(why), "it is not a master any more, its role is %.*s",
        PEAL_ARG(role));
    r->unanswered = r->n_published - r->n_proven;
    redis_down(r, why);
}

static void
watch_role(struct redis *r)
{
    if (peal_redis_conn_tells_role(r->out)) {
        peal_loop_start(loop_of(r), &r->again, ROLE_MS);
        return;
    }
    if (!r->said_no_role)
        peal_log(peal_loop_log(loop_of(r)), PEAL_LOG_WARN,
            "redis does not tell its role: a failover may go unnoticed",
            "host=%s port=%u", r->config.host, r->config.port);
    r->said_no_role = true;
}

/* Replies. */

static void
redis_on_in_ready(void *arg)
{
    struct redis *r = arg;

    r->up = true;
    watch_role(r);
    peal_redis_link_up(&r->link);
    r->p.b.events->up(r->p.b.arg);
}

static void
redis_on_subscribed(
    struct redis *r, enum peal_redis_change change, struct peal_slice topic)
{
    char where[320];

    (void)peal_redis_pending_answer(&r->pending, change, topic);
    snprintf(where, sizeof(where), "host=%s port=%u", r->config.host, r->config.port);
    peal_redis_link_works(&r->link, where);
    r->p.b.events->subscribed(r->p.b.arg, topic);
}

static void
redis_on_unsubscribed(
    struct redis *r, enum peal_redis_change change, struct peal_slice topic)
{
    if (!peal_redis_pending_answer(&r->pending, change, topic))
        r->p.b.events->lost(r->p.b.arg, topic);
}

/* Handles an error, which is about the whole connection, or about the topic whose turn it
 * is to be answered. */
static void
redis_on_in_error(struct redis *r, const redisReply *reply)
{
    struct peal_redis_pending *p = peal_redis_pending_first(&r->pending);
    bool joins;

    if (p == NULL || peal_redis_dooms(peal_redis_text(reply))) {
        redis_down(r, reply->str);
        return;
    }
    joins = p->change == PEAL_REDIS_SUBSCRIBE || p->change == PEAL_REDIS_PSUBSCRIBE;
    peal_list_unlink(&p->link); /* the event may end the link */
    if (joins) {
        peal_redis_link_topic_refused(&r->link, peal_redis_pending_topic(p), reply->str);
        r->p.b.events->refused(r->p.b.arg, peal_redis_pending_topic(p), reply->str);
    }
    free(p);
}

/* [message, topic, payload], [pmessage, pattern, topic, payload], [subscribe, topic, n],
 * [psubscribe, pattern, n], and so on; with an s before them in sharded pub/sub. */
static void
redis_on_in(void *arg, const redisReply *reply)
{
    struct redis *r = arg;
    struct peal_slice kind, topic;

    if (reply->type == REDIS_REPLY_ERROR) {
        redis_on_in_error(r, reply);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3)
        return;
    kind = peal_redis_text(reply->element[0]);
    topic = peal_redis_text(reply->element[reply->elements - 2]);
    if (peal_slice_eq(kind, PEAL_S("message")) ||
        peal_slice_eq(kind, PEAL_S("smessage")) ||
        peal_slice_eq(kind, PEAL_S("pmessage")))
        r->p.b.events->message(
            r->p.b.arg, topic, peal_redis_text(reply->element[reply->elements - 1]));
    else if (peal_slice_eq(kind, PEAL_S("subscribe")) ||
             peal_slice_eq(kind, PEAL_S("ssubscribe")))
        redis_on_subscribed(r, PEAL_REDIS_SUBSCRIBE, topic);
    else if (peal_slice_eq(kind, PEAL_S("psubscribe")))
        redis_on_subscribed(r, PEAL_REDIS_PSUBSCRIBE, topic);
    else if (peal_slice_eq(kind, PEAL_S("unsubscribe")) ||
             peal_slice_eq(kind, PEAL_S("sunsubscribe")))
        redis_on_unsubscribed(r, PEAL_REDIS_UNSUBSCRIBE, topic);
    else if (peal_slice_eq(kind, PEAL_S("punsubscribe")))
        redis_on_unsubscribed(r, PEAL_REDIS_PUNSUBSCRIBE, topic);
}

/* Handles the answers on the out connection: a publish is answered by the number of its
 * receivers. An error is about one publish (no permission, for example), or says that
 * this server is of no use any more. */
static void
redis_on_out(void *arg, const redisReply *reply)
{
    struct redis *r = arg;

    if (++r->n_answered == r->role_at) {
        redis_on_role(r, reply);
        return;
    }
    r->unanswered -= r->unanswered > 0;
    if (reply->type != REDIS_REPLY_ERROR)
        return;
    peal_redis_link_refused(&r->link, reply->str, 1);
    if (peal_slice_starts(peal_redis_text(reply), PEAL_S("READONLY")) ||
        peal_redis_dooms(peal_redis_text(reply)))
        redis_down(r, reply->str);
}

static const struct peal_redis_conn_ops in_ops = {
    .ready = redis_on_in_ready, .reply = redis_on_in, .closed = redis_on_in_closed
};

/* The second connection is made when the first one works, so that a fault is met once. */
static void
redis_on_out_ready(void *arg)
{
    struct redis *r = arg;

    if (peal_redis_conn_new(loop_of(r), &r->config, &in_ops, r, &r->in) != PEAL_OK)
        redis_down(r, "cannot dial");
}

static const struct peal_redis_conn_ops out_ops = {
    .ready = redis_on_out_ready, .reply = redis_on_out, .closed = redis_on_out_closed
};

static void
connect_to(struct redis *r, const char *host, uint16_t port)
{
    r->config.host = host;
    r->config.port = port;
    if (peal_redis_conn_new(loop_of(r), &r->config, &out_ops, r, &r->out) != PEAL_OK)
        redis_down(r, "cannot dial");
}

static void
begin(struct redis *r)
{
    const struct peal_redis_host *h = &r->url.hosts[0];

    if (r->sentinel != NULL)
        peal_sentinel_ask(r->sentinel);
    else
        connect_to(r, h->name, h->port);
}

static void
redis_on_again(struct peal_timer *t)
{
    struct redis *r = PEAL_CONTAINER(t, struct redis, again);

    if (r->up)
        ask_role(r);
    else
        begin(r);
}

static void
redis_start(struct peal_backplane *b)
{
    begin(of(b));
}

/* Sentinel says where the master is. */
static void
redis_on_master(void *arg, const char *host, uint16_t port)
{
    struct redis *r = arg;
    bool same = port == r->config.port && strcmp(host, r->config.host) == 0;
    char *copy;

    if (r->out != NULL && same)
        return;
    if (r->out != NULL)
        redis_down(r, "the master has moved");
    if ((copy = strdup(host)) == NULL) {
        redis_down(r, "out of memory");
        return;
    }
    peal_timer_stop(&r->again);
    free(r->master);
    r->master = copy;
    connect_to(r, copy, port);
}

/* Sentinels go on being asked without this. */
static void
redis_on_no_master(void *arg, const char *why)
{
    struct redis *r = arg;

    if (r->out != NULL)
        return;
    redis_down(r, why);
    peal_timer_stop(&r->again);
}

static const struct peal_sentinel_ops sentinel_ops = { .master = redis_on_master,
    .none = redis_on_no_master };

static void
change(struct redis *r, enum peal_redis_change change, struct peal_slice topic)
{
    static const char *const classic[] = { "SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE",
        "PUNSUBSCRIBE" };
    static const char *const sharded[] = { "SSUBSCRIBE", "SUNSUBSCRIBE" };
    struct peal_slice words[] = { PEAL_S(""), topic };

    if (!r->up)
        return;
    if (peal_redis_pending_add(&r->pending, change, topic) == NULL) {
        redis_down(r, "out of memory");
        return;
    }
    words[0] = peal_slice_str(r->sharded ? sharded[change] : classic[change]);
    peal_redis_conn_command(r->in, words, 2);
}

static void
redis_subscribe(struct peal_backplane *b, struct peal_slice topic)
{
    change(of(b), PEAL_REDIS_SUBSCRIBE, topic);
}

static void
redis_unsubscribe(struct peal_backplane *b, struct peal_slice topic)
{
    change(of(b), PEAL_REDIS_UNSUBSCRIBE, topic);
}

static void
redis_subscribe_pattern(struct peal_redis_pubsub *p, struct peal_slice pattern)
{
    PEAL_ASSERT(!(PEAL_CONTAINER(p, struct redis, p))->sharded);
    change(PEAL_CONTAINER(p, struct redis, p), PEAL_REDIS_PSUBSCRIBE, pattern);
}

static void
redis_unsubscribe_pattern(struct peal_redis_pubsub *p, struct peal_slice pattern)
{
    PEAL_ASSERT(!(PEAL_CONTAINER(p, struct redis, p))->sharded);
    change(PEAL_CONTAINER(p, struct redis, p), PEAL_REDIS_PUNSUBSCRIBE, pattern);
}

static void
redis_publish(struct peal_backplane *b, const struct peal_payload *list, unsigned n)
{
    struct redis *r = of(b);
    struct peal_slice words[] = { r->sharded ? PEAL_S("SPUBLISH") : PEAL_S("PUBLISH"),
        PEAL_S(""), PEAL_S("") };

    for (unsigned i = 0; r->up && i < n; i++) {
        words[1] = list[i].topic;
        words[2] = list[i].bytes;
        peal_redis_conn_command(r->out, words, 3);
        r->n_sent++;
        r->n_published++;
        r->unanswered++;
    }
}

static size_t
redis_queued(const struct peal_backplane *b)
{
    const struct redis *r = PEAL_CONTAINER(b, const struct redis, p.b);

    return r->out != NULL ? peal_redis_conn_queued(r->out) : 0;
}

static void
redis_restart(struct peal_backplane *b, const char *why)
{
    struct redis *r = of(b);

    if (r->up)
        redis_down(r, why);
}

static void
redis_free(struct peal_backplane *b)
{
    struct redis *r = of(b);

    peal_timer_stop(&r->again);
    peal_redis_conn_close(&r->in);
    peal_redis_conn_close(&r->out);
    peal_redis_pending_clear(&r->pending);
    peal_sentinel_free(&r->sentinel);
    peal_tls_ctx_release(r->tls);
    peal_redis_url_fini(&r->url);
    free(r->master);
    free(r->name);
    free(r);
}

static const struct peal_redis_pubsub_ops pubsub_ops = { .subscribe_pattern =
                                                             redis_subscribe_pattern,
    .unsubscribe_pattern = redis_unsubscribe_pattern };

static const struct peal_backplane_ops ops = { .name = "redis",
    .payload_max = PEAL_REDIS_PAYLOAD_MAX,
    .start = redis_start,
    .subscribe = redis_subscribe,
    .unsubscribe = redis_unsubscribe,
    .publish = redis_publish,
    .queued = redis_queued,
    .restart = redis_restart,
    .free = redis_free };

static peal_err
prepare(struct redis *r, const char *name, struct peal_buf *why)
{
    struct peal_redis_url *u = &r->url;
    peal_err err;

    if ((r->name = strdup(name)) == NULL)
        return PEAL_ENOMEM;
    if (u->tls && (err = peal_tls_client_ctx_new(
                       u->ca, u->cert, u->key, u->verify, &r->tls, why)) != PEAL_OK)
        return err;
    r->config = (struct peal_redis_conn_config){ .host = u->hosts[0].name,
        .port = u->hosts[0].port,
        .tls = r->tls,
        .user = u->user,
        .password = u->password,
        .name = r->name,
        .role = u->kind == PEAL_REDIS_SENTINEL ? PEAL_REDIS_MASTER
                                               : PEAL_REDIS_MASTER_IF_TOLD };
    if (u->kind != PEAL_REDIS_SENTINEL)
        return PEAL_OK;
    return peal_sentinel_new(
        r->link.loop, u, r->tls, r->name, &sentinel_ops, r, &r->sentinel);
}

peal_err
peal_redis_one_new(const struct peal_backplane_config *config, struct peal_redis_url *url,
    enum peal_redis_dialect dialect, struct peal_redis_pubsub **out, struct peal_buf *why)
{
    struct redis *r = calloc(1, sizeof(*r));
    peal_err err;

    if (r == NULL)
        return PEAL_ENOMEM;
    r->p.ops = &pubsub_ops;
    r->p.b.ops = &ops;
    r->p.b.loop = r->link.loop = config->loop;
    r->p.b.counters = r->link.counters = config->counters;
    peal_list_init(&r->pending);
    r->sharded = dialect == PEAL_REDIS_SHARDED;
    r->again.fn = redis_on_again;
    r->url = *url;
    *url = (struct peal_redis_url){ 0 };
    if ((err = prepare(r, config->name, why)) != PEAL_OK) {
        redis_free(&r->p.b);
        return err;
    }
    *out = &r->p;
    return PEAL_OK;
}

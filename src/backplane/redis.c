/* SPDX-License-Identifier: MIT */
/*
 * One Redis as the backplane. Two connections, for a listening one may send little else;
 * it is up when both are greeted. When one ends the other is ended too: what one of them
 * missed cannot be told, so both begin again.
 *
 * With Sentinel the one Redis is whatever they say the master is. Classic pub/sub of a
 * Redis Cluster is the same on each of its nodes, so one of them is taken, and another
 * one when it fails.
 */
#include "backplane/redis.h"

#include <stdio.h>
#include <stdlib.h>

#include "backplane/redis_cluster.h"
#include "backplane/redis_conn.h"
#include "backplane/redis_link.h"
#include "backplane/redis_sentinel.h"

struct redis {
    struct peal_backplane b; /* first */
    struct peal_redis_link link;
    struct peal_redis_url url;
    char *name, *master; /* master: host, as Sentinel has it */
    struct peal_tls_ctx *tls;
    struct peal_sentinel *sentinel; /* or NULL */
    struct peal_redis_conn_config config;
    struct peal_redis_conn *in, *out; /* NULL: not there */
    struct peal_timer again;
    unsigned next;       /* of the hosts of a cluster */
    uint64_t unanswered; /* publishes */
    bool up, sharded;
    bool refused; /* that a publish was refused has been said */
};

static struct peal_loop *
loop_of(const struct redis *r)
{
    return r->link.loop;
}

static void
down(struct redis *r, const char *why)
{
    bool was_up = r->up;
    char where[320];

    peal_redis_conn_close(&r->in);
    peal_redis_conn_close(&r->out);
    snprintf(where, sizeof(where), "host=%s port=%u", r->config.host, r->config.port);
    peal_loop_start(
        loop_of(r), &r->again, peal_redis_link_down(&r->link, where, why, r->unanswered));
    r->unanswered = 0;
    r->up = r->refused = false;
    if (was_up)
        r->b.events->down(r->b.arg);
}

static void
on_in_closed(void *arg, const char *why)
{
    struct redis *r = arg;

    r->in = NULL;
    down(r, why);
}

static void
on_out_closed(void *arg, const char *why)
{
    struct redis *r = arg;

    r->out = NULL;
    down(r, why);
}

static void
on_in_ready(void *arg)
{
    struct redis *r = arg;

    r->up = true;
    peal_redis_link_up(&r->link);
    r->b.events->up(r->b.arg);
}

static void
on_subscribed(struct redis *r, struct peal_slice topic)
{
    char where[320];

    snprintf(where, sizeof(where), "host=%s port=%u", r->config.host, r->config.port);
    peal_redis_link_works(&r->link, where);
    r->b.events->subscribed(r->b.arg, topic);
}

/* [message, topic, payload], [pmessage, pattern, topic, payload], [subscribe, topic, n],
 * [psubscribe, pattern, n], and so on; with an s before them in sharded pub/sub. */
static void
on_in(void *arg, const redisReply *reply)
{
    struct redis *r = arg;
    struct peal_slice kind, topic;

    if (reply->type == REDIS_REPLY_ERROR) {
        down(r, reply->str);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3)
        return;
    kind = peal_redis_text(reply->element[0]);
    topic = peal_redis_text(reply->element[reply->elements - 2]);
    if (peal_slice_eq(kind, PEAL_S("message")) ||
        peal_slice_eq(kind, PEAL_S("smessage")) ||
        peal_slice_eq(kind, PEAL_S("pmessage")))
        r->b.events->message(
            r->b.arg, topic, peal_redis_text(reply->element[reply->elements - 1]));
    else if (peal_slice_eq(kind, PEAL_S("subscribe")) ||
             peal_slice_eq(kind, PEAL_S("ssubscribe")) ||
             peal_slice_eq(kind, PEAL_S("psubscribe")))
        on_subscribed(r, topic);
    else if (peal_slice_eq(kind, PEAL_S("sunsubscribe")))
        r->b.events->lost(r->b.arg, topic);
}

static void
on_error(struct redis *r, struct peal_slice why)
{
    r->unanswered -= r->unanswered > 0;
    peal_stat_add(&loop_of(r)->stats, PEAL_STAT_BACKPLANE_ERRORS, 1);
    if (peal_slice_starts(why, PEAL_S("READONLY")) ||
        peal_slice_starts(why, PEAL_S("LOADING")) ||
        peal_slice_starts(why, PEAL_S("MASTERDOWN"))) {
        down(r, why.data);
        return;
    }
    if (!r->refused)
        peal_log(loop_of(r)->config.log, PEAL_LOG_WARN, "redis refused a publish",
            "why=\"%s\"", why.data);
    r->refused = true;
}

/* How many got it. An error is about one publish (no permission, for example), or says
 * that this server is of no use any more. */
static void
on_out(void *arg, const redisReply *reply)
{
    struct redis *r = arg;

    if (reply->type == REDIS_REPLY_INTEGER)
        r->unanswered -= r->unanswered > 0;
    else if (reply->type == REDIS_REPLY_ERROR)
        on_error(r, peal_redis_text(reply));
}

static const struct peal_redis_conn_ops in_ops = {
    .ready = on_in_ready, .reply = on_in, .closed = on_in_closed
};

/* One after the other: what is wrong is wrong once. */
static void
on_out_ready(void *arg)
{
    struct redis *r = arg;

    if (peal_redis_conn_new(loop_of(r), &r->config, &in_ops, r, &r->in) != PEAL_OK)
        down(r, "cannot dial");
}

static const struct peal_redis_conn_ops out_ops = {
    .ready = on_out_ready, .reply = on_out, .closed = on_out_closed
};

static void
connect_to(struct redis *r, const char *host, uint16_t port)
{
    r->config.host = host;
    r->config.port = port;
    if (peal_redis_conn_new(loop_of(r), &r->config, &out_ops, r, &r->out) != PEAL_OK)
        down(r, "cannot dial");
}

static void
begin(struct redis *r)
{
    const struct peal_redis_host *h = &r->url.hosts[r->next++ % r->url.n_hosts];

    if (r->sentinel != NULL)
        peal_sentinel_ask(r->sentinel);
    else
        connect_to(r, h->name, h->port);
}

static void
on_again(struct peal_timer *t)
{
    begin(PEAL_CONTAINER(t, struct redis, again));
}

static void
redis_start(struct peal_backplane *b)
{
    begin((struct redis *)b);
}

/* Sentinel says where the master is. */
static void
on_master(void *arg, const char *host, uint16_t port)
{
    struct redis *r = arg;
    bool same = port == r->config.port && strcmp(host, r->config.host) == 0;
    char *copy;

    if (r->out != NULL && same)
        return;
    if (r->out != NULL)
        down(r, "the master has moved");
    if ((copy = strdup(host)) == NULL) {
        down(r, "out of memory");
        return;
    }
    peal_timer_stop(&r->again);
    free(r->master);
    r->master = copy;
    connect_to(r, copy, port);
}

/* It goes on asking by itself. */
static void
on_no_master(void *arg, const char *why)
{
    struct redis *r = arg;

    if (r->out != NULL)
        return;
    down(r, why);
    peal_timer_stop(&r->again);
}

static const struct peal_sentinel_ops sentinel_ops = { .master = on_master,
    .none = on_no_master };

static void
tell_in(struct redis *r, struct peal_slice command, struct peal_slice topic)
{
    struct peal_slice words[] = { command, topic };

    if (r->up)
        peal_redis_conn_command(r->in, words, 2);
}

static void
redis_subscribe(struct peal_backplane *b, struct peal_slice topic)
{
    struct redis *r = (struct redis *)b;

    tell_in(r, r->sharded ? PEAL_S("SSUBSCRIBE") : PEAL_S("SUBSCRIBE"), topic);
}

static void
redis_unsubscribe(struct peal_backplane *b, struct peal_slice topic)
{
    struct redis *r = (struct redis *)b;

    tell_in(r, r->sharded ? PEAL_S("SUNSUBSCRIBE") : PEAL_S("UNSUBSCRIBE"), topic);
}

static void
redis_subscribe_pattern(struct peal_backplane *b, struct peal_slice pattern)
{
    tell_in((struct redis *)b, PEAL_S("PSUBSCRIBE"), pattern);
}

static void
redis_unsubscribe_pattern(struct peal_backplane *b, struct peal_slice pattern)
{
    tell_in((struct redis *)b, PEAL_S("PUNSUBSCRIBE"), pattern);
}

static void
redis_publish(struct peal_backplane *b, const struct peal_payload *list, unsigned n)
{
    struct redis *r = (struct redis *)b;
    struct peal_slice words[] = { r->sharded ? PEAL_S("SPUBLISH") : PEAL_S("PUBLISH"),
        PEAL_S(""), PEAL_S("") };

    for (unsigned i = 0; r->up && i < n; i++) {
        words[1] = list[i].topic;
        words[2] = list[i].bytes;
        peal_redis_conn_command(r->out, words, 3);
        r->unanswered++;
    }
}

static size_t
redis_queued(const struct peal_backplane *b)
{
    const struct redis *r = (const struct redis *)b;

    return r->out != NULL ? peal_redis_conn_queued(r->out) : 0;
}

static void
redis_restart(struct peal_backplane *b, const char *why)
{
    struct redis *r = (struct redis *)b;

    if (r->up)
        down(r, why);
}

static void
redis_free(struct peal_backplane *b)
{
    struct redis *r = (struct redis *)b;

    peal_timer_stop(&r->again);
    peal_redis_conn_close(&r->in);
    peal_redis_conn_close(&r->out);
    peal_sentinel_free(&r->sentinel);
    peal_tls_ctx_release(r->tls);
    peal_redis_url_fini(&r->url);
    free(r->master);
    free(r->name);
    free(r);
}

static const struct peal_backplane_ops ops = { .name = "redis",
    .start = redis_start,
    .subscribe = redis_subscribe,
    .unsubscribe = redis_unsubscribe,
    .subscribe_pattern = redis_subscribe_pattern,
    .unsubscribe_pattern = redis_unsubscribe_pattern,
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
        .db = u->db,
        .name = r->name,
        .master = u->kind == PEAL_REDIS_SENTINEL };
    if (u->kind != PEAL_REDIS_SENTINEL)
        return PEAL_OK;
    return peal_sentinel_new(
        r->link.loop, u, r->tls, r->name, &sentinel_ops, r, &r->sentinel);
}

peal_err
peal_redis_new(struct peal_loop *loop, struct peal_redis_url *url, bool sharded,
    const char *name, struct peal_backplane **out, struct peal_buf *why)
{
    struct redis *r;
    peal_err err;

    if (sharded && url->kind == PEAL_REDIS_CLUSTER)
        return peal_redis_cluster_new(loop, url, name, out, why);
    if ((r = calloc(1, sizeof(*r))) == NULL)
        return PEAL_ENOMEM;
    r->b.ops = &ops;
    r->link.loop = loop;
    r->sharded = sharded;
    r->again.fn = on_again;
    r->url = *url;
    *url = (struct peal_redis_url){ 0 };
    if ((err = prepare(r, name, why)) != PEAL_OK) {
        redis_free(&r->b);
        return err;
    }
    *out = &r->b;
    return PEAL_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * One Redis as the backplane. Two connections, for a listening one may send little else;
 * it is up when both are greeted. When one ends the other is ended too: what one of them
 * missed cannot be told, so both begin again.
 */
#include "backplane/redis.h"

#include <stdlib.h>

#include "backplane/redis_conn.h"
#include "base/id.h"

#define AGAIN_MIN_MS 100
#define AGAIN_MAX_MS 5000

struct redis {
    struct peal_backplane b; /* first */
    struct peal_loop *loop;
    struct peal_redis_url url;
    char *name;
    struct peal_tls_ctx *tls;
    struct peal_redis_conn_config config;
    struct peal_redis_conn *in, *out; /* NULL: not there */
    struct peal_timer again;
    unsigned ready;      /* of the two */
    unsigned attempts;   /* since it was last up */
    uint64_t unanswered; /* publishes */
    bool up, sharded;
};

static void connect_both(struct redis *r);

/* Full jitter below a doubling bound, so that the nodes of a cluster do not all come back
 * in step. */
static uint64_t
pause_ms(const struct redis *r)
{
    uint64_t max = AGAIN_MAX_MS;

    if (r->attempts < 6)
        max = (uint64_t)AGAIN_MIN_MS << r->attempts;
    return AGAIN_MIN_MS / 2 + peal_random_u64() % max;
}

static void
down(struct redis *r, const char *why)
{
    uint64_t pause = pause_ms(r);
    bool was_up = r->up;

    peal_redis_conn_close(&r->in);
    peal_redis_conn_close(&r->out);
    if (was_up || r->attempts == 0)
        peal_log(r->loop->config.log, PEAL_LOG_WARN, "redis is not there",
            "host=%s port=%u why=\"%s\" unanswered=%llu", r->config.host, r->config.port,
            why, (unsigned long long)r->unanswered);
    peal_stat_add(
        &r->loop->stats, PEAL_STAT_BACKPLANE_UNANSWERED, (int64_t)r->unanswered);
    r->unanswered = 0;
    r->ready = 0;
    r->up = false;
    r->attempts++;
    peal_loop_start(r->loop, &r->again, pause);
    if (was_up)
        r->b.events->down(r->b.arg);
}

static void
on_ready(void *arg)
{
    struct redis *r = arg;

    if (++r->ready < 2)
        return;
    r->up = true;
    r->attempts = 0;
    peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_CONNECTS, 1);
    peal_log(r->loop->config.log, PEAL_LOG_INFO, "redis is there", "host=%s port=%u",
        r->config.host, r->config.port);
    r->b.events->up(r->b.arg);
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

static struct peal_slice
text_of(const redisReply *reply)
{
    bool has = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;

    return peal_slice_of(has ? reply->str : "", has ? (size_t)reply->len : 0);
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
    kind = text_of(reply->element[0]);
    topic = text_of(reply->element[reply->elements - 2]);
    if (peal_slice_eq(kind, PEAL_S("message")) ||
        peal_slice_eq(kind, PEAL_S("smessage")) ||
        peal_slice_eq(kind, PEAL_S("pmessage")))
        r->b.events->message(
            r->b.arg, topic, text_of(reply->element[reply->elements - 1]));
    else if (peal_slice_eq(kind, PEAL_S("subscribe")) ||
             peal_slice_eq(kind, PEAL_S("ssubscribe")) ||
             peal_slice_eq(kind, PEAL_S("psubscribe")))
        r->b.events->subscribed(r->b.arg, topic);
    else if (peal_slice_eq(kind, PEAL_S("sunsubscribe")))
        r->b.events->lost(r->b.arg, topic);
}

/* How many got it. An error here is about one publish (no permission, for example), or
 * says that this server cannot be written to any more. */
static void
on_out(void *arg, const redisReply *reply)
{
    struct redis *r = arg;

    if (reply->type == REDIS_REPLY_INTEGER) {
        r->unanswered -= r->unanswered > 0;
        return;
    }
    if (reply->type == REDIS_REPLY_ARRAY) { /* of EXEC */
        r->unanswered -=
            r->unanswered < reply->elements ? r->unanswered : reply->elements;
        return;
    }
    if (reply->type != REDIS_REPLY_ERROR)
        return;
    r->unanswered -= r->unanswered > 0;
    peal_stat_add(&r->loop->stats, PEAL_STAT_BACKPLANE_ERRORS, 1);
    if (strncmp(reply->str, "READONLY", 8) == 0 ||
        strncmp(reply->str, "LOADING", 7) == 0 ||
        strncmp(reply->str, "MASTERDOWN", 10) == 0)
        down(r, reply->str);
    else
        peal_log(r->loop->config.log, PEAL_LOG_WARN, "redis refused a publish",
            "why=\"%s\"", reply->str);
}

static const struct peal_redis_conn_ops in_ops = {
    .ready = on_ready, .reply = on_in, .closed = on_in_closed
};
static const struct peal_redis_conn_ops out_ops = {
    .ready = on_ready, .reply = on_out, .closed = on_out_closed
};

static void
connect_both(struct redis *r)
{
    if (peal_redis_conn_new(r->loop, &r->config, &in_ops, r, &r->in) != PEAL_OK ||
        peal_redis_conn_new(r->loop, &r->config, &out_ops, r, &r->out) != PEAL_OK)
        down(r, "cannot dial");
}

static void
on_again(struct peal_timer *t)
{
    connect_both(PEAL_CONTAINER(t, struct redis, again));
}

static void
redis_start(struct peal_backplane *b)
{
    connect_both((struct redis *)b);
}

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
redis_publish(
    struct peal_backplane *b, const struct peal_payload *list, unsigned n, bool together)
{
    struct redis *r = (struct redis *)b;
    struct peal_slice words[3] = { PEAL_S("MULTI") };

    if (!r->up)
        return;
    if (together)
        peal_redis_conn_command(r->out, words, 1);
    for (unsigned i = 0; i < n; i++) {
        words[0] = r->sharded ? PEAL_S("SPUBLISH") : PEAL_S("PUBLISH");
        words[1] = list[i].topic;
        words[2] = list[i].bytes;
        peal_redis_conn_command(r->out, words, 3);
        r->unanswered++;
    }
    words[0] = PEAL_S("EXEC");
    if (together)
        peal_redis_conn_command(r->out, words, 1);
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
    peal_tls_ctx_drop(r->tls);
    peal_redis_url_fini(&r->url);
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

peal_err
peal_redis_new(struct peal_loop *loop, struct peal_redis_url *url, bool sharded,
    const char *name, struct peal_backplane **out, struct peal_buf *why)
{
    struct redis *r = calloc(1, sizeof(*r));
    peal_err err = PEAL_ENOMEM;

    if (r == NULL)
        return PEAL_ENOMEM;
    r->b.ops = &ops;
    r->loop = loop;
    r->sharded = sharded;
    r->again.fn = on_again;
    if ((r->name = strdup(name)) == NULL)
        goto fail;
    r->url = *url;
    *url = (struct peal_redis_url){ 0 };
#ifdef TLS_CLIENT
    if (r->url.tls && (err = peal_tls_client_ctx_new(r->url.ca, r->url.cert, r->url.key,
                           r->url.verify, &r->tls, why)) != PEAL_OK)
        goto fail;
#endif
    r->config = (struct peal_redis_conn_config){ .host = r->url.hosts[0].name,
        .port = r->url.hosts[0].port,
        .tls = r->tls,
        .user = r->url.user,
        .password = r->url.password,
        .db = r->url.db,
        .name = r->name };
    *out = &r->b;
    return PEAL_OK;
fail:
    redis_free(&r->b);
    return err;
}

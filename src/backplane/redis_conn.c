/* SPDX-License-Identifier: MIT */
/*
 * A connection to a Redis. The greeting is sent in one go and its replies are counted.
 *
 *   DIALLING ----> GREETING ----> READY
 *       |              |            |
 *       +--------------+------------+----> FAILED ----> OVER
 *
 * A failure is found anywhere on the stack, so the timer tells it; every state may also
 * become OVER at once, when the owner closes the connection or the other side does.
 *
 * One timer: first it is the deadline of the greeting, then it ticks. Ticks are counted,
 * not time: a process that was stopped for a while finds its timers due before it has
 * seen what has come meanwhile.
 */
#include "backplane/redis_conn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/dial.h"

#define TICK_MS 1000
#define SILENT_MAX 4 /* ticks without a sign of life */

enum redis_conn_state {
    DIALLING,
    GREETING,
    READY,
    FAILED, /* why says it; the timer tells it */
    OVER
};

struct peal_redis_conn {
    struct peal_loop *loop;
    const struct peal_redis_conn_config *config;
    const struct peal_redis_conn_ops *ops;
    void *arg;
    struct peal_dial *dial; /* NULL: done */
    struct peal_conn *conn; /* NULL: not yet, or gone */
    redisReader *reader;
    struct peal_timer timer; /* the deadline, the tick, or the failure to be told */
    unsigned greetings;      /* replies still to come */
    unsigned tolerated;      /* a bit for each of them that may be an error */
    unsigned silent;         /* ticks in a row in which nothing came */
    bool heard;              /* since the last tick */
    enum redis_conn_state state;
    bool tells_role;
    char why[160];
};

/* One function moves a connection from state to state. */
static void
set_state(struct peal_redis_conn *c, enum redis_conn_state to)
{
    PEAL_ASSERT(to == OVER     ? c->state != OVER
                : to == FAILED ? c->state < FAILED
                               : to == c->state + 1);
    c->state = to;
}

static void
redis_conn_destroy(void *p)
{
    struct peal_redis_conn *c = p;

    redisReaderFree(c->reader);
    free(c);
}

/* The owner is not told. */
static void
redis_conn_release(struct peal_redis_conn *c)
{
    set_state(c, OVER);
    peal_timer_stop(&c->timer);
    if (c->dial != NULL)
        peal_dial_cancel(&c->dial);
    if (c->conn != NULL)
        peal_conn_close(c->conn, PEAL_CLOSE_LOCAL);
    c->conn = NULL;
    peal_loop_free_later(c->loop, redis_conn_destroy, c);
}

static void
redis_conn_end(struct peal_redis_conn *c, const char *why)
{
    if (c->state == OVER)
        return;
    redis_conn_release(c);
    c->ops->closed(c->arg, why);
}

static void
redis_conn_on_timer(struct peal_timer *t)
{
    struct peal_redis_conn *c = PEAL_CONTAINER(t, struct peal_redis_conn, timer);
    struct peal_slice ping = PEAL_S("PING");

    c->silent = c->heard ? 0 : c->silent + 1;
    if (c->state != READY || c->silent > SILENT_MAX) {
        redis_conn_end(c, c->state == FAILED ? c->why : "no answer in time");
        return;
    }
    c->heard = false;
    peal_loop_start(c->loop, t, TICK_MS);
    if (c->silent > 0)
        peal_redis_conn_command(c, &ping, 1);
}

/* The owner is told by the timer: this may be called from inside a function of its own.
 */
static void
fail(struct peal_redis_conn *c, const char *what, const char *detail)
{
    if (c->state >= FAILED)
        return;
    set_state(c, FAILED);
    snprintf(c->why, sizeof(c->why), "%s%s", what, detail);
    peal_loop_start(c->loop, &c->timer, 0);
}

/* The reply to a PING is PONG, or [pong, ""] once something is subscribed. */
static bool
is_pong(const redisReply *r)
{
    if (r->type == REDIS_REPLY_ARRAY)
        return r->elements == 2 &&
               peal_slice_eq(peal_redis_text(r->element[0]), PEAL_S("pong"));
    return r->type == REDIS_REPLY_STATUS &&
           peal_slice_eq(peal_redis_text(r), PEAL_S("PONG"));
}

/* ROLE is the last word of the greeting. false: the connection has failed. */
static bool
check_role(struct peal_redis_conn *c, const redisReply *r)
{
    struct peal_slice role = peal_redis_role_of(r);
    char text[32];

    c->tells_role = role.len > 0;
    if (peal_slice_eq(role, PEAL_S("master")) ||
        (role.len == 0 && c->config->role != PEAL_REDIS_MASTER))
        return true;
    snprintf(text, sizeof(text), "%.*s", PEAL_ARG(role));
    fail(c, "it is not a master, its role is ", text);
    return false;
}

static void
redis_conn_on_greeting(struct peal_redis_conn *c, const redisReply *r)
{
    bool tolerated = c->tolerated & 1;

    c->tolerated >>= 1;
    c->greetings--;
    if (r->type == REDIS_REPLY_ERROR && !tolerated) {
        fail(c, "redis answered: ", r->str);
        return;
    }
    if (c->greetings > 0)
        return;
    if (c->config->role != PEAL_REDIS_ANY_ROLE && !check_role(c, r))
        return;
    set_state(c, READY);
    peal_loop_start(c->loop, &c->timer, TICK_MS);
    c->ops->ready(c->arg);
}

static void
redis_conn_on_reply(struct peal_redis_conn *c, const redisReply *r)
{
    if (c->state == GREETING)
        redis_conn_on_greeting(c, r);
    else if (!is_pong(r))
        c->ops->reply(c->arg, r);
}

static size_t
redis_conn_on_data(struct peal_conn *conn, uint8_t *data, size_t len)
{
    struct peal_redis_conn *c = peal_conn_owner(conn);
    void *reply = NULL;

    c->heard = true;
    if (redisReaderFeed(c->reader, (const char *)data, len) != REDIS_OK) {
        fail(c, "out of memory", "");
        return len;
    }
    while (c->state < FAILED) {
        if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
            fail(c, "not a Redis: ", c->reader->errstr);
            break;
        }
        if (reply == NULL)
            break;
        redis_conn_on_reply(c, reply);
        freeReplyObject(reply);
    }
    return len;
}

static void
redis_conn_on_closed(struct peal_conn *conn, enum peal_close why)
{
    struct peal_redis_conn *c = peal_conn_owner(conn);
    const char *tls_why = peal_loop_take_tls_why(c->loop);

    c->conn = NULL;
    if (why == PEAL_CLOSE_ERROR && tls_why != NULL) {
        snprintf(c->why, sizeof(c->why), "TLS: %s", tls_why);
        redis_conn_end(c, c->why);
        return;
    }
    redis_conn_end(c, why == PEAL_CLOSE_SLOW ? "it does not read what it is sent"
                                             : "closed by the other side");
}

static const struct peal_conn_ops conn_ops = { .data = redis_conn_on_data,
    .closed = redis_conn_on_closed };

/* The meaning of an error in answer to a greeting. */
enum on_error {
    FAIL,
    TOLERATE
};

static void
redis_conn_say(struct peal_redis_conn *c, enum on_error what,
    const struct peal_slice *words, unsigned n)
{
    c->tolerated |= (unsigned)(what == TOLERATE) << c->greetings++;
    peal_redis_conn_command(c, words, n);
}

static void
authenticate(struct peal_redis_conn *c)
{
    const struct peal_redis_conn_config *f = c->config;
    struct peal_slice w[3];
    unsigned n = 0;

    w[n++] = PEAL_S("AUTH");
    if (f->user != NULL)
        w[n++] = peal_slice_str(f->user);
    w[n++] = peal_slice_str(f->password);
    redis_conn_say(c, f->lenient ? TOLERATE : FAIL, w, n);
}

static void
greet(struct peal_redis_conn *c)
{
    const struct peal_redis_conn_config *f = c->config;
    struct peal_slice w[3];

    if (f->password != NULL)
        authenticate(c);
    if (f->name != NULL) {
        w[0] = PEAL_S("CLIENT");
        w[1] = PEAL_S("SETNAME");
        w[2] = peal_slice_str(f->name);
        redis_conn_say(c, TOLERATE, w, 3);
    }
    w[0] = PEAL_S("PING");
    if (f->role != PEAL_REDIS_MASTER)
        redis_conn_say(c, FAIL, w, 1);
    w[0] = PEAL_S("ROLE");
    if (f->role != PEAL_REDIS_ANY_ROLE)
        redis_conn_say(c, f->role == PEAL_REDIS_MASTER_IF_TOLD ? TOLERATE : FAIL, w, 1);
}

static void
redis_conn_on_dialled(void *arg, peal_err err, int fd)
{
    struct peal_redis_conn *c = arg;

    c->dial = NULL;
    if (err != PEAL_OK) {
        redis_conn_end(c, err == PEAL_ETIMEOUT    ? "no answer in time"
                          : err == PEAL_ENOTFOUND ? "its host name does not resolve"
                                                  : "cannot be reached");
        return;
    }
    if (peal_conn_new(c->loop, fd, PEAL_CONN_INNER, &conn_ops, c, &c->conn) != PEAL_OK) {
        close(fd);
        redis_conn_end(c, "out of memory");
        return;
    }
    if (c->config->tls != NULL &&
        peal_conn_start_tls_client(c->conn, c->config->tls, c->config->host) != PEAL_OK) {
        redis_conn_end(c, "out of memory");
        return;
    }
    set_state(c, GREETING);
    greet(c);
}

peal_err
peal_redis_conn_new(struct peal_loop *loop, const struct peal_redis_conn_config *config,
    const struct peal_redis_conn_ops *ops, void *arg, struct peal_redis_conn **out)
{
    struct peal_redis_conn *c = calloc(1, sizeof(*c));
    peal_err err = PEAL_ENOMEM;

    if (c == NULL || (c->reader = redisReaderCreate()) == NULL)
        goto fail;
    c->loop = loop;
    c->config = config;
    c->ops = ops;
    c->arg = arg;
    c->timer.fn = redis_conn_on_timer;
    if ((err = peal_dial(loop, config->host, config->port, PEAL_REDIS_DEADLINE_MS,
             redis_conn_on_dialled, c, &c->dial)) != PEAL_OK)
        goto fail;
    peal_loop_start(loop, &c->timer, PEAL_REDIS_DEADLINE_MS);
    *out = c;
    return PEAL_OK;
fail:
    if (c != NULL && c->reader != NULL)
        redisReaderFree(c->reader);
    free(c);
    return err;
}

struct peal_blob *
peal_redis_command(const struct peal_slice *words, unsigned n)
{
    struct peal_blob *b;
    size_t len = 24;
    char *at;

    for (unsigned i = 0; i < n; i++)
        len += words[i].len + 28;
    if ((b = peal_blob_new(len)) == NULL)
        return NULL;
    at = b->data + snprintf(b->data, len, "*%u\r\n", n);
    for (unsigned i = 0; i < n; i++) {
        at += snprintf(at, 28, "$%zu\r\n", words[i].len);
        if (words[i].len > 0)
            memcpy(at, words[i].data, words[i].len);
        at += words[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    b->len = (uint32_t)(at - b->data);
    return b;
}

void
peal_redis_conn_send(struct peal_redis_conn *c, struct peal_blob *command)
{
    if (c->conn == NULL || c->state == OVER)
        return;
    if (command == NULL)
        fail(c, "out of memory", "");
    else if (!peal_conn_send(c->conn, command, 0))
        fail(c, "it does not read what it is sent", "");
}

void
peal_redis_conn_command(
    struct peal_redis_conn *c, const struct peal_slice *words, unsigned n)
{
    struct peal_blob *b = peal_redis_command(words, n);

    peal_redis_conn_send(c, b);
    peal_blob_release(b);
}

struct peal_slice
peal_redis_text(const redisReply *reply)
{
    bool has = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
               reply->type == REDIS_REPLY_ERROR;

    return peal_slice_of(has ? reply->str : "", has ? (size_t)reply->len : 0);
}

struct peal_slice
peal_redis_role_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return PEAL_S("");
    return peal_redis_text(reply->element[0]);
}

bool
peal_redis_conn_tells_role(const struct peal_redis_conn *c)
{
    return c->tells_role;
}

size_t
peal_redis_conn_queued(const struct peal_redis_conn *c)
{
    return c->conn != NULL ? peal_conn_queued(c->conn) : 0;
}

void
peal_redis_conn_close(struct peal_redis_conn **cp)
{
    if (*cp != NULL && (*cp)->state != OVER)
        redis_conn_release(*cp);
    *cp = NULL;
}

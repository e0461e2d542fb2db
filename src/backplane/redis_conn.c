/* SPDX-License-Identifier: MIT */
/* A connection to a Redis. The greeting is sent in one go and its replies are counted. */
#include "backplane/redis_conn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/dial.h"

struct peal_redis_conn {
    struct peal_loop *loop;
    const struct peal_redis_conn_config *config;
    const struct peal_redis_conn_ops *ops;
    void *arg;
    struct peal_dial *dial; /* NULL: done */
    struct peal_conn *conn; /* NULL: not yet, or gone */
    redisReader *reader;
    struct peal_timer timer; /* the deadline, or the end of one that failed */
    unsigned greetings;      /* replies still to come */
    bool ready, over;
    char why[160];
};

static void
destroy(void *p)
{
    struct peal_redis_conn *c = p;

    redisReaderFree(c->reader);
    free(c);
}

/* Nobody is told. */
static void
release(struct peal_redis_conn *c)
{
    c->over = true;
    peal_timer_stop(&c->timer);
    if (c->dial != NULL)
        peal_dial_cancel(&c->dial);
    if (c->conn != NULL)
        peal_conn_close(c->conn, PEAL_CLOSE_LOCAL);
    c->conn = NULL;
    peal_loop_free_later(c->loop, destroy, c);
}

static void
end(struct peal_redis_conn *c, const char *why)
{
    if (c->over)
        return;
    release(c);
    c->ops->closed(c->arg, why);
}

static void
on_timer(struct peal_timer *t)
{
    struct peal_redis_conn *c = PEAL_CONTAINER(t, struct peal_redis_conn, timer);

    end(c, c->why[0] != '\0' ? c->why : "no answer in time");
}

/* To be told later, for we may be anywhere on the stack. */
static void
fail(struct peal_redis_conn *c, const char *what, const char *detail)
{
    if (c->over || c->why[0] != '\0')
        return;
    snprintf(c->why, sizeof(c->why), "%s%s", what, detail);
    peal_loop_start(c->loop, &c->timer, 0);
}

static void
on_reply(struct peal_redis_conn *c, const redisReply *r)
{
    if (c->ready) {
        c->ops->reply(c->arg, r);
        return;
    }
    if (r->type == REDIS_REPLY_ERROR) {
        fail(c, "it said: ", r->str);
        return;
    }
    if (--c->greetings > 0)
        return;
    c->ready = true;
    peal_timer_stop(&c->timer);
    c->ops->ready(c->arg);
}

static size_t
on_data(struct peal_conn *conn, uint8_t *data, size_t len)
{
    struct peal_redis_conn *c = peal_conn_owner(conn);
    void *reply = NULL;

    if (redisReaderFeed(c->reader, (const char *)data, len) != REDIS_OK) {
        fail(c, "out of memory", "");
        return len;
    }
    while (!c->over && c->why[0] == '\0') {
        if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
            fail(c, "this is no Redis: ", c->reader->errstr);
            break;
        }
        if (reply == NULL)
            break;
        on_reply(c, reply);
        freeReplyObject(reply);
    }
    return len;
}

static void
on_closed(struct peal_conn *conn, enum peal_close why)
{
    struct peal_redis_conn *c = peal_conn_owner(conn);

    c->conn = NULL;
    end(c, why == PEAL_CLOSE_SLOW    ? "it does not take what it is sent"
           : why == PEAL_CLOSE_ERROR ? "TLS failed"
                                     : "closed by the other side");
}

static const struct peal_conn_ops conn_ops = { .data = on_data, .closed = on_closed };

static void
greet(struct peal_redis_conn *c)
{
    const struct peal_redis_conn_config *f = c->config;
    struct peal_slice w[3];
    char db[16];

    if (f->password != NULL) {
        unsigned n = 0;

        w[n++] = PEAL_S("AUTH");
        if (f->user != NULL)
            w[n++] = peal_slice_str(f->user);
        w[n++] = peal_slice_str(f->password);
        c->greetings++;
        peal_redis_conn_command(c, w, n);
    }
    if (f->db > 0) {
        snprintf(db, sizeof(db), "%u", f->db);
        w[0] = PEAL_S("SELECT");
        w[1] = peal_slice_str(db);
        c->greetings++;
        peal_redis_conn_command(c, w, 2);
    }
    if (f->name != NULL) {
        w[0] = PEAL_S("CLIENT");
        w[1] = PEAL_S("SETNAME");
        w[2] = peal_slice_str(f->name);
        c->greetings++;
        peal_redis_conn_command(c, w, 3);
    }
    w[0] = PEAL_S("PING");
    c->greetings++;
    peal_redis_conn_command(c, w, 1);
}

static void
on_dialled(void *arg, peal_err err, int fd)
{
    struct peal_redis_conn *c = arg;

    c->dial = NULL;
    if (err != PEAL_OK) {
        end(c, err == PEAL_ETIMEOUT ? "no answer in time" : "cannot be reached");
        return;
    }
    if (peal_conn_new(c->loop, fd, &conn_ops, c, &c->conn) != PEAL_OK) {
        close(fd);
        end(c, "out of memory");
        return;
    }
#ifdef TLS_CLIENT
    if (c->config->tls != NULL &&
        peal_conn_start_tls_client(c->conn, c->config->tls, c->config->host) != PEAL_OK) {
        end(c, "out of memory");
        return;
    }
#endif
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
    c->timer.fn = on_timer;
    if ((err = peal_dial(loop, config->host, config->port, PEAL_REDIS_DEADLINE_MS,
             on_dialled, c, &c->dial)) != PEAL_OK)
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

void
peal_redis_conn_command(
    struct peal_redis_conn *c, const struct peal_slice *words, unsigned n)
{
    struct peal_blob *b;
    size_t len = 24;
    char *at;

    if (c->conn == NULL || c->over)
        return;
    for (unsigned i = 0; i < n; i++)
        len += words[i].len + 28;
    if ((b = peal_blob_new(len)) == NULL) {
        fail(c, "out of memory", "");
        return;
    }
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
    if (!peal_conn_send(c->conn, b, 0))
        fail(c, "it does not take what it is sent", "");
    peal_blob_drop(b);
}

size_t
peal_redis_conn_queued(const struct peal_redis_conn *c)
{
    return c->conn != NULL ? peal_conn_queued(c->conn) : 0;
}

void
peal_redis_conn_close(struct peal_redis_conn **cp)
{
    if (*cp != NULL && !(*cp)->over)
        release(*cp);
    *cp = NULL;
}

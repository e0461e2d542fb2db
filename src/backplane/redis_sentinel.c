/* SPDX-License-Identifier: MIT */
/*
 * Sentinels are asked one after the other, in rounds with a pause between them, until one
 * of them knows the master. What it has said is true until one says otherwise.
 */
#include "backplane/redis_sentinel.h"

#include <stdio.h>
#include <stdlib.h>

#include "backplane/redis_conn.h"
#include "backplane/redis_link.h"

#define WORDS 5 /* of +switch-master: name, old host and port, new host and port */

struct peal_sentinel {
    struct peal_loop *loop;
    const struct peal_redis_url *url;
    const struct peal_sentinel_ops *ops;
    void *arg;
    struct peal_redis_conn_config config;
    struct peal_redis_conn *conn; /* NULL: between two of them */
    struct peal_timer again;      /* runs between two rounds */
    unsigned next;                /* the host to ask next */
    unsigned asked;               /* in this round */
    unsigned attempts;            /* rounds without an answer */
    bool knows;                   /* the one we are connected to */
    char why[192];                /* the last one did not know */
};

static void ask_next(struct peal_sentinel *s);

static void
round_is_over(struct peal_sentinel *s)
{
    peal_loop_start(s->loop, &s->again, peal_redis_pause(s->attempts++));
    s->ops->none(s->arg, s->why);
}

/* The Sentinel that was asked does not know, or cannot be reached. */
static void
give_up(struct peal_sentinel *s, const char *why)
{
    snprintf(s->why, sizeof(s->why), "sentinel %s:%u: %s", s->config.host, s->config.port,
        why);
    peal_redis_conn_close(&s->conn);
    s->knows = false;
    ask_next(s);
}

static void
begin_round(struct peal_sentinel *s)
{
    peal_timer_stop(&s->again);
    s->asked = 0;
    ask_next(s);
}

static void
sentinel_on_again(struct peal_timer *t)
{
    begin_round(PEAL_CONTAINER(t, struct peal_sentinel, again));
}

static void
sentinel_on_ready(void *arg)
{
    struct peal_sentinel *s = arg;
    struct peal_slice ask[] = { PEAL_S("SENTINEL"), PEAL_S("get-master-addr-by-name"),
        peal_slice_str(s->url->master) };
    struct peal_slice watch[] = { PEAL_S("SUBSCRIBE"), PEAL_S("+switch-master") };

    peal_redis_conn_command(s->conn, ask, 3);
    peal_redis_conn_command(s->conn, watch, 2);
}

static void
sentinel_tell(struct peal_sentinel *s, struct peal_slice host, struct peal_slice port)
{
    char name[256];
    uint64_t n;

    if (host.len == 0 || host.len >= sizeof(name) ||
        peal_slice_u64(port, 65535, &n) != PEAL_OK || n == 0) {
        give_up(s, "it reported an address that is not valid");
        return;
    }
    memcpy(name, host.data, host.len);
    name[host.len] = '\0';
    s->knows = true;
    s->attempts = 0;
    s->ops->master(s->arg, name, (uint16_t)n);
}

static void
sentinel_on_switch(struct peal_sentinel *s, struct peal_slice text)
{
    struct peal_slice words[WORDS];

    for (unsigned i = 0; i < WORDS; i++)
        words[i] = peal_slice_cut(&text, ' ');
    if (peal_slice_eq(words[0], peal_slice_str(s->url->master)))
        sentinel_tell(s, words[3], words[4]);
}

/* [host, port] or nil; [subscribe, ...]; [message, +switch-master, text] */
static void
sentinel_on_reply(void *arg, const redisReply *r)
{
    struct peal_sentinel *s = arg;

    if (r->type == REDIS_REPLY_ERROR) {
        give_up(s, r->str);
    } else if (!s->knows) {
        if (r->type == REDIS_REPLY_ARRAY && r->elements == 2)
            sentinel_tell(
                s, peal_redis_text(r->element[0]), peal_redis_text(r->element[1]));
        else
            give_up(s, "it does not know this master");
    } else if (r->type == REDIS_REPLY_ARRAY && r->elements == 3 &&
               peal_slice_eq(peal_redis_text(r->element[0]), PEAL_S("message"))) {
        sentinel_on_switch(s, peal_redis_text(r->element[2]));
    }
}

static void
sentinel_on_closed(void *arg, const char *why)
{
    struct peal_sentinel *s = arg;

    s->conn = NULL;
    if (!s->knows) {
        give_up(s, why);
        return;
    }
    s->knows = false; /* what it said holds; the next one is found in no hurry */
    peal_loop_start(s->loop, &s->again, peal_redis_pause(0));
}

static const struct peal_redis_conn_ops conn_ops = {
    .ready = sentinel_on_ready, .reply = sentinel_on_reply, .closed = sentinel_on_closed
};

static void
ask_next(struct peal_sentinel *s)
{
    while (s->asked < s->url->n_hosts) {
        const struct peal_redis_host *h = &s->url->hosts[s->next++ % s->url->n_hosts];

        s->asked++;
        s->config.host = h->name;
        s->config.port = h->port;
        if (peal_redis_conn_new(s->loop, &s->config, &conn_ops, s, &s->conn) == PEAL_OK)
            return;
        s->conn = NULL;
        snprintf(s->why, sizeof(s->why), "cannot dial a sentinel");
    }
    round_is_over(s);
}

peal_err
peal_sentinel_new(struct peal_loop *loop, const struct peal_redis_url *url,
    struct peal_tls_ctx *tls, const char *name, const struct peal_sentinel_ops *ops,
    void *arg, struct peal_sentinel **out)
{
    struct peal_sentinel *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return PEAL_ENOMEM;
    s->loop = loop;
    s->url = url;
    s->ops = ops;
    s->arg = arg;
    s->again.fn = sentinel_on_again;
    /* Sentinels may have the password of their Redis, or none. */
    s->config = (struct peal_redis_conn_config){ .tls = tls,
        .user = url->user,
        .password = url->password,
        .name = name,
        .lenient = true };
    *out = s;
    return PEAL_OK;
}

void
peal_sentinel_ask(struct peal_sentinel *s)
{
    if (s->knows) {
        peal_redis_conn_close(&s->conn);
        s->knows = false;
        begin_round(s);
    } else if (s->conn == NULL && !peal_timer_active(&s->again)) {
        begin_round(s);
    }
}

void
peal_sentinel_free(struct peal_sentinel **sp)
{
    struct peal_sentinel *s = *sp;

    if (s == NULL)
        return;
    *sp = NULL;
    peal_timer_stop(&s->again);
    peal_redis_conn_close(&s->conn);
    free(s);
}

/* SPDX-License-Identifier: MIT */
/*
 * Admission: what keeps a storm of reconnects from taking the node away from those who
 * are connected. There is a token for each session that may begin, sessions.rate of them
 * a second. Who finds none is sent away before any work is done.
 *
 * Socket.IO clients and WebSockets are told with 503: they come back by themselves, and
 * later each time. An EventSource gives up for ever at any status but 200. To close its
 * connection without an answer is no way out: a proxy in front makes an error status of
 * it, or believes that the node is dead. So an event stream waits, unread, for a token;
 * it costs then what an idle connection costs. Who waits in vain, or finds too many
 * waiting, gets a stream that says when to come back and ends.
 *
 * A node that leaves closes Socket.IO's and WebSockets' connections without an answer: so
 * a proxy tries the next node, where 503 would be passed on to the client.
 *
 * Neither kind may starve the other: for each newcomer that is let in while streams wait,
 * a token is laid by for one of those.
 */
#include "proto/admission.h"

#include <stdlib.h>

#include "base/id.h"
#include "proto/eio.h"
#include "proto/plain.h"

#define TICK_MS 20
#define WAIT_MS 10000     /* proxies are more patient than that */
#define WAITING_MAX 16384 /* streams that wait on one worker */

struct waiter {
    struct peal_link link; /* on admission.waiting */
    struct peal_proto *proto;
    struct peal_http *http;
    uint64_t until; /* loop time in ms */
};

static void on_tick(struct peal_timer *t);

void
peal_admission_init(struct peal_proto *p)
{
    struct peal_admission *a = &p->admission;

    *a = (struct peal_admission){ .timer.fn = on_tick };
    peal_list_init(&a->waiting);
    peal_bucket_init(&a->bucket, p->config->sessions_rate, peal_loop_now_ms(p->loop));
}

/* Of the whole node; those that begin at the same moment elsewhere are not in it. */
static int64_t
count_sessions(const struct peal_proto_config *c)
{
    int64_t n = 0;

    for (unsigned i = 0; i < c->n_loops; i++) {
        const struct peal_stats *s = &c->loops[i]->stats;

        n += peal_stat_get(s, PEAL_STAT_EIO_SESSIONS) +
             peal_stat_get(s, PEAL_STAT_WS_SESSIONS) +
             peal_stat_get(s, PEAL_STAT_SSE_SESSIONS);
    }
    return n;
}

/* Takes a token, and leaves as many as are laid by. false: nobody may begin now. */
static bool
take(struct peal_proto *p, unsigned leave)
{
    struct peal_admission *a = &p->admission;
    const struct peal_proto_config *c = p->config;

    if (a->closed || !peal_bucket_has(&a->bucket, c->sessions_rate,
                         peal_loop_now_ms(p->loop), 1.0 + leave))
        return false;
    if (c->sessions_max > 0 && count_sessions(c) >= c->sessions_max)
        return false;
    peal_bucket_take(&a->bucket);
    return true;
}

static void
count_refused(struct peal_proto *p)
{
    peal_stat_add(peal_proto_stats(p), PEAL_STAT_SESSIONS_REFUSED, 1);
}

bool
peal_admission_try(struct peal_proto *p, struct peal_http *h)
{
    struct peal_admission *a = &p->admission;

    if (take(p, a->owed)) {
        if (a->owed < a->n_waiting)
            a->owed++;
        return true;
    }
    count_refused(p);
    if (a->closed) {
        peal_http_close(h, PEAL_CLOSE_LOCAL);
        return false;
    }
    peal_http_add(h, "Retry-After", "%u", 1 + a->n_refused++ % 5);
    if (h->head->upgrade_websocket) /* the next one comes by another connection anyway */
        peal_http_close_after(h);
    peal_http_reply(h, 503, "text/plain", PEAL_S("try again later\n"));
    return false;
}

static struct peal_http *
forget(struct waiter *w)
{
    struct peal_admission *a = &w->proto->admission;
    struct peal_http *h = w->http;

    peal_list_unlink(&w->link);
    a->n_waiting--;
    if (a->owed > a->n_waiting)
        a->owed = a->n_waiting;
    if (a->n_waiting == 0)
        peal_timer_stop(&a->timer);
    peal_stat_add(peal_proto_stats(w->proto), PEAL_STAT_SESSIONS_WAITING, -1);
    free(w);
    return h;
}

static void
on_gone(struct peal_http *h)
{
    forget(h->user);
}

static void
send_away(struct waiter *w)
{
    struct peal_proto *p = w->proto;

    count_refused(p);
    peal_sse_turn_away(p, forget(w));
}

static struct waiter *
oldest(struct peal_admission *a)
{
    return peal_list_empty(&a->waiting)
               ? NULL
               : PEAL_CONTAINER(a->waiting.next, struct waiter, link);
}

static void
on_tick(struct peal_timer *t)
{
    struct peal_admission *a = PEAL_CONTAINER(t, struct peal_admission, timer);
    struct waiter *w = oldest(a);
    struct peal_proto *p = w->proto;
    uint64_t now = peal_loop_now_ms(p->loop);

    while (w != NULL && take(p, 0)) {
        if (a->owed > 0)
            a->owed--;
        peal_http_resume(forget(w));
        w = oldest(a);
    }
    while (w != NULL && now >= w->until) {
        send_away(w);
        w = oldest(a);
    }
    if (w != NULL)
        peal_loop_start(p->loop, &a->timer, TICK_MS);
}

bool
peal_admission_try_stream(struct peal_proto *p, struct peal_http *h)
{
    struct peal_admission *a = &p->admission;
    struct waiter *w;

    if (h->again || (a->n_waiting == 0 && take(p, 0)))
        return true;
    if (a->closed || a->n_waiting == WAITING_MAX || (w = calloc(1, sizeof(*w))) == NULL) {
        count_refused(p);
        peal_sse_turn_away(p, h);
        return false;
    }
    *w = (struct waiter){
        .proto = p, .http = h, .until = peal_loop_now_ms(p->loop) + WAIT_MS
    };
    peal_list_append(&a->waiting, &w->link);
    peal_stat_add(peal_proto_stats(p), PEAL_STAT_SESSIONS_WAITING, 1);
    if (a->n_waiting++ == 0)
        peal_loop_start(p->loop, &a->timer, TICK_MS);
    h->user = w;
    h->gone = on_gone;
    peal_http_defer(h);
    return false;
}

void
peal_admission_close(struct peal_proto *p)
{
    struct waiter *w;

    p->admission.closed = true;
    while ((w = oldest(&p->admission)) != NULL)
        send_away(w);
}

uint64_t
peal_session_drain_at(const struct peal_proto *p)
{
    uint64_t age = p->config->sessions_max_age_ms;

    if (age == 0)
        return 0;
    return peal_loop_now_ms(p->loop) + age - age / 10 +
           peal_random_u64() % (age / 10 * 2 + 1);
}

void
peal_sessions_shed(struct peal_proto *p, unsigned n)
{
    uint64_t plain = peal_plain_drain(p, 0, true);
    uint64_t all = plain + peal_eio_drain(p, 0, true);
    unsigned share;

    if (n > all)
        n = (unsigned)all;
    share = all > 0 ? (unsigned)(plain * n / all) : 0;
    peal_plain_drain(p, share, true);
    peal_eio_drain(p, n - share, true);
}

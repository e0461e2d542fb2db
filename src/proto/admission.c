/* SPDX-License-Identifier: MIT */
/*
 * Admission: what keeps a storm of newcomers from taking the node away from the clients
 * that are connected.
 *
 * A newcomer begins its session at once while nobody waits, this turn of the loop has
 * time left for newcomers (base/pace.h), sessions.rate has a token and sessions.max is
 * not reached. Otherwise it waits, in order and whatever its transport, unread: that
 * costs what an idle connection costs. At the end of each turn those at the head are
 * admitted for as long as there is time. The official clients wait for 20 s; a newcomer
 * that has waited for admission.wait, or finds admission.queue_max others waiting, is
 * refused.
 *
 * Refused Socket.IO clients and WebSockets get 503: they come back by themselves, and
 * later each time. An EventSource gives up for ever at any status but 200. To close its
 * connection without an answer is no way out: a proxy in front makes an error status of
 * it, or believes that the node is dead. So it gets a stream that says when to come back
 * and ends. Where sessions.max is reached Socket.IO clients and WebSockets are refused at
 * once, for the next place may be long in coming; event streams wait for it.
 *
 * A draining node closes the connections of Socket.IO clients and WebSockets without an
 * answer: so a proxy tries the next node, where it would pass 503 on to the client.
 */
#include "proto/admission.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/id.h"
#include "proto/proto.h"

/* Between two looks at tokens, places and those that wait too long. */
#define TICK_MS 20

/* A request that waits. */
struct waiter {
    struct peal_link link; /* on admission.waiting */
    struct peal_proto *proto;
    struct peal_http *http;
    uint64_t until; /* loop time in ms */
};

static const enum peal_stat as_timeout = PEAL_STAT_REFUSED_TIMEOUT;
static const enum peal_stat as_draining = PEAL_STAT_REFUSED_DRAINING;

/* Sessions of the whole node; those that begin at the same moment on other workers are
 * not in it. */
static bool
admission_is_full(const struct peal_proto *p)
{
    const struct peal_proto_config *c = p->config;
    int64_t n = 0;

    if (c->sessions_max == 0)
        return false;
    for (unsigned i = 0; i < c->n_loops; i++)
        n += peal_stats_sessions(peal_loop_stats(c->loops[i]));
    return n >= c->sessions_max;
}

static bool
admission_has_token(struct peal_proto *p)
{
    return peal_bucket_has(
        &p->admission.bucket, p->config->sessions_rate, peal_loop_now_ms(p->loop), 1);
}

/* Lets one more begin, if there is a place, a token and time. */
static bool
admission_take(struct peal_proto *p)
{
    if (admission_is_full(p) || !admission_has_token(p) ||
        !peal_pace_try(peal_loop_pace(p->loop), uv_hrtime()))
        return false;
    peal_bucket_take(&p->admission.bucket);
    return true;
}

static bool
admission_refuse(struct peal_proto *p, struct peal_http *h, peal_http_fn *turn_away,
    void *ctx, enum peal_stat reason)
{
    struct peal_admission *a = &p->admission;

    peal_stat_add(peal_proto_stats(p), reason, 1);
    if (turn_away != NULL) {
        turn_away(h, ctx);
    } else if (a->closed) {
        peal_http_close(h, PEAL_CLOSE_LOCAL);
    } else {
        peal_http_add(h, "Retry-After", "%u", 1 + a->n_refused++ % 5);
        if (h->head->upgrade_websocket) /* it comes back by another connection anyway */
            peal_http_close_after(h);
        peal_http_reply(h, 503, "text/plain", PEAL_S("try again later\n"));
    }
    return false;
}

static struct waiter *
admission_oldest(const struct peal_admission *a)
{
    return peal_list_empty(&a->waiting)
               ? NULL
               : PEAL_CONTAINER(a->waiting.next, struct waiter, link);
}

static void
waiter_free(struct waiter *w)
{
    struct peal_admission *a = &w->proto->admission;

    PEAL_ASSERT(a->n_waiting > 0);
    peal_list_unlink(&w->link);
    if (--a->n_waiting == 0)
        peal_timer_stop(&a->timer);
    peal_stat_add(peal_proto_stats(w->proto), PEAL_STAT_SESSIONS_WAITING, -1);
    free(w);
}

static void
waiter_on_gone(struct peal_http *h)
{
    waiter_free(h->user);
}

/* Ends the wait: begin is called again, and with it peal_admission_try, which does as
 * refuse_as says. */
static void
waiter_resume(struct waiter *w, const enum peal_stat *refuse_as)
{
    struct peal_admission *a = &w->proto->admission;

    a->resumed = w->http;
    a->refuse_as = refuse_as;
    waiter_free(w);
    peal_http_resume_now(a->resumed);
    a->resumed = NULL; /* also where the request did not come to ask */
}

/* At the end of each turn. true: some wait for nothing but time, which the next turn has
 * again. */
static bool
admission_on_turn_end(void *proto)
{
    struct peal_proto *p = proto;
    struct waiter *w = admission_oldest(&p->admission);

    for (; w != NULL && admission_take(p); w = admission_oldest(&p->admission)) {
        peal_stat_add(peal_proto_stats(p), PEAL_STAT_SESSIONS_WAITED, 1);
        waiter_resume(w, NULL);
    }
    for (; w != NULL && peal_loop_now_ms(p->loop) >= w->until;
         w = admission_oldest(&p->admission))
        waiter_resume(w, &as_timeout);
    return w != NULL && !admission_is_full(p) && admission_has_token(p);
}

/* Only here to make a turn. */
static void
admission_on_tick(struct peal_timer *t)
{
    struct peal_admission *a = PEAL_CONTAINER(t, struct peal_admission, timer);

    peal_loop_start(admission_oldest(a)->proto->loop, t, TICK_MS);
}

void
peal_admission_init(struct peal_proto *p)
{
    struct peal_admission *a = &p->admission;

    *a = (struct peal_admission){ .timer.fn = admission_on_tick };
    peal_list_init(&a->waiting);
    peal_bucket_init(&a->bucket, p->config->sessions_rate, peal_loop_now_ms(p->loop));
    peal_loop_hook(p->loop, admission_on_turn_end, p);
}

/* false: too many wait already. */
static bool
admission_wait(struct peal_proto *p, struct peal_http *h)
{
    struct peal_admission *a = &p->admission;
    struct waiter *w;

    if (a->n_waiting >= p->config->admission_queue_max ||
        (w = calloc(1, sizeof(*w))) == NULL)
        return false;
    *w = (struct waiter){ .proto = p,
        .http = h,
        .until = peal_loop_now_ms(p->loop) + p->config->admission_wait_ms };
    peal_list_append(&a->waiting, &w->link);
    peal_stat_add(peal_proto_stats(p), PEAL_STAT_SESSIONS_WAITING, 1);
    if (a->n_waiting++ == 0)
        peal_loop_start(p->loop, &a->timer, TICK_MS);
    h->user = w;
    h->gone = waiter_on_gone;
    peal_http_defer(h);
    return true;
}

bool
peal_admission_try(
    struct peal_proto *p, struct peal_http *h, peal_http_fn *turn_away, void *ctx)
{
    struct peal_admission *a = &p->admission;

    if (a->resumed == h) {
        a->resumed = NULL; /* a request that is pipelined behind it is another newcomer */
        return a->refuse_as == NULL ||
               admission_refuse(p, h, turn_away, ctx, *a->refuse_as);
    }
    if (a->closed)
        return admission_refuse(p, h, turn_away, ctx, PEAL_STAT_REFUSED_DRAINING);
    if (turn_away == NULL && admission_is_full(p))
        return admission_refuse(p, h, turn_away, ctx, PEAL_STAT_REFUSED_SESSIONS_MAX);
    if (a->n_waiting == 0 && admission_take(p))
        return true;
    if (!admission_wait(p, h))
        return admission_refuse(p, h, turn_away, ctx, PEAL_STAT_REFUSED_QUEUE_FULL);
    return false;
}

void
peal_admission_close(struct peal_proto *p)
{
    struct waiter *w;

    p->admission.closed = true;
    while ((w = admission_oldest(&p->admission)) != NULL)
        waiter_resume(w, &as_draining);
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

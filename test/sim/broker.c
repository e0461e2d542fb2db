/* SPDX-License-Identifier: MIT */
/* A broker, its links, and what is on them. */
#include "broker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/blob.h"
#include "chance.h"
#include "model.h"

enum kind {
    SUBSCRIBE,
    UNSUBSCRIBE,
    PUBLISH,
    /* to a node */
    SUBSCRIBED,
    REFUSED,
    LOST,
    MESSAGE
};

/* Something on its way. */
struct item {
    struct item *next;
    enum kind kind;
    struct peal_blob *topic, *bytes; /* held; bytes may be NULL */
};

struct queue {
    struct item *first, *last;
    size_t n, bytes; /* of payloads */
};

/* Topics. */
struct set {
    struct peal_blob **list; /* held */
    unsigned n, cap;
};

enum state {
    CLOSED,
    CONNECTING,
    UP, /* as the node sees it */
};

struct link {
    struct peal_backplane b; /* first */
    struct broker *broker;
    struct peal_loop *control;
    unsigned node;
    enum state state;
    bool cut;            /* and not yet noticed */
    unsigned unanswered; /* payloads that were lost with it */
    struct queue commands, payloads, events;
    struct set topics;  /* subscribed, as the broker sees it */
    struct set missing; /* were lost, and are not back */
};

static void *
need(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

/* Queues and sets. */

/* Holds bytes. */
static void
put(struct queue *q, enum kind kind, struct peal_slice topic, struct peal_blob *bytes)
{
    struct item *i = need(calloc(1, sizeof(*i)));

    i->kind = kind;
    i->topic = need(peal_blob_copy(topic));
    i->bytes = bytes != NULL ? peal_blob_retain(bytes) : NULL;
    if (q->first == NULL)
        q->first = i;
    else
        q->last->next = i;
    q->last = i;
    q->n++;
    q->bytes += bytes != NULL ? bytes->len : 0;
}

static struct item *
take(struct queue *q)
{
    struct item *i = q->first;

    if (i == NULL)
        return NULL;
    q->first = i->next;
    q->n--;
    q->bytes -= i->bytes != NULL ? i->bytes->len : 0;
    return i;
}

static void
item_free(struct item *i)
{
    peal_blob_release(i->topic);
    peal_blob_release(i->bytes);
    free(i);
}

/* All but the first n. */
static void
drop_after(struct queue *q, size_t n)
{
    struct queue kept = { 0 };
    struct item *i;

    for (; n > 0 && (i = take(q)) != NULL; n--) {
        put(&kept, i->kind, peal_blob_slice(i->topic), i->bytes);
        item_free(i);
    }
    while ((i = take(q)) != NULL)
        item_free(i);
    *q = kept;
}

static unsigned
find(const struct set *s, struct peal_slice topic)
{
    unsigned i = 0;

    while (i < s->n && !peal_slice_eq(peal_blob_slice(s->list[i]), topic))
        i++;
    return i;
}

static void
set_add(struct set *s, struct peal_slice topic)
{
    if (find(s, topic) < s->n)
        return;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        s->list = need(realloc(s->list, s->cap * sizeof(struct peal_blob *)));
    }
    s->list[s->n++] = need(peal_blob_copy(topic));
}

/* Keeps the order of the others, which choices depend on. */
static void
set_del(struct set *s, struct peal_slice topic)
{
    unsigned i = find(s, topic);

    if (i == s->n)
        return;
    peal_blob_release(s->list[i]);
    s->n--;
    memmove(s->list + i, s->list + i + 1, (s->n - i) * sizeof(struct peal_blob *));
}

static void
set_clear(struct set *s)
{
    while (s->n > 0)
        peal_blob_release(s->list[--s->n]);
}

/* The relay's side. */

static void
start(struct peal_backplane *b)
{
    ((struct link *)b)->state = CONNECTING;
}

static void
say(struct link *l, enum kind kind, struct peal_slice topic)
{
    if (l->state == UP && !l->cut)
        put(&l->commands, kind, topic, NULL);
}

static void
subscribe(struct peal_backplane *b, struct peal_slice topic)
{
    say((struct link *)b, SUBSCRIBE, topic);
}

static void
unsubscribe(struct peal_backplane *b, struct peal_slice topic)
{
    say((struct link *)b, UNSUBSCRIBE, topic);
}

static void
publish(struct peal_backplane *b, const struct peal_payload *list, unsigned n)
{
    struct link *l = (struct link *)b;

    if (l->state != UP)
        return;
    for (unsigned i = 0; i < n; i++) {
        struct peal_blob *bytes = need(peal_blob_copy(list[i].bytes));

        if (l->cut)
            l->unanswered++;
        else
            put(&l->payloads, PUBLISH, list[i].topic, bytes);
        peal_blob_release(bytes);
    }
}

static size_t
queued(const struct peal_backplane *b)
{
    return ((const struct link *)b)->payloads.bytes;
}

static void
notice(struct link *l)
{
    l->cut = false;
    l->state = CONNECTING;
    drop_after(&l->events, 0);
    peal_stat_add(peal_loop_stats(l->control), l->b.counters->unanswered, l->unanswered);
    l->unanswered = 0;
    sim_trace("node %u notices that its link is gone", l->node);
    l->b.events->down(l->b.arg);
}

static void
restart(struct peal_backplane *b, const char *why)
{
    struct link *l = (struct link *)b;

    if (l->state != UP)
        return;
    sim_trace("node %u begins its link again: %s", l->node, why);
    if (!l->cut)
        link_cut(l);
    notice(l);
}

static void
release(struct peal_backplane *b)
{
    struct link *l = (struct link *)b;

    drop_after(&l->commands, 0);
    drop_after(&l->payloads, 0);
    drop_after(&l->events, 0);
    set_clear(&l->topics);
    set_clear(&l->missing);
    free(l->topics.list);
    free(l->missing.list);
    l->broker->links[l->node] = NULL;
    free(l);
}

static const struct peal_backplane_counters counters = {
    .connects = PEAL_STAT_BACKPLANE_CONNECTS,
    .topics_refused = PEAL_STAT_BACKPLANE_TOPICS_REFUSED,
    .refused = PEAL_STAT_BACKPLANE_ERRORS,
    .unanswered = PEAL_STAT_BACKPLANE_UNANSWERED,
};

static const struct peal_backplane_ops ops = { .name = "sim",
    .payload_max = 1 << 20,
    .start = start,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .publish = publish,
    .queued = queued,
    .restart = restart,
    .free = release };

struct link *
link_new(struct broker *b, unsigned node, struct peal_loop *control)
{
    struct link *l = need(calloc(1, sizeof(*l)));

    l->b.ops = &ops;
    l->b.loop = control;
    l->b.counters = &counters;
    l->broker = b;
    l->control = control;
    l->node = node;
    b->links[node] = l;
    return l;
}

struct peal_backplane *
link_backplane(struct link *l)
{
    return &l->b;
}

/* The broker's side. */

static void
command(struct link *l, const struct item *i)
{
    struct peal_slice topic = peal_blob_slice(i->topic);

    set_del(&l->missing, topic);
    if (i->kind == SUBSCRIBE && peal_slice_starts(topic, PEAL_S(BROKER_REFUSES))) {
        put(&l->events, REFUSED, topic, NULL);
    } else if (i->kind == SUBSCRIBE) {
        set_add(&l->topics, topic);
        put(&l->events, SUBSCRIBED, topic, NULL);
    } else {
        set_del(&l->topics, topic);
    }
}

static void
payload(struct broker *b, const struct item *i)
{
    struct peal_slice topic = peal_blob_slice(i->topic);

    for (unsigned n = 0; n < BROKER_LINKS_MAX; n++) {
        struct link *l = b->links[n];

        if (l != NULL && !l->cut && find(&l->topics, topic) < l->topics.n)
            put(&l->events, MESSAGE, topic, i->bytes);
    }
}

bool
link_serve(struct link *l)
{
    bool first = l->payloads.n == 0 || (l->commands.n > 0 && sim_pick(2) == 0);
    struct item *i = take(first ? &l->commands : &l->payloads);

    if (i == NULL)
        return false;
    if (i->kind == PUBLISH)
        payload(l->broker, i);
    else
        command(l, i);
    item_free(i);
    return true;
}

static void
tell_refused(struct link *l, struct peal_slice topic)
{
    peal_stat_add(peal_loop_stats(l->control), l->b.counters->topics_refused, 1);
    l->b.events->refused(l->b.arg, topic, "the broker refuses it");
}

bool
link_arrive(struct link *l)
{
    struct item *i = take(&l->events);
    struct peal_slice topic;

    if (i == NULL)
        return false;
    topic = peal_blob_slice(i->topic);
    if (i->kind == SUBSCRIBED)
        l->b.events->subscribed(l->b.arg, topic);
    else if (i->kind == REFUSED)
        tell_refused(l, topic);
    else if (i->kind == LOST)
        l->b.events->lost(l->b.arg, topic);
    else
        l->b.events->message(l->b.arg, topic, peal_blob_slice(i->bytes));
    item_free(i);
    return true;
}

bool
link_proceed(struct link *l)
{
    if (l->cut) {
        notice(l);
    } else if (l->state == CONNECTING) {
        l->state = UP;
        sim_trace("node %u has a link", l->node);
        peal_stat_add(peal_loop_stats(l->control), l->b.counters->connects, 1);
        l->b.events->up(l->b.arg);
    } else {
        return false;
    }
    return true;
}

/* Faults. */

void
link_cut(struct link *l)
{
    if (l->state != UP || l->cut)
        return;
    sim_trace("the link of node %u is cut", l->node);
    l->cut = true;
    l->unanswered = (unsigned)l->payloads.n;
    drop_after(&l->commands, 0);
    drop_after(&l->payloads, 0);
    drop_after(&l->events, sim_pick((unsigned)l->events.n + 1)); /* read already */
    set_clear(&l->topics);
    set_clear(&l->missing);
    l->broker->on_cut(l->broker->arg, l->node);
}

void
link_take_away(struct link *l, struct peal_slice topic)
{
    sim_trace("node %u loses %.*s", l->node, PEAL_ARG(topic));
    set_add(&l->missing, topic);
    put(&l->events, LOST, topic, NULL);
    set_del(&l->topics, topic);
}

bool
link_lose(struct link *l)
{
    if (l->cut || l->topics.n == 0)
        return false;
    link_take_away(l, peal_blob_slice(l->topics.list[sim_pick(l->topics.n)]));
    return true;
}

bool
link_whole(const struct link *l)
{
    return l->state == UP && !l->cut && l->missing.n == 0;
}

bool
link_is_cut(const struct link *l)
{
    return l->cut;
}

bool
link_empty(const struct link *l)
{
    return l->events.n == 0;
}

bool
link_has(const struct link *l, const char *topic)
{
    return find(&l->topics, peal_slice_str(topic)) < l->topics.n;
}

unsigned
link_n_topics(const struct link *l)
{
    return l->topics.n;
}

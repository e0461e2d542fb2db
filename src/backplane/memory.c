/* SPDX-License-Identifier: MIT */
/*
 * Memory as a backplane. What happens to a link is put into its inbox and told by a task
 * on its loop, in order, so that a function which the user calls never calls back; a
 * confirmation stands in the inbox before any payload that was published after it.
 */
#include "backplane/memory.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/blob.h"
#include "base/map.h"

enum memory_state {
    MADE,
    CONNECTING, /* up is told by the next task */
    UP,
    LOST /* down is told by the next task */
};

struct peal_memory_bus {
    unsigned refs;
    struct peal_link links;
    struct peal_slice forbidden;
};

/* A subscription; the key of its map points into it. */
struct memory_topic {
    uint32_t len;
    char name[];
};

enum memory_event {
    SUBSCRIBED,
    TAKEN_AWAY,
    REFUSED,
    MESSAGE
};

struct memory_item {
    struct peal_link link;
    enum memory_event event;
    struct peal_blob *bytes; /* of a message, retained; else NULL */
    size_t weight;           /* what it counts in the inbox */
    uint32_t topic_len;
    char topic[];
};

struct memory {
    struct peal_backplane b; /* first */
    struct peal_task task;
    struct peal_memory_bus *bus;
    struct peal_link link; /* of the bus */
    enum memory_state state;
    struct peal_map topics;
    struct peal_link inbox;
    size_t inbox_bytes;
    bool posted; /* the task is with the loop */
    bool freed;  /* and frees the link when it runs */
};

static struct memory *
of(struct peal_backplane *b)
{
    return PEAL_CONTAINER(b, struct memory, b);
}

/* One function moves a link from state to state. */
static void
set_state(struct memory *m, enum memory_state to)
{
    PEAL_ASSERT((m->state == MADE && to == CONNECTING) ||
                (m->state == CONNECTING && to == UP) || (m->state == UP && to == LOST) ||
                (m->state == LOST && to == CONNECTING));
    m->state = to;
}

static void
post(struct memory *m)
{
    if (m->posted)
        return;
    m->posted = true;
    peal_loop_post(m->b.loop, &m->task);
}

/* Subscriptions. */

static struct peal_slice
topic_name(const struct memory_topic *t)
{
    return peal_slice_of(t->name, t->len);
}

static peal_err
topic_add(struct memory *m, struct peal_slice name)
{
    struct memory_topic *t;

    if (peal_map_get(&m->topics, name) != NULL)
        return PEAL_OK;
    if ((t = malloc(sizeof(*t) + name.len)) == NULL)
        return PEAL_ENOMEM;
    t->len = (uint32_t)name.len;
    memcpy(t->name, name.data, name.len);
    if (peal_map_put(&m->topics, topic_name(t), t) == PEAL_OK)
        return PEAL_OK;
    free(t);
    return PEAL_ENOMEM;
}

static bool
topic_remove(struct memory *m, struct peal_slice name)
{
    struct memory_topic *t = peal_map_get(&m->topics, name);

    if (t == NULL)
        return false;
    peal_map_del(&m->topics, name);
    free(t);
    return true;
}

/* The inbox. */

static void
item_free(struct memory *m, struct memory_item *i)
{
    peal_list_unlink(&i->link);
    m->inbox_bytes -= i->weight;
    peal_blob_release(i->bytes);
    free(i);
}

static void
forget_all(struct memory *m)
{
    struct memory_topic *t;
    size_t pos;

    while (!peal_list_empty(&m->inbox))
        item_free(m, PEAL_CONTAINER(m->inbox.next, struct memory_item, link));
    while ((pos = 0, t = peal_map_next(&m->topics, &pos)) != NULL)
        (void)topic_remove(m, topic_name(t));
}

static void
memory_lose(struct memory *m)
{
    if (m->state != UP)
        return;
    set_state(m, LOST);
    forget_all(m);
    post(m);
}

/* Without memory, or with too much in the inbox, the link is lost. */
static void
put(struct memory *m, enum memory_event event, struct peal_slice topic,
    struct peal_blob *bytes)
{
    size_t weight =
        (bytes != NULL ? bytes->len : 0) + topic.len + sizeof(struct memory_item);
    struct memory_item *i = NULL;

    if (m->inbox_bytes + weight <= PEAL_MEMORY_INBOX_MAX)
        i = malloc(sizeof(*i) + topic.len);
    if (i == NULL) {
        memory_lose(m);
        return;
    }
    *i = (struct memory_item){
        .event = event, .weight = weight, .topic_len = (uint32_t)topic.len
    };
    memcpy(i->topic, topic.data, topic.len);
    if (bytes != NULL)
        i->bytes = peal_blob_retain(bytes);
    m->inbox_bytes += weight;
    peal_list_append(&m->inbox, &i->link);
    post(m);
}

static void
memory_tell(const struct memory *m, const struct memory_item *i)
{
    const struct peal_backplane_events *events = m->b.events;
    struct peal_slice topic = peal_slice_of(i->topic, i->topic_len);

    switch (i->event) {
    case SUBSCRIBED:
        events->subscribed(m->b.arg, topic);
        return;
    case TAKEN_AWAY:
        events->lost(m->b.arg, topic);
        return;
    case REFUSED:
        events->refused(m->b.arg, topic, "it is forbidden");
        return;
    case MESSAGE:
        events->message(m->b.arg, topic, peal_blob_slice(i->bytes));
    }
}

/* Tells what stands in the inbox now; an event may add to it, or end the link. */
static void
tell_inbox(struct memory *m)
{
    struct peal_link now, *l;

    peal_list_move(&now, &m->inbox);
    while ((l = peal_list_take(&now)) != NULL) {
        struct memory_item *i = PEAL_CONTAINER(l, struct memory_item, link);

        if (!m->freed && m->state == UP)
            memory_tell(m, i);
        item_free(m, i);
    }
}

static void
memory_destroy(struct memory *m)
{
    PEAL_ASSERT(m->inbox_bytes == 0);
    peal_map_fini(&m->topics);
    free(m);
}

static void
memory_on_task(struct peal_loop *loop, struct peal_task *task)
{
    struct memory *m = PEAL_CONTAINER(task, struct memory, task);

    m->posted = false;
    if (m->freed) {
        memory_destroy(m);
        return;
    }
    m->posted = true; /* until the events are told: free has to wait for that */
    if (m->state == CONNECTING) {
        set_state(m, UP);
        peal_stat_add(peal_loop_stats(m->b.loop), m->b.counters->connects, 1);
        m->b.events->up(m->b.arg);
    } else if (m->state == LOST) {
        set_state(m, CONNECTING);
        m->b.events->down(m->b.arg);
    }
    if (!m->freed && m->state == UP)
        tell_inbox(m);
    m->posted = false;
    if (m->freed)
        memory_destroy(m);
    else if (m->state != UP || !peal_list_empty(&m->inbox))
        post(m);
}

/* As a backplane. */

static void
memory_start(struct peal_backplane *b)
{
    set_state(of(b), CONNECTING);
    post(of(b));
}

static void
memory_subscribe(struct peal_backplane *b, struct peal_slice topic)
{
    struct memory *m = of(b);

    if (m->state != UP)
        return;
    if (m->bus->forbidden.len > 0 && peal_slice_starts(topic, m->bus->forbidden)) {
        peal_stat_add(peal_loop_stats(b->loop), b->counters->topics_refused, 1);
        put(m, REFUSED, topic, NULL);
    } else if (topic_add(m, topic) != PEAL_OK) {
        memory_lose(m);
    } else {
        put(m, SUBSCRIBED, topic, NULL);
    }
}

static void
memory_unsubscribe(struct peal_backplane *b, struct peal_slice topic)
{
    if (of(b)->state == UP)
        (void)topic_remove(of(b), topic);
}

static void
publish_one(struct memory *m, const struct peal_payload *p)
{
    struct peal_blob *bytes = peal_blob_copy(p->bytes);

    if (bytes == NULL) {
        peal_stat_add(peal_loop_stats(m->b.loop), m->b.counters->refused, 1);
        return;
    }
    for (struct peal_link *l = m->bus->links.next; l != &m->bus->links; l = l->next) {
        struct memory *to = PEAL_CONTAINER(l, struct memory, link);

        if (to->state == UP && peal_map_get(&to->topics, p->topic) != NULL)
            put(to, MESSAGE, p->topic, bytes);
    }
    peal_blob_release(bytes);
}

static void
memory_publish(struct peal_backplane *b, const struct peal_payload *list, unsigned n)
{
    for (unsigned i = 0; of(b)->state == UP && i < n; i++)
        publish_one(of(b), &list[i]);
}

/* Payloads are with their receivers at once. */
static size_t
memory_queued(const struct peal_backplane *b)
{
    return 0;
}

static void
memory_restart(struct peal_backplane *b, const char *why)
{
    peal_log(peal_loop_log(b->loop), PEAL_LOG_WARN, "memory backplane restarted",
        "why=%s", why);
    memory_lose(of(b));
}

static void
memory_free(struct peal_backplane *b)
{
    struct memory *m = of(b);

    peal_list_unlink(&m->link);
    peal_memory_bus_release(&m->bus);
    forget_all(m);
    m->freed = true;
    if (!m->posted)
        memory_destroy(m);
}

static const struct peal_backplane_ops ops = { .name = "memory",
    .payload_max = PEAL_MEMORY_PAYLOAD_MAX,
    .start = memory_start,
    .subscribe = memory_subscribe,
    .unsubscribe = memory_unsubscribe,
    .publish = memory_publish,
    .queued = memory_queued,
    .restart = memory_restart,
    .free = memory_free };

peal_err
peal_memory_new(struct peal_memory_bus *bus, const struct peal_backplane_config *config,
    struct peal_backplane **out)
{
    struct memory *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return PEAL_ENOMEM;
    m->b.ops = &ops;
    m->b.loop = config->loop;
    m->b.counters = config->counters;
    m->task.fn = memory_on_task;
    m->bus = bus;
    bus->refs++;
    peal_list_append(&bus->links, &m->link);
    peal_list_init(&m->inbox);
    peal_map_init(&m->topics);
    *out = &m->b;
    return PEAL_OK;
}

/* The bus. */

peal_err
peal_memory_bus_new(struct peal_memory_bus **out)
{
    struct peal_memory_bus *bus = calloc(1, sizeof(*bus));

    if (bus == NULL)
        return PEAL_ENOMEM;
    bus->refs = 1;
    peal_list_init(&bus->links);
    *out = bus;
    return PEAL_OK;
}

void
peal_memory_bus_release(struct peal_memory_bus **bp)
{
    struct peal_memory_bus *bus = *bp;

    *bp = NULL;
    if (bus == NULL)
        return;
    PEAL_ASSERT(bus->refs > 0);
    if (--bus->refs > 0)
        return;
    PEAL_ASSERT(peal_list_empty(&bus->links));
    free(bus);
}

void
peal_memory_bus_forbid(struct peal_memory_bus *bus, struct peal_slice beginning)
{
    bus->forbidden = beginning;
}

void
peal_memory_take_away(struct peal_backplane *b, struct peal_slice topic)
{
    if (topic_remove(of(b), topic))
        put(of(b), TAKEN_AWAY, topic, NULL);
}

void
peal_memory_cut(struct peal_backplane *b)
{
    memory_lose(of(b));
}

/* In the registry. */

static const char *
memory_check(const char *url)
{
    return strcmp(url, "memory") == 0 ? NULL : "memory, or the URL of a Redis";
}

static peal_err
memory_open(const struct peal_backplane_config *config, struct peal_backplane **out,
    struct peal_buf *why)
{
    struct peal_memory_bus *bus;
    peal_err err = peal_memory_bus_new(&bus);

    if (err != PEAL_OK)
        return err;
    err = peal_memory_new(bus, config, out);
    peal_memory_bus_release(&bus);
    return err;
}

static const char *const schemes[] = { "memory", NULL };

const struct peal_backplane_kind peal_backplane_memory = {
    .schemes = schemes,
    .alone = true,
    .check = memory_check,
    .open = memory_open,
};

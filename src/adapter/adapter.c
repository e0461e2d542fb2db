/* SPDX-License-Identifier: MIT */
/*
 * The adapter's channels: which are subscribed, what comes on them, what goes out.
 *
 * A namespace is shared as soon as somebody here has joined one of its channels, and "/"
 * always. In the classic dialect one pattern brings all its broadcasts, as with Node
 * servers: a remote join and the broadcast to the joined room right after it stay in
 * order only so. In the sharded one a room has a channel of its own.
 */
#include "adapter/adapter.h"

#include <stdio.h>
#include <stdlib.h>

#include "adapter/inside.h"

/* Somebody who waits for a namespace, or a room: one of our channels. */
struct waiting {
    struct waiting *next;
    size_t len;
    char channel[];
};

/* A namespace. */
struct space {
    unsigned wanted;  /* channels of it that have a subscriber here */
    unsigned missing; /* confirmations; 0 while subscribed, or off */
    struct waiting *waiting;
    struct peal_buf pattern; /* classic */
    size_t len;
    char name[];
};

/* A room's channel, sharded. */
struct room {
    bool on;
    struct waiting *waiting;
    struct peal_buf channel; /* ours */
    size_t len;
    char name[]; /* Redis' */
};

static struct peal_slice
space_name(const struct space *s)
{
    return peal_slice_of(s->name, s->len);
}

/* The uid of a node, as Node's adapters have theirs: six characters, or 16 hex digits. */
static void
write_uid(uint32_t node, bool sharded, char out[PEAL_ADAPTER_UID_MAX])
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    if (sharded) {
        snprintf(out, PEAL_ADAPTER_UID_MAX, "7065616c%08x", node);
        return;
    }
    for (int i = 0; i < 6; i++)
        out[i] = digits[i < 5 ? node >> (26 - 6 * i) & 63 : (node & 3) << 4 | 13];
    out[6] = '\0';
}

/* Whose uid is it? false: not of the form that our nodes have. */
static bool
read_uid(struct peal_slice uid, bool sharded, uint32_t *node_out)
{
    char again[PEAL_ADAPTER_UID_MAX], text[PEAL_ADAPTER_UID_MAX];
    uint32_t node = 0;

    if (uid.len != (sharded ? 16 : 6))
        return false;
    if (sharded) {
        snprintf(text, sizeof(text), "%.*s", (int)uid.len, uid.data);
        node = (uint32_t)strtoul(text + 8, NULL, 16);
    } else {
        for (int i = 0; i < 6; i++) {
            char c = uid.data[i];
            uint32_t v = c >= 'A' && c <= 'Z'   ? (uint32_t)(c - 'A')
                         : c >= 'a' && c <= 'z' ? (uint32_t)(c - 'a') + 26
                         : c >= '0' && c <= '9' ? (uint32_t)(c - '0') + 52
                         : c == '-'             ? 62
                                                : 63;

            node = i < 5 ? node << 6 | v : node << 2 | v >> 4;
        }
    }
    write_uid(node, sharded, again);
    *node_out = node;
    return peal_slice_eq(uid, peal_slice_str(again));
}

/* Was it this node, or another one of our cluster, which said it through the relay? */
static bool
is_ours(const struct peal_adapter *a, struct peal_slice uid)
{
    uint32_t node;

    return read_uid(uid, a->sharded, &node) &&
           (node == peal_hub_node(a->hub) || peal_hub_knows(a->hub, node));
}

/* Out. */

void
peal_adapter_send(struct peal_adapter *a, const struct peal_sio_redis_msg *m,
    enum peal_sio_redis_channel channel, struct peal_slice tail)
{
    struct peal_payload p;
    peal_err err;

    if (!a->up)
        return;
    a->out.len = a->name.len = 0;
    err = a->sharded ? peal_sio_redis_write_sharded(&a->out, m)
                     : peal_sio_redis_write(&a->out, m);
    if (err == PEAL_OK)
        err = peal_sio_redis_channel(&a->name,
            a->sharded ? PEAL_SIO_REDIS_ON_BROADCAST : channel, peal_adapter_key(a),
            m->nsp, tail);
    if (err != PEAL_OK) {
        peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_UNSENT, 1);
        return;
    }
    p = (struct peal_payload){ peal_buf_slice(&a->name), peal_buf_slice(&a->out) };
    a->link->ops->publish(a->link, &p, 1, false);
    peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_SENT, 1);
}

/* In. */

static void
on_broadcast(struct peal_adapter *a, const struct peal_sio_redis_msg *in)
{
    uint64_t all = peal_hub_all_workers(a->hub), workers;
    struct peal_msg *m;
    peal_err err;

    if (in->request_id.len > 0) { /* with acknowledgements */
        peal_adapter_job(a, in);
        return;
    }
    if ((err = peal_adapter_msg(in, &m)) != PEAL_OK) {
        peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_BAD, 1);
        return;
    }
    workers = a->jobs > 0 ? all : peal_hub_workers(a->hub, m);
    peal_relay_deliver(a->relay, m, workers);
    peal_msg_drop(m);
}

static void
on_msg(struct peal_adapter *a, const struct peal_sio_redis_msg *m)
{
    peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_RECEIVED, 1);
    if (m->op == PEAL_SIO_REDIS_BROADCAST)
        on_broadcast(a, m);
    else if (m->op < PEAL_SIO_REDIS_SOCKETS)
        peal_adapter_job(a, m);
    /* Answers are of no use: nothing here asks. */
}

/* May somebody here be in the room of a classic broadcast? */
static bool
has_room(struct peal_adapter *a, struct peal_slice nsp, struct peal_slice room)
{
    struct peal_adapter_names channel;
    uint32_t node;
    uint8_t worker;
    bool yes;

    if (room.len == 0 || a->jobs > 0)
        return true;
    if (peal_hub_owner(a->hub, room, &node, &worker))
        return node == peal_hub_node(a->hub);
    if (peal_adapter_channels(nsp, &room, 1, &channel) != PEAL_OK)
        return false;
    yes = peal_hub_interest(a->hub, peal_channel_hash(channel.v[0])) != 0;
    peal_adapter_names_fini(&channel);
    return yes;
}

static void
on_message(void *arg, struct peal_slice topic, struct peal_slice payload)
{
    struct peal_adapter *a = arg;
    enum peal_sio_redis_channel channel;
    struct peal_sio_redis_msg m;
    struct peal_slice nsp, tail;
    peal_err err;

    if (!peal_sio_redis_split(topic, peal_adapter_key(a), &channel, &nsp, &tail) ||
        is_ours(a, peal_sio_redis_uid(payload)))
        return;
    if (a->sharded) {
        err = peal_sio_redis_read_sharded(payload, a->reader, &m);
    } else if (channel == PEAL_SIO_REDIS_ON_BROADCAST) {
        if (!has_room(a, nsp, tail))
            return;
        err = peal_sio_redis_read_broadcast(payload, a->reader, &m);
    } else if (channel == PEAL_SIO_REDIS_ON_REQUEST) {
        err = peal_sio_redis_read_request(payload, a->reader, &m);
        m.nsp = err == PEAL_OK ? nsp : m.nsp; /* a request's is that of its channel */
    } else {
        return;
    }
    if (err == PEAL_EUNSUPP)
        return;
    if (err != PEAL_OK)
        peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_BAD, 1);
    else if (peal_slice_eq(m.nsp, nsp))
        on_msg(a, &m);
}

/* Subscriptions. */

static void
tell_waiting(struct peal_adapter *a, struct waiting **list)
{
    struct waiting *w;

    while ((w = *list) != NULL) {
        *list = w->next;
        peal_relay_peer_ready(a->relay, peal_slice_of(w->channel, w->len));
        free(w);
    }
}

static bool
wait_for(struct waiting **list, struct peal_slice channel)
{
    struct waiting *w = malloc(sizeof(*w) + channel.len);

    if (w == NULL)
        return false; /* told early rather than never */
    w->len = channel.len;
    memcpy(w->channel, channel.data, channel.len);
    w->next = *list;
    *list = w;
    return true;
}

static void
each_channel(struct peal_adapter *a, const struct space *s,
    void (*fn)(struct peal_backplane *b, struct peal_slice topic))
{
    const struct {
        enum peal_sio_redis_channel channel;
        struct peal_slice tail;
        bool sharded, classic;
    } rows[] = {
        { PEAL_SIO_REDIS_ON_BROADCAST, PEAL_S(""), true, false },
        { PEAL_SIO_REDIS_ON_BROADCAST, peal_slice_str(a->uid), true, false },
        { PEAL_SIO_REDIS_ON_REQUEST, PEAL_S(""), false, true },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        a->name.len = 0;
        if ((a->sharded ? rows[i].sharded : rows[i].classic) &&
            peal_sio_redis_channel(&a->name, rows[i].channel, peal_adapter_key(a),
                space_name(s), rows[i].tail) == PEAL_OK)
            fn(a->link, peal_buf_slice(&a->name));
    }
}

#define CONFIRMATIONS 2 /* of a namespace: pattern and requests; main channel and own */

static void
subscribe_space(struct peal_adapter *a, struct space *s)
{
    s->missing = CONFIRMATIONS;
    if (!a->sharded)
        a->link->ops->subscribe_pattern(a->link, peal_buf_slice(&s->pattern));
    each_channel(a, s, a->link->ops->subscribe);
}

static struct space *
get_space(struct peal_adapter *a, struct peal_slice nsp)
{
    struct space *s = peal_map_get(&a->spaces, nsp);

    if (s != NULL)
        return s;
    if ((s = calloc(1, sizeof(*s) + nsp.len)) == NULL)
        return NULL;
    memcpy(s->name, nsp.data, nsp.len);
    s->len = nsp.len;
    if (peal_sio_redis_pattern(&s->pattern, peal_adapter_key(a), nsp) == PEAL_OK &&
        peal_map_put(&a->spaces, space_name(s), s) == PEAL_OK)
        return s;
    peal_buf_fini(&s->pattern);
    free(s);
    return NULL;
}

static void
drop_space(struct peal_adapter *a, struct space *s)
{
    struct waiting *w;

    while ((w = s->waiting) != NULL) {
        s->waiting = w->next;
        free(w);
    }
    peal_map_del(&a->spaces, space_name(s));
    peal_buf_fini(&s->pattern);
    free(s);
}

static void
drop_room(struct peal_adapter *a, struct room *r)
{
    struct waiting *w;

    while ((w = r->waiting) != NULL) {
        r->waiting = w->next;
        free(w);
    }
    peal_map_del(&a->rooms, peal_slice_of(r->name, r->len));
    peal_buf_fini(&r->channel);
    free(r);
}

/* The room whose channel of Redis is in a->name; made if need be. */
static struct room *
get_room(struct peal_adapter *a, struct peal_slice channel, bool make)
{
    struct peal_slice name, room;
    struct room *r;

    a->name.len = 0;
    if (!peal_channel_room(channel, &room) ||
        !peal_sio_redis_own_channel(PEAL_SIO_REDIS_DYNAMIC, room) ||
        peal_sio_redis_channel(&a->name, PEAL_SIO_REDIS_ON_BROADCAST, peal_adapter_key(a),
            peal_channel_nsp(channel), room) != PEAL_OK)
        return NULL;
    name = peal_buf_slice(&a->name);
    if ((r = peal_map_get(&a->rooms, name)) != NULL || !make ||
        (r = calloc(1, sizeof(*r) + name.len)) == NULL)
        return r;
    memcpy(r->name, name.data, name.len);
    r->len = name.len;
    if (peal_buf_add_slice(&r->channel, channel) == PEAL_OK &&
        peal_map_put(&a->rooms, peal_slice_of(r->name, r->len), r) == PEAL_OK)
        return r;
    peal_buf_fini(&r->channel);
    free(r);
    return NULL;
}

static bool
want(void *arg, struct peal_slice channel)
{
    struct peal_adapter *a = arg;
    struct space *s = get_space(a, peal_channel_nsp(channel));
    struct room *r;

    if (s == NULL)
        return false;
    if (s->wanted++ == 0 && a->up)
        subscribe_space(a, s);
    if (!a->sharded || (r = get_room(a, channel, true)) == NULL)
        return a->up && s->missing > 0 && wait_for(&s->waiting, channel);
    if (!a->up || r->on)
        return false;
    a->link->ops->subscribe(a->link, peal_slice_of(r->name, r->len));
    return wait_for(&r->waiting, channel);
}

static void
unwant(void *arg, struct peal_slice channel)
{
    struct peal_adapter *a = arg;
    struct space *s = peal_map_get(&a->spaces, peal_channel_nsp(channel));
    struct room *r = a->sharded ? get_room(a, channel, false) : NULL;

    if (r != NULL) {
        if (a->up)
            a->link->ops->unsubscribe(a->link, peal_slice_of(r->name, r->len));
        drop_room(a, r);
    }
    if (s == NULL || --s->wanted > 0)
        return;
    if (a->up && !a->sharded)
        a->link->ops->unsubscribe_pattern(a->link, peal_buf_slice(&s->pattern));
    if (a->up)
        each_channel(a, s, a->link->ops->unsubscribe);
    drop_space(a, s);
}

static const struct peal_relay_peer peer = {
    .want = want, .unwant = unwant, .publish = peal_adapter_publish
};

static void
on_up(void *arg)
{
    struct peal_adapter *a = arg;
    struct space *s;
    struct room *r;

    a->up = true;
    for (size_t pos = 0; (s = peal_map_next(&a->spaces, &pos)) != NULL;)
        if (s->wanted > 0)
            subscribe_space(a, s);
    for (size_t pos = 0; (r = peal_map_next(&a->rooms, &pos)) != NULL;)
        a->link->ops->subscribe(a->link, peal_slice_of(r->name, r->len));
}

static void
on_down(void *arg)
{
    struct peal_adapter *a = arg;
    struct space *s;
    struct room *r;

    a->up = false;
    peal_stat_add(&a->loop->stats, PEAL_STAT_BACKPLANE_GAPS, 1);
    for (size_t pos = 0; (s = peal_map_next(&a->spaces, &pos)) != NULL;) {
        s->missing = 0;
        tell_waiting(a, &s->waiting);
    }
    for (size_t pos = 0; (r = peal_map_next(&a->rooms, &pos)) != NULL;) {
        r->on = false;
        tell_waiting(a, &r->waiting);
    }
}

static struct space *
find_pattern(struct peal_adapter *a, struct peal_slice topic)
{
    struct space *s;

    for (size_t pos = 0; (s = peal_map_next(&a->spaces, &pos)) != NULL;)
        if (peal_slice_eq(peal_buf_slice(&s->pattern), topic))
            return s;
    return NULL;
}

static void
on_subscribed(void *arg, struct peal_slice topic)
{
    struct peal_adapter *a = arg;
    struct room *r = a->sharded ? peal_map_get(&a->rooms, topic) : NULL;
    struct space *s = a->sharded ? NULL : find_pattern(a, topic);
    enum peal_sio_redis_channel channel;
    struct peal_slice nsp, tail;

    if (r != NULL) {
        r->on = true;
        tell_waiting(a, &r->waiting);
        return;
    }
    if (s == NULL &&
        peal_sio_redis_split(topic, peal_adapter_key(a), &channel, &nsp, &tail))
        s = peal_map_get(&a->spaces, nsp);
    if (s != NULL && s->missing > 0 && --s->missing == 0)
        tell_waiting(a, &s->waiting);
}

static void
on_lost(void *arg, struct peal_slice topic)
{
    struct peal_adapter *a = arg;
    enum peal_sio_redis_channel channel;
    struct peal_slice nsp, tail;

    /* Only sharded: a slot has moved. */
    if (peal_map_get(&a->rooms, topic) != NULL ||
        (peal_sio_redis_split(topic, peal_adapter_key(a), &channel, &nsp, &tail) &&
            peal_map_get(&a->spaces, nsp) != NULL &&
            (tail.len == 0 || peal_slice_eq(tail, peal_slice_str(a->uid)))))
        a->link->ops->subscribe(a->link, topic);
}

static const struct peal_backplane_events events = { .up = on_up,
    .down = on_down,
    .subscribed = on_subscribed,
    .lost = on_lost,
    .message = on_message };

peal_err
peal_adapter_new(const struct peal_adapter_config *config, struct peal_adapter **out)
{
    struct peal_adapter *a = calloc(1, sizeof(*a));
    struct space *root;

    if (a == NULL)
        return PEAL_ENOMEM;
    a->loop = config->loop;
    a->hub = config->hub;
    a->relay = config->relay;
    a->sharded = config->sharded;
    peal_map_init(&a->spaces);
    peal_map_init(&a->rooms);
    write_uid(peal_hub_node(a->hub), a->sharded, a->uid);
    if (peal_buf_add_slice(&a->key, config->key) != PEAL_OK ||
        (a->reader = calloc(1, sizeof(*a->reader))) == NULL ||
        (root = get_space(a, PEAL_S("/"))) == NULL) {
        peal_adapter_free(&a);
        return PEAL_ENOMEM;
    }
    root->wanted = 1; /* for good: every Socket.IO server has it */
    a->link = config->link;
    peal_relay_set_peer(a->relay, &peer, a);
    *out = a;
    return PEAL_OK;
}

void
peal_adapter_start(struct peal_adapter *a)
{
    peal_backplane_start(a->link, &events, a);
}

void
peal_adapter_free(struct peal_adapter **ap)
{
    struct peal_adapter *a = *ap;
    void *p;
    size_t pos;

    if (a == NULL)
        return;
    *ap = NULL;
    peal_relay_set_peer(a->relay, NULL, NULL);
    if (a->link != NULL)
        a->link->ops->free(a->link);
    while ((pos = 0, p = peal_map_next(&a->spaces, &pos)) != NULL)
        drop_space(a, p);
    while ((pos = 0, p = peal_map_next(&a->rooms, &pos)) != NULL)
        drop_room(a, p);
    peal_map_fini(&a->spaces);
    peal_map_fini(&a->rooms);
    if (a->reader != NULL)
        peal_sio_redis_reader_fini(a->reader);
    free(a->reader);
    peal_buf_fini(&a->key);
    peal_buf_fini(&a->out);
    peal_buf_fini(&a->name);
    free(a);
}

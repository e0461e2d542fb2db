/* SPDX-License-Identifier: MIT */
/*
 * A Redis Cluster as the backplane: a map that says which master serves which slot, and a
 * member for each master.
 *
 * The first map comes from one of the hosts of the URL, or of those known from before.
 * Later ones come from any member, every half minute, and soon after a reply has told
 * that a slot is elsewhere; what such a reply tells is put into the map at once.
 *
 * A slot stays where it is in the map while a payload of it waits for its answer, unless
 * that answer is MOVED: payloads that are published meanwhile go the same way, and none
 * overtakes another. So all payloads of a slot that wait are always at one member.
 */
#include "backplane/redis_cluster.h"

#include <stdio.h>
#include <stdlib.h>

#include "backplane/redis_link.h"
#include "backplane/redis_member.h"
#include "base/id.h"

#define REFRESH_MS 30000
#define REFRESH_SOON_MS 500
#define HOPS_MAX 8   /* of a subscription or payload that is redirected */
#define KNOWN_MAX 16 /* hosts that are remembered */

struct known {
    char host[PEAL_REDIS_HOST_MAX];
    uint16_t port;
};

struct cluster {
    struct peal_redis_pubsub p; /* first */
    struct peal_redis_link link;
    struct peal_redis_url url;
    char *name;
    struct peal_tls_ctx *tls;
    struct peal_redis_conn_config config; /* of all members */
    struct peal_redis_conn_config seed;   /* of whom the first map is asked */
    struct peal_redis_conn *finder;
    unsigned next, tried;    /* of the hosts of the URL, then the known ones */
    struct peal_timer again; /* down: the next attempt; up: the next map */
    struct peal_link members;
    unsigned n_members;
    struct known known[KNOWN_MAX];
    unsigned n_known;
    bool up;
    bool soon; /* the next map is asked for soon */
    struct peal_redis_member *owner[PEAL_REDIS_SLOTS];
};

static const struct peal_redis_member_ops member_ops;

static struct cluster *
of(struct peal_backplane *b)
{
    return PEAL_CONTAINER(b, struct cluster, p.b);
}

static struct peal_loop *
loop_of(const struct cluster *c)
{
    return c->link.loop;
}

/* Members. */

static struct peal_redis_member *
member_of(const struct peal_link *l)
{
    return PEAL_CONTAINER(l, struct peal_redis_member, link);
}

/* The member at this address, which is made if there is none. NULL: no memory, or no
 * socket. */
static struct peal_redis_member *
member_at(struct cluster *c, struct peal_slice host, uint16_t port)
{
    struct peal_redis_member *m;
    struct peal_link *l;

    for (l = c->members.next; l != &c->members; l = l->next) {
        m = member_of(l);
        if (m->port == port && peal_slice_eq(peal_slice_str(m->host), host))
            return m;
    }
    if (peal_redis_member_new(loop_of(c), &c->config, host, port, &member_ops, c, &m) !=
        PEAL_OK)
        return NULL;
    peal_list_append(&c->members, &m->link);
    c->n_members++;
    return m;
}

static void
remove_member(struct cluster *c, struct peal_redis_member *m)
{
    c->n_members--;
    peal_redis_member_free(m);
}

/* Removes the members and remembers their addresses. Returns how many payloads they had
 * not answered. */
static uint64_t
remove_members(struct cluster *c)
{
    uint64_t unanswered = 0;

    if (!peal_list_empty(&c->members))
        c->n_known = 0;
    while (!peal_list_empty(&c->members)) {
        struct peal_redis_member *m = member_of(c->members.next);

        if (c->n_known < KNOWN_MAX) {
            struct known *k = &c->known[c->n_known++];

            memcpy(k->host, m->host, sizeof(k->host));
            k->port = m->port;
        }
        unanswered += peal_redis_member_unanswered(m);
        remove_member(c, m);
    }
    memset(c->owner, 0, sizeof(c->owner));
    return unanswered;
}

/* The link. */

static void
cluster_down(struct cluster *c, const char *host, uint16_t port, const char *why)
{
    bool was_up = c->up;
    char where[320];
    uint64_t pause;

    snprintf(where, sizeof(where), "host=%s port=%u", host, port);
    peal_redis_conn_close(&c->finder);
    pause = peal_redis_link_down(&c->link, where, why, remove_members(c));
    c->up = c->soon = false;
    c->tried = 0;
    peal_loop_start(loop_of(c), &c->again, pause);
    if (was_up)
        c->p.b.events->down(c->p.b.arg);
}

/* For reasons that are not one member's. */
static void
cluster_down_all(struct cluster *c, const char *why)
{
    cluster_down(c, c->url.hosts[0].name, c->url.hosts[0].port, why);
}

/* The map has changed: a new one is asked for soon. */
static void
cluster_refresh_soon(struct cluster *c)
{
    if (!c->soon)
        peal_loop_start(loop_of(c), &c->again, REFRESH_SOON_MS);
    c->soon = true;
}

static void
check_up(struct cluster *c)
{
    struct peal_link *l;

    for (l = c->members.next; l != &c->members; l = l->next)
        if (!peal_redis_member_ready(member_of(l)))
            return;
    if (c->up)
        return;
    c->up = true;
    peal_redis_link_up(&c->link);
    peal_loop_start(loop_of(c), &c->again, REFRESH_MS);
    c->p.b.events->up(c->p.b.arg);
}

/* The map. */

static const char *
read_range(struct cluster *c, const redisReply *row, const char *asked)
{
    struct peal_redis_member *m;
    struct peal_redis_range r;

    if (!peal_redis_range_read(row, &r))
        return "CLUSTER SLOTS cannot be read";
    m = member_at(c, r.host.len > 0 ? r.host : peal_slice_str(asked), r.port);
    if (m == NULL)
        return "cannot dial a master";
    m->has_slots = true;
    for (unsigned i = r.first; i <= r.last; i++)
        c->owner[i] = m;
    return NULL;
}

/* The map may be right or older than what MOVED has told: slots whose payloads wait for
 * their answer stay, and the map is asked for again. */
static void
cluster_keep_slots(struct cluster *c)
{
    bool kept = false;

    for (struct peal_link *l = c->members.next; l != &c->members; l = l->next)
        kept |= peal_redis_member_keep_slots(member_of(l), c->owner);
    if (kept)
        cluster_refresh_soon(c);
}

/* Makes a reply to CLUSTER SLOTS the map. asked: the host that sent it. Returns why that
 * cannot be, or NULL. */
static const char *
read_map(struct cluster *c, const redisReply *reply, const char *asked)
{
    const char *why = NULL;
    struct peal_link *l;

    if (reply->type != REDIS_REPLY_ARRAY)
        return reply->type == REDIS_REPLY_ERROR ? reply->str
                                                : "CLUSTER SLOTS cannot be read";
    for (l = c->members.next; l != &c->members; l = l->next)
        member_of(l)->has_slots = false;
    memset(c->owner, 0, sizeof(c->owner));
    for (size_t i = 0; why == NULL && i < reply->elements; i++)
        why = read_range(c, reply->element[i], asked);
    for (unsigned i = 0; why == NULL && i < PEAL_REDIS_SLOTS; i++)
        if (c->owner[i] == NULL)
            why = "there are slots that no master serves";
    if (why == NULL)
        cluster_keep_slots(c);
    return why;
}

/*
 * Members that have no slots any more are let go once nothing is subscribed there. One
 * that has become a replica may keep subscriptions, and take them, without a word; nobody
 * would end them there, so all begin again. But another member's map may be old, and a
 * slot that has moved to a new master is not in it yet: the member itself is asked next,
 * and what it says of itself counts.
 */
static void
retire(struct cluster *c, const struct peal_redis_member *who_said)
{
    struct peal_link *l, *next;

    for (l = c->members.next; l != &c->members; l = next) {
        struct peal_redis_member *m = member_of(l);

        next = l->next;
        if (m->has_slots) {
            m->leaving = false;
        } else if (peal_redis_member_idle(m)) {
            remove_member(c, m);
        } else if (m == who_said) {
            cluster_down(c, m->host, m->port, "it is not a master any more");
            return;
        } else {
            m->leaving = true;
            cluster_refresh_soon(c);
        }
    }
}

static void
cluster_on_slots(void *arg, struct peal_redis_member *m, const redisReply *reply)
{
    struct cluster *c = arg;
    const char *why = read_map(c, reply, m->host);

    if (why != NULL) {
        cluster_down(c, m->host, m->port, why);
        return;
    }
    retire(c, m);
}

/* The member whose own map is needed, or any. */
static struct peal_redis_member *
member_to_ask(const struct cluster *c)
{
    uint64_t skip = peal_random_u64() % c->n_members;
    struct peal_link *l;

    for (l = c->members.next; l != &c->members; l = l->next)
        if (member_of(l)->leaving)
            return member_of(l);
    for (l = c->members.next; skip > 0; skip--)
        l = l->next;
    return member_of(l);
}

static void
cluster_refresh(struct cluster *c)
{
    c->soon = false;
    if (peal_redis_member_ask(member_to_ask(c)) != PEAL_OK)
        cluster_down_all(c, "out of memory");
    else
        peal_loop_start(loop_of(c), &c->again, REFRESH_MS);
}

/* The new place of a slot, as a reply of m tells it; a new map will tell more. NULL: it
 * cannot be dialled, and the link is down. */
static struct peal_redis_member *
member_moved_to(struct cluster *c, const struct peal_redis_member *m,
    const struct peal_redis_range *to)
{
    struct peal_redis_member *other =
        member_at(c, to->host.len > 0 ? to->host : peal_slice_str(m->host), to->port);

    if (other == NULL) {
        cluster_down(c, m->host, m->port, "cannot dial a master");
        return NULL;
    }
    other->has_slots = true;
    cluster_refresh_soon(c);
    return other;
}

/* Finding the first map. */

static void cluster_find(struct cluster *c);

static void
cluster_find_next(struct cluster *c, const char *why)
{
    peal_redis_conn_close(&c->finder);
    if (++c->tried < c->url.n_hosts + c->n_known)
        cluster_find(c);
    else
        cluster_down(c, c->seed.host, c->seed.port, why);
}

static void
cluster_on_finder_ready(void *arg)
{
    struct cluster *c = arg;
    struct peal_slice words[] = { PEAL_S("CLUSTER"), PEAL_S("SLOTS") };

    peal_redis_conn_command(c->finder, words, 2);
}

static void
cluster_on_finder_reply(void *arg, const redisReply *reply)
{
    struct cluster *c = arg;
    const char *why = read_map(c, reply, c->seed.host);

    if (why != NULL) {
        (void)remove_members(c);
        cluster_find_next(c, why);
        return;
    }
    peal_redis_conn_close(&c->finder);
}

static void
cluster_on_finder_closed(void *arg, const char *why)
{
    struct cluster *c = arg;

    c->finder = NULL;
    cluster_find_next(c, why);
}

static const struct peal_redis_conn_ops finder_ops = { .ready = cluster_on_finder_ready,
    .reply = cluster_on_finder_reply,
    .closed = cluster_on_finder_closed };

static void
cluster_find(struct cluster *c)
{
    unsigned i = c->next++ % (c->url.n_hosts + c->n_known);
    bool given = i < c->url.n_hosts;
    const struct known *k = &c->known[given ? 0 : i - c->url.n_hosts];

    c->seed = c->config;
    c->seed.host = given ? c->url.hosts[i].name : k->host;
    c->seed.port = given ? c->url.hosts[i].port : k->port;
    if (peal_redis_conn_new(loop_of(c), &c->seed, &finder_ops, c, &c->finder) != PEAL_OK)
        cluster_down(c, c->seed.host, c->seed.port, "cannot dial");
}

static void
cluster_on_again(struct peal_timer *t)
{
    struct cluster *c = PEAL_CONTAINER(t, struct cluster, again);

    if (c->up)
        cluster_refresh(c);
    else
        cluster_find(c);
}

/* Events of members. */

static void
cluster_on_ready(void *arg)
{
    check_up(arg);
}

/* A member may be in the map for a slot that a newer map has taken from it. */
static bool
cluster_is_owner(const struct cluster *c, const struct peal_redis_member *m)
{
    for (unsigned i = 0; i < PEAL_REDIS_SLOTS; i++)
        if (c->owner[i] == m)
            return true;
    return false;
}

static void
cluster_on_failed(void *arg, struct peal_redis_member *m, const char *why)
{
    struct cluster *c = arg;

    if (!m->has_slots && peal_redis_member_idle(m) && !cluster_is_owner(c, m))
        remove_member(c, m);
    else
        cluster_down(c, m->host, m->port, why);
}

static void
cluster_on_subscribed(void *arg, struct peal_slice topic)
{
    struct cluster *c = arg;
    char where[64];

    snprintf(where, sizeof(where), "masters=%u", c->n_members);
    peal_redis_link_works(&c->link, where);
    c->p.b.events->subscribed(c->p.b.arg, topic);
}

static void
cluster_on_lost(void *arg, struct peal_slice topic)
{
    struct cluster *c = arg;

    cluster_refresh_soon(c);
    c->p.b.events->lost(c->p.b.arg, topic);
}

static void
cluster_on_message(void *arg, struct peal_slice topic, struct peal_slice payload)
{
    struct cluster *c = arg;

    c->p.b.events->message(c->p.b.arg, topic, payload);
}

static void
cluster_on_topic_refused(void *arg, struct peal_slice topic, const char *why)
{
    struct cluster *c = arg;

    peal_redis_link_topic_refused(&c->link, topic, why);
    c->p.b.events->refused(c->p.b.arg, topic, why);
}

/* A topic that is to be left is followed, too: it may be subscribed at the new place. The
 * answers to payloads come on another connection, and may be late: they decide when
 * payloads go to the new place. */
static void
cluster_on_redirected(void *arg, struct peal_redis_member *m,
    const struct peal_redis_range *to, const struct peal_redis_pending *what)
{
    struct peal_slice topic = peal_redis_pending_topic(what);
    struct cluster *c = arg;
    struct peal_redis_member *other;
    peal_err err;

    if (what->hops >= HOPS_MAX) {
        cluster_down(c, m->host, m->port, "a slot is redirected in circles");
        return;
    }
    if ((other = member_moved_to(c, m, to)) == NULL)
        return;
    if (!peal_redis_member_publishes(c->owner[to->first], to->first))
        c->owner[to->first] = other;
    if (what->change == PEAL_REDIS_SUBSCRIBE)
        err = peal_redis_member_subscribe(other, topic, to->first, what->hops + 1);
    else
        err = peal_redis_member_unsubscribe(other, topic, to->first, what->hops + 1);
    if (err != PEAL_OK)
        cluster_down_all(c, "out of memory");
}

static void
count_refused(struct cluster *c, const char *why, unsigned n)
{
    peal_redis_link_refused(&c->link, why, n);
}

/* The payload goes to the new place, and all that wait behind it follow. */
static void
cluster_on_moved(void *arg, struct peal_redis_member *m,
    const struct peal_redis_range *to, struct peal_blob *command, unsigned hops)
{
    struct cluster *c = arg;
    struct peal_redis_member *other = member_moved_to(c, m, to);
    unsigned lost = 0;

    if (other == NULL || other == m || hops >= HOPS_MAX)
        count_refused(c, "its slot is redirected in circles", 1);
    else
        lost += peal_redis_member_publish(other, command, to->first, hops + 1) != PEAL_OK;
    if (other == NULL || other == m)
        return;
    lost += peal_redis_member_hand_over(m, to->first, other);
    c->owner[to->first] = other;
    count_refused(c, "out of memory", lost);
}

static void
cluster_on_refused(void *arg, const char *why)
{
    count_refused(arg, why, 1);
}

static const struct peal_redis_member_ops member_ops = { .ready = cluster_on_ready,
    .failed = cluster_on_failed,
    .subscribed = cluster_on_subscribed,
    .lost = cluster_on_lost,
    .message = cluster_on_message,
    .topic_refused = cluster_on_topic_refused,
    .redirected = cluster_on_redirected,
    .moved = cluster_on_moved,
    .refused = cluster_on_refused,
    .slots = cluster_on_slots };

/* As a backplane. */

static void
cluster_start(struct peal_backplane *b)
{
    cluster_find(of(b));
}

static void
cluster_subscribe(struct peal_backplane *b, struct peal_slice topic)
{
    struct cluster *c = of(b);
    unsigned slot = peal_redis_slot(topic);

    if (c->up && peal_redis_member_subscribe(c->owner[slot], topic, slot, 0) != PEAL_OK)
        cluster_down_all(c, "out of memory");
}

static void
cluster_unsubscribe(struct peal_backplane *b, struct peal_slice topic)
{
    struct cluster *c = of(b);
    unsigned slot = peal_redis_slot(topic);

    if (c->up && peal_redis_member_unsubscribe(c->owner[slot], topic, slot, 0) != PEAL_OK)
        cluster_down_all(c, "out of memory");
}

static void
cluster_publish(struct peal_backplane *b, const struct peal_payload *list, unsigned n)
{
    struct cluster *c = of(b);

    for (unsigned i = 0; c->up && i < n; i++) {
        struct peal_slice words[] = { PEAL_S("SPUBLISH"), list[i].topic, list[i].bytes };
        unsigned slot = peal_redis_slot(list[i].topic);
        struct peal_blob *command = peal_redis_command(words, 3);

        if (command == NULL ||
            peal_redis_member_publish(c->owner[slot], command, slot, 0) != PEAL_OK)
            count_refused(c, "out of memory", 1);
        peal_blob_release(command);
    }
}

static size_t
cluster_queued(const struct peal_backplane *b)
{
    const struct cluster *c = PEAL_CONTAINER(b, const struct cluster, p.b);
    const struct peal_link *l;
    size_t n = 0;

    for (l = c->members.next; l != &c->members; l = l->next)
        n += peal_redis_member_queued(member_of(l));
    return n;
}

static void
cluster_restart(struct peal_backplane *b, const char *why)
{
    struct cluster *c = of(b);

    if (c->up)
        cluster_down_all(c, why);
}

static void
cluster_free(struct peal_backplane *b)
{
    struct cluster *c = of(b);

    peal_timer_stop(&c->again);
    peal_redis_conn_close(&c->finder);
    (void)remove_members(c);
    peal_tls_ctx_release(c->tls);
    peal_redis_url_fini(&c->url);
    free(c->name);
    free(c);
}

static const struct peal_redis_pubsub_ops no_patterns;

static const struct peal_backplane_ops ops = { .name = "redis cluster",
    .payload_max = PEAL_REDIS_PAYLOAD_MAX,
    .start = cluster_start,
    .subscribe = cluster_subscribe,
    .unsubscribe = cluster_unsubscribe,
    .publish = cluster_publish,
    .queued = cluster_queued,
    .restart = cluster_restart,
    .free = cluster_free };

peal_err
peal_redis_cluster_new(const struct peal_backplane_config *config,
    struct peal_redis_url *url, struct peal_redis_pubsub **out, struct peal_buf *why)
{
    struct cluster *c = calloc(1, sizeof(*c));
    peal_err err = PEAL_ENOMEM;

    if (c == NULL)
        return PEAL_ENOMEM;
    c->p.ops = &no_patterns;
    c->p.b.ops = &ops;
    c->p.b.loop = c->link.loop = config->loop;
    c->p.b.counters = c->link.counters = config->counters;
    c->again.fn = cluster_on_again;
    peal_list_init(&c->members);
    c->next = (unsigned)peal_random_u64();
    c->url = *url;
    *url = (struct peal_redis_url){ 0 };
    if ((c->name = strdup(config->name)) == NULL)
        goto fail;
    if (c->url.tls && (err = peal_tls_client_ctx_new(c->url.ca, c->url.cert, c->url.key,
                           c->url.verify, &c->tls, why)) != PEAL_OK)
        goto fail;
    c->config = (struct peal_redis_conn_config){
        .tls = c->tls, .user = c->url.user, .password = c->url.password, .name = c->name
    };
    *out = &c->p;
    return PEAL_OK;
fail:
    cluster_free(&c->p.b);
    return err;
}

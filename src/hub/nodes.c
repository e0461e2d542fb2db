/* SPDX-License-Identifier: MIT */
/*
 * The nodes of the cluster: reports sent, heard, and what follows from them.
 *
 * One timer does everything that is due once a second: it looks for nodes that have
 * become silent, and for those that do not hear this one, and sends a report. A newcomer
 * asks for reports at once (hello), which many answer within ANSWER_MS instead.
 */
#include "hub/nodes.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/vec.h"
#include "hub/hub_priv.h"
#include "hub/node_report_priv.h"

#define REPORT_MS 1000 /* between two reports */
#define ANSWER_MS 50   /* before the answer to a newcomer; one answers many */
#define SILENT_MS 5000 /* a node that says nothing for so long is gone */
/* A tick that comes so late: this process was stopped, and has not read yet what came
 * meanwhile. */
#define LATE_MS 2000
#define UNPROVEN_MS 5000 /* the link is made again if nothing comes back for so long */
/* Readiness outlives the last proof by this: all nodes of a cluster lose a Redis
 * together, and all at once is worst. */
#define GRACE_MS 10000
/* Without `backplane.secret` a report of a twin may be forged, to make this node end its
 * sessions. So it is believed only while the node is young, and has hardly any: a twin
 * shows within a second of its start. With the secret it is believed always, but not too
 * often. */
#define YOUNG_MS 60000
#define RENUMBER_MS 600000

struct node {
    struct peal_node_report report;
    struct peal_id_key key;
    uint64_t seen_ms;   /* loop time */
    uint64_t sent;      /* of its last report, by its clock */
    uint64_t listed_ms; /* when it last listed this node; at first: when it was found */
    uint64_t cycle_ms;  /* how long it takes to list all that it hears */
    bool lists_hears;   /* it says whom it hears */
    bool forged;        /* a report that contradicts it has been logged */
    bool not_hearing;   /* it has not listed this node for too long */
};

struct peal_nodes {
    struct peal_hub *hub;
    struct peal_relay *relay;
    struct peal_loop *loop;
    const struct peal_seal_key *seal_key; /* that encrypts; NULL: none */
    peal_node_report_fn *fill;
    peal_node_renumbered_fn *renumbered;
    void *arg;
    peal_nodes_gone_fn *gone; /* NULL: nobody is told */
    void *gone_arg;
    struct peal_timer timer;
    bool hello;             /* the next report asks for answers */
    bool answering;         /* the next report is one */
    bool was_up;            /* the link, before */
    bool was_renumbered;    /* at renumbered_ms */
    bool twin_logged;       /* a twin that cannot be helped */
    unsigned hears_from;    /* index of the next node to list as heard */
    uint64_t since_ms;      /* the link is up since then; loop time */
    uint64_t first_ms;      /* it was up for the first time; 0: never */
    uint64_t proven_ms;     /* a report of ours came back; 0: never */
    uint64_t renumbered_ms; /* loop time */
    _Atomic uint64_t turn_ms, proof_ms;
    _Atomic int64_t lag_us;
    _Atomic unsigned n_not_hearing;
    _Atomic bool unheard; /* most of the others do not hear this node */
    uv_mutex_t lock;      /* of what follows */
    struct peal_node_report own;
    struct node *others;
    unsigned n, cap;
};

/* Lists the nodes that are heard: all, or the next PEAL_REPORT_HEARS_MAX of them. */
static void
nodes_list_heard(struct peal_nodes *n, struct peal_report_extra *extra)
{
    unsigned all = n->n, want = all < PEAL_REPORT_HEARS_MAX ? all : PEAL_REPORT_HEARS_MAX;

    extra->n_heard_in_all = all;
    for (unsigned i = 0; i < want; i++)
        extra->hears[i] = n->others[(n->hears_from + i) % all].report.number;
    extra->n_hears = want;
    n->hears_from = all > want ? (n->hears_from + want) % all : 0;
}

static void
nodes_report(struct peal_nodes *n)
{
    struct peal_report_extra extra = {
        .key = *peal_hub_key(n->hub), .sent = uv_hrtime() / 1000, .hello = n->hello
    };
    struct peal_buf b = { 0 };
    peal_err err;

    uv_mutex_lock(&n->lock);
    n->fill(n->arg, &n->own);
    nodes_list_heard(n, &extra);
    err = peal_report_write(&b, &n->own, &extra, n->seal_key);
    uv_mutex_unlock(&n->lock);
    if (err == PEAL_OK)
        peal_relay_publish_control(n->relay, peal_buf_slice(&b));
    n->hello = false;
    peal_buf_fini(&b);
}

/* The others. */

static struct node *
nodes_find(struct peal_nodes *n, uint32_t number)
{
    for (unsigned i = 0; i < n->n; i++)
        if (n->others[i].report.number == number)
            return &n->others[i];
    return NULL;
}

static void
nodes_log(struct peal_nodes *n, enum peal_log_level level, const char *what,
    const struct peal_node_report *r)
{
    peal_log(peal_loop_log(n->loop), level, what,
        "name=%s node=%08x address=%s version=%s nodes=%u", r->name, r->number,
        r->address, r->version, n->n + 1);
}

/* With the lock. NULL: no room. */
static struct node *
nodes_add(struct peal_nodes *n, const struct peal_node_report *r,
    const struct peal_report_extra *extra)
{
    struct node *o;

    if (PEAL_GROW(n->others, n->cap, n->n + 1) != PEAL_OK ||
        peal_hub_add_node(n->hub, r->number, &extra->key) != PEAL_OK)
        return NULL;
    o = &n->others[n->n++];
    *o = (struct node){ .key = extra->key, .listed_ms = peal_loop_now_ms(n->loop) };
    return o;
}

static void
nodes_forget(struct peal_nodes *n, struct node *o, const char *why)
{
    struct peal_node_report gone = o->report;

    uv_mutex_lock(&n->lock);
    *o = n->others[--n->n];
    uv_mutex_unlock(&n->lock);
    peal_hub_remove_node(n->hub, gone.number);
    nodes_log(n, PEAL_LOG_INFO, why, &gone);
    if (n->gone != NULL)
        n->gone(n->gone_arg, gone.number);
}

static bool
lists(const struct peal_report_extra *extra, uint32_t number)
{
    for (unsigned i = 0; i < extra->n_hears; i++)
        if (extra->hears[i] == number)
            return true;
    return false;
}

/* With the lock: what a report says of its node from now on. */
static void
node_update(struct peal_nodes *n, struct node *o, const struct peal_node_report *r,
    const struct peal_report_extra *extra)
{
    uint64_t now = peal_loop_now_ms(n->loop);

    o->report = *r;
    o->seen_ms = now;
    o->sent = extra->sent;
    o->lists_hears = extra->lists_hears;
    o->cycle_ms =
        (uint64_t)(extra->n_heard_in_all / PEAL_REPORT_HEARS_MAX) * 2 * REPORT_MS;
    if (lists(extra, n->own.number))
        o->listed_ms = now;
}

/* Tells whether this may be the node's own report, not an old one that was sent again. */
static bool
node_may_say(const struct node *o, const struct peal_node_report *r,
    const struct peal_report_extra *extra)
{
    return strcmp(o->report.address, r->address) == 0 &&
           strcmp(o->report.secret, r->secret) == 0 &&
           memcmp(&o->key, &extra->key, sizeof(o->key)) == 0 &&
           (extra->sent == 0 || extra->sent > o->sent);
}

static void
nodes_refuse(struct peal_nodes *n, struct node *o, const struct peal_node_report *r)
{
    peal_stat_add(peal_loop_stats(n->loop), PEAL_STAT_BACKPLANE_BAD, 1);
    if (!o->forged)
        nodes_log(n, PEAL_LOG_WARN,
            "a report contradicts what its node has said before, and is refused", r);
    o->forged = true;
}

static void
nodes_on_other(struct peal_nodes *n, const struct peal_node_report *r,
    const struct peal_report_extra *extra)
{
    struct node *o = nodes_find(n, r->number);
    bool fresh = o == NULL;

    if (o != NULL && !node_may_say(o, r, extra)) {
        nodes_refuse(n, o, r);
        return;
    }
    if (r->state == PEAL_NODE_LEAVING) {
        if (o != NULL)
            nodes_forget(n, o, "node left");
        return;
    }
    uv_mutex_lock(&n->lock);
    if (fresh)
        o = nodes_add(n, r, extra);
    if (o != NULL)
        node_update(n, o, r, extra);
    uv_mutex_unlock(&n->lock);
    if (o == NULL)
        peal_log(
            peal_loop_log(n->loop), PEAL_LOG_ERROR, "no room for one more node", NULL);
    else if (fresh)
        nodes_log(n, PEAL_LOG_INFO, "node joined", &o->report);
    if (extra->hello && !n->answering) {
        n->answering = true;
        peal_loop_start(n->loop, &n->timer, ANSWER_MS);
    }
}

/* Another number, and a link that uses it. */
static void
nodes_renumber(struct peal_nodes *n)
{
    uint32_t number;

    do
        number = (uint32_t)peal_random_u64() | 1;
    while (number == n->own.number || nodes_find(n, number) != NULL);
    n->was_renumbered = true;
    n->renumbered_ms = peal_loop_now_ms(n->loop);
    peal_log(peal_loop_log(n->loop), PEAL_LOG_ERROR,
        "another node has this node's number: it gets a new one, and its sessions end",
        "old=%08x new=%08x", n->own.number, number);
    uv_mutex_lock(&n->lock);
    n->own.number = number;
    uv_mutex_unlock(&n->lock);
    n->hub->node = number;
    peal_relay_renumber(n->relay);
    n->renumbered(n->arg);
}

static bool
nodes_may_renumber(const struct peal_nodes *n)
{
    uint64_t now = peal_loop_now_ms(n->loop);

    return (n->seal_key != NULL || now - n->first_ms < YOUNG_MS) &&
           (!n->was_renumbered || now - n->renumbered_ms > RENUMBER_MS);
}

/* A report under this node's number that is not its own. The younger one has to go, both
 * see the same; of two that are as old, the one with the larger key. */
static void
nodes_on_twin(struct peal_nodes *n, const struct peal_node_report *r,
    const struct peal_report_extra *extra)
{
    int64_t age = n->own.started_ms - r->started_ms;
    bool younger = age > 0 || (age == 0 && memcmp(peal_hub_key(n->hub), &extra->key,
                                               sizeof(extra->key)) > 0);

    if (younger && nodes_may_renumber(n)) {
        nodes_renumber(n);
        return;
    }
    peal_stat_add(peal_loop_stats(n->loop), PEAL_STAT_BACKPLANE_BAD, 1);
    if (!n->twin_logged)
        nodes_log(n, PEAL_LOG_ERROR,
            "another node has this node's number, or its report is forged", r);
    n->twin_logged = true;
}

static void
nodes_on_own(struct peal_nodes *n, const struct peal_report_extra *extra)
{
    n->proven_ms = peal_loop_now_ms(n->loop);
    n->proof_ms = n->proven_ms;
    n->lag_us = (int64_t)(uv_hrtime() / 1000 - extra->sent);
}

static void
nodes_on_message(
    void *arg, struct peal_slice payload, const struct peal_seal_key *seal_key)
{
    struct peal_nodes *n = arg;
    struct peal_node_report r;
    struct peal_report_extra extra;

    if (peal_report_read(payload, seal_key, &r, &extra) != PEAL_OK)
        peal_stat_add(peal_loop_stats(n->loop), PEAL_STAT_BACKPLANE_BAD, 1);
    else if (r.number != n->own.number)
        nodes_on_other(n, &r, &extra);
    else if (memcmp(&extra.key, peal_hub_key(n->hub), sizeof(extra.key)) == 0)
        nodes_on_own(n, &extra);
    else
        nodes_on_twin(n, &r, &extra);
}

/* This node was stopped, or cut off, and could hear nobody: silence, and what others say
 * of it, counts from now on. */
static void
nodes_restart_silence(struct peal_nodes *n, uint64_t now)
{
    uv_mutex_lock(&n->lock);
    for (unsigned i = 0; i < n->n; i++)
        n->others[i].seen_ms = n->others[i].listed_ms = now;
    uv_mutex_unlock(&n->lock);
}

static void
nodes_on_up(void *arg)
{
    struct peal_nodes *n = arg;
    uint64_t now = peal_loop_now_ms(n->loop);

    if (n->was_up)
        peal_stat_add(peal_loop_stats(n->loop), PEAL_STAT_BACKPLANE_GAPS, 1);
    n->since_ms = now;
    n->turn_ms = now;
    if (n->first_ms == 0)
        n->first_ms = now;
    n->was_up = n->hello = true;
    nodes_restart_silence(n, now);
    nodes_report(n);
    n->answering = false;
    peal_loop_start(n->loop, &n->timer, REPORT_MS);
}

static const struct peal_relay_events relay_events = { .up = nodes_on_up,
    .message = nodes_on_message };

static void
nodes_look_for_silent(struct peal_nodes *n, uint64_t now)
{
    for (unsigned i = n->n; i-- > 0;)
        if (now - n->others[i].seen_ms > SILENT_MS)
            nodes_forget(n, &n->others[i], "node is silent");
}

/* Tells whether o has stopped to hear this node; logs when that changes. */
static bool
node_is_not_hearing(struct peal_nodes *n, struct node *o, uint64_t now)
{
    bool was = o->not_hearing;

    o->not_hearing =
        o->lists_hears && now - o->listed_ms > SILENT_MS + REPORT_MS + o->cycle_ms;
    if (was != o->not_hearing)
        nodes_log(n, o->not_hearing ? PEAL_LOG_WARN : PEAL_LOG_INFO,
            o->not_hearing ? "a node does not hear this one"
                           : "a node hears this one again",
            &o->report);
    return o->not_hearing;
}

/* One node that hears nobody must not make all others unready: most must say so. */
static void
nodes_look_for_not_hearing(struct peal_nodes *n, uint64_t now)
{
    unsigned asked = 0, deny = 0;

    for (unsigned i = 0; i < n->n; i++) {
        asked += n->others[i].lists_hears;
        deny += node_is_not_hearing(n, &n->others[i], now);
    }
    n->n_not_hearing = deny;
    n->unheard = 2 * deny > asked;
}

static void
nodes_on_timer(struct peal_timer *t)
{
    struct peal_nodes *n = PEAL_CONTAINER(t, struct peal_nodes, timer);
    uint64_t now = peal_loop_now_ms(n->loop);
    uint64_t last = n->proven_ms > n->since_ms ? n->proven_ms : n->since_ms;

    if (now - n->turn_ms > LATE_MS) {
        n->since_ms = last = now;
        nodes_restart_silence(n, now);
    }
    n->turn_ms = now;
    n->answering = false;
    peal_loop_start(n->loop, t, REPORT_MS);
    if (!peal_relay_up(n->relay))
        return;
    if (now - last > UNPROVEN_MS) {
        peal_relay_restart(n->relay, "published payloads do not come back");
        return;
    }
    nodes_look_for_silent(n, now);
    nodes_look_for_not_hearing(n, now);
    nodes_report(n);
}

peal_err
peal_nodes_new(const struct peal_nodes_config *config, struct peal_nodes **out)
{
    const struct peal_seal *seal = peal_relay_seal(config->relay);
    struct peal_nodes *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return PEAL_ENOMEM;
    if (uv_mutex_init(&n->lock) != 0) {
        free(n);
        return PEAL_ENOMEM;
    }
    n->hub = config->hub;
    n->relay = config->relay;
    n->loop = config->loop;
    n->seal_key = seal->n > 0 ? &seal->keys[0] : NULL;
    n->own = *config->own;
    n->own.number = peal_hub_node(n->hub);
    n->fill = config->fill;
    n->renumbered = config->renumbered;
    n->arg = config->arg;
    n->timer.fn = nodes_on_timer;
    n->lag_us = -1;
    *out = n;
    return PEAL_OK;
}

void
peal_nodes_start(struct peal_nodes *n)
{
    n->turn_ms = peal_loop_now_ms(n->loop);
    peal_loop_start(n->loop, &n->timer, REPORT_MS);
    peal_relay_start(n->relay, &relay_events, n);
}

void
peal_nodes_leave(struct peal_nodes *n)
{
    nodes_report(n);
}

void
peal_nodes_free(struct peal_nodes **np)
{
    struct peal_nodes *n = *np;

    if (n == NULL)
        return;
    *np = NULL;
    peal_timer_stop(&n->timer);
    uv_mutex_destroy(&n->lock);
    free(n->others);
    free(n);
}

void
peal_nodes_set_on_gone(struct peal_nodes *n, peal_nodes_gone_fn *fn, void *arg)
{
    n->gone = fn;
    n->gone_arg = arg;
}

bool
peal_nodes_find(struct peal_nodes *n, uint32_t number, struct peal_node_report *out)
{
    const struct node *o;

    uv_mutex_lock(&n->lock);
    if ((o = nodes_find(n, number)) != NULL)
        *out = o->report;
    uv_mutex_unlock(&n->lock);
    return o != NULL;
}

void
peal_nodes_each(struct peal_nodes *n, peal_nodes_fn *fn, void *arg)
{
    uint64_t now = n->turn_ms;

    uv_mutex_lock(&n->lock);
    fn(arg, &n->own, 0, true);
    for (unsigned i = 0; i < n->n; i++) {
        const struct node *o = &n->others[i];

        fn(arg, &o->report, now > o->seen_ms ? now - o->seen_ms : 0, false);
    }
    uv_mutex_unlock(&n->lock);
}

static const char *
nodes_unready(const struct peal_nodes *n, uint64_t now_ms, int64_t age_ms)
{
    if (now_ms > n->turn_ms && now_ms - n->turn_ms > GRACE_MS)
        return "the control thread hangs";
    if (age_ms < 0)
        return "the backplane is not connected yet";
    if (age_ms > GRACE_MS)
        return "the backplane is unavailable";
    return n->unheard ? "most other nodes do not hear this one" : NULL;
}

void
peal_nodes_probe(
    struct peal_nodes *n, uint64_t now_ms, struct peal_nodes_probe_result *out)
{
    uint64_t proof = n->proof_ms;

    out->age_ms = proof == 0 ? -1 : now_ms > proof ? (int64_t)(now_ms - proof) : 0;
    out->lag_us = n->lag_us;
    out->not_hearing = n->n_not_hearing;
    out->unready = nodes_unready(n, now_ms, out->age_ms);
    uv_mutex_lock(&n->lock);
    out->n_nodes = n->n + 1;
    uv_mutex_unlock(&n->lock);
}

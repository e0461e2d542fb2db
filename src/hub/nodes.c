/* SPDX-License-Identifier: MIT */
/* The nodes of the cluster: reports sent, read, and forgotten. */
#include "hub/nodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

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

static const char *const state_words[] = { "starting", "up", "draining", "leaving" };

struct node {
    struct peal_node_report report;
    struct peal_id_key key;
    uint64_t seen_ms; /* loop time */
};

struct peal_nodes {
    struct peal_hub *hub;
    struct peal_relay *relay;
    struct peal_loop *loop;
    peal_node_report_fn *fill;
    void *arg;
    struct peal_timer timer;
    bool hello;         /* the next report asks for answers */
    bool answering;     /* the next report is one */
    bool was_up;        /* the link, before */
    uint64_t since_ms;  /* the link is up since then; loop time */
    uint64_t proven_ms; /* a report of ours came back; 0: never */
    _Atomic uint64_t now_ms, proof_ms;
    _Atomic int64_t lag_us;
    uv_mutex_t lock; /* of what follows */
    struct peal_node_report own;
    struct node *others;
    unsigned n, cap;
};

/* The key of session ids as hexadecimal text. */
#define KEY_FORMAT "%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x"
#define KEY_BYTES(k)                                                                     \
    (k)[0], (k)[1], (k)[2], (k)[3], (k)[4], (k)[5], (k)[6], (k)[7], (k)[8], (k)[9],      \
        (k)[10], (k)[11], (k)[12], (k)[13], (k)[14], (k)[15]

/* A report as text. */
static peal_err
write_report(const struct peal_nodes *n, struct peal_buf *b)
{
    const struct peal_node_report *r = &n->own;
    const struct {
        const char *name, *value;
    } texts[] = { { "name", r->name }, { "address", r->address },
        { "version", r->version }, { "secret", r->secret } };
    const uint8_t *key = peal_hub_key(n->hub)->bytes;
    peal_err err = peal_buf_printf(b,
        "{\"v\":1,\"node\":\"%08x\",\"key\":\"" KEY_FORMAT "\",\"state\":\"%s\","
        "\"started\":%" PRId64 ",\"connections\":%" PRId64 ",\"sessions\":%" PRId64
        ",\"room\":%" PRId64 ",\"sent\":%" PRIu64 ",\"hello\":%s",
        r->number, KEY_BYTES(key), state_words[r->state], r->started_ms, r->connections,
        r->sessions, r->room, uv_hrtime() / 1000, n->hello ? "true" : "false");

    for (size_t i = 0; err == PEAL_OK && i < sizeof(texts) / sizeof(*texts); i++)
        if ((err = peal_buf_printf(b, ",\"%s\":", texts[i].name)) == PEAL_OK)
            err = peal_json_quote(b, peal_slice_str(texts[i].value));
    return err == PEAL_OK ? peal_buf_add_char(b, '}') : err;
}

static void
say(struct peal_nodes *n)
{
    struct peal_buf b = { 0 };
    peal_err err;

    uv_mutex_lock(&n->lock);
    n->fill(n->arg, &n->own);
    err = write_report(n, &b);
    uv_mutex_unlock(&n->lock);
    if (err == PEAL_OK)
        peal_relay_publish_control(n->relay, peal_buf_slice(&b));
    n->hello = false;
    peal_buf_fini(&b);
}

/* Reading one. */
struct parsed {
    struct peal_node_report report;
    struct peal_id_key key;
    uint64_t sent;
    bool hello, has_node;
};

static uint64_t
hex_of(struct peal_slice token)
{
    uint64_t n = 0;

    for (size_t i = 1; i + 1 < token.len; i++) {
        char c = token.data[i];

        n = n << 4 | (uint64_t)(c >= 'a' && c <= 'f'   ? c - 'a' + 10
                                : c >= '0' && c <= '9' ? c - '0'
                                                       : 0);
    }
    return n;
}

/* Reads 32 hexadecimal digits in quotes; out stays as it is where they are something
 * else. */
static void
key_of(struct peal_slice token, struct peal_id_key *out)
{
    if (token.len != 2 * sizeof(out->bytes) + 2 || token.data[0] != '"')
        return;
    for (size_t i = 0; i < sizeof(out->bytes); i++)
        out->bytes[i] =
            (uint8_t)hex_of(peal_slice_of(token.data + 2 * i, 4)); /* the middle two */
}

static void
copy_text(struct peal_slice token, char *out, size_t size)
{
    struct peal_buf b = { 0 };
    size_t len;

    if (token.data[0] != '"' || peal_json_unquote(&b, token) != PEAL_OK) {
        peal_buf_fini(&b);
        return;
    }
    len = b.len < size ? b.len : size - 1;
    if (len > 0)
        memcpy(out, b.data, len);
    out[len] = '\0';
    peal_buf_fini(&b);
}

static int64_t
number_of(struct peal_slice token)
{
    uint64_t n;

    return peal_slice_u64(token, INT64_MAX, &n) == PEAL_OK ? (int64_t)n : 0;
}

static void
read_field(struct parsed *p, struct peal_slice key, struct peal_slice value)
{
    struct peal_node_report *r = &p->report;

    if (peal_json_string_is(key, PEAL_S("node"))) {
        r->number = (uint32_t)hex_of(value);
        p->has_node = true;
    } else if (peal_json_string_is(key, PEAL_S("key"))) {
        key_of(value, &p->key);
    } else if (peal_json_string_is(key, PEAL_S("state"))) {
        for (int i = 0; i <= PEAL_NODE_LEAVING; i++)
            if (peal_json_string_is(value, peal_slice_str(state_words[i])))
                r->state = (enum peal_node_state)i;
    } else if (peal_json_string_is(key, PEAL_S("started"))) {
        r->started_ms = number_of(value);
    } else if (peal_json_string_is(key, PEAL_S("connections"))) {
        r->connections = number_of(value);
    } else if (peal_json_string_is(key, PEAL_S("sessions"))) {
        r->sessions = number_of(value);
    } else if (peal_json_string_is(key, PEAL_S("room"))) {
        r->room = number_of(value);
    } else if (peal_json_string_is(key, PEAL_S("sent"))) {
        p->sent = (uint64_t)number_of(value);
    } else if (peal_json_string_is(key, PEAL_S("hello"))) {
        p->hello = peal_slice_eq(value, PEAL_S("true"));
    } else if (peal_json_string_is(key, PEAL_S("name"))) {
        copy_text(value, r->name, sizeof(r->name));
    } else if (peal_json_string_is(key, PEAL_S("address"))) {
        copy_text(value, r->address, sizeof(r->address));
    } else if (peal_json_string_is(key, PEAL_S("version"))) {
        copy_text(value, r->version, sizeof(r->version));
    } else if (peal_json_string_is(key, PEAL_S("secret"))) {
        copy_text(value, r->secret, sizeof(r->secret));
    }
}

static bool
read_report(struct peal_slice text, struct parsed *p)
{
    struct peal_slice whole, rest, key, value;
    size_t used;

    if (peal_json_check(text) != PEAL_OK ||
        peal_json_skip(text, &whole, &used) != PEAL_OK || whole.data[0] != '{')
        return false;
    /* Without a key that can be read, no id passes for one of that node. */
    peal_id_key_new(&p->key);
    p->report.state = PEAL_NODE_UP; /* what a later version may call otherwise */
    rest = peal_slice_of(whole.data + 1, whole.len - 2);
    while (peal_json_field(&rest, &key, &value))
        read_field(p, key, value);
    return p->has_node && p->report.number != 0;
}

/* The others. */

static struct node *
find(struct peal_nodes *n, uint32_t number)
{
    for (unsigned i = 0; i < n->n; i++)
        if (n->others[i].report.number == number)
            return &n->others[i];
    return NULL;
}

static void
tell(struct peal_nodes *n, const char *what, const struct peal_node_report *r)
{
    peal_log(n->loop->config.log, PEAL_LOG_INFO, what,
        "name=%s node=%08x address=%s version=%s nodes=%u", r->name, r->number,
        r->address, r->version, n->n + 1);
}

/* With the lock. NULL: no room. */
static struct node *
add(struct peal_nodes *n, const struct parsed *p)
{
    if (n->n == n->cap) {
        unsigned cap = n->cap ? n->cap * 2 : 8;
        struct node *others = realloc(n->others, cap * sizeof(*others));

        if (others == NULL)
            return NULL;
        n->others = others;
        n->cap = cap;
    }
    if (peal_hub_add_node(n->hub, p->report.number, &p->key) != PEAL_OK)
        return NULL;
    return &n->others[n->n++];
}

static void
forget(struct peal_nodes *n, struct node *o, const char *why)
{
    struct peal_node_report gone = o->report;

    uv_mutex_lock(&n->lock);
    *o = n->others[--n->n];
    uv_mutex_unlock(&n->lock);
    peal_hub_remove_node(n->hub, gone.number);
    tell(n, why, &gone);
}

static void
on_other(struct peal_nodes *n, const struct parsed *p)
{
    struct node *o = find(n, p->report.number);
    bool fresh = o == NULL;

    if (p->report.state == PEAL_NODE_LEAVING) {
        if (o != NULL)
            forget(n, o, "a node has left");
        return;
    }
    uv_mutex_lock(&n->lock);
    if (fresh)
        o = add(n, p);
    if (o != NULL)
        *o = (struct node){ p->report, p->key, peal_loop_now_ms(n->loop) };
    uv_mutex_unlock(&n->lock);
    if (o == NULL)
        peal_log(n->loop->config.log, PEAL_LOG_ERROR, "no room for one more node", NULL);
    else if (fresh)
        tell(n, "a node is there", &o->report);
    if (p->hello && !n->answering) {
        n->answering = true;
        peal_loop_start(n->loop, &n->timer, ANSWER_MS);
    }
}

static void
on_own(struct peal_nodes *n, const struct parsed *p)
{
    if (strcmp(p->report.secret, n->own.secret) != 0) {
        peal_log(n->loop->config.log, PEAL_LOG_ERROR,
            "another node has this node's number: restart one of them", "name=%s",
            p->report.name);
        return;
    }
    n->proven_ms = peal_loop_now_ms(n->loop);
    n->proof_ms = n->proven_ms;
    n->lag_us = (int64_t)(uv_hrtime() / 1000 - p->sent);
}

static void
on_message(void *arg, struct peal_slice payload)
{
    struct peal_nodes *n = arg;
    struct parsed p = { 0 };

    if (!read_report(payload, &p))
        peal_stat_add(&n->loop->stats, PEAL_STAT_BACKPLANE_BAD, 1);
    else if (p.report.number == peal_hub_node(n->hub))
        on_own(n, &p);
    else
        on_other(n, &p);
}

/* It was us who did not hear. */
static void
heard_all(struct peal_nodes *n, uint64_t now)
{
    uv_mutex_lock(&n->lock);
    for (unsigned i = 0; i < n->n; i++)
        n->others[i].seen_ms = now;
    uv_mutex_unlock(&n->lock);
}

static void
on_up(void *arg)
{
    struct peal_nodes *n = arg;
    uint64_t now = peal_loop_now_ms(n->loop);

    if (n->was_up)
        peal_stat_add(&n->loop->stats, PEAL_STAT_BACKPLANE_GAPS, 1);
    n->since_ms = now;
    n->now_ms = now;
    n->was_up = n->hello = true;
    heard_all(n, now);
    say(n);
    n->answering = false;
    peal_loop_start(n->loop, &n->timer, REPORT_MS);
}

static void
on_down(void *arg)
{
}

static const struct peal_relay_events relay_events = {
    .up = on_up, .down = on_down, .message = on_message
};

static void
look_at_others(struct peal_nodes *n, uint64_t now)
{
    for (unsigned i = n->n; i-- > 0;)
        if (now - n->others[i].seen_ms > SILENT_MS)
            forget(n, &n->others[i], "a node is gone");
}

static void
on_timer(struct peal_timer *t)
{
    struct peal_nodes *n = PEAL_CONTAINER(t, struct peal_nodes, timer);
    uint64_t now = peal_loop_now_ms(n->loop);
    uint64_t last = n->proven_ms > n->since_ms ? n->proven_ms : n->since_ms;

    if (now - n->now_ms > LATE_MS) {
        n->since_ms = last = now;
        heard_all(n, now);
    }
    n->now_ms = now;
    n->answering = false;
    peal_loop_start(n->loop, t, REPORT_MS);
    if (!peal_relay_up(n->relay))
        return;
    if (now - last > UNPROVEN_MS) {
        peal_relay_restart(n->relay, "what is published does not come back");
        return;
    }
    look_at_others(n, now);
    say(n);
}

peal_err
peal_nodes_new(struct peal_hub *hub, struct peal_relay *relay, struct peal_loop *loop,
    const struct peal_node_report *own, peal_node_report_fn *fill, void *arg,
    struct peal_nodes **out)
{
    struct peal_nodes *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return PEAL_ENOMEM;
    if (uv_mutex_init(&n->lock) != 0) {
        free(n);
        return PEAL_ENOMEM;
    }
    n->hub = hub;
    n->relay = relay;
    n->loop = loop;
    n->own = *own;
    n->own.number = peal_hub_node(hub);
    n->fill = fill;
    n->arg = arg;
    n->timer.fn = on_timer;
    n->lag_us = -1;
    *out = n;
    return PEAL_OK;
}

void
peal_nodes_start(struct peal_nodes *n)
{
    n->now_ms = peal_loop_now_ms(n->loop);
    peal_loop_start(n->loop, &n->timer, REPORT_MS);
    peal_relay_start(n->relay, &relay_events, n);
}

void
peal_nodes_leave(struct peal_nodes *n)
{
    say(n);
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

bool
peal_nodes_find(struct peal_nodes *n, uint32_t number, struct peal_node_report *out)
{
    const struct node *o;

    uv_mutex_lock(&n->lock);
    if ((o = find(n, number)) != NULL)
        *out = o->report;
    uv_mutex_unlock(&n->lock);
    return o != NULL;
}

void
peal_nodes_each(struct peal_nodes *n, peal_nodes_fn *fn, void *arg)
{
    uint64_t now = n->now_ms;

    uv_mutex_lock(&n->lock);
    fn(arg, &n->own, 0, true);
    for (unsigned i = 0; i < n->n; i++) {
        const struct node *o = &n->others[i];

        fn(arg, &o->report, now > o->seen_ms ? now - o->seen_ms : 0, false);
    }
    uv_mutex_unlock(&n->lock);
}

void
peal_nodes_probe(struct peal_nodes *n, struct peal_nodes_probe_result *out)
{
    uint64_t now = n->now_ms, proof = n->proof_ms;

    out->age_ms = proof == 0 ? -1 : now > proof ? (int64_t)(now - proof) : 0;
    out->lag_us = n->lag_us;
    out->ready = proof != 0 && out->age_ms <= GRACE_MS;
    uv_mutex_lock(&n->lock);
    out->n_nodes = n->n + 1;
    uv_mutex_unlock(&n->lock);
}

/* SPDX-License-Identifier: MIT */
/* hub/nodes: what nodes say of themselves and hear of others, and what follows from it.
 */
#include "relay_rig.h"

#include <fcntl.h>

#include "alloc.h"
#include "hub/node_report_priv.h"
#include "hub/nodes.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define STEP 8 /* ms that a timer may be late */

struct cluster {
    struct rig r; /* first */
    struct peal_nodes *nodes;
    enum peal_node_state state;
    int64_t sessions;
    unsigned renumbered;
};

static void
fill(void *arg, struct peal_node_report *own)
{
    struct cluster *c = arg;

    own->state = c->state;
    own->connections = 1;
    own->sessions = c->sessions;
}

static void
renumbered(void *arg)
{
    ((struct cluster *)arg)->renumbered++;
}

static void
cluster_open_with(struct cluster *c, const char *secret)
{
    static const struct peal_node_report own = { .started_ms = 1700000000000,
        .room = 5,
        .name = "na\"me",
        .address = "10.0.0.7:9000",
        .version = "1.2.3",
        .secret = SECRET };
    struct peal_nodes_config config;

    *c = (struct cluster){ .state = PEAL_NODE_UP, .sessions = 3 };
    rig_make_with(&c->r, 1000, 0, secret);
    config = (struct peal_nodes_config){ .hub = c->r.hub,
        .relay = c->r.relay,
        .loop = c->r.control,
        .own = &own,
        .fill = fill,
        .renumbered = renumbered,
        .arg = c };
    CHECK_OK(peal_nodes_new(&config, &c->nodes));
    peal_nodes_start(c->nodes);
}

static void
cluster_open(struct cluster *c)
{
    cluster_open_with(c, NULL);
}

static void
cluster_close(struct cluster *c)
{
    peal_nodes_free(&c->nodes);
    rig_close(&c->r);
}

static void
link_up(struct cluster *c)
{
    c->r.b.events->up(c->r.b.arg);
    subscribed(&c->r, "t:nodes");
    subscribed(&c->r, "t:n:00000007");
    subscribed(&c->r, "t:all");
}

static void
pass(struct cluster *c, uint64_t ms)
{
    settle(&c->r);
    clock_ms += ms;
    settle(&c->r);
}

/* The last report of this node's own, as it was published since the last look; "" if
 * there was none. */
static const char *
report_of(struct cluster *c, unsigned *n_out)
{
    static char text[4096];
    const char *at = c->r.log, *found = NULL;

    for (*n_out = 0; (at = strstr(at, "pub t:nodes ")) != NULL; (*n_out)++)
        found = at += strlen("pub t:nodes ");
    snprintf(text, sizeof(text), "%s", found != NULL ? found : "");
    text[strcspn(text, "\n")] = '\0';
    c->r.log_len = 0;
    c->r.log[0] = '\0';
    return text;
}

static void
hear_text(struct cluster *c, const char *text)
{
    c->r.b.events->message(c->r.b.arg, PEAL_S("t:nodes"), peal_slice_str(text));
}

/* What the node has published comes back. */
static void
echo(struct cluster *c)
{
    unsigned n;
    const char *text = report_of(c, &n);

    CHECK(n > 0);
    hear_text(c, text);
}

/* Time goes by in steps of a report; what is published comes back. */
static void
live(struct cluster *c, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        pass(c, 1000 + STEP);
        echo(c);
    }
}

static void
hear_of(struct cluster *c, unsigned number, const char *state, bool hello)
{
    char text[256];

    snprintf(text, sizeof(text),
        "{\"v\":1,\"node\":\"%08x\",\"key\":\"%032x\",\"state\":\"%s\",\"hello\":%s,"
        "\"address\":\"10.0.0.%u:9000\"}",
        number, number * 11, state, hello ? "true" : "false", number);
    hear_text(c, text);
}

/* The key that is n as a number of 128 bits. */
static struct peal_id_key
key_of(uint32_t n)
{
    return (struct peal_id_key){
        { [12] = (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n }
    };
}

static bool
known(struct cluster *c, unsigned number)
{
    struct peal_node_report report;
    char id[PEAL_ID_LEN];
    uint32_t node;
    uint8_t worker;
    bool found = peal_nodes_find(c->nodes, number, &report);
    struct peal_id_key key = key_of(number * 11);

    peal_id_new(&key, number, 3, id);
    CHECK_INT(
        peal_hub_owner(c->r.hub, peal_slice_of(id, PEAL_ID_LEN), &node, &worker), found);
    return found;
}

static void
a_report_says_all_that_others_need(void **state)
{
    static const char *const parts[] = {
        "{\"v\":1,\"node\":\"00000007\",\"state\":\"up\"", "\"state\":\"up\"",
        "\"started\":1700000000000", "\"connections\":1", "\"sessions\":3", "\"room\":5",
        "\"hello\":true", "\"name\":\"na\\\"me\"", "\"address\":\"10.0.0.7:9000\"",
        "\"version\":\"1.2.3\"", "\"secret\":\"" SECRET "\"", "\"sent\":"
    };
    struct cluster c;
    const char *text;
    char key[48], *at = key;
    unsigned n;

    cluster_open(&c);
    pass(&c, 5000); /* without a link there is nobody to say it to */
    text = report_of(&c, &n);
    CHECK_INT(n, 0);
    link_up(&c);
    text = report_of(&c, &n);
    CHECK_INT(n, 1);
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (strstr(text, parts[i]) == NULL)
            fail_msg("no %s in %s", parts[i], text);
    at += sprintf(at, "\"key\":\"");
    for (size_t i = 0; i < PEAL_SIPHASH_KEY_LEN; i++)
        at += sprintf(at, "%02x", peal_hub_key(c.r.hub)->bytes[i]);
    CHECK(strstr(text, key) != NULL);
    pass(&c, 500);
    report_of(&c, &n);
    CHECK_INT(n, 0);
    c.state = PEAL_NODE_DRAINING;
    pass(&c, 500 + STEP);
    text = report_of(&c, &n);
    CHECK_INT(n, 1);
    CHECK(strstr(text, "\"hello\":false") != NULL);
    CHECK(strstr(text, "\"state\":\"draining\"") != NULL);
    c.state = PEAL_NODE_LEAVING;
    peal_nodes_leave(c.nodes);
    CHECK(strstr(report_of(&c, &n), "\"state\":\"leaving\"") != NULL);
    cluster_close(&c);
}

static void
what_others_say_is_read(void **state)
{
    struct peal_node_report report;
    char text[1024], long_name[400];
    struct cluster c;
    uint32_t node;
    uint8_t worker;
    char id[PEAL_ID_LEN];
    struct peal_id_key key;

    cluster_open(&c);
    link_up(&c);
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    snprintf(text, sizeof(text),
        " {\"new\":{\"a\":[1,2]},\"name\":\"\\u00e4\\n\",\"node\":\"0000000a\","
        "\"key\":\"000000000000000000000000deadbeef\",\"state\":\"draining\",\"started\":"
        "12,"
        "\"connections\":34,\"sessions\":56,\"room\":-7,\"version\":\"%s\","
        "\"address\":\"a:1\",\"secret\":\"abcdefgh\",\"hello\":\"true\"} ",
        long_name);
    hear_text(&c, text);
    CHECK(peal_nodes_find(c.nodes, 10, &report));
    CHECK_INT(report.number, 10);
    CHECK_INT(report.state, PEAL_NODE_DRAINING);
    CHECK_INT(report.started_ms, 12);
    CHECK_INT(report.connections, 34);
    CHECK_INT(report.sessions, 56);
    CHECK_INT(report.room, 0);
    assert_string_equal(report.name, "\xc3\xa4\n");
    assert_string_equal(report.address, "a:1");
    assert_string_equal(report.secret, "abcdefgh");
    CHECK_INT(strlen(report.version), PEAL_NODE_TEXT_MAX - 1);
    memset(long_name, 'x', sizeof(long_name) - 1);
    memcpy(long_name + PEAL_NODE_TEXT_MAX - 2, "\xe2\x82\xac", 3); /* it does not fit */
    snprintf(text, sizeof(text), "{\"node\":\"0000000b\",\"name\":\"%s\"}", long_name);
    hear_text(&c, text);
    CHECK(peal_nodes_find(c.nodes, 11, &report));
    CHECK_INT(strlen(report.name), PEAL_NODE_TEXT_MAX - 2);
    key = key_of(0xdeadbeef);
    peal_id_new(&key, 10, 4, id);
    CHECK(peal_hub_owner(c.r.hub, peal_slice_of(id, PEAL_ID_LEN), &node, &worker));
    CHECK_INT(node, 10);
    CHECK_INT(worker, 4);
    hear_of(&c, 12, "some later word", false);
    CHECK(peal_nodes_find(c.nodes, 12, &report));
    CHECK_INT(report.state, PEAL_NODE_UP);
    assert_string_equal(report.name, "");
    CHECK(!peal_nodes_find(c.nodes, 13, &report));
    CHECK(!peal_nodes_find(c.nodes, 7, &report)); /* itself */
    cluster_close(&c);
}

struct seen {
    struct peal_node_report list[4];
    uint64_t ms[4];
    unsigned n;
};

static void
on_node(void *arg, const struct peal_node_report *r, uint64_t seen_ms, bool own)
{
    struct seen *s = arg;

    CHECK(own == (s->n == 0));
    s->list[s->n] = *r;
    s->ms[s->n++] = seen_ms;
}

static void
all_are_listed_and_this_one_first(void **state)
{
    struct seen alone = { .n = 0 }, s = { .n = 0 };
    struct cluster c;

    cluster_open(&c);
    link_up(&c);
    peal_nodes_each(c.nodes, on_node, &alone);
    CHECK_INT(alone.n, 1);
    CHECK_INT(alone.list[0].number, 7);
    CHECK_INT(alone.list[0].sessions, 3);
    hear_of(&c, 10, "up", false);
    hear_of(&c, 11, "up", false);
    pass(&c, 1000 + STEP);
    hear_of(&c, 11, "up", false);
    pass(&c, 1000 + STEP);
    peal_nodes_each(c.nodes, on_node, &s);
    CHECK_INT(s.n, 3);
    CHECK_INT(s.list[1].number, 10);
    CHECK_INT(s.list[2].number, 11);
    CHECK_INT(s.ms[0], 0);
    CHECK_INT(s.ms[1], 2000 + 2 * STEP);
    CHECK_INT(s.ms[2], 1000 + STEP);
    cluster_close(&c);
}

static void
a_newcomer_is_answered_soon_and_many_are_answered_at_once(void **state)
{
    struct cluster c;
    unsigned n;

    cluster_open(&c);
    link_up(&c);
    pass(&c, 100);
    report_of(&c, &n);
    hear_of(&c, 10, "up", false); /* it does not ask */
    pass(&c, 100);
    report_of(&c, &n);
    CHECK_INT(n, 0);
    for (unsigned i = 0; i < 10; i++) { /* one after the other, and never a pause */
        hear_of(&c, 20 + i, "up", true);
        pass(&c, 10);
    }
    CHECK(strstr(report_of(&c, &n), "\"hello\":false") != NULL);
    CHECK_INT(n, 1);
    pass(&c, 50 + STEP);
    report_of(&c, &n);
    CHECK_INT(n, 1);
    pass(&c, 900);
    report_of(&c, &n);
    CHECK_INT(n, 0);
    cluster_close(&c);
}

static void
a_silent_node_is_forgotten(void **state)
{
    struct cluster c;

    cluster_open(&c);
    link_up(&c);
    echo(&c);
    hear_of(&c, 10, "up", false);
    hear_of(&c, 11, "up", false);
    hear_of(&c, 12, "starting", false);
    live(&c, 3);
    hear_of(&c, 11, "up", false);
    live(&c, 1);
    CHECK(known(&c, 10) && known(&c, 11) && known(&c, 12));
    live(&c, 1);
    CHECK(!known(&c, 10) && known(&c, 11) && !known(&c, 12));
    hear_of(&c, 10, "up", false);
    CHECK(known(&c, 10));
    c.r.b.events->down(c.r.b.arg); /* it is us who does not hear */
    for (int i = 0; i < 20; i++)
        pass(&c, 1000);
    CHECK(known(&c, 10) && known(&c, 11));
    link_up(&c);
    live(&c, 4);
    CHECK(known(&c, 10) && known(&c, 11));
    live(&c, 2);
    CHECK(!known(&c, 10) && !known(&c, 11));
    cluster_close(&c);
}

static void
a_node_that_leaves_is_gone_at_once(void **state)
{
    struct peal_nodes_probe_result proof;
    struct cluster c;

    cluster_open(&c);
    link_up(&c);
    hear_of(&c, 10, "up", false);
    hear_of(&c, 11, "up", false);
    hear_of(&c, 12, "up", false);
    hear_of(&c, 10, "leaving", false);
    hear_of(&c, 13, "leaving", false);
    CHECK(!known(&c, 10) && known(&c, 11) && known(&c, 12) && !known(&c, 13));
    peal_nodes_probe(c.nodes, clock_ms, &proof);
    CHECK_INT(proof.n_nodes, 3);
    cluster_close(&c);
}

static void
there_is_a_most_of_nodes(void **state)
{
    struct peal_nodes_probe_result proof;
    struct cluster c;

    rig_log.level = -1;
    cluster_open(&c);
    link_up(&c);
    for (unsigned i = 0; i < PEAL_NODES_MAX + 2; i++)
        hear_of(&c, 100 + i, "up", false);
    peal_nodes_probe(c.nodes, clock_ms, &proof);
    CHECK_INT(proof.n_nodes, PEAL_NODES_MAX + 1);
    CHECK(known(&c, 100 + PEAL_NODES_MAX - 1) && !known(&c, 100 + PEAL_NODES_MAX));
    hear_of(&c, 500, "leaving", false);
    hear_of(&c, 100 + PEAL_NODES_MAX, "up", false);
    CHECK(!known(&c, 500) && known(&c, 100 + PEAL_NODES_MAX));
    rig_log.level = PEAL_LOG_ERROR;
    cluster_close(&c);
}

static void
what_is_no_report_is_counted(void **state)
{
    static const char *const bad[] = { "", "x", "{", "[]", "17", "{}", "{\"node\":\"0\"}",
        "{\"name\":\"a\"}", "{\"node\":\"0000000a\"} x", "{\"node\":\"0000000a\",}",
        "\"node\"" };
    struct cluster c;

    cluster_open(&c);
    link_up(&c);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        hear_text(&c, bad[i]);
        CHECK_INT(stat_of(&c.r, PEAL_STAT_BACKPLANE_BAD), (int64_t)i + 1);
    }
    CHECK(!known(&c, 10));
    /* Of the wrong kind, but harmless. */
    hear_text(&c,
        "{\"node\":[],\"node\":\"0000000a\",\"key\":7,\"state\":null,\"name\":{},"
        "\"hello\":1,\"sent\":-1,\"started\":\"x\"}");
    CHECK(peal_hub_has_node(c.r.hub, 10));
    cluster_close(&c);
}

/* A report of node 10, with some of the fields that must not change. */
static void
hear_claim(struct cluster *c, const char *state, const char *address, const char *secret,
    unsigned key, unsigned sent)
{
    char text[512];

    snprintf(text, sizeof(text),
        "{\"node\":\"0000000a\",\"state\":\"%s\",\"address\":\"%s\",\"secret\":\"%s\","
        "\"key\":\"%032x\",\"sent\":%u,\"connections\":%u}",
        state, address, secret, key, sent, sent);
    hear_text(c, text);
}

static void
nobody_speaks_in_a_known_nodes_name(void **state)
{
    struct peal_node_report report;
    struct cluster c;

    rig_log.level = -1;
    cluster_open(&c);
    link_up(&c);
    hear_claim(&c, "up", "a:1", "secret-of-10", 110, 5);
    hear_claim(&c, "up", "evil:1", "secret-of-10", 110, 6);
    hear_claim(&c, "up", "a:1", "another-secret", 110, 6);
    hear_claim(&c, "up", "a:1", "secret-of-10", 111, 6);
    hear_claim(&c, "leaving", "a:1", "another-secret", 110, 6);
    hear_claim(&c, "up", "a:1", "secret-of-10", 110, 5); /* once more the same */
    hear_claim(&c, "leaving", "a:1", "secret-of-10", 110, 4);
    CHECK_INT(stat_of(&c.r, PEAL_STAT_BACKPLANE_BAD), 6);
    CHECK(peal_nodes_find(c.nodes, 10, &report));
    assert_string_equal(report.address, "a:1");
    assert_string_equal(report.secret, "secret-of-10");
    CHECK_INT(report.connections, 5);
    CHECK(known(&c, 10));
    hear_claim(&c, "draining", "a:1", "secret-of-10", 110, 7);
    CHECK(peal_nodes_find(c.nodes, 10, &report));
    CHECK_INT(report.state, PEAL_NODE_DRAINING);
    hear_claim(&c, "leaving", "a:1", "secret-of-10", 110, 8);
    CHECK(!known(&c, 10));
    rig_log.level = PEAL_LOG_ERROR;
    cluster_close(&c);
}

/* What goes into a request to that address must not break out of its line. */
static void
an_address_is_used_only_with_a_fitting_secret(void **state)
{
    static const struct {
        const char *address, *secret;
    } bad[] = { { "a:1", "short" }, { "a:1", "" }, { "a:1", "with a blank" },
        { "a:1", "line\\r\\nPeal: x" }, { "a 1:1", "long-enough" } };
    struct peal_node_report report;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct cluster c;

        cluster_open(&c);
        link_up(&c);
        hear_claim(&c, "up", bad[i].address, bad[i].secret, 110, 5);
        CHECK(peal_nodes_find(c.nodes, 10, &report));
        assert_string_equal(report.address, "");
        assert_string_equal(report.secret, "");
        cluster_close(&c);
    }
}

static void
hear_of_twin(struct cluster *c, long long started, const char *key)
{
    char text[256];

    snprintf(text, sizeof(text),
        "{\"node\":\"%08x\",\"name\":\"twin\",\"key\":\"%s\",\"started\":%lld}",
        peal_hub_node(c->r.hub), key, started);
    hear_text(c, text);
}

#define KEY_LOW "00000000000000000000000000000000"
#define KEY_HIGH "ffffffffffffffffffffffffffffffff"

static void
of_two_nodes_with_one_number_the_younger_gets_another(void **state)
{
    struct member me;
    struct cluster c;
    char sub[64];
    uint32_t number;

    rig_log.level = -1;
    cluster_open(&c);
    link_up(&c);
    echo(&c);
    hear_of_twin(&c, 1700000000001, KEY_LOW);
    hear_of_twin(&c, 1700000000000, KEY_HIGH); /* as old: the larger key goes */
    CHECK_INT(c.renumbered, 0);
    CHECK_INT(peal_hub_node(c.r.hub), 7);
    begin(&c.r, 0, &me);
    hear_of_twin(&c, 1699999999999, KEY_HIGH);
    CHECK_INT(c.renumbered, 1);
    number = peal_hub_node(c.r.hub);
    CHECK(number != 7 && number != 0);
    CHECK_INT(c.r.restarts, 1);
    CHECK_INT(peal_shard_owner(c.r.sh[0], peal_session_id(&me.s)), -1);
    peal_session_fini(&me.s);
    begin(&c.r, 0, &me);
    CHECK_INT(peal_shard_owner(c.r.sh[0], peal_session_id(&me.s)), 0);
    c.r.b.events->down(c.r.b.arg);
    c.r.log_len = 0;
    c.r.b.events->up(c.r.b.arg);
    snprintf(sub, sizeof(sub), "sub t:n:%08x\n", number);
    CHECK(strstr(c.r.log, sub) != NULL && strstr(c.r.log, "t:n:00000007") == NULL);
    hear_of_twin(&c, 1, KEY_HIGH); /* once in ten minutes at most */
    CHECK_INT(c.renumbered, 1);
    clock_ms += 600001;
    hear_of_twin(&c, 1, KEY_HIGH); /* nor when it is older than a minute */
    CHECK_INT(c.renumbered, 1);
    peal_session_fini(&me.s);
    c.r.quiet = true;
    rig_log.level = PEAL_LOG_ERROR;
    cluster_close(&c);
}

static const char *
unready_now(struct cluster *c)
{
    struct peal_nodes_probe_result proof;

    peal_nodes_probe(c->nodes, clock_ms, &proof);
    return proof.unready;
}

#define CLUSTER_SECRET "a secret of the cluster"

/* A report as it would come from a node with this secret, or none. */
static void
hear_sealed(struct cluster *c, const char *secret, const char *text)
{
    const struct peal_slice s = peal_slice_str(secret), report = peal_slice_str(text);
    struct peal_seal seal;
    char bytes[4096];

    CHECK_OK(peal_seal_init(&seal, &s, 1));
    peal_seal_head(&seal, PEAL_S("t:nodes"), report, bytes);
    memcpy(bytes + PEAL_SEAL_HEAD, report.data, report.len);
    c->r.b.events->message(
        c->r.b.arg, PEAL_S("t:nodes"), peal_slice_of(bytes, PEAL_SEAL_HEAD + report.len));
}

static void
with_a_secret_reports_are_sealed_and_their_keys_hidden(void **state)
{
    static const char text[] = "{\"node\":\"0000000a\",\"address\":\"a:1\","
                               "\"secret\":\"0123456789\"}";
    struct peal_node_report report;
    struct peal_report_extra extra;
    struct cluster c;
    const char *own;
    unsigned n;

    rig_log.level = -1;
    cluster_open_with(&c, CLUSTER_SECRET);
    link_up(&c);
    own = report_of(&c, &n);
    CHECK(strncmp(own, "sealed {", 8) == 0);
    CHECK(strstr(own, "\"key\"") == NULL && strstr(own, "\"secret\"") == NULL &&
          strstr(own, SECRET) == NULL);
    CHECK_OK(peal_report_read(
        peal_slice_str(own + 7), &peal_relay_seal(c.r.relay)->keys[0], &report, &extra));
    assert_string_equal(report.secret, SECRET);
    assert_string_equal(report.address, "10.0.0.7:9000");
    CHECK_MEM(extra.key.bytes, 16, peal_hub_key(c.r.hub)->bytes, 16);
    CHECK(unready_now(&c) != NULL);
    hear_sealed(&c, CLUSTER_SECRET, own + 7);
    CHECK(unready_now(&c) == NULL);
    hear_text(&c, text);
    hear_sealed(&c, "another secret there", text);
    CHECK_INT(stat_of(&c.r, PEAL_STAT_BACKPLANE_UNSEALED), 2);
    CHECK(!peal_nodes_find(c.nodes, 10, &report));
    hear_sealed(&c, CLUSTER_SECRET, text);
    CHECK(peal_nodes_find(c.nodes, 10, &report));
    rig_log.level = PEAL_LOG_ERROR;
    cluster_close(&c);
}

static void
with_a_secret_a_twin_is_believed_at_any_time(void **state)
{
    static const char twin[] = "{\"node\":\"00000007\",\"started\":1}";
    struct cluster c;

    rig_log.level = -1;
    cluster_open_with(&c, CLUSTER_SECRET);
    link_up(&c);
    clock_ms += 3600000;
    hear_sealed(&c, CLUSTER_SECRET, twin);
    CHECK_INT(c.renumbered, 1);
    CHECK(peal_hub_node(c.r.hub) != 7);
    rig_log.level = PEAL_LOG_ERROR;
    cluster_close(&c);
}

static const char *
unready(struct cluster *c)
{
    return unready_now(c) != NULL ? unready_now(c) : "";
}

static void
a_control_thread_that_hangs_is_seen_by_the_others(void **state)
{
    struct cluster c;

    cluster_open(&c);
    link_up(&c);
    echo(&c);
    assert_string_equal(unready(&c), "");
    clock_ms += 10001; /* and the control loop does not turn */
    assert_string_equal(unready(&c), "the control thread hangs");
    cluster_close(&c);
}

/* Nodes 10, 11 and so on report; a bit for each says whether it lists this node. */
static void
hear_lists(struct cluster *c, unsigned n, unsigned listing)
{
    for (unsigned i = 0; i < n; i++) {
        char text[256];

        snprintf(text, sizeof(text),
            "{\"node\":\"%08x\",\"key\":\"%032x\",\"hears_n\":2,\"hears\":\"%"
            "s00000063\"}",
            10 + i, (10 + i) * 11, listing >> i & 1 ? "00000007" : "");
        hear_text(c, text);
    }
}

static void
a_node_that_most_others_do_not_hear_is_not_ready(void **state)
{
    static const struct {
        unsigned n, listing;
        bool ready;
        unsigned not_hearing;
    } cases[] = { { 1, 0, false, 1 }, { 1, 1, true, 0 }, { 2, 1, true, 1 },
        { 2, 0, false, 2 }, { 3, 1, false, 2 }, { 3, 3, true, 1 } };

    rig_log.level = -1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct peal_nodes_probe_result proof;
        struct cluster c;

        cluster_open(&c);
        link_up(&c);
        echo(&c);
        for (unsigned s = 0; s < 5; s++) { /* it is given time to be listed */
            hear_lists(&c, cases[i].n, cases[i].listing);
            hear_of(&c, 50, "up", false); /* of a version that lists nobody */
            live(&c, 1);
            assert_string_equal(unready(&c), "");
        }
        hear_lists(&c, cases[i].n, cases[i].listing);
        live(&c, 1);
        peal_nodes_probe(c.nodes, clock_ms, &proof);
        CHECK_INT(proof.unready == NULL, cases[i].ready);
        CHECK_INT(proof.not_hearing, cases[i].not_hearing);
        hear_lists(&c, cases[i].n, ~0u);
        live(&c, 1);
        assert_string_equal(unready(&c), "");
        cluster_close(&c);
    }
    rig_log.level = PEAL_LOG_ERROR;
}

static void
a_report_lists_the_nodes_that_are_heard(void **state)
{
    struct cluster c;
    const char *text;
    unsigned n, listed[201] = { 0 };

    cluster_open(&c);
    link_up(&c);
    CHECK(strstr(report_of(&c, &n), "\"hears_n\":0,\"hears\":\"\"") != NULL);
    hear_of(&c, 0xab, "up", false);
    hear_of(&c, 0xcd, "up", false);
    pass(&c, 1000 + STEP);
    text = report_of(&c, &n);
    CHECK(strstr(text, "\"hears_n\":2,\"hears\":\"000000ab000000cd\"") != NULL);
    cluster_close(&c);
    cluster_open(&c); /* more than one report can list */
    link_up(&c);
    for (unsigned i = 1; i <= 200; i++)
        hear_of(&c, i + 1000, "up", false);
    for (unsigned k = 0; k < 2; k++) {
        pass(&c, 1000 + STEP);
        text = strstr(report_of(&c, &n), "\"hears\":\"");
        CHECK(text != NULL);
        for (text += 9; *text != '"'; text += 8) {
            char digits[9] = { 0 };

            memcpy(digits, text, 8);
            listed[strtoul(digits, NULL, 16) - 1000]++;
        }
    }
    for (unsigned i = 1; i <= 200; i++)
        CHECK(listed[i] > 0);
    cluster_close(&c);
}

static bool
ready(struct cluster *c)
{
    struct peal_nodes_probe_result proof;

    peal_nodes_probe(c->nodes, clock_ms, &proof);
    return proof.unready == NULL;
}

static void
a_node_is_ready_when_it_hears_itself(void **state)
{
    struct peal_nodes_probe_result proof;
    struct cluster c;

    cluster_open(&c);
    CHECK(!ready(&c));
    link_up(&c);
    peal_nodes_probe(c.nodes, clock_ms, &proof);
    CHECK(proof.unready != NULL);
    CHECK_INT(proof.age_ms, -1);
    CHECK_INT(proof.lag_us, -1);
    echo(&c);
    peal_nodes_probe(c.nodes, clock_ms, &proof);
    CHECK(proof.unready == NULL);
    CHECK_INT(proof.age_ms, 0);
    CHECK(proof.lag_us >= 0);
    live(&c, 10);
    CHECK(ready(&c));
    /* What it says is lost: the link is begun again, and readiness outlives it a while.
     */
    for (int i = 0; i < 5; i++)
        pass(&c, 1000);
    CHECK(ready(&c));
    CHECK_INT(c.r.restarts, 0);
    pass(&c, 1000);
    CHECK_INT(c.r.restarts, 1);
    c.r.b.events->down(c.r.b.arg);
    for (int i = 0; i < 3; i++)
        pass(&c, 1000);
    CHECK(ready(&c));
    for (int i = 0; i < 3; i++)
        pass(&c, 1000);
    CHECK(!ready(&c));
    c.r.log_len = 0;
    link_up(&c);
    CHECK(!ready(&c)); /* that it is up proves nothing */
    echo(&c);
    CHECK(ready(&c));
    cluster_close(&c);
}

static void
every_time_that_the_link_comes_back_is_a_gap(void **state)
{
    struct cluster c;

    cluster_open(&c);
    link_up(&c);
    CHECK_INT(stat_of(&c.r, PEAL_STAT_BACKPLANE_GAPS), 0);
    c.r.b.events->down(c.r.b.arg); /* before anything has come back */
    link_up(&c);
    CHECK_INT(stat_of(&c.r, PEAL_STAT_BACKPLANE_GAPS), 1);
    echo(&c);
    c.r.b.events->down(c.r.b.arg);
    link_up(&c);
    CHECK_INT(stat_of(&c.r, PEAL_STAT_BACKPLANE_GAPS), 2);
    cluster_close(&c);
}

static void
every_failing_allocation_is_survived(void **state)
{
    bool failed = true;
    long n;

    rig_log.level = -1;
    alloc_one = 1;
    for (n = 0; failed; n++) {
        struct cluster c;

        cluster_open(&c);
        c.r.quiet = true;
        link_up(&c);
        alloc_left = n;
        pass(&c, 1000 + STEP);
        hear_of(&c, 10, "up", true);
        hear_of(&c, 11, "up", true);
        hear_of(&c, 11, "leaving", true);
        failed = alloc_left < 0;
        alloc_left = -1;
        hear_of(&c, 10, "up", true);
        CHECK(known(&c, 10) && !known(&c, 11));
        cluster_close(&c);
    }
    CHECK(n > 3);
    alloc_one = 0;
    rig_log.level = PEAL_LOG_ERROR;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_says_all_that_others_need),
        cmocka_unit_test(what_others_say_is_read),
        cmocka_unit_test(all_are_listed_and_this_one_first),
        cmocka_unit_test(a_newcomer_is_answered_soon_and_many_are_answered_at_once),
        cmocka_unit_test(a_silent_node_is_forgotten),
        cmocka_unit_test(a_node_that_leaves_is_gone_at_once),
        cmocka_unit_test(there_is_a_most_of_nodes),
        cmocka_unit_test(what_is_no_report_is_counted),
        cmocka_unit_test(nobody_speaks_in_a_known_nodes_name),
        cmocka_unit_test(an_address_is_used_only_with_a_fitting_secret),
        cmocka_unit_test(of_two_nodes_with_one_number_the_younger_gets_another),
        cmocka_unit_test(with_a_secret_reports_are_sealed_and_their_keys_hidden),
        cmocka_unit_test(with_a_secret_a_twin_is_believed_at_any_time),
        cmocka_unit_test(a_control_thread_that_hangs_is_seen_by_the_others),
        cmocka_unit_test(a_node_that_most_others_do_not_hear_is_not_ready),
        cmocka_unit_test(a_report_lists_the_nodes_that_are_heard),
        cmocka_unit_test(a_node_is_ready_when_it_hears_itself),
        cmocka_unit_test(every_time_that_the_link_comes_back_is_a_gap),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* hub: who gets what, once, and in order; in slices; between two workers. */
#include "check.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "hub/hub_priv.h"

#define PATIENCE_S 20

static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };

/* A session that writes down the numbers of the messages that reach it. */
struct member {
    struct peal_session s; /* first */
    unsigned *got;
    unsigned n, cap;
};

static bool
deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    struct member *me = (struct member *)s;
    uint64_t number;

    assert_true(peal_slice_u64(m->args, UINT32_MAX, &number) == PEAL_OK);
    assert_true(k < m->n_channels);
    if (me->n == me->cap) {
        me->cap = me->cap ? me->cap * 2 : 64;
        me->got = __real_realloc(me->got, me->cap * sizeof(*me->got));
    }
    me->got[me->n++] = (unsigned)number;
    return true;
}

static const struct peal_session_ops ops = { .protocol = "test", .deliver = deliver };

static void
publish_to(struct peal_shard *sh, const struct peal_slice *channels, unsigned n,
    const struct peal_slice *except, unsigned n_except, unsigned number)
{
    struct peal_msg *m;
    char text[16];

    snprintf(text, sizeof(text), "%u", number);
    CHECK_OK(peal_msg_new(&(struct peal_msg_spec){ .channels = channels,
                              .n_channels = n,
                              .except = except,
                              .n_except = n_except,
                              .kind = PEAL_DATA_JSON,
                              .n_args = 1,
                              .args = peal_slice_str(text) },
        &m));
    peal_publish(sh, m);
    peal_msg_release(m);
}

static void
publish(struct peal_shard *sh, const char *channel, unsigned number)
{
    struct peal_slice name = peal_slice_str(channel);

    publish_to(sh, &name, 1, NULL, 0, number);
}

/* What OpenSSL makes, or all zeroes for the next so many calls. */
static unsigned n_zeroes;

int __real_RAND_bytes(unsigned char *buf, int num);
int __wrap_RAND_bytes(unsigned char *buf, int num);

int
__wrap_RAND_bytes(unsigned char *buf, int num)
{
    if (n_zeroes == 0)
        return __real_RAND_bytes(buf, num);
    n_zeroes--;
    memset(buf, 0, (size_t)num);
    return 1;
}

/* How often subscriptions were looked through, by the threads of all loops. */
static _Atomic unsigned n_lookups;

bool __real_peal_session_is_subscribed(
    const struct peal_session *s, struct peal_slice channel);
bool __wrap_peal_session_is_subscribed(
    const struct peal_session *s, struct peal_slice channel);

bool
__wrap_peal_session_is_subscribed(const struct peal_session *s, struct peal_slice channel)
{
    n_lookups++;
    return __real_peal_session_is_subscribed(s, channel);
}

/* One shard on a loop that does not run: the test makes the turns. */
struct rig {
    struct peal_loop *loop;
    struct peal_hub *hub;
    struct peal_shard *sh;
};

static struct rig
rig_of(unsigned turn_budget)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL, .log = &log_to };
    struct rig r;

    CHECK_OK(peal_loop_new(&config, &r.loop));
    CHECK_OK(peal_hub_new(7, &r.hub));
    CHECK_OK(peal_shard_new(r.hub, 0, r.loop, turn_budget, NULL, &r.sh));
    return r;
}

static void
rig_fini(struct rig *r)
{
    CHECK_INT(peal_stat_get(peal_loop_stats(r->loop), PEAL_STAT_CHANNELS), 0);
    CHECK_INT(peal_stat_get(peal_loop_stats(r->loop), PEAL_STAT_SUBSCRIPTIONS), 0);
    for (size_t i = 0; i < PEAL_INTEREST_SLOTS; i++)
        CHECK_INT(r->hub->interest[i], 0);
    peal_shard_free(&r->sh);
    peal_loop_free(&r->loop);
    peal_hub_free(&r->hub);
}

static struct member *
members_of(struct peal_shard *sh, unsigned n)
{
    struct member *all = calloc(n, sizeof(*all));

    CHECK(all != NULL);
    for (unsigned i = 0; i < n; i++)
        CHECK_OK(peal_session_init(&all[i].s, sh, &ops, PEAL_LISTED));
    return all;
}

static void
members_free(struct member *all, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        peal_session_fini(&all[i].s);
        free(all[i].got);
    }
    free(all);
}

static void
join(struct member *me, const char *channel)
{
    CHECK_OK(peal_session_subscribe(&me->s, peal_slice_str(channel)));
}

static void
check_got(const struct member *me, const char *want, int line)
{
    char text[256] = "";
    size_t n = 0;

    for (unsigned i = 0; i < me->n && n < sizeof(text) - 12; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%u ", me->got[i]);
    if (strcmp(text, want) != 0)
        print_error("line %d: got %s, want %s\n", line, text, want);
    assert_string_equal(text, want);
}

#define GOT(me, want) check_got(&(me), want, __LINE__)

static void
subscribers_get_what_is_published(void **state)
{
    struct rig r = rig_of(1000);
    struct member *m = members_of(r.sh, 3);

    join(&m[0], "a");
    join(&m[1], "a");
    join(&m[1], "b");
    publish(r.sh, "a", 1);
    publish(r.sh, "b", 2);
    publish(r.sh, "c", 3);
    CHECK_OK(peal_session_unsubscribe(&m[0].s, PEAL_S("a")));
    publish(r.sh, "a", 4);
    peal_fanout_turn(r.sh);
    GOT(m[0], "1 ");
    GOT(m[1], "1 2 4 ");
    GOT(m[2], "");
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_DELIVERED), 4);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_PUBLISHED), 4);
    members_free(m, 3);
    rig_fini(&r);
}

static void
joining_has_its_limits(void **state)
{
    struct rig r = rig_of(1000), other = rig_of(1000);
    struct member *m = members_of(r.sh, 2), *far = members_of(other.sh, 1);
    char name[PEAL_CHANNEL_NAME_MAX + 1];

    memset(name, 'x', sizeof(name));
    m[0].s.n_subs_max = 2;
    CHECK_ERR(peal_session_subscribe(&m[0].s, PEAL_S("")), PEAL_ELIMIT);
    CHECK_ERR(
        peal_session_subscribe(&m[0].s, peal_slice_of(name, sizeof(name))), PEAL_ELIMIT);
    CHECK_OK(peal_session_subscribe(&m[0].s, peal_slice_of(name, sizeof(name) - 1)));
    CHECK_ERR(peal_session_subscribe(&m[0].s, peal_slice_of(name, sizeof(name) - 1)),
        PEAL_EEXIST);
    /* Nobody can subscribe to another's address, nor to its own. */
    CHECK_ERR(peal_session_subscribe(&m[0].s, peal_session_id(&m[1].s)), PEAL_EPERM);
    CHECK_ERR(peal_session_subscribe(&m[0].s, peal_session_id(&m[0].s)), PEAL_EPERM);
    CHECK_OK(peal_session_subscribe(
        &m[0].s, peal_session_id(&far[0].s))); /* a name like others */
    CHECK_ERR(peal_session_subscribe(&m[0].s, PEAL_S("a")), PEAL_ELIMIT);
    CHECK_ERR(peal_session_unsubscribe(&m[0].s, PEAL_S("a")), PEAL_ENOTFOUND);
    CHECK(peal_session_is_subscribed(&m[0].s, peal_session_id(&far[0].s)));
    CHECK_OK(peal_session_unsubscribe(&m[0].s, peal_session_id(&far[0].s)));
    CHECK(!peal_session_is_subscribed(&m[0].s, peal_session_id(&far[0].s)));
    CHECK_OK(peal_session_subscribe(&m[0].s, PEAL_S("a")));
    CHECK_SLICE(peal_session_channel(&m[0].s), "a");
    CHECK(peal_session_channel(&m[1].s).data == NULL);
    members_free(m, 2);
    members_free(far, 1);
    rig_fini(&r);
    rig_fini(&other);
}

/* The name of a session's id as a room of a namespace. */
static struct peal_slice
room_of(const char *nsp, struct peal_slice id, char out[64])
{
    snprintf(out, 64, "%s#%.*s", nsp, PEAL_ID_LEN, id.data);
    return peal_slice_str(out);
}

static void
an_address_cannot_be_joined_in_any_namespace(void **state)
{
    static const char *const spaces[] = { "/chat", "/", "/a/b" };
    struct rig r = rig_of(1000);
    struct member *m = members_of(r.sh, 2);
    struct peal_slice id = peal_session_id(&m[1].s);
    char text[64];

    for (unsigned i = 0; i < 3; i++) {
        CHECK_ERR(
            peal_session_subscribe(&m[0].s, room_of(spaces[i], id, text)), PEAL_EPERM);
        CHECK_ERR(
            peal_session_subscribe(&m[1].s, room_of(spaces[i], id, text)), PEAL_EPERM);
    }
    /* Names that are close to it, and mean no session. */
    CHECK_OK(peal_session_subscribe(&m[0].s, room_of("/chat#x", id, text)));
    CHECK_OK(peal_session_subscribe(&m[0].s, room_of("chat", id, text)));
    text[strlen(text) - 1] = '\0';
    CHECK_OK(peal_session_subscribe(&m[0].s, peal_slice_str(text)));
    members_free(m, 2);
    rig_fini(&r);
}

static bool
note_session(void *arg, struct peal_session *s, unsigned k)
{
    ((struct member *)s)->n += 100;
    return true;
}

static void
select_session(void *arg, struct peal_session *s)
{
    note_session(arg, s, 0);
}

/* Somebody has subscribed to a name before anybody knew that it is an address. */
static void
an_address_is_never_delivered_to_subscribers(void **state)
{
    struct rig r = rig_of(1000);
    struct member *m = members_of(r.sh, 12);
    struct peal_slice nsp = PEAL_S("/chat"), id;
    char far[PEAL_ID_LEN], text[64];
    struct peal_selection what = { .nsp = nsp, .channels = &id, .n_channels = 1 };
    struct peal_msg *msg;

    peal_id_new(&(struct peal_id_key){ { 99 } }, 8, 0, far);
    id = room_of("/chat", peal_slice_of(far, PEAL_ID_LEN), text);
    for (int i = 0; i < 12; i++) {
        join(&m[i], "/chat");
        CHECK_OK(peal_session_subscribe(&m[i].s, id));
    }
    publish(r.sh, text, 1); /* a name like others */
    peal_fanout_turn(r.sh);
    GOT(m[0], "1 ");
    publish(r.sh, text, 2); /* it becomes known while this is put off */
    CHECK_OK(peal_hub_add_node(r.hub, 8, &(struct peal_id_key){ { 99 } }));
    peal_fanout_turn(r.sh);
    GOT(m[0], "1 ");
    publish(r.sh, text, 2);
    peal_hub_remove_node(r.hub, 8); /* and it stays an address */
    publish(r.sh, text, 3);
    peal_fanout_turn(r.sh);
    GOT(m[0], "1 ");
    CHECK_OK(
        peal_msg_new(&(struct peal_msg_spec){ .channels = &id, .n_channels = 1 }, &msg));
    peal_meant_for(r.sh, msg, note_session, NULL);
    CHECK_OK(peal_select(r.sh, &what, select_session, NULL));
    peal_msg_release(msg);
    for (int i = 0; i < 12; i++)
        CHECK_INT(m[i].n, 1);
    members_free(m, 12);
    rig_fini(&r);
}

/* The table of nodes that are gone is a ring: the oldest makes room. */
static void
ids_of_nodes_that_are_gone_stay_addresses(void **state)
{
    struct rig r = rig_of(1000);
    struct member *m = members_of(r.sh, 1);
    char ids[PEAL_GONE_NODES_MAX + 1][PEAL_ID_LEN];
    uint32_t node;
    uint8_t worker;

    for (unsigned i = 0; i <= PEAL_GONE_NODES_MAX; i++) {
        struct peal_slice id = peal_slice_of(ids[i], PEAL_ID_LEN);
        struct peal_id_key key = { { (uint8_t)i, 1 } };

        peal_id_new(&key, 100 + i, 0, ids[i]);
        CHECK(!peal_hub_is_address(r.hub, id));
        for (unsigned k = 0; k < 3; k++) { /* it comes and goes */
            CHECK_OK(peal_hub_add_node(r.hub, 100 + i, &key));
            CHECK(peal_hub_has_node(r.hub, 100 + i));
            CHECK(peal_hub_owner(r.hub, id, &node, &worker));
            peal_hub_remove_node(r.hub, 100 + i);
        }
        CHECK(!peal_hub_has_node(r.hub, 100 + i));
        CHECK(!peal_hub_owner(r.hub, id, &node, &worker));
        CHECK(peal_hub_is_address(r.hub, id));
        CHECK_ERR(peal_session_subscribe(&m[0].s, id), PEAL_EPERM);
    }
    CHECK(!peal_hub_is_address(r.hub, peal_slice_of(ids[0], PEAL_ID_LEN)));
    CHECK(peal_hub_is_address(r.hub, peal_slice_of(ids[1], PEAL_ID_LEN)));
    members_free(m, 1);
    rig_fini(&r);
}

static void
sessions_are_reached_by_their_id(void **state)
{
    struct rig r = rig_of(1000);
    struct member *m = members_of(r.sh, 12);
    struct peal_slice to[3] = { peal_session_id(&m[0].s), PEAL_S("a"),
        peal_session_id(&m[0].s) };
    char room[64];

    for (int i = 0; i < 12; i++)
        join(&m[i], "a");
    publish(r.sh, "a", 1); /* put off: there are many */
    GOT(m[0], "");
    publish_to(r.sh, to, 1, NULL, 0, 2); /* and does not overtake */
    GOT(m[0], "1 2 ");
    GOT(m[1], "");
    peal_fanout_turn(r.sh);
    GOT(m[0], "1 2 ");
    GOT(m[1], "1 ");
    publish_to(r.sh, to, 3, NULL, 0, 3); /* three ways to it: once */
    peal_fanout_turn(r.sh);
    GOT(m[0], "1 2 3 ");
    GOT(m[1], "1 3 ");
    snprintf(room, sizeof(room), "/admin#%.*s", PEAL_ID_LEN, m[1].s.id);
    publish(r.sh, room, 4); /* in any namespace */
    GOT(m[1], "1 3 4 ");
    CHECK(peal_session_find(r.sh, to[0]) == &m[0].s);
    CHECK_INT(peal_shard_owner(r.sh, to[0]), 0);
    peal_session_fini(&m[0].s);
    publish_to(r.sh, to, 1, NULL, 0, 5);
    GOT(m[0], "1 2 3 ");
    CHECK(peal_session_find(r.sh, to[0]) == NULL);
    members_free(m, 12);
    rig_fini(&r);
}

static void
exclusions_are_channels_and_sessions(void **state)
{
    struct rig r = rig_of(1000);
    struct member *m = members_of(r.sh, 20);
    struct peal_slice a = PEAL_S("a"),
                      except[2] = { peal_session_id(&m[1].s), PEAL_S("quiet") };

    for (int i = 0; i < 20; i++)
        join(&m[i], "a");
    join(&m[2], "quiet");
    join(&m[3], "b");
    publish_to(r.sh, &a, 1, except, 2, 1);
    CHECK_OK(peal_session_unsubscribe(
        &m[2].s, PEAL_S("quiet"))); /* it was in there when it counted */
    join(&m[3], "quiet");
    peal_fanout_turn(r.sh);
    GOT(m[0], "1 ");
    GOT(m[1], "");
    GOT(m[2], "");
    GOT(m[3], "1 ");
    members_free(m, 20);
    rig_fini(&r);
}

static void
an_excluded_sender_costs_the_others_no_lookup(void **state)
{
    struct rig r = rig_of(1000);
    struct member *m = members_of(r.sh, 20);
    struct peal_slice a = PEAL_S("a"), self = peal_session_id(&m[0].s),
                      nobody[2] = { PEAL_S("/#x"), self };

    for (int i = 0; i < 20; i++)
        join(&m[i], "a");
    n_lookups = 0;
    publish_to(r.sh, &a, 1, &self, 1, 1);
    publish_to(r.sh, &a, 1, nobody, 2, 2);
    peal_fanout_turn(r.sh);
    CHECK_INT(n_lookups, 0);
    GOT(m[0], "");
    GOT(m[19], "1 2 ");
    members_free(m, 20);
    rig_fini(&r);
}

static void
equal_ids_are_drawn_again(void **state)
{
    struct rig r = rig_of(1000);
    struct member *m;

    n_zeroes = 1;
    m = members_of(r.sh, 200);
    CHECK_INT(n_zeroes, 0);
    for (int i = 0; i < 200; i++)
        CHECK(peal_session_find(r.sh, peal_session_id(&m[i].s)) == &m[i].s);
    members_free(m, 200);
    rig_fini(&r);
}

/* Messages are counted in 32 bits, which a busy channel passes in some days. */
static void
members_of_old_hear_for_ever(void **state)
{
    struct rig r = rig_of(1000);
    struct member *m = members_of(r.sh, 21);
    unsigned number = 0;

    for (int i = 0; i < 20; i++)
        join(&m[i], "a");
    for (uint32_t q = 1; q <= 9; q++) {
        struct peal_channel *ch = peal_shard_channel(r.sh, PEAL_S("a"));

        ch->seq = q * PEAL_SEQ_RENEW - 3;
        for (int i = 0; i < 5; i++)
            publish(r.sh, "a", ++number);
        join(&m[20], "a"); /* and whoever joins in between does not get what was before */
        publish(r.sh, "a", ++number);
        while (peal_fanout_turn(r.sh))
            continue;
        CHECK_INT(m[0].n, number);
        CHECK_INT(m[19].n, number);
        CHECK_INT(m[20].n, q);
        CHECK_OK(peal_session_unsubscribe(&m[20].s, PEAL_S("a")));
    }
    members_free(m, 21);
    rig_fini(&r);
}

/* Small channels are served at once, but they keep a turn's budget as well. */
static void
small_channels_keep_the_budget(void **state)
{
    struct rig r = rig_of(100);
    struct member *m = members_of(r.sh, 2);

    join(&m[0], "a");
    join(&m[1], "a");
    for (unsigned i = 1; i <= 200; i++)
        publish(r.sh, "a", i);
    CHECK_INT(m[0].n, 50);
    CHECK(peal_fanout_turn(r.sh)); /* what was put off has the next budget */
    CHECK_INT(m[0].n, 200);
    CHECK(m[1].n < 200);
    CHECK(!peal_fanout_turn(r.sh));
    CHECK_INT(m[1].n, 200);
    for (unsigned i = 0; i < 200; i++)
        CHECK_INT(m[1].got[i], i + 1);
    publish(r.sh, "a", 201);
    CHECK_INT(m[1].n, 201);
    members_free(m, 2);
    rig_fini(&r);
}

/* Leaving and joining while a fan-out is under way: each has what was meant for it. */
static void
membership_is_exact_in_the_middle_of_a_fan_out(void **state)
{
    struct rig r = rig_of(7);
    struct member *m = members_of(r.sh, 32);

    for (int i = 0; i < 30; i++)
        join(&m[i], "a");
    publish(r.sh, "a", 1);
    publish(r.sh, "a", 2);
    CHECK(peal_fanout_turn(r.sh)); /* more is left */
    GOT(m[0], "1 2 ");
    GOT(m[29], "");
    CHECK_OK(peal_session_unsubscribe(&m[29].s, PEAL_S("a"))); /* gets the rest first */
    CHECK_OK(peal_session_unsubscribe(&m[0].s, PEAL_S("a")));
    GOT(m[29], "1 2 ");
    join(&m[30], "a"); /* gets nothing of the past */
    publish(r.sh, "a", 3);
    join(&m[31], "a");
    peal_session_fini(&m[28].s); /* what was under way to it is dropped */
    while (peal_fanout_turn(r.sh))
        continue;
    GOT(m[0], "1 2 ");
    GOT(m[28], "");
    GOT(m[29], "1 2 ");
    GOT(m[30], "3 ");
    GOT(m[31], "");
    for (int i = 1; i < 28; i++)
        GOT(m[i], "1 2 3 ");
    CHECK(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_FANOUT_SLICED) > 3);
    CHECK(!peal_fanout_turn(r.sh));
    members_free(m, 32);
    rig_fini(&r);
}

/* A small generator, so that a failure can be repeated. */
static unsigned
pick(uint32_t *x, unsigned n)
{
    *x = *x * 1664525 + 1013904223;
    return (*x >> 8) % n;
}

enum {
    SESSIONS = 40,
    CHANNELS = 5,
    MESSAGES = 4000
};

/* What each session must get: in order of publishing, as long as it lives. */
struct model {
    bool in[SESSIONS][CHANNELS];
    struct member *m;
    unsigned *want[SESSIONS], n_want[SESSIONS];
    /* Two ways to a session can have different delays: order holds within a channel. */
    uint8_t via[MESSAGES]; /* the channels of a message, as bits; bit 7: an id */
};

static void
model_publish(struct model *o, struct peal_shard *sh, uint32_t *x, unsigned number)
{
    static const char *const names[] = { "c0", "c1", "c2", "c3", "c4" };
    struct peal_slice to[3], except[2];
    unsigned n = 1 + pick(x, 3), n_except = pick(x, 4) == 0 ? 1 + pick(x, 2) : 0;
    bool gets[SESSIONS] = { false };

    for (unsigned i = 0; i < n; i++) {
        unsigned c = pick(x, CHANNELS), s = pick(x, SESSIONS);

        if (pick(x, 6) == 0) {
            to[i] = peal_session_id(&o->m[s].s);
            gets[s] = true;
            o->via[number] |= 0x80;
        } else {
            to[i] = peal_slice_str(names[c]);
            o->via[number] |= (uint8_t)(1 << c);
            for (s = 0; s < SESSIONS; s++)
                gets[s] |= o->in[s][c];
        }
    }
    for (unsigned i = 0; i < n_except; i++) {
        unsigned c = pick(x, CHANNELS), s = pick(x, SESSIONS);

        if (pick(x, 2) == 0) {
            except[i] = peal_session_id(&o->m[s].s);
            gets[s] = false;
        } else {
            except[i] = peal_slice_str(names[c]);
            for (s = 0; s < SESSIONS; s++)
                gets[s] &= !o->in[s][c];
        }
    }
    for (unsigned s = 0; s < SESSIONS; s++)
        if (gets[s])
            o->want[s][o->n_want[s]++] = number;
    publish_to(sh, to, n, except, n_except, number);
}

static void
model_toggle(struct model *o, uint32_t *x)
{
    unsigned s = pick(x, SESSIONS), c = pick(x, CHANNELS);
    char name[3] = { 'c', (char)('0' + c), 0 };

    if (o->in[s][c])
        CHECK_OK(peal_session_unsubscribe(&o->m[s].s, peal_slice_str(name)));
    else
        CHECK_OK(peal_session_subscribe(&o->m[s].s, peal_slice_str(name)));
    o->in[s][c] = !o->in[s][c];
}

static int
by_number(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

/* Exactly what was meant for it, each once, and in order on each channel. */
static void
model_check(const struct model *o, unsigned s, uint32_t seed)
{
    struct member *me = &o->m[s];

    for (unsigned c = 0; c < 8; c++) {
        unsigned last = 0;

        for (unsigned i = 0; i < me->n; i++) {
            unsigned number = me->got[i];

            /* On several channels it may come by a slow one. */
            if (o->via[number] != 1 << c)
                continue;
            if (number < last)
                print_error(
                    "seed %u: session %u got %u after %u\n", seed, s, number, last);
            CHECK(number >= last);
            last = number;
        }
    }
    qsort(me->got, me->n, sizeof(*me->got), by_number);
    if (me->n != o->n_want[s] ||
        (me->n > 0 && memcmp(me->got, o->want[s], me->n * sizeof(*me->got)) != 0))
        print_error(
            "seed %u: session %u: %u got, %u wanted\n", seed, s, me->n, o->n_want[s]);
    CHECK_INT(me->n, o->n_want[s]);
    CHECK(me->n == 0 || memcmp(me->got, o->want[s], me->n * sizeof(*me->got)) == 0);
}

static void
random_days_end_as_in_the_model(void **state)
{
    for (uint32_t seed = 1; seed <= 30; seed++) {
        struct rig r = rig_of(1 + seed * 3 % 50);
        struct model *o = calloc(1, sizeof(*o));
        uint32_t x = seed;

        CHECK(o != NULL);
        o->m = members_of(r.sh, SESSIONS);
        for (unsigned s = 0; s < SESSIONS; s++)
            CHECK((o->want[s] = calloc(MESSAGES, sizeof(unsigned))) != NULL);
        for (unsigned i = 0; i < 100; i++)
            model_toggle(o, &x);
        for (unsigned number = 0; number < MESSAGES; number++) {
            model_publish(o, r.sh, &x, number);
            for (unsigned i = pick(&x, 3); i > 0; i--)
                model_toggle(o, &x);
            for (unsigned i = pick(&x, 3) * pick(&x, 4); i > 0; i--)
                peal_fanout_turn(r.sh);
        }
        while (peal_fanout_turn(r.sh))
            continue;
        for (unsigned s = 0; s < SESSIONS; s++) {
            model_check(o, s, seed);
            free(o->want[s]);
        }
        members_free(o->m, SESSIONS);
        free(o);
        rig_fini(&r);
    }
}

static void
every_failing_allocation_is_survived(void **state)
{
    long n = 0;

    for (peal_err err = PEAL_ENOMEM; err == PEAL_ENOMEM; n++) {
        struct rig r = rig_of(3);
        struct member *m = members_of(r.sh, 20);

        for (int i = 0; i < 20; i++)
            join(&m[i], "a");
        alloc_left = n;
        err = peal_session_subscribe(&m[0].s, PEAL_S("b"));
        if (err == PEAL_OK)
            err = peal_session_subscribe(&m[0].s, PEAL_S("c"));
        alloc_left = -1;
        CHECK_INT(peal_session_is_subscribed(&m[0].s, PEAL_S("c")), err == PEAL_OK);
        publish(r.sh, "c", 1);
        publish(r.sh, "a", 2);
        if (err == PEAL_OK)
            GOT(m[0], "1 ");
        while (peal_fanout_turn(r.sh))
            continue;
        GOT(m[19], "2 ");
        members_free(m, 20);
        rig_fini(&r);
    }
    CHECK(n > 4);
    /* Without memory to put a message off it is delivered at once, in order. */
    for (long left = 0; left < 6; left++) {
        struct rig r = rig_of(3);
        struct member *m = members_of(r.sh, 20);
        struct peal_msg *msg[2];
        struct peal_slice a = PEAL_S("a");

        for (int i = 0; i < 20; i++)
            join(&m[i], "a");
        for (unsigned i = 0; i < 2; i++)
            CHECK_OK(peal_msg_new(&(struct peal_msg_spec){ .channels = &a,
                                      .n_channels = 1,
                                      .n_args = 1,
                                      .args = i == 0 ? PEAL_S("1") : PEAL_S("2") },
                &msg[i]));
        alloc_left = left;
        for (unsigned i = 0; i < 2; i++)
            peal_publish(r.sh, msg[i]);
        alloc_left = -1;
        while (peal_fanout_turn(r.sh))
            continue;
        for (int i = 0; i < 20; i++)
            GOT(m[i], "1 2 ");
        peal_msg_release(msg[0]);
        peal_msg_release(msg[1]);
        members_free(m, 20);
        rig_fini(&r);
    }
}

static void
rooms_have_channels_of_their_own(void **state)
{
    static const char *const names[][3] = { { "/", "a", "a" }, { "/n", "a", "/n#a" },
        { "/", "/n", "/#/n" }, { "/", "", "/#" }, { "/n", "", "/n#" },
        { "/n", "#", "/n##" } };
    struct peal_buf out = { 0 };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        out.len = 0;
        CHECK_OK(peal_room_channel(
            peal_slice_str(names[i][0]), peal_slice_str(names[i][1]), &out));
        CHECK_SLICE(peal_buf_slice(&out), names[i][2]);
        CHECK_SLICE(peal_channel_nsp(peal_buf_slice(&out)), names[i][0]);
    }
    CHECK_SLICE(peal_channel_nsp(PEAL_S("/n")), "/n");
    CHECK_SLICE(peal_channel_nsp(PEAL_S("")), "/");
    peal_buf_fini(&out);
}

/* Two workers, each with members of one channel, each publishing on it. */
enum {
    EACH = 3000,
    PER_WORKER = 20
};

struct worker {
    struct peal_loop *loop;
    struct peal_shard *sh;
    struct member *m;
    pthread_t thread;
    unsigned index, published;
};

static struct worker workers[2];
static sem_t done;

static bool
all_there(const struct worker *w)
{
    for (unsigned i = 0; i < PER_WORKER; i++)
        if (w->m[i].n < 2 * EACH)
            return false;
    return true;
}

/* Every turn: a burst, with one for a single session of the other worker in between. */
static bool
on_turn(void *arg)
{
    struct worker *w = arg;
    struct peal_slice to[2] = { PEAL_S("all"), PEAL_S("") };

    for (unsigned i = 0; i < 50 && w->published < EACH; i++) {
        to[1] = peal_session_id(&workers[1 - w->index].m[0].s);
        publish_to(w->sh, to, 2, NULL, 0, w->index * EACH + w->published++);
    }
    if (w->published == EACH && all_there(w)) {
        w->published++;
        sem_post(&done);
    }
    return w->published < EACH;
}

static void *
run(void *loop)
{
    peal_loop_run(loop);
    return NULL;
}

static void
on_stop(struct peal_loop *loop, struct peal_task *task)
{
    peal_loop_stop(loop);
    free(task);
}

static void
two_workers_hear_each_other_in_order(void **state)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL, .log = &log_to };
    struct peal_hub *hub;
    struct timespec until;

    sem_init(&done, 0, 0);
    CHECK_OK(peal_hub_new(1, &hub));
    for (unsigned i = 0; i < 2; i++) {
        struct worker *w = &workers[i];

        w->index = i;
        CHECK_OK(peal_loop_new(&config, &w->loop));
        CHECK_OK(peal_shard_new(hub, i, w->loop, 13, NULL, &w->sh));
        w->m = members_of(w->sh, PER_WORKER);
        for (unsigned k = 0; k < PER_WORKER; k++)
            join(&w->m[k], "all");
        peal_loop_hook(w->loop, on_turn, w);
    }
    for (unsigned i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&workers[i].thread, NULL, run, workers[i].loop), 0);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    CHECK_INT(sem_timedwait(&done, &until), 0);
    CHECK_INT(sem_timedwait(&done, &until), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct peal_task *task = calloc(1, sizeof(*task));

        CHECK(task != NULL);
        task->fn = on_stop;
        peal_loop_post(workers[i].loop, task);
        CHECK_INT(pthread_join(workers[i].thread, NULL), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < PER_WORKER; k++) {
            struct member *me = &workers[i].m[k];
            unsigned next[2] = { 0, EACH };

            CHECK_INT(me->n, 2 * EACH);
            for (unsigned j = 0; j < me->n; j++)
                CHECK_INT(me->got[j], next[me->got[j] >= EACH]++);
        }
        members_free(workers[i].m, PER_WORKER);
        peal_shard_free(&workers[i].sh);
        peal_loop_free(&workers[i].loop);
    }
    peal_hub_free(&hub);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribers_get_what_is_published),
        cmocka_unit_test(joining_has_its_limits),
        cmocka_unit_test(an_address_cannot_be_joined_in_any_namespace),
        cmocka_unit_test(an_address_is_never_delivered_to_subscribers),
        cmocka_unit_test(ids_of_nodes_that_are_gone_stay_addresses),
        cmocka_unit_test(sessions_are_reached_by_their_id),
        cmocka_unit_test(exclusions_are_channels_and_sessions),
        cmocka_unit_test(an_excluded_sender_costs_the_others_no_lookup),
        cmocka_unit_test(equal_ids_are_drawn_again),
        cmocka_unit_test(members_of_old_hear_for_ever),
        cmocka_unit_test(small_channels_keep_the_budget),
        cmocka_unit_test(membership_is_exact_in_the_middle_of_a_fan_out),
        cmocka_unit_test(random_days_end_as_in_the_model),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(rooms_have_channels_of_their_own),
        cmocka_unit_test(two_workers_hear_each_other_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

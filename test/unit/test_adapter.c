/* SPDX-License-Identifier: MIT */
/* adapter/: what is subscribed when and who waits for it; broadcasts, both ways. */
#include "adapter_rig.h"

#define ROOT_SUBS "sub k-request#/#\npsub k#/#*\n"
#define CHAT_SUBS "sub k-request#/chat#\npsub k#/chat#*\n"
#define CHAT_UNSUBS "unsub k-request#/chat#\npunsub k#/chat#*\n"

/* Subscriptions. */

static void
the_root_is_shared_always_and_others_with_their_first_member(void **state)
{
    struct socket a, b;
    struct site s;

    site_open(&s, false);
    enter(&s, 0, &a, "/chat"); /* nothing is asked of a link that is down */
    SAID(&s, "");
    CHECK(peal_session_all_subscribed(&a.s));
    quit(&s, &a);
    redis_up(&s);
    enter(&s, 0, &a, "/");
    SAID(&s, "");
    quit(&s, &a);
    SAID(&s, "");
    enter(&s, 0, &a, "/chat");
    SAID(&s, CHAT_SUBS);
    confirmed(&s, "k-request#/chat#");
    confirmed(&s, "k#/chat#*");
    enter(&s, 1, &b, "/chat /chat#room");
    quit(&s, &a);
    SAID(&s, "");
    quit(&s, &b);
    SAID(&s, CHAT_UNSUBS);
    enter(&s, 1, &a, "/*[x]?\\");
    SAID(&s, "sub k-request#/*[x]?\\#\npsub k#/\\*\\[x\\]\\?\\\\#*\n");
    quit(&s, &a);
    site_close(&s);
}

static void
a_member_waits_for_all_that_brings_messages(void **state)
{
    struct socket a, b;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/chat");
    enter(&s, 1, &b, "/chat");
    SAID(&s, CHAT_SUBS);
    CHECK(!peal_session_all_subscribed(&a.s) && !peal_session_all_subscribed(&b.s));
    confirmed(&s, "k#/chat#*");
    confirmed(&s, "k#/other#*"); /* nobody has asked */
    CHECK(!peal_session_all_subscribed(&a.s));
    confirmed(&s, "k-request#/chat#");
    CHECK(peal_session_all_subscribed(&a.s) && peal_session_all_subscribed(&b.s));
    quit(&s, &a);
    quit(&s, &b);
    site_close(&s);
}

static void
what_is_asked_for_is_left_only_when_it_is_there(void **state)
{
    struct socket a;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/chat");
    SAID(&s, CHAT_SUBS);
    quit(&s, &a);
    SAID(&s, "");
    confirmed(&s, "k-request#/chat#");
    SAID(&s, "");
    confirmed(&s, "k#/chat#*");
    SAID(&s, CHAT_UNSUBS);

    /* Wanted again before that: it stays. */
    enter(&s, 0, &a, "/chat");
    SAID(&s, CHAT_SUBS);
    quit(&s, &a);
    enter(&s, 0, &a, "/chat");
    CHECK(!peal_session_all_subscribed(&a.s));
    confirmed(&s, "k-request#/chat#");
    confirmed(&s, "k#/chat#*");
    CHECK(peal_session_all_subscribed(&a.s));
    SAID(&s, "");
    quit(&s, &a);
    site_close(&s);
}

static void
a_lost_link_lets_nobody_wait_and_all_is_asked_for_again(void **state)
{
    static const char *const all[] = { "k-request#/#", "k#/#*", "k-request#/chat#",
        "k#/chat#*", "k-request#/new#", "k#/new#*" };
    struct socket a, b;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/chat");
    enter(&s, 0, &b, "/gone");
    quit(&s, &b);
    CHECK(!peal_session_all_subscribed(&a.s));
    SAID(&s, CHAT_SUBS "sub k-request#/gone#\npsub k#/gone#*\n");
    s.redis.p.b.events->down(s.redis.p.b.arg);
    turns(&s);
    CHECK(peal_session_all_subscribed(&a.s));
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_GAPS), 1);
    enter(&s, 1, &b, "/new");
    CHECK(peal_session_all_subscribed(&b.s));
    SAID(&s, "");
    s.redis.p.b.events->up(s.redis.p.b.arg);
    SAID(&s, ROOT_SUBS CHAT_SUBS "sub k-request#/new#\npsub k#/new#*\n");
    for (unsigned i = 0; i < 6; i++)
        confirmed(&s, all[i]);
    CHECK_INT(s.ready, 1); /* only the first time is told */
    quit(&s, &a);
    quit(&s, &b);
    site_close(&s);
}

static void
a_refused_namespace_keeps_nobody_waiting_and_the_root_ends_the_link(void **state)
{
    struct socket a;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    CHECK(*peal_adapter_up(s.a));
    enter(&s, 0, &a, "/chat");
    SAID(&s, CHAT_SUBS);
    confirmed(&s, "k-request#/chat#");
    CHECK(!peal_session_all_subscribed(&a.s));
    s.redis.p.b.events->refused(s.redis.p.b.arg, PEAL_S("k#/chat#*"), "NOPERM");
    s.redis.p.b.events->refused(s.redis.p.b.arg, PEAL_S("k#/nobody's#*"), "NOPERM");
    turns(&s);
    CHECK(peal_session_all_subscribed(&a.s));
    CHECK(*peal_adapter_up(s.a));
    SAID(&s, "");
    quit(&s, &a);
    SAID(&s, "unsub k-request#/chat#\npunsub k#/chat#*\n");

    /* Again with the next link; of the root a server has to have everything. */
    s.redis.p.b.events->down(s.redis.p.b.arg);
    CHECK(!*peal_adapter_up(s.a));
    s.redis.p.b.events->up(s.redis.p.b.arg);
    SAID(&s, ROOT_SUBS);
    s.redis.p.b.events->refused(s.redis.p.b.arg, PEAL_S("k#/#*"), "NOPERM");
    SAID(&s, "restart NOPERM\n");
    CHECK(!*peal_adapter_up(s.a));
    site_close(&s);
}

static void
sharded_rooms_have_channels_of_their_own(void **state)
{
    struct socket a, b, c;
    struct site s;

    site_open(&s, true);
    redis_up(&s);
    enter(&s, 0, &a, "/ room");
    SAID(&s, "sub k#/#room#\n");
    CHECK(!peal_session_all_subscribed(&a.s));
    confirmed(&s, "k#/#room#");
    CHECK(peal_session_all_subscribed(&a.s));
    enter(&s, 1, &b, "/ room");
    /* The same room, as a channel of its own; and one that looks like a socket's id. */
    enter(&s, 1, &c, "/#room 12345678901234567890");
    SAID(&s, "");
    CHECK(peal_session_all_subscribed(&c.s));
    quit(&s, &a);
    quit(&s, &b);
    SAID(&s, "");
    quit(&s, &c);
    SAID(&s, "unsub k#/#room#\n");

    /* So has the room whose name is the empty text. */
    enter(&s, 0, &a, "/ /#");
    SAID(&s, "sub k#/##\n");
    confirmed(&s, "k#/##");
    told(&s, "k#/##",
        "{\"type\":3,\"data\":{\"packet\":{\"type\":2,\"data\":[\"e\"]},\"opts\":{"
        "\"rooms\":[\"\"],\"except\":[],\"flags\":{}}},\"uid\":\"theirs\",\"nsp\":\"/"
        "\"}");
    HEARD(&s, a, "\"e\"() ");
    quit(&s, &a);
    SAID(&s, "unsub k#/##\n");

    /* A room waits for its namespace too, whatever comes first. */
    enter(&s, 0, &a, "/chat#room /chat");
    SAID(&s, "sub k#/chat#\nsub k#/chat#room#\n");
    confirmed(&s, "k#/chat#room#");
    CHECK(!peal_session_all_subscribed(&a.s));
    confirmed(&s, "k#/chat#");
    CHECK(peal_session_all_subscribed(&a.s));

    /* A slot has moved. */
    s.redis.p.b.events->lost(s.redis.p.b.arg, PEAL_S("k#/chat#room#"));
    s.redis.p.b.events->lost(s.redis.p.b.arg, PEAL_S("k#/#"));
    s.redis.p.b.events->lost(s.redis.p.b.arg, PEAL_S("k#/#nobody's#"));
    SAID(&s, "sub k#/chat#room#\nsub k#/#\n");
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_GAPS), 2);
    enter(&s, 1, &b, "/chat#room");
    confirmed(&s, "k#/chat#room#");
    quit(&s, &a);
    quit(&s, &b);
    SAID(&s, "unsub k#/chat#room#\nunsub k#/chat#\n");
    site_close(&s);
}

/* Out. */

/* Publishes as a worker does, and waits until it has left. */
static void
say(struct site *s, const struct peal_msg_spec *spec)
{
    struct peal_msg *m;

    CHECK_OK(peal_msg_new(spec, &m));
    CHECK_OK(peal_publish(s->r.sh[0], m));
    peal_msg_release(m);
    turns(s);
}

static void
what_is_published_here_is_told_in_their_words(void **state)
{
    const struct peal_slice rooms[] = { PEAL_S("a"), PEAL_S("7"), PEAL_S("/#/x") };
    const struct peal_slice except[] = { PEAL_S("b"), PEAL_S("/"), PEAL_S("8") };
    struct peal_blob *att = peal_blob_copy(PEAL_S("hi"));
    struct peal_msg_spec spec = { .channels = rooms,
        .n_channels = 1,
        .event = PEAL_S("\"e\""),
        .n_args = 2,
        .args = PEAL_S("1,{\"x\":[null]}") };
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    say(&s, &spec);
    SAID(&s, "pub k#/#a# [\"ME\",{\"type\":2,\"data\":[\"e\",1,{\"x\":[null]}],\"nsp\":"
             "\"/\"},{\"rooms\":[\"a\"],\"except\":[],\"flags\":{}}]\n");
    spec.n_channels = 3;
    spec.except = except;
    spec.n_except = 3;
    spec.flags = PEAL_MSG_VOLATILE | PEAL_MSG_NO_COMPRESS;
    spec.n_args = 0;
    spec.args = PEAL_S("");
    say(&s, &spec);
    SAID(&s,
        "pub k#/# [\"ME\",{\"type\":2,\"data\":[\"e\"],\"nsp\":\"/\"},{\"rooms\":[\"a\","
        "\"7\",7,\"/x\"],\"except\":[\"b\",\"8\",8],\"flags\":{\"volatile\":true,"
        "\"compress\":false}}]\n");
    spec = (struct peal_msg_spec){ .channels = (struct peal_slice[]){ PEAL_S("/chat") },
        .n_channels = 1,
        .nsp = PEAL_S("/chat"),
        .kind = PEAL_DATA_TEXT,
        .args = PEAL_S("a\"b") };
    say(&s, &spec);
    SAID(&s, "pub k#/chat# [\"ME\",{\"type\":2,\"data\":[\"message\",\"a\\\"b\"],\"nsp\":"
             "\"/chat\"},{\"rooms\":[],\"except\":[],\"flags\":{}}]\n");
    spec.channels = (struct peal_slice[]){ PEAL_S("/chat#r") };
    spec.kind = PEAL_DATA_BYTES;
    say(&s, &spec);
    SAID(&s, "pub k#/chat#r# [\"ME\",{\"type\":2,\"data\":[\"message\",{\"_placeholder\":"
             "true,\"num\":0}],\"nsp\":\"/chat\"},{\"rooms\":[\"r\"],\"except\":[],"
             "\"flags\":{}}]\n");
    spec.kind = PEAL_DATA_JSON;
    spec.n_args = 1;
    spec.args = PEAL_S("[{\"_placeholder\":true,\"num\":0}]");
    spec.atts = &att;
    spec.n_atts = 1;
    say(&s, &spec);
    SAID(&s,
        "pub k#/chat#r# [\"ME\",{\"type\":2,\"data\":[\"message\",[{\"_placeholder\":"
        "true,\"num\":0}]],\"nsp\":\"/chat\"},{\"rooms\":[\"r\"],\"except\":[],"
        "\"flags\":{}}]\n");
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_SENT), 5);
    site_close(&s);
    peal_blob_release(att);
}

static void
sharded_messages_take_the_channel_of_their_room(void **state)
{
    struct peal_slice room = PEAL_S("a");
    struct peal_msg_spec spec = {
        .channels = &room, .n_channels = 1, .n_args = 1, .args = PEAL_S("1")
    };
    struct site s;

    site_open(&s, true);
    redis_up(&s);
    say(&s, &spec);
    SAID(&s, "pub k#/#a# {\"type\":3,\"data\":{\"packet\":{\"type\":2,\"data\":["
             "\"message\",1]},\"opts\":{\"rooms\":[\"a\"],\"except\":[],\"flags\":{}}},"
             "\"uid\":\"ME\",\"nsp\":\"/\"}\n");
    room = PEAL_S("12345678901234567890");
    say(&s, &spec);
    SAID(&s, "pub k#/# {\"type\":3,\"data\":{\"packet\":{\"type\":2,\"data\":["
             "\"message\",1]},\"opts\":{\"rooms\":[\"12345678901234567890\"],\"except\":"
             "[],\"flags\":{}}},\"uid\":\"ME\",\"nsp\":\"/\"}\n");
    site_close(&s);
}

static void
what_is_for_none_of_their_sockets_is_not_told(void **state)
{
    struct peal_slice channels[3] = { PEAL_S("/chat"), PEAL_S("a") };
    struct peal_msg_spec spec = {
        .channels = channels, .n_channels = 1, .n_args = 1, .args = PEAL_S("1")
    };
    struct socket here;
    char other[PEAL_ID_LEN], stranger[PEAL_ID_LEN];
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    CHECK_OK(peal_hub_add_node(s.r.hub, OTHER, &(struct peal_id_key){ { 99 } }));
    peal_id_new(&(struct peal_id_key){ { 99 } }, OTHER, 0, other);
    peal_id_new(&(struct peal_id_key){ { 1 } }, 12345, 0, stranger);
    enter(&s, 1, &here, "/");
    say(&s, &spec); /* in "/", on a channel that is none of its rooms */
    SAID(&s, "");
    spec.n_channels = 2;
    say(&s, &spec);
    SAID(&s, "pub k#/#a# [\"ME\",{\"type\":2,\"data\":[\"message\",1],\"nsp\":\"/\"},{"
             "\"rooms\":[\"a\"],\"except\":[],\"flags\":{}}]\n");
    channels[0] = peal_slice_of(other, PEAL_ID_LEN); /* the relay brings it there */
    channels[1] = peal_session_id(&here.s);
    say(&s, &spec);
    SAID(&s, "");
    channels[0] = peal_slice_of(stranger, PEAL_ID_LEN); /* it may be one of theirs */
    say(&s, &spec);
    CHECK(s.redis.log.len > 0);
    HEARD(&s, here, "(1) (1) ");
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_SENT), 2);
    quit(&s, &here);
    site_close(&s);
}

static void
what_cannot_be_told_is_counted(void **state)
{
    struct peal_slice room = PEAL_S("a");
    struct peal_msg_spec spec = {
        .channels = &room, .n_channels = 1, .n_args = 1, .args = PEAL_S("1")
    };
    struct site s;

    site_open(&s, false);
    say(&s, &spec); /* the link is down */
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_DROPPED), 1);
    redis_up(&s);
    s.redis.backed = 1000;
    say(&s, &spec); /* too much waits for it */
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_DROPPED), 2);
    s.redis.backed = 0;
    spec.event = PEAL_S("\"disconnect\""); /* would end their clients */
    say(&s, &spec);
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_UNSENT), 1);
    room = PEAL_S("a\xff");
    spec.event = PEAL_S("");
    say(&s, &spec);
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_UNSENT), 2);
    SAID(&s, "");
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_SENT), 0);
    site_close(&s);
}

/* In. */

#define PACKET(nsp) "{\"type\":2,\"data\":[\"e\",1],\"nsp\":\"" nsp "\"}"
#define TO(rooms, except) "{\"rooms\":" rooms ",\"except\":" except ",\"flags\":{}}"
#define BAD(s) stat_of(&(s)->r, PEAL_STAT_ADAPTER_BAD)

static void
what_they_say_reaches_whom_it_is_for(void **state)
{
    struct socket a, b, c;
    struct site s;
    char json[256];

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/ a");
    enter(&s, 1, &b, "/ a b");
    enter(&s, 1, &c, "/chat /chat#a");
    told_packed(&s, "k#/#", "[\"Node12\"," PACKET("/") "," TO("[]", "[]") "]");
    HEARD(&s, a, "\"e\"(1) ");
    HEARD(&s, b, "\"e\"(1) ");
    told_packed(
        &s, "k#/#a#", "[\"Node12\"," PACKET("/") "," TO("[\"a\"]", "[\"b\"]") "]");
    HEARD(&s, a, "\"e\"(1) ");
    HEARD(&s, b, "");
    told_packed(&s, "k#/#", "[\"Node12\"," PACKET("/") "," TO("[\"a\",\"b\"]", "[]") "]");
    HEARD(&s, a, "\"e\"(1) ");
    HEARD(&s, b, "\"e\"(1) ");
    told_packed(
        &s, "k#/chat#a#", "[\"emitter\"," PACKET("/chat") "," TO("[\"a\"]", "[]") "]");
    HEARD(&s, c, "\"e\"(1) ");
    snprintf(json, sizeof(json),
        "[\"Node12\",%s,{\"rooms\":[\"%s\"],\"except\":[],"
        "\"flags\":{\"volatile\":true,\"compress\":false}}]",
        PACKET("/"), id_text(&b));
    told_packed(&s, "k#/#", json);
    HEARD(&s, a, "");
    HEARD(&s, b, "\"e\"vu(1) ");
    told_packed(&s, "k#/#",
        "[\"Node12\",{\"type\":2,\"data\":[\"b\",{\"_placeholder\":true,"
        "\"num\":0}]}," TO("[\"b\"]", "[]") "]");
    HEARD(&s, b, "\"b\"({\"_placeholder\":true,\"num\":0}) ");
    CHECK_INT(stat_of(&s.r, PEAL_STAT_ADAPTER_RECEIVED), 6);
    CHECK_INT(BAD(&s), 0);
    SAID(&s, "sub k-request#/chat#\npsub k#/chat#*\n"); /* and nothing is told back */
    quit(&s, &a);
    quit(&s, &b);
    quit(&s, &c);
    site_close(&s);
}

/* ["Node12",{...},{rooms:["n0",...],except:[]}], of rooms first to last - 1. */
static void
told_many(struct site *s, const char *more, unsigned first, unsigned last)
{
    struct peal_buf b = { 0 };

    CHECK_OK(peal_buf_printf(&b, "[\"Node12\"," PACKET("/") ",{\"rooms\":[\"%s\"", more));
    for (unsigned i = first; i < last; i++)
        CHECK_OK(peal_buf_printf(&b, ",\"n%u\"", i));
    CHECK_OK(peal_buf_printf(&b, "],\"except\":[],\"flags\":{}}]"));
    CHECK_OK(peal_buf_add_char(&b, '\0'));
    told_packed(s, "k#/#", b.data);
    peal_buf_fini(&b);
}

/* Users are notified by their rooms, thousands at a time; most of them are elsewhere. */
static void
a_broadcast_to_thousands_of_rooms_reaches_those_that_are_here(void **state)
{
    static char long_name[PEAL_CHANNEL_NAME_MAX + 2];
    struct socket a, b;
    struct site s;

    memset(long_name, 'x', sizeof(long_name) - 1);
    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/ n4999 n1");
    enter(&s, 1, &b, "/ n7000");
    told_many(&s, "n1", 0, 5000);
    HEARD(&s, a, "\"e\"(1) "); /* once */
    HEARD(&s, b, "");
    told_many(&s, long_name, 7000, 7001);
    HEARD(&s, a, "");
    HEARD(&s, b, "\"e\"(1) ");
    told_many(&s, long_name, 0, 0); /* for nobody, not for everybody */
    told_many(&s, "n1", 0, PEAL_SIO_REDIS_NAMES_MAX - 1);
    HEARD(&s, a, "\"e\"(1) ");
    HEARD(&s, b, "\"e\"(1) ");
    CHECK_INT(BAD(&s), 0);
    told_many(&s, "n1", 0, PEAL_SIO_REDIS_NAMES_MAX);
    HEARD(&s, a, "");
    CHECK_INT(BAD(&s), 1);
    quit(&s, &a);
    quit(&s, &b);
    site_close(&s);
}

static void
what_our_own_nodes_say_is_dropped(void **state)
{
    struct site sites[2];
    struct socket a;
    struct site *s = &sites[0];
    char json[256];

    for (unsigned sharded = 0; sharded < 2; sharded++) {
        struct peal_adapter_config config = { .sharded = sharded };

        site_open(s, sharded);
        redis_up(s);
        enter(s, 0, &a, "/");
        /* One uid for all nodes with this prefix, another one for those with another. */
        config = (struct peal_adapter_config){ .loop = s->r.control,
            .hub = s->r.hub,
            .relay = s->r.relay,
            .link = &sites[1].redis.p,
            .sharded = sharded,
            .key = PEAL_S("k"),
            .prefix = PEAL_S("t2") };
        sites[1].redis =
            (struct redis){ .p.ops = &redis_pubsub_ops, .p.b.ops = &redis_ops };
        CHECK_OK(peal_adapter_new(&config, &sites[1].a));
        CHECK(strcmp(s->a->sender.uid, sites[1].a->sender.uid) != 0);
        CHECK_INT(strlen(s->a->sender.uid), sharded ? 16 : 6);
        for (unsigned i = 0; i < 2; i++) {
            const char *uid = sites[i].a->sender.uid;

            if (sharded)
                snprintf(json, sizeof(json),
                    "{\"type\":3,\"data\":{\"packet\":" PACKET(
                        "/") ",\"opts\":%s},"
                             "\"uid\":\"%s\",\"nsp\":\"/\"}",
                    TO("[]", "[]"), uid);
            else
                snprintf(json, sizeof(json), "[\"%s\",%s,%s]", uid, PACKET("/"),
                    TO("[]", "[]"));
            (sharded ? told : told_packed)(s, "k#/#", json);
            HEARD(s, a, i == 0 ? "" : "\"e\"(1) ");
        }
        peal_adapter_free(&sites[1].a);
        peal_relay_set_tap(s->r.relay, &peal_adapter_tap, s->a);
        quit(s, &a);
        site_close(s);
    }
}

static void
what_is_for_others_is_not_even_read(void **state)
{
    struct socket a;
    struct site s;

    site_open(&s, false);
    redis_up(&s);
    enter(&s, 0, &a, "/ a");
    told(&s, "k#/#b#", "nonsense");        /* a room that is not here */
    told(&s, "k-response#/#", "nonsense"); /* answers: nobody asks */
    told(&s, "other#/#", "nonsense");      /* another key */
    told(&s, "k#/#a", "nonsense");         /* no channel of theirs */
    told_packed(&s, "k#/#", "[\"Node12\"," PACKET("/chat") "," TO("[]", "[]") "]");
    told(&s, "k-request#/#", "{\"type\":99,\"uid\":\"x\"}"); /* of a later version */
    CHECK_INT(BAD(&s), 0);
    HEARD(&s, a, "");
    told(&s, "k#/#a#", "nonsense");
    told(&s, "k#/#", "");
    told(&s, "k-request#/#", "");
    told(&s, "k-request#/#", "{\"type\":2}");
    told(
        &s, "k-request#/#", "{\"type\":5,\"uid\":\"x\",\"opts\":{}}"); /* no request id */
    told_packed(&s, "k#/#",
        "[\"Node12\",{\"type\":2,\"data\":[\"connect\"]}," TO("[]", "[]") "]");
    CHECK_INT(BAD(&s), 6);
    HEARD(&s, a, "");
    SAID(&s, "");
    quit(&s, &a);
    site_close(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_is_shared_always_and_others_with_their_first_member),
        cmocka_unit_test(a_member_waits_for_all_that_brings_messages),
        cmocka_unit_test(what_is_asked_for_is_left_only_when_it_is_there),
        cmocka_unit_test(a_lost_link_lets_nobody_wait_and_all_is_asked_for_again),
        cmocka_unit_test(
            a_refused_namespace_keeps_nobody_waiting_and_the_root_ends_the_link),
        cmocka_unit_test(sharded_rooms_have_channels_of_their_own),
        cmocka_unit_test(what_is_published_here_is_told_in_their_words),
        cmocka_unit_test(sharded_messages_take_the_channel_of_their_room),
        cmocka_unit_test(what_is_for_none_of_their_sockets_is_not_told),
        cmocka_unit_test(what_cannot_be_told_is_counted),
        cmocka_unit_test(what_they_say_reaches_whom_it_is_for),
        cmocka_unit_test(a_broadcast_to_thousands_of_rooms_reaches_those_that_are_here),
        cmocka_unit_test(what_our_own_nodes_say_is_dropped),
        cmocka_unit_test(what_is_for_others_is_not_even_read),
    };

    return cmocka_run_group_tests_name("adapter", tests, NULL, NULL);
}

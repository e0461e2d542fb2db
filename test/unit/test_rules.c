/* SPDX-License-Identifier: MIT */
/* app/rules: what is read from a configuration, what is refused, what events do. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "app/rules.h"
#include "base/json.h"
#include "hub/hub.h"

/* One worker whose sessions write down what reaches them. */

struct client {
    struct peal_session session; /* first */
    struct peal_buf got;         /* "event[args] +attachments;" of each message */
    unsigned flags;              /* of the last one */
};

struct world {
    struct peal_log log;
    struct peal_loop *loop;
    struct peal_hub *hub;
    struct peal_shard *shard;
    struct peal_app *app;
    struct client a, b;
};

static bool
record(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    struct client *c = (struct client *)s;

    c->flags = m->flags;
    CHECK_OK(peal_buf_printf(&c->got, "%.*s %.*s[%.*s]%u", (int)m->nsp.len, m->nsp.data,
        (int)m->event.len, m->event.data, (int)m->args.len, m->args.data, m->n_args));
    for (unsigned i = 0; i < m->n_atts; i++)
        CHECK_OK(
            peal_buf_printf(&c->got, "+%.*s", (int)m->atts[i]->len, m->atts[i]->data));
    CHECK_OK(peal_buf_add_char(&c->got, ';'));
    return true;
}

static const struct peal_session_ops ops = { .protocol = "test", .deliver = record };

static void
client_begin(struct world *w, struct client *c, const char *nsp)
{
    CHECK_OK(peal_session_init(&c->session, w->shard, &ops, PEAL_LISTED));
    CHECK_OK(peal_session_subscribe(&c->session, peal_slice_str(nsp)));
    c->session.n_subs_max = 4;
}

static void
client_end(struct client *c)
{
    peal_session_fini(&c->session);
    peal_buf_fini(&c->got);
}

/* Two clients, a and b, in the same namespace. text NULL: --dev without rules. */
static void
begin(struct world *w, const char *text, const char *nsp)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL,
        .queue_bytes_max = 1 << 20,
        .queue_age_ms = 1000,
        .log = &w->log };
    struct peal_buf why = { 0 };
    struct peal_yaml *tree = NULL;

    *w = (struct world){ .log = { .fd = 2 } };
    CHECK_OK(peal_loop_new(&config, &w->loop));
    CHECK_OK(peal_hub_new(1, &w->hub));
    CHECK_OK(peal_shard_new(w->hub, 0, w->loop, 1000, NULL, &w->shard));
    if (text != NULL)
        CHECK_OK(peal_yaml_read(peal_slice_str(text), "f", &tree, &why));
    if (peal_rules_new(tree, "f", text == NULL, &why, &w->app) != PEAL_OK)
        fail_msg("%.*s", (int)why.len, why.data);
    CHECK_INT(why.len, 0);
    peal_yaml_free(&tree);
    peal_buf_fini(&why);
    client_begin(w, &w->a, nsp);
    client_begin(w, &w->b, nsp);
}

static void
end(struct world *w)
{
    client_end(&w->a);
    client_end(&w->b);
    w->app->ops->free(w->app);
    peal_loop_free(&w->loop); /* its last turn still runs the shard's hook */
    peal_shard_free(&w->shard);
    peal_hub_free(&w->hub);
}

/* An event from a client, and what came back: "none", or the acknowledgement. */

struct sent {
    struct peal_event ev; /* first */
    struct peal_buf acked;
    struct client *from;
    unsigned n_acks;
};

static void
on_ack(const struct peal_event *ev, struct peal_slice args, struct peal_blob *const *atts,
    unsigned n_atts)
{
    struct sent *s = (struct sent *)ev;

    s->n_acks++;
    CHECK_OK(peal_buf_printf(&s->acked, "[%.*s]", (int)args.len, args.data));
    for (unsigned i = 0; i < n_atts; i++)
        CHECK_OK(peal_buf_printf(&s->acked, "+%.*s", (int)atts[i]->len, atts[i]->data));
}

static void
on_emit(const struct peal_event *ev, struct peal_slice event, struct peal_slice args,
    unsigned n_args, struct peal_blob *const *atts, unsigned n_atts)
{
    struct sent *s = (struct sent *)ev;

    CHECK_OK(peal_buf_printf(&s->from->got, "self %.*s[%.*s]%u;", (int)event.len,
        event.data, (int)args.len, args.data, n_args));
}

static char *
text_of(struct peal_buf *b)
{
    static char texts[8][512];
    static unsigned at;
    char *text = texts[at++ % 8];

    CHECK(b->len < sizeof(texts[0]));
    memcpy(text, b->data ? b->data : "", b->len);
    text[b->len] = '\0';
    peal_buf_fini(b);
    return text;
}

/* Sends and returns the acknowledgement as text, "none" if there was none. */
static const char *
say_as(struct world *w, struct client *c, const char *nsp, const char *event,
    const char *args, bool want_ack, struct peal_blob *const *atts, unsigned n_atts)
{
    struct peal_slice token = peal_slice_str(event), rest = peal_slice_str(args), value;
    struct sent s = { .ev = { .session = &c->session,
                          .nsp = peal_slice_str(nsp),
                          .event = token,
                          .name = token,
                          .args = peal_slice_str(args),
                          .atts = atts,
                          .n_atts = n_atts,
                          .ack = want_ack ? on_ack : NULL,
                          .emit = on_emit },
        .from = c };

    if (event[0] == '"')
        s.ev.name = peal_slice_of(event + 1, token.len - 2);
    while (peal_json_next(&rest, &value))
        s.ev.n_args++;
    w->app->ops->event(w->app, &s.ev);
    CHECK(s.n_acks <= 1);
    return s.n_acks == 0 ? "none" : text_of(&s.acked);
}

static const char *
say(struct world *w, const char *event, const char *args)
{
    return say_as(w, &w->a, "/", event, args, true, NULL, 0);
}

static void
say_quietly(struct world *w, const char *event, const char *args)
{
    assert_string_equal(say_as(w, &w->a, "/", event, args, false, NULL, 0), "none");
}

#define GOT(client, want) assert_string_equal(text_of(&(client).got), (want))

static int64_t
denied(const struct world *w)
{
    return peal_stat_get(peal_shard_stats(w->shard), PEAL_STAT_DENIED);
}

static bool
may(struct peal_app *app, peal_app_access_fn *fn, struct peal_slice channel)
{
    struct peal_access a = { .channel = channel };
    const char *why = NULL;

    return fn(app, &a, &why) == PEAL_OK;
}

/* --dev without rules. */

static void
dev_rooms_are_joined_left_and_written_to(void **state)
{
    struct world w;

    begin(&w, NULL, "/");
    assert_string_equal(say(&w, "\"join\"", "\"red\""), "[]");
    assert_string_equal(say(&w, "\"join\"", "\"red\""), "[]"); /* again: no error */
    assert_string_equal(say(&w, "\"to\"", "\"red\",\"hi\", {\"n\":1.0} ,2"), "[]");
    GOT(w.a, "/ \"hi\"[{\"n\":1.0},2]2;");
    GOT(w.b, "");
    assert_string_equal(say(&w, "\"leave\"", "\"red\""), "[]");
    assert_string_equal(say(&w, "\"leave\"", "\"red\""), "[]");
    say_quietly(&w, "\"to\"", "\"red\",\"hi\"");
    GOT(w.a, "");
    CHECK_INT(denied(&w), 0);
    end(&w);
}

static void
dev_events_are_acknowledged_or_sent_to_everybody(void **state)
{
    struct world w;

    begin(&w, NULL, "/chat");
    assert_string_equal(
        say_as(&w, &w.a, "/chat", "\"say\"", "1, \"\\u00e9\"", true, NULL, 0),
        "[1, \"\\u00e9\"]");
    GOT(w.a, "");
    say_as(&w, &w.a, "/chat", "\"say\"", "1e2", false, NULL, 0);
    say_as(&w, &w.b, "/chat", "7", "", false, NULL, 0);
    GOT(w.a, "/chat \"say\"[1e2]1;/chat 7[]0;");
    GOT(w.b, "/chat \"say\"[1e2]1;/chat 7[]0;");
    end(&w);
}

static void
dev_allows_any_channel_but_no_namespace_as_one(void **state)
{
    struct world w;

    begin(&w, NULL, "/");
    CHECK(may(w.app, w.app->ops->may_subscribe, PEAL_S("news")));
    CHECK(may(w.app, w.app->ops->may_publish, PEAL_S("news")));
    CHECK(!may(w.app, w.app->ops->may_subscribe, PEAL_S("/")));
    CHECK(!may(w.app, w.app->ops->may_publish, PEAL_S("/chat#room")));
    end(&w);
}

static void
names_from_arguments_are_checked(void **state)
{
    struct world w;

    begin(&w, NULL, "/");
    assert_string_equal(
        say(&w, "\"join\"", ""), "[{\"error\":\"an argument is missing\"}]");
    assert_string_equal(say(&w, "\"join\"", "null"),
        "[{\"error\":\"a name must be a string or a number\"}]");
    assert_string_equal(say(&w, "\"join\"", "{\"_placeholder\":true,\"num\":0}"),
        "[{\"error\":\"a name must be a string or a number\"}]");
    assert_string_equal(
        say(&w, "\"to\"", "\"r\""), "[{\"error\":\"an argument is missing\"}]");
    assert_string_equal(say(&w, "\"to\"", "\"r\",\"disconnect\""),
        "[{\"error\":\"the event's name is reserved\"}]");
    CHECK_INT(denied(&w), 5);
    /* A number stands for its text, an escape for what it means. */
    assert_string_equal(say(&w, "\"join\"", "7"), "[]");
    assert_string_equal(say(&w, "\"join\"", "\"\\u0072\""), "[]");
    say_quietly(&w, "\"to\"", "\"7\",\"x\"");
    say_quietly(&w, "\"to\"", "\"r\",\"\\u0079\"");
    GOT(w.a, "/ \"x\"[]0;/ \"\\u0079\"[]0;");
    end(&w);
}

static void
too_many_or_too_long_rooms_are_refused(void **state)
{
    static char longest[PEAL_CHANNEL_NAME_MAX + 4];
    struct world w;

    begin(&w, NULL, "/");
    memset(longest, 'x', PEAL_CHANNEL_NAME_MAX + 3);
    longest[0] = longest[PEAL_CHANNEL_NAME_MAX + 2] = '"';
    assert_string_equal(
        say(&w, "\"join\"", longest), "[{\"error\":\"the room's name is too long\"}]");
    longest[PEAL_CHANNEL_NAME_MAX + 1] = '"';
    longest[PEAL_CHANNEL_NAME_MAX + 2] = '\0';
    assert_string_equal(say(&w, "\"join\"", longest), "[]");
    assert_string_equal(say(&w, "\"join\"", "1"), "[]");
    assert_string_equal(say(&w, "\"join\"", "2"), "[]");
    assert_string_equal(say(&w, "\"join\"", "3"), "[{\"error\":\"too many rooms\"}]");
    end(&w);
}

static void
a_session_id_is_an_address_and_not_a_room(void **state)
{
    char id[PEAL_ID_LEN + 3], args[64];
    struct world w;

    begin(&w, NULL, "/");
    snprintf(id, sizeof(id), "\"%.*s\"", PEAL_ID_LEN, w.b.session.id);
    assert_string_equal(say(&w, "\"join\"", id), "[{\"error\":\"not allowed\"}]");
    snprintf(args, sizeof(args), "%s,\"psst\",1", id);
    assert_string_equal(say(&w, "\"to\"", args), "[]");
    GOT(w.a, "");
    GOT(w.b, "/ \"psst\"[1]1;");
    end(&w);
}

static void
attachments_go_where_they_are_referred_to(void **state)
{
    struct peal_blob *atts[2] = { peal_blob_copy(PEAL_S("one")),
        peal_blob_copy(PEAL_S("two")) };
    struct world w;

    begin(&w, NULL, "/");
    say(&w, "\"join\"", "\"r\"");
    say_as(&w, &w.a, "/", "\"to\"",
        "\"r\",\"x\",{\"_placeholder\":true,\"num\":0},{\"a\":{\"_placeholder\":true,"
        "\"num\":1}}",
        false, atts, 2);
    GOT(w.a, "/ \"x\"[{\"_placeholder\":true,\"num\":0},{\"a\":{\"_placeholder\":true,"
             "\"num\":1}}]2+one+two;");
    /* Numbers are never changed, so what stands before the one in use goes along. */
    say_as(&w, &w.a, "/", "\"to\"", "\"r\",\"x\",{\"_placeholder\":true,\"num\":1}",
        false, atts, 2);
    GOT(w.a, "/ \"x\"[{\"_placeholder\":true,\"num\":1}]1+one+two;");
    say_as(&w, &w.a, "/", "\"to\"", "\"r\",\"x\",{\"_placeholder\":true,\"num\":0}",
        false, atts, 2);
    GOT(w.a, "/ \"x\"[{\"_placeholder\":true,\"num\":0}]1+one;");
    say_as(&w, &w.a, "/", "\"to\"", "\"r\",\"x\",1", false, atts, 2);
    GOT(w.a, "/ \"x\"[1]1;");
    assert_string_equal(say_as(&w, &w.a, "/", "\"echo\"",
                            "{\"_placeholder\":true,\"num\":0}", true, atts, 1),
        "[{\"_placeholder\":true,\"num\":0}]+one");
    peal_blob_release(atts[0]);
    peal_blob_release(atts[1]);
    end(&w);
}

static void
the_last_attachment_that_fits_can_be_referred_to(void **state)
{
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
    struct peal_buf args = { 0 };
    struct world w;

    begin(&w, NULL, "/");
    say(&w, "\"join\"", "\"r\"");
    CHECK_OK(peal_buf_printf(&args, "\"r\",\"x\",{\"_placeholder\":true,\"num\":%d}%c",
        PEAL_ATTACHMENTS_MAX - 1, 0));
    for (unsigned i = 0; i < PEAL_ATTACHMENTS_MAX; i++)
        atts[i] = peal_blob_copy(PEAL_S("b"));
    say_as(&w, &w.a, "/", "\"to\"", args.data, false, atts, PEAL_ATTACHMENTS_MAX);
    GOT(w.a, "/ \"x\"[{\"_placeholder\":true,\"num\":31}]1"
             "+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+b;");
    for (unsigned i = 0; i < PEAL_ATTACHMENTS_MAX; i++)
        peal_blob_release(atts[i]);
    peal_buf_fini(&args);
    end(&w);
}

/* Rules. */

static const char chat[] =
    "namespaces:\n"
    "  /admin: { connect: deny }\n"
    "  /:\n"
    "    events:\n"
    "      say:  { relay: namespace }\n"
    "      to:   { relay: 0, event: 1, except_sender: true }\n"
    "      word: { relay: \"namespace\" }\n"
    "      news: { relay: news, event: fresh, volatile: true }\n"
    "      join: { join: 0, rooms: [\"pub-*\", lobby] }\n"
    "      in:   [{ join: lobby }, { relay: lobby }, ack]\n"
    "      out:  { leave: lobby }\n"
    "      chat: { relay: 1, members_only: true, rooms: \"pub-*\" }\n"
    "      half: [{ relay: namespace }, { join: 0, rooms: x }, ack]\n"
    "      echo: ack\n"
    "      hello: { reply: welcome }\n"
    "      call: { reply: 1 }\n"
    "      \"user:*\": ack\n"
    "      hush: drop\n"
    "  \"/room-*\":\n"
    "channels:\n"
    "  news-secret: {}\n"
    "  \"news-*\": { subscribe: true }\n"
    "  /chat: { subscribe: true }\n"
    "  \"*\": { subscribe: false, publish: true }\n";

static peal_err
try_connect(struct world *w, const char *nsp, const char **why)
{
    struct peal_connect c = { .session = &w->a.session, .nsp = peal_slice_str(nsp) };

    return w->app->ops->connect(w->app, &c, why);
}

static void
only_listed_namespaces_may_be_connected_to(void **state)
{
    const char *why = NULL;
    struct world w;

    begin(&w, chat, "/");
    CHECK_OK(try_connect(&w, "/", &why));
    CHECK_OK(try_connect(&w, "/room-7", &why));
    CHECK_ERR(try_connect(&w, "/other", &why), PEAL_ENOTFOUND);
    CHECK_ERR(try_connect(&w, "/admin", &why), PEAL_EPERM);
    assert_string_equal(why, "not allowed");
    end(&w);
}

static void
without_rules_and_without_dev_nothing_is_allowed(void **state)
{
    struct peal_buf errors = { 0 };
    struct peal_app *app;
    struct peal_connect c = { .nsp = PEAL_S("/") };
    const char *why;

    CHECK_OK(peal_rules_new(NULL, "f", false, &errors, &app));
    CHECK_ERR(app->ops->connect(app, &c, &why), PEAL_ENOTFOUND);
    CHECK(!may(app, app->ops->may_subscribe, PEAL_S("news")));
    CHECK(!may(app, app->ops->may_publish, PEAL_S("news")));
    app->ops->free(app);
}

static void
with_rules_dev_changes_nothing(void **state)
{
    struct peal_buf why = { 0 };
    struct peal_yaml *tree;
    struct peal_app *app;

    CHECK_OK(
        peal_yaml_read(PEAL_S("channels: { a: { publish: true } }"), "f", &tree, &why));
    CHECK_OK(peal_rules_new(tree, "f", true, &why, &app));
    CHECK(may(app, app->ops->may_publish, PEAL_S("a")));
    CHECK(!may(app, app->ops->may_publish, PEAL_S("b")));
    app->ops->free(app);
    peal_yaml_free(&tree);
}

static void
the_first_pattern_of_a_channel_counts(void **state)
{
    struct world w;

    begin(&w, chat, "/");
    CHECK(!may(w.app, w.app->ops->may_subscribe, PEAL_S("news-secret")));
    CHECK(may(w.app, w.app->ops->may_subscribe, PEAL_S("news-eu")));
    CHECK(!may(w.app, w.app->ops->may_publish, PEAL_S("news-eu")));
    CHECK(may(w.app, w.app->ops->may_publish, PEAL_S("other")));
    CHECK(!may(w.app, w.app->ops->may_subscribe, PEAL_S("other")));
    CHECK(may(w.app, w.app->ops->may_subscribe, PEAL_S("/chat"))); /* by name */
    CHECK(!may(w.app, w.app->ops->may_publish, PEAL_S("/any")));   /* not by "*" */
    end(&w);
}

static void
events_are_relayed(void **state)
{
    struct world w;

    begin(&w, chat, "/");
    assert_string_equal(say(&w, "\"say\"", "1,\"x\""), "[]");
    GOT(w.a, "/ \"say\"[1,\"x\"]2;");
    GOT(w.b, "/ \"say\"[1,\"x\"]2;");
    CHECK_OK(peal_session_subscribe(&w.a.session, PEAL_S("r")));
    CHECK_OK(peal_session_subscribe(&w.b.session, PEAL_S("r")));
    say_quietly(&w, "\"to\"", "\"r\",\"hi\",5");
    GOT(w.a, "");
    GOT(w.b, "/ \"hi\"[5]1;");
    CHECK_OK(peal_session_subscribe(&w.b.session, PEAL_S("namespace")));
    say_quietly(&w, "\"word\"", "");
    GOT(w.a, "");
    GOT(w.b, "/ \"word\"[]0;");
    CHECK_INT(w.b.flags, 0);
    CHECK_OK(peal_session_subscribe(&w.a.session, PEAL_S("news")));
    say_quietly(&w, "\"news\"", "[]");
    GOT(w.a, "/ \"fresh\"[[]]1;");
    CHECK_INT(w.a.flags, PEAL_MSG_VOLATILE);
    end(&w);
}

static void
rooms_that_clients_name_can_be_limited(void **state)
{
    struct world w;

    begin(&w, chat, "/");
    assert_string_equal(
        say(&w, "\"join\"", "\"private\""), "[{\"error\":\"not allowed\"}]");
    assert_string_equal(say(&w, "\"join\"", "\"lobby\""), "[]");
    assert_string_equal(
        say(&w, "\"chat\"", "1,\"pub-1\""), "[{\"error\":\"not allowed\"}]");
    assert_string_equal(say(&w, "\"join\"", "\"pub-1\""), "[]");
    assert_string_equal(say(&w, "\"chat\"", "1,\"pub-1\",true"), "[]");
    GOT(w.a, "/ \"chat\"[1,true]2;");
    assert_string_equal(
        say(&w, "\"chat\"", "1,\"lobby\""), "[{\"error\":\"not allowed\"}]");
    end(&w);
}

static void
several_actions_are_done_in_order_until_one_is_refused(void **state)
{
    struct world w;

    begin(&w, chat, "/");
    assert_string_equal(say(&w, "\"in\"", "9"), "[9]");
    GOT(w.a, "/ \"in\"[9]1;");
    assert_string_equal(say(&w, "\"out\"", ""), "[]");
    CHECK(!peal_session_is_subscribed(&w.a.session, PEAL_S("lobby")));
    assert_string_equal(say(&w, "\"half\"", "\"y\""), "[{\"error\":\"not allowed\"}]");
    GOT(w.b, "/ \"half\"[\"y\"]1;");
    CHECK_INT(denied(&w), 1);
    end(&w);
}

static void
events_are_answered(void **state)
{
    struct world w;

    begin(&w, chat, "/");
    assert_string_equal(say(&w, "\"echo\"", " 1 , 2 "), "[ 1 , 2 ]");
    assert_string_equal(say(&w, "\"user:7\"", "1"), "[1]");
    say_quietly(&w, "\"echo\"", "1");
    assert_string_equal(say(&w, "\"hello\"", "1,2"), "[]");
    GOT(w.a, "self \"welcome\"[1,2]2;");
    say_quietly(&w, "\"call\"", "1,\"name\",2");
    GOT(w.a, "self \"name\"[1,2]2;");
    GOT(w.b, "");
    end(&w);
}

static void
what_no_rule_names_is_refused_and_what_is_dropped_is_not(void **state)
{
    struct world w;

    begin(&w, chat, "/");
    assert_string_equal(say(&w, "\"hush\"", "1"), "none");
    CHECK_INT(denied(&w), 0);
    assert_string_equal(say(&w, "\"other\"", "1"), "[{\"error\":\"not allowed\"}]");
    say_quietly(&w, "\"other\"", "1");
    say_as(&w, &w.a, "/room-1", "\"say\"", "1", false, NULL, 0);
    CHECK_INT(denied(&w), 3);
    GOT(w.b, "");
    end(&w);
}

static void
an_event_without_memory_is_refused_or_done(void **state)
{
    struct world w;
    bool done = false;

    begin(&w, chat, "/");
    CHECK_OK(peal_session_subscribe(&w.b.session, PEAL_S("\"q")));
    for (long n = 0; !done; n++) {
        CHECK(n < 100);
        w.b.got.len = 0;
        CHECK_OK(peal_buf_reserve(&w.b.got, 400)); /* so that record allocates nothing */
        alloc_left = n;
        say_quietly(&w, "\"to\"", "\"\\\"q\",\"hi\",5");
        alloc_left = -1;
        done = w.b.got.len > 0;
        CHECK_INT(denied(&w), done ? n : n + 1);
    }
    GOT(w.b, "/ \"hi\"[5]1;");
    end(&w);
}

/* Mistakes. */

static void
check_mistake(const char *text, const char *want)
{
    struct peal_buf why = { 0 };
    struct peal_yaml *tree = NULL;
    struct peal_app *app;

    CHECK_OK(peal_yaml_read(peal_slice_str(text), "f", &tree, &why));
    CHECK_ERR(peal_rules_new(tree, "f", false, &why, &app), PEAL_EINVAL);
    CHECK_SLICE(peal_buf_slice(&why), want);
    peal_yaml_free(&tree);
    peal_buf_fini(&why);
}

static void
mistakes_are_told_with_their_place(void **state)
{
    check_mistake("7", "f:1:1: rules: expected a map of namespaces and channels\n");
    check_mistake("namespace: {}\nchanels: {}",
        "f:1:1: rules.namespace: unknown; did you mean namespaces?\n"
        "f:2:1: rules.chanels: unknown; did you mean channels?\n");
    check_mistake("channels:\n  a: { subscribe: maybe, publsh: true }",
        "f:2:26: rules.channels.a.publsh: unknown; did you mean publish?\n"
        "f:2:19: rules.channels.a.subscribe: expected true or false\n");
    check_mistake("channels: { a: true }",
        "f:1:16: rules.channels.a: expected a map of subscribe and publish\n");
    check_mistake("namespaces: { chat: {} }",
        "f:1:15: rules.namespaces.chat: a namespace begins with /\n");
    check_mistake("namespaces: { \"/a#b\": {} }",
        "f:1:15: rules.namespaces./a#b: a namespace has no # in its name\n");
    check_mistake("namespaces: { /: { connect: yes } }",
        "f:1:29: rules.namespaces./.connect: expected allow or deny\n");
    check_mistake("namespaces: { /: { events: [] } }",
        "f:1:28: rules.namespaces./.events: expected a map of events and what they do\n");
}

#define EVENT(text) "namespaces: { /: { events: { e: " text " } } }"
#define AT(column) "f:1:" column ": rules.namespaces./.events.e"

static void
mistakes_in_actions_are_told(void **state)
{
    check_mistake(EVENT("akc"), AT("33") ": unknown action akc; did you mean ack?\n");
    check_mistake(EVENT("relay"),
        AT("33") ": unknown action relay; did you mean { relay: ... }?\n");
    check_mistake(EVENT("publish"), AT("33") ": unknown action publish; expected ack, "
                                             "drop, or a map with relay, join, "
                                             "leave or reply\n");
    check_mistake(
        EVENT("{ relya: x }"), AT("35") ".relya: unknown; did you mean relay?\n");
    check_mistake(EVENT("{}"),
        AT("33") ": expected ack, drop, or one of relay, join, leave, reply\n");
    check_mistake(EVENT("[]"), AT("33") ": expected 1 to 16 actions\n");
    check_mistake(
        EVENT("[ack, drop]"), AT("39") ": drop does nothing, so it stands alone\n");
    check_mistake(EVENT("{ join: 0, relay: 0 }"),
        AT("35") ": relay and join in one action; write a list of two\n");
    check_mistake(EVENT("{ join: 16 }"), AT("41") ".join: a position is 0 to 15; put the "
                                                  "name in quotes if it is one\n");
    check_mistake(EVENT("{ join: }"),
        AT("41") ".join: expected a name, or the position of an argument\n");
    check_mistake(EVENT("{ join: 0, event: x }"), AT("44") ".event: unknown\n");
    check_mistake(EVENT("{ join: x, rooms: y }"),
        AT("51") ".rooms: only for a room that an argument names\n");
    check_mistake(EVENT("{ relay: 0, event: 0 }"),
        AT("52") ".event: the same argument names the room\n");
    check_mistake(EVENT("{ reply: connect }"),
        AT("42") ".reply: connect is a reserved name that "
                 "only Socket.IO itself may emit\n");
    check_mistake(EVENT("{ relay: 0, members_only: 3 }"),
        AT("59") ".members_only: expected true or false\n");
    check_mistake("namespaces: { /: { events: { disconnect: ack } } }",
        "f:1:30: rules.namespaces./.events.disconnect: a reserved name that no client "
        "may "
        "emit\n");
}

static void
loading_survives_every_failing_allocation(void **state)
{
    struct peal_buf why = { 0 };
    struct peal_yaml *tree;
    struct peal_app *app;
    peal_err err = PEAL_ENOMEM;

    CHECK_OK(peal_yaml_read(peal_slice_str(chat), "f", &tree, &why));
    for (long n = 0; err == PEAL_ENOMEM; n++) {
        CHECK(n < 10000);
        alloc_left = n;
        err = peal_rules_new(tree, "f", false, &why, &app);
        alloc_left = -1;
    }
    CHECK_OK(err);
    CHECK_INT(why.len, 0);
    app->ops->free(app);
    peal_yaml_free(&tree);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dev_rooms_are_joined_left_and_written_to),
        cmocka_unit_test(dev_events_are_acknowledged_or_sent_to_everybody),
        cmocka_unit_test(dev_allows_any_channel_but_no_namespace_as_one),
        cmocka_unit_test(names_from_arguments_are_checked),
        cmocka_unit_test(too_many_or_too_long_rooms_are_refused),
        cmocka_unit_test(a_session_id_is_an_address_and_not_a_room),
        cmocka_unit_test(attachments_go_where_they_are_referred_to),
        cmocka_unit_test(the_last_attachment_that_fits_can_be_referred_to),
        cmocka_unit_test(only_listed_namespaces_may_be_connected_to),
        cmocka_unit_test(without_rules_and_without_dev_nothing_is_allowed),
        cmocka_unit_test(with_rules_dev_changes_nothing),
        cmocka_unit_test(the_first_pattern_of_a_channel_counts),
        cmocka_unit_test(events_are_relayed),
        cmocka_unit_test(rooms_that_clients_name_can_be_limited),
        cmocka_unit_test(several_actions_are_done_in_order_until_one_is_refused),
        cmocka_unit_test(events_are_answered),
        cmocka_unit_test(what_no_rule_names_is_refused_and_what_is_dropped_is_not),
        cmocka_unit_test(an_event_without_memory_is_refused_or_done),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(mistakes_in_actions_are_told),
        cmocka_unit_test(loading_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* hub/relay: what is subscribed when, who is told, and what a lost link does to it. */
#include "relay_rig.h"

#include "hub/outbox_priv.h"

#define TICK 300 /* ms, in which the relay looks at topics without subscribers */

static void
later(struct rig *r, uint64_t ms)
{
    settle(r);
    clock_ms += ms;
    settle(r);
}

/* Counts what peal_session_await_subscribed calls. */
struct told {
    unsigned n, gone;
};

static void
on_confirmed(void *arg, bool gone)
{
    struct told *t = arg;

    t->n++;
    t->gone += gone;
}

static void
await(struct member *me, const char *channel, struct told *t)
{
    *t = (struct told){ 0 };
    CHECK_ERR(
        peal_session_await_subscribed(&me->s, peal_slice_str(channel), on_confirmed, t),
        PEAL_EAGAIN);
}

static void
the_first_subscriber_waits_until_the_channel_is_subscribed(void **state)
{
    struct member a, b, c;
    struct told t[2];
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    CHECK_INT(r.ups, 1);
    begin(&r, 0, &a);
    begin(&r, 1, &b);
    begin(&r, 0, &c);
    CHECK(peal_session_all_subscribed(&a.s)); /* to nothing */
    CHECK_ERR(peal_session_await_subscribed(&a.s, PEAL_S("a"), on_confirmed, &t[0]),
        PEAL_ENOTFOUND);
    join(&a, "a");
    ASKED(&r, "");
    await(&a, "a", &t[0]);
    settle(&r);
    ASKED(&r, "sub t:c:{a}\n");
    join(&b, "a"); /* on another worker: asked for already, but not there yet */
    await(&b, "a", &t[1]);
    settle(&r);
    ASKED(&r, "");
    CHECK_INT(t[0].n + t[1].n, 0);
    CHECK(!peal_session_all_subscribed(&a.s));
    subscribed(&r, "t:c:{a}");
    settle(&r);
    CHECK_INT(t[0].n, 1);
    CHECK_INT(t[1].n, 1);
    CHECK_INT(t[0].gone + t[1].gone, 0);
    CHECK(peal_session_all_subscribed(&a.s) && peal_session_all_subscribed(&b.s));
    join(&c, "a");
    CHECK_OK(peal_session_await_subscribed(&c.s, PEAL_S("a"), on_confirmed, &t[0]));
    CHECK_OK(peal_session_await_all_subscribed(&c.s, on_confirmed, &t[0]));
    CHECK_INT(t[0].n, 1);
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    peal_session_fini(&c.s);
    rig_close(&r);
}

static void
who_leaves_or_ends_waits_no_longer(void **state)
{
    struct member a, b;
    struct told t[4];
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    begin(&r, 0, &b);
    join(&a, "a");
    join(&b, "a");
    join(&b, "b");
    await(&a, "a", &t[0]);
    await(&b, "a", &t[1]);
    await(&b, "b", &t[2]);
    leave(&b, "b");
    CHECK_INT(t[2].gone, 1);
    peal_session_fini(&a.s);
    CHECK_INT(t[0].gone, 1);
    CHECK_INT(t[1].n, 0);
    settle(&r);
    subscribed(&r, "t:c:{a}");
    subscribed(&r, "t:c:{b}"); /* nobody is there any more */
    settle(&r);
    CHECK_INT(t[1].n, 1);
    CHECK_INT(t[1].gone, 0);
    peal_session_fini(&b.s);
    CHECK_INT(t[0].n + t[1].n + t[2].n, 3);
    rig_close(&r);
}

/* Several sessions wait; each one notes when it is told, and may do something. */
struct waiting {
    struct member me;
    char *order;
    char name;
    struct waiting *ends; /* when this one is told, or NULL */
    bool told, gone;
};

static void
on_turn_of(void *arg, bool gone)
{
    struct waiting *w = arg;

    CHECK(!w->told);
    w->told = true;
    w->gone = gone;
    w->order[strlen(w->order)] = w->name;
    if (w->ends != NULL)
        peal_session_fini(&w->ends->me.s);
}

static void
waiters_are_told_in_order_and_may_do_anything(void **state)
{
    struct waiting w[5];
    char order[8] = "";
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    for (int i = 0; i < 5; i++) {
        w[i] = (struct waiting){ .order = order, .name = (char)('a' + i) };
        begin(&r, 0, &w[i].me);
        join(&w[i].me, "a");
        CHECK_ERR(
            peal_session_await_subscribed(&w[i].me.s, PEAL_S("a"), on_turn_of, &w[i]),
            PEAL_EAGAIN);
    }
    w[1].ends = &w[3]; /* whose turn has not come */
    w[3].ends = &w[2]; /* from inside */
    w[4].ends = &w[4];
    settle(&r);
    subscribed(&r, "t:c:{a}");
    settle(&r);
    assert_string_equal(order, "abdce");
    for (int i = 0; i < 5; i++)
        CHECK_INT(w[i].gone, i == 2 || i == 3);
    peal_session_fini(&w[0].me.s);
    peal_session_fini(&w[1].me.s);
    rig_close(&r);
}

/* The last of them ends the channel itself. */
static void
a_waiter_may_be_the_end_of_its_channel(void **state)
{
    struct waiting w = { .order = (char[4]){ 0 }, .name = 'a' };
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &w.me);
    join(&w.me, "a");
    CHECK_ERR(peal_session_await_all_subscribed(&w.me.s, on_turn_of, &w), PEAL_EAGAIN);
    w.ends = &w;
    settle(&r);
    subscribed(&r, "t:c:{a}");
    settle(&r);
    CHECK(w.told && !w.gone);
    rig_close(&r);
}

static void
a_channel_lingers_and_is_left(void **state)
{
    struct member a;
    struct rig r;

    rig_open(&r, 1000, 1000);
    rig_connect(&r);
    begin(&r, 0, &a);
    join_and_confirm(&r, &a, "a");
    ASKED(&r, "sub t:c:{a}\n");
    leave(&a, "a");
    later(&r, 900);
    join(&a, "a"); /* it is still there */
    settle(&r);
    CHECK(peal_session_all_subscribed(&a.s));
    later(&r, 1000);
    later(&r, TICK);
    ASKED(&r, "");
    leave(&a, "a");
    later(&r, 900);
    ASKED(&r, "");
    later(&r, 100);
    later(&r, TICK);
    ASKED(&r, "unsub t:c:{a}\n");
    join(&a, "a");
    settle(&r);
    CHECK(!peal_session_all_subscribed(&a.s));
    ASKED(&r, "sub t:c:{a}\n");
    leave(&a, "a"); /* before it is there: it is waited for */
    later(&r, 2000);
    later(&r, TICK);
    ASKED(&r, "");
    subscribed(&r, "t:c:{a}");
    later(&r, TICK);
    ASKED(&r, "unsub t:c:{a}\n");
    peal_session_fini(&a.s);
    rig_close(&r);
}

static void
a_channel_is_left_when_the_last_worker_leaves_it(void **state)
{
    struct member a, b;
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    begin(&r, 1, &b);
    join_and_confirm(&r, &a, "a");
    join(&b, "a");
    settle(&r);
    CHECK(peal_session_all_subscribed(&b.s));
    ASKED(&r, "sub t:c:{a}\n");
    leave(&a, "a");
    later(&r, TICK);
    ASKED(&r, "");
    leave(&b, "a");
    later(&r, TICK);
    ASKED(&r, "unsub t:c:{a}\n");
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    rig_close(&r);
}

/* A confirmation that was under way when the channel was left says nothing of the channel
 * that has its name now. */
static void
a_late_confirmation_is_not_taken_for_a_new_one(void **state)
{
    struct member a;
    struct told t;
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    join(&a, "a");
    settle(&r);
    subscribed(&r, "t:c:{a}"); /* the worker does not read its task yet */
    leave(&a, "a");
    peal_outbox_turn(r.sh[0]);
    turn(r.control);
    clock_ms += TICK;
    turn(r.control);
    ASKED(&r, "sub t:c:{a}\nunsub t:c:{a}\n");
    join(&a, "a");
    await(&a, "a", &t);
    turn(r.loops[0]);
    turn(r.loops[0]);
    CHECK_INT(t.n, 0);
    settle(&r);
    ASKED(&r, "sub t:c:{a}\n");
    CHECK_INT(t.n, 0);
    subscribed(&r, "t:c:{a}");
    settle(&r);
    CHECK_INT(t.n, 1);
    peal_session_fini(&a.s);
    rig_close(&r);
}

static void
a_lost_link_lets_all_waiters_go_and_everything_is_subscribed_again(void **state)
{
    struct member a, b, c;
    struct told t;
    struct rig r;

    rig_open(&r, 1000, 1000);
    begin(&r, 0, &a);
    begin(&r, 1, &b);
    begin(&r, 1, &c);
    join(&a, "a"); /* there is no link yet: nobody is kept waiting for it */
    settle(&r);
    CHECK(peal_session_all_subscribed(&a.s));
    ASKED(&r, "");
    r.b.events->up(r.b.arg);
    settle(&r);
    ASKED_SORTED(&r, "sub t:all\nsub t:c:{a}\nsub t:n:00000007\nsub t:nodes\n");
    join(&b, "b");
    join(&c, "c");
    await(&b, "b", &t);
    settle(&r);
    ASKED_SORTED(&r, "sub t:c:{b}\nsub t:c:{c}\n");
    CHECK(!peal_relay_up(r.relay));
    r.b.events->down(r.b.arg);
    CHECK_INT(r.downs, 0); /* it was not up */
    settle(&r);
    CHECK_INT(t.n, 1);
    CHECK_INT(t.gone, 0);
    CHECK(peal_session_all_subscribed(&b.s) && peal_session_all_subscribed(&c.s));
    leave(&c, "c");
    leave(&a, "a");
    join(&a, "a");
    settle(&r);
    ASKED(&r, "");
    r.b.events->up(r.b.arg);
    settle(&r);
    ASKED_SORTED(
        &r, "sub t:all\nsub t:c:{a}\nsub t:c:{b}\nsub t:n:00000007\nsub t:nodes\n");
    subscribed(&r, "t:all");
    subscribed(&r, "t:c:{a}");
    subscribed(&r, "t:n:00000007");
    subscribed(&r, "t:nodes");
    CHECK(!peal_relay_up(r.relay));
    subscribed(&r, "t:c:{b}");
    CHECK(peal_relay_up(r.relay));
    CHECK_INT(r.ups, 1);
    r.b.events->down(r.b.arg);
    CHECK_INT(r.downs, 1);
    CHECK(!peal_relay_up(r.relay));
    subscribed(&r, "t:c:{b}"); /* of the old link */
    CHECK(!peal_relay_up(r.relay));
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    peal_session_fini(&c.s);
    rig_close(&r);
}

static void
a_channel_that_is_lost_is_asked_for_again(void **state)
{
    struct member a;
    struct rig r;

    rig_open(&r, 1000, 1000);
    rig_connect(&r);
    begin(&r, 0, &a);
    join_and_confirm(&r, &a, "a");
    ASKED(&r, "sub t:c:{a}\n");
    r.b.events->lost(r.b.arg, PEAL_S("t:c:{a}"));
    r.b.events->lost(r.b.arg, PEAL_S("t:c:{a}")); /* asked for: it says nothing new */
    r.b.events->lost(r.b.arg, PEAL_S("t:c:{unknown}"));
    ASKED(&r, "sub t:c:{a}\n");
    CHECK_INT(stat_of(&r, PEAL_STAT_BACKPLANE_GAPS), 1);
    CHECK(peal_relay_up(r.relay));
    subscribed(&r, "t:c:{a}");
    subscribed(&r, "t:c:{a}");
    leave(&a, "a");
    settle(&r);
    r.b.events->lost(r.b.arg, PEAL_S("t:c:{a}")); /* nobody needs it */
    ASKED(&r, "unsub t:c:{a}\n");
    join(&a, "a");
    settle(&r);
    ASKED(&r, "sub t:c:{a}\n");
    peal_session_fini(&a.s);
    rig_close(&r);
}

/* The part between the first brace and the next closing one is never empty: by it a Redis
 * Cluster places whatever belongs to a channel. */
static void
topics_of_channels_with_braces_are_told_apart(void **state)
{
    static const struct {
        const char *channel, *topic;
    } all[] = { { "}", "t:x:{.}}" }, { "}a", "t:x:{.}a}" }, { ".}a", "t:c:{.}a}" },
        { "a}b", "t:c:{a}b}" }, { "{a}", "t:c:{{a}}" }, { "{", "t:c:{{}" } };
    struct member m[6];
    struct rig r;

    rig_open(&r, 1000, 1000);
    rig_connect(&r);
    for (unsigned i = 0; i < 6; i++) {
        char asked[32];

        begin(&r, 0, &m[i]);
        join(&m[i], all[i].channel);
        settle(&r);
        snprintf(asked, sizeof(asked), "sub %s\n", all[i].topic);
        ASKED(&r, asked);
        subscribed(&r, all[i].topic);
        settle(&r);
        CHECK(peal_session_all_subscribed(&m[i].s));
        CHECK_OK(publish(&r, 1, all[i].channel, "1"));
        settle(&r);
        snprintf(asked, sizeof(asked), "pub %s 1\n", all[i].topic);
        ASKED(&r, asked);
        hear(&r, all[i].topic, OTHER, message(all[i].channel, NULL, "2"), 0);
        settle(&r);
    }
    for (unsigned i = 0; i < 6; i++) {
        GOT(m[i], "1 2 ");
        peal_session_fini(&m[i].s);
    }
    rig_close(&r);
}

static void
a_channel_that_is_refused_keeps_nobody_waiting(void **state)
{
    struct member a, b, c;
    struct rig r;

    rig_open(&r, 1000, 1000);
    rig_connect(&r);
    begin(&r, 0, &a);
    begin(&r, 0, &b);
    begin(&r, 1, &c);
    join(&a, "a");
    join(&b, "b");
    settle(&r);
    ASKED(&r, "sub t:c:{a}\nsub t:c:{b}\n");
    r.b.events->refused(r.b.arg, PEAL_S("t:c:{a}"), "NOPERM");
    r.b.events->refused(r.b.arg, PEAL_S("t:c:{unknown}"), "NOPERM");
    settle(&r);
    CHECK(peal_session_all_subscribed(&a.s));
    CHECK(!peal_session_all_subscribed(&b.s));
    ASKED(&r, "");
    subscribed(&r, "t:c:{b}");
    CHECK_OK(publish(&r, 1, "a", "1"));
    settle(&r);
    GOT(a, "1 ");
    ASKED(&r, "pub t:c:{a} 1\n");

    /* It is asked for again when another worker has a subscriber, and with the link. */
    join(&c, "a");
    settle(&r);
    ASKED(&r, "sub t:c:{a}\n");
    leave(&c, "a");
    leave(&a, "a");
    settle(&r);
    r.b.events->refused(r.b.arg, PEAL_S("t:c:{a}"), "NOPERM");
    later(&r, 1000 + TICK);
    ASKED(&r, "");
    join(&a, "a");
    settle(&r);
    ASKED(&r, "sub t:c:{a}\n");
    r.b.events->refused(r.b.arg, PEAL_S("t:c:{a}"), "NOPERM");
    r.b.events->down(r.b.arg);
    r.b.events->up(r.b.arg);
    ASKED_SORTED(
        &r, "sub t:all\nsub t:c:{a}\nsub t:c:{b}\nsub t:n:00000007\nsub t:nodes\n");
    r.b.events->refused(r.b.arg, PEAL_S("t:c:{a}"), "NOPERM");
    subscribed(&r, "t:c:{b}");
    subscribed(&r, "t:n:00000007");
    subscribed(&r, "t:nodes");
    CHECK(!peal_relay_up(r.relay));
    subscribed(&r, "t:all");
    CHECK(peal_relay_up(r.relay)); /* without the one that was refused */
    r.b.events->down(r.b.arg);
    r.b.events->up(r.b.arg);
    ASKED_SORTED(
        &r, "sub t:all\nsub t:c:{a}\nsub t:c:{b}\nsub t:n:00000007\nsub t:nodes\n");
    r.b.events->refused(r.b.arg, PEAL_S("t:all"), "NOPERM");
    ASKED(&r, "restart\n"); /* without it this node is none of the cluster */
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    peal_session_fini(&c.s);
    rig_close(&r);
}

/* As many clients as there are come back at once: their new channels do not keep the node
 * from being ready. */
static void
the_link_is_up_when_what_was_wanted_then_is_subscribed(void **state)
{
    struct member a, b;
    struct rig r;

    rig_open(&r, 1000, 0);
    begin(&r, 0, &a);
    begin(&r, 0, &b);
    join(&a, "a");
    settle(&r);
    r.b.events->up(r.b.arg);
    subscribed(&r, "t:nodes");
    subscribed(&r, "t:n:00000007");
    subscribed(&r, "t:all");
    join(&b, "b");
    settle(&r);
    CHECK(!peal_relay_up(r.relay));
    subscribed(&r, "t:c:{a}");
    CHECK(peal_relay_up(r.relay));
    CHECK_INT(r.ups, 1);
    CHECK(!peal_session_all_subscribed(&b.s));
    subscribed(&r, "t:c:{b}");
    settle(&r);
    CHECK(peal_session_all_subscribed(&b.s));
    CHECK_INT(r.ups, 1);
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    rig_close(&r);
}

static void
publish_last_words(void *rig)
{
    struct rig *r = rig;
    struct peal_slice a = PEAL_S("a");
    struct peal_msg *m;

    CHECK_OK(peal_msg_new(
        &(struct peal_msg_spec){
            .channels = &a, .n_channels = 1, .n_args = 1, .args = PEAL_S("1") },
        &m));
    CHECK_OK(peal_publish(r->sh[0], m));
    peal_msg_release(m);
}

/* A session that ends there may have last words. */
static void
what_is_published_at_the_end_of_a_turn_does_not_wait(void **state)
{
    struct member m[9];
    struct rig r;

    rig_open(&r, 10000, 0);
    rig_connect(&r);
    settle(&r);
    CHECK(uv_backend_timeout(peal_loop_uv(r.loops[0])) != 0);
    peal_loop_free_later(r.loops[0], publish_last_words, &r);
    turn(r.loops[0]);
    CHECK_INT(uv_backend_timeout(peal_loop_uv(r.loops[0])), 0); /* the loop goes on */
    settle(&r);
    ASKED(&r, "pub t:c:{a} 1\n");
    CHECK(uv_backend_timeout(peal_loop_uv(r.loops[0])) != 0);
    for (unsigned i = 0; i < 9; i++) {
        begin(&r, 0, &m[i]);
        join(&m[i], "a");
    }
    settle(&r);
    peal_loop_free_later(r.loops[0], publish_last_words, &r);
    turn(r.loops[0]);
    GOT(m[0], "");
    turn(r.loops[0]);
    GOT(m[0], "1 ");
    for (unsigned i = 0; i < 9; i++)
        peal_session_fini(&m[i].s);
    rig_close(&r);
}

static void
note_told(void *arg, bool gone)
{
    ((unsigned *)arg)[gone]++;
}

/* Each event with an acknowledgement waits while Redis hangs. */
static void
waiters_may_be_many(void **state)
{
    struct member m[5];
    unsigned told[2] = { 0, 0 };
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    for (unsigned i = 0; i < 5; i++) {
        begin(&r, 0, &m[i]);
        join(&m[i], "a");
        for (unsigned k = 0; k < 60000; k++)
            CHECK_ERR(
                peal_session_await_all_subscribed(&m[i].s, note_told, told), PEAL_EAGAIN);
    }
    settle(&r);
    peal_session_fini(&m[0].s);
    CHECK_INT(told[true], 60000);
    CHECK_INT(told[false], 0);
    subscribed(&r, "t:c:{a}");
    settle(&r);
    CHECK_INT(told[false], 240000);
    for (unsigned i = 1; i < 5; i++)
        peal_session_fini(&m[i].s);
    rig_close(&r);
}

static void
the_ids_of_sessions_cannot_be_joined(void **state)
{
    struct member a, b;
    char far[PEAL_ID_LEN];
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    begin(&r, 1, &b);
    peal_id_new(&(struct peal_id_key){ { 99 } }, OTHER, 3, far);
    CHECK_ERR(peal_session_subscribe(&a.s, peal_session_id(&b.s)), PEAL_EPERM);
    CHECK_OK(peal_session_subscribe(
        &a.s, peal_slice_of(far, PEAL_ID_LEN))); /* of nobody known */
    CHECK_OK(peal_session_unsubscribe(&a.s, peal_slice_of(far, PEAL_ID_LEN)));
    CHECK_OK(peal_hub_add_node(r.hub, OTHER, &(struct peal_id_key){ { 99 } }));
    CHECK_ERR(peal_session_subscribe(&a.s, peal_slice_of(far, PEAL_ID_LEN)), PEAL_EPERM);
    far[PEAL_ID_LEN - 1] ^= 1; /* only looks like one */
    CHECK_OK(peal_session_subscribe(&a.s, peal_slice_of(far, PEAL_ID_LEN)));
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    rig_close(&r);
}

/* A peer that has to subscribe too, in its own way. */
static char peer_log[128];

static bool
peer_want(void *arg, struct peal_slice channel)
{
    snprintf(peer_log + strlen(peer_log), sizeof(peer_log) - strlen(peer_log), "+%.*s ",
        (int)channel.len, channel.data);
    return channel.data[0] == 'w';
}

static void
peer_unwant(void *arg, struct peal_slice channel)
{
    snprintf(peer_log + strlen(peer_log), sizeof(peer_log) - strlen(peer_log), "-%.*s ",
        (int)channel.len, channel.data);
}

static void
peer_publish(void *arg, struct peal_msg *m)
{
    snprintf(peer_log + strlen(peer_log), sizeof(peer_log) - strlen(peer_log), "=%.*s ",
        (int)m->args.len, m->args.data);
}

static void
a_peer_is_told_and_waited_for(void **state)
{
    static const struct peal_relay_tap peer = { peer_want, peer_unwant, peer_publish };
    struct member a, b;
    struct told t;
    struct rig r;

    rig_open(&r, 1000, 0);
    peal_relay_set_tap(r.relay, &peer, NULL);
    rig_connect(&r);
    begin(&r, 0, &a);
    begin(&r, 1, &b);
    join_and_confirm(&r, &a, "a");
    join(&a, "w");
    await(&a, "w", &t);
    settle(&r);
    join(&b, "w"); /* it knows */
    settle(&r);
    assert_string_equal(peer_log, "+a +w ");
    subscribed(&r, "t:c:{w}");
    settle(&r);
    CHECK_INT(t.n, 0);
    peal_relay_tap_ready(r.relay, PEAL_S("w"));
    peal_relay_tap_ready(r.relay, PEAL_S("unknown"));
    settle(&r);
    CHECK_INT(t.n, 1);
    CHECK(peal_session_all_subscribed(&b.s));
    CHECK_OK(publish(&r, 0, "a", "1"));
    settle(&r);
    leave(&a, "a");
    later(&r, TICK);
    assert_string_equal(peer_log, "+a +w =1 -a ");
    GOT(a, "1 ");
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    rig_close(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_subscriber_waits_until_the_channel_is_subscribed),
        cmocka_unit_test(who_leaves_or_ends_waits_no_longer),
        cmocka_unit_test(waiters_are_told_in_order_and_may_do_anything),
        cmocka_unit_test(a_waiter_may_be_the_end_of_its_channel),
        cmocka_unit_test(a_channel_lingers_and_is_left),
        cmocka_unit_test(a_channel_is_left_when_the_last_worker_leaves_it),
        cmocka_unit_test(a_late_confirmation_is_not_taken_for_a_new_one),
        cmocka_unit_test(
            a_lost_link_lets_all_waiters_go_and_everything_is_subscribed_again),
        cmocka_unit_test(a_channel_that_is_lost_is_asked_for_again),
        cmocka_unit_test(topics_of_channels_with_braces_are_told_apart),
        cmocka_unit_test(a_channel_that_is_refused_keeps_nobody_waiting),
        cmocka_unit_test(the_link_is_up_when_what_was_wanted_then_is_subscribed),
        cmocka_unit_test(what_is_published_at_the_end_of_a_turn_does_not_wait),
        cmocka_unit_test(waiters_may_be_many),
        cmocka_unit_test(the_ids_of_sessions_cannot_be_joined),
        cmocka_unit_test(a_peer_is_told_and_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

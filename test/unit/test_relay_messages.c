/* SPDX-License-Identifier: MIT */
/* hub/relay: what is published where, and who gets what other nodes publish. */
#include "relay_rig.h"

#include "alloc.h"
#include "hub/batch_priv.h"
#include "hub/dedup.h"
#include "wire/envelope.h"

static void
what_is_published_in_a_turn_is_a_payload_a_topic(void **state)
{
    struct member a;
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    join_and_confirm(&r, &a, "a");
    ASKED(&r, "sub t:c:{a}\n");
    CHECK_OK(publish(&r, 0, "a", "1"));
    CHECK_OK(publish(&r, 0, "b", "2"));
    CHECK_OK(publish(&r, 0, "a", "3"));
    GOT(a, "1 3 ");
    ASKED(&r, "");
    settle(&r);
    ASKED(&r, "pub t:c:{a} 1 3\npub t:c:{b} 2\n");
    CHECK_OK(publish(&r, 1, "a a", "4"));
    settle(&r);
    ASKED(&r, "pub t:c:{a} 4*\n");
    GOT(a, "4 ");
    CHECK_INT(peal_relay_queued(r.relay), 0);
    CHECK_INT(stat_of(&r, PEAL_STAT_BACKPLANE_PUBLISHED), 3);
    peal_session_fini(&a.s);
    rig_close(&r);
}

/* By whichever of its topics a message comes first: it is in its place. */
static void
payloads_keep_the_order_of_every_channel(void **state)
{
    const char *many = "a c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 c11 c12 c13 c14 c15 c16";
    struct rig r;

    rig_open(&r, 100000, 0);
    rig_connect(&r);
    CHECK_OK(publish(&r, 0, "a", "1"));
    CHECK_OK(publish(&r, 0, "b", "2"));
    CHECK_OK(publish(&r, 0, "a b", "3"));
    CHECK_OK(publish(&r, 0, "b", "4"));
    CHECK_OK(publish(&r, 0, "c", "5"));
    CHECK_OK(publish(&r, 0, "b", "6"));
    CHECK_OK(publish(&r, 0, "a", "7"));
    CHECK_OK(publish(&r, 0, many, "8"));
    CHECK_OK(publish(&r, 0, many, "9"));
    CHECK_OK(publish(&r, 0, "a", "10"));
    CHECK_OK(publish(&r, 0, "c", "11"));
    settle(&r);
    ASKED(&r,
        "pub t:c:{a} 1\npub t:c:{b} 2\npub t:c:{a} 3*\npub t:c:{b} 3*\npub t:c:{b} 4 6\n"
        "pub t:c:{c} 5 11\npub t:c:{a} 7\npub t:all 8*\npub t:all 9*\npub t:c:{a} 10\n");
    CHECK_INT(peal_relay_queued(r.relay), 0);
    rig_close(&r);
}

static void
a_payload_does_not_grow_for_ever(void **state)
{
    char *args = malloc(PEAL_BATCH_MAX / 2);
    struct rig r;

    CHECK(args != NULL);
    memset(args, '7', PEAL_BATCH_MAX / 2 - 1);
    args[PEAL_BATCH_MAX / 2 - 1] = '\0';
    rig_open(&r, 4 * PEAL_BATCH_MAX, 0);
    rig_connect(&r);
    CHECK_OK(publish(&r, 0, "a", "1"));
    CHECK_OK(publish(&r, 0, "a", args));
    CHECK_OK(publish(&r, 0, "a", args));
    CHECK_OK(publish(&r, 0, "a", "2"));
    settle(&r);
    ASKED(&r, "pub t:c:{a} 1 77777777\npub t:c:{a} 77777777 2\n");
    rig_close(&r);
    free(args);
}

static void
ids_go_to_the_topic_of_their_node(void **state)
{
    char text[128], far[2][PEAL_ID_LEN + 1] = { { 0 } }, unknown[PEAL_ID_LEN + 1] = { 0 };
    struct member a;
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 1, &a);
    CHECK_OK(peal_hub_add_node(r.hub, OTHER, &(struct peal_id_key){ { 99 } }));
    peal_id_new(&(struct peal_id_key){ { 99 } }, OTHER, 0, far[0]);
    peal_id_new(&(struct peal_id_key){ { 99 } }, OTHER, 200, far[1]);
    peal_id_new(&(struct peal_id_key){ { 5 } }, 5, 0, unknown);
    CHECK_OK(publish(&r, 0, far[0], "1"));
    snprintf(text, sizeof(text), "/admin#%s", far[1]); /* in any namespace */
    CHECK_OK(publish(&r, 0, text, "2"));
    snprintf(text, sizeof(text), "%s %s", far[0], far[1]); /* one topic for both */
    CHECK_OK(publish(&r, 0, text, "3"));
    settle(&r);
    ASKED(&r, "pub t:n:00000008 1 2 3*\n");
    CHECK_OK(publish(&r, 0, id_of(&a), "4")); /* of this node: nobody else needs it */
    settle(&r);
    ASKED(&r, "");
    GOT(a, "4 ");
    snprintf(text, sizeof(text), "%s b %s", far[0], id_of(&a));
    CHECK_OK(publish(&r, 0, text, "5"));
    CHECK_OK(publish(&r, 0, unknown, "6")); /* a name like others */
    settle(&r);
    snprintf(text, sizeof(text), "pub t:n:00000008 5*\npub t:c:{b} 5*\npub t:c:{%s} 6\n",
        unknown);
    ASKED(&r, text);
    GOT(a, "5 ");
    peal_hub_remove_node(r.hub, OTHER);
    CHECK_OK(publish(&r, 0, far[0], "7"));
    settle(&r);
    snprintf(text, sizeof(text), "pub t:c:{%s} 7\n", far[0]);
    ASKED(&r, text);
    CHECK_INT(peal_relay_queued(r.relay), 0);
    peal_session_fini(&a.s);
    rig_close(&r);
}

/* An id with a worker that this node does not have. */
static void
an_id_that_leads_nowhere_leaves_no_trace(void **state)
{
    char nowhere[PEAL_ID_LEN + 1] = { 0 };
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    peal_id_new(peal_hub_key(r.hub), NODE, 9, nowhere);
    CHECK_OK(publish(&r, 0, nowhere, "1"));
    settle(&r);
    ASKED(&r, "");
    CHECK_INT(peal_relay_queued(r.relay), 0);
    hear(&r, "t:n:00000007", OTHER, message(nowhere, NULL, "2"), 0);
    settle(&r);
    rig_close(&r);
}

static void
what_others_publish_reaches_the_subscribers_here(void **state)
{
    struct member a, b, c;
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    begin(&r, 1, &b);
    begin(&r, 1, &c);
    join_and_confirm(&r, &a, "a");
    join_and_confirm(&r, &c, "c");
    join(&b, "a");
    settle(&r);
    hear(&r, "t:c:{a}", OTHER, message("a", NULL, "1"), 0);
    hear(&r, "t:c:{c}", OTHER, message("c", NULL, "2"), 0);
    hear(&r, "t:c:{a}", NODE, message("a", NULL, "3"), 0);  /* its own: it has it */
    hear(&r, "t:c:{x}", OTHER, message("x", NULL, "4"), 0); /* not asked for any more */
    hear(&r, "t:c:{a}", OTHER, message("a", id_of(&b), "5"), 0);
    hear(&r, "t:c:{a}", OTHER, message("a", "c", "6"), 0);
    settle(&r);
    GOT(a, "1 5 6 ");
    GOT(b, "1 6 ");
    GOT(c, "2 ");
    hear(&r, "t:n:00000007", OTHER, message(id_of(&c), NULL, "7"), 0);
    hear(&r, "t:nodes", OTHER, message("a", NULL, "8"), 0); /* not the relay's */
    settle(&r);
    GOT(c, "7 ");
    GOT(a, "");
    CHECK_INT(r.said[0], 'P');
    CHECK_INT(stat_of(&r, PEAL_STAT_BACKPLANE_RECEIVED), 6);
    CHECK_INT(stat_of(&r, PEAL_STAT_BACKPLANE_BAD), 0);
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    peal_session_fini(&c.s);
    rig_close(&r);
}

static void
copies_of_a_message_are_delivered_once(void **state)
{
    char to[128];
    struct member a, b, c;
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    begin(&r, 1, &b);
    begin(&r, 1, &c);
    join_and_confirm(&r, &a, "a");
    join_and_confirm(&r, &a, "b");
    join(&b, "b");
    settle(&r);
    hear(&r, "t:c:{a}", OTHER, message("a b", NULL, "1"), 1);
    hear(&r, "t:c:{b}", OTHER, message("a b", NULL, "1"), 1);
    settle(&r);
    GOT(a, "1 ");
    GOT(b, "1 ");
    snprintf(to, sizeof(to), "b %s a %s", id_of(&a), id_of(&c));
    hear(&r, "t:c:{b}", OTHER, message(to, id_of(&b), "2"), 2);
    hear(&r, "t:n:00000007", OTHER, message(to, id_of(&b), "2"), 2);
    hear(&r, "t:c:{a}", OTHER, message(to, id_of(&b), "2"), 2);
    settle(&r);
    GOT(a, "2 ");
    GOT(b, "");
    GOT(c, "2 ");
    hear(&r, "t:c:{a}", OTHER + 1, message("a b", NULL, "3"), 2); /* of somebody else */
    hear(&r, "t:c:{b}", OTHER, message("a b", NULL, "4"), 4);     /* not in the order */
    hear(&r, "t:c:{a}", OTHER, message("a b", NULL, "5"), 3);
    hear(&r, "t:c:{b}", OTHER, message("a b", NULL, "5"), 3);
    hear(&r, "t:c:{a}", OTHER, message("a b", NULL, "4"), 4);
    settle(&r);
    GOT(a, "3 4 5 ");
    GOT(b, "3 4 5 ");
    /* One is still with its publisher, or the backplane, while the link is lost. */
    r.b.events->down(r.b.arg);
    r.b.events->up(r.b.arg);
    hear(&r, "t:c:{b}", OTHER, message("a b", NULL, "5"), 3);
    hear(&r, "t:c:{b}", OTHER, message("a b", NULL, "6"), 5);
    settle(&r);
    GOT(a, "6 ");
    GOT(b, "6 ");
    CHECK_INT(stat_of(&r, PEAL_STAT_BACKPLANE_DUPLICATES), 6);
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    peal_session_fini(&c.s);
    rig_close(&r);
}

/* Whoever comes or goes between two copies of a message. */
static void
memberships_that_change_between_copies_change_nothing(void **state)
{
    struct member leaves, joins, waits;
    struct rig r;

    rig_open(&r, 1000, 1000);
    rig_connect(&r);
    begin(&r, 0, &leaves);
    begin(&r, 0, &joins);
    begin(&r, 0, &waits);
    join_and_confirm(&r, &leaves, "a");
    join_and_confirm(&r, &leaves, "b");
    join(&joins, "b");
    join(&waits, "b");
    join(&waits, "w");
    settle(&r);
    hear(&r, "t:c:{a}", OTHER, message("a b", NULL, "1"), 1);
    settle(&r);
    leave(&leaves, "a");
    join(&joins, "a");
    hear(&r, "t:c:{b}", OTHER, message("a b", NULL, "1"), 1);
    settle(&r);
    GOT(leaves, "1 ");
    GOT(joins, "1 ");
    /* A copy that comes before the subscription holds, in the same turn: the other one
     * was published too early to come. */
    hear(&r, "t:c:{b}", OTHER, message("w b", NULL, "2"), 2);
    subscribed(&r, "t:c:{w}");
    settle(&r);
    GOT(waits, "1 2 ");
    GOT(leaves, "2 ");
    GOT(joins, "2 ");
    peal_session_fini(&leaves.s);
    peal_session_fini(&joins.s);
    peal_session_fini(&waits.s);
    rig_close(&r);
}

static void
what_is_for_all_nodes_is_for_its_channels(void **state)
{
    const char *many = "c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 c11 c12 c13 c14 c15 c16 a b";
    struct member a, b;
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    begin(&r, 1, &b);
    join_and_confirm(&r, &a, "a");
    join_and_confirm(&r, &a, "b");
    hear(&r, "t:all", OTHER, message(many, NULL, "1"), 1);
    settle(&r);
    GOT(a, "1 ");
    GOT(b, "");
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    rig_close(&r);
}

static void
records_of_later_versions_are_passed_over(void **state)
{
    static const char later[] = { 5, 11, 1, 9, 5, 0 }; /* kind 9, no arguments */
    struct member a;
    struct rig r;
    struct peal_buf b = payload_of(OTHER, message("a", NULL, "1"), 0), all = { 0 };

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    join_and_confirm(&r, &a, "a");
    CHECK_OK(peal_buf_add(&all, b.data, PEAL_ENVELOPE_HEAD));
    CHECK_OK(peal_buf_add(&all, later, sizeof(later)));
    CHECK_OK(peal_buf_add(&all, b.data + PEAL_ENVELOPE_HEAD, b.len - PEAL_ENVELOPE_HEAD));
    r.b.events->message(r.b.arg, PEAL_S("t:c:{a}"), peal_buf_slice(&all));
    settle(&r);
    GOT(a, "1 ");
    CHECK_INT(stat_of(&r, PEAL_STAT_BACKPLANE_BAD), 0);
    CHECK_INT(stat_of(&r, PEAL_STAT_BACKPLANE_UNKNOWN), 1);
    peal_buf_fini(&b);
    peal_buf_fini(&all);
    peal_session_fini(&a.s);
    rig_close(&r);
}

static void
what_cannot_be_read_is_counted(void **state)
{
    struct member a;
    struct rig r;
    char head[PEAL_ENVELOPE_HEAD + 2] = { 0 };

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    join_and_confirm(&r, &a, "a");
    peal_envelope_head(OTHER, head);
    r.b.events->message(r.b.arg, PEAL_S("t:c:{a}"), PEAL_S("{}"));
    r.b.events->message(r.b.arg, PEAL_S("t:c:{a}"), PEAL_S(""));
    r.b.events->message(r.b.arg, PEAL_S(""), PEAL_S("x"));
    r.b.events->message(r.b.arg, PEAL_S("t:c:{a}"),
        peal_slice_of(head, sizeof(head))); /* 2 empty records */
    head[1]++;
    r.b.events->message(r.b.arg, PEAL_S("t:c:{a}"), peal_slice_of(head, sizeof(head)));
    settle(&r);
    CHECK_INT(stat_of(&r, PEAL_STAT_BACKPLANE_BAD), 6);
    GOT(a, "");
    peal_session_fini(&a.s);
    rig_close(&r);
}

/* A payload of OTHER on t:c:{a}, sealed with secret. */
static void
hear_sealed(struct rig *r, const char *secret, const char *topic, const char *args)
{
    const struct peal_slice secrets = peal_slice_str(secret);
    struct peal_buf b = payload_of(OTHER, message("a", NULL, args), 0), all = { 0 };
    struct peal_seal seal;
    char head[PEAL_SEAL_HEAD];

    CHECK_OK(peal_seal_init(&seal, &secrets, 1));
    peal_seal_head(&seal, peal_slice_str(topic), peal_buf_slice(&b), head);
    CHECK_OK(peal_buf_add(&all, head, sizeof(head)));
    CHECK_OK(peal_buf_add_slice(&all, peal_buf_slice(&b)));
    r->b.events->message(r->b.arg, PEAL_S("t:c:{a}"), peal_buf_slice(&all));
    peal_buf_fini(&all);
    peal_buf_fini(&b);
}

/* What comes from other nodes waits for a slow worker up to here and no further. */
static void
what_comes_for_a_worker_is_bounded(void **state)
{
    size_t size = 1 << 20;
    unsigned fit = (unsigned)(PEAL_BACKLOG_LIMITS.hard / size) - 1;
    char *args = malloc(size + 1);
    struct peal_msg *m;
    struct member a;
    struct rig r;

    CHECK(args != NULL);
    memset(args, '7', size);
    args[size] = '\0';
    m = message("a", NULL, args);
    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    join_and_confirm(&r, &a, "a");
    for (unsigned i = 0; i < fit + 5; i++)
        peal_relay_deliver(r.relay, m, 1);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.control), PEAL_STAT_WORKER_DROPPED), 5);
    CHECK(peal_hub_backlog(r.hub) <= PEAL_BACKLOG_LIMITS.hard);
    settle(&r);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loops[0]), PEAL_STAT_DELIVERED), fit);
    CHECK_INT(peal_hub_backlog(r.hub), 0);
    peal_session_fini(&a.s);
    peal_msg_release(m);
    rig_close(&r);
    free(args);
}

static void
with_a_secret_only_sealed_payloads_are_taken(void **state)
{
    struct member a;
    struct rig r;

    rig_log.level = -1;
    rig_make_with(&r, 1000, 0, "the secret of this cluster");
    peal_relay_start(r.relay, &rig_events, &r);
    rig_connect(&r);
    begin(&r, 0, &a);
    join_and_confirm(&r, &a, "a");
    ASKED(&r, "sub t:c:{a}\n");
    CHECK_OK(publish(&r, 0, "a", "1"));
    CHECK_OK(publish(&r, 0, "a", "2"));
    settle(&r);
    GOT(a, "1 2 ");
    ASKED(&r, "pub t:c:{a} sealed 1 2\n");
    hear_sealed(&r, "the secret of this cluster", "t:c:{a}", "3");
    hear_sealed(&r, "the secret of this cluster", "t:c:{b}", "4"); /* moved to another */
    hear_sealed(&r, "the secret of another one", "t:c:{a}", "5");
    hear(&r, "t:c:{a}", OTHER, message("a", NULL, "6"), 0);
    settle(&r);
    GOT(a, "3 ");
    CHECK_INT(stat_of(&r, PEAL_STAT_BACKPLANE_UNSEALED), 3);
    peal_session_fini(&a.s);
    rig_log.level = PEAL_LOG_ERROR;
    rig_close(&r);
}

static void
publishers_are_told_when_as_much_waits_as_may(void **state)
{
    struct member a;
    struct rig r;
    size_t one, two;

    rig_open(&r, 1000, 0);
    begin(&r, 0, &a);
    join(&a, "a");
    settle(&r);
    CHECK_OK(publish(&r, 0, "a", "1"));
    one = peal_relay_queued(r.relay);
    CHECK_INT(one, 7); /* a record, with the worker */
    settle(&r);
    one = peal_relay_queued(r.relay); /* there is no link: it waits, with its topic */
    CHECK(one > 7);
    CHECK_OK(publish(&r, 0, "a", "2"));
    settle(&r);
    CHECK_INT(peal_relay_queued(r.relay), one + 7);
    CHECK_OK(publish(&r, 1, "b c", "3"));
    settle(&r);
    two = peal_relay_queued(r.relay) - one - 7; /* on two topics, with a number */
    CHECK_INT(two, 2 * (one + 6));
    while (publish(&r, 0, "a", "4") == PEAL_OK)
        continue; /* not even routed yet */
    CHECK_INT(stat_of(&r, PEAL_STAT_BACKPLANE_DROPPED), 1);
    CHECK(peal_relay_queued(r.relay) > 1000 - 7 && peal_relay_queued(r.relay) <= 1000);
    settle(&r);
    CHECK_ERR(publish(&r, 1, "a", "5"), PEAL_EAGAIN);
    settle(&r);
    CHECK(strstr(a.got, "4 5 ") != NULL); /* those here have them all */
    ASKED(&r, "");
    r.b.events->up(r.b.arg);
    r.backed = 995; /* it has taken them, and not yet sent them */
    settle(&r);
    CHECK_INT(peal_relay_queued(r.relay), 995);
    CHECK_ERR(publish(&r, 0, "a", "6"), PEAL_EAGAIN);
    r.backed = 0;
    settle(&r);
    CHECK_INT(peal_relay_queued(r.relay), 0);
    CHECK_OK(publish(&r, 0, "a", "7"));
    peal_session_fini(&a.s);
    rig_close(&r);
}

static void
what_was_published_while_there_was_no_link_leaves_when_there_is(void **state)
{
    struct rig r;

    rig_open(&r, 1000, 0);
    CHECK_OK(publish(&r, 0, "a", "1"));
    settle(&r);
    CHECK_OK(publish(&r, 0, "a", "2"));
    settle(&r);
    peal_relay_publish_control(r.relay, PEAL_S("nobody hears it"));
    ASKED(&r, "");
    r.b.events->up(r.b.arg);
    settle(&r);
    CHECK(strstr(r.log, "pub t:c:{a} 1 2\n") != NULL);
    r.b.events->down(r.b.arg);
    CHECK_OK(publish(&r, 0, "a", "3"));
    settle(&r);
    CHECK(strstr(r.log, "3") == NULL);
    peal_relay_restart(r.relay, "why not");
    CHECK(strstr(r.log, "restart\n") != NULL);
    rig_close(&r); /* with what still waits */
}

/* Everything is under way somewhere: tasks to all loops, payloads that wait, waiters. */
static void
ending_in_the_middle_of_everything_leaks_nothing(void **state)
{
    struct member a, b;
    struct rig r;

    rig_open(&r, 1000, 0);
    rig_connect(&r);
    begin(&r, 0, &a);
    begin(&r, 1, &b);
    join_and_confirm(&r, &a, "a");
    join_and_confirm(&r, &b, "a");
    r.b.events->down(r.b.arg);
    CHECK_OK(publish(&r, 0, "a b", "1")); /* a letter to the other worker, an outbox */
    turn(r.loops[0]);                     /* a parcel on its way */
    r.b.events->up(r.b.arg);
    join(&b, "c");
    turn(r.loops[1]);
    turn(r.control);
    hear(&r, "t:c:{a}", OTHER, message("a", NULL, "2"), 0); /* to be handed over */
    turn(r.control);                                        /* a delivery on its way */
    subscribed(&r, "t:c:{c}");                              /* a confirmation */
    hear(&r, "t:c:{a}", OTHER, message("a", NULL, "3"), 0);
    CHECK_OK(publish(&r, 1, "a", "4"));
    turn(r.loops[1]);
    peal_session_fini(&a.s);
    peal_session_fini(&b.s);
    rig_close(&r);
}

/* A node's life, in little. */
static void
live(struct rig *r, struct member *a, struct member *b, struct peal_msg *const m[2],
    struct peal_slice heard)
{
    r->b.events->up(r->b.arg);
    settle(r);
    (void)!peal_session_subscribe(&a->s, PEAL_S("a"));
    (void)!peal_session_subscribe(&b->s, PEAL_S("b"));
    settle(r);
    subscribed(r, "t:c:{a}");
    subscribed(r, "t:c:{b}");
    settle(r);
    for (unsigned i = 0; i < 2; i++) {
        peal_err err = peal_publish(r->sh[i], m[i]);

        CHECK(err == PEAL_OK || err == PEAL_ENOMEM);
    }
    settle(r);
    r->b.events->message(r->b.arg, PEAL_S("t:c:{a}"), heard);
    settle(r);
}

static void
every_failing_allocation_is_survived(void **state)
{
    struct peal_msg *m[2] = { message("a b", NULL, "1"), message("x", NULL, "2") };
    struct peal_buf heard = payload_of(OTHER, message("a b", NULL, "3"), 1);
    bool failed = true;
    long n;

    rig_log.level = -1;
    for (n = 0; failed; n++) {
        struct member a, b;
        struct rig r;

        rig_open(&r, 1000, 0);
        r.quiet = true;
        begin(&r, 0, &a);
        begin(&r, 1, &b);
        alloc_one = 1;
        alloc_left = n;
        live(&r, &a, &b, m, peal_buf_slice(&heard));
        failed = alloc_left < 0;
        alloc_left = -1;
        if (r.restarts > 0) { /* it could not even subscribe to its own topics */
            r.b.events->down(r.b.arg);
            r.b.events->up(r.b.arg);
        }
        settle(&r);
        CHECK_INT(peal_relay_queued(r.relay), 0);
        hear(&r, "t:c:{a}", OTHER, message("a", NULL, "4"), 0);
        settle(&r);
        if (peal_session_is_subscribed(&a.s, PEAL_S("a")))
            CHECK(strstr(a.got, "4") != NULL);
        peal_session_fini(&a.s);
        peal_session_fini(&b.s);
        rig_close(&r);
    }
    CHECK(n > 30);
    rig_log.level = PEAL_LOG_ERROR;
    alloc_one = 0;
    peal_buf_fini(&heard);
    peal_msg_release(m[0]);
    peal_msg_release(m[1]);
}

static void
copies_are_told_apart_within_a_window(void **state)
{
    struct peal_dedup c = { 0 };
    uint32_t last = 1000;

    CHECK(peal_dedup_is_new(&c, 1, last));
    CHECK(!peal_dedup_is_new(&c, 1, last));
    CHECK(peal_dedup_is_new(&c, 2, last));
    CHECK(peal_dedup_is_new(&c, 1, last - 1)); /* it has not come */
    CHECK(!peal_dedup_is_new(&c, 1, last - 1));
    CHECK(peal_dedup_is_new(&c, 1, last += PEAL_DEDUP_WINDOW - 1));
    CHECK(!peal_dedup_is_new(&c, 1, 1000));
    CHECK(peal_dedup_is_new(&c, 1, 1001));
    CHECK(peal_dedup_is_new(&c, 1, last += 1));
    CHECK(!peal_dedup_is_new(&c, 1, 1000)); /* too old: nobody knows */
    CHECK(!peal_dedup_is_new(&c, 1, 1001));
    CHECK(peal_dedup_is_new(&c, 1, 1002));
    for (unsigned i = 0; i < 3 * PEAL_DEDUP_WINDOW; i++) {
        last += 1 + i % 3;
        CHECK(peal_dedup_is_new(&c, 1, last));
        CHECK(!peal_dedup_is_new(&c, 1, last));
    }
    CHECK(peal_dedup_is_new(&c, 3, UINT32_MAX - 1)); /* round and on */
    CHECK(peal_dedup_is_new(&c, 3, 3));
    CHECK(!peal_dedup_is_new(&c, 3, UINT32_MAX - 1));
    CHECK(peal_dedup_is_new(&c, 3, UINT32_MAX));
    for (uint32_t node = 4; node < 4 + 2 * PEAL_NODES_MAX; node++)
        CHECK(peal_dedup_is_new(&c, node, 1));
    CHECK_INT(c.n, PEAL_NODES_MAX);
    CHECK(!peal_dedup_is_new(&c, 3 + 2 * PEAL_NODES_MAX, 1));
    peal_dedup_fini(&c);
    CHECK(peal_dedup_is_new(&c, 1, 3));
    peal_dedup_fini(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_published_in_a_turn_is_a_payload_a_topic),
        cmocka_unit_test(payloads_keep_the_order_of_every_channel),
        cmocka_unit_test(a_payload_does_not_grow_for_ever),
        cmocka_unit_test(ids_go_to_the_topic_of_their_node),
        cmocka_unit_test(an_id_that_leads_nowhere_leaves_no_trace),
        cmocka_unit_test(what_others_publish_reaches_the_subscribers_here),
        cmocka_unit_test(copies_of_a_message_are_delivered_once),
        cmocka_unit_test(memberships_that_change_between_copies_change_nothing),
        cmocka_unit_test(what_is_for_all_nodes_is_for_its_channels),
        cmocka_unit_test(records_of_later_versions_are_passed_over),
        cmocka_unit_test(what_cannot_be_read_is_counted),
        cmocka_unit_test(what_comes_for_a_worker_is_bounded),
        cmocka_unit_test(with_a_secret_only_sealed_payloads_are_taken),
        cmocka_unit_test(publishers_are_told_when_as_much_waits_as_may),
        cmocka_unit_test(what_was_published_while_there_was_no_link_leaves_when_there_is),
        cmocka_unit_test(ending_in_the_middle_of_everything_leaks_nothing),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(copies_are_told_apart_within_a_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

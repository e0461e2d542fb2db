/* SPDX-License-Identifier: MIT */
/* hub/node_request and hub/cluster_ack: what a node asks the others, and answers them. */
#include "relay_rig.h"

#include "alloc.h"
#include "hub/cluster_ack.h"
#include "hub/node_request.h"
#include "hub/nodes.h"

struct cluster {
    struct rig r; /* first */
    struct peal_nodes *nodes;
    struct peal_node_requests *requests;
};

static void
fill(void *arg, struct peal_node_report *own)
{
    own->state = PEAL_NODE_UP;
}

static void
hear_of(struct cluster *c, unsigned number, const char *state)
{
    char text[128];

    snprintf(text, sizeof(text), "{\"node\":\"%08x\",\"key\":\"%032x\",\"state\":\"%s\"}",
        number, number, state);
    c->r.b.events->message(c->r.b.arg, PEAL_S("t:nodes"), peal_slice_str(text));
}

/* With nodes 8 and on, others of them. */
static void
cluster_open(struct cluster *c, unsigned others)
{
    static const struct peal_node_report own = { .secret = "0123456789" };
    struct peal_nodes_config config = { .own = &own, .fill = fill };

    *c = (struct cluster){ 0 };
    rig_make(&c->r, 100000, 0);
    config.hub = c->r.hub;
    config.relay = c->r.relay;
    config.loop = c->r.control;
    CHECK_OK(peal_nodes_new(&config, &c->nodes));
    CHECK_OK(peal_node_requests_new(
        c->r.hub, c->r.relay, c->nodes, c->r.control, &c->requests));
    peal_nodes_start(c->nodes);
    c->r.b.events->up(c->r.b.arg);
    subscribed(&c->r, "t:nodes");
    subscribed(&c->r, "t:n:00000007");
    subscribed(&c->r, "t:all");
    for (unsigned i = 0; i < others; i++)
        hear_of(c, OTHER + i, "up");
    c->r.log_len = 0;
    c->r.log[0] = '\0';
}

/* Workers end first, then what lives on the control thread. */
static void
cluster_close(struct cluster *c)
{
    for (unsigned i = 0; i < 2; i++) {
        peal_shard_free(&c->r.sh[i]);
        peal_loop_free(&c->r.loops[i]);
    }
    peal_node_requests_free(&c->requests);
    peal_nodes_free(&c->nodes);
    peal_relay_free(&c->r.relay);
    peal_loop_free(&c->r.control);
    peal_hub_free(&c->r.hub);
}

/* A session that is asked. */
struct asked {
    struct peal_session s; /* first */
    struct peal_pending_ack *pending;
    uint64_t id;
    unsigned n;
};

static bool
asked_deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    return false;
}

static bool
asked_deliver_with_ack(
    struct peal_session *s, struct peal_msg *m, unsigned k, struct peal_pending_ack *p)
{
    struct asked *me = (struct asked *)s;

    me->n++;
    me->id = p->id;
    peal_pending_ack_add(&me->pending, p);
    return true;
}

static const struct peal_session_ops asked_ops = { .protocol = "test",
    .deliver = asked_deliver,
    .deliver_with_ack = asked_deliver_with_ack };

static void
asked_begin(struct cluster *c, unsigned worker, struct asked *me)
{
    *me = (struct asked){ .n = 0 };
    CHECK_OK(peal_session_init(&me->s, c->r.sh[worker], &asked_ops, PEAL_LISTED));
    CHECK_OK(peal_session_subscribe(&me->s, PEAL_S("a")));
    settle(&c->r);
    subscribed(&c->r, "t:c:{a}");
    settle(&c->r);
    c->r.log_len = 0;
    c->r.log[0] = '\0';
}

static void
asked_end(struct asked *me)
{
    peal_pending_acks_clear(&me->pending);
    peal_session_fini(&me->s);
}

static void
asked_answer(struct asked *me, const char *args)
{
    const struct peal_ack_answer answer = { .args = peal_slice_str(args), .n_args = 1 };

    CHECK(peal_pending_ack_resolve(me->pending, me->id, &answer));
}

/* What the asking worker is told. */
struct told {
    char answers[256];
    unsigned done;
    struct peal_cluster_ack_result result;
};

static void
told_answer(void *ctx, const struct peal_ack_answer *answer)
{
    struct told *t = ctx;
    size_t n = strlen(t->answers);

    CHECK_INT(t->done, 0);
    snprintf(t->answers + n, sizeof(t->answers) - n, "%.*s;", (int)answer->args.len,
        answer->args.data);
}

static void
told_done(void *ctx, const struct peal_cluster_ack_result *result)
{
    struct told *t = ctx;

    t->done++;
    t->result = *result;
}

static const struct peal_cluster_ack_ops told_ops = { told_answer, told_done };

static struct peal_cluster_ack *
ask(struct cluster *c, struct told *t)
{
    struct peal_msg *m = message("a", NULL, "1");
    struct peal_cluster_ack *ack;

    m->flags |= PEAL_MSG_NEEDS_ACK;
    *t = (struct told){ .done = 0 };
    CHECK_OK(peal_cluster_ack(c->r.sh[0], m, 5000, &told_ops, t, &ack));
    peal_msg_release(m);
    settle(&c->r);
    return ack;
}

/* A record of another node arrives. */
static void
hear_record(
    struct cluster *c, const char *topic, uint32_t node, const struct peal_record *record)
{
    struct peal_blob *blob = peal_envelope_other(record);
    struct peal_buf b = { 0 };
    char head[PEAL_ENVELOPE_HEAD];

    peal_envelope_head(node, head);
    CHECK_OK(peal_buf_add(&b, head, sizeof(head)));
    CHECK_OK(peal_buf_add_slice(&b, peal_blob_slice(blob)));
    c->r.b.events->message(c->r.b.arg, peal_slice_str(topic), peal_buf_slice(&b));
    peal_blob_release(blob);
    peal_buf_fini(&b);
    settle(&c->r);
}

static void
hear_part(struct cluster *c, uint32_t node, uint32_t id, unsigned part, unsigned n,
    const char *args)
{
    hear_record(c, "t:n:00000007", node,
        &(struct peal_record){ .kind = PEAL_RECORD_ANSWER,
            .id = id,
            .part = part,
            .n = n,
            .args = peal_slice_str(args),
            .n_args = args != NULL });
}

/* A node without a worker to ask says so with its next timers. */
static void
soon(struct cluster *c)
{
    for (int i = 0; i < 3; i++) {
        clock_ms += 10;
        settle(&c->r);
    }
}

static void
hear_end(struct cluster *c, uint32_t node, uint32_t id, unsigned n_parts)
{
    hear_record(c, "t:n:00000007", node,
        &(struct peal_record){
            .kind = PEAL_RECORD_ANSWER, .id = id, .last = true, .n = n_parts });
}

enum {
    COUNT = 1,
    ACK = 2
};

static void
sessions_of_all_nodes_are_asked(void **state)
{
    struct asked one, two;
    struct cluster c;
    struct told t;

    cluster_open(&c, 2);
    asked_begin(&c, 0, &one);
    asked_begin(&c, 1, &two);
    CHECK_OK(publish(&c.r, 0, "a", "0")); /* before the request */
    ask(&c, &t);
    ASKED(&c.r, "pub t:c:{a} 0\npub t:all ask:1\n");
    hear_part(&c, 8, 1, COUNT, 3, NULL);
    hear_end(&c, 8, 1, 1);
    CHECK_INT(one.n, 0); /* node 9 has not counted */
    hear_end(&c, 9, 1, 0);
    ASKED(&c.r, "pub t:all ask:2\n");
    CHECK_INT(one.n, 1);
    CHECK_INT(two.n, 1);
    hear_part(&c, 8, 2, COUNT, 3, NULL);
    hear_part(&c, 8, 2, ACK, 0, "\"far\"");
    hear_part(&c, 8, 77, ACK, 0, "\"of another request\"");
    asked_answer(&one, "\"near\"");
    settle(&c.r);
    assert_string_equal(t.answers, "\"far\";\"near\";");
    hear_end(&c, 8, 2, 2);
    hear_end(&c, 9, 2, 0);
    CHECK_INT(t.done, 0);
    asked_end(&two); /* it will not answer any more */
    settle(&c.r);
    CHECK_INT(t.done, 1);
    CHECK_ERR(t.result.err, PEAL_OK);
    CHECK_INT(t.result.n_asked, 5);
    CHECK_INT(t.result.n_nodes, 3);
    CHECK_INT(t.result.n_answered, 3);
    hear_part(&c, 8, 2, ACK, 0, "\"late\"");
    asked_end(&one);
    cluster_close(&c);
}

/* A part was lost on its way: what the node has told is not all. */
static void
a_node_whose_answer_has_a_gap_does_not_count(void **state)
{
    struct cluster c;
    struct told t;

    cluster_open(&c, 1);
    ask(&c, &t);
    soon(&c);
    hear_end(&c, 8, 1, 1);
    soon(&c);
    hear_part(&c, 8, 2, COUNT, 1, NULL);
    hear_end(&c, 8, 2, 2);
    soon(&c);
    CHECK_INT(t.done, 1);
    CHECK_ERR(t.result.err, PEAL_ETIMEOUT);
    CHECK_INT(t.result.n_answered, 1);
    cluster_close(&c);
}

static void
too_many_in_all_are_refused_before_anything_is_sent(void **state)
{
    struct asked one;
    struct cluster c;
    struct told t;

    cluster_open(&c, 1);
    asked_begin(&c, 0, &one);
    ask(&c, &t);
    hear_part(&c, 8, 1, COUNT, PEAL_ACK_REQUEST_MAX, NULL);
    hear_end(&c, 8, 1, 1);
    CHECK_INT(t.done, 1);
    CHECK_ERR(t.result.err, PEAL_ELIMIT);
    CHECK_INT(one.n, 0);
    ASKED(&c.r, "pub t:all ask:1\n");
    asked_end(&one);
    cluster_close(&c);
}

static void
a_node_that_goes_is_not_waited_for(void **state)
{
    struct cluster c;
    struct told t;

    cluster_open(&c, 2);
    ask(&c, &t);
    hear_end(&c, 8, 1, 0);
    hear_of(&c, 9, "leaving");
    soon(&c);
    ASKED(&c.r, "pub t:all ask:1\npub t:all ask:2\n");
    hear_of(&c, 8, "leaving");
    soon(&c);
    CHECK_INT(t.done, 1);
    CHECK_ERR(t.result.err, PEAL_ETIMEOUT);
    CHECK_INT(t.result.n_nodes, 2);
    CHECK_INT(t.result.n_answered, 1);
    cluster_close(&c);
}

static void
a_node_that_says_nothing_is_waited_for_so_long(void **state)
{
    struct cluster c;
    struct told t;

    cluster_open(&c, 1);
    ask(&c, &t);
    clock_ms += 2100; /* for the count */
    settle(&c.r);
    settle(&c.r);
    CHECK_INT(t.done, 0);
    hear_of(&c, 8, "up");
    clock_ms += 5900;
    settle(&c.r);
    CHECK_INT(t.done, 0);
    hear_of(&c, 8, "up");
    clock_ms += 200;
    settle(&c.r);
    CHECK_INT(t.done, 1);
    CHECK_ERR(t.result.err, PEAL_ETIMEOUT);
    CHECK_INT(t.result.n_answered, 1);
    cluster_close(&c);
}

static void
without_a_link_this_node_alone_is_asked(void **state)
{
    struct asked one;
    struct cluster c;
    struct told t;

    cluster_open(&c, 1);
    asked_begin(&c, 1, &one);
    c.r.b.events->down(c.r.b.arg);
    ask(&c, &t);
    settle(&c.r);
    ASKED(&c.r, "");
    asked_answer(&one, "1");
    settle(&c.r);
    CHECK_INT(t.done, 1);
    CHECK_INT(t.result.n_asked, 1);
    CHECK_INT(t.result.n_nodes, 2);
    CHECK_INT(t.result.n_answered, 1);
    asked_end(&one);
    cluster_close(&c);
}

static void
a_request_can_be_cancelled_at_any_time(void **state)
{
    for (unsigned stage = 0; stage < 4; stage++) {
        struct asked one;
        struct cluster c;
        struct told t;
        struct peal_cluster_ack *ack;

        cluster_open(&c, 1);
        asked_begin(&c, 1, &one);
        ack = ask(&c, &t);
        if (stage > 0)
            hear_end(&c, 8, 1, 0);
        if (stage > 1)
            asked_answer(&one, "1");
        peal_cluster_ack_cancel(ack);
        if (stage != 3) /* else nothing is turned any more */
            settle(&c.r);
        hear_end(&c, 8, stage > 0 ? 2 : 1, 0);
        CHECK_INT(t.done, 0);
        asked_end(&one);
        cluster_close(&c);
    }
}

static void
requests_under_way_end_with_the_node(void **state)
{
    struct asked one;
    struct cluster c;
    struct told t, second;
    struct peal_cluster_ack *ack;

    cluster_open(&c, 1);
    asked_begin(&c, 1, &one);
    ack = ask(&c, &t);
    hear_end(&c, 8, 1, 0);
    hear_record(&c, "t:all", 8,
        &(struct peal_record){ .kind = PEAL_RECORD_REQUEST, .id = 5, .op = 2 });
    peal_cluster_ack_cancel(ask(&c, &second)); /* as a server does for its clients */
    peal_cluster_ack_cancel(ack);
    asked_end(&one);
    cluster_close(&c);
}

static void
other_nodes_are_answered(void **state)
{
    struct peal_record request = { .kind = PEAL_RECORD_REQUEST,
        .id = 5,
        .op = 1,
        .timeout_ms = 1000,
        .msg = message("a", NULL, "1") };
    struct asked one;
    struct cluster c;

    cluster_open(&c, 1);
    hear_record(&c, "t:all", 8, &request); /* no subscriber is here */
    soon(&c);
    ASKED(&c.r, "pub t:n:00000008 answer:1:0: answer:0:1:.\n");
    asked_begin(&c, 1, &one);
    hear_record(&c, "t:all", 8, &request);
    ASKED(&c.r, "pub t:n:00000008 answer:1:1: answer:0:1:.\n");
    CHECK_INT(one.n, 0);
    request.op = 2;
    hear_record(&c, "t:all", 8, &request);
    ASKED(&c.r, "pub t:n:00000008 answer:1:1:\n");
    CHECK_INT(one.n, 1);
    asked_answer(&one, "\"yes\"");
    settle(&c.r);
    ASKED(&c.r, "pub t:n:00000008 answer:2:0:\"yes\" answer:0:2:.\n");
    hear_record(&c, "t:all", 8, &request);
    ASKED(&c.r, "pub t:n:00000008 answer:1:1:\n");
    clock_ms += 1010; /* time is up: what has come is all there is */
    settle(&c.r);
    CHECK(strstr(c.r.log, "pub t:n:00000008 answer:0:1:.\n") != NULL);
    c.r.log_len = 0;
    request.op = 99;
    hear_record(&c, "t:all", 8, &request);
    ASKED(&c.r, "pub t:n:00000008 answer:0:0:.\n");
    peal_msg_release(request.msg);
    request.msg = NULL;
    request.op = 2;
    hear_record(&c, "t:all", 8, &request); /* about nothing */
    ASKED(&c.r, "pub t:n:00000008 answer:0:0:.\n");
    asked_end(&one);
    cluster_close(&c);
}

static void
every_failing_allocation_is_survived(void **state)
{
    bool failed = true;

    rig_log.level = -1;
    alloc_one = 1;
    for (long n = 0; failed; n++) {
        struct peal_cluster_ack *ack = NULL;
        struct asked one;
        struct cluster c;
        struct told t = { .done = 0 };
        struct peal_msg *m;
        peal_err err;

        cluster_open(&c, 1);
        asked_begin(&c, 1, &one);
        c.r.quiet = true;
        m = message("a", NULL, "1");
        m->flags |= PEAL_MSG_NEEDS_ACK;
        alloc_left = n;
        err = peal_cluster_ack(c.r.sh[0], m, 5000, &told_ops, &t, &ack);
        settle(&c.r);
        failed = alloc_left < 0;
        alloc_left = -1;
        peal_msg_release(m);
        if (err == PEAL_OK) {
            hear_end(&c, 8, 1, 0);
            hear_end(&c, 8, 2, 0);
            clock_ms += 10000;
            settle(&c.r);
            clock_ms += 10000;
            settle(&c.r);
            settle(&c.r);
        }
        CHECK_INT(t.done, err == PEAL_OK);
        asked_end(&one);
        settle(&c.r);
        cluster_close(&c);
    }
    alloc_one = 0;
    rig_log.level = PEAL_LOG_ERROR;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_of_all_nodes_are_asked),
        cmocka_unit_test(a_node_whose_answer_has_a_gap_does_not_count),
        cmocka_unit_test(too_many_in_all_are_refused_before_anything_is_sent),
        cmocka_unit_test(a_node_that_goes_is_not_waited_for),
        cmocka_unit_test(a_node_that_says_nothing_is_waited_for_so_long),
        cmocka_unit_test(without_a_link_this_node_alone_is_asked),
        cmocka_unit_test(a_request_can_be_cancelled_at_any_time),
        cmocka_unit_test(requests_under_way_end_with_the_node),
        cmocka_unit_test(other_nodes_are_answered),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

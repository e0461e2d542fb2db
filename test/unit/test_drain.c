/* SPDX-License-Identifier: MIT */
/* server/drain: the steps of a drain, with a clock that the test moves. A node of this
 * test closes at once what it is told to. */
#include "check.h"

#include "server/drain.h"

static struct peal_drain d;
static struct peal_drain_view v;
static struct peal_drain_orders orders;

/* One step, and the time until the next; sessions go as they are told to. */
static void
step(void)
{
    orders = peal_drain_step(&d, &v);
    if (orders.close_sessions) {
        int64_t may = (int64_t)((double)d.sessions * d.keep);

        v.sessions = v.sessions < may ? v.sessions : may;
    }
    v.now_ms += orders.next_ms;
}

static void
begin(uint64_t window_ms, int64_t sessions)
{
    d = (struct peal_drain){ .window_ms = window_ms };
    v = (struct peal_drain_view){ .now_ms = 1000, .sessions = sessions };
    CHECK_INT(d.phase, PEAL_DRAIN_SERVING);
    peal_drain_begin(&d);
    CHECK_INT(d.phase, PEAL_DRAIN_DELAY);
    step(); /* the delay is over */
    CHECK(orders.refuse && !orders.close_sessions && !orders.stop);
    CHECK_INT(orders.next_ms, 0);
    CHECK_INT(d.phase, PEAL_DRAIN_CLOSING);
}

static void
sessions_are_closed_evenly_over_the_window(void **state)
{
    int64_t before;
    unsigned steps = 0;

    begin(10000, 1010);
    for (; d.phase == PEAL_DRAIN_CLOSING; steps++) {
        before = v.sessions;
        step();
        CHECK(orders.close_sessions);
        CHECK(before - v.sessions >= 9 && before - v.sessions <= 11);
        CHECK(orders.close_listeners == (steps == 0)); /* at first, and once */
    }
    CHECK_INT(steps, 101);
    CHECK_INT(v.sessions, 0);
    step();
    CHECK(orders.stop);
    CHECK_INT(d.phase, PEAL_DRAIN_OVER);
}

static void
a_window_of_nothing_closes_all_at_once(void **state)
{
    begin(0, 100);
    step();
    CHECK_INT(v.sessions, 0);
    CHECK_INT(d.phase, PEAL_DRAIN_FLUSHING);
}

static void
a_node_without_sessions_does_not_wait_for_the_window(void **state)
{
    begin(60000, 0);
    step();
    CHECK_INT(d.phase, PEAL_DRAIN_FLUSHING);
    step();
    CHECK(orders.stop);
    CHECK(v.now_ms < 2000);
}

static void
requests_on_their_way_to_other_nodes_have_the_window_as_well(void **state)
{
    begin(1000, 0);
    v.forwards = 1;
    for (int i = 0; i < 10; i++) {
        step();
        CHECK_INT(d.phase, PEAL_DRAIN_CLOSING);
    }
    step();
    CHECK_INT(d.phase, PEAL_DRAIN_FLUSHING);
}

static void
others_may_ask_for_a_slower_drain_up_to_twice_the_window(void **state)
{
    static const struct {
        uint32_t pace;
        uint64_t takes_ms;
    } cases[] = { { 0, 10000 }, { 1000, 10000 }, { 100, 10000 }, { 70, 14400 },
        { 1, 20100 } };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(10000, 1010);
        v.pace = cases[i].pace;
        while (d.phase == PEAL_DRAIN_CLOSING)
            step();
        CHECK(v.now_ms - 1000 + 200 >= cases[i].takes_ms &&
              v.now_ms - 1000 <= cases[i].takes_ms + 200);
    }
}

static void
listeners_stay_while_sessions_poll_and_nobody_else_brings_their_requests(void **state)
{
    begin(10000, 100);
    v.polling = 1;
    for (int i = 0; i < 5; i++) {
        step();
        CHECK(!orders.close_listeners);
    }
    v.polling = 0;
    step();
    CHECK(orders.close_listeners);

    begin(10000, 100);
    v.polling = 1;
    step();
    CHECK(!orders.close_listeners);
    v.has_others = true; /* the Redis is back, say */
    step();
    CHECK(orders.close_listeners);
}

static void
last_bytes_have_three_seconds(void **state)
{
    begin(0, 10);
    v.connections = 1;
    v.polling = 1;
    step();
    for (uint64_t end = v.now_ms + 2900; v.now_ms < end;) {
        step();
        CHECK(!orders.stop && !orders.close_listeners);
    }
    v.now_ms += 200;
    step();
    CHECK(orders.stop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_closed_evenly_over_the_window),
        cmocka_unit_test(a_window_of_nothing_closes_all_at_once),
        cmocka_unit_test(a_node_without_sessions_does_not_wait_for_the_window),
        cmocka_unit_test(requests_on_their_way_to_other_nodes_have_the_window_as_well),
        cmocka_unit_test(others_may_ask_for_a_slower_drain_up_to_twice_the_window),
        cmocka_unit_test(
            listeners_stay_while_sessions_poll_and_nobody_else_brings_their_requests),
        cmocka_unit_test(last_bytes_have_three_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

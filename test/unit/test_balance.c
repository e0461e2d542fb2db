/* SPDX-License-Identifier: MIT */
/* server/balance: when a node gives sessions away, how many, and when it gives up. Two
 * nodes, a second a step, and a balancer that is one of two kinds. */
#include "check.h"

#include "server/balance.h"

static struct peal_balance b;
static uint64_t now_ms;

/* One second on; returns how many sessions are to go, or -1 where it gives up. */
static int64_t
step(int64_t own, int64_t other, uint64_t members)
{
    struct peal_balance_view v = {
        .n = 2, .sessions = own + other, .own = own, .members = members, .all_up = true
    };
    int64_t n;

    now_ms += 1000;
    switch (peal_balance_step(&b, &v, now_ms, &n)) {
    case PEAL_BALANCE_SHED:
        CHECK(n > 0);
        return n;
    case PEAL_BALANCE_GIVE_UP:
        return -1;
    default:
        return 0;
    }
}

static int
begin(void **state)
{
    b = (struct peal_balance){ 0 };
    now_ms = 1000000;
    return 0;
}

static void
nothing_moves_until_nobody_has_come_or_gone_for_a_while(void **state)
{
    for (int i = 0; i < 15; i++)
        CHECK_INT(step(1000, 0, 1), 0);
    CHECK_INT(step(1000, 0, 1), 21); /* 2 % */
    CHECK_INT(step(1000, 0, 2), 0);
    for (int i = 0; i < 14; i++)
        CHECK_INT(step(1000, 0, 2), 0);
    CHECK_INT(step(1000, 0, 2), 21);
}

static void
a_node_that_drains_or_starts_lets_all_rest(void **state)
{
    struct peal_balance_view v = { .n = 2, .sessions = 1000, .own = 1000, .members = 1 };
    int64_t n;

    for (int i = 0; i < 20; i++)
        step(1000, 0, 1);
    now_ms += 1000;
    CHECK_INT(peal_balance_step(&b, &v, now_ms, &n), PEAL_BALANCE_REST);
    CHECK_INT(step(1000, 0, 1), 0);
}

static void
clients_that_go_elsewhere_are_given_away_until_the_share_is_kept(void **state)
{
    int64_t own = 1000, other = 0;

    for (int i = 0; i < 300; i++) {
        int64_t n = step(own, other, 1);

        CHECK(n >= 0);
        own -= n;
        other += n;
    }
    CHECK(own >= 500 && own <= 600);
    CHECK_INT(step(own, other, 1), 0);
}

static void
clients_that_come_back_here_are_left_in_peace(void **state)
{
    int64_t shed = 0;
    int gave_up = 0;

    for (int i = 0; i < 600; i++) {
        int64_t n = step(100, 0, 1);

        gave_up += n < 0;
        shed += n > 0 ? n : 0;
    }
    CHECK_INT(gave_up, 1);
    CHECK_INT(shed, 30 * 3);
}

static void
a_balancer_that_takes_turns_is_good_enough(void **state)
{
    int64_t own = 1000, other = 0;

    for (int i = 0; i < 300; i++) {
        int64_t n = step(own, other, 1);

        CHECK(n >= 0);
        own -= n / 2;
        other += n / 2;
    }
    CHECK(own <= 600);
}

static void
it_tries_again_when_nodes_come_or_go_or_the_share_has_been_kept(void **state)
{
    for (int i = 0; i < 60; i++)
        step(100, 0, 1);
    CHECK_INT(step(100, 0, 1), 0);
    for (int i = 0; i < 15; i++)
        CHECK_INT(step(100, 0, 2), 0);
    CHECK_INT(step(100, 0, 2), 3);
    for (int i = 0; i < 60; i++)
        step(100, 0, 2);
    CHECK_INT(step(100, 0, 2), 0);
    CHECK_INT(step(100, 100, 2), 0);
    CHECK_INT(step(100, 0, 2), 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(
            nothing_moves_until_nobody_has_come_or_gone_for_a_while, begin),
        cmocka_unit_test_setup(a_node_that_drains_or_starts_lets_all_rest, begin),
        cmocka_unit_test_setup(
            clients_that_go_elsewhere_are_given_away_until_the_share_is_kept, begin),
        cmocka_unit_test_setup(clients_that_come_back_here_are_left_in_peace, begin),
        cmocka_unit_test_setup(a_balancer_that_takes_turns_is_good_enough, begin),
        cmocka_unit_test_setup(
            it_tries_again_when_nodes_come_or_go_or_the_share_has_been_kept, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

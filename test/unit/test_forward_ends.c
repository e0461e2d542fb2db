/* SPDX-License-Identifier: MIT */
/* http/forward: nodes that cannot be reached, and how what is forwarded ends. */
#include "forward_rig.h"

#include <fcntl.h>

#include "alloc.h"

static void
who_cannot_be_reached_is_answered_for(void **state)
{
    struct owner o = owner_new(-1); /* nobody listens */
    struct client c;

    start_front((struct before){ .port = o.port });
    c = front_client();
    say(&c, GET("/x") POST("/y", "3") "abc" POST("/local", "5") "local");
    EXPECT(&c, 503, "no owner for /x\n");
    EXPECT(&c, 503, "no owner for /y\n");
    EXPECT(&c, 200, "local");
    say(&c, POST("/z", "3") "a");
    EXPECT(&c, 503, "no owner for /z\n");
    EXPECT_END(&c); /* what may come of the body is not looked at */
    client_close(&c);
    CHECK_INT(front_stat(PEAL_STAT_FORWARD_FAILED), 3);
    CHECK_INT(front_stat(PEAL_STAT_FORWARDED), 0);
    CHECK_INT(front_stat(PEAL_STAT_HTTP_REQUESTS), 4);
    stop_front();
    /* Where it is known at once: the path is too long. */
    start_front((struct before){
        .host =
            "/////////////////////////////////////////////////////////////////////////"
            "////////////////////////////////////////////////////" });
    c = front_client();
    say(&c, GET("/x") POST("/local", "5") "local");
    EXPECT(&c, 503, "no owner for /x\n");
    EXPECT(&c, 200, "local");
    client_close(&c);
    CHECK_INT(front_stat(PEAL_STAT_FORWARD_FAILED), 1);
    stop_front();
    close(o.listener);
}

/* Its backlog is full: who calls gets no answer. */
static struct owner
deaf_owner(struct client waiting[8])
{
    struct owner o = owner_new(0);

    for (int i = 0; i < 8; i++) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(o.port) };

        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        waiting[i] =
            (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) };
        CHECK(connect(waiting[i].fd, (struct sockaddr *)&to, sizeof(to)) == 0 ||
              errno == EINPROGRESS);
    }
    return o;
}

static void
deaf_owner_close(struct owner *o, struct client waiting[8])
{
    close(o->listener);
    for (int i = 0; i < 8; i++)
        client_close(&waiting[i]);
}

/* Nobody waits any more; the next one is the front's call, made once more. */
static struct client
deaf_owner_hears(struct owner *o, struct client waiting[8])
{
    for (int i = 0; i < 8; i++)
        client_close(&waiting[i]);
    for (;;) {
        struct client c = owner_accept(o);

        if (hear_more(&c))
            return c;
        client_close(&c);
    }
}

static void
who_does_not_answer_the_call_is_answered_for(void **state)
{
    struct client waiting[8], c;
    struct owner o = deaf_owner(waiting);

    start_front((struct before){ .port = o.port, .connect_ms = 50 });
    c = front_client();
    say(&c, GET("/x") POST("/local", "5") "local");
    EXPECT(&c, 503, "no owner for /x\n");
    EXPECT(&c, 200, "local");
    client_close(&c);
    stop_front();
    deaf_owner_close(&o, waiting);
}

static void
who_leaves_while_the_other_node_is_called_ends_the_call(void **state)
{
    struct client waiting[8], c, more;
    struct owner o = deaf_owner(waiting);

    start_front((struct before){ .port = o.port });
    c = front_client();
    more = front_client();
    say(&c, GET("/x"));
    say(&more, POST("/x", "9999999"));
    wait_for(&front.began);
    wait_for(&front.began);
    /* What comes meanwhile is bounded: the front reads no more. */
    CHECK(say_until_full(&more, false) > 0);
    client_close(&c);
    WAIT_UNTIL(front.limits.open == 1);
    CHECK_INT(sem_trywait(&front.failed), -1);
    stop_front(); /* with one call still to end */
    client_close(&more);
    deaf_owner_close(&o, waiting);
}

static void
what_comes_while_the_other_node_is_called_is_kept_in_bounds(void **state)
{
    struct client waiting[8], gone, c, other;
    struct owner o = deaf_owner(waiting);
    size_t sent, heard;

    start_front((struct before){ .port = o.port });
    gone = front_client();
    c = front_client();
    say(&gone, GET("/gone")); /* whose call must not be made once more */
    say(&c, GET("/"));
    wait_for(&front.began);
    wait_for(&front.began);
    sent = say_until_full(&c, false);
    CHECK(sent > 256 * 1024);
    client_close(&gone);
    WAIT_UNTIL(front.limits.open == 1);
    other = deaf_owner_hears(&o, waiting);
    CHECK_INT(shutdown(c.fd, SHUT_WR), 0);
    heard = hear_end(&other);
    CHECK_INT(heard, sent + strlen("GET / HTTP/1.1\r\n" ADDED "Host: a\r\n\r\n"));
    CHECK_INT(memcmp(other.in.data, "GET / HTTP/1.1\r\nPeal", 20), 0);
    client_close(&other);
    client_close(&c);
    CHECK_INT(front_stat(PEAL_STAT_FORWARDED), 1);
    stop_front();
    close(o.listener);
}

static void
what_a_dying_node_has_said_is_passed_on(void **state)
{
    struct owner o = owner_new(16);
    struct linger reset = { .l_onoff = 1 };
    struct client c, other;

    start_front((struct before){ .port = o.port });
    for (int how = 0; how < 3; how++) {
        c = front_client();
        say(&c, GET("/"));
        other = owner_accept(&o);
        if (how > 0) {
            say(&other, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            expect_bytes(&c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        }
        if (how > 1)
            CHECK_INT(
                setsockopt(other.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        client_close(&other);
        EXPECT_END(&c);
        client_close(&c);
    }
    WAIT_UNTIL(front.limits.open == 0);
    stop_front();
    close(o.listener);
}

static void
what_a_leaving_client_has_said_is_passed_on(void **state)
{
    struct owner o = owner_new(16);
    struct client c, other;

    start_front((struct before){ .port = o.port });
    c = front_client();
    say(&c, GET("/"));
    other = owner_accept(&o);
    say(&c, "goodbye");
    client_close(&c);
    expect_bytes(&other, "GET / HTTP/1.1\r\n" ADDED "Host: a\r\n\r\ngoodbye");
    EXPECT_END(&other);
    client_close(&other);
    WAIT_UNTIL(front.limits.open == 0);
    stop_front();
    close(o.listener);
}

/* In the middle of what they asked for, at many moments. */
static void
clients_may_leave_at_any_time(void **state)
{
    start_both((struct before){ 0 });
    for (size_t i = 0; i < 200; i++) {
        struct client c = front_client();

        say(&c, i % 2 ? GET("/big") : GET("/take"));
        if (i % 2 == 0)
            say_bytes(&c, bytes_of_nothing, i % 16 * 4096);
        for (size_t n = i % 7; n > 0 && c.in.len < n * 100000;)
            if (!hear_more(&c) || (i % 2 == 0 && c.in.len > i % 16 * 4096))
                break;
        client_close(&c);
    }
    WAIT_UNTIL(front.limits.open == 0);
    stop_both();
}

static void
a_node_that_is_silent_for_too_long_is_left(void **state)
{
    struct owner o = owner_new(16);
    struct client c, other;

    start_front((struct before){ .port = o.port, .idle_ms = 50 });
    c = front_client();
    say(&c, GET("/"));
    other = owner_accept(&o);
    EXPECT_END(&c);
    while (hear_more(&other))
        continue;
    client_close(&c);
    client_close(&other);
    stop_front();
    close(o.listener);
}

/* With all kinds of requests still there; a sanitizer sees what is left of them. */
static void
a_server_may_end_before_what_it_forwards(void **state)
{
    struct client poll, upgraded, slow;
    struct response r;

    start_both((struct before){ 0 });
    poll = front_client();
    say(&poll, GET("/later"));
    wait_for(&rig.came);
    upgraded = front_client();
    say(&upgraded, GET("/take"));
    r = hear_head(&upgraded, false);
    CHECK_INT(r.status, 101);
    response_fini(&r);
    slow = client_of(front.port, 16384);
    say(&slow, GET("/big"));
    WAIT_UNTIL(front_stat(PEAL_STAT_QUEUE_BYTES) > 0);
    stop_front();
    EXPECT_END(&poll);
    EXPECT_END(&upgraded);
    (void)hear_end(&slow);
    CHECK(slow.in.len < BIG);
    client_close(&poll);
    client_close(&upgraded);
    client_close(&slow);
    wait_for(&rig.gone);
    wait_for(&rig.gone);
    stop();
}

static void
a_drain_ends_the_oldest_first(void **state)
{
    struct client c[3];

    start_both((struct before){ 0 });
    for (int i = 0; i < 3; i++) {
        struct response r;

        c[i] = front_client();
        say(&c[i], GET("/take"));
        r = hear_head(&c[i], false);
        CHECK_INT(r.status, 101);
        response_fini(&r);
    }
    for (int i = 0; i < 3; i++) {
        post_front(on_front_drain);
        wait_for(&front.drained);
        CHECK_INT(front.drained_left, 2 - i);
        EXPECT_END(&c[i]);
        wait_for(&rig.gone);
        for (int k = i + 1; k < 3; k++) {
            say(&c[k], "still here");
            expect_bytes(&c[k], "still here");
        }
        client_close(&c[i]);
    }
    post_front(on_front_drain);
    wait_for(&front.drained);
    CHECK_INT(front.drained_left, 0);
    stop_both();
}

/* The other node has answered, or does so now: that is not lost, and nothing is asked
 * any more. What it had not read by then is written before it is told. */
static void
a_drain_lets_the_answer_through(void **state)
{
    struct owner o = owner_new(16);
    size_t more = 0;

    start_front((struct before){ .port = o.port });
    for (int full = 0; full < 2; full++) {
        struct client c = front_client(), other;

        say(&c, GET("/"));
        other = owner_accept(&o);
        expect_bytes(&other, "GET / HTTP/1.1\r\n" ADDED "Host: a\r\n\r\n");
        if (full)
            more = say_until_queued(&c);
        post_front(on_front_drain);
        wait_for(&front.drained);
        CHECK_INT(front.drained_left, 0);
        say(&c, "one more question");
        CHECK_INT(hear_end(&other), more);
        say(&other, "the answer");
        expect_bytes(&c, "the answer");
        client_close(&other);
        EXPECT_END(&c);
        client_close(&c);
        WAIT_UNTIL(front.limits.open == 0);
    }
    stop_front();
    close(o.listener);
}

/* What the client got, in the end. */
enum outcome {
    WAITS,
    ANSWERED,
    REFUSED, /* by the front */
    CLOSED
};

static enum outcome
outcome_of(int fd, char *text, size_t size, size_t *len)
{
    ssize_t n = recv(fd, text + *len, size - *len, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return WAITS;
    if (n > 0)
        *len += (size_t)n;
    if (*len > 12 && memcmp(text, "HTTP/1.1 503", 12) == 0)
        return REFUSED;
    if (n > 0)
        return WAITS;
    return *len == 8 && memcmp(text, "answered", 8) == 0 ? ANSWERED : CLOSED;
}

/* Turns of the front's and deeds of the owner's until the client knows. Only the front
 * allocates. */
static enum outcome
turns_until_known(struct client *c, int listener)
{
    char text[1024], heard[1024];
    size_t len = 0;
    enum outcome outcome = WAITS;
    int owner = -1;

    for (int i = 0; outcome == WAITS; i++) {
        CHECK(i < NET_PATIENCE_S * 10000);
        uv_run(peal_loop_uv(front.loop), UV_RUN_NOWAIT);
        if (owner < 0)
            owner = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        else if (recv(owner, heard, sizeof(heard), 0) > 0)
            CHECK_INT(
                send(owner, "answered", 8, MSG_NOSIGNAL) | shutdown(owner, SHUT_WR), 8);
        outcome = outcome_of(c->fd, text, sizeof(text), &len);
    }
    if (owner >= 0)
        close(owner);
    return outcome;
}

/* One request; its nth allocation fails, if n is not negative. */
static enum outcome
request_with(long n, int listener)
{
    struct client c = front_client();
    enum outcome outcome;

    say(&c, GET("/"));
    alloc_one = 1;
    alloc_left = n;
    outcome = turns_until_known(&c, listener);
    client_close(&c);
    while (front.limits.open > 0)
        uv_run(peal_loop_uv(front.loop), UV_RUN_NOWAIT);
    return outcome;
}

static void
every_failing_allocation_is_survived(void **state)
{
    struct owner o = owner_new(16);
    unsigned seen[CLOSED + 1] = { 0 };
    bool failed = true;

    CHECK_INT(fcntl(o.listener, F_SETFL, O_NONBLOCK), 0);
    for (long n = 0; failed; n++) {
        enum outcome outcome;

        start_front((struct before){ .port = o.port, .by_hand = true });
        /* What a loop keeps is there after this one. */
        CHECK_INT(request_with(-1, o.listener), ANSWERED);
        outcome = request_with(n, o.listener);
        failed = alloc_left < 0;
        alloc_left = -1;
        CHECK(failed || outcome == ANSWERED);
        seen[outcome]++;
        peal_listener_close(&front.listener);
        peal_http_server_free(&front.server);
        peal_loop_free(&front.loop);
    }
    CHECK(seen[REFUSED] > 0 && seen[CLOSED] > 0);
    close(o.listener);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_cannot_be_reached_is_answered_for),
        cmocka_unit_test(who_does_not_answer_the_call_is_answered_for),
        cmocka_unit_test(who_leaves_while_the_other_node_is_called_ends_the_call),
        cmocka_unit_test(what_comes_while_the_other_node_is_called_is_kept_in_bounds),
        cmocka_unit_test(what_a_dying_node_has_said_is_passed_on),
        cmocka_unit_test(what_a_leaving_client_has_said_is_passed_on),
        cmocka_unit_test(clients_may_leave_at_any_time),
        cmocka_unit_test(a_node_that_is_silent_for_too_long_is_left),
        cmocka_unit_test(a_server_may_end_before_what_it_forwards),
        cmocka_unit_test(a_drain_ends_the_oldest_first),
        cmocka_unit_test(a_drain_lets_the_answer_through),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return run_with_each_engine(tests, sizeof(tests) / sizeof(tests[0]));
}

/* SPDX-License-Identifier: MIT */
/* proto/admission: newcomers of every transport against a loop whose turns take as long
 * as the test says. A session that begins takes COST_MS, and is one response here. */
#include "clock.h"
#include "net.h"

#include "proto/proto.h"

#define COST_MS 5
#define LAG_MS 50
#define IN_A_TURN 5 /* newcomers, in half of the lag */
#define WAIT_MS 10000
#define CLIENTS_MAX 64

static uint64_t clock_ns = 1000000;

uint64_t __wrap_uv_hrtime(void);

uint64_t
__wrap_uv_hrtime(void)
{
    return clock_ns;
}

static struct rig {
    struct peal_loop *loop;
    struct peal_proto proto;
    struct peal_proto_config config;
    struct peal_http_config http;
    struct peal_http_server *server;
    int fds[CLIENTS_MAX];
    unsigned n;
    char order[CLIENTS_MAX + 1]; /* of sessions: the last letter of their paths */
    unsigned n_sessions;
    unsigned old_cost_ms; /* of a request that needs no session */
} rig;

static void
spend(uint64_t ms)
{
    clock_ns += ms * 1000000;
}

static void
socket_begin(struct peal_http *h, void *proto)
{
    (void)peal_admission_try(proto, h, NULL, NULL);
}

static void
stream_turn_away(struct peal_http *h, void *ctx)
{
    peal_http_close_after(h);
    peal_http_reply(
        h, 200, "text/event-stream; charset=utf-8", PEAL_S("retry: 1000\n\n"));
}

static void
stream_begin(struct peal_http *h, void *proto)
{
    (void)peal_admission_try(proto, h, stream_turn_away, NULL);
}

static void
session_handle(struct peal_http *h, void *proto)
{
    spend(COST_MS);
    rig.order[rig.n_sessions++] = h->head->path.data[h->head->path.len - 1];
    peal_http_reply(h, 200, "text/plain", PEAL_S("session"));
}

static void
old_handle(struct peal_http *h, void *proto)
{
    spend(rig.old_cost_ms);
    peal_http_reply(h, 200, "text/plain", PEAL_S("old"));
}

static const struct peal_http_route routes[] = {
    { .path = PEAL_S("/poll/"),
        .prefix = true,
        .begin = socket_begin,
        .handle = session_handle,
        .ctx = &rig.proto },
    { .path = PEAL_S("/sse/"),
        .prefix = true,
        .begin = stream_begin,
        .handle = session_handle,
        .ctx = &rig.proto },
    { .path = PEAL_S("/old"), .handle = old_handle, .ctx = &rig.proto },
};

static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };

static void
start(struct peal_proto_config config)
{
    struct peal_loop_config loop = { .engine = PEAL_IO_EPOLL,
        .log = &log_to,
        .queue_bytes_max = 1 << 20,
        .queue_age_ms = 600000,
        .lag_ms = LAG_MS };

    rig = (struct rig){ .config = config };
    CHECK_OK(peal_loop_new(&loop, &rig.loop));
    rig.config.admission_wait_ms = WAIT_MS;
    if (rig.config.admission_queue_max == 0)
        rig.config.admission_queue_max = CLIENTS_MAX;
    rig.config.loops = &rig.loop;
    rig.config.n_loops = 1;
    rig.proto.loop = rig.loop;
    rig.proto.config = &rig.config;
    peal_admission_init(&rig.proto);
    rig.http = (struct peal_http_config){
        .head_timeout_ms = 600000, .body_timeout_ms = 600000, .idle_timeout_ms = 600000
    };
    rig.http.limits = peal_httphead_limits_default;
    CHECK_OK(peal_http_server_new(rig.loop, &rig.http, routes,
        sizeof(routes) / sizeof(routes[0]), NULL, &rig.server));
}

static void
stop(void)
{
    for (unsigned i = 0; i < rig.n; i++)
        close(rig.fds[i]);
    peal_admission_close(&rig.proto);
    peal_http_server_free(&rig.server);
    peal_loop_free(&rig.loop);
}

/* A client, and what it asks for. */
static int
ask(const char *path)
{
    struct sockaddr_in peer = { .sin_family = AF_INET };
    char text[100];
    int fds[2];

    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    peal_http_server_accept(rig.server, fds[0], (struct sockaddr *)&peer);
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    CHECK_INT(send(fds[1], text, strlen(text), MSG_NOSIGNAL), strlen(text));
    rig.fds[rig.n++] = fds[1];
    return fds[1];
}

/* libuv ends one turn (hooks, writes) and then polls, which begins the next one. */
static void
turn(void)
{
    uv_run(peal_loop_uv(rig.loop), UV_RUN_NOWAIT);
}

/* What a client has got so far; "end" is added where the connection is closed. */
static const char *
heard(int fd)
{
    static char text[2000];
    ssize_t n = recv(fd, text, sizeof(text) - 10, 0);
    size_t len = n > 0 ? (size_t)n : 0;

    if (n > 0)
        n = recv(fd, text + len, sizeof(text) - 10 - len, 0);
    snprintf(text + len, sizeof(text) - len, "%s", n == 0 ? "end" : "");
    return text;
}

/* It may take until the end of the turn to be written. */
static bool
contains(int fd, const char *what)
{
    const char *text = heard(fd);

    if (text[0] == '\0') {
        turn();
        text = heard(fd);
    }
    if (strstr(text, what) == NULL)
        print_error("want \"%s\", got \"%s\"\n", what, text);
    return strstr(text, what) != NULL;
}

static int64_t
stat_of(enum peal_stat which)
{
    return peal_stat_get(peal_loop_stats(rig.loop), which);
}

static void
everybody_comes_in_while_there_is_time(void **state)
{
    start((struct peal_proto_config){ 0 });
    for (int i = 0; i < IN_A_TURN; i++)
        ask("/poll/a");
    turn();
    CHECK_INT(rig.n_sessions, IN_A_TURN);
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITED), 0);
    stop();
}

static void
the_others_wait_in_order_whatever_they_come_for(void **state)
{
    char path[] = "/poll/a", sse[] = "/sse/A";

    start((struct peal_proto_config){ 0 });
    for (int i = 0; i < 26; i++) {
        path[6] = (char)('a' + i);
        sse[5] = (char)('A' + i);
        ask(i % 2 == 0 ? path : sse);
    }
    turn();
    CHECK_INT(rig.n_sessions, IN_A_TURN);
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITING), 26 - IN_A_TURN);
    turn(); /* the end of that one: its time is used up */
    for (unsigned i = 1; i <= 5; i++) {
        CHECK_INT(rig.n_sessions, i * IN_A_TURN);
        turn();
    }
    CHECK_INT(rig.n_sessions, 26);
    assert_string_equal(rig.order, "aBcDeFgHiJkLmNoPqRsTuVwXyZ");
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITING), 0);
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITED), 26 - IN_A_TURN);
    CHECK(contains(rig.fds[25], "200 OK"));
    stop();
}

static void
clients_that_are_there_do_not_wait(void **state)
{
    start((struct peal_proto_config){ 0 });
    for (int i = 0; i < 40; i++)
        ask("/poll/a");
    turn();
    for (unsigned before; rig.n_sessions < 40;) {
        int old = ask("/old");

        before = rig.n_sessions;
        turn();
        CHECK(rig.n_sessions - before <= IN_A_TURN);
        CHECK(contains(old, "old"));
    }
    stop();
}

static void
a_newcomer_does_not_overtake_those_that_wait(void **state)
{
    start((struct peal_proto_config){ .sessions_rate = 1 });
    ask("/poll/a");
    ask("/poll/b");
    turn();
    clock_ms += 1000; /* a token is there, and not given away yet */
    ask("/poll/c");
    turn();
    assert_string_equal(rig.order, "ab");
    clock_ms += 1000;
    turn();
    assert_string_equal(rig.order, "abc");
    stop();
}

static void
a_few_come_in_however_busy_the_loop_is(void **state)
{
    start((struct peal_proto_config){ 0 });
    rig.old_cost_ms = 1000;
    ask("/old");
    for (int i = 0; i < 10; i++)
        ask("/poll/a");
    turn();
    CHECK_INT(rig.n_sessions, PEAL_PACE_ALWAYS);
    ask("/old");
    turn();
    CHECK_INT(rig.n_sessions, PEAL_PACE_ALWAYS);
    turn();
    CHECK_INT(rig.n_sessions, 2 * PEAL_PACE_ALWAYS);
    stop();
}

static void
waiting_in_vain_ends_with_a_refusal(void **state)
{
    int poll, sse;

    start((struct peal_proto_config){ .sessions_rate = 1 });
    ask("/poll/a");
    turn();
    rig.config.sessions_rate = 0;
    rig.config.sessions_max = 1; /* and one is there: no place becomes free */
    peal_stats_add_sessions(peal_loop_stats(rig.loop), 0, 1);
    sse = ask("/sse/a");
    turn();
    peal_stats_add_sessions(peal_loop_stats(rig.loop), 0, -1);
    rig.config.sessions_rate = 1;
    poll = ask("/poll/b");
    turn();
    clock_ms += 999;
    turn();
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITING), 2);
    rig.config.sessions_max = 1;
    peal_stats_add_sessions(peal_loop_stats(rig.loop), 0, 1);
    clock_ms += WAIT_MS;
    turn();
    CHECK(contains(sse, "retry: "));
    CHECK(contains(poll, "503 Service Unavailable"));
    CHECK_INT(stat_of(PEAL_STAT_REFUSED_TIMEOUT), 2);
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITING), 0);
    CHECK_INT(rig.n_sessions, 1);
    stop();
}

static void
a_refused_request_is_over_and_the_next_one_is_another_newcomer(void **state)
{
    const char *next = "GET /poll/c HTTP/1.1\r\nHost: a\r\n\r\n";
    int poll;

    start((struct peal_proto_config){ .sessions_rate = 1 });
    ask("/poll/a");
    poll = ask("/poll/b");
    turn();
    CHECK_INT(send(poll, next, strlen(next), MSG_NOSIGNAL), strlen(next));
    rig.config.sessions_max = 1;
    peal_stats_add_sessions(peal_loop_stats(rig.loop), 0, 1);
    clock_ms += WAIT_MS;
    turn();
    CHECK(contains(poll, "503 Service Unavailable"));
    CHECK_INT(stat_of(PEAL_STAT_REFUSED_TIMEOUT), 1);
    CHECK_INT(stat_of(PEAL_STAT_REFUSED_SESSIONS_MAX), 1);
    assert_string_equal(rig.order, "a");
    stop();
}

static void
an_admitted_request_does_not_bring_in_the_next_one(void **state)
{
    const char *next = "GET /poll/c HTTP/1.1\r\nHost: a\r\n\r\n";
    int poll;

    start((struct peal_proto_config){ .sessions_rate = 1 });
    ask("/poll/a");
    poll = ask("/poll/b");
    turn();
    CHECK_INT(send(poll, next, strlen(next), MSG_NOSIGNAL), strlen(next));
    clock_ms += 1000;
    turn();
    turn();
    assert_string_equal(rig.order, "ab");
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITING), 1);
    clock_ms += 1000;
    turn();
    turn();
    assert_string_equal(rig.order, "abc");
    stop();
}

static void
only_so_many_wait(void **state)
{
    int poll, sse;

    start((struct peal_proto_config){ .sessions_rate = 1, .admission_queue_max = 2 });
    for (int i = 0; i < 3; i++)
        ask("/poll/a");
    poll = ask("/poll/b");
    sse = ask("/sse/c");
    turn();
    CHECK(contains(poll, "503 Service Unavailable"));
    CHECK(contains(sse, "retry: "));
    CHECK_INT(stat_of(PEAL_STAT_REFUSED_QUEUE_FULL), 2);
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITING), 2);
    stop();
}

static void
a_client_that_leaves_while_it_waits_is_forgotten(void **state)
{
    start((struct peal_proto_config){ .sessions_rate = 1 });
    for (int i = 0; i < 4; i++)
        ask("/poll/a");
    turn();
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITING), 3);
    shutdown(rig.fds[1], SHUT_RDWR);
    shutdown(rig.fds[3], SHUT_RDWR);
    turn();
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITING), 1);
    clock_ms += 1000;
    turn();
    CHECK(contains(rig.fds[2], "200 OK"));
    stop();
}

static void
a_full_node_refuses_sockets_at_once_and_streams_wait_for_a_place(void **state)
{
    int poll, sse;

    start((struct peal_proto_config){ .sessions_max = 1 });
    peal_stats_add_sessions(peal_loop_stats(rig.loop), 0, 1);
    poll = ask("/poll/a");
    sse = ask("/sse/b");
    turn();
    CHECK(contains(poll, "503 Service Unavailable"));
    CHECK_INT(stat_of(PEAL_STAT_REFUSED_SESSIONS_MAX), 1);
    CHECK_INT(stat_of(PEAL_STAT_SESSIONS_WAITING), 1);
    peal_stats_add_sessions(peal_loop_stats(rig.loop), 0, -1);
    turn();
    CHECK(contains(sse, "200 OK"));
    stop();
}

static void
a_draining_node_lets_go_of_those_that_wait(void **state)
{
    int poll, sse;

    start((struct peal_proto_config){ .sessions_rate = 1 });
    ask("/poll/a");
    poll = ask("/poll/b");
    sse = ask("/sse/c");
    turn();
    peal_admission_close(&rig.proto);
    turn();
    assert_string_equal(heard(poll), "end");
    CHECK(contains(sse, "retry: "));
    poll = ask("/poll/d");
    turn();
    assert_string_equal(heard(poll), "end");
    CHECK_INT(stat_of(PEAL_STAT_REFUSED_DRAINING), 3);
    stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_comes_in_while_there_is_time),
        cmocka_unit_test(the_others_wait_in_order_whatever_they_come_for),
        cmocka_unit_test(clients_that_are_there_do_not_wait),
        cmocka_unit_test(a_newcomer_does_not_overtake_those_that_wait),
        cmocka_unit_test(a_few_come_in_however_busy_the_loop_is),
        cmocka_unit_test(waiting_in_vain_ends_with_a_refusal),
        cmocka_unit_test(a_refused_request_is_over_and_the_next_one_is_another_newcomer),
        cmocka_unit_test(an_admitted_request_does_not_bring_in_the_next_one),
        cmocka_unit_test(only_so_many_wait),
        cmocka_unit_test(a_client_that_leaves_while_it_waits_is_forgotten),
        cmocka_unit_test(
            a_full_node_refuses_sockets_at_once_and_streams_wait_for_a_place),
        cmocka_unit_test(a_draining_node_lets_go_of_those_that_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* proto/ws.c, sse.c, plain*.c: transcripts of clients of /ws and /sse. */
#include "proto_rig.h"

#define SCRIPT(...)                                                                      \
    (const char *const[])                                                                \
    {                                                                                    \
        __VA_ARGS__, NULL                                                                \
    }

#define STREAM(who, path) who " GET " path, who " EVENTS", who " IS retry: 2000\n\n"

static const struct {
    const char *name;
    const char *const *script;
} transcripts[] = {
    { "one channel: messages as they are, both ways",
        SCRIPT("A UPGRADE /ws/c", "B UPGRADE /ws/c", "C UPGRADE /ws/d", "A SAY hello",
            "A HEAR hello", "B HEAR hello", "C -", "B BYTES 00ff", "A HEAR-BYTES 00ff",
            "B HEAR-BYTES 00ff", "COUNT ws 3") },
    { "several channels: envelopes",
        SCRIPT("A UPGRADE /ws?channel=c&channel=d", "B UPGRADE /ws/c", "PUBLISH c hi",
            "A HEAR {\"channel\":\"c\",\"data\":\"hi\"}", "B HEAR hi",
            "A SAY {\"channel\":\"d\",\"event\":\"e\",\"data\":[1]}",
            "A HEAR {\"channel\":\"d\",\"event\":\"e\",\"data\":[1]}",
            "A SAY {\"channel\":\"c\",\"encoding\":\"base64\",\"data\":\"AQI=\"}",
            "B HEAR-BYTES 0102") },
    { "one channel named by the query: envelopes too",
        SCRIPT("A UPGRADE /ws?channel=c", "PUBLISH c hi",
            "A HEAR {\"channel\":\"c\",\"data\":\"hi\"}", "A SAY hi", "A CLOSED 1007",
            "COUNT ws 0") },
    { "requests that are refused",
        SCRIPT("A REFUSED /ws/ 400", "A RESET", "B REFUSED /ws/secret 403",
            "C REFUSED /ws?channel=a&channel=b&channel=c&channel=d 400", "D GET /ws/a",
            "D 426 *WebSocket*", "E GET /sse/secret", "E 403 *", "E POST /sse/a",
            "E 405 *", "E GET /sse", "E 400 *", "OPEN 0", "STAT peal_denied_total 2") },
    { "publishing where it is not allowed",
        SCRIPT("A UPGRADE /ws?channel=c", "A SAY {\"channel\":\"secret\",\"data\":1}",
            "A CLOSED 1008", "A GONE", "COUNT ws 0") },
    { "a client that was heard is not pinged, a silent one is, and must answer",
        SCRIPT("A UPGRADE /ws/c", "TICK 20000", "A SAY x", "A HEAR x", "TICK 20000",
            "A -", "TICK 12000", "A PINGED", "A PONG", "TICK 24000", "A -", "TICK 28000",
            "A PINGED", "TICK 21000", "A GONE", "COUNT ws 0",
            "STAT peal_ping_timeouts_total 1") },
    { "a client that closes", SCRIPT("A UPGRADE /ws/c", "A RESET", "OPEN 0") },
    { "a broken frame", SCRIPT("A UPGRADE /ws/c", "A BODY ab", "A CLOSED 1002", "A GONE",
                            "OPEN 0", "STAT peal_bad_input_total 1") },
    { "drained: 1012", SCRIPT("A UPGRADE /ws/c", "DRAIN 1", "A CLOSED 1012", "A GONE") },
    { "an event stream",
        SCRIPT(STREAM("A", "/sse/c"), "PUBLISH c hi", "A IS data: hi\n\n",
            "EMIT c [\"e\",{\"a\":1}]", "A IS event: e\ndata: {\"a\":1}\n\n",
            "COUNT sse 1", "STAT peal_messages_delivered_total 2") },
    { "a stream of several channels gets each message once",
        SCRIPT(STREAM("A", "/sse?channel=c&channel=d"), "PUBLISH c 1", "A IS data: 1\n\n",
            "PUBLISH d 2", "A IS data: 2\n\n", "A -") },
    { "silence is broken by comments", SCRIPT(STREAM("A", "/sse/c"), "TICK 16000",
                                           "A IS :\n\n", "TICK 16000", "A IS :\n\n") },
    { "a stream that is drained says when to come back, and ends",
        SCRIPT(STREAM("A", "/sse/c"), "PUBLISH c last", "DRAIN 1", "A IS data: last\n\n",
            "A IS retry: *\n\n", "A IS ", "A GONE", "OPEN 0") },
    { "a client of a stream that talks on is cut off",
        SCRIPT(STREAM("A", "/sse/c"),
            "A BODY aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "COUNT sse 1", "A RESET", "COUNT sse 0") },
};

static void
play(void **state)
{
    size_t i = (size_t)*state;

    rig_play(transcripts[i].name, transcripts[i].script);
}

/* sessions.max is reached: WebSockets are refused, streams wait for a place. */
static void
newcomers_of_a_full_node(void **state)
{
    struct proto_setup setup = proto_setup_default;

    setup.proto.sessions_max = 1;
    rig_start(&setup);
    rig_tell("full",
        SCRIPT("A UPGRADE /ws/c", "B REFUSED /ws/c 503", "C GET /sse/c", "C -", "A RESET",
            "TICK 50", "C EVENTS", "C IS retry: 2000\n\n", "D GET /sse/c", "TICK 10500",
            "D 200 retry: *\n\n", "D GONE", "OPEN 1"));
    rig_stop();
}

int
main(void)
{
    enum {
        N = sizeof(transcripts) / sizeof(transcripts[0])
    };
    struct CMUnitTest tests[N + 1];

    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){
            .name = transcripts[i].name, .test_func = play, .initial_state = (void *)i
        };
    tests[N] = (struct CMUnitTest)cmocka_unit_test(newcomers_of_a_full_node);
    return cmocka_run_group_tests_name("proto_plain", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* proto/eio*.c: transcripts of Engine.IO sessions, on a clock that the script moves. */
#include "proto_rig.h"

#define POLL "/socket.io/?EIO=4&transport=polling"
#define WS "/socket.io/?EIO=4&transport=websocket"
#define UNKNOWN "400 {\"code\":1,\"message\":\"Session ID unknown\"}"
#define OPEN "A GET " POLL, "A 200 0{\"sid\":\"~\",\"upgrades\":[\"websocket\"],*}"
#define JOIN "A POST $P 40", "A 200 ok", "A GET $P", "A 200 40{\"sid\":\"*\"}"
#define OPEN_WS "A UPGRADE " WS, "A HEAR 0{\"sid\":\"~\",\"upgrades\":[],*}"
#define JOIN_WS "A SAY 40", "A HEAR 40{\"sid\":\"*\"}"

#define SCRIPT(...)                                                                      \
    (const char *const[])                                                                \
    {                                                                                    \
        __VA_ARGS__, NULL                                                                \
    }

static const struct {
    const char *name;
    const char *const *script;
} transcripts[] = {
    { "handshake over polling",
        SCRIPT(OPEN, "COUNT socketio 1", "OPEN 1", "STAT peal_polling_sessions 1") },
    { "handshake over WebSocket",
        SCRIPT(OPEN_WS, "COUNT socketio 1", "STAT peal_polling_sessions 0") },
    { "requests that are refused",
        SCRIPT("A GET /socket.io/", "A 400 *Transport unknown*",
            "A GET /socket.io/?EIO=3&transport=polling",
            "A 400 *Unsupported protocol version*", "A POST " POLL " 40",
            "A 400 *Bad handshake method*", "A GET " WS, "A 400 *Bad request*",
            "A GET " POLL "&sid=AAAAAAAAAAAAAAAAAAAA", "A " UNKNOWN,
            "B REFUSED /socket.io/?EIO=3&transport=websocket 400", "OPEN 0",
            "STAT peal_engineio3_refused_total 2") },
    { "packets queue until a poll comes, and go together",
        SCRIPT(OPEN, JOIN, "A POST $P 421[\"q\",1]^422[\"q\"]", "A 200 ok", "A GET $P",
            "A 200 431[1]^432[]") },
    { "a poll waits until there is something",
        SCRIPT(OPEN, JOIN, "A GET $P", "A -", "B POST $P 421[\"q\",1]", "B 200 ok",
            "A 200 431[1]") },
    { "bytes over polling",
        SCRIPT(OPEN, JOIN,
            "A POST $P 451-3[\"q\",{\"_placeholder\":true,\"num\":0}]^bAQID", "A 200 ok",
            "A GET $P", "A 200 461-3[{\"_placeholder\":true,\"num\":0}]^bAQID") },
    { "a second poll ends the session",
        SCRIPT(OPEN, "A GET $P", "B GET $P", "B 400 ", "A 200 1", "A GET $P",
            "A " UNKNOWN, "OPEN 0", "STAT peal_bad_input_total 1") },
    { "a second POST ends the session, and drops the first",
        SCRIPT(OPEN, "B POST-BEGIN $P 20", "C POST $P 40", "C 400 ", "B GONE", "A GET $P",
            "A " UNKNOWN, "OPEN 0") },
    { "a malformed payload is answered, and ends the session",
        SCRIPT(OPEN, "B GET $P", "A POST $P abc", "A 200 ok", "B 200 1", "OPEN 0") },
    { "a poll that is given up ends the session",
        SCRIPT(OPEN, "B GET $P", "B RESET", "A GET $P", "A " UNKNOWN, "OPEN 0") },
    { "a POST that is lost ends the session",
        SCRIPT(OPEN, "B POST-BEGIN $P 20", "B RESET", "A GET $P", "A " UNKNOWN) },
    { "a POST that outlives its session",
        SCRIPT(OPEN, "B POST-BEGIN $P 4", "A GET $P", "C GET $P", "C 400 ", "B BODY 42[]",
            "B 400 ", "A 200 1", "OPEN 0") },
    /* The close races with the poll: either order has the same answers. */
    { "the client closes while its poll waits",
        SCRIPT(OPEN, "A GET $P", "B POST $P 1", "B 200 ok", "A 200 6", "A GET $P",
            "A " UNKNOWN, "OPEN 0") },
    { "the client closes just before its poll comes",
        SCRIPT(OPEN, "B POST $P 1", "B 200 ok", "OPEN 0", "COUNT socketio 0",
            "STAT peal_polling_sessions 0", "A GET $P", "A 200 6", "A GET $P",
            "A " UNKNOWN) },
    { "a client that has closed is forgotten after a moment",
        SCRIPT(OPEN, "B POST $P 1", "B 200 ok", "TICK 2100", "A GET $P", "A " UNKNOWN) },
    { "nothing else reaches a session that its client has closed",
        SCRIPT(OPEN, "B POST $P 1", "B 200 ok", "B POST $P 40", "B " UNKNOWN,
            "C REFUSED $W 400", "A GET $P", "A 200 6") },
    /* The heartbeat. */
    { "pings over WebSocket, answered",
        SCRIPT(OPEN_WS, JOIN_WS, "TICK 25000", "TICK 1000", "A HEAR 2", "A SAY 3",
            "TICK 20000", "A -", "TICK 6000", "A HEAR 2", "A SAY 3", "OPEN 1") },
    { "a pong that does not come",
        SCRIPT(OPEN_WS, JOIN_WS, "TICK 26000", "A HEAR 2", "TICK 18000", "A -",
            "TICK 2500", "A CLOSED 0", "A GONE", "OPEN 0",
            "STAT peal_ping_timeouts_total 1") },
    { "another sign of life is worth one more timeout, once",
        SCRIPT(OPEN_WS, JOIN_WS, "TICK 26000", "A HEAR 2", "TICK 15000",
            "A SAY 421[\"q\"]", "A HEAR 431[]", "TICK 15000", "A SAY 422[\"q\"]",
            "A HEAR 432[]", "TICK 6000", "A CLOSED 0", "OPEN 0") },
    { "an overdue session is not found by a request",
        SCRIPT(OPEN, JOIN, "TICK 26000", "A GET $P", "A 200 2", "TICK 21000", "A GET $P",
            "A " UNKNOWN, "OPEN 0", "STAT peal_ping_timeouts_total 1") },
    { "a client that joins nothing is closed",
        SCRIPT(OPEN_WS, "STAT peal_socketio_connecting_sessions 1", "TICK 26000",
            "A HEAR 2", "A SAY 3", "TICK 18000", "A -", "TICK 2000", "A CLOSED 0",
            "OPEN 0", "STAT peal_connect_timeouts_total 1",
            "STAT peal_socketio_connecting_sessions 0") },
    { "one that joins in time is not",
        SCRIPT(OPEN_WS, JOIN_WS, "STAT peal_socketio_connecting_sessions 0", "TICK 26000",
            "A HEAR 2", "A SAY 3", "TICK 24000", "OPEN 1") },
    /* The way from polling to WebSocket. */
    { "probe and upgrade",
        SCRIPT(OPEN, JOIN, "A GET $P", "B UPGRADE $W", "A -", "B SAY 2probe",
            "B HEAR 3probe", "A 200 6", "A GET $P", "A -", "TICK 150", "A 200 6",
            "B SAY 5", "STAT peal_polling_sessions 0", "B SAY 421[\"q\"]", "B HEAR 431[]",
            "A GET $P", "A 400 *Bad request*", "OPEN 1") },
    { "what was queued for a poll are frames after the upgrade",
        SCRIPT(OPEN, JOIN, "B UPGRADE $W", "B SAY 2probe", "B HEAR 3probe",
            "A POST $P 451-8[\"q\",{\"_placeholder\":true,\"num\":0}]^bAQID", "A 200 ok",
            "B SAY 5", "B HEAR 461-8[{\"_placeholder\":true,\"num\":0}]",
            "B HEAR-BYTES 010203") },
    { "a probe that says something else closes, and polling goes on",
        SCRIPT(OPEN, JOIN, "B UPGRADE $W", "B SAY 40", "B CLOSED 0", "C UPGRADE $W",
            "C SAY 2probe", "C HEAR 3probe", "C RESET", "A POST $P 421[\"q\"]",
            "A 200 ok", "A GET $P", "A 200 431[]") },
    { "a second probe closes, the first goes on",
        SCRIPT(OPEN, JOIN, "B UPGRADE $W", "C UPGRADE $W", "C CLOSED 0", "B SAY 2probe",
            "B HEAR 3probe", "B SAY 5", "D UPGRADE $W", "D CLOSED 0", "B SAY 421[\"q\"]",
            "B HEAR 431[]") },
    { "a probe has its time",
        SCRIPT(OPEN, JOIN, "B UPGRADE $W", "B SAY 2probe", "B HEAR 3probe", "TICK 9900",
            "B -", "TICK 200", "B CLOSED 0", "A POST $P 421[\"q\"]", "A 200 ok",
            "A GET $P", "A 200 431[]") },
    { "the end of a session takes its probe along",
        SCRIPT(OPEN, "B UPGRADE $W", "B SAY 2probe", "B HEAR 3probe", "A POST $P 1",
            "A 200 ok", "B CLOSED 0", "OPEN 0") },
    { "upgrade in the middle of a POST",
        SCRIPT(OPEN, JOIN, "C POST-BEGIN $P 7", "B UPGRADE $W", "B SAY 2probe",
            "B HEAR 3probe", "B SAY 5", "C BODY 42[\"q\"]", "C 400 ", "B SAY 421[\"q\"]",
            "B HEAR 431[]") },
    /* The server ends it. */
    { "kicked over WebSocket", SCRIPT(OPEN_WS, JOIN_WS, "A SAY 42[\"kick\"]", "A HEAR 41",
                                   "A CLOSED 0", "OPEN 0") },
    { "kicked while a poll waits",
        SCRIPT(OPEN, JOIN, "B GET $P", "A POST $P 42[\"kick\"]", "A 200 ok", "B 200 41",
            "COUNT socketio 0", "OPEN 1", "B GET $P", "B 200 6^1", "OPEN 0") },
    { "kicked while no poll waits, and none comes",
        SCRIPT(OPEN, JOIN, "A POST $P 42[\"kick\"]", "A 200 ok", "COUNT socketio 0",
            "OPEN 1", "TICK 30500", "OPEN 0") },
    { "what breaks the protocol above",
        SCRIPT(OPEN, JOIN, "B GET $P", "A POST $P 47", "A 200 ok", "B 200 1", "OPEN 0") },
    /* Drains. */
    { "drained over WebSocket: 1012",
        SCRIPT(OPEN_WS, JOIN_WS, "DRAIN 1", "A CLOSED 1012", "A GONE", "OPEN 0") },
    { "drained while a poll waits: an error, and the connection closes",
        SCRIPT(OPEN, JOIN, "A GET $P", "DRAIN 1", "A " UNKNOWN, "A GONE", "OPEN 0") },
    { "drained while something is queued: that first",
        SCRIPT(OPEN, JOIN, "A POST $P 421[\"q\"]", "A 200 ok", "DRAIN 1", "OPEN 1",
            "COUNT socketio 0", "A GET $P", "A 200 431[]", "A GET $P", "A " UNKNOWN,
            "A GONE", "OPEN 0") },
    { "drained in the middle of a probe",
        SCRIPT(OPEN, JOIN, "B UPGRADE $W", "B SAY 2probe", "B HEAR 3probe", "DRAIN 1",
            "B CLOSED 0", "A GET $P", "A " UNKNOWN) },
    { "a drain closes the oldest, shedding those in the middle",
        SCRIPT("A UPGRADE " WS, "A HEAR *", "B UPGRADE " WS, "B HEAR *", "C UPGRADE " WS,
            "C HEAR *", "DRAIN 1", "A CLOSED 1012", "SHED 1", "B CLOSED 1012", "C -",
            "COUNT socketio 1") },
};

static void
play(void **state)
{
    size_t i = (size_t)*state;

    rig_play(transcripts[i].name, transcripts[i].script);
}

/* Slow polling clients: what waits for a poll has the limit of an output queue. */

static void
a_poll_that_does_not_come_is_a_slow_reader(void **state)
{
    struct proto_setup setup = proto_setup_default;

    setup.queue_max = 400;
    rig_start(&setup);
    rig_tell("disconnect",
        SCRIPT(OPEN, JOIN, "A POST $P 42[\"join\",\"r\"]", "A 200 ok",
            "EMIT r [\"e\",\""
            "0123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789"
            "\"]",
            "OPEN 1",
            "EMIT r [\"e\",\""
            "0123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789"
            "\"]",
            "EMIT r [\"e\",\""
            "0123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789"
            "\"]",
            "OPEN 0", "STAT peal_closed_total 1", "A GET $P", "A " UNKNOWN));
    rig_stop();
    setup.slow_policy = PEAL_SLOW_LATEST;
    rig_start(&setup);
    rig_tell("latest-only",
        SCRIPT(OPEN, JOIN, "A POST $P 42[\"join\",\"r\"]", "A 200 ok", "EMIT r [\"e\",1]",
            "EMIT r [\"e\",2]", "EMIT r [\"e\",3]", "A GET $P", "A 200 42[\"e\",3]",
            "STAT peal_slow_reader_dropped_total 2"));
    rig_stop();
}

/* In a drain, those that need the listeners go first. */
static void
sessions_on_polling_are_drained_first(void **state)
{
    struct peal_protocol *pr;

    rig_start(&proto_setup_default);
    rig_tell("one of each", SCRIPT("B UPGRADE " WS, "B HEAR *", OPEN, "A GET $P"));
    pr = rig_protocol("socketio");
    pr->ops->prepare_drain(pr);
    rig_tell("the one that polls",
        SCRIPT("DRAIN 1", "A " UNKNOWN, "B -", "DRAIN 1", "B CLOSED 1012", "OPEN 0"));
    rig_stop();
}

static void
old_sessions_are_drained(void **state)
{
    struct proto_setup setup = proto_setup_default;

    setup.proto.sessions_max_age_ms = 10000;
    rig_start(&setup);
    rig_tell("max_age", SCRIPT(OPEN_WS, JOIN_WS, "TICK 8900", "A -", "TICK 2200",
                            "A CLOSED 1012", "OPEN 0"));
    rig_stop();
}

int
main(void)
{
    enum {
        N = sizeof(transcripts) / sizeof(transcripts[0])
    };
    struct CMUnitTest tests[N + 3];

    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){
            .name = transcripts[i].name, .test_func = play, .initial_state = (void *)i
        };
    tests[N] =
        (struct CMUnitTest)cmocka_unit_test(a_poll_that_does_not_come_is_a_slow_reader);
    tests[N + 1] =
        (struct CMUnitTest)cmocka_unit_test(sessions_on_polling_are_drained_first);
    tests[N + 2] = (struct CMUnitTest)cmocka_unit_test(old_sessions_are_drained);
    return cmocka_run_group_tests_name("proto_engineio", tests, NULL, NULL);
}

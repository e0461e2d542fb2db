/* SPDX-License-Identifier: MIT */
/* proto/sio*.c: transcripts of Socket.IO clients over WebSocket and polling. */
#include "proto_rig.h"

#include "hub/ackreq.h"

#define WS "/socket.io/?EIO=4&transport=websocket"
#define JOIN(who)                                                                        \
    who " UPGRADE " WS, who " HEAR 0*", who " SAY 40", who " HEAR 40{\"sid\":\"~\"}"
#define PH "{\"_placeholder\":true,\"num\":0}"
#define PH1 "{\"_placeholder\":true,\"num\":1}"

#define SCRIPT(...)                                                                      \
    (const char *const[])                                                                \
    {                                                                                    \
        __VA_ARGS__, NULL                                                                \
    }

static const struct {
    const char *name;
    const char *const *script;
} transcripts[] = {
    { "namespaces are joined, refused, left and joined again",
        SCRIPT(JOIN("A"), "A SAY 40/a,{\"t\":1}", "A HEAR 40/a,{\"sid\":\"~\"}",
            "A SAY 40/no,", "A HEAR 44/no,{\"message\":\"Invalid namespace\"}",
            "A SAY 40/x#y,", "A HEAR 44/x#y,{\"message\":\"Invalid namespace\"}",
            "STAT peal_socketio_sockets 2", "A SAY 41/a,", "STAT peal_socketio_sockets 1",
            "A SAY 40/a,", "A HEAR 40/a,{\"sid\":\"~\"}", "OPEN 1") },
    { "too many namespaces",
        SCRIPT(JOIN("A"), "A SAY 40/a,", "A HEAR 40/a,*", "A SAY 40/b,", "A HEAR 40/b,*",
            "A SAY 40/c,", "A HEAR 44/c,{\"message\":\"too many namespaces\"}") },
    { "a namespace twice closes", SCRIPT(JOIN("A"), "A SAY 40", "A CLOSED 0", "OPEN 0") },
    { "events are acknowledged by their id",
        SCRIPT(JOIN("A"), "A SAY 4299999999999999999999[\"q\",1,{\"a\":2}]",
            "A HEAR 4399999999999999999999[1,{\"a\":2}]", "A SAY 42[\"q\"]", "A -") },
    { "events of a namespace that is not joined close",
        SCRIPT(JOIN("A"), "A SAY 42/a,[\"q\"]", "A CLOSED 0") },
    { "attachments, back and forth",
        SCRIPT(JOIN("A"), "A SAY 452-7[\"q\"," PH "," PH1 "]", "A BYTES 0102", "A -",
            "A BYTES 03", "A HEAR 462-7[" PH "," PH1 "]", "A HEAR-BYTES 0102",
            "A HEAR-BYTES 03", "A SAY 451-[\"back\"," PH "]", "A BYTES ff",
            "A HEAR 451-[\"back\"," PH "]", "A HEAR-BYTES ff") },
    { "bytes that nobody announced close",
        SCRIPT(JOIN("A"), "A BYTES 01", "A CLOSED 0", "STAT peal_bad_input_total 1") },
    { "text while bytes are due closes",
        SCRIPT(JOIN("A"), "A SAY 451-[\"q\"," PH "]", "A SAY 42[\"q\"]", "A CLOSED 0") },
    { "attachments that do not come, though pings are answered",
        SCRIPT(JOIN("A"), "A SAY 452-[\"q\"," PH "," PH1 "]", "TICK 26000", "A HEAR 2",
            "A SAY 3", "A BYTES 01", "TICK 26000", "A HEAR 2", "A SAY 3", "TICK 26000",
            "A CLOSED 0", "OPEN 0", "STAT peal_bad_input_total 1") },
    { "rooms: what is emitted reaches those that are in",
        SCRIPT(JOIN("A"), JOIN("B"), "A SAY 421[\"join\",\"r\"]", "A HEAR 431[\"r\"]",
            "EMIT r [\"e\",1]", "A HEAR 42[\"e\",1]", "B -", "A SAY 422[\"leave\",\"r\"]",
            "A HEAR 432[\"r\"]", "EMIT r [\"e\",2]", "A -") },
    { "a message for one namespace does not reach another of the same client",
        SCRIPT(JOIN("A"), "A SAY 40/a,", "A HEAR 40/a,*", "A SAY 42/a,1[\"join\",\"x\"]",
            "A HEAR 43/a,1[\"x\"]", "EMIT x [\"e\",1]", "A -") },
    { "what was published before an acknowledgement comes before it",
        SCRIPT(JOIN("A"), "A SAY 42[\"join\",\"r\"]", "EMIT r [\"e\",1]",
            "A SAY 421[\"q\"]", "A HEAR 42[\"e\",1]", "A HEAR 431[]") },
    { "an answer to nothing means nothing",
        SCRIPT(JOIN("A"), "A SAY 437[1]", "A SAY 43[1]", "A SAY 421[\"q\"]",
            "A HEAR 431[]") },
    { "plain text as data", SCRIPT(JOIN("A"), "A SAY 42[\"join\",\"r\"]", "PUBLISH r hi",
                                "A HEAR 42[\"message\",\"hi\"]") },
    { "disconnected by name: the connection ends with all namespaces",
        SCRIPT(JOIN("A"), "A SAY 40/a,", "A HEAR 40/a,*", "A SAY 42/a,[\"kick\"]",
            "A HEAR 41/a,", "A HEAR 41", "A CLOSED 0", "OPEN 0",
            "STAT peal_socketio_sockets 0") },
};

static void
play(void **state)
{
    size_t i = (size_t)*state;

    rig_play(transcripts[i].name, transcripts[i].script);
}

/* The attachments of a packet may be as large as one message, all together. */
static void
attachments_are_bounded_together(void **state)
{
    struct proto_setup setup = proto_setup_default;

    setup.socketio.engine.max_payload = 40;
    rig_start(&setup);
    rig_tell("as large as may be",
        SCRIPT(JOIN("A"), "A SAY 452-[\"q\"," PH "," PH1 "]",
            "A BYTES 000102030405060708090a0b0c0d0e0f10111213",
            "A BYTES 000102030405060708090a0b0c0d0e0f10111213", "OPEN 1"));
    rig_tell("one byte more", SCRIPT("A SAY 452-[\"q\"," PH "," PH1 "]",
                                  "A BYTES 000102030405060708090a0b0c0d0e0f10111213",
                                  "A BYTES 000102030405060708090a0b0c0d0e0f1011121314",
                                  "A CLOSED 0", "OPEN 0"));
    rig_stop();
}

static void
the_msgpack_parser_is_bytes(void **state)
{
    struct proto_setup setup = proto_setup_default;

    setup.socketio.msgpack = true;
    rig_start(&setup);
    /* {"type":0,"nsp":"/"} */
    rig_tell("msgpack",
        SCRIPT("A UPGRADE " WS, "A HEAR 0*", "A BYTES 82a47479706500a36e7370a12f",
            "STAT peal_socketio_sockets 1", "OPEN 1"));
    rig_stop();
    rig_start(&setup);
    rig_tell("text", SCRIPT("A UPGRADE " WS, "A HEAR 0*", "A SAY 40", "A CLOSED 0"));
    rig_stop();
}

int
main(void)
{
    enum {
        N = sizeof(transcripts) / sizeof(transcripts[0])
    };
    struct CMUnitTest tests[N + 2];

    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){
            .name = transcripts[i].name, .test_func = play, .initial_state = (void *)i
        };
    tests[N] = (struct CMUnitTest)cmocka_unit_test(attachments_are_bounded_together);
    tests[N + 1] = (struct CMUnitTest)cmocka_unit_test(the_msgpack_parser_is_bytes);
    return cmocka_run_group_tests_name("proto_socketio", tests, NULL, NULL);
}

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

/* Clients that are asked to acknowledge an event. */

static struct asking {
    struct peal_ack_request *request;
    unsigned n_asked, n_answers;
    char answers[200];
    peal_err why;
    bool done;
} asking;

static void
on_asked(void *ctx, unsigned n)
{
    asking.n_asked = n;
}

static void
on_answer(void *ctx, const struct peal_ack_answer *a)
{
    asking.n_answers++;
    strncat(asking.answers, a->args.data, a->args.len);
    strcat(asking.answers, ";");
}

static void
on_done(void *ctx, peal_err why)
{
    asking.why = why;
    asking.done = true;
}

static void
ask_room(struct peal_slice room)
{
    static const struct peal_ack_request_ops ops = {
        .asked = on_asked, .answer = on_answer, .done = on_done
    };
    struct peal_msg_spec spec = { .channels = &room,
        .n_channels = 1,
        .event = PEAL_S("\"sure\""),
        .args = PEAL_S("1"),
        .n_args = 1,
        .flags = PEAL_MSG_NEEDS_ACK };
    struct peal_msg *m;

    asking = (struct asking){ 0 };
    CHECK_OK(peal_msg_new(&spec, &m));
    CHECK_OK(
        peal_ack_request(rig.hub, rig.loop, m, 1, 5000, &ops, NULL, &asking.request));
    peal_msg_release(m);
    rig_turn();
}

#define JOIN_ROOM(who) JOIN(who), who " SAY 421[\"join\",\"r\"]", who " HEAR 431[\"r\"]"

static void
clients_are_asked_to_acknowledge(void **state)
{
    rig_start(&proto_setup_default);
    rig_tell("three in a room, one of them in another",
        SCRIPT(JOIN_ROOM("A"), JOIN_ROOM("B"), JOIN_ROOM("C"), JOIN("D")));
    ask_room(PEAL_S("r"));
    CHECK_INT(asking.n_asked, 3);
    rig_tell("each has an id of its own, and answers with it",
        SCRIPT("A HEAR 420[\"sure\",1]", "B HEAR 421[\"sure\",1]",
            "C HEAR 422[\"sure\",1]", "D -", "B SAY 431[\"b\"]", "B SAY 431[\"again\"]",
            "D SAY 430[\"not asked\"]", "A SAY 430[]"));
    CHECK_INT(asking.n_answers, 2);
    assert_string_equal(asking.answers, "\"b\";;");
    CHECK(!asking.done);
    rig_tell("one that goes is not waited for", SCRIPT("C RESET"));
    CHECK(asking.done);
    CHECK_OK(asking.why);
    ask_room(PEAL_S("r"));
    CHECK_INT(asking.n_asked, 2);
    rig_tell("one that does not answer is, for a time",
        SCRIPT("A HEAR 423[\"sure\",1]", "A SAY 433[1]", "B HEAR 424[\"sure\",1]",
            "TICK 4900"));
    CHECK(!asking.done);
    rig_tell("and no longer", SCRIPT("TICK 300", "B SAY 434[2]"));
    CHECK(asking.done);
    CHECK_ERR(asking.why, PEAL_ETIMEOUT);
    CHECK_INT(asking.n_answers, 1);
    rig_stop();
}

/* As with Node's server: not together, but one by one. */
static void
each_attachment_is_a_message(void **state)
{
    struct proto_setup setup = proto_setup_default;

    setup.socketio.engine.max_payload = 40;
    rig_start(&setup);
    rig_tell("each as large as may be",
        SCRIPT(JOIN("A"), "A SAY 452-[\"q\"," PH "," PH1 "]",
            "A BYTES 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "A BYTES 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "OPEN 1"));
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
    struct CMUnitTest tests[N + 3];

    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){
            .name = transcripts[i].name, .test_func = play, .initial_state = (void *)i
        };
    tests[N] = (struct CMUnitTest)cmocka_unit_test(each_attachment_is_a_message);
    tests[N + 1] = (struct CMUnitTest)cmocka_unit_test(the_msgpack_parser_is_bytes);
    tests[N + 2] = (struct CMUnitTest)cmocka_unit_test(clients_are_asked_to_acknowledge);
    return cmocka_run_group_tests_name("proto_socketio", tests, NULL, NULL);
}

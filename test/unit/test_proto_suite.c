/* SPDX-License-Identifier: MIT */
/* Every protocol against the suite of protocols, the toy among them. */
#include "../suite/protocol.h"

#include "../toy/lines.h"
#include "alloc.h"

#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
websockets(void **state)
{
    suite_protocol_run(&(struct suite_protocol){ .name = "ws",
                           .open = LINES("A UPGRADE /ws/a"),
                           .drained = LINES("A CLOSED 1012", "A GONE"),
                           .ask = "A TRY-UPGRADE /ws/a" },
        &alloc_left);
}

static void
event_streams(void **state)
{
    suite_protocol_run(
        &(struct suite_protocol){ .name = "sse",
            .open = LINES("A GET /sse/a", "A EVENTS", "A IS retry: 2000\n\n"),
            .drained = LINES("A IS retry: *\n\n", "A IS ", "A GONE"),
            .ask = "A GET /sse/a" },
        &alloc_left);
}

static void
socketio_by_websocket(void **state)
{
    suite_protocol_run(
        &(struct suite_protocol){ .name = "socketio",
            .open = LINES("A UPGRADE /socket.io/?EIO=4&transport=websocket", "A HEAR 0*",
                "A SAY 40", "A HEAR 40*"),
            .drained = LINES("A CLOSED 1012", "A GONE"),
            .ask = "A TRY-UPGRADE /socket.io/?EIO=4&transport=websocket" },
        &alloc_left);
}

static void
socketio_by_polling(void **state)
{
    suite_protocol_run(&(struct suite_protocol){ .name = "socketio",
                           .open = LINES("A GET /socket.io/?EIO=4&transport=polling",
                               "A 200 0{\"sid\":\"~*", "A POST $P 40", "A 200 ok",
                               "A GET $P", "A 200 40*", "A GET $P"),
                           .drained = LINES("A 400 *Session ID unknown*", "A GONE"),
                           .ask = "A GET /socket.io/?EIO=4&transport=polling" },
        &alloc_left);
}

static void
the_toy(void **state)
{
    static const struct lines_config config = { .line_max = 20 };
    static const struct peal_protocol_row row = { &lines_protocol, &config };
    struct proto_setup setup = proto_setup_default;

    suite_protocol_run(&(struct suite_protocol){ .name = "lines",
                           .row = &row,
                           .open = LINES("A GET /lines/a", "A EVENTS"),
                           .drained = LINES("A GONE"),
                           .ask = "A GET /lines/a" },
        &alloc_left);
    setup.more = &row;
    rig_start(&setup);
    rig_tell("lines of the toy",
        LINES("A GET /lines/a", "A EVENTS", "B UPGRADE /ws/a", "PUBLISH a hello",
            "A RAW hello\n", "B HEAR hello", "A BODY from the toy\nand",
            "A RAW from the toy\n", "B HEAR from the toy", "A BODY  more\n",
            "A RAW and more\n", "B HEAR and more", "C GET /lines/secret",
            "C 403 not allowed\n", "C POST /lines/a x", "C 405 use GET\n",
            "A BODY a line that is too long for the toy", "A GONE", "COUNT lines 0"));
    rig_stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(websockets),
        cmocka_unit_test(event_streams),
        cmocka_unit_test(socketio_by_websocket),
        cmocka_unit_test(socketio_by_polling),
        cmocka_unit_test(the_toy),
    };

    alloc_one = 1;
    return cmocka_run_group_tests_name("proto_suite", tests, NULL, NULL);
}

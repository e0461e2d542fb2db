/* SPDX-License-Identifier: MIT */
/* proto/wsconn: a WebSocket's end at the server, over sockets. */
#include "http_rig.h"

#include "proto/wsconn.h"

static const struct peal_wsframe_limits limits = { .message_max = 1000 };
static struct peal_wsconn ws; /* of the first loop's thread */

static void
on_message(struct peal_wsconn *w, bool binary, struct peal_slice payload)
{
    CHECK(peal_conn_send(w->conn, rig.big, 0)); /* more than the sockets hold */
}

static struct peal_deflate *
codec_of(const struct peal_wsconn *w)
{
    return NULL;
}

static void
on_ws_closed(
    struct peal_wsconn *w, uint16_t code, enum peal_close why, const char *detail)
{
    sem_post(&rig.gone);
}

static const struct peal_wsconn_ops ws_ops = {
    .message = on_message, .codec = codec_of, .closed = on_ws_closed
};

static void
upgrade(struct peal_http *h, void *ctx)
{
    const struct peal_wsconn_config config = { .limits = &limits };

    CHECK_OK(peal_wsconn_accept(&ws, h, &config, &ws_ops));
}

static const struct peal_http_route ws_routes[] = {
    { .path = PEAL_S("/"), .prefix = true, .handle = upgrade },
};

/* A frame of a client; its mask is zero. */
static void
say_frame(struct client *c, enum peal_wsframe_opcode op, const char *payload)
{
    uint8_t frame[6 + 125] = { (uint8_t)(0x80 | op), (uint8_t)(0x80 | strlen(payload)) };

    memcpy(frame + 6, payload, strlen(payload));
    say_bytes(c, frame, 6 + strlen(payload));
}

static void
expect_pong(struct client *c, const char *payload)
{
    struct peal_buf got = { 0 };

    hear_bytes(c, 2, &got);
    CHECK_INT((uint8_t)got.data[0], 0x80 | PEAL_WS_PONG);
    CHECK_INT(got.data[1], strlen(payload));
    got.len = 0;
    hear_bytes(c, strlen(payload), &got);
    CHECK_SLICE(peal_buf_slice(&got), payload);
    peal_buf_fini(&got);
}

static struct client
open_ws(void)
{
    struct client c = client();
    struct response r;

    say(&c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    r = hear_head(&c, false);
    CHECK_INT(r.status, 101);
    response_fini(&r);
    return c;
}

static void
every_ping_of_a_peer_that_reads_is_answered(void **state)
{
    struct client c;
    char text[16];

    start_with((struct setup){ .routes = ws_routes, .n_routes = 1 });
    c = open_ws();
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "%d", i);
        say_frame(&c, PEAL_WS_PING, text);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "%d", i);
        expect_pong(&c, text);
    }
    client_close(&c);
    wait_for(&rig.gone);
    stop();
}

/* A flood of pings from a peer that reads nothing costs two pongs, not one each. */
static void
pings_of_a_peer_that_does_not_read_are_answered_by_two(void **state)
{
    struct peal_buf got = { 0 };
    struct client c;
    char text[16];
    long queued, in;

    start_with((struct setup){ .routes = ws_routes, .n_routes = 1 });
    c = open_ws();
    say_frame(&c, PEAL_WS_TEXT, "go");
    while ((queued = stat_of(PEAL_STAT_QUEUE_BYTES)) == 0)
        usleep(1000);
    in = stat_of(PEAL_STAT_BYTES_IN);
    for (int i = 0; i < 10000; i++) {
        in += 6 + snprintf(text, sizeof(text), "%d", i);
        say_frame(&c, PEAL_WS_PING, text);
    }
    while (stat_of(PEAL_STAT_BYTES_IN) < in)
        usleep(1000);
    CHECK(stat_of(PEAL_STAT_QUEUE_BYTES) < queued + 1000);
    hear_bytes(&c, BIG, &got);
    expect_pong(&c, "0");
    expect_pong(&c, "9999");
    say_frame(&c, PEAL_WS_PING, "again");
    expect_pong(&c, "again");
    peal_buf_fini(&got);
    client_close(&c);
    wait_for(&rig.gone);
    stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_ping_of_a_peer_that_reads_is_answered),
        cmocka_unit_test(pings_of_a_peer_that_does_not_read_are_answered_by_two),
    };

    return run_with_each_engine(tests, sizeof(tests) / sizeof(tests[0]));
}

/* SPDX-License-Identifier: MIT */
/*
 * The handshakes of a client, from the first request until it is ready, and the frames
 * that come after them.
 *
 * WebSocket: the upgrade of RFC 6455 section 4 with the RFC's own key, so the right
 * answer is a constant. Socket.IO goes the way of the official client when it starts with
 * the websocket transport: wait for the open packet ("0{...}"), send CONNECT ("40"), wait
 * for its answer ("40{...}"), then join the room with an acknowledgement ("420[...]",
 * "430").
 *
 * With opts->polling it begins as browsers do by default: a GET for the open packet, a
 * POST with CONNECT, a GET for its answer; then another connection upgrades the session
 * ("2probe", "3probe", "5") and joins the room. (No poll is left open meanwhile.)
 */
#include "bench/net.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/frame.h"

#define HEAD_MAX 8192
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define POLLING "/socket.io/?EIO=4&transport=polling"

/* The next of three requests. */
static void
say_poll(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    char request[512];
    bool post = c->n_polls == 1;
    int n = snprintf(request, sizeof(request),
        "%s " POLLING "%s%s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s", post ? "POST" : "GET",
        c->sid[0] != '\0' ? "&sid=" : "", c->sid, c->target->host,
        post ? "Content-Length: 2\r\n" : "", post ? "40" : "");

    peal_bench_net_send(net, c, peal_slice_of(request, (size_t)n));
}

static bool
take_sid(struct peal_bench_conn *c, struct peal_slice body)
{
    const char *at = memmem(body.data, body.len, "\"sid\":\"", 7), *end;

    if (at == NULL)
        return false;
    at += 7;
    end = memchr(at, '"', (size_t)(body.data + body.len - at));
    if (end == NULL || (size_t)(end - at) >= sizeof(c->sid))
        return false;
    memcpy(c->sid, at, (size_t)(end - at));
    c->sid[end - at] = '\0';
    return true;
}

/* Takes one whole answer with a Content-Length; returns its length, or 0. */
static size_t
eat_poll(struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice data)
{
    const char *end = memmem(data.data, data.len, "\r\n\r\n", 4), *field;
    size_t head, len;

    if (end == NULL)
        return 0;
    head = (size_t)(end - data.data) + 4;
    field = memmem(data.data, head, "Content-Length: ", 16);
    len = field != NULL ? strtoul(field + 16, NULL, 10) : 0;
    if (head + len > data.len)
        return 0;
    if (!peal_slice_starts(data, PEAL_S("HTTP/1.1 200")) ||
        (c->n_polls == 0 && !take_sid(c, peal_slice_of(data.data + head, len)))) {
        peal_bench_net_fail(net, c, "polling was refused");
        return 0;
    }
    if (++c->n_polls < 3)
        say_poll(net, c);
    else
        peal_bench_net_redial(net, c);
    return head + len;
}

void
peal_bench_client_begin(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    char path[PEAL_BENCH_TEXT_MAX + 64], request[1024];
    int n;

    if (c->target->protocol == PEAL_BENCH_POST) {
        peal_bench_net_ready(net, c);
        return;
    }
    if (net->opts->polling && c->sid[0] == '\0') {
        c->state = PEAL_BENCH_POLLING;
        c->n_polls = 0;
        say_poll(net, c);
        return;
    }
    peal_bench_numbered(c->target->path, c->number, path, sizeof(path));
    if (c->sid[0] != '\0')
        snprintf(
            path, sizeof(path), "/socket.io/?EIO=4&transport=websocket&sid=%s", c->sid);
    n = snprintf(request, sizeof(request),
        "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "\r\n",
        path, c->target->host);
    peal_bench_net_send(net, c, peal_slice_of(request, (size_t)n));
}

/* Returns the length of the head, 0 while it is not complete; fails a wrong one. */
static size_t
eat_head(struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice data)
{
    const char *end = memmem(data.data, data.len, "\r\n\r\n", 4);
    size_t len;

    if (end == NULL) {
        if (data.len > HEAD_MAX)
            peal_bench_net_fail(net, c, "no end of the response head");
        return 0;
    }
    len = (size_t)(end - data.data) + 4;
    if (!peal_slice_starts(data, PEAL_S("HTTP/1.1 101"))) {
        peal_bench_net_fail(net, c, "the upgrade was refused");
        return 0;
    }
    if (memmem(data.data, len, ACCEPT, sizeof(ACCEPT) - 1) == NULL) {
        peal_bench_net_fail(net, c, "wrong Sec-WebSocket-Accept");
        return 0;
    }
    if (c->sid[0] != '\0') {
        c->state = PEAL_BENCH_PROBING;
        peal_bench_net_say(net, c, PEAL_S("2probe"));
    } else if (c->target->protocol == PEAL_BENCH_SOCKETIO) {
        c->state = PEAL_BENCH_OPENING;
    } else
        peal_bench_net_ready(net, c);
    return len;
}

static void
say_join(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    char room[PEAL_BENCH_TEXT_MAX], join[PEAL_BENCH_TEXT_MAX + 16];
    int n;

    peal_bench_numbered(net->opts->room, c->number, room, sizeof(room));
    n = snprintf(join, sizeof(join), "420[\"join\",\"%s\"]", room);
    c->state = PEAL_BENCH_JOINING;
    peal_bench_net_say(net, c, peal_slice_of(join, (size_t)n));
}

/* One step of the Socket.IO handshake; packets of others in the room may come between. */
static void
open_session(struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice p)
{
    if (c->state == PEAL_BENCH_PROBING) {
        if (!peal_slice_eq(p, PEAL_S("3probe")))
            return;
        peal_bench_net_say(net, c, PEAL_S("5"));
        if (c->join)
            say_join(net, c);
        else
            peal_bench_net_ready(net, c);
    } else if (c->state == PEAL_BENCH_OPENING) {
        if (!peal_slice_starts(p, PEAL_S("0{"))) {
            peal_bench_net_fail(net, c, "no Engine.IO open packet");
            return;
        }
        c->state = PEAL_BENCH_ENTERING;
        peal_bench_net_say(net, c, PEAL_S("40"));
    } else if (c->state == PEAL_BENCH_ENTERING) {
        if (!peal_slice_starts(p, PEAL_S("40{")))
            peal_bench_net_fail(net, c, "CONNECT was refused");
        else if (c->join)
            say_join(net, c);
        else
            peal_bench_net_ready(net, c);
    } else if (peal_slice_starts(p, PEAL_S("430"))) {
        peal_bench_net_ready(net, c);
    }
}

static void
take_text(struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice p)
{
    if (c->target->protocol == PEAL_BENCH_SOCKETIO) {
        if (p.len == 1 && p.data[0] == '2') {
            net->n_pings++;
            peal_bench_net_say(net, c, PEAL_S("3"));
            return;
        }
        if (c->state != PEAL_BENCH_READY) {
            open_session(net, c, p);
            return;
        }
    }
    if (net->on_message != NULL)
        net->on_message(net, c, p);
}

static void
take_frame(
    struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_bench_frame *f)
{
    struct peal_buf pong = { 0 };

    switch (f->opcode) {
    case PEAL_BENCH_OP_TEXT:
    case PEAL_BENCH_OP_BINARY:
        take_text(net, c, f->payload);
        break;
    case PEAL_BENCH_OP_PING:
        net->n_pings++;
        if (peal_bench_frame_add(&pong, PEAL_BENCH_OP_PONG, f->payload) == PEAL_OK)
            peal_bench_net_send(net, c, peal_buf_slice(&pong));
        peal_buf_fini(&pong);
        break;
    case PEAL_BENCH_OP_CLOSE:
        peal_bench_net_fail(net, c, "the server sent a close frame");
        break;
    default:
        break;
    }
}

size_t
peal_bench_client_eat(
    struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice data)
{
    size_t used = 0;

    if (c->target->protocol == PEAL_BENCH_POST) {
        if (memmem(data.data, data.len, "HTTP/1.1 4", 10) != NULL ||
            memmem(data.data, data.len, "HTTP/1.1 5", 10) != NULL)
            peal_bench_net_fail(net, c, "the POST was refused");
        return data.len;
    }
    if (c->state == PEAL_BENCH_POLLING)
        return eat_poll(net, c, data);
    if (c->state == PEAL_BENCH_UPGRADING && (used = eat_head(net, c, data)) == 0)
        return 0;
    while (c->fd >= 0 && used < data.len) {
        struct peal_bench_frame f;
        size_t n;
        peal_err err = peal_bench_frame_take(peal_slice_skip(data, used), &f, &n);

        if (err == PEAL_EAGAIN)
            break;
        if (err != PEAL_OK) {
            peal_bench_net_fail(net, c, "a broken or fragmented frame");
            break;
        }
        used += n;
        take_frame(net, c, &f);
    }
    return used;
}

void
peal_bench_net_say(
    struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice text)
{
    struct peal_buf frame = { 0 };

    if (peal_bench_frame_add(&frame, PEAL_BENCH_OP_TEXT, text) == PEAL_OK)
        peal_bench_net_send(net, c, peal_buf_slice(&frame));
    else
        peal_bench_net_fail(net, c, "out of memory");
    peal_buf_fini(&frame);
}

/* SPDX-License-Identifier: MIT */
/* Scripted clients: each line of a script is one call here. */
#include "proto_rig.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/deflate.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define TURNS 4 /* a request, what it does to others, and what these write */

struct proto_rig rig;
static uint64_t rig_now = 1000; /* ms */

uint64_t __wrap_uv_now(const uv_loop_t *loop);
uint64_t __wrap_uv_hrtime(void);

uint64_t
__wrap_uv_now(const uv_loop_t *loop)
{
    return rig_now;
}

/* Nothing takes time: every newcomer is admitted at once. */
uint64_t
__wrap_uv_hrtime(void)
{
    return rig_now * 1000000;
}

const struct proto_setup proto_setup_default = {
    .proto = { .admission_wait_ms = 10000, .admission_queue_max = 100 },
    .socketio = { .engine = { .path = { "/socket.io/", 11 },
                      .ws.message_max = 100000,
                      .max_payload = 100000,
                      .ping_interval_ms = 25000,
                      .ping_timeout_ms = 20000,
                      .upgrade_timeout_ms = 10000,
                      .connect_timeout_ms = 45000,
                      .polling = true,
                      .websocket = true },
        .namespaces_max = 3,
        .rooms_max = 10 },
    .ws = { .limits.message_max = 100000,
        .ping_interval_ms = 25000,
        .ping_timeout_ms = 20000,
        .channels_max = 3 },
    .sse = { .ping_interval_ms = 15000, .retry_ms = 2000, .channels_max = 3 },
};

/* A client of the script. */
struct client {
    int fd; /* -1: not connected */
    bool gone;
    struct peal_buf in;
};

static struct {
    struct client clients[26];
    char sid[PEAL_ID_LEN + 1];
    const char *what, *line; /* for messages */
    struct peal_http_config http;
    struct peal_http_server *server;
    struct peal_http_route routes[16];
    struct peal_protocol_row rows[PEAL_PROTOCOLS_MAX];
} s;

static void
wrong(const char *got, size_t len)
{
    print_error("%s: %s\n    got \"%.*s\"\n", s.what, s.line, (int)len, got ? got : "");
    fail();
}

#define MUST(condition) ((condition) ? (void)0 : wrong(#condition, strlen(#condition)))

/* The app: "q" acknowledges its arguments, join and leave a room, everything but the
 * channel "secret" and the namespace /no is open. */

static peal_err
app_connect(struct peal_app *app, const struct peal_connect *c, const char **why)
{
    return peal_slice_eq(c->nsp, PEAL_S("/no")) ? PEAL_ENOTFOUND : PEAL_OK;
}

static void
app_event(struct peal_app *app, const struct peal_event *ev)
{
    struct peal_slice room = ev->args;

    if (room.len > 2) /* a string without escapes, in quotes */
        room = peal_slice_of(room.data + 1, room.len - 2);
    if (peal_slice_eq(ev->name, PEAL_S("join")))
        CHECK_OK(peal_session_subscribe(ev->session, room));
    else if (peal_slice_eq(ev->name, PEAL_S("leave")))
        CHECK_OK(peal_session_unsubscribe(ev->session, room));
    else if (peal_slice_eq(ev->name, PEAL_S("kick")))
        ev->session->ops->disconnect(ev->session, true);
    else if (peal_slice_eq(ev->name, PEAL_S("back")))
        ev->emit(ev, PEAL_S("\"back\""), ev->args, ev->n_args, ev->atts, ev->n_atts);
    if (ev->ack != NULL && !peal_slice_eq(ev->name, PEAL_S("kick")))
        ev->ack(ev, ev->args, ev->atts, ev->n_atts);
}

static peal_err
app_access(struct peal_app *app, const struct peal_access *a, const char **why)
{
    return peal_slice_eq(a->channel, PEAL_S("secret")) ? PEAL_EPERM : PEAL_OK;
}

static const struct peal_app_ops app_ops = { .name = "script",
    .connect = app_connect,
    .event = app_event,
    .may_subscribe = app_access,
    .may_publish = app_access };

static struct peal_app app = { &app_ops };

/* The rig. */

static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };

static void
make_loop(void)
{
    struct peal_loop_config c = { .engine = PEAL_IO_EPOLL,
        .log = &log_to,
        .slow_policy = rig.setup.slow_policy,
        .queue_bytes_max = rig.setup.queue_max > 0 ? rig.setup.queue_max : 1 << 20,
        .queue_age_ms = UINT32_MAX,
        .lag_ms = 0 };

    CHECK_OK(peal_loop_new(&c, &rig.loop));
}

void
rig_start(const struct proto_setup *setup)
{
    struct peal_proto *p = &rig.proto;
    unsigned n = 0;

    memset(&s, 0, sizeof(s));
    for (int i = 0; i < 26; i++)
        s.clients[i].fd = -1;
    rig = (struct proto_rig){ .setup = *setup };
    make_loop();
    rig.setup.proto.loops = &rig.loop;
    rig.setup.proto.n_loops = 1;
    if (rig.setup.socketio.engine.rider == NULL)
        rig.setup.socketio.engine.rider = &peal_socketio_rider;
    p->loop = rig.loop;
    p->app = &app;
    p->config = &rig.setup.proto;
    CHECK_OK(peal_hub_new(7, &rig.hub));
    CHECK_OK(peal_deflate_new(1, 8, &p->deflate));
    CHECK_OK(peal_shard_new(rig.hub, 0, rig.loop, 1000, p->deflate, &p->shard));
    peal_admission_init(p);
    if (setup->more != NULL)
        s.rows[n++] = *setup->more;
    s.rows[n++] =
        (struct peal_protocol_row){ &peal_protocol_socketio, &rig.setup.socketio };
    s.rows[n++] = (struct peal_protocol_row){ &peal_protocol_ws, &rig.setup.ws };
    s.rows[n++] = (struct peal_protocol_row){ &peal_protocol_sse, &rig.setup.sse };
    CHECK_OK(peal_protocols_open(p, s.rows, n));
    s.http = (struct peal_http_config){ .limits = peal_httphead_limits_default,
        .head_timeout_ms = UINT32_MAX,
        .body_timeout_ms = UINT32_MAX,
        .idle_timeout_ms = UINT32_MAX };
    CHECK_OK(peal_http_server_new(rig.loop, &s.http, s.routes,
        peal_protocols_routes(p, s.routes, 16), NULL, &s.server));
}

void
rig_stop(void)
{
    for (int i = 0; i < 26; i++) {
        if (s.clients[i].fd >= 0)
            close(s.clients[i].fd);
        peal_buf_fini(&s.clients[i].in);
    }
    peal_admission_close(&rig.proto);
    peal_protocols_free(&rig.proto);
    CHECK_INT(peal_stats_sessions(peal_loop_stats(rig.loop)), 0);
    peal_http_server_free(&s.server);
    peal_shard_free(&rig.proto.shard);
    peal_deflate_free(&rig.proto.deflate);
    peal_loop_free(&rig.loop);
    peal_hub_free(&rig.hub);
}

static void
collect(struct client *c)
{
    char bytes[4096];
    ssize_t n;

    while (c->fd >= 0 && (n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0) {
        if (n == 0) {
            c->gone = true;
            return;
        }
        if (peal_buf_add(&c->in, bytes, (size_t)n) != PEAL_OK) /* a test's doing, once */
            CHECK_OK(peal_buf_add(&c->in, bytes, (size_t)n));
    }
}

void
rig_turn(void)
{
    for (int i = 0; i < TURNS; i++) {
        uv_run(peal_loop_uv(rig.loop), UV_RUN_NOWAIT);
        for (int k = 0; k < 26; k++)
            collect(&s.clients[k]);
    }
}

struct peal_protocol *
rig_protocol(const char *name)
{
    for (unsigned i = 0; i < rig.proto.n_protocols; i++)
        if (strcmp(rig.proto.protocols[i]->ops->name, name) == 0)
            return rig.proto.protocols[i];
    return NULL;
}

const void *
rig_config(const char *name)
{
    for (unsigned i = 0; i < rig.proto.n_protocols; i++)
        if (strcmp(s.rows[i].ops->name, name) == 0)
            return s.rows[i].config;
    return NULL;
}

/* Clients. */

static void
connect_client(struct client *c)
{
    struct sockaddr_in peer = { .sin_family = AF_INET };
    int fds[2];

    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    peal_http_server_accept(s.server, fds[0], (struct sockaddr *)&peer);
    peal_buf_fini(&c->in);
    *c = (struct client){ .fd = fds[1] };
}

static void
send_bytes(struct client *c, const void *data, size_t len)
{
    if (send(c->fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        c->gone = true; /* closed by the server; what the script expects will not come */
    rig_turn();
}

/* Replaces $P, $W and ^. */
static const char *
expand(const char *text)
{
    static char out[8192];
    size_t n = 0;

    for (; *text != '\0'; text++) {
        MUST(n + 200 < sizeof(out));
        if (*text == '^')
            out[n++] = '\x1e';
        else if (*text == '$' && (text[1] == 'P' || text[1] == 'W'))
            n += (size_t)sprintf(out + n, "/socket.io/?EIO=4&transport=%s&sid=%s",
                *++text == 'P' ? "polling" : "websocket", s.sid);
        else
            out[n++] = *text;
    }
    out[n] = '\0';
    return out;
}

static void
request(struct client *c, const char *method, const char *path, const char *more,
    const char *body)
{
    char text[8192];
    int n;

    if (c->fd < 0 || c->gone) {
        if (c->fd >= 0)
            close(c->fd);
        connect_client(c);
    }
    n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n%s", method,
        path, more, body);
    send_bytes(c, text, (size_t)n);
}

static void
consume(struct client *c, size_t n)
{
    memmove(c->in.data, c->in.data + n, c->in.len - n);
    c->in.len -= n;
}

/* Matches text against a pattern with * and ~. */
static bool
matches(const char *text, size_t len, const char *pattern)
{
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '*') {
            for (size_t skip = 0; skip <= len; skip++)
                if (matches(text + skip, len - skip, pattern + 1))
                    return true;
            return false;
        }
        if (*pattern == '~') {
            if (len < PEAL_ID_LEN)
                return false;
            memcpy(s.sid, text, PEAL_ID_LEN);
            text += PEAL_ID_LEN;
            len -= PEAL_ID_LEN;
            continue;
        }
        if (len == 0 || *text != *pattern)
            return false;
        text++;
        len--;
    }
    return len == 0;
}

static void
must_match(const char *text, size_t len, const char *pattern)
{
    if (!matches(text, len, expand(pattern)))
        wrong(text, len);
}

/* The end of the head in what a client has, or NULL. */
static char *
head_end(const struct client *c)
{
    char *end = c->in.len > 0 ? memmem(c->in.data, c->in.len, "\r\n\r\n", 4) : NULL;

    return end != NULL ? end + 4 : NULL;
}

static unsigned
status_of(const struct client *c)
{
    return c->in.len > 12 ? (unsigned)atoi(c->in.data + 9) : 0;
}

static void
must_answer(struct client *c, unsigned status, const char *pattern)
{
    char *body = head_end(c), *length;
    size_t len;

    if (body == NULL || status_of(c) != status)
        wrong(c->in.data, c->in.len);
    length = memmem(c->in.data, (size_t)(body - c->in.data), "Content-Length: ", 16);
    MUST(length != NULL);
    len = strtoul(length + 16, NULL, 10);
    must_match(body, len, pattern);
    consume(c, (size_t)(body - c->in.data) + len);
}

static void
ask_upgrade(struct client *c, const char *path)
{
    request(c, "GET", path,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: " KEY "\r\n",
        "");
}

static void
upgrade(struct client *c, const char *path, unsigned want)
{
    ask_upgrade(c, path);
    if (head_end(c) == NULL || status_of(c) != want)
        wrong(c->in.data, c->in.len);
    if (want == 101)
        consume(c, (size_t)(head_end(c) - c->in.data));
    else
        MUST(c->gone);
}

static void
send_frame(struct client *c, unsigned op, const void *payload, size_t len)
{
    uint8_t bytes[8192] = { (uint8_t)(0x80 | op) };
    size_t n = 2;

    if (len < 126) {
        bytes[1] = (uint8_t)(0x80 | len);
    } else {
        bytes[1] = 0x80 | 126;
        bytes[2] = (uint8_t)(len >> 8);
        bytes[3] = (uint8_t)len;
        n = 4;
    }
    n += 4; /* a mask of zeros */
    MUST(n + len <= sizeof(bytes));
    memcpy(bytes + n, payload, len);
    send_bytes(c, bytes, n + len);
}

/* The payload of the next frame, which must be of this kind; valid until the next call.
 */
static struct peal_slice
hear_frame(struct client *c, unsigned op)
{
    static char payload[8192];
    const unsigned char *in = (const unsigned char *)c->in.data;
    size_t head = 2, len;

    if (c->in.len < 2 || in[0] != (0x80 | op))
        wrong(c->in.data, c->in.len);
    len = in[1];
    if (len == 126) {
        head = 4;
        len = (size_t)in[2] << 8 | in[3];
    }
    MUST(c->in.len >= head + len && len < sizeof(payload));
    memcpy(payload, c->in.data + head, len);
    consume(c, head + len);
    return peal_slice_of(payload, len);
}

static size_t
from_hex(const char *hex, unsigned char *out)
{
    size_t n = 0;
    unsigned byte;

    while (sscanf(hex + 2 * n, "%2x", &byte) == 1)
        out[n++] = (unsigned char)byte;
    return n;
}

static void
must_close(struct client *c, unsigned code)
{
    struct peal_slice p = hear_frame(c, 8);
    const unsigned char *b = (const unsigned char *)p.data;

    MUST(code == (p.len >= 2 ? (unsigned)(b[0] << 8 | b[1]) : 0));
}

static void
must_have_chunk(struct client *c, const char *pattern)
{
    char *end = NULL;
    size_t len = c->in.len > 0 ? strtoul(c->in.data, &end, 16) : 0, head;

    MUST(end != NULL && end + 2 + len + 2 <= c->in.data + c->in.len);
    head = (size_t)(end + 2 - c->in.data);
    must_match(c->in.data + head, len, pattern);
    consume(c, head + len + 2);
}

/* One line of a client. false: not such a line. */

static bool
tell_request(struct client *c, const char *verb, char *rest)
{
    char *path = rest, *body = strchr(rest, ' ');
    char length[64] = "", copy[4096];

    if (body != NULL)
        *body++ = '\0';
    if (strcmp(verb, "GET") == 0) {
        request(c, "GET", expand(path), "", "");
    } else if (strcmp(verb, "POST") == 0) {
        snprintf(copy, sizeof(copy), "%s", expand(body != NULL ? body : ""));
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(copy));
        request(c, "POST", expand(path), length, copy);
    } else if (strcmp(verb, "POST-BEGIN") == 0) {
        snprintf(length, sizeof(length), "Content-Length: %s\r\n", body);
        request(c, "POST", expand(path), length, "");
    } else if (strcmp(verb, "UPGRADE") == 0) {
        upgrade(c, expand(path), 101);
    } else if (strcmp(verb, "TRY-UPGRADE") == 0) {
        ask_upgrade(c, expand(path));
    } else if (strcmp(verb, "REFUSED") == 0) {
        upgrade(c, expand(path), (unsigned)atoi(body));
    } else {
        return false;
    }
    return true;
}

static bool
tell_frame(struct client *c, const char *verb, const char *rest)
{
    unsigned char bytes[1000];
    struct peal_slice p;
    size_t n = from_hex(rest, bytes);

    if (strcmp(verb, "SAY") == 0) {
        rest = expand(rest);
        send_frame(c, 1, rest, strlen(rest));
    } else if (strcmp(verb, "BYTES") == 0) {
        send_frame(c, 2, bytes, n);
    } else if (strcmp(verb, "PONG") == 0) {
        send_frame(c, 10, "", 0);
    } else if (strcmp(verb, "PINGED") == 0) {
        hear_frame(c, 9);
    } else if (strcmp(verb, "HEAR") == 0) {
        p = hear_frame(c, 1);
        must_match(p.data, p.len, rest);
    } else if (strcmp(verb, "HEAR-BYTES") == 0) {
        p = hear_frame(c, 2);
        MUST(p.len == n && memcmp(p.data, bytes, n) == 0);
    } else if (strcmp(verb, "CLOSED") == 0) {
        must_close(c, (unsigned)atoi(rest));
    } else {
        return false;
    }
    return true;
}

static void
tell_client(struct client *c, const char *verb, char *rest)
{
    if (verb[0] >= '1' && verb[0] <= '5') {
        must_answer(c, (unsigned)atoi(verb), rest);
    } else if (strcmp(verb, "-") == 0) {
        if (c->in.len > 0 || c->gone)
            wrong(c->in.data, c->in.len);
    } else if (strcmp(verb, "GONE") == 0) {
        if (c->in.len > 0 || !c->gone)
            wrong(c->in.data, c->in.len);
    } else if (strcmp(verb, "RESET") == 0) {
        close(c->fd);
        c->fd = -1;
        rig_turn();
    } else if (strcmp(verb, "BODY") == 0) {
        send_bytes(c, rest, strlen(rest));
    } else if (strcmp(verb, "EVENTS") == 0) {
        MUST(head_end(c) != NULL && status_of(c) == 200);
        consume(c, (size_t)(head_end(c) - c->in.data));
    } else if (strcmp(verb, "IS") == 0) {
        must_have_chunk(c, rest);
    } else if (strcmp(verb, "RAW") == 0) {
        MUST(c->in.len >= strlen(rest) && memcmp(c->in.data, rest, strlen(rest)) == 0);
        consume(c, strlen(rest));
    } else if (!tell_frame(c, verb, rest) && !tell_request(c, verb, rest)) {
        wrong("no such line", 12);
    }
}

/* Lines of nobody. */

static void
publish(struct peal_slice channel, const char *text)
{
    struct peal_msg_spec spec = { .channels = &channel,
        .n_channels = 1,
        .args = peal_slice_str(text),
        .kind = PEAL_DATA_TEXT };
    struct peal_msg *m;

    if (text[0] == '[') { /* ["event",arguments] */
        const char *comma = strchr(text, ',');

        spec.kind = PEAL_DATA_JSON;
        spec.event = peal_slice_of(text + 1, (size_t)(comma - text) - 1);
        spec.args = peal_slice_of(comma + 1, strlen(comma + 1) - 1);
        spec.n_args = 1;
    }
    CHECK_OK(peal_msg_new(&spec, &m));
    CHECK_OK(peal_publish(rig.proto.shard, m));
    peal_msg_release(m);
}

static void
must_be_stat(const char *name, int64_t want)
{
    int64_t got = 0;

    for (unsigned i = 0; i < PEAL_STAT_N; i++)
        if (strcmp(peal_stat_table[i].family, name) == 0)
            got += peal_stat_get(peal_loop_stats(rig.loop), (enum peal_stat)i);
    if (got != want) {
        char text[32];

        wrong(text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)got));
    }
}

static void
drain(unsigned n)
{
    for (unsigned i = 0; i < rig.proto.n_protocols; i++)
        rig.proto.protocols[i]->ops->drain(rig.proto.protocols[i], n, PEAL_OLDEST_FIRST);
}

static void
tell_rig(const char *verb, const char *rest)
{
    const char *more = strchr(rest, ' ');
    struct peal_slice first =
        peal_slice_of(rest, more != NULL ? (size_t)(more - rest) : strlen(rest));
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)first.len, first.data);
    if (more != NULL)
        more++;
    if (strcmp(verb, "TICK") == 0) {
        /* In steps, as time does: what is due in one may be awaited in the next. */
        for (uint64_t left = strtoull(rest, NULL, 10), step; left > 0; left -= step) {
            step = left < 50 ? left : 50;
            rig_now += step;
            rig_turn();
        }
    } else if (strcmp(verb, "DRAIN") == 0) {
        drain((unsigned)atoi(rest));
    } else if (strcmp(verb, "SHED") == 0) {
        peal_sessions_shed(&rig.proto, (unsigned)atoi(rest));
    } else if (strcmp(verb, "COUNT") == 0) {
        MUST(rig_protocol(name)->ops->count(rig_protocol(name)) == (unsigned)atoi(more));
    } else if (strcmp(verb, "OPEN") == 0) {
        MUST(peal_stats_sessions(peal_loop_stats(rig.loop)) == atoi(rest));
    } else if (strcmp(verb, "STAT") == 0) {
        must_be_stat(name, atoi(more));
    } else if (strcmp(verb, "PUBLISH") == 0 || strcmp(verb, "EMIT") == 0) {
        publish(first, more);
    } else {
        wrong("no such line", 12);
    }
    rig_turn();
}

void
rig_tell(const char *what, const char *const *script)
{
    s.what = what;
    for (; *script != NULL; script++) {
        char line[4096], *verb = line, *rest;

        s.line = *script;
        snprintf(line, sizeof(line), "%s", *script);
        if (line[1] == ' ')
            verb = line + 2;
        if ((rest = strchr(verb, ' ')) != NULL)
            *rest++ = '\0';
        else
            rest = verb + strlen(verb);
        if (line[1] == ' ')
            tell_client(&s.clients[line[0] - 'A'], verb, rest);
        else
            tell_rig(verb, rest);
    }
}

void
rig_play(const char *what, const char *const *script)
{
    rig_start(&proto_setup_default);
    rig_tell(what, script);
    rig_stop();
}

/* SPDX-License-Identifier: MIT */
/* api: requests over loopback to a server in this process, and what they deliver. */
#include "check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "alloc.h"
#include "api/api.h"
#include "hub/ackreq.h"
#include "io/listener.h"

#define N_ROUTES (PEAL_API_ROUTES_MAX + PEAL_API_ADMIN_ROUTES_MAX)
#define BODY_MAX 2000

/* A session that writes down what reaches it. */
struct client {
    struct peal_session session; /* first */
    const char *nsp;
    struct peal_buf got; /* "event[args];" of each message */
    unsigned flags;
    struct peal_pending_ack *owed;
    uint64_t owed_id;
};

struct world {
    struct peal_log log;
    struct peal_loop *loop;
    struct peal_hub *hub;
    struct peal_shard *shard;
    struct peal_listener *listener;
    struct peal_http_server *server;
    struct peal_http_config config;
    struct peal_http_route routes[N_ROUTES];
    struct peal_accept_limits limits;
    struct peal_api_node node;
    struct peal_api api;
    uint16_t port;
    struct client a, b;
    char answer[16384]; /* of the last request, whole */
};

static bool
take(struct peal_session *s, struct peal_msg *m)
{
    struct client *c = (struct client *)s;

    if (!peal_slice_eq(m->nsp, peal_slice_str(c->nsp)))
        return false;
    c->flags = m->flags;
    CHECK_INT(m->kind, PEAL_DATA_JSON);
    CHECK_OK(peal_buf_printf(&c->got, "%.*s[%.*s]%u;", (int)m->event.len,
        m->event.data ? m->event.data : "", (int)m->args.len,
        m->args.data ? m->args.data : "", m->n_args));
    return true;
}

static bool
record(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    return (m->flags & PEAL_MSG_NEEDS_ACK) == 0 && take(s, m);
}

/* It answers at the end of the turn, see answer_turn. */
static bool
record_question(
    struct peal_session *s, struct peal_msg *m, unsigned k, struct peal_pending_ack *owed)
{
    struct client *c = (struct client *)s;

    if (!take(s, m))
        return false;
    peal_pending_ack_add(&c->owed, owed);
    c->owed_id = owed->id;
    return true;
}

static const struct peal_session_ops ops = {
    .protocol = "test", .deliver = record, .deliver_with_ack = record_question
};

static void
client_begin(struct world *w, struct client *c, const char *nsp)
{
    *c = (struct client){ .nsp = nsp };
    CHECK_OK(peal_session_init(&c->session, w->shard, &ops, PEAL_LISTED));
    CHECK_OK(peal_session_subscribe(&c->session, peal_slice_str(nsp)));
}

static void
client_end(struct client *c)
{
    peal_session_fini(&c->session);
    peal_buf_fini(&c->got);
}

static void
listen_on_loopback(struct world *w)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd;

    CHECK_OK(peal_listen_socket((struct sockaddr *)&in, sizeof(in), &fd, &w->port));
    CHECK_OK(peal_listener_new(w->loop, fd, PEAL_LISTENER_CLIENTS, &w->limits,
        peal_http_server_accept, w->server, &w->listener));
}

static void
begin(struct world *w, const struct peal_slice *keys, unsigned n_keys, bool dev)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL,
        .queue_bytes_max = 1 << 20,
        .queue_age_ms = 60000,
        .log = &w->log,
        .open = &w->limits.open };
    unsigned n;

    memset(w, 0, sizeof(*w));
    w->log.fd = 2;
    CHECK_OK(peal_loop_new(&config, &w->loop));
    CHECK_OK(peal_hub_new(1, &w->hub));
    CHECK_OK(peal_shard_new(w->hub, 0, w->loop, 1000, NULL, &w->shard));
    w->node.keys = keys;
    w->node.n_keys = n_keys;
    w->node.dev = dev;
    w->node.loops = &w->loop;
    w->node.n_loops = 1;
    w->node.version = "1.2.3";
    w->node.name = "a \"node\"\\\n";
    w->node.started_s = 1700000000;
    w->api = (struct peal_api){ w->shard, &w->node, BODY_MAX };
    w->config.limits = peal_httphead_limits_default;
    w->config.head_timeout_ms = w->config.body_timeout_ms = 60000;
    w->config.idle_timeout_ms = 60000;
    n = peal_api_routes(&w->api, w->routes);
    n += peal_api_admin_routes(&w->api, w->routes + n);
    CHECK(n <= N_ROUTES);
    CHECK_OK(
        peal_http_server_new(w->loop, &w->config, w->routes, n, &w->server, &w->server));
    listen_on_loopback(w);
    client_begin(w, &w->a, "/");
    client_begin(w, &w->b, "/chat");
}

static void
end(struct world *w)
{
    client_end(&w->a);
    client_end(&w->b);
    peal_listener_close(&w->listener);
    peal_http_server_free(&w->server);
    peal_loop_free(&w->loop);
    peal_shard_free(&w->shard);
    peal_hub_free(&w->hub);
}

static int
dial(struct world *w)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
        .sin_port = htons(w->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(fd >= 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_INT(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* Sends a request and turns the loop until the server has closed the connection. */
static void
ask_bytes(struct world *w, const char *bytes, size_t len)
{
    int fd = dial(w);
    size_t n = 0;
    ssize_t got = -1;

    CHECK_INT(write(fd, bytes, len), (ssize_t)len);
    for (int turns = 0; got != 0; turns++) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        CHECK(turns < 20000);
        uv_run(peal_loop_uv(w->loop), UV_RUN_NOWAIT);
        if (poll(&p, 1, 1) == 0)
            continue;
        got = read(fd, w->answer + n, sizeof(w->answer) - 1 - n);
        n += got > 0 ? (size_t)got : 0;
        if (got < 0) /* closed without an answer: reset */
            break;
    }
    w->answer[n] = '\0';
    close(fd);
}

static void
ask(struct world *w, const char *method, const char *path, const char *headers,
    const char *body)
{
    char request[8192];
    int n = snprintf(request, sizeof(request),
        "%s %s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n%s"
        "Content-Length: %zu\r\n\r\n%s",
        method, path, headers, strlen(body), body);

    CHECK(n > 0 && (size_t)n < sizeof(request));
    ask_bytes(w, request, (size_t)n);
}

static int
status(const struct world *w)
{
    return strncmp(w->answer, "HTTP/1.1 ", 9) == 0 ? atoi(w->answer + 9) : 0;
}

static const char *
body(const struct world *w)
{
    const char *end_of_head = strstr(w->answer, "\r\n\r\n");

    return end_of_head != NULL ? end_of_head + 4 : "";
}

static bool
has_header(const struct world *w, const char *line)
{
    return strstr(w->answer, line) != NULL;
}

#define JSON "Content-Type: application/json\r\n"
#define KEY "Authorization: Bearer second\r\n"

static int
post(struct world *w, const char *path, const char *text)
{
    ask(w, "POST", path, JSON, text);
    return status(w);
}

#define CHECK_ERROR(w, want_status, code, message)                                       \
    do {                                                                                 \
        assert_string_equal(body(w),                                                     \
            "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}\n");        \
        CHECK_INT(status(w), want_status);                                               \
    } while (0)

#define GOT(client, want)                                                                \
    do {                                                                                 \
        CHECK_SLICE(peal_buf_slice(&(client).got), (want));                              \
        (client).got.len = 0;                                                            \
    } while (0)

static int64_t
stat_of(const struct world *w, enum peal_stat id)
{
    return peal_stat_get(peal_loop_stats(w->loop), id);
}

/* Publishing. */

static void
data_is_published_byte_for_byte(void **state)
{
    struct world w;

    begin(&w, NULL, 0, true);
    CHECK_OK(peal_session_subscribe(&w.a.session, PEAL_S("orders")));
    CHECK_INT(post(&w, "/api/publish",
                  " {\"channel\" : \"orders\",\"event\":\"cre\\u0061ted\","
                  "\"data\": {\"id\":1.0, \"b\":[ 1e2,\"\\u00e9\"], \"id\":2} }\n"),
        200);
    assert_string_equal(body(&w), "{}\n");
    CHECK(has_header(&w, "Content-Type: application/json\r\n"));
    GOT(w.a, "\"cre\\u0061ted\"[{\"id\":1.0, \"b\":[ 1e2,\"\\u00e9\"], \"id\":2}]1;");
    CHECK_INT(w.a.flags, 0);
    CHECK_INT(stat_of(&w, PEAL_STAT_API_REQUESTS), 1);
    end(&w);
}

static void
data_may_be_anything_and_is_null_by_default(void **state)
{
    struct world w;

    begin(&w, NULL, 0, true);
    CHECK_OK(peal_session_subscribe(&w.a.session, PEAL_S("c")));
    CHECK_INT(post(&w, "/api/publish", "{\"channel\":\"c\"}"), 200);
    CHECK_INT(post(&w, "/api/publish", "{\"channel\":\"\\u0063\",\"data\":\"hi\"}"), 200);
    GOT(w.a, "[null]1;[\"hi\"]1;");
    CHECK_INT(
        post(&w, "/api/publish", "{\"channel\":\"c\",\"data\":[],\"volatile\":true}"),
        200);
    GOT(w.a, "[[]]1;");
    CHECK_INT(w.a.flags, PEAL_MSG_VOLATILE);
    end(&w);
}

static void
several_channels_reach_a_subscriber_once(void **state)
{
    struct world w;

    begin(&w, NULL, 0, true);
    CHECK_OK(peal_session_subscribe(&w.a.session, PEAL_S("a")));
    CHECK_OK(peal_session_subscribe(&w.a.session, PEAL_S("b")));
    CHECK_INT(
        post(&w, "/api/publish", "{\"channels\":[\"a\", \"b\",\"c\"],\"data\":1}"), 200);
    GOT(w.a, "[1]1;");
    end(&w);
}

static void
what_is_wrong_with_a_publish_is_named(void **state)
{
    struct world w;

    begin(&w, NULL, 0, true);
    post(&w, "/api/publish", "");
    CHECK_ERROR(&w, 400, "invalid_json", "the body is not valid JSON");
    post(&w, "/api/publish", "{} {}");
    CHECK_ERROR(&w, 400, "invalid_json", "the body is not valid JSON");
    post(&w, "/api/publish", "[1]");
    CHECK_ERROR(&w, 400, "invalid_json", "the body is not a JSON object");
    post(&w, "/api/publish", "{}");
    CHECK_ERROR(&w, 400, "invalid_field", "channel: required");
    post(&w, "/api/publish", "{\"channel\":\"a\",\"channels\":[\"b\"]}");
    CHECK_ERROR(
        &w, 400, "invalid_field", "channel: channel and channels exclude each other");
    post(&w, "/api/publish", "{\"channel\":[\"a\"]}");
    CHECK_ERROR(
        &w, 400, "invalid_field", "channel: expected a string; channels takes an array");
    post(&w, "/api/publish", "{\"channel\":\"a\",\"chanel\":1}");
    CHECK_ERROR(&w, 400, "unknown_field", "unknown field \\\"chanel\\\"");
    post(&w, "/api/publish", "{\"channel\":\"a\",\"\\u0063hannel\":\"b\"}");
    CHECK_ERROR(&w, 400, "invalid_field", "channel: duplicate field");
    post(&w, "/api/publish", "{\"channels\":[]}");
    CHECK_ERROR(&w, 400, "invalid_field", "channels: must not be empty");
    post(&w, "/api/publish", "{\"channels\":[\"a\",7]}");
    CHECK_ERROR(
        &w, 400, "invalid_field", "channels: expected a string, or an array of strings");
    post(&w, "/api/publish", "{\"channel\":\"\"}");
    CHECK_ERROR(&w, 400, "invalid_field", "channel: a channel's name is empty");
    post(&w, "/api/publish", "{\"channel\":\"/chat\"}");
    CHECK_ERROR(&w, 400, "invalid_field",
        "channel: names that begin with / are namespaces; use /api/emit");
    post(&w, "/api/publish", "{\"channel\":\"a\",\"event\":7}");
    CHECK_ERROR(&w, 400, "invalid_field", "event: expected a string that is not empty");
    post(&w, "/api/publish", "{\"channel\":\"a\",\"event\":\"dis\\u0063onnect\"}");
    CHECK_ERROR(&w, 400, "invalid_field",
        "event: a reserved name that only Socket.IO itself may emit");
    post(&w, "/api/publish", "{\"channel\":\"a\",\"volatile\":1}");
    CHECK_ERROR(&w, 400, "invalid_field", "volatile: expected true or false");
    CHECK_INT(stat_of(&w, PEAL_STAT_API_ERRORS), 15);
    CHECK_INT(stat_of(&w, PEAL_STAT_PUBLISHED), 0);
    end(&w);
}

static void
names_and_their_number_are_bounded(void **state)
{
    static char text[8000];
    struct world w;
    size_t n;

    begin(&w, NULL, 0, true);
    w.routes[0].body_max = w.api.body_max = 8000;
    n = (size_t)sprintf(text, "{\"channel\":\"");
    memset(text + n, 'x', PEAL_CHANNEL_NAME_MAX);
    strcpy(text + n + PEAL_CHANNEL_NAME_MAX, "\"}");
    CHECK_INT(post(&w, "/api/publish", text), 200);
    strcpy(text + n + PEAL_CHANNEL_NAME_MAX, "x\"}");
    post(&w, "/api/publish", text);
    CHECK_ERROR(&w, 400, "invalid_field", "channel: a name is longer than 1024 bytes");
    n = (size_t)sprintf(text, "{\"channels\":[\"x\"");
    for (int i = 1; i < PEAL_CHANNELS_MAX; i++)
        n += (size_t)sprintf(text + n, ",\"x\"");
    strcpy(text + n, "]}");
    CHECK_INT(post(&w, "/api/publish", text), 200);
    strcpy(text + n, ",\"x\"]}");
    post(&w, "/api/publish", text);
    CHECK_ERROR(&w, 400, "invalid_field", "channels: more than 1000 names");
    end(&w);
}

static void
answer(struct client *c, const char *args)
{
    struct peal_ack_answer said = { .args = peal_slice_str(args), .n_args = 2 };

    if (c->owed != NULL)
        CHECK(peal_pending_ack_resolve(c->owed, c->owed_id, &said));
}

static bool
answer_turn(void *world)
{
    struct world *w = world;

    answer(&w->a, "{\"a\":1} ,2");
    answer(&w->b, "\"b\",2");
    return false;
}

/* Emitting. */

static void
events_are_emitted_to_rooms_and_namespaces(void **state)
{
    struct world w;

    begin(&w, NULL, 0, true);
    CHECK_OK(peal_session_subscribe(&w.b.session, PEAL_S("/chat#red")));
    CHECK_INT(
        post(&w, "/api/emit", "{\"event\":\"hi\",\"args\":[ 1.0 , {\"a\": 2}\n]}"), 200);
    GOT(w.a, "\"hi\"[1.0 , {\"a\": 2}]2;");
    GOT(w.b, "");
    CHECK_INT(post(&w, "/api/emit", "{\"namespace\":\"/chat\",\"event\":\"hi\"}"), 200);
    CHECK_INT(
        post(&w, "/api/emit",
            "{\"namespace\":\"/chat\",\"rooms\":\"red\",\"event\":\"x\",\"args\":[]}"),
        200);
    CHECK_INT(post(&w, "/api/emit",
                  "{\"namespace\":\"/chat\",\"rooms\":[\"blue\",\"r\\u0065d\"],"
                  "\"event\":\"y\",\"except\":[]}"),
        200);
    GOT(w.a, "");
    GOT(w.b, "\"hi\"[]0;\"x\"[]0;\"y\"[]0;");
    CHECK_INT(post(&w, "/api/emit",
                  "{\"namespace\":\"/chat\",\"except\":\"red\",\"event\":\"x\"}"),
        200);
    GOT(w.b, "");
    end(&w);
}

static void
a_session_is_reached_by_its_id(void **state)
{
    char text[256];
    struct world w;

    begin(&w, NULL, 0, true);
    snprintf(text, sizeof(text),
        "{\"namespace\":\"/chat\",\"rooms\":\"%.*s\",\"event\":\"x\"}", PEAL_ID_LEN,
        w.b.session.id);
    CHECK_INT(post(&w, "/api/emit", text), 200);
    GOT(w.b, "\"x\"[]0;");
    snprintf(text, sizeof(text), "{\"except\":[\"%.*s\"],\"event\":\"x\"}", PEAL_ID_LEN,
        w.a.session.id);
    CHECK_INT(post(&w, "/api/emit", text), 200);
    GOT(w.a, "");
    end(&w);
}

static void
acknowledgements_are_waited_for(void **state)
{
    struct world w;

    begin(&w, NULL, 0, true);
    peal_loop_hook(w.loop, answer_turn, &w);
    CHECK_INT(post(&w, "/api/emit", "{\"event\":\"q\",\"args\":[7],\"ack\":true}"), 200);
    assert_string_equal(
        body(&w), "{\"responses\":[{\"a\":1}],\"asked\":1,\"answered\":1}\n");
    CHECK(has_header(&w, "Content-Type: application/json\r\n"));
    GOT(w.a, "\"q\"[7]1;");
    GOT(w.b, "");
    CHECK_OK(peal_session_subscribe(&w.b.session, PEAL_S("r")));
    w.b.nsp = "/";
    CHECK_INT(post(&w, "/api/emit",
                  "{\"event\":\"q\",\"rooms\":[\"s\",\"r\"],\"ack\":true,"
                  "\"timeout_ms\":60000}"),
        200);
    assert_string_equal(body(&w), "{\"responses\":[\"b\"],\"asked\":1,\"answered\":1}\n");
    GOT(w.a, "");
    GOT(w.b, "\"q\"[]0;");
    CHECK_INT(stat_of(&w, PEAL_STAT_API_REQUESTS), 2);
    CHECK_INT(
        post(&w, "/api/emit", "{\"event\":\"q\",\"rooms\":\"x\",\"ack\":true}"), 200);
    assert_string_equal(body(&w), "{\"responses\":[],\"asked\":0,\"answered\":0}\n");
    end(&w);
}

static void
what_is_wrong_with_an_emit_is_named(void **state)
{
    struct world w;

    begin(&w, NULL, 0, true);
    post(&w, "/api/emit", "{}");
    CHECK_ERROR(&w, 400, "invalid_field", "event: required");
    post(&w, "/api/emit", "{\"event\":\"x\",\"args\":{}}");
    CHECK_ERROR(&w, 400, "invalid_field", "args: expected an array");
    post(&w, "/api/emit", "{\"event\":\"x\",\"rooms\":[ ]}");
    CHECK_ERROR(
        &w, 400, "invalid_field", "rooms: empty; leave it out to reach everybody");
    post(&w, "/api/emit", "{\"event\":\"x\",\"namespace\":\"chat\"}");
    CHECK_ERROR(&w, 400, "invalid_field", "namespace: begins with / and has no #");
    post(&w, "/api/emit", "{\"event\":\"x\",\"namespace\":\"/chat#red\"}");
    CHECK_ERROR(&w, 400, "invalid_field", "namespace: begins with / and has no #");
    post(&w, "/api/emit", "{\"event\":\"x\",\"ack\":\"yes\"}");
    CHECK_ERROR(&w, 400, "invalid_field", "ack: expected true or false");
    post(&w, "/api/emit", "{\"event\":\"x\",\"timeout_ms\":5}");
    CHECK_ERROR(&w, 400, "invalid_field", "timeout_ms: only with ack");
    post(&w, "/api/emit", "{\"event\":\"x\",\"ack\":true,\"timeout_ms\":0}");
    CHECK_ERROR(
        &w, 400, "invalid_field", "timeout_ms: expected a whole number from 1 to 60000");
    post(&w, "/api/emit", "{\"event\":\"x\",\"channel\":\"c\"}");
    CHECK_ERROR(&w, 400, "unknown_field", "unknown field \\\"channel\\\"");
    CHECK_INT(stat_of(&w, PEAL_STAT_PUBLISHED), 0);
    end(&w);
}

/* Who may ask. */

static const struct peal_slice two_keys[] = { { "first", 5 }, { "second", 6 } };

static void
any_of_the_keys_opens_and_nothing_else(void **state)
{
    static const char *const wrong[] = { "", "Authorization: Bearer secon\r\n",
        "Authorization: Bearer secondx\r\n", "Authorization: Basic second\r\n",
        "Authorization: second\r\n", "Authorization: Bearer\r\n" };
    struct world w;

    begin(&w, two_keys, 2, true); /* with keys, --dev opens nothing */
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ask(&w, "POST", "/api/publish", wrong[i], "{\"channel\":\"c\"}");
        CHECK_INT(status(&w), 401);
        CHECK(has_header(&w, "WWW-Authenticate: Bearer\r\n"));
    }
    CHECK_INT(stat_of(&w, PEAL_STAT_API_UNAUTHORIZED), 6);
    ask(&w, "POST", "/api/publish", KEY JSON, "{\"channel\":\"c\"}");
    CHECK_INT(status(&w), 200);
    ask(&w, "POST", "/api/emit", "authorization: bearer first\r\n", "{\"event\":\"x\"}");
    CHECK_INT(status(&w), 200);
    /* A key serves from anywhere. */
    ask(&w, "POST", "/api/emit",
        KEY "Origin: https://evil.example\r\nX-Forwarded-For: 9.9.9.9\r\n",
        "{\"event\":\"x\"}");
    CHECK_INT(status(&w), 200);
    end(&w);
}

static void
without_keys_the_api_is_off(void **state)
{
    struct world w;

    begin(&w, NULL, 0, false);
    post(&w, "/api/publish", "{\"channel\":\"c\"}");
    CHECK_ERROR(&w, 403, "forbidden", "the API is off: set api.key to use it");
    end(&w);
}

static void
dev_is_open_for_programs_of_this_machine_only(void **state)
{
    static const char *const local[] = { "", "Origin: http://localhost:3000\r\n",
        "Origin: https://127.0.0.1\r\n", "Origin: http://[::1]:5\r\n" };
    static const char *const foreign[] = { "Origin: https://evil.example\r\n",
        "Origin: null\r\n", "Origin: http://localhost.evil.example\r\n",
        "Origin: http://127.0.0.1.evil.example\r\n", "X-Forwarded-For: 127.0.0.1\r\n",
        "Forwarded: for=127.0.0.1\r\n", "Via: 1.1 proxy\r\n",
        "X-Real-IP: 127.0.0.1\r\n" };
    static const char rebound[] = "POST /api/emit HTTP/1.1\r\nHost: evil.example:8080\r\n"
                                  "Connection: close\r\nContent-Length: 13\r\n\r\n"
                                  "{\"event\":\"x\"}";
    struct world w;

    begin(&w, NULL, 0, true);
    for (unsigned i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        ask(&w, "POST", "/api/emit", local[i], "{\"event\":\"x\"}");
        CHECK_INT(status(&w), 200);
    }
    for (unsigned i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        ask(&w, "POST", "/api/emit", foreign[i], "{\"event\":\"x\"}");
        CHECK_ERROR(&w, 403, "forbidden",
            "without api.key only programs on this machine may use the API, "
            "with its own name or address in Host and Origin");
    }
    ask_bytes(&w, rebound, sizeof(rebound) - 1);
    CHECK_INT(status(&w), 403);
    CHECK_INT(stat_of(&w, PEAL_STAT_PUBLISHED), 4);
    end(&w);
}

static void
dev_is_closed_for_peers_elsewhere(void **state)
{
    static const char proxied[] = "PROXY TCP4 10.0.0.9 127.0.0.1 5555 8080\r\n"
                                  "POST /api/emit HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\nContent-Length: 13\r\n\r\n"
                                  "{\"event\":\"x\"}";
    struct world w;

    begin(&w, NULL, 0, true);
    w.config.proxy_protocol = true;
    ask_bytes(&w, proxied, sizeof(proxied) - 1);
    CHECK_INT(status(&w), 403);
    end(&w);
}

static void
requests_of_the_wrong_form_are_refused(void **state)
{
    static char large[BODY_MAX + 2];
    struct world w;

    begin(&w, NULL, 0, true);
    ask(&w, "GET", "/api/publish", "", "");
    CHECK_ERROR(&w, 405, "method_not_allowed", "use POST");
    CHECK(has_header(&w, "Allow: POST\r\n"));
    ask(&w, "POST", "/api/publish", "Content-Type: text/plain\r\n", "{}");
    CHECK_ERROR(&w, 415, "unsupported_media_type",
        "send the body as Content-Type: application/json");
    ask(&w, "POST", "/api/emit", "Content-Type: Application/JSON ; charset=utf-8\r\n",
        "{\"event\":\"x\"}");
    CHECK_INT(status(&w), 200);
    memset(large, ' ', BODY_MAX + 1);
    post(&w, "/api/publish", large);
    CHECK_ERROR(&w, 413, "too_large", "the body may have 2000 bytes at most");
    post(&w, "/api/subscribe", "{}");
    CHECK_ERROR(&w, 404, "not_found",
        "there are only /api/publish, /api/emit and /api/nodes here");
    end(&w);
}

static void
a_body_in_pieces_is_checked_before_it_is_read(void **state)
{
    static const char head[] = "POST /api/emit HTTP/1.1\r\nHost: localhost\r\n"
                               "Transfer-Encoding: chunked\r\n";
    static const char chunks[] =
        "Connection: close\r\n\r\n5\r\n{\"eve\r\n8\r\nnt\":\"x\"}\r\n"
        "0\r\n\r\n";
    char request[512];
    struct world w;
    int n;

    begin(&w, two_keys, 2, false);
    n = snprintf(request, sizeof(request), "%s\r\n", head); /* no body follows */
    ask_bytes(&w, request, (size_t)n);
    CHECK_INT(status(&w), 401);
    n = snprintf(request, sizeof(request), "%s" KEY "%s", head, chunks);
    ask_bytes(&w, request, (size_t)n);
    CHECK_INT(status(&w), 200);
    GOT(w.a, "\"x\"[]0;");
    end(&w);
}

static void
pages_of_listed_origins_may_ask_with_a_key(void **state)
{
    static const struct peal_slice origins[] = { { "https://shop.example", 20 } };
    static const struct peal_cors cors = { .origins = origins, .n = 1 };
    struct world w;

    begin(&w, two_keys, 2, false);
    w.node.cors = &cors;
    ask(&w, "OPTIONS", "/api/publish",
        "Origin: https://shop.example\r\nAccess-Control-Request-Method: POST\r\n"
        "Access-Control-Request-Headers: authorization\r\n",
        "");
    CHECK_INT(status(&w), 204);
    CHECK(has_header(&w, "Access-Control-Allow-Origin: https://shop.example\r\n"));
    CHECK(has_header(&w, "Access-Control-Allow-Headers: authorization\r\n"));
    ask(&w, "POST", "/api/emit", KEY JSON "Origin: https://shop.example\r\n",
        "{\"event\":\"x\"}");
    CHECK_INT(status(&w), 200);
    CHECK(has_header(&w, "Access-Control-Allow-Origin: https://shop.example\r\n"));
    ask(&w, "POST", "/api/emit", "Origin: https://shop.example\r\n", "{\"event\":\"x\"}");
    CHECK_INT(status(&w), 401); /* readable for the page */
    CHECK(has_header(&w, "Access-Control-Allow-Origin: https://shop.example\r\n"));
    end(&w);
}

static void
a_request_without_memory_is_answered_or_cut_off(void **state)
{
    static const char request[] =
        "POST /api/emit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        "Content-Length: 60\r\n\r\n"
        "{\"event\":\"x\",\"rooms\":[\"\\u0061\"],\"except\":\"b\",\"args\":[12345]}";
    unsigned unavailable = 0;
    struct world w;
    long left = 0;

    begin(&w, NULL, 0, true);
    w.log.level = -1;
    CHECK_OK(peal_session_subscribe(&w.a.session, PEAL_S("a")));
    CHECK_OK(peal_buf_reserve(&w.a.got, 400)); /* so that record allocates nothing */
    alloc_one = 1;
    for (long n = 0; left == 0; n++) {
        CHECK(n < 200);
        w.a.got.len = 0;
        alloc_left = n;
        ask_bytes(&w, request, sizeof(request) - 1);
        left = alloc_left < 0 ? 0 : 1; /* 1: nothing failed any more */
        alloc_left = -1;
        if (status(&w) == 503) {
            CHECK(has_header(&w, "Retry-After: 1\r\n"));
            CHECK_INT(w.a.got.len, 0);
            unavailable++;
        } else {
            CHECK(status(&w) == 0 || status(&w) == 200);
        }
    }
    alloc_one = 0;
    CHECK_INT(status(&w), 200);
    GOT(w.a, "\"x\"[12345]1;");
    CHECK(unavailable > 0);
    end(&w);
}

/* Health and metrics. */

static void
health_says_what_is_true(void **state)
{
    struct world w;

    begin(&w, NULL, 0, false);
    ask(&w, "GET", "/livez", "", "");
    CHECK_INT(status(&w), 200);
    assert_string_equal(body(&w), "ok\n");
    ask(&w, "GET", "/readyz", "", "");
    CHECK_INT(status(&w), 200);
    assert_string_equal(body(&w), "ready\n");
    CHECK(has_header(&w, "Cache-Control: no-store\r\n"));
    w.node.unready = "draining";
    ask(&w, "GET", "/readyz", "", "");
    CHECK_INT(status(&w), 503);
    assert_string_equal(body(&w), "draining\n");
    ask(&w, "HEAD", "/livez", "", "");
    CHECK_INT(status(&w), 200);
    assert_string_equal(body(&w), "");
    ask(&w, "POST", "/livez", "", "");
    CHECK_INT(status(&w), 405);
    CHECK(has_header(&w, "Allow: GET, HEAD\r\n"));
    end(&w);
}

static unsigned
count(const char *text, const char *what)
{
    unsigned n = 0;

    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        n++;
    return n;
}

static void
metrics_add_up_over_workers(void **state)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL };
    struct peal_loop *loops[2];
    struct world w;

    begin(&w, NULL, 0, false);
    config.log = &w.log;
    CHECK_OK(peal_loop_new(&config, &loops[1]));
    loops[0] = w.loop;
    w.node.loops = loops;
    w.node.n_loops = 2;
    peal_stat_add(peal_loop_stats(loops[0]), PEAL_STAT_CLOSED_SLOW, 3);
    peal_stat_add(peal_loop_stats(loops[1]), PEAL_STAT_CLOSED_SLOW, 4);
    peal_stat_add(peal_loop_stats(loops[1]), PEAL_STAT_LOOP_BUSY, 15000000000000);
    /* The control thread counts too, but for its own connections. */
    CHECK_OK(peal_loop_new(&config, &w.node.control));
    peal_stat_add(peal_loop_stats(w.node.control), PEAL_STAT_LOOP_BUSY, 7000000000);
    peal_stat_add(peal_loop_stats(w.node.control), PEAL_STAT_CLOSED_SLOW, 100);
    peal_stat_add(peal_loop_stats(w.node.control), PEAL_STAT_PUBLISHED, 5);
    ask(&w, "GET", "/metrics", "", "");
    CHECK_INT(status(&w), 200);
    CHECK(has_header(&w, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    CHECK_INT(count(body(&w), "\npeal_closed_total{reason=\"slow_reader\"} 7\n"), 1);
    CHECK_INT(count(body(&w), "# TYPE peal_closed_total counter\n"), 1);
    /* and what the loops of this test worked, which is less than a second */
    CHECK_INT(count(body(&w), "\npeal_loop_busy_seconds_total{loop=\"worker-0\"} 0."), 1);
    CHECK_INT(
        count(body(&w), "\npeal_loop_busy_seconds_total{loop=\"worker-1\"} 15000."), 1);
    CHECK_INT(count(body(&w), "\npeal_loop_busy_seconds_total{loop=\"control\"} 7."), 1);
    CHECK_INT(count(body(&w), "\npeal_messages_published_total 5\n"), 1);
    CHECK_INT(count(body(&w), "\npeal_workers 2\n"), 1);
    CHECK_INT(count(body(&w), "\npeal_build_info{version=\"1.2.3\",engine=\"epoll\","
                              "node=\"a \\\"node\\\"\\\\\\n\"} 1\n"),
        1);
    CHECK_INT(count(body(&w), "\nprocess_start_time_seconds 1700000000\n"), 1);
    CHECK_INT(count(body(&w), "\nprocess_resident_memory_bytes "), 1);
    CHECK_INT(count(body(&w), "\nprocess_open_fds "), 1);
    peal_loop_free(&loops[1]);
    peal_loop_free(&w.node.control);
    w.node.n_loops = 1;
    w.node.loops = &w.loop;
    end(&w);
}

static void
metrics_please_promtool(void **state)
{
    struct peal_buf text = { 0 };
    struct world w;
    FILE *tool;

    if (system("promtool --version >/dev/null 2>&1") != 0)
        skip();
    begin(&w, NULL, 0, false);
    CHECK_OK(peal_api_metrics_text(&w.node, &text));
    tool = popen("promtool check metrics >&2", "w");
    CHECK(tool != NULL);
    CHECK_INT(fwrite(text.data, 1, text.len, tool), text.len);
    CHECK_INT(pclose(tool), 0);
    peal_buf_fini(&text);
    end(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_is_published_byte_for_byte),
        cmocka_unit_test(data_may_be_anything_and_is_null_by_default),
        cmocka_unit_test(several_channels_reach_a_subscriber_once),
        cmocka_unit_test(what_is_wrong_with_a_publish_is_named),
        cmocka_unit_test(names_and_their_number_are_bounded),
        cmocka_unit_test(events_are_emitted_to_rooms_and_namespaces),
        cmocka_unit_test(a_session_is_reached_by_its_id),
        cmocka_unit_test(acknowledgements_are_waited_for),
        cmocka_unit_test(what_is_wrong_with_an_emit_is_named),
        cmocka_unit_test(any_of_the_keys_opens_and_nothing_else),
        cmocka_unit_test(without_keys_the_api_is_off),
        cmocka_unit_test(dev_is_open_for_programs_of_this_machine_only),
        cmocka_unit_test(dev_is_closed_for_peers_elsewhere),
        cmocka_unit_test(requests_of_the_wrong_form_are_refused),
        cmocka_unit_test(a_body_in_pieces_is_checked_before_it_is_read),
        cmocka_unit_test(pages_of_listed_origins_may_ask_with_a_key),
        cmocka_unit_test(a_request_without_memory_is_answered_or_cut_off),
        cmocka_unit_test(health_says_what_is_true),
        cmocka_unit_test(metrics_add_up_over_workers),
        cmocka_unit_test(metrics_please_promtool),
    };

    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1, the server's side: from bytes to requests, and who has to do with them when.
 *
 *   READING_PROXY ---> READING_HEAD <------------------------------------------.
 *                          |    ^                                              |
 *                 a head   |    | resumed                     the answer, and  |
 *                          v    |                             the connection   |
 *                     IN_HANDLER ---- defer ---> DEFERRED     stays            |
 *                      |  ^   |  (begin)                                       |
 *      a body is to    |  |   |                                                |
 *      come            v  |   | handle has returned without an answer          |
 *              READING_BODY   '------------------------> ANSWERING ------------'
 *
 * From each state to DEAD, when the connection ends, is closed after its answer, or moves
 * to another worker; and from those after READING_HEAD to HIJACKED, when it leaves HTTP.
 * From IN_HANDLER on to ANSWERING a request is in progress: pipelined ones wait, unread.
 * Answers are in reply.c, servers in server.c.
 */
#include "http/http.h"

#include <stdlib.h>

#include "http/forwarded_priv.h"
#include "http/http_priv.h"
#include "wire/proxy.h"

/* Spare ones are kept: a hole in the heap for each WebSocket that leaves HTTP behind
 * would cost more. None with ASan, which then reports a use after the end. */
#ifdef __SANITIZE_ADDRESS__
#define SPARE_MAX 0
#else
#define SPARE_MAX 256
#endif

static peal_conn_data_fn http_on_data;
static peal_conn_closed_fn http_on_closed;

const struct peal_conn_ops peal_http_conn_ops = { .data = http_on_data,
    .closed = http_on_closed };

#define TO(state) (1u << (state))
#define ENDS (TO(PEAL_HTTP_HIJACKED) | TO(PEAL_HTTP_DEAD))

/* The states that each state may lead to. */
static const uint8_t edges[] = {
    [PEAL_HTTP_READING_PROXY] = TO(PEAL_HTTP_READING_HEAD) | TO(PEAL_HTTP_DEAD),
    [PEAL_HTTP_READING_HEAD] =
        TO(PEAL_HTTP_READING_PROXY) | TO(PEAL_HTTP_IN_HANDLER) | TO(PEAL_HTTP_DEAD),
    [PEAL_HTTP_READING_BODY] = TO(PEAL_HTTP_IN_HANDLER) | ENDS,
    [PEAL_HTTP_IN_HANDLER] = TO(PEAL_HTTP_READING_HEAD) | TO(PEAL_HTTP_READING_BODY) |
                             TO(PEAL_HTTP_DEFERRED) | TO(PEAL_HTTP_ANSWERING) | ENDS,
    [PEAL_HTTP_DEFERRED] = TO(PEAL_HTTP_READING_HEAD) | ENDS,
    [PEAL_HTTP_ANSWERING] = TO(PEAL_HTTP_READING_HEAD) | TO(PEAL_HTTP_IN_HANDLER) | ENDS,
    [PEAL_HTTP_HIJACKED] = 0,
    [PEAL_HTTP_DEAD] = 0,
};

void
peal_http_set_state(struct peal_http_conn *h, enum peal_http_state to)
{
    bool was_busy = peal_http_is_busy(h);

    PEAL_ASSERT((edges[h->state] & TO(to)) != 0);
    h->state = to;
    if (peal_http_is_busy(h) == was_busy && !peal_http_is_over(h))
        return;
    PEAL_ASSERT(peal_list_linked(&h->link));
    peal_list_unlink(&h->link);
    if (!peal_http_is_over(h))
        peal_list_append(was_busy ? &h->server->idle : &h->server->busy, &h->link);
}

static void
http_free(void *p)
{
    struct peal_http_conn *h = p;
    struct peal_http_server *s = h->server;

    peal_http_body_free(h);
    peal_buf_fini(&h->headers);
    if (s->n_spare == SPARE_MAX) {
        free(h);
        return;
    }
    h->req.user = s->spare;
    s->spare = h;
    s->n_spare++;
}

/* Forgets a pending resume: nothing will be called in place of begin. */
static void
drop_instead(struct peal_http_conn *h)
{
    struct peal_http_resumed r = h->instead;

    h->instead = (struct peal_http_resumed){ 0 };
    if (r.fn != NULL)
        r.dropped(r.ctx);
}

void
peal_http_release(struct peal_http_conn *h, enum peal_http_state end)
{
    peal_http_set_state(h, end);
    h->conn = NULL;
    peal_timer_stop(&h->timer);
    drop_instead(h);
    peal_loop_free_later(h->server->loop, http_free, h);
}

void
peal_http_tell_gone(struct peal_http_conn *h)
{
    peal_http_gone_fn *gone = h->req.gone;

    h->req.gone = NULL;
    if (gone != NULL && peal_http_is_busy(h))
        gone(&h->req);
}

static void
http_on_closed(struct peal_conn *c, enum peal_close why)
{
    struct peal_http_conn *h = peal_conn_owner(c);

    peal_http_tell_gone(h);
    if (!peal_http_is_over(h))
        peal_http_release(h, PEAL_HTTP_DEAD);
}

void
peal_http_close(struct peal_http *req, enum peal_close why)
{
    struct peal_http_conn *h = peal_http_conn_of(req);

    peal_conn_close(h->conn, why);
    peal_http_release(h, PEAL_HTTP_DEAD);
}

struct peal_conn *
peal_http_conn(const struct peal_http *req)
{
    return peal_http_conn_of(req)->conn;
}

struct peal_http_server *
peal_http_server_of(const struct peal_http *req)
{
    return peal_http_conn_of(req)->server;
}

static void
http_on_timeout(struct peal_timer *t)
{
    struct peal_http_conn *h = PEAL_CONTAINER(t, struct peal_http_conn, timer);
    bool busy = peal_http_is_busy(h);

    peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_TIMEOUT, 1);
    peal_http_tell_gone(h);
    if (h->state == PEAL_HTTP_READING_PROXY ||
        (!busy && peal_conn_unread(h->conn).len == 0)) {
        peal_http_close(&h->req, PEAL_CLOSE_TIMEOUT);
        return;
    }
    if (!busy) { /* half a head; the request before does not matter */
        h->req.is_head = false;
        peal_http_set_state(h, PEAL_HTTP_IN_HANDLER);
    }
    peal_http_refuse(
        &h->req, 408, "text/plain", PEAL_S("the request took too long to arrive\n"));
}

void
peal_http_arm(struct peal_http_conn *h, uint64_t ms)
{
    h->timer.fn = http_on_timeout;
    peal_loop_start(h->server->loop, &h->timer, ms);
}

bool
peal_http_start_tls(struct peal_http_conn *h)
{
    struct peal_http_server *s = h->server;

    h->need_tls = 0;
    h->conn_secure = 1;
    return s->tls == NULL ? false : peal_conn_start_tls(h->conn, s->tls) == PEAL_OK;
}

void
peal_http_migrate(struct peal_http *req, unsigned worker)
{
    peal_http_conn_of(req)->move_to = (int)worker;
}

void
peal_http_defer(struct peal_http *req)
{
    peal_http_set_state(peal_http_conn_of(req), PEAL_HTTP_DEFERRED);
}

void
peal_http_resume(struct peal_http *req)
{
    struct peal_http_conn *h = peal_http_conn_of(req);

    peal_http_set_state(h, PEAL_HTTP_READING_HEAD);
    h->req.again = true;
    h->req.gone = NULL;
    peal_conn_read_again(h->conn);
}

void
peal_http_resume_to(struct peal_http *req, const struct peal_http_resumed *to)
{
    peal_http_conn_of(req)->instead = *to;
    peal_http_resume(req);
}

void
peal_http_resume_now(struct peal_http *req)
{
    struct peal_http_conn *h = peal_http_conn_of(req);

    h->headers.len = 0;
    peal_http_resume(req);
    peal_conn_offer_kept(h->conn);
}

size_t
peal_http_line_len(const struct peal_http *req)
{
    const struct peal_http_conn *h = peal_http_conn_of(req);
    const char *line = req->head->method.data;

    PEAL_ASSERT(h->raw.len > 0);
    line = memchr(line, '\n', h->raw.len - (size_t)(line - h->raw.data));
    return (size_t)(line + 1 - h->raw.data);
}

static size_t
read_proxy(struct peal_http_conn *h, struct peal_slice in)
{
    struct peal_proxy proxy;
    size_t used = 0;
    peal_err err = peal_proxy_parse(in, &proxy, &used);

    if (err == PEAL_EAGAIN)
        return 0;
    if (err != PEAL_OK) {
        peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_PROXY_BAD, 1);
        peal_http_close(&h->req, PEAL_CLOSE_PROTO);
        return 0;
    }
    peal_http_set_state(h, PEAL_HTTP_READING_HEAD);
    if (!proxy.local) {
        h->req.peer = proxy.src;
        h->conn_secure = proxy.tls;
    }
    peal_conn_end_peek(h->conn);
    if (h->need_tls && !peal_http_start_tls(h))
        peal_http_close(&h->req, PEAL_CLOSE_ERROR);
    return used;
}

static const struct peal_http_route *
find_route(const struct peal_http_server *s, struct peal_slice path)
{
    for (unsigned i = 0; i < s->n_routes; i++) {
        const struct peal_http_route *r = &s->routes[i];

        if (r->prefix ? peal_slice_starts(path, r->path) : peal_slice_eq(path, r->path))
            return r;
    }
    return NULL;
}

/* The route of paths that no other one matches. */
static const struct peal_http_route nowhere = { .handle = peal_http_not_found };

/* Finds the client's address, behind the proxies that are trusted. */
static void
set_client(struct peal_http_conn *h, const struct peal_httphead *head)
{
    const struct peal_http_config *cfg = h->server->config;
    struct peal_slice xff[PEAL_HTTP_HEADERS_MAX];
    unsigned i = 0, n = 0;

    h->req.client = h->req.peer;
    h->req.secure = h->conn_secure;
    h->req.trusted = peal_cidr_any(cfg->trusted, cfg->n_trusted, &h->req.peer);
    if (!h->req.trusted)
        return;
    /* All of them: the nearest proxy may have added its own at the end. */
    while (n < PEAL_HTTP_HEADERS_MAX &&
           peal_httphead_next(head, PEAL_S("X-Forwarded-For"), &i, &xff[n]))
        n++;
    peal_forwarded_client(
        &h->req.peer, cfg->trusted, cfg->n_trusted, xff, n, &h->req.client);
    h->req.secure = peal_forwarded_https(&h->req.peer, cfg->trusted, cfg->n_trusted,
        peal_httphead_get(head, PEAL_S("X-Forwarded-Proto")), h->conn_secure);
}

/* Without the query: it may hold what is nobody's business. */
static void
log_request(struct peal_http_conn *h, const struct peal_httphead *head)
{
    struct peal_log *log = peal_loop_log(h->server->loop);
    char client[PEAL_ADDR_TEXT_MAX];

    if (log == NULL || log->level < PEAL_LOG_DEBUG)
        return;
    peal_addr_format_ip(&h->req.client, client);
    peal_log(log, PEAL_LOG_DEBUG, "request", "client=%s https=%s method=%.*s path=%.*s",
        client, h->req.secure ? "yes" : "no", PEAL_ARG(head->method),
        PEAL_ARG(head->path));
}

static void
call_with(struct peal_http_conn *h, peal_http_fn *fn, void *ctx,
    const struct peal_httphead *head, struct peal_slice body)
{
    h->req.head = head;
    h->req.body = body;
    fn(&h->req, ctx);
    h->req.head = NULL;
    h->req.body = (struct peal_slice){ NULL, 0 };
}

/* The whole request is there. */
static void
handle(struct peal_http_conn *h, const struct peal_httphead *head, struct peal_slice body)
{
    call_with(h, h->route->handle, h->route->ctx, head, body);
    if (h->state == PEAL_HTTP_IN_HANDLER)
        peal_http_set_state(h, PEAL_HTTP_ANSWERING);
}

peal_err
peal_http_copy_head(const struct peal_http *req, struct peal_buf *out)
{
    const struct peal_http_conn *h = peal_http_conn_of(req);
    struct peal_httphead head;
    size_t used = 0, scan = 0;
    peal_err err;

    if (h->reader != NULL)
        return PEAL_EUNSUPP;
    err = peal_httphead_parse(h->raw, &h->server->limits, &scan, &head, &used);
    PEAL_ASSERT(h->state == PEAL_HTTP_IN_HANDLER && err == PEAL_OK);
    return peal_buf_add(out, h->raw.data, used);
}

void
peal_http_call_again(
    struct peal_http *req, struct peal_slice text, peal_http_fn *fn, void *ctx)
{
    struct peal_http_conn *h = peal_http_conn_of(req);
    struct peal_httphead head;
    size_t used = 0, scan = 0;
    peal_err err = peal_httphead_parse(text, &h->server->limits, &scan, &head, &used);

    PEAL_ASSERT(err == PEAL_OK); /* it was before */
    peal_http_set_state(h, PEAL_HTTP_IN_HANDLER);
    call_with(h, fn, ctx, &head, peal_slice_of(NULL, 0));
    if (h->state == PEAL_HTTP_IN_HANDLER)
        peal_http_set_state(h, PEAL_HTTP_ANSWERING);
}

static void
refuse_head(struct peal_http_conn *h, const struct peal_httphead *head)
{
    char body[160];
    int n = snprintf(body, sizeof(body), "%s\n", head->why ? head->why : "bad request");

    peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_BAD, 1);
    peal_log(peal_loop_log(h->server->loop), PEAL_LOG_DEBUG, "bad request",
        "status=%u why=\"%s\"", head->status, head->why ? head->why : "");
    peal_http_set_state(h, PEAL_HTTP_IN_HANDLER);
    h->req.minor = 1;
    h->req.is_head = false;
    peal_http_refuse(&h->req, head->status ? head->status : 400, "text/plain",
        peal_slice_of(body, (size_t)n));
}

/* Checks that a request comes from a client, or from another node with the secret. again:
 * it was counted. */
static bool
accept_forward(struct peal_http_conn *h, const struct peal_httphead *head, bool again)
{
    struct peal_stats *stats = peal_loop_stats(h->server->loop);
    const char *secret = h->server->config->forward_secret;
    unsigned status =
        peal_http_forwarded_check(head, secret, &h->req.client, &h->req.secure);

    h->req.forwarded = secret != NULL && status == 0;
    if (status == 0) {
        if (h->req.forwarded && !again)
            peal_stat_add(stats, PEAL_STAT_FORWARDED_IN, 1);
        return true;
    }
    peal_stat_add(stats, PEAL_STAT_HTTP_BAD, 1);
    peal_http_refuse(&h->req, status, "text/plain",
        status == 403 ? PEAL_S("this is for nodes of the cluster\n")
                      : PEAL_S("clients do not forward\n"));
    return false;
}

static void
refuse_size(struct peal_http_conn *h)
{
    peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_BAD, 1);
    peal_http_refuse(&h->req, 413, "text/plain",
        h->route->bare_errors ? PEAL_S("") : PEAL_S("the body is too large\n"));
}

/* No body is decoded here, and to read a coded one as it is would be a mistake. */
static void
refuse_coding(struct peal_http_conn *h)
{
    peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_BAD, 1);
    peal_http_add(&h->req, "Accept-Encoding", "identity");
    peal_http_refuse(&h->req, 415, "text/plain",
        h->route->bare_errors ? PEAL_S("") : PEAL_S("send the body without a coding\n"));
}

/* The route's begin hook, or what is called instead. false: the request has ended with
 * it, or waits. */
static bool
begin(struct peal_http_conn *h, const struct peal_httphead *head)
{
    struct peal_http_resumed instead = h->instead;

    h->instead = (struct peal_http_resumed){ 0 };
    if (instead.fn != NULL)
        call_with(h, instead.fn, instead.ctx, head, peal_slice_of(NULL, 0));
    else if (h->route->begin != NULL)
        call_with(h, h->route->begin, h->route->ctx, head, peal_slice_of(NULL, 0));
    h->req.again = false;
    if (h->move_to >= 0 && !peal_http_is_over(h))
        peal_http_move(h);
    return h->state == PEAL_HTTP_IN_HANDLER;
}

/* Continue with a body that is not here yet; head moves into the reader. */
static void
wait_for_body(struct peal_http_conn *h, const struct peal_httphead *head, size_t head_len)
{
    if (peal_http_body_new(h, head, head_len) != PEAL_OK) {
        peal_http_tell_gone(h);
        peal_http_close(&h->req, PEAL_CLOSE_MEMORY);
        return;
    }
    peal_http_set_state(h, PEAL_HTTP_READING_BODY);
    if (head->expect_continue && !h->continued) {
        h->continued = 1;
        peal_conn_send_bytes(h->conn, PEAL_S("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    peal_http_arm(h, h->server->config->body_timeout_ms);
}

bool
peal_http_may_stay(const struct peal_http_conn *h)
{
    const struct peal_http_server *s = h->server;

    return s->config->forward_secret == NULL &&
           (!s->draining || (h->route->stays && !s->finishing));
}

/* Tells whether the connection may serve more after this request. A proxy that does not
 * look at the status tunnels all that follows an upgrade, refused or not: nothing else
 * may be reached by that connection. */
static bool
may_go_on(const struct peal_http_conn *h, const struct peal_httphead *head)
{
    return head->keep_alive && !head->upgrade_websocket && peal_http_may_stay(h);
}

/* A request whose head is complete. Returns the bytes used, of head and body. */
static size_t
http_on_head(struct peal_http_conn *h, struct peal_slice in,
    const struct peal_httphead *head, size_t head_len)
{
    size_t have = in.len - head_len;
    size_t want = head->content_length > 0 ? (size_t)head->content_length : 0;
    bool whole = !head->chunked && want <= have, again = h->req.again;

    peal_timer_stop(&h->timer);
    if (!again)
        peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_REQUESTS, 1);
    peal_http_set_state(h, PEAL_HTTP_IN_HANDLER);
    h->continued = 0;
    h->req.minor = head->minor & 1;
    h->req.is_head = peal_slice_eq(head->method, PEAL_S("HEAD"));
    h->req.user = NULL;
    h->req.gone = NULL;
    h->raw = in;
    set_client(h, head);
    if (!accept_forward(h, head, again))
        return head_len;
    log_request(h, head);
    if ((h->route = find_route(h->server, head->path)) == NULL)
        h->route = &nowhere;
    h->keep_alive = whole && may_go_on(h, head);
    if (h->route == &nowhere) {
        handle(h, head, peal_slice_of(NULL, 0));
        return whole ? head_len + want : head_len;
    }
    if (!begin(h, head))
        return h->state == PEAL_HTTP_DEFERRED ? 0 : whole ? head_len + want : head_len;
    if (want > h->route->body_max ||
        (head->content_coded && (head->chunked || want > 0))) {
        peal_http_tell_gone(h);
        if (want > h->route->body_max)
            refuse_size(h);
        else
            refuse_coding(h);
        return head_len;
    }
    h->keep_alive = may_go_on(h, head);
    if (!whole) {
        wait_for_body(h, head, head_len);
        return head_len;
    }
    handle(h, head, peal_slice_of(in.data + head_len, want));
    return head_len + want;
}

static size_t
read_head(struct peal_http_conn *h, struct peal_slice in)
{
    struct peal_httphead head;
    size_t used = 0;
    peal_err err;

    if (h->scan == 0)
        peal_http_arm(h, h->server->config->head_timeout_ms);
    err = peal_httphead_parse(in, &h->server->limits, &h->scan, &head, &used);
    if (err == PEAL_EAGAIN)
        return 0;
    h->scan = 0;
    if (err != PEAL_OK) {
        refuse_head(h, &head);
        return in.len;
    }
    return http_on_head(h, in, &head, used);
}

static size_t
read_body(struct peal_http_conn *h, struct peal_slice in)
{
    size_t used = 0;
    peal_err err = peal_http_body_read(h, in, &used);

    if (err == PEAL_EAGAIN)
        return used;
    if (err != PEAL_OK) {
        peal_http_tell_gone(h);
        if (err == PEAL_ELIMIT) {
            refuse_size(h);
            return used;
        }
        if (err == PEAL_ENOMEM) {
            peal_http_close(&h->req, PEAL_CLOSE_MEMORY);
            return used;
        }
        peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_BAD, 1);
        peal_http_refuse(&h->req, 400, "text/plain", PEAL_S("malformed body\n"));
        return used;
    }
    peal_timer_stop(&h->timer);
    peal_http_set_state(h, PEAL_HTTP_IN_HANDLER);
    handle(h, peal_http_body_head(h), peal_buf_slice(&h->in_body));
    peal_http_body_free(h);
    return used;
}

static size_t
http_on_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct peal_http_conn *h = peal_conn_owner(c);
    size_t at = 0;

    while (at < len && !peal_http_is_over(h)) {
        struct peal_slice in = { (const char *)data + at, len - at };
        bool tls_next = h->need_tls; /* after the PROXY header */
        size_t used = 0;

        if (h->state == PEAL_HTTP_READING_PROXY)
            used = read_proxy(h, in);
        else if (h->state == PEAL_HTTP_READING_BODY)
            used = read_body(h, in);
        else if (h->state == PEAL_HTTP_READING_HEAD)
            used = read_head(h, in);
        at += used;
        if (used == 0 || tls_next) /* 0: or pipelined, to be read after the answer */
            break;
    }
    return at;
}

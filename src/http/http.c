/* SPDX-License-Identifier: MIT */
/*
 * The server's side of HTTP/1.1: from bytes to requests. A connection waits for a head
 * (and before that, perhaps, for a PROXY header), then for a body, then for somebody to
 * answer. Answers are in reply.c.
 */
#include "http/http.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "http/http_priv.h"
#include "wire/proxy.h"

/* Spare ones are kept: a hole in the heap for each WebSocket that leaves HTTP behind
 * would cost more. */
#ifdef __SANITIZE_ADDRESS__
#define SPARE_MAX 0 /* it is to see what is used after it was freed */
#else
#define SPARE_MAX 256
#endif

static size_t on_data(struct peal_conn *c, uint8_t *data, size_t len);
static void on_closed(struct peal_conn *c, enum peal_close why);

const struct peal_conn_ops peal_http_conn_ops = { .data = on_data, .closed = on_closed };

static void
destroy(void *p)
{
    struct peal_http *h = p;
    struct peal_http_server *s = h->server;

    peal_http_body_free(h);
    peal_buf_fini(&h->headers);
    if (s->n_spare == SPARE_MAX) {
        free(h);
        return;
    }
    h->user = s->spare;
    s->spare = h;
    s->n_spare++;
}

/* h has no connection any more; it may still be on the stack. */
void
peal_http_release(struct peal_http *h)
{
    h->dead = 1;
    h->conn = NULL;
    peal_list_unlink(&h->link);
    peal_timer_stop(&h->timer);
    peal_http_forward_cancel(h);
    peal_loop_free_later(h->server->loop, destroy, h);
}

/* Tells whoever was to answer the request that nothing will come of it. */
static void
tell_gone(struct peal_http *h)
{
    void (*gone)(struct peal_http * h) = h->gone;

    h->gone = NULL;
    if (gone != NULL && h->answering)
        gone(h);
}

static void
on_closed(struct peal_conn *c, enum peal_close why)
{
    struct peal_http *h = peal_conn_owner(c);

    tell_gone(h);
    peal_http_release(h);
}

void
peal_http_close(struct peal_http *h, enum peal_close why)
{
    peal_conn_close(h->conn, why);
    peal_http_release(h);
}

static void
arm(struct peal_http *h, uint64_t ms)
{
    peal_loop_start(h->server->loop, &h->timer, ms);
}

void
peal_http_wait_next(struct peal_http *h)
{
    arm(h, h->server->config->idle_timeout_ms);
}

static void
on_timeout(struct peal_timer *t)
{
    struct peal_http *h = PEAL_CONTAINER(t, struct peal_http, timer);
    bool began = peal_conn_unread(h->conn).len > 0 || h->reader != NULL;

    peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_TIMEOUT, 1);
    tell_gone(h);
    if (!h->answering) /* what the request before was does not matter */
        h->is_head = 0;
    if (began && !h->need_proxy)
        peal_http_refuse(
            h, 408, "text/plain", PEAL_S("the request took too long to arrive\n"));
    else
        peal_http_close(h, PEAL_CLOSE_TIMEOUT);
}

/* Begin with a fresh socket, or one that another worker hands over. */
static struct peal_http *
http_new(struct peal_http_server *s)
{
    struct peal_http *h = s->spare;

    if (h != NULL) {
        s->spare = h->user;
        s->n_spare--;
        memset(h, 0, sizeof(*h));
    } else if ((h = calloc(1, sizeof(*h))) == NULL) {
        return NULL;
    }
    h->server = s;
    h->timer.fn = on_timeout;
    h->move_to = -1;
    peal_list_append(&s->all, &h->link);
    return h;
}

static bool
start_tls(struct peal_http *h)
{
    struct peal_http_server *s = h->server;

    h->need_tls = 0;
    h->conn_secure = 1;
    return s->tls == NULL ? false : peal_conn_start_tls(h->conn, s->tls) == PEAL_OK;
}

void
peal_http_server_accept(void *server, int fd, const struct sockaddr *peer)
{
    struct peal_http_server *s = server;
    struct peal_http *h = http_new(s);

    if (h == NULL || peal_conn_new(s->loop, fd, s->config->conn_kind, &peal_http_conn_ops,
                         h, &h->conn) != PEAL_OK) {
        peal_stat_add(peal_loop_stats(s->loop), PEAL_STAT_ACCEPT_ERRORS, 1);
        if (h != NULL)
            peal_http_release(h);
        close(fd);
        return;
    }
    peal_addr_from_sockaddr(peer, sizeof(struct sockaddr_storage), &h->peer);
    h->need_proxy = s->config->proxy_protocol;
    h->need_tls = s->tls != NULL;
    arm(h, s->config->head_timeout_ms);
    if (h->need_proxy && h->need_tls)
        peal_conn_peek(h->conn);
    else if (h->need_tls && !start_tls(h))
        peal_http_close(h, PEAL_CLOSE_ERROR);
}

/* A connection on its way to another worker. */
struct move {
    struct peal_task task; /* first */
    struct peal_http_server *server;
    struct peal_conn_parts parts;
    struct peal_addr peer;
    bool conn_secure;
};

static void
on_moved(struct peal_loop *loop, struct peal_task *task)
{
    struct move *m = (struct move *)task;
    struct peal_http *h = m->server->stopping ? NULL : http_new(m->server);

    if (h == NULL) {
        peal_conn_parts_fini(&m->parts);
    } else if (peal_conn_adopt(loop, &m->parts, &peal_http_conn_ops, h, &h->conn) !=
               PEAL_OK) {
        peal_http_release(h);
    } else {
        h->peer = m->peer;
        h->conn_secure = m->conn_secure;
        h->again = true;
        arm(h, m->server->config->head_timeout_ms);
    }
    free(m);
}

static void
move(struct peal_http *h)
{
    struct peal_http_server *s = h->server;
    struct move *m = calloc(1, sizeof(*m));

    peal_conn_flush(h->conn); /* answers to earlier requests of a pipeline */
    if (h->dead) {
        free(m);
        return;
    }
    if (m == NULL || s->stopping || peal_conn_queued(h->conn) > 0 ||
        peal_conn_detach(h->conn, h->raw, &m->parts) != PEAL_OK) {
        free(m);
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    peal_stat_add(peal_loop_stats(s->loop), PEAL_STAT_HANDED_OVER, 1);
    m->task.fn = on_moved;
    m->server = s->peers[h->move_to];
    assert(!m->server->config->forward_secret == !s->config->forward_secret);
    m->peer = h->peer;
    m->conn_secure = h->conn_secure;
    peal_http_release(h);
    peal_loop_post(m->server->loop, &m->task);
}

void
peal_http_migrate(struct peal_http *h, unsigned worker)
{
    h->move_to = (int)worker;
}

void
peal_http_defer(struct peal_http *h)
{
    h->held = 1;
}

void
peal_http_resume(struct peal_http *h)
{
    h->held = 0;
    h->again = true;
    h->answering = 0;
    h->gone = NULL;
    peal_conn_read_again(h->conn);
}

void
peal_http_resume_now(struct peal_http *h)
{
    h->headers.len = 0;
    peal_http_resume(h);
    peal_conn_offer_kept(h->conn);
}

static size_t
read_proxy(struct peal_http *h, struct peal_slice in)
{
    struct peal_proxy proxy;
    size_t used = 0;
    peal_err err = peal_proxy_parse(in, &proxy, &used);

    if (err == PEAL_EAGAIN)
        return 0;
    if (err != PEAL_OK) {
        peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_PROXY_BAD, 1);
        peal_http_close(h, PEAL_CLOSE_PROTO);
        return 0;
    }
    h->need_proxy = 0;
    if (!proxy.local) {
        h->peer = proxy.src;
        h->conn_secure = proxy.tls;
    }
    peal_conn_end_peek(h->conn);
    if (h->need_tls && !start_tls(h))
        peal_http_close(h, PEAL_CLOSE_ERROR);
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

/* What serves a path that no route matches. */
static const struct peal_http_route nowhere = { .handle = peal_http_not_found };

/* Who is asking, through which proxies. */
static void
set_client(struct peal_http *h, const struct peal_httphead *head)
{
    const struct peal_http_config *cfg = h->server->config;
    struct peal_slice xff[PEAL_HTTP_HEADERS_MAX];
    unsigned i = 0, n = 0;

    h->client = h->peer;
    h->secure = h->conn_secure;
    h->trusted = peal_cidr_any(cfg->trusted, cfg->n_trusted, &h->peer);
    if (!h->trusted)
        return;
    /* All of them: the nearest proxy may have added its own at the end. */
    while (n < PEAL_HTTP_HEADERS_MAX &&
           peal_httphead_next(head, PEAL_S("X-Forwarded-For"), &i, &xff[n]))
        n++;
    peal_forwarded_client(&h->peer, cfg->trusted, cfg->n_trusted, xff, n, &h->client);
    h->secure = peal_forwarded_https(&h->peer, cfg->trusted, cfg->n_trusted,
        peal_httphead_get(head, PEAL_S("X-Forwarded-Proto")), h->conn_secure);
}

/* Without the query: it may hold what is nobody's business. */
static void
log_request(struct peal_http *h, const struct peal_httphead *head)
{
    struct peal_log *log = peal_loop_log(h->server->loop);
    char client[PEAL_ADDR_TEXT_MAX];

    if (log == NULL || log->level < PEAL_LOG_DEBUG)
        return;
    peal_addr_format_ip(&h->client, client);
    peal_log(log, PEAL_LOG_DEBUG, "request", "client=%s https=%s method=%.*s path=%.*s",
        client, h->secure ? "yes" : "no", (int)head->method.len, head->method.data,
        (int)head->path.len, head->path.data);
}

static void
call_with(struct peal_http *h, peal_http_fn *fn, void *ctx,
    const struct peal_httphead *head, struct peal_slice body)
{
    h->head = head;
    h->body = body;
    h->in_handler = 1;
    fn(h, ctx);
    h->in_handler = 0;
    h->head = NULL;
    h->body = (struct peal_slice){ NULL, 0 };
}

static void
call(struct peal_http *h, peal_http_fn *fn, const struct peal_httphead *head,
    struct peal_slice body)
{
    call_with(h, fn, h->route->ctx, head, body);
}

peal_err
peal_http_copy_head(const struct peal_http *h, struct peal_buf *out)
{
    struct peal_httphead head;
    size_t used = 0, scan = 0;
    peal_err err;

    if (h->reader != NULL)
        return PEAL_EUNSUPP;
    err = peal_httphead_parse(h->raw, &h->server->limits, &scan, &head, &used);
    PEAL_ASSERT(h->in_handler && err == PEAL_OK);
    return peal_buf_add(out, h->raw.data, used);
}

void
peal_http_call_again(
    struct peal_http *h, struct peal_slice text, peal_http_fn *fn, void *ctx)
{
    struct peal_httphead head;
    size_t used = 0, scan = 0;
    peal_err err = peal_httphead_parse(text, &h->server->limits, &scan, &head, &used);

    PEAL_ASSERT(err == PEAL_OK); /* it was before */
    call_with(h, fn, ctx, &head, peal_slice_of(NULL, 0));
}

static void
refuse_head(struct peal_http *h, const struct peal_httphead *head)
{
    char body[160];
    int n = snprintf(body, sizeof(body), "%s\n", head->why ? head->why : "bad request");

    peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_BAD, 1);
    peal_log(peal_loop_log(h->server->loop), PEAL_LOG_DEBUG, "bad request",
        "status=%u why=\"%s\"", head->status, head->why ? head->why : "");
    h->answering = 1;
    h->minor = 1;
    h->is_head = 0;
    peal_http_refuse(h, head->status ? head->status : 400, "text/plain",
        peal_slice_of(body, (size_t)n));
}

/* Is it from a client, or from another node, as it should be? again: it was counted. */
static bool
accept_forward(struct peal_http *h, const struct peal_httphead *head, bool again)
{
    struct peal_stats *stats = peal_loop_stats(h->server->loop);
    unsigned status = peal_http_forward_accept(h, head);

    if (status == 0) {
        if (h->forwarded && !again)
            peal_stat_add(stats, PEAL_STAT_FORWARDED_IN, 1);
        return true;
    }
    peal_stat_add(stats, PEAL_STAT_HTTP_BAD, 1);
    peal_http_refuse(h, status, "text/plain",
        status == 403 ? PEAL_S("this is for nodes of the cluster\n")
                      : PEAL_S("clients do not forward\n"));
    return false;
}

static void
refuse_size(struct peal_http *h)
{
    peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_BAD, 1);
    peal_http_refuse(h, 413, "text/plain",
        h->route->bare_errors ? PEAL_S("") : PEAL_S("the body is too large\n"));
}

/* No body is decoded here, and to read a coded one as it is would be a mistake. */
static void
refuse_coding(struct peal_http *h)
{
    peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_BAD, 1);
    peal_http_add(h, "Accept-Encoding", "identity");
    peal_http_refuse(h, 415, "text/plain",
        h->route->bare_errors ? PEAL_S("") : PEAL_S("send the body without a coding\n"));
}

/* The route's begin hook; returns false when the request has ended with it. */
static bool
begin(struct peal_http *h, const struct peal_httphead *head)
{
    peal_http_fn *fn = h->forward != NULL ? peal_http_forward_failed : h->route->begin;

    if (fn == NULL)
        return true;
    call(h, fn, head, peal_slice_of(NULL, 0));
    h->again = false;
    if (h->move_to >= 0 && !h->dead)
        move(h);
    return !h->dead && h->answering;
}

/* Continue with a body that is not here yet; head moves into the reader. */
static void
wait_for_body(struct peal_http *h, const struct peal_httphead *head, size_t head_len)
{
    if (peal_http_body_new(h, head, head_len) != PEAL_OK) {
        tell_gone(h);
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    if (head->expect_continue && !h->continued) {
        h->continued = 1;
        peal_conn_send_bytes(h->conn, PEAL_S("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    arm(h, h->server->config->body_timeout_ms);
}

/* Does the server leave this connection open after an answer of its route? */
static bool
may_stay(const struct peal_http *h)
{
    const struct peal_http_server *s = h->server;

    return s->config->forward_secret == NULL &&
           (!s->draining || (h->route->stays && !s->finishing));
}

/* May the connection go on after the answer to this request? A proxy that does not look
 * at the status tunnels what follows an upgrade, refused or not: nothing else may be
 * reached by that connection. */
static bool
may_go_on(const struct peal_http *h, const struct peal_httphead *head)
{
    return head->keep_alive && !head->upgrade_websocket && may_stay(h);
}

/* A request whose head is complete. Returns the bytes used, of head and body. */
static size_t
on_request(struct peal_http *h, struct peal_slice in, const struct peal_httphead *head,
    size_t head_len)
{
    size_t have = in.len - head_len;
    size_t want = head->content_length > 0 ? (size_t)head->content_length : 0;
    bool whole = !head->chunked && want <= have, again = h->again;

    peal_timer_stop(&h->timer);
    if (!again)
        peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_REQUESTS, 1);
    h->answering = 1;
    h->continued = 0;
    h->minor = head->minor & 1;
    h->is_head = peal_slice_eq(head->method, PEAL_S("HEAD"));
    h->user = NULL;
    h->gone = NULL;
    h->raw = in;
    set_client(h, head);
    if (!accept_forward(h, head, again))
        return head_len;
    log_request(h, head);
    if ((h->route = find_route(h->server, head->path)) == NULL)
        h->route = &nowhere;
    h->keep_alive = whole && may_go_on(h, head);
    if (h->route == &nowhere) {
        call(h, nowhere.handle, head, peal_slice_of(NULL, 0));
        return whole ? head_len + want : head_len;
    }
    if (!begin(h, head))
        return whole ? head_len + want : head_len;
    if (h->held)
        return 0;
    if (want > h->route->body_max ||
        (head->content_coded && (head->chunked || want > 0))) {
        tell_gone(h);
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
    call(h, h->route->handle, head, peal_slice_of(in.data + head_len, want));
    return head_len + want;
}

static size_t
read_head(struct peal_http *h, struct peal_slice in)
{
    struct peal_httphead head;
    size_t used = 0;
    peal_err err;

    if (h->scan == 0)
        arm(h, h->server->config->head_timeout_ms);
    err = peal_httphead_parse(in, &h->server->limits, &h->scan, &head, &used);
    if (err == PEAL_EAGAIN)
        return 0;
    h->scan = 0;
    if (err != PEAL_OK) {
        refuse_head(h, &head);
        return in.len;
    }
    return on_request(h, in, &head, used);
}

static size_t
read_body(struct peal_http *h, struct peal_slice in)
{
    size_t used = 0;
    peal_err err = peal_http_body_read(h, in, &used);

    if (err == PEAL_EAGAIN)
        return used;
    if (err != PEAL_OK) {
        tell_gone(h);
        if (err == PEAL_ELIMIT) {
            refuse_size(h);
            return used;
        }
        if (err == PEAL_ENOMEM) {
            peal_http_close(h, PEAL_CLOSE_ERROR);
            return used;
        }
        peal_stat_add(peal_loop_stats(h->server->loop), PEAL_STAT_HTTP_BAD, 1);
        peal_http_refuse(h, 400, "text/plain", PEAL_S("malformed body\n"));
        return used;
    }
    peal_timer_stop(&h->timer);
    call(h, h->route->handle, peal_http_body_head(h), peal_buf_slice(&h->in_body));
    peal_http_body_free(h);
    return used;
}

static size_t
on_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct peal_http *h = peal_conn_owner(c);
    size_t at = 0;

    while (at < len && !h->dead) {
        struct peal_slice in = { (const char *)data + at, len - at };
        bool tls_next = h->need_tls; /* after the PROXY header */
        size_t used;

        if (h->need_proxy)
            used = read_proxy(h, in);
        else if (h->reader != NULL)
            used = read_body(h, in);
        else if (h->answering)
            break; /* pipelined: its turn comes after the answer */
        else
            used = read_head(h, in);
        at += used;
        if (used == 0 || tls_next)
            break;
    }
    return at;
}

peal_err
peal_http_server_new(struct peal_loop *loop, const struct peal_http_config *config,
    const struct peal_http_route *routes, unsigned n_routes,
    struct peal_http_server **peers, struct peal_http_server **out)
{
    struct peal_http_server *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return PEAL_ENOMEM;
    s->loop = loop;
    s->config = config;
    s->limits = config->limits;
    if (config->forward_secret != NULL) {
        s->limits.head_max += PEAL_FORWARD_LINE_MAX;
        s->limits.headers_max++;
    }
    s->routes = routes;
    s->n_routes = n_routes;
    s->peers = peers;
    peal_list_init(&s->all);
    peal_list_init(&s->forwards);
    *out = s;
    return PEAL_OK;
}

void
peal_http_server_tls(struct peal_http_server *s, struct peal_tls_ctx *ctx)
{
    peal_tls_ctx_release(s->tls);
    s->tls = ctx;
}

/* Connections that may not stay. A fresh one says with its first request what it is for,
 * and the client may have sent that already. */
static void
drain(struct peal_http_server *s)
{
    struct peal_link *l, *next;

    for (l = s->all.next; l != &s->all; l = next) {
        struct peal_http *h = PEAL_CONTAINER(l, struct peal_http, link);

        next = l->next;
        if (h->route == NULL ? !s->finishing : may_stay(h))
            continue;
        h->keep_alive = 0;
        if (h->answering || h->reader != NULL || peal_conn_unread(h->conn).len > 0)
            continue;
        peal_conn_finish(h->conn, PEAL_CLOSE_LOCAL);
        peal_http_release(h);
    }
}

void
peal_http_server_close_after_answers(struct peal_http_server *s)
{
    s->draining = true;
    for (struct peal_link *l = s->all.next; l != &s->all; l = l->next) {
        struct peal_http *h = PEAL_CONTAINER(l, struct peal_http, link);

        if (h->route != NULL && !may_stay(h))
            h->keep_alive = 0;
    }
}

void
peal_http_server_drain(struct peal_http_server *s)
{
    s->draining = true;
    drain(s);
}

void
peal_http_server_finish(struct peal_http_server *s)
{
    s->draining = s->finishing = true;
    drain(s);
}

static void
destroy_server(void *p)
{
    struct peal_http_server *s = p;
    struct peal_http *h;

    while ((h = s->spare) != NULL) {
        s->spare = h->user;
        free(h);
    }
    free(s);
}

void
peal_http_server_close(struct peal_http_server *s)
{
    s->stopping = true;
    peal_http_forwards_close(s);
    while (!peal_list_empty(&s->all)) {
        struct peal_http *h = PEAL_CONTAINER(s->all.next, struct peal_http, link);

        tell_gone(h);
        if (!h->dead)
            peal_http_close(h, PEAL_CLOSE_LOCAL);
    }
}

void
peal_http_server_free(struct peal_http_server **sp)
{
    struct peal_http_server *s = *sp;

    if (s == NULL)
        return;
    *sp = NULL;
    peal_http_server_close(s);
    peal_tls_ctx_release(s->tls);
    peal_loop_free_later(s->loop, destroy_server, s);
}

struct peal_loop *
peal_http_loop(struct peal_http *h)
{
    return h->server->loop;
}

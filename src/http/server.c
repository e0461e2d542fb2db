/* SPDX-License-Identifier: MIT */
/*
 * HTTP servers: they accept connections, hand them to each other, and drain. A server has
 * a list of its connections that wait for a request and one of those that have one in
 * progress; what closes with it, such as forwarded connections, is attached to it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "http/forwarded_priv.h"
#include "http/http_priv.h"

struct peal_http_conn *
peal_http_conn_new(struct peal_http_server *s)
{
    struct peal_http_conn *h = s->spare;

    if (h != NULL) {
        s->spare = h->req.user;
        s->n_spare--;
        memset(h, 0, sizeof(*h));
    } else if ((h = calloc(1, sizeof(*h))) == NULL) {
        return NULL;
    }
    h->server = s;
    h->state = PEAL_HTTP_READING_HEAD;
    h->move_to = -1;
    peal_list_append(&s->idle, &h->link);
    return h;
}

void
peal_http_server_accept(void *server, int fd, const struct sockaddr *peer)
{
    struct peal_http_server *s = server;
    struct peal_http_conn *h = peal_http_conn_new(s);

    if (h == NULL || peal_conn_new(s->loop, fd, s->config->conn_kind, &peal_http_conn_ops,
                         h, &h->conn) != PEAL_OK) {
        peal_stat_add(peal_loop_stats(s->loop), PEAL_STAT_ACCEPT_ERRORS, 1);
        if (h != NULL)
            peal_http_release(h, PEAL_HTTP_DEAD);
        close(fd);
        return;
    }
    peal_addr_from_sockaddr(peer, sizeof(struct sockaddr_storage), &h->req.peer);
    h->need_tls = s->tls != NULL;
    peal_http_arm(h, s->config->head_timeout_ms);
    if (s->config->proxy_protocol) {
        peal_http_set_state(h, PEAL_HTTP_READING_PROXY);
        if (h->need_tls)
            peal_conn_peek(h->conn);
    } else if (h->need_tls && !peal_http_start_tls(h)) {
        peal_http_close(&h->req, PEAL_CLOSE_MEMORY);
    }
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
server_on_moved(struct peal_loop *loop, struct peal_task *task)
{
    struct move *m = PEAL_CONTAINER(task, struct move, task);
    struct peal_http_conn *h = m->server->stopping ? NULL : peal_http_conn_new(m->server);

    if (h == NULL) {
        peal_conn_parts_fini(&m->parts);
    } else if (peal_conn_adopt(loop, &m->parts, &peal_http_conn_ops, h, &h->conn) !=
               PEAL_OK) {
        peal_http_release(h, PEAL_HTTP_DEAD);
    } else {
        h->req.peer = m->peer;
        h->conn_secure = m->conn_secure;
        h->req.again = true;
        peal_http_arm(h, m->server->config->head_timeout_ms);
    }
    free(m);
}

void
peal_http_move(struct peal_http_conn *h)
{
    struct peal_http_server *s = h->server;
    struct move *m = calloc(1, sizeof(*m));

    peal_conn_flush(h->conn); /* answers to earlier requests of a pipeline */
    if (peal_http_is_over(h)) {
        free(m);
        return;
    }
    if (m == NULL || s->stopping || peal_conn_queued(h->conn) > 0 ||
        peal_conn_detach(h->conn, h->raw, &m->parts) != PEAL_OK) {
        free(m);
        peal_http_close(&h->req, PEAL_CLOSE_ERROR);
        return;
    }
    peal_stat_add(peal_loop_stats(s->loop), PEAL_STAT_HANDED_OVER, 1);
    m->task.fn = server_on_moved;
    m->server = s->peers[h->move_to];
    PEAL_ASSERT(!m->server->config->forward_secret == !s->config->forward_secret);
    m->peer = h->req.peer;
    m->conn_secure = h->conn_secure;
    peal_http_release(h, PEAL_HTTP_DEAD);
    peal_loop_post(m->server->loop, &m->task);
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
    peal_list_init(&s->idle);
    peal_list_init(&s->busy);
    peal_list_init(&s->attached);
    *out = s;
    return PEAL_OK;
}

struct peal_loop *
peal_http_server_loop(const struct peal_http_server *s)
{
    return s->loop;
}

struct peal_link *
peal_http_server_attached(struct peal_http_server *s)
{
    return &s->attached;
}

void
peal_http_server_tls(struct peal_http_server *s, struct peal_tls_ctx *ctx)
{
    peal_tls_ctx_release(s->tls);
    s->tls = ctx;
}

/* Requests in progress may not be the last of their connections any more. */
static void
close_after_answers(struct peal_http_server *s)
{
    for (struct peal_link *l = s->busy.next; l != &s->busy; l = l->next) {
        struct peal_http_conn *h = PEAL_CONTAINER(l, struct peal_http_conn, link);

        if (h->route != NULL && !peal_http_may_stay(h))
            h->keep_alive = 0;
    }
}

/* Closes idle connections that may not stay. A fresh one says with its first request what
 * it is for, and the client may have sent that already. */
static void
close_idle(struct peal_http_server *s)
{
    struct peal_link *l, *next;

    for (l = s->idle.next; l != &s->idle; l = next) {
        struct peal_http_conn *h = PEAL_CONTAINER(l, struct peal_http_conn, link);

        next = l->next;
        if (h->route == NULL ? !s->finishing : peal_http_may_stay(h))
            continue;
        if (peal_conn_unread(h->conn).len > 0)
            continue;
        peal_conn_finish(h->conn, PEAL_CLOSE_LOCAL);
        peal_http_release(h, PEAL_HTTP_DEAD);
    }
}

void
peal_http_server_close_after_answers(struct peal_http_server *s)
{
    s->draining = true;
    close_after_answers(s);
}

void
peal_http_server_drain(struct peal_http_server *s)
{
    s->draining = true;
    close_after_answers(s);
    close_idle(s);
}

void
peal_http_server_finish(struct peal_http_server *s)
{
    s->draining = s->finishing = true;
    close_after_answers(s);
    close_idle(s);
}

static void
close_list(struct peal_link *list)
{
    while (!peal_list_empty(list)) {
        struct peal_http_conn *h =
            PEAL_CONTAINER(list->next, struct peal_http_conn, link);

        peal_http_tell_gone(h);
        if (!peal_http_is_over(h))
            peal_http_close(&h->req, PEAL_CLOSE_LOCAL);
    }
}

void
peal_http_server_close(struct peal_http_server *s)
{
    s->stopping = true;
    while (!peal_list_empty(&s->attached)) {
        struct peal_http_attached *a =
            PEAL_CONTAINER(s->attached.next, struct peal_http_attached, link);

        a->close(a);
    }
    close_list(&s->busy);
    close_list(&s->idle);
}

static void
server_free(void *p)
{
    struct peal_http_server *s = p;
    struct peal_http_conn *h;

    while ((h = s->spare) != NULL) {
        s->spare = h->req.user;
        free(h);
    }
    free(s);
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
    peal_loop_free_later(s->loop, server_free, s);
}

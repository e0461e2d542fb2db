/* SPDX-License-Identifier: MIT */
/*
 * A worker: one loop with its shard, protocols, routes and listeners, on one thread.
 *
 * It is made and taken down by the main thread while its own does not run. In between
 * everything that it has belongs to its loop's thread: what the control thread wants of
 * it (drain, shed, another certificate, stop) it posts to that loop.
 */
#include <stdlib.h>

#include "http/forward.h"
#include "server/server_priv.h"
#include "wire/deflate.h"

#define DEFLATE_LEVEL 1 /* fan-out is once a message, but it is in everybody's way */
#define DEFLATE_MEM_LEVEL 8

/* Fills in the routes; the first one that matches a path wins. */
static unsigned
worker_routes(struct peal_worker *w)
{
    const struct peal_server *node = w->node;
    const struct peal_program *program = node->program;
    unsigned n = 0;

    if (program->handle != NULL)
        w->routes[n++] = (struct peal_http_route){ .path = peal_slice_str(program->path),
            .prefix = true,
            .handle = program->handle,
            .ctx = &w->proto };
    memcpy(w->routes + n, node->assets.routes, node->assets.n * sizeof(*w->routes));
    n += node->assets.n;
    n += peal_protocols_routes(&w->proto, w->routes + n, PEAL_ROUTES_MAX - n);
    n += peal_api_routes(&w->api, w->routes + n);
    if (node->o->admin_listen.n == 0)
        n += peal_api_admin_routes(&w->api, w->routes + n);
    return n;
}

static bool
worker_init_loop(struct peal_worker *w)
{
    struct peal_server *n = w->node;
    struct peal_loop_config config = { .engine = (enum peal_io_engine)n->o->io_engine,
        .slow_policy = (enum peal_slow_policy)n->o->io_slow_policy,
        .queue_bytes_max = n->o->io_queue_max,
        .queue_age_ms = n->o->io_queue_age_ms,
        .log = &n->log,
        .open = &n->limits.open,
        .inner = &n->limits.inner,
        .lag_ms = n->o->admission_lag_ms };
    peal_err err = peal_loop_new(&config, &w->loop);

    if (err == PEAL_EUNSUPP)
        peal_log(&n->log, PEAL_LOG_ERROR, "io_uring is not available",
            "hint=\"set io.engine to auto or epoll\"");
    else if (err != PEAL_OK)
        peal_log(&n->log, PEAL_LOG_ERROR, "cannot make an event loop", "why=\"%s\"",
            peal_err_text(err));
    return err == PEAL_OK;
}

/* HTTP for clients, for other nodes, and, at the first worker, for admin.listen. */
static bool
worker_init_http(struct peal_worker *w, unsigned index)
{
    struct peal_server *n = w->node;
    unsigned n_routes = worker_routes(w);

    if (peal_http_server_new(
            w->loop, &n->http, w->routes, n_routes, n->peers, &w->http) != PEAL_OK)
        return peal_server_no_memory(n);
    n->peers[index] = w->http;
    if (n->tls != NULL)
        peal_http_server_tls(w->http, peal_tls_ctx_retain(n->tls));
    if (peal_cluster_on(n)) {
        if (peal_http_server_new(w->loop, &n->inner_http, w->routes, n_routes,
                n->inner_peers, &w->inner) != PEAL_OK)
            return peal_server_no_memory(n);
        n->inner_peers[index] = w->inner;
    }
    if (index > 0 || n->o->admin_listen.n == 0)
        return true;
    n_routes = peal_api_admin_routes(&w->api, w->admin_routes);
    if (peal_http_server_new(w->loop, &n->admin_http, w->admin_routes, n_routes, NULL,
            &w->admin) != PEAL_OK)
        return peal_server_no_memory(n);
    return true;
}

bool
peal_worker_init(struct peal_worker *w, struct peal_server *n, unsigned index)
{
    struct peal_proto *p = &w->proto;

    w->node = n;
    if (!worker_init_loop(w))
        return false;
    n->loops[index] = w->loop;
    p->loop = w->loop;
    p->app = n->app;
    p->config = &n->proto;
    peal_admission_init(p);
    w->api = (struct peal_api){ .node = &n->api, .body_max = n->o->http_body_max };
    if (peal_deflate_new(DEFLATE_LEVEL, DEFLATE_MEM_LEVEL, &p->deflate) != PEAL_OK ||
        peal_shard_new(n->hub, index, w->loop, (unsigned)n->o->io_turn_budget, p->deflate,
            &p->shard) != PEAL_OK ||
        peal_protocols_open(p, n->protocols, n->n_protocols) != PEAL_OK)
        return peal_server_no_memory(n);
    peal_deflate_set_threshold(p->deflate, n->o->ws_deflate_threshold);
    w->api.shard = p->shard;
    return worker_init_http(w, index);
}

static peal_err
worker_listen_on(struct peal_worker *w, const struct peal_socket *s)
{
    struct peal_http_server *http = w->http;
    enum peal_listener_kind kind = PEAL_LISTENER_CLIENTS;

    if (s->who == PEAL_FOR_ADMIN) {
        http = w->admin;
        kind = PEAL_LISTENER_ADMIN;
    } else if (s->who == PEAL_FOR_NODES) {
        http = w->inner;
        kind = PEAL_LISTENER_NODES;
    }
    return peal_listener_new(w->loop, s->fd, kind, &w->node->limits,
        peal_http_server_accept, http, &w->listeners[w->n_listeners]);
}

bool
peal_worker_listen(struct peal_worker *w)
{
    struct peal_server *n = w->node;
    unsigned index = (unsigned)(w - n->workers);

    if ((w->listeners = calloc(n->n_sockets, sizeof(struct peal_listener *))) == NULL)
        return peal_server_no_memory(n);
    for (unsigned i = 0; i < n->n_sockets; i++) {
        struct peal_socket *s = &n->sockets[i];

        if (s->worker != index)
            continue;
        if (worker_listen_on(w, s) != PEAL_OK)
            return peal_server_no_memory(n);
        w->n_listeners++;
        w->n_client_listeners += s->who == PEAL_FOR_CLIENTS;
        s->fd = -1;
    }
    return true;
}

static void
worker_run(void *arg)
{
    peal_loop_run(((struct peal_worker *)arg)->loop);
}

bool
peal_worker_start(struct peal_worker *w)
{
    w->started = uv_thread_create(&w->thread, worker_run, w) == 0;
    return w->started;
}

void
peal_worker_close(struct peal_worker *w)
{
    if (w->http != NULL)
        peal_http_server_close(w->http);
    if (w->inner != NULL)
        peal_http_server_close(w->inner);
    if (w->admin != NULL)
        peal_http_server_close(w->admin);
}

void
peal_worker_fini(struct peal_worker *w)
{
    if (w->loop == NULL)
        return;
    for (unsigned i = 0; i < w->n_listeners; i++)
        peal_listener_close(&w->listeners[i]);
    free(w->listeners);
    peal_admission_close(&w->proto);
    peal_protocols_free(&w->proto);
    peal_http_server_free(&w->http);
    peal_http_server_free(&w->admin);
    peal_http_server_free(&w->inner);
    peal_shard_free(&w->proto.shard);
    peal_deflate_free(&w->proto.deflate);
    peal_loop_free(&w->loop);
}

/* Commands to a running worker, by its loop's mailbox. */

struct worker_cmd {
    struct peal_task task;
    struct peal_worker *worker;
    struct peal_tls_ctx *tls;
    double keep;
    unsigned n;
};

static struct worker_cmd *
worker_cmd_of(struct peal_task *task)
{
    return PEAL_CONTAINER(task, struct worker_cmd, task);
}

/* Out of memory: the command is lost; the drain, which sends most of them, goes on. */
static void
worker_post(struct peal_worker *w, peal_task_fn *fn, struct worker_cmd what)
{
    struct worker_cmd *cmd = calloc(1, sizeof(*cmd));

    if (cmd == NULL) {
        peal_tls_ctx_release(what.tls);
        return;
    }
    *cmd = what;
    cmd->task.fn = fn;
    cmd->worker = w;
    peal_loop_post(w->loop, &cmd->task);
}

static void
worker_do_stop(struct peal_loop *loop, struct peal_task *task)
{
    peal_loop_stop(loop);
}

void
peal_worker_stop(struct peal_worker *w)
{
    w->stop.fn = worker_do_stop;
    peal_loop_post(w->loop, &w->stop);
}

static void
worker_do_close_after_answers(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_worker *w = worker_cmd_of(task)->worker;

    peal_http_server_close_after_answers(w->http);
    if (w->admin != NULL)
        peal_http_server_close_after_answers(w->admin);
    free(worker_cmd_of(task));
}

void
peal_worker_close_after_answers(struct peal_worker *w)
{
    worker_post(w, worker_do_close_after_answers, (struct worker_cmd){ 0 });
}

static void
worker_do_refuse(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_worker *w = worker_cmd_of(task)->worker;

    peal_admission_close(&w->proto);
    peal_http_server_drain(w->http);
    if (w->admin != NULL)
        peal_http_server_drain(w->admin);
    for (unsigned i = 0; i < w->proto.n_protocols; i++) {
        struct peal_protocol *pr = w->proto.protocols[i];

        if (pr->ops->prepare_drain != NULL)
            pr->ops->prepare_drain(pr);
        w->began[i] = pr->ops->count(pr);
    }
    w->forwards_began = peal_http_forwards_drain(w->http, 0);
    w->forwards = w->forwards_began;
    free(worker_cmd_of(task));
}

void
peal_worker_refuse(struct peal_worker *w)
{
    worker_post(w, worker_do_refuse, (struct worker_cmd){ 0 });
}

static void
worker_do_stop_accepting(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_worker *w = worker_cmd_of(task)->worker;

    for (unsigned i = 0; i < w->n_client_listeners; i++)
        peal_listener_finish(&w->listeners[i]);
    free(worker_cmd_of(task));
}

void
peal_worker_stop_accepting(struct peal_worker *w)
{
    worker_post(w, worker_do_stop_accepting, (struct worker_cmd){ 0 });
}

/* Returns how many to close now, so that at most began * keep remain: so few sessions are
 * spread over the window as well as many. Those that ended by themselves count as well.
 */
static unsigned
worker_surplus(unsigned left, unsigned began, double keep)
{
    unsigned may = (unsigned)(began * keep);

    return left > may ? left - may : 0;
}

static void
worker_finish_http(struct peal_worker *w)
{
    peal_http_server_finish(w->http);
    if (w->inner != NULL)
        peal_http_server_finish(w->inner);
    if (w->admin != NULL)
        peal_http_server_finish(w->admin);
}

static void
worker_do_drain(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_worker *w = worker_cmd_of(task)->worker;
    double keep = worker_cmd_of(task)->keep;
    unsigned forwards = peal_http_forwards_drain(w->http, 0);

    for (unsigned i = 0; i < w->proto.n_protocols; i++) {
        struct peal_protocol *pr = w->proto.protocols[i];

        pr->ops->drain(
            pr, worker_surplus(pr->ops->count(pr), w->began[i], keep), PEAL_OLDEST_FIRST);
    }
    w->forwards = peal_http_forwards_drain(
        w->http, worker_surplus(forwards, w->forwards_began, keep));
    if (keep <= 0)
        worker_finish_http(w);
    free(worker_cmd_of(task));
}

void
peal_worker_drain(struct peal_worker *w, double keep)
{
    worker_post(w, worker_do_drain, (struct worker_cmd){ .keep = keep });
}

static void
worker_do_shed(struct peal_loop *loop, struct peal_task *task)
{
    struct worker_cmd *cmd = worker_cmd_of(task);

    peal_sessions_shed(&cmd->worker->proto, cmd->n);
    free(cmd);
}

void
peal_worker_shed(struct peal_worker *w, unsigned n)
{
    worker_post(w, worker_do_shed, (struct worker_cmd){ .n = n });
}

static void
worker_do_tls(struct peal_loop *loop, struct peal_task *task)
{
    struct worker_cmd *cmd = worker_cmd_of(task);

    peal_http_server_tls(cmd->worker->http, cmd->tls);
    free(cmd);
}

void
peal_worker_tls(struct peal_worker *w, struct peal_tls_ctx *ctx)
{
    worker_post(w, worker_do_tls, (struct worker_cmd){ .tls = ctx });
}

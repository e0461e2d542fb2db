/* SPDX-License-Identifier: MIT */
/*
 * The server: everything is made here in order (control loop, limits, configuration,
 * workers with their sockets, cluster), and taken down in the opposite order. The main
 * thread becomes the control thread; lifecycle.c says what it does from then on.
 */
#include "server/server.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/server_priv.h"

#define CONTROL_STALL_MS 10000 /* how long a link may take nothing of what it is sent */

bool
peal_server_no_memory(struct peal_server *n)
{
    peal_log(&n->log, PEAL_LOG_ERROR, "out of memory", NULL);
    return false;
}

static bool
server_allocate(struct peal_server *n)
{
    unsigned count = n->n_workers;

    const struct peal_loop_config control = { .engine = PEAL_IO_EPOLL,
        .queue_bytes_max = (size_t)1 << 30, /* its users have bounds of their own */
        .queue_age_ms = CONTROL_STALL_MS,
        .log = &n->log };

    n->workers = calloc(count, sizeof(*n->workers));
    n->peers = calloc(count, sizeof(struct peal_http_server *));
    n->inner_peers = calloc(count, sizeof(struct peal_http_server *));
    n->loops = calloc(count, sizeof(struct peal_loop *));
    if (n->workers != NULL && n->peers != NULL && n->inner_peers != NULL &&
        n->loops != NULL && peal_loop_new(&control, &n->control) == PEAL_OK)
        return true;
    return peal_server_no_memory(n);
}

static bool
server_make_workers(struct peal_server *n)
{
    for (unsigned i = 0; i < n->n_workers; i++)
        if (!peal_worker_init(&n->workers[i], n, i))
            return false;
    if (!peal_server_open_sockets(n))
        return false;
    for (unsigned i = 0; i < n->n_workers; i++)
        if (!peal_worker_listen(&n->workers[i]))
            return false;
    return true;
}

static void
server_log_start(struct peal_server *n)
{
    peal_log(&n->log, PEAL_LOG_INFO, "started",
        "version=%s pid=%d workers=%u engine=%s tls=%s open_files=%lld "
        "max_connections=%lld app=%s",
        PEAL_VERSION, (int)getpid(), n->n_workers, peal_loop_engine(n->workers[0].loop),
        n->tls != NULL ? "on" : "off", (long long)n->open_files,
        (long long)n->limits.open_max, n->app->ops->name);
    if (n->o->dev && n->first[0] != '\0')
        peal_log(&n->log, PEAL_LOG_INFO,
            "development mode: everything is allowed, open the page",
            "url=http%s://%s/ drain.delay=%llums drain.window=%llums",
            n->tls != NULL ? "s" : "", n->first, (unsigned long long)n->o->drain_delay_ms,
            (unsigned long long)n->o->drain_window_ms);
}

static unsigned
server_count_workers(const struct peal_options *o)
{
    unsigned n = o->workers > 0 ? (unsigned)o->workers : uv_available_parallelism();

    return n < PEAL_WORKERS_MAX ? n : PEAL_WORKERS_MAX;
}

int
peal_serve(struct peal_options *opts, const struct peal_program *program)
{
    static const struct peal_program none = { 0 };
    struct peal_server n = { .o = opts,
        .program = program != NULL ? program : &none,
        .log = { .fd = STDERR_FILENO,
            .friendly = opts->log_format == PEAL_LOG_FRIENDLY,
            .level = opts->log_level },
        .limits = { .rate = (uint64_t)opts->accept_rate, .paced = true },
        .n_workers = server_count_workers(opts) };
    int status = 1;

    signal(SIGPIPE, SIG_IGN);
    peal_server_block_signals(true);
    if (server_allocate(&n) && peal_server_limits(&n) && peal_server_configure(&n) &&
        server_make_workers(&n) && peal_cluster_init(&n)) {
        server_log_start(&n);
        status = peal_server_run(&n);
    }
    if (n.app != NULL && n.app->ops->stop != NULL)
        n.app->ops->stop(n.app);
    for (unsigned i = 0; i < n.n_workers && n.workers != NULL; i++)
        peal_worker_fini(&n.workers[i]);
    peal_cluster_fini(&n);
    peal_server_close_sockets(&n);
    peal_loop_free(&n.control); /* tasks of workers are still on their way to it */
    peal_server_unconfigure(&n);
    free(n.workers);
    free(n.peers);
    free(n.inner_peers);
    free(n.loops);
    return status;
}

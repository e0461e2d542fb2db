/* SPDX-License-Identifier: MIT */
/*
 * The running server: the node, its workers, and the functions by which the files of this
 * folder make them, run them and take them down. Options become settings (configure.c),
 * sockets are opened (sockets.c), workers are made (worker.c) and joined to the cluster
 * (cluster.c), and the control thread runs them until the drain is over (lifecycle.c).
 */
#ifndef PEAL_SERVER_SERVER_PRIV_H
#define PEAL_SERVER_SERVER_PRIV_H

#include "adapter/adapter.h"
#include "api/api.h"
#include "hub/node_request.h"
#include "hub/nodes.h"
#include "io/listener.h"
#include "server/assets.h"
#include "server/balance.h"
#include "server/server.h"

struct peal_server;

/* A thread and everything that belongs to its loop. */
struct peal_worker {
    struct peal_server *node;
    struct peal_loop *loop;
    struct peal_proto proto;
    struct peal_api api;
    struct peal_http_server *http, *admin; /* admin: first worker, with admin.listen */
    struct peal_http_server *inner;        /* for other nodes; NULL without */
    struct peal_http_route routes[PEAL_ROUTES_MAX], admin_routes[PEAL_ROUTES_MAX];
    struct peal_listener **listeners;
    unsigned n_listeners, n_client_listeners; /* those of clients are first */
    uv_thread_t thread;
    struct peal_task stop; /* must not fail for want of memory */
    bool started;
    /* Counts at the beginning of the drain; they belong to the loop's thread. */
    unsigned began[PEAL_PROTOCOLS_MAX], forwards_began;
    _Atomic unsigned
        forwards; /* requests under way to other nodes, as of the last step */
};

/* The peers that a listening socket is for. */
enum peal_socket_for {
    PEAL_FOR_CLIENTS,
    PEAL_FOR_ADMIN,
    PEAL_FOR_NODES
};

/* A listening socket waiting for its worker. */
struct peal_socket {
    int fd;
    unsigned worker;
    enum peal_socket_for who;
};

struct peal_server {
    const struct peal_options *o;
    const struct peal_program *program;
    struct peal_log log;
    struct peal_accept_limits limits;
    struct peal_http_config http, admin_http, inner_http;
    struct peal_cidr *trusted;
    struct peal_proto_config proto;
    struct peal_protocol_row protocols[PEAL_PROTOCOLS_MAX]; /* those of program first */
    const char *protocol_names[PEAL_PROTOCOLS_MAX];
    unsigned n_protocols;
    struct peal_cors api_cors;
    struct peal_assets assets;
    struct peal_api_node api;
    char hostname[256];
    struct peal_slice *lists[6]; /* of strings of options; to be freed */
    unsigned n_lists;
    bool no_memory;            /* for one of them */
    int64_t open_files;        /* the limit */
    struct peal_loop *control; /* of the main thread: signals, drains, links to others */
    struct peal_hub *hub;
    struct peal_relay *relay; /* NULL: this is the only node */
    struct peal_nodes *nodes;
    struct peal_node_requests *requests;   /* of nodes to each other */
    struct peal_adapter *adapter;          /* to other Socket.IO servers, or NULL */
    struct peal_addr inner;                /* where other nodes bring requests */
    char secret[PEAL_NODE_SECRET_LEN + 1]; /* what opens it */
    struct peal_balance balance;
    struct peal_timer balance_timer;
    bool leaving; /* the next report is the last; control thread */
    struct peal_app *app;
    struct peal_tls_ctx *tls;  /* NULL: plain */
    uint64_t ticket_secret[4]; /* by chance, where tls.ticket_secret is not set */
    struct peal_worker *workers;
    struct peal_http_server **peers; /* of all workers, for moving requests */
    struct peal_http_server **inner_peers;
    struct peal_loop **loops;
    unsigned n_workers;
    struct peal_socket *sockets;
    unsigned n_sockets, sockets_cap;
    /* Sessions that the nodes which remain take in a second, all together; 0: not known.
     * balance.c sets it from their reports, before a drain and during it. */
    _Atomic uint32_t drain_pace;
    char first[PEAL_ADDR_TEXT_MAX]; /* where clients come in, or empty: a unix socket */
};

/* peal_server_no_memory says so, and returns false. */
bool peal_server_no_memory(struct peal_server *n);

/* peal_server_configure turns options into what the layers below want; configure.c. Logs
 * what is wrong. false: it cannot be. */
bool peal_server_configure(struct peal_server *n);
void peal_server_unconfigure(struct peal_server *n);

/* peal_server_slices makes slices of an option's strings, kept by the node. NULL with
 * *n_out 0: there are none, or n->no_memory is set. */
const struct peal_slice *peal_server_slices(
    struct peal_server *n, const struct peal_strings *s, unsigned *n_out);

/* peal_server_limits raises the limit of open files and says what fits; limits.c. */
bool peal_server_limits(struct peal_server *n);

/* peal_server_open_sockets opens every listening socket, so that what cannot be opened is
 * known before anything runs; sockets.c. */
bool peal_server_open_sockets(struct peal_server *n);
void peal_server_close_sockets(struct peal_server *n);

/* The cluster; cluster.c. init comes after the workers are made and before they run, fini
 * after they have ended. leave is the last word to the others. */
bool peal_cluster_on(const struct peal_server *n);
bool peal_cluster_init(struct peal_server *n);
void peal_cluster_start(struct peal_server *n);
void peal_cluster_leave(struct peal_server *n);
void peal_cluster_fini(struct peal_server *n);

/* peal_balance_start looks after other nodes now and then; balance.c. */
void peal_balance_start(struct peal_server *n);

/* Workers; worker.c. */
bool peal_worker_init(struct peal_worker *w, struct peal_server *n, unsigned index);
bool peal_worker_listen(struct peal_worker *w); /* takes its sockets */
bool peal_worker_start(struct peal_worker *w);
/* Both after its thread has ended. Before any of them is freed, all are closed: what that
 * has to tell other workers finds them still there. */
void peal_worker_close(struct peal_worker *w);
void peal_worker_fini(struct peal_worker *w);
/* These ask a running worker, from any thread; all but the first are lost without memory.
 */
void peal_worker_stop(struct peal_worker *w);
/* The drain is near: answers close their connections. */
void peal_worker_close_after_answers(struct peal_worker *w);
/* The drain begins: no new sessions; requests of those that are there are served on. */
void peal_worker_refuse(struct peal_worker *w);
void peal_worker_stop_accepting(struct peal_worker *w); /* but for admin.listen */
/* Closes sessions until `keep` of those at the beginning are left, 0 to 1. At 0 also what
 * else is open is closed. */
void peal_worker_drain(struct peal_worker *w, double keep);
/* peal_sessions_shed on the worker's thread. */
void peal_worker_shed(struct peal_worker *w, unsigned n);
void peal_worker_tls(struct peal_worker *w, struct peal_tls_ctx *ctx); /* takes ctx */

/* peal_server_block_signals holds back SIGTERM, SIGINT and SIGHUP from before the first
 * word in the log until somebody watches them, and after that; workers never get any. */
void peal_server_block_signals(bool block);

/* peal_server_run runs the workers until the process is told to stop, and through the
 * drain; lifecycle.c. Returns the exit status. */
int peal_server_run(struct peal_server *n);

/* peal_server_load_tls reads certificate and key. NULL: logged why not. */
struct peal_tls_ctx *peal_server_load_tls(struct peal_server *n);

#endif

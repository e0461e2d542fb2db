/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: one for each address and worker (SO_REUSEPORT), all opened before
 * anything runs. Where another process has an address, nothing is shared with it by
 * accident: that is an error.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/vec.h"
#include "server/server_priv.h"
#include "wire/hostport.h"

struct address {
    const char *text;
    struct sockaddr_storage sa;
    socklen_t len;
    bool any; /* every address, of both families if there are both */
};

static bool
complain(struct peal_server *n, const struct address *a, const char *why)
{
    peal_log(
        &n->log, PEAL_LOG_ERROR, "cannot listen", "address=%s why=\"%s\"", a->text, why);
    return false;
}

static bool
read_address(struct peal_server *n, struct address *a)
{
    struct peal_addr addr;
    struct peal_slice path;
    struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;

    if (peal_addr_parse(peal_slice_str(a->text), &addr, &path) != PEAL_OK)
        return complain(
            n, a, "expected an IP address, localhost or nothing before :port");
    if (path.data == NULL) {
        a->len = peal_addr_to_sockaddr(&addr, &a->sa);
        a->any = a->text[0] == ':';
        return true;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.data, path.len);
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    return true;
}

/* Tells whether another process listens there, which SO_REUSEPORT would hide. */
static bool
is_taken(const struct address *a)
{
    int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    bool taken;

    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    taken = bind(fd, (const struct sockaddr *)&a->sa, a->len) != 0 && errno == EADDRINUSE;
    close(fd);
    return taken;
}

static bool
add(struct peal_server *n, int fd, unsigned worker, enum peal_socket_for who)
{
    if (PEAL_GROW(n->sockets, n->sockets_cap, n->n_sockets + 1) != PEAL_OK) {
        close(fd);
        return false;
    }
    n->sockets[n->n_sockets++] = (struct peal_socket){ fd, worker, who };
    return true;
}

static void
set_port(struct address *a, uint16_t port)
{
    if (a->sa.ss_family == AF_INET)
        ((struct sockaddr_in *)&a->sa)->sin_port = htons(port);
    else if (a->sa.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&a->sa)->sin6_port = htons(port);
}

/* No IPv6 here: every IPv4 address then. */
static void
fall_back(struct address *a)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET,
        .sin_port = ((struct sockaddr_in6 *)&a->sa)->sin6_port };

    memcpy(&a->sa, &v4, sizeof(v4));
    a->len = sizeof(v4);
}

static void
say_listening(struct peal_server *n, const struct address *a, enum peal_socket_for who)
{
    const char *address, *tls = n->tls != NULL && who == PEAL_FOR_CLIENTS ? "on" : "off";
    char text[PEAL_ADDR_TEXT_MAX];
    struct peal_addr addr;

    peal_addr_from_sockaddr((const struct sockaddr *)&a->sa, a->len, &addr);
    if (a->sa.ss_family != AF_UNIX)
        peal_addr_format(&addr, text);
    if (a->sa.ss_family != AF_UNIX && who == PEAL_FOR_CLIENTS && n->first[0] == '\0')
        memcpy(n->first, text, sizeof(text));
    if (who == PEAL_FOR_NODES)
        n->inner = addr;
    address = a->sa.ss_family == AF_UNIX ? a->text : text;
    if (who == PEAL_FOR_CLIENTS)
        peal_log(&n->log, PEAL_LOG_INFO, "listening", "address=%s tls=%s", address, tls);
    else
        peal_log(&n->log, PEAL_LOG_INFO, "listening", "address=%s tls=%s for=%s", address,
            tls, who == PEAL_FOR_ADMIN ? "admin" : "nodes");
}

/* The other workers' sockets: more on the same port, or the same unix socket. */
static bool
open_more(
    struct peal_server *n, const struct address *a, int first, enum peal_socket_for who)
{
    for (unsigned w = 1; w < n->n_workers; w++) {
        uint16_t port;
        int fd;

        if (a->sa.ss_family == AF_UNIX) {
            if ((fd = fcntl(first, F_DUPFD_CLOEXEC, 0)) < 0)
                return false;
        } else if (peal_listen_socket(
                       (const struct sockaddr *)&a->sa, a->len, &fd, &port) != PEAL_OK) {
            return false;
        }
        if (!add(n, fd, w, who))
            return false;
    }
    return true;
}

static bool
open_address(struct peal_server *n, const char *text, enum peal_socket_for who)
{
    struct address a = { .text = text };
    uint16_t port = 0;
    peal_err err;
    int fd;

    if (!read_address(n, &a))
        return false;
    if (a.sa.ss_family != AF_UNIX && is_taken(&a))
        return complain(n, &a, "the address is in use");
    err = peal_listen_socket((const struct sockaddr *)&a.sa, a.len, &fd, &port);
    if (err != PEAL_OK && a.any) {
        fall_back(&a);
        err = peal_listen_socket((const struct sockaddr *)&a.sa, a.len, &fd, &port);
    }
    if (err != PEAL_OK)
        return complain(
            n, &a, err == PEAL_EEXIST ? "the address is in use" : strerror(errno));
    set_port(&a, port);
    if (!add(n, fd, 0, who) || (who != PEAL_FOR_ADMIN && !open_more(n, &a, fd, who)))
        return complain(n, &a, strerror(errno));
    say_listening(n, &a, who);
    return true;
}

/* Opens the listener for other nodes: as configured, or beside the first address of
 * clients, on any port. */
static bool
open_inner(struct peal_server *n)
{
    const char *first = n->o->listen.v[0];
    char text[PEAL_ADDR_TEXT_MAX + 8];
    struct peal_hostport hp;

    if (n->o->node_listen != NULL)
        return open_address(n, n->o->node_listen, PEAL_FOR_NODES);
    if (strncmp(first, "unix:", 5) == 0 ||
        peal_hostport_split(peal_slice_str(first), &hp) != PEAL_OK ||
        hp.port.data == NULL)
        snprintf(text, sizeof(text), "127.0.0.1:0");
    else
        snprintf(
            text, sizeof(text), hp.brackets ? "[%.*s]:0" : "%.*s:0", PEAL_ARG(hp.host));
    return open_address(n, text, PEAL_FOR_NODES);
}

bool
peal_server_open_sockets(struct peal_server *n)
{
    for (unsigned i = 0; i < n->o->listen.n; i++)
        if (!open_address(n, n->o->listen.v[i], PEAL_FOR_CLIENTS))
            return false;
    for (unsigned i = 0; i < n->o->admin_listen.n; i++)
        if (!open_address(n, n->o->admin_listen.v[i], PEAL_FOR_ADMIN))
            return false;
    return !peal_cluster_on(n) || open_inner(n);
}

void
peal_server_close_sockets(struct peal_server *n)
{
    for (unsigned i = 0; i < n->n_sockets; i++)
        if (n->sockets[i].fd >= 0)
            close(n->sockets[i].fd);
    free(n->sockets);
    n->sockets = NULL;
    n->n_sockets = 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * A node among others: it opens the backplane, puts the relay over it, and reports itself
 * to the other nodes, with an address at which they can reach it. Without a backplane
 * there is none of it.
 */
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "backplane/redis_pubsub.h"
#include "hub/seal.h"
#include "server/server_priv.h"
#include "wire/hostport.h"

/* Fills in the fields that change between two reports. Control thread. */
static void
cluster_fill_report(void *arg, struct peal_node_report *own)
{
    struct peal_server *n = arg;

    own->connections = n->limits.open;
    own->room = n->o->sessions_rate * n->n_workers;
    own->sessions = 0;
    for (unsigned i = 0; i < n->n_workers; i++)
        own->sessions += peal_stats_sessions(peal_loop_stats(n->loops[i]));
    own->state = n->leaving               ? PEAL_NODE_LEAVING
                 : n->api.unready != NULL ? PEAL_NODE_DRAINING
                                          : PEAL_NODE_UP;
}

/* The first address of this machine that is not its loopback. */
static bool
cluster_first_address(char *out, size_t size)
{
    struct ifaddrs *all = NULL, *i;
    struct peal_addr addr;
    bool found = false;

    if (getifaddrs(&all) != 0)
        return false;
    for (int family = AF_INET; !found; family = AF_INET6) {
        for (i = all; i != NULL && !found; i = i->ifa_next) {
            if (i->ifa_addr == NULL || i->ifa_addr->sa_family != family ||
                (i->ifa_flags & (IFF_LOOPBACK | IFF_UP)) != IFF_UP)
                continue;
            peal_addr_from_sockaddr(i->ifa_addr, sizeof(struct sockaddr_in6), &addr);
            /* fe80::/10 works on one link only, and needs its name. */
            found = addr.kind == PEAL_ADDR_V4 || addr.ip[0] != 0xfe;
        }
        if (family == AF_INET6)
            break;
    }
    freeifaddrs(all);
    if (found) {
        char text[PEAL_ADDR_TEXT_MAX];

        peal_addr_format_ip(&addr, text);
        snprintf(out, size, addr.kind == PEAL_ADDR_V6 ? "[%s]" : "%s", text);
    }
    return found;
}

/* Finds the address at which others reach node.listen: as configured, as bound, or a
 * guess. */
static void
cluster_find_address(const struct peal_server *n, char *out, size_t size)
{
    const char *say = n->o->node_advertise;
    char bound[PEAL_ADDR_TEXT_MAX], guess[PEAL_ADDR_TEXT_MAX + 2];
    struct peal_hostport hp;

    if (say != NULL && peal_hostport_split(peal_slice_str(say), &hp) == PEAL_OK &&
        hp.port.data != NULL) {
        snprintf(out, size, "%s", say);
        return;
    }
    peal_addr_format_ip(&n->inner, bound);
    if (say == NULL)
        say = (strcmp(bound, "0.0.0.0") == 0 || strcmp(bound, "::") == 0) &&
                      cluster_first_address(guess, sizeof(guess))
                  ? guess
                  : bound;
    snprintf(out, size, strchr(say, ':') != NULL && say[0] != '[' ? "[%s]:%u" : "%s:%u",
        say, n->inner.port);
}

static void
cluster_describe(struct peal_server *n, struct peal_node_report *own)
{
    *own = (struct peal_node_report){ .started_ms = n->api.started_s * 1000 };
    snprintf(own->name, sizeof(own->name), "%s", n->api.name);
    snprintf(own->version, sizeof(own->version), "%s", n->api.version);
    snprintf(own->secret, sizeof(own->secret), "%s", n->secret);
    cluster_find_address(n, own->address, sizeof(own->address));
}

/* The settings of a link; it counts in the counters that the caller names. */
static struct peal_backplane_config
cluster_link_config(
    const struct peal_server *n, const struct peal_backplane_counters *counters)
{
    return (struct peal_backplane_config){ .url = n->o->backplane,
        .loop = n->control,
        .name = n->api.name,
        .counters = counters };
}

/* Releases why. */
static bool
cluster_link_made(struct peal_server *n, peal_err err, struct peal_buf *why)
{
    if (err != PEAL_OK)
        peal_log(&n->log, PEAL_LOG_ERROR, "the backplane cannot be used", "why=\"%.*s\"",
            why->len > 0 ? (int)why->len : 13,
            why->len > 0 ? why->data : "out of memory");
    peal_buf_fini(why);
    return err == PEAL_OK;
}

/* The adapter goes first: a node that is ready for clients has them hear everybody. */
static void
cluster_start_nodes(void *arg)
{
    struct peal_server *n = arg;

    peal_nodes_start(n->nodes);
    peal_balance_start(n);
}

/* Clients come back, and get ids with the new number. */
static void
cluster_on_renumbered(void *arg)
{
    struct peal_server *n = arg;

    for (unsigned i = 0; i < n->n_workers; i++)
        peal_worker_shed(&n->workers[i], UINT32_MAX);
}

static bool
cluster_make_nodes(struct peal_server *n, const struct peal_node_report *own)
{
    struct peal_nodes_config config = { .hub = n->hub,
        .relay = n->relay,
        .loop = n->control,
        .own = own,
        .fill = cluster_fill_report,
        .renumbered = cluster_on_renumbered,
        .arg = n };

    return (peal_nodes_new(&config, &n->nodes) == PEAL_OK &&
               peal_node_requests_new(
                   n->hub, n->relay, n->nodes, n->control, &n->requests) == PEAL_OK) ||
           peal_server_no_memory(n);
}

static bool
cluster_make_relay(struct peal_server *n)
{
    const struct peal_strings *secrets = &n->o->backplane_secret;
    struct peal_backplane_config link = cluster_link_config(n, &peal_relay_counters);
    struct peal_slice list[PEAL_SEAL_KEYS_MAX];
    struct peal_buf why = { 0 };
    struct peal_relay_config config = { .loop = n->control,
        .prefix = peal_slice_str(n->o->backplane_prefix),
        .secrets = list,
        .queue_max = n->o->backplane_queue_max,
        .linger_ms = n->o->backplane_linger_ms };

    for (; config.n_secrets < secrets->n; config.n_secrets++)
        list[config.n_secrets] = peal_slice_str(secrets->v[config.n_secrets]);
    if (!cluster_link_made(n, peal_backplane_open(&link, &config.backplane, &why), &why))
        return false;
    if (peal_relay_new(n->hub, &config, &n->relay) == PEAL_OK)
        return true;
    peal_backplane_free(&config.backplane);
    return peal_server_no_memory(n);
}

static bool
cluster_make_adapter(struct peal_server *n)
{
    struct peal_backplane_config link = cluster_link_config(n, &peal_adapter_counters);
    struct peal_buf why = { 0 };
    struct peal_adapter_config config = { .loop = n->control,
        .hub = n->hub,
        .relay = n->relay,
        .sharded = n->o->socketio_adapter == PEAL_ADAPTER_SHARDED,
        .key = peal_slice_str(n->o->socketio_adapter_key),
        .prefix = peal_slice_str(n->o->backplane_prefix),
        .queue_max = n->o->backplane_queue_max,
        .ready = cluster_start_nodes,
        .arg = n };

    if (!cluster_link_made(n,
            peal_redis_pubsub_open(&link,
                config.sharded ? PEAL_REDIS_SHARDED : PEAL_REDIS_CLASSIC, &config.link,
                &why),
            &why))
        return false;
    if (peal_adapter_new(&config, &n->adapter) == PEAL_OK) {
        n->api.adapter_up = peal_adapter_up(n->adapter);
        return true;
    }
    peal_redis_pubsub_free(&config.link);
    return peal_server_no_memory(n);
}

bool
peal_cluster_on(const struct peal_server *n)
{
    return !peal_backplane_kind_of(n->o->backplane)->alone;
}

bool
peal_cluster_init(struct peal_server *n)
{
    struct peal_node_report own;

    if (!peal_cluster_on(n))
        return true;
    cluster_describe(n, &own);
    if (!cluster_make_relay(n) || !cluster_make_nodes(n, &own))
        return false;
    if (n->o->socketio_adapter != PEAL_ADAPTER_OFF && !cluster_make_adapter(n))
        return false;
    for (unsigned i = 0; i < n->n_workers; i++)
        n->workers[i].proto.nodes = n->nodes;
    n->api.nodes = n->nodes;
    n->api.relay = n->relay;
    peal_log(&n->log, PEAL_LOG_INFO, "one node of a cluster", "prefix=%s address=%s",
        n->o->backplane_prefix, own.address);
    return true;
}

void
peal_cluster_start(struct peal_server *n)
{
    if (n->adapter != NULL)
        peal_adapter_start(n->adapter);
    else if (n->nodes != NULL)
        cluster_start_nodes(n);
}

void
peal_cluster_leave(struct peal_server *n)
{
    if (n->nodes == NULL)
        return;
    peal_timer_stop(&n->balance_timer);
    n->leaving = true;
    peal_nodes_leave(n->nodes);
    uv_run(peal_loop_uv(n->control), UV_RUN_NOWAIT); /* writes it */
}

void
peal_cluster_fini(struct peal_server *n)
{
    peal_node_requests_free(&n->requests);
    peal_nodes_free(&n->nodes);
    peal_adapter_free(&n->adapter);
    peal_relay_free(&n->relay);
}

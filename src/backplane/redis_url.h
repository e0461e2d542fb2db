/* SPDX-License-Identifier: MIT */
/*
 * The URL of a Redis, a Sentinel or a Cluster:
 *
 *   redis://[[user]:password@]host[:port]
 *   rediss://...                       the same over TLS
 *   redis+unix://[[user]:password@]/path/to/socket
 *   redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/master-name
 *   redis+cluster://[[user]:password@]host[:port][,host[:port]...]
 *   rediss+sentinel://, rediss+cluster://
 *
 * User and password are percent-encoded where they hold @ : / or %. Query parameters:
 * ca=, cert=, key= (PEM files), verify=off (TLS). A database, /N or
 * db=N, may be 0 and nothing else: pub/sub has none.
 */
#ifndef PEAL_BACKPLANE_REDIS_URL_H
#define PEAL_BACKPLANE_REDIS_URL_H

#include "base/buf.h"

#define PEAL_REDIS_HOSTS_MAX 16
#define PEAL_REDIS_PORT 6379
#define PEAL_SENTINEL_PORT 26379

enum peal_redis_kind {
    PEAL_REDIS_ONE,
    PEAL_REDIS_SENTINEL,
    PEAL_REDIS_CLUSTER
};

struct peal_redis_host {
    char *name; /* host name, address (without brackets), or path of a unix socket */
    uint16_t port;
};

struct peal_redis_url {
    enum peal_redis_kind kind;
    bool tls, verify;
    char *user, *password; /* or NULL */
    char *master;          /* of Sentinel */
    char *ca, *cert, *key; /* PEM files, or NULL */
    struct peal_redis_host hosts[PEAL_REDIS_HOSTS_MAX];
    unsigned n_hosts;
};

/*
 * peal_redis_url_parse reads a URL.
 *   why_out  static English, on PEAL_EINVAL
 * Errors: PEAL_EINVAL, PEAL_ENOMEM; out holds nothing then.
 */
PEAL_MUST_USE peal_err peal_redis_url_parse(
    struct peal_slice text, struct peal_redis_url *out, const char **why_out);
void peal_redis_url_fini(struct peal_redis_url *u);

#endif

/* SPDX-License-Identifier: MIT */
/* The limit of open files: raised as far as it goes, and what fits below it. */
#include <sys/resource.h>

#include "server/server_priv.h"

#define RESERVE (64 + PEAL_LISTENER_ADMIN_RESERVE) /* for logs, files, probes */
#define RESERVE_EACH 16 /* and for each worker: loop, ring, listeners, spare */

bool
peal_server_limits(struct peal_server *n)
{
    int64_t reserve = RESERVE + RESERVE_EACH * (int64_t)n->n_workers;
    int64_t want = n->o->max_connections, have;
    struct rlimit r;
    rlim_t before;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return true;
    before = r.rlim_cur;
    r.rlim_cur = r.rlim_max;
    if (before != r.rlim_max && setrlimit(RLIMIT_NOFILE, &r) == 0)
        peal_log(&n->log, PEAL_LOG_INFO, "limit of open files raised",
            "from=%llu to=%llu", (unsigned long long)before,
            (unsigned long long)r.rlim_max);
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return true;
    have = r.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)r.rlim_cur;
    if (have <= reserve || (want > 0 && want + reserve > have)) {
        peal_log(&n->log, PEAL_LOG_ERROR, "the limit of open files is too low",
            "max_connections=%lld needs=%lld limit=%lld hint=\"raise the limit (ulimit "
            "-n, "
            "LimitNOFILE=) or lower max_connections\"",
            (long long)want, (long long)(want + reserve), (long long)have);
        return false;
    }
    n->open_files = have;
    n->limits.all_max = have - reserve;
    n->limits.open_max = want > 0 ? want : have - reserve;
    /* A forwarded request takes descriptors at both nodes. */
    if (want == 0 && peal_cluster_on(n))
        n->limits.open_max -= n->limits.open_max / 4;
    return true;
}

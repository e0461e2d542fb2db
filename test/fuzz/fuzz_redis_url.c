/* SPDX-License-Identifier: MIT */
/* URLs of a Redis: whatever is accepted has all that a connection needs. */
#include "fuzz.h"

#include "backplane/redis_url.h"

static void
check(bool ok)
{
    if (!ok)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_redis_url u;
    const char *why = NULL;
    peal_err err = peal_redis_url_parse(peal_slice_of(data, size), &u, &why);

    if (err != PEAL_OK) {
        check(err == PEAL_EINVAL && why != NULL && u.n_hosts == 0);
        return 0;
    }
    check(u.n_hosts >= 1 && u.n_hosts <= PEAL_REDIS_HOSTS_MAX);
    check(u.n_hosts == 1 || u.kind != PEAL_REDIS_ONE);
    for (unsigned i = 0; i < u.n_hosts; i++) {
        check(u.hosts[i].name != NULL && u.hosts[i].name[0] != '\0');
        check(u.hosts[i].port != 0 || u.hosts[i].name[0] == '/');
    }
    check(u.kind != PEAL_REDIS_SENTINEL || u.master != NULL);
    check(u.user == NULL || u.password != NULL);
    peal_redis_url_fini(&u);
    check(u.n_hosts == 0);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* URLs are cut into their parts from the left to the right; each part that is wrong has
 * an error text of its own. */
#include "backplane/redis_url.h"

#include <stdlib.h>

#include "wire/hostport.h"
#include "wire/query.h"

static peal_err
no(const char **why_out, const char *why)
{
    *why_out = why;
    return PEAL_EINVAL;
}

/* A copy with a zero at its end, percent-decoded. Empty: NULL. */
static peal_err
copy(struct peal_slice raw, char **out, const char **why_out)
{
    struct peal_buf b = { 0 };
    peal_err err;

    if (raw.len == 0)
        return PEAL_OK;
    if ((err = peal_percent_decode(raw, PEAL_PLUS_IS_PLUS, &b)) == PEAL_OK)
        err = peal_buf_add_char(&b, '\0');
    if (err != PEAL_OK) {
        peal_buf_fini(&b);
        return err == PEAL_ENOMEM ? err : no(why_out, "a bad percent escape");
    }
    free(*out);
    *out = b.data;
    return PEAL_OK;
}

struct scheme {
    const char *text;
    enum peal_redis_kind kind;
    bool tls, unix_socket;
};

static const struct scheme schemes[] = {
    { "redis://", PEAL_REDIS_ONE, false, false },
    { "rediss://", PEAL_REDIS_ONE, true, false },
    { "redis+unix://", PEAL_REDIS_ONE, false, true },
    { "redis+sentinel://", PEAL_REDIS_SENTINEL, false, false },
    { "rediss+sentinel://", PEAL_REDIS_SENTINEL, true, false },
    { "redis+cluster://", PEAL_REDIS_CLUSTER, false, false },
    { "rediss+cluster://", PEAL_REDIS_CLUSTER, true, false },
};

static const struct scheme *
find_scheme(struct peal_slice text)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
        if (peal_slice_starts(text, peal_slice_str(schemes[i].text)))
            return &schemes[i];
    return NULL;
}

/* Pub/sub knows no databases: a number would look as if it kept clusters apart, which it
 * does not. 0 is what everybody has. */
static peal_err
read_db(struct peal_slice text, const char **why_out)
{
    uint64_t db;

    if (peal_slice_u64(text, 65535, &db) != PEAL_OK)
        return no(why_out, "the database is a number");
    if (db > 0)
        return no(why_out, "pub/sub has no databases: leave the number away, and keep "
                           "clusters apart by backplane.prefix");
    return PEAL_OK;
}

static peal_err
read_query(struct peal_slice rest, struct peal_redis_url *u, const char **why_out)
{
    struct peal_slice key, value;
    peal_err err = PEAL_OK;

    while (err == PEAL_OK && peal_query_next(&rest, &key, &value)) {
        if (peal_slice_eq(key, PEAL_S("db")))
            err = read_db(value, why_out);
        else if (peal_slice_eq(key, PEAL_S("ca")))
            err = copy(value, &u->ca, why_out);
        else if (peal_slice_eq(key, PEAL_S("cert")))
            err = copy(value, &u->cert, why_out);
        else if (peal_slice_eq(key, PEAL_S("key")))
            err = copy(value, &u->key, why_out);
        else if (peal_slice_eq(key, PEAL_S("verify")) &&
                 peal_slice_eq(value, PEAL_S("off")))
            u->verify = false;
        else
            return no(why_out, "after ? there may be ca=, cert=, key=, verify=off");
    }
    return err;
}

/* host, host:port or [address]:port */
static peal_err
read_host(struct peal_slice text, struct peal_redis_url *u, const char **why_out)
{
    struct peal_redis_host *h = &u->hosts[u->n_hosts];
    int port = u->kind == PEAL_REDIS_SENTINEL ? PEAL_SENTINEL_PORT : PEAL_REDIS_PORT;
    struct peal_hostport hp;
    peal_err err;

    if (u->n_hosts == PEAL_REDIS_HOSTS_MAX)
        return no(why_out, "too many hosts");
    if (peal_hostport_split(text, &hp) != PEAL_OK ||
        (!hp.brackets && hp.host.len > 0 && memchr(hp.host.data, ':', hp.host.len)))
        return no(why_out, "an IPv6 address is [address] or [address]:port");
    if (hp.host.len == 0)
        return no(why_out, "a host is missing");
    if (peal_hostport_port(&hp, port, &h->port) != PEAL_OK || h->port == 0)
        return no(why_out, "a port is a number up to 65535");
    if ((err = copy(hp.host, &h->name, why_out)) != PEAL_OK)
        return err;
    u->n_hosts++;
    return PEAL_OK;
}

static peal_err
read_hosts(struct peal_slice list, struct peal_redis_url *u, const char **why_out)
{
    peal_err err = PEAL_OK;

    do
        err = read_host(peal_slice_cut(&list, ','), u, why_out);
    while (err == PEAL_OK && list.data != NULL);
    if (err == PEAL_OK && u->n_hosts > 1 && u->kind == PEAL_REDIS_ONE)
        return no(why_out, "several hosts need redis+sentinel:// or redis+cluster://");
    return err;
}

static peal_err
read_user(struct peal_slice info, struct peal_redis_url *u, const char **why_out)
{
    struct peal_slice password = info, user = peal_slice_cut(&password, ':');
    peal_err err = copy(user, &u->user, why_out);

    if (err == PEAL_OK)
        err = copy(password, &u->password, why_out);
    if (err == PEAL_OK && u->user != NULL && u->password == NULL)
        return no(why_out, "a user needs a password: user:password@");
    return err;
}

/* The last '@' of what comes before the path ends user and password. */
static struct peal_slice
cut_user(struct peal_slice *rest)
{
    struct peal_slice info = { NULL, 0 };

    for (size_t i = rest->len; i > 0; i--)
        if (rest->data[i - 1] == '@') {
            info = peal_slice_of(rest->data, i - 1);
            *rest = peal_slice_skip(*rest, i);
            break;
        }
    return info;
}

static peal_err
read_path(struct peal_slice path, struct peal_redis_url *u, const char **why_out)
{
    struct peal_slice first = path;
    peal_err err;

    if (u->kind == PEAL_REDIS_SENTINEL) {
        first = peal_slice_cut(&path, '/');
        if ((err = copy(first, &u->master, why_out)) != PEAL_OK)
            return err;
        if (u->master == NULL)
            return no(
                why_out, "the master's name is missing: redis+sentinel://host/name");
    }
    if (path.len == 0)
        return PEAL_OK;
    return read_db(path, why_out);
}

static peal_err
read_unix(struct peal_slice path, struct peal_redis_url *u, const char **why_out)
{
    if (path.len < 2 || path.data[0] != '/')
        return no(why_out, "the path of a unix socket begins with /");
    u->n_hosts = 1;
    return copy(path, &u->hosts[0].name, why_out);
}

/* Parts that need each other. */
static peal_err
check(const struct peal_redis_url *u, const char **why_out)
{
    if (!u->tls && (u->ca != NULL || u->cert != NULL || u->key != NULL || !u->verify))
        return no(why_out, "ca=, cert=, key= and verify= need rediss://");
    if ((u->cert == NULL) != (u->key == NULL))
        return no(why_out, "cert= and key= need each other");
    return PEAL_OK;
}

static peal_err
parse(struct peal_slice text, struct peal_redis_url *u, const char **why_out)
{
    const struct scheme *s = find_scheme(text);
    struct peal_slice rest, authority, info;
    peal_err err;

    if (s == NULL)
        return no(why_out, "expected redis://, rediss://, redis+unix://, "
                           "redis+sentinel:// or redis+cluster://");
    u->kind = s->kind;
    u->tls = s->tls;
    u->verify = true;
    rest = peal_slice_skip(text, strlen(s->text));
    authority = peal_slice_cut(&rest, '?');
    if ((err = read_query(rest, u, why_out)) != PEAL_OK)
        return err;
    if (s->unix_socket) {
        info = cut_user(&authority);
        err = read_user(info, u, why_out);
        return err == PEAL_OK ? read_unix(authority, u, why_out) : err;
    }
    rest = authority;
    authority = peal_slice_cut(&rest, '/');
    info = cut_user(&authority);
    if ((err = read_user(info, u, why_out)) == PEAL_OK &&
        (err = read_hosts(authority, u, why_out)) == PEAL_OK)
        err = read_path(rest, u, why_out);
    return err;
}

peal_err
peal_redis_url_parse(
    struct peal_slice text, struct peal_redis_url *out, const char **why_out)
{
    peal_err err;

    *out = (struct peal_redis_url){ 0 };
    if ((err = parse(text, out, why_out)) != PEAL_OK ||
        (err = check(out, why_out)) != PEAL_OK)
        peal_redis_url_fini(out);
    return err;
}

void
peal_redis_url_fini(struct peal_redis_url *u)
{
    for (unsigned i = 0; i < PEAL_REDIS_HOSTS_MAX; i++)
        free(u->hosts[i].name);
    free(u->user);
    free(u->password);
    free(u->master);
    free(u->ca);
    free(u->cert);
    free(u->key);
    memset(u, 0, sizeof(*u));
}

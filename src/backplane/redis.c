/* SPDX-License-Identifier: MIT */
/*
 * Redis in the registry of backplanes: the URL tells whether it is one Redis, one found
 * by Sentinels, or a cluster. Between nodes one Redis speaks the classic dialect, which
 * every version has; a cluster the sharded one, so that a payload visits one master.
 */
#include "backplane/redis_cluster.h"
#include "backplane/redis_one.h"

/* Returns why text cannot be read, as static English, or NULL. Release url in any case.
 */
static const char *
read_url(const char *text, struct peal_redis_url *url, peal_err *err_out)
{
    const char *why = NULL;

    *err_out = peal_redis_url_parse(peal_slice_str(text), url, &why);
    return *err_out == PEAL_EINVAL ? why : NULL;
}

static const char *
redis_check(const char *text)
{
    struct peal_redis_url url;
    peal_err err;
    const char *why = read_url(text, &url, &err);

    peal_redis_url_fini(&url);
    return why;
}

const char *
peal_redis_pubsub_check(const char *text, enum peal_redis_dialect dialect)
{
    struct peal_redis_url url;
    const char *why = NULL;
    peal_err err;

    if (peal_backplane_kind_of(text) != &peal_backplane_redis)
        return "needs a Redis as backplane";
    (void)read_url(text, &url, &err);
    if (err == PEAL_OK && url.kind == PEAL_REDIS_CLUSTER && dialect == PEAL_REDIS_CLASSIC)
        why = "must be redis-sharded on a Redis Cluster";
    peal_redis_url_fini(&url);
    return why;
}

static peal_err
open_url(const struct peal_backplane_config *config, struct peal_redis_url *url,
    enum peal_redis_dialect dialect, struct peal_redis_pubsub **out, struct peal_buf *why)
{
    if (url->kind == PEAL_REDIS_CLUSTER)
        return peal_redis_cluster_new(config, url, out, why);
    return peal_redis_one_new(config, url, dialect, out, why);
}

static peal_err
redis_open(const struct peal_backplane_config *config, struct peal_backplane **out,
    struct peal_buf *why)
{
    struct peal_redis_pubsub *p;
    peal_err err = peal_redis_pubsub_open(config, PEAL_REDIS_CLASSIC, &p, why);

    if (err == PEAL_OK)
        *out = &p->b;
    return err;
}

/* A cluster has the sharded dialect only: classic pub/sub there visits every master. */
peal_err
peal_redis_pubsub_open(const struct peal_backplane_config *config,
    enum peal_redis_dialect dialect, struct peal_redis_pubsub **out, struct peal_buf *why)
{
    struct peal_redis_url url;
    peal_err err;
    const char *text = read_url(config->url, &url, &err);

    if (err == PEAL_OK)
        err = open_url(config, &url, dialect, out, why);
    else if (text != NULL && peal_buf_add_slice(why, peal_slice_str(text)) != PEAL_OK)
        err = PEAL_ENOMEM;
    peal_redis_url_fini(&url);
    return err;
}

void
peal_redis_pubsub_free(struct peal_redis_pubsub **pp)
{
    if (*pp != NULL)
        (*pp)->b.ops->free(&(*pp)->b);
    *pp = NULL;
}

/* All of them: what comes after it is the URL's to read, and to complain of. */
static const char *const schemes[] = { "redis", NULL };

const struct peal_backplane_kind peal_backplane_redis = {
    .schemes = schemes,
    .check = redis_check,
    .open = redis_open,
};

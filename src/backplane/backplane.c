/* SPDX-License-Identifier: MIT */
/*
 * Functions that all backplanes have in common, and their registry: a URL is opened by
 * the kind whose scheme it begins with. A new kind is one row in `kinds`.
 */
#include "backplane/backplane.h"

#include "base/assert.h"
#include "base/buf.h"

static const struct peal_backplane_kind *const kinds[] = {
    &peal_backplane_memory,
    &peal_backplane_redis,
};

void
peal_backplane_start(
    struct peal_backplane *b, const struct peal_backplane_events *events, void *arg)
{
    PEAL_ASSERT(b->events == NULL);
    b->events = events;
    b->arg = arg;
    b->ops->start(b);
}

void
peal_backplane_publish(
    struct peal_backplane *b, const struct peal_payload *list, unsigned n)
{
    unsigned first = 0;

    for (unsigned i = 0; i < n; i++) {
        if (list[i].bytes.len <= b->ops->payload_max)
            continue;
        b->ops->publish(b, list + first, i - first);
        first = i + 1;
        peal_stat_add(peal_loop_stats(b->loop), b->counters->refused, 1);
        peal_log(peal_loop_log(b->loop), PEAL_LOG_WARN,
            "a payload is larger than the backplane carries",
            "bytes=%zu max=%zu topic=%.*s", list[i].bytes.len, b->ops->payload_max,
            PEAL_ARG(list[i].topic));
    }
    b->ops->publish(b, list + first, n - first);
}

void
peal_backplane_free(struct peal_backplane **bp)
{
    if (*bp != NULL)
        (*bp)->ops->free(*bp);
    *bp = NULL;
}

const struct peal_backplane_kind *
peal_backplane_kind_of(const char *url)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        for (const char *const *s = kinds[i]->schemes; *s != NULL; s++)
            if (peal_slice_starts(peal_slice_str(url), peal_slice_str(*s)))
                return kinds[i];
    return NULL;
}

const char *
peal_backplane_check(const char *url)
{
    const struct peal_backplane_kind *kind = peal_backplane_kind_of(url);

    if (kind == NULL)
        return "memory, or the URL of a Redis: redis://, rediss://, redis+unix://, "
               "redis+sentinel:// or redis+cluster://";
    return kind->check(url);
}

peal_err
peal_backplane_open(const struct peal_backplane_config *config,
    struct peal_backplane **out, struct peal_buf *why)
{
    const struct peal_backplane_kind *kind = peal_backplane_kind_of(config->url);
    const char *text = peal_backplane_check(config->url);

    if (text != NULL) {
        if (peal_buf_add_slice(why, peal_slice_str(text)) != PEAL_OK)
            return PEAL_ENOMEM;
        return PEAL_EINVAL;
    }
    return kind->open(config, out, why);
}

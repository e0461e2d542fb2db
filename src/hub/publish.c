/* SPDX-License-Identifier: MIT */
/* Publishing with a completion: a publish that waits is a publisher of its own, which is
 * resumed when the congestion that it met is over. */
#include "hub/publish.h"

#include <stdlib.h>

#include "hub/publisher.h"

struct peal_publish {
    struct peal_shard *shard;
    peal_published_fn *fn;
    void *arg;
};

static void
publish_on_resume(void *publish)
{
    struct peal_publish p = *(struct peal_publish *)publish;

    free(publish);
    p.fn(p.arg, PEAL_OK);
}

peal_err
peal_publish_then(struct peal_shard *sh, struct peal_msg *m, peal_published_fn *fn,
    void *arg, struct peal_publish **out)
{
    peal_err err = peal_publish(sh, m);
    struct peal_publish *p;

    *out = NULL;
    /* Without memory nobody waits; the hard limit of the backlog is still there. */
    if (err != PEAL_OK || !peal_shard_is_congested(sh) ||
        (p = malloc(sizeof(*p))) == NULL)
        return err;
    *p = (struct peal_publish){ sh, fn, arg };
    if (peal_publisher_check(sh, p, 0, publish_on_resume))
        *out = p;
    else
        free(p);
    return PEAL_OK;
}

void
peal_publish_cancel(struct peal_publish *p)
{
    peal_publisher_forget(p->shard, p);
    free(p);
}

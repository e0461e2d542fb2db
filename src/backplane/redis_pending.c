/* SPDX-License-Identifier: MIT */
/* Lists of subscriptions that wait for their answer: see the header. */
#include "backplane/redis_pending.h"

#include <stdlib.h>

#include "base/assert.h"

struct peal_redis_pending *
peal_redis_pending_add(
    struct peal_link *list, enum peal_redis_change change, struct peal_slice topic)
{
    struct peal_redis_pending *p = malloc(sizeof(*p) + topic.len);

    if (p == NULL)
        return NULL;
    *p = (struct peal_redis_pending){ .change = change, .len = (uint32_t)topic.len };
    if (topic.len > 0)
        memcpy(p->topic, topic.data, topic.len);
    peal_list_append(list, &p->link);
    return p;
}

struct peal_redis_pending *
peal_redis_pending_first(const struct peal_link *list)
{
    return peal_list_empty(list)
               ? NULL
               : PEAL_CONTAINER(list->next, struct peal_redis_pending, link);
}

bool
peal_redis_pending_answer(
    struct peal_link *list, enum peal_redis_change change, struct peal_slice topic)
{
    struct peal_redis_pending *p = peal_redis_pending_first(list);

    if (p == NULL || p->change != change ||
        !peal_slice_eq(peal_redis_pending_topic(p), topic))
        return false;
    peal_redis_pending_remove(p);
    return true;
}

void
peal_redis_pending_remove(struct peal_redis_pending *p)
{
    if (p == NULL)
        return;
    PEAL_ASSERT(peal_list_linked(&p->link));
    peal_list_unlink(&p->link);
    free(p);
}

void
peal_redis_pending_clear(struct peal_link *list)
{
    while (!peal_list_empty(list))
        peal_redis_pending_remove(peal_redis_pending_first(list));
}

bool
peal_redis_dooms(struct peal_slice error)
{
    static const char *const codes[] = { "LOADING", "MASTERDOWN", "NOAUTH",
        "CLUSTERDOWN" };

    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
        if (peal_slice_starts(error, peal_slice_str(codes[i])))
            return true;
    return false;
}

/* SPDX-License-Identifier: MIT */
/*
 * Held back: what comes while clients are being asked for acknowledgements. Asking takes
 * the workers two steps, and what its publisher said next, to the same clients, must not
 * overtake it. It waits until all have been asked, not until they have answered.
 */
#include <stdlib.h>

#include "adapter/adapter_priv.h"

#define HELD_MAX (16u << 20) /* bytes; beyond, order is given up */

struct held {
    struct peal_link link;
    size_t topic_len, payload_len;
    char bytes[];
};

static struct peal_slice
topic_of(const struct held *h)
{
    return peal_slice_of(h->bytes, h->topic_len);
}

static struct peal_slice
payload_of(const struct held *h)
{
    return peal_slice_of(h->bytes + h->topic_len, h->payload_len);
}

static void
release(struct peal_adapter *a, struct held *h)
{
    peal_list_unlink(&h->link);
    a->held_bytes -= h->topic_len + h->payload_len;
    free(h);
}

bool
peal_adapter_defer(
    struct peal_adapter *a, struct peal_slice topic, struct peal_slice payload)
{
    size_t bytes = topic.len + payload.len;
    struct held *h = NULL;

    if (a->asking == 0 && peal_list_empty(&a->held))
        return false;
    if (a->held_bytes + bytes <= HELD_MAX)
        h = malloc(sizeof(*h) + bytes);
    if (h == NULL)
        return false;
    *h = (struct held){ .topic_len = topic.len, .payload_len = payload.len };
    memcpy(h->bytes, topic.data, topic.len);
    if (payload.len > 0)
        memcpy(h->bytes + topic.len, payload.data, payload.len);
    a->held_bytes += bytes;
    peal_list_append(&a->held, &h->link);
    return true;
}

void
peal_adapter_resume(struct peal_adapter *a)
{
    while (a->asking == 0 && !peal_list_empty(&a->held)) {
        struct held *h = PEAL_CONTAINER(a->held.next, struct held, link);

        peal_adapter_handle(a, topic_of(h), payload_of(h));
        release(a, h);
    }
}

void
peal_adapter_deferred_free(struct peal_adapter *a)
{
    while (!peal_list_empty(&a->held))
        release(a, PEAL_CONTAINER(a->held.next, struct held, link));
}

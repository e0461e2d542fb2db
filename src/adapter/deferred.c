/* SPDX-License-Identifier: MIT */
/* Messages that are put off: a list of copies, handled in the order in which they came.
 */
#include "adapter/deferred.h"

#include <stdlib.h>

#include "base/assert.h"

struct message {
    struct peal_link link;
    size_t topic_len, payload_len;
    char bytes[];
};

static struct peal_slice
topic_of(const struct message *m)
{
    return peal_slice_of(m->bytes, m->topic_len);
}

static struct peal_slice
payload_of(const struct message *m)
{
    return peal_slice_of(m->bytes + m->topic_len, m->payload_len);
}

static void
message_free(struct peal_adapter_deferred *d, struct message *m)
{
    PEAL_ASSERT(d->bytes >= m->topic_len + m->payload_len);
    peal_list_unlink(&m->link);
    d->bytes -= m->topic_len + m->payload_len;
    free(m);
}

void
peal_adapter_deferred_init(
    struct peal_adapter_deferred *d, peal_adapter_handle_fn *handle, void *arg)
{
    *d = (struct peal_adapter_deferred){ .handle = handle, .arg = arg };
    peal_list_init(&d->list);
}

bool
peal_adapter_deferred_put(
    struct peal_adapter_deferred *d, struct peal_slice topic, struct peal_slice payload)
{
    size_t bytes = topic.len + payload.len;
    struct message *m = NULL;

    if (d->n_reasons == 0 && peal_list_empty(&d->list))
        return false;
    if (d->bytes + bytes <= PEAL_ADAPTER_DEFERRED_MAX)
        m = malloc(sizeof(*m) + bytes);
    if (m == NULL)
        return false;
    *m = (struct message){ .topic_len = topic.len, .payload_len = payload.len };
    memcpy(m->bytes, topic.data, topic.len);
    if (payload.len > 0)
        memcpy(m->bytes + topic.len, payload.data, payload.len);
    d->bytes += bytes;
    peal_list_append(&d->list, &m->link);
    return true;
}

void
peal_adapter_deferred_block(struct peal_adapter_deferred *d)
{
    d->n_reasons++;
}

void
peal_adapter_deferred_unblock(struct peal_adapter_deferred *d)
{
    PEAL_ASSERT(d->n_reasons > 0);
    d->n_reasons--;
}

void
peal_adapter_deferred_resume(struct peal_adapter_deferred *d)
{
    while (d->n_reasons == 0 && !peal_list_empty(&d->list)) {
        struct message *m = PEAL_CONTAINER(d->list.next, struct message, link);

        d->handle(d->arg, topic_of(m), payload_of(m));
        message_free(d, m);
    }
}

void
peal_adapter_deferred_fini(struct peal_adapter_deferred *d)
{
    while (!peal_list_empty(&d->list))
        message_free(d, PEAL_CONTAINER(d->list.next, struct message, link));
    PEAL_ASSERT(d->bytes == 0);
}

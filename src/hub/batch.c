/* SPDX-License-Identifier: MIT */
/*
 * Batches: begun with the first record for a topic, filled until something closes them,
 * sealed when they are listed for the backplane, and released once it has them.
 */
#include "hub/batch_priv.h"

#include <stdlib.h>

#include "base/vec.h"
#include "wire/envelope.h"

struct batch {
    struct peal_link link;
    struct peal_buf bytes;
    uint32_t topic_len;
    char topic[];
};

static struct peal_slice
batch_topic(const struct batch *p)
{
    return (struct peal_slice){ p->topic, p->topic_len };
}

void
peal_batches_init(struct peal_batches *p, uint32_t node, const struct peal_seal *seal)
{
    *p = (struct peal_batches){ .node = node, .seal = seal };
    peal_list_init(&p->all);
    peal_map_init(&p->open);
}

void
peal_batches_fini(struct peal_batches *p)
{
    while (!peal_list_empty(&p->all))
        peal_batches_remove_first(p, 1);
    peal_map_fini(&p->open);
    free(p->list);
}

void
peal_batches_close(struct peal_batches *p, struct peal_slice topic)
{
    peal_map_del(&p->open, topic);
}

static size_t
batch_size(const struct batch *b)
{
    return sizeof(*b) + b->topic_len + b->bytes.len;
}

static void
batch_free(struct peal_batches *p, struct batch *b)
{
    p->bytes -= batch_size(b);
    peal_list_unlink(&b->link);
    peal_buf_fini(&b->bytes);
    free(b);
}

/* NULL: out of memory. */
static struct batch *
batch_new(struct peal_batches *p, struct peal_slice topic)
{
    struct batch *b = calloc(1, sizeof(*b) + topic.len);
    char head[PEAL_SEAL_HEAD + PEAL_ENVELOPE_HEAD];
    size_t seal = p->seal->n > 0 ? PEAL_SEAL_HEAD : 0; /* written when it is complete */

    if (b == NULL)
        return NULL;
    memcpy(b->topic, topic.data, topic.len);
    b->topic_len = (uint32_t)topic.len;
    memset(head, 0, seal);
    peal_envelope_head(p->node, head + seal);
    if (peal_buf_add(&b->bytes, head, seal + PEAL_ENVELOPE_HEAD) != PEAL_OK) {
        free(b);
        return NULL;
    }
    peal_list_append(&p->all, &b->link);
    p->bytes += batch_size(b);
    return b;
}

static peal_err
batch_add(struct peal_batches *p, struct batch *b, const struct peal_blob *record)
{
    peal_err err = peal_buf_add_slice(&b->bytes, peal_blob_slice(record));

    if (err == PEAL_OK)
        p->bytes += record->len;
    return err;
}

peal_err
peal_batches_add(struct peal_batches *p, struct peal_slice topic,
    const struct peal_blob *record, enum peal_batching how)
{
    struct batch *b = peal_map_get(&p->open, topic);
    peal_err err;

    if (b != NULL && (how == PEAL_ALONE || b->bytes.len + record->len > PEAL_BATCH_MAX)) {
        peal_batches_close(p, topic);
        b = NULL;
    }
    if (b != NULL)
        return batch_add(p, b, record);
    if ((b = batch_new(p, topic)) == NULL)
        return PEAL_ENOMEM;
    if ((err = batch_add(p, b, record)) != PEAL_OK ||
        (how == PEAL_TOGETHER &&
            (err = peal_map_put(&p->open, batch_topic(b), b)) != PEAL_OK))
        batch_free(p, b);
    return err;
}

static void
batch_seal(const struct peal_batches *p, struct batch *b)
{
    if (p->seal->n > 0)
        peal_seal_head(p->seal, batch_topic(b),
            peal_slice_skip(peal_buf_slice(&b->bytes), PEAL_SEAL_HEAD), b->bytes.data);
}

const struct peal_payload *
peal_batches_list(struct peal_batches *p, unsigned *n_out)
{
    unsigned n = 0;

    for (struct peal_link *l = p->all.next; l != &p->all; l = l->next) {
        struct batch *b = PEAL_CONTAINER(l, struct batch, link);

        if (PEAL_GROW(p->list, p->list_cap, n + 1) != PEAL_OK)
            break; /* the rest goes with the next */
        batch_seal(p, b);
        p->list[n++] = (struct peal_payload){ batch_topic(b), peal_buf_slice(&b->bytes) };
    }
    *n_out = n;
    return p->list;
}

void
peal_batches_remove_first(struct peal_batches *p, unsigned n)
{
    while (n-- > 0) {
        struct batch *b = PEAL_CONTAINER(p->all.next, struct batch, link);

        if (peal_map_get(&p->open, batch_topic(b)) == b)
            peal_batches_close(p, batch_topic(b));
        batch_free(p, b);
    }
}

void
peal_batches_renumber(struct peal_batches *p, uint32_t node)
{
    size_t seal = p->seal->n > 0 ? PEAL_SEAL_HEAD : 0;

    p->node = node;
    for (struct peal_link *l = p->all.next; l != &p->all; l = l->next)
        peal_envelope_head(
            node, PEAL_CONTAINER(l, struct batch, link)->bytes.data + seal);
}

/* SPDX-License-Identifier: MIT */
/* Packets: begun, filled, ended, published. */
#include "hub/batch.h"

#include <stdlib.h>

#include "wire/envelope.h"

struct packet {
    struct peal_link link;
    struct peal_buf bytes;
    uint32_t topic_len;
    char topic[];
};

static struct peal_slice
topic_of(const struct packet *p)
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
size_of(const struct packet *k)
{
    return sizeof(*k) + k->topic_len + k->bytes.len;
}

static void
packet_free(struct peal_batches *p, struct packet *k)
{
    p->bytes -= size_of(k);
    peal_list_unlink(&k->link);
    peal_buf_fini(&k->bytes);
    free(k);
}

/* NULL: out of memory. */
static struct packet *
packet_new(struct peal_batches *p, struct peal_slice topic)
{
    struct packet *k = calloc(1, sizeof(*k) + topic.len);
    char head[PEAL_SEAL_HEAD + PEAL_ENVELOPE_HEAD];
    size_t seal = p->seal->n > 0 ? PEAL_SEAL_HEAD : 0; /* written when it is complete */

    if (k == NULL)
        return NULL;
    memcpy(k->topic, topic.data, topic.len);
    k->topic_len = (uint32_t)topic.len;
    memset(head, 0, seal);
    peal_envelope_head(p->node, head + seal);
    if (peal_buf_add(&k->bytes, head, seal + PEAL_ENVELOPE_HEAD) != PEAL_OK) {
        free(k);
        return NULL;
    }
    peal_list_append(&p->all, &k->link);
    p->bytes += size_of(k);
    return k;
}

static peal_err
add_to(struct peal_batches *p, struct packet *k, const struct peal_blob *record)
{
    peal_err err = peal_buf_add_slice(&k->bytes, peal_blob_slice(record));

    if (err == PEAL_OK)
        p->bytes += record->len;
    return err;
}

peal_err
peal_batches_add(struct peal_batches *p, struct peal_slice topic,
    const struct peal_blob *record, bool alone)
{
    struct packet *k = peal_map_get(&p->open, topic);
    peal_err err;

    if (k != NULL && (alone || k->bytes.len + record->len > PEAL_BATCH_MAX)) {
        peal_batches_close(p, topic);
        k = NULL;
    }
    if (k != NULL)
        return add_to(p, k, record);
    if ((k = packet_new(p, topic)) == NULL)
        return PEAL_ENOMEM;
    if ((err = add_to(p, k, record)) != PEAL_OK ||
        (!alone && (err = peal_map_put(&p->open, topic_of(k), k)) != PEAL_OK))
        packet_free(p, k);
    return err;
}

static void
seal(const struct peal_batches *p, struct packet *k)
{
    if (p->seal->n > 0)
        peal_seal_head(p->seal, topic_of(k),
            peal_slice_skip(peal_buf_slice(&k->bytes), PEAL_SEAL_HEAD), k->bytes.data);
}

const struct peal_payload *
peal_batches_list(struct peal_batches *p, unsigned *n_out)
{
    unsigned n = 0;

    for (struct peal_link *l = p->all.next; l != &p->all; l = l->next) {
        struct packet *k = PEAL_CONTAINER(l, struct packet, link);

        if (n == p->list_cap) {
            unsigned cap = p->list_cap ? p->list_cap * 2 : 64;
            struct peal_payload *list = realloc(p->list, cap * sizeof(*list));

            if (list == NULL)
                break; /* the rest goes with the next */
            p->list = list;
            p->list_cap = cap;
        }
        seal(p, k);
        p->list[n++] = (struct peal_payload){ topic_of(k), peal_buf_slice(&k->bytes) };
    }
    *n_out = n;
    return p->list;
}

void
peal_batches_remove_first(struct peal_batches *p, unsigned n)
{
    while (n-- > 0) {
        struct packet *k = PEAL_CONTAINER(p->all.next, struct packet, link);

        if (peal_map_get(&p->open, topic_of(k)) == k)
            peal_batches_close(p, topic_of(k));
        packet_free(p, k);
    }
}

void
peal_batches_renumber(struct peal_batches *p, uint32_t node)
{
    size_t seal = p->seal->n > 0 ? PEAL_SEAL_HEAD : 0;

    p->node = node;
    for (struct peal_link *l = p->all.next; l != &p->all; l = l->next)
        peal_envelope_head(
            node, PEAL_CONTAINER(l, struct packet, link)->bytes.data + seal);
}

/* SPDX-License-Identifier: MIT */
/*
 * Which node and worker a session id belongs to.
 *
 * Every node makes its ids with a key of its own and tells the others that key in its
 * reports (hub/nodes.c). Here are the keys of the nodes that are heard, for routing, and
 * those of the last PEAL_GONE_NODES_MAX nodes that are not heard any more: nothing is
 * routed to these, but their sessions may live on behind a broken link, so their ids stay
 * addresses that nobody can subscribe to.
 *
 * Thread: the control thread writes, any thread reads. An entry that is being written
 * has number 0, or a key that fits no id: a reader finds no node.
 */
#include "hub/hub_priv.h"

static struct peal_id_key
entry_key(const struct peal_node_key *e)
{
    uint64_t words[2] = { e->key[0], e->key[1] };
    struct peal_id_key key;

    memcpy(key.bytes, words, sizeof(key.bytes));
    return key;
}

static bool
entry_proves(const struct peal_node_key *e, uint32_t node, struct peal_slice id,
    uint8_t *worker_out)
{
    struct peal_id_key key;

    if (e->number != node)
        return false;
    key = entry_key(e);
    return peal_id_owner(&key, id, &node, worker_out);
}

static void
entry_set(struct peal_node_key *e, uint32_t node, const struct peal_id_key *key)
{
    uint64_t words[2];

    memcpy(words, key->bytes, sizeof(words));
    e->number = 0;
    e->key[0] = words[0];
    e->key[1] = words[1];
    e->number = node;
}

peal_err
peal_hub_add_node(struct peal_hub *h, uint32_t node, const struct peal_id_key *key)
{
    unsigned n = h->n_known, at = n;

    for (unsigned i = 0; i < n; i++) {
        if (h->known[i].number == node)
            return PEAL_OK;
        if (h->known[i].number == 0)
            at = i;
    }
    if (at == PEAL_NODES_MAX)
        return PEAL_ELIMIT;
    entry_set(&h->known[at], node, key);
    if (at == n)
        h->n_known = n + 1;
    return PEAL_OK;
}

static void
remember_gone(struct peal_hub *h, uint32_t node, const struct peal_id_key *key)
{
    for (unsigned i = 0; i < PEAL_GONE_NODES_MAX; i++) {
        struct peal_id_key k = entry_key(&h->gone[i]);

        if (h->gone[i].number == node && memcmp(&k, key, sizeof(k)) == 0)
            return;
    }
    entry_set(&h->gone[h->next_gone], node, key);
    h->next_gone = (h->next_gone + 1) % PEAL_GONE_NODES_MAX;
}

void
peal_hub_remove_node(struct peal_hub *h, uint32_t node)
{
    for (unsigned i = 0; i < h->n_known; i++) {
        struct peal_node_key *e = &h->known[i];
        struct peal_id_key key;

        if (e->number != node)
            continue;
        key = entry_key(e);
        remember_gone(h, node, &key); /* first: its ids are addresses all the time */
        e->number = 0;
    }
}

bool
peal_hub_has_node(const struct peal_hub *h, uint32_t node)
{
    unsigned n = h->n_known;

    if (node == 0)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (h->known[i].number == node)
            return true;
    return false;
}

bool
peal_hub_owner(const struct peal_hub *h, struct peal_slice id, uint32_t *node_out,
    uint8_t *worker_out)
{
    unsigned n = h->n_known;

    if (!peal_id_claims(id, node_out, worker_out))
        return false;
    if (*node_out == h->node)
        return peal_id_owner(&h->key, id, node_out, worker_out);
    for (unsigned i = 0; i < n; i++)
        if (entry_proves(&h->known[i], *node_out, id, worker_out))
            return true;
    return false;
}

bool
peal_hub_is_address(const struct peal_hub *h, struct peal_slice channel)
{
    struct peal_slice id = peal_channel_address(channel);
    uint32_t node;
    uint8_t worker;

    if (!peal_id_claims(id, &node, &worker))
        return false;
    if (peal_hub_owner(h, id, &node, &worker))
        return true;
    for (unsigned i = 0; i < PEAL_GONE_NODES_MAX; i++)
        if (entry_proves(&h->gone[i], node, id, &worker))
            return true;
    return false;
}

int
peal_shard_owner(const struct peal_shard *sh, struct peal_slice id)
{
    uint32_t node;
    uint8_t worker;

    if (!peal_id_owner(&sh->hub->key, id, &node, &worker) || node != sh->hub->node ||
        worker >= sh->hub->n_shards)
        return -1;
    return worker;
}

void
peal_shard_new_id(const struct peal_shard *sh, char out[PEAL_ID_LEN])
{
    peal_id_new(&sh->hub->key, sh->hub->node, (uint8_t)sh->index, out);
}

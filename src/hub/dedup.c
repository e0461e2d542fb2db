/* SPDX-License-Identifier: MIT */
/* Deduplication: a window of bits for each publisher, which moves on with the highest
 * number that has come from it. */
#include "hub/dedup.h"

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "hub/hub_priv.h"

struct peal_publisher {
    uint32_t node;
    uint32_t last;                         /* the highest number so far */
    uint64_t seen[PEAL_DEDUP_WINDOW / 64]; /* by number, modulo the window */
};

static struct peal_publisher *
publisher_new(struct peal_dedup *c, uint32_t node, uint32_t number)
{
    struct peal_publisher *p;

    if (c->n == PEAL_NODES_MAX) { /* most likely of a node that has long been gone */
        p = &c->list[c->next];
        c->next = (c->next + 1) % PEAL_NODES_MAX;
    } else {
        if (PEAL_GROW(c->list, c->cap, c->n + 1) != PEAL_OK)
            return NULL;
        p = &c->list[c->n++];
    }
    *p = (struct peal_publisher){ .node = node, .last = number };
    return p;
}

static struct peal_publisher *
publisher_get(struct peal_dedup *c, uint32_t node, uint32_t number)
{
    for (unsigned i = 0; i < c->n; i++)
        if (c->list[i].node == node)
            return &c->list[i];
    return publisher_new(c, node, number);
}

static uint64_t *
word_of(struct peal_publisher *p, uint32_t number)
{
    return &p->seen[number % PEAL_DEDUP_WINDOW / 64];
}

static uint64_t
bit_of(uint32_t number)
{
    return 1ull << number % 64;
}

/* Moves the window on: nothing between the old end and the new one has come. */
static void
window_move(struct peal_publisher *p, uint32_t number)
{
    if (number - p->last >= PEAL_DEDUP_WINDOW)
        memset(p->seen, 0, sizeof(p->seen));
    else
        while (p->last != number) {
            p->last++;
            *word_of(p, p->last) &= ~bit_of(p->last);
        }
    p->last = number;
}

bool
peal_dedup_is_new(struct peal_dedup *c, uint32_t node, uint32_t number)
{
    struct peal_publisher *p = publisher_get(c, node, number);

    if (p == NULL)
        return true;
    if ((int32_t)(number - p->last) > 0)
        window_move(p, number);
    else if (p->last - number >= PEAL_DEDUP_WINDOW ||
             (*word_of(p, number) & bit_of(number)) != 0)
        return false;
    *word_of(p, number) |= bit_of(number);
    return true;
}

void
peal_dedup_fini(struct peal_dedup *c)
{
    free(c->list);
    *c = (struct peal_dedup){ 0 };
}

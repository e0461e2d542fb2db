/* SPDX-License-Identifier: MIT */
/*
 * Lists: intrusive, doubly linked, circular. An object's state is the list it is on.
 * A zeroed link is on no list; unlinking it does nothing. One that is on a list must not
 * be put on another.
 */
#ifndef PEAL_BASE_LIST_H
#define PEAL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct peal_link {
    struct peal_link *next, *prev;
};

#define PEAL_CONTAINER(ptr, type, member)                                                \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void
peal_list_init(struct peal_link *head)
{
    head->next = head->prev = head;
}

static inline bool
peal_list_empty(const struct peal_link *head)
{
    return head->next == head;
}

static inline bool
peal_list_linked(const struct peal_link *l)
{
    return l->next != NULL;
}

static inline void
peal_list_append(struct peal_link *head, struct peal_link *l)
{
    PEAL_ASSERT(l->next == NULL && head->prev->next == head);
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

static inline void
peal_list_unlink(struct peal_link *l)
{
    if (l->next == NULL)
        return;
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->next = l->prev = NULL;
}

/* peal_list_take unlinks and returns the first link, or NULL. */
static inline struct peal_link *
peal_list_take(struct peal_link *head)
{
    struct peal_link *l = head->next;

    if (l == head)
        return NULL;
    peal_list_unlink(l);
    return l;
}

/* peal_list_take_middle moves n of the n_all links on a list, those in its middle, to the
 * end of another one. It walks half of the list. */
static inline void
peal_list_take_middle(
    struct peal_link *to, struct peal_link *from, unsigned n_all, unsigned n)
{
    struct peal_link *l = from->next, *next;

    for (unsigned i = 0; i < (n_all - n) / 2; i++)
        l = l->next;
    for (; n > 0; n--, l = next) {
        next = l->next;
        peal_list_unlink(l);
        peal_list_append(to, l);
    }
}

/* peal_list_move empties from into to, which must be empty or not yet initialised. */
static inline void
peal_list_move(struct peal_link *to, struct peal_link *from)
{
    peal_list_init(to);
    if (peal_list_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    peal_list_init(from);
}

#endif

/* SPDX-License-Identifier: MIT */
/* Output queues: a ring-less array that is consumed from the head and compacted on
 * growth. */
#include "io/outq_priv.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/vec.h"

#define FREE_MAX 4096        /* spare queues that are kept */
#define JOIN_MAX (16 * 1024) /* above this copying costs more than an iovec */

struct peal_outq *
peal_outq_get(struct peal_outq_spares *spares)
{
    struct peal_outq *q = spares->first;

    if (q != NULL) {
        spares->first = q->next_spare;
        spares->n--;
    } else if ((q = calloc(1, sizeof(*q))) == NULL) {
        return NULL;
    }
    q->items = q->inline_items;
    q->cap = PEAL_OUTQ_INLINE;
    q->head = q->n = q->offset = q->n_fixed = 0;
    q->bytes = q->locked = q->counted = 0;
    return q;
}

void
peal_outq_put(struct peal_outq_spares *spares, struct peal_outq *q)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < q->n; i++) {
        bytes += q->items[q->head + i].blob->len;
        peal_blob_release(q->items[q->head + i].blob);
    }
    PEAL_ASSERT(bytes == q->bytes + q->offset);
    if (q->items != q->inline_items)
        free(q->items);
    if (spares->n >= FREE_MAX) {
        free(q);
        return;
    }
    q->next_spare = spares->first;
    spares->first = q;
    spares->n++;
}

void
peal_outq_spares_fini(struct peal_outq_spares *spares)
{
    struct peal_outq *q;

    while ((q = spares->first) != NULL) {
        spares->first = q->next_spare;
        free(q);
    }
}

/* Make room for one more item at the end. */
static peal_err
make_room(struct peal_outq *q)
{
    struct peal_out_item *items = q->items == q->inline_items ? NULL : q->items;
    peal_err err;

    if (q->head > q->cap / 2) { /* enough has gone from the front */
        memmove(q->items, q->items + q->head, q->n * sizeof(*items));
        q->head = 0;
        return PEAL_OK;
    }
    if ((err = PEAL_GROW(items, q->cap, q->cap + 1)) != PEAL_OK)
        return err;
    if (q->items == q->inline_items) {
        memcpy(items, q->items + q->head, q->n * sizeof(*items));
        q->head = 0;
    }
    q->items = items;
    return PEAL_OK;
}

peal_err
peal_outq_add(struct peal_outq *q, struct peal_blob *b, uint32_t tag)
{
    peal_err err;

    if (q->head + q->n == q->cap && (err = make_room(q)) != PEAL_OK)
        return err;
    q->items[q->head + q->n++] = (struct peal_out_item){ peal_blob_retain(b), tag };
    q->bytes += b->len;
    return PEAL_OK;
}

/* Drop item i (from the head); the first must not be half sent. */
static void
drop_at(struct peal_outq *q, uint32_t i)
{
    struct peal_out_item *at = q->items + q->head + i;

    q->bytes -= at->blob->len;
    peal_blob_release(at->blob);
    memmove(at, at + 1, (q->n - i - 1) * sizeof(*at));
    q->n--;
}

/* Returns how many items at the front must stay: their bytes are partly on the way. */
static uint32_t
n_locked(const struct peal_outq *q)
{
    size_t bytes = q->locked + q->offset;
    uint32_t n = 0;

    for (; n < q->n && bytes > 0; n++) {
        size_t len = q->items[q->head + n].blob->len;

        bytes -= bytes < len ? bytes : len;
    }
    return n;
}

/* The first item that may be dropped, or one before it; passes over each item once. */
static uint32_t
first_tagged(struct peal_outq *q)
{
    uint32_t locked = n_locked(q);

    while (q->n_fixed < q->n && q->items[q->head + q->n_fixed].tag == 0)
        q->n_fixed++;
    return q->n_fixed > locked ? q->n_fixed : locked;
}

unsigned
peal_outq_drop_oldest(struct peal_outq *q, size_t need, size_t max)
{
    uint32_t kept = first_tagged(q), n = kept, end = q->n;
    size_t size = peal_outq_size(q) + need, target = max - max / 8;

    if (size <= max)
        return 0;
    /* One pass: what stays is moved down once, however many are dropped. */
    for (uint32_t i = kept; i < end; i++) {
        struct peal_out_item item = q->items[q->head + i];

        if (item.tag != 0 && size > target) {
            size -= item.blob->len + PEAL_CONN_ITEM_COST;
            q->bytes -= item.blob->len;
            peal_blob_release(item.blob);
        } else {
            q->items[q->head + n++] = item;
        }
    }
    q->n = n;
    return end - n;
}

unsigned
peal_outq_drop_tag(struct peal_outq *q, uint32_t tag)
{
    uint32_t kept = first_tagged(q);
    unsigned dropped = 0;

    for (uint32_t i = q->n; i-- > kept;) {
        if (q->items[q->head + i].tag != tag)
            continue;
        drop_at(q, i);
        dropped++;
    }
    return dropped;
}

void
peal_outq_copy(const struct peal_outq *q, size_t skip, char *dst, size_t len)
{
    skip += q->offset;
    for (uint32_t i = 0; len > 0; i++) {
        const struct peal_blob *b = q->items[q->head + i].blob;
        size_t n;

        if (skip >= b->len) {
            skip -= b->len;
            continue;
        }
        n = b->len - skip < len ? b->len - skip : len;
        memcpy(dst, b->data + skip, n);
        dst += n;
        len -= n;
        skip = 0;
    }
}

void
peal_outq_sent(struct peal_outq *q, size_t n)
{
    PEAL_ASSERT(n <= q->bytes);
    q->bytes -= n;
    n += q->offset;
    while (q->n > 0 && n >= q->items[q->head].blob->len) {
        n -= q->items[q->head].blob->len;
        peal_blob_release(q->items[q->head].blob);
        q->head++;
        q->n--;
        q->n_fixed -= q->n_fixed > 0;
        q->sent_items++;
    }
    q->offset = (uint32_t)n;
    PEAL_ASSERT(q->n > 0 || (q->bytes == 0 && n == 0));
}

static bool
same_as_last(const struct peal_gather *g, const struct peal_outq *q)
{
    if (q->n != g->n_last || q->offset != 0)
        return false;
    for (uint32_t i = 0; i < q->n; i++)
        if (q->items[q->head + i].blob != g->last[i])
            return false;
    return true;
}

static unsigned
join(struct peal_gather *g, const struct peal_outq *q, struct iovec *iov)
{
    char *run = g->arena + g->used;

    if (same_as_last(g, q)) {
        iov[0] = g->last_run;
        return 1;
    }
    if (g->cap - g->used < q->bytes)
        return 0;
    peal_outq_copy(q, 0, run, q->bytes);
    g->used += q->bytes;
    iov[0] = (struct iovec){ run, q->bytes };
    g->n_last = 0;
    if (q->n <= PEAL_IOV_MAX && q->offset == 0) {
        for (uint32_t i = 0; i < q->n; i++)
            g->last[i] = q->items[q->head + i].blob;
        g->n_last = q->n;
        g->last_run = iov[0];
    }
    return 1;
}

/* The bytes of leading items that are so small that more of them can be joined than
 * there are entries of an iovec; 0: they are not. */
static size_t
small_prefix(const struct peal_outq *q)
{
    size_t bytes = 0, len = 0;
    uint32_t i = 0;

    for (; i < q->n; i++) {
        len = q->items[q->head + i].blob->len - (i == 0 ? q->offset : 0);
        if (bytes + len > JOIN_MAX)
            break;
        bytes += len;
    }
    return i > PEAL_IOV_MAX ? bytes : 0;
}

unsigned
peal_gather_fill(struct peal_gather *g, const struct peal_outq *q, struct iovec *iov)
{
    size_t skip = q->offset, prefix;
    unsigned n;

    if (q->n > 1 && q->bytes <= JOIN_MAX)
        return join(g, q, iov);
    if (q->n > PEAL_IOV_MAX && (prefix = small_prefix(q)) > 0) {
        if (g->cap - g->used < prefix)
            return 0;
        peal_outq_copy(q, 0, g->arena + g->used, prefix);
        iov[0] = (struct iovec){ g->arena + g->used, prefix };
        g->used += prefix;
        return 1;
    }
    n = q->n < PEAL_IOV_MAX ? q->n : PEAL_IOV_MAX;
    for (uint32_t i = 0; i < n; i++) {
        struct peal_blob *b = q->items[q->head + i].blob;

        iov[i] = (struct iovec){ b->data + skip, b->len - skip };
        skip = 0;
    }
    return n;
}

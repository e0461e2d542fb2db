/* SPDX-License-Identifier: MIT */
/*
 * Output queues, inside io/ only: blobs by reference, in order. A queue exists only while
 * it has something in it; spare ones wait on the loop, so a delivery allocates nothing
 * and an idle connection carries a pointer.
 */
#ifndef PEAL_IO_OUTQ_PRIV_H
#define PEAL_IO_OUTQ_PRIV_H

#include <sys/uio.h>

#include "base/blob.h"
#include "base/wheel.h"
#include "io/conn.h"

#define PEAL_OUTQ_INLINE 12
#define PEAL_IOV_MAX 64

struct peal_out_item {
    struct peal_blob *blob; /* held */
    uint32_t tag;
};

struct peal_outq {
    struct peal_conn *conn;
    struct peal_out_item *items; /* inline_items, or malloc'ed when it has grown */
    uint32_t head, n, cap;       /* items[head .. head+n) wait */
    uint32_t offset;             /* bytes of the first item that are sent */
    size_t bytes;                /* that wait */
    size_t locked;               /* leading bytes that OpenSSL has already encrypted */
    size_t counted;              /* what of its size is in PEAL_STAT_QUEUE_BYTES */
    uint32_t n_fixed;            /* leading items that are known to have tag 0 */
    uint64_t sent_items;         /* for the age limit: has the head moved? */
    uint64_t age_mark;
    struct peal_timer age;
    struct peal_outq *next_spare;
    struct peal_out_item inline_items[PEAL_OUTQ_INLINE];
};

/* peal_outq_size is the memory that what waits takes, in bytes: what limits are about. */
static inline size_t
peal_outq_size(const struct peal_outq *q)
{
    return q->bytes + (size_t)q->n * PEAL_CONN_ITEM_COST;
}

/* Spare queues, kept for the next connection that has something to say. */
struct peal_outq_spares {
    struct peal_outq *first;
    unsigned n;
};

/* peal_outq_get takes a spare one, or makes one; empty. NULL: out of memory. */
struct peal_outq *peal_outq_get(struct peal_outq_spares *spares);

/* peal_outq_put drops what waits in q, whose timer is stopped, and keeps q as a spare
 * one. */
void peal_outq_put(struct peal_outq_spares *spares, struct peal_outq *q);

void peal_outq_spares_fini(struct peal_outq_spares *spares);

/* peal_outq_add appends; the blob is held. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_outq_add(
    struct peal_outq *q, struct peal_blob *b, uint32_t tag);

/*
 * peal_outq_drop_oldest drops tagged items, oldest first, if size and need are above max;
 * and then so many that an eighth of max is free, for each call passes over the queue.
 * Returns how many items were dropped.
 */
unsigned peal_outq_drop_oldest(struct peal_outq *q, size_t need, size_t max);

/* peal_outq_drop_tag drops the waiting items of a tag. Returns how many. */
unsigned peal_outq_drop_tag(struct peal_outq *q, uint32_t tag);

/* peal_outq_copy copies len waiting bytes, beginning at skip, to dst. */
void peal_outq_copy(const struct peal_outq *q, size_t skip, char *dst, size_t len);

/* peal_outq_sent takes n written bytes off the front. */
void peal_outq_sent(struct peal_outq *q, size_t n);

/*
 * The next write for a queue: one run of bytes (iov[0]), or several.
 *
 * Small items are joined into an arena. Connections that hold the same items, as they do
 * after a burst on a channel, share one joined run.
 */
struct peal_gather {
    char *arena;
    size_t used, cap;
    struct peal_blob *last[PEAL_IOV_MAX]; /* what the last joined run was made of */
    unsigned n_last;
    struct iovec last_run;
};

/* peal_gather_fill returns the number of entries of iov to write (at most PEAL_IOV_MAX);
 * 0: the arena is full, write out what uses it and call peal_gather_reset first. */
unsigned peal_gather_fill(
    struct peal_gather *g, const struct peal_outq *q, struct iovec *iov);

static inline void
peal_gather_reset(struct peal_gather *g)
{
    g->used = 0;
    g->n_last = 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Output queues, inside io/ only: blobs by reference, in order. A queue exists only while
 * it has something in it; spare ones wait on the loop, so a delivery allocates nothing
 * and an idle connection carries a pointer.
 */
#ifndef PEAL_IO_OUTQ_PRIV_H
#define PEAL_IO_OUTQ_PRIV_H

#include <sys/uio.h>

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
    struct peal_outq *next_free;
    struct peal_out_item inline_items[PEAL_OUTQ_INLINE];
};

/* peal_outq_size is the memory that what waits takes, in bytes: what limits are about. */
static inline size_t
peal_outq_size(const struct peal_outq *q)
{
    return q->bytes + (size_t)q->n * PEAL_CONN_ITEM_COST;
}

/* peal_outq_get gives c a queue if it has none. NULL: out of memory. */
struct peal_outq *peal_outq_get(struct peal_conn *c);

/* peal_outq_put drops what waits and gives the queue back to the loop. NULL is fine. */
void peal_outq_put(struct peal_conn *c);

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
 * What to write for a queue: one run of bytes (iov[0]), or several.
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

/* Result of a write, from either engine: bytes, or -errno. Thread: the loop's. */
void peal_conn_written(struct peal_conn *c, ssize_t result);

/* Is c read? Once it has no owner, what comes is thrown away. */
static inline bool
peal_conn_reads(const struct peal_conn *c)
{
    return (!c->paused && !c->full) || c->finishing;
}

/* peal_conn_read reads what is there and offers it. */
void peal_conn_read(struct peal_conn *c);

/* peal_conn_offer calls the owner with bytes; returns how many it consumed. */
size_t peal_conn_offer(struct peal_conn *c, uint8_t *data, size_t len);

/* peal_conn_keep keeps what data() left over of in, which is taken. */
void peal_conn_keep(struct peal_conn *c, struct peal_buf *in, size_t used);

/* peal_conn_doom has c closed at the end of the turn; peal_conn_die_slow does it. */
void peal_conn_doom(struct peal_conn *c);
void peal_conn_die_slow(struct peal_conn *c);

/* peal_conn_try_write writes without ever calling the owner. */
void peal_conn_try_write(struct peal_conn *c);

/* How a loop writes; the build and the kernel pick one. */
struct peal_flusher {
    const char *name;
    /* Writes every connection on loop->dirty once. */
    void (*flush)(struct peal_flusher *f, struct peal_loop *l);
    void (*fini)(struct peal_flusher *f);
    struct peal_gather gather;
};

PEAL_MUST_USE peal_err peal_flusher_epoll(struct peal_flusher **out);
/* Errors: PEAL_EUNSUPP: not built in, or the kernel or a filter forbids it. */
PEAL_MUST_USE peal_err peal_flusher_uring(struct peal_flusher **out);

/* peal_conn_write writes once with plain system calls or TLS: bytes, or -errno. */
ssize_t peal_conn_write(struct peal_conn *c, struct peal_gather *g);

#endif

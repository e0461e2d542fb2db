/* SPDX-License-Identifier: MIT */
/*
 * Writing through io_uring: up to BATCH sends enter the kernel with one system call. With
 * MSG_DONTWAIT every send completes while it is submitted, so results are read at once
 * and nothing is ever in flight between turns; a short one goes the way of any short
 * write.
 */
#include "io/conn_priv.h"
#include "io/flusher_priv.h"

#include <errno.h>
#include <stdlib.h>

#include <liburing.h>

#define BATCH 256
#define ARENA (1024 * 1024)

struct slot {
    struct peal_conn *conn;
    int result;
    struct msghdr msg;
    struct iovec iov[PEAL_IOV_MAX];
};

struct uring {
    struct peal_flusher base;   /* first */
    struct peal_flusher *plain; /* takes over when this thread gets no ring */
    struct io_uring ring;
    bool up;
    unsigned n;
    struct slot slots[BATCH];
};

static int
ring_init(struct io_uring *ring)
{
    struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER |
                                          IORING_SETUP_DEFER_TASKRUN };

    return io_uring_queue_init_params(BATCH, ring, &p);
}

static bool
has_failed(const struct slot *s)
{
    return s->result < 0 && s->result != -EAGAIN && s->result != -EINTR;
}

/*
 * The results go to their connections. First those that call no owner: until a result is
 * booked, its queue must be as it was when it was sent. Then those that failed: owners
 * that are told may close, and write to, each other's connections.
 */
static void
report(const struct slot *slots, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!has_failed(&slots[i]))
            peal_conn_written(slots[i].conn, slots[i].result);
    for (unsigned i = 0; i < n; i++)
        if (has_failed(&slots[i]) && slots[i].conn->state != PEAL_CONN_CLOSED)
            peal_conn_written(slots[i].conn, slots[i].result);
}

/* Send the batch, then tell its connections. */
static void
submit(struct uring *u)
{
    struct io_uring_cqe *cqe;
    unsigned n = u->n, head, got;
    int r;

    if (n == 0)
        return;
    for (unsigned left = n; left > 0; left -= got) {
        r = io_uring_submit_and_wait(&u->ring, left);
        got = 0;
        if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY)
            abort(); /* the ring is ours alone: this is a bug, not a peer's doing */
        io_uring_for_each_cqe(&u->ring, head, cqe)
        {
            u->slots[io_uring_cqe_get_data64(cqe)].result = cqe->res;
            got++;
        }
        io_uring_cq_advance(&u->ring, got);
    }
    u->n = 0;
    peal_gather_reset(&u->base.gather);
    report(u->slots, n);
}

/* false: the arena is full, and the batch must be submitted first. */
static bool
add(struct uring *u, struct peal_conn *c)
{
    struct slot *s = &u->slots[u->n];
    struct io_uring_sqe *sqe;
    unsigned n = peal_gather_fill(&u->base.gather, c->out, s->iov);

    if (n == 0)
        return false;
    s->conn = c;
    sqe = io_uring_get_sqe(&u->ring);
    if (n == 1) {
        io_uring_prep_send(sqe, c->fd, s->iov[0].iov_base, s->iov[0].iov_len,
            MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
        s->msg = (struct msghdr){ .msg_iov = s->iov, .msg_iovlen = n };
        io_uring_prep_sendmsg(sqe, c->fd, &s->msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    io_uring_sqe_set_data64(sqe, u->n);
    if (++u->n == BATCH)
        submit(u);
    return true;
}

/* Writes c, which is not on the list of dirty connections any more. */
static void
write_one(struct uring *u, struct peal_conn *c)
{
    if (c->state != PEAL_CONN_OPEN || c->ssl != NULL || c->out == NULL) {
        submit(u); /* the arena is about to be used by somebody else */
        if (c->state == PEAL_CONN_DOOMED || (c->state != PEAL_CONN_CLOSED && !c->stalled))
            peal_conn_flush(c);
    } else if (!c->stalled && !add(u, c)) {
        submit(u);
        /* Owners that were told of failures may have changed it. */
        if (c->state != PEAL_CONN_CLOSED && !peal_list_linked(&c->dirty))
            write_one(u, c);
    }
}

static void
flush(struct peal_flusher *f, struct peal_loop *l)
{
    struct uring *u = PEAL_CONTAINER(f, struct uring, base);
    struct peal_link all, *link;

    if (!u->up) { /* the ring must be made by the thread that uses it */
        if (ring_init(&u->ring) < 0) {
            peal_log(l->config.log, PEAL_LOG_WARN, "io_uring failed, using epoll", NULL);
            l->flusher = u->plain;
            u->plain = NULL;
            f->fini(f);
            l->flusher->flush(l->flusher, l);
            return;
        }
        u->up = true;
    }
    peal_list_move(&all, &l->dirty);
    while ((link = peal_list_take(&all)) != NULL)
        write_one(u, PEAL_CONTAINER(link, struct peal_conn, dirty));
    submit(u);
}

static void
fini(struct peal_flusher *f)
{
    struct uring *u = PEAL_CONTAINER(f, struct uring, base);

    if (u->up)
        io_uring_queue_exit(&u->ring);
    if (u->plain != NULL)
        u->plain->fini(u->plain);
    free(u->base.gather.arena);
    free(u);
}

peal_err
peal_flusher_uring(struct peal_flusher **out)
{
    struct io_uring probe;
    struct uring *u;

    if (ring_init(&probe) < 0) /* no such call, no such flag, or a filter forbids it */
        return PEAL_EUNSUPP;
    io_uring_queue_exit(&probe);
    if ((u = calloc(1, sizeof(*u))) == NULL)
        return PEAL_ENOMEM;
    u->base.name = "uring";
    u->base.flush = flush;
    u->base.fini = fini;
    u->base.gather.cap = ARENA;
    if ((u->base.gather.arena = malloc(ARENA)) == NULL ||
        peal_flusher_epoll(&u->plain) != PEAL_OK) {
        fini(&u->base);
        return PEAL_ENOMEM;
    }
    *out = &u->base;
    return PEAL_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * Connections from the inside, for the files of io/ only. The states and what leads from
 * one to the other are drawn in conn.c; peal_conn_set_state alone changes them.
 */
#ifndef PEAL_IO_CONN_PRIV_H
#define PEAL_IO_CONN_PRIV_H

#include "base/assert.h"
#include "io/conn.h"
#include "io/loop_priv.h"
#include "io/result_priv.h"
#include "io/tls_priv.h"

struct peal_gather;
struct peal_outq;

enum peal_conn_state {
    PEAL_CONN_OPEN,
    PEAL_CONN_HANDSHAKE, /* TLS; what is sent waits */
    PEAL_CONN_DOOMED,    /* closed at the end of the turn, when its owner may be told */
    PEAL_CONN_FLUSHING,  /* no owner any more: what is queued is written */
    PEAL_CONN_SHUT,      /* no owner: all is written, and the peer is to close */
    PEAL_CONN_CLOSED     /* the memory goes once libuv has let go of the handle */
};

struct peal_conn {
    uv_poll_t poll; /* its data is the owner, its loop the loop */
    const struct peal_conn_ops *ops;
    struct ssl_st *ssl;    /* NULL: plain */
    struct peal_outq *out; /* NULL: nothing queued */
    struct peal_buf *in;   /* bytes the owner has not consumed; NULL: none */
    struct peal_link dirty, unread;
    int fd;                      /* -1 once closed */
    unsigned state : 3;          /* enum peal_conn_state */
    unsigned why : 3;            /* enum peal_close: of DOOMED, FLUSHING and SHUT */
    unsigned events : 3;         /* that libuv watches for */
    unsigned stalled : 1;        /* the kernel took less than all */
    unsigned paused : 1;         /* is not read, as the owner wishes */
    unsigned full : 1;           /* is not read, for too much is kept in in */
    unsigned tls_want_write : 1; /* TLS cannot go on before it has written */
    unsigned tls_waits : 1; /* HANDSHAKE: on the loop's list of handshakes, by unread */
    unsigned in_data : 1;   /* inside ops->data */
    unsigned again : 1;     /* read_again was called from inside ops->data */
    unsigned peek : 1;      /* only consumed bytes leave the socket */
    unsigned eof : 1;       /* the peer sends no more */
    unsigned corked : 1;    /* what is sent waits */
    unsigned inner : 1;     /* PEAL_CONN_INNER */
};

static inline struct peal_loop *
peal_conn_loop_of(const struct peal_conn *c)
{
    return PEAL_CONTAINER(c->poll.loop, struct peal_loop, uv);
}

static inline struct peal_stats *
peal_conn_stats(const struct peal_conn *c)
{
    return &peal_conn_loop_of(c)->stats;
}

static inline bool
peal_conn_has_owner(const struct peal_conn *c)
{
    return c->state <= PEAL_CONN_DOOMED;
}

/* c is read. Once it has no owner, its input is discarded. */
static inline bool
peal_conn_reads(const struct peal_conn *c)
{
    return (!c->paused && !c->full) || !peal_conn_has_owner(c);
}

/* Life; conn.c. */
void peal_conn_set_state(struct peal_conn *c, enum peal_conn_state to);
/* Watches the socket for what the state and the flags of c ask for. */
void peal_conn_watch(struct peal_conn *c);
/* Takes the owner away: what is queued is written, then c is closed. */
void peal_conn_disown(struct peal_conn *c, enum peal_close why);
/* Closes c, which has come to its end by itself, and tells the owner if it has one. */
void peal_conn_die(struct peal_conn *c, enum peal_close why);
/* Closes c at the end of the turn, from where no owner may be called. */
void peal_conn_doom(struct peal_conn *c, enum peal_close why);

/* Reading; conn_read.c. */
/* Keeps the bytes of in, which is taken. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_conn_keep(struct peal_conn *c, struct peal_buf *in);
void peal_conn_drop_kept(struct peal_conn *c);
void peal_conn_read(struct peal_conn *c);
/* Has c offered again, or read where OpenSSL may hold bytes; watches it. */
void peal_conn_read_more(struct peal_conn *c);

/* TLS handshakes; conn_tls.c. */
void peal_conn_on_handshake(struct peal_conn *c, int status);
void peal_conn_stop_waiting(struct peal_conn *c);

/* Sending; conn_send.c. */
void peal_conn_mark_dirty(struct peal_conn *c);
/* Gives c an output queue if it has none. NULL: out of memory. */
struct peal_outq *peal_conn_queue(struct peal_conn *c);
/* Drops what is queued, and the queue. */
void peal_conn_drop_queue(struct peal_conn *c);
/* The result of a write by either engine: bytes, or -errno. May call the owner. */
void peal_conn_written(struct peal_conn *c, ssize_t result);

/* Writing; write.c. Once, with plain system calls or TLS: bytes, or -errno. */
ssize_t peal_conn_write(struct peal_conn *c, struct peal_gather *g);

#endif

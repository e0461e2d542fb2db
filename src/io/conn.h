/* SPDX-License-Identifier: MIT */
/*
 * Connections: a TCP, TLS or unix socket, its unread bytes and its output queue.
 *
 * Reading: bytes go to the owner as they come; what it does not consume is kept and
 * offered again together with what follows. Writing: blobs are appended by reference and
 * written once at the end of the loop's turn, everything in one go.
 *
 * A queue has a limit in bytes and in age; what happens then is the loop's slow policy.
 * Nothing here calls the owner back from inside a send: a connection that must die is
 * closed at the end of the turn, so a fan-out loop never loses the ground under its feet.
 *
 * Thread: the connection's loop. Handing one to another loop: detach here, adopt there.
 */
#ifndef PEAL_IO_CONN_H
#define PEAL_IO_CONN_H

#include <sys/socket.h>

#include "base/blob.h"
#include "base/buf.h"
#include "io/loop.h"

struct peal_conn;
struct peal_tls_ctx;
struct ssl_st;

/* The reasons for closing a connection; counted in peal_closed_total. */
enum peal_close {
    PEAL_CLOSE_PEER,    /* the other side closed or reset it */
    PEAL_CLOSE_LOCAL,   /* we are done with it */
    PEAL_CLOSE_ERROR,   /* the system, or TLS, said no */
    PEAL_CLOSE_TIMEOUT, /* the peer was silent for too long */
    PEAL_CLOSE_SLOW,    /* its output queue passed a limit */
    PEAL_CLOSE_PROTO,   /* its bytes broke the protocol */
    PEAL_CLOSE_MEMORY   /* there was no memory for what it sent, or was to be sent */
};

/* Bytes of memory that something queued takes besides its own: its place in the queue and
 * the head of its blob, as the allocator rounds them. The limits of a queue count it, or
 * one of tiny items would take many times the memory that it may. */
#define PEAL_CONN_ITEM_COST 48

/* The party on the other side, which decides the counters and limits that apply. */
enum peal_conn_kind {
    PEAL_CONN_CLIENT, /* a client's: max_connections is about these */
    PEAL_CONN_INNER   /* of other nodes, of a backplane, of an administrator */
};

/*
 * Bytes have come. data may be changed in place and is valid for the call. Returns how
 * many bytes were consumed; the rest is kept, and offered again with what follows. May
 * close, finish, detach or re-own c, and must then return the bytes it consumed before:
 * the rest stays with c for a new owner, or is dropped if it has none any more.
 */
typedef size_t peal_conn_data_fn(struct peal_conn *c, uint8_t *data, size_t len);

/* c is gone, and not because the owner closed it. Forget c. (A peer that closed only its
 * own side still gets what is queued.) */
typedef void peal_conn_closed_fn(struct peal_conn *c, enum peal_close why);

/* The queue was stalled and is empty now. */
typedef void peal_conn_drained_fn(struct peal_conn *c);

/* The functions of an owner. All run on the loop's thread, never from inside a send. */
struct peal_conn_ops {
    peal_conn_data_fn *data;
    peal_conn_closed_fn *closed;
    peal_conn_drained_fn *drained; /* optional */
};

/* A connection between two loops. */
struct peal_conn_parts {
    int fd;
    struct ssl_st *ssl; /* or NULL */
    struct peal_buf unread;
    _Atomic int64_t *open; /* where it counts as open, or NULL */
    enum peal_conn_kind kind;
};

/*
 * peal_conn_new wraps a connected, non-blocking socket.
 *   fd    taken on PEAL_OK only
 *   ops, owner  kept; change them with peal_conn_set_owner
 * Errors: PEAL_ENOMEM, PEAL_EIO.
 */
PEAL_MUST_USE peal_err peal_conn_new(struct peal_loop *loop, int fd,
    enum peal_conn_kind kind, const struct peal_conn_ops *ops, void *owner,
    struct peal_conn **out);

struct peal_loop *peal_conn_loop(const struct peal_conn *c);

/* The owner may be changed at any time, also from inside ops->data. */
void *peal_conn_owner(const struct peal_conn *c);
void peal_conn_set_owner(
    struct peal_conn *c, const struct peal_conn_ops *ops, void *owner);

/* peal_conn_is_owned: c is not closed, and not finished either. */
bool peal_conn_is_owned(const struct peal_conn *c);

/* peal_conn_start_tls begins a TLS handshake as server; bytes come decrypted after it.
 * Unread bytes must be consumed first. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_conn_start_tls(struct peal_conn *c, struct peal_tls_ctx *ctx);

/*
 * peal_conn_start_tls_client begins a TLS handshake as client, on a fresh connection.
 * What was sent before it is over waits, within the limits of the queue; bytes come
 * decrypted after it. If it fails, ops->closed is called, with tls_why of the loop saying
 * why. It has no deadline of its own.
 *   ctx  of peal_tls_client_ctx_new; borrowed
 *   server_name  a host name or an IP address: what the certificate must be for, if ctx
 *         verifies; a name is also sent (SNI). Borrowed.
 *
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_conn_start_tls_client(
    struct peal_conn *c, struct peal_tls_ctx *ctx, const char *server_name);

/* From peal_conn_peek on to peal_conn_end_peek, bytes that the owner does not consume
 * stay in the socket, for TLS to read them from there (what follows a PROXY header). */
void peal_conn_peek(struct peal_conn *c);
void peal_conn_end_peek(struct peal_conn *c);

/*
 * peal_conn_send appends b (held, not taken).
 *   tag  0: must not be dropped. Else drop-oldest may drop it, and latest-only replaces a
 *        waiting one of the same tag.
 * false: the queue is full and the message was dropped, or c is about to be closed for
 * it.
 */
bool peal_conn_send(struct peal_conn *c, struct peal_blob *b, uint32_t tag);

/* peal_conn_send_bytes appends a copy. Out of memory closes c at the end of the turn. */
bool peal_conn_send_bytes(struct peal_conn *c, struct peal_slice bytes);

/* peal_conn_ready says whether what is sent now is likely to leave at once (volatile). */
bool peal_conn_ready(const struct peal_conn *c);

/* peal_conn_queued is the memory in bytes that what waits takes: its bytes, and
 * PEAL_CONN_ITEM_COST for each send. */
size_t peal_conn_queued(const struct peal_conn *c);

/* peal_conn_read_again offers the kept bytes to the owner again at the end of this turn.
 */
void peal_conn_read_again(struct peal_conn *c);

/* peal_conn_offer_kept does it now: only where no callback of a connection is running. */
void peal_conn_offer_kept(struct peal_conn *c);

/* peal_conn_unread are the bytes that are kept, valid until c is read again. */
struct peal_slice peal_conn_unread(const struct peal_conn *c);

/* peal_conn_pause stops reading; peal_conn_resume goes on. A paused connection does not
 * notice that its peer has left. */
void peal_conn_pause(struct peal_conn *c);
void peal_conn_resume(struct peal_conn *c);
bool peal_conn_is_paused(const struct peal_conn *c);

/* peal_conn_cork holds back what is sent from now on; peal_conn_uncork lets it go. The
 * limits of the queue hold meanwhile. Finishing c uncorks it. */
void peal_conn_cork(struct peal_conn *c);
void peal_conn_uncork(struct peal_conn *c);

/* peal_conn_close closes c now and drops what is queued. The owner is not called. */
void peal_conn_close(struct peal_conn *c, enum peal_close why);

/* peal_conn_finish writes what is queued, then closes; bounded in time. The owner is not
 * called any more and forgets c. */
void peal_conn_finish(struct peal_conn *c, enum peal_close why);

/* peal_conn_detach takes the socket out of c, which is released, as peal_conn_close does.
 * Nothing may be queued. Bytes in unread go first. Errors: PEAL_ENOMEM (c is as before).
 */
PEAL_MUST_USE peal_err peal_conn_detach(
    struct peal_conn *c, struct peal_slice unread, struct peal_conn_parts *out);

/* peal_conn_adopt is the other half, on the other loop; unread bytes are offered to the
 * owner at the end of the turn. Takes what parts holds, also on failure. */
PEAL_MUST_USE peal_err peal_conn_adopt(struct peal_loop *loop,
    struct peal_conn_parts *parts, const struct peal_conn_ops *ops, void *owner,
    struct peal_conn **out);

/* peal_conn_parts_fini closes what was detached and not adopted. */
void peal_conn_parts_fini(struct peal_conn_parts *parts);

/* peal_conn_shutdown tells the peer of a plain connection that no more will come, and
 * goes on reading; nothing may be queued, or sent from now on. */
void peal_conn_shutdown(struct peal_conn *c);

/* peal_conn_flush writes what is queued now instead of at the end of the turn. */
void peal_conn_flush(struct peal_conn *c);

#endif

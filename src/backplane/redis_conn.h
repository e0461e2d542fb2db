/* SPDX-License-Identifier: MIT */
/*
 * One connection to one Redis: it is dialled and greeted (TLS, AUTH, CLIENT SETNAME),
 * then commands go out and replies come in. Replies are read by hiredis' reader; the
 * sockets are Peal's own, so that plain, TLS and unix sockets are one code path on every
 * version of hiredis.
 *
 * A connection on which nothing comes is asked with a PING, and ended if nothing comes
 * for some seconds more: a machine that has died, or a network that loses everything,
 * does not close a connection.
 *
 * Thread: the loop's.
 */
#ifndef PEAL_BACKPLANE_REDIS_CONN_H
#define PEAL_BACKPLANE_REDIS_CONN_H

#include <hiredis/hiredis.h>

#include "io/conn.h"
#include "io/tls.h"

#define PEAL_REDIS_DEADLINE_MS 5000 /* from the dial to the end of the greeting */

struct peal_redis_conn;

struct peal_redis_conn_ops {
    /* It is greeted: commands may be sent. */
    void (*ready)(void *arg);
    /* A reply to what was sent, in order, or a message of pub/sub. Borrowed. */
    void (*reply)(void *arg, const redisReply *reply);
    /* It has ended, or could not be made: forget it. Never called from inside a function
     * here. why is valid for the call. */
    void (*closed)(void *arg, const char *why);
};

enum peal_redis_role {
    PEAL_REDIS_ANY_ROLE,
    PEAL_REDIS_MASTER_IF_TOLD, /* who may not ask ROLE, or cannot, takes it for a master
                                */
    PEAL_REDIS_MASTER
};

/* Everything is borrowed for as long as the connection lives. */
struct peal_redis_conn_config {
    const char *host; /* or the path of a unix socket */
    uint16_t port;
    struct peal_tls_ctx *tls;    /* NULL: plain */
    const char *user, *password; /* NULL: none */
    const char *name;            /* for CLIENT SETNAME, which may fail; NULL: none */
    bool lenient; /* a password may be refused: the next reply tells if one is needed */
    enum peal_redis_role role; /* what it has to be */
};

/* peal_redis_conn_new dials. Errors: PEAL_ENOMEM, PEAL_EIO. */
PEAL_MUST_USE peal_err peal_redis_conn_new(struct peal_loop *loop,
    const struct peal_redis_conn_config *config, const struct peal_redis_conn_ops *ops,
    void *arg, struct peal_redis_conn **out);

/* peal_redis_command makes the bytes of a command of n words. NULL: out of memory. */
struct peal_blob *peal_redis_command(const struct peal_slice *words, unsigned n);

/* peal_redis_conn_send sends such bytes (retained, not taken). NULL, or no room: the
 * connection is closed, and closed is called later. */
void peal_redis_conn_send(struct peal_redis_conn *c, struct peal_blob *command);

/* peal_redis_conn_command is both. */
void peal_redis_conn_command(
    struct peal_redis_conn *c, const struct peal_slice *words, unsigned n);

/* The text of a reply; empty if it is none. */
struct peal_slice peal_redis_text(const redisReply *reply);

/* peal_redis_role_of reads the reply to ROLE: "master", "slave", "sentinel"; empty if it
 * is none. */
struct peal_slice peal_redis_role_of(const redisReply *reply);

/* It has answered ROLE. Ask once it is greeted. */
bool peal_redis_conn_tells_role(const struct peal_redis_conn *c);

/* Bytes not yet taken by the system. */
size_t peal_redis_conn_queued(const struct peal_redis_conn *c);

/* peal_redis_conn_close ends it, without calling closed, and sets *cp to NULL. NULL is
 * fine. */
void peal_redis_conn_close(struct peal_redis_conn **cp);

#endif

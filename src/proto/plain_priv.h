/* SPDX-License-Identifier: MIT */
/* What /ws and /sse share: a session, and the channels that a request names. */
#ifndef PEAL_PROTO_PLAIN_PRIV_H
#define PEAL_PROTO_PLAIN_PRIV_H

#include "proto/plain.h"
#include "proto/wsconn.h"

/* Begins a ws or sse session. */
struct peal_plain {
    struct peal_session session; /* first */
    struct peal_proto *proto;
    struct peal_link link; /* on proto->sessions */
    struct peal_timer timer;
    bool envelopes; /* it names channels as ?channel=: each message says which one */
};

/*
 * peal_plain_subscribe joins the channels that the request names: the rest of its path,
 * or the values of `channel` in its query.
 *   prefix  of the route, with a slash at its end
 * false: refused, and answered.
 */
bool peal_plain_subscribe(
    struct peal_plain *p, struct peal_http *h, struct peal_slice prefix);

/* peal_plain_asks_node: does the request want to be told first which node it has reached?
 * That is ?node in the query. peal_plain_node appends the answer, {"node":...}. */
bool peal_plain_asks_node(const struct peal_http *h);
PEAL_MUST_USE peal_err peal_plain_node(const struct peal_proto *p, struct peal_buf *out);

/* peal_plain_begin puts it on the list and counts it, and its age begins; peal_plain_end
 * undoes that and ends the session. */
void peal_plain_begin(struct peal_plain *p, enum peal_stat gauge);
void peal_plain_end(struct peal_plain *p, enum peal_stat gauge, enum peal_session_end end,
    const char *detail);

/* peal_plain_hold keeps what is sent on conn, the response's head first, until all
 * channels are subscribed: an open connection means that nothing is missed. */
void peal_plain_hold(struct peal_plain *p, struct peal_conn *conn);

/* peal_plain_wait arms p->timer for a heartbeat, or for sessions.max_age if that is
 * sooner: then peal_plain_aged is true, and the session is to leave. */
void peal_plain_wait(struct peal_plain *p, uint64_t heartbeat_ms);
bool peal_plain_aged(const struct peal_plain *p);

/* peal_plain_channel_ok: may this be the name of a channel? */
bool peal_plain_channel_ok(struct peal_slice name);

#endif

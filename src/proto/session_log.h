/* SPDX-License-Identifier: MIT */
/*
 * Log lines about sessions: why a client was refused, and why a session ended. Clients
 * decide how many there are, so each kind of line is limited (base/log.h).
 *
 * A session that a client's fault or a limit of the node has ended is logged at info, one
 * that ends in the ordinary way at debug.
 *
 * Thread: the worker's loop.
 */
#ifndef PEAL_PROTO_SESSION_LOG_H
#define PEAL_PROTO_SESSION_LOG_H

#include "app/app.h"
#include "base/log.h"
#include "http/http.h"

struct peal_proto;

/* Part of struct peal_proto. */
struct peal_session_log {
    struct peal_log_limit refused, refused_engineio3, failed, ended;
};

/* peal_session_end_of is what the end of its connection means to a session. */
enum peal_session_end peal_session_end_of(enum peal_close why);

/* The name of a session in the log. */
struct peal_session_name {
    const char *protocol, *transport;
    struct peal_slice id; /* or empty */
};

/* peal_session_log_refused says why a request did not begin a session, or reach one.
 * transport NULL: the protocol has only one. */
void peal_session_log_refused(struct peal_proto *p, const struct peal_http *h,
    const char *protocol, const char *transport, const char *why);

/* peal_session_log_engineio3 is the same for a client of Socket.IO 2; counted, so that an
 * operator learns of clients that cannot get in. */
void peal_session_log_engineio3(struct peal_proto *p, const struct peal_http *h);

/* peal_session_log_ended says why a session has ended. detail is more about it, or NULL.
 */
void peal_session_log_ended(struct peal_proto *p, const struct peal_session_name *s,
    enum peal_session_end end, const char *detail);

#endif

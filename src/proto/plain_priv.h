/* SPDX-License-Identifier: MIT */
/*
 * Shared by /ws and /sse: sessions in the order of their age, the channels that a
 * request names, and the wait for these to be subscribed.
 */
#ifndef PEAL_PROTO_PLAIN_PRIV_H
#define PEAL_PROTO_PLAIN_PRIV_H

#include "proto/proto.h"

/* First member of a plain protocol's context. */
struct peal_plain_protocol {
    struct peal_protocol base; /* first */
    struct peal_link sessions; /* struct peal_plain, oldest first */
    unsigned n;
};

/* A decision about a session that the app still owes. It is allocated only then, for most
 * apps answer at once. */
struct peal_plain_asking {
    struct peal_questions *questions; /* one; none while its answer is dealt with */
    struct peal_msg *message; /* retained, to be published; NULL before it begins */
    /* The request of a session that has not begun. */
    struct peal_http *http;
    const struct peal_plain_ops *ops;
    struct peal_buf head; /* a copy of the request's */
    unsigned n_allowed; /* channels that this session may have, in the order of asking */
    bool decided;       /* the app has answered about the next one: err, why */
    bool done;          /* nothing is asked any more */
    peal_err err;
    const char *why;
};

/* First member of struct ws and struct sse. */
struct peal_plain {
    struct peal_session session; /* first */
    struct peal_plain_protocol *protocol;
    struct peal_link link; /* on protocol->sessions */
    struct peal_timer timer;
    struct peal_plain_asking *asking; /* NULL: the app is asked nothing */
};

/* Operations of a plain protocol. */
peal_protocol_count_fn peal_plain_count;
peal_protocol_drain_fn peal_plain_drain;

static inline struct peal_proto *
peal_plain_proto(const struct peal_plain *p)
{
    return p->protocol->base.proto;
}

/*
 * peal_plain_init makes p a session that is not on the list yet.
 *   on_timer  see peal_plain_wait
 */
void peal_plain_init(struct peal_plain *p, struct peal_plain_protocol *protocol,
    const struct peal_session_ops *ops, unsigned channels_max, peal_timer_fn *on_timer);

/* Subscribing to what a request names; plain_subscribe.c. */

enum peal_plain_subscribed {
    PEAL_PLAIN_REFUSED,    /* and answered; p is the caller's to release */
    PEAL_PLAIN_SUBSCRIBED, /* to all channels */
    PEAL_PLAIN_ASKED       /* the app answers later */
};

typedef void peal_plain_fn(struct peal_plain *p);
typedef void peal_plain_again_fn(struct peal_plain *p, struct peal_http *h);

/* The functions by which a protocol resumes a request that has waited for the app. */
struct peal_plain_ops {
    struct peal_slice prefix;   /* of the route, with a slash at its end */
    peal_plain_again_fn *again; /* the app has answered: subscribe once more */
    peal_plain_fn *cancel;      /* the client has gone: release p, which has not begun */
};

/*
 * peal_plain_subscribe subscribes p to the channels that the request names: the rest of
 * its path, or the values of `channel` in its query. Each is asked of the app. ops is
 * kept.
 */
PEAL_MUST_USE enum peal_plain_subscribed peal_plain_subscribe(
    struct peal_plain *p, struct peal_http *h, const struct peal_plain_ops *ops);

/*
 * peal_plain_ask asks the app about a subscription or a publish. PEAL_EAGAIN: it answers
 * later, p->asking has the question, and decided is called with p. PEAL_ENOMEM: it would
 * answer later, but there is no memory for that. Any other error refuses.
 */
PEAL_MUST_USE peal_err peal_plain_ask(struct peal_plain *p, enum peal_ask_kind kind,
    struct peal_slice channel, peal_answer_fn *decided, const char **why_out);

/* peal_plain_stop_asking drops the question and what waits for its answer, if any. */
void peal_plain_stop_asking(struct peal_plain *p);

/* peal_plain_channel_ok: this may be the name of a channel. */
bool peal_plain_channel_ok(struct peal_slice name);

/* peal_plain_asks_node tells whether the client asks for the name of the node that it has
 * reached, by ?node in the query. peal_plain_node appends the answer, {"node":...}. */
bool peal_plain_asks_node(const struct peal_http *h);
PEAL_MUST_USE peal_err peal_plain_node(const struct peal_proto *p, struct peal_buf *out);

/* peal_plain_begin puts p on the list and counts it, and its age begins. peal_plain_end
 * undoes that and ends the session, if it has begun; how and detail are for the log. */
void peal_plain_begin(struct peal_plain *p);
void peal_plain_end(struct peal_plain *p, enum peal_session_end how, const char *detail);

/* peal_plain_cork keeps what is sent on conn, the response's head first, until all
 * channels are subscribed: an open connection means that nothing is missed. */
void peal_plain_cork(struct peal_plain *p, struct peal_conn *conn);

/* peal_plain_wait arms p->timer for a heartbeat, or for sessions.max_age if that is
 * sooner: then peal_plain_drain_if_aged drains the session and returns true. */
void peal_plain_wait(struct peal_plain *p, uint64_t heartbeat_ms);
bool peal_plain_drain_if_aged(struct peal_plain *p);

#endif

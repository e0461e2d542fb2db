/* SPDX-License-Identifier: MIT */
/*
 * Admission: which newcomers may begin a session on a worker, and when; how old sessions
 * may become, and which ones go when there are too many.
 * Thread: the worker's loop.
 */
#ifndef PEAL_PROTO_ADMISSION_H
#define PEAL_PROTO_ADMISSION_H

#include "base/bucket.h"
#include "http/http.h"

struct peal_proto;

/* How a newcomer is refused. */
enum peal_newcomer {
    PEAL_NEWCOMER_SOCKET, /* 503; its client comes back by itself */
    PEAL_NEWCOMER_STREAM  /* a stream that ends; at an error status it would give up */
};

/* Part of struct peal_proto. */
struct peal_admission {
    struct peal_bucket bucket; /* of sessions.rate */
    struct peal_link waiting;  /* newcomers, oldest first */
    unsigned n_waiting;
    unsigned n_refused;              /* spreads Retry-After */
    struct peal_http *resumed;       /* the one that does not wait any longer, or NULL */
    const enum peal_stat *refuse_as; /* NULL: it is admitted; else counted as this */
    struct peal_timer timer;         /* runs while anybody waits */
    bool closed;
};

void peal_admission_init(struct peal_proto *p);

/* peal_admission_close refuses those that wait and, from now on, every newcomer. */
void peal_admission_close(struct peal_proto *p);

/*
 * peal_admission_try: may this request begin a session now? From begin only, after all
 * that can be wrong with the request has been looked at, and before any work is done for
 * it. true: yes. false: it waits, and begin is called again; or it is answered, and
 * counted.
 */
bool peal_admission_try(
    struct peal_proto *p, struct peal_http *h, enum peal_newcomer newcomer);

/* peal_session_drain_at returns when a session that begins now is to be drained:
 * sessions.max_age from now, 10 % more or less. Loop time in ms, or 0: never. */
uint64_t peal_session_drain_at(const struct peal_proto *p);

/*
 * peal_sessions_shed closes n sessions as a drain does, for nodes that have fewer. The
 * youngest go: most of them have come in the storm that made this node the fuller one,
 * they have the least built up, and those that have been here for long keep what works
 * for them. (The longest silent would be better still; to know them would cost every
 * session memory.)
 */
void peal_sessions_shed(struct peal_proto *p, unsigned n);

#endif

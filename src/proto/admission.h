/* SPDX-License-Identifier: MIT */
/*
 * Admission: how many sessions a worker begins, how old they may become, and who goes
 * when it has too many.
 * Thread: the worker's loop.
 */
#ifndef PEAL_PROTO_ADMISSION_H
#define PEAL_PROTO_ADMISSION_H

#include "base/bucket.h"
#include "http/http.h"

struct peal_proto;

/* Part of struct peal_proto. */
struct peal_admission {
    struct peal_bucket bucket;
    struct peal_link waiting; /* event streams, oldest first */
    unsigned n_waiting;
    unsigned owed;      /* tokens that are laid by for them */
    unsigned n_refused; /* spreads Retry-After */
    bool closed;
    struct peal_timer timer; /* as long as anybody waits */
};

void peal_admission_init(struct peal_proto *p);

/* peal_admission_close: nobody is let in any more, and whoever waits is sent away. */
void peal_admission_close(struct peal_proto *p);

/*
 * peal_admission_try: may this request begin a session? Ask before any work is done for
 * it. false: it is answered with 503 and Retry-After, or after peal_admission_close its
 * connection is closed; counted.
 */
bool peal_admission_try(struct peal_proto *p, struct peal_http *h);

/*
 * peal_admission_try_stream is the same for an event stream, whose client must never see
 * an error status; from begin only. false: it waits, and begin is called again; or it is
 * turned away; counted.
 */
bool peal_admission_try_stream(struct peal_proto *p, struct peal_http *h);

/* peal_session_drain_at is when a session that begins now is to be sent away:
 * sessions.max_age from now, 10 % more or less. Loop time in ms, or 0: never. */
uint64_t peal_session_drain_at(const struct peal_proto *p);

/*
 * peal_sessions_shed closes n sessions as a drain does, for nodes that have fewer. The
 * youngest go: most of them have come in the storm that made this node the fuller one,
 * they have the least built up, and whoever has been here for long keeps what works for
 * him. (The longest silent would be better still; to know them would cost every session
 * memory.)
 */
void peal_sessions_shed(struct peal_proto *p, unsigned n);

#endif

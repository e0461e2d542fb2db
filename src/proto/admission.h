/* SPDX-License-Identifier: MIT */
/*
 * Admission: which newcomers may begin a session on a worker, and when; and how old
 * sessions may become.
 * Thread: the worker's loop.
 */
#ifndef PEAL_PROTO_ADMISSION_H
#define PEAL_PROTO_ADMISSION_H

#include "base/bucket.h"
#include "http/http.h"

struct peal_proto;

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
 * peal_admission_try asks whether this request may begin a session now. From begin only,
 * after all that can be wrong with the request has been looked at, and before any work is
 * done for it. true: yes. false: it waits, and begin is called again; or it is answered,
 * and counted.
 *
 *   turn_away  answers a newcomer that is refused, with ctx; it is for clients that an
 *              error status would keep from ever coming back, so they wait for
 *              sessions.max as well. NULL: 503, for clients that come back by themselves.
 */
bool peal_admission_try(
    struct peal_proto *p, struct peal_http *h, peal_http_fn *turn_away, void *ctx);

/* peal_session_drain_at returns when a session that begins now is to be drained:
 * sessions.max_age from now, 10 % more or less. Loop time in ms, or 0: never. */
uint64_t peal_session_drain_at(const struct peal_proto *p);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Asking: a message that every session is to acknowledge, and what they answer.
 *
 * The loop that asks may be any of the process. Each worker asks its own sessions, and
 * posts how many they were and what they answer. Before that all workers count: a request
 * that would ask too many is refused before anything is sent.
 *
 * Only sessions of this node are asked, those whose protocol can answer (Socket.IO).
 * Subscribers with another protocol get the message as any other.
 *
 * Thread: peal_ask, peal_ask_cancel and the calls of struct peal_ask_ops belong to the
 * loop that asks, the rest to the loop of the session.
 */
#ifndef PEAL_HUB_ASK_H
#define PEAL_HUB_ASK_H

#include "hub/hub.h"

#define PEAL_ASK_MAX 1000 /* sessions of one request */
#define PEAL_OWED_MAX 256 /* acknowledgements that one session may owe */

struct peal_ask;
struct peal_ask_part;

/* What one session answered; everything is borrowed. */
struct peal_answer {
    struct peal_slice args; /* raw JSON values joined by commas */
    unsigned n_args;
    struct peal_blob *const *atts; /* attachments, in placeholder order */
    unsigned n_atts;
};

struct peal_ask_ops {
    /* All sessions have been asked, n. Once; answers may come before. */
    void (*asked)(void *ctx, unsigned n);
    void (*answer)(void *ctx, const struct peal_answer *answer);
    /* The end, after which the request is gone. PEAL_OK: all have answered, but those who
     * ended instead. PEAL_ETIMEOUT. PEAL_ELIMIT: more than PEAL_ASK_MAX would have been
     * asked; nothing was sent, and asked was not called. */
    void (*done)(void *ctx, peal_err why);
};

/*
 * peal_ask begins a request. Nothing is called before it returns.
 *   loop  the caller's; kept
 *   m     held; with PEAL_MSG_ASK among its flags
 *   workers  a bit for each one that may have somebody for it, as peal_hub_workers says
 *   timeout_ms  for the answers; begins when all have been asked
 *   ops, ctx  kept until done, or peal_ask_cancel
 *   out   the request, until then
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_ask(struct peal_hub *hub, struct peal_loop *loop,
    struct peal_msg *m, uint64_t workers, uint64_t timeout_ms,
    const struct peal_ask_ops *ops, void *ctx, struct peal_ask **out);

/* peal_ask_cancel ends the request without a call. Before a loop is freed, its requests
 * must have ended. */
void peal_ask_cancel(struct peal_ask *a);

/*
 * For protocols. An acknowledgement that a session owes; the session has a list of them,
 * and nothing else. A zeroed pointer is an empty list.
 */
struct peal_owed {
    struct peal_owed *next, **at;
    struct peal_ask_part *part;
    uint64_t id; /* what the client is to answer with; of one worker no two are the same
                  */
};

/* peal_may_owe: is there room for one more? */
bool peal_may_owe(const struct peal_owed *list);

/* peal_owe adds o, which stays the hub's, to a session that was asked. */
void peal_owe(struct peal_owed **list, struct peal_owed *o);

/* peal_owed_answer is for what a client says. false: it does not owe this one (any more).
 */
bool peal_owed_answer(
    struct peal_owed *list, uint64_t id, const struct peal_answer *answer);

/* peal_owed_drop empties the list of a session that ends. */
void peal_owed_drop(struct peal_owed **list);

/* peal_asks_drop ends what requests have to do with a shard that ends; the hub's. */
void peal_asks_drop(struct peal_shard *sh);

#endif

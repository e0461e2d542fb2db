/* SPDX-License-Identifier: MIT */
/*
 * Ack requests: a message that every session is asked to acknowledge, and what they
 * answer.
 *
 * The loop that asks may be any of the process. Each worker asks its own sessions, and
 * posts how many they were and what they answer. Before that all workers count: a request
 * that would ask too many is refused before anything is sent.
 *
 * Only sessions of this node are asked, those whose protocol can answer (Socket.IO);
 * hub/cluster_ack.h asks those of all nodes. Subscribers with another protocol get the
 * message as any other.
 *
 * Thread: peal_ack_request, peal_ack_request_cancel and the calls of struct
 * peal_ack_request_ops belong to the loop that asks, the rest to the loop of the session.
 */
#ifndef PEAL_HUB_ACKREQ_H
#define PEAL_HUB_ACKREQ_H

#include "hub/hub.h"

#define PEAL_ACK_REQUEST_MAX 1000 /* sessions of one request */
#define PEAL_PENDING_ACKS_MAX 256 /* pending acks of one session */

struct peal_ack_request;
struct peal_ack_share;

/* The acknowledgement of one session; everything is borrowed. */
struct peal_ack_answer {
    struct peal_slice args; /* raw JSON values joined by commas */
    unsigned n_args;
    struct peal_blob *const *atts; /* attachments, in placeholder order */
    unsigned n_atts;
};

struct peal_ack_request_ops {
    /* Optional: n sessions would be asked, not too many. false: none of them is, and the
     * request has ended, without another call. */
    bool (*counted)(void *ctx, unsigned n);
    /* All sessions have been asked, n. Once; answers may come before. */
    void (*asked)(void *ctx, unsigned n);
    void (*answer)(void *ctx, const struct peal_ack_answer *answer);
    /* The end, after which the request is gone. PEAL_OK: all have answered, but those who
     * ended instead. PEAL_ETIMEOUT. PEAL_ELIMIT: more than PEAL_ACK_REQUEST_MAX would
     * have been asked; nothing was sent, and asked was not called. */
    void (*done)(void *ctx, peal_err why);
};

/*
 * peal_ack_request begins a request. Nothing is called before it returns.
 *   loop  the caller's; kept
 *   m     held; with PEAL_MSG_NEEDS_ACK among its flags
 *   workers  a bit for each one that may have somebody for it, as peal_hub_workers says
 *   timeout_ms  for the answers; begins when all have been asked
 *   ops, ctx  kept until done, or peal_ack_request_cancel
 *   out   the request, until then
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_ack_request(struct peal_hub *hub, struct peal_loop *loop,
    struct peal_msg *m, uint64_t workers, uint64_t timeout_ms,
    const struct peal_ack_request_ops *ops, void *ctx, struct peal_ack_request **out);

/* peal_ack_request_cancel ends the request without a call. Before a loop is freed, its
 * requests must have ended. */
void peal_ack_request_cancel(struct peal_ack_request *a);

/*
 * For protocols. What a session has still to acknowledge; the session has a list of them,
 * and nothing else. A zeroed pointer is an empty list.
 */
struct peal_pending_ack {
    struct peal_pending_ack *next, **at;
    struct peal_ack_share *share;
    uint64_t id; /* what the client is to answer with; of one worker no two are the same
                  */
};

/* peal_pending_ack_has_room: there is room for one more. */
bool peal_pending_ack_has_room(const struct peal_pending_ack *list);

/* peal_pending_ack_add adds o, which stays the hub's, to a session that was asked. */
void peal_pending_ack_add(struct peal_pending_ack **list, struct peal_pending_ack *o);

/* peal_pending_ack_resolve is for what a client answers. false: it was not asked for
 * this, or not any more. */
bool peal_pending_ack_resolve(
    struct peal_pending_ack *list, uint64_t id, const struct peal_ack_answer *answer);

/* peal_pending_acks_clear empties the list of a session that ends. */
void peal_pending_acks_clear(struct peal_pending_ack **list);

/* peal_ack_requests_detach ends what requests have to do with a shard that ends; the
 * hub's. */
void peal_ack_requests_detach(struct peal_shard *sh);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Requests for acknowledgements. A server that asks gives up after flags.timeout and says
 * so to nobody, so that is how long answers are waited for here. Without it a server of
 * today has given up at once; for others it is what adapters wait for any other request.
 *
 * Of more clients than can be asked none is: then the count is of more than will ever
 * answer, and the one who asks is told that time is up, not that all is well.
 */
#include "adapter/requests.h"

#include <stdlib.h>

#include "base/assert.h"
#include "hub/ackreq.h"

#define TIMEOUT_MS 5000     /* as requestsTimeout of the adapters */
#define REQUESTS_MAX 1000   /* under way; beyond, as with too many clients */
#define WAIT_MAX_MS 3600000 /* however long they say */

struct request {
    struct peal_link link;
    struct peal_adapter_requests *all;
    struct peal_ack_request *acks;
    bool asking; /* not all clients have been asked yet: others' messages wait */
    struct peal_adapter_request from;
};

static void
end_asking(struct request *q)
{
    if (q->asking)
        peal_adapter_deferred_unblock(q->all->deferred);
    q->asking = false;
}

static void
request_free(struct request *q)
{
    end_asking(q);
    peal_list_unlink(&q->link);
    PEAL_ASSERT(q->all->n > 0);
    q->all->n--;
    peal_adapter_request_fini(&q->from);
    free(q);
}

static void
answer_count(
    struct peal_adapter_requests *r, const struct peal_adapter_request *from, unsigned n)
{
    struct peal_sio_redis_msg out = { .op = PEAL_SIO_REDIS_COUNT, .count = n };

    peal_adapter_answer(r->sender, from, &out);
}

/* More than will ever answer. */
static void
refuse(struct peal_adapter_requests *r, const struct peal_adapter_request *from)
{
    peal_stat_add(peal_loop_stats(r->sender->loop), PEAL_STAT_ADAPTER_REFUSED, 1);
    answer_count(r, from, PEAL_ACK_REQUEST_MAX + 1);
}

static void
request_on_asked(void *ctx, unsigned n)
{
    struct request *q = ctx;
    struct peal_adapter_deferred *deferred = q->all->deferred;

    answer_count(q->all, &q->from, n);
    end_asking(q);
    peal_adapter_deferred_resume(deferred);
}

static void
request_on_answer(void *ctx, const struct peal_ack_answer *said)
{
    const struct request *q = ctx;
    struct peal_sio_redis_msg out = { .op = PEAL_SIO_REDIS_ACK,
        .args = said->args,
        .n_args = said->n_args,
        .atts = said->atts,
        .n_atts = said->n_atts };

    peal_adapter_answer(q->all->sender, &q->from, &out);
}

static void
request_on_done(void *ctx, peal_err why)
{
    struct request *q = ctx;
    struct peal_adapter_deferred *deferred = q->all->deferred;

    if (why == PEAL_ELIMIT)
        refuse(q->all, &q->from);
    request_free(q);
    peal_adapter_deferred_resume(deferred);
}

static const struct peal_ack_request_ops request_ops = {
    .asked = request_on_asked, .answer = request_on_answer, .done = request_on_done
};

static peal_err
begin(struct peal_adapter_requests *r, const struct peal_sio_redis_msg *in,
    struct peal_msg *m, uint64_t workers)
{
    uint64_t ms = in->timeout_ms == 0 ? TIMEOUT_MS : in->timeout_ms;
    struct request *q = calloc(1, sizeof(*q));
    peal_err err;

    if (q == NULL)
        return PEAL_ENOMEM;
    q->all = r;
    q->asking = true;
    peal_adapter_deferred_block(r->deferred);
    r->n++;
    peal_list_append(&r->list, &q->link);
    peal_relay_post_deliveries(r->relay); /* what was broadcast before goes before */
    if ((err = peal_adapter_request_init(&q->from, in)) != PEAL_OK ||
        (err = peal_ack_request(r->hub, r->sender->loop, m, workers,
             ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS, &request_ops, q, &q->acks)) != PEAL_OK)
        request_free(q);
    else
        peal_stat_add(peal_loop_stats(r->sender->loop), PEAL_STAT_PUBLISHED, 1);
    return err;
}

void
peal_adapter_requests_init(struct peal_adapter_requests *r, struct peal_hub *hub,
    struct peal_relay *relay, struct peal_adapter_sender *sender,
    struct peal_adapter_deferred *deferred)
{
    *r = (struct peal_adapter_requests){
        .hub = hub, .relay = relay, .sender = sender, .deferred = deferred
    };
    peal_list_init(&r->list);
}

void
peal_adapter_requests_add(struct peal_adapter_requests *r,
    const struct peal_sio_redis_msg *in, struct peal_msg *m, uint64_t workers)
{
    const struct peal_adapter_request from = {
        .uid = in->uid, .nsp = in->nsp, .request_id = in->request_id
    };

    if (r->n >= REQUESTS_MAX) {
        refuse(r, &from);
    } else if (m == NULL || workers == 0) {
        answer_count(r, &from, 0);
    } else if (begin(r, in, m, workers) != PEAL_OK) {
        peal_stat_add(peal_loop_stats(r->sender->loop), PEAL_STAT_ADAPTER_BAD, 1);
        answer_count(r, &from, 0);
    }
}

void
peal_adapter_requests_fini(struct peal_adapter_requests *r)
{
    while (!peal_list_empty(&r->list)) {
        struct request *q = PEAL_CONTAINER(r->list.next, struct request, link);

        peal_ack_request_cancel(q->acks);
        request_free(q);
    }
    PEAL_ASSERT(r->n == 0);
}

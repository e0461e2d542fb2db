/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts that are to be acknowledged: the server that asks is told how many clients
 * were asked here, and then what each of them answers, its first argument.
 *
 * It gives up after flags.timeout and says so to nobody, so that is how long answers are
 * waited for here. Without it a server of today has given up at once; for others it is
 * what adapters wait for any other request.
 *
 * Of more clients than can be asked none is: then the count is of more than will ever
 * answer, and the one who asks is told that time is up, not that all is well.
 */
#include <stdlib.h>

#include "adapter/adapter_priv.h"
#include "hub/ackreq.h"

#define TIMEOUT_MS 5000     /* as requestsTimeout of the adapters */
#define ASKS_MAX 1000       /* under way; beyond, as with too many clients */
#define WAIT_MAX_MS 3600000 /* however long they say */

struct ask {
    struct peal_link link; /* on the adapter's list */
    struct peal_adapter *adapter;
    struct peal_ack_request *ask;
    bool asking; /* not all have been asked yet */
    struct peal_adapter_request request;
};

static void
free_ask(struct ask *k)
{
    peal_list_unlink(&k->link);
    k->adapter->n_asks--;
    k->adapter->asking -= k->asking;
    peal_adapter_request_fini(&k->request);
    free(k);
}

static void
say_count(struct peal_adapter *a, const struct peal_adapter_request *request, unsigned n)
{
    struct peal_sio_redis_msg out = { .op = PEAL_SIO_REDIS_COUNT, .count = n };

    peal_adapter_answer(a, request, &out);
}

static void
on_asked(void *ctx, unsigned n)
{
    struct ask *k = ctx;

    say_count(k->adapter, &k->request, n);
    k->asking = false;
    k->adapter->asking--;
    peal_adapter_resume(k->adapter);
}

static void
on_answer(void *ctx, const struct peal_ack_answer *said)
{
    const struct ask *k = ctx;
    struct peal_sio_redis_msg out = { .op = PEAL_SIO_REDIS_ACK,
        .args = said->args,
        .n_args = said->n_args,
        .atts = said->atts,
        .n_atts = said->n_atts };

    peal_adapter_answer(k->adapter, &k->request, &out);
}

static void
on_done(void *ctx, peal_err why)
{
    struct ask *k = ctx;
    struct peal_adapter *a = k->adapter;

    if (why == PEAL_ELIMIT) {
        peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_REFUSED, 1);
        say_count(a, &k->request, PEAL_ACK_REQUEST_MAX + 1);
    }
    free_ask(k);
    peal_adapter_resume(a);
}

static const struct peal_ack_request_ops ops = {
    .asked = on_asked, .answer = on_answer, .done = on_done
};

static peal_err
begin(struct peal_adapter *a, const struct peal_sio_redis_msg *in, struct peal_msg *m,
    uint64_t workers)
{
    uint64_t ms = in->timeout_ms == 0 ? TIMEOUT_MS : in->timeout_ms;
    struct ask *k = calloc(1, sizeof(*k));
    peal_err err;

    if (k == NULL)
        return PEAL_ENOMEM;
    k->adapter = a;
    k->asking = true;
    a->n_asks++;
    a->asking++;
    peal_list_append(&a->asks, &k->link);
    peal_relay_post_deliveries(a->relay); /* what was broadcast before goes before */
    if ((err = peal_adapter_request_init(&k->request, in)) != PEAL_OK ||
        (err = peal_ack_request(a->hub, a->loop, m, workers,
             ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS, &ops, k, &k->ask)) != PEAL_OK)
        free_ask(k);
    else
        peal_stat_add(&a->loop->stats, PEAL_STAT_PUBLISHED, 1);
    return err;
}

void
peal_adapter_request_acks(struct peal_adapter *a, const struct peal_sio_redis_msg *in)
{
    const struct peal_adapter_request request = {
        .uid = in->uid, .nsp = in->nsp, .request_id = in->request_id
    };
    struct peal_msg *m = NULL;
    uint64_t workers = 0;
    peal_err err;

    if (a->n_asks >= ASKS_MAX) {
        peal_stat_add(&a->loop->stats, PEAL_STAT_ADAPTER_REFUSED, 1);
        say_count(a, &request, PEAL_ACK_REQUEST_MAX + 1);
        return;
    }
    if ((err = peal_adapter_msg(a, in, PEAL_MSG_NEEDS_ACK, &m)) == PEAL_OK && m != NULL &&
        (workers = peal_adapter_workers(a, m)) != 0)
        err = begin(a, in, m, workers);
    if (err != PEAL_OK)
        peal_adapter_unreadable(a, in->nsp, err);
    if (err != PEAL_OK || workers == 0)
        say_count(a, &request, 0);
    peal_msg_release(m);
}

void
peal_adapter_ack_requests_free(struct peal_adapter *a)
{
    while (!peal_list_empty(&a->asks)) {
        struct ask *k = PEAL_CONTAINER(a->asks.next, struct ask, link);

        peal_ack_request_cancel(k->ask);
        free_ask(k);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * POST /api/emit with "ack": the answer waits for the acknowledgements of the clients.
 *
 *   {"responses":["yes",null],"asked":3,"answered":2,"nodes":2,"nodes_answered":2}
 *
 * In a cluster the clients of all nodes are asked. Fewer nodes_answered than nodes: of
 * the others it is not known what their clients answered, or would have.
 *
 * A response is the first argument of an acknowledgement. They come in the order in which
 * clients answer, not with the names of those clients. All of them must fit into the
 * bytes that may wait for a connection; an answer beyond that is counted and left out.
 */
#include <stdlib.h>

#include "api/api_priv.h"
#include "base/json.h"
#include "base/writer.h"
#include "hub/cluster_ack.h"
#include "wire/sio.h"

#define AROUND_MAX 1024 /* bytes of an answer that are not responses */

struct call {
    struct peal_http *h;
    struct peal_api *api;
    struct peal_cluster_ack *request;
    struct peal_buf responses; /* values with commas between */
    unsigned answered;         /* clients */
};

static void
free_call(struct call *c)
{
    peal_buf_fini(&c->responses);
    free(c);
}

/* The first argument as JSON, bytes in base64. */
static peal_err
add_response(struct peal_buf *out, const struct peal_ack_answer *said)
{
    struct peal_slice rest = said->args, first;
    peal_err err = out->len > 0 ? peal_buf_add_char(out, ',') : PEAL_OK;

    if (err != PEAL_OK)
        return err;
    if (!peal_json_next(&rest, &first))
        return peal_buf_add(out, "null", 4);
    return peal_sio_inline(out, first, said->atts, said->n_atts);
}

static void
call_on_answer(void *ctx, const struct peal_ack_answer *said)
{
    struct call *c = ctx;
    size_t before = c->responses.len;
    size_t max = peal_loop_queue_max(peal_shard_loop(c->api->shard));

    c->answered++;
    if (add_response(&c->responses, said) != PEAL_OK ||
        c->responses.len + AROUND_MAX > max)
        c->responses.len = before;
}

static peal_err
put_body(const struct call *c, const struct peal_cluster_ack_result *result,
    struct peal_buf *out)
{
    struct peal_writer w = peal_writer_on(out);

    peal_writer_puts(&w, "{\"responses\":[");
    peal_writer_put(&w, peal_buf_slice(&c->responses));
    peal_writer_printf(
        &w, "],\"asked\":%u,\"answered\":%u", result->n_asked, c->answered);
    if (result->n_nodes > 0)
        peal_writer_printf(&w, ",\"nodes\":%u,\"nodes_answered\":%u", result->n_nodes,
            result->n_answered);
    peal_writer_puts(&w, "}\n");
    return peal_writer_end(&w);
}

static void
call_answer(const struct call *c, const struct peal_cluster_ack_result *result)
{
    struct peal_buf body = { 0 };

    if (put_body(c, result, &body) != PEAL_OK) {
        peal_http_close(c->h, PEAL_CLOSE_ERROR);
    } else {
        peal_stat_add(peal_shard_stats(c->api->shard), PEAL_STAT_API_REQUESTS, 1);
        peal_http_reply(c->h, 200, "application/json", peal_buf_slice(&body));
    }
    peal_buf_fini(&body);
}

static void
call_on_done(void *ctx, const struct peal_cluster_ack_result *result)
{
    struct call *c = ctx;

    c->h->gone = NULL;
    if (result->err == PEAL_ELIMIT) {
        peal_api_error(c->h, c->api, 400, "too_many_clients",
            "more than %d clients would have to answer; nothing was sent",
            PEAL_ACK_REQUEST_MAX);
    } else if (result->err == PEAL_EAGAIN || result->err == PEAL_ENOMEM) {
        peal_http_add(c->h, "Retry-After", "1");
        peal_api_error(c->h, c->api, 503, "too_many_requests",
            "too many requests wait for acknowledgements; nothing was sent");
    } else {
        call_answer(c, result);
    }
    free_call(c);
}

static const struct peal_cluster_ack_ops call_ops = { .answer = call_on_answer,
    .done = call_on_done };

/* The caller has disconnected. */
static void
call_on_gone(struct peal_http *h)
{
    struct call *c = h->user;

    peal_cluster_ack_cancel(c->request);
    free_call(c);
}

void
peal_api_ask(struct peal_http *h, struct peal_api *api, const struct peal_msg_spec *spec,
    uint64_t timeout_ms)
{
    struct call *c = calloc(1, sizeof(*c));
    struct peal_msg *m = NULL;
    peal_err err = c != NULL ? peal_msg_new(spec, &m) : PEAL_ENOMEM;

    if (err == PEAL_OK)
        err = peal_cluster_ack(
            api->shard, m, (uint32_t)timeout_ms, &call_ops, c, &c->request);
    peal_msg_release(m);
    if (err != PEAL_OK) {
        free(c);
        peal_api_memory(h, api);
        return;
    }
    c->h = h;
    c->api = api;
    h->user = c;
    h->gone = call_on_gone;
}

/* SPDX-License-Identifier: MIT */
/*
 * POST /api/emit with "ack": the answer waits for the acknowledgements of the clients.
 *
 *   {"responses":["yes",null],"asked":3,"answered":2}
 *
 * A response is the first argument of an acknowledgement. They come in the order in which
 * clients answer, not with the names of those clients. All of them must fit into the
 * bytes that may wait for a connection; an answer beyond that is counted and left out.
 */
#include <stdlib.h>

#include "api/api_priv.h"
#include "base/json.h"
#include "base/writer.h"
#include "hub/ackreq.h"
#include "wire/sio.h"

#define AROUND_MAX 1024 /* bytes of an answer that are not responses */

struct call {
    struct peal_http *h;
    struct peal_api *api;
    struct peal_ack_request *ask;
    struct peal_buf responses; /* values with commas between */
    unsigned asked, answered;
};

static void
free_call(struct call *c)
{
    peal_buf_fini(&c->responses);
    free(c);
}

static void
on_asked(void *ctx, unsigned n)
{
    ((struct call *)ctx)->asked = n;
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
on_answer(void *ctx, const struct peal_ack_answer *said)
{
    struct call *c = ctx;
    size_t before = c->responses.len;
    size_t max = peal_shard_loop(c->api->shard)->config.queue_bytes_max;

    c->answered++;
    if (add_response(&c->responses, said) != PEAL_OK ||
        c->responses.len + AROUND_MAX > max)
        c->responses.len = before;
}

static peal_err
put_body(const struct call *c, struct peal_buf *out)
{
    struct peal_writer w = peal_writer_on(out);

    peal_writer_puts(&w, "{\"responses\":[");
    peal_writer_put(&w, peal_buf_slice(&c->responses));
    peal_writer_printf(&w, "],\"asked\":%u,\"answered\":%u}\n", c->asked, c->answered);
    return peal_writer_end(&w);
}

static void
on_done(void *ctx, peal_err why)
{
    struct call *c = ctx;
    struct peal_buf body = { 0 };

    c->h->gone = NULL;
    if (why == PEAL_ELIMIT) {
        peal_api_error(c->h, c->api, 400, "too_many_clients",
            "more than %d clients would have to answer; nothing was sent",
            PEAL_ACK_REQUEST_MAX);
    } else if (put_body(c, &body) != PEAL_OK) {
        peal_http_close(c->h, PEAL_CLOSE_ERROR);
    } else {
        peal_stat_add(peal_shard_stats(c->api->shard), PEAL_STAT_API_REQUESTS, 1);
        peal_http_reply(c->h, 200, "application/json", peal_buf_slice(&body));
    }
    peal_buf_fini(&body);
    free_call(c);
}

static const struct peal_ack_request_ops ask_ops = {
    .asked = on_asked, .answer = on_answer, .done = on_done
};

/* The caller has disconnected. */
static void
on_gone(struct peal_http *h)
{
    struct call *c = h->user;

    peal_ack_request_cancel(c->ask);
    free_call(c);
}

void
peal_api_ask(struct peal_http *h, struct peal_api *api, const struct peal_msg_spec *spec,
    uint64_t timeout_ms)
{
    struct peal_hub *hub = peal_shard_hub(api->shard);
    struct call *c = calloc(1, sizeof(*c));
    struct peal_msg *m = NULL;
    peal_err err = c != NULL ? peal_msg_new(spec, &m) : PEAL_ENOMEM;

    if (err == PEAL_OK)
        err = peal_ack_request(hub, peal_shard_loop(api->shard), m,
            peal_hub_workers(hub, m), timeout_ms, &ask_ops, c, &c->ask);
    peal_msg_release(m);
    if (err != PEAL_OK) {
        free(c);
        peal_api_memory(h, api);
        return;
    }
    c->h = h;
    c->api = api;
    h->user = c;
    h->gone = on_gone;
}

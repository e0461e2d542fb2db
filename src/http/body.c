/* SPDX-License-Identifier: MIT */
/*
 * Bodies that come in pieces: collected up to the route's maximum. The head is copied,
 * for its bytes in the read buffer are long gone when the handler is called.
 */
#include <stdlib.h>

#include "http/http_priv.h"
#include "wire/http_body.h"

struct peal_http_body {
    bool chunked;
    size_t left; /* bytes of a counted body still to come */
    struct peal_chunked decoder;
    struct peal_httphead head; /* slices into bytes */
    char bytes[];
};

peal_err
peal_http_body_new(
    struct peal_http_conn *h, const struct peal_httphead *head, size_t head_len)
{
    struct peal_http_body *r = malloc(sizeof(*r) + head_len);
    size_t scan = 0, used;
    peal_err err;

    if (r == NULL)
        return PEAL_ENOMEM;
    memcpy(r->bytes, h->raw.data, head_len);
    err = peal_httphead_parse(
        peal_slice_of(r->bytes, head_len), &h->server->limits, &scan, &r->head, &used);
    if (err != PEAL_OK) { /* it was parsed before: cannot be */
        free(r);
        return err;
    }
    r->chunked = head->chunked;
    r->left = head->content_length > 0 ? (size_t)head->content_length : 0;
    peal_chunked_init(&r->decoder, h->route->body_max);
    h->reader = r;
    return PEAL_OK;
}

static peal_err
read_chunked(struct peal_http_conn *h, struct peal_slice in, size_t *used_out)
{
    struct peal_http_body *r = h->reader;
    size_t at = 0;
    peal_err err = PEAL_OK;

    while (!r->decoder.done && err == PEAL_OK) {
        struct peal_slice data = { NULL, 0 };
        size_t used = 0;

        err = peal_chunked_decode(&r->decoder, in.data + at, in.len - at, &used, &data);
        at += used;
        if (data.len > 0 && err != PEAL_EPROTO &&
            peal_buf_add_slice(&h->in_body, data) != PEAL_OK)
            err = PEAL_ENOMEM;
    }
    *used_out = at;
    return err;
}

peal_err
peal_http_body_read(struct peal_http_conn *h, struct peal_slice in, size_t *used_out)
{
    struct peal_http_body *r = h->reader;
    size_t n = in.len < r->left ? in.len : r->left;

    if (r->chunked)
        return read_chunked(h, in, used_out);
    *used_out = n;
    if (peal_buf_add(&h->in_body, in.data, n) != PEAL_OK)
        return PEAL_ENOMEM;
    r->left -= n;
    return r->left > 0 ? PEAL_EAGAIN : PEAL_OK;
}

const struct peal_httphead *
peal_http_body_head(const struct peal_http_conn *h)
{
    return &h->reader->head;
}

void
peal_http_body_free(struct peal_http_conn *h)
{
    free(h->reader);
    h->reader = NULL;
    peal_buf_fini(&h->in_body);
}

/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO as a protocol: a worker's engine, which has all its sessions, and what a
 * drain does with them. The life of one session is in eio_session.c, what requests may
 * ask for in eio_http.c, the transports in eio_poll.c and eio_ws.c.
 */
#include "proto/eio.h"

#include <stdlib.h>

#include "proto/eio_priv.h"

#define GZIP_LEVEL 1 /* a poll's body is compressed for one client alone */

static struct peal_eio_session *
eio_session_of(struct peal_link *l)
{
    return PEAL_CONTAINER(l, struct peal_eio_session, link);
}

static void
eio_free_packets(struct peal_eio *e)
{
    peal_blob_release(e->ping_frame);
    peal_blob_release(e->ping);
    peal_blob_release(e->noop);
    peal_blob_release(e->close);
    peal_blob_release(e->noop_close);
    peal_gzip_free(&e->gzip);
}

static bool
eio_make_packets(struct peal_eio *e)
{
    e->ping_frame = peal_sio_pack_engine(PEAL_S("2"), PEAL_SIO_WS);
    e->ping = peal_blob_copy(PEAL_S("2"));
    e->noop = peal_blob_copy(PEAL_S("6"));
    e->close = peal_blob_copy(PEAL_S("1"));
    e->noop_close = peal_blob_copy(PEAL_S("6\x1e"
                                          "1"));
    return peal_gzip_new(GZIP_LEVEL, &e->gzip) == PEAL_OK && e->ping_frame != NULL &&
           e->ping != NULL && e->noop != NULL && e->close != NULL &&
           e->noop_close != NULL;
}

static peal_err
eio_open(struct peal_proto *proto, const void *config, struct peal_protocol **out)
{
    struct peal_eio *e = calloc(1, sizeof(*e));

    if (e == NULL)
        return PEAL_ENOMEM;
    e->proto = proto;
    e->config = config;
    peal_map_init(&e->sessions);
    peal_list_init(&e->open);
    peal_list_init(&e->closing);
    peal_list_init(&e->dirty);
    if (!eio_make_packets(e)) {
        eio_free_packets(e);
        free(e);
        return PEAL_ENOMEM;
    }
    peal_loop_hook(proto->loop, peal_eio_turn, e);
    *out = &e->base;
    return PEAL_OK;
}

static void
eio_free(struct peal_protocol **pp)
{
    struct peal_eio *e = PEAL_CONTAINER(*pp, struct peal_eio, base);

    while (!peal_list_empty(&e->open))
        peal_eio_end(eio_session_of(e->open.next), e->close, PEAL_END_STOP, NULL);
    while (!peal_list_empty(&e->closing))
        peal_eio_end(eio_session_of(e->closing.next), e->close, PEAL_END_STOP, NULL);
    peal_map_fini(&e->sessions);
    eio_free_packets(e);
    peal_buf_fini(&e->scratch);
    free(e);
    *pp = NULL;
}

static unsigned
eio_routes(struct peal_protocol *pr, struct peal_http_route *out)
{
    const struct peal_eio_config *c = PEAL_CONTAINER(pr, struct peal_eio, base)->config;

    *out = (struct peal_http_route){ .path = c->path,
        .prefix = true,
        .body_max = c->max_payload,
        .bare_errors = true,
        .stays = true, /* a session is here, and nowhere else */
        .begin = peal_eio_http_begin,
        .handle = peal_eio_http_handle,
        .ctx = pr };
    return 1;
}

static unsigned
eio_count(const struct peal_protocol *pr)
{
    return PEAL_CONTAINER(pr, const struct peal_eio, base)->n_open;
}

static void
eio_drain(struct peal_protocol *pr, unsigned n, enum peal_drain_order order)
{
    struct peal_eio *e = PEAL_CONTAINER(pr, struct peal_eio, base);
    struct peal_link *from = &e->open, middle;

    peal_list_init(&middle);
    if (order == PEAL_MIDDLE_FIRST) {
        peal_list_take_middle(&middle, from, e->n_open, n < e->n_open ? n : e->n_open);
        from = &middle;
    }
    for (; n > 0 && !peal_list_empty(from); n--)
        peal_eio_drain_session(eio_session_of(from->next));
}

/* Sessions on polling need new connections, so the listeners stay until the last of them
 * is gone: they go first. */
static void
eio_prepare_drain(struct peal_protocol *pr)
{
    struct peal_eio *e = PEAL_CONTAINER(pr, struct peal_eio, base);
    struct peal_link sorted, *l, *next;

    peal_list_init(&sorted);
    for (l = e->open.next; l != &e->open; l = next) {
        next = l->next;
        if (eio_session_of(l)->polling == NULL)
            continue;
        peal_list_unlink(l);
        peal_list_append(&sorted, l);
    }
    while ((l = peal_list_take(&e->open)) != NULL)
        peal_list_append(&sorted, l);
    peal_list_move(&e->open, &sorted);
}

const struct peal_protocol_ops peal_protocol_socketio = { .name = "socketio",
    .open = eio_open,
    .routes = eio_routes,
    .count = eio_count,
    .drain = eio_drain,
    .prepare_drain = eio_prepare_drain,
    .free = eio_free };

/* Calls of riders. */

void *
peal_eio_user(struct peal_eio_session *s)
{
    return s->user;
}

struct peal_proto *
peal_eio_proto(const struct peal_eio_session *s)
{
    return s->eio->proto;
}

const struct peal_eio_config *
peal_eio_config(const struct peal_eio_session *s)
{
    return s->eio->config;
}

struct peal_buf *
peal_eio_scratch(const struct peal_eio_session *s)
{
    s->eio->scratch.len = 0;
    return &s->eio->scratch;
}

enum peal_sio_transport
peal_eio_transport(const struct peal_eio_session *s)
{
    return s->polling != NULL ? PEAL_SIO_POLL : s->b64 ? PEAL_SIO_B64 : PEAL_SIO_WS;
}

bool
peal_eio_deflates(const struct peal_eio_session *s)
{
    return s->polling == NULL && !s->b64 &&
           peal_wsconn_deflate_bits(&s->ws) == PEAL_DEFLATE_BITS_MAX;
}

bool
peal_eio_ready(const struct peal_eio_session *s)
{
    if (!peal_eio_is_open(s))
        return false;
    return s->polling != NULL ? s->polling->poll != NULL && !s->doomed
                              : s->ws.conn != NULL && peal_conn_ready(s->ws.conn);
}

bool
peal_eio_send(struct peal_eio_session *s, struct peal_blob *packed, uint32_t tag)
{
    if (!peal_eio_is_open(s))
        return false;
    if (s->polling != NULL)
        return peal_eio_queue(s, packed, tag);
    return peal_wsconn_send_frames(&s->ws, packed, tag);
}

/* SPDX-License-Identifier: MIT */
/*
 * The forms of Socket.IO. A packet is text with attachments. Over WebSocket it is a text
 * frame and a binary frame for each attachment, in one blob, so nothing can come between
 * them; over polling and to clients without binary, attachments are base64 packets.
 */
#include "base/base64.h"
#include "base/id.h"
#include "base/json.h"
#include "wire/eio.h"
#include "wire/encode.h"
#include "wire/frames_priv.h"
#include "wire/sio_msgpack.h"

/* A message as a Socket.IO event. */
struct event {
    struct peal_buf made; /* args, if they had to be made */
    struct peal_slice args;
    struct peal_blob *bytes; /* ours, of a message that is bytes */
    struct peal_blob *const *atts;
    unsigned n_atts;
};

/* More attachments than clients of the default parser take: all become strings. */
static peal_err
inline_all(struct event *e)
{
    peal_err err = peal_sio_inline(&e->made, e->args, e->atts, e->n_atts);

    e->args = peal_buf_slice(&e->made);
    e->n_atts = 0;
    return err;
}

/* atts_max: how many the client's parser takes. */
static peal_err
read_event(const struct peal_msg *m, struct event *e, unsigned atts_max)
{
    *e = (struct event){ .args = m->args, .atts = m->atts, .n_atts = m->n_atts };
    if (m->kind == PEAL_DATA_TEXT) {
        peal_err err = peal_json_quote(&e->made, m->args);

        e->args = peal_buf_slice(&e->made);
        e->n_atts = 0;
        return err;
    }
    if (m->kind == PEAL_DATA_BYTES) {
        if ((e->bytes = peal_blob_copy(m->args)) == NULL)
            return PEAL_ENOMEM;
        e->args = PEAL_S("{\"_placeholder\":true,\"num\":0}");
        e->atts = &e->bytes;
        e->n_atts = 1;
    }
    return e->n_atts > atts_max ? inline_all(e) : PEAL_OK;
}

static void
event_fini(struct event *e)
{
    peal_buf_fini(&e->made);
    peal_blob_release(e->bytes);
}

/* Text and attachments as frames. */
static struct peal_blob *
as_frames(const struct peal_slice *parts, unsigned n_parts, struct peal_blob *const *atts,
    unsigned n_atts, struct peal_deflate *z)
{
    struct peal_frame frames[1 + PEAL_ATTACHMENTS_MAX];
    struct peal_slice bytes[PEAL_ATTACHMENTS_MAX];

    frames[0] = (struct peal_frame){ PEAL_WS_TEXT, parts, n_parts };
    for (unsigned i = 0; i < n_atts; i++) {
        bytes[i] = peal_blob_slice(atts[i]);
        frames[1 + i] = (struct peal_frame){ PEAL_WS_BINARY, &bytes[i], 1 };
    }
    return z != NULL ? peal_frames_deflate(frames, 1 + n_atts, z)
                     : peal_frames(frames, 1 + n_atts);
}

static char *
put_base64(char *at, struct peal_slice bytes)
{
    peal_base64_encode(bytes.data, bytes.len, at);
    return at + peal_base64_len(bytes.len);
}

/* Text, and attachments as packets of base64 behind separators: a polling piece. */
static struct peal_blob *
as_piece(const struct peal_slice *parts, unsigned n_parts, struct peal_blob *const *atts,
    unsigned n_atts)
{
    size_t len = peal_parts_len(parts, n_parts);
    struct peal_blob *b;
    char *at;

    for (unsigned i = 0; i < n_atts; i++)
        len += 2 + peal_base64_len(atts[i]->len);
    if ((b = peal_blob_new(len)) == NULL)
        return NULL;
    at = peal_parts_copy(b->data, parts, n_parts);
    for (unsigned i = 0; i < n_atts; i++) {
        *at++ = PEAL_EIO_SEPARATOR;
        *at++ = 'b';
        at = put_base64(at, peal_blob_slice(atts[i]));
    }
    return b;
}

/* The same in text frames, for a WebSocket that takes no binary. */
static struct peal_blob *
as_text_frames(const struct peal_slice *parts, unsigned n_parts,
    struct peal_blob *const *atts, unsigned n_atts)
{
    struct peal_blob *piece = as_piece(parts, n_parts, atts, n_atts);
    struct peal_frame frames[1 + PEAL_ATTACHMENTS_MAX];
    struct peal_slice text[1 + PEAL_ATTACHMENTS_MAX], rest;
    struct peal_blob *b;
    unsigned n = 0;

    if (piece == NULL)
        return NULL;
    rest = peal_blob_slice(piece);
    while (n < 1 + PEAL_ATTACHMENTS_MAX && peal_eiopkt_payload_next(&rest, &text[n])) {
        frames[n] = (struct peal_frame){ PEAL_WS_TEXT, &text[n], 1 };
        n++;
    }
    b = peal_frames(frames, n);
    peal_blob_release(piece);
    return b;
}

static struct peal_blob *
form_event(const struct peal_msg *m, struct peal_slice id, enum peal_sio_transport t,
    struct peal_deflate *z)
{
    struct peal_slice parts[PEAL_SIO_PARTS_MAX];
    struct peal_blob *b = NULL;
    struct event e;
    unsigned n;

    if (read_event(m, &e, PEAL_SIO_ATTACHMENTS_MAX) == PEAL_OK) {
        n = peal_sio_event_parts(
            parts, PEAL_SIO_MESSAGE, m->nsp, id, m->event, e.args, e.n_atts);
        b = t == PEAL_SIO_WS     ? as_frames(parts, n, e.atts, e.n_atts, z)
            : t == PEAL_SIO_POLL ? as_piece(parts, n, e.atts, e.n_atts)
                                 : as_text_frames(parts, n, e.atts, e.n_atts);
    }
    event_fini(&e);
    return b;
}

static struct peal_deflate *
deflater(const struct peal_msg *m, void *ctx)
{
    return (m->flags & PEAL_MSG_NO_COMPRESS) != 0 ? NULL : ctx;
}

struct peal_blob *
peal_encode_sio(const struct peal_msg *m, void *ctx)
{
    return form_event(m, PEAL_S(""), PEAL_SIO_WS, NULL);
}

struct peal_blob *
peal_encode_sio_deflate(const struct peal_msg *m, void *ctx)
{
    return form_event(m, PEAL_S(""), PEAL_SIO_WS, deflater(m, ctx));
}

struct peal_blob *
peal_encode_sio_poll(const struct peal_msg *m, void *ctx)
{
    return form_event(m, PEAL_S(""), PEAL_SIO_POLL, NULL);
}

struct peal_blob *
peal_encode_sio_b64(const struct peal_msg *m, void *ctx)
{
    return form_event(m, PEAL_S(""), PEAL_SIO_B64, NULL);
}

static struct peal_blob *
form_msgpack(const struct peal_msg *m, struct peal_slice id, enum peal_sio_transport t)
{
    struct peal_buf bytes = { 0 };
    struct peal_blob *b = NULL;
    struct event e;

    if (read_event(m, &e, PEAL_ATTACHMENTS_MAX) == PEAL_OK &&
        peal_sio_msgpack_event(&bytes, m->nsp, id, m->event, e.args, e.atts, e.n_atts) ==
            PEAL_OK)
        b = peal_sio_pack_binary(peal_buf_slice(&bytes), t);
    peal_buf_fini(&bytes);
    event_fini(&e);
    return b;
}

struct peal_blob *
peal_encode_sio_msgpack(const struct peal_msg *m, void *ctx)
{
    return form_msgpack(m, PEAL_S(""), PEAL_SIO_WS);
}

struct peal_blob *
peal_encode_sio_msgpack_poll(const struct peal_msg *m, void *ctx)
{
    return form_msgpack(m, PEAL_S(""), PEAL_SIO_POLL);
}

struct peal_blob *
peal_encode_sio_with_ack(const struct peal_msg *m, struct peal_slice id, bool msgpack,
    enum peal_sio_transport t, struct peal_deflate *ctx)
{
    return msgpack ? form_msgpack(m, id, t) : form_event(m, id, t, deflater(m, ctx));
}

struct peal_blob *
peal_sio_pack(struct peal_slice text, struct peal_blob *const *atts, unsigned n_atts,
    enum peal_sio_transport t)
{
    struct peal_slice parts[] = { PEAL_S("4"), text };

    switch (t) {
    case PEAL_SIO_WS:
        return as_frames(parts, 2, atts, n_atts, NULL);
    case PEAL_SIO_POLL:
        return as_piece(parts, 2, atts, n_atts);
    default:
        return as_text_frames(parts, 2, atts, n_atts);
    }
}

struct peal_blob *
peal_sio_pack_binary(struct peal_slice bytes, enum peal_sio_transport t)
{
    struct peal_frame f = { PEAL_WS_BINARY, &bytes, 1 };
    struct peal_blob *piece, *b;
    struct peal_slice text;

    if (t == PEAL_SIO_WS)
        return peal_frames(&f, 1);
    if ((piece = peal_blob_new(1 + peal_base64_len(bytes.len))) == NULL)
        return NULL;
    piece->data[0] = 'b';
    put_base64(piece->data + 1, bytes);
    if (t == PEAL_SIO_POLL)
        return piece;
    text = peal_blob_slice(piece);
    f = (struct peal_frame){ PEAL_WS_TEXT, &text, 1 };
    b = peal_frames(&f, 1);
    peal_blob_release(piece);
    return b;
}

struct peal_blob *
peal_sio_pack_engine(struct peal_slice packet, enum peal_sio_transport t)
{
    struct peal_frame f = { PEAL_WS_TEXT, &packet, 1 };

    return t == PEAL_SIO_POLL ? peal_blob_copy(packet) : peal_frames(&f, 1);
}

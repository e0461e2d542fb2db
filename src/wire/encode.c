/* SPDX-License-Identifier: MIT */
/*
 * The encoders of plain protocols: a message's data as a WebSocket frame, in an envelope,
 * and as a server-sent event. Those of Socket.IO are in encode_sio.c.
 */
#include "wire/encode.h"

#include "base/base64.h"
#include "base/id.h"
#include "base/json.h"
#include "wire/frames_priv.h"
#include "wire/sse.h"

_Static_assert((int)PEAL_FMT_N <= PEAL_MSG_FORMATS_MAX, "a message caches all of them");

peal_msg_encode_fn *const peal_encoders[PEAL_FMT_N] = {
    [PEAL_FMT_WS] = peal_encode_ws,
    [PEAL_FMT_WS_DEFLATE] = peal_encode_ws_deflate,
    [PEAL_FMT_ENVELOPE] = peal_encode_envelope,
    [PEAL_FMT_ENVELOPE_DEFLATE] = peal_encode_envelope_deflate,
    [PEAL_FMT_SSE] = peal_encode_sse,
    [PEAL_FMT_SSE_CHUNKED] = peal_encode_sse_chunked,
    [PEAL_FMT_SIO] = peal_encode_sio,
    [PEAL_FMT_SIO_DEFLATE] = peal_encode_sio_deflate,
    [PEAL_FMT_SIO_POLL] = peal_encode_sio_poll,
    [PEAL_FMT_SIO_B64] = peal_encode_sio_b64,
    [PEAL_FMT_SIO_MSGPACK] = peal_encode_sio_msgpack,
    [PEAL_FMT_SIO_MSGPACK_POLL] = peal_encode_sio_msgpack_poll,
};

/* A message's data, as plain protocols see it. */
struct data {
    struct peal_buf made; /* what bytes points into, if it had to be made */
    struct peal_slice bytes;
    bool binary;
};

/* The only argument is the bytes of an attachment. */
static bool
is_attachment(const struct peal_msg *m, struct peal_slice *bytes_out)
{
    unsigned num;

    if (m->kind == PEAL_DATA_BYTES) {
        *bytes_out = m->args;
        return true;
    }
    if (m->n_atts == 0 || m->n_args != 1 || !peal_sio_is_placeholder(m->args, &num) ||
        num >= m->n_atts)
        return false;
    *bytes_out = peal_blob_slice(m->atts[num]);
    return true;
}

/* Appends the data as a JSON value. */
static peal_err
add_json(struct peal_buf *out, const struct peal_msg *m)
{
    bool list = m->n_args != 1;
    peal_err err = PEAL_OK;

    if (m->kind == PEAL_DATA_TEXT)
        return peal_json_quote(out, m->args);
    if (list)
        err = peal_buf_add_char(out, '[');
    if (err == PEAL_OK)
        err = m->n_atts > 0 ? peal_sio_inline(out, m->args, m->atts, m->n_atts)
                            : peal_buf_add_slice(out, m->args);
    return err == PEAL_OK && list ? peal_buf_add_char(out, ']') : err;
}

static peal_err
read_data(const struct peal_msg *m, struct data *d)
{
    peal_err err = PEAL_OK;

    *d = (struct data){ .bytes = m->args };
    if (is_attachment(m, &d->bytes)) {
        d->binary = true;
        return PEAL_OK;
    }
    if (m->kind == PEAL_DATA_TEXT ||
        (m->n_args == 1 && m->n_atts == 0 && m->args.len > 0 && m->args.data[0] != '"'))
        return PEAL_OK;
    if (m->n_args == 1 && m->args.len > 0 && m->args.data[0] == '"')
        err = peal_json_unquote(&d->made, m->args);
    else
        err = add_json(&d->made, m);
    d->bytes = peal_buf_slice(&d->made);
    return err;
}

static struct peal_blob *
frame(enum peal_wsframe_opcode op, struct peal_slice payload, struct peal_deflate *z)
{
    struct peal_frame f = { op, &payload, 1 };

    return z != NULL ? peal_frames_deflate(&f, 1, z) : peal_frames(&f, 1);
}

/* The compressor, unless the message does not want it. */
static struct peal_deflate *
deflate_of(const struct peal_msg *m, void *ctx)
{
    return (m->flags & PEAL_MSG_NO_COMPRESS) != 0 ? NULL : ctx;
}

static struct peal_blob *
form_ws(const struct peal_msg *m, struct peal_deflate *z)
{
    struct peal_blob *b = NULL;
    struct data d;

    if (read_data(m, &d) == PEAL_OK)
        b = frame(d.binary ? PEAL_WS_BINARY : PEAL_WS_TEXT, d.bytes, z);
    peal_buf_fini(&d.made);
    return b;
}

struct peal_blob *
peal_encode_ws(const struct peal_msg *m, void *ctx)
{
    return form_ws(m, NULL);
}

struct peal_blob *
peal_encode_ws_deflate(const struct peal_msg *m, void *ctx)
{
    return form_ws(m, deflate_of(m, ctx));
}

static peal_err
add_base64(struct peal_buf *out, struct peal_slice bytes)
{
    size_t len = peal_base64_len(bytes.len);
    peal_err err = peal_buf_reserve(out, len + 1);

    if (err != PEAL_OK)
        return err;
    peal_base64_encode(bytes.data, bytes.len, out->data + out->len);
    out->len += len;
    return PEAL_OK;
}

/* {"channel":"c","event":"e","data":...}; bytes are a base64 string and say so. */
static peal_err
add_envelope(struct peal_buf *out, const struct peal_msg *m, unsigned k)
{
    struct peal_slice bytes;
    peal_err err;

    if ((err = peal_buf_add_slice(out, PEAL_S("{\"channel\":"))) != PEAL_OK ||
        (err = peal_json_quote(out, m->channels[k].name)) != PEAL_OK)
        return err;
    if (m->event.len > 0 &&
        ((err = peal_buf_add_slice(out, PEAL_S(",\"event\":"))) != PEAL_OK ||
            (err = peal_buf_add_slice(out, m->event)) != PEAL_OK))
        return err;
    if (!is_attachment(m, &bytes)) {
        if ((err = peal_buf_add_slice(out, PEAL_S(",\"data\":"))) == PEAL_OK)
            err = add_json(out, m);
    } else if ((err = peal_buf_add_slice(
                    out, PEAL_S(",\"encoding\":\"base64\",\"data\":\""))) == PEAL_OK &&
               (err = add_base64(out, bytes)) == PEAL_OK) {
        err = peal_buf_add_char(out, '"');
    }
    return err == PEAL_OK ? peal_buf_add_char(out, '}') : err;
}

struct peal_blob *
peal_encode_envelope_for(const struct peal_msg *m, unsigned k, struct peal_deflate *ctx)
{
    struct peal_buf text = { 0 };
    struct peal_blob *b = NULL;

    if (add_envelope(&text, m, k) == PEAL_OK)
        b = frame(PEAL_WS_TEXT, peal_buf_slice(&text), deflate_of(m, ctx));
    peal_buf_fini(&text);
    return b;
}

struct peal_blob *
peal_encode_envelope(const struct peal_msg *m, void *ctx)
{
    return peal_encode_envelope_for(m, 0, NULL);
}

struct peal_blob *
peal_encode_envelope_deflate(const struct peal_msg *m, void *ctx)
{
    return peal_encode_envelope_for(m, 0, ctx);
}

/* The text of the event's name; bytes without one of their own are "binary". */
static peal_err
add_event_name(struct peal_buf *out, const struct peal_msg *m, bool binary)
{
    bool named = m->event.len > 0 && !peal_json_string_is(m->event, PEAL_S("message"));

    if (binary && !named)
        return peal_buf_add_slice(out, PEAL_S("binary"));
    if (m->event.len > 0 && m->event.data[0] == '"')
        return peal_json_unquote(out, m->event);
    return peal_buf_add_slice(out, m->event);
}

/* Appends m as one event. */
static peal_err
add_event(struct peal_buf *out, const struct peal_msg *m)
{
    struct peal_buf name = { 0 }, text = { 0 };
    struct data d;
    peal_err err = read_data(m, &d);

    if (err == PEAL_OK)
        err = add_event_name(&name, m, d.binary);
    if (err == PEAL_OK && d.binary) {
        err = add_base64(&text, d.bytes);
        d.bytes = peal_buf_slice(&text);
    }
    if (err == PEAL_OK)
        err = peal_sse_event(out, peal_buf_slice(&name), PEAL_S(""), d.bytes);
    peal_buf_fini(&d.made);
    peal_buf_fini(&name);
    peal_buf_fini(&text);
    return err;
}

struct peal_blob *
peal_encode_sse(const struct peal_msg *m, void *ctx)
{
    struct peal_buf out = { 0 };
    struct peal_blob *b = NULL;

    if (add_event(&out, m) == PEAL_OK)
        b = peal_blob_copy(peal_buf_slice(&out));
    peal_buf_fini(&out);
    return b;
}

struct peal_blob *
peal_encode_sse_chunked(const struct peal_msg *m, void *ctx)
{
    struct peal_buf event = { 0 }, out = { 0 };
    struct peal_blob *b = NULL;

    if (add_event(&event, m) == PEAL_OK &&
        peal_sse_chunk(&out, peal_buf_slice(&event)) == PEAL_OK)
        b = peal_blob_copy(peal_buf_slice(&out));
    peal_buf_fini(&event);
    peal_buf_fini(&out);
    return b;
}

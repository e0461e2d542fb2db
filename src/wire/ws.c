/* SPDX-License-Identifier: MIT */
/*
 * WebSocket frames (RFC 6455 section 5), decoding and encoding.
 *
 * The fast path is a frame that lies in the input whole, head and payload, and needs no
 * other: it is unmasked where it is and handed out as a slice. Everything else goes
 * through a partial: a head in pieces, a payload in pieces, the fragments of a message.
 * It exists only in such a middle, and buffers grow with the bytes that came, never with
 * the length that was announced.
 */
#include "wire/ws.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/utf8.h"

/* Further bits of peal_wsframe_decoder.flags. */
#define FLAG_CLOSED 0x40 /* a close frame came: nothing after it counts */
#define FLAG_FAILED 0x80

struct frame {
    uint64_t len; /* bytes of payload */
    uint8_t op, key[4];
    bool fin, rsv1, reserved, masked;
};

struct peal_wsframe_partial {
    struct peal_buf msg;   /* payload of the message so far, unmasked */
    struct peal_buf plain; /* a message inflated; only while the caller has it */
    uint64_t left;         /* bytes of frame's payload that did not come yet */
    struct frame frame;    /* the one in progress, if in_frame */
    struct peal_utf8 utf8; /* of msg, if it is text and not compressed */
    uint8_t op;            /* of the message in progress, 0 if there is none */
    bool compressed;       /* the message in progress is */
    bool in_frame;
    uint8_t head_len, head[PEAL_WS_HEAD_MAX]; /* a head in pieces */
    uint8_t control_len, control[PEAL_WS_CONTROL_MAX];
};

static bool
is_control(unsigned op)
{
    return op >= PEAL_WS_CLOSE;
}

static uint64_t
read_be(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    while (n-- > 0)
        v = v << 8 | *p++;
    return v;
}

/* Reads a head and returns its size; 0: it is not complete yet. */
static size_t
parse_head(const uint8_t *p, size_t n, struct frame *f)
{
    size_t ext, size;

    if (n < 2)
        return 0;
    f->fin = (p[0] & 0x80) != 0;
    f->rsv1 = (p[0] & 0x40) != 0;
    f->reserved = (p[0] & 0x30) != 0;
    f->op = p[0] & 0x0f;
    f->masked = (p[1] & 0x80) != 0;
    f->len = p[1] & 0x7f;
    ext = f->len == 127 ? 8 : f->len == 126 ? 2 : 0;
    size = 2 + ext + (f->masked ? 4 : 0);
    if (n < size)
        return 0;
    if (ext > 0)
        f->len = read_be(p + 2, ext);
    memset(f->key, 0, sizeof(f->key));
    if (f->masked)
        memcpy(f->key, p + 2 + ext, sizeof(f->key));
    return size;
}

static void
drop_partial(struct peal_wsframe_decoder *d)
{
    if (d->part == NULL)
        return;
    peal_buf_fini(&d->part->msg);
    peal_buf_fini(&d->part->plain);
    free(d->part);
    d->part = NULL;
}

static peal_err
fail_error(unsigned code)
{
    return code == PEAL_WS_CLOSE_TOO_BIG    ? PEAL_ELIMIT
           : code == PEAL_WS_CLOSE_INTERNAL ? PEAL_ENOMEM
                                            : PEAL_EPROTO;
}

static peal_err
fail(struct peal_wsframe_decoder *d, enum peal_wsframe_close_code code)
{
    drop_partial(d);
    d->flags |= FLAG_FAILED;
    d->fail_code = (uint16_t)code;
    return fail_error(code);
}

/* Makes sure that there is a partial. */
static peal_err
need_partial(struct peal_wsframe_decoder *d)
{
    if (d->part == NULL && (d->part = calloc(1, sizeof(*d->part))) == NULL)
        return fail(d, PEAL_WS_CLOSE_INTERNAL);
    return PEAL_OK;
}

static bool
in_message(const struct peal_wsframe_decoder *d)
{
    return d->part != NULL && d->part->op != 0;
}

static bool
frame_allowed(const struct peal_wsframe_decoder *d, const struct frame *f)
{
    if (f->reserved || f->masked != ((d->flags & PEAL_WS_SERVER) != 0))
        return false;
    /* RFC 7692 section 6: only on the first frame of a message. */
    if (f->rsv1 && ((d->flags & PEAL_WS_DEFLATE) == 0 || f->op == PEAL_WS_CONTINUATION ||
                       is_control(f->op)))
        return false;
    if (f->len >> 63 != 0)
        return false;
    switch (f->op) {
    case PEAL_WS_CONTINUATION:
        return in_message(d);
    case PEAL_WS_TEXT:
    case PEAL_WS_BINARY:
        return !in_message(d);
    case PEAL_WS_CLOSE:
    case PEAL_WS_PING:
    case PEAL_WS_PONG:
        return f->fin && f->len <= PEAL_WS_CONTROL_MAX;
    default:
        return false;
    }
}

/* Tells whether the frame makes its message longer than allowed. */
static bool
frame_too_big(const struct peal_wsframe_decoder *d, const struct frame *f)
{
    uint64_t max = d->limits.message_max, have = 0;
    bool compressed = f->rsv1;

    if (is_control(f->op))
        return false;
    if (in_message(d)) {
        have = d->part->msg.len;
        compressed = d->part->compressed;
    }
    /* Deflate makes what it cannot compress a little larger, under 5 % at the worst. */
    if (compressed && max < UINT64_MAX / 2)
        max += max / 16 + 64;
    return have > max || f->len > max - have;
}

/*
 * Takes one frame head. PEAL_EAGAIN: all of data was taken and is not enough. PEAL_OK: f
 * is a frame that may come here.
 */
static peal_err
take_head(struct peal_wsframe_decoder *d, const uint8_t *data, size_t len,
    size_t *used_out, struct frame *f)
{
    struct peal_wsframe_partial *part = d->part;
    size_t n, have = part != NULL ? part->head_len : 0, take = len;

    if (have == 0) {
        n = parse_head(data, len, f);
    } else {
        if (take > sizeof(part->head) - have)
            take = sizeof(part->head) - have;
        memcpy(part->head + have, data, take);
        n = parse_head(part->head, have + take, f);
    }
    *used_out = n > 0 ? n - have : take;
    if (n == 0) {
        if (have == 0) {
            if (need_partial(d) != PEAL_OK)
                return PEAL_ENOMEM;
            memcpy(d->part->head, data, take);
        }
        d->part->head_len = (uint8_t)(have + take);
        return PEAL_EAGAIN;
    }
    if (part != NULL)
        part->head_len = 0;
    if (!frame_allowed(d, f))
        return fail(d, PEAL_WS_CLOSE_PROTOCOL);
    if (frame_too_big(d, f))
        return fail(d, PEAL_WS_CLOSE_TOO_BIG);
    return PEAL_OK;
}

static peal_err
close_event(struct peal_wsframe_decoder *d, struct peal_slice payload,
    struct peal_wsframe_event *ev)
{
    unsigned code;

    ev->close_code = PEAL_WS_CLOSE_NONE;
    if (payload.len > 0) {
        if (payload.len == 1)
            return fail(d, PEAL_WS_CLOSE_PROTOCOL);
        code = (unsigned)read_be((const uint8_t *)payload.data, 2);
        ev->payload = peal_slice_skip(payload, 2);
        if (!peal_wsframe_close_code_valid(code))
            return fail(d, PEAL_WS_CLOSE_PROTOCOL);
        if (!peal_utf8_valid(ev->payload))
            return fail(d, PEAL_WS_CLOSE_BAD_DATA);
        ev->close_code = (uint16_t)code;
    }
    d->flags |= FLAG_CLOSED;
    return PEAL_OK;
}

static peal_err
control_event(struct peal_wsframe_decoder *d, unsigned op, const uint8_t *p, size_t n,
    struct peal_wsframe_event *ev)
{
    *ev = (struct peal_wsframe_event){ .type = op, .payload = { (const char *)p, n } };
    return op == PEAL_WS_CLOSE ? close_event(d, ev->payload, ev) : PEAL_OK;
}

/* A whole message as it came, not compressed and, if it is text, already checked. */
static peal_err
plain_event(unsigned op, struct peal_slice payload, struct peal_wsframe_event *ev)
{
    *ev = (struct peal_wsframe_event){ .type = op, .payload = payload };
    return PEAL_OK;
}

static peal_err
compressed_event(struct peal_wsframe_decoder *d, unsigned op, struct peal_slice payload,
    struct peal_deflate *z, struct peal_wsframe_event *ev)
{
    struct peal_buf *plain;
    peal_err err;

    if (need_partial(d) != PEAL_OK)
        return PEAL_ENOMEM;
    plain = &d->part->plain;
    err = peal_inflate_message(z, payload, d->limits.message_max, plain);
    if (err != PEAL_OK)
        return fail(d, err == PEAL_ELIMIT   ? PEAL_WS_CLOSE_TOO_BIG
                       : err == PEAL_ENOMEM ? PEAL_WS_CLOSE_INTERNAL
                                            : PEAL_WS_CLOSE_BAD_DATA);
    if (op == PEAL_WS_TEXT && !peal_utf8_valid(peal_buf_slice(plain)))
        return fail(d, PEAL_WS_CLOSE_BAD_DATA);
    return plain_event(op, peal_buf_slice(plain), ev);
}

/* A frame that lies in the input whole and is a whole message or a control frame. */
static peal_err
whole_frame(struct peal_wsframe_decoder *d, const struct frame *f, uint8_t *p,
    struct peal_deflate *z, struct peal_wsframe_event *ev)
{
    struct peal_slice payload = { (const char *)p, (size_t)f->len };

    if (f->masked)
        peal_wsframe_mask(p, payload.len, f->key, 0);
    if (is_control(f->op))
        return control_event(d, f->op, p, payload.len, ev);
    if (f->rsv1)
        return compressed_event(d, f->op, payload, z, ev);
    if (f->op == PEAL_WS_TEXT && !peal_utf8_valid(payload))
        return fail(d, PEAL_WS_CLOSE_BAD_DATA);
    return plain_event(f->op, payload, ev);
}

/* The frame in progress is complete: PEAL_EAGAIN if its message is not. */
static peal_err
finish_frame(
    struct peal_wsframe_decoder *d, struct peal_deflate *z, struct peal_wsframe_event *ev)
{
    struct peal_wsframe_partial *part = d->part;
    unsigned op = part->op;

    part->in_frame = false;
    if (is_control(part->frame.op)) {
        size_t n = part->control_len;

        part->control_len = 0;
        return control_event(d, part->frame.op, part->control, n, ev);
    }
    if (!part->frame.fin)
        return PEAL_EAGAIN;
    part->op = 0;
    if (part->compressed)
        return compressed_event(d, op, peal_buf_slice(&part->msg), z, ev);
    if (!peal_utf8_complete(&part->utf8)) /* ends in the middle of a character */
        return fail(d, PEAL_WS_CLOSE_BAD_DATA);
    return plain_event(op, peal_buf_slice(&part->msg), ev);
}

/* Takes payload of the frame in progress. */
static peal_err
take_payload(struct peal_wsframe_decoder *d, uint8_t *data, size_t len,
    struct peal_deflate *z, size_t *used_out, struct peal_wsframe_event *ev)
{
    struct peal_wsframe_partial *part = d->part;
    size_t n = len < part->left ? len : (size_t)part->left;

    *used_out = n;
    if (part->frame.masked)
        peal_wsframe_mask(
            data, n, part->frame.key, (size_t)(part->frame.len - part->left));
    part->left -= n;
    if (is_control(part->frame.op)) {
        if (n > 0)
            memcpy(part->control + part->control_len, data, n);
        part->control_len = (uint8_t)(part->control_len + n);
    } else {
        if (peal_buf_add(&part->msg, data, n) != PEAL_OK)
            return fail(d, PEAL_WS_CLOSE_INTERNAL);
        if (part->op == PEAL_WS_TEXT && !part->compressed &&
            !peal_utf8_feed(&part->utf8, peal_slice_of(data, n)))
            return fail(d, PEAL_WS_CLOSE_BAD_DATA);
    }
    return part->left > 0 ? PEAL_EAGAIN : finish_frame(d, z, ev);
}

/* Takes a piece of a frame: PEAL_EAGAIN if it does not lead to an event. */
static peal_err
step(struct peal_wsframe_decoder *d, uint8_t *data, size_t len, struct peal_deflate *z,
    size_t *used_out, struct peal_wsframe_event *ev)
{
    struct frame f;
    size_t n = 0;
    peal_err err;

    if (d->part != NULL && d->part->in_frame)
        return take_payload(d, data, len, z, used_out, ev);
    err = take_head(d, data, len, used_out, &f);
    if (err != PEAL_OK)
        return err;
    data += *used_out;
    len -= *used_out;
    if (f.len <= len && (is_control(f.op) || (f.fin && f.op != PEAL_WS_CONTINUATION))) {
        *used_out += (size_t)f.len;
        return whole_frame(d, &f, data, z, ev);
    }
    if (need_partial(d) != PEAL_OK)
        return PEAL_ENOMEM;
    if (f.op == PEAL_WS_TEXT || f.op == PEAL_WS_BINARY) {
        d->part->op = f.op;
        d->part->compressed = f.rsv1;
    }
    d->part->frame = f;
    d->part->left = f.len;
    d->part->in_frame = true;
    err = take_payload(d, data, len, z, &n, ev);
    *used_out += n;
    return err;
}

void
peal_wsframe_decoder_init(struct peal_wsframe_decoder *d, unsigned flags,
    const struct peal_wsframe_limits *limits)
{
    *d = (struct peal_wsframe_decoder){ .limits = *limits,
        .flags = (uint8_t)(flags & (PEAL_WS_SERVER | PEAL_WS_DEFLATE)) };
}

void
peal_wsframe_decoder_fini(struct peal_wsframe_decoder *d)
{
    drop_partial(d);
}

peal_err
peal_wsframe_decode(struct peal_wsframe_decoder *d, uint8_t *data, size_t len,
    struct peal_deflate *z, size_t *used_out, struct peal_wsframe_event *ev_out)
{
    struct peal_wsframe_partial *part = d->part;
    size_t used = 0, n = 0;
    peal_err err;

    PEAL_ASSERT(z != NULL || (d->flags & PEAL_WS_DEFLATE) == 0);
    *used_out = len;
    if ((d->flags & FLAG_FAILED) != 0)
        return fail_error(d->fail_code);
    /* In no middle: what the partial holds was handed out by the call before. */
    if (part != NULL && !part->in_frame && part->op == 0 && part->head_len == 0)
        drop_partial(d);
    if (len == 0 || (d->flags & FLAG_CLOSED) != 0)
        return PEAL_EAGAIN;
    do {
        err = step(d, data + used, len - used, z, &n, ev_out);
        used += n;
    } while (err == PEAL_EAGAIN && used < len);
    *used_out = used;
    return err;
}

static size_t
write_head(
    uint8_t *out, enum peal_wsframe_opcode op, bool rsv1, uint64_t len, uint8_t mask)
{
    size_t ext = len > 0xffff ? 8 : len > 125 ? 2 : 0;

    out[0] = (uint8_t)(0x80 | (rsv1 ? 0x40 : 0) | op);
    out[1] = (uint8_t)(mask | (ext == 8 ? 127 : ext == 2 ? 126 : len));
    for (size_t i = ext; i > 0; i--) {
        out[1 + i] = (uint8_t)len;
        len >>= 8;
    }
    return 2 + ext;
}

size_t
peal_wsframe_head(
    uint8_t out[PEAL_WS_HEAD_MAX], enum peal_wsframe_opcode op, bool rsv1, uint64_t len)
{
    return write_head(out, op, rsv1, len, 0);
}

size_t
peal_wsframe_head_masked(uint8_t out[PEAL_WS_HEAD_MAX], enum peal_wsframe_opcode op,
    bool rsv1, uint64_t len, const uint8_t key[4])
{
    size_t n = write_head(out, op, rsv1, len, 0x80);

    memcpy(out + n, key, 4);
    return n + 4;
}

void
peal_wsframe_mask(uint8_t *p, size_t n, const uint8_t key[4], size_t offset)
{
    uint8_t turned[8];
    uint64_t k, w;
    size_t i = 0;

    for (size_t j = 0; j < sizeof(turned); j++)
        turned[j] = key[(offset + j) & 3];
    memcpy(&k, turned, sizeof(k));
    for (; n - i >= sizeof(w); i += sizeof(w)) {
        memcpy(&w, p + i, sizeof(w));
        w ^= k;
        memcpy(p + i, &w, sizeof(w));
    }
    for (; i < n; i++)
        p[i] ^= turned[i & 7];
}

bool
peal_wsframe_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

size_t
peal_wsframe_close_payload(
    uint8_t out[PEAL_WS_CONTROL_MAX], uint16_t code, struct peal_slice reason)
{
    size_t n = reason.len;

    if (code == PEAL_WS_CLOSE_NONE)
        return 0;
    PEAL_ASSERT(peal_wsframe_close_code_valid(code));
    if (n > PEAL_WS_CONTROL_MAX - 2) {
        n = PEAL_WS_CONTROL_MAX - 2;
        while (n > 0 && ((uint8_t)reason.data[n] & 0xc0) == 0x80)
            n--;
    }
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    if (n > 0)
        memcpy(out + 2, reason.data, n);
    return 2 + n;
}

/* SPDX-License-Identifier: MIT */
/* WebSocket frames made in one allocation: sizes first, then heads and parts. */
#include "wire/frames_priv.h"

#include "wire/deflate.h"

size_t
peal_parts_len(const struct peal_slice *parts, unsigned n)
{
    size_t len = 0;

    for (unsigned i = 0; i < n; i++)
        len += parts[i].len;
    return len;
}

char *
peal_parts_copy(char *at, const struct peal_slice *parts, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (parts[i].len > 0)
            memcpy(at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
    return at;
}

struct peal_blob *
peal_frames(const struct peal_frame *frames, unsigned n)
{
    uint8_t head[PEAL_WS_HEAD_MAX];
    struct peal_blob *b;
    size_t len = 0;
    char *at;

    for (unsigned i = 0; i < n; i++) {
        size_t payload = peal_parts_len(frames[i].parts, frames[i].n);

        len += peal_wsframe_head(head, frames[i].op, false, payload) + payload;
    }
    if ((b = peal_blob_new(len)) == NULL)
        return NULL;
    at = b->data;
    for (unsigned i = 0; i < n; i++) {
        at += peal_wsframe_head((uint8_t *)at, frames[i].op, false,
            peal_parts_len(frames[i].parts, frames[i].n));
        at = peal_parts_copy(at, frames[i].parts, frames[i].n);
    }
    return b;
}

/* Appends one frame, compressed if it pays. */
static peal_err
add_deflated(struct peal_buf *out, const struct peal_frame *f, struct peal_deflate *z)
{
    struct peal_buf plain = { 0 }, packed = { 0 };
    uint8_t head[PEAL_WS_HEAD_MAX];
    struct peal_slice payload;
    size_t len = peal_parts_len(f->parts, f->n);
    bool rsv1 = peal_deflate_pays(z, len);
    peal_err err;

    if ((err = peal_buf_reserve(&plain, len + 1)) != PEAL_OK)
        return err;
    plain.len = (size_t)(peal_parts_copy(plain.data, f->parts, f->n) - plain.data);
    payload = peal_buf_slice(&plain);
    if (rsv1) {
        err = peal_deflate_message(z, PEAL_DEFLATE_BITS_MAX, payload, &packed);
        payload = peal_buf_slice(&packed);
    }
    if (err == PEAL_OK)
        err = peal_buf_add(out, head, peal_wsframe_head(head, f->op, rsv1, payload.len));
    if (err == PEAL_OK)
        err = peal_buf_add_slice(out, payload);
    peal_buf_fini(&plain);
    peal_buf_fini(&packed);
    return err;
}

struct peal_blob *
peal_frames_deflate(const struct peal_frame *frames, unsigned n, struct peal_deflate *z)
{
    struct peal_buf out = { 0 };
    struct peal_blob *b = NULL;
    peal_err err = PEAL_OK;
    bool large = false;

    for (unsigned i = 0; i < n && z != NULL; i++)
        large |= peal_deflate_pays(z, peal_parts_len(frames[i].parts, frames[i].n));
    if (!large)
        return peal_frames(frames, n);
    for (unsigned i = 0; i < n && err == PEAL_OK; i++)
        err = add_deflated(&out, &frames[i], z);
    if (err == PEAL_OK)
        b = peal_blob_copy(peal_buf_slice(&out));
    peal_buf_fini(&out);
    return b;
}

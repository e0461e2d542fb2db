/* SPDX-License-Identifier: MIT */
/* Frames as RFC 6455 section 5.2 has them; the generator's own, so that it stays cheap
 * and does not share a mistake with the server that it measures. */
#include "bench/frame.h"

/* A constant mask: the server must unmask, and nothing here depends on chance. */
static const uint8_t mask[4] = { 0x5a, 0xc3, 0x17, 0x88 };

peal_err
peal_bench_frame_add(struct peal_buf *b, uint8_t opcode, struct peal_slice payload)
{
    uint8_t head[14];
    size_t n = 2;
    char *to;

    head[0] = 0x80 | opcode;
    if (payload.len < 126) {
        head[1] = 0x80 | (uint8_t)payload.len;
    } else if (payload.len < 65536) {
        head[1] = 0x80 | 126;
        head[n++] = (uint8_t)(payload.len >> 8);
        head[n++] = (uint8_t)payload.len;
    } else {
        head[1] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            head[n++] = (uint8_t)((uint64_t)payload.len >> shift);
    }
    memcpy(head + n, mask, sizeof(mask));
    n += sizeof(mask);
    if (peal_buf_reserve(b, n + payload.len) != PEAL_OK)
        return PEAL_ENOMEM;
    to = b->data + b->len;
    memcpy(to, head, n);
    for (size_t i = 0; i < payload.len; i++)
        to[n + i] = (char)(payload.data[i] ^ (char)mask[i & 3]);
    b->len += n + payload.len;
    return PEAL_OK;
}

peal_err
peal_bench_frame_take(struct peal_slice s, struct peal_bench_frame *out, size_t *used_out)
{
    const uint8_t *u = (const uint8_t *)s.data;
    size_t head = 2;
    uint64_t n;

    if (s.len < 2)
        return PEAL_EAGAIN;
    if ((u[0] & 0xf0) != 0x80 || (u[1] & 0x80) != 0 || (u[0] & 0x0f) == 0)
        return PEAL_EPROTO;
    n = u[1];
    if (n >= 126) {
        head = n == 126 ? 4 : 10;
        if (s.len < head)
            return PEAL_EAGAIN;
        n = 0;
        for (size_t i = 2; i < head; i++)
            n = n << 8 | u[i];
    }
    if (n > s.len - head)
        return PEAL_EAGAIN;
    out->opcode = u[0] & 0x0f;
    out->payload = peal_slice_of(s.data + head, (size_t)n);
    *used_out = head + (size_t)n;
    return PEAL_OK;
}

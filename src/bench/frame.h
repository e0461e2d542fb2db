/* SPDX-License-Identifier: MIT */
/*
 * WebSocket frames from a client's side, no more than a load generator needs: it masks
 * what it sends, and takes whole messages in single frames from the server (a server
 * that fragments a broadcast is reported, not supported).
 */
#ifndef PEAL_BENCH_FRAME_H
#define PEAL_BENCH_FRAME_H

#include "base/buf.h"

enum peal_bench_opcode {
    PEAL_BENCH_OP_TEXT = 1,
    PEAL_BENCH_OP_BINARY = 2,
    PEAL_BENCH_OP_CLOSE = 8,
    PEAL_BENCH_OP_PING = 9,
    PEAL_BENCH_OP_PONG = 10
};

struct peal_bench_frame {
    uint8_t opcode;
    struct peal_slice payload; /* points into the bytes that were read */
};

/* Appends one masked frame with FIN set. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_bench_frame_add(
    struct peal_buf *b, uint8_t opcode, struct peal_slice payload);

/*
 * Takes one frame off the start of s. used_out is its length on the wire.
 * Errors: PEAL_EAGAIN: not complete. PEAL_EPROTO: masked, fragmented, or reserved bits.
 */
PEAL_MUST_USE peal_err peal_bench_frame_take(
    struct peal_slice s, struct peal_bench_frame *out, size_t *used_out);

#endif

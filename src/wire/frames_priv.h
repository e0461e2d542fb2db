/* SPDX-License-Identifier: MIT */
/* Joining slices into blobs that are whole frames, inside wire/ only. */
#ifndef PEAL_WIRE_FRAMES_PRIV_H
#define PEAL_WIRE_FRAMES_PRIV_H

#include "base/blob.h"
#include "wire/ws.h"

/* One WebSocket message: the payload is its parts, one after the other. */
struct peal_frame {
    enum peal_wsframe_opcode op;
    const struct peal_slice *parts;
    unsigned n;
};

/* peal_frames makes a blob of unfragmented frames. NULL: out of memory. */
struct peal_blob *peal_frames(const struct peal_frame *frames, unsigned n);

/* peal_frames_deflate is the same, compressed with a window of 15 bits where it pays. z
 * NULL: not compressed. */
struct peal_blob *peal_frames_deflate(
    const struct peal_frame *frames, unsigned n, struct peal_deflate *z);

/* peal_parts_len is the sum of the lengths. */
size_t peal_parts_len(const struct peal_slice *parts, unsigned n);

/* peal_parts_copy writes all parts to at and returns what is behind them. */
char *peal_parts_copy(char *at, const struct peal_slice *parts, unsigned n);

#endif

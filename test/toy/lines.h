/* SPDX-License-Identifier: MIT */
/*
 * A toy: lines of text over a connection that HTTP has given away, written by following
 * docs/HACKING.md, "Adding a protocol", and nothing else.
 *
 *   GET /lines/<channel>   200, then each message of the channel as a line; each line
 *                          that the client sends is published on it
 */
#ifndef TEST_TOY_LINES_H
#define TEST_TOY_LINES_H

#include "proto/protocol.h"

/* Its config is a struct lines_config. */
extern const struct peal_protocol_ops lines_protocol;

struct lines_config {
    size_t line_max; /* bytes of a line from a client */
};

#endif

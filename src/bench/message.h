/* SPDX-License-Identifier: MIT */
/*
 * The messages that are published and verified: a counter of ten digits, then filler.
 * Over Socket.IO they travel as the argument of an event "msg" to a room.
 */
#ifndef PEAL_BENCH_MESSAGE_H
#define PEAL_BENCH_MESSAGE_H

#include "base/buf.h"
#include "bench/opts.h"

struct peal_bench_message {
    const struct peal_bench_opts *opts;
    struct peal_buf expected; /* a delivery; the digits in it vary */
    size_t digits_at;
    /* The last publish, to be sent again with other digits. */
    struct peal_buf text;
    size_t text_digits_at;
    const struct peal_bench_target *target; /* whom text is for; NULL: there is none */
    unsigned number;
};

/* opts is kept. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_bench_message_init(
    struct peal_bench_message *m, const struct peal_bench_opts *opts);

/* A zeroed struct is fine. */
void peal_bench_message_fini(struct peal_bench_message *m);

/* Appends to wire what publishes message seq by a connection to the target; number is
 * the connection's, for the room. target is borrowed until the next call. Errors:
 * PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_bench_message_publish(struct peal_bench_message *m,
    const struct peal_bench_target *target, unsigned number, uint32_t seq,
    struct peal_buf *wire);

/* peal_bench_message_is_notice: data is no message, but a greeting or a ping of a server
 * that wraps messages. */
bool peal_bench_message_is_notice(
    const struct peal_bench_message *m, struct peal_slice data);

/* false: this is not a message as one was published. */
bool peal_bench_message_read(
    const struct peal_bench_message *m, struct peal_slice data, uint32_t *seq_out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Logs: one event a line on stderr, as logfmt: ts, level, msg, then what belongs to it.
 * The friendly form (--dev) leaves the time out of the way. A line is one write.
 *
 * Values come from peers, from Redis and from the system, so each is quoted and escaped
 * where it needs that: no value can begin a field, or a line, of its own.
 *
 * Any thread.
 */
#ifndef PEAL_BASE_LOG_H
#define PEAL_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "peal/err.h"

#define PEAL_LOG_VALUE_MAX 512 /* bytes of one text in a line; the rest is cut off */

enum peal_log_level {
    PEAL_LOG_ERROR,
    PEAL_LOG_WARN,
    PEAL_LOG_INFO,
    PEAL_LOG_DEBUG
};

struct peal_log {
    int fd;
    bool friendly;
    _Atomic int level; /* the most talkative level that is written */
};

/*
 * peal_log writes one line. msg is a fixed sentence. fields is NULL, or a printf format
 * of key=value pairs with single spaces between them, for which these rules hold:
 *
 *   key=%s    quoted and escaped if the text has a space, a quote, a '=', a backslash or
 * a control byte
 *   "..%s.."  within quotes that stand in the format the text is escaped
 *   a=b%s     as a part of a value: '?' replaces such bytes
 *   %s        without a key: pairs that Peal made itself, written as they are
 *
 * %.*s does the same. Of numbers, all conversions work that C has for integers.
 */
void peal_log(struct peal_log *log, enum peal_log_level level, const char *msg,
    const char *fields, ...) PEAL_PRINTF(4, 5);

/*
 * Lines that peers can cause at will go through a limit: of one kind no more than
 * PEAL_LOG_LIMIT_LINES in PEAL_LOG_LIMIT_MS are written, and the next one that is written
 * says as suppressed=N how many were left out before it. Zero is a limit's beginning; it
 * belongs to one thread.
 */
#define PEAL_LOG_LIMIT_LINES 5
#define PEAL_LOG_LIMIT_MS 10000

struct peal_log_limit {
    uint64_t since_ms;       /* when the first line of this period was written */
    unsigned n_written;      /* in this period */
    unsigned long n_skipped; /* since the last line that was written */
};

/* peal_log_limited is peal_log within a limit; now_ms is the caller's loop time. */
void peal_log_limited(struct peal_log *log, struct peal_log_limit *limit, uint64_t now_ms,
    enum peal_log_level level, const char *msg, const char *fields, ...)
    PEAL_PRINTF(6, 7);

#endif

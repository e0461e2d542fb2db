/* SPDX-License-Identifier: MIT */
/*
 * Logs: one event a line on stderr, as logfmt: ts, level, msg, then what belongs to it.
 * The friendly form (--dev) leaves the time out of the way. Any thread; a line is one
 * write.
 */
#ifndef PEAL_BASE_LOG_H
#define PEAL_BASE_LOG_H

#include <stdbool.h>

#include "peal/err.h"

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
 * peal_log writes one line. msg is a fixed sentence; fields is a printf format of
 * key=value pairs, or NULL. Control bytes in the result are replaced by '?'.
 */
void peal_log(struct peal_log *log, enum peal_log_level level, const char *msg,
    const char *fields, ...) PEAL_PRINTF(4, 5);

#endif

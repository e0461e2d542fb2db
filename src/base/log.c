/* SPDX-License-Identifier: MIT */
/* Logs: formatted on the stack, written at once. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const names[] = { "error", "warn", "info", "debug" };

static size_t
put_time(char *out, size_t size)
{
    struct timespec ts;
    struct tm tm;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    n = strftime(out, size, "ts=%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, size - n, ".%03ldZ ", ts.tv_nsec / 1000000);
}

void
peal_log(struct peal_log *log, enum peal_log_level level, const char *msg,
    const char *fields, ...)
{
    char line[2048];
    size_t n = 0;
    va_list ap;
    int more;

    if (log == NULL || (int)level > log->level)
        return;
    if (!log->friendly)
        n = put_time(line, sizeof(line));
    if (log->friendly)
        n += (size_t)snprintf(line, sizeof(line), "%s%s",
            level == PEAL_LOG_INFO ? "" : names[level],
            level == PEAL_LOG_INFO ? "" : ": ");
    n += (size_t)snprintf(line + n, sizeof(line) - n, log->friendly ? "%s" : "level=%s ",
        log->friendly ? msg : names[level]);
    if (!log->friendly)
        n += (size_t)snprintf(line + n, sizeof(line) - n, "msg=\"%s\"", msg);
    if (fields != NULL && n < sizeof(line) - 2) {
        line[n++] = ' ';
        va_start(ap, fields);
        more = vsnprintf(line + n, sizeof(line) - n - 1, fields, ap);
        va_end(ap);
        if (more > 0)
            n +=
                (size_t)more < sizeof(line) - n - 1 ? (size_t)more : sizeof(line) - n - 2;
    }
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[n++] = '\n';
    if (write(log->fd, line, n) < 0)
        return; /* nowhere left to say so */
}

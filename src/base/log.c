/* SPDX-License-Identifier: MIT */
/*
 * Logs: formatted on the stack, written at once.
 *
 * The fields' format is walked here instead of being handed to vsnprintf whole, because
 * only the format knows where a value begins and ends: the text that a conversion brings
 * is escaped as its place demands, so that call sites need not think of it.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/ascii.h"

static const char *const names[] = { "error", "warn", "info", "debug" };

struct line {
    char text[4096];
    size_t n;
};

/* A va_list in a struct, so that functions can share it. */
struct args {
    va_list ap;
};

static void
line_put(struct line *l, char c)
{
    if (l->n < sizeof(l->text) - 1) /* the last byte is the line feed's */
        l->text[l->n++] = c;
}

static void
line_puts(struct line *l, const char *s)
{
    while (*s != '\0')
        line_put(l, *s++);
}

/* Tells whether this byte would end, or split, a value without quotes. */
static bool
is_special(char c)
{
    return peal_ascii_is_control(c) || c == ' ' || c == '"' || c == '=' || c == '\\';
}

enum place {
    RAW,    /* pairs that are made already */
    WHOLE,  /* the whole value of a key */
    PART,   /* a part of a value */
    QUOTED, /* within quotes of the format */
};

static void
put_escaped(struct line *l, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"' || s[i] == '\\')
            line_put(l, '\\');
        line_put(l, peal_ascii_is_control(s[i]) ? '?' : s[i]);
    }
}

static void
put_text(struct line *l, enum place place, const char *s, size_t n)
{
    bool cut = n > PEAL_LOG_VALUE_MAX, special = false;

    n = cut ? PEAL_LOG_VALUE_MAX : n;
    for (size_t i = 0; i < n; i++)
        special |= is_special(s[i]);
    if (place == WHOLE && special)
        line_put(l, '"');
    if (place == QUOTED || place == WHOLE)
        put_escaped(l, s, n);
    else
        for (size_t i = 0; i < n; i++)
            line_put(l, (place == RAW ? peal_ascii_is_control(s[i]) : is_special(s[i]))
                            ? '?'
                            : s[i]);
    if (cut)
        line_puts(l, "...");
    if (place == WHOLE && special)
        line_put(l, '"');
}

static void
put_number(struct line *l, const char *spec, struct args *a)
{
    const char *size = spec + strspn(spec, "%0123456789-+ #.");
    char text[64];

    if (strncmp(size, "ll", 2) == 0)
        snprintf(text, sizeof(text), spec, va_arg(a->ap, long long));
    else if (*size == 'l' || *size == 'z' || *size == 'j' || *size == 't')
        snprintf(text, sizeof(text), spec, va_arg(a->ap, long));
    else
        snprintf(text, sizeof(text), spec, va_arg(a->ap, int));
    line_puts(l, text);
}

_Static_assert(sizeof(long) == sizeof(size_t) && sizeof(long) == sizeof(intmax_t),
    "put_number takes them for one type");

/* Carries out the conversion at f and returns what follows it. */
static const char *
put_conversion(struct line *l, const char *f, enum place place, struct args *a)
{
    char spec[16];
    size_t n = strcspn(f + 1, "diouxXcs%") + 2;
    const char *s;
    int max = -1;

    if (n >= sizeof(spec))
        n = sizeof(spec) - 1; /* no format of ours is so long */
    memcpy(spec, f, n);
    spec[n] = '\0';
    switch (spec[n - 1]) {
    case '%':
        line_put(l, '%');
        break;
    case 's':
        if (strstr(spec, ".*") != NULL)
            max = va_arg(a->ap, int);
        s = va_arg(a->ap, const char *);
        if (s != NULL)
            put_text(l, place, s, max < 0 ? strlen(s) : strnlen(s, (size_t)max));
        break;
    default:
        put_number(l, spec, a);
    }
    return f + n;
}

static void
put_fields(struct line *l, const char *f, struct args *a)
{
    bool quoted = false;
    char before = ' ';

    while (*f != '\0') {
        if (*f == '%') {
            const char *end = f + 1 + strcspn(f + 1, "diouxXcs%") + 1;
            bool at_end = *end == '\0' || *end == ' ';
            enum place place = quoted                    ? QUOTED
                               : before == ' '           ? RAW
                               : before == '=' && at_end ? WHOLE
                                                         : PART;

            f = put_conversion(l, f, place, a);
            before = 's';
            continue;
        }
        quoted ^= *f == '"';
        before = *f++;
        line_put(l, before);
    }
}

/* For machines in UTC with its date; for people the time of day where they are. */
static void
put_time(struct line *l, bool friendly)
{
    struct timespec ts;
    struct tm tm;
    char text[64];
    size_t n;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (friendly)
        localtime_r(&ts.tv_sec, &tm);
    else
        gmtime_r(&ts.tv_sec, &tm);
    n = strftime(text, sizeof(text), friendly ? "%H:%M:%S" : "ts=%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof(text) - n, friendly ? ".%03ld " : ".%03ldZ ",
        ts.tv_nsec / 1000000);
    line_puts(l, text);
}

static void
put_head(struct line *l, const struct peal_log *log, enum peal_log_level level,
    const char *msg)
{
    put_time(l, log->friendly);
    if (log->friendly) {
        if (level != PEAL_LOG_INFO) {
            line_puts(l, names[level]);
            line_puts(l, ": ");
        }
        put_text(l, RAW, msg, strlen(msg));
        return;
    }
    line_puts(l, "level=");
    line_puts(l, names[level]);
    line_puts(l, " msg=\"");
    put_text(l, QUOTED, msg, strlen(msg));
    line_put(l, '"');
}

static void
write_line(struct peal_log *log, enum peal_log_level level, unsigned long n_skipped,
    const char *msg, const char *fields, struct args *a)
{
    struct line l;

    l.n = 0;
    put_head(&l, log, level, msg);
    if (fields != NULL && *fields != '\0') {
        line_put(&l, ' ');
        put_fields(&l, fields, a);
    }
    if (n_skipped > 0) {
        char text[48];

        snprintf(text, sizeof(text), " suppressed=%lu", n_skipped);
        line_puts(&l, text);
    }
    l.text[l.n++] = '\n';
    if (write(log->fd, l.text, l.n) < 0)
        return; /* nowhere left to say so */
}

void
peal_log(struct peal_log *log, enum peal_log_level level, const char *msg,
    const char *fields, ...)
{
    struct args a;

    if (log == NULL || (int)level > log->level)
        return;
    va_start(a.ap, fields);
    write_line(log, level, 0, msg, fields, &a);
    va_end(a.ap);
}

void
peal_log_limited(struct peal_log *log, struct peal_log_limit *limit, uint64_t now_ms,
    enum peal_log_level level, const char *msg, const char *fields, ...)
{
    unsigned long n_skipped = limit->n_skipped;
    struct args a;

    if (log == NULL || (int)level > log->level)
        return;
    if (limit->n_written == 0 || now_ms - limit->since_ms >= PEAL_LOG_LIMIT_MS) {
        limit->since_ms = now_ms;
        limit->n_written = 0;
    }
    if (limit->n_written == PEAL_LOG_LIMIT_LINES) {
        limit->n_skipped++;
        return;
    }
    limit->n_written++;
    limit->n_skipped = 0;
    va_start(a.ap, fields);
    write_line(log, level, n_skipped, msg, fields, &a);
    va_end(a.ap);
}

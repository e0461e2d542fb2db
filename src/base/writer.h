/* SPDX-License-Identifier: MIT */
/*
 * Writers: text appended to a buffer by many calls, of which none need be checked. The
 * first failure sticks, everything after it does nothing, and peal_writer_end tells it:
 *
 *   struct peal_writer w = peal_writer_on(&buf);
 *
 *   peal_writer_json_begin(&w, '{');
 *   peal_writer_json_key(&w, "channel");
 *   peal_writer_json_str(&w, name);
 *   peal_writer_json_end(&w, '}');
 *   return peal_writer_end(&w);
 *
 * The calls for JSON put the commas: between the values of an array and the fields of an
 * object. They do not check that what they write is well formed.
 *
 * One thread at a time.
 */
#ifndef PEAL_BASE_WRITER_H
#define PEAL_BASE_WRITER_H

#include "base/buf.h"

struct peal_writer {
    struct peal_buf *out; /* borrowed */
    size_t start;         /* bytes that were there before */
    peal_err err;
    bool comma; /* the next JSON value follows another one */
};

static inline struct peal_writer
peal_writer_on(struct peal_buf *out)
{
    return (struct peal_writer){ .out = out, .start = out->len };
}

/* peal_writer_end returns the first failure, and then leaves the buffer as it was before
 * the writer. Errors: PEAL_ENOMEM, or what was given to peal_writer_fail. */
PEAL_MUST_USE peal_err peal_writer_end(struct peal_writer *w);

/* peal_writer_fail makes err the failure, unless there is one already. */
static inline void
peal_writer_fail(struct peal_writer *w, peal_err err)
{
    if (w->err == PEAL_OK)
        w->err = err;
}

void peal_writer_put(struct peal_writer *w, struct peal_slice s);
void peal_writer_puts(struct peal_writer *w, const char *s);
void peal_writer_putc(struct peal_writer *w, char c);
void peal_writer_printf(struct peal_writer *w, const char *fmt, ...) PEAL_PRINTF(2, 3);

/* An array or object; bracket is one of [ ] { }. */
void peal_writer_json_begin(struct peal_writer *w, char bracket);
void peal_writer_json_end(struct peal_writer *w, char bracket);

/* The name of an object's next field, which needs no escaping. */
void peal_writer_json_key(struct peal_writer *w, const char *name);

/* The values. A text is UTF-8; raw is JSON already. */
void peal_writer_json_str(struct peal_writer *w, struct peal_slice text);
void peal_writer_json_raw(struct peal_writer *w, struct peal_slice raw);
void peal_writer_json_u64(struct peal_writer *w, uint64_t n);
void peal_writer_json_i64(struct peal_writer *w, int64_t n);
void peal_writer_json_bool(struct peal_writer *w, bool b);

#endif

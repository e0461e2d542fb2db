/* SPDX-License-Identifier: MIT */
/* Writers: a buffer with a sticky error, and the commas of JSON. */
#include "base/writer.h"

#include <inttypes.h>

#include "base/json.h"

peal_err
peal_writer_end(struct peal_writer *w)
{
    if (w->err != PEAL_OK)
        w->out->len = w->start;
    return w->err;
}

void
peal_writer_put(struct peal_writer *w, struct peal_slice s)
{
    if (w->err == PEAL_OK)
        w->err = peal_buf_add_slice(w->out, s);
}

void
peal_writer_puts(struct peal_writer *w, const char *s)
{
    peal_writer_put(w, peal_slice_str(s));
}

void
peal_writer_putc(struct peal_writer *w, char c)
{
    if (w->err == PEAL_OK)
        w->err = peal_buf_add_char(w->out, c);
}

void
peal_writer_printf(struct peal_writer *w, const char *fmt, ...)
{
    va_list ap;

    if (w->err != PEAL_OK)
        return;
    va_start(ap, fmt);
    w->err = peal_buf_vprintf(w->out, fmt, ap);
    va_end(ap);
}

/* A value, or a field, begins with a comma if another one stands before it. */
static void
separate(struct peal_writer *w)
{
    if (w->comma)
        peal_writer_putc(w, ',');
    w->comma = true;
}

void
peal_writer_json_begin(struct peal_writer *w, char bracket)
{
    separate(w);
    peal_writer_putc(w, bracket);
    w->comma = false;
}

void
peal_writer_json_end(struct peal_writer *w, char bracket)
{
    peal_writer_putc(w, bracket);
    w->comma = true;
}

void
peal_writer_json_key(struct peal_writer *w, const char *name)
{
    separate(w);
    peal_writer_putc(w, '"');
    peal_writer_puts(w, name);
    peal_writer_puts(w, "\":");
    w->comma = false;
}

void
peal_writer_json_str(struct peal_writer *w, struct peal_slice text)
{
    separate(w);
    if (w->err == PEAL_OK)
        w->err = peal_json_quote(w->out, text);
}

void
peal_writer_json_raw(struct peal_writer *w, struct peal_slice raw)
{
    separate(w);
    peal_writer_put(w, raw);
}

void
peal_writer_json_u64(struct peal_writer *w, uint64_t n)
{
    separate(w);
    peal_writer_printf(w, "%" PRIu64, n);
}

void
peal_writer_json_i64(struct peal_writer *w, int64_t n)
{
    separate(w);
    peal_writer_printf(w, "%" PRId64, n);
}

void
peal_writer_json_bool(struct peal_writer *w, bool b)
{
    separate(w);
    peal_writer_puts(w, b ? "true" : "false");
}

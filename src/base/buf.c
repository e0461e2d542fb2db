/* SPDX-License-Identifier: MIT */
/* Buffers: doubling growth, nothing else. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

peal_err
peal_buf_reserve(struct peal_buf *b, size_t n)
{
    size_t cap = b->cap ? b->cap : 64;
    char *data;

    if (n <= b->cap - b->len)
        return PEAL_OK;
    if (n > SIZE_MAX / 2 - b->len)
        return PEAL_ENOMEM;
    while (cap < b->len + n)
        cap *= 2;
    if ((data = realloc(b->data, cap)) == NULL)
        return PEAL_ENOMEM;
    b->data = data;
    b->cap = cap;
    return PEAL_OK;
}

peal_err
peal_buf_add(struct peal_buf *b, const void *data, size_t len)
{
    peal_err err;

    if (len == 0)
        return PEAL_OK;
    if ((err = peal_buf_reserve(b, len)) != PEAL_OK)
        return err;
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return PEAL_OK;
}

peal_err
peal_buf_add_slice(struct peal_buf *b, struct peal_slice s)
{
    return peal_buf_add(b, s.data, s.len);
}

peal_err
peal_buf_add_char(struct peal_buf *b, char c)
{
    return peal_buf_add(b, &c, 1);
}

peal_err
peal_buf_vprintf(struct peal_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    peal_err err;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        err = PEAL_EINVAL;
    else if ((err = peal_buf_reserve(b, (size_t)n + 1)) == PEAL_OK) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return err;
}

peal_err
peal_buf_printf(struct peal_buf *b, const char *fmt, ...)
{
    va_list ap;
    peal_err err;

    va_start(ap, fmt);
    err = peal_buf_vprintf(b, fmt, ap);
    va_end(ap);
    return err;
}

void
peal_buf_consume(struct peal_buf *b, size_t n)
{
    PEAL_ASSERT(n <= b->len);
    b->len -= n;
    if (b->len > 0)
        memmove(b->data, b->data + n, b->len);
}

void
peal_buf_fini(struct peal_buf *b)
{
    free(b->data);
    *b = (struct peal_buf){ 0 };
}

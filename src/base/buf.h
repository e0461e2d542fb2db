/* SPDX-License-Identifier: MIT */
/*
 * Buffers: bytes that grow. A zeroed struct is an empty buffer and owns nothing.
 * One thread at a time. After PEAL_ENOMEM the buffer holds what it held before.
 */
#ifndef PEAL_BASE_BUF_H
#define PEAL_BASE_BUF_H

#include <stdarg.h>

#include "base/slice.h"

struct peal_buf {
    char *data;
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
};

/* peal_buf_reserve makes room for n more bytes at data + len. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_buf_reserve(struct peal_buf *b, size_t n);

/* These append at the end. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_buf_add(struct peal_buf *b, const void *data, size_t len);
PEAL_MUST_USE peal_err peal_buf_add_slice(struct peal_buf *b, struct peal_slice s);
PEAL_MUST_USE peal_err peal_buf_add_char(struct peal_buf *b, char c);
PEAL_MUST_USE peal_err peal_buf_printf(struct peal_buf *b, const char *fmt, ...)
    PEAL_PRINTF(2, 3);
PEAL_MUST_USE peal_err peal_buf_vprintf(struct peal_buf *b, const char *fmt, va_list ap);

/* peal_buf_consume drops the first n bytes; n must not exceed len. */
void peal_buf_consume(struct peal_buf *b, size_t n);

/* peal_buf_fini releases the bytes and leaves an empty buffer. */
void peal_buf_fini(struct peal_buf *b);

static inline struct peal_slice
peal_buf_slice(const struct peal_buf *b)
{
    return (struct peal_slice){ b->data, b->len };
}

#endif

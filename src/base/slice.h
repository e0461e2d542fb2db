/* SPDX-License-Identifier: MIT */
/*
 * Slices: a borrowed run of bytes, not terminated by a zero. A caller that keeps one
 * longer than the call copies the bytes. Any thread.
 */
#ifndef PEAL_BASE_SLICE_H
#define PEAL_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "peal/err.h"

struct peal_slice {
    const char *data; /* may be NULL when len is 0 */
    size_t len;       /* bytes */
};

#define PEAL_S(lit) ((struct peal_slice){ "" lit, sizeof(lit) - 1 })

/* For printf: "%.*s" takes PEAL_ARG(slice); slice is evaluated twice. */
#define PEAL_ARG(slice) (int)(slice).len, (slice).data

static inline struct peal_slice
peal_slice_of(const void *data, size_t len)
{
    return (struct peal_slice){ data, len };
}

static inline struct peal_slice
peal_slice_str(const char *s)
{
    return (struct peal_slice){ s, s ? strlen(s) : 0 };
}

static inline bool
peal_slice_eq(struct peal_slice a, struct peal_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool
peal_slice_starts(struct peal_slice s, struct peal_slice prefix)
{
    return s.len >= prefix.len &&
           (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

/* peal_slice_skip drops the first n bytes; n beyond the end gives an empty slice. */
static inline struct peal_slice
peal_slice_skip(struct peal_slice s, size_t n)
{
    return n >= s.len ? (struct peal_slice){ NULL, 0 }
                      : (struct peal_slice){ s.data + n, s.len - n };
}

/* peal_slice_ieq compares ASCII letters without regard to case. */
bool peal_slice_ieq(struct peal_slice a, struct peal_slice b);

/* peal_slice_eq_consttime compares in a time that depends on the lengths alone (secrets).
 */
bool peal_slice_eq_consttime(struct peal_slice a, struct peal_slice b);

/* peal_slice_trim drops spaces and tabs at both ends. */
struct peal_slice peal_slice_trim(struct peal_slice s);

/*
 * peal_slice_cut takes the part before the first c off *rest and returns it; *rest
 * becomes what follows c. Without a c it returns all of *rest and leaves *rest with data
 * NULL.
 */
struct peal_slice peal_slice_cut(struct peal_slice *rest, char c);

/* peal_slice_u64 reads decimal digits only. Errors: PEAL_EINVAL: empty, other bytes, or
 * beyond max. */
PEAL_MUST_USE peal_err peal_slice_u64(struct peal_slice s, uint64_t max, uint64_t *out);

/* peal_slice_glob matches s against a pattern in which '*' stands for any run of bytes.
 */
bool peal_slice_glob(struct peal_slice pattern, struct peal_slice s);

#endif

/* SPDX-License-Identifier: MIT */
/* Content codings: a zlib stream for each, reset before every body. */
#include "wire/gzip.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/buf.h"

#define MEM_LEVEL 8 /* zlib's own choice */
#define N_CODINGS 3

struct peal_gzip {
    int level;
    bool ready[N_CODINGS];
    z_stream streams[N_CODINGS]; /* by coding; zlib keeps pointers to them */
};

const char *const peal_coding_names[N_CODINGS] = {
    [PEAL_CODING_GZIP] = "gzip",
    [PEAL_CODING_DEFLATE] = "deflate",
};

/* What a client wants: weights in thousandths; -1: not named. */
struct wants {
    int named[N_CODINGS];
    int any;
};

/* qvalue of RFC 9110 section 12.4.2, in thousandths; 0 if it is none. */
static int
read_weight(struct peal_slice s)
{
    int n, unit = 100;

    if (s.len == 0 || s.len > 5 || (s.data[0] != '0' && s.data[0] != '1') ||
        (s.len > 1 && s.data[1] != '.'))
        return 0;
    n = (s.data[0] - '0') * 1000;
    for (size_t i = 2; i < s.len; i++, unit /= 10) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return 0;
        n += (s.data[i] - '0') * unit;
    }
    return n <= 1000 ? n : 0;
}

static int
weight_of(struct peal_slice params)
{
    while (params.data != NULL) {
        struct peal_slice value = peal_slice_cut(&params, ';');
        struct peal_slice name = peal_slice_cut(&value, '=');

        if (peal_slice_ieq(peal_slice_trim(name), PEAL_S("q")))
            return read_weight(peal_slice_trim(value));
    }
    return 1000;
}

static void
read_element(struct peal_slice element, struct wants *w)
{
    struct peal_slice name = peal_slice_trim(peal_slice_cut(&element, ';'));
    int weight = weight_of(element);

    if (peal_slice_eq(name, PEAL_S("*")))
        w->any = weight;
    for (int i = PEAL_CODING_GZIP; i < N_CODINGS; i++)
        if (peal_slice_ieq(name, peal_slice_str(peal_coding_names[i])))
            w->named[i] = weight;
}

enum peal_coding
peal_coding_accepted(const struct peal_httphead *head)
{
    struct wants w = { .named = { 0, -1, -1 } };
    struct peal_slice list, element;
    int best = PEAL_CODING_NONE;
    unsigned at = 0;

    while (peal_httphead_next(head, PEAL_S("Accept-Encoding"), &at, &list))
        while (peal_httphead_list_next(&list, &element))
            read_element(element, &w);
    for (int i = PEAL_CODING_GZIP; i < N_CODINGS; i++) {
        if (w.named[i] < 0)
            w.named[i] = w.any;
        if (w.named[i] > w.named[best])
            best = i;
    }
    return (enum peal_coding)best;
}

/* zlib's own is the same, but out of reach of tests that let allocations fail. */
static void *
zlib_alloc(void *opaque, unsigned items, unsigned size)
{
    return malloc((size_t)items * size);
}

static void
zlib_free(void *opaque, void *p)
{
    free(p);
}

peal_err
peal_gzip_new(int level, struct peal_gzip **out)
{
    struct peal_gzip *z;

    if (level < 1 || level > 9)
        return PEAL_EINVAL;
    if ((z = calloc(1, sizeof(*z))) == NULL)
        return PEAL_ENOMEM;
    z->level = level;
    *out = z;
    return PEAL_OK;
}

void
peal_gzip_free(struct peal_gzip **zp)
{
    struct peal_gzip *z = *zp;

    if (z == NULL)
        return;
    for (int i = 0; i < N_CODINGS; i++)
        if (z->ready[i])
            deflateEnd(&z->streams[i]);
    free(z);
    *zp = NULL;
}

/* A stream as new, or NULL: out of memory. */
static z_stream *
stream(struct peal_gzip *z, enum peal_coding coding)
{
    z_stream *s = &z->streams[coding];
    int format = coding == PEAL_CODING_GZIP ? 16 : 0;

    if (z->ready[coding]) {
        deflateReset(s);
        return s;
    }
    s->zalloc = zlib_alloc;
    s->zfree = zlib_free;
    if (deflateInit2(s, z->level, Z_DEFLATED, MAX_WBITS + format, MEM_LEVEL,
            Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    z->ready[coding] = true;
    return s;
}

struct peal_blob *
peal_gzip_body(struct peal_gzip *z, enum peal_coding coding, struct peal_slice body)
{
    struct peal_buf out = { 0 };
    struct peal_blob *b = NULL;
    z_stream *s;

    assert(coding == PEAL_CODING_GZIP || coding == PEAL_CODING_DEFLATE);
    if (body.len == 0 || body.len > UINT_MAX || (s = stream(z, coding)) == NULL ||
        peal_buf_reserve(&out, body.len) != PEAL_OK)
        return NULL;
    s->next_in = (z_const Bytef *)body.data;
    s->avail_in = (uInt)body.len;
    s->next_out = (Bytef *)out.data;
    s->avail_out = (uInt)(body.len - 1); /* what does not end in there does not pay */
    if (deflate(s, Z_FINISH) == Z_STREAM_END) {
        out.len = body.len - 1 - s->avail_out;
        b = peal_blob_copy(peal_buf_slice(&out));
    }
    peal_buf_fini(&out);
    return b;
}

/* SPDX-License-Identifier: MIT */
/*
 * Content codings: the Accept-Encoding fields are read once into weights, by which a
 * coding is chosen; a scratch has a zlib stream for each coding.
 */
#include "wire/gzip.h"

#include <limits.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/assert.h"
#include "base/buf.h"
#include "wire/zlib_priv.h"

#define MEM_LEVEL 8 /* zlib's own choice */
#define N_CODINGS 3

struct peal_gzip {
    int level;
    struct peal_zstream streams[N_CODINGS]; /* by coding */
};

const char *const peal_coding_names[N_CODINGS] = {
    [PEAL_CODING_GZIP] = "gzip",
    [PEAL_CODING_DEFLATE] = "deflate",
};

/* The wishes of a client: weights in thousandths; -1: not named. */
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
        if (!peal_ascii_is_digit(s.data[i]))
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

static struct wants
read_wants(const struct peal_httphead *head)
{
    struct wants w = { .named = { 0, -1, -1 } };
    struct peal_slice list, element;
    unsigned at = 0;

    while (peal_httphead_next(head, PEAL_S("Accept-Encoding"), &at, &list))
        while (peal_httphead_list_next(&list, &element))
            read_element(element, &w);
    for (int i = PEAL_CODING_GZIP; i < N_CODINGS; i++)
        if (w.named[i] < 0)
            w.named[i] = w.any;
    return w;
}

enum peal_coding
peal_coding_accepted(const struct peal_httphead *head)
{
    struct wants w = read_wants(head);
    int best = PEAL_CODING_NONE;

    for (int i = PEAL_CODING_GZIP; i < N_CODINGS; i++)
        if (w.named[i] > w.named[best])
            best = i;
    return (enum peal_coding)best;
}

bool
peal_coding_takes_gzip(const struct peal_httphead *head)
{
    return read_wants(head).named[PEAL_CODING_GZIP] > 0;
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
        peal_zstream_deflate_fini(&z->streams[i]);
    free(z);
    *zp = NULL;
}

struct peal_blob *
peal_gzip_body(struct peal_gzip *z, enum peal_coding coding, struct peal_slice body)
{
    struct peal_zstream *s = &z->streams[coding];
    int format = coding == PEAL_CODING_GZIP ? 16 : 0; /* zlib's way to ask for gzip */
    struct peal_buf out = { 0 };
    struct peal_blob *b = NULL;

    PEAL_ASSERT(coding == PEAL_CODING_GZIP || coding == PEAL_CODING_DEFLATE);
    if (body.len == 0 || body.len > UINT_MAX ||
        !peal_zstream_deflate(s, z->level, MAX_WBITS + format, MEM_LEVEL) ||
        peal_buf_reserve(&out, body.len) != PEAL_OK)
        return NULL;
    peal_zstream_in(s, body);
    /* A result that is not shorter than the body is of no use. */
    peal_zstream_out(s, out.data, body.len - 1);
    if (deflate(&s->z, Z_FINISH) == Z_STREAM_END) {
        out.len = body.len - 1 - s->z.avail_out;
        b = peal_blob_copy(peal_buf_slice(&out));
    }
    peal_buf_fini(&out);
    return b;
}

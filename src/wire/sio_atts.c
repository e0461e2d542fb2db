/* SPDX-License-Identifier: MIT */
/*
 * Placeholders: which objects of a payload stand for attachments.
 *
 * An object is known to be one only at its closing brace (see sio_mark_priv.h); so what
 * was found inside is remembered with the opening one and forgotten again if need be. One
 * pass, no recursion, nothing allocated but output.
 */
#include "base/base64.h"
#include "base/id.h"
#include "base/json.h"
#include "wire/sio_mark_priv.h"

/* One more than a payload's items may have: they are checked apart from their array. */
#define DEPTH_MAX (PEAL_JSON_DEPTH_MAX + 1)

struct frame {
    bool object, key_next, bad;
    struct peal_sio_mark mark;
    uint32_t used;  /* attachments seen before this one opened */
    unsigned found; /* and how often */
    size_t out_len; /* of out before this one opened */
};

struct walk {
    const char *p, *end;
    const char *copied; /* input up to here has gone to out */
    unsigned depth, n_atts;
    bool bad; /* a placeholder is out of range */
    uint32_t used;
    unsigned found;
    struct peal_blob *const *atts;
    struct peal_buf *out; /* NULL: check only */
    size_t budget;        /* bytes of base64 that may still be made */
    struct frame frames[DEPTH_MAX];
};

static peal_err
flush(struct walk *w)
{
    size_t n = (size_t)(w->p - w->copied);
    peal_err err;

    if (w->out == NULL)
        return PEAL_OK;
    if ((err = peal_buf_add(w->out, w->copied, n)) == PEAL_OK)
        w->copied = w->p;
    return err;
}

static peal_err
add_attachment(struct walk *w, unsigned num)
{
    struct peal_slice data = peal_blob_slice(w->atts[num]);
    size_t len = peal_base64_len(data.len);
    struct peal_buf *out = w->out;
    peal_err err;

    if (len > w->budget)
        return peal_buf_add(out, "null", 4);
    w->budget -= len;
    if ((err = peal_buf_reserve(out, len + 2)) != PEAL_OK)
        return err;
    out->data[out->len] = '"';
    peal_base64_encode(data.data, data.len, out->data + out->len + 1);
    out->data[out->len + 1 + len] = '"';
    out->len += len + 2;
    return PEAL_OK;
}

void
peal_sio_mark_key(struct peal_sio_mark *m, struct peal_slice token)
{
    m->key = peal_json_string_is(token, PEAL_S("_placeholder")) ? PEAL_SIO_KEY_PLACEHOLDER
             : peal_json_string_is(token, PEAL_S("num"))        ? PEAL_SIO_KEY_NUM
                                                                : PEAL_SIO_KEY_OTHER;
}

void
peal_sio_mark_value(struct peal_sio_mark *m, struct peal_slice token, unsigned n_atts)
{
    uint64_t num;

    if (m->key == PEAL_SIO_KEY_PLACEHOLDER)
        m->marked = peal_slice_eq(token, PEAL_S("true"));
    else if (m->key == PEAL_SIO_KEY_NUM)
        m->num =
            peal_slice_u64(token, PEAL_ATTACHMENTS_MAX, &num) == PEAL_OK && num < n_atts
                ? (int)num
                : -1;
    m->key = PEAL_SIO_KEY_OTHER;
}

/* A value begins: tell the container it is in. */
static void
note_value(struct walk *w, struct peal_slice token)
{
    if (w->depth > 0)
        peal_sio_mark_value(&w->frames[w->depth - 1].mark, token, w->n_atts);
}

static peal_err
open_container(struct walk *w)
{
    bool object = *w->p == '{';
    peal_err err;

    note_value(w, PEAL_S(""));
    if (w->depth == DEPTH_MAX)
        return PEAL_ELIMIT;
    if ((err = flush(w)) != PEAL_OK)
        return err;
    w->frames[w->depth++] = (struct frame){ .object = object,
        .key_next = object,
        .bad = w->bad,
        .mark = PEAL_SIO_MARK_NONE,
        .used = w->used,
        .found = w->found,
        .out_len = w->out ? w->out->len : 0 };
    w->p++;
    return PEAL_OK;
}

static peal_err
close_container(struct walk *w)
{
    struct frame *f;

    if (w->depth == 0)
        return PEAL_EPROTO;
    f = &w->frames[--w->depth];
    w->p++;
    if (!f->mark.marked)
        return PEAL_OK;
    w->bad = f->bad || f->mark.num < 0;
    w->used = f->used | (f->mark.num < 0 ? 0 : 1u << f->mark.num);
    w->found = f->found + 1;
    if (w->out == NULL || f->mark.num < 0)
        return PEAL_OK;
    w->out->len = f->out_len;
    w->copied = w->p;
    return add_attachment(w, (unsigned)f->mark.num);
}

static void
scalar(struct walk *w)
{
    struct frame *f = w->depth > 0 ? &w->frames[w->depth - 1] : NULL;
    struct peal_slice token = { w->p, (size_t)(w->end - w->p) };

    token.len = peal_json_token(token);
    w->p += token.len;
    if (f == NULL || !f->key_next) {
        note_value(w, token);
        return;
    }
    f->key_next = false;
    peal_sio_mark_key(&f->mark, token);
}

static peal_err
walk(struct walk *w)
{
    peal_err err = PEAL_OK;

    while (w->p < w->end && err == PEAL_OK) {
        switch (*w->p) {
        case '{':
        case '[':
            err = open_container(w);
            break;
        case '}':
        case ']':
            err = close_container(w);
            break;
        case ',':
            if (w->depth > 0 && w->frames[w->depth - 1].object)
                w->frames[w->depth - 1].key_next = true;
            w->p++;
            break;
        case ':':
        case ' ':
        case '\t':
        case '\r':
        case '\n':
            w->p++;
            break;
        default:
            scalar(w);
        }
    }
    if (err == PEAL_OK)
        err = w->bad ? PEAL_EPROTO : flush(w);
    return err;
}

/* Walks without making anything. */
static peal_err
look(struct walk *w, struct peal_slice args, unsigned n_atts)
{
    w->p = w->copied = args.data;
    w->end = args.len > 0 ? args.data + args.len : args.data;
    w->depth = 0;
    w->n_atts = n_atts;
    w->bad = false;
    w->used = 0;
    w->found = 0;
    w->out = NULL;
    return walk(w);
}

peal_err
peal_sio_check_placeholders(struct peal_slice args, unsigned n_atts, uint32_t *used_out)
{
    struct walk w;
    peal_err err = look(&w, args, n_atts);

    if (used_out != NULL)
        *used_out = w.used;
    return err;
}

peal_err
peal_sio_count_placeholders(struct peal_slice args, unsigned n_atts, unsigned *n_out)
{
    struct walk w;
    peal_err err = look(&w, args, n_atts);

    *n_out = w.found;
    return err;
}

peal_err
peal_sio_inline(struct peal_buf *out, struct peal_slice args,
    struct peal_blob *const *atts, unsigned n_atts)
{
    size_t before = out->len;
    struct walk w;
    peal_err err;

    if (args.len == 0)
        return PEAL_OK;
    w.p = w.copied = args.data;
    w.end = args.data + args.len;
    w.depth = 0;
    w.n_atts = n_atts;
    w.bad = false;
    w.used = 0;
    w.found = 0;
    w.atts = atts;
    w.out = out;
    w.budget = PEAL_SIO_REPEAT_MAX;
    for (unsigned i = 0; i < n_atts; i++)
        w.budget += peal_base64_len(atts[i]->len);
    if ((err = walk(&w)) != PEAL_OK)
        out->len = before;
    return err;
}

bool
peal_sio_is_placeholder(struct peal_slice value, unsigned *num_out)
{
    struct peal_json_field f[] = { { .name = "_placeholder" }, { .name = "num" } };
    struct peal_slice key;
    uint64_t n;

    if (peal_json_fields(value, PEAL_JSON_SKIP_OTHERS, f, 2, &key) != PEAL_OK ||
        !peal_slice_eq(f[0].value, PEAL_S("true")) ||
        peal_slice_u64(f[1].value, PEAL_ATTACHMENTS_MAX, &n) != PEAL_OK)
        return false;
    *num_out = (unsigned)n;
    return true;
}

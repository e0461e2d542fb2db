/* SPDX-License-Identifier: MIT */
/*
 * Envelopes, written and read. A message's record is written in one piece of the size
 * that was computed before, since that is done for all that is published; records of
 * other kinds are rare and grow as they are written. Reading gathers the fields of a
 * record first, whatever their order, and makes a message of them at its end.
 */
#include "wire/envelope.h"

#include "base/json.h"

#define VERSION 1
#define VARINT_MAX 5 /* bytes; lengths are below 2^32 */

/* Fields. A number never changes its meaning. */
enum {
    CHANNEL = 1, /* once for each, in the publisher's order */
    EXCEPT = 2,  /* once for each */
    NSP = 3,     /* absent: "/" */
    EVENT = 4,
    ARGS = 5,
    N_ARGS = 6,  /* varint */
    KIND = 7,    /* varint, enum peal_data_kind; absent: JSON */
    FLAGS = 8,   /* varint, PEAL_MSG_...; absent: none */
    ATT = 9,     /* once for each attachment */
    NUMBER = 10, /* varint; absent: 0 */
    RECORD = 11, /* varint, enum peal_record_kind; the first field, absent: a message */
    ID = 12,     /* this and what follows: varints, absent: 0 */
    OP = 13,
    PART = 14,
    COUNT = 15,
    STATUS = 16,
    LAST = 17,
    TIMEOUT = 18
};

void
peal_envelope_head(uint32_t node, char out[PEAL_ENVELOPE_HEAD])
{
    out[0] = 'P';
    out[1] = VERSION;
    for (int i = 0; i < 4; i++)
        out[2 + i] = (char)(node >> (24 - 8 * i));
}

static size_t
varint_size(uint32_t n)
{
    size_t size = 1;

    for (; n >= 128; n >>= 7)
        size++;
    return size;
}

static char *
put_varint(char *at, uint32_t n)
{
    for (; n >= 128; n >>= 7)
        *at++ = (char)(n | 128);
    *at++ = (char)n;
    return at;
}

static size_t
field_size(size_t len)
{
    return 1 + varint_size((uint32_t)len) + len;
}

static char *
put_field(char *at, unsigned tag, struct peal_slice s)
{
    *at++ = (char)tag;
    at = put_varint(at, (uint32_t)s.len);
    if (s.len > 0)
        memcpy(at, s.data, s.len);
    return at + s.len;
}

static char *
put_number(char *at, unsigned tag, uint32_t n)
{
    char bytes[VARINT_MAX];

    return put_field(
        at, tag, peal_slice_of(bytes, (size_t)(put_varint(bytes, n) - bytes)));
}

static bool
is_root(struct peal_slice nsp)
{
    return peal_slice_eq(nsp, PEAL_S("/"));
}

static size_t
size_of(const struct peal_msg *m, uint32_t number)
{
    size_t size = field_size(m->args.len);

    for (unsigned i = 0; i < m->n_channels; i++)
        size += field_size(m->channels[i].name.len);
    for (unsigned i = 0; i < m->n_except; i++)
        size += field_size(m->except[i].len);
    for (unsigned i = 0; i < m->n_atts; i++)
        size += field_size(m->atts[i]->len);
    if (!is_root(m->nsp))
        size += field_size(m->nsp.len);
    if (m->event.len > 0)
        size += field_size(m->event.len);
    if (m->n_args != 1)
        size += field_size(varint_size(m->n_args));
    if (m->kind != PEAL_DATA_JSON)
        size += field_size(1);
    if (m->flags != 0)
        size += field_size(varint_size(m->flags));
    if (number != 0)
        size += field_size(varint_size(number));
    return size;
}

struct peal_blob *
peal_envelope_record(const struct peal_msg *m, uint32_t number)
{
    size_t size = size_of(m, number), all = size + varint_size((uint32_t)size);
    struct peal_blob *b = size < UINT32_MAX / 2 ? peal_blob_new(all) : NULL;
    char *at;

    if (b == NULL)
        return NULL;
    at = put_varint(b->data, (uint32_t)size);
    for (unsigned i = 0; i < m->n_channels; i++)
        at = put_field(at, CHANNEL, m->channels[i].name);
    for (unsigned i = 0; i < m->n_except; i++)
        at = put_field(at, EXCEPT, m->except[i]);
    if (!is_root(m->nsp))
        at = put_field(at, NSP, m->nsp);
    if (m->event.len > 0)
        at = put_field(at, EVENT, m->event);
    if (m->n_args != 1)
        at = put_number(at, N_ARGS, m->n_args);
    if (m->kind != PEAL_DATA_JSON)
        at = put_number(at, KIND, m->kind);
    if (m->flags != 0)
        at = put_number(at, FLAGS, m->flags);
    if (number != 0)
        at = put_number(at, NUMBER, number);
    for (unsigned i = 0; i < m->n_atts; i++)
        at = put_field(at, ATT, peal_blob_slice(m->atts[i]));
    put_field(at, ARGS, m->args);
    return b;
}

/* Records of other kinds. */

static void
add_bytes(struct peal_buf *b, peal_err *err, unsigned tag, struct peal_slice s)
{
    char head[1 + VARINT_MAX];
    size_t n;

    head[0] = (char)tag;
    n = (size_t)(put_varint(head + 1, (uint32_t)s.len) - head);
    if (*err == PEAL_OK && s.len >= UINT32_MAX / 2)
        *err = PEAL_ELIMIT;
    if (*err == PEAL_OK)
        *err = peal_buf_add(b, head, n);
    if (*err == PEAL_OK)
        *err = peal_buf_add_slice(b, s);
}

static void
add_number(struct peal_buf *b, peal_err *err, unsigned tag, uint32_t n)
{
    char bytes[VARINT_MAX];

    if (n != 0)
        add_bytes(
            b, err, tag, peal_slice_of(bytes, (size_t)(put_varint(bytes, n) - bytes)));
}

/* The fields of a message, without the length before them. */
static void
add_message(struct peal_buf *b, peal_err *err, const struct peal_msg *m)
{
    struct peal_blob *record = peal_envelope_record(m, 0);

    if (record == NULL)
        *err = PEAL_ENOMEM;
    else if (*err == PEAL_OK)
        *err = peal_buf_add_slice(b, peal_slice_skip(peal_blob_slice(record),
                                         varint_size((uint32_t)size_of(m, 0))));
    peal_blob_release(record);
}

struct peal_blob *
peal_envelope_other(const struct peal_record *r)
{
    struct peal_buf b = { 0 };
    struct peal_blob *blob = NULL;
    peal_err err = PEAL_OK;

    add_number(&b, &err, RECORD, r->kind);
    add_number(&b, &err, ID, r->id);
    add_number(&b, &err, OP, r->op);
    add_number(&b, &err, TIMEOUT, r->timeout_ms);
    add_number(&b, &err, PART, r->part);
    add_number(&b, &err, COUNT, r->n);
    add_number(&b, &err, STATUS, r->status);
    add_number(&b, &err, LAST, r->last);
    if (r->msg != NULL)
        add_message(&b, &err, r->msg);
    if (r->msg == NULL && r->n_args > 0) {
        add_bytes(&b, &err, ARGS, r->args);
        if (r->n_args != 1)
            add_number(&b, &err, N_ARGS, r->n_args);
    }
    for (unsigned i = 0; r->msg == NULL && i < r->n_atts; i++)
        add_bytes(&b, &err, ATT, peal_blob_slice(r->atts[i]));
    if (err == PEAL_OK && b.len < UINT32_MAX / 2 &&
        (blob = peal_blob_new(b.len + varint_size((uint32_t)b.len))) != NULL)
        memcpy(put_varint(blob->data, (uint32_t)b.len), b.data, b.len);
    peal_buf_fini(&b);
    return blob;
}

peal_err
peal_envelope_open(
    struct peal_slice batch, uint32_t *node_out, struct peal_slice *records_out)
{
    const unsigned char *p = (const unsigned char *)batch.data;

    if (batch.len < PEAL_ENVELOPE_HEAD || p[0] != 'P' || p[1] == 0)
        return PEAL_EPROTO;
    *node_out = (uint32_t)p[2] << 24 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 8 | p[5];
    *records_out = peal_slice_skip(batch, PEAL_ENVELOPE_HEAD);
    return p[1] == VERSION ? PEAL_OK : PEAL_EUNSUPP;
}

static peal_err
take_varint(struct peal_slice *s, uint32_t *out)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < VARINT_MAX && i < s->len; i++) {
        n |= (uint64_t)((unsigned char)s->data[i] & 127) << (7 * i);
        if (((unsigned char)s->data[i] & 128) != 0)
            continue;
        *s = peal_slice_of(s->data + i + 1, s->len - i - 1);
        *out = (uint32_t)n;
        return n <= UINT32_MAX ? PEAL_OK : PEAL_EPROTO;
    }
    return PEAL_EPROTO;
}

static peal_err
take_bytes(struct peal_slice *s, struct peal_slice *out)
{
    uint32_t len;

    if (take_varint(s, &len) != PEAL_OK || len > s->len)
        return PEAL_EPROTO;
    *out = peal_slice_of(s->data, len);
    *s = peal_slice_of(s->data + len, s->len - len);
    return PEAL_OK;
}

static peal_err
number_of(struct peal_slice bytes, unsigned max, unsigned *out)
{
    uint32_t n;

    if (take_varint(&bytes, &n) != PEAL_OK || bytes.len > 0 || n > max)
        return PEAL_EPROTO;
    *out = n;
    return PEAL_OK;
}

/* The fields of a record, before a message is made of it. */
struct draft {
    struct peal_msg_spec spec;
    struct peal_slice channels[PEAL_CHANNELS_MAX], except[PEAL_CHANNELS_MAX];
};

static peal_err
add_name(struct peal_slice list[PEAL_CHANNELS_MAX], unsigned *n, struct peal_slice name)
{
    if (*n == PEAL_CHANNELS_MAX)
        return PEAL_ELIMIT;
    list[(*n)++] = name;
    return PEAL_OK;
}

static peal_err
add_att(struct peal_record *r, struct peal_slice bytes)
{
    if (r->n_atts == PEAL_ATTACHMENTS_MAX)
        return PEAL_ELIMIT;
    if ((r->atts[r->n_atts] = peal_blob_copy(bytes)) == NULL)
        return PEAL_ENOMEM;
    r->n_atts++;
    return PEAL_OK;
}

/* An event's name is decoded by encoders, so it must be one JSON value and nothing else.
 * Arguments are not looked at, which would cost too much: encoders bear any bytes. */
static peal_err
set_event(struct peal_msg_spec *s, struct peal_slice token)
{
    struct peal_slice value;
    size_t used;

    if (peal_json_skip(token, &value, &used) != PEAL_OK || value.len != token.len)
        return PEAL_EPROTO;
    s->event = token;
    return PEAL_OK;
}

/* Fields of messages, and of answers. */
static peal_err
add_field(struct peal_record *r, struct draft *d, uint32_t tag, struct peal_slice bytes)
{
    struct peal_msg_spec *s = &d->spec;
    unsigned kind = 0;
    peal_err err;

    switch (tag) {
    case CHANNEL:
        return add_name(d->channels, &s->n_channels, bytes);
    case EXCEPT:
        return add_name(d->except, &s->n_except, bytes);
    case NSP:
        s->nsp = bytes;
        return PEAL_OK;
    case EVENT:
        return set_event(s, bytes);
    case ARGS:
        s->args = bytes;
        return PEAL_OK;
    case N_ARGS:
        return number_of(bytes, UINT32_MAX, &s->n_args);
    case KIND:
        err = number_of(bytes, PEAL_DATA_BYTES, &kind);
        s->kind = (enum peal_data_kind)kind;
        return err;
    case FLAGS:
        return number_of(bytes, UINT32_MAX, &s->flags);
    case ATT:
        return add_att(r, bytes);
    case NUMBER:
        return r->kind == PEAL_RECORD_MESSAGE ? number_of(bytes, UINT32_MAX, &r->number)
                                              : PEAL_OK;
    default:
        return PEAL_OK;
    }
}

/* Fields of other kinds alone. */
static peal_err
add_other(struct peal_record *r, struct draft *d, uint32_t tag, struct peal_slice bytes)
{
    unsigned last = 0;
    peal_err err;

    switch (tag) {
    case ID:
        return number_of(bytes, UINT32_MAX, &r->id);
    case OP:
        return number_of(bytes, UINT32_MAX, &r->op);
    case PART:
        return number_of(bytes, UINT32_MAX, &r->part);
    case COUNT:
        return number_of(bytes, UINT32_MAX, &r->n);
    case STATUS:
        return number_of(bytes, UINT32_MAX, &r->status);
    case TIMEOUT:
        return number_of(bytes, UINT32_MAX, &r->timeout_ms);
    case LAST:
        err = number_of(bytes, UINT32_MAX, &last);
        r->last = last != 0;
        return err;
    default:
        return add_field(r, d, tag, bytes);
    }
}

/* The kind is the first field: of one that is not known nothing else is looked at. */
static peal_err
read_kind(struct peal_slice *fields, enum peal_record_kind *out)
{
    struct peal_slice rest = *fields, bytes;
    uint32_t tag, kind;

    *out = PEAL_RECORD_MESSAGE;
    if (take_varint(&rest, &tag) != PEAL_OK || tag != RECORD)
        return PEAL_OK;
    if (take_bytes(&rest, &bytes) != PEAL_OK ||
        number_of(bytes, UINT32_MAX, &kind) != PEAL_OK)
        return PEAL_EPROTO;
    *fields = rest;
    if (kind > PEAL_RECORD_ANSWER)
        return PEAL_EUNSUPP;
    *out = (enum peal_record_kind)kind;
    return PEAL_OK;
}

/* Flags of a publisher that are kept: those that this node knows. */
#define FLAGS_KNOWN (PEAL_MSG_VOLATILE | PEAL_MSG_NO_COMPRESS)

static peal_err
make_message(struct peal_record *r, struct draft *d)
{
    if (d->spec.n_channels == 0 || d->spec.args.data == NULL ||
        (d->spec.kind != PEAL_DATA_JSON && r->n_atts > 0))
        return PEAL_EPROTO;
    d->spec.flags &= FLAGS_KNOWN;
    d->spec.channels = d->channels;
    d->spec.except = d->except;
    d->spec.atts = r->atts;
    d->spec.n_atts = r->n_atts;
    return peal_msg_new(&d->spec, &r->msg);
}

static peal_err
read_record(struct peal_record *r, struct draft *d, struct peal_slice fields)
{
    peal_err err = read_kind(&fields, &r->kind);
    bool message;

    while (err == PEAL_OK && fields.len > 0) {
        struct peal_slice bytes;
        uint32_t tag;

        if ((err = take_varint(&fields, &tag)) == PEAL_OK &&
            (err = take_bytes(&fields, &bytes)) == PEAL_OK)
            err = r->kind == PEAL_RECORD_MESSAGE ? add_field(r, d, tag, bytes)
                                                 : add_other(r, d, tag, bytes);
    }
    message = r->kind == PEAL_RECORD_MESSAGE ||
              (r->kind == PEAL_RECORD_REQUEST && d->spec.n_channels > 0);
    if (err == PEAL_OK && message)
        return make_message(r, d);
    r->args = d->spec.args;
    r->n_args = d->spec.args.data != NULL ? d->spec.n_args : 0;
    return err;
}

void
peal_record_fini(struct peal_record *r)
{
    peal_msg_release(r->msg);
    for (unsigned i = 0; i < r->n_atts; i++)
        peal_blob_release(r->atts[i]);
    r->msg = NULL;
    r->n_atts = 0;
}

peal_err
peal_envelope_next(struct peal_slice *records, struct peal_record *out)
{
    struct draft d;
    struct peal_slice record;

    *out = (struct peal_record){ .kind = PEAL_RECORD_NONE };
    if (records->len == 0)
        return PEAL_OK;
    if (take_bytes(records, &record) != PEAL_OK) {
        *records = peal_slice_of(NULL, 0);
        return PEAL_EPROTO;
    }
    d.spec = (struct peal_msg_spec){ .n_args = 1 };
    return read_record(out, &d, record);
}

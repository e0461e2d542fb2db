/* SPDX-License-Identifier: MIT */
/*
 * The Redis wire of Socket.IO, read. Whatever a message is written in, it is made one
 * JSON text first; then there is one way to read it: walk an object once and note where
 * the values are whose keys are known, then look at each as its type asks.
 */
#include "wire/sio_redis.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/json.h"
#include "base/vec.h"
#include "wire/sio.h"
#include "wire/sio_redis_priv.h"

#define KEEP_MAX                                                                         \
    (256u << 10) /* bytes of memory that a reader keeps for the next message */

#define NAMES_KEEP 1024 /* the same of names */

enum {
    ROOMS,
    EXCEPT,
    TARGETS
};

/* One message being read. */
struct read {
    struct peal_sio_redis_reader *r;
    struct peal_sio_redis_msg *m;
    struct peal_slice doc; /* all of it, checked JSON */
};

/* A raw value that is looked for, by its key. */
struct want {
    struct peal_slice key;
    struct peal_slice *value; /* data NULL: not there */
};

#define FIND(object, wants) find(object, wants, sizeof(wants) / sizeof(*(wants)))

static void
trim(struct peal_buf *b)
{
    if (b->cap > KEEP_MAX)
        peal_buf_fini(b);
    b->len = 0;
}

/* Forgets what is more than most messages need. */
static void
trim_names(struct peal_sio_redis_names *names)
{
    if (names->cap <= NAMES_KEEP)
        return;
    free(names->v);
    *names = (struct peal_sio_redis_names){ 0 };
}

/* Makes room for one name more than n. Names that have been read move. */
static peal_err
reserve_name(struct peal_sio_redis_names *names, unsigned n)
{
    if (n == PEAL_SIO_REDIS_NAMES_MAX)
        return PEAL_ELIMIT;
    return PEAL_GROW(names->v, names->cap, n + 1);
}

void
peal_sio_redis_reader_fini(struct peal_sio_redis_reader *r)
{
    for (unsigned i = 0; i < 3; i++) {
        free(r->names[i].v);
        r->names[i] = (struct peal_sio_redis_names){ 0 };
    }
    peal_buf_fini(&r->text);
    peal_buf_fini(&r->plain);
    peal_msgpack_atts_fini(&r->atts);
}

static bool
begins(struct peal_slice value, char c)
{
    return value.len > 0 && value.data[0] == c;
}

static bool
is_number(struct peal_slice value)
{
    return begins(value, '-') || (value.len > 0 && peal_ascii_is_digit(value.data[0]));
}

/* Many emitters say null or "" where they mean nothing. */
static bool
said(struct peal_slice value)
{
    return value.len > 0 && !peal_slice_eq(value, PEAL_S("null")) &&
           !peal_slice_eq(value, PEAL_S("\"\""));
}

/* The text between the brackets or braces of a value. */
static struct peal_slice
inside(struct peal_slice value)
{
    return peal_slice_of(value.data + 1, value.len - 2);
}

/* Makes the message one checked JSON text. */
static peal_err
open_document(struct read *d, struct peal_slice bytes)
{
    struct peal_sio_redis_reader *r = d->r;
    size_t used = 0;
    peal_err err;

    trim(&r->text);
    trim(&r->plain);
    for (unsigned i = 0; i < 3; i++)
        trim_names(&r->names[i]);
    peal_msgpack_atts_fini(&r->atts);
    *d->m = (struct peal_sio_redis_msg){ 0 };
    if (begins(bytes, '{')) {
        if ((err = peal_json_skip(bytes, &d->doc, &used)) != PEAL_OK)
            return err;
        return peal_json_blank(peal_slice_skip(bytes, used)) ? PEAL_OK : PEAL_EPROTO;
    }
    err = peal_msgpack_to_json(&bytes, &r->text, &r->atts);
    d->doc = peal_buf_slice(&r->text);
    return err == PEAL_OK && bytes.len > 0 ? PEAL_EPROTO : err;
}

/* Of a key that is there twice the last value counts, as in JavaScript. */
static peal_err
find(struct peal_slice object, const struct want *wants, size_t n)
{
    struct peal_slice rest, key, value;

    if (!begins(object, '{'))
        return PEAL_EPROTO;
    rest = inside(object);
    while (peal_json_field(&rest, &key, &value))
        for (size_t i = 0; i < n; i++)
            if (peal_json_string_is(key, wants[i].key))
                *wants[i].value = value;
    return PEAL_OK;
}

/* The text of a string. Room for all texts is made at once, so that none ever moves. */
static peal_err
read_text(struct read *d, struct peal_slice token, struct peal_slice *out)
{
    struct peal_buf *plain = &d->r->plain;
    size_t at = plain->len;
    peal_err err;

    if (!begins(token, '"'))
        return PEAL_EPROTO;
    *out = inside(token);
    if (memchr(token.data, '\\', token.len) == NULL)
        return PEAL_OK;
    if ((at == 0 && (err = peal_buf_reserve(plain, d->doc.len)) != PEAL_OK) ||
        (err = peal_json_unquote(plain, token)) != PEAL_OK)
        return err;
    *out = peal_slice_of(plain->data + at, plain->len - at);
    return PEAL_OK;
}

/* A text that may be missing. */
static peal_err
read_id(struct read *d, struct peal_slice token, struct peal_slice *out)
{
    peal_err err;

    if (!said(token))
        return PEAL_OK;
    if ((err = read_text(d, token, out)) != PEAL_OK)
        return err;
    return out->len > PEAL_SIO_REDIS_ID_MAX ? PEAL_ELIMIT : PEAL_OK;
}

static peal_err
read_count(struct peal_slice token, uint32_t *out)
{
    uint64_t n;

    if (peal_slice_u64(token, UINT32_MAX, &n) != PEAL_OK)
        return PEAL_EPROTO;
    *out = (uint32_t)n;
    return PEAL_OK;
}

static peal_err
read_names(struct read *d, struct peal_slice list, unsigned which,
    const struct peal_slice **out, unsigned *n_out)
{
    struct peal_sio_redis_names *names = &d->r->names[which];
    struct peal_slice rest, item;
    peal_err err = PEAL_OK;
    unsigned n = 0;

    if (!said(list))
        return PEAL_OK;
    if (!begins(list, '['))
        return PEAL_EPROTO;
    rest = inside(list);
    while (err == PEAL_OK && peal_json_next(&rest, &item)) {
        if ((err = reserve_name(names, n)) != PEAL_OK)
            return err;
        if (is_number(item))
            names->v[n] = item;
        else
            err = read_text(d, item, &names->v[n]);
        n++;
    }
    *out = names->v;
    *n_out = n;
    return err;
}

static peal_err
read_flags(struct read *d, struct peal_slice flags)
{
    struct peal_slice is_volatile = { 0 }, compress = { 0 }, timeout = { 0 };
    const struct want wants[] = { { PEAL_S("volatile"), &is_volatile },
        { PEAL_S("compress"), &compress }, { PEAL_S("timeout"), &timeout } };
    struct peal_sio_redis_msg *m = d->m;
    peal_err err;

    if (!said(flags))
        return PEAL_OK;
    if ((err = FIND(flags, wants)) != PEAL_OK)
        return err;
    if (m->op == PEAL_SIO_REDIS_BROADCAST && peal_slice_eq(is_volatile, PEAL_S("true")))
        m->flags |= PEAL_MSG_VOLATILE;
    if (m->op == PEAL_SIO_REDIS_BROADCAST && peal_slice_eq(compress, PEAL_S("false")))
        m->flags |= PEAL_MSG_NO_COMPRESS;
    if ((m->op != PEAL_SIO_REDIS_BROADCAST && m->op != PEAL_SIO_REDIS_FETCH) ||
        read_count(timeout, &m->timeout_ms) != PEAL_OK)
        m->timeout_ms = 0; /* none, or of a length that never ends */
    return PEAL_OK;
}

static peal_err
read_opts(struct read *d, struct peal_slice opts)
{
    struct peal_slice rooms = { 0 }, except = { 0 }, flags = { 0 };
    const struct want wants[] = { { PEAL_S("rooms"), &rooms },
        { PEAL_S("except"), &except }, { PEAL_S("flags"), &flags } };
    struct peal_sio_redis_msg *m = d->m;
    peal_err err;

    if ((err = FIND(opts, wants)) != PEAL_OK ||
        (err = read_names(d, rooms, ROOMS, &m->rooms, &m->n_rooms)) != PEAL_OK ||
        (err = read_names(d, except, EXCEPT, &m->except, &m->n_except)) != PEAL_OK)
        return err;
    return read_flags(d, flags);
}

/* The message's attachments: there may be bytes in it that values do not refer to. */
static peal_err
set_atts(struct read *d, struct peal_slice values)
{
    uint32_t used;
    peal_err err;

    d->m->atts = d->r->atts.blobs;
    if (d->r->atts.n == 0)
        return PEAL_OK;
    err = peal_sio_check_placeholders(values, d->r->atts.n, &used);
    for (; used != 0; used >>= 1)
        d->m->n_atts++;
    return err;
}

/* [event, ...args] */
static peal_err
read_event(struct read *d, struct peal_slice data)
{
    struct peal_sio_redis_msg *m = d->m;
    struct peal_slice rest;

    if (!begins(data, '['))
        return PEAL_EPROTO;
    rest = inside(data);
    if (!peal_json_next(&rest, &m->event) ||
        (!begins(m->event, '"') && !is_number(m->event)))
        return PEAL_EPROTO;
    for (struct peal_slice item; peal_json_next(&rest, &item); m->n_args++) {
        if (m->n_args == 0)
            m->args.data = item.data;
        m->args.len = (size_t)(item.data + item.len - m->args.data);
    }
    return set_atts(d, m->args);
}

/* {type, data, nsp}: an event for clients. */
static peal_err
read_packet(struct read *d, struct peal_slice packet)
{
    struct peal_slice type = { 0 }, data = { 0 }, nsp = { 0 };
    const struct want wants[] = { { PEAL_S("type"), &type }, { PEAL_S("data"), &data },
        { PEAL_S("nsp"), &nsp } };
    struct peal_sio_redis_msg *m = d->m;
    peal_err err;

    if ((err = FIND(packet, wants)) != PEAL_OK)
        return err;
    if (!peal_slice_eq(type, PEAL_S("2")) && !peal_slice_eq(type, PEAL_S("5")))
        return PEAL_EPROTO;
    if (said(nsp) && (err = read_text(d, nsp, &m->nsp)) != PEAL_OK)
        return err;
    if ((err = read_event(d, data)) != PEAL_OK)
        return err;
    return peal_sio_event_reserved(m->event) ? PEAL_EPROTO : PEAL_OK;
}

static peal_err
read_list(struct read *d, struct peal_slice list)
{
    d->m->list = list;
    return begins(list, '[') ? set_atts(d, list) : PEAL_EPROTO;
}

/* The one argument of an answer: undefined in JavaScript is not written at all. */
static peal_err
read_argument(struct read *d, struct peal_slice value)
{
    d->m->args = value;
    d->m->n_args = value.len > 0;
    return set_atts(d, value);
}

/* The fields of a message besides its type, uid and nsp, in either dialect. */
struct values {
    struct peal_slice request_id, opts, rooms, close, packet, data, sockets, count, sid,
        room;
};

/* {sid, room}: as if that room of one had been named. */
static peal_err
read_legacy(struct read *d, const struct values *v)
{
    struct peal_sio_redis_names *rooms = &d->r->names[ROOMS],
                                *targets = &d->r->names[TARGETS];
    struct peal_sio_redis_msg *m = d->m;
    peal_err err;

    if ((err = reserve_name(rooms, 0)) != PEAL_OK ||
        (err = reserve_name(targets, 0)) != PEAL_OK)
        return err;
    m->legacy = true;
    m->rooms = rooms->v;
    m->n_rooms = 1;
    if ((err = read_text(d, v->sid, &rooms->v[0])) != PEAL_OK ||
        m->op == PEAL_SIO_REDIS_DISCONNECT)
        return err;
    m->targets = targets->v;
    m->n_targets = 1;
    if (is_number(v->room))
        targets->v[0] = v->room;
    else
        err = read_text(d, v->room, &targets->v[0]);
    return err;
}

static peal_err
read_move(struct read *d, const struct values *v)
{
    struct peal_sio_redis_msg *m = d->m;
    peal_err err;

    m->close =
        m->op == PEAL_SIO_REDIS_DISCONNECT && peal_slice_eq(v->close, PEAL_S("true"));
    if (!said(v->opts))
        return read_legacy(d, v);
    m->request_id = PEAL_S(""); /* nobody waits for an answer */
    if ((err = read_opts(d, v->opts)) != PEAL_OK || m->op == PEAL_SIO_REDIS_DISCONNECT)
        return err;
    return read_names(d, v->rooms, TARGETS, &m->targets, &m->n_targets);
}

static peal_err
read_values(struct read *d, const struct values *v)
{
    struct peal_sio_redis_msg *m = d->m;
    peal_err err;

    switch (m->op) {
    case PEAL_SIO_REDIS_BROADCAST:
        if ((err = read_packet(d, v->packet)) != PEAL_OK)
            return err;
        return read_opts(d, v->opts);
    case PEAL_SIO_REDIS_JOIN:
    case PEAL_SIO_REDIS_LEAVE:
    case PEAL_SIO_REDIS_DISCONNECT:
        return read_move(d, v);
    case PEAL_SIO_REDIS_FETCH:
        return read_opts(d, v->opts);
    case PEAL_SIO_REDIS_SERVER_EMIT:
        return read_event(d, v->packet);
    case PEAL_SIO_REDIS_ASK_IDS:
        return read_names(d, v->rooms, ROOMS, &m->rooms, &m->n_rooms);
    case PEAL_SIO_REDIS_SOCKETS:
        return read_list(d, v->sockets);
    case PEAL_SIO_REDIS_ROOMS:
        return read_list(d, v->rooms);
    case PEAL_SIO_REDIS_EMIT_ANSWER:
    case PEAL_SIO_REDIS_ACK:
        return read_argument(d, v->packet);
    case PEAL_SIO_REDIS_COUNT:
        return read_count(v->count, &m->count);
    default: /* ASK_ROOMS, DONE: nothing more */
        return PEAL_OK;
    }
}

/* Some messages mean nothing without a request to belong to. */
static peal_err
read_request_id(struct read *d, struct peal_slice token)
{
    struct peal_sio_redis_msg *m = d->m;
    peal_err err = read_id(d, token, &m->request_id);
    bool needed = peal_sio_redis_types[m->op].id == PEAL_SIO_REDIS_ID;

    return err == PEAL_OK && needed && m->request_id.len == 0 ? PEAL_EPROTO : err;
}

/* Each of these numbers its types on its own. */
enum numbering {
    CLASSIC_REQUESTS,
    CLASSIC_RESPONSES,
    SHARDED
};

static peal_err
find_op(struct peal_slice token, enum numbering by, enum peal_sio_redis_op *op_out)
{
    uint32_t type;

    if (read_count(token, &type) != PEAL_OK)
        return PEAL_EPROTO;
    for (unsigned op = 0; type != PEAL_SIO_REDIS_NO_TYPE && op < PEAL_SIO_REDIS_OPS;
         op++) {
        const struct peal_sio_redis_type *t = &peal_sio_redis_types[op];
        bool answer = by == CLASSIC_RESPONSES;

        if (by == SHARDED
                ? t->sharded == type
                : t->classic == type && peal_sio_redis_is_answer(op) == answer) {
            *op_out = op;
            return PEAL_OK;
        }
    }
    return PEAL_EUNSUPP;
}

static peal_err
read_broadcast(struct read *d, struct peal_slice bytes)
{
    struct peal_slice rest, uid, packet, opts;
    peal_err err;

    if ((err = open_document(d, bytes)) != PEAL_OK)
        return err;
    if (!begins(d->doc, '['))
        return PEAL_EPROTO;
    rest = inside(d->doc);
    if (!peal_json_next(&rest, &uid) || !peal_json_next(&rest, &packet) ||
        !peal_json_next(&rest, &opts))
        return PEAL_EPROTO;
    d->m->op = PEAL_SIO_REDIS_BROADCAST;
    if ((err = read_id(d, uid, &d->m->uid)) != PEAL_OK ||
        (err = read_packet(d, packet)) != PEAL_OK ||
        (err = read_opts(d, opts)) != PEAL_OK)
        return err;
    if (d->m->nsp.len == 0)
        d->m->nsp = PEAL_S("/");
    return PEAL_OK;
}

static peal_err
read_request(struct read *d, struct peal_slice bytes)
{
    struct peal_slice type = { 0 }, uid = { 0 };
    struct values v = { 0 };
    const struct want wants[] = { { PEAL_S("type"), &type }, { PEAL_S("uid"), &uid },
        { PEAL_S("requestId"), &v.request_id }, { PEAL_S("opts"), &v.opts },
        { PEAL_S("rooms"), &v.rooms }, { PEAL_S("close"), &v.close },
        { PEAL_S("packet"), &v.packet }, { PEAL_S("data"), &v.data },
        { PEAL_S("sid"), &v.sid }, { PEAL_S("room"), &v.room } };
    peal_err err;

    if ((err = open_document(d, bytes)) != PEAL_OK ||
        (err = FIND(d->doc, wants)) != PEAL_OK ||
        (err = find_op(type, CLASSIC_REQUESTS, &d->m->op)) != PEAL_OK ||
        (err = read_id(d, uid, &d->m->uid)) != PEAL_OK ||
        (err = read_request_id(d, v.request_id)) != PEAL_OK)
        return err;
    if (d->m->op == PEAL_SIO_REDIS_BROADCAST && d->m->request_id.len == 0)
        return PEAL_EPROTO;
    if (d->m->op == PEAL_SIO_REDIS_SERVER_EMIT)
        v.packet = v.data;
    return read_values(d, &v);
}

/* Most responses have no type: what they have tells. */
static peal_err
response_op(struct read *d, struct peal_slice type, const struct values *v)
{
    peal_err err = find_op(type, CLASSIC_RESPONSES, &d->m->op);

    if (err == PEAL_OK)
        return err;
    d->m->op = v->sockets.len > 0 ? PEAL_SIO_REDIS_SOCKETS
               : v->rooms.len > 0 ? PEAL_SIO_REDIS_ROOMS
                                  : PEAL_SIO_REDIS_DONE;
    return type.len > 0 && d->m->op == PEAL_SIO_REDIS_DONE ? err : PEAL_OK;
}

static peal_err
read_response(struct read *d, struct peal_slice bytes)
{
    struct peal_slice type = { 0 };
    struct values v = { 0 };
    const struct want wants[] = { { PEAL_S("type"), &type },
        { PEAL_S("requestId"), &v.request_id }, { PEAL_S("sockets"), &v.sockets },
        { PEAL_S("rooms"), &v.rooms }, { PEAL_S("data"), &v.data },
        { PEAL_S("packet"), &v.packet }, { PEAL_S("clientCount"), &v.count } };
    peal_err err;

    if ((err = open_document(d, bytes)) != PEAL_OK ||
        (err = FIND(d->doc, wants)) != PEAL_OK ||
        (err = response_op(d, type, &v)) != PEAL_OK ||
        (err = read_request_id(d, v.request_id)) != PEAL_OK)
        return err;
    if (d->m->op == PEAL_SIO_REDIS_EMIT_ANSWER)
        v.packet = v.data;
    return read_values(d, &v);
}

static peal_err
read_sharded(struct read *d, struct peal_slice bytes)
{
    struct peal_slice type = { 0 }, data = { 0 }, uid = { 0 }, nsp = { 0 };
    struct values v = { 0 };
    const struct want outer[] = { { PEAL_S("type"), &type }, { PEAL_S("data"), &data },
        { PEAL_S("uid"), &uid }, { PEAL_S("nsp"), &nsp } };
    const struct want inner[] = { { PEAL_S("requestId"), &v.request_id },
        { PEAL_S("packet"), &v.packet }, { PEAL_S("opts"), &v.opts },
        { PEAL_S("rooms"), &v.rooms }, { PEAL_S("close"), &v.close },
        { PEAL_S("sockets"), &v.sockets }, { PEAL_S("clientCount"), &v.count } };
    struct peal_sio_redis_msg *m = d->m;
    peal_err err;

    if ((err = open_document(d, bytes)) != PEAL_OK ||
        (err = FIND(d->doc, outer)) != PEAL_OK ||
        (err = find_op(type, SHARDED, &m->op)) != PEAL_OK ||
        (err = FIND(data, inner)) != PEAL_OK ||
        (err = read_id(d, uid, &m->uid)) != PEAL_OK ||
        (err = read_request_id(d, v.request_id)) != PEAL_OK ||
        (err = read_values(d, &v)) != PEAL_OK)
        return err;
    if (m->legacy || m->uid.len == 0)
        return PEAL_EPROTO;
    return read_text(d, nsp, &m->nsp);
}

/* Reads with fn; if that fails, the memory of what had been read is released. */
static peal_err
reading(peal_err (*fn)(struct read *, struct peal_slice), struct peal_slice bytes,
    struct peal_sio_redis_reader *r, struct peal_sio_redis_msg *out)
{
    struct peal_sio_redis_msg m;
    struct read d = { r, &m, { NULL, 0 } };
    peal_err err = fn(&d, bytes);

    if (err == PEAL_OK)
        *out = m;
    else
        peal_msgpack_atts_fini(&r->atts);
    return err;
}

peal_err
peal_sio_redis_read_broadcast(struct peal_slice bytes, struct peal_sio_redis_reader *r,
    struct peal_sio_redis_msg *out)
{
    return reading(read_broadcast, bytes, r, out);
}

peal_err
peal_sio_redis_read_request(struct peal_slice bytes, struct peal_sio_redis_reader *r,
    struct peal_sio_redis_msg *out)
{
    return reading(read_request, bytes, r, out);
}

peal_err
peal_sio_redis_read_response(struct peal_slice bytes, struct peal_sio_redis_reader *r,
    struct peal_sio_redis_msg *out)
{
    return reading(read_response, bytes, r, out);
}

peal_err
peal_sio_redis_read_sharded(struct peal_slice bytes, struct peal_sio_redis_reader *r,
    struct peal_sio_redis_msg *out)
{
    return reading(read_sharded, bytes, r, out);
}

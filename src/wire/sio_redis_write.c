/* SPDX-License-Identifier: MIT */
/*
 * The Redis wire of Socket.IO, written: JSON first, in the order of keys that Node has;
 * where MessagePack is to be sent, that JSON is converted, which makes attachments of
 * placeholders in the same pass. But for the classic broadcast: it is written for each
 * message that is published, so only the event itself is converted.
 */
#include "wire/sio_redis.h"

#include "base/json.h"
#include "base/utf8.h"
#include "base/writer.h"
#include "wire/sio.h"
#include "wire/sio_redis_priv.h"

#define NUMBER_MAX ((UINT64_C(1) << 53) - 1) /* that JavaScript has exactly */
#define DIGITS_MAX                                                                       \
    15              /* of a fraction: no two such texts are one number to JavaScript     \
                     */
#define ZEROS_MAX 5 /* behind "0.": with more it writes an exponent */

#define PUT(w, lit) peal_writer_put(w, PEAL_S(lit))

static void
put_uint(struct peal_writer *w, uint32_t n)
{
    peal_writer_printf(w, "%u", n);
}

/* Node would read other bytes as something else. */
static void
put_text(struct peal_writer *w, struct peal_slice s)
{
    if (w->err == PEAL_OK)
        w->err = peal_utf8_valid(s) ? peal_json_quote(w->out, s) : PEAL_EINVAL;
}

static void
put_names(struct peal_writer *w, const struct peal_slice *names, unsigned n)
{
    PUT(w, "[");
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            PUT(w, ",");
        put_text(w, names[i]);
    }
    PUT(w, "]");
}

static bool
is_whole(struct peal_slice text)
{
    uint64_t n;

    return (text.len == 1 || (text.len > 1 && text.data[0] != '0')) &&
           peal_slice_u64(text, NUMBER_MAX, &n) == PEAL_OK;
}

/* Tells whether digits may follow the point of a number that begins with whole. */
static bool
is_fraction(struct peal_slice whole, struct peal_slice digits)
{
    size_t zeros = 0;

    if (digits.len == 0 || whole.len + digits.len > DIGITS_MAX ||
        digits.data[digits.len - 1] == '0')
        return false;
    for (size_t i = 0; i < digits.len; i++)
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
    while (digits.data[zeros] == '0')
        zeros++;
    return whole.data[0] != '0' || zeros <= ZEROS_MAX;
}

/* Tells whether a name is one that JavaScript writes for a number, so that room 42 and
 * room "42" may both exist. Nobody has rooms that are numbers with an exponent. */
static bool
is_number(struct peal_slice name)
{
    bool negative = peal_slice_starts(name, PEAL_S("-"));
    struct peal_slice rest = peal_slice_skip(name, negative),
                      whole = peal_slice_cut(&rest, '.');

    if (!is_whole(whole))
        return false;
    if (rest.data != NULL)
        return is_fraction(whole, rest);
    return !negative || whole.data[0] != '0';
}

static void
put_rooms(struct peal_writer *w, const struct peal_sio_redis_msg *m,
    const struct peal_slice *names, unsigned n)
{
    PUT(w, "[");
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            PUT(w, ",");
        put_text(w, names[i]);
        if (m->numbers && is_number(names[i])) {
            PUT(w, ",");
            peal_writer_put(w, names[i]);
        }
    }
    PUT(w, "]");
}

static void
put_flags(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    bool emit = m->op == PEAL_SIO_REDIS_BROADCAST;
    bool is_volatile = emit && (m->flags & PEAL_MSG_VOLATILE) != 0;
    bool uncompressed = emit && (m->flags & PEAL_MSG_NO_COMPRESS) != 0;
    bool timeout = (emit || m->op == PEAL_SIO_REDIS_FETCH) && m->timeout_ms > 0;

    PUT(w, "{");
    if (is_volatile)
        PUT(w, "\"volatile\":true");
    if (uncompressed)
        peal_writer_put(w,
            is_volatile ? PEAL_S(",\"compress\":false") : PEAL_S("\"compress\":false"));
    if (timeout) {
        peal_writer_put(w, is_volatile || uncompressed ? PEAL_S(",\"timeout\":")
                                                       : PEAL_S("\"timeout\":"));
        put_uint(w, m->timeout_ms);
    }
    PUT(w, "}");
}

static void
put_opts(struct peal_writer *w, const struct peal_sio_redis_msg *m, bool flags)
{
    PUT(w, "{\"rooms\":");
    put_rooms(w, m, m->rooms, m->n_rooms);
    PUT(w, ",\"except\":");
    put_rooms(w, m, m->except, m->n_except);
    if (flags) {
        PUT(w, ",\"flags\":");
        put_flags(w, m);
    }
    PUT(w, "}");
}

/* Events that a server emits to its own code: an "error" that nobody listens to ends the
 * process, the others would be taken for a client's. */
static bool
is_server_event(struct peal_slice token)
{
    static const struct peal_slice names[] = { { "connect", 7 }, { "connection", 10 },
        { "new_namespace", 13 }, { "error", 5 } };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (peal_json_string_is(token, names[i]))
            return true;
    return false;
}

/* [event, ...args] */
struct event_text {
    struct peal_slice pieces[5];
    unsigned n;
};

static struct event_text
event_text(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    struct peal_slice event = m->event.len > 0 ? m->event : PEAL_S("\"message\"");
    bool refused = m->op == PEAL_SIO_REDIS_BROADCAST ? peal_sio_event_reserved(event)
                                                     : is_server_event(event);

    if (refused)
        peal_writer_fail(w, PEAL_EINVAL);
    if (m->args.len == 0)
        return (struct event_text){ { PEAL_S("["), event, PEAL_S("]") }, 3 };
    return (struct event_text){ { PEAL_S("["), event, PEAL_S(","), m->args, PEAL_S("]") },
        5 };
}

static void
put_event(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    struct event_text text = event_text(w, m);

    for (unsigned i = 0; i < text.n; i++)
        peal_writer_put(w, text.pieces[i]);
}

static void
put_uid(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    if (m->uid.len == 0)
        peal_writer_fail(w, PEAL_EINVAL);
    put_text(w, m->uid);
}

static void
put_nsp(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    put_text(w, m->nsp.len > 0 ? m->nsp : PEAL_S("/"));
}

static void
put_packet(struct peal_writer *w, const struct peal_sio_redis_msg *m, bool nsp)
{
    PUT(w, "{\"type\":2,\"data\":");
    put_event(w, m);
    if (nsp) {
        PUT(w, ",\"nsp\":");
        put_nsp(w, m);
    }
    PUT(w, "}");
}

static void
put_list(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    if (m->list.len == 0 || m->list.data[0] != '[')
        peal_writer_fail(w, PEAL_EINVAL);
    peal_writer_put(w, m->list);
}

static void
put_request_id(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    if (m->request_id.len == 0)
        peal_writer_fail(w, PEAL_EINVAL);
    PUT(w, "\"requestId\":");
    put_text(w, m->request_id);
}

static bool
has_id(const struct peal_sio_redis_msg *m)
{
    unsigned id = peal_sio_redis_types[m->op].id;

    return id == PEAL_SIO_REDIS_ID ||
           (id == PEAL_SIO_REDIS_MAY_ID && m->request_id.len > 0);
}

/* Whom a request is about, and what is to be done with them. */
static void
put_move(struct peal_writer *w, const struct peal_sio_redis_msg *m, bool flags)
{
    PUT(w, "\"opts\":");
    put_opts(w, m, flags);
    if (m->op == PEAL_SIO_REDIS_JOIN || m->op == PEAL_SIO_REDIS_LEAVE) {
        PUT(w, ",\"rooms\":");
        put_names(w, m->targets, m->n_targets);
    } else if (m->op == PEAL_SIO_REDIS_DISCONNECT) {
        peal_writer_put(
            w, m->close ? PEAL_S(",\"close\":true") : PEAL_S(",\"close\":false"));
    }
}

/* Writes the content of an answer; the dialects have different keys for its argument. Of
 * several arguments only the first is sent; without one Node sends no key either. */
static void
put_answer(
    struct peal_writer *w, const struct peal_sio_redis_msg *m, struct peal_slice key)
{
    struct peal_slice rest = m->args, argument;

    put_request_id(w, m);
    if (m->op == PEAL_SIO_REDIS_SOCKETS) {
        PUT(w, ",\"sockets\":");
        put_list(w, m);
    } else if (m->op == PEAL_SIO_REDIS_ROOMS) {
        PUT(w, ",\"rooms\":");
        put_list(w, m);
    } else if (m->op == PEAL_SIO_REDIS_COUNT) {
        PUT(w, ",\"clientCount\":");
        put_uint(w, m->count);
    } else if (m->op != PEAL_SIO_REDIS_DONE && peal_json_next(&rest, &argument)) {
        peal_writer_put(w, key);
        peal_writer_put(w, argument);
    }
}

/* The classic dialect: a broadcast, in MessagePack; a response, a request. */

static void
pack_text(struct peal_writer *w, struct peal_slice s)
{
    if (w->err == PEAL_OK)
        w->err = peal_utf8_valid(s) ? peal_msgpack_add_str(w->out, s) : PEAL_EINVAL;
}

static void
pack_rooms(struct peal_writer *w, const struct peal_sio_redis_msg *m,
    const struct peal_slice *names, unsigned n)
{
    unsigned n_numbers = 0;

    for (unsigned i = 0; i < n && m->numbers; i++)
        n_numbers += is_number(names[i]);
    if (w->err == PEAL_OK)
        w->err = peal_msgpack_add_array(w->out, n + n_numbers);
    for (unsigned i = 0; i < n; i++) {
        pack_text(w, names[i]);
        if (m->numbers && is_number(names[i]) && w->err == PEAL_OK)
            w->err = peal_msgpack_from_json(w->out, names[i], NULL, 0);
    }
}

static void
pack_flags(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    bool is_volatile = (m->flags & PEAL_MSG_VOLATILE) != 0;
    bool uncompressed = (m->flags & PEAL_MSG_NO_COMPRESS) != 0;

    if (w->err == PEAL_OK)
        w->err = peal_msgpack_add_map(
            w->out, is_volatile + uncompressed + (m->timeout_ms > 0));
    if (is_volatile)
        PUT(w, "\xa8"
               "volatile\xc3");
    if (uncompressed)
        PUT(w, "\xa8"
               "compress\xc2");
    if (m->timeout_ms > 0)
        PUT(w, "\xa7"
               "timeout");
    if (m->timeout_ms > 0 && w->err == PEAL_OK)
        w->err = peal_msgpack_add_uint(w->out, m->timeout_ms);
}

/* [uid, {type, data, nsp}, {rooms, except, flags}] */
static void
pack_broadcast(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    struct event_text text = event_text(w, m);

    if (m->uid.len == 0)
        peal_writer_fail(w, PEAL_EINVAL);
    PUT(w, "\x93");
    pack_text(w, m->uid);
    PUT(w, "\x83\xa4"
           "type\x02\xa4"
           "data");
    if (w->err == PEAL_OK)
        w->err =
            peal_msgpack_from_pieces(w->out, text.pieces, text.n, m->atts, m->n_atts);
    PUT(w, "\xa3"
           "nsp");
    pack_text(w, m->nsp.len > 0 ? m->nsp : PEAL_S("/"));
    PUT(w, "\x83\xa5"
           "rooms");
    pack_rooms(w, m, m->rooms, m->n_rooms);
    PUT(w, "\xa6"
           "except");
    pack_rooms(w, m, m->except, m->n_except);
    PUT(w, "\xa5"
           "flags");
    pack_flags(w, m);
}

static void
put_response(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    unsigned type = peal_sio_redis_types[m->op].classic;

    PUT(w, "{");
    if (type != PEAL_SIO_REDIS_NO_TYPE) {
        PUT(w, "\"type\":");
        put_uint(w, type);
        PUT(w, ",");
    }
    put_answer(w, m,
        m->op == PEAL_SIO_REDIS_ACK ? PEAL_S(",\"packet\":") : PEAL_S(",\"data\":"));
    PUT(w, "}");
}

static void
put_request(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    PUT(w, "{\"uid\":");
    put_uid(w, m);
    PUT(w, ",");
    if (has_id(m)) {
        put_request_id(w, m);
        PUT(w, ",");
    }
    PUT(w, "\"type\":");
    put_uint(w, peal_sio_redis_types[m->op].classic);
    switch (m->op) {
    case PEAL_SIO_REDIS_BROADCAST:
        PUT(w, ",\"packet\":");
        put_packet(w, m, true);
        PUT(w, ",\"opts\":");
        put_opts(w, m, true);
        break;
    case PEAL_SIO_REDIS_SERVER_EMIT:
        PUT(w, ",\"data\":");
        put_event(w, m);
        break;
    case PEAL_SIO_REDIS_ASK_IDS:
        PUT(w, ",\"rooms\":");
        put_names(w, m->rooms, m->n_rooms);
        break;
    case PEAL_SIO_REDIS_ASK_ROOMS:
        break;
    default:
        PUT(w, ",");
        put_move(w, m, false);
    }
    PUT(w, "}");
}

/* The sharded dialect. */

static void
put_data(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    switch (m->op) {
    case PEAL_SIO_REDIS_BROADCAST:
        PUT(w, "\"packet\":");
        put_packet(w, m, false);
        PUT(w, ",");
        if (has_id(m)) {
            put_request_id(w, m);
            PUT(w, ",");
        }
        PUT(w, "\"opts\":");
        put_opts(w, m, true);
        break;
    case PEAL_SIO_REDIS_SERVER_EMIT:
        if (has_id(m)) {
            put_request_id(w, m);
            PUT(w, ",");
        }
        PUT(w, "\"packet\":");
        put_event(w, m);
        break;
    case PEAL_SIO_REDIS_FETCH:
        put_move(w, m, true);
        PUT(w, ",");
        put_request_id(w, m);
        break;
    case PEAL_SIO_REDIS_JOIN:
    case PEAL_SIO_REDIS_LEAVE:
    case PEAL_SIO_REDIS_DISCONNECT:
        put_move(w, m, true);
        break;
    default:
        put_answer(w, m, PEAL_S(",\"packet\":"));
    }
}

static void
put_sharded(struct peal_writer *w, const struct peal_sio_redis_msg *m)
{
    PUT(w, "{\"type\":");
    put_uint(w, peal_sio_redis_types[m->op].sharded);
    PUT(w, ",\"data\":{");
    put_data(w, m);
    PUT(w, "},\"uid\":");
    put_uid(w, m);
    PUT(w, ",\"nsp\":");
    put_nsp(w, m);
    PUT(w, "}");
}

/* The form on the wire of the JSON that a put_fn writes. */
enum form {
    JSON,    /* JSON, or MessagePack if there are bytes in it */
    MSGPACK, /* JSON that becomes MessagePack in any case */
    AS_IS
};

typedef void put_fn(struct peal_writer *w, const struct peal_sio_redis_msg *m);

static peal_err
write_as(struct peal_buf *out, put_fn *put_all, const struct peal_sio_redis_msg *m)
{
    struct peal_writer w = peal_writer_on(out);

    put_all(&w, m);
    return peal_writer_end(&w);
}

static peal_err
write_msgpack(struct peal_buf *out, put_fn *put_all, const struct peal_sio_redis_msg *m)
{
    struct peal_buf json = { 0 };
    peal_err err = write_as(&json, put_all, m);

    if (err == PEAL_OK)
        err = peal_msgpack_from_json(out, peal_buf_slice(&json), m->atts, m->n_atts);
    peal_buf_fini(&json);
    return err;
}

/* Every placeholder becomes bytes of its own on this wire, and an attachment for clients
 * behind it, which must not get more of those than they take. */
static peal_err
write_any(struct peal_buf *out, put_fn *put_all, const struct peal_sio_redis_msg *m,
    enum form form)
{
    struct peal_sio_redis_msg copy = *m;
    struct peal_buf args = { 0 };
    peal_err err = PEAL_OK;
    unsigned n = 0;

    if (m->op == PEAL_SIO_REDIS_BROADCAST && m->n_atts > 0)
        err = peal_sio_count_placeholders(m->args, m->n_atts, &n);
    if (err == PEAL_OK && n > PEAL_SIO_ATTACHMENTS_MAX) {
        err = peal_sio_inline(&args, m->args, m->atts, m->n_atts);
        copy.args = peal_buf_slice(&args);
        copy.n_atts = 0;
    }
    if (err == PEAL_OK)
        err = form == MSGPACK || (form == JSON && copy.n_atts > 0)
                  ? write_msgpack(out, put_all, &copy)
                  : write_as(out, put_all, &copy);
    peal_buf_fini(&args);
    return err;
}

peal_err
peal_sio_redis_write(struct peal_buf *out, const struct peal_sio_redis_msg *m)
{
    if (m->op == PEAL_SIO_REDIS_BROADCAST && m->request_id.len == 0)
        return write_any(out, pack_broadcast, m, AS_IS);
    if (m->op == PEAL_SIO_REDIS_BROADCAST)
        return write_any(out, put_request, m, MSGPACK);
    if (peal_sio_redis_is_answer(m->op))
        return write_any(
            out, put_response, m, m->op == PEAL_SIO_REDIS_ACK ? MSGPACK : JSON);
    return write_any(out, put_request, m, JSON);
}

peal_err
peal_sio_redis_write_sharded(struct peal_buf *out, const struct peal_sio_redis_msg *m)
{
    if (peal_sio_redis_types[m->op].sharded == PEAL_SIO_REDIS_NO_TYPE)
        return PEAL_EUNSUPP;
    return write_any(out, put_sharded, m, JSON);
}

peal_err
peal_sio_redis_add_socket(struct peal_buf *inside, struct peal_slice id,
    struct peal_slice handshake, const struct peal_slice *rooms, unsigned n_rooms,
    struct peal_slice data)
{
    struct peal_writer w = peal_writer_on(inside);

    if (inside->len > 0)
        PUT(&w, ",");
    PUT(&w, "{\"id\":");
    put_text(&w, id);
    PUT(&w, ",\"handshake\":");
    peal_writer_put(&w, handshake);
    PUT(&w, ",\"rooms\":");
    put_names(&w, rooms, n_rooms);
    PUT(&w, ",\"data\":");
    peal_writer_put(&w, data);
    PUT(&w, "}");
    return peal_writer_end(&w);
}

/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO packets, default parser: one pass over the text. The header is read by hand;
 * the payload is walked item by item, which checks the JSON and finds the event name, the
 * arguments and their number at the same time. Building joins slices.
 */
#include "wire/sio.h"

#include "base/ascii.h"
#include "base/assert.h"
#include "base/json.h"
#include "base/utf8.h"

/* Takes "N-" off *s: 1..10, as a client of parser 4.2.7 would accept it. */
static peal_err
take_attachments(struct peal_slice *s, unsigned *n_out)
{
    unsigned n = 0;
    size_t i = 0;

    for (; i < s->len && peal_ascii_is_digit(s->data[i]); i++) {
        n = n * 10 + (unsigned)(s->data[i] - '0');
        if (n > PEAL_SIO_ATTACHMENTS_MAX)
            return PEAL_ELIMIT;
    }
    if (n == 0 || i == s->len || s->data[i] != '-')
        return PEAL_EPROTO;
    *s = peal_slice_skip(*s, i + 1);
    *n_out = n;
    return PEAL_OK;
}

/* A namespace is sent back to others as it came, so it must not be able to break a
 * polling payload (0x1e) or a text frame. */
bool
peal_sio_nsp_clean(struct peal_slice nsp)
{
    for (size_t i = 0; i < nsp.len; i++)
        if ((unsigned char)nsp.data[i] < 0x20 || nsp.data[i] == 0x7f)
            return false;
    return peal_utf8_valid(nsp);
}

static peal_err
take_nsp(struct peal_slice *s, struct peal_slice *out)
{
    *out = PEAL_S("/");
    if (s->len == 0 || s->data[0] != '/')
        return PEAL_OK;
    *out = peal_slice_cut(s, ',');
    if (out->len > PEAL_SIO_NSP_MAX)
        return PEAL_ELIMIT;
    return peal_sio_nsp_clean(*out) ? PEAL_OK : PEAL_EPROTO;
}

static peal_err
take_id(struct peal_slice *s, struct peal_slice *out)
{
    size_t n = 0;

    while (n < s->len && peal_ascii_is_digit(s->data[n]))
        n++;
    if (n > PEAL_SIO_ID_MAX)
        return PEAL_ELIMIT;
    *out = peal_slice_of(n > 0 ? s->data : NULL, n);
    *s = peal_slice_skip(*s, n);
    return PEAL_OK;
}

peal_err
peal_sio_parse(struct peal_slice text, struct peal_sio_packet *out)
{
    static const unsigned char types[] = { PEAL_SIO_CONNECT, PEAL_SIO_DISCONNECT,
        PEAL_SIO_EVENT, PEAL_SIO_ACK, PEAL_SIO_CONNECT_ERROR, PEAL_SIO_EVENT,
        PEAL_SIO_ACK };
    struct peal_slice rest = peal_slice_skip(text, 1);
    peal_err err;

    *out = (struct peal_sio_packet){ 0 };
    if (text.len == 0 || text.data[0] < '0' || text.data[0] > '6')
        return PEAL_EPROTO;
    out->type = (enum peal_sio_type)types[text.data[0] - '0'];
    out->binary = text.data[0] >= '5';
    if (out->binary && (err = take_attachments(&rest, &out->n_atts)) != PEAL_OK)
        return err;
    if ((err = take_nsp(&rest, &out->nsp)) != PEAL_OK ||
        (err = take_id(&rest, &out->id)) != PEAL_OK)
        return err;
    out->payload = rest;
    return peal_sio_check_payload(out);
}

bool
peal_sio_event_reserved(struct peal_slice token)
{
    static const struct peal_slice names[] = { PEAL_S("connect"), PEAL_S("connect_error"),
        PEAL_S("disconnect"), PEAL_S("disconnecting"), PEAL_S("newListener"),
        PEAL_S("removeListener") };

    if (token.len < 3 || strchr("cdnr\\", token.data[1]) == NULL)
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (peal_json_string_is(token, names[i]))
            return true;
    return false;
}

static bool
event_valid(struct peal_slice token)
{
    char c = token.data[0];

    return c == '"' ? !peal_sio_event_reserved(token)
                    : c == '-' || peal_ascii_is_digit(c);
}

static size_t
skip_space(struct peal_slice s, size_t at)
{
    while (at < s.len && (s.data[at] == ' ' || s.data[at] == '\n' || s.data[at] == '\r' ||
                             s.data[at] == '\t'))
        at++;
    return at;
}

/* An item of the array has been read, which is the event name or the next argument. */
static void
add_item(struct peal_sio_packet *p, struct peal_slice item)
{
    if (p->type == PEAL_SIO_EVENT && p->event.data == NULL) {
        p->event = item;
        return;
    }
    if (p->n_args++ == 0)
        p->args.data = item.data;
    p->args.len = (size_t)(item.data + item.len - p->args.data);
}

/* Walks "[...]"; *at_out is set to what follows the bracket. */
static peal_err
walk_array(struct peal_sio_packet *p, size_t *at_out)
{
    struct peal_slice s = p->payload, item;
    size_t at = skip_space(s, 0), used;
    peal_err err;

    if (at == s.len || s.data[at] != '[')
        return PEAL_EPROTO;
    p->payload = s = peal_slice_skip(s, at);
    at = skip_space(s, 1);
    if (at < s.len && s.data[at] == ']') {
        *at_out = at + 1;
        return PEAL_OK;
    }
    for (;;) {
        if ((err = peal_json_skip(peal_slice_skip(s, at), &item, &used)) != PEAL_OK)
            return err;
        add_item(p, item);
        at = skip_space(s, at + used);
        if (at == s.len || (s.data[at] != ',' && s.data[at] != ']'))
            return PEAL_EPROTO;
        if (s.data[at++] == ']')
            break;
    }
    *at_out = at;
    return PEAL_OK;
}

static peal_err
check_array(struct peal_sio_packet *p)
{
    size_t after = 0;
    peal_err err;

    p->event = p->args = (struct peal_slice){ NULL, 0 };
    p->n_args = 0;
    if ((err = walk_array(p, &after)) != PEAL_OK)
        return err;
    if (!peal_json_blank(peal_slice_skip(p->payload, after)))
        return PEAL_EPROTO;
    p->payload.len = after;
    if (p->type == PEAL_SIO_EVENT && (p->event.data == NULL || !event_valid(p->event)))
        return PEAL_EPROTO;
    return p->binary ? peal_sio_check_placeholders(p->args, p->n_atts, NULL) : PEAL_OK;
}

/* CONNECT takes an object, CONNECT_ERROR an object or a string. */
static peal_err
check_value(struct peal_sio_packet *p)
{
    struct peal_slice v;
    size_t used;
    peal_err err = peal_json_skip(p->payload, &v, &used);

    if (err != PEAL_OK)
        return err;
    if (!peal_json_blank(peal_slice_skip(p->payload, used)))
        return PEAL_EPROTO;
    if (v.data[0] != '{' && (p->type == PEAL_SIO_CONNECT || v.data[0] != '"'))
        return PEAL_EPROTO;
    p->payload = v;
    return PEAL_OK;
}

peal_err
peal_sio_check_payload(struct peal_sio_packet *p)
{
    if (p->payload.len == 0) {
        /* Node's parser lets every type but the binary ones pass without a payload; an
         * event without one has no name, so nothing happens. */
        p->ignore = p->type == PEAL_SIO_EVENT;
        return p->binary || p->type == PEAL_SIO_CONNECT_ERROR ? PEAL_EPROTO : PEAL_OK;
    }
    switch (p->type) {
    case PEAL_SIO_EVENT:
    case PEAL_SIO_ACK:
        return check_array(p);
    case PEAL_SIO_DISCONNECT:
        return PEAL_EPROTO;
    default:
        return check_value(p);
    }
}

/* Type 5 and 6 with their number of attachments; index 0 is 2 and 3. */
static const struct peal_slice event_heads[PEAL_SIO_ATTACHMENTS_MAX + 1] = { PEAL_S("42"),
    PEAL_S("451-"), PEAL_S("452-"), PEAL_S("453-"), PEAL_S("454-"), PEAL_S("455-"),
    PEAL_S("456-"), PEAL_S("457-"), PEAL_S("458-"), PEAL_S("459-"), PEAL_S("4510-") };
static const struct peal_slice ack_heads[PEAL_SIO_ATTACHMENTS_MAX + 1] = { PEAL_S("43"),
    PEAL_S("461-"), PEAL_S("462-"), PEAL_S("463-"), PEAL_S("464-"), PEAL_S("465-"),
    PEAL_S("466-"), PEAL_S("467-"), PEAL_S("468-"), PEAL_S("469-"), PEAL_S("4610-") };

static unsigned
add_header(struct peal_slice *parts, struct peal_slice head, enum peal_sio_form form,
    struct peal_slice nsp, struct peal_slice id)
{
    unsigned n = 0;

    parts[n++] = peal_slice_skip(head, form == PEAL_SIO_MESSAGE ? 0 : 1);
    if (nsp.len > 0 && !peal_slice_eq(nsp, PEAL_S("/"))) {
        parts[n++] = nsp;
        parts[n++] = PEAL_S(",");
    }
    if (id.len > 0)
        parts[n++] = id;
    return n;
}

unsigned
peal_sio_event_parts(struct peal_slice parts[PEAL_SIO_PARTS_MAX], enum peal_sio_form form,
    struct peal_slice nsp, struct peal_slice id, struct peal_slice event,
    struct peal_slice args, unsigned n_atts)
{
    unsigned n;

    PEAL_ASSERT(n_atts <= PEAL_SIO_ATTACHMENTS_MAX);
    n = add_header(parts, event_heads[n_atts], form, nsp, id);
    parts[n++] = PEAL_S("[");
    parts[n++] = event.len > 0 ? event : PEAL_S("\"message\"");
    if (args.len > 0) {
        parts[n++] = PEAL_S(",");
        parts[n++] = args;
    }
    parts[n++] = PEAL_S("]");
    return n;
}

static peal_err
join(struct peal_buf *out, const struct peal_slice *parts, unsigned n)
{
    size_t len = 0;
    peal_err err;

    for (unsigned i = 0; i < n; i++)
        len += parts[i].len;
    if ((err = peal_buf_reserve(out, len)) != PEAL_OK)
        return err;
    for (unsigned i = 0; i < n; i++)
        if ((err = peal_buf_add_slice(out, parts[i])) != PEAL_OK)
            return err; /* never: there is room */
    return PEAL_OK;
}

peal_err
peal_sio_event(struct peal_buf *out, enum peal_sio_form form, struct peal_slice nsp,
    struct peal_slice id, struct peal_slice event, struct peal_slice args,
    unsigned n_atts)
{
    struct peal_slice parts[PEAL_SIO_PARTS_MAX];

    return join(
        out, parts, peal_sio_event_parts(parts, form, nsp, id, event, args, n_atts));
}

peal_err
peal_sio_ack(struct peal_buf *out, enum peal_sio_form form, struct peal_slice nsp,
    struct peal_slice id, struct peal_slice args, unsigned n_atts)
{
    struct peal_slice parts[PEAL_SIO_PARTS_MAX];
    unsigned n;

    PEAL_ASSERT(n_atts <= PEAL_SIO_ATTACHMENTS_MAX);
    n = add_header(parts, ack_heads[n_atts], form, nsp, id);
    parts[n++] = PEAL_S("[");
    parts[n++] = args;
    parts[n++] = PEAL_S("]");
    return join(out, parts, n);
}

peal_err
peal_sio_connected(struct peal_buf *out, enum peal_sio_form form, struct peal_slice nsp,
    struct peal_slice sid, struct peal_slice pid)
{
    struct peal_slice parts[PEAL_SIO_PARTS_MAX], none = { NULL, 0 };
    unsigned n = add_header(parts, PEAL_S("40"), form, nsp, none);

    parts[n++] = PEAL_S("{\"sid\":\"");
    parts[n++] = sid;
    if (pid.len > 0) {
        parts[n++] = PEAL_S("\",\"pid\":\"");
        parts[n++] = pid;
    }
    parts[n++] = PEAL_S("\"}");
    return join(out, parts, n);
}

peal_err
peal_sio_refused(struct peal_buf *out, enum peal_sio_form form, struct peal_slice nsp,
    struct peal_slice message, struct peal_slice data)
{
    struct peal_slice parts[PEAL_SIO_PARTS_MAX], none = { NULL, 0 };
    unsigned n = add_header(parts, PEAL_S("44"), form, nsp, none), rest = 0;
    size_t before = out->len;
    peal_err err;

    parts[n++] = PEAL_S("{\"message\":");
    if ((err = join(out, parts, n)) != PEAL_OK ||
        (err = peal_json_quote(out, message)) != PEAL_OK)
        goto fail;
    if (data.len > 0) {
        parts[rest++] = PEAL_S(",\"data\":");
        parts[rest++] = data;
    }
    parts[rest++] = PEAL_S("}");
    if ((err = join(out, parts, rest)) == PEAL_OK)
        return PEAL_OK;

fail:
    out->len = before;
    return err;
}

peal_err
peal_sio_disconnect(struct peal_buf *out, enum peal_sio_form form, struct peal_slice nsp)
{
    struct peal_slice parts[PEAL_SIO_PARTS_MAX], none = { NULL, 0 };

    return join(out, parts, add_header(parts, PEAL_S("41"), form, nsp, none));
}

/* SPDX-License-Identifier: MIT */
/* Builds messages to publish, and recognises them when they arrive. */
#include "bench/message.h"

#include <string.h>

#include "bench/frame.h"

#define DIGITS 10

static void
put_digits(char *at, uint32_t seq)
{
    for (size_t i = DIGITS; i-- > 0; seq /= 10)
        at[i] = (char)('0' + seq % 10);
}

/* The bytes of a message: the counter, then filler that is no JSON. */
static peal_err
add_payload(struct peal_buf *b, const struct peal_bench_opts *o, uint32_t seq)
{
    size_t fill = o->size - DIGITS - 1;
    peal_err err = peal_buf_printf(b, "%010u ", (unsigned)seq);

    if (err != PEAL_OK || (err = peal_buf_reserve(b, fill)) != PEAL_OK)
        return err;
    memset(b->data + b->len, 'x', fill);
    b->len += fill;
    return PEAL_OK;
}

/* The parts of a template before and after the message; none: both are empty. */
static void
split_template(const char *text, struct peal_slice *before, struct peal_slice *after)
{
    const char *at = strchr(text, '@');

    *before = peal_slice_of(text, at == NULL ? 0 : (size_t)(at - text));
    *after = peal_slice_str(at == NULL ? "" : at + 1);
}

peal_err
peal_bench_message_init(struct peal_bench_message *m, const struct peal_bench_opts *opts)
{
    bool sio = opts->target.protocol == PEAL_BENCH_SOCKETIO;
    struct peal_slice before, after;
    peal_err err;

    *m = (struct peal_bench_message){ .opts = opts };
    split_template(sio ? "42[\"msg\",\"@\"]" : opts->delivered, &before, &after);
    err = peal_buf_add_slice(&m->expected, before);
    m->digits_at = m->expected.len;
    if (err == PEAL_OK)
        err = add_payload(&m->expected, opts, 0);
    if (err == PEAL_OK)
        err = peal_buf_add_slice(&m->expected, after);
    return err;
}

void
peal_bench_message_fini(struct peal_bench_message *m)
{
    peal_buf_fini(&m->expected);
    peal_buf_fini(&m->text);
}

static peal_err
add_post(const struct peal_bench_message *m, const struct peal_bench_target *target,
    uint32_t seq, struct peal_buf *wire)
{
    struct peal_slice before, after;
    peal_err err;

    split_template(m->opts->body, &before, &after);
    err = peal_buf_printf(wire,
        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n"
        "Content-Length: %zu\r\n\r\n",
        target->path, target->host, before.len > 0 ? "application/json" : "text/plain",
        before.len + m->opts->size + after.len);
    if (err == PEAL_OK)
        err = peal_buf_add_slice(wire, before);
    if (err == PEAL_OK)
        err = add_payload(wire, m->opts, seq);
    return err == PEAL_OK ? peal_buf_add_slice(wire, after) : err;
}

/* Makes m->text what a connection says to the target, the digits open. */
static peal_err
make_text(
    struct peal_bench_message *m, const struct peal_bench_target *target, unsigned number)
{
    bool sio = target->protocol == PEAL_BENCH_SOCKETIO;
    char room[PEAL_BENCH_TEXT_MAX];
    peal_err err = PEAL_OK;

    if (m->target == target && m->number == number)
        return PEAL_OK;
    m->target = NULL;
    m->text.len = 0;
    if (sio) {
        peal_bench_numbered(m->opts->room, number, room, sizeof(room));
        err = peal_buf_printf(&m->text, "42[\"to\",\"%s\",\"msg\",\"", room);
    }
    m->text_digits_at = m->text.len;
    if (err == PEAL_OK)
        err = add_payload(&m->text, m->opts, 0);
    if (err == PEAL_OK && sio)
        err = peal_buf_printf(&m->text, "\"]");
    if (err != PEAL_OK)
        return err;
    m->target = target;
    m->number = number;
    return PEAL_OK;
}

peal_err
peal_bench_message_publish(struct peal_bench_message *m,
    const struct peal_bench_target *target, unsigned number, uint32_t seq,
    struct peal_buf *wire)
{
    peal_err err;

    if (target->protocol == PEAL_BENCH_POST)
        return add_post(m, target, seq, wire);
    if ((err = make_text(m, target, number)) != PEAL_OK)
        return err;
    put_digits(m->text.data + m->text_digits_at, seq);
    return peal_bench_frame_add(wire, PEAL_BENCH_OP_TEXT, peal_buf_slice(&m->text));
}

bool
peal_bench_message_is_notice(const struct peal_bench_message *m, struct peal_slice data)
{
    return m->opts->delivered[0] != '\0' &&
           (data.len < m->digits_at ||
               memcmp(data.data, m->expected.data, m->digits_at) != 0);
}

bool
peal_bench_message_read(
    const struct peal_bench_message *m, struct peal_slice data, uint32_t *seq_out)
{
    const char *want = m->expected.data, *got = data.data;
    size_t after = m->digits_at + DIGITS;
    uint64_t v;

    if (data.len != m->expected.len || memcmp(got, want, m->digits_at) != 0 ||
        memcmp(got + after, want + after, data.len - after) != 0 ||
        peal_slice_u64(peal_slice_of(got + m->digits_at, DIGITS), UINT32_MAX, &v) !=
            PEAL_OK)
        return false;
    *seq_out = (uint32_t)v;
    return true;
}

/* SPDX-License-Identifier: MIT */
/* WebSocket frames: in one piece or in two (the first byte says where, and the settings),
 * the events are the same. */
#include "fuzz.h"

#include "wire/ws.h"

#define MESSAGE_MAX 4096

/* Adds the events of some bytes to log. */
static peal_err
decode(struct peal_wsframe_decoder *d, uint8_t *data, size_t len, struct peal_deflate *z,
    struct peal_buf *log)
{
    struct peal_wsframe_event ev;
    peal_err err;
    size_t used;

    while ((err = peal_wsframe_decode(d, data, len, z, &used, &ev)) == PEAL_OK) {
        if (used > len || ev.payload.len > MESSAGE_MAX)
            abort();
        if (peal_buf_printf(log, "%d %u ", (int)ev.type, ev.close_code) != PEAL_OK ||
            peal_buf_add_slice(log, ev.payload) != PEAL_OK ||
            peal_buf_add_char(log, '\n') != PEAL_OK)
            abort();
        data += used;
        len -= used;
    }
    if (err != PEAL_EAGAIN && d->fail_code < 1002)
        abort();
    return err;
}

static peal_err
run(const uint8_t *data, size_t size, size_t cut, unsigned flags, struct peal_deflate *z,
    struct peal_buf *log)
{
    static const struct peal_wsframe_limits limits = { .message_max = MESSAGE_MAX };
    struct peal_wsframe_decoder d;
    uint8_t *copy = malloc(size + 1);
    peal_err err;

    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    peal_wsframe_decoder_init(&d, flags, &limits);
    err = decode(&d, copy, cut, z, log);
    if (err == PEAL_EAGAIN)
        err = decode(&d, copy + cut, size - cut, z, log);
    peal_wsframe_decoder_fini(&d);
    free(copy);
    return err;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_buf one = { 0 }, two = { 0 };
    struct peal_deflate *z = NULL;
    unsigned flags;
    size_t cut;

    if (size < 2)
        return 0;
    flags = (data[0] & 1 ? PEAL_WS_CLIENT : PEAL_WS_SERVER) |
            (data[0] & 2 ? PEAL_WS_DEFLATE : 0);
    cut = (data[0] >> 2) % size;
    if (peal_deflate_new(1, 8, &z) != PEAL_OK)
        abort();
    if (run(data + 1, size - 1, size - 1, flags, z, &one) !=
            run(data + 1, size - 1, cut, flags, z, &two) ||
        !peal_slice_eq(peal_buf_slice(&one), peal_buf_slice(&two)))
        abort();
    peal_deflate_free(&z);
    peal_buf_fini(&one);
    peal_buf_fini(&two);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Server-Sent Events: an event is lines of fields and an empty line. A line break in the
 * data begins another data line; in any other field it is dropped.
 */
#include "wire/sse.h"

#include <inttypes.h>

/* A field on one line: what would end the line is dropped. */
static peal_err
add_field(struct peal_buf *out, struct peal_slice name, struct peal_slice value)
{
    peal_err err;

    if (value.len == 0)
        return PEAL_OK;
    if ((err = peal_buf_add_slice(out, name)) != PEAL_OK)
        return err;
    for (size_t i = 0; i < value.len && err == PEAL_OK; i++)
        if (value.data[i] != '\r' && value.data[i] != '\n' && value.data[i] != '\0')
            err = peal_buf_add_char(out, value.data[i]);
    return err == PEAL_OK ? peal_buf_add_char(out, '\n') : err;
}

/* Takes a line off *rest, which ends with CR, LF or both. */
static struct peal_slice
take_line(struct peal_slice *rest)
{
    struct peal_slice line = *rest;
    size_t n = 0;

    while (n < rest->len && rest->data[n] != '\r' && rest->data[n] != '\n')
        n++;
    line.len = n;
    if (n == rest->len) {
        rest->data = NULL;
        rest->len = 0;
        return line;
    }
    n += rest->data[n] == '\r' && n + 1 < rest->len && rest->data[n + 1] == '\n' ? 2 : 1;
    rest->data += n;
    rest->len -= n;
    return line;
}

peal_err
peal_sse_event(struct peal_buf *out, struct peal_slice event, struct peal_slice id,
    struct peal_slice data)
{
    size_t before = out->len;
    peal_err err = add_field(out, PEAL_S("event: "), event);

    if (data.data == NULL)
        data = PEAL_S("");
    if (err == PEAL_OK)
        err = add_field(out, PEAL_S("id: "), id);
    while (err == PEAL_OK && data.data != NULL) {
        struct peal_slice line = take_line(&data);

        if ((err = peal_buf_add_slice(out, PEAL_S("data: "))) == PEAL_OK &&
            (err = peal_buf_add_slice(out, line)) == PEAL_OK)
            err = peal_buf_add_char(out, '\n');
    }
    if (err == PEAL_OK)
        err = peal_buf_add_char(out, '\n');
    if (err != PEAL_OK)
        out->len = before;
    return err;
}

peal_err
peal_sse_retry(struct peal_buf *out, uint64_t retry_ms)
{
    return peal_buf_printf(out, "retry: %" PRIu64 "\n\n", retry_ms);
}

peal_err
peal_sse_chunk(struct peal_buf *out, struct peal_slice bytes)
{
    size_t before = out->len;
    peal_err err = peal_buf_printf(out, "%zx\r\n", bytes.len);

    if (err == PEAL_OK)
        err = peal_buf_add_slice(out, bytes);
    if (err == PEAL_OK)
        err = peal_buf_add_slice(out, PEAL_S("\r\n"));
    if (err != PEAL_OK)
        out->len = before;
    return err;
}

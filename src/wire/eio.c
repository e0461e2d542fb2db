/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO v4 on the wire: a packet is one digit and its data, the body of a poll is
 * packets with a separator between them.
 */
#include "wire/eio.h"

#include <inttypes.h>

#include "base/base64.h"
#include "base/id.h"
#include "base/json.h"

const struct peal_eiopkt_error peal_eiopkt_errors[PEAL_EIO_CODE_N] = {
    { PEAL_EIO_TRANSPORT_UNKNOWN, "Transport unknown", 400 },
    { PEAL_EIO_SESSION_UNKNOWN, "Session ID unknown", 400 },
    { PEAL_EIO_BAD_METHOD, "Bad handshake method", 400 },
    { PEAL_EIO_BAD_REQUEST, "Bad request", 400 },
    { PEAL_EIO_FORBIDDEN, "Forbidden", 403 },
    { PEAL_EIO_BAD_VERSION, "Unsupported protocol version", 400 },
};

bool
peal_eiopkt_payload_next(struct peal_slice *rest, struct peal_slice *packet_out)
{
    if (rest->data == NULL)
        return false;
    *packet_out = peal_slice_cut(rest, PEAL_EIO_SEPARATOR);
    return true;
}

peal_err
peal_eiopkt_parse(struct peal_slice packet, struct peal_eiopkt *out)
{
    char c;

    if (packet.len == 0)
        return PEAL_EPROTO;
    c = packet.data[0];
    if (c == 'b')
        out->type = PEAL_EIO_MESSAGE;
    else if (c >= '0' && c <= '6')
        out->type = (enum peal_eiopkt_type)(c - '0');
    else
        return PEAL_EPROTO;
    out->binary = c == 'b';
    out->data = peal_slice_of(packet.data + 1, packet.len - 1);
    return PEAL_OK;
}

/* Copies base64 to `at` without its line breaks; returns the rest. */
static struct peal_slice
remove_line_breaks(struct peal_slice base64, char *at)
{
    size_t n = 0;

    for (size_t i = 0; i < base64.len; i++)
        if (base64.data[i] != '\r' && base64.data[i] != '\n')
            at[n++] = base64.data[i];
    return peal_slice_of(at, n);
}

static bool
has_line_breaks(struct peal_slice s)
{
    return s.len > 0 &&
           (memchr(s.data, '\n', s.len) != NULL || memchr(s.data, '\r', s.len) != NULL);
}

peal_err
peal_eiopkt_binary(struct peal_slice base64, struct peal_blob **out)
{
    bool broken = has_line_breaks(base64);
    /* The decoder wants room for whole groups; what is too much is left at the end. Text
     * with line breaks is first copied without them to the blob, and decoded in place. */
    struct peal_blob *b = peal_blob_new(broken ? base64.len + 3 : base64.len / 4 * 3 + 3);
    size_t len;

    if (b == NULL)
        return PEAL_ENOMEM;
    if (broken)
        base64 = remove_line_breaks(base64, b->data);
    if (peal_base64_decode(base64, (unsigned char *)b->data, &len) != PEAL_OK) {
        peal_blob_release(b);
        return PEAL_EPROTO;
    }
    b->len = (uint32_t)len;
    *out = b;
    return PEAL_OK;
}

peal_err
peal_eiopkt_open(struct peal_buf *out, struct peal_slice sid, bool websocket_upgrade,
    uint64_t ping_interval_ms, uint64_t ping_timeout_ms, uint64_t max_payload_bytes)
{
    return peal_buf_printf(out,
        "0{\"sid\":\"%.*s\",\"upgrades\":[%s],\"pingInterval\":%" PRIu64
        ",\"pingTimeout\":%" PRIu64 ",\"maxPayload\":%" PRIu64 "}",
        PEAL_ARG(sid), websocket_upgrade ? "\"websocket\"" : "", ping_interval_ms,
        ping_timeout_ms, max_payload_bytes);
}

peal_err
peal_eiopkt_error_body(
    struct peal_buf *out, enum peal_eiopkt_code code, struct peal_slice message)
{
    size_t before = out->len;
    peal_err err;

    if (message.len == 0)
        message = peal_slice_str(peal_eiopkt_errors[code].message);
    if ((err = peal_buf_printf(out, "{\"code\":%d,\"message\":", (int)code)) == PEAL_OK &&
        (err = peal_json_quote(out, message)) == PEAL_OK &&
        (err = peal_buf_add_char(out, '}')) == PEAL_OK)
        return PEAL_OK;
    out->len = before;
    return err;
}

/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol. Version 1 is a line that is read token by token, each token held
 * against what it may contain while it is still growing; version 2 is a fixed head of
 * 16 bytes, addresses, and TLVs. Both refuse at the first byte that cannot be right, so
 * a client that speaks HTTP to such a listener is told at its first byte, not by a
 * timeout.
 */
#include "wire/proxy.h"

#include <stdint.h>

static const char v2_signature[12] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U',
    'I', 'T', '\n' };

/* Version 1: a line being read. */
struct line {
    const char *p, *end; /* end: of the bytes that may belong to the line */
    bool full;           /* no more bytes can come: the maximum is reached */
};

/* PEAL_OK once the line goes on with text; PEAL_EAGAIN while it may become so. */
static peal_err
expect_text(struct line *l, struct peal_slice text)
{
    size_t have = (size_t)(l->end - l->p), n = have < text.len ? have : text.len;

    if (memcmp(l->p, text.data, n) != 0)
        return PEAL_EPROTO;
    if (n < text.len)
        return l->full ? PEAL_EPROTO : PEAL_EAGAIN;
    l->p += n;
    return PEAL_OK;
}

/* A token of the characters in set, at most len_max, ended by stop, which is taken. */
static peal_err
take_token(
    struct line *l, const char *set, size_t len_max, char stop, struct peal_slice *out)
{
    const char *start = l->p;

    for (; l->p < l->end; l->p++) {
        size_t n = (size_t)(l->p - start);

        if (*l->p == stop && n > 0) {
            *out = (struct peal_slice){ start, n };
            l->p++;
            return PEAL_OK;
        }
        if (n == len_max || *l->p == 0 || strchr(set, *l->p) == NULL)
            return PEAL_EPROTO;
    }
    return l->full ? PEAL_EPROTO : PEAL_EAGAIN;
}

/* An address as the kind announced it; inet_pton knows what is one. */
static peal_err
take_ip(struct line *l, bool v6, struct peal_addr *out)
{
    struct peal_slice text;
    peal_err err;

    if ((err = take_token(l, v6 ? "0123456789abcdefABCDEF:." : "0123456789.",
             v6 ? 45 : 15, ' ', &text)) != PEAL_OK)
        return err;
    if (v6 != (memchr(text.data, ':', text.len) != NULL) ||
        peal_addr_parse_ip(text, out) != PEAL_OK)
        return PEAL_EPROTO;
    return PEAL_OK;
}

static peal_err
take_port(struct line *l, char stop, struct peal_addr *out)
{
    struct peal_slice text;
    uint64_t port;
    peal_err err;

    if ((err = take_token(l, "0123456789", 5, stop, &text)) != PEAL_OK)
        return err;
    if (peal_slice_u64(text, 65535, &port) != PEAL_OK ||
        (text.len > 1 && text.data[0] == '0'))
        return PEAL_EPROTO;
    out->port = (uint16_t)port;
    return PEAL_OK;
}

/* "UNKNOWN" and whatever follows up to the CRLF. */
static peal_err
skip_unknown(struct line *l)
{
    const char *cr;

    if (l->p < l->end && *l->p != ' ' && *l->p != '\r')
        return PEAL_EPROTO;
    cr = l->p < l->end ? memchr(l->p, '\r', (size_t)(l->end - l->p)) : NULL;
    if (cr == NULL)
        return l->full ? PEAL_EPROTO : PEAL_EAGAIN;
    l->p = cr + 1;
    return PEAL_OK;
}

static peal_err
take_addresses(struct line *l, bool v6, struct peal_proxy *out)
{
    peal_err err;

    if ((err = take_ip(l, v6, &out->src)) != PEAL_OK ||
        (err = take_ip(l, v6, &out->dst)) != PEAL_OK ||
        (err = take_port(l, ' ', &out->src)) != PEAL_OK)
        return err;
    return take_port(l, '\r', &out->dst);
}

static peal_err
parse_v1(struct peal_slice in, struct peal_proxy *out, size_t *used_out)
{
    struct line l = { .p = in.data,
        .end = in.data + (in.len < PEAL_PROXY_V1_MAX ? in.len : PEAL_PROXY_V1_MAX),
        .full = in.len >= PEAL_PROXY_V1_MAX };
    peal_err err;

    if ((err = expect_text(&l, PEAL_S("PROXY "))) != PEAL_OK)
        return err;
    if (l.p < l.end && *l.p == 'U') {
        out->local = true;
        if ((err = expect_text(&l, PEAL_S("UNKNOWN"))) == PEAL_OK)
            err = skip_unknown(&l);
    } else if ((err = expect_text(&l, PEAL_S("TCP"))) == PEAL_OK) {
        bool v6 = l.p < l.end && *l.p == '6';

        if ((err = expect_text(&l, v6 ? PEAL_S("6 ") : PEAL_S("4 "))) == PEAL_OK)
            err = take_addresses(&l, v6, out);
    }
    if (err != PEAL_OK || (err = expect_text(&l, PEAL_S("\n"))) != PEAL_OK)
        return err;
    *used_out = (size_t)(l.p - in.data);
    return PEAL_OK;
}

enum {
    V2_HEAD = 16,
    V2_LOCAL = 0x20, /* version 2, command 0 */
    V2_PROXY = 0x21,
    TLV_CRC32C = 0x03,
    TLV_SSL = 0x20,
    SSL_CLIENT = 0x01 /* first byte of TLV_SSL: the client came over TLS */
};

static size_t
be16(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* CRC32C (RFC 3720, polynomial 1EDC6F41 reflected), four bits a step: it runs once for a
 * connection, over a hundred bytes or so. */
static uint32_t
crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
    static const uint32_t table[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
        0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17,
        0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };

    while (n-- > 0) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

/* The checksum is taken with its own four bytes as zeros. */
static bool
crc_matches(const uint8_t *head, size_t len, size_t at)
{
    static const uint8_t zeros[4] = { 0 };
    uint32_t want = (uint32_t)be16(head + at) << 16 | (uint32_t)be16(head + at + 2);
    uint32_t crc = crc32c(0xffffffff, head, at);

    crc = crc32c(crc, zeros, 4);
    crc = crc32c(crc, head + at + 4, len - at - 4);
    return (crc ^ 0xffffffff) == want;
}

static peal_err
read_tlvs(const uint8_t *head, size_t len, size_t at, struct peal_proxy *out)
{
    while (at < len) {
        uint8_t type = head[at];
        size_t n;

        if (len - at < 3 || (n = be16(head + at + 1)) > len - at - 3)
            return PEAL_EPROTO;
        at += 3;
        if (type == TLV_CRC32C && (n != 4 || !crc_matches(head, len, at)))
            return PEAL_EPROTO;
        if (type == TLV_SSL && n < 5)
            return PEAL_EPROTO;
        if (type == TLV_SSL && (head[at] & SSL_CLIENT))
            out->tls = true;
        at += n;
    }
    return PEAL_OK;
}

/* Bytes that the addresses of a family byte take, or -1: not one of a stream. */
static int
address_len(uint8_t family)
{
    switch (family) {
    case 0x00: /* UNSPEC: there may be bytes, they mean nothing */
        return 0;
    case 0x11: /* TCP over IPv4 */
        return 12;
    case 0x21: /* TCP over IPv6 */
        return 36;
    case 0x31: /* a unix stream socket: two paths */
        return 216;
    default:
        return -1;
    }
}

static void
read_addresses(const uint8_t *p, uint8_t family, struct peal_proxy *out)
{
    size_t n = family == 0x11 ? 4 : 16;

    if (family == 0x31) {
        out->src.kind = out->dst.kind = PEAL_ADDR_UNIX;
        return;
    }
    peal_addr_from_ip(p, n, (uint16_t)be16(p + 2 * n), &out->src);
    peal_addr_from_ip(p + n, n, (uint16_t)be16(p + 2 * n + 2), &out->dst);
}

/* The fixed head, as far as it is here. len_out: bytes of the whole header. */
static peal_err
check_v2_head(const uint8_t *p, size_t have, size_t *len_out)
{
    size_t n = have < sizeof(v2_signature) ? have : sizeof(v2_signature);
    bool local;

    if (memcmp(p, v2_signature, n) != 0)
        return PEAL_EPROTO;
    if (have < 13)
        return PEAL_EAGAIN;
    if (p[12] != V2_LOCAL && p[12] != V2_PROXY)
        return PEAL_EPROTO;
    local = p[12] == V2_LOCAL; /* whose family is to be ignored */
    if (have >= 14 && !local && address_len(p[13]) < 0)
        return PEAL_EPROTO;
    if (have < V2_HEAD)
        return PEAL_EAGAIN;
    *len_out = V2_HEAD + be16(p + 14);
    if (!local && *len_out < V2_HEAD + (size_t)address_len(p[13]))
        return PEAL_EPROTO;
    return *len_out > PEAL_PROXY_V2_MAX ? PEAL_ELIMIT : PEAL_OK;
}

static peal_err
parse_v2(struct peal_slice in, struct peal_proxy *out, size_t *used_out)
{
    const uint8_t *p = (const uint8_t *)in.data;
    size_t len = 0;
    peal_err err;

    if ((err = check_v2_head(p, in.len, &len)) != PEAL_OK)
        return err;
    if (in.len < len)
        return PEAL_EAGAIN;
    out->local = p[12] == V2_LOCAL || p[13] == 0;
    if (!out->local) {
        read_addresses(p + V2_HEAD, p[13], out);
        err = read_tlvs(p, len, V2_HEAD + (size_t)address_len(p[13]), out);
    }
    if (err == PEAL_OK)
        *used_out = len;
    return err;
}

peal_err
peal_proxy_parse(struct peal_slice in, struct peal_proxy *out, size_t *used_out)
{
    peal_err err;

    *out = (struct peal_proxy){ 0 };
    if (in.len == 0)
        return PEAL_EAGAIN;
    err = in.data[0] == v2_signature[0] ? parse_v2(in, out, used_out)
                                        : parse_v1(in, out, used_out);
    if (err != PEAL_OK)
        *out = (struct peal_proxy){ 0 };
    return err;
}

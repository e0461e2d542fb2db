/* SPDX-License-Identifier: MIT */
/*
 * WebSocket handshake values: the accept key (RFC 6455 section 4.2.2) and the negotiation
 * of permessage-deflate (RFC 7692 section 7.1).
 *
 * Both directions always go without context takeover: a server may insist on it whatever
 * the offer says (section 7.1.1), and a connection then needs no zlib state.
 */
#include <openssl/sha.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "base/id.h"
#include "wire/ws.h"

/* The parameters of an offer, or of an answer. Bits: 0 absent, VALUELESS, or 8..15. */
struct params {
    bool server_no_context, client_no_context;
    uint8_t server_bits, client_bits;
};

#define VALUELESS 1
#define EXTENSION PEAL_S("permessage-deflate")

peal_err
peal_wshandshake_accept_key(struct peal_slice key, char out[PEAL_WS_ACCEPT_LEN])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char raw[PEAL_WS_KEY_LEN / 4 * 3 + 3], digest[SHA_DIGEST_LENGTH];
    char text[PEAL_WS_KEY_LEN + sizeof(guid) - 1];
    size_t n;

    if (key.len != PEAL_WS_KEY_LEN || peal_base64_decode(key, raw, &n) != PEAL_OK ||
        n != 16)
        return PEAL_EPROTO;
    memcpy(text, key.data, PEAL_WS_KEY_LEN);
    memcpy(text + PEAL_WS_KEY_LEN, guid, sizeof(guid) - 1);
    SHA1((const unsigned char *)text, sizeof(text), digest);
    peal_base64_encode(digest, sizeof(digest), out);
    return PEAL_OK;
}

static bool
is_token_char(char c)
{
    return peal_ascii_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static void
skip_blanks(struct peal_slice *s)
{
    while (s->len > 0 && (*s->data == ' ' || *s->data == '\t'))
        *s = peal_slice_skip(*s, 1);
}

/* Takes c and the blanks around it off *s; false: something else is next. */
static bool
take_char(struct peal_slice *s, char c)
{
    skip_blanks(s);
    if (s->len == 0 || *s->data != c)
        return false;
    *s = peal_slice_skip(*s, 1);
    skip_blanks(s);
    return true;
}

/* A list may have empty elements (RFC 9110 section 5.6.1.2). */
static void
skip_commas(struct peal_slice *s)
{
    skip_blanks(s);
    while (take_char(s, ','))
        continue;
}

static bool
take_token(struct peal_slice *s, struct peal_slice *out)
{
    size_t n = 0;

    while (n < s->len && is_token_char(s->data[n]))
        n++;
    *out = (struct peal_slice){ s->data, n };
    *s = peal_slice_skip(*s, n);
    return n > 0;
}

/*
 * A token, or a quoted string whose text is one (RFC 6455 section 9.1). A text with
 * escapes is left as it is: none of the values that we know has a reason for one.
 */
static bool
take_value(struct peal_slice *s, struct peal_slice *out)
{
    size_t n = 1;

    if (s->len == 0 || *s->data != '"')
        return take_token(s, out);
    while (n < s->len && s->data[n] != '"')
        n += s->data[n] == '\\' ? 2 : 1;
    if (n >= s->len)
        return false;
    *out = (struct peal_slice){ s->data + 1, n - 1 };
    *s = peal_slice_skip(*s, n + 1);
    return n > 1;
}

/* 8..15 without leading zeros. */
static bool
read_bits(struct peal_slice value, uint8_t *out)
{
    uint64_t n;

    if (value.len > 2 || peal_slice_u64(value, 15, &n) != PEAL_OK || n < 8 ||
        value.data[0] == '0')
        return false;
    *out = (uint8_t)n;
    return true;
}

static bool
set_flag(bool *flag, bool has_value)
{
    bool fresh = !*flag && !has_value;

    *flag = true;
    return fresh;
}

/* false: unknown, given twice, or with a value that it cannot have. */
static bool
set_param(struct params *p, struct peal_slice name, struct peal_slice value)
{
    bool has_value = value.data != NULL;

    if (peal_slice_eq(name, PEAL_S("server_no_context_takeover")))
        return set_flag(&p->server_no_context, has_value);
    if (peal_slice_eq(name, PEAL_S("client_no_context_takeover")))
        return set_flag(&p->client_no_context, has_value);
    if (peal_slice_eq(name, PEAL_S("server_max_window_bits")))
        return p->server_bits == 0 && has_value && read_bits(value, &p->server_bits);
    if (!peal_slice_eq(name, PEAL_S("client_max_window_bits")) || p->client_bits != 0)
        return false;
    p->client_bits = VALUELESS;
    return !has_value || read_bits(value, &p->client_bits);
}

/*
 * Reads one extension with its parameters off *s, and the commas behind it. ours_out: it
 * is permessage-deflate and every parameter is known and right.
 */
static peal_err
take_extension(struct peal_slice *s, struct params *p, bool *ours_out)
{
    struct peal_slice name, value;
    bool ours;

    *p = (struct params){ 0 };
    if (!take_token(s, &name))
        return PEAL_EPROTO;
    ours = peal_slice_eq(name, EXTENSION);
    while (take_char(s, ';')) {
        value = (struct peal_slice){ NULL, 0 };
        if (!take_token(s, &name) || (take_char(s, '=') && !take_value(s, &value)))
            return PEAL_EPROTO;
        ours = ours && set_param(p, name, value);
    }
    *ours_out = ours;
    skip_blanks(s);
    if (s->len > 0 && *s->data != ',')
        return PEAL_EPROTO;
    skip_commas(s);
    return PEAL_OK;
}

static peal_err
answer(const struct params *offer, const struct peal_wsdeflate_settings *settings,
    struct peal_wsdeflate *out, struct peal_buf *response)
{
    size_t before = response->len;
    unsigned bits = settings->server_bits;
    peal_err err;

    if (offer->server_bits != 0 && offer->server_bits < bits)
        bits = offer->server_bits;
    err = peal_buf_add_slice(
        response, PEAL_S("permessage-deflate; server_no_context_takeover; "
                         "client_no_context_takeover"));
    /* An offer with this parameter must be answered with it (section 7.1.2.1). */
    if (err == PEAL_OK && (offer->server_bits != 0 || bits < PEAL_DEFLATE_BITS_MAX))
        err = peal_buf_printf(response, "; server_max_window_bits=%u", bits);
    /* The client can be asked only if it offered to be (section 7.1.2.2). */
    if (err == PEAL_OK && offer->client_bits != 0 && settings->client_bits < 15)
        err = peal_buf_printf(response, "; client_max_window_bits=%u",
            offer->client_bits != VALUELESS && offer->client_bits < settings->client_bits
                ? (unsigned)offer->client_bits
                : (unsigned)settings->client_bits);
    if (err != PEAL_OK) {
        response->len = before;
        return err;
    }
    *out = (struct peal_wsdeflate){ .on = true, .deflate_bits = (uint8_t)bits };
    return PEAL_OK;
}

peal_err
peal_wsdeflate_negotiate(struct peal_slice offers,
    const struct peal_wsdeflate_settings *settings, struct peal_wsdeflate *out,
    struct peal_buf *response)
{
    struct params chosen = { 0 }, p;
    bool found = false, ours;
    peal_err err;

    *out = (struct peal_wsdeflate){ 0 };
    skip_commas(&offers);
    while (offers.len > 0) {
        if ((err = take_extension(&offers, &p, &ours)) != PEAL_OK)
            return err;
        /* zlib cannot deflate with a window of 256 bytes. */
        if (ours && !found && p.server_bits != 8) {
            found = true;
            chosen = p;
        }
    }
    return found ? answer(&chosen, settings, out, response) : PEAL_OK;
}

peal_err
peal_wsdeflate_accept(struct peal_slice response, struct peal_wsdeflate *out)
{
    struct params p;
    bool ours;
    unsigned bits = PEAL_DEFLATE_BITS_MAX;

    *out = (struct peal_wsdeflate){ 0 };
    skip_commas(&response);
    if (response.len == 0)
        return PEAL_OK;
    if (take_extension(&response, &p, &ours) != PEAL_OK || !ours || response.len > 0)
        return PEAL_EPROTO;
    /* Without this answer the server would take context over, against our offer. */
    if (!p.server_no_context || p.client_bits == VALUELESS || p.client_bits == 8)
        return PEAL_EPROTO;
    if (p.client_bits != 0)
        bits = p.client_bits;
    *out = (struct peal_wsdeflate){ .on = true, .deflate_bits = (uint8_t)bits };
    return PEAL_OK;
}

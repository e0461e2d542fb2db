/* SPDX-License-Identifier: MIT */
/* Base64: two alphabets that differ in the last two characters. */
#include "base/base64.h"

#include "base/ascii.h"
#include "base/assert.h"

static const char std64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
encode(const unsigned char *p, size_t n, const char *alphabet, char *out)
{
    for (; n >= 3; p += 3, n -= 3) {
        *out++ = alphabet[p[0] >> 2];
        *out++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
        *out++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
        *out++ = alphabet[p[2] & 63];
    }
    if (n == 0)
        return;
    *out++ = alphabet[p[0] >> 2];
    *out++ = alphabet[(p[0] & 3) << 4 | (n == 2 ? p[1] >> 4 : 0)];
    *out++ = n == 2 ? alphabet[(p[1] & 15) << 2] : '=';
    *out++ = '=';
}

/* The six bits of a character; -1: it is not in the alphabet. */
static inline int
value_of(char c, const char *alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (peal_ascii_is_digit(c))
        return c - '0' + 52;
    return c == alphabet[62] ? 62 : c == alphabet[63] ? 63 : -1;
}

static peal_err
decode(struct peal_slice s, const char *alphabet, unsigned char *out, size_t *len_out)
{
    uint32_t acc = 0;
    size_t n = 0, bits = 0;

    for (size_t i = 0; i < s.len; i++) {
        int v = value_of(s.data[i], alphabet);

        if (v < 0)
            return PEAL_EPROTO;
        acc = acc << 6 | (uint32_t)v;
        if ((bits += 6) >= 8) {
            bits -= 8;
            out[n++] = (unsigned char)(acc >> bits);
        }
    }
    *len_out = n;
    return PEAL_OK;
}

void
peal_base64_encode(const void *data, size_t n, char *out)
{
    encode(data, n, std64, out);
}

peal_err
peal_base64_decode(struct peal_slice s, unsigned char *out, size_t *len_out)
{
    if (s.len > 0 && s.len % 4 == 0 && s.data[s.len - 1] == '=')
        s.len -= s.data[s.len - 2] == '=' ? 2 : 1;
    if (s.len % 4 == 1)
        return PEAL_EPROTO;
    return decode(s, std64, out, len_out);
}

void
peal_base64url_encode(const void *data, size_t n, char *out)
{
    PEAL_ASSERT(n % 3 == 0);
    encode(data, n, url64, out);
}

bool
peal_base64url_decode(struct peal_slice s, unsigned char *out)
{
    size_t n;

    return s.len % 4 == 0 && decode(s, url64, out, &n) == PEAL_OK;
}

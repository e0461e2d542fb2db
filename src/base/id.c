/* SPDX-License-Identifier: MIT */
/* Identity: randomness comes in blocks a thread, since one session needs only 12 bytes.
 */
#include "base/id.h"

#include <openssl/rand.h>
#include <stdlib.h>

#define RAW 15 /* bytes of an id before base64 */
#define TAG 4  /* bytes of it that are the tag */

static const char url64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char std64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
random_bytes(void *out, size_t n)
{
    /* A block a thread; bytes are wiped as they are handed out. */
    static _Thread_local unsigned char pool[512];
    static _Thread_local size_t left;

    if (left < n) {
        if (RAND_bytes(pool, sizeof(pool)) != 1)
            abort(); /* no entropy: going on would make ids that can be guessed */
        left = sizeof(pool);
    }
    left -= n;
    memcpy(out, pool + left, n);
    memset(pool + left, 0, n);
}

uint64_t
peal_random_u64(void)
{
    uint64_t n;

    random_bytes(&n, sizeof(n));
    return n;
}

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

static void
put_tag(const struct peal_id_key *key, unsigned char raw[RAW])
{
    uint32_t tag = (uint32_t)peal_siphash(key->bytes, raw, RAW - TAG);

    memcpy(raw + RAW - TAG, &tag, TAG);
}

void
peal_id_key_new(struct peal_id_key *out)
{
    random_bytes(out->bytes, sizeof(out->bytes));
}

void
peal_id_new(
    const struct peal_id_key *key, uint32_t node, uint8_t worker, char out[PEAL_ID_LEN])
{
    unsigned char raw[RAW] = { (unsigned char)(node >> 24), (unsigned char)(node >> 16),
        (unsigned char)(node >> 8), (unsigned char)node, worker };

    random_bytes(raw + 5, RAW - TAG - 5);
    put_tag(key, raw);
    encode(raw, sizeof(raw), url64, out);
}

static int
value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static bool
decode(struct peal_slice id, unsigned char raw[RAW])
{
    uint32_t acc = 0;

    if (id.len != PEAL_ID_LEN)
        return false;
    for (size_t i = 0, n = 0; i < id.len; i++) {
        int v = value_of(id.data[i]);

        if (v < 0)
            return false;
        acc = acc << 6 | (uint32_t)v;
        if (i % 4 == 3) {
            raw[n++] = (unsigned char)(acc >> 16);
            raw[n++] = (unsigned char)(acc >> 8);
            raw[n++] = (unsigned char)acc;
        }
    }
    return true;
}

static uint32_t
node_of(const unsigned char raw[RAW])
{
    return (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 | (uint32_t)raw[2] << 8 |
           raw[3];
}

bool
peal_id_claims(struct peal_slice id, uint32_t *node_out, uint8_t *worker_out)
{
    unsigned char raw[RAW];

    if (!decode(id, raw))
        return false;
    *node_out = node_of(raw);
    *worker_out = raw[4];
    return true;
}

bool
peal_id_owner(const struct peal_id_key *key, struct peal_slice id, uint32_t *node_out,
    uint8_t *worker_out)
{
    unsigned char raw[RAW], want[RAW];

    if (!decode(id, raw))
        return false;
    memcpy(want, raw, RAW);
    put_tag(key, want);
    if (memcmp(raw, want, RAW) != 0)
        return false;
    *node_out = node_of(raw);
    *worker_out = raw[4];
    return true;
}

void
peal_base64_encode(const void *data, size_t n, char *out)
{
    encode(data, n, std64, out);
}

peal_err
peal_base64_decode(struct peal_slice s, unsigned char *out, size_t *len_out)
{
    uint32_t acc = 0;
    size_t n = 0, bits = 0;

    if (s.len > 0 && s.len % 4 == 0 && s.data[s.len - 1] == '=')
        s.len -= s.data[s.len - 2] == '=' ? 2 : 1;
    if (s.len % 4 == 1)
        return PEAL_EPROTO;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        int v = c == '+' ? 62 : c == '/' ? 63 : c == '-' || c == '_' ? -1 : value_of(c);

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

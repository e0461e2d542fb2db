/* SPDX-License-Identifier: MIT */
/*
 * Session tickets: what a client brings back to resume a TLS session, at a fraction of a
 * full handshake's CPU, at whichever node and worker it comes to.
 *
 * The keys of a ticket are derived from a secret and from the period (12 hours) in which
 * the ticket is made, with HKDF (RFC 5869). So nodes that have the same secret have the
 * same keys at the same time without a word between them. A ticket names its period and,
 * by eight derived bytes, its secret; tickets of the period before and, for clocks that
 * are ahead, of the next one are taken as well. A ticket that is not of this period is
 * replaced. OpenSSL limits the age of a session to the same 12 hours.
 *
 * Extracted secrets live where OpenSSL keeps ticket keys of its own, in the context: they
 * end with it, whichever reference is released last.
 */
#include "io/tickets_priv.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>
#include <time.h>

#define PERIOD_S (12 * 3600)
#define HASH_LEN 32 /* of SHA-256 */
#define NAME_LEN 16 /* of a key, as OpenSSL has it */
#define IV_LEN 16

static const char salt[] = "peal session tickets";

/* The 80 bytes of SSL_CTX_set_tlsext_ticket_keys, as they are used here. */
struct secrets {
    uint8_t n;
    uint8_t unused[15];
    uint8_t extracted[PEAL_TLS_SECRETS_MAX][HASH_LEN];
};

/* Derived from a secret for one period; in the order in which HKDF makes them. */
struct keys {
    uint8_t cipher[32], mac[32];
    uint8_t id[8];
    uint8_t unused[24];
};

_Static_assert(sizeof(struct secrets) == 80, "what OpenSSL keeps");
_Static_assert(sizeof(struct keys) % HASH_LEN == 0, "whole blocks of HKDF");

static bool
hmac(const void *key, size_t key_len, const uint8_t *data, size_t len, uint8_t *out)
{
    unsigned n = HASH_LEN;

    return HMAC(EVP_sha256(), key, (int)key_len, data, len, out, &n) != NULL;
}

/* HKDF-Expand of RFC 5869, with the period as its info. */
static bool
derive(const uint8_t *extracted, uint64_t period, struct keys *out)
{
    uint8_t block[HASH_LEN + sizeof(period) + 1], *at = (uint8_t *)out;
    size_t before = 0;

    for (uint8_t i = 1; i <= sizeof(*out) / HASH_LEN; i++, at += HASH_LEN) {
        memcpy(block, at - before, before);
        for (unsigned k = 0; k < sizeof(period); k++)
            block[before + k] = (uint8_t)(period >> (56 - 8 * k));
        block[before + sizeof(period)] = i;
        if (!hmac(extracted, HASH_LEN, block, before + sizeof(period) + 1, at))
            return false;
        before = HASH_LEN;
    }
    return true;
}

static void
write_name(uint64_t period, const struct keys *keys, unsigned char *name)
{
    for (unsigned k = 0; k < sizeof(period); k++)
        name[k] = (uint8_t)(period >> (56 - 8 * k));
    memcpy(name + sizeof(period), keys->id, sizeof(keys->id));
}

static uint64_t
read_period(const unsigned char *name)
{
    uint64_t period = 0;

    for (unsigned k = 0; k < sizeof(period); k++)
        period = period << 8 | name[k];
    return period;
}

static bool
set_keys(const struct keys *keys, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    const unsigned char *iv, bool encrypt)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
                                (void *)(uintptr_t)keys->mac, sizeof(keys->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end() };

    return EVP_CipherInit_ex(
               cipher, EVP_aes_256_cbc(), NULL, keys->cipher, iv, encrypt) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* The keys that a ticket names. false: of no secret that is known, or too old. */
static bool
find_keys(const struct secrets *s, uint64_t now, const unsigned char *name,
    struct keys *out, unsigned *which)
{
    uint64_t period = read_period(name);

    if (period + 1 < now || period > now + 1)
        return false;
    for (*which = 0; *which < s->n; ++*which)
        if (derive(s->extracted[*which], period, out) &&
            memcmp(out->id, name + sizeof(period), sizeof(out->id)) == 0)
            return true;
    return false;
}

/* As on_ticket. With TLS 1.3 a client uses a ticket once, so it always gets another. */
static int
use_ticket(SSL *ssl, const struct secrets *s, uint64_t now, const unsigned char *name,
    const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, struct keys *keys)
{
    unsigned which;

    if (!find_keys(s, now, name, keys, &which))
        return 0;
    if (!set_keys(keys, cipher, mac, iv, false))
        return -1;
    return SSL_version(ssl) >= TLS1_3_VERSION || which > 0 || read_period(name) != now
               ? 2
               : 1;
}

/* Returns what OpenSSL wants: 1: done; 2: done, and a new ticket is due; 0: this ticket
 * is of no use, so the handshake is a full one; -1: an error. */
static int
tickets_on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    uint64_t now = (uint64_t)time(NULL) / PERIOD_S;
    struct secrets s;
    struct keys keys;
    int result = -1;

    if (SSL_CTX_get_tlsext_ticket_keys(SSL_get_SSL_CTX(ssl), &s, sizeof(s)) != 1)
        return -1;
    if (!encrypt)
        result = use_ticket(ssl, &s, now, name, iv, cipher, mac, &keys);
    else if (derive(s.extracted[0], now, &keys) && RAND_bytes(iv, IV_LEN) == 1 &&
             set_keys(&keys, cipher, mac, iv, true)) {
        write_name(now, &keys, name);
        result = 1;
    }
    OPENSSL_cleanse(&s, sizeof(s));
    OPENSSL_cleanse(&keys, sizeof(keys));
    return result;
}

peal_err
peal_tickets_share(SSL_CTX *ctx, const struct peal_slice *secrets, unsigned n)
{
    struct secrets s = { .n = (uint8_t)n };
    bool ok = n > 0 && n <= PEAL_TLS_SECRETS_MAX;

    for (unsigned i = 0; ok && i < n; i++) /* HKDF-Extract */
        ok = hmac(salt, sizeof(salt) - 1, (const uint8_t *)secrets[i].data,
            secrets[i].len, s.extracted[i]);
    ok = ok && SSL_CTX_set_tlsext_ticket_keys(ctx, &s, sizeof(s)) == 1 &&
         SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tickets_on_ticket) == 1;
    OPENSSL_cleanse(&s, sizeof(s));
    SSL_CTX_set_timeout(ctx, PERIOD_S);
    return ok ? PEAL_OK : PEAL_EIO;
}

/* SPDX-License-Identifier: MIT */
/* Seals: keys are SHA-256 of a secret with a word for what they are used for; the rest is
 * SipHash. */
#include "hub/seal.h"

#include <openssl/evp.h>
#include <string.h>

#define VERSION 1
#define TAG_AT 2 /* where the tag begins */

/* The first bytes of SHA-256(purpose, secret). */
static peal_err
derive(const char *purpose, struct peal_slice secret, uint8_t out[PEAL_SIPHASH_KEY_LEN])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, purpose, strlen(purpose) + 1) == 1 &&
              EVP_DigestUpdate(ctx, secret.data, secret.len) == 1 &&
              EVP_DigestFinal_ex(ctx, digest, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    if (!ok)
        return PEAL_ENOMEM;
    memcpy(out, digest, PEAL_SIPHASH_KEY_LEN);
    return PEAL_OK;
}

peal_err
peal_seal_init(struct peal_seal *s, const struct peal_slice *secrets, unsigned n)
{
    peal_err err = PEAL_OK;

    *s = (struct peal_seal){ .n = n < PEAL_SEAL_KEYS_MAX ? n : PEAL_SEAL_KEYS_MAX };
    for (unsigned i = 0; i < s->n && err == PEAL_OK; i++)
        if ((err = derive("peal tag", secrets[i], s->keys[i].tag)) == PEAL_OK)
            err = derive("peal text", secrets[i], s->keys[i].text);
    return err;
}

static void
tag_of(const struct peal_seal_key *key, struct peal_slice topic,
    struct peal_slice payload, uint8_t out[8])
{
    uint64_t of_topic[2], tag;
    uint8_t topic_key[PEAL_SIPHASH_KEY_LEN];

    of_topic[0] = peal_siphash(key->tag, topic.data, topic.len);
    /* The other half of the key is made of the first one. */
    of_topic[1] = peal_siphash(key->tag, &of_topic[0], sizeof(of_topic[0]));
    memcpy(topic_key, of_topic, sizeof(topic_key));
    tag = peal_siphash(topic_key, payload.data, payload.len);
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(tag >> (56 - 8 * i));
}

void
peal_seal_head(const struct peal_seal *s, struct peal_slice topic,
    struct peal_slice payload, char out[PEAL_SEAL_HEAD])
{
    out[0] = 'S';
    out[1] = VERSION;
    tag_of(&s->keys[0], topic, payload, (uint8_t *)out + TAG_AT);
}

peal_err
peal_seal_open(const struct peal_seal *s, struct peal_slice topic,
    struct peal_slice bytes, struct peal_slice *payload_out,
    const struct peal_seal_key **key_out)
{
    bool sealed =
        bytes.len >= PEAL_SEAL_HEAD && bytes.data[0] == 'S' && bytes.data[1] == VERSION;
    uint8_t tag[8];

    *key_out = NULL;
    *payload_out = bytes;
    if (s->n == 0)
        return sealed ? PEAL_EPERM : PEAL_OK;
    *payload_out = peal_slice_skip(bytes, PEAL_SEAL_HEAD);
    for (unsigned i = 0; sealed && i < s->n; i++) {
        tag_of(&s->keys[i], topic, *payload_out, tag);
        if (peal_slice_eq_consttime(peal_slice_of(tag, sizeof(tag)),
                peal_slice_of(bytes.data + TAG_AT, sizeof(tag)))) {
            *key_out = &s->keys[i];
            return PEAL_OK;
        }
    }
    return PEAL_EPERM;
}

void
peal_seal_crypt(
    const struct peal_seal_key *key, const uint8_t nonce[16], void *bytes, size_t len)
{
    uint8_t *p = bytes, block[20];

    memcpy(block, nonce, 16);
    for (size_t i = 0; i < len; i += 8) {
        uint32_t at = (uint32_t)i;
        uint64_t pad;

        memcpy(block + 16, &at, sizeof(at));
        pad = peal_siphash(key->text, block, sizeof(block));
        for (size_t k = i; k < len && k < i + 8; k++, pad >>= 8)
            p[k] ^= (uint8_t)pad;
    }
}

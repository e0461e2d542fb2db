/* SPDX-License-Identifier: MIT */
/*
 * Identity: a session needs only a few random bytes, so each thread takes them from the
 * generator in blocks.
 */
#include "base/id.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "base/base64.h"

#define RAW 15 /* bytes of an id before base64 */
#define TAG 4  /* bytes of it that are the tag */

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
    peal_base64url_encode(raw, sizeof(raw), out);
}

static bool
decode(struct peal_slice id, unsigned char raw[RAW])
{
    return id.len == PEAL_ID_LEN && peal_base64url_decode(id, raw);
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

/* SPDX-License-Identifier: MIT */
/*
 * Seals: what nodes publish for each other can carry a tag that only somebody who knows
 * `backplane.secret` can make. Without it everybody who may publish on the Redis could
 * speak as a node, and everybody who may read there would see how to reach its sessions.
 *
 *   sealed payload   'S', version (1), 8 bytes tag, the payload itself
 *
 * The tag is SipHash-2-4 of the payload, with a key that SipHash makes of the secret's
 * key and the topic: so no payload can be moved to another topic. A payload can be
 * published again by somebody who has read it; reports have a time in them against that,
 * messages do not.
 *
 * Reports have a private part, which is encrypted as well: with SipHash in counter mode,
 * under a key of its own and a nonce that no two reports share.
 *
 * Several secrets may be given, so that they can be changed while nodes run: the first
 * one seals, each of them opens.
 *
 * Inside hub/ only. Thread: any; a struct peal_seal does not change once it is made.
 */
#ifndef PEAL_HUB_SEAL_H
#define PEAL_HUB_SEAL_H

#include "base/siphash.h"
#include "base/slice.h"

#define PEAL_SEAL_KEYS_MAX 4
#define PEAL_SEAL_HEAD 10 /* bytes of a sealed payload before the payload itself */

struct peal_seal_key {
    uint8_t tag[PEAL_SIPHASH_KEY_LEN], text[PEAL_SIPHASH_KEY_LEN];
};

/* Zeroed: payloads are neither sealed nor opened. */
struct peal_seal {
    unsigned n; /* keys */
    struct peal_seal_key keys[PEAL_SEAL_KEYS_MAX];
};

/* peal_seal_init makes the keys of n secrets, 0 to PEAL_SEAL_KEYS_MAX. Errors:
 * PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_seal_init(
    struct peal_seal *s, const struct peal_slice *secrets, unsigned n);

/* peal_seal_head writes what goes before a payload. s has a key. */
void peal_seal_head(const struct peal_seal *s, struct peal_slice topic,
    struct peal_slice payload, char out[PEAL_SEAL_HEAD]);

/*
 * peal_seal_open checks what came on a topic.
 *   payload_out  the payload itself
 *   key_out      the key that it was sealed with; NULL: s has none
 * Errors: PEAL_EPERM: it is not sealed with any of the keys, or is sealed and s has none.
 */
PEAL_MUST_USE peal_err peal_seal_open(const struct peal_seal *s, struct peal_slice topic,
    struct peal_slice bytes, struct peal_slice *payload_out,
    const struct peal_seal_key **key_out);

/* peal_seal_crypt encrypts or decrypts len bytes in place. The same nonce, 16 bytes, must
 * not serve for two texts. */
void peal_seal_crypt(
    const struct peal_seal_key *key, const uint8_t nonce[16], void *bytes, size_t len);

#endif

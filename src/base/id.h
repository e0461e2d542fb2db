/* SPDX-License-Identifier: MIT */
/*
 * Identity: random numbers, and session ids.
 *
 * A session id is 20 characters of [A-Za-z0-9_-], base64url of 15 bytes: 4 for the node,
 * 1 for the worker, 6 random, and 4 of a keyed check over the others. So whoever knows
 * the node's key can tell who owns a session without asking; nobody can guess an id, for
 * the check needs the key too (80 bits); and no name that a client makes up, or a room
 * with 20 characters, is ever taken for an id by accident.
 */
#ifndef PEAL_BASE_ID_H
#define PEAL_BASE_ID_H

#include "base/slice.h"

#define PEAL_ID_LEN 20

/* A random number from OpenSSL's generator. Any thread. */
uint64_t peal_random_u64(void);

/* peal_id_new writes PEAL_ID_LEN characters, no zero, to out. Any thread. */
void peal_id_new(uint64_t key, uint32_t node, uint8_t worker, char out[PEAL_ID_LEN]);

/* peal_id_claims reads which node and worker made an id, or say they did: only
 * peal_id_owner knows. false: not even the form of an id. */
bool peal_id_claims(struct peal_slice id, uint32_t *node_out, uint8_t *worker_out);

/* peal_id_owner is the same, with proof. false: it was not made with this key. */
bool peal_id_owner(
    uint64_t key, struct peal_slice id, uint32_t *node_out, uint8_t *worker_out);

/* Base64 as RFC 4648 section 4, with padding. out holds peal_base64_len(n) bytes. */
static inline size_t
peal_base64_len(size_t n)
{
    return (n + 2) / 3 * 4;
}
void peal_base64_encode(const void *data, size_t n, char *out);

/* peal_base64_decode takes padded or unpadded text; out holds s.len / 4 * 3 + 3 bytes.
 * Errors: PEAL_EPROTO: other characters, or a length that no encoder makes. */
PEAL_MUST_USE peal_err peal_base64_decode(
    struct peal_slice s, unsigned char *out, size_t *len_out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Identity: random numbers, and session ids.
 *
 * A session id is 20 characters of [A-Za-z0-9_-], base64url of 15 bytes: 4 for the node,
 * 1 for the worker, 48 random bits and a 32-bit SipHash tag over the others, with the
 * node's key of 128 bits. A node that knows this key can tell which node and worker own
 * a session without asking them. Without the key somebody who makes up an id passes the
 * tag once in 2^32 tries, however many ids they have seen, and must then also meet the
 * random bits of a session that is alive. A room's name of 20 characters passes for an id
 * by accident just as rarely.
 */
#ifndef PEAL_BASE_ID_H
#define PEAL_BASE_ID_H

#include "base/siphash.h"
#include "base/slice.h"

#define PEAL_ID_LEN 20

/* A random number from OpenSSL's generator. Any thread. */
uint64_t peal_random_u64(void);

/* The key of a node's tags. Other nodes must know it to recognise its ids. */
struct peal_id_key {
    uint8_t bytes[PEAL_SIPHASH_KEY_LEN];
};

/* peal_id_key_new draws a key. Any thread. */
void peal_id_key_new(struct peal_id_key *out);

/* peal_id_new writes PEAL_ID_LEN characters, no zero, to out. Two ids can be equal by
 * chance, so a table of them must expect it. Any thread. */
void peal_id_new(
    const struct peal_id_key *key, uint32_t node, uint8_t worker, char out[PEAL_ID_LEN]);

/* peal_id_claims reads which node and worker made an id, or say they did: only
 * peal_id_owner knows. false: not even the form of an id. */
bool peal_id_claims(struct peal_slice id, uint32_t *node_out, uint8_t *worker_out);

/* peal_id_owner is the same, with proof. false: it was not made with this key. */
bool peal_id_owner(const struct peal_id_key *key, struct peal_slice id,
    uint32_t *node_out, uint8_t *worker_out);

#endif

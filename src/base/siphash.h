/* SPDX-License-Identifier: MIT */
/*
 * SipHash-2-4 (Aumasson, Bernstein): a keyed hash of 64 bits. Without the key its values
 * cannot be told from random ones, however many of them somebody has seen; that makes it
 * fit for short tags on what a client brings back. Tables of one process hash their keys
 * with the faster peal_hash (base/map.h), which promises nothing of the kind.
 *
 * Pure. Any thread.
 */
#ifndef PEAL_BASE_SIPHASH_H
#define PEAL_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define PEAL_SIPHASH_KEY_LEN 16 /* bytes */

/* peal_siphash returns the tag of len bytes of data. */
uint64_t peal_siphash(
    const uint8_t key[PEAL_SIPHASH_KEY_LEN], const void *data, size_t len);

#endif

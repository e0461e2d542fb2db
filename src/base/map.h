/* SPDX-License-Identifier: MIT */
/*
 * Maps: from a string of bytes to a pointer. Open addressing with linear probing; the
 * hash is keyed at random for each map, so nobody outside can aim for collisions.
 *
 * The map keeps no copy of a key: it borrows the bytes, which live in the value, for as
 * long as the entry is there. One thread at a time.
 */
#ifndef PEAL_BASE_MAP_H
#define PEAL_BASE_MAP_H

#include "base/slice.h"

struct peal_map_entry {
    void *value;      /* NULL: free */
    const char *key;  /* kept */
    uint32_t key_len; /* bytes */
    uint32_t hash;
};

struct peal_map {
    struct peal_map_entry *entries;
    size_t n;    /* entries in use */
    size_t size; /* slots, a power of two, or 0 */
    uint64_t seed;
};

/* peal_hash is the seeded hash that maps use; for other tables keyed by names. */
uint32_t peal_hash(uint64_t seed, struct peal_slice s);

/* peal_map_init makes an empty map; allocates nothing. */
void peal_map_init(struct peal_map *m);

/* peal_map_fini releases the table, not the values. */
void peal_map_fini(struct peal_map *m);

/* peal_map_get returns the value, or NULL. */
void *peal_map_get(const struct peal_map *m, struct peal_slice key);

/*
 * peal_map_put adds key -> value (not NULL); key is kept. Errors: PEAL_EEXIST: the key is
 * there already, with its value; PEAL_ENOMEM. After an error the map holds what it held.
 */
PEAL_MUST_USE peal_err peal_map_put(
    struct peal_map *m, struct peal_slice key, void *value);

/* peal_map_del removes key and returns its value, or NULL if it was not there. */
void *peal_map_del(struct peal_map *m, struct peal_slice key);

/*
 * peal_map_next walks the values in no order: start with *pos = 0; NULL at the end. The
 * map must not change during the walk.
 */
void *peal_map_next(const struct peal_map *m, size_t *pos);

#endif

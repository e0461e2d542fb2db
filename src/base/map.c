/* SPDX-License-Identifier: MIT */
/*
 * Maps: linear probing, grown at three quarters full, shrunk at one eighth, and deletion
 * by shifting back, so that there are no tombstones to clean up after.
 */
#include "base/map.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/id.h"

#define MIN_SIZE 8

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
    __uint128_t r = (__uint128_t)a * b;

    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

uint32_t
peal_hash(uint64_t seed, struct peal_slice s)
{
    const char *p = s.data;
    size_t n = s.len;
    uint64_t h = seed ^ (s.len * 0x9e3779b97f4a7c15ull), w;

    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&w, p, 8);
        h = mix(h ^ w, 0xd6e8feb86659fd93ull ^ seed);
    }
    w = 0;
    if (n > 0)
        memcpy(&w, p, n);
    h = mix(h ^ w, 0xa0761d6478bd642full ^ seed);
    h = mix(h, 0xe7037ed1a0b428dbull);
    return (uint32_t)(h ^ (h >> 32));
}

void
peal_map_init(struct peal_map *m)
{
    *m = (struct peal_map){ .seed = peal_random_u64() | 1 };
}

void
peal_map_fini(struct peal_map *m)
{
    free(m->entries);
    m->entries = NULL;
    m->n = m->size = 0;
}

/* The slot of key, or the free slot where it would go. size must not be 0. */
static size_t
find(const struct peal_map *m, struct peal_slice key, uint32_t hash)
{
    size_t i = hash & (m->size - 1);

    for (;;) {
        const struct peal_map_entry *e = &m->entries[i];

        if (e->value == NULL)
            return i;
        if (e->hash == hash && e->key_len == key.len &&
            (key.len == 0 || memcmp(e->key, key.data, key.len) == 0))
            return i;
        i = (i + 1) & (m->size - 1);
    }
}

static peal_err
resize(struct peal_map *m, size_t size)
{
    struct peal_map_entry *old = m->entries;
    size_t n = m->size;

    if ((m->entries = calloc(size, sizeof(*m->entries))) == NULL) {
        m->entries = old;
        return PEAL_ENOMEM;
    }
    m->size = size;
    for (size_t i = 0; i < n; i++) {
        size_t at;

        if (old[i].value == NULL)
            continue;
        for (at = old[i].hash & (size - 1); m->entries[at].value != NULL;)
            at = (at + 1) & (size - 1);
        m->entries[at] = old[i];
    }
    free(old);
    return PEAL_OK;
}

void *
peal_map_get(const struct peal_map *m, struct peal_slice key)
{
    if (m->n == 0)
        return NULL;
    return m->entries[find(m, key, peal_hash(m->seed, key))].value;
}

peal_err
peal_map_put(struct peal_map *m, struct peal_slice key, void *value)
{
    uint32_t hash = peal_hash(m->seed, key);
    peal_err err;
    size_t i;

    PEAL_ASSERT(value != NULL && key.len <= UINT32_MAX);
    if ((m->n + 1) * 4 > m->size * 3) {
        err = resize(m, m->size ? m->size * 2 : MIN_SIZE);
        if (err != PEAL_OK)
            return err;
    }
    i = find(m, key, hash);
    if (m->entries[i].value != NULL)
        return PEAL_EEXIST;
    m->entries[i] = (struct peal_map_entry){ value, key.data, (uint32_t)key.len, hash };
    m->n++;
    return PEAL_OK;
}

void *
peal_map_del(struct peal_map *m, struct peal_slice key)
{
    size_t mask = m->size - 1, hole, i;
    void *value;

    if (m->n == 0)
        return NULL;
    hole = find(m, key, peal_hash(m->seed, key));
    if ((value = m->entries[hole].value) == NULL)
        return NULL;
    for (i = (hole + 1) & mask; m->entries[i].value != NULL; i = (i + 1) & mask) {
        size_t home = m->entries[i].hash & mask;

        /* The entry may move back to the hole unless its probe begins after it. */
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        m->entries[hole] = m->entries[i];
        hole = i;
    }
    m->entries[hole].value = NULL;
    m->n--;
    if (m->size > MIN_SIZE && m->n * 8 < m->size && resize(m, m->size / 2) != PEAL_OK)
        return value; /* no memory to shrink with: the larger table serves as well */
    return value;
}

void *
peal_map_next(const struct peal_map *m, size_t *pos)
{
    while (*pos < m->size) {
        void *value = m->entries[(*pos)++].value;

        if (value != NULL)
            return value;
    }
    return NULL;
}

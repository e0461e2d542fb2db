/* SPDX-License-Identifier: MIT */
/* Messages: laid out in one allocation, pointers first, bytes after. */
#include "base/msg.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/map.h"

uint32_t
peal_channel_hash(struct peal_slice name)
{
    /* No secret is needed: collisions only cost a delivery attempt that finds nobody. */
    return peal_hash(0x7065616c, name);
}

static size_t
sum(const struct peal_slice *s, unsigned n)
{
    size_t len = 0;

    for (unsigned i = 0; i < n; i++)
        len += s[i].len;
    return len;
}

static struct peal_slice
put(char **at, struct peal_slice s)
{
    struct peal_slice copy = { *at, s.len };

    if (s.len > 0)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

peal_err
peal_msg_new(const struct peal_msg_spec *spec, struct peal_msg **out)
{
    struct peal_slice nsp = spec->nsp.len ? spec->nsp : PEAL_S("/");
    struct peal_msg *m;
    size_t size;
    char *at;

    PEAL_ASSERT(spec->n_channels > 0);
    if (spec->n_channels > PEAL_MSG_NAMES_MAX || spec->n_except > PEAL_MSG_NAMES_MAX ||
        spec->n_atts > PEAL_ATTACHMENTS_MAX)
        return PEAL_ELIMIT;
    size = sizeof(*m) + spec->n_channels * sizeof(*m->channels) +
           spec->n_except * sizeof(*m->except) +
           spec->n_atts * sizeof(struct peal_blob *) +
           sum(spec->channels, spec->n_channels) + sum(spec->except, spec->n_except) +
           nsp.len + spec->event.len + spec->args.len;
    if ((m = calloc(1, size)) == NULL)
        return PEAL_ENOMEM;
    atomic_init(&m->refs, 1);
    m->kind = spec->kind;
    m->flags = spec->flags;
    m->n_args = spec->kind == PEAL_DATA_JSON ? spec->n_args : 1;
    m->n_channels = spec->n_channels;
    m->n_except = spec->n_except;
    m->n_atts = spec->n_atts;
    m->channels = (struct peal_channel_name *)(m + 1);
    m->except = (struct peal_slice *)(m->channels + m->n_channels);
    m->atts = (struct peal_blob **)(m->except + m->n_except);
    at = (char *)(m->atts + m->n_atts);
    for (unsigned i = 0; i < m->n_channels; i++) {
        m->channels[i].name = put(&at, spec->channels[i]);
        m->channels[i].hash = peal_channel_hash(spec->channels[i]);
    }
    for (unsigned i = 0; i < m->n_except; i++)
        m->except[i] = put(&at, spec->except[i]);
    for (unsigned i = 0; i < m->n_atts; i++)
        m->atts[i] = peal_blob_retain(spec->atts[i]);
    m->nsp = put(&at, nsp);
    m->event = put(&at, spec->event);
    m->args = put(&at, spec->args);
    *out = m;
    return PEAL_OK;
}

void
peal_msg_release(struct peal_msg *m)
{
    if (m == NULL || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < m->n_atts; i++)
        peal_blob_release(m->atts[i]);
    for (unsigned i = 0; i < PEAL_MSG_FORMATS_MAX; i++)
        peal_blob_release(atomic_load_explicit(&m->encoded[i], memory_order_relaxed));
    free(m);
}

struct peal_blob *
peal_msg_bytes(struct peal_msg *m, unsigned format, peal_msg_encode_fn *encode, void *ctx)
{
    struct peal_blob *have =
        atomic_load_explicit(&m->encoded[format], memory_order_acquire);
    struct peal_blob *mine;

    if (have != NULL)
        return have;
    if ((mine = encode(m, ctx)) == NULL)
        return NULL;
    /* Two workers may build at once; the first to arrive wins, the other throws away. */
    if (atomic_compare_exchange_strong_explicit(
            &m->encoded[format], &have, mine, memory_order_acq_rel, memory_order_acquire))
        return mine;
    peal_blob_release(mine);
    return have;
}

/* SPDX-License-Identifier: MIT */
/* Choosing sockets by rooms. What is done to one may end others, so they are listed by
 * their ids first and looked up again each. */
#include <stdlib.h>

#include "hub/hub_priv.h"

struct list {
    char (*ids)[PEAL_ID_LEN];
    size_t n, cap;
    peal_err err;
};

static void
add(struct list *l, const struct peal_session *s)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        char(*ids)[PEAL_ID_LEN] = realloc(l->ids, cap * sizeof(*ids));

        if (ids == NULL) {
            l->err = PEAL_ENOMEM;
            return;
        }
        l->ids = ids;
        l->cap = cap;
    }
    memcpy(l->ids[l->n++], s->id, PEAL_ID_LEN);
}

static bool
is_named(const struct peal_session *s, const struct peal_slice *names, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (peal_slice_eq(peal_channel_address(names[i]), peal_session_id(s)) ||
            peal_session_is_subscribed(s, names[i]))
            return true;
    return false;
}

/* earlier: channels whose members have been looked at. */
static void
consider(struct list *l, const struct peal_selection *what, const struct peal_session *s,
    unsigned earlier)
{
    if (s->listed && peal_session_is_subscribed(s, what->nsp) &&
        !is_named(s, what->channels, earlier) &&
        !is_named(s, what->except, what->n_except))
        add(l, s);
}

static void
consider_channel(struct list *l, struct peal_shard *sh, const struct peal_selection *what,
    struct peal_slice channel, unsigned earlier)
{
    const struct peal_channel *ch = peal_shard_channel(sh, channel);
    struct peal_slice id = peal_channel_address(channel);
    const struct peal_session *s =
        id.len == PEAL_ID_LEN ? peal_session_find(sh, id) : NULL;

    for (uint32_t i = 0; ch != NULL && i < ch->n && l->err == PEAL_OK; i++)
        consider(l, what, ch->members[i]->session, earlier);
    if (s != NULL)
        consider(l, what, s, earlier);
}

peal_err
peal_select(struct peal_shard *sh, const struct peal_selection *what, peal_select_fn *fn,
    void *arg)
{
    struct list l = { 0 };

    if (what->n_channels == 0)
        consider_channel(&l, sh, what, what->nsp, 0);
    for (unsigned i = 0; i < what->n_channels; i++)
        consider_channel(&l, sh, what, what->channels[i], i);
    for (size_t i = 0; i < l.n && l.err == PEAL_OK; i++) {
        struct peal_session *s =
            peal_session_find(sh, peal_slice_of(l.ids[i], PEAL_ID_LEN));

        if (s != NULL)
            fn(arg, s);
    }
    free(l.ids);
    return l.err;
}

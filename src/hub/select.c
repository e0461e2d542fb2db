/* SPDX-License-Identifier: MIT */
/*
 * Choosing sockets by rooms. What is done to one may end others, so all that are chosen
 * are listed by their ids first, and each is looked up again.
 *
 * Thread: the shard's loop.
 */
#include <stdlib.h>

#include "base/vec.h"
#include "hub/hub_priv.h"

struct selected {
    char (*ids)[PEAL_ID_LEN];
    size_t n, cap;
    peal_err err;
};

static void
selected_add(struct selected *l, const struct peal_session *s)
{
    if ((l->err = PEAL_GROW(l->ids, l->cap, l->n + 1)) != PEAL_OK)
        return;
    memcpy(l->ids[l->n++], s->id, PEAL_ID_LEN);
}

static bool
selected_is_named(
    const struct peal_session *s, const struct peal_slice *names, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (peal_session_is_named(s, names[i]))
            return true;
    return false;
}

/* earlier: channels whose members have been looked at. */
static void
selected_consider(struct selected *l, const struct peal_selection *what,
    const struct peal_session *s, unsigned earlier)
{
    if (s->listed && peal_session_is_subscribed(s, what->nsp) &&
        !selected_is_named(s, what->channels, earlier) &&
        !selected_is_named(s, what->except, what->n_except))
        selected_add(l, s);
}

static void
selected_consider_channel(struct selected *l, struct peal_shard *sh,
    const struct peal_selection *what, struct peal_slice channel, unsigned earlier)
{
    const struct peal_channel *ch = peal_shard_channel(sh, channel);
    struct peal_slice id = peal_channel_address(channel);
    const struct peal_session *s =
        id.len == PEAL_ID_LEN ? peal_session_find(sh, id) : NULL;

    for (uint32_t i = 0; ch != NULL && i < ch->n && l->err == PEAL_OK; i++)
        selected_consider(l, what, ch->members[i]->session, earlier);
    if (s != NULL)
        selected_consider(l, what, s, earlier);
}

peal_err
peal_select(struct peal_shard *sh, const struct peal_selection *what, peal_select_fn *fn,
    void *arg)
{
    struct selected l = { 0 };

    if (what->n_channels == 0)
        selected_consider_channel(&l, sh, what, what->nsp, 0);
    for (unsigned i = 0; i < what->n_channels; i++)
        selected_consider_channel(&l, sh, what, what->channels[i], i);
    for (size_t i = 0; i < l.n && l.err == PEAL_OK; i++) {
        struct peal_session *s =
            peal_session_find(sh, peal_slice_of(l.ids[i], PEAL_ID_LEN));

        if (s != NULL)
            fn(arg, s);
    }
    free(l.ids);
    return l.err;
}

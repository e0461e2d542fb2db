/* SPDX-License-Identifier: MIT */
/* The hub: sessions, subscriptions, interest, and publishing to all workers. */
#include "hub/hub.h"

#include <assert.h>
#include <stdlib.h>

#include "hub/ackreq.h"
#include "hub/outbox_priv.h"

peal_err
peal_hub_new(uint32_t node, struct peal_hub **out)
{
    struct peal_hub *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return PEAL_ENOMEM;
    h->node = node;
    peal_id_key_new(&h->key);
    peal_backlog_init(h);
    *out = h;
    return PEAL_OK;
}

void
peal_hub_free(struct peal_hub **hp)
{
    free(*hp);
    *hp = NULL;
}

peal_err
peal_shard_new(struct peal_hub *hub, unsigned index, struct peal_loop *loop,
    unsigned turn_budget, void *codec, struct peal_shard **out)
{
    struct peal_shard *sh = calloc(1, sizeof(*sh));

    assert(index < PEAL_WORKERS_MAX);
    if (sh == NULL)
        return PEAL_ENOMEM;
    sh->hub = hub;
    sh->loop = loop;
    sh->codec = codec;
    sh->index = index;
    sh->turn_budget = sh->left = turn_budget;
    peal_map_init(&sh->channels);
    peal_map_init(&sh->sessions);
    peal_map_init(&sh->publishers);
    peal_list_init(&sh->fanouts);
    peal_list_init(&sh->asks);
    peal_list_init(&sh->paused);
    peal_loop_hook(loop, peal_fanout_turn, sh);
    hub->shards[index] = sh;
    if (hub->n_shards <= index)
        hub->n_shards = index + 1;
    *out = sh;
    return PEAL_OK;
}

void
peal_shard_free(struct peal_shard **sp)
{
    struct peal_shard *sh = *sp;

    if (sh == NULL)
        return;
    *sp = NULL;
    PEAL_ASSERT(sh->channels.n == 0 && sh->sessions.n == 0 && sh->publishers.n == 0);
    peal_ack_requests_detach(sh);
    sh->hub->shards[sh->index] = NULL;
    peal_map_fini(&sh->channels);
    peal_map_fini(&sh->sessions);
    peal_map_fini(&sh->publishers);
    peal_outbox_free(sh);
    free(sh);
}

struct peal_loop *
peal_shard_loop(const struct peal_shard *sh)
{
    return sh->loop;
}

unsigned
peal_shard_index(const struct peal_shard *sh)
{
    return sh->index;
}

void *
peal_shard_codec(const struct peal_shard *sh)
{
    return sh->codec;
}

uint32_t
peal_hub_node(const struct peal_hub *h)
{
    return h->node;
}

const struct peal_id_key *
peal_hub_key(const struct peal_hub *h)
{
    return &h->key;
}

unsigned
peal_hub_n_workers(const struct peal_hub *h)
{
    return h->n_shards;
}

struct peal_shard *
peal_hub_shard(const struct peal_hub *h, unsigned index)
{
    return h->shards[index];
}

uint64_t
peal_hub_interest(const struct peal_hub *h, uint32_t channel_hash)
{
    return atomic_load_explicit(
        &h->interest[channel_hash & (PEAL_INTEREST_SLOTS - 1)], memory_order_acquire);
}

void
peal_shard_each_channel(
    struct peal_shard *sh, void (*fn)(void *arg, struct peal_slice channel), void *arg)
{
    const struct peal_channel *ch;

    for (size_t pos = 0; (ch = peal_map_next(&sh->channels, &pos)) != NULL;)
        if (ch->n > 0)
            fn(arg, peal_channel_slice(ch));
}

struct peal_hub *
peal_shard_hub(const struct peal_shard *sh)
{
    return sh->hub;
}

peal_err
peal_session_init(struct peal_session *s, struct peal_shard *sh,
    const struct peal_session_ops *ops, bool listed)
{
    peal_err err = PEAL_OK;

    *s = (struct peal_session){ .ops = ops, .shard = sh };
    do { /* two ids can be equal by chance */
        peal_shard_new_id(sh, s->id);
        if (listed)
            err = peal_map_put(&sh->sessions, peal_session_id(s), s);
    } while (err == PEAL_EEXIST);
    s->listed = listed && err == PEAL_OK;
    return err;
}

struct peal_session *
peal_session_find(struct peal_shard *sh, struct peal_slice id)
{
    return peal_map_get(&sh->sessions, id);
}

/* The first subscriber of a channel with this hash on this worker: say so to the others.
 */
static void
add_interest(struct peal_shard *sh, uint32_t hash)
{
    uint32_t slot = hash & (PEAL_INTEREST_SLOTS - 1);

    if (sh->interest[slot]++ == 0)
        atomic_fetch_or(&sh->hub->interest[slot], 1ull << sh->index);
}

static void
drop_interest(struct peal_shard *sh, uint32_t hash)
{
    uint32_t slot = hash & (PEAL_INTEREST_SLOTS - 1);

    if (--sh->interest[slot] == 0)
        atomic_fetch_and(&sh->hub->interest[slot], ~(1ull << sh->index));
}

static struct peal_channel *
channel_new(struct peal_shard *sh, struct peal_slice name)
{
    struct peal_channel *ch = calloc(1, sizeof(*ch) + name.len);

    if (ch == NULL)
        return NULL;
    memcpy(ch->name, name.data, name.len);
    ch->name_len = (uint32_t)name.len;
    ch->hash = peal_channel_hash(name);
    ch->confirmed = sh->hub->relay == NULL;
    ch->asked = sh->n_batches_posted + 1;
    peal_list_init(&ch->waiters);
    if (peal_map_put(&sh->channels, peal_channel_slice(ch), ch) != PEAL_OK) {
        free(ch);
        return NULL;
    }
    if (!ch->confirmed && peal_outbox_subscribe(sh, name) != PEAL_OK) {
        peal_map_del(&sh->channels, peal_channel_slice(ch));
        free(ch);
        return NULL;
    }
    add_interest(sh, ch->hash);
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_CHANNELS, 1);
    return ch;
}

static void
channel_free(struct peal_shard *sh, struct peal_channel *ch)
{
    if (sh->hub->relay != NULL)
        peal_outbox_unsubscribe(sh, peal_channel_slice(ch));
    peal_map_del(&sh->channels, peal_channel_slice(ch));
    drop_interest(sh, ch->hash);
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_CHANNELS, -1);
    peal_fanout_free(sh, ch);
    free(ch->members);
    free(ch);
}

static peal_err
members_add(struct peal_channel *ch, struct peal_sub *sub)
{
    if (ch->n == ch->cap) {
        uint32_t cap = ch->cap ? ch->cap + ch->cap / 2 + 1 : 2;
        struct peal_sub **members = realloc(ch->members, cap * sizeof(struct peal_sub *));

        if (members == NULL)
            return PEAL_ENOMEM;
        ch->members = members;
        ch->cap = cap;
    }
    sub->at = ch->n;
    ch->members[ch->n++] = sub;
    return PEAL_OK;
}

static struct peal_sub **
find_sub(struct peal_session *s, struct peal_slice channel)
{
    struct peal_sub **at = &s->subs;

    while (*at != NULL && !peal_slice_eq(peal_channel_slice((*at)->channel), channel))
        at = &(*at)->next;
    return at;
}

static struct peal_sub *
sub_new(struct peal_session *s)
{
    return s->first.channel == NULL ? &s->first : malloc(sizeof(struct peal_sub));
}

static void
sub_release(struct peal_session *s, struct peal_sub *sub)
{
    if (sub == &s->first)
        sub->channel = NULL;
    else
        free(sub);
}

bool
peal_session_is_subscribed(const struct peal_session *s, struct peal_slice channel)
{
    for (const struct peal_sub *sub = s->subs; sub != NULL; sub = sub->next)
        if (peal_slice_eq(peal_channel_slice(sub->channel), channel))
            return true;
    return false;
}

static peal_err
may_join(const struct peal_session *s, struct peal_slice channel)
{
    unsigned max = s->n_subs_max ? s->n_subs_max : UINT16_MAX;

    if (channel.len == 0 || channel.len > PEAL_CHANNEL_NAME_MAX)
        return PEAL_ELIMIT;
    if (peal_session_is_subscribed(s, channel))
        return PEAL_EEXIST;
    if (s->n_subs >= max)
        return PEAL_ELIMIT;
    /* A session's id is its address, as a room of any namespace: a subscriber of that
     * name would read what is meant for the session alone. */
    if (peal_hub_is_address(s->shard->hub, channel))
        return PEAL_EPERM;
    return PEAL_OK;
}

peal_err
peal_session_subscribe(struct peal_session *s, struct peal_slice channel)
{
    struct peal_shard *sh = s->shard;
    struct peal_channel *ch;
    struct peal_sub *sub;
    peal_err err = may_join(s, channel);

    if (err != PEAL_OK)
        return err;
    if ((sub = sub_new(s)) == NULL)
        return PEAL_ENOMEM;
    /* A message on several channels asks at delivery who is a member of which. */
    peal_session_catch_up(s);
    ch = peal_map_get(&sh->channels, channel);
    if (ch == NULL && (ch = channel_new(sh, channel)) == NULL) {
        sub_release(s, sub);
        return PEAL_ENOMEM;
    }
    *sub = (struct peal_sub){ .session = s, .channel = ch, .since = ch->seq };
    if (members_add(ch, sub) != PEAL_OK) {
        if (ch->n == 0)
            channel_free(sh, ch);
        sub_release(s, sub);
        return PEAL_ENOMEM;
    }
    sub->next = s->subs;
    s->subs = sub;
    s->n_subs++;
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_SUBSCRIPTIONS, 1);
    return PEAL_OK;
}

/* Waiting for the backplane. */

peal_err
peal_session_await_subscribed(
    struct peal_session *s, struct peal_slice channel, peal_confirmed_fn *fn, void *arg)
{
    struct peal_sub *sub = *find_sub(s, channel);
    struct peal_waiter *w;

    if (sub == NULL)
        return PEAL_ENOTFOUND;
    if (sub->channel->confirmed)
        return PEAL_OK;
    if (s->n_waiters == UINT16_MAX || (w = malloc(sizeof(*w))) == NULL)
        return PEAL_ENOMEM;
    *w = (struct peal_waiter){ .session = s, .fn = fn, .arg = arg };
    peal_list_append(&sub->channel->waiters, &w->link);
    s->n_waiters++;
    peal_shard_count_held(s->shard, sizeof(*w), true);
    return PEAL_EAGAIN;
}

peal_err
peal_session_await_all_subscribed(
    struct peal_session *s, peal_confirmed_fn *fn, void *arg)
{
    for (struct peal_sub *sub = s->subs; sub != NULL; sub = sub->next)
        if (!sub->channel->confirmed)
            return peal_session_await_subscribed(
                s, peal_channel_slice(sub->channel), fn, arg);
    return PEAL_OK;
}

bool
peal_session_all_subscribed(const struct peal_session *s)
{
    for (const struct peal_sub *sub = s->subs; sub != NULL; sub = sub->next)
        if (!sub->channel->confirmed)
            return false;
    return true;
}

/* Takes w off its channel's list and tells it. Its function may do anything, so nothing
 * that was known before holds after it. */
static void
tell_waiter(struct peal_waiter *w, bool gone)
{
    struct peal_waiter told = *w;

    peal_list_unlink(&w->link);
    free(w);
    told.session->n_waiters--;
    peal_shard_count_held(told.session->shard, sizeof(told), false);
    told.fn(told.arg, gone);
}

static struct peal_waiter *
waiter_of(const struct peal_channel *ch, const struct peal_session *s)
{
    for (struct peal_link *l = ch->waiters.next; l != &ch->waiters; l = l->next) {
        struct peal_waiter *w = PEAL_CONTAINER(l, struct peal_waiter, link);

        if (w->session == s)
            return w;
    }
    return NULL;
}

static void
tell_waiters_gone(struct peal_channel *ch, const struct peal_session *s)
{
    struct peal_waiter *w;

    while (s->n_waiters > 0 && (w = waiter_of(ch, s)) != NULL)
        tell_waiter(w, true);
}

void
peal_shard_confirm(struct peal_shard *sh, struct peal_slice channel, uint64_t n_heard)
{
    struct peal_channel *ch = peal_map_get(&sh->channels, channel);

    if (ch == NULL || ch->asked > n_heard)
        return;
    ch->confirmed = true;
    while ((ch = peal_map_get(&sh->channels, channel)) != NULL && ch->confirmed &&
           !peal_list_empty(&ch->waiters))
        tell_waiter(PEAL_CONTAINER(ch->waiters.next, struct peal_waiter, link), false);
}

/* Take sub, already off its session's list, out of its channel. */
static void
sub_free(struct peal_shard *sh, struct peal_sub *sub)
{
    struct peal_channel *ch = sub->channel;
    struct peal_sub *last;

    tell_waiters_gone(ch, sub->session);
    peal_fanout_leave(sub);
    last = ch->members[--ch->n];
    ch->members[sub->at] = last;
    last->at = sub->at;
    sub->session->n_subs--;
    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_SUBSCRIPTIONS, -1);
    sub_release(sub->session, sub);
    if (ch->n == 0)
        channel_free(sh, ch);
}

peal_err
peal_session_unsubscribe(struct peal_session *s, struct peal_slice channel)
{
    struct peal_sub **at = find_sub(s, channel), *sub = *at;

    if (sub == NULL)
        return PEAL_ENOTFOUND;
    /* What was put off is delivered while the session still counts as a member. */
    peal_session_catch_up(s);
    *at = sub->next;
    sub_free(s->shard, sub);
    return PEAL_OK;
}

void
peal_session_fini(struct peal_session *s)
{
    struct peal_sub *sub;

    while ((sub = s->subs) != NULL) {
        s->subs = sub->next;
        sub_free(s->shard, sub);
    }
    if (s->listed)
        peal_map_del(&s->shard->sessions, peal_session_id(s));
    s->listed = false;
}

struct peal_channel *
peal_shard_channel(struct peal_shard *sh, struct peal_slice name)
{
    struct peal_channel *ch = peal_map_get(&sh->channels, name);

    return ch == NULL || peal_hub_is_address(sh->hub, name) ? NULL : ch;
}

static void
deliver_to_channel(struct peal_shard *sh, struct peal_msg *m, unsigned k)
{
    struct peal_channel *ch = peal_shard_channel(sh, m->channels[k].name);

    if (ch != NULL)
        peal_deliver_channel(sh, ch, m, k);
}

static void
deliver_to_address(struct peal_shard *sh, struct peal_msg *m, unsigned k)
{
    struct peal_slice id = peal_channel_address(m->channels[k].name);
    struct peal_session *s = id.len == PEAL_ID_LEN ? peal_session_find(sh, id) : NULL;

    if (s != NULL)
        peal_deliver_session(sh, s, m, k);
}

static void
deliver_here(struct peal_shard *sh, struct peal_msg *m)
{
    for (unsigned k = 0; k < m->n_channels; k++) {
        deliver_to_channel(sh, m, k);
        deliver_to_address(sh, m, k);
    }
}

void
peal_shard_deliver(struct peal_shard *sh, struct peal_msg *m)
{
    deliver_here(sh, m);
}

/* A message for another worker. */
struct worker_msg {
    struct peal_task task; /* first */
    struct peal_hub *hub;
    unsigned to;
    struct peal_msg *msg; /* held */
};

static void
hub_on_worker_msg(struct peal_loop *loop, struct peal_task *task)
{
    struct worker_msg *l = (struct worker_msg *)task;

    /* Before it is put off, and counted for that. */
    peal_backlog_sub(l->hub, l->to, peal_msg_weight(l->msg));
    if (l->hub->shards[l->to] != NULL)
        deliver_here(l->hub->shards[l->to], l->msg);
    peal_msg_release(l->msg);
    free(l);
}

static void
post(struct peal_shard *from, unsigned to, struct peal_msg *m)
{
    struct peal_shard *sh = from->hub->shards[to];
    struct peal_stats *stats = peal_shard_stats(from);
    struct worker_msg *l;

    if (sh == NULL || !peal_backlog_add(from->hub, to, peal_msg_weight(m), stats))
        return;
    if ((l = malloc(sizeof(*l))) == NULL) {
        peal_backlog_sub(from->hub, to, peal_msg_weight(m));
        peal_stat_add(stats, PEAL_STAT_LETTERS_LOST, 1);
        return;
    }
    l->task.fn = hub_on_worker_msg;
    l->hub = from->hub;
    l->to = to;
    l->msg = peal_msg_retain(m);
    peal_loop_post(sh->loop, &l->task);
}

uint64_t
peal_hub_workers(const struct peal_hub *h, const struct peal_msg *m)
{
    uint64_t mask = 0;

    for (unsigned k = 0; k < m->n_channels; k++) {
        uint32_t node;
        uint8_t worker;

        mask |= peal_hub_interest(h, m->channels[k].hash);
        if (peal_hub_owner(
                h, peal_channel_address(m->channels[k].name), &node, &worker) &&
            node == h->node && worker < h->n_shards)
            mask |= 1ull << worker;
    }
    return mask;
}

/* Is there a channel that may have a subscriber, or be one, on another node? */
static bool
may_be_elsewhere(const struct peal_shard *sh, const struct peal_msg *m)
{
    for (unsigned k = 0; k < m->n_channels; k++)
        if (peal_shard_owner(sh, peal_channel_address(m->channels[k].name)) < 0)
            return true;
    return false;
}

peal_err
peal_publish(struct peal_shard *sh, struct peal_msg *m)
{
    uint64_t mask = peal_hub_workers(sh->hub, m), others = mask & ~(1ull << sh->index);
    peal_err err = PEAL_OK;

    peal_stat_add(peal_shard_stats(sh), PEAL_STAT_PUBLISHED, 1);
    for (; others != 0; others &= others - 1)
        post(sh, (unsigned)__builtin_ctzll(others), m);
    if (sh->hub->relay != NULL && may_be_elsewhere(sh, m))
        err = peal_outbox_publish(sh, m);
    if (mask & (1ull << sh->index))
        deliver_here(sh, m);
    peal_backlog_note(sh, m, mask);
    return err;
}

struct peal_slice
peal_sub_channel(const struct peal_sub *sub)
{
    return peal_channel_slice(sub->channel);
}

struct peal_slice
peal_session_channel(const struct peal_session *s)
{
    return s->subs == NULL ? peal_slice_of(NULL, 0)
                           : peal_channel_slice(s->subs->channel);
}

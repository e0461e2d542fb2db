/* SPDX-License-Identifier: MIT */
/* The model: what is owed, to whom, and what ends it. */
#include "model.h"

static bool
addressed(const struct message *m, const struct session *s)
{
    for (unsigned i = 0; i < m->n_ids; i++)
        if (m->ids[i] == s->index)
            return true;
    return false;
}

static bool
excluded(const struct message *m, const struct session *s)
{
    for (unsigned c = 0; c < CHANNELS; c++)
        if ((m->except & 1u << c) != 0 && s->member[c])
            return true;
    return m->except_id == s->index;
}

/* Is there a channel of message number by which it comes to s for sure? */
static bool
by_channel(const struct model *o, unsigned number, const struct session *s)
{
    const struct message *m = &o->messages[number];

    for (unsigned c = 0; c < CHANNELS; c++)
        if ((m->channels & 1u << c) != 0 && s->member[c] && s->joined_at[c] <= number &&
            (m->node == s->node || (s->confirmed[c] && s->confirmed_at[c] <= number)))
            return true;
    return false;
}

void
model_publish(struct model *o, const struct message *m)
{
    unsigned number = o->n_messages;

    if (number == MESSAGES_MAX)
        sim_wrong("more messages than there is room for");
    o->messages[o->n_messages++] = *m;
    for (unsigned i = 0; i < o->n_sessions; i++) {
        struct session *s = &o->sessions[i];

        s->by_id[number] = s->node == m->node && addressed(m, s);
        if (s->alive && s->node == m->node && !excluded(m, s))
            s->owed[number] = s->by_id[number] || by_channel(o, number, s);
    }
}

void
model_owe(struct model *o, unsigned number, struct session *s, bool id_known)
{
    const struct message *m = &o->messages[number];

    s->by_id[number] = id_known && addressed(m, s);
    if (s->alive && s->node != m->node && !excluded(m, s))
        s->owed[number] = s->by_id[number] || by_channel(o, number, s);
}

/* What s was owed by its own worker is delivered before a membership changes. */
static void
check_prompt(const struct model *o, const struct session *s, const char *before)
{
    for (unsigned i = 0; i < o->n_messages; i++)
        if (s->owed[i] && o->messages[i].publisher == s->publisher)
            sim_wrong("session %u did not get message %u of its worker before it %s",
                s->index, i, before);
}

void
model_joined(struct model *o, struct session *s, unsigned c)
{
    check_prompt(o, s, "joined");
    s->member[c] = true;
    s->confirmed[c] = false;
    s->joined_at[c] = o->n_messages;
    for (unsigned i = 0; i < o->n_messages; i++)
        if ((o->messages[i].except & 1u << c) != 0)
            s->owed[i] = false;
}

void
model_confirmed(struct model *o, struct session *s, unsigned c)
{
    if (!s->alive || !s->member[c])
        sim_wrong("session %u is told of channel %u, which it has left", s->index, c);
    s->confirmed[c] = true;
    s->confirmed_at[c] = o->n_messages;
}

void
model_left(struct model *o, struct session *s, unsigned c)
{
    check_prompt(o, s, "left");
    s->member[c] = s->confirmed[c] = false;
    for (unsigned i = 0; i < o->n_messages; i++)
        if (s->owed[i] && !s->by_id[i] && !by_channel(o, i, s))
            s->owed[i] = false;
}

void
model_ended(struct model *o, struct session *s)
{
    s->alive = false;
    memset(s->member, 0, sizeof(s->member));
    memset(s->owed, 0, sizeof(s->owed));
    memset(s->excused, 0, sizeof(s->excused));
}

static void
check_meant(const struct model *o, const struct session *s, unsigned number, unsigned c)
{
    const struct message *m = &o->messages[number];

    if (!s->alive)
        sim_wrong("message %u reaches session %u after its end", number, s->index);
    if (s->got[number])
        sim_wrong("message %u reaches session %u twice", number, s->index);
    if (excluded(m, s))
        sim_wrong("message %u reaches session %u, which is excluded", number, s->index);
    if (c == CHANNELS ? !addressed(m, s) : !s->member[c] || (m->channels & 1u << c) == 0)
        sim_wrong(
            "message %u reaches session %u by %u, where it is not", number, s->index, c);
    if (c < CHANNELS && m->publisher == s->publisher && number < s->joined_at[c])
        sim_wrong("message %u reaches session %u, which joined later", number, s->index);
}

void
model_delivered(struct model *o, struct session *s, unsigned number, unsigned c)
{
    unsigned *last;

    if (number >= o->n_messages)
        sim_wrong(
            "message %u reaches session %u before it is published", number, s->index);
    check_meant(o, s, number, c);
    last = &s->last[o->messages[number].publisher][c];
    if (number + 1 <= *last)
        sim_wrong("message %u reaches session %u by %u after message %u of the same "
                  "publisher",
            number, s->index, c, *last - 1);
    *last = number + 1;
    s->got[number] = true;
    s->owed[number] = s->excused[number] = false;
    o->n_delivered++;
    o->digest = (o->digest ^ (number << 10 | s->index)) * 0x100000001b3ull;
}

void
model_receives_not(struct model *o, unsigned node)
{
    for (unsigned k = 0; k < o->n_sessions; k++) {
        struct session *s = &o->sessions[k];

        for (unsigned i = 0; s->node == node && i < o->n_messages; i++)
            if (s->owed[i] && o->messages[i].node != node) {
                s->owed[i] = false;
                s->excused[i] = true;
            }
    }
}

void
model_dropped(struct model *o, unsigned node)
{
    for (unsigned k = 0; k < o->n_sessions; k++) {
        struct session *s = &o->sessions[k];

        for (unsigned i = 0; s->node == node && i < o->n_messages; i++)
            if (s->owed[i]) {
                s->owed[i] = false;
                s->excused[i] = true;
            }
    }
}

void
model_sends_not(struct model *o, unsigned node)
{
    for (unsigned i = 0; i < o->n_messages; i++)
        for (unsigned k = 0; o->messages[i].node == node && k < o->n_sessions; k++) {
            struct session *s = &o->sessions[k];

            if (s->owed[i] && s->node != node) {
                s->owed[i] = false;
                s->excused[i] = true;
            }
        }
}

void
model_forgets(struct model *o, unsigned node, unsigned other)
{
    for (unsigned i = 0; i < o->n_messages; i++)
        for (unsigned k = 0; o->messages[i].node == node && k < o->n_sessions; k++) {
            struct session *s = &o->sessions[k];

            if (s->node != other)
                continue;
            s->by_id[i] = false;
            s->owed[i] = s->owed[i] && by_channel(o, i, s);
        }
}

void
model_settle(struct model *o)
{
    for (unsigned k = 0; k < o->n_sessions; k++)
        for (unsigned i = 0; i < o->n_messages; i++) {
            const struct session *s = &o->sessions[k];

            if (s->owed[i])
                sim_wrong("message %u never reached session %u", i, s->index);
            o->n_lost += s->excused[i];
        }
}

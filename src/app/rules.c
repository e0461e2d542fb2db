/* SPDX-License-Identifier: MIT */
/*
 * Declarative rules at work. An event finds its namespace's rules, there the first
 * pattern that matches its name, and the actions of that one are carried out in order.
 * The first action that cannot be allowed ends it: the rest is not done, and the client
 * is told why if it wants an acknowledgement.
 *
 * Payloads pass through as they came. A room or an event that the client names is one of
 * its arguments; such arguments are taken off before the rest is sent on.
 */
#include "app/rules.h"

#include <stdlib.h>

#include "app/rules_priv.h"
#include "base/ascii.h"
#include "base/json.h"
#include "wire/sio.h"

static const char not_allowed[] = "not allowed";
static const char no_memory[] = "try again later";

/* The rules of --dev, where there are no others. */

#define DEV_ROOM                                                                         \
    {                                                                                    \
        .source = PEAL_RULE_ARG, .arg = 0                                                \
    }

static const struct peal_rule_action dev_actions[] = {
    { .verb = PEAL_RULE_JOIN, .room = DEV_ROOM },
    { .verb = PEAL_RULE_LEAVE, .room = DEV_ROOM },
    { .verb = PEAL_RULE_RELAY,
        .room = DEV_ROOM,
        .event = { .source = PEAL_RULE_ARG, .arg = 1 } },
    { .verb = PEAL_RULE_DEV },
};

static const struct peal_rule_event dev_events[] = {
    { { "join", 4 }, &dev_actions[0], 1 },
    { { "leave", 5 }, &dev_actions[1], 1 },
    { { "to", 2 }, &dev_actions[2], 1 },
    { { "*", 1 }, &dev_actions[3], 1 },
};

static const struct peal_rule_namespace dev_namespace = {
    .pattern = { "*", 1 }, .events = dev_events, .n_events = 4, .connect = true
};

static const struct peal_rule_channel dev_channel = {
    .pattern = { "*", 1 }, .subscribe = true, .publish = true
};

static struct peal_rules *
rules_of(struct peal_app *app)
{
    return PEAL_CONTAINER(app, struct peal_rules, app);
}

/* Finding a rule. */

static const struct peal_rule_namespace *
find_namespace(const struct peal_rules *r, struct peal_slice nsp)
{
    for (unsigned i = 0; i < r->n_namespaces; i++)
        if (peal_slice_glob(r->namespaces[i].pattern, nsp))
            return &r->namespaces[i];
    return NULL;
}

static const struct peal_rule_event *
find_event(const struct peal_rules *r, const struct peal_event *ev)
{
    const struct peal_rule_namespace *n = find_namespace(r, ev->nsp);

    if (n == NULL || !n->connect)
        return NULL;
    for (unsigned i = 0; i < n->n_events; i++)
        if (peal_slice_glob(n->events[i].pattern, ev->name))
            return &n->events[i];
    return NULL;
}

/* A name that begins with a slash is a namespace, which only a pattern that says so by
 * beginning with one can mean. */
static const struct peal_rule_channel *
find_channel(const struct peal_rules *r, struct peal_slice channel)
{
    bool slash = peal_slice_starts(channel, PEAL_S("/"));

    for (unsigned i = 0; i < r->n_channels; i++) {
        const struct peal_rule_channel *c = &r->channels[i];

        if (slash && !peal_slice_starts(c->pattern, PEAL_S("/")))
            continue;
        if (peal_slice_glob(c->pattern, channel))
            return c;
    }
    return NULL;
}

/* Names that come from arguments. Each returns NULL, or why not. */

static const char *
take_arg(const struct peal_event *ev, unsigned i, struct peal_slice *out)
{
    struct peal_slice rest = ev->args;

    for (unsigned at = 0; peal_json_next(&rest, out); at++)
        if (at == i)
            return peal_ascii_is_digit(out->data[0]) || out->data[0] == '"' ||
                           out->data[0] == '-'
                       ? NULL
                       : "a name must be a string or a number";
    return "an argument is missing";
}

/* The text of a string, or of a number as it is written. b: memory for it. */
static const char *
take_text(struct peal_slice token, struct peal_buf *b, struct peal_slice *out)
{
    *out = token;
    if (token.data[0] != '"')
        return NULL;
    *out = peal_slice_of(token.data + 1, token.len - 2);
    if (memchr(token.data, '\\', token.len) == NULL)
        return NULL;
    if (peal_json_unquote(b, token) != PEAL_OK)
        return no_memory;
    *out = peal_buf_slice(b);
    return NULL;
}

static bool
one_matches(const struct peal_slice *patterns, unsigned n, struct peal_slice s)
{
    for (unsigned i = 0; i < n; i++)
        if (peal_slice_glob(patterns[i], s))
            return true;
    return n == 0;
}

/* Appends the channel of the room that a means. */
static const char *
put_room(const struct peal_rule_action *a, const struct peal_event *ev,
    struct peal_buf *channel)
{
    struct peal_slice room = a->room.text, token;
    struct peal_buf text = { 0 };
    const char *why = NULL;

    if (a->room.source == PEAL_RULE_ARG) {
        if ((why = take_arg(ev, a->room.arg, &token)) == NULL)
            why = take_text(token, &text, &room);
        if (why == NULL && !one_matches(a->rooms, a->n_rooms, room))
            why = not_allowed;
    }
    if (why == NULL && peal_room_channel(ev->nsp, room, channel) != PEAL_OK)
        why = no_memory;
    if (why == NULL && channel->len > PEAL_CHANNEL_NAME_MAX)
        why = "the room's name is too long";
    peal_buf_fini(&text);
    return why;
}

/* The event that a sends. */
static const char *
take_event(
    const struct peal_rule_action *a, const struct peal_event *ev, struct peal_slice *out)
{
    const char *why;

    *out = a->event.source == PEAL_RULE_FIXED ? a->event.text : ev->event;
    if (a->event.source != PEAL_RULE_ARG)
        return NULL;
    if ((why = take_arg(ev, a->event.arg, out)) != NULL)
        return why;
    return peal_sio_event_reserved(*out) ? "the event's name is reserved" : NULL;
}

/* The payload that an action sends on: the arguments that name nothing. */
struct load {
    struct peal_buf buf;
    struct peal_slice args;
    unsigned n_args, n_atts;
};

/* The attachments up to the last one that is referred to; numbers stay as they are. */
static const char *
take_atts(struct load *l, const struct peal_event *ev)
{
    uint32_t used = 0;

    if (ev->n_atts == 0)
        return NULL;
    if (peal_sio_check_placeholders(l->args, ev->n_atts, &used) != PEAL_OK)
        return not_allowed;
    if (used != 0)
        l->n_atts = 32 - (unsigned)__builtin_clz(used);
    return NULL;
}

static const char *
take_load(const struct peal_rule_action *a, const struct peal_event *ev, struct load *l)
{
    struct peal_slice rest = ev->args, value;

    if (a->room.source != PEAL_RULE_ARG && a->event.source != PEAL_RULE_ARG) {
        l->args = ev->args;
        l->n_args = ev->n_args;
        l->n_atts = ev->n_atts;
        return NULL;
    }
    for (unsigned i = 0; peal_json_next(&rest, &value); i++) {
        if ((a->room.source == PEAL_RULE_ARG && a->room.arg == i) ||
            (a->event.source == PEAL_RULE_ARG && a->event.arg == i))
            continue;
        if ((l->n_args++ > 0 && peal_buf_add_char(&l->buf, ',') != PEAL_OK) ||
            peal_buf_add_slice(&l->buf, value) != PEAL_OK)
            return no_memory;
    }
    l->args = peal_buf_slice(&l->buf);
    return take_atts(l, ev);
}

/* The actions. Each returns NULL, or why not. */

static const char *
publish(const struct peal_rule_action *a, const struct peal_event *ev,
    struct peal_slice channel, struct peal_slice event, const struct load *l)
{
    struct peal_slice self = peal_session_id(ev->session);
    struct peal_msg_spec spec = { .channels = &channel,
        .n_channels = 1,
        .except = &self,
        .n_except = a->except_sender,
        .atts = ev->atts,
        .n_atts = l->n_atts,
        .kind = PEAL_DATA_JSON,
        .flags = a->may_drop ? PEAL_MSG_VOLATILE : 0,
        .n_args = l->n_args,
        .nsp = ev->nsp,
        .event = event,
        .args = l->args };
    struct peal_msg *m;

    if (peal_msg_new(&spec, &m) != PEAL_OK)
        return no_memory;
    peal_publish(ev->session->shard, m);
    peal_msg_release(m);
    return NULL;
}

static const char *
relay(const struct peal_rule_action *a, const struct peal_event *ev)
{
    struct peal_slice channel = ev->nsp, event;
    struct peal_buf name = { 0 };
    struct load l = { 0 };
    const char *why = NULL;

    if (a->room.source != PEAL_RULE_NONE) {
        why = put_room(a, ev, &name);
        channel = peal_buf_slice(&name);
    }
    if (why == NULL && a->members_only &&
        !peal_session_is_subscribed(ev->session, channel))
        why = not_allowed;
    if (why == NULL && (why = take_event(a, ev, &event)) == NULL &&
        (why = take_load(a, ev, &l)) == NULL)
        why = publish(a, ev, channel, event, &l);
    peal_buf_fini(&l.buf);
    peal_buf_fini(&name);
    return why;
}

static const char *
reply(const struct peal_rule_action *a, const struct peal_event *ev)
{
    struct load l = { 0 };
    struct peal_slice event;
    const char *why = take_event(a, ev, &event);

    if (why == NULL && (why = take_load(a, ev, &l)) == NULL)
        ev->emit(ev, event, l.args, l.n_args, ev->atts, l.n_atts);
    peal_buf_fini(&l.buf);
    return why;
}

static const char *
join(const struct peal_rule_action *a, const struct peal_event *ev)
{
    struct peal_buf channel = { 0 };
    const char *why = put_room(a, ev, &channel);
    peal_err err = PEAL_OK;

    if (why == NULL && a->verb == PEAL_RULE_LEAVE)
        peal_session_unsubscribe(
            ev->session, peal_buf_slice(&channel)); /* not in it: as well */
    else if (why == NULL)
        err = peal_session_subscribe(ev->session, peal_buf_slice(&channel));
    peal_buf_fini(&channel);
    if (why != NULL || err == PEAL_OK || err == PEAL_EEXIST)
        return why;
    return err == PEAL_ELIMIT   ? "too many rooms"
           : err == PEAL_ENOMEM ? no_memory
                                : not_allowed;
}

static const char *
act(const struct peal_rule_action *a, const struct peal_event *ev)
{
    switch (a->verb) {
    case PEAL_RULE_RELAY:
        return relay(a, ev);
    case PEAL_RULE_JOIN:
    case PEAL_RULE_LEAVE:
        return join(a, ev);
    case PEAL_RULE_REPLY:
        return reply(a, ev);
    case PEAL_RULE_DEV:
        return ev->ack == NULL ? relay(a, ev) : NULL;
    default: /* acknowledgements are sent when all is done */
        return NULL;
    }
}

static void
refuse(const struct peal_event *ev, const char *why)
{
    struct peal_buf b = { 0 };

    peal_stat_add(peal_shard_stats(ev->session->shard), PEAL_STAT_DENIED, 1);
    if (ev->ack != NULL && peal_buf_printf(&b, "{\"error\":\"%s\"}", why) == PEAL_OK)
        ev->ack(ev, peal_buf_slice(&b), NULL, 0);
    peal_buf_fini(&b);
}

static void
rules_event(struct peal_app *app, const struct peal_event *ev)
{
    const struct peal_rule_event *e = find_event(rules_of(app), ev);
    const char *why = e == NULL ? not_allowed : NULL;
    bool echo = false, silent = false;

    /* The protocol had no memory for the name: no rule may match by that accident. */
    if (ev->name.len == 0 && ev->event.len > 2)
        why = no_memory;
    for (unsigned i = 0; why == NULL && i < e->n_actions; i++) {
        const struct peal_rule_action *a = &e->actions[i];

        why = act(a, ev);
        echo |= a->verb == PEAL_RULE_ACK || a->verb == PEAL_RULE_DEV;
        silent |= a->verb == PEAL_RULE_DROP;
    }
    if (why != NULL)
        refuse(ev, why);
    else if (ev->ack != NULL && echo)
        ev->ack(ev, ev->args, ev->atts, ev->n_atts);
    else if (ev->ack != NULL && !silent)
        ev->ack(ev, PEAL_S(""), NULL, 0);
}

static peal_err
rules_connect(struct peal_app *app, const struct peal_connect *c, const char **why_out)
{
    const struct peal_rule_namespace *n = find_namespace(rules_of(app), c->nsp);

    if (n == NULL)
        return PEAL_ENOTFOUND;
    if (n->connect)
        return PEAL_OK;
    *why_out = not_allowed;
    return PEAL_EPERM;
}

static peal_err
rules_may_subscribe(
    struct peal_app *app, const struct peal_access *a, const char **why_out)
{
    const struct peal_rule_channel *c = find_channel(rules_of(app), a->channel);

    return c != NULL && c->subscribe ? PEAL_OK : PEAL_EPERM;
}

static peal_err
rules_may_publish(struct peal_app *app, const struct peal_access *a, const char **why_out)
{
    const struct peal_rule_channel *c = find_channel(rules_of(app), a->channel);

    return c != NULL && c->publish ? PEAL_OK : PEAL_EPERM;
}

static void
rules_free(struct peal_app *app)
{
    struct peal_rules *r = rules_of(app);
    struct peal_rule_chunk *c;

    while ((c = r->chunks) != NULL) {
        r->chunks = c->next;
        free(c);
    }
    free(r);
}

static const struct peal_app_ops rules_ops = { .name = "rules",
    .connect = rules_connect,
    .event = rules_event,
    .may_subscribe = rules_may_subscribe,
    .may_publish = rules_may_publish,
    .free = rules_free };

peal_err
peal_rules_new(const struct peal_yaml *tree, const char *file, bool dev,
    struct peal_buf *errors, struct peal_app **out)
{
    struct peal_rules *r = calloc(1, sizeof(*r));
    peal_err err;

    if (r == NULL)
        return PEAL_ENOMEM;
    r->app.ops = &rules_ops;
    if (tree != NULL && !peal_yaml_is_null(tree)) {
        if ((err = peal_rules_load(r, tree, file, errors)) != PEAL_OK) {
            rules_free(&r->app);
            return err;
        }
    } else if (dev) {
        r->namespaces = &dev_namespace;
        r->channels = &dev_channel;
        r->n_namespaces = r->n_channels = 1;
    }
    *out = &r->app;
    return PEAL_OK;
}

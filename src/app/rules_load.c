/* SPDX-License-Identifier: MIT */
/*
 * From a tree of YAML to rules. Everything that is wrong is said, each with its place,
 * its key and what would be right; a mistake in one rule does not hide those in the next.
 *
 * What a name may be follows one idea: a plain number is the position of an argument; any
 * other word, and whatever stands in quotes, is the name itself.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "app/rules_priv.h"
#include "base/json.h"
#include "base/suggest.h"
#include "wire/sio.h"

#define PATH_MAX_BYTES 200 /* of the dotted key in messages; longer ones are cut */

struct loader {
    struct peal_rules *rules;
    const char *file;
    struct peal_buf *errors;
    peal_err err; /* PEAL_EINVAL: something has been said; PEAL_ENOMEM ends it */
    size_t path_len;
    char path[PATH_MAX_BYTES];
};

static void complain(struct loader *l, const struct peal_yaml *at, const char *fmt, ...)
    PEAL_PRINTF(3, 4);

static void
complain(struct loader *l, const struct peal_yaml *at, const char *fmt, ...)
{
    struct peal_buf *b = l->errors;
    va_list ap;
    peal_err err;

    if (l->err == PEAL_ENOMEM)
        return;
    err = peal_buf_printf(b, "%s:%u:%u: %.*s: ", l->file ? l->file : "rules", at->line,
        at->column, (int)l->path_len, l->path);
    va_start(ap, fmt);
    if (err == PEAL_OK)
        err = peal_buf_vprintf(b, fmt, ap);
    va_end(ap);
    if (err == PEAL_OK)
        err = peal_buf_add_char(b, '\n');
    l->err = err == PEAL_OK ? PEAL_EINVAL : err;
}

/* Goes one key down in what messages call the place; returns how to come back. */
static size_t
down(struct loader *l, const char *key)
{
    size_t before = l->path_len, len = strlen(key);

    if (before + 1 + len > sizeof(l->path))
        len = before + 1 < sizeof(l->path) ? sizeof(l->path) - before - 1 : 0;
    if (len > 0) {
        if (before > 0)
            l->path[l->path_len++] = '.';
        memcpy(l->path + l->path_len, key, len);
        l->path_len += len;
    }
    return before;
}

static void *
alloc(struct loader *l, size_t n, size_t size)
{
    struct peal_rule_chunk *c = calloc(1, sizeof(*c) + n * size + 1);

    if (c == NULL) {
        l->err = PEAL_ENOMEM;
        return NULL;
    }
    c->next = l->rules->chunks;
    l->rules->chunks = c;
    return c->bytes;
}

static struct peal_slice
copy(struct loader *l, struct peal_slice s)
{
    char *bytes = alloc(l, s.len, 1);

    if (bytes == NULL)
        return PEAL_S("");
    if (s.len > 0)
        memcpy(bytes, s.data, s.len);
    return peal_slice_of(bytes, s.len);
}

static bool
is_map(struct loader *l, const struct peal_yaml *y, const char *of)
{
    if (y->kind == PEAL_YAML_MAP)
        return true;
    complain(l, y, "expected a map of %s", of);
    return false;
}

/* Complains about keys of map that names, which ends with NULL, does not have. */
static void
check_keys(struct loader *l, const struct peal_yaml *map, const char *const *names)
{
    for (const struct peal_yaml *y = map->first; y != NULL; y = y->next) {
        const char *near;
        size_t back;
        unsigned i = 0;

        while (names[i] != NULL && strcmp(names[i], y->key->text) != 0)
            i++;
        if (names[i] != NULL)
            continue;
        near = peal_text_suggest(peal_yaml_slice(y->key), names);
        back = down(l, y->key->text);
        if (near != NULL)
            complain(l, y->key, "unknown; did you mean %s?", near);
        else
            complain(l, y->key, "unknown");
        l->path_len = back;
    }
}

static bool
take_bool(struct loader *l, const struct peal_yaml *map, const char *key)
{
    const struct peal_yaml *y = peal_yaml_get(map, key);
    bool value = false;

    if (y != NULL && peal_yaml_bool(y, &value) != PEAL_OK) {
        size_t back = down(l, key);

        complain(l, y, "expected true or false");
        l->path_len = back;
    }
    return value;
}

/* Names of rooms and events. */

static bool
is_number(const struct peal_yaml *y)
{
    if (y->quoted || y->len == 0)
        return false;
    return strspn(y->text, "0123456789") == y->len;
}

static struct peal_rule_name
take_name(struct loader *l, const struct peal_yaml *y)
{
    struct peal_rule_name name = { .source = PEAL_RULE_FIXED };
    uint64_t n;

    if (y->kind != PEAL_YAML_SCALAR || peal_yaml_is_null(y)) {
        complain(l, y, "expected a name, or the position of an argument");
    } else if (!is_number(y)) {
        if (y->len > PEAL_CHANNEL_NAME_MAX)
            complain(l, y, "longer than %d bytes", PEAL_CHANNEL_NAME_MAX);
        name.text = copy(l, peal_yaml_slice(y));
    } else if (peal_slice_u64(peal_yaml_slice(y), PEAL_RULES_ARGS_MAX - 1, &n) !=
               PEAL_OK) {
        complain(l, y, "a position is 0 to %d; put the name in quotes if it is one",
            PEAL_RULES_ARGS_MAX - 1);
    } else {
        name.source = PEAL_RULE_ARG;
        name.arg = (unsigned)n;
    }
    return name;
}

/* An event's name: a fixed one becomes the JSON token that is sent. */
static struct peal_rule_name
take_event_name(struct loader *l, const struct peal_yaml *y)
{
    struct peal_rule_name name = take_name(l, y);
    struct peal_buf b = { 0 };

    if (name.source != PEAL_RULE_FIXED || l->err == PEAL_ENOMEM)
        return name;
    if (peal_json_quote(&b, name.text) != PEAL_OK)
        l->err = PEAL_ENOMEM;
    else if (peal_sio_event_reserved(peal_buf_slice(&b)))
        complain(
            l, y, "%s is a reserved name that only Socket.IO itself may emit", y->text);
    else
        name.text = copy(l, peal_buf_slice(&b));
    peal_buf_fini(&b);
    return name;
}

/* Actions. */

static void
take_patterns(struct loader *l, const struct peal_yaml *y, struct peal_rule_action *a)
{
    const struct peal_yaml *one = y->kind == PEAL_YAML_SEQ ? y->first : y;
    struct peal_slice *rooms;
    unsigned n = y->kind == PEAL_YAML_SEQ ? y->n : 1;

    if (a->room.source != PEAL_RULE_ARG) {
        complain(l, y, "only for a room that an argument names");
        return;
    }
    if (n == 0 || n > PEAL_RULES_PATTERNS_MAX) {
        complain(l, y, "expected 1 to %d patterns", PEAL_RULES_PATTERNS_MAX);
        return;
    }
    if ((rooms = alloc(l, n, sizeof(*rooms))) == NULL)
        return;
    a->rooms = rooms;
    for (; one != NULL && n > a->n_rooms; one = one->next) {
        if (one->kind != PEAL_YAML_SCALAR || peal_yaml_is_null(one))
            complain(l, one, "expected a pattern such as \"room-*\"");
        else
            rooms[a->n_rooms] = copy(l, peal_yaml_slice(one));
        a->n_rooms++;
    }
}

static const char *const verbs[] = { "relay", "join", "leave", "reply", NULL };
static const char *const words[] = { "ack", "drop", NULL };
static const char *const relay_keys[] = { "relay", "event", "except_sender",
    "members_only", "volatile", "rooms", NULL };
static const char *const join_keys[] = { "join", "rooms", NULL };
static const char *const leave_keys[] = { "leave", "rooms", NULL };
static const char *const reply_keys[] = { "reply", NULL };

static void
take_relay(struct loader *l, const struct peal_yaml *map, struct peal_rule_action *a)
{
    const struct peal_yaml *room = peal_yaml_get(map, "relay");
    const struct peal_yaml *event = peal_yaml_get(map, "event");
    size_t back;

    a->verb = PEAL_RULE_RELAY;
    check_keys(l, map, relay_keys);
    back = down(l, "relay");
    a->room = take_name(l, room);
    /* In quotes it is a room of that name. */
    if (!room->quoted && peal_slice_eq(a->room.text, PEAL_S("namespace")))
        a->room.source = PEAL_RULE_NONE;
    l->path_len = back;
    back = down(l, "event");
    if (event != NULL)
        a->event = take_event_name(l, event);
    if (a->event.source == PEAL_RULE_ARG && a->room.source == PEAL_RULE_ARG &&
        a->event.arg == a->room.arg)
        complain(l, event, "the same argument names the room");
    l->path_len = back;
    a->except_sender = take_bool(l, map, "except_sender");
    a->members_only = take_bool(l, map, "members_only");
    a->may_drop = take_bool(l, map, "volatile");
}

static void
take_verb(struct loader *l, const struct peal_yaml *map, const struct peal_yaml *verb,
    struct peal_rule_action *a)
{
    const char *key = verb->key->text;
    const struct peal_yaml *rooms = peal_yaml_get(map, "rooms");
    size_t back;

    if (strcmp(key, "relay") == 0) {
        take_relay(l, map, a);
    } else if (strcmp(key, "reply") == 0) {
        a->verb = PEAL_RULE_REPLY;
        check_keys(l, map, reply_keys);
        back = down(l, key);
        a->event = take_event_name(l, verb);
        l->path_len = back;
        return;
    } else {
        bool is_join = strcmp(key, "join") == 0;

        a->verb = is_join ? PEAL_RULE_JOIN : PEAL_RULE_LEAVE;
        check_keys(l, map, is_join ? join_keys : leave_keys);
        back = down(l, key);
        a->room = take_name(l, verb);
        l->path_len = back;
    }
    back = down(l, "rooms");
    if (rooms != NULL)
        take_patterns(l, rooms, a);
    l->path_len = back;
}

static void
take_word(struct loader *l, const struct peal_yaml *y, struct peal_rule_action *a)
{
    const char *near;

    if (strcmp(y->text, "ack") == 0) {
        a->verb = PEAL_RULE_ACK;
    } else if (strcmp(y->text, "drop") == 0) {
        a->verb = PEAL_RULE_DROP;
    } else if ((near = peal_text_suggest(peal_yaml_slice(y), words)) != NULL) {
        complain(l, y, "unknown action %s; did you mean %s?", y->text, near);
    } else if ((near = peal_text_suggest(peal_yaml_slice(y), verbs)) != NULL) {
        complain(l, y, "unknown action %s; did you mean { %s: ... }?", y->text, near);
    } else {
        complain(l, y,
            "unknown action %s; expected ack, drop, or a map with relay, "
            "join, leave or reply",
            y->text);
    }
}

static void
take_action(struct loader *l, const struct peal_yaml *y, struct peal_rule_action *a)
{
    const struct peal_yaml *verb = NULL;

    if (y->kind == PEAL_YAML_SCALAR) {
        take_word(l, y, a);
        return;
    }
    for (unsigned i = 0; verbs[i] != NULL && y->kind == PEAL_YAML_MAP; i++) {
        const struct peal_yaml *v = peal_yaml_get(y, verbs[i]);

        if (v != NULL && verb != NULL) {
            complain(l, v->key, "%s and %s in one action; write a list of two",
                verb->key->text, verbs[i]);
            return;
        }
        verb = v != NULL ? v : verb;
    }
    if (verb != NULL) {
        take_verb(l, y, verb, a);
        return;
    }
    if (y->kind == PEAL_YAML_MAP && y->n > 0)
        check_keys(l, y, verbs);
    else
        complain(l, y, "expected ack, drop, or one of relay, join, leave, reply");
}

static void
take_actions(struct loader *l, const struct peal_yaml *y, struct peal_rule_event *e)
{
    bool list = y->kind == PEAL_YAML_SEQ;
    const struct peal_yaml *one = list ? y->first : y;
    struct peal_rule_action *actions;
    unsigned n = list ? y->n : 1;

    if (n == 0 || n > PEAL_RULES_ACTIONS_MAX) {
        complain(l, y, "expected 1 to %d actions", PEAL_RULES_ACTIONS_MAX);
        return;
    }
    if ((actions = alloc(l, n, sizeof(*actions))) == NULL)
        return;
    e->actions = actions;
    e->n_actions = n;
    for (unsigned i = 0; i < n && l->err != PEAL_ENOMEM; i++, one = one->next) {
        take_action(l, one, &actions[i]);
        if (n > 1 && actions[i].verb == PEAL_RULE_DROP)
            complain(l, one, "drop does nothing, so it stands alone");
    }
}

/* Namespaces and channels. */

static void
take_event_pattern(struct loader *l, const struct peal_yaml *key)
{
    struct peal_buf b = { 0 };

    if (peal_json_quote(&b, peal_yaml_slice(key)) != PEAL_OK)
        l->err = PEAL_ENOMEM;
    else if (peal_sio_event_reserved(peal_buf_slice(&b)))
        complain(l, key, "a reserved name that no client may emit");
    peal_buf_fini(&b);
}

static void
take_events(struct loader *l, const struct peal_yaml *map, struct peal_rule_namespace *n)
{
    struct peal_rule_event *events;

    if (!is_map(l, map, "events and what they do") ||
        (events = alloc(l, map->n, sizeof(*events))) == NULL)
        return;
    n->events = events;
    for (const struct peal_yaml *y = map->first; y != NULL && l->err != PEAL_ENOMEM;
         y = y->next) {
        struct peal_rule_event *e = &events[n->n_events++];
        size_t back = down(l, y->key->text);

        e->pattern = copy(l, peal_yaml_slice(y->key));
        take_event_pattern(l, y->key);
        take_actions(l, y, e);
        l->path_len = back;
    }
}

static void
take_connect(struct loader *l, const struct peal_yaml *y, struct peal_rule_namespace *n)
{
    size_t back = down(l, "connect");

    if (y != NULL && y->kind == PEAL_YAML_SCALAR && strcmp(y->text, "deny") == 0)
        n->connect = false;
    else if (y != NULL && (y->kind != PEAL_YAML_SCALAR || strcmp(y->text, "allow") != 0))
        complain(l, y, "expected allow or deny");
    l->path_len = back;
}

static void
take_namespace(struct loader *l, const struct peal_yaml *y, struct peal_rule_namespace *n)
{
    static const char *const keys[] = { "connect", "events", NULL };
    struct peal_slice pattern = peal_yaml_slice(y->key);
    const struct peal_yaml *events;
    size_t back;

    n->pattern = copy(l, pattern);
    n->connect = true;
    if (!peal_slice_starts(pattern, PEAL_S("/")) && !peal_slice_eq(pattern, PEAL_S("*")))
        complain(l, y->key, "a namespace begins with /");
    else if (memchr(pattern.data, '#', pattern.len) != NULL)
        complain(l, y->key, "a namespace has no # in its name");
    if (peal_yaml_is_null(y) || !is_map(l, y, "connect and events"))
        return;
    check_keys(l, y, keys);
    take_connect(l, peal_yaml_get(y, "connect"), n);
    if ((events = peal_yaml_get(y, "events")) == NULL || peal_yaml_is_null(events))
        return;
    back = down(l, "events");
    take_events(l, events, n);
    l->path_len = back;
}

static void
take_channel(struct loader *l, const struct peal_yaml *y, struct peal_rule_channel *c)
{
    static const char *const keys[] = { "subscribe", "publish", NULL };

    c->pattern = copy(l, peal_yaml_slice(y->key));
    if (!is_map(l, y, "subscribe and publish"))
        return;
    check_keys(l, y, keys);
    c->subscribe = take_bool(l, y, "subscribe");
    c->publish = take_bool(l, y, "publish");
}

static void
take_namespaces(struct loader *l, const struct peal_yaml *map)
{
    struct peal_rule_namespace *all;

    if (!is_map(l, map, "namespaces") || (all = alloc(l, map->n, sizeof(*all))) == NULL)
        return;
    l->rules->namespaces = all;
    for (const struct peal_yaml *y = map->first; y != NULL && l->err != PEAL_ENOMEM;
         y = y->next) {
        size_t back = down(l, y->key->text);

        take_namespace(l, y, &all[l->rules->n_namespaces++]);
        l->path_len = back;
    }
}

static void
take_channels(struct loader *l, const struct peal_yaml *map)
{
    struct peal_rule_channel *all;

    if (!is_map(l, map, "channels") || (all = alloc(l, map->n, sizeof(*all))) == NULL)
        return;
    l->rules->channels = all;
    for (const struct peal_yaml *y = map->first; y != NULL && l->err != PEAL_ENOMEM;
         y = y->next) {
        size_t back = down(l, y->key->text);

        take_channel(l, y, &all[l->rules->n_channels++]);
        l->path_len = back;
    }
}

peal_err
peal_rules_load(struct peal_rules *r, const struct peal_yaml *tree, const char *file,
    struct peal_buf *errors)
{
    static const char *const keys[] = { "namespaces", "channels", NULL };
    struct loader l = { .rules = r, .file = file, .errors = errors };
    const struct peal_yaml *namespaces = peal_yaml_get(tree, "namespaces");
    const struct peal_yaml *channels = peal_yaml_get(tree, "channels");
    size_t back;

    down(&l, "rules");
    if (!is_map(&l, tree, "namespaces and channels"))
        return l.err;
    check_keys(&l, tree, keys);
    back = down(&l, "namespaces");
    if (namespaces != NULL && !peal_yaml_is_null(namespaces))
        take_namespaces(&l, namespaces);
    l.path_len = back;
    down(&l, "channels");
    if (channels != NULL && !peal_yaml_is_null(channels))
        take_channels(&l, channels);
    return l.err;
}

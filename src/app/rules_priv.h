/* SPDX-License-Identifier: MIT */
/*
 * Rules in memory: rules_load.c makes them of a configuration, rules.c carries them out.
 * Patterns are in the order of the file, and the first that matches counts. Immutable
 * once made; any thread.
 */
#ifndef PEAL_APP_RULES_PRIV_H
#define PEAL_APP_RULES_PRIV_H

#include "app/rules.h"

enum peal_rule_verb {
    PEAL_RULE_ACK,   /* acknowledge with the event's own arguments */
    PEAL_RULE_DROP,  /* nothing, not even an acknowledgement */
    PEAL_RULE_RELAY, /* emit to a room, or to everybody in the namespace */
    PEAL_RULE_JOIN,
    PEAL_RULE_LEAVE,
    PEAL_RULE_REPLY, /* emit to the sender alone */
    PEAL_RULE_DEV    /* ack if one is wanted, else relay to everybody */
};

enum peal_rule_source {
    PEAL_RULE_NONE,
    PEAL_RULE_FIXED, /* text */
    PEAL_RULE_ARG    /* argument number arg of the event */
};

/* The source of the name of a room or an event. */
struct peal_rule_name {
    enum peal_rule_source source;
    unsigned arg;
    struct peal_slice text; /* of a room: its name; of an event: a JSON token */
};

struct peal_rule_action {
    enum peal_rule_verb verb;
    struct peal_rule_name room;     /* none: the whole namespace */
    struct peal_rule_name event;    /* none: the event's own name */
    const struct peal_slice *rooms; /* patterns for a room that the client names */
    unsigned n_rooms;               /* 0: any */
    bool except_sender, members_only, may_drop;
};

struct peal_rule_event {
    struct peal_slice pattern;
    const struct peal_rule_action *actions;
    unsigned n_actions;
};

struct peal_rule_namespace {
    struct peal_slice pattern;
    const struct peal_rule_event *events;
    unsigned n_events;
    bool connect;
};

struct peal_rule_channel {
    struct peal_slice pattern;
    bool subscribe, publish;
};

/* Memory of the rules, all of which is released together. */
struct peal_rule_chunk {
    struct peal_rule_chunk *next;
    _Alignas(16) char bytes[];
};

struct peal_rules {
    struct peal_app app; /* first */
    const struct peal_rule_namespace *namespaces;
    const struct peal_rule_channel *channels;
    unsigned n_namespaces, n_channels;
    struct peal_rule_chunk *chunks;
};

/* peal_rules_load fills r from tree, as peal_rules_new says. r->chunks is the caller's to
 * release, also on failure. */
PEAL_MUST_USE peal_err peal_rules_load(struct peal_rules *r, const struct peal_yaml *tree,
    const char *file, struct peal_buf *errors);

#endif

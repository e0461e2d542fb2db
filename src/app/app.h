/* SPDX-License-Identifier: MIT */
/*
 * The application: what decides about connects, events, subscriptions and publishes. One
 * object serves all workers; every function runs on the session's loop and must not keep
 * what it is handed. Implementations: declarative rules (rules.c).
 */
#ifndef PEAL_APP_APP_H
#define PEAL_APP_APP_H

#include "hub/hub.h"

struct peal_app;

/* An event from a client, and how to answer it. Everything is borrowed. */
struct peal_event {
    struct peal_session *session;
    struct peal_slice nsp; /* Socket.IO namespace */
    struct peal_slice
        event;              /* raw JSON token as it came, normally a string with quotes */
    struct peal_slice name; /* its text, unescaped, for matching */
    struct peal_slice args; /* raw JSON values joined by commas */
    unsigned n_args;
    struct peal_blob *const *atts; /* attachments, in placeholder order */
    unsigned n_atts;
    /* Sends the acknowledgement with these arguments; NULL: the client wants none. May be
     * called once. atts are held as needed. */
    void (*ack)(const struct peal_event *ev, struct peal_slice args,
        struct peal_blob *const *atts, unsigned n_atts);
    /* Sends an event to this session alone, in order with everything else. */
    void (*emit)(const struct peal_event *ev, struct peal_slice event,
        struct peal_slice args, unsigned n_args, struct peal_blob *const *atts,
        unsigned n_atts);
};

/* A client that wants to join a Socket.IO namespace. */
struct peal_connect {
    struct peal_session *session;
    struct peal_slice nsp;
    struct peal_slice auth; /* raw JSON object, or empty */
};

struct peal_app_ops {
    const char *name;
    /* PEAL_OK: welcome. PEAL_ENOTFOUND: no such namespace (the client is told "Invalid
     * namespace"). PEAL_EPERM: refused with *why_out, static English. */
    peal_err (*connect)(
        struct peal_app *app, const struct peal_connect *c, const char **why_out);
    /* Optional: the client has been told that it is connected. ev->args is its auth
     * payload, or empty; there is no event and nothing to acknowledge. */
    void (*connected)(struct peal_app *app, const struct peal_event *ev);
    void (*event)(struct peal_app *app, const struct peal_event *ev);
    void (*disconnect)(struct peal_app *app, struct peal_session *s);
    /* Plain protocols: may s subscribe to, publish on, a channel? */
    bool (*may_subscribe)(
        struct peal_app *app, const struct peal_session *s, struct peal_slice channel);
    bool (*may_publish)(
        struct peal_app *app, const struct peal_session *s, struct peal_slice channel);
    void (*free)(struct peal_app *app);
};

/* Implementations begin with this. */
struct peal_app {
    const struct peal_app_ops *ops;
};

#endif

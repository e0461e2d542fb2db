/* SPDX-License-Identifier: MIT */
/*
 * The application: it decides about connects, events, subscriptions and publishes. One
 * object serves all workers. Implementations: declarative rules (rules.c).
 *
 * The app is asked on the session's loop and may answer there at once. What takes longer
 * it answers later, from any thread: it keeps the question (peal_ask_keep), returns, and
 * answers by the functions of app/question.h. The session of such a question is not read
 * further meanwhile, so its client waits and nothing piles up.
 *
 * What the app is handed it borrows for the call.
 */
#ifndef PEAL_APP_APP_H
#define PEAL_APP_APP_H

#include "app/question.h"
#include "hub/hub.h"

struct peal_app;

/* The reason for the end of a session. */
enum peal_session_end {
    PEAL_END_CLIENT,          /* the client closed it */
    PEAL_END_LOST,            /* its connection was lost */
    PEAL_END_DRAIN,           /* drained: its client is to come back elsewhere */
    PEAL_END_SERVER,          /* disconnected by the app, the API or another server */
    PEAL_END_STOP,            /* the node stops */
    PEAL_END_PING_TIMEOUT,    /* no pong came in time */
    PEAL_END_CONNECT_TIMEOUT, /* it joined no namespace in time */
    PEAL_END_SLOW,            /* its output queue passed a limit */
    PEAL_END_BAD_INPUT,       /* its client broke the protocol */
    PEAL_END_MEMORY,          /* out of memory */
};

/* An event from a client, and how to answer it. */
struct peal_event {
    struct peal_ask ask; /* to keep it; ack.kind is PEAL_ASK_EVENT */
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
     * called once, and not for an event that is kept. atts are retained as needed. */
    void (*ack)(const struct peal_event *ev, struct peal_slice args,
        struct peal_blob *const *atts, unsigned n_atts);
    /* Sends an event to this session alone, in order with everything else. */
    void (*emit)(const struct peal_event *ev, struct peal_slice event,
        struct peal_slice args, unsigned n_args, struct peal_blob *const *atts,
        unsigned n_atts);
};

/* A client that wants to join a Socket.IO namespace. */
struct peal_connect {
    struct peal_ask ask;
    struct peal_session *session;
    struct peal_slice nsp;
    struct peal_slice auth; /* raw JSON object, or empty */
};

/* A client of a plain protocol that wants to subscribe to a channel, or publish on it. */
struct peal_access {
    struct peal_ask ask;
    const struct peal_session *session;
    struct peal_slice channel;
};

/*
 * The answers to all three: PEAL_OK: it may. PEAL_EPERM: it may not; *why_out, static
 * English, tells the client why. PEAL_ENOTFOUND, connect only: there is no such namespace
 * (the client is told "Invalid namespace"). PEAL_EAGAIN: the question was kept.
 */
typedef peal_err peal_app_connect_fn(
    struct peal_app *app, const struct peal_connect *c, const char **why_out);
typedef peal_err peal_app_access_fn(
    struct peal_app *app, const struct peal_access *a, const char **why_out);

typedef void peal_app_event_fn(struct peal_app *app, const struct peal_event *ev);
typedef void peal_app_disconnect_fn(
    struct peal_app *app, struct peal_session *s, enum peal_session_end why);
typedef void peal_app_fn(struct peal_app *app);

struct peal_app_ops {
    const char *name;
    peal_app_connect_fn *connect;
    /* Optional: the client has been told that it is connected. ev->args is its auth
     * payload, or empty; there is no event and nothing to acknowledge or to keep. */
    peal_app_event_fn *connected;
    peal_app_event_fn *event;
    /* Optional: a session that was allowed to connect, or to subscribe, has ended. It is
     * released after the call; its questions are gone. */
    peal_app_disconnect_fn *disconnect;
    peal_app_access_fn *may_subscribe, *may_publish;
    /* Optional: the loops have stopped. After its return no question is answered, or
     * released, but by free. Control thread. */
    peal_app_fn *stop;
    /* Releases app. Sessions and loops are gone. Control thread. */
    peal_app_fn *free;
};

/* Implementations begin with this. */
struct peal_app {
    const struct peal_app_ops *ops;
};

#endif

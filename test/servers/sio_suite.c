/* SPDX-License-Identifier: MIT */
/* Socket.IO for its protocol's test suite: an app in C with the namespaces, greetings and
 * echoes that the suite asks for. */
#include <stdlib.h>

#include "run.h"

static peal_err
on_connect(struct peal_app *app, const struct peal_connect *c, const char **why_out)
{
    if (peal_slice_eq(c->nsp, PEAL_S("/")) || peal_slice_eq(c->nsp, PEAL_S("/custom")))
        return PEAL_OK;
    return PEAL_ENOTFOUND;
}

/*
 * The suite waits for one message after the other and would miss a greeting that comes in
 * the same segment as the answer to its CONNECT. So the greeting takes a moment, as it
 * does on a server whose writes are one a packet.
 */
#define GREETING_MS 5

struct greeting {
    struct peal_timer timer;
    struct peal_shard *shard;
    char id[PEAL_ID_LEN]; /* of the session */
    struct peal_buf nsp, auth;
};

static void
free_greeting(struct greeting *g)
{
    peal_buf_fini(&g->nsp);
    peal_buf_fini(&g->auth);
    free(g);
}

static void
greet(struct peal_timer *t)
{
    struct greeting *g = PEAL_CONTAINER(t, struct greeting, timer);
    struct peal_slice channel = peal_slice_of(g->id, PEAL_ID_LEN);
    struct peal_msg_spec spec = { .channels = &channel,
        .n_channels = 1,
        .nsp = peal_buf_slice(&g->nsp),
        .event = PEAL_S("\"auth\""),
        .args = peal_buf_slice(&g->auth),
        .n_args = 1 };
    struct peal_msg *m;

    if (peal_msg_new(&spec, &m) == PEAL_OK) {
        peal_publish(g->shard, m);
        peal_msg_release(m);
    }
    free_greeting(g);
}

static void
on_connected(struct peal_app *app, const struct peal_event *ev)
{
    struct greeting *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return;
    g->timer.fn = greet;
    g->shard = ev->session->shard;
    memcpy(g->id, ev->session->id, PEAL_ID_LEN);
    if (peal_buf_add_slice(&g->nsp, ev->nsp) != PEAL_OK ||
        peal_buf_add_slice(&g->auth, ev->args.len > 0 ? ev->args : PEAL_S("{}")) !=
            PEAL_OK)
        free_greeting(g);
    else
        peal_loop_start(peal_shard_loop(g->shard), &g->timer, GREETING_MS);
}

static void
on_event(struct peal_app *app, const struct peal_event *ev)
{
    if (!peal_slice_eq(ev->nsp, PEAL_S("/")))
        return;
    if (peal_slice_eq(ev->name, PEAL_S("message")))
        ev->emit(
            ev, PEAL_S("\"message-back\""), ev->args, ev->n_args, ev->atts, ev->n_atts);
    else if (peal_slice_eq(ev->name, PEAL_S("message-with-ack")) && ev->ack != NULL)
        ev->ack(ev, ev->args, ev->atts, ev->n_atts);
}

static peal_err
no(struct peal_app *app, const struct peal_access *a, const char **why_out)
{
    return PEAL_EPERM;
}

static void
on_free(struct peal_app *app)
{
}

static const struct peal_app_ops suite_ops = { .name = "suite",
    .connect = on_connect,
    .connected = on_connected,
    .event = on_event,
    .may_subscribe = no,
    .may_publish = no,
    .free = on_free };

static struct peal_app suite = { &suite_ops };

static peal_err
make_app(const struct peal_options *o, struct peal_app **out)
{
    *out = &suite;
    return PEAL_OK;
}

int
main(int argc, char **argv)
{
    static const char *const defaults[] = { "listen=127.0.0.1:3000",
        "socketio.ping_interval=300ms", "socketio.ping_timeout=200ms",
        "socketio.connect_timeout=1000ms", "socketio.max_payload=1000000",
        "socketio.cors=*", "drain.delay=0s", "drain.window=0s", NULL };

    return run_server(argc, argv, &(struct peal_program){ .app = make_app }, defaults);
}

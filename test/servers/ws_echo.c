/* SPDX-License-Identifier: MIT */
/* A WebSocket that sends every message back, for the Autobahn suite: on every path, with
 * permessage-deflate. */
#include <stdlib.h>

#include "proto/wsconn.h"
#include "run.h"

struct echo {
    struct peal_wsconn ws; /* first */
    struct peal_proto *proto;
};

static void
on_message(struct peal_wsconn *w, bool binary, struct peal_slice payload)
{
    peal_wsconn_send(w, binary ? PEAL_WS_BINARY : PEAL_WS_TEXT, payload, 0);
}

static void
on_closed(struct peal_wsconn *w, uint16_t code, enum peal_close why, const char *detail)
{
    peal_loop_free_later(((struct echo *)w)->proto->loop, free, w);
}

static struct peal_deflate *
codec(const struct peal_wsconn *w)
{
    return ((const struct echo *)w)->proto->deflate;
}

static const struct peal_wsconn_ops ops = {
    .message = on_message, .codec = codec, .closed = on_closed
};

static void
handle(struct peal_http *h, void *proto)
{
    static const struct peal_wsframe_limits limits = { .message_max = 64 << 20 };
    struct peal_proto *p = proto;
    struct peal_wsconn_config config = { &limits, true };
    struct echo *e;
    unsigned status;
    const char *why;

    if (peal_wsconn_check(h, &status, &why) != PEAL_OK) {
        peal_http_reply(h, status, "text/plain", peal_slice_str(why));
        return;
    }
    if ((e = calloc(1, sizeof(*e))) == NULL) {
        peal_http_close(h, PEAL_CLOSE_ERROR);
        return;
    }
    e->proto = p;
    if (peal_wsconn_accept(&e->ws, h, &config, &ops) != PEAL_OK)
        free(e);
}

int
main(int argc, char **argv)
{
    static const char *const defaults[] = { "listen=127.0.0.1:3000", "ws.message_max=64m",
        "io.queue_max=256m", "drain.delay=0s", "drain.window=0s", NULL };

    return run_server(
        argc, argv, &(struct peal_program){ .handle = handle, .path = "/" }, defaults);
}

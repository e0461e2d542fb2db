/* SPDX-License-Identifier: MIT */
/* Engine.IO for its protocol's test suite: sends every message back, text and binary. */
#include "run.h"

static void
on_open(struct peal_eio_session *s)
{
}

static bool
on_message(struct peal_eio_session *s, bool binary, struct peal_slice data)
{
    enum peal_sio_transport t = peal_eio_transport(s);
    struct peal_blob *b =
        binary ? peal_sio_pack_binary(data, t) : peal_sio_pack(data, NULL, 0, t);

    if (b == NULL)
        return false;
    peal_eio_send(s, b, 0);
    peal_blob_release(b);
    return true;
}

static void
on_close(struct peal_eio_session *s, enum peal_session_end how)
{
}

static const struct peal_eio_ops echo = {
    .open = on_open, .message = on_message, .close = on_close
};

int
main(int argc, char **argv)
{
    static const char *const defaults[] = { "listen=127.0.0.1:3000",
        "socketio.path=/engine.io/", "socketio.ping_interval=300ms",
        "socketio.ping_timeout=200ms", "socketio.max_payload=1000000", "socketio.cors=*",
        "socketio.serve_client=off", "drain.delay=0s", "drain.window=0s", NULL };

    return run_server(argc, argv, &(struct peal_program){ .rider = &echo }, defaults);
}

/* SPDX-License-Identifier: MIT */
/* Peal with a route that makes the worker send n sessions away: /shed/n. */
#include "proto/proto.h"
#include "run.h"

static void
handle(struct peal_http *h, void *proto)
{
    struct peal_slice path = h->head->path;
    uint64_t n;

    if (peal_slice_u64(peal_slice_skip(path, sizeof("/shed/") - 1), 1000, &n) == PEAL_OK)
        peal_sessions_shed(proto, (unsigned)n);
    peal_http_reply(h, 200, NULL, PEAL_S(""));
}

int
main(int argc, char **argv)
{
    static const char *const defaults[] = { "listen=127.0.0.1:3000", "workers=1",
        "dev=on", "drain.delay=0s", "drain.window=0s", NULL };

    return run_server(argc, argv,
        &(struct peal_program){ .handle = handle, .path = "/shed/" }, defaults);
}

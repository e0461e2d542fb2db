/* SPDX-License-Identifier: MIT */
/* Values of a WebSocket handshake: what a server answers to any offer, its own client
 * understands or was never asked. The first byte is the server's settings. */
#include "fuzz.h"

#include "wire/ws.h"

static void
offer(struct peal_slice in, const struct peal_wsdeflate_settings *s)
{
    struct peal_wsdeflate server, client;
    struct peal_buf answer = { 0 };

    if (peal_wsdeflate_negotiate(in, s, &server, &answer) != PEAL_OK) {
        if (server.on || answer.len > 0)
            abort();
        return;
    }
    if (server.on != (answer.len > 0))
        abort();
    if (server.on && (server.deflate_bits < 9 || server.deflate_bits > s->server_bits))
        abort();
    if (server.on && peal_wsdeflate_accept(peal_buf_slice(&answer), &client) == PEAL_OK &&
        (!client.on || client.deflate_bits < 9 || client.deflate_bits > 15))
        abort();
    peal_buf_fini(&answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_wsdeflate_settings s;
    struct peal_wsdeflate out;
    struct peal_slice in;
    char key[PEAL_WS_ACCEPT_LEN];

    if (size < 1)
        return 0;
    s = (struct peal_wsdeflate_settings){ .server_bits = 9 + data[0] % 7,
        .client_bits = 8 + (data[0] >> 4) % 8 };
    in = peal_slice_of(data + 1, size - 1);
    offer(in, &s);
    if (peal_wsdeflate_accept(in, &out) == PEAL_OK && out.on &&
        (out.deflate_bits < 9 || out.deflate_bits > 15))
        abort();
    (void)!peal_wshandshake_accept_key(in, key);
    return 0;
}

// SPDX-License-Identifier: MIT
// uWebSockets as a peer: what one connection says goes to all that came by the same path, the
// sender included, by its own publish and subscribe. Built by tools/bench.sh from the source tree
// that UWS names.   uws PORT
#include "App.h"

#include <cstdio>
#include <cstdlib>
#include <string>

struct Client {
    std::string topic;
};

int
main(int argc, char **argv)
{
    uWS::App app;

    if (argc != 2)
        return 2;
    app.ws<Client>("/*",
        { .compression = uWS::DISABLED,
            .maxPayloadLength = 1 << 20,
            .idleTimeout = 0,
            .maxBackpressure = 1 << 20,
            .upgrade =
                [](auto *res, auto *req, auto *context) {
                    res->template upgrade<Client>({ std::string(req->getUrl()) },
                        req->getHeader("sec-websocket-key"),
                        req->getHeader("sec-websocket-protocol"),
                        req->getHeader("sec-websocket-extensions"), context);
                },
            .open = [](auto *ws) { ws->subscribe(ws->getUserData()->topic); },
            .message =
                [&app](auto *ws, std::string_view message, uWS::OpCode code) {
                    app.publish(ws->getUserData()->topic, message, code);
                } });
    app.listen("127.0.0.1", std::atoi(argv[1]), [](auto *socket) {
        if (socket == nullptr)
            std::exit(1);
        std::puts("ready");
        std::fflush(stdout);
    });
    app.run();
    return 0;
}

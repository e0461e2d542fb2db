/* SPDX-License-Identifier: MIT */
/* Files inside the binary: the demo page, and the JavaScript clients of Socket.IO. */
#ifndef PEAL_SERVER_ASSETS_H
#define PEAL_SERVER_ASSETS_H

#include "http/http.h"
#include "server/options.h"

/*
 * peal_assets_routes fills in the routes of what the options want served: "/" with dev,
 * the bundles below socketio.path with socketio.serve_client. Returns how many.
 *   o    kept: the routes point into it
 *   max  room in out
 */
unsigned peal_assets_routes(
    const struct peal_options *o, struct peal_http_route *out, unsigned max);

#endif

/* SPDX-License-Identifier: MIT */
/* Files inside the binary: the demo page, and the JavaScript clients of Socket.IO. */
#ifndef PEAL_SERVER_ASSETS_H
#define PEAL_SERVER_ASSETS_H

#include "http/http.h"
#include "server/options.h"

#define PEAL_ASSET_PATHS_MAX 8

/* Routes to what the options want served: "/" with dev, the bundles below socketio.path
 * with socketio.serve_client. Read-only once made; shared by all workers. */
struct peal_assets {
    struct peal_http_route routes[PEAL_ASSET_PATHS_MAX + 1];
    unsigned n;
    struct peal_buf paths[PEAL_ASSET_PATHS_MAX];
    unsigned n_paths;
};

/* Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_assets_new(
    const struct peal_options *o, struct peal_assets *out);
void peal_assets_free(struct peal_assets *a);

#endif

/* SPDX-License-Identifier: MIT */
#include "server/assets.h"

unsigned
peal_assets_routes(
    const struct peal_options *o, struct peal_http_route *out, unsigned max)
{
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* A build without npm: no page, no clients. */
#include "server/assets_data.h"

const struct peal_asset peal_assets[] = { { 0 } };
const unsigned peal_n_assets = 0;

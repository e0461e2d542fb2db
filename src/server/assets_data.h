/* SPDX-License-Identifier: MIT */
/* The table that web/build.mjs writes. */
#ifndef PEAL_SERVER_ASSETS_DATA_H
#define PEAL_SERVER_ASSETS_DATA_H

struct peal_asset {
    const char *name, *type;
    const char *etag;   /* with quotes */
    const char *policy; /* Content-Security-Policy, or empty */
    const char *plain, *plain_end, *gzip, *gzip_end;
};

extern const struct peal_asset peal_assets[];
extern const unsigned peal_n_assets;

#endif

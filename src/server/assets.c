/* SPDX-License-Identifier: MIT */
/*
 * Files inside the binary. Each has a route of its own, so that a name nobody has falls
 * through to Engine.IO, which refuses it as the original does.
 */
#include "server/assets.h"

#include <stdlib.h>
#include <string.h>

#include "server/assets_data.h"
#include "wire/gzip.h"

static bool
matches(struct peal_slice list, const struct peal_asset *a)
{
    struct peal_slice item;

    while (peal_httphead_list_next(&list, &item)) {
        if (peal_slice_starts(item, PEAL_S("W/")))
            item = peal_slice_skip(item, 2);
        if (peal_slice_eq(item, PEAL_S("*")) ||
            peal_slice_eq(item, peal_slice_str(a->etag)))
            return true;
    }
    return false;
}

static void
handle(struct peal_http *h, void *asset)
{
    const struct peal_asset *a = asset;
    bool gzip = peal_coding_takes_gzip(h->head);

    if (!peal_slice_eq(h->head->method, PEAL_S("GET")) && !h->is_head) {
        peal_http_add(h, "Allow", "GET, HEAD");
        peal_http_reply(h, 405, "text/plain", PEAL_S("this is only to be read\n"));
        return;
    }
    peal_http_add(h, "Cache-Control", "public, max-age=0");
    peal_http_add(h, "ETag", "%s", a->etag);
    peal_http_add(h, "Vary", "Accept-Encoding");
    if (matches(peal_httphead_get(h->head, PEAL_S("If-None-Match")), a)) {
        peal_http_reply(h, 304, NULL, PEAL_S(""));
        return;
    }
    peal_http_add(h, "X-Content-Type-Options", "nosniff");
    if (*a->policy != '\0') {
        peal_http_add(h, "Content-Security-Policy", "%s", a->policy);
        peal_http_add(h, "Referrer-Policy", "no-referrer");
    }
    if (gzip)
        peal_http_add(h, "Content-Encoding", "gzip");
    peal_http_reply(h, 200, a->type,
        gzip ? peal_slice_of(a->gzip, (size_t)(a->gzip_end - a->gzip))
             : peal_slice_of(a->plain, (size_t)(a->plain_end - a->plain)));
}

static void
no_page(struct peal_http *h, void *ctx)
{
    peal_http_add(h, "X-Content-Type-Options", "nosniff");
    peal_http_reply(h, 200, "text/plain",
        PEAL_S(
            "Peal is running. This build has no demo page: it was made without npm.\n"));
}

peal_err
peal_assets_new(const struct peal_options *o, struct peal_assets *out)
{
    *out = (struct peal_assets){ 0 };
    for (unsigned i = 0; i < peal_n_assets && o->socketio_serve_client; i++) {
        const struct peal_asset *a = &peal_assets[i];
        struct peal_buf *path = &out->paths[out->n_paths];

        if (strncmp(a->name, "socket.io.", 10) != 0 ||
            out->n_paths == PEAL_ASSET_PATHS_MAX)
            continue;
        if (peal_buf_printf(path, "%s%s", o->socketio_path, a->name) != PEAL_OK) {
            peal_assets_free(out);
            return PEAL_ENOMEM;
        }
        out->routes[out->n++] = (struct peal_http_route){
            .path = peal_buf_slice(path), .handle = handle, .ctx = (void *)(uintptr_t)a
        };
        out->n_paths++;
    }
    if (!o->dev)
        return PEAL_OK;
    out->routes[out->n] =
        (struct peal_http_route){ .path = PEAL_S("/"), .handle = no_page };
    for (unsigned i = 0; i < peal_n_assets; i++)
        if (strcmp(peal_assets[i].name, "index.html") == 0) {
            out->routes[out->n].handle = handle;
            out->routes[out->n].ctx = (void *)(uintptr_t)&peal_assets[i];
        }
    out->n++;
    return PEAL_OK;
}

void
peal_assets_free(struct peal_assets *a)
{
    for (unsigned i = 0; i < a->n_paths; i++)
        peal_buf_fini(&a->paths[i]);
    *a = (struct peal_assets){ 0 };
}

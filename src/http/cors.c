/* SPDX-License-Identifier: MIT */
/*
 * Origins: who may read answers from a page (CORS, as the fetch standard has it), and who
 * may open a WebSocket, which CORS does not protect (RFC 6455 section 10.2).
 */
#include "http/http_priv.h"

#define ORIGIN_MAX 512 /* bytes of an Origin that is echoed */

static const struct peal_slice *
match(struct peal_slice origin, const struct peal_slice *origins, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (peal_slice_glob(origins[i], origin))
            return &origins[i];
    return NULL;
}

static bool
clean(struct peal_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] <= 0x20 || (unsigned char)s.data[i] >= 0x7f)
            return false;
    return s.len > 0 && s.len <= ORIGIN_MAX;
}

static bool
is_any(const struct peal_cors *cors)
{
    return cors->n == 1 && peal_slice_eq(cors->origins[0], PEAL_S("*")) &&
           !cors->credentials;
}

bool
peal_http_cors(struct peal_http *h, const struct peal_cors *cors)
{
    struct peal_slice origin = peal_httphead_get(h->head, PEAL_S("Origin"));
    struct peal_slice want;
    bool allowed;

    if (cors == NULL || cors->n == 0)
        return false;
    if (is_any(cors)) {
        peal_http_add(h, "Access-Control-Allow-Origin", "*");
        allowed = true;
    } else {
        allowed = clean(origin) && match(origin, cors->origins, cors->n) != NULL;
        if (allowed)
            peal_http_add(h, "Access-Control-Allow-Origin", "%.*s", PEAL_ARG(origin));
        peal_http_add(h, "Vary", "Origin");
        if (allowed && cors->credentials)
            peal_http_add(h, "Access-Control-Allow-Credentials", "true");
    }
    if (!peal_slice_eq(h->head->method, PEAL_S("OPTIONS")))
        return false;
    if (allowed) {
        peal_http_add(
            h, "Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE");
        want = peal_httphead_get(h->head, PEAL_S("Access-Control-Request-Headers"));
        peal_http_add(h, "Vary", "Access-Control-Request-Headers");
        if (want.len > 0 && want.len <= ORIGIN_MAX * 4)
            peal_http_add(h, "Access-Control-Allow-Headers", "%.*s", PEAL_ARG(want));
    }
    /* Not needed with 204, but some browsers have waited for a body without it. */
    peal_http_add(h, "Content-Length", "0");
    peal_http_reply(h, 204, NULL, PEAL_S(""));
    return true;
}

bool
peal_http_origin_ok(
    const struct peal_http *h, const struct peal_slice *origins, unsigned n)
{
    struct peal_slice origin = peal_httphead_get(h->head, PEAL_S("Origin"));
    struct peal_slice rest = origin;

    if (origin.data == NULL)
        return true;
    if (n > 0)
        return match(origin, origins, n) != NULL;
    /* The same host: scheme://host[:port] against Host. */
    if (peal_slice_starts(origin, PEAL_S("http://")))
        rest = peal_slice_skip(origin, 7);
    else if (peal_slice_starts(origin, PEAL_S("https://")))
        rest = peal_slice_skip(origin, 8);
    return rest.len > 0 && peal_slice_ieq(rest, h->head->host);
}

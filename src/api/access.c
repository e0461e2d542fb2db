/* SPDX-License-Identifier: MIT */
/*
 * Access to the HTTP API. With keys: a request that has one. Without: none, but for
 * --dev, where programs on this machine may. Pages in a browser on this machine are no
 * such programs: a page of anybody can send requests to 127.0.0.1, and by rebinding its
 * name (DNS) even read the answers. So Host and Origin must name this machine too.
 *
 * All of it is known before the body is read.
 */
#include "api/api_priv.h"
#include "wire/hostport.h"

/* Tells whether this host, perhaps with a port, names the machine itself. */
static bool
is_this_machine(struct peal_slice text)
{
    struct peal_hostport hp;
    struct peal_addr addr;

    if (peal_hostport_split(text, &hp) != PEAL_OK)
        return false;
    return peal_slice_ieq(hp.host, PEAL_S("localhost")) ||
           (peal_addr_parse_ip(hp.host, &addr) == PEAL_OK &&
               peal_addr_is_loopback(&addr));
}

static bool
is_local_origin(struct peal_slice origin)
{
    if (origin.data == NULL)
        return true;
    if (peal_slice_starts(origin, PEAL_S("http://")))
        return is_this_machine(peal_slice_skip(origin, 7));
    return peal_slice_starts(origin, PEAL_S("https://")) &&
           is_this_machine(peal_slice_skip(origin, 8));
}

static bool
is_proxied(const struct peal_httphead *head)
{
    return peal_httphead_get(head, PEAL_S("X-Forwarded-For")).data != NULL ||
           peal_httphead_get(head, PEAL_S("Forwarded")).data != NULL ||
           peal_httphead_get(head, PEAL_S("X-Real-IP")).data != NULL ||
           peal_httphead_get(head, PEAL_S("Via")).data != NULL;
}

static bool
is_local(const struct peal_http *h)
{
    return peal_addr_is_loopback(&h->peer) && peal_addr_is_loopback(&h->client) &&
           (h->trusted || !is_proxied(h->head)) && is_this_machine(h->head->host) &&
           is_local_origin(peal_httphead_get(h->head, PEAL_S("Origin")));
}

/* All keys are compared, whichever fits, so that time tells nothing. */
static bool
has_key(const struct peal_http *h, const struct peal_api_node *node)
{
    struct peal_slice rest = peal_httphead_get(h->head, PEAL_S("Authorization"));
    struct peal_slice scheme = peal_slice_cut(&rest, ' ');
    struct peal_slice key = peal_slice_trim(rest);
    bool same = false;

    for (unsigned i = 0; i < node->n_keys; i++)
        same |= peal_slice_eq_consttime(key, node->keys[i]);
    return same && peal_slice_ieq(scheme, PEAL_S("Bearer"));
}

static bool
may_ask(struct peal_http *h, struct peal_api *api)
{
    const struct peal_api_node *node = api->node;

    if (node->n_keys > 0) {
        if (has_key(h, node))
            return true;
        peal_http_add(h, "WWW-Authenticate", "Bearer");
        peal_api_error(h, api, 401, "unauthorized",
            "send one of the keys of api.key as Authorization: Bearer <key>");
        return false;
    }
    if (node->dev && is_local(h))
        return true;
    peal_api_error(h, api, 403, "forbidden", "%s",
        node->dev ? "without api.key only programs on this machine may use the API, "
                    "with its own name or address in Host and Origin"
                  : "the API is off: set api.key to use it");
    return false;
}

/* A form of a foreign page cannot send JSON without asking first (CORS). */
static bool
is_json(const struct peal_httphead *head)
{
    struct peal_slice type = peal_httphead_get(head, PEAL_S("Content-Type"));

    if (type.data == NULL)
        return true;
    return peal_slice_ieq(
        peal_slice_trim(peal_slice_cut(&type, ';')), PEAL_S("application/json"));
}

bool
peal_api_method(struct peal_http *h, const char *allow)
{
    struct peal_slice rest = peal_slice_str(allow), method;

    while (peal_httphead_list_next(&rest, &method))
        if (peal_slice_eq(
                method, h->head->method)) /* in this case: RFC 9110 section 9.1 */
            return true;
    peal_http_add(h, "Allow", "%s", allow);
    return false;
}

bool
peal_api_enter(struct peal_http *h, struct peal_api *api)
{
    if (peal_http_cors(h, api->node->cors))
        return false;
    if (!peal_api_method(h, "POST")) {
        peal_api_error(h, api, 405, "method_not_allowed", "use POST");
        return false;
    }
    if (!may_ask(h, api))
        return false;
    if (!is_json(h->head)) {
        peal_api_error(h, api, 415, "unsupported_media_type",
            "send the body as Content-Type: application/json");
        return false;
    }
    if (h->head->content_length > 0 &&
        (uint64_t)h->head->content_length > api->body_max) {
        peal_api_error(h, api, 413, "too_large", "the body may have %zu bytes at most",
            api->body_max);
        return false;
    }
    h->user = api; /* marks the request as authorized; the handler checks it */
    return true;
}

bool
peal_api_enter_get(struct peal_http *h, struct peal_api *api)
{
    if (peal_http_cors(h, api->node->cors))
        return false;
    if (peal_api_method(h, "GET"))
        return may_ask(h, api);
    peal_api_error(h, api, 405, "method_not_allowed", "use GET");
    return false;
}

void
peal_api_begin(struct peal_http *h, void *ctx)
{
    peal_api_enter(h, ctx);
}

void
peal_api_not_found(struct peal_http *h, void *ctx)
{
    struct peal_api *api = ctx;

    if (!peal_http_cors(h, api->node->cors))
        peal_api_error(h, api, 404, "not_found",
            "there are only /api/publish, /api/emit and /api/nodes here");
}

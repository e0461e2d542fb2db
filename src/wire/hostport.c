/* SPDX-License-Identifier: MIT */
/* host:port: the colon that counts is the one after the bracket, or the only one. */
#include "wire/hostport.h"

peal_err
peal_hostport_split(struct peal_slice text, struct peal_hostport *out)
{
    const char *colon, *bracket, *end = text.data + text.len;

    *out = (struct peal_hostport){ .host = text };
    if (peal_slice_starts(text, PEAL_S("["))) {
        if ((bracket = memchr(text.data, ']', text.len)) == NULL ||
            (bracket + 1 < end && bracket[1] != ':'))
            return PEAL_EINVAL;
        out->brackets = true;
        out->host = peal_slice_of(text.data + 1, (size_t)(bracket - text.data) - 1);
        colon = bracket + 1 < end ? bracket + 1 : NULL;
    } else {
        colon = text.len > 0 ? memchr(text.data, ':', text.len) : NULL;
        if (colon == NULL || memchr(colon + 1, ':', (size_t)(end - colon) - 1) != NULL)
            return PEAL_OK; /* a name, or an IPv6 address without brackets */
        out->host.len = (size_t)(colon - text.data);
    }
    if (colon != NULL)
        out->port = peal_slice_of(colon + 1, (size_t)(end - colon) - 1);
    return PEAL_OK;
}

peal_err
peal_hostport_split_last(struct peal_slice text, struct peal_hostport *out)
{
    const char *colon = text.len > 0 ? memrchr(text.data, ':', text.len) : NULL;

    *out = (struct peal_hostport){ .host = text };
    if (colon == NULL)
        return PEAL_EINVAL;
    out->host.len = (size_t)(colon - text.data);
    out->port = peal_slice_of(colon + 1, text.len - out->host.len - 1);
    if (out->host.len >= 2 && text.data[0] == '[' && colon[-1] == ']') {
        out->host = peal_slice_of(text.data + 1, out->host.len - 2);
        out->brackets = true;
    }
    return PEAL_OK;
}

peal_err
peal_hostport_port(const struct peal_hostport *hp, int fallback, uint16_t *out)
{
    uint64_t port;

    if (hp->port.len == 0) {
        if (fallback < 0)
            return PEAL_EINVAL;
        *out = (uint16_t)fallback;
        return PEAL_OK;
    }
    if (hp->port.len > 5 || peal_slice_u64(hp->port, 65535, &port) != PEAL_OK)
        return PEAL_EINVAL;
    *out = (uint16_t)port;
    return PEAL_OK;
}

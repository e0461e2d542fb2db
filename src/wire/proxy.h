/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol, versions 1 and 2: what a load balancer writes before the client's
 * first byte to say who the client is. A listener either expects it from everyone or from
 * no one; it cannot be guessed. Pure; nothing is allocated. Any thread.
 */
#ifndef PEAL_WIRE_PROXY_H
#define PEAL_WIRE_PROXY_H

#include "wire/addr.h"

#define PEAL_PROXY_V1_MAX 107  /* bytes, CRLF included */
#define PEAL_PROXY_V2_MAX 4096 /* bytes; our own bound, the format allows 64 KiB */

struct peal_proxy {
    /* The balancer speaks for itself (LOCAL: its health check) or does not know the
     * client (UNKNOWN, UNSPEC): use the connection's own addresses. src, dst: NONE. */
    bool local;
    bool tls; /* v2: the client came over TLS (PP2_TYPE_SSL) */
    struct peal_addr src, dst;
};

/*
 * peal_proxy_parse reads a header at the start of in.
 *   used_out  bytes of the header; set only on PEAL_OK
 * Errors: PEAL_EAGAIN: so far so good, more is needed. PEAL_EPROTO: not a PROXY header,
 * told at the first byte that cannot belong to one. PEAL_ELIMIT: above PEAL_PROXY_V2_MAX.
 */
PEAL_MUST_USE peal_err peal_proxy_parse(
    struct peal_slice in, struct peal_proxy *out, size_t *used_out);

#endif

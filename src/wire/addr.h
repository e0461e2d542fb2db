/* SPDX-License-Identifier: MIT */
/*
 * Addresses: IPv4 and IPv6 with a port, networks, and who a request really comes from
 * when it went through proxies. An IPv4 address mapped into IPv6 (::ffff:a.b.c.d) is an
 * IPv4 address everywhere here. Pure: no name is ever resolved. Any thread.
 */
#ifndef PEAL_WIRE_ADDR_H
#define PEAL_WIRE_ADDR_H

#include <sys/socket.h>

#include "base/slice.h"

enum peal_addr_kind {
    PEAL_ADDR_NONE, /* not known */
    PEAL_ADDR_V4,
    PEAL_ADDR_V6,
    PEAL_ADDR_UNIX /* a unix socket; has neither address nor port */
};

/* Zeroed: PEAL_ADDR_NONE. */
struct peal_addr {
    uint8_t ip[16]; /* network order; IPv4 uses the first four, the rest is 0 */
    uint16_t port;  /* host order */
    uint8_t kind;   /* enum peal_addr_kind */
};

#define PEAL_ADDR_TEXT_MAX 56 /* bytes, the zero included */

/*
 * peal_addr_parse reads what is written in listen options: "127.0.0.1:8080",
 * "[::1]:80", "localhost:80" (127.0.0.1), ":8080" or "8080" (every address: out is "::",
 * to be opened for both families), "unix:/path".
 *   path_out  the path of "unix:", borrowed from text; else data NULL. If path_out is
 *             NULL, "unix:" is refused.
 * Errors: PEAL_EINVAL.
 */
PEAL_MUST_USE peal_err peal_addr_parse(
    struct peal_slice text, struct peal_addr *out, struct peal_slice *path_out);

/* peal_addr_parse_ip reads an address without a port, an IPv6 one without brackets.
 * out->port is 0. Errors: PEAL_EINVAL. */
PEAL_MUST_USE peal_err peal_addr_parse_ip(struct peal_slice text, struct peal_addr *out);

/* These write a text with a zero and return its length: "1.2.3.4:80", "[::1]:80", or
 * without port and brackets; "unix" and "unknown" for the others. */
size_t peal_addr_format(const struct peal_addr *a, char out[PEAL_ADDR_TEXT_MAX]);
size_t peal_addr_format_ip(const struct peal_addr *a, char out[PEAL_ADDR_TEXT_MAX]);

bool peal_addr_eq(const struct peal_addr *a, const struct peal_addr *b);

/* peal_addr_is_loopback: 127.0.0.0/8, ::1, or a unix socket. */
bool peal_addr_is_loopback(const struct peal_addr *a);

/* peal_addr_from_ip takes the bytes of an address in network order.
 *   len  4 or 16
 *   port  host order */
void peal_addr_from_ip(
    const uint8_t *ip, size_t len, uint16_t port, struct peal_addr *out);

/* peal_addr_from_sockaddr: other families, and a len too short, give PEAL_ADDR_NONE. */
void peal_addr_from_sockaddr(
    const struct sockaddr *sa, socklen_t len, struct peal_addr *out);

/* peal_addr_to_sockaddr returns the length used, 0 for kinds other than V4 and V6. */
socklen_t peal_addr_to_sockaddr(const struct peal_addr *a, struct sockaddr_storage *out);

struct peal_cidr {
    struct peal_addr net; /* bits beyond the prefix are 0 */
    uint8_t bits;
};

/* peal_cidr_parse reads "10.0.0.0/8", "fd00::/8", a single address, or "unix" (every
 * peer of a unix socket). Bits beyond the prefix are dropped. Errors: PEAL_EINVAL. */
PEAL_MUST_USE peal_err peal_cidr_parse(struct peal_slice text, struct peal_cidr *out);

bool peal_cidr_match(const struct peal_cidr *c, const struct peal_addr *a);

/* peal_cidr_any says whether one of n networks holds a. */
bool peal_cidr_any(const struct peal_cidr *nets, size_t n, const struct peal_addr *a);

/*
 * peal_forwarded_client is the address of the client behind trusted proxies. It starts at
 * the peer and, while the address it stands on is trusted, takes one step left in
 * X-Forwarded-For; it stops at the first untrusted address, or before an entry that is no
 * address. So an untrusted peer is its own client, whatever it sends.
 *   xff  the values of X-Forwarded-For in the order of the head (peal_httphead_next)
 * Never fails. out may be peer.
 */
void peal_forwarded_client(const struct peal_addr *peer, const struct peal_cidr *trusted,
    size_t n_trusted, const struct peal_slice *xff, size_t n_xff, struct peal_addr *out);

/*
 * peal_forwarded_https says whether the client speaks https: what X-Forwarded-Proto says
 * (its first element) if the peer is trusted and sent one, else what the connection is.
 *   proto  the header's value; data NULL: absent
 *   tls    whether the peer's own connection is TLS
 */
bool peal_forwarded_https(const struct peal_addr *peer, const struct peal_cidr *trusted,
    size_t n_trusted, struct peal_slice proto, bool tls);

#endif

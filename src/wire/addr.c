/* SPDX-License-Identifier: MIT */
/*
 * Addresses. The text forms are those of inet_pton and inet_ntop, which are strict: four
 * decimal parts without leading zeros, no names, no zones. Everything that makes an
 * address passes through normalise(), so a mapped IPv4 address never exists as IPv6 and
 * a rule for 10.0.0.0/8 holds on a socket that serves both families.
 */
#include "wire/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "base/assert.h"
#include "wire/hostport.h"

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void
normalise(struct peal_addr *a)
{
    if (a->kind != PEAL_ADDR_V6 || memcmp(a->ip, mapped_prefix, 12) != 0)
        return;
    memmove(a->ip, a->ip + 12, 4);
    memset(a->ip + 4, 0, 12);
    a->kind = PEAL_ADDR_V4;
}

/* Like peal_addr_parse_ip, but leaves a mapped address as it was written. */
static peal_err
parse_ip_raw(struct peal_slice text, struct peal_addr *out)
{
    char z[INET6_ADDRSTRLEN];

    *out = (struct peal_addr){ 0 };
    if (text.len == 0 || text.len >= sizeof(z) || memchr(text.data, 0, text.len))
        return PEAL_EINVAL;
    memcpy(z, text.data, text.len);
    z[text.len] = 0;
    if (inet_pton(AF_INET, z, out->ip) == 1)
        out->kind = PEAL_ADDR_V4;
    else if (inet_pton(AF_INET6, z, out->ip) == 1)
        out->kind = PEAL_ADDR_V6;
    else {
        *out = (struct peal_addr){ 0 };
        return PEAL_EINVAL;
    }
    return PEAL_OK;
}

peal_err
peal_addr_parse_ip(struct peal_slice text, struct peal_addr *out)
{
    peal_err err = parse_ip_raw(text, out);

    normalise(out);
    return err;
}

/* "host:port"; the host of an IPv6 address in brackets. */
static peal_err
parse_host_port(struct peal_slice text, struct peal_addr *out)
{
    struct peal_hostport hp;
    peal_err err = peal_hostport_split(text, &hp);

    if (err != PEAL_OK)
        return err;
    if (hp.brackets && memchr(hp.host.data, ':', hp.host.len) == NULL)
        return PEAL_EINVAL;
    if (!hp.brackets && peal_slice_ieq(hp.host, PEAL_S("localhost")))
        hp.host = PEAL_S("127.0.0.1");
    if ((err = peal_addr_parse_ip(hp.host, out)) != PEAL_OK)
        return err;
    return peal_hostport_port(&hp, -1, &out->port);
}

/* ":port" or "port": every address. */
static peal_err
parse_port(struct peal_slice text, struct peal_addr *out)
{
    struct peal_hostport hp = { .port = text };

    if (text.data[0] == ':')
        hp.port = peal_slice_skip(text, 1);
    out->kind = PEAL_ADDR_V6;
    return peal_hostport_port(&hp, -1, &out->port);
}

peal_err
peal_addr_parse(
    struct peal_slice text, struct peal_addr *out, struct peal_slice *path_out)
{
    peal_err err;

    *out = (struct peal_addr){ 0 };
    if (path_out != NULL)
        *path_out = (struct peal_slice){ NULL, 0 };
    if (peal_slice_starts(text, PEAL_S("unix:"))) {
        struct peal_slice path = peal_slice_skip(text, 5);

        if (path_out == NULL || path.len == 0 || memchr(path.data, 0, path.len) ||
            path.len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
            return PEAL_EINVAL;
        out->kind = PEAL_ADDR_UNIX;
        *path_out = path;
        return PEAL_OK;
    }
    if (text.len == 0)
        return PEAL_EINVAL;
    err = text.data[0] == ':' || memchr(text.data, ':', text.len) == NULL
              ? parse_port(text, out)
              : parse_host_port(text, out);
    if (err != PEAL_OK)
        *out = (struct peal_addr){ 0 };
    return err;
}

static size_t
copy_text(const char *text, char *out)
{
    size_t n = strlen(text);

    memcpy(out, text, n + 1);
    return n;
}

size_t
peal_addr_format_ip(const struct peal_addr *addr, char out[PEAL_ADDR_TEXT_MAX])
{
    struct peal_addr a = *addr;

    normalise(&a);
    if (a.kind == PEAL_ADDR_UNIX)
        return copy_text("unix", out);
    if (a.kind == PEAL_ADDR_NONE || inet_ntop(a.kind == PEAL_ADDR_V4 ? AF_INET : AF_INET6,
                                        a.ip, out, PEAL_ADDR_TEXT_MAX) == NULL)
        return copy_text("unknown", out);
    return strlen(out);
}

size_t
peal_addr_format(const struct peal_addr *a, char out[PEAL_ADDR_TEXT_MAX])
{
    char ip[PEAL_ADDR_TEXT_MAX];
    size_t n = peal_addr_format_ip(a, ip);
    const char *fmt = memchr(ip, ':', n) ? "[%.45s]:%u" : "%.45s:%u";

    if (a->kind != PEAL_ADDR_V4 && a->kind != PEAL_ADDR_V6)
        return copy_text(ip, out);
    return (size_t)snprintf(out, PEAL_ADDR_TEXT_MAX, fmt, ip, (unsigned)a->port);
}

bool
peal_addr_eq(const struct peal_addr *a, const struct peal_addr *b)
{
    return a->kind == b->kind && a->port == b->port && memcmp(a->ip, b->ip, 16) == 0;
}

bool
peal_addr_is_loopback(const struct peal_addr *a)
{
    static const uint8_t one[16] = { [15] = 1 };

    return a->kind == PEAL_ADDR_UNIX || (a->kind == PEAL_ADDR_V4 && a->ip[0] == 127) ||
           (a->kind == PEAL_ADDR_V6 && memcmp(a->ip, one, 16) == 0);
}

void
peal_addr_from_ip(const uint8_t *ip, size_t len, uint16_t port, struct peal_addr *out)
{
    PEAL_ASSERT(len == 4 || len == 16);
    *out = (struct peal_addr){ .port = port };
    out->kind = len == 4 ? PEAL_ADDR_V4 : PEAL_ADDR_V6;
    memcpy(out->ip, ip, len);
    normalise(out);
}

void
peal_addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct peal_addr *out)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    *out = (struct peal_addr){ 0 };
    if (len < sizeof(sa->sa_family))
        return;
    if (sa->sa_family == AF_INET && len >= sizeof(in)) {
        memcpy(&in, sa, sizeof(in));
        peal_addr_from_ip((uint8_t *)&in.sin_addr, 4, ntohs(in.sin_port), out);
    } else if (sa->sa_family == AF_INET6 && len >= sizeof(in6)) {
        memcpy(&in6, sa, sizeof(in6));
        peal_addr_from_ip((uint8_t *)&in6.sin6_addr, 16, ntohs(in6.sin6_port), out);
    } else if (sa->sa_family == AF_UNIX) {
        out->kind = PEAL_ADDR_UNIX;
    }
}

socklen_t
peal_addr_to_sockaddr(const struct peal_addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (a->kind == PEAL_ADDR_V4) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };

        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(out, &in, sizeof(in));
        return sizeof(in);
    }
    if (a->kind == PEAL_ADDR_V6) {
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

        in6.sin6_port = htons(a->port);
        memcpy(&in6.sin6_addr, a->ip, 16);
        memcpy(out, &in6, sizeof(in6));
        return sizeof(in6);
    }
    return 0;
}

static void
clear_beyond(uint8_t ip[16], unsigned bits)
{
    for (unsigned i = 0; i<16; i++, bits = bits> 8 ? bits - 8 : 0)
        if (bits < 8)
            ip[i] &= (uint8_t)(0xff00 >> bits);
}

peal_err
peal_cidr_parse(struct peal_slice text, struct peal_cidr *out)
{
    struct peal_slice bits_text = text, ip = peal_slice_cut(&bits_text, '/');
    struct peal_addr net;
    uint64_t bits, bits_max;
    peal_err err;

    *out = (struct peal_cidr){ 0 };
    if (peal_slice_eq(text, PEAL_S("unix"))) {
        out->net.kind = PEAL_ADDR_UNIX;
        return PEAL_OK;
    }
    if ((err = parse_ip_raw(ip, &net)) != PEAL_OK)
        return err;
    bits = bits_max = net.kind == PEAL_ADDR_V4 ? 32 : 128;
    if (bits_text.data != NULL && peal_slice_u64(bits_text, bits_max, &bits) != PEAL_OK)
        return PEAL_EINVAL;
    clear_beyond(net.ip, (unsigned)bits);
    if (bits_max == 128 && bits >= 96) {
        normalise(&net); /* a network of mapped addresses is one of IPv4 */
        if (net.kind == PEAL_ADDR_V4)
            bits -= 96;
    }
    out->net = net;
    out->bits = (uint8_t)bits;
    return PEAL_OK;
}

bool
peal_cidr_match(const struct peal_cidr *c, const struct peal_addr *a)
{
    unsigned whole = c->bits / 8, rest = c->bits % 8;

    if (c->net.kind == PEAL_ADDR_NONE || c->net.kind != a->kind)
        return false;
    if (memcmp(c->net.ip, a->ip, whole) != 0)
        return false;
    return rest == 0 ||
           ((c->net.ip[whole] ^ a->ip[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

bool
peal_cidr_any(const struct peal_cidr *nets, size_t n, const struct peal_addr *a)
{
    for (size_t i = 0; i < n; i++)
        if (peal_cidr_match(&nets[i], a))
            return true;
    return false;
}

/* An entry is an address, with or without a port; some balancers add one. */
static peal_err
parse_entry(struct peal_slice text, struct peal_addr *out)
{
    const char *colon = text.len ? memchr(text.data, ':', text.len) : NULL;

    if (peal_addr_parse_ip(text, out) == PEAL_OK)
        return PEAL_OK;
    if (text.len > 2 && text.data[0] == '[' && text.data[text.len - 1] == ']')
        return peal_addr_parse_ip(peal_slice_of(text.data + 1, text.len - 2), out);
    if (colon == NULL || colon == text.data)
        return PEAL_EINVAL;
    return parse_host_port(text, out);
}

/* Takes the last element off a comma list. false: nothing left. */
static bool
list_last(struct peal_slice *list, struct peal_slice *item_out)
{
    while (list->len > 0) {
        const char *comma = memrchr(list->data, ',', list->len);
        size_t at = comma ? (size_t)(comma - list->data) + 1 : 0;

        *item_out = peal_slice_trim(peal_slice_skip(*list, at));
        list->len = comma ? at - 1 : 0;
        if (item_out->len > 0)
            return true;
    }
    return false;
}

void
peal_forwarded_client(const struct peal_addr *peer, const struct peal_cidr *trusted,
    size_t n_trusted, const struct peal_slice *xff, size_t n_xff, struct peal_addr *out)
{
    struct peal_addr at = *peer;

    while (n_xff > 0) {
        struct peal_slice list = xff[--n_xff], item;

        while (peal_cidr_any(trusted, n_trusted, &at) && list_last(&list, &item)) {
            struct peal_addr next;

            if (parse_entry(item, &next) != PEAL_OK) {
                *out = at;
                return;
            }
            at = next;
        }
    }
    *out = at;
}

bool
peal_forwarded_https(const struct peal_addr *peer, const struct peal_cidr *trusted,
    size_t n_trusted, struct peal_slice proto, bool tls)
{
    struct peal_slice first = peal_slice_trim(peal_slice_cut(&proto, ','));

    if (first.len == 0 || !peal_cidr_any(trusted, n_trusted, peer))
        return tls;
    return peal_slice_ieq(first, PEAL_S("https"));
}

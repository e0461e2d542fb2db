/* SPDX-License-Identifier: MIT */
/* Checks of single values: what can be seen to be wrong without opening anything. */
#include "server/option_checks_priv.h"

#include <sys/un.h>

#include "backplane/backplane.h"
#include "wire/addr.h"
#include "wire/hostport.h"

const char *
peal_check_listen(const char *value)
{
    struct peal_addr addr;
    struct peal_slice path;
    const char *colon = strrchr(value, ':');

    if (strncmp(value, "unix:", 5) == 0) {
        if (value[5] != '/')
            return "an absolute path after unix:";
        if (strlen(value + 5) >= sizeof(((struct sockaddr_un *)0)->sun_path))
            return "a shorter path: a unix socket's may have 107 bytes";
    }
    if (peal_addr_parse(peal_slice_str(value), &addr, &path) == PEAL_OK)
        return NULL;
    if (colon != NULL && value[0] != '[' &&
        memchr(value, ':', (size_t)(colon - value)) != NULL)
        return "an IPv6 address in brackets, such as [::1]:8080";
    return "address:port, :port or unix:/path; an address in numbers, or localhost";
}

const char *
peal_check_cidr(const char *value)
{
    struct peal_cidr net;

    if (peal_cidr_parse(peal_slice_str(value), &net) == PEAL_OK)
        return NULL;
    return "an address, a network such as 10.0.0.0/8, or unix";
}

const char *
peal_check_origin(const char *value)
{
    static const char want[] = "* or an origin such as https://example.com, without path";
    const char *host;

    if (strcmp(value, "*") == 0)
        return NULL;
    host = strstr(value, "://");
    if (host == NULL || host == value || host[3] == '\0')
        return want;
    return strpbrk(host + 3, "/?#@ \t") == NULL ? NULL : want;
}

const char *
peal_check_path(const char *value)
{
    size_t n = strlen(value);

    if (n < 2 || value[0] != '/' || value[n - 1] != '/' ||
        strpbrk(value, "?#% \t") != NULL)
        return "a path that begins and ends with /, such as /socket.io/";
    return NULL;
}

const char *
peal_check_cookie(const char *value)
{
    for (const char *s = value; *s != '\0'; s++)
        if (*s <= 0x20 || *s >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", *s) != NULL)
            return "a cookie's name, such as io";
    return NULL;
}

const char *
peal_check_transport(const char *value)
{
    if (strcmp(value, "polling") == 0 || strcmp(value, "websocket") == 0)
        return NULL;
    return "polling or websocket";
}

const char *
peal_check_secret(const char *value)
{
    for (const char *s = value; *s != '\0'; s++)
        if (*s <= 0x20 || *s >= 0x7f)
            return "letters, digits and signs of ASCII without spaces";
    return NULL;
}

const char *
peal_check_node_listen(const char *value)
{
    if (strncmp(value, "unix:", 5) == 0)
        return "address:port: other nodes cannot reach a unix socket";
    return peal_check_listen(value);
}

const char *
peal_check_advertise(const char *value)
{
    static const char want[] = "a host or host:port, such as 10.0.0.7:7946; an IPv6 "
                               "address with a port in brackets";
    struct peal_hostport hp;
    uint16_t port;

    if (strpbrk(value, "/@?#\"\\ \t") != NULL ||
        peal_hostport_split(peal_slice_str(value), &hp) != PEAL_OK)
        return want;
    if (hp.port.data == NULL)
        return NULL;
    return hp.host.len == 0 || peal_hostport_port(&hp, -1, &port) != PEAL_OK || port == 0
               ? want
               : NULL;
}

const char *
peal_check_backplane(const char *value)
{
    return peal_backplane_check(value);
}

const char *
peal_check_prefix(const char *value)
{
    for (const char *s = value; *s != '\0'; s++)
        if (*s <= 0x20 || *s >= 0x7f || strchr("*?[]\\{}", *s) != NULL)
            return "letters, digits and signs without * ? [ ] \\ { }";
    return strlen(value) <= 100 ? NULL : "100 characters at most";
}

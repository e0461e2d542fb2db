/* SPDX-License-Identifier: MIT */
/* Checks of single values: what can be seen to be wrong without opening anything. */
#include "server/option_checks.h"

#include <arpa/inet.h>
#include <sys/un.h>

static bool
is_port(const char *s)
{
    uint64_t port;

    return peal_slice_u64(peal_slice_str(s), 65535, &port) == PEAL_OK;
}

const char *
peal_check_listen(const char *value)
{
    static const char want[] = "host:port, [address]:port, :port or unix:/path";
    const char *colon;

    if (strncmp(value, "unix:", 5) == 0) {
        if (value[5] != '/')
            return "an absolute path after unix:";
        if (strlen(value + 5) >= sizeof(((struct sockaddr_un *)0)->sun_path))
            return "a shorter path: a socket's may have 107 bytes";
        return NULL;
    }
    colon = strrchr(value, ':');
    if (colon == NULL || !is_port(colon + 1))
        return want;
    if (value[0] == '[')
        return colon[-1] == ']' ? NULL : want;
    if (memchr(value, ':', (size_t)(colon - value)) != NULL)
        return "an IPv6 address in brackets: [::1]:8080";
    return strpbrk(value, " \t/") == NULL ? NULL : want;
}

const char *
peal_check_cidr(const char *value)
{
    static const char want[] = "an address or a network such as 10.0.0.0/8";
    unsigned char addr[sizeof(struct in6_addr)];
    const char *slash = strchr(value, '/');
    char host[INET6_ADDRSTRLEN + 1];
    size_t len = slash ? (size_t)(slash - value) : strlen(value);
    uint64_t bits;
    bool v6;

    if (len >= sizeof(host))
        return want;
    memcpy(host, value, len);
    host[len] = '\0';
    v6 = strchr(host, ':') != NULL;
    if (inet_pton(v6 ? AF_INET6 : AF_INET, host, addr) != 1)
        return want;
    if (slash != NULL &&
        peal_slice_u64(peal_slice_str(slash + 1), v6 ? 128 : 32, &bits) != PEAL_OK)
        return want;
    return NULL;
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
            return "a cookie's name, letters and digits, or off";
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

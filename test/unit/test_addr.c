/* SPDX-License-Identifier: MIT */
/* wire/addr: addresses, networks, and who is behind the proxies. */
#include "check.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include "wire/addr.h"
#include "wire/hostport.h"

static struct peal_addr
ip(const char *text)
{
    struct peal_addr a;

    CHECK_OK(peal_addr_parse_ip(peal_slice_str(text), &a));
    return a;
}

static void
check_format(const struct peal_addr *a, const char *full, const char *bare)
{
    char text[PEAL_ADDR_TEXT_MAX];

    CHECK_INT(peal_addr_format(a, text), strlen(full));
    assert_string_equal(text, full);
    CHECK_INT(peal_addr_format_ip(a, text), strlen(bare));
    assert_string_equal(text, bare);
}

static void
a_host_and_a_port_are_cut(void **state)
{
    static const struct {
        const char *text, *host, *port; /* host NULL: refused; port NULL: none */
        bool brackets;
    } rows[] = { { "h", "h", NULL, false }, { "h:1", "h", "1", false },
        { ":1", "", "1", false }, { "h:", "h", "", false }, { "", "", NULL, false },
        { "::1", "::1", NULL, false }, { "a:b:1", "a:b:1", NULL, false },
        { "[::1]", "::1", NULL, true }, { "[::1]:80", "::1", "80", true },
        { "[::1]:", "::1", "", true }, { "[]:1", "", "1", true },
        { "[::1", NULL, NULL, false }, { "[::1]x", NULL, NULL, false },
        { "[", NULL, NULL, false } };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peal_hostport hp;
        peal_err err = peal_hostport_split(peal_slice_str(rows[i].text), &hp);

        CHECK_INT(err, rows[i].host == NULL ? PEAL_EINVAL : PEAL_OK);
        if (err != PEAL_OK)
            continue;
        CHECK_SLICE(hp.host, rows[i].host);
        CHECK(hp.brackets == rows[i].brackets);
        CHECK((hp.port.data == NULL) == (rows[i].port == NULL));
        if (rows[i].port != NULL)
            CHECK_SLICE(hp.port, rows[i].port);
    }
}

static void
a_port_is_read_or_replaced(void **state)
{
    struct peal_hostport hp;
    uint16_t port;

    CHECK_OK(peal_hostport_split_last(PEAL_S("::1:6381"), &hp));
    CHECK_SLICE(hp.host, "::1");
    CHECK_OK(peal_hostport_port(&hp, -1, &port));
    CHECK_INT(port, 6381);
    CHECK_OK(peal_hostport_split_last(PEAL_S("[fe80::2]:1"), &hp));
    CHECK_SLICE(hp.host, "fe80::2");
    CHECK_ERR(peal_hostport_split_last(PEAL_S("h"), &hp), PEAL_EINVAL);
    CHECK_OK(peal_hostport_split(PEAL_S("h:"), &hp));
    CHECK_ERR(peal_hostport_port(&hp, -1, &port), PEAL_EINVAL);
    CHECK_OK(peal_hostport_port(&hp, 80, &port));
    CHECK_INT(port, 80);
    CHECK_OK(peal_hostport_split(PEAL_S("h:65536"), &hp));
    CHECK_ERR(peal_hostport_port(&hp, 80, &port), PEAL_EINVAL);
    CHECK_OK(peal_hostport_split(PEAL_S("h:8o"), &hp));
    CHECK_ERR(peal_hostport_port(&hp, 80, &port), PEAL_EINVAL);
}

static void
listen_addresses_are_read_and_written(void **state)
{
    static const struct {
        const char *text, *full, *bare;
    } good[] = {
        { "127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1" },
        { "0.0.0.0:0", "0.0.0.0:0", "0.0.0.0" },
        { "255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255" },
        { "LocalHost:80", "127.0.0.1:80", "127.0.0.1" },
        { "[::1]:80", "[::1]:80", "::1" },
        { "[2001:DB8:0::00ff]:443", "[2001:db8::ff]:443", "2001:db8::ff" },
        { "[::ffff:10.0.0.1]:9", "10.0.0.1:9", "10.0.0.1" },
        { "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
        { "8080", "[::]:8080", "::" },
        { ":8080", "[::]:8080", "::" },
    };
    struct peal_slice path;
    struct peal_addr a;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CHECK_OK(peal_addr_parse(peal_slice_str(good[i].text), &a, &path));
        CHECK(path.data == NULL);
        check_format(&a, good[i].full, good[i].bare);
    }
}

static void
what_is_no_address_is_refused(void **state)
{
    static const struct peal_slice bad[] = { PEAL_S(""), PEAL_S(":"), PEAL_S("a:80"),
        PEAL_S("65536"), PEAL_S("-1"), PEAL_S(" 80"), PEAL_S("80 "), PEAL_S("000080"),
        PEAL_S("127.0.0.1"), PEAL_S("127.0.0.1:"), PEAL_S("127.0.0.1:65536"),
        PEAL_S("127.0.0.1:80:80"), PEAL_S("127.0.0.1:+80"), PEAL_S("127.1:80"),
        PEAL_S("127.0.0.01:80"), PEAL_S("256.0.0.1:80"), PEAL_S("1.2.3.4.5:80"),
        PEAL_S("::1:80"), PEAL_S("[::1]"), PEAL_S("[::1]80"), PEAL_S("[]:80"),
        PEAL_S("[::1:80"), PEAL_S("[127.0.0.1]:80"), PEAL_S("[fe80::1%eth0]:80"),
        PEAL_S("[::g]:80"), PEAL_S("127.0.0.1\0:80"), PEAL_S("unix:"),
        PEAL_S("unix:/a\0b"), PEAL_S("http://127.0.0.1:80") };
    char long_path[200] = "unix:/";
    struct peal_slice path;
    struct peal_addr a;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        peal_err err = peal_addr_parse(bad[i], &a, &path);

        if (err != PEAL_EINVAL)
            print_error("taken: %.*s\n", (int)bad[i].len, bad[i].data);
        CHECK_ERR(err, PEAL_EINVAL);
        CHECK_INT(a.kind, PEAL_ADDR_NONE);
    }
    CHECK_OK(peal_addr_parse(PEAL_S("unix:/run/a"), &a, &path));
    CHECK_INT(a.kind, PEAL_ADDR_UNIX);
    CHECK_SLICE(path, "/run/a");
    CHECK_ERR(peal_addr_parse(PEAL_S("unix:/run/a"), &a, NULL), PEAL_EINVAL);
    memset(long_path + 6, 'a', sizeof(long_path) - 6);
    CHECK_OK(peal_addr_parse(peal_slice_of(long_path, 5 + 107), &a, &path));
    CHECK_ERR(peal_addr_parse(peal_slice_of(long_path, 5 + 108), &a, &path), PEAL_EINVAL);
    CHECK_ERR(peal_addr_parse_ip(PEAL_S("1.2.3.4:80"), &a), PEAL_EINVAL);
    CHECK_ERR(peal_addr_parse_ip(PEAL_S("[::1]"), &a), PEAL_EINVAL);
    CHECK_ERR(peal_addr_parse_ip(PEAL_S("localhost"), &a), PEAL_EINVAL);
}

static void
kinds_without_an_address_have_a_name(void **state)
{
    struct peal_addr none = { 0 }, un = { .kind = PEAL_ADDR_UNIX };

    check_format(&none, "unknown", "unknown");
    check_format(&un, "unix", "unix");
}

static void
loopback_is_known(void **state)
{
    static const char *const yes[] = { "127.0.0.1", "127.255.0.9", "::1",
        "::ffff:127.0.0.1" };
    static const char *const no[] = { "128.0.0.1", "0.0.0.0", "::", "::2",
        "::ffff:126.0.0.1", "100::1" };
    struct peal_addr a = { .kind = PEAL_ADDR_UNIX }, none = { 0 };

    CHECK(peal_addr_is_loopback(&a));
    CHECK(!peal_addr_is_loopback(&none));
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        a = ip(yes[i]);
        CHECK(peal_addr_is_loopback(&a));
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        a = ip(no[i]);
        CHECK(!peal_addr_is_loopback(&a));
    }
}

static void
sockets_addresses_make_the_round_trip(void **state)
{
    static const char *const texts[] = { "1.2.3.4:80", "[::1]:65535", "[2001:db8::1]:1" };
    struct sockaddr_storage ss;
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct peal_addr a, b;
    socklen_t len;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CHECK_OK(peal_addr_parse(peal_slice_str(texts[i]), &a, NULL));
        len = peal_addr_to_sockaddr(&a, &ss);
        peal_addr_from_sockaddr((struct sockaddr *)&ss, len, &b);
        CHECK(peal_addr_eq(&a, &b));
        peal_addr_from_sockaddr((struct sockaddr *)&ss, len - 1, &b);
        CHECK_INT(b.kind, PEAL_ADDR_NONE);
    }
    CHECK_INT(inet_pton(AF_INET6, "::ffff:1.2.3.4", &in6.sin6_addr), 1);
    peal_addr_from_sockaddr((struct sockaddr *)&in6, sizeof(in6), &b);
    check_format(&b, "1.2.3.4:9", "1.2.3.4");
    peal_addr_from_sockaddr((struct sockaddr *)&un, sizeof(sa_family_t), &b);
    CHECK_INT(b.kind, PEAL_ADDR_UNIX);
    CHECK_INT(peal_addr_to_sockaddr(&b, &ss), 0);
    peal_addr_from_sockaddr((struct sockaddr *)&un, 0, &b);
    CHECK_INT(b.kind, PEAL_ADDR_NONE);
}

static bool
in_net(const char *net, const char *addr)
{
    struct peal_cidr c;
    struct peal_addr a = ip(addr);

    CHECK_OK(peal_cidr_parse(peal_slice_str(net), &c));
    return peal_cidr_match(&c, &a);
}

static void
networks_hold_what_is_in_them(void **state)
{
    CHECK(in_net("10.0.0.0/8", "10.255.0.1"));
    CHECK(!in_net("10.0.0.0/8", "11.0.0.0"));
    CHECK(in_net("10.1.2.3/8", "10.9.9.9")); /* what is beyond the prefix is dropped */
    CHECK(in_net("192.168.1.128/25", "192.168.1.255"));
    CHECK(!in_net("192.168.1.128/25", "192.168.1.127"));
    CHECK(in_net("172.16.0.0/12", "172.31.255.255"));
    CHECK(!in_net("172.16.0.0/12", "172.32.0.0"));
    CHECK(in_net("1.2.3.4", "1.2.3.4"));
    CHECK(!in_net("1.2.3.4", "1.2.3.5"));
    CHECK(in_net("1.2.3.4/31", "1.2.3.5"));
    CHECK(in_net("0.0.0.0/0", "255.1.2.3"));
    CHECK(!in_net("0.0.0.0/0", "::1"));
    CHECK(in_net("10.0.0.0/8", "::ffff:10.1.1.1"));
    CHECK(in_net("::ffff:10.0.0.0/104", "10.1.1.1"));
    CHECK(!in_net("::ffff:10.0.0.0/104", "11.1.1.1"));
    CHECK(in_net("::ffff:0:0/96", "11.1.1.1"));
    CHECK(in_net("fd00::/8", "fdff::1"));
    CHECK(!in_net("fd00::/8", "fe00::1"));
    CHECK(in_net("2001:db8::/33", "2001:db8:7fff::"));
    CHECK(!in_net("2001:db8::/33", "2001:db8:8000::"));
    CHECK(in_net("::1/128", "::1"));
    CHECK(in_net("::/0", "2001::"));
    CHECK(!in_net("::/0", "1.2.3.4"));
}

static void
what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33",
        "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0/8", "::/129", "::/0x8", "a/8", "unix/8",
        "10.0.0.0 /8", "10.0.0.1:80" };
    struct peal_addr un = { .kind = PEAL_ADDR_UNIX }, none = { 0 }, a = ip("1.2.3.4");
    struct peal_cidr c;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_ERR(peal_cidr_parse(peal_slice_str(bad[i]), &c), PEAL_EINVAL);
        CHECK(!peal_cidr_match(&c, &none));
    }
    CHECK_OK(peal_cidr_parse(PEAL_S("unix"), &c));
    CHECK(peal_cidr_match(&c, &un));
    CHECK(!peal_cidr_match(&c, &a));
    CHECK(!peal_cidr_match(&c, &none));
}

/* Who the client is: 10.0.0.0/8, ::1 and unix sockets are trusted. */
static void
check_client(const char *peer, const char *const *xff, size_t n, const char *want)
{
    static const char *const nets[] = { "10.0.0.0/8", "::1", "unix" };
    struct peal_cidr trusted[3];
    struct peal_slice values[4];
    struct peal_addr a = { .kind = PEAL_ADDR_UNIX };
    char text[PEAL_ADDR_TEXT_MAX];

    for (size_t i = 0; i < 3; i++)
        CHECK_OK(peal_cidr_parse(peal_slice_str(nets[i]), &trusted[i]));
    for (size_t i = 0; i < n; i++)
        values[i] = peal_slice_str(xff[i]);
    if (peer != NULL)
        a = ip(peer);
    peal_forwarded_client(&a, trusted, 3, values, n, &a);
    peal_addr_format_ip(&a, text);
    assert_string_equal(text, want);
}

#define CLIENT(peer, want, ...)                                                          \
    do {                                                                                 \
        static const char *const xff[] = { __VA_ARGS__ };                                \
        check_client(peer, xff, sizeof(xff) / sizeof(xff[0]), want);                     \
    } while (0)

static void
clients_are_found_behind_trusted_proxies(void **state)
{
    check_client("10.1.1.1", NULL, 0, "10.1.1.1");
    CLIENT("9.9.9.9", "9.9.9.9", "1.1.1.1"); /* not trusted: says what it likes */
    CLIENT("10.1.1.1", "1.1.1.1", "1.1.1.1");
    CLIENT(NULL, "1.1.1.1", "1.1.1.1");
    CLIENT("::1", "2001:db8::1", "2001:db8::1");
    CLIENT("10.1.1.1", "2.2.2.2", "1.1.1.1, 2.2.2.2"); /* 1.1.1.1 is a client's word */
    CLIENT("10.1.1.1", "2.2.2.2", "127.0.0.1 ,2.2.2.2,10.0.0.2, 10.0.0.3");
    CLIENT("10.1.1.1", "10.0.0.2", "10.0.0.2,10.0.0.3"); /* trusted to the end */
    CLIENT("10.1.1.1", "3.3.3.3", "1.1.1.1", "2.2.2.2, 3.3.3.3", "10.0.0.3");
    CLIENT("10.1.1.1", "1.1.1.1", "1.1.1.1,, ,", "", " , ");
    CLIENT("10.1.1.1", "10.0.0.9", "1.1.1.1, unknown, 10.0.0.9");
    CLIENT("10.1.1.1", "10.1.1.1", "1.1.1.1, _hidden");
    CLIENT("10.1.1.1", "10.1.1.1", "1.1.1.1", "10.0.0.1 10.0.0.2");
    CLIENT("10.1.1.1", "10.1.1.1", "localhost");
    CLIENT("10.1.1.1", "1.1.1.1", "1.1.1.1:8080");
    CLIENT("10.1.1.1", "2001:db8::1", "[2001:db8::1]:8080");
    CLIENT("10.1.1.1", "2001:db8::1", "[2001:db8::1]");
    CLIENT("10.1.1.1", "1.1.1.1", "::ffff:1.1.1.1");
    CLIENT("10.1.1.1", "3.3.3.3", "3.3.3.3, ::ffff:10.1.1.2");
}

static bool
https(const char *peer, const char *proto, bool tls)
{
    struct peal_addr a = ip(peer);
    struct peal_cidr c;

    CHECK_OK(peal_cidr_parse(PEAL_S("10.0.0.0/8"), &c));
    return peal_forwarded_https(&a, &c, 1, peal_slice_str(proto), tls);
}

static void
https_is_believed_of_trusted_proxies(void **state)
{
    CHECK(https("10.0.0.1", "https", false));
    CHECK(https("10.0.0.1", "HTTPS", false));
    CHECK(https("10.0.0.1", " https , http", false));
    CHECK(!https("10.0.0.1", "http, https", true));
    CHECK(!https("10.0.0.1", "httpss", false));
    CHECK(https("10.0.0.1", NULL, true));
    CHECK(!https("10.0.0.1", "", false));
    CHECK(!https("1.1.1.1", "https", false));
    CHECK(https("1.1.1.1", "http", true));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_and_a_port_are_cut),
        cmocka_unit_test(a_port_is_read_or_replaced),
        cmocka_unit_test(listen_addresses_are_read_and_written),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(kinds_without_an_address_have_a_name),
        cmocka_unit_test(loopback_is_known),
        cmocka_unit_test(sockets_addresses_make_the_round_trip),
        cmocka_unit_test(networks_hold_what_is_in_them),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(clients_are_found_behind_trusted_proxies),
        cmocka_unit_test(https_is_believed_of_trusted_proxies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

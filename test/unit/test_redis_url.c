/* SPDX-License-Identifier: MIT */
/* backplane/redis_url: where a Redis is. */
#include "check.h"

#define NO_DATABASES                                                                     \
    "pub/sub has no databases: leave the number away, and keep clusters apart by "       \
    "backplane.prefix"

#include <stdio.h>

#include "alloc.h"
#include "backplane/redis_url.h"

/* A URL as one line of text: what was read of it. */
static void
describe(const struct peal_redis_url *u, char *out, size_t size)
{
    static const char *const kinds[] = { "one", "sentinel", "cluster" };
    const char *const texts[][2] = { { "user", u->user }, { "password", u->password },
        { "master", u->master }, { "ca", u->ca }, { "cert", u->cert },
        { "key", u->key } };
    size_t n = (size_t)snprintf(out, size, "%s%s%s", kinds[u->kind], u->tls ? " tls" : "",
        u->verify ? "" : " unverified");

    for (unsigned i = 0; i < u->n_hosts; i++)
        n += (size_t)snprintf(
            out + n, size - n, " %s|%u", u->hosts[i].name, u->hosts[i].port);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (texts[i][1] != NULL)
            n += (size_t)snprintf(out + n, size - n, " %s=%s", texts[i][0], texts[i][1]);
}

static const char *const good[][2] = {
    { "redis://localhost", "one localhost|6379" },
    { "redis://localhost/", "one localhost|6379" },
    { "redis://localhost:", "one localhost|6379" },
    { "redis://10.0.0.1:7000/0", "one 10.0.0.1|7000" },
    { "redis://h?db=0", "one h|6379" },
    { "redis://[::1]:7000", "one ::1|7000" },
    { "redis://[::1]/", "one ::1|6379" },
    { "redis://:secret@h", "one h|6379 password=secret" },
    { "redis://u:p@h", "one h|6379 user=u password=p" },
    { "redis://u:p%40%3a%2F%25@h:1", "one h|1 user=u password=p@:/%" },
    { "redis://u:a@b:c@h", "one h|6379 user=u password=a@b:c" },
    { "redis://@h", "one h|6379" },
    { "rediss://h", "one tls h|6379" },
    { "rediss://h?ca=/etc/ca.pem", "one tls h|6379 ca=/etc/ca.pem" },
    { "rediss://h/0?cert=/a%20b&key=/k&verify=off",
        "one tls unverified h|6379 cert=/a b key=/k" },
    { "rediss://h?ca=/a&ca=/b", "one tls h|6379 ca=/b" },
    { "redis+unix:///run/redis.sock", "one /run/redis.sock|0" },
    { "redis+unix://u:p@/run/r%20s?db=0", "one /run/r s|0 user=u password=p" },
    { "redis+sentinel://s/main", "sentinel s|26379 master=main" },
    { "redis+sentinel://:p@s1:1,s2,[fe80::1]:3/main/0",
        "sentinel s1|1 s2|26379 fe80::1|3 password=p master=main" },
    { "rediss+sentinel://s/m%2Fn", "sentinel tls s|26379 master=m/n" },
    { "redis+cluster://a:1,b", "cluster a|1 b|6379" },
    { "rediss+cluster://a/?verify=off", "cluster tls unverified a|6379" },
    { "redis+cluster://a/0", "cluster a|6379" },
};

static void
urls_are_cut_into_their_parts(void **state)
{
    char got[512];

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct peal_redis_url u;
        const char *why = NULL;

        CHECK_OK(peal_redis_url_parse(peal_slice_str(good[i][0]), &u, &why));
        describe(&u, got, sizeof(got));
        assert_string_equal(got, good[i][1]);
        peal_redis_url_fini(&u);
    }
}

static void
what_is_wrong_is_said(void **state)
{
    static const char *const bad[][2] = {
        { "", "expected redis://" },
        { "http://h", "expected redis://" },
        { "redis:/h", "expected redis://" },
        { "rediss+unix:///s", "expected redis://" },
        { "redis://", "a host is missing" },
        { "redis://:1", "a host is missing" },
        { "redis://a@", "a user needs a password" },
        { "redis://:p@", "a host is missing" },
        { "redis+cluster://a,,b", "a host is missing" },
        { "redis+cluster://a,", "a host is missing" },
        { "redis://h:0", "a port is" },
        { "redis://h:65536", "a port is" },
        { "redis://h:x", "a port is" },
        { "redis://[::1]x", "an IPv6 address" },
        { "redis://[::1]7000", "an IPv6 address" },
        { "redis://[::1", "an IPv6 address" },
        { "redis://::1", "an IPv6 address" },
        { "redis://h/x", "the database is a number" },
        { "redis://h/1/2", "the database is a number" },
        { "redis://h/65536", "the database is a number" },
        { "redis://h?db=", "the database is a number" },
        { "redis://a,b", "several hosts" },
        { "redis://u@h", "a user needs a password" },
        { "redis://u:@h", "a user needs a password" },
        { "redis://:%4@h", "a bad percent escape" },
        { "redis://:a%00b@h", "a bad percent escape" },
        { "redis://h%zz", "a bad percent escape" },
        { "redis://h?timeout=1", "after ? there may be" },
        { "rediss://h?verify=on", "after ? there may be" },
        { "redis://h?ca=/x", "need rediss://" },
        { "redis://h?verify=off", "need rediss://" },
        { "redis+unix:///s?key=/x", "need rediss://" },
        { "rediss://h?cert=/x", "need each other" },
        { "rediss://h?key=/x", "need each other" },
        { "redis+unix://", "the path of a unix socket" },
        { "redis+unix://s", "the path of a unix socket" },
        { "redis+unix:///", "the path of a unix socket" },
        { "redis+sentinel://s", "the master's name is missing" },
        { "redis+sentinel://s/", "the master's name is missing" },
        { "redis+sentinel:///main", "a host is missing" },
        { "redis+sentinel://s/main/x", "the database is a number" },
        { "redis+cluster://a/1", NO_DATABASES },
        { "redis+cluster://a?db=1", NO_DATABASES },
        { "redis://a/1", NO_DATABASES },
        { "redis+sentinel://a/main/2", NO_DATABASES },
        { "redis+unix:///s?db=65535", NO_DATABASES },
        { "redis+cluster://a/x", "the database is a number" },
        { "redis+cluster://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "too many hosts" },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct peal_redis_url u, none = { 0 };
        const char *why = NULL;

        CHECK_ERR(peal_redis_url_parse(peal_slice_str(bad[i][0]), &u, &why), PEAL_EINVAL);
        CHECK(why != NULL);
        if (strstr(why, bad[i][1]) == NULL)
            fail_msg("%s: %s, not %s", bad[i][0], why, bad[i][1]);
        CHECK(memcmp(&u, &none, sizeof(u)) == 0);
    }
}

static void
nothing_is_kept_without_memory(void **state)
{
    static const char url[] =
        "rediss+sentinel://user:pass@a:1,b:2,c/main/0?ca=/a&cert=/b&key=/c";
    struct peal_redis_url u, none = { 0 };
    const char *why;
    peal_err err;

    for (long n = 0;; n++) {
        alloc_left = n;
        err = peal_redis_url_parse(peal_slice_str(url), &u, &why);
        alloc_left = -1;
        if (err != PEAL_ENOMEM)
            break;
        CHECK(memcmp(&u, &none, sizeof(u)) == 0);
    }
    CHECK_OK(err);
    peal_redis_url_fini(&u);
    CHECK(memcmp(&u, &none, sizeof(u)) == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_cut_into_their_parts),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(nothing_is_kept_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* server/configure and server/cluster: what becomes of options, without anything that
 * runs. */
#include "check.h"

#include <unistd.h>

#include "server/server_priv.h"

#define SETS_MAX 8

static struct peal_server n;
static struct peal_options *o;
static struct peal_loop *loops[1];

/* Options of --set, with --dev or without. */
static void
configure(bool dev, const char *const sets[SETS_MAX])
{
    static const struct peal_program program = { 0 };
    struct peal_option_input in = { .sets = sets, .dev = dev };
    struct peal_buf errors = { 0 };

    while (in.n_sets < SETS_MAX && sets[in.n_sets] != NULL)
        in.n_sets++;
    if (peal_options_load(&in, &o, &errors) != PEAL_OK)
        print_error("%.*s", (int)errors.len, errors.data);
    CHECK(o != NULL);
    n = (struct peal_server){ .o = o,
        .program = &program,
        .log = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR },
        .limits.open_max = 1000,
        .loops = loops };
    CHECK(peal_server_configure(&n));
}

#define CONFIGURE(dev, ...) configure(dev, (const char *const[SETS_MAX]){ __VA_ARGS__ })

static void
done(void)
{
    peal_server_unconfigure(&n);
    peal_options_free(&o);
}

static void
sessions_are_bounded_by_default(void **state)
{
    CONFIGURE(false, "listen=:80");
    CHECK_INT(n.proto.sessions_max, 2000);
    CHECK_INT(n.proto.sessions_rate, 0);
    CHECK_INT(n.proto.admission_wait_ms, 10000);
    CHECK_INT(n.proto.admission_queue_max, 65536);
    done();
    CONFIGURE(false, "listen=:80", "sessions.max=7");
    CHECK_INT(n.proto.sessions_max, 7);
    done();
}

static void
dev_opens_event_streams_to_all_pages_and_the_api_to_none(void **state)
{
    CONFIGURE(true, NULL);
    CHECK_INT(n.api_cors.n, 0);
    CHECK_INT(o->http_cors.n, 1);
    done();
    CONFIGURE(true, "http.cors=https://a.example");
    CHECK_INT(n.api_cors.n, 1);
    CHECK_SLICE(n.api_cors.origins[0], "https://a.example");
    done();
}

static void
only_clients_send_proxy_headers_and_only_nodes_forward(void **state)
{
    CONFIGURE(false, "listen=:80", "listen.proxy_protocol=on",
        "http.trusted_proxies=10.0.0.0/8,unix");
    CHECK(n.http.proxy_protocol);
    CHECK(!n.admin_http.proxy_protocol && !n.inner_http.proxy_protocol);
    CHECK_INT(n.http.n_trusted, 2);
    CHECK(n.http.forward_secret == NULL && n.admin_http.forward_secret == NULL);
    CHECK_INT(strlen(n.inner_http.forward_secret), PEAL_NODE_SECRET_LEN);
    CHECK_INT(n.inner_http.limits.head_max, n.http.limits.head_max);
    done();
}

static void
own_address(void *arg, const struct peal_node_report *r, uint64_t seen_ms, bool own)
{
    CHECK(own);
    snprintf(arg, PEAL_NODE_TEXT_MAX, "%s", r->address);
}

static void
other_nodes_are_told_an_address_that_they_can_use(void **state)
{
    static const struct {
        const char *advertise, *bound, *want;
    } cases[] = {
        { "node.advertise=", "10.1.2.3", "10.1.2.3:7000" },
        { "node.advertise=", "fd00::1", "[fd00::1]:7000" },
        { "node.advertise=a.example", "0.0.0.0", "a.example:7000" },
        { "node.advertise=a.example:81", "0.0.0.0", "a.example:81" },
        { "node.advertise=fd00::2", "::", "[fd00::2]:7000" },
        { "node.advertise=[fd00::2]:81", "::", "[fd00::2]:81" },
    };
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL, .log = &n.log };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char address[PEAL_NODE_TEXT_MAX] = "";

        CONFIGURE(
            false, "listen=:80", "backplane=redis://127.0.0.1:1", cases[i].advertise);
        CHECK(peal_cluster_on(&n));
        CHECK_OK(peal_addr_parse_ip(peal_slice_str(cases[i].bound), &n.inner));
        n.inner.port = 7000;
        CHECK_OK(peal_loop_new(&config, &n.control));
        CHECK(peal_cluster_init(&n));
        peal_nodes_each(n.nodes, own_address, address);
        assert_string_equal(address, cases[i].want);
        CHECK(n.api.nodes == n.nodes && n.api.relay == n.relay);
        peal_cluster_fini(&n);
        peal_loop_free(&n.control);
        done();
    }
}

static void
alone_there_is_nothing_of_a_cluster(void **state)
{
    CONFIGURE(false, "listen=:80");
    CHECK(!peal_cluster_on(&n));
    CHECK(peal_cluster_init(&n));
    CHECK(n.nodes == NULL && n.relay == NULL && n.adapter == NULL);
    peal_cluster_start(&n);
    peal_cluster_leave(&n);
    peal_cluster_fini(&n);
    done();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_bounded_by_default),
        cmocka_unit_test(dev_opens_event_streams_to_all_pages_and_the_api_to_none),
        cmocka_unit_test(only_clients_send_proxy_headers_and_only_nodes_forward),
        cmocka_unit_test(other_nodes_are_told_an_address_that_they_can_use),
        cmocka_unit_test(alone_there_is_nothing_of_a_cluster),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

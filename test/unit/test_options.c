/* SPDX-License-Identifier: MIT */
/* Options: every type, every mistake, and who wins. */
#include "check.h"

#include <stdio.h>
#include <unistd.h>

#include "alloc.h"
#include "server/options.h"

#define SETS_MAX 16

/* A file of this test, removed by finish. */
static char file[] = "/tmp/peal-test-XXXXXX";

static void
write_file(const char *text)
{
    FILE *f = fopen(file, "w");

    CHECK(f != NULL);
    CHECK_INT(fwrite(text, 1, strlen(text), f), strlen(text));
    CHECK_INT(fclose(f), 0);
}

/* Words: "env" starts the environment, "sets" the sets, "dev" is --dev, "file" the file.
 */
struct world {
    const char *text; /* of the file; NULL: none */
    const char *env[SETS_MAX];
    const char *sets[SETS_MAX];
    bool dev;
};

static peal_err
load(const struct world *w, struct peal_options **out, struct peal_buf *errors)
{
    struct peal_option_input in = {
        .env = w->env, .sets = w->sets, .dev = w->dev, .file = w->text ? file : NULL
    };

    while (w->sets[in.n_sets] != NULL)
        in.n_sets++;
    if (w->text != NULL)
        write_file(w->text);
    return peal_options_load(&in, out, errors);
}

static struct peal_options *
load_ok(struct world w)
{
    struct peal_options *o = NULL;
    struct peal_buf errors = { 0 };
    peal_err err = load(&w, &o, &errors);

    if (err != PEAL_OK)
        print_error("%.*s", (int)errors.len, errors.data);
    CHECK_OK(err);
    CHECK_INT(errors.len, 0);
    return o;
}

/* want: all lines, FILE for the file's name. */
static void
check_wrong(struct world w, const char *want)
{
    struct peal_options *o = NULL;
    struct peal_buf errors = { 0 }, shown = { 0 };
    struct peal_slice rest;

    CHECK_ERR(load(&w, &o, &errors), PEAL_EINVAL);
    CHECK(o == NULL);
    for (rest = peal_buf_slice(&errors); rest.len > 0;) {
        const char *at = memmem(rest.data, rest.len, file, strlen(file));
        size_t before = at != NULL ? (size_t)(at - rest.data) : rest.len;

        CHECK_OK(peal_buf_add(&shown, rest.data, before));
        if (at != NULL)
            CHECK_OK(peal_buf_add_slice(&shown, PEAL_S("FILE")));
        rest = peal_slice_skip(rest, before + (at != NULL ? strlen(file) : 0));
    }
    CHECK_SLICE(peal_buf_slice(&shown), want);
    peal_buf_fini(&errors);
    peal_buf_fini(&shown);
}

/* The mistake of one --set, beside a right listen. */
static void
check_set(const char *set, const char *want)
{
    check_wrong((struct world){ .sets = { "listen=:80", set } }, want);
}

static void
check_value(const struct peal_options *o, const char *name, const char *want)
{
    const struct peal_option *row = peal_option_find(peal_slice_str(name));
    struct peal_buf out = { 0 };

    CHECK(row != NULL);
    CHECK_OK(peal_option_value(o, row, &out));
    CHECK_SLICE(peal_buf_slice(&out), want);
    peal_buf_fini(&out);
}

static void
every_default_is_valid_and_is_written_as_in_the_table(void **state)
{
    struct peal_options *o = load_ok((struct world){ .sets = { "listen=:80" } });

    for (unsigned i = 1; i < PEAL_OPTION_N; i++) {
        const struct peal_option *row = &peal_option_table[i];
        struct peal_buf out = { 0 }, again = { 0 };
        char set[256];
        struct peal_options *o2;

        CHECK_OK(peal_option_value(o, row, &out));
        CHECK(row->help[strlen(row->help) - 1] != '.');
        CHECK_INT(o->place[i].level, PEAL_FROM_DEFAULT);
        if (row->type == PEAL_OPT_TREE)
            continue;
        /* 25000ms comes out as 25s, and that means the same. */
        snprintf(set, sizeof(set), "%s=%.*s", row->name, (int)out.len,
            out.data ? out.data : "");
        o2 = load_ok((struct world){ .sets = { "listen=:80", set } });
        CHECK_OK(peal_option_value(o2, row, &again));
        CHECK_MEM(again.data, again.len, out.data, out.len);
        peal_options_free(&o2);
        peal_buf_fini(&out);
        peal_buf_fini(&again);
    }
    peal_options_free(&o);
    peal_options_free(&o);
}

static void
listen_is_required(void **state)
{
    check_wrong((struct world){ 0 },
        "options: listen: is required: where to listen, such as 0.0.0.0:8080 (--dev: "
        "127.0.0.1:8080)\n");
}

static void
every_type_is_read(void **state)
{
    struct peal_options *o = load_ok((struct world){
        .sets = { "listen=127.0.0.1:0,unix:/run/p", "listen=:9", "workers=3",
            "ws.deflate=off", "io.queue_max=2m", "io.queue_age=1500ms", "node.name=a b",
            "log.level=debug", "api.key=k1, k2", "socketio.cors=https://*.example.com",
            "ws.ping_timeout=1M", "rules={channels: {news: {subscribe: on}}}" } });
    char word[PEAL_OPTION_WORD_MAX];

    CHECK_INT(o->listen.n, 3);
    CHECK_SLICE(peal_slice_str(o->listen.v[0]), "127.0.0.1:0");
    CHECK_SLICE(peal_slice_str(o->listen.v[1]), "unix:/run/p");
    CHECK_SLICE(peal_slice_str(o->listen.v[2]), ":9");
    CHECK(o->listen.v[3] == NULL);
    CHECK_INT(o->workers, 3);
    CHECK(!o->ws_deflate);
    CHECK_INT(o->io_queue_max, 2 << 20);
    CHECK_INT(o->io_queue_age_ms, 1500);
    CHECK_INT(o->ws_ping_timeout_ms, 60000);
    CHECK_SLICE(peal_slice_str(o->node_name), "a b");
    CHECK_INT(o->log_level, 3);
    CHECK_SLICE(
        peal_slice_str(peal_option_word("log.level", o->log_level, word)), "debug");
    CHECK_INT(o->api_key.n, 2);
    CHECK_SLICE(peal_slice_str(o->api_key.v[1]), "k2");
    check_value(o, "api.key", "***,***");
    check_value(o, "listen", "127.0.0.1:0,unix:/run/p,:9");
    check_value(o, "io.queue_age", "1500ms");
    check_value(o, "ws.ping_timeout", "1m");
    CHECK(o->rules != NULL);
    CHECK(o->tls_cert == NULL);
    CHECK(o->socketio_cookie == NULL);
    peal_options_free(&o);
}

static void
what_is_empty_is_null_or_an_empty_list(void **state)
{
    struct peal_options *o = load_ok((struct world){ .text = "listen: [':80']\n"
                                                             "node.name:\n"
                                                             "socketio.cors: []\n"
                                                             "tls: {cert: '', key: ''}\n",
        .env = { "PEAL_WS_ORIGINS=" } });

    CHECK(o->node_name == NULL);
    CHECK(o->tls_cert == NULL);
    CHECK_INT(o->socketio_cors.n, 0);
    CHECK_INT(o->ws_origins.n, 0);
    peal_options_free(&o);
    check_set("socketio.path=", "--set: socketio.path: must not be empty\n");
    check_set("socketio.transports=", "--set: socketio.transports: needs at least one\n");
    check_set("log.level=",
        "--set: log.level: expected one of error, warn, info, debug, not \"\"\n");
}

static void
wrong_values_are_said_with_what_would_be_right(void **state)
{
    static const char *const no_addresses[] = { ":7946", "host:", "host:x", "host:65536",
        "host:0", "http://host", "[::1]:0", "two words" };

    check_set("workers=two", "--set: workers: expected a whole number, not \"two\"\n");
    check_set("workers=65", "--set: workers: 65 is out of range: 0 to 64\n");
    check_set("workers=-1", "--set: workers: -1 is out of range: 0 to 64\n");
    check_set("workers=99999999999999999999",
        "--set: workers: expected a whole number, not \"99999999999999999999\"\n");
    check_set(
        "ws.deflate=maybe", "--set: ws.deflate: expected on or off, not \"maybe\"\n");
    check_set("io.queue_max=1t",
        "--set: io.queue_max: expected a size such as 65536, 64k or 1m, not \"1t\"\n");
    check_set("io.queue_max=1",
        "--set: io.queue_max: 1 is out of range: 4096 bytes to 1073741824 bytes\n");
    check_set("io.queue_max=9999999999g",
        "--set: io.queue_max: 9999999999g is out of range: 4096 bytes to 1073741824 "
        "bytes\n");
    check_set("io.queue_age=30",
        "--set: io.queue_age: expected a time such as 500ms, 25s or 5m, not \"30\"\n");
    check_set("io.queue_age=2h",
        "--set: io.queue_age: 2h is out of range: 100ms to 3600000ms\n");
    check_set("io.engine=kqueue",
        "--set: io.engine: expected one of auto, uring, epoll, not \"kqueue\"\n");
    check_set("app=webhook", "--set: app: expected one of rules, not \"webhook\"\n");
    check_set("socketio.path=chat",
        "--set: socketio.path: expected a path that begins and ends with /, such as "
        "/socket.io/, not \"chat\"\n");
    check_set("socketio.cookie=a b",
        "--set: socketio.cookie: expected a cookie's name, such as io, not \"a b\"\n");
    check_set("socketio.transports=polling,webtransport",
        "--set: socketio.transports: expected polling or websocket, not "
        "\"webtransport\"\n");
    check_set("ws.origins=example.com",
        "--set: ws.origins: expected * or an origin such as https://example.com, without "
        "path, not \"example.com\"\n");
    check_set("http.trusted_proxies=10.0.0.0/33",
        "--set: http.trusted_proxies: expected an address, a network such as "
        "10.0.0.0/8, or unix, not \"10.0.0.0/33\"\n");
    check_set("admin.listen=example.com:80",
        "--set: admin.listen: expected address:port, :port or unix:/path; an address in "
        "numbers, or localhost, not \"example.com:80\"\n");
    check_set("admin.listen=::1:80",
        "--set: admin.listen: expected an IPv6 address in brackets, such as [::1]:8080, "
        "not \"::1:80\"\n");
    check_set("admin.listen=unix:run/x",
        "--set: admin.listen: expected an absolute path after unix:, not "
        "\"unix:run/x\"\n");
    check_set("http.line_max=32k", "--set: http.line_max: is more than http.head_max\n");
    check_set("tls.cert=a.pem", "--set: tls.cert: needs tls.key, too\n");
    check_set("backplane=", "--set: backplane: must not be empty: memory, or a URL\n");
    check_set("backplane.prefix=", "--set: backplane.prefix: must not be empty\n");
    check_set("rebalance=on", "--set: rebalance: needs other nodes: set backplane\n");
    check_set("socketio.adapter=redis",
        "--set: socketio.adapter: needs a Redis as backplane\n");
    check_set("node.listen=unix:/tmp/x",
        "--set: node.listen: expected address:port: other nodes cannot reach a unix "
        "socket, not \"unix:/tmp/x\"\n");
    for (unsigned i = 0; i < sizeof(no_addresses) / sizeof(*no_addresses); i++) {
        char set[64], want[256];

        snprintf(set, sizeof(set), "node.advertise=%s", no_addresses[i]);
        snprintf(want, sizeof(want),
            "--set: node.advertise: expected a host or host:port, such as 10.0.0.7:7946; "
            "an IPv6 address with a port in brackets, not \"%s\"\n",
            no_addresses[i]);
        check_set(set, want);
    }
    check_set("tls.key=a.pem", "--set: tls.key: needs tls.cert, too\n");
}

static void
a_secret_is_never_shown(void **state)
{
    check_set("api.key=two words",
        "--set: api.key: expected letters, digits and signs of ASCII without spaces\n");
}

static void
unknown_names_are_errors_with_the_nearest(void **state)
{
    check_set("lisen=:81", "--set: lisen: unknown option; did you mean listen?\n");
    check_set("ping_interval=1s",
        "--set: ping_interval: unknown option; did you mean ws.ping_interval?\n");
    check_set("zebra=1", "--set: zebra: unknown option; `peal config` lists them\n");
    check_set("log=debug", "--set: log: is a group of options, not an option\n");
    check_set("workers", "--set: workers: expected workers=value\n");
    check_set("workers=1=2", "--set: workers: expected a whole number, not \"1=2\"\n");
    check_wrong((struct world){ .env = { "PEAL_LISTEN=:80", "PEAL_LOG_LEVLE=info" } },
        "environment: PEAL_LOG_LEVLE: unknown variable; did you mean PEAL_LOG_LEVEL?\n");
    check_wrong((struct world){ .env = { "PEAL_LISTEN=:80", "PEAL_ZEBRA=1" } },
        "environment: PEAL_ZEBRA: unknown variable; `peal config --env` lists them\n");
}

/* A Service called peal, or peal-redis, gives these to every pod of its namespace. */
static void
variables_of_kubernetes_services_are_not_options(void **state)
{
    struct peal_options *o = load_ok((struct world){
        .env = { "PEAL_LISTEN=:80", "PEAL_SERVICE_HOST=10.0.0.1", "PEAL_SERVICE_PORT=80",
            "PEAL_PORT=tcp://10.0.0.1:80", "PEAL_PORT_80_TCP_PROTO=tcp",
            "PEAL_REDIS_SERVICE_HOST=10.0.0.2", "PEAL_REDIS_SERVICE_PORT_TCP=6379",
            "PEAL_REDIS_PORT=tcp://10.0.0.2:6379", "PEALS=1", "OTHER=2" } });

    peal_options_free(&o);
    check_wrong((struct world){ .env = { "PEAL_LISTEN=:80", "PEAL_PORT=8080" } },
        "environment: PEAL_PORT: unknown variable; `peal config --env` lists them\n");
}

static void
a_file_may_nest_or_use_dots(void **state)
{
    struct peal_options *o = load_ok((struct world){ .text = "listen:\n"
                                                             "  - 127.0.0.1:80\n"
                                                             "  - unix:/run/p\n"
                                                             "listen.proxy_protocol: on\n"
                                                             "ws:\n"
                                                             "  ping_interval: 5s\n"
                                                             "ws.ping_timeout: 6s\n"
                                                             "api.key: [a, b]\n" });

    CHECK_INT(o->listen.n, 2);
    CHECK(o->listen_proxy_protocol);
    CHECK_INT(o->ws_ping_interval_ms, 5000);
    CHECK_INT(o->ws_ping_timeout_ms, 6000);
    CHECK_INT(o->api_key.n, 2);
    CHECK_INT(o->place[PEAL_OPT_N_ws_ping_interval].level, PEAL_FROM_FILE);
    CHECK_INT(o->place[PEAL_OPT_N_ws_ping_interval].line, 6);
    CHECK_INT(o->place[PEAL_OPT_N_ws_ping_interval].column, 18);
    CHECK_SLICE(peal_slice_str(o->file), file);
    peal_options_free(&o);
}

static void
all_mistakes_of_a_file_are_said_at_once(void **state)
{
    check_wrong((struct world){ .text = "lissten: ':80'\n"
                                        "log:\n"
                                        "  level: loud\n"
                                        "  formt: friendly\n"
                                        "workers: [1, 2]\n"
                                        "http: 3\n"
                                        "ws:\n"
                                        "  deflate: {}\n"
                                        "  channels_max:\n"
                                        "api.key: [a, [b]]\n"
                                        "rules: {chanels: 1}\n",
                    .sets = { "workers=x" } },
        "FILE:1:1: lissten: unknown option; did you mean listen?\n"
        "FILE:3:10: log.level: expected one of error, warn, info, debug, not \"loud\"\n"
        "FILE:4:3: log.formt: unknown option; did you mean log.format?\n"
        "FILE:5:10: workers: expected a single value, not a list\n"
        "FILE:6:1: http: is a group of options, not an option\n"
        "FILE:8:12: ws.deflate: expected a single value, not a map\n"
        "FILE:9:16: ws.channels_max: has no value\n"
        "FILE:10:14: api.key: expected a list of single values\n"
        "--set: workers: expected a whole number, not \"x\"\n"
        "FILE:11:9: rules.chanels: unknown; did you mean channels?\n");
}

static void
an_option_stands_in_one_place_of_a_level(void **state)
{
    check_wrong(
        (struct world){ .text = "listen: ':80'\nws: {deflate: on}\nws.deflate: off\n" },
        "FILE:3:13: ws.deflate: is set twice\n");
    check_set("listen=:x",
        "--set: listen: expected address:port, :port or unix:/path; an address in "
        "numbers, or localhost, not \":x\"\n");
}

static void
the_last_one_on_the_command_line_wins(void **state)
{
    struct peal_options *o = load_ok((struct world){ .dev = true,
        .sets = { "listen=:80", "workers=1", "node.name=a", "workers=2", "node.name=b",
            "listen=:81", "dev=off" } });

    check_value(o, "workers", "2");
    check_value(o, "node.name", "b");
    check_value(o, "listen", ":80,:81");
    check_value(o, "dev", "off");
    peal_options_free(&o);
}

static void
files_that_cannot_be_used_are_said(void **state)
{
    struct peal_option_input in = { .file = "/nonexistent/peal.yaml" };
    struct peal_options *o = NULL;
    struct peal_buf errors = { 0 };

    CHECK_ERR(peal_options_load(&in, &o, &errors), PEAL_EINVAL);
    CHECK_SLICE(peal_buf_slice(&errors),
        "/nonexistent/peal.yaml: cannot be read: No such file or directory\n");
    peal_buf_fini(&errors);
    check_wrong(
        (struct world){ .text = "- a\n" }, "FILE:1:1: expected a map of options\n");
    check_wrong((struct world){ .text = "a: [\n" },
        "FILE:2:1: did not find expected node content\n");
}

static void
the_command_line_wins_over_environment_file_dev_default(void **state)
{
    const char *text = "log.format: logfmt\nlog.level: error\nworkers: 1\n";
    struct peal_options *o = load_ok((struct world){ .text = text,
        .env = { "PEAL_LOG_LEVEL=warn", "PEAL_WORKERS=2" },
        .sets = { "workers=3" },
        .dev = true });

    CHECK_INT(o->workers, 3);
    CHECK_INT(o->place[PEAL_OPT_N_workers].level, PEAL_FROM_SET);
    CHECK_INT(o->log_level, 1);
    CHECK_INT(o->place[PEAL_OPT_N_log_level].level, PEAL_FROM_ENV);
    CHECK_INT(o->log_format, PEAL_LOG_LOGFMT);
    CHECK_INT(o->place[PEAL_OPT_N_log_format].level, PEAL_FROM_FILE);
    check_value(o, "listen", "127.0.0.1:8080");
    CHECK_INT(o->place[PEAL_OPT_N_listen].level, PEAL_FROM_DEV);
    CHECK_INT(o->place[PEAL_OPT_N_io_engine].level, PEAL_FROM_DEFAULT);
    peal_options_free(&o);
}

static void
a_stronger_list_replaces_the_weaker_one(void **state)
{
    struct peal_options *o = load_ok(
        (struct world){ .text = "listen: [':80', ':81']\n", .sets = { "listen=:82" } });

    check_value(o, "listen", ":82");
    peal_options_free(&o);
}

static void
dev_is_the_same_wherever_it_is_said(void **state)
{
    const struct world worlds[] = { { .dev = true }, { .text = "dev: on\n" },
        { .env = { "PEAL_DEV=true" } }, { .sets = { "dev=yes" } } };

    for (unsigned i = 0; i < 4; i++) {
        struct peal_options *o = load_ok(worlds[i]);

        CHECK(o->dev);
        check_value(o, "listen", "127.0.0.1:8080");
        check_value(o, "log.format", "friendly");
        check_value(o, "socketio.cors", "*");
        peal_options_free(&o);
    }
}

static void
secrets_come_from_files(void **state)
{
    char variable[64];
    struct peal_options *o;
    struct world w = { .env = { "PEAL_LISTEN=:80", variable } };
    FILE *f;

    snprintf(variable, sizeof(variable), "PEAL_API_KEY_FILE=%s", file);
    CHECK((f = fopen(file, "w")) != NULL);
    fputs("first\n second \n\nthird", f);
    fclose(f);
    o = load_ok(w);
    CHECK_INT(o->api_key.n, 3);
    CHECK_SLICE(peal_slice_str(o->api_key.v[0]), "first");
    CHECK_SLICE(peal_slice_str(o->api_key.v[1]), "second");
    CHECK_SLICE(peal_slice_str(o->api_key.v[2]), "third");
    peal_options_free(&o);
    w.env[2] = "PEAL_API_KEY=x";
    check_wrong(w, "PEAL_API_KEY: api.key: is set twice\n");
    check_wrong((struct world){ .env = { "PEAL_LISTEN=:80",
                                    "PEAL_API_KEY_FILE=/nonexistent/key" } },
        "PEAL_API_KEY_FILE: api.key: /nonexistent/key cannot be read: No such file or "
        "directory\n");
    check_wrong((struct world){ .env = { "PEAL_LISTEN=:80", "PEAL_TLS_KEY_FILE=x" } },
        "environment: PEAL_TLS_KEY_FILE: unknown variable; did you mean "
        "PEAL_TLS_KEY?\n");
}

static void
lists_are_bounded(void **state)
{
    struct peal_buf set = { 0 };
    struct peal_options *o = NULL;

    CHECK_OK(peal_buf_add_slice(&set, PEAL_S("listen=:1")));
    for (unsigned i = 1; i < PEAL_OPTION_VALUES_MAX; i++)
        CHECK_OK(peal_buf_add_slice(&set, PEAL_S(",:1")));
    CHECK_OK(peal_buf_add(&set, "\0", 1));
    o = load_ok((struct world){ .sets = { set.data } });
    CHECK_INT(o->listen.n, PEAL_OPTION_VALUES_MAX);
    peal_options_free(&o);
    set.len--;
    CHECK_OK(peal_buf_add(&set, ",:1", 4));
    check_wrong(
        (struct world){ .sets = { set.data } }, "--set: listen: more than 256 values\n");
    peal_buf_fini(&set);
}

static void
names_of_variables_are_unambiguous(void **state)
{
    char a[PEAL_OPTION_ENV_MAX], b[PEAL_OPTION_ENV_MAX];

    CHECK_SLICE(
        peal_slice_str(peal_option_env(peal_option_find(PEAL_S("socketio.path")), a)),
        "PEAL_SOCKETIO_PATH");
    for (unsigned i = 0; i < PEAL_OPTION_N; i++)
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(peal_option_env(&peal_option_table[i], a),
                peal_option_env(&peal_option_table[k], b));
}

static void
without_memory_nothing_is_made(void **state)
{
    struct world w = {
        .text = "listen: [':80']\nrules: {channels: {news: {subscribe: on}}}\nnope: 1\n",
        .env = { "PEAL_API_KEY=a,b" },
        .sets = { "node.name=x" }
    };
    long n = 0;

    for (;; n++) {
        struct peal_options *o = NULL;
        struct peal_buf errors = { 0 };
        peal_err err;

        if (n == 0)
            CHECK_ERR(load(&w, &o, &errors), PEAL_EINVAL); /* writes the file */
        peal_buf_fini(&errors);
        alloc_left = n;
        err = peal_options_load(
            &(struct peal_option_input){
                .file = file, .env = w.env, .sets = w.sets, .n_sets = 1 },
            &o, &errors);
        alloc_left = -1;
        peal_buf_fini(&errors);
        CHECK(o == NULL);
        if (err == PEAL_EINVAL)
            break;
        CHECK_ERR(err, PEAL_ENOMEM);
    }
    CHECK(n > 10);
}

static int
start(void **state)
{
    int fd = mkstemp(file);

    return fd < 0 ? -1 : close(fd);
}

static int
finish(void **state)
{
    return unlink(file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_valid_and_is_written_as_in_the_table),
        cmocka_unit_test(listen_is_required),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(what_is_empty_is_null_or_an_empty_list),
        cmocka_unit_test(wrong_values_are_said_with_what_would_be_right),
        cmocka_unit_test(a_secret_is_never_shown),
        cmocka_unit_test(unknown_names_are_errors_with_the_nearest),
        cmocka_unit_test(variables_of_kubernetes_services_are_not_options),
        cmocka_unit_test(a_file_may_nest_or_use_dots),
        cmocka_unit_test(all_mistakes_of_a_file_are_said_at_once),
        cmocka_unit_test(an_option_stands_in_one_place_of_a_level),
        cmocka_unit_test(the_last_one_on_the_command_line_wins),
        cmocka_unit_test(files_that_cannot_be_used_are_said),
        cmocka_unit_test(the_command_line_wins_over_environment_file_dev_default),
        cmocka_unit_test(a_stronger_list_replaces_the_weaker_one),
        cmocka_unit_test(dev_is_the_same_wherever_it_is_said),
        cmocka_unit_test(secrets_come_from_files),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(names_of_variables_are_unambiguous),
        cmocka_unit_test(without_memory_nothing_is_made),
    };

    return cmocka_run_group_tests(tests, start, finish);
}

/* SPDX-License-Identifier: MIT */
/* io: TLS as client, against OpenSSL's own server; the test makes the loop's turns. */
#include "check.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/conn.h"
#include "io/tls.h"

static char dir[] = "/tmp/peal-test-XXXXXX";
static char cert[64], key[64], other[64];

/* A client's connection, and a server at its other end. */
struct rig {
    struct peal_loop *loop;
    struct peal_conn *conn; /* NULL once it is closed */
    struct peal_log log;
    SSL *server;
    int peer;
    struct peal_buf got;   /* by the client */
    struct peal_buf heard; /* by the server */
    enum peal_close why;
    bool finishes; /* the client consumes one byte and is done with the connection */
};

static size_t
on_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct rig *r = peal_conn_owner(c);

    CHECK(r->conn != NULL); /* it has not let go of it */
    if (r->finishes) {
        r->conn = NULL;
        peal_conn_finish(c, PEAL_CLOSE_LOCAL);
        len = 1;
    }
    CHECK_OK(peal_buf_add(&r->got, data, len));
    return len;
}

static void
on_closed(struct peal_conn *c, enum peal_close why)
{
    struct rig *r = peal_conn_owner(c);

    r->conn = NULL;
    r->why = why;
}

static const struct peal_conn_ops ops = { .data = on_data, .closed = on_closed };

static SSL *
server_of(int fd, int max_version, bool asks)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL *ssl;

    CHECK(ctx != NULL);
    CHECK_INT(SSL_CTX_use_certificate_chain_file(ctx, cert), 1);
    CHECK_INT(SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM), 1);
    CHECK_INT(SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION), 1);
    CHECK_INT(SSL_CTX_set_max_proto_version(ctx, max_version), 1);
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
    CHECK_INT(SSL_CTX_load_verify_file(ctx, cert), 1);
    if (asks)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    CHECK((ssl = SSL_new(ctx)) != NULL);
    SSL_CTX_free(ctx);
    CHECK_INT(SSL_set_fd(ssl, fd), 1);
    SSL_set_accept_state(ssl);
    return ssl;
}

static void
rig_init_with(struct rig *r, int max_version, bool asks, size_t queue_max)
{
    struct peal_loop_config config = { .queue_age_ms = 60000 };
    int fds[2];

    memset(r, 0, sizeof(*r));
    r->log = (struct peal_log){ .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };
    config.log = &r->log;
    config.queue_bytes_max = queue_max;
    CHECK_OK(peal_loop_new(&config, &r->loop));
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_OK(peal_conn_new(r->loop, fds[0], PEAL_CONN_CLIENT, &ops, r, &r->conn));
    r->peer = fds[1];
    r->server = server_of(r->peer, max_version, asks);
}

static void
rig_init(struct rig *r)
{
    rig_init_with(r, 0, false, 1 << 20);
}

static void
rig_fini(struct rig *r)
{
    peal_loop_free(&r->loop);
    SSL_free(r->server);
    close(r->peer);
    peal_buf_fini(&r->got);
    peal_buf_fini(&r->heard);
}

static struct peal_tls_ctx *
client_ctx(const char *ca, bool shows, bool verify)
{
    struct peal_tls_ctx *ctx = NULL;
    struct peal_buf why = { 0 };

    CHECK_OK(peal_tls_client_ctx_new(
        ca, shows ? cert : NULL, shows ? key : NULL, verify, &ctx, &why));
    CHECK_INT(why.len, 0);
    return ctx;
}

static void
start(struct rig *r, struct peal_tls_ctx *ctx, const char *name)
{
    CHECK_OK(peal_conn_start_tls_client(r->conn, ctx, name));
    peal_tls_ctx_release(ctx);
}

/* What can happen now happens: on both sides, until nothing more comes of it. */
static void
turns(struct rig *r)
{
    char bytes[16384];
    int n, idle = 0;

    while (idle < 10) {
        uv_run(peal_loop_uv(r->loop), UV_RUN_NOWAIT);
        n = SSL_read(r->server, bytes, sizeof(bytes));
        ERR_clear_error();
        if (n > 0)
            CHECK_OK(peal_buf_add(&r->heard, bytes, (size_t)n));
        idle = n > 0 ? 0 : idle + 1;
    }
}

static long
stat_of(struct rig *r, enum peal_stat which)
{
    return (long)peal_stat_get(peal_loop_stats(r->loop), which);
}

static void
expect_spoken(struct rig *r)
{
    turns(r);
    CHECK(r->conn != NULL);
    CHECK_INT(stat_of(r, PEAL_STAT_TLS_HANDSHAKES), 1);
    CHECK_INT(stat_of(r, PEAL_STAT_TLS_FAILED), 0);
}

/* The handshake fails, and the loop knows why. */
static void
expect_refused(struct rig *r, const char *why)
{
    const char *said;

    turns(r);
    CHECK(r->conn == NULL);
    CHECK_INT(r->why, PEAL_CLOSE_ERROR);
    CHECK_INT(stat_of(r, PEAL_STAT_TLS_FAILED), 1);
    said = peal_loop_take_tls_why(r->loop);
    CHECK(said != NULL && peal_loop_take_tls_why(r->loop) == NULL);
    if (strstr(said, why) == NULL)
        fail_msg("the loop says: %s", said);
}

static void
names_and_addresses_are_verified(void **state)
{
    static const char *const good[] = { "localhost", "a.example.com", "127.0.0.1",
        "::1" };
    static const char *const bad[] = { "example.com", "a.b.example.com", "127.0.0.2" };
    struct rig r;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        rig_init(&r);
        start(&r, client_ctx(cert, false, true), good[i]);
        expect_spoken(&r);
        if (i < 2)
            assert_string_equal(
                SSL_get_servername(r.server, TLSEXT_NAMETYPE_host_name), good[i]);
        else
            CHECK(SSL_get_servername(r.server, TLSEXT_NAMETYPE_host_name) == NULL);
        rig_fini(&r);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rig_init(&r);
        start(&r, client_ctx(cert, false, true), bad[i]);
        expect_refused(&r, "mismatch");
        rig_fini(&r);
    }
}

static void
who_vouches_for_the_server_matters(void **state)
{
    struct rig r;

    rig_init(&r);
    start(&r, client_ctx(other, false, true), "localhost");
    expect_refused(&r, "self-signed certificate");
    rig_fini(&r);
    rig_init(&r);
    start(&r, client_ctx(NULL, false, true), "localhost"); /* the system's */
    expect_refused(&r, "self-signed certificate");
    rig_fini(&r);
    rig_init(&r);
    start(&r, client_ctx(NULL, false, false), "whoever"); /* unless nobody asks */
    expect_spoken(&r);
    rig_fini(&r);
}

static void
old_versions_are_refused(void **state)
{
    struct rig r;

    rig_init_with(&r, TLS1_2_VERSION, false, 1 << 20);
    start(&r, client_ctx(cert, false, true), "localhost");
    expect_spoken(&r);
    assert_string_equal(SSL_get_version(r.server), "TLSv1.2");
    rig_fini(&r);
    rig_init_with(&r, TLS1_1_VERSION, false, 1 << 20);
    start(&r, client_ctx(cert, false, true), "localhost");
    expect_refused(&r, "version");
    rig_fini(&r);
}

static void
a_certificate_is_shown_when_asked_for(void **state)
{
    struct rig r;

    rig_init_with(&r, 0, true, 1 << 20);
    start(&r, client_ctx(cert, true, true), "localhost");
    expect_spoken(&r);
    CHECK_INT(SSL_get_verify_result(r.server), X509_V_OK);
    CHECK(SSL_get0_peer_certificate(r.server) != NULL);
    rig_fini(&r);
    rig_init_with(&r, 0, true, 1 << 20);
    start(&r, client_ctx(cert, false, true), "localhost");
    turns(&r);
    CHECK(r.conn == NULL); /* the server hung up */
    rig_fini(&r);
}

static void
what_is_sent_before_comes_after_the_handshake(void **state)
{
    char *large = malloc(500000);
    struct rig r;

    CHECK(large != NULL);
    memset(large, 'x', 500000);
    for (int paused = 0; paused < 2; paused++) {
        rig_init(&r);
        CHECK(peal_conn_send_bytes(r.conn, PEAL_S("before, ")));
        start(&r, client_ctx(cert, false, true), "localhost");
        if (paused) /* it shakes hands all the same */
            peal_conn_pause(r.conn);
        CHECK(peal_conn_send_bytes(r.conn, PEAL_S("during, ")));
        uv_run(peal_loop_uv(r.loop), UV_RUN_NOWAIT);
        peal_conn_flush(r.conn);
        CHECK(peal_conn_send_bytes(r.conn, peal_slice_of(large, 500000)));
        CHECK_INT(peal_conn_queued(r.conn), 16 + 500000 + 3 * PEAL_CONN_ITEM_COST);
        expect_spoken(&r);
        CHECK(peal_conn_send_bytes(r.conn, PEAL_S("after")));
        turns(&r);
        CHECK_INT(r.heard.len, 16 + 500000 + 5);
        CHECK_INT(memcmp(r.heard.data, "before, during, x", 17), 0);
        CHECK_INT(memcmp(r.heard.data + 16 + 500000, "after", 5), 0);
        CHECK_INT(stat_of(&r, PEAL_STAT_QUEUE_BYTES), 0);
        CHECK_INT(SSL_write(r.server, "hello", 5), 5);
        turns(&r);
        CHECK_INT(r.got.len, paused ? 0 : 5);
        if (paused)
            peal_conn_resume(r.conn);
        turns(&r);
        CHECK_SLICE(peal_buf_slice(&r.got), "hello");
        rig_fini(&r);
    }
    free(large);
}

/* By the time that the rest could be offered again the owner may be gone, or somebody
 * else's. */
static void
bytes_left_by_an_owner_that_finishes_are_offered_to_nobody(void **state)
{
    struct rig r;

    rig_init(&r);
    start(&r, client_ctx(cert, false, true), "localhost");
    expect_spoken(&r);
    r.finishes = true;
    CHECK_INT(SSL_write(r.server, "1234567", 7), 7);
    for (int i = 0; i < 20; i++) /* more records than are read in a row */
        CHECK_INT(SSL_write(r.server, "x", 1), 1);
    turns(&r);
    CHECK_SLICE(peal_buf_slice(&r.got), "1");
    CHECK_INT(stat_of(&r, PEAL_STAT_CONNECTIONS), 1); /* it waits for the peer */
    CHECK_INT(shutdown(r.peer, SHUT_RDWR), 0);
    turns(&r);
    CHECK_INT(stat_of(&r, PEAL_STAT_CONNECTIONS), 0);
    rig_fini(&r);
}

static void
the_queue_is_bounded_while_hands_are_shaken(void **state)
{
    struct rig r;

    rig_init_with(&r, 0, false, 1000);
    start(&r, client_ctx(cert, false, true), "localhost");
    CHECK(peal_conn_send_bytes(r.conn, PEAL_S("0123456789")));
    while (peal_conn_send_bytes(r.conn, PEAL_S("0123456789")))
        CHECK(peal_conn_queued(r.conn) <= 1000);
    uv_run(peal_loop_uv(r.loop), UV_RUN_NOWAIT);
    uv_run(peal_loop_uv(r.loop), UV_RUN_NOWAIT);
    CHECK(r.conn == NULL);
    CHECK_INT(r.why, PEAL_CLOSE_SLOW);
    rig_fini(&r);
}

static void
who_speaks_no_tls_is_left(void **state)
{
    struct rig r;

    rig_init(&r);
    start(&r, client_ctx(cert, false, true), "localhost");
    CHECK_INT(send(r.peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0), 28);
    expect_refused(&r, "wrong version number");
    rig_fini(&r);
    rig_init(&r);
    start(&r, client_ctx(cert, false, true), "localhost");
    CHECK_INT(shutdown(r.peer, SHUT_RDWR), 0);
    expect_refused(&r, "the connection was closed");
    rig_fini(&r);
    rig_init(&r); /* or never says anything; and the loop ends */
    start(&r, client_ctx(cert, false, true), "localhost");
    uv_run(peal_loop_uv(r.loop), UV_RUN_NOWAIT);
    rig_fini(&r);
}

static void
files_that_cannot_be_read_are_named(void **state)
{
    static const struct {
        const char *ca, *cert, *key, *why;
    } bad[] = {
        { "/no/such/ca", NULL, NULL, "authorities /no/such/ca: " },
        { NULL, "/no/such/cert", key, "certificate /no/such/cert: " },
        { NULL, cert, "/no/such/key", "private key /no/such/key: " },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct peal_tls_ctx *ctx;
        struct peal_buf why = { 0 };

        CHECK_ERR(
            peal_tls_client_ctx_new(bad[i].ca, bad[i].cert, bad[i].key, true, &ctx, &why),
            PEAL_EINVAL);
        CHECK(peal_slice_starts(peal_buf_slice(&why), peal_slice_str(bad[i].why)));
        peal_buf_fini(&why);
    }
}

static void
sign(X509 *x, EVP_PKEY *pair, const char *path)
{
    X509_NAME *name = X509_get_subject_name(x);
    FILE *f;

    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_set_version(x, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC, (const unsigned char *)path, -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, pair);
    CHECK(X509_sign(x, pair, EVP_sha256()) > 0);
    CHECK((f = fopen(path, "w")) != NULL);
    CHECK_INT(PEM_write_X509(f, x), 1);
    fclose(f);
}

/* A self-signed certificate for a few names, and one that has nothing to do with it. */
static int
make_certificates(void **state)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256"), *unknown = EVP_EC_gen("P-256");
    X509 *x = X509_new(), *y = X509_new();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
        "DNS:localhost,DNS:*.example.com,IP:127.0.0.1,IP:::1");
    FILE *f;

    CHECK(pair != NULL && unknown != NULL && x != NULL && y != NULL && names != NULL);
    CHECK(mkdtemp(dir) != NULL);
    snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
    snprintf(key, sizeof(key), "%s/key.pem", dir);
    snprintf(other, sizeof(other), "%s/other.pem", dir);
    CHECK_INT(X509_add_ext(x, names, -1), 1);
    sign(x, pair, cert);
    sign(y, unknown, other);
    CHECK((f = fopen(key, "w")) != NULL);
    CHECK_INT(PEM_write_PrivateKey(f, pair, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    X509_EXTENSION_free(names);
    X509_free(x);
    X509_free(y);
    EVP_PKEY_free(pair);
    EVP_PKEY_free(unknown);
    return 0;
}

static int
remove_certificates(void **state)
{
    unlink(cert);
    unlink(key);
    unlink(other);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_addresses_are_verified),
        cmocka_unit_test(who_vouches_for_the_server_matters),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(a_certificate_is_shown_when_asked_for),
        cmocka_unit_test(what_is_sent_before_comes_after_the_handshake),
        cmocka_unit_test(bytes_left_by_an_owner_that_finishes_are_offered_to_nobody),
        cmocka_unit_test(the_queue_is_bounded_while_hands_are_shaken),
        cmocka_unit_test(who_speaks_no_tls_is_left),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}

/* SPDX-License-Identifier: MIT */
/* io/tickets: TLS sessions that are resumed at another node, and when they are not. A
 * node is a context here; the test says what the date is. */
#include "cert.h"
#include "check.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <time.h>

#include "io/conn.h"
#include "io/tls.h"

#define HOUR 3600
#define ONE "the first secret, which has 32 bytes"
#define TWO "the second one, which has them, too."

static time_t date = 1000 * 12 * HOUR;

time_t __wrap_time(time_t *out);

time_t
__wrap_time(time_t *out)
{
    if (out != NULL)
        *out = date;
    return date;
}

static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };

static size_t
on_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    return len;
}

static void
on_closed(struct peal_conn *c, enum peal_close why)
{
}

static const struct peal_conn_ops ops = { .data = on_data, .closed = on_closed };

static struct peal_tls_ctx *
node_of(const char *first, const char *second)
{
    struct peal_slice secrets[] = { peal_slice_str(first),
        peal_slice_str(second != NULL ? second : "") };
    struct peal_buf why = { 0 };
    struct peal_tls_ctx *node;

    CHECK_OK(peal_tls_ctx_new(cert, key, "1.2", &node, &why));
    CHECK_OK(peal_tls_ctx_share_tickets(node, secrets, second != NULL ? 2 : 1));
    return node;
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **kept = SSL_get_app_data(ssl);

    SSL_SESSION_free(*kept);
    *kept = session;
    return 1;
}

/* Connects to a node with the session of the last time, if there is one, and takes the
 * new one. Was it resumed? */
static bool
visit_with(struct peal_tls_ctx *node, int version, SSL_SESSION **session)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL,
        .log = &log_to,
        .queue_bytes_max = 1 << 20,
        .queue_age_ms = 60000 };
    struct peal_loop *loop;
    struct peal_conn *conn;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl;
    bool resumed;
    char byte;
    int fds[2];

    CHECK_OK(peal_loop_new(&config, &loop));
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_OK(peal_conn_new(loop, fds[0], PEAL_CONN_CLIENT, &ops, NULL, &conn));
    CHECK_OK(peal_conn_start_tls(conn, node));
    CHECK_INT(SSL_CTX_set_max_proto_version(ctx, version), 1);
    SSL_CTX_set_session_cache_mode(
        ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    CHECK((ssl = SSL_new(ctx)) != NULL);
    SSL_set_app_data(ssl, session);
    CHECK_INT(SSL_set_fd(ssl, fds[1]), 1);
    if (*session != NULL)
        CHECK_INT(SSL_set_session(ssl, *session), 1);
    while (SSL_connect(ssl) != 1)
        uv_run(peal_loop_uv(loop), UV_RUN_NOWAIT);
    uv_run(peal_loop_uv(loop), UV_RUN_NOWAIT);
    CHECK(SSL_read(ssl, &byte, 1) < 0); /* the ticket is before it */
    resumed = SSL_session_reused(ssl) == 1;
    CHECK_INT(peal_stat_get(peal_loop_stats(loop), PEAL_STAT_TLS_RESUMED), resumed);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fds[1]);
    peal_loop_free(&loop);
    return resumed;
}

static bool
visit(struct peal_tls_ctx *node, SSL_SESSION **session)
{
    return visit_with(node, TLS1_3_VERSION, session);
}

static void
a_session_is_resumed_at_another_node(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

    for (unsigned i = 0; i < 2; i++) {
        struct peal_tls_ctx *here = node_of(ONE, NULL), *there = node_of(ONE, NULL);
        SSL_SESSION *session = NULL;

        CHECK(!visit_with(here, versions[i], &session));
        CHECK(session != NULL);
        CHECK(visit_with(there, versions[i], &session));
        CHECK(visit_with(here, versions[i], &session));
        SSL_SESSION_free(session);
        peal_tls_ctx_release(here);
        peal_tls_ctx_release(there);
    }
}

static void
another_secret_means_a_full_handshake(void **state)
{
    struct peal_tls_ctx *here = node_of(ONE, NULL), *there = node_of(TWO, NULL);
    SSL_SESSION *session = NULL;

    CHECK(!visit(here, &session));
    CHECK(!visit(there, &session));
    CHECK(visit(there, &session)); /* by the ticket that it has made itself */
    SSL_SESSION_free(session);
    peal_tls_ctx_release(here);
    peal_tls_ctx_release(there);
}

static void
secrets_are_replaced_without_a_full_handshake(void **state)
{
    struct peal_tls_ctx *old = node_of(ONE, NULL), *both = node_of(TWO, ONE),
                        *fresh = node_of(TWO, NULL);
    SSL_SESSION *session = NULL;

    CHECK(!visit(old, &session));
    CHECK(visit(both, &session)); /* and gets a ticket by the new one */
    CHECK(visit(fresh, &session));
    CHECK(!visit(old, &session));
    SSL_SESSION_free(session);
    peal_tls_ctx_release(old);
    peal_tls_ctx_release(both);
    peal_tls_ctx_release(fresh);
}

static void
keys_change_with_time_and_the_last_ones_are_still_taken(void **state)
{
    struct peal_tls_ctx *node = node_of(ONE, NULL);
    SSL_SESSION *session = NULL, *old;

    CHECK(!visit(node, &session));
    date += 11 * HOUR;
    CHECK(visit(node, &session));
    date += 11 * HOUR; /* the next period */
    CHECK(visit(node, &session));
    SSL_SESSION_up_ref(session);
    old = session;
    date += 24 * HOUR; /* two periods on, and too old besides */
    CHECK(!visit(node, &session));
    date -= 24 * HOUR;
    CHECK(visit(node, &old));
    date -= 11 * HOUR; /* a node whose clock is behind takes what others have made */
    CHECK(visit(node, &old));
    SSL_SESSION_free(session);
    SSL_SESSION_free(old);
    peal_tls_ctx_release(node);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_resumed_at_another_node),
        cmocka_unit_test(another_secret_means_a_full_handshake),
        cmocka_unit_test(secrets_are_replaced_without_a_full_handshake),
        cmocka_unit_test(keys_change_with_time_and_the_last_ones_are_still_taken),
    };

    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}

/* SPDX-License-Identifier: MIT */
/* TLS: OpenSSL straight on the non-blocking socket. Sessions come after the handshake
 * with TLS 1.3, by a callback from inside a read. */
#include "bench/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    struct peal_bench_conn *c = SSL_get_app_data(ssl);

    SSL_SESSION_free(c->session);
    c->session = session;
    return 1; /* kept */
}

peal_err
peal_bench_tls_init(struct peal_bench_net *net)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx == NULL)
        return PEAL_ENOMEM;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    /* Or OpenSSL forgets the session of a connection that its server did not close well.
     */
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(
        ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    net->tls = ctx;
    return PEAL_OK;
}

void
peal_bench_tls_fini(struct peal_bench_net *net)
{
    SSL_CTX_free(net->tls);
    net->tls = NULL;
}

bool
peal_bench_tls_begin(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    SSL *ssl = SSL_new(net->tls);

    if (ssl == NULL || SSL_set_fd(ssl, c->fd) != 1) {
        SSL_free(ssl);
        return false;
    }
    SSL_set_app_data(ssl, c);
    if (c->session != NULL && net->opts->resume)
        SSL_set_session(ssl, c->session);
    SSL_set_connect_state(ssl);
    c->ssl = ssl;
    return true;
}

void
peal_bench_tls_end(struct peal_bench_conn *c, bool forget)
{
    if (c->ssl !=
        NULL) /* or OpenSSL takes the session for one that must not be resumed */
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(c->ssl);
    c->ssl = NULL;
    if (!forget)
        return;
    SSL_SESSION_free(c->session);
    c->session = NULL;
}

int
peal_bench_tls_handshake(struct peal_bench_net *net, struct peal_bench_conn *c)
{
    int r = SSL_do_handshake(c->ssl), e = SSL_get_error(c->ssl, r);

    ERR_clear_error();
    if (r == 1)
        net->n_resumed += SSL_session_reused(c->ssl) == 1;
    return r == 1 ? 1 : e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static ssize_t
outcome(struct peal_bench_conn *c, int r)
{
    int e = SSL_get_error(c->ssl, r);

    ERR_clear_error();
    if (r > 0)
        return r;
    errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return e == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

ssize_t
peal_bench_tls_read(struct peal_bench_conn *c, void *buf, size_t len)
{
    return outcome(c, SSL_read(c->ssl, buf, (int)len));
}

ssize_t
peal_bench_tls_write(struct peal_bench_conn *c, const void *buf, size_t len)
{
    return outcome(c, SSL_write(c->ssl, buf, (int)len));
}

/* SPDX-License-Identifier: MIT */
/*
 * TLS: OpenSSL straight on the socket, without buffers of its own between two calls. A
 * context is made once for a certificate and shared, by references, by its connections;
 * after a reload new connections get a new one. Tickets are tickets.c's.
 */
#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/result_priv.h"
#include "io/tickets_priv.h"
#include "io/tls_priv.h"

struct peal_tls_ctx {
    SSL_CTX *ssl; /* counted by OpenSSL as well: connections retain it */
    _Atomic unsigned refs;
};

static int
select_http11(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";

    if (SSL_select_next_proto((unsigned char **)out, out_len, ours, sizeof(ours) - 1, in,
            in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    return SSL_TLSEXT_ERR_OK;
}

static peal_err
fail_with(struct peal_buf *why, const char *what, const char *path)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(e);

    ERR_clear_error();
    return peal_buf_printf(why, "%s %s: %s", what, path,
               reason ? reason : "cannot be used") == PEAL_OK
               ? PEAL_EINVAL
               : PEAL_ENOMEM;
}

/* Makes a context with the settings that servers and clients have in common. NULL: out
 * of memory. */
static struct peal_tls_ctx *
ctx_new(const SSL_METHOD *method, int min_version)
{
    struct peal_tls_ctx *ctx = calloc(1, sizeof(*ctx));
    SSL_CTX *s;

    if (ctx == NULL || (s = ctx->ssl = SSL_CTX_new(method)) == NULL) {
        free(ctx);
        return NULL;
    }
    ctx->refs = 1;
    SSL_CTX_set_min_proto_version(s, min_version);
    SSL_CTX_set_options(s,
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(s, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    ERR_clear_error();
    return ctx;
}

static peal_err
load_pair(
    SSL_CTX *s, const char *cert_path, const char *key_path, struct peal_buf *why_out)
{
    if (SSL_CTX_use_certificate_chain_file(s, cert_path) != 1)
        return fail_with(why_out, "certificate", cert_path);
    if (SSL_CTX_use_PrivateKey_file(s, key_path, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(s) != 1)
        return fail_with(why_out, "private key", key_path);
    return PEAL_OK;
}

peal_err
peal_tls_ctx_new(const char *cert_path, const char *key_path, const char *min_version,
    struct peal_tls_ctx **out, struct peal_buf *why_out)
{
    struct peal_tls_ctx *ctx = ctx_new(TLS_server_method(),
        strcmp(min_version, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
    peal_err err;

    if (ctx == NULL)
        return PEAL_ENOMEM;
    SSL_CTX_set_options(ctx->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Sessions are resumed by tickets, which cost us no memory. One for each handshake: a
     * client that comes back has one, and each costs as much as a small message. */
    SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx->ssl, 1);
    SSL_CTX_set_alpn_select_cb(ctx->ssl, select_http11, NULL);
    err = load_pair(ctx->ssl, cert_path, key_path, why_out);
    if (err != PEAL_OK)
        peal_tls_ctx_release(ctx);
    else
        *out = ctx;
    return err;
}

peal_err
peal_tls_ctx_share_tickets(
    struct peal_tls_ctx *ctx, const struct peal_slice *secrets, unsigned n)
{
    return peal_tickets_share(ctx->ssl, secrets, n);
}

static peal_err
load_authorities(SSL_CTX *s, const char *path, struct peal_buf *why_out)
{
    if (path != NULL && SSL_CTX_load_verify_file(s, path) != 1)
        return fail_with(why_out, "authorities", path);
    if (path == NULL && SSL_CTX_set_default_verify_paths(s) != 1)
        return fail_with(why_out, "authorities", "of the system");
    return PEAL_OK;
}

peal_err
peal_tls_client_ctx_new(const char *ca_path, const char *cert_path, const char *key_path,
    bool verify, struct peal_tls_ctx **out, struct peal_buf *why_out)
{
    struct peal_tls_ctx *ctx = ctx_new(TLS_client_method(), TLS1_2_VERSION);
    peal_err err = PEAL_OK;

    if (ctx == NULL)
        return PEAL_ENOMEM;
    SSL_CTX_set_verify(ctx->ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (verify)
        err = load_authorities(ctx->ssl, ca_path, why_out);
    if (err == PEAL_OK && cert_path != NULL)
        err = load_pair(ctx->ssl, cert_path, key_path, why_out);
    if (err != PEAL_OK)
        peal_tls_ctx_release(ctx);
    else
        *out = ctx;
    return err;
}

struct peal_tls_ctx *
peal_tls_ctx_retain(struct peal_tls_ctx *ctx)
{
    atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    return ctx;
}

void
peal_tls_ctx_release(struct peal_tls_ctx *ctx)
{
    unsigned before;

    if (ctx == NULL)
        return;
    before = atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel);
    PEAL_ASSERT(before > 0);
    if (before > 1)
        return;
    SSL_CTX_free(ctx->ssl);
    free(ctx);
}

struct ssl_st *
peal_ssl_new(struct peal_tls_ctx *ctx, int fd)
{
    SSL *ssl = SSL_new(ctx->ssl);

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

struct ssl_st *
peal_ssl_new_client(struct peal_tls_ctx *ctx, int fd, const char *server_name)
{
    SSL *ssl = SSL_new(ctx->ssl);
    bool ok = ssl != NULL && SSL_set_fd(ssl, fd) == 1;

    /* An address is looked for among the addresses of a certificate, and not sent: SNI
     * has only names (RFC 6066 section 3). */
    if (ok && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name) != 1)
        ok = SSL_set1_host(ssl, server_name) == 1 &&
             SSL_set_tlsext_host_name(ssl, server_name) == 1;
    ERR_clear_error();
    if (!ok) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

bool
peal_ssl_is_client(const struct ssl_st *ssl)
{
    return SSL_is_server(ssl) == 0;
}

bool
peal_ssl_has_begun(const struct ssl_st *ssl)
{
    return !SSL_is_server(ssl) || !SSL_in_before(ssl);
}

bool
peal_ssl_is_resumed(const struct ssl_st *ssl)
{
    return SSL_session_reused(ssl) == 1;
}

void
peal_ssl_free(struct ssl_st *ssl)
{
    SSL_free(ssl);
}

static int
outcome(SSL *ssl, int r)
{
    int e = SSL_get_error(ssl, r);

    ERR_clear_error();
    switch (e) {
    case SSL_ERROR_WANT_READ:
        return PEAL_IO_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        return PEAL_IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return PEAL_IO_EOF;
    default:
        return PEAL_IO_FAILED;
    }
}

int
peal_ssl_handshake(struct ssl_st *ssl, const char **why_out)
{
    int r = SSL_do_handshake(ssl);
    long verified = SSL_get_verify_result(ssl);

    if (r == 1)
        return 1;
    if (SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && verified != X509_V_OK)
        *why_out = X509_verify_cert_error_string(verified);
    else
        *why_out = ERR_reason_error_string(ERR_peek_last_error());
    if (*why_out == NULL)
        *why_out = "the connection was closed";
    return outcome(ssl, r);
}

ssize_t
peal_ssl_read(struct ssl_st *ssl, void *buf, size_t len)
{
    int r = SSL_read(ssl, buf, (int)len);

    return r > 0 ? r : outcome(ssl, r);
}

ssize_t
peal_ssl_write(struct ssl_st *ssl, const void *buf, size_t len)
{
    int r = SSL_write(ssl, buf, (int)len);

    return r > 0 ? r : outcome(ssl, r);
}

void
peal_ssl_shutdown(struct ssl_st *ssl)
{
    SSL_shutdown(ssl);
    ERR_clear_error();
}

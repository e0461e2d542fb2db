/* SPDX-License-Identifier: MIT */
/* TLS: OpenSSL straight on the socket; the only file that includes its headers here. */
#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "io/tls_ssl.h"

struct peal_tls_ctx {
    SSL_CTX *ssl; /* counted by OpenSSL; this struct is as many as there are holders */
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

peal_err
peal_tls_ctx_new(const char *cert_path, const char *key_path, const char *min_version,
    struct peal_tls_ctx **out, struct peal_buf *why_out)
{
    struct peal_tls_ctx *ctx = calloc(1, sizeof(*ctx));
    peal_err err = PEAL_ENOMEM;
    SSL_CTX *s;

    if (ctx == NULL || (s = ctx->ssl = SSL_CTX_new(TLS_server_method())) == NULL)
        goto fail;
    SSL_CTX_set_min_proto_version(
        s, strcmp(min_version, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(s, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(s, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(s, select_http11, NULL);
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(s, cert_path) != 1) {
        err = fail_with(why_out, "certificate", cert_path);
        goto fail;
    }
    if (SSL_CTX_use_PrivateKey_file(s, key_path, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(s) != 1) {
        err = fail_with(why_out, "private key", key_path);
        goto fail;
    }
    *out = ctx;
    return PEAL_OK;

fail:
    peal_tls_ctx_drop(ctx);
    return err;
}

struct peal_tls_ctx *
peal_tls_ctx_hold(struct peal_tls_ctx *ctx)
{
    struct peal_tls_ctx *again = malloc(sizeof(*again));

    if (again == NULL)
        return NULL;
    SSL_CTX_up_ref(ctx->ssl);
    again->ssl = ctx->ssl;
    return again;
}

void
peal_tls_ctx_drop(struct peal_tls_ctx *ctx)
{
    if (ctx == NULL)
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
        return PEAL_TLS_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        return PEAL_TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return PEAL_TLS_EOF;
    default:
        return PEAL_TLS_ERROR;
    }
}

int
peal_ssl_handshake(struct ssl_st *ssl)
{
    int r = SSL_do_handshake(ssl);

    return r == 1 ? 1 : outcome(ssl, r);
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

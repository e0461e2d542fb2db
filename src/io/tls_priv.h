/* SPDX-License-Identifier: MIT */
/* The part of TLS that connections use, inside io/ only. */
#ifndef PEAL_IO_TLS_PRIV_H
#define PEAL_IO_TLS_PRIV_H

#include <sys/types.h>

#include "io/tls.h"

struct ssl_st;

/* Results besides a number of bytes are those of result_priv.h. */
struct ssl_st *peal_ssl_new(struct peal_tls_ctx *ctx, int fd);
struct ssl_st *peal_ssl_new_client(
    struct peal_tls_ctx *ctx, int fd, const char *server_name);
bool peal_ssl_is_client(const struct ssl_st *ssl);
/* peal_ssl_has_begun: have we done anything for its handshake? A client always has. */
bool peal_ssl_has_begun(const struct ssl_st *ssl);
/* peal_ssl_is_resumed: the handshake has resumed an earlier session. */
bool peal_ssl_is_resumed(const struct ssl_st *ssl);
void peal_ssl_free(struct ssl_st *ssl);
/* 1: done; or one of the above. why_out: set with PEAL_IO_FAILED and PEAL_IO_EOF, to a
 * static text. */
int peal_ssl_handshake(struct ssl_st *ssl, const char **why_out);
ssize_t peal_ssl_read(struct ssl_st *ssl, void *buf, size_t len);
ssize_t peal_ssl_write(struct ssl_st *ssl, const void *buf, size_t len);
void peal_ssl_shutdown(struct ssl_st *ssl);

#endif

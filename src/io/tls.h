/* SPDX-License-Identifier: MIT */
/*
 * TLS: certificates and keys, as OpenSSL wants them, for listening or for dialling. A
 * context is counted: connections keep the one they began with, so a reload never touches
 * a running connection.
 */
#ifndef PEAL_IO_TLS_H
#define PEAL_IO_TLS_H

#include "base/buf.h"

struct peal_tls_ctx;

/*
 * peal_tls_ctx_new reads PEM files.
 *   cert_path  the chain, leaf first
 *   min_version  "1.2" or "1.3"
 *   why_out  on failure: what OpenSSL said, in English
 * Errors: PEAL_EINVAL, PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_tls_ctx_new(const char *cert_path, const char *key_path,
    const char *min_version, struct peal_tls_ctx **out, struct peal_buf *why_out);

/*
 * peal_tls_client_ctx_new is for peal_conn_start_tls_client; TLS 1.2 or later.
 *   ca_path  PEM file of the authorities to trust; NULL: the system's
 *   cert_path, key_path  PEM files of what to show when asked; NULL: nothing
 *   verify  false: any certificate is accepted
 *   why_out  as above
 * Errors: PEAL_EINVAL, PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_tls_client_ctx_new(const char *ca_path, const char *cert_path,
    const char *key_path, bool verify, struct peal_tls_ctx **out,
    struct peal_buf *why_out);

#define PEAL_TLS_SECRETS_MAX 2

/*
 * peal_tls_ctx_share_tickets makes session tickets that every server with the same
 * secrets takes: encrypted by the first one, and taken by each. Before the context is
 * used. Secrets are copied; n is 1 to PEAL_TLS_SECRETS_MAX. Errors: PEAL_EIO.
 */
PEAL_MUST_USE peal_err peal_tls_ctx_share_tickets(
    struct peal_tls_ctx *ctx, const struct peal_slice *secrets, unsigned n);

/* Any thread. */
struct peal_tls_ctx *peal_tls_ctx_retain(struct peal_tls_ctx *ctx);
void peal_tls_ctx_release(struct peal_tls_ctx *ctx);

#endif

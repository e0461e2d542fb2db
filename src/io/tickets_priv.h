/* SPDX-License-Identifier: MIT */
/* Session tickets whose keys come from secrets that nodes share; inside io/ only. */
#ifndef PEAL_IO_TICKETS_PRIV_H
#define PEAL_IO_TICKETS_PRIV_H

#include "io/tls.h"

struct ssl_ctx_st;

/*
 * peal_tickets_share makes all connections of a server's context encrypt their tickets by
 * the first secret, and take those of each. Secrets are copied.
 *   n  1 to PEAL_TLS_SECRETS_MAX
 * Errors: PEAL_EIO: OpenSSL cannot.
 */
PEAL_MUST_USE peal_err peal_tickets_share(
    struct ssl_ctx_st *ctx, const struct peal_slice *secrets, unsigned n);

#endif

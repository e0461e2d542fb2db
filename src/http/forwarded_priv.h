/* SPDX-License-Identifier: MIT */
/* The line that a node adds to a request that it forwards: see http/forward.h. */
#ifndef PEAL_HTTP_FORWARDED_PRIV_H
#define PEAL_HTTP_FORWARDED_PRIV_H

#include "wire/addr.h"
#include "wire/http_head.h"

#define PEAL_FORWARD_FIELD "Peal-Forward"
#define PEAL_FORWARD_LINE_MAX 128 /* bytes of the line that a node adds */

/*
 * peal_http_forwarded_check looks for the line. Returns 0, or the status with which to
 * refuse the request.
 *   secret  NULL: there must be none. Else it must be the first field, with this secret.
 *   client_out, secure_out  set where it is there and right
 */
unsigned peal_http_forwarded_check(const struct peal_httphead *head, const char *secret,
    struct peal_addr *client_out, bool *secure_out);

#endif

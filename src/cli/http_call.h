/* SPDX-License-Identifier: MIT */
/* One blocking HTTP request, for commands that ask a node; inside cli/ only. No TLS. */
#ifndef PEAL_CLI_HTTP_CALL_H
#define PEAL_CLI_HTTP_CALL_H

#include "base/buf.h"

#define PEAL_HTTP_CALL_TIMEOUT_S 10
#define PEAL_HTTP_CALL_ANSWER_MAX (1024 * 1024) /* bytes */

/*
 * peal_http_call posts JSON and reads the answer.
 *   server  http://host[:port] or unix:/path
 *   key     for Authorization: Bearer; NULL: none
 *   answer  the answer's body is appended
 *   why     on failure, what went wrong is appended, without newline
 * Errors: PEAL_EINVAL: no such server can be; PEAL_EIO, PEAL_EPROTO, PEAL_ELIMIT,
 * PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_http_call(const char *server, const char *key,
    const char *path, struct peal_slice body, unsigned *status_out,
    struct peal_buf *answer, struct peal_buf *why);

#endif

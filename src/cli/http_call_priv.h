/* SPDX-License-Identifier: MIT */
/* One HTTP request, for commands that ask a node; inside cli/ only. It has a loop of its
 * own, and returns when the answer is there. */
#ifndef PEAL_CLI_HTTP_CALL_PRIV_H
#define PEAL_CLI_HTTP_CALL_PRIV_H

#include "base/buf.h"

#define PEAL_HTTP_CALL_TIMEOUT_S 10
#define PEAL_HTTP_CALL_ANSWER_MAX (1024 * 1024) /* bytes */

struct peal_http_call {
    const char *server;     /* http://host[:port], https://host[:port] or unix:/path */
    const char *ca;         /* PEM file of the authorities to trust; NULL: the system's */
    const char *key;        /* for Authorization: Bearer; NULL: none */
    const char *path;       /* of the request */
    struct peal_slice body; /* JSON */
};

/*
 * peal_http_call posts the body and reads the answer.
 *   answer  the answer's body is appended
 *   why     on failure, what went wrong is appended, without newline
 * Errors: PEAL_EINVAL: no such server can be; PEAL_EIO, PEAL_EPROTO, PEAL_ELIMIT,
 * PEAL_ETIMEOUT, PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_http_call(const struct peal_http_call *call,
    unsigned *status_out, struct peal_buf *answer, struct peal_buf *why);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Errors: what the world can do to a call. A bug asserts; a peer's mistake becomes a
 * close reason and a counter; everything else returns one of these.
 */
#ifndef PEAL_ERR_H
#define PEAL_ERR_H

#define PEAL_MUST_USE __attribute__((warn_unused_result))
#define PEAL_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/* The errors, each with its text for people. */
#define PEAL_ERRORS(X)                                                                   \
    X(PEAL_OK, "ok")                                                                     \
    X(PEAL_ENOMEM, "out of memory")                                                      \
    X(PEAL_EINVAL, "invalid argument") /* or a wrong value of the configuration */       \
    X(PEAL_EAGAIN, "try again")        /* a queue is full, or input is incomplete */     \
    X(PEAL_ELIMIT, "limit reached")    /* a configured maximum was passed */             \
    X(PEAL_EPROTO, "protocol error")   /* bytes from outside break their protocol */     \
    X(PEAL_ECLOSED, "closed")          /* the other side, or the object, is closed */    \
    X(PEAL_ETIMEOUT, "timed out")      /* a deadline passed */                           \
    X(PEAL_ENOTFOUND, "not found")                                                       \
    X(PEAL_EEXIST, "already exists")                                                     \
    X(PEAL_EPERM, "not allowed")                                                         \
    X(PEAL_EUNSUPP, "not supported")  /* by this build, kernel or peer */                \
    X(PEAL_EIO, "input/output error") /* errno was logged where it happened */

typedef enum peal_err {
#define X(name, text) name,
    PEAL_ERRORS(X)
#undef X
} peal_err;

/* peal_err_text returns a short static English text, never NULL. Any thread. */
const char *peal_err_text(peal_err err);

/* peal_err_from_errno maps an errno to the nearest error above. Any thread. */
peal_err peal_err_from_errno(int e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Errors: what the world can do to a call. A bug asserts; a peer's mistake becomes a
 * close reason and a counter; everything else returns one of these.
 */
#ifndef PEAL_ERR_H
#define PEAL_ERR_H

#define PEAL_MUST_USE __attribute__((warn_unused_result))
#define PEAL_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

typedef enum peal_err {
    PEAL_OK = 0,
    PEAL_ENOMEM,   /* memory could not be had */
    PEAL_EINVAL,   /* an argument or a configuration value is wrong */
    PEAL_EAGAIN,   /* not now: a queue is full or input is incomplete */
    PEAL_ELIMIT,   /* a configured maximum was passed */
    PEAL_EPROTO,   /* bytes from outside break their protocol */
    PEAL_ECLOSED,  /* the other side, or the object, is closed */
    PEAL_ETIMEOUT, /* a deadline passed */
    PEAL_ENOTFOUND,
    PEAL_EEXIST,
    PEAL_EPERM,   /* not allowed */
    PEAL_EUNSUPP, /* this build, kernel or peer cannot do it */
    PEAL_EIO      /* the system said no; errno was logged where it happened */
} peal_err;

/* peal_err_text returns a short static English text, never NULL. Any thread. */
const char *peal_err_text(peal_err err);

/* peal_err_from_errno maps an errno to the nearest error above. Any thread. */
peal_err peal_err_from_errno(int e);

#endif

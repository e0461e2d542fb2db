/* SPDX-License-Identifier: MIT */
/* Error texts, and the one place where errno turns into peal_err. */
#include "peal/err.h"

#include <errno.h>

const char *
peal_err_text(peal_err err)
{
    switch (err) {
    case PEAL_OK:
        return "ok";
    case PEAL_ENOMEM:
        return "out of memory";
    case PEAL_EINVAL:
        return "invalid argument";
    case PEAL_EAGAIN:
        return "try again";
    case PEAL_ELIMIT:
        return "limit reached";
    case PEAL_EPROTO:
        return "protocol error";
    case PEAL_ECLOSED:
        return "closed";
    case PEAL_ETIMEOUT:
        return "timed out";
    case PEAL_ENOTFOUND:
        return "not found";
    case PEAL_EEXIST:
        return "already exists";
    case PEAL_EPERM:
        return "not allowed";
    case PEAL_EUNSUPP:
        return "not supported";
    case PEAL_EIO:
        return "input/output error";
    }
    return "unknown error";
}

peal_err
peal_err_from_errno(int e)
{
    switch (e) {
    case 0:
        return PEAL_OK;
    case ENOMEM:
        return PEAL_ENOMEM;
    case EINVAL:
        return PEAL_EINVAL;
    case EAGAIN:
    case EINTR:
        return PEAL_EAGAIN;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
        return PEAL_ELIMIT;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return PEAL_ECLOSED;
    case ETIMEDOUT:
        return PEAL_ETIMEOUT;
    case ENOENT:
        return PEAL_ENOTFOUND;
    case EEXIST:
    case EADDRINUSE:
        return PEAL_EEXIST;
    case EPERM:
    case EACCES:
        return PEAL_EPERM;
    case ENOSYS:
    case EOPNOTSUPP:
        return PEAL_EUNSUPP;
    default:
        return PEAL_EIO;
    }
}

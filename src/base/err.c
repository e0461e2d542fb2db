/* SPDX-License-Identifier: MIT */
/* The texts of errors, and the one place where an errno becomes a peal_err. */
#include "peal/err.h"

#include <errno.h>

static const char *const texts[] = {
#define X(name, text) [name] = text,
    PEAL_ERRORS(X)
#undef X
};

const char *
peal_err_text(peal_err err)
{
    return (unsigned)err < sizeof(texts) / sizeof(texts[0]) ? texts[err]
                                                            : "unknown error";
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

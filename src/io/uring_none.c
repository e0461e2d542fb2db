/* SPDX-License-Identifier: MIT */
/* In place of uring.c where the build has no liburing. */
#include "io/flusher_priv.h"

peal_err
peal_flusher_uring(struct peal_flusher **out)
{
    return PEAL_EUNSUPP;
}

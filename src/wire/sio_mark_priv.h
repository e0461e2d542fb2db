/* SPDX-License-Identifier: MIT */
/*
 * Recognises objects that are placeholders, from their keys and values one by one; inside
 * wire/ only. An object is one if the last "_placeholder" in it is true, whatever else it
 * holds, as the JavaScript parser sees it.
 */
#ifndef PEAL_WIRE_SIO_MARK_PRIV_H
#define PEAL_WIRE_SIO_MARK_PRIV_H

#include "wire/sio.h"

enum peal_sio_key {
    PEAL_SIO_KEY_OTHER,
    PEAL_SIO_KEY_PLACEHOLDER,
    PEAL_SIO_KEY_NUM
};

struct peal_sio_mark {
    enum peal_sio_key key; /* of the value that comes next */
    int num;               /* "num"; -1: none, or out of range */
    bool marked;           /* "_placeholder" is true */
};

#define PEAL_SIO_MARK_NONE ((struct peal_sio_mark){ PEAL_SIO_KEY_OTHER, -1, false })

void peal_sio_mark_key(struct peal_sio_mark *m, struct peal_slice token);

/* A container counts as an empty token. */
void peal_sio_mark_value(
    struct peal_sio_mark *m, struct peal_slice token, unsigned n_atts);

#endif

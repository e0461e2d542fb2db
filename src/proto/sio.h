/* SPDX-License-Identifier: MIT */
/* Socket.IO v5 on Engine.IO: namespaces, events, acknowledgements, attachments. */
#ifndef PEAL_PROTO_SIO_H
#define PEAL_PROTO_SIO_H

#include "proto/eio.h"

extern const struct peal_eio_ops peal_sio_ops;

#endif

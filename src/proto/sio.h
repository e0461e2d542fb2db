/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO v5, the rider of Engine.IO that peal serves: namespaces, events,
 * acknowledgements, attachments.
 */
#ifndef PEAL_PROTO_SIO_H
#define PEAL_PROTO_SIO_H

#include "proto/eio.h"

/* The config of the protocol "socketio"; its engine.rider is &peal_socketio_rider. */
struct peal_socketio_config {
    struct peal_eio_config engine; /* first */
    bool msgpack;                  /* the parser of all clients; else the default one */
    unsigned namespaces_max;       /* of a client */
    unsigned rooms_max;            /* of a socket */
};

extern const struct peal_eio_ops peal_socketio_rider;

#endif

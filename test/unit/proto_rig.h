/* SPDX-License-Identifier: MIT */
/*
 * Protocols against scripted clients, on one loop whose time stands still until the
 * script moves it. A script is a list of lines, told one after the other:
 *
 *   A GET /path          client A asks; a letter's first request connects it
 *   A POST /path body    the same, with the rest of the line as the body
 *   A POST-BEGIN /path 9 a request whose body of 9 bytes does not come yet
 *   A BODY text          that body
 *   A UPGRADE /path      a WebSocket handshake, which must be accepted
 *   A REFUSED /path 400  the same, which must be refused with this status and close
 *   A TRY-UPGRADE /path  a handshake whose answer does not matter
 *   A 200 pattern        the answer that A must have by now
 *   A -                  A has nothing
 *   A EVENTS             the head of an event stream, which A must have by now
 *   A IS pattern         the next chunk of that stream
 *   A RAW text           these bytes, which A must have by now
 *   A SAY text           a text frame;  A BYTES 010203 a binary one
 *   A HEAR pattern       a text frame;  A HEAR-BYTES 010203 a binary one
 *   A PINGED             a ping frame;  A PONG a pong frame, sent
 *   A CLOSED 1012        a close frame with this code (0: without one)
 *   A GONE               the connection is closed
 *   A RESET              A closes its connection without a word
 *   TICK 25000           time passes, in ms
 *   DRAIN 1, SHED 1      the oldest of each protocol, or so many of all, are drained
 *   COUNT socketio 2     sessions of a protocol, as it counts them
 *   OPEN 2               sessions of all protocols, as limits and metrics count them
 *   STAT name 1          a counter of base/stats.h
 *   EMIT room ["e",1]    an event to the Socket.IO clients in a room
 *   PUBLISH channel text
 *
 * In patterns `*` is any text and `~` is a session id, which is remembered: `$P` and `$W`
 * are then the paths of its polls and of its WebSocket; ^ is the separator 0x1e.
 */
#ifndef TEST_PROTO_RIG_H
#define TEST_PROTO_RIG_H

#include "check.h"

#include "proto/proto.h"
#include "proto/sio.h"
#include "proto/sse.h"
#include "proto/ws.h"

/* What a test may set before it starts the rig. */
struct proto_setup {
    struct peal_proto_config proto;
    struct peal_socketio_config socketio;
    struct peal_ws_config ws;
    struct peal_sse_config sse;
    const struct peal_protocol_row *more; /* a protocol before these, or NULL */
    size_t queue_max;                     /* bytes; 0: a megabyte */
    enum peal_slow_policy slow_policy;
};

/* The defaults of the options. */
extern const struct proto_setup proto_setup_default;

struct proto_rig {
    struct peal_loop *loop;
    struct peal_hub *hub;
    struct peal_proto proto;
    struct proto_setup setup;
};

extern struct proto_rig rig;

void rig_start(const struct proto_setup *setup);
/* Everything ends; memory that is left over shows under a sanitizer. */
void rig_stop(void);

/* Tells a script; the end of the list is a NULL. what: of the test, for messages. */
void rig_tell(const char *what, const char *const *script);

/* A whole test: the defaults, one script. */
void rig_play(const char *what, const char *const *script);

/* Runs a few turns of the loop: all that was sent is read and answered. */
void rig_turn(void);

struct peal_protocol *rig_protocol(const char *name);
/* The config that a protocol was opened with. */
const void *rig_config(const char *name);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The Redis wire of Socket.IO: what servers with @socket.io/redis-adapter 8 and
 * @socket.io/redis-emitter 5 tell each other, read and written.
 *
 * Two dialects say the same things. The classic one has broadcasts, requests and
 * responses on channels of their own; the sharded one (createShardedAdapter) has one
 * envelope for all. Here both are one struct; what only one of them can say is marked.
 *
 * A message is JSON, or MessagePack where bytes are in it. Payloads stay raw JSON with
 * numbered placeholders for attachments, as in base/msg.h. Node's servers trust what they
 * hear here, and some of it ends their process; so what is written is checked, and is
 * byte for byte what Node would write.
 *
 * Pure; any thread, but a reader serves one thread at a time.
 */
#ifndef PEAL_WIRE_SIO_REDIS_H
#define PEAL_WIRE_SIO_REDIS_H

#include "base/msg.h"
#include "wire/msgpack.h"

#define PEAL_SIO_REDIS_ID_MAX 256      /* bytes of a uid or request id that is read */
#define PEAL_SIO_REDIS_NAMES_MAX 16384 /* rooms, exclusions or targets that are read */

enum peal_sio_redis_op {
    /* Told to every server: */
    PEAL_SIO_REDIS_BROADCAST, /* emit; with request_id: send COUNT, and an ACK for each */
    PEAL_SIO_REDIS_JOIN,      /* sockets of rooms, but not of except, join targets */
    PEAL_SIO_REDIS_LEAVE,
    PEAL_SIO_REDIS_DISCONNECT,
    PEAL_SIO_REDIS_FETCH,       /* answer with SOCKETS */
    PEAL_SIO_REDIS_SERVER_EMIT, /* with request_id: answer with EMIT_ANSWER */
    PEAL_SIO_REDIS_ASK_IDS,     /* classic; answer with SOCKETS, a list of ids */
    PEAL_SIO_REDIS_ASK_ROOMS,   /* classic; answer with ROOMS */
    /* Answers, each with the request_id it belongs to: */
    PEAL_SIO_REDIS_SOCKETS,
    PEAL_SIO_REDIS_ROOMS, /* classic */
    PEAL_SIO_REDIS_EMIT_ANSWER,
    PEAL_SIO_REDIS_COUNT, /* how many clients were sent a broadcast */
    PEAL_SIO_REDIS_ACK,   /* what one of them answered */
    PEAL_SIO_REDIS_DONE,  /* classic; to a request of an old adapter */
    PEAL_SIO_REDIS_OPS
};

/*
 * One message, of either dialect. What an op does not speak of is ignored when written,
 * and zero when read. An empty slice is "not said".
 */
struct peal_sio_redis_msg {
    enum peal_sio_redis_op op;
    unsigned flags;      /* BROADCAST: PEAL_MSG_VOLATILE, PEAL_MSG_NO_COMPRESS */
    uint32_t timeout_ms; /* BROADCAST, sharded FETCH: until answers come; 0: not said */
    uint32_t count;      /* COUNT */
    bool close;          /* DISCONNECT: the connection too, not only the namespace */
    /* JOIN, LEAVE, DISCONNECT of adapters up to 7: rooms is one socket's id. Only the
     * server that has that socket acts, and it answers DONE. Never written. */
    bool legacy;

    /* The sender; empty in an emitter's request. Responses of the classic dialect have
     * none, and need none to be written. */
    struct peal_slice uid;
    /* Messages of other namespaces than one's own are to be dropped. A classic request's
     * namespace is that of its channel, whatever this says; a classic broadcast that
     * names none is of "/". */
    struct peal_slice nsp;
    struct peal_slice request_id;

    /* The addressees: members of one of rooms (none: everybody) and of none of except.
     * Names as text, numbers in decimal. */
    const struct peal_slice *rooms, *except, *targets;
    unsigned n_rooms, n_except, n_targets; /* read: each up to PEAL_SIO_REDIS_NAMES_MAX */
    /* Written: rooms, and except, that look like numbers as JavaScript writes them are
     * said twice, as text and as number: to Node room -42 and room "-42" are two. */
    bool numbers;

    /* BROADCAST, SERVER_EMIT: event is a raw token, args are raw values joined by commas.
     * EMIT_ANSWER, ACK: args is one value, or none; of more the first is written. */
    struct peal_slice event, args;
    unsigned n_args, n_atts;
    struct peal_blob *const *atts;

    struct peal_slice list; /* SOCKETS, ROOMS: raw JSON array */
};

/* Reading. */

/* Names of a message; memory is kept for the next one unless it was much. */
struct peal_sio_redis_names {
    struct peal_slice *v;
    unsigned cap;
};

/* The memory that a message which was read points into. Zeroed to start with, and used
 * again for each message. */
struct peal_sio_redis_reader {
    struct peal_buf text;  /* JSON of what came as MessagePack */
    struct peal_buf plain; /* names that had escapes */
    struct peal_msgpack_atts atts;
    struct peal_sio_redis_names names[3]; /* rooms, except, targets */
};

void peal_sio_redis_reader_fini(struct peal_sio_redis_reader *r);

/*
 * peal_sio_redis_uid looks for the sender of any message and for nothing else, so that
 * one's own are dropped without being read. data NULL: none found. Escapes are left as
 * they are.
 */
struct peal_slice peal_sio_redis_uid(struct peal_slice bytes);

/*
 * These read one message: of a classic broadcast, request or response channel, or of any
 * sharded channel.
 *
 *   bytes  borrowed: *out points into them and into r, until r is used again
 *   out    set only on PEAL_OK; its attachments are r's (hold them to keep them)
 *
 * What old and foreign emitters do is understood: rooms, except and flags that are
 * missing, null or "", numbers as rooms, keys in any order, packets of type 5 (a Node
 * server makes its clients disconnect with one).
 *
 * Errors: PEAL_EPROTO: malformed, or an event that only the library itself may emit;
 * PEAL_ELIMIT: nested too deep, too many names or attachments, an id too long;
 * PEAL_EUNSUPP: of a type that is none of the above, to be ignored; PEAL_ENOMEM.
 */
typedef peal_err peal_sio_redis_read_fn(struct peal_slice bytes,
    struct peal_sio_redis_reader *r, struct peal_sio_redis_msg *out);

PEAL_MUST_USE peal_sio_redis_read_fn peal_sio_redis_read_broadcast,
    peal_sio_redis_read_request, peal_sio_redis_read_response,
    peal_sio_redis_read_sharded;

/* Writing. */

/*
 * These append one message. Where a broadcast refers to attachments more often than
 * clients of the default parser take (PEAL_SIO_ATTACHMENTS_MAX), all become base64
 * strings.
 *
 * Errors (out is as before): PEAL_EINVAL: a name that is not UTF-8, an event that clients
 * or servers must not be sent, a list that is no array, an id missing; PEAL_EUNSUPP: an
 * op that the dialect does not have; PEAL_EPROTO: a placeholder out of range;
 * PEAL_ELIMIT: nested too deep; PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_sio_redis_write(
    struct peal_buf *out, const struct peal_sio_redis_msg *m);
PEAL_MUST_USE peal_err peal_sio_redis_write_sharded(
    struct peal_buf *out, const struct peal_sio_redis_msg *m);

/*
 * peal_sio_redis_add_socket appends one more socket to the inside of a list for SOCKETS.
 *
 *   handshake, data  raw JSON objects
 *
 * Errors (out is as before): PEAL_EINVAL: a name that is not UTF-8; PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_sio_redis_add_socket(struct peal_buf *inside,
    struct peal_slice id, struct peal_slice handshake, const struct peal_slice *rooms,
    unsigned n_rooms, struct peal_slice data);

/* Channels. */

enum peal_sio_redis_channel {
    PEAL_SIO_REDIS_ON_BROADCAST, /* key#nsp# and key#nsp#room#; all channels of sharded */
    PEAL_SIO_REDIS_ON_REQUEST,   /* key-request#nsp# */
    PEAL_SIO_REDIS_ON_RESPONSE   /* key-response#nsp# and key-response#nsp#uid# */
};

/*
 * peal_sio_redis_channel appends the name of a channel.
 *
 *   key   "socket.io" unless configured otherwise
 *   tail  a room (if there is exactly one), which may be the empty text, or a uid; data
 *         NULL: none
 *
 * Errors (out is as before): PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_sio_redis_channel(struct peal_buf *out,
    enum peal_sio_redis_channel c, struct peal_slice key, struct peal_slice nsp,
    struct peal_slice tail);

/* peal_sio_redis_pattern appends the pattern that finds all broadcasts of a namespace
 * and, unlike Node's, no others: what means something to Redis in it is escaped. */
PEAL_MUST_USE peal_err peal_sio_redis_pattern(
    struct peal_buf *out, struct peal_slice key, struct peal_slice nsp);

/*
 * peal_sio_redis_split takes a channel's name apart: the namespace goes up to the next
 * '#' (in one with a '#' nobody can connect), the tail from there to the last; its data
 * is NULL if there is none. false: none of the channels of key.
 */
bool peal_sio_redis_split(struct peal_slice channel, struct peal_slice key,
    enum peal_sio_redis_channel *c_out, struct peal_slice *nsp_out,
    struct peal_slice *tail_out);

/*
 * peal_sio_redis_own_channel: in the dynamic mode of the sharded adapter a room has a
 * channel of its own, which a broadcast to it alone is published on, unless it is a
 * socket's own room. That Node's adapter tells by its length, 20 characters.
 */
bool peal_sio_redis_own_channel(struct peal_slice room);

#endif

/* SPDX-License-Identifier: MIT */
/* Shared by the files of Engine.IO: the engine, the session and its states. */
#ifndef PEAL_PROTO_EIO_PRIV_H
#define PEAL_PROTO_EIO_PRIV_H

#include "base/map.h"
#include "proto/eio.h"
#include "proto/wsconn.h"
#include "wire/eio.h"
#include "wire/gzip.h"

/* The protocol on one worker. */
struct peal_eio {
    struct peal_protocol base; /* first */
    struct peal_proto *proto;
    const struct peal_eio_config *config;
    struct peal_map sessions; /* id -> session, whatever its state */
    struct peal_link open;    /* those that have not ended, oldest first */
    unsigned n_open;
    struct peal_link closing; /* CLOSING and PARTED */
    struct peal_link dirty;   /* polling sessions that the hook is to look at */
    struct peal_gzip *gzip;
    struct peal_buf scratch; /* see peal_eio_scratch */
    /* Packets that are always the same. */
    struct peal_blob *ping_frame, *ping, *noop, *close, *noop_close;
};

/* A WebSocket that wants to become a session's transport. */
struct peal_eio_probe {
    struct peal_wsconn ws;
    struct peal_eio_session *session; /* NULL: none to upgrade */
    struct peal_proto *proto;
    struct peal_timer timer;
    uint64_t deadline;   /* of the upgrade, loop time in ms */
    unsigned probed : 1; /* 2probe has come */
    unsigned noop : 1;   /* the next poll without anything to say is released at once */
};

struct peal_eio_piece {
    struct peal_blob *blob; /* retained */
    uint32_t tag;
};

/* The part of a session that exists as long as it is on polling. */
struct peal_eio_polling {
    struct peal_eio_session *session;
    struct peal_http *poll;  /* that waits for something to say, or NULL */
    enum peal_coding coding; /* that its answer may have */
    struct peal_http *post;  /* whose body is coming, or deferred; or NULL */
    struct peal_buf body;    /* of a POST that is deferred while its client is paused */
    size_t body_at;          /* up to where it has been dealt with */
    bool deferred, body_done;
    struct peal_eio_probe *probe;
    struct peal_eio_piece *pieces; /* packets for the next poll */
    uint32_t n, cap;
    size_t bytes;
    struct peal_link dirty;
};

/* The states of a session; eio_session.c has a drawing. */
enum peal_eio_state {
    PEAL_EIO_OPENING,   /* made; its client has not been told */
    PEAL_EIO_POLLING,   /* carried by long polling */
    PEAL_EIO_PROBING,   /* the same, and a WebSocket is about to take over */
    PEAL_EIO_WEBSOCKET, /* carried by a WebSocket */
    PEAL_EIO_CLOSING,   /* ended by the server; a poll is to carry the news */
    PEAL_EIO_PARTED,    /* ended by its client, whose last poll may be on its way */
    PEAL_EIO_ENDED,     /* forgotten; its memory goes at the end of the turn */
    PEAL_EIO_STATE_N
};

struct peal_eio_session {
    struct peal_eio *eio;
    struct peal_link link;            /* on eio->open or eio->closing */
    struct peal_eio_polling *polling; /* NULL: not on polling */
    struct peal_wsconn ws;
    struct peal_timer timer; /* the earlier of the two */
    uint64_t due;            /* of the next ping, or the pong; loop time in ms */
    uint64_t deadline;       /* of joining something, then of being drained; 0: none */
    char id[PEAL_ID_LEN];
    uint8_t state;         /* enum peal_eio_state; peal_eio_set_state alone writes it */
    unsigned b64 : 1;      /* takes no binary frames */
    unsigned waiting : 1;  /* for a pong */
    unsigned graced : 1;   /* the wait has been prolonged once */
    unsigned joined : 1;   /* something, or needs not */
    unsigned draining : 1; /* its client is to come back, by another connection */
    unsigned paused : 1;   /* its rider waits for the app */
    unsigned doomed : 1;   /* its queue is over the limit: to be ended by the hook */
    _Alignas(8) char user[];
};

static inline struct peal_slice
peal_eio_sid(const struct peal_eio_session *s)
{
    return (struct peal_slice){ s->id, PEAL_ID_LEN };
}

static inline struct peal_loop *
peal_eio_loop(const struct peal_eio_session *s)
{
    return s->eio->proto->loop;
}

/* peal_eio_is_open: packets may still be sent to it, and its own are still read. */
static inline bool
peal_eio_is_open(const struct peal_eio_session *s)
{
    return s->state <= PEAL_EIO_WEBSOCKET;
}

/* Requests; eio_http.c. Their ctx is the struct peal_eio. */

void peal_eio_http_begin(struct peal_http *h, void *eio);
void peal_eio_http_handle(struct peal_http *h, void *eio);

/* peal_eio_refuse answers a request with an error and its code. */
void peal_eio_refuse(struct peal_http *h, enum peal_eiopkt_code code);

/* Sessions; eio_session.c. */

enum peal_eio_transport_kind {
    PEAL_EIO_ON_POLLING,
    PEAL_EIO_ON_WEBSOCKET
};

/* NULL: out of memory. kind: which transport it begins on. */
struct peal_eio_session *peal_eio_session_new(
    struct peal_eio *e, enum peal_eio_transport_kind kind, bool b64);

/* peal_eio_set_state moves s along an edge of the drawing, and to the list of its state.
 */
void peal_eio_set_state(struct peal_eio_session *s, enum peal_eio_state to);

/* peal_eio_may_read: after a message, more of its client may be read now. false: not
 * until the session resumes by itself; or it has ended. */
bool peal_eio_may_read(struct peal_eio_session *s);

/* peal_eio_start opens the session: its heartbeat begins, its rider is told. */
void peal_eio_start(struct peal_eio_session *s);

/* peal_eio_overdue ends a session whose pong is late, though its timer has not fired yet:
 * a request must not find it alive. */
bool peal_eio_overdue(struct peal_eio_session *s);

/* peal_eio_on_packet does what a packet from the client asks for. false: the session has
 * ended or is to be left alone. */
bool peal_eio_on_packet(struct peal_eio_session *s, struct peal_slice packet);
bool peal_eio_on_binary_message(struct peal_eio_session *s, struct peal_slice data);

/*
 * peal_eio_end forgets the session at once: a poll that waits is answered with last, its
 * WebSockets close with an empty frame. Fine if it has ended.
 */
void peal_eio_end(struct peal_eio_session *s, struct peal_blob *last,
    enum peal_session_end how, const char *detail);

/*
 * peal_eio_part ends a session on polling as its client asked for. The answer to its poll
 * is a noop, also if it comes after the close, by another connection: clients send both
 * at once. So the id is known for a moment more, and peal_eio_last_poll answers the poll.
 */
void peal_eio_part(struct peal_eio_session *s);
void peal_eio_last_poll(struct peal_eio_session *s, struct peal_http *h);

/* peal_eio_drain_session closes the transport so that the client comes back. A Socket.IO
 * DISCONNECT, or a close code that means the end, would keep it from that. */
void peal_eio_drain_session(struct peal_eio_session *s);

/* peal_eio_fail ends a session whose client broke the protocol; counted. */
void peal_eio_fail(struct peal_eio_session *s, const char *detail);

/* Polling; eio_poll.c. */

PEAL_MUST_USE peal_err peal_eio_polling_new(struct peal_eio_session *s);
/* A poll that waits must have been answered before. */
void peal_eio_polling_free(struct peal_eio_session *s);
bool peal_eio_queue(struct peal_eio_session *s, struct peal_blob *piece, uint32_t tag);
void peal_eio_get(struct peal_eio_session *s, struct peal_http *h);
void peal_eio_post_begin(struct peal_eio_session *s, struct peal_http *h);
void peal_eio_post(struct peal_http *h);
enum peal_eio_extent {
    PEAL_EIO_UNTIL_PAUSED,
    PEAL_EIO_WHOLE /* even if the client is to be paused */
};

/* peal_eio_post_rest goes on with the body of a POST that is deferred, if there is one.
 */
void peal_eio_post_rest(struct peal_eio_session *s, enum peal_eio_extent extent);
/* peal_eio_release answers the poll that waits, if any, with body. */
void peal_eio_release(struct peal_eio_session *s, struct peal_blob *body);
/* peal_eio_flush answers the poll that waits, if any, with what is queued, if anything.
 */
void peal_eio_flush(struct peal_eio_session *s);
/*
 * peal_eio_close_poll answers the poll that waits so that the client learns of the close,
 * and ends s. last closes it for good. A session that is drained gets an error instead:
 * the official clients reconnect after either, python-socketio only after an error.
 */
void peal_eio_close_poll(struct peal_eio_session *s, struct peal_blob *last);
bool peal_eio_turn(void *eio);
/* peal_eio_answer is every 200 of polling. */
#define PEAL_EIO_TYPE_PACKETS "text/plain; charset=UTF-8"
void peal_eio_answer(struct peal_http *h, const char *type, struct peal_blob *body);

/* WebSocket and the way to it; eio_ws.c. */

void peal_eio_ws_open(struct peal_eio *e, struct peal_http *h, bool b64);
void peal_eio_ws_probe(struct peal_eio_session *s, struct peal_http *h);
void peal_eio_probe_free(struct peal_eio_session *s);

#endif

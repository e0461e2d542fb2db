/* SPDX-License-Identifier: MIT */
/*
 * Counters: one table of names, one block of numbers a worker. A worker writes its own
 * block, anyone may read it; /metrics adds the blocks up.
 *
 * Add a counter by adding a row. Rows of one family stand together; base units; counters
 * end in _total; labels have few values, never a channel or a user.
 */
#ifndef PEAL_BASE_STATS_H
#define PEAL_BASE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

/* id, type (C counter, G gauge), family, labels, help (for the first row of a family) */
#define PEAL_STATS(X)                                                                    \
    X(CONNECTIONS, G, "peal_connections", "", "Connections of clients open now")         \
    X(INNER_CONNECTIONS, G, "peal_inner_connections", "",                                \
        "Connections of other nodes, to other nodes and of administrators open now")     \
    X(ACCEPTED, C, "peal_accepted_total", "", "Connections accepted")                    \
    X(ACCEPT_ERRORS, C, "peal_accept_errors_total", "",                                  \
        "Accepts that failed, for want of file descriptors or memory")                   \
    X(REFUSED_MAX, C, "peal_refused_total", "reason=\"max_connections\"",                \
        "Connections refused at once")                                                   \
    X(CLOSED_PEER, C, "peal_closed_total", "reason=\"peer\"",                            \
        "Connections closed, by who or what did it")                                     \
    X(CLOSED_LOCAL, C, "peal_closed_total", "reason=\"local\"", "")                      \
    X(CLOSED_ERROR, C, "peal_closed_total", "reason=\"error\"", "")                      \
    X(CLOSED_TIMEOUT, C, "peal_closed_total", "reason=\"timeout\"", "")                  \
    X(CLOSED_SLOW, C, "peal_closed_total", "reason=\"slow_reader\"", "")                 \
    X(CLOSED_PROTO, C, "peal_closed_total", "reason=\"protocol\"", "")                   \
    X(CLOSED_MEMORY, C, "peal_closed_total", "reason=\"out_of_memory\"", "")             \
    X(BYTES_IN, C, "peal_received_bytes_total", "", "Bytes read from clients")           \
    X(BYTES_OUT, C, "peal_sent_bytes_total", "", "Bytes written to clients")             \
    X(WRITES, C, "peal_writes_total", "", "Writes to client connections")                \
    X(WRITES_SHORT, C, "peal_short_writes_total", "",                                    \
        "Writes that the kernel took only in part, or not at all")                       \
    X(QUEUE_BYTES, G, "peal_queued_bytes", "", "Memory of waiting output")               \
    X(SLOW_DROPPED, C, "peal_slow_reader_dropped_total", "",                             \
        "Messages dropped from full output queues")                                      \
    X(TLS_HANDSHAKES, C, "peal_tls_handshakes_total", "result=\"ok\"", "TLS handshakes") \
    X(TLS_FAILED, C, "peal_tls_handshakes_total", "result=\"failed\"", "")               \
    X(TLS_RESUMED, C, "peal_tls_resumed_total", "",                                      \
        "TLS handshakes that resumed an earlier session, by its ticket")                 \
    X(TLS_DEFERRED, C, "peal_tls_handshakes_deferred_total", "",                         \
        "Times that a TLS handshake was put off to the next turn, see admission.lag")    \
    X(HANDED_OVER, C, "peal_handed_over_total", "",                                      \
        "Connections handed to the worker that owns their session")                      \
    X(FORWARDED, C, "peal_forwarded_total", "",                                          \
        "Requests forwarded to the node that owns their session")                        \
    X(FORWARD_FAILED, C, "peal_forward_failed_total", "",                                \
        "Requests that could not be forwarded, because the other node was not reached")  \
    X(FORWARDED_IN, C, "peal_forwarded_in_total", "",                                    \
        "Requests that other nodes forwarded to this one")                               \
    X(PROXY_BAD, C, "peal_proxy_protocol_errors_total", "",                              \
        "Connections with a malformed or missing PROXY protocol header")                 \
    X(HTTP_REQUESTS, C, "peal_http_requests_total", "",                                  \
        "HTTP requests answered or upgraded")                                            \
    X(HTTP_BAD, C, "peal_http_bad_requests_total", "",                                   \
        "Requests refused because their head or body breaks HTTP or a limit")            \
    X(HTTP_TIMEOUT, C, "peal_http_timeouts_total", "",                                   \
        "Connections closed because a request did not arrive in time")                   \
    X(POLLING_SESSIONS, G, "peal_polling_sessions", "",                                  \
        "Sessions on HTTP long polling, which need new connections now and then")        \
    X(SIO_CONNECTING, G, "peal_socketio_connecting_sessions", "",                        \
        "Socket.IO sessions that have joined no namespace yet")                          \
    X(SIO_SOCKETS, G, "peal_socketio_sockets", "",                                       \
        "Namespaces that Socket.IO clients have joined, summed over clients")            \
    X(SESSIONS_WAITING, G, "peal_sessions_waiting", "",                                  \
        "Newcomers that wait to be admitted: see admission.lag, sessions.rate and "      \
        "sessions.max")                                                                  \
    X(SESSIONS_WAITED, C, "peal_sessions_waited_total", "",                              \
        "Newcomers that have waited and were admitted")                                  \
    X(REFUSED_TIMEOUT, C, "peal_sessions_refused_total", "reason=\"timeout\"",           \
        "Newcomers that were refused a session: they have waited for admission.wait, "   \
        "too many were waiting, sessions.max was reached, or the node was draining")     \
    X(REFUSED_QUEUE_FULL, C, "peal_sessions_refused_total", "reason=\"queue_full\"", "") \
    X(REFUSED_SESSIONS_MAX, C, "peal_sessions_refused_total", "reason=\"sessions_max\"", \
        "")                                                                              \
    X(REFUSED_DRAINING, C, "peal_sessions_refused_total", "reason=\"draining\"", "")     \
    X(EIO3_REFUSED, C, "peal_engineio3_refused_total", "",                               \
        "Handshakes of Engine.IO 3, the protocol of Socket.IO 2, which is not served")   \
    X(WS_FRAMES_BAD, C, "peal_bad_input_total", "protocol=\"websocket\"",                \
        "Peers whose bytes broke their protocol")                                        \
    X(EIO_BAD, C, "peal_bad_input_total", "protocol=\"engineio\"", "")                   \
    X(SIO_BAD, C, "peal_bad_input_total", "protocol=\"socketio\"", "")                   \
    X(PING_TIMEOUTS, C, "peal_ping_timeouts_total", "",                                  \
        "Sessions closed because no pong came in time")                                  \
    X(CONNECT_TIMEOUTS, C, "peal_connect_timeouts_total", "",                            \
        "Socket.IO clients that joined no namespace in time")                            \
    X(DENIED, C, "peal_denied_total", "",                                                \
        "Connects, subscriptions, publishes and events that the rules do not allow")     \
    X(RECEIVED, C, "peal_messages_received_total", "",                                   \
        "Messages and events from clients")                                              \
    X(PUBLISHED, C, "peal_messages_published_total", "",                                 \
        "Messages published on channels")                                                \
    X(DELIVERED, C, "peal_messages_delivered_total", "",                                 \
        "Messages appended to a client's output queue")                                  \
    X(VOLATILE_DROPPED, C, "peal_volatile_dropped_total", "",                            \
        "Volatile messages dropped for clients that could not take them at once")        \
    X(ASKED, C, "peal_acks_asked_total", "",                                             \
        "Events sent to Socket.IO clients that were to acknowledge them")                \
    X(ANSWERED, C, "peal_acks_received_total", "", "Acknowledgements that came in time") \
    X(ASKS_DROPPED, C, "peal_acks_dropped_total", "",                                    \
        "Events not sent to clients that owed too many acknowledgements")                \
    X(QUESTIONS_TIMED_OUT, C, "peal_app_questions_timed_out_total", "",                  \
        "Questions to the application that it has not answered in time")                 \
    X(ANSWERS_LATE, C, "peal_app_answers_late_total", "",                                \
        "Answers of the application to sessions that were gone, or too late")            \
    X(CHANNELS, G, "peal_channels", "",                                                  \
        "Channels with a subscriber, summed over workers")                               \
    X(SUBSCRIPTIONS, G, "peal_subscriptions", "", "Subscriptions")                       \
    X(FANOUT_SLICED, C, "peal_fanout_sliced_total", "",                                  \
        "Turns of a loop that ended in the middle of a fan-out, to go on in the next")   \
    X(FANOUT_BACKLOG, C, "peal_fanout_backlog_full_total", "",                           \
        "Times that a channel had put off so much that its publishers had to wait")      \
    X(PAUSED_BACKLOG, C, "peal_clients_paused_total", "reason=\"backlog\"",              \
        "Times that a client was not read for a while")                                  \
    X(PAUSED_RATE, C, "peal_clients_paused_total", "reason=\"rate\"", "")                \
    X(API_REQUESTS, C, "peal_api_requests_total", "result=\"ok\"",                       \
        "Calls of the HTTP API")                                                         \
    X(API_ERRORS, C, "peal_api_requests_total", "result=\"error\"", "")                  \
    X(API_UNAUTHORIZED, C, "peal_api_requests_total", "result=\"unauthorized\"", "")     \
    X(WORKER_LOST, C, "peal_worker_messages_lost_total", "reason=\"memory\"",            \
        "Messages that did not reach the subscribers of a worker")                       \
    X(WORKER_DROPPED, C, "peal_worker_messages_lost_total", "reason=\"backlog\"", "")    \
    X(BACKPLANE_CONNECTS, C, "peal_backplane_connects_total", "",                        \
        "Times that the link to the backplane was made")                                 \
    X(BACKPLANE_GAPS, C, "peal_backplane_gaps_total", "",                                \
        "Times that subscriptions were lost; messages that other nodes published until " \
        "they were confirmed again are missing here")                                    \
    X(BACKPLANE_TOPICS_REFUSED, C, "peal_backplane_refused_subscriptions_total", "",     \
        "Subscriptions that the backplane refused; nothing of these topics is received") \
    X(BACKPLANE_PUBLISHED, C, "peal_backplane_published_total", "",                      \
        "Payloads published on the backplane; each holds the messages of one turn for "  \
        "one topic")                                                                     \
    X(BACKPLANE_RECEIVED, C, "peal_backplane_messages_received_total", "",               \
        "Messages of other nodes")                                                       \
    X(BACKPLANE_DROPPED, C, "peal_backplane_dropped_total", "reason=\"queue_full\"",     \
        "Messages that other nodes did not get")                                         \
    X(BACKPLANE_NO_MEMORY, C, "peal_backplane_dropped_total",                            \
        "reason=\"out_of_memory\"", "")                                                  \
    X(BACKPLANE_ERRORS, C, "peal_backplane_dropped_total", "reason=\"refused\"", "")     \
    X(BACKPLANE_UNANSWERED, C, "peal_backplane_dropped_total", "reason=\"link_lost\"",   \
        "")                                                                              \
    X(BACKPLANE_BAD, C, "peal_backplane_bad_messages_total", "",                         \
        "Messages of the backplane that could not be read, or contradict what a node "   \
        "has said before")                                                               \
    X(BACKPLANE_UNKNOWN, C, "peal_backplane_unknown_records_total", "",                  \
        "Records of a kind that only later versions know, passed over")                  \
    X(BACKPLANE_UNSEALED, C, "peal_backplane_refused_total", "",                         \
        "Payloads that were not sealed with this cluster's backplane.secret")            \
    X(BACKPLANE_DUPLICATES, C, "peal_backplane_duplicates_total", "",                    \
        "Messages passed over because they had come by another topic, or came so late "  \
        "that this could not be told")                                                   \
    X(ADAPTER_CONNECTS, C, "peal_adapter_connects_total", "",                            \
        "Times that the adapter's link to Redis was made")                               \
    X(ADAPTER_GAPS, C, "peal_adapter_gaps_total", "",                                    \
        "Times that the adapter's subscriptions were lost; messages of other Socket.IO " \
        "servers until they were confirmed again are missing here")                      \
    X(ADAPTER_TOPICS_REFUSED, C, "peal_adapter_refused_subscriptions_total", "",         \
        "Subscriptions of the adapter that Redis refused; messages of other Socket.IO "  \
        "servers there are not received")                                                \
    X(ADAPTER_JOINS_REFUSED, C, "peal_adapter_refused_joins_total", "",                  \
        "Rooms that clients did not join although another Socket.IO server asked for "   \
        "it: because of socketio.rooms_max, or of the room's name")                      \
    X(ADAPTER_ERRORS, C, "peal_adapter_dropped_total", "reason=\"refused\"",             \
        "Messages that other Socket.IO servers did not get")                             \
    X(ADAPTER_UNANSWERED, C, "peal_adapter_dropped_total", "reason=\"link_lost\"", "")   \
    X(ADAPTER_SENT, C, "peal_adapter_sent_total", "result=\"ok\"",                       \
        "Messages to other Socket.IO servers")                                           \
    X(ADAPTER_UNSENT, C, "peal_adapter_sent_total", "result=\"unwritable\"", "")         \
    X(ADAPTER_DROPPED, C, "peal_adapter_sent_total", "result=\"link_slow_or_down\"", "") \
    X(ADAPTER_RECEIVED, C, "peal_adapter_received_total", "result=\"ok\"",               \
        "Messages of other Socket.IO servers and emitters")                              \
    X(ADAPTER_BAD, C, "peal_adapter_received_total", "result=\"unreadable\"", "")        \
    X(ADAPTER_REFUSED, C, "peal_adapter_received_total", "result=\"too_much\"", "")      \
    X(LOOP_BUSY, C, "peal_loop_busy_seconds_total", "",                                  \
        "Time that each event loop has spent working: those of the workers, and the "    \
        "control thread's, which carries all traffic between nodes")

enum peal_stat {
#define PEAL_STAT_ID(id, type, family, labels, help) PEAL_STAT_##id,
    PEAL_STATS(PEAL_STAT_ID)
#undef PEAL_STAT_ID
    PEAL_STAT_N
};

struct peal_stat_info {
    char type; /* 'C' or 'G' */
    const char *family, *labels, *help;
};

extern const struct peal_stat_info peal_stat_table[PEAL_STAT_N];

#define PEAL_PROTOCOLS_MAX 8

struct peal_stats {
    _Atomic int64_t v[PEAL_STAT_N];
    /* Sessions open now, of each protocol: one family whose labels are the protocols'
     * names, which base does not know. */
    _Atomic int64_t sessions[PEAL_PROTOCOLS_MAX];
};

/* Thread: the one that owns s. A plain load and store, since nobody else writes. */
static inline void
peal_stat_add(struct peal_stats *s, enum peal_stat id, int64_t n)
{
    int64_t v = atomic_load_explicit(&s->v[id], memory_order_relaxed);

    atomic_store_explicit(&s->v[id], v + n, memory_order_relaxed);
}

static inline void
peal_stats_add_sessions(struct peal_stats *s, unsigned protocol, int64_t n)
{
    int64_t v = atomic_load_explicit(&s->sessions[protocol], memory_order_relaxed);

    atomic_store_explicit(&s->sessions[protocol], v + n, memory_order_relaxed);
}

/* Any thread. */
static inline int64_t
peal_stats_sessions_of(const struct peal_stats *s, unsigned protocol)
{
    return atomic_load_explicit(&s->sessions[protocol], memory_order_relaxed);
}

/* peal_stats_sessions is how many sessions of any protocol are open. Any thread. */
static inline int64_t
peal_stats_sessions(const struct peal_stats *s)
{
    int64_t n = 0;

    for (unsigned i = 0; i < PEAL_PROTOCOLS_MAX; i++)
        n += atomic_load_explicit(&s->sessions[i], memory_order_relaxed);
    return n;
}

static inline int64_t
peal_stat_get(const struct peal_stats *s, enum peal_stat id)
{
    return atomic_load_explicit(&s->v[id], memory_order_relaxed);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Options: one table. A row gives an option its dotted name, its type, its default and a
 * sentence; from the rows come struct peal_options, the YAML file's keys, the
 * environment's names, --set, --help, `peal config` and the man page.
 *
 * Precedence: --set, then the environment, then the file, then --dev, then the default.
 * A name nobody knows is an error, wherever it stands.
 *
 * Thread: loaded once, before workers start; read-only from then on.
 */
#ifndef PEAL_SERVER_OPTIONS_H
#define PEAL_SERVER_OPTIONS_H

#include "base/buf.h"
#include "config/yaml.h"

/*
 * The rows: field, name, what a type needs, default, help.
 *
 *   B  bool                                        bool field
 *   I  int: min, max                               int64_t field
 *   Z  bytes, with k, m, g (1024): min, max        size_t field
 *   D  duration, with ms, s, m, h: min, max in ms  uint64_t field_ms
 *   S  string; NULL when empty                     char *field
 *   E  one of a list of words                      int field, an index into the list
 *   L  strings; the default is cut at commas       struct peal_strings field
 *   K  like L, but secret                          struct peal_strings field
 *   U  URL that may hold a password: printed without, and can be in a file  char *field
 *   T  a tree of its own, see config/yaml.h          struct peal_yaml *field, or NULL
 *
 * S and L rows name what checks a value, see option_checks.h. A list holds
 * PEAL_OPTION_VALUES_MAX values at most.
 */
#define PEAL_OPTION_VALUES_MAX 256
#define PEAL_OPTIONS(B, I, Z, D, S, E, L, K, T, U)                                       \
    L(listen, "listen", listen, "",                                                      \
        "Addresses for clients and the API: address:port, :port or unix:/path. "         \
        "Required, but for --dev, where it is 127.0.0.1:8080")                           \
    B(listen_proxy_protocol, "listen.proxy_protocol", "off",                             \
        "Expect a PROXY protocol v1 or v2 header on every client connection")            \
    I(workers, "workers", 0, 64, "0", "Event-loop threads; 0: one for each core")        \
    I(max_connections, "max_connections", 0, 100000000, "0",                             \
        "Client connections at most; 0: as many as the limit of open files allows")      \
    I(accept_rate, "accept.rate", 0, 10000000, "0",                                      \
        "New connections a second and worker; 0: no limit")                              \
    B(dev, "dev", "off",                                                                 \
        "Development: loopback, everything allowed, demo page on /, friendly log; "      \
        "the same as --dev")                                                             \
    E(app, "app", "rules", "rules", "What reacts to connects and events")                \
    T(rules, "rules",                                                                    \
        "Declarative rules: who may connect, subscribe and publish, and what events do") \
    S(node_name, "node.name", any, "",                                                   \
        "Name of this node in logs and metrics; empty: the host's name")                 \
    E(log_level, "log.level", "error,warn,info,debug", "info",                           \
        "The most talkative level that is written")                                      \
    E(log_format, "log.format", "logfmt,friendly", "logfmt", "Form of the log lines")    \
    E(io_engine, "io.engine", "auto,uring,epoll", "auto",                                \
        "How output is written: io_uring in batches, or writev; auto: the first that "   \
        "works")                                                                         \
    Z(io_queue_max, "io.queue_max", 4096, 1073741824, "1m",                              \
        "Memory that output waiting for one connection may take")                        \
    D(io_queue_age, "io.queue_age", 100, 3600000, "30s",                                 \
        "How long output may wait for one connection")                                   \
    E(io_slow_policy, "io.slow_policy", "disconnect,drop-oldest,latest-only",            \
        "disconnect", "What happens to a client that does not read fast enough")         \
    I(io_turn_budget, "io.turn_budget", 1, 10000000, "8192",                             \
        "Deliveries of fan-out in one turn of a loop, before others get their turn")     \
    Z(http_head_max, "http.head_max", 1024, 1048576, "16k", "Bytes of a request's head") \
    I(http_headers_max, "http.headers_max", 8, 128, "64", "Header fields of a request")  \
    Z(http_line_max, "http.line_max", 256, 1048576, "8k", "Bytes of a request line")     \
    D(http_head_timeout, "http.head_timeout", 100, 3600000, "10s",                       \
        "How long a request's head may take to arrive")                                  \
    D(http_body_timeout, "http.body_timeout", 100, 3600000, "30s",                       \
        "How long a request's body may take to arrive")                                  \
    D(http_idle_timeout, "http.idle_timeout", 100, 86400000, "75s",                      \
        "How long a connection may stay open between requests")                          \
    Z(http_body_max, "http.body_max", 1024, 1073741824, "1m",                            \
        "Bytes of an API request's body")                                                \
    L(http_trusted_proxies, "http.trusted_proxies", cidr, "",                            \
        "Addresses or networks (10.0.0.0/8) whose X-Forwarded-For is believed")          \
    L(http_cors, "http.cors", origin, "",                                                \
        "Origins whose pages may use /sse and /api; * for any")                          \
    S(tls_cert, "tls.cert", any, "", "PEM file with the certificate chain, leaf first")  \
    S(tls_key, "tls.key", any, "", "PEM file with the certificate's private key")        \
    K(tls_ticket_secret, "tls.ticket_secret",                                            \
        "Secrets that nodes share so that a client resumes its TLS session at each of "  \
        "them; the first makes tickets, a second one is still taken; none: a random "    \
        "one of this process")                                                           \
    E(tls_min_version, "tls.min_version", "1.2,1.3", "1.2", "Oldest TLS version taken")  \
    Z(ws_message_max, "ws.message_max", 128, 1073741824, "1m",                           \
        "Bytes of a message from a client of /ws, after decompression")                  \
    D(ws_ping_interval, "ws.ping_interval", 100, 86400000, "25s",                        \
        "How often a silent client of /ws is pinged")                                    \
    D(ws_ping_timeout, "ws.ping_timeout", 100, 86400000, "20s",                          \
        "How long a client of /ws may take to answer a ping")                            \
    B(ws_deflate, "ws.deflate", "on", "Offer permessage-deflate to clients of /ws")      \
    Z(ws_deflate_threshold, "ws.deflate_threshold", 0, 1073741824, "1024",               \
        "Messages below this size are not compressed; counts for Socket.IO too")         \
    L(ws_origins, "ws.origins", origin, "",                                              \
        "Origins whose pages may open /ws; empty: the server's own host; * for any")     \
    I(ws_channels_max, "ws.channels_max", 1, 1024, "100",                                \
        "Channels of one connection to /ws or /sse")                                     \
    D(sse_ping_interval, "sse.ping_interval", 100, 86400000, "25s",                      \
        "How often a comment is sent to a silent client of /sse")                        \
    D(sse_retry, "sse.retry", 0, 3600000, "2s",                                          \
        "How long an EventSource is told to wait before it reconnects")                  \
    S(socketio_path, "socketio.path", path, "/socket.io/", "Where Socket.IO is served")  \
    D(socketio_ping_interval, "socketio.ping_interval", 100, 86400000, "25000ms",        \
        "How often the server pings a Socket.IO client")                                 \
    D(socketio_ping_timeout, "socketio.ping_timeout", 100, 86400000, "20000ms",          \
        "How long a Socket.IO client may take to answer a ping")                         \
    D(socketio_upgrade_timeout, "socketio.upgrade_timeout", 100, 3600000, "10s",         \
        "How long an upgrade from polling to WebSocket may take")                        \
    D(socketio_connect_timeout, "socketio.connect_timeout", 100, 3600000, "45s",         \
        "How long a client may stay without joining a namespace")                        \
    Z(socketio_max_payload, "socketio.max_payload", 128, 1073741824, "1000000",          \
        "Bytes of a packet or a polling payload from a Socket.IO client")                \
    L(socketio_cors, "socketio.cors", origin, "",                                        \
        "Origins whose pages may use Socket.IO; * for any")                              \
    B(socketio_cors_credentials, "socketio.cors_credentials", "off",                     \
        "Allow those pages to send cookies")                                             \
    S(socketio_cookie, "socketio.cookie", cookie, "",                                    \
        "Name of a cookie with the session id, for sticky load balancers; empty: none")  \
    L(socketio_transports, "socketio.transports", transport, "polling,websocket",        \
        "Transports that are allowed: polling, websocket")                               \
    E(socketio_parser, "socketio.parser", "default,msgpack", "default",                  \
        "The Socket.IO packet format; clients must use the same")                        \
    B(socketio_deflate, "socketio.deflate", "off",                                       \
        "Offer permessage-deflate to Socket.IO clients")                                 \
    B(socketio_http_compression, "socketio.http_compression", "on",                      \
        "Compress answers to polls, from 1024 bytes on, for clients that take gzip or "  \
        "deflate")                                                                       \
    B(socketio_serve_client, "socketio.serve_client", "on",                              \
        "Serve the JavaScript client below socketio.path")                               \
    E(socketio_adapter, "socketio.adapter", "off,redis,redis-sharded", "off",            \
        "Share namespaces with Node servers on the Redis of the backplane: as "          \
        "@socket.io/redis-adapter (and -emitter), or as its sharded adapter")            \
    S(socketio_adapter_key, "socketio.adapter_key", prefix, "socket.io",                 \
        "What their key, or channelPrefix, is")                                          \
    I(socketio_namespaces_max, "socketio.namespaces_max", 1, 10000, "32",                \
        "Namespaces of one Socket.IO session")                                           \
    I(socketio_rooms_max, "socketio.rooms_max", 1, 65534, "1000",                        \
        "Rooms of one Socket.IO client in one namespace")                                \
    K(api_key, "api.key",                                                                \
        "Keys that open the HTTP API; none: the API is off, but for --dev on loopback")  \
    L(admin_listen, "admin.listen", listen, "",                                          \
        "Addresses for /livez, /readyz and /metrics; empty: as listen")                  \
    D(admission_lag, "admission.lag", 0, 60000, "50ms",                                  \
        "How much newcomers may add to the time that clients which are connected wait "  \
        "for the event loop; others wait to be admitted; 0: no limit")                   \
    D(admission_wait, "admission.wait", 0, 60000, "10s",                                 \
        "How long a newcomer waits to be admitted before it is refused; official "       \
        "Socket.IO clients wait 20 s")                                                   \
    I(admission_queue_max, "admission.queue_max", 0, 10000000, "65536",                  \
        "Newcomers that wait to be admitted on one worker")                              \
    I(events_rate, "events.rate", 0, 10000000, "0",                                      \
        "Messages that one client may send a second, and as many at once after a rest; " \
        "beyond it the client is not read until its time has come. 0: no limit")         \
    I(sessions_rate, "sessions.rate", 0, 10000000, "0",                                  \
        "Sessions that may begin in a second on one worker: a second's worth at once, "  \
        "other newcomers wait to be admitted; 0: no limit")                              \
    I(sessions_max, "sessions.max", 0, 100000000, "0",                                   \
        "Sessions of this node at most; 0: twice as many as max_connections")            \
    D(sessions_max_age, "sessions.max_age", 0, 604800000, "0s",                          \
        "How old a session may become, 10 % more or less; its client is made to come "   \
        "back, through the balancer; 0: as old as it likes")                             \
    D(drain_delay, "drain.delay", 0, 3600000, "5s",                                      \
        "After SIGTERM, how long to serve on while not ready")                           \
    D(drain_window, "drain.window", 0, 86400000, "25s",                                  \
        "Then, over how long sessions are closed; at most twice as long if the nodes "   \
        "that remain take no more")                                                      \
    S(node_listen, "node.listen", node_listen, "",                                       \
        "Where other nodes bring requests of this node's sessions; empty: the first "    \
        "address of listen, on a port that the system chooses")                          \
    S(node_advertise, "node.advertise", advertise, "",                                   \
        "Host, or host:port, at which other nodes reach node.listen; empty: guessed")    \
    B(rebalance, "rebalance", "off",                                                     \
        "Close a few sessions a second while other nodes have a fifth fewer, so that "   \
        "their clients come back elsewhere; for load balancers that go by connections, " \
        "without a cookie that lasts")                                                   \
    U(backplane, "backplane", backplane, "memory",                                       \
        "What carries messages between nodes: redis://[user:password@]host:port, "       \
        "rediss:// for TLS, redis+unix://path, redis+sentinel://, redis+cluster://; "    \
        "memory: this is the only node")                                                 \
    S(backplane_prefix, "backplane.prefix", prefix, "peal",                              \
        "Begins the names of all topics; clusters that share a Redis need one each")     \
    K(backplane_secret, "backplane.secret",                                              \
        "Seals what nodes publish for each other: who can publish on the Redis cannot "  \
        "speak as a node, and who reads there cannot reach its sessions. The first one " \
        "seals, up to four are accepted, so that it can be changed")                     \
    Z(backplane_queue_max, "backplane.queue_max", 65536, 4294967296, "16m",              \
        "Bytes that may wait for the backplane; what is published beyond stays on this " \
        "node")                                                                          \
    D(backplane_linger, "backplane.linger", 0, 3600000, "2s",                            \
        "How long a channel stays subscribed after its last subscriber has gone")

/* Values of E rows, in the order of their words. io.engine and io.slow_policy follow enum
 * peal_io_engine and enum peal_slow_policy, log.level enum peal_log_level. */
enum {
    PEAL_LOG_LOGFMT,
    PEAL_LOG_FRIENDLY
};
enum {
    PEAL_TLS_1_2,
    PEAL_TLS_1_3
};
enum {
    PEAL_ADAPTER_OFF,
    PEAL_ADAPTER_REDIS,
    PEAL_ADAPTER_SHARDED
};
enum {
    PEAL_PARSER_DEFAULT,
    PEAL_PARSER_MSGPACK
};

struct peal_strings {
    char **v; /* n strings, then NULL; NULL when n is 0 */
    unsigned n, cap;
};

enum peal_option_type {
    PEAL_OPT_BOOL,
    PEAL_OPT_INT,
    PEAL_OPT_BYTES,
    PEAL_OPT_DURATION,
    PEAL_OPT_STRING,
    PEAL_OPT_ENUM,
    PEAL_OPT_LIST,
    PEAL_OPT_SECRET,
    PEAL_OPT_TREE,
    PEAL_OPT_URL
};

/* The places that a value can come from, the weakest first. */
enum peal_option_level {
    PEAL_FROM_DEFAULT,
    PEAL_FROM_DEV,
    PEAL_FROM_FILE,
    PEAL_FROM_ENV,
    PEAL_FROM_SET
};

/* Says whether one value of an S or L row can be. NULL: yes; else what is allowed, in
 * English, to follow "expected". value is never empty. */
typedef const char *peal_option_check_fn(const char *value);

struct peal_option {
    const char *name; /* dotted */
    enum peal_option_type type;
    size_t offset; /* of the field in struct peal_options */
    int64_t min, max;
    const char *choices; /* words with commas between, or NULL */
    peal_option_check_fn *check;
    const char *default_text;
    const char *help;
};

enum {
#define PEAL_OPT_ROW(field, ...) PEAL_OPT_N_##field,
    PEAL_OPTIONS(PEAL_OPT_ROW, PEAL_OPT_ROW, PEAL_OPT_ROW, PEAL_OPT_ROW, PEAL_OPT_ROW,
        PEAL_OPT_ROW, PEAL_OPT_ROW, PEAL_OPT_ROW, PEAL_OPT_ROW, PEAL_OPT_ROW)
#undef PEAL_OPT_ROW
    PEAL_OPTION_N
};

/* The place of the value of one option, for messages and `peal config --effective`. */
struct peal_option_place {
    enum peal_option_level level;
    unsigned line, column; /* of a file */
};

struct peal_options {
#define PEAL_OPT_B(field, ...) bool field;
#define PEAL_OPT_I(field, ...) int64_t field;
#define PEAL_OPT_Z(field, ...) size_t field;
#define PEAL_OPT_D(field, ...) uint64_t field##_ms;
#define PEAL_OPT_S(field, ...) char *field;
#define PEAL_OPT_E(field, ...) int field;
#define PEAL_OPT_L(field, ...) struct peal_strings field;
#define PEAL_OPT_T(field, ...) struct peal_yaml *field;
    PEAL_OPTIONS(PEAL_OPT_B, PEAL_OPT_I, PEAL_OPT_Z, PEAL_OPT_D, PEAL_OPT_S, PEAL_OPT_E,
        PEAL_OPT_L, PEAL_OPT_L, PEAL_OPT_T, PEAL_OPT_S)
#undef PEAL_OPT_B
#undef PEAL_OPT_I
#undef PEAL_OPT_Z
#undef PEAL_OPT_D
#undef PEAL_OPT_S
#undef PEAL_OPT_E
#undef PEAL_OPT_L
#undef PEAL_OPT_T
    char *file; /* the configuration file's name, or NULL */
    struct peal_option_place place[PEAL_OPTION_N];
};

extern const struct peal_option peal_option_table[PEAL_OPTION_N];

/* The sources of options, as a command was given them; everything is borrowed. */
struct peal_option_input {
    const char *file;        /* NULL: none */
    const char *const *env;  /* as environ; NULL: none */
    const char *const *sets; /* key=value */
    unsigned n_sets;
    bool dev;
};

/*
 * peal_options_load makes the options of one run.
 *   out     set on PEAL_OK; release with peal_options_free
 *   errors  a line for each mistake is appended: all of them, not only the first
 * Errors: PEAL_EINVAL: see errors; PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_options_load(const struct peal_option_input *in,
    struct peal_options **out, struct peal_buf *errors);

/* peal_options_free releases the options and sets *op to NULL. NULL is fine. */
void peal_options_free(struct peal_options **op);

/* peal_option_find returns the row of a dotted name, or NULL. */
const struct peal_option *peal_option_find(struct peal_slice name);

#define PEAL_OPTION_ENV_MAX 64

/* peal_option_env writes the name of the environment variable of a row, such as
 * PEAL_SOCKETIO_PATH for socketio.path, and returns out. */
const char *peal_option_env(const struct peal_option *row, char out[PEAL_OPTION_ENV_MAX]);

#define PEAL_OPTION_WORD_MAX 32

/* peal_option_word writes the word for the value of an E row, for example
 * peal_option_word("tls.min_version", o->tls_min_version, word), and returns out. */
const char *peal_option_word(const char *name, int value, char out[PEAL_OPTION_WORD_MAX]);

/* peal_option_is_secret: it is masked when printed, and may be in a file of its own. */
static inline bool
peal_option_is_secret(const struct peal_option *row)
{
    return row->type == PEAL_OPT_SECRET || row->type == PEAL_OPT_URL;
}

/* peal_option_number appends a number of an I, Z or D row: 64k, 25s.
 * Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_option_number(
    enum peal_option_type type, int64_t n, struct peal_buf *out);

/* peal_option_value appends the value as it would be written in the file, secrets as ***.
 * Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_option_value(
    const struct peal_options *o, const struct peal_option *row, struct peal_buf *out);

#endif

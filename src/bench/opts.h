/* SPDX-License-Identifier: MIT */
/* The task of one run of the load generator, as its command line says. */
#ifndef PEAL_BENCH_OPTS_H
#define PEAL_BENCH_OPTS_H

#include <netinet/in.h>
#include <sys/types.h>

#include "base/slice.h"

#define PEAL_BENCH_PIDS_MAX 64
#define PEAL_BENCH_TEXT_MAX 256
#define PEAL_BENCH_HEADROOM 64 /* file descriptors that are not connections */

enum peal_bench_mode {
    PEAL_BENCH_FANOUT,
    PEAL_BENCH_ECHO,
    PEAL_BENCH_CONNECT,
    PEAL_BENCH_STORM,
    PEAL_BENCH_RELAY,
    PEAL_BENCH_AVALANCHE,
    PEAL_BENCH_DROPS
};

enum peal_bench_protocol {
    PEAL_BENCH_WS,
    PEAL_BENCH_SOCKETIO,
    PEAL_BENCH_POST /* plain HTTP POST, for publishing only */
};

/* The target of a connection: an IPv4 address and a request target. */
struct peal_bench_target {
    struct sockaddr_in addr;
    char host[64]; /* host:port, for the Host field */
    char path[PEAL_BENCH_TEXT_MAX];
    enum peal_bench_protocol protocol;
    bool tls;
};

struct peal_bench_opts {
    enum peal_bench_mode mode;
    struct peal_bench_target target;
    struct peal_bench_target publish; /* where the publisher connects */
    struct peal_bench_target lost;    /* avalanche: where the clients are first */
    char room[64];                    /* Socket.IO */
    /* The text that is posted, and the one that a subscriber gets, with @ for the
     * message; empty: the message alone. */
    char body[PEAL_BENCH_TEXT_MAX], delivered[PEAL_BENCH_TEXT_MAX];
    unsigned connections;
    unsigned channels; /* relay */
    unsigned size;     /* bytes of a message */
    unsigned burst;
    unsigned rounds;      /* fanout: at most so many steps or bursts; relay: messages */
    unsigned warmup;      /* rounds, or connections, before measuring */
    double duration_s;    /* all but connect: at most so long */
    double idle_s;        /* connect: how long to watch the idle server */
    double stall_s;       /* without progress for so long: something was lost */
    unsigned outstanding; /* echo: unanswered events of one connection; relay: messages
                             of a channel that have not arrived */
    unsigned rate;        /* drops: messages a second */
    double up_s, down_s;  /* drops: connected, and away */
    unsigned present;     /* avalanche: clients of the node that stays */
    bool polling;         /* Socket.IO sessions begin by polling and are upgraded */
    bool resume;          /* TLS: offer the session of the connection before */
    unsigned concurrency; /* handshakes in flight */
    unsigned sources;     /* loopback source addresses */
    pid_t pids[PEAL_BENCH_PIDS_MAX];
    unsigned n_pids; /* 0: find the server by its listening port */
    bool json;
};

/* peal_bench_opts_parse fills out. -1: go on; otherwise the exit status to leave with,
 * after a message or the help was printed. */
int peal_bench_opts_parse(int argc, char **argv, struct peal_bench_opts *out);

/* Writes text with its first "{i}", if any, replaced by number; what is too long is cut.
 */
void peal_bench_numbered(const char *text, unsigned number, char *out, size_t size);

#endif

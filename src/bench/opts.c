/* SPDX-License-Identifier: MIT */
/* The command line of `peal bench`: a mode, then long options, each with a value. */
#include "bench/opts.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

void
peal_bench_numbered(const char *text, unsigned number, char *out, size_t size)
{
    const char *mark = strstr(text, "{i}");

    if (mark == NULL)
        snprintf(out, size, "%s", text);
    else
        snprintf(out, size, "%.*s%u%s", (int)(mark - text), text, number, mark + 3);
}

static const char help[] =
    "usage: peal bench MODE --url URL [options]\n"
    "\n"
    "modes\n"
    "  fanout    one publisher, everybody else receives; in step, or in bursts\n"
    "  echo      Socket.IO events with acknowledgement, or plain messages that come "
    "back\n"
    "  connect   connect and handshake, then memory per connection, then the idle "
    "server\n"
    "  storm     connect, disconnect, again\n"
    "  relay     publishers on one node, subscribers on another: messages a second, "
    "then\n"
    "            the latency of the way, and of the way within one node\n"
    "  avalanche clients lose their node, and come back to another one\n"
    "  drops     connections are cut again and again: how much is delivered\n"
    "\n"
    "options (default)\n"
    "  --url URL            ws://HOST:PORT/PATH or http://HOST:PORT, or wss://, "
    "https://\n"
    "                       for TLS that is not verified; {i} in a path or\n"
    "                       room is the number of the connection; in relay, of the\n"
    "                       channel\n"
    "  --protocol NAME      ws or socketio (by the URL: ws:// ws, http:// socketio)\n"
    "  --publish URL        fanout: publish there by HTTP POST, not by a connection;\n"
    "                       relay, drops: the publisher's node\n"
    "  --body TEXT          what is posted, with @ for the message (@)\n"
    "  --delivered TEXT     what a subscriber gets for it, with @ for the message (@)\n"
    "  --lost URL           avalanche: the node that the clients will lose\n"
    "  --present N          avalanche: clients that are at the other node already, and\n"
    "                       send an event each 50 ms (100)\n"
    "  --polling            Socket.IO sessions begin by polling and are upgraded\n"
    "  --no-resume          TLS: every handshake is a full one\n"
    "  --room NAME          over Socket.IO: the room to join (bench; in relay "
    "bench-{i})\n"
    "  --channels N         relay: so many; they share the connections evenly (16)\n"
    "  --connections N      connections besides the publisher's (1000)\n"
    "  --size BYTES         of one message, at least 16 (100)\n"
    "  --burst N            fanout: messages in one write (1: in step)\n"
    "  --rounds N           fanout: steps or bursts, at most; relay: messages, one at a\n"
    "                       time (200)\n"
    "  --duration SECONDS   all but connect: at most (10)\n"
    "  --warmup N           rounds that are not measured (5)\n"
    "  --outstanding N      echo: unanswered messages of one connection (1)\n"
    "                       relay: messages of a channel that have not arrived (256)\n"
    "  --rate N             drops: messages a second (100)\n"
    "  --up SECONDS         drops: from coming to the next cut (8)\n"
    "  --down SECONDS       drops: from a cut to coming back (2)\n"
    "  --concurrency N      handshakes in flight (128)\n"
    "  --idle SECONDS       connect: watch the idle server for so long (0)\n"
    "  --stall SECONDS      nothing came for so long: lost (5)\n"
    "  --sources N          loopback source addresses, 127.0.0.2 and up (1 per 10000)\n"
    "  --pid PID[,PID]      the server's processes (those that listen on the port)\n"
    "  --json               one line of JSON\n";

static int
complain(const char *what, const char *value)
{
    fprintf(stderr, "peal bench: %s: %s\n", what, value);
    return 2;
}

/* Fills address and Host from "host:port"; the port may be missing. */
static bool
set_address(struct peal_bench_target *t, const char *authority, const char *port_default)
{
    char host[64];
    const char *colon = strrchr(authority, ':');
    size_t n = colon ? (size_t)(colon - authority) : strlen(authority);
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *ai;

    if (n == 0 || n >= sizeof(host) || strlen(authority) >= sizeof(t->host))
        return false;
    memcpy(host, authority, n);
    host[n] = '\0';
    snprintf(t->host, sizeof(t->host), "%s", authority);
    if (getaddrinfo(host, colon ? colon + 1 : port_default, &hints, &ai) != 0)
        return false;
    memcpy(&t->addr, ai->ai_addr, sizeof(t->addr));
    freeaddrinfo(ai);
    return true;
}

static bool
parse_url(const char *url, struct peal_bench_target *t)
{
    static const struct {
        const char *scheme;
        enum peal_bench_protocol protocol;
        bool tls;
    } known[] = { { "ws://", PEAL_BENCH_WS, false }, { "wss://", PEAL_BENCH_WS, true },
        { "http://", PEAL_BENCH_SOCKETIO, false },
        { "https://", PEAL_BENCH_SOCKETIO, true } };
    const char *rest = NULL, *slash;
    char authority[64];
    size_t n;

    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strncmp(url, known[i].scheme, strlen(known[i].scheme)) != 0)
            continue;
        rest = url + strlen(known[i].scheme);
        t->protocol = known[i].protocol;
        t->tls = known[i].tls;
    }
    if (rest == NULL)
        return false;
    slash = strchr(rest, '/');
    n = slash ? (size_t)(slash - rest) : strlen(rest);
    if (n >= sizeof(authority) || (slash && strlen(slash) >= sizeof(t->path)))
        return false;
    memcpy(authority, rest, n);
    authority[n] = '\0';
    snprintf(t->path, sizeof(t->path), "%s", slash ? slash : "/");
    return set_address(t, authority, t->tls ? "443" : "80");
}

static bool
parse_count(const char *s, unsigned min, unsigned *out)
{
    uint64_t v;

    if (peal_slice_u64(peal_slice_str(s), 1u << 30, &v) != PEAL_OK || v < min)
        return false;
    *out = (unsigned)v;
    return true;
}

static bool
parse_seconds(const char *s, double *out)
{
    char *end;

    *out = strtod(s, &end);
    return end != s && *end == '\0' && *out >= 0 && *out < 1e6;
}

static bool
parse_pids(const char *s, struct peal_bench_opts *o)
{
    struct peal_slice rest = peal_slice_str(s);

    while (rest.data != NULL) {
        uint64_t v;
        struct peal_slice one = peal_slice_cut(&rest, ',');

        if (o->n_pids == PEAL_BENCH_PIDS_MAX ||
            peal_slice_u64(one, INT32_MAX, &v) != PEAL_OK)
            return false;
        o->pids[o->n_pids++] = (pid_t)v;
    }
    return true;
}

static bool
parse_mode(const char *s, enum peal_bench_mode *out)
{
    static const char *const names[] = { "fanout", "echo", "connect", "storm", "relay",
        "avalanche", "drops" };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(s, names[i]) == 0) {
            *out = (enum peal_bench_mode)i;
            return true;
        }
    }
    return false;
}

enum {
    DELIVERED = 256 /* options without a letter of their own begin here */
};

static const struct option options[] = {
    { "url", required_argument, NULL, 'u' },
    { "protocol", required_argument, NULL, 'P' },
    { "publish", required_argument, NULL, 'p' },
    { "body", required_argument, NULL, 'B' },
    { "delivered", required_argument, NULL, DELIVERED },
    { "lost", required_argument, NULL, 'L' },
    { "channels", required_argument, NULL, 'C' },
    { "rate", required_argument, NULL, 'a' },
    { "up", required_argument, NULL, 'U' },
    { "down", required_argument, NULL, 'D' },
    { "room", required_argument, NULL, 'R' },
    { "connections", required_argument, NULL, 'n' },
    { "size", required_argument, NULL, 's' },
    { "burst", required_argument, NULL, 'b' },
    { "rounds", required_argument, NULL, 'r' },
    { "duration", required_argument, NULL, 'd' },
    { "warmup", required_argument, NULL, 'w' },
    { "outstanding", required_argument, NULL, 'k' },
    { "concurrency", required_argument, NULL, 'c' },
    { "idle", required_argument, NULL, 'i' },
    { "stall", required_argument, NULL, 't' },
    { "sources", required_argument, NULL, 'S' },
    { "pid", required_argument, NULL, 'I' },
    { "present", required_argument, NULL, 'e' },
    { "polling", no_argument, NULL, 'o' },
    { "no-resume", no_argument, NULL, 'N' },
    { "json", no_argument, NULL, 'j' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

/* One @ stands for the message. */
static bool
take_template(const char *v, char out[PEAL_BENCH_TEXT_MAX])
{
    const char *at = strchr(v, '@');

    if (strlen(v) >= PEAL_BENCH_TEXT_MAX || at == NULL || strchr(at + 1, '@') != NULL)
        return false;
    snprintf(out, PEAL_BENCH_TEXT_MAX, "%s", v);
    return true;
}

static bool
take_text(int opt, const char *v, struct peal_bench_opts *o)
{
    switch (opt) {
    case 'u':
        return parse_url(v, &o->target);
    case 'p':
        return parse_url(v, &o->publish);
    case 'L':
        return parse_url(v, &o->lost);
    case 'R':
        if (strlen(v) >= sizeof(o->room) || strpbrk(v, "\"\\") != NULL)
            return false;
        snprintf(o->room, sizeof(o->room), "%s", v);
        return true;
    case 'B':
        return take_template(v, o->body);
    case DELIVERED:
        return take_template(v, o->delivered);
    case 'I':
        return parse_pids(v, o);
    default:
        return false;
    }
}

static bool
take_option(int opt, const char *v, struct peal_bench_opts *o)
{
    switch (opt) {
    case 'n':
        return parse_count(v, 1, &o->connections);
    case 's':
        return parse_count(v, 16, &o->size) && o->size <= 1000000;
    case 'b':
        return parse_count(v, 1, &o->burst) && o->burst <= 10000;
    case 'r':
        return parse_count(v, 1, &o->rounds);
    case 'w':
        return parse_count(v, 0, &o->warmup);
    case 'k':
        return parse_count(v, 1, &o->outstanding) && o->outstanding <= 1024;
    case 'c':
        return parse_count(v, 1, &o->concurrency);
    case 'C':
        return parse_count(v, 1, &o->channels);
    case 'a':
        return parse_count(v, 1, &o->rate);
    case 'e':
        return parse_count(v, 0, &o->present);
    case 'U':
        return parse_seconds(v, &o->up_s);
    case 'D':
        return parse_seconds(v, &o->down_s);
    case 'S':
        return parse_count(v, 1, &o->sources) && o->sources <= 250;
    case 'd':
        return parse_seconds(v, &o->duration_s);
    case 'i':
        return parse_seconds(v, &o->idle_s);
    case 't':
        return parse_seconds(v, &o->stall_s);
    default:
        return take_text(opt, v, o);
    }
}

/* Every connection is a descriptor: the soft limit goes up to the hard one. */
static bool
descriptors_fit(unsigned connections)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
        return true;
    rl.rlim_cur = rl.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &rl);
    return rl.rlim_max == RLIM_INFINITY ||
           connections + PEAL_BENCH_HEADROOM <= rl.rlim_max;
}

/* All nodes of a run are spoken to in one way. */
static void
set_protocol(struct peal_bench_target *t, enum peal_bench_protocol protocol)
{
    t->protocol = protocol;
    if (protocol == PEAL_BENCH_SOCKETIO && strcmp(t->path, "/") == 0)
        snprintf(t->path, sizeof(t->path), "/socket.io/?EIO=4&transport=websocket");
}

/* Checks the options that a mode needs, and sets its own defaults. */
static int
settle_mode(struct peal_bench_opts *o)
{
    bool published = o->publish.host[0] != '\0';

    if (o->mode == PEAL_BENCH_FANOUT && published)
        o->publish.protocol = PEAL_BENCH_POST;
    else if (published)
        set_protocol(&o->publish, o->target.protocol);
    else
        o->publish = o->target;
    if (o->outstanding == 0)
        o->outstanding = o->mode == PEAL_BENCH_RELAY ? 256 : 1;
    if (o->room[0] == '\0')
        snprintf(o->room, sizeof(o->room), "%s",
            o->mode == PEAL_BENCH_RELAY ? "bench-{i}" : "bench");
    if (o->mode == PEAL_BENCH_RELAY && o->connections == 0)
        o->connections = o->channels;
    if (o->connections == 0)
        o->connections = 1000;
    if (o->mode == PEAL_BENCH_RELAY && o->connections % o->channels != 0)
        return complain("--connections", "no multiple of --channels");
    if (o->mode == PEAL_BENCH_AVALANCHE && o->lost.host[0] == '\0')
        return complain("--lost is missing", "see peal bench --help");
    set_protocol(&o->lost, o->target.protocol);
    if (o->lost.host[0] != '\0' && o->lost.tls != o->target.tls)
        return complain("--lost", "TLS at one of the nodes only");
    if (o->polling && o->target.protocol != PEAL_BENCH_SOCKETIO)
        return complain("--polling", "for Socket.IO only");
    return -1;
}

static int
settle(struct peal_bench_opts *o, const char *protocol)
{
    int status;

    if (o->target.host[0] == '\0')
        return complain("--url is missing", "see peal bench --help");
    if (protocol != NULL && strcmp(protocol, "ws") == 0)
        o->target.protocol = PEAL_BENCH_WS;
    else if (protocol != NULL && strcmp(protocol, "socketio") == 0)
        o->target.protocol = PEAL_BENCH_SOCKETIO;
    else if (protocol != NULL)
        return complain("--protocol", protocol);
    set_protocol(&o->target, o->target.protocol);
    if ((status = settle_mode(o)) >= 0)
        return status;
    if (o->sources == 0)
        o->sources = 1 + o->connections / 10000;
    if (!descriptors_fit(o->connections + o->present))
        return complain("--connections", "more than the limit of open files");
    return -1;
}

int
peal_bench_opts_parse(int argc, char **argv, struct peal_bench_opts *out)
{
    struct peal_bench_opts o = { .size = 100,
        .burst = 1,
        .rounds = 200,
        .warmup = 5,
        .duration_s = 10,
        .stall_s = 5,
        .concurrency = 128,
        .channels = 16,
        .present = 100,
        .resume = true,
        .rate = 100,
        .up_s = 8,
        .down_s = 2 };
    const char *protocol = NULL;
    int opt, index = 0;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (!parse_mode(argv[1], &o.mode))
        return complain("no such mode", argv[1]);
    optind = 1;
    while ((opt = getopt_long(argc - 1, argv + 1, "h", options, &index)) != -1) {
        if (opt == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (opt == '?')
            return 2;
        if (opt == 'j')
            o.json = true;
        else if (opt == 'o')
            o.polling = true;
        else if (opt == 'N')
            o.resume = false;
        else if (opt == 'P')
            protocol = optarg;
        else if (!take_option(opt, optarg, &o))
            return complain(options[index].name, optarg);
    }
    if (optind < argc - 1)
        return complain("unexpected", argv[optind + 1]);
    *out = o;
    return settle(out, protocol);
}

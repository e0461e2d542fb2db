/* SPDX-License-Identifier: MIT */
/* Transcripts, read and played: every line that expects something turns the loop until it
 * has come. */
#include "redis_script.h"

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "backplane/redis_pubsub.h"
#include "base/buf.h"
#include "base/wheel.h"
#include "clock.h"

#define SERVERS 4
#define PEERS_MAX 64
/* Turns that a line may wait; most need a few. They are counted, and not time: for a
 * machine that stands still meanwhile that is one turn. */
#define TURNS_MAX 200000
#define TURNS_QUICK 1000 /* the others begin with a tenth of a millisecond of sleep */

struct server {
    int fd;
    uint16_t port;
    unsigned n_accepted;
};

/* A connection as a server has it. */
struct peer {
    char name[8];
    int fd; /* -1: closed */
    redisReader *reader;
    struct peal_buf commands; /* a line each */
    bool greeted;             /* it has said PING: more of them are answered unseen */
    bool mute;                /* but not here */
};

struct play {
    const struct script *script;
    unsigned line;
    struct peal_loop *loop;
    struct peal_log log;
    size_t log_seen;
    struct peal_redis_pubsub *b; /* NULL: freed */
    struct server servers[SERVERS];
    struct peer peers[PEERS_MAX];
    unsigned n_peers;
    struct peal_buf events; /* a line each */
};

static const struct peal_backplane_counters counters = {
    .connects = PEAL_STAT_BACKPLANE_CONNECTS,
    .topics_refused = PEAL_STAT_BACKPLANE_TOPICS_REFUSED,
    .refused = PEAL_STAT_BACKPLANE_ERRORS,
    .unanswered = PEAL_STAT_BACKPLANE_UNANSWERED,
};

/* Chance is the same each time: the first of all, and the shortest pause. */
uint64_t __wrap_peal_random_u64(void);

uint64_t
__wrap_peal_random_u64(void)
{
    return 0;
}

static void
wrong(const struct play *p, const char *what, const char *detail)
{
    print_error("%s, line %u: %s %s\n", p->script->name, p->line, what, detail);
    fail();
}

/* Events. */

static void
note(void *arg, const char *what, struct peal_slice topic, struct peal_slice more)
{
    struct play *p = arg;

    CHECK_OK(peal_buf_printf(&p->events, "%s%s%.*s%s%.*s\n", what,
        topic.len > 0 ? " " : "", (int)topic.len, topic.len > 0 ? topic.data : "",
        more.len > 0 ? " " : "", (int)more.len, more.len > 0 ? more.data : ""));
}

static void
on_up(void *arg)
{
    note(arg, "up", PEAL_S(""), PEAL_S(""));
}

static void
on_down(void *arg)
{
    note(arg, "down", PEAL_S(""), PEAL_S(""));
}

static void
on_subscribed(void *arg, struct peal_slice topic)
{
    note(arg, "subscribed", topic, PEAL_S(""));
}

static void
on_lost(void *arg, struct peal_slice topic)
{
    note(arg, "lost", topic, PEAL_S(""));
}

static void
on_refused(void *arg, struct peal_slice topic, const char *why)
{
    note(arg, "refused", topic, peal_slice_str(why));
}

static void
on_message(void *arg, struct peal_slice topic, struct peal_slice payload)
{
    note(arg, "message", topic, payload);
}

static const struct peal_backplane_events events = { .up = on_up,
    .down = on_down,
    .subscribed = on_subscribed,
    .lost = on_lost,
    .refused = on_refused,
    .message = on_message };

/* The servers. */

static void
server_open(struct server *s)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    socklen_t len = sizeof(in);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK_INT(bind(s->fd, (struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_INT(getsockname(s->fd, (struct sockaddr *)&in, &len), 0);
    CHECK_INT(listen(s->fd, 16), 0);
    s->port = ntohs(in.sin_port);
}

static void
peer_close(struct peer *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

static void
accept_all(struct play *p)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        struct server *s = &p->servers[i];
        int fd;

        while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            struct peer *r = &p->peers[p->n_peers++];

            CHECK(p->n_peers < PEERS_MAX);
            /* Or a second line would wait for the acknowledgement of the first. */
            CHECK_INT(
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
            snprintf(r->name, sizeof(r->name), "%c%u", 'A' + i, ++s->n_accepted);
            r->fd = fd;
            r->reader = redisReaderCreate();
        }
    }
}

/* The next command in what has been read, its words with a space between them. */
static bool
parse_command(struct peer *r, struct peal_buf *out)
{
    void *reply = NULL;
    const redisReply *words;

    CHECK_INT(redisReaderGetReply(r->reader, &reply), REDIS_OK);
    if (reply == NULL)
        return false;
    words = reply;
    CHECK_INT(words->type, REDIS_REPLY_ARRAY);
    out->len = 0;
    for (size_t i = 0; i < words->elements; i++) {
        if (i > 0)
            CHECK_OK(peal_buf_add_char(out, ' '));
        CHECK_OK(peal_buf_add(out, words->element[i]->str, words->element[i]->len));
    }
    freeReplyObject(reply);
    return true;
}

static void
peer_take(struct peer *r)
{
    struct peal_buf command = { 0 };

    while (parse_command(r, &command)) {
        bool ping = peal_slice_eq(peal_buf_slice(&command), PEAL_S("PING"));

        if (ping && r->greeted && !r->mute) {
            CHECK(send(r->fd, "+PONG\r\n", 7, MSG_NOSIGNAL) == 7);
            continue;
        }
        r->greeted |= ping;
        CHECK_OK(peal_buf_add_slice(&r->commands, peal_buf_slice(&command)));
        CHECK_OK(peal_buf_add_char(&r->commands, '\n'));
    }
    peal_buf_fini(&command);
}

static void
peer_read(struct peer *r)
{
    char bytes[65536];
    ssize_t n;

    while (r->fd >= 0 && (n = recv(r->fd, bytes, sizeof(bytes), 0)) != -1) {
        if (n == 0)
            peer_close(r);
        else
            CHECK_INT(redisReaderFeed(r->reader, bytes, (size_t)n), REDIS_OK);
    }
    if (r->fd >= 0 && errno != EAGAIN)
        peer_close(r);
    if (r->fd >= 0)
        peer_take(r);
}

static void
turn(struct play *p)
{
    uv_run(peal_loop_uv(p->loop), UV_RUN_NOWAIT);
    accept_all(p);
    for (unsigned i = 0; i < p->n_peers; i++)
        peer_read(&p->peers[i]);
}

/* For lines that wait: false when patience is at an end. */
static bool
wait_turn(struct play *p, unsigned *turns)
{
    if (++*turns > TURNS_QUICK)
        usleep(100);
    turn(p);
    return *turns < TURNS_MAX;
}

static struct peer *
peer_of(struct play *p, struct peal_slice name)
{
    unsigned turns = 0;

    do
        for (unsigned i = 0; i < p->n_peers; i++)
            if (peal_slice_eq(name, peal_slice_str(p->peers[i].name)))
                return &p->peers[i];
    while (wait_turn(p, &turns));
    wrong(p, "no such connection came", "");
    return NULL;
}

/* Waits for a line in b, and removes it if it is this one. */
static void
expect_line(struct play *p, struct peal_buf *b, const char *want)
{
    unsigned turns = 0;
    char *line_end;
    size_t n;

    while (b->len == 0)
        if (!wait_turn(p, &turns))
            wrong(p, "nothing came instead of", want);
    line_end = memchr(b->data, '\n', b->len);
    *line_end = '\0';
    if (strcmp(b->data, want) != 0)
        wrong(p, "this came instead:", b->data);
    n = (size_t)(line_end - b->data) + 1;
    b->len -= n;
    memmove(b->data, b->data + n, b->len);
}

/* One value of a reply, from *rest, in the form in which Redis sends it. */
static void
put_value(const char **rest, struct peal_buf *out)
{
    size_t n;

    *rest += strspn(*rest, " ");
    if (**rest == '[') {
        struct peal_buf inner = { 0 };

        for ((*rest)++, n = 0; **rest != ']'; n++) {
            put_value(rest, &inner);
            *rest += strspn(*rest, " ,");
        }
        (*rest)++;
        CHECK_OK(peal_buf_printf(out, "*%zu\r\n", n));
        CHECK_OK(peal_buf_add_slice(out, peal_buf_slice(&inner)));
        peal_buf_fini(&inner);
        return;
    }
    n = strcspn(*rest, ",]");
    if (**rest == ':')
        CHECK_OK(peal_buf_printf(out, "%.*s\r\n", (int)n, *rest));
    else if (n == 3 && strncmp(*rest, "nil", 3) == 0)
        CHECK_OK(peal_buf_printf(out, "$-1\r\n"));
    else
        CHECK_OK(peal_buf_printf(out, "$%zu\r\n%.*s\r\n", n, (int)n, *rest));
    *rest += n;
}

static void
reply(struct play *p, struct peer *r, const char *text)
{
    struct peal_buf out = { 0 };

    if (text[0] == '[')
        put_value(&text, &out);
    else
        CHECK_OK(peal_buf_printf(&out, "%s\r\n", strcmp(text, "nil") ? text : "$-1"));
    if (send(r->fd, out.data, out.len, MSG_NOSIGNAL) != (ssize_t)out.len)
        wrong(p, "the connection is closed:", r->name);
    peal_buf_fini(&out);
}

static void
expect_closed(struct play *p, struct peer *r)
{
    unsigned turns = 0;

    while (r->fd >= 0)
        if (!wait_turn(p, &turns))
            wrong(p, "still open:", r->name);
}

/* What was sent before is read before; over loopback it is there at once. */
static void
pass_time(struct play *p, unsigned long ms)
{
    for (int i = 0; i < 3; i++)
        turn(p);
    clock_ms += ms + PEAL_WHEEL_TICK_MS; /* timers are rounded up */
}

/* The user. */

static void
act(struct play *p, struct peal_slice rest)
{
    struct peal_slice verb = peal_slice_cut(&rest, ' '), topic;
    const struct peal_backplane_ops *ops = p->b->b.ops;

    if (peal_slice_eq(verb, PEAL_S("restart"))) {
        ops->restart(&p->b->b, "the test says so");
        return;
    }
    if (peal_slice_eq(verb, PEAL_S("free"))) {
        peal_redis_pubsub_free(&p->b);
        return;
    }
    topic = peal_slice_cut(&rest, ' ');
    if (peal_slice_eq(verb, PEAL_S("sub"))) {
        ops->subscribe(&p->b->b, topic);
    } else if (peal_slice_eq(verb, PEAL_S("unsub"))) {
        ops->unsubscribe(&p->b->b, topic);
    } else if (peal_slice_eq(verb, PEAL_S("psub"))) {
        p->b->ops->subscribe_pattern(p->b, topic);
    } else if (peal_slice_eq(verb, PEAL_S("punsub"))) {
        p->b->ops->unsubscribe_pattern(p->b, topic);
    } else if (peal_slice_eq(verb, PEAL_S("pub"))) {
        struct peal_payload payload = { topic, rest };

        peal_backplane_publish(&p->b->b, &payload, 1);
    } else {
        wrong(p, "what is", verb.data);
    }
}

/* The log. */

static void
read_log(const struct play *p, struct peal_buf *out)
{
    char bytes[4096];
    off_t at = 0;
    ssize_t n;

    while ((n = pread(p->log.fd, bytes, sizeof(bytes), at)) > 0) {
        CHECK_OK(peal_buf_add(out, bytes, (size_t)n));
        at += n;
    }
    CHECK_OK(peal_buf_add_char(out, '\0'));
}

/* Time passes while it waits: what fails by itself is told by a timer. */
static void
expect_log(struct play *p, const char *want)
{
    unsigned turns = 0;
    struct peal_buf b = { 0 };
    const char *found;

    for (read_log(p, &b); (found = strstr(b.data + p->log_seen, want)) == NULL;) {
        clock_ms++;
        if (!wait_turn(p, &turns))
            wrong(p, "not in the log:", b.data);
        b.len = 0;
        read_log(p, &b);
    }
    p->log_seen = (size_t)(found - b.data) + strlen(want);
    peal_buf_fini(&b);
}

static void
expect_no_log(struct play *p, const char *want)
{
    struct peal_buf b = { 0 };

    read_log(p, &b);
    if (strstr(b.data, want) != NULL)
        wrong(p, "in the log:", b.data);
    peal_buf_fini(&b);
}

static void
expect_count(struct play *p, struct peal_slice rest)
{
    static const struct {
        const char *name;
        enum peal_stat id;
    } names[] = { { "connects", PEAL_STAT_BACKPLANE_CONNECTS },
        { "topics_refused", PEAL_STAT_BACKPLANE_TOPICS_REFUSED },
        { "refused", PEAL_STAT_BACKPLANE_ERRORS },
        { "unanswered", PEAL_STAT_BACKPLANE_UNANSWERED } };
    struct peal_slice name = peal_slice_cut(&rest, ' ');
    uint64_t want;

    CHECK_OK(peal_slice_u64(rest, 1000000, &want));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (!peal_slice_eq(name, peal_slice_str(names[i].name)))
            continue;
        if (peal_stat_get(peal_loop_stats(p->loop), names[i].id) != (int64_t)want)
            wrong(p, "another number of", names[i].name);
        return;
    }
    wrong(p, "what is", name.data);
}

/* A line. */

static bool
after(const char **line, const char *prefix)
{
    size_t n = strlen(prefix);

    if (strncmp(*line, prefix, n) != 0)
        return false;
    *line += n;
    return true;
}

static void
play_peer(struct play *p, const char *line)
{
    struct peal_slice name = peal_slice_of(line, strcspn(line, "<> "));
    struct peer *r = peer_of(p, name);

    line += name.len;
    if (after(&line, "> "))
        expect_line(p, &r->commands, line);
    else if (after(&line, "< "))
        reply(p, r, line);
    else if (strcmp(line, " close") == 0)
        peer_close(r);
    else if (strcmp(line, " mute") == 0)
        r->mute = true;
    else if (strcmp(line, " closed") == 0)
        expect_closed(p, r);
    else
        wrong(p, "what is", line);
}

static void
play_line(struct play *p, const char *line)
{
    if (after(&line, "! "))
        act(p, peal_slice_str(line));
    else if (after(&line, "= "))
        expect_line(p, &p->events, line);
    else if (after(&line, "log "))
        expect_log(p, line);
    else if (after(&line, "no log "))
        expect_no_log(p, line);
    else if (after(&line, "count "))
        expect_count(p, peal_slice_str(line));
    else if (after(&line, "+ "))
        pass_time(p, strtoul(line, NULL, 10));
    else
        play_peer(p, line);
}

/* $A and so on become ports. */
static void
expand(const struct play *p, struct peal_slice text, struct peal_buf *out)
{
    out->len = 0;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '$' && i + 1 < text.len && text.data[i + 1] >= 'A' &&
            text.data[i + 1] < 'A' + SERVERS)
            CHECK_OK(peal_buf_printf(out, "%u", p->servers[text.data[++i] - 'A'].port));
        else
            CHECK_OK(peal_buf_add_char(out, text.data[i]));
    CHECK_OK(peal_buf_add_char(out, '\0'));
}

static void
play_open(struct play *p)
{
    struct peal_loop_config config = {
        .engine = PEAL_IO_EPOLL, .queue_bytes_max = 1 << 20, .log = &p->log
    };
    struct peal_buf text = { 0 }, why = { 0 };
    struct peal_backplane_config link = { .name = "n", .counters = &counters };

    p->log = (struct peal_log){ .fd = memfd_create("log", MFD_CLOEXEC),
        .level = PEAL_LOG_DEBUG };
    for (unsigned i = 0; i < SERVERS; i++)
        server_open(&p->servers[i]);
    CHECK_OK(peal_loop_new(&config, &p->loop));
    expand(p, peal_slice_str(p->script->url), &text);
    link.url = text.data;
    link.loop = p->loop;
    CHECK_OK(peal_redis_pubsub_open(&link,
        p->script->sharded ? PEAL_REDIS_SHARDED : PEAL_REDIS_CLASSIC, &p->b, &why));
    peal_backplane_start(&p->b->b, &events, p);
    peal_buf_fini(&text);
    peal_buf_fini(&why);
}

static void
play_close(struct play *p)
{
    for (int i = 0; i < 5; i++)
        turn(p);
    p->line++;
    CHECK_OK(peal_buf_add_char(&p->events, '\0'));
    if (p->events.len > 1)
        wrong(p, "events are left:", p->events.data);
    for (unsigned i = 0; i < p->n_peers; i++) {
        struct peer *r = &p->peers[i];

        CHECK_OK(peal_buf_add_char(&r->commands, '\0'));
        if (r->commands.len > 1)
            wrong(p, r->name, r->commands.data);
        peal_buf_fini(&r->commands);
    }
    peal_redis_pubsub_free(&p->b);
    peal_loop_free(&p->loop);
    for (unsigned i = 0; i < p->n_peers; i++) {
        peer_close(&p->peers[i]);
        redisReaderFree(p->peers[i].reader);
    }
    for (unsigned i = 0; i < SERVERS; i++)
        close(p->servers[i].fd);
    close(p->log.fd);
    peal_buf_fini(&p->events);
}

void
script_run(const struct script *s)
{
    struct play p = { .script = s };
    struct peal_slice rest = peal_slice_str(s->lines);
    struct peal_buf line = { 0 };

    play_open(&p);
    while (rest.len > 0) {
        struct peal_slice raw = peal_slice_cut(&rest, '\n');

        p.line++;
        if (raw.len == 0)
            continue;
        expand(&p, raw, &line);
        play_line(&p, line.data);
    }
    play_close(&p);
    peal_buf_fini(&line);
}

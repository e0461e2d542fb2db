/* SPDX-License-Identifier: MIT */
/* A redis-server as a child process; what it needs is told with hiredis' blocking API. */
#include "redis_server.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#define PATIENCE_S 20

/* A port that is free now; somebody else may take it before Redis does, and then another
 * one is tried. */
static uint16_t
free_port(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&in, sizeof(in)) != 0 ||
        getsockname(fd, (struct sockaddr *)&in, &len) != 0)
        abort();
    close(fd);
    return ntohs(in.sin_port);
}

static void
become_server(const struct redis_server *s, int cluster)
{
    char port[8], bus[8];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(port, sizeof(port), "%u", s->port);
    snprintf(bus, sizeof(bus), "%u", free_port());
    if (freopen("/dev/null", "w", stdout) == NULL || chdir(s->dir) != 0)
        _exit(1);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1",
        "--save", "", "--appendonly", "no", "--cluster-enabled", cluster ? "yes" : "no",
        cluster ? "--cluster-port" : NULL, bus, NULL);
    _exit(127);
}

int
redis_server_ask(const struct redis_server *s, const char *line)
{
    struct timeval patience = { .tv_sec = PATIENCE_S };
    redisContext *c = redisConnectWithTimeout("127.0.0.1", s->port, patience);
    redisReply *r = NULL;
    int good;

    if (c != NULL && c->err == 0)
        r = redisCommand(c, line);
    good = r != NULL && r->type != REDIS_REPLY_ERROR;
    if (r != NULL)
        freeReplyObject(r);
    if (c != NULL)
        redisFree(c);
    return good;
}

/* 0: it has ended, or does not answer in time. */
static int
wait_until(const struct redis_server *s, const char *line)
{
    time_t end = time(NULL) + PATIENCE_S;

    while (!redis_server_ask(s, line)) {
        if (waitpid(s->pid, NULL, WNOHANG) != 0 || time(NULL) > end)
            return 0;
        usleep(10000);
    }
    return 1;
}

static int
set_up(const struct redis_server *s, int cluster)
{
    if (!wait_until(s, "PING") ||
        !redis_server_ask(s, "ACL SETUSER suite on >pw resetchannels &ok:* +@all"))
        return 0;
    if (!cluster)
        return 1;
    /* A master waits for two seconds before it takes over its slots. */
    return redis_server_ask(s, "CLUSTER ADDSLOTSRANGE 0 16383") &&
           wait_until(s, "SPUBLISH ok:1 one");
}

const char *
redis_server_start(struct redis_server *s, int cluster)
{
    for (int tries = 0; tries < 3; tries++) {
        *s =
            (struct redis_server){ .port = free_port(), .dir = "/tmp/peal-suite-XXXXXX" };
        if (mkdtemp(s->dir) == NULL || (s->pid = fork()) < 0)
            return "no folder, or no process";
        if (s->pid == 0)
            become_server(s, cluster);
        if (set_up(s, cluster))
            return NULL;
        redis_server_stop(s);
    }
    return "redis-server cannot be started, or is too old";
}

void
redis_server_stop(struct redis_server *s)
{
    char file[96];

    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    snprintf(file, sizeof(file), "%s/nodes.conf", s->dir);
    unlink(file);
    rmdir(s->dir);
}

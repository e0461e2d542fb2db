/* SPDX-License-Identifier: MIT */
/* A redis-server of this test's own, on a free port, with nothing on disk. */
#ifndef TEST_SUITE_REDIS_SERVER_H
#define TEST_SUITE_REDIS_SERVER_H

#include <stdint.h>
#include <sys/types.h>

struct redis_server {
    pid_t pid;
    uint16_t port;
    char dir[64];
};

/* Starts one and waits until it answers; cluster: as the one master of a cluster, with
 * all slots. Its user "suite" (password "pw") may have the topics ok:*. Returns why it
 * cannot be started, or NULL. */
const char *redis_server_start(struct redis_server *s, int cluster);
void redis_server_stop(struct redis_server *s);

/* Sends a command of words in one line, and returns whether the answer is no error. */
int redis_server_ask(const struct redis_server *s, const char *line);

#endif

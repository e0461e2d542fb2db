/* SPDX-License-Identifier: MIT */
/* Sockets, inside io/ only. */
#ifndef PEAL_IO_SOCK_PRIV_H
#define PEAL_IO_SOCK_PRIV_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* peal_sock_tune: what is written leaves at once, and a peer that is gone is noticed
 * after two minutes. A socket that refuses these still works; there is nothing to tell
 * anyone.
 */
static inline void
peal_sock_tune(int fd)
{
    int on = 1, idle = 60, every = 15, count = 4;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

#endif

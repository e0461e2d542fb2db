/* SPDX-License-Identifier: MIT */
/*
 * Reading /proc: schedstat for CPU, smaps_rollup for memory, net/tcp and fd/ to find who
 * listens on a port. Every file may be gone by the time it is opened; it counts zero.
 */
#include "bench/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INODES_MAX 256 /* SO_REUSEPORT: one listening socket a worker */
#define TCP_LISTEN 0x0a

static uint64_t
thread_cpu_ns(pid_t pid, const char *tid)
{
    char path[320];
    uint64_t ns = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, tid);
    if ((f = fopen(path, "re")) == NULL)
        return 0;
    if (fscanf(f, "%" SCNu64, &ns) != 1)
        ns = 0;
    fclose(f);
    return ns;
}

uint64_t
peal_bench_proc_cpu_ns(const pid_t *pids, unsigned n)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n; i++) {
        char path[64];
        DIR *dir;
        struct dirent *e;

        snprintf(path, sizeof(path), "/proc/%d/task", (int)pids[i]);
        if ((dir = opendir(path)) == NULL)
            continue;
        while ((e = readdir(dir)) != NULL) {
            if (isdigit((unsigned char)e->d_name[0]))
                sum += thread_cpu_ns(pids[i], e->d_name);
        }
        closedir(dir);
    }
    return sum;
}

static uint64_t
rollup_bytes(pid_t pid, const char *field)
{
    char path[64], line[256];
    uint64_t kib = 0;
    size_t n = strlen(field);
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    if ((f = fopen(path, "re")) == NULL)
        return 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, field, n) == 0) {
            kib = strtoull(line + n, NULL, 10);
            break;
        }
    }
    fclose(f);
    return kib * 1024;
}

uint64_t
peal_bench_proc_rss_bytes(const pid_t *pids, unsigned n)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n; i++)
        sum += rollup_bytes(pids[i], n == 1 ? "Rss:" : "Pss:");
    return sum;
}

static unsigned
listening_inodes(const char *path, uint16_t port, uint64_t *inodes, unsigned n)
{
    char line[512];
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return n;
    while (fgets(line, sizeof(line), f) != NULL) {
        unsigned local_port, state;
        uint64_t inode;

        if (sscanf(line,
                " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s"
                " %" SCNu64,
                &local_port, &state, &inode) == 3 &&
            local_port == port && state == TCP_LISTEN && n < INODES_MAX)
            inodes[n++] = inode;
    }
    fclose(f);
    return n;
}

static bool
holds_socket(const char *pid, const uint64_t *inodes, unsigned n)
{
    char path[320], link[64];
    struct dirent *e;
    bool found = false;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    if ((dir = opendir(path)) == NULL)
        return false;
    while (!found && (e = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1);
        uint64_t inode;

        link[len > 0 ? len : 0] = '\0';
        if (sscanf(link, "socket:[%" SCNu64 "]", &inode) != 1)
            continue;
        for (unsigned i = 0; i < n; i++)
            found = found || inodes[i] == inode;
    }
    closedir(dir);
    return found;
}

unsigned
peal_bench_proc_listening(uint16_t port, pid_t *pids_out, unsigned n_max)
{
    uint64_t inodes[INODES_MAX];
    unsigned n_inodes, n = 0;
    struct dirent *e;
    DIR *dir;

    n_inodes = listening_inodes("/proc/net/tcp", port, inodes, 0);
    n_inodes = listening_inodes("/proc/net/tcp6", port, inodes, n_inodes);
    if (n_inodes == 0 || (dir = opendir("/proc")) == NULL)
        return 0;
    while (n < n_max && (e = readdir(dir)) != NULL) {
        if (isdigit((unsigned char)e->d_name[0]) &&
            holds_socket(e->d_name, inodes, n_inodes))
            pids_out[n++] = (pid_t)strtol(e->d_name, NULL, 10);
    }
    closedir(dir);
    return n;
}

uint64_t
peal_bench_proc_self_ns(void)
{
    struct timespec ts;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) != 0)
        return 0;
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

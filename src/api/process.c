/* SPDX-License-Identifier: MIT */
/*
 * What the system says about the process, under the names that Prometheus' own libraries
 * use. What cannot be had is left out, as elsewhere.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api_priv.h"

/* Beyond this many connections file descriptors are not listed one by one: it would hold
 * up the worker. */
#define LIST_MAX 20000

static peal_err
put(struct peal_buf *out, const char *name, const char *type, const char *help,
    double value)
{
    return peal_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help,
        name, type, name, value);
}

static peal_err
put_memory(struct peal_buf *out)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long size, resident;
    long page = sysconf(_SC_PAGESIZE);
    peal_err err = PEAL_OK;

    if (f == NULL)
        return PEAL_OK;
    if (fscanf(f, "%lu %lu", &size, &resident) == 2) {
        err = put(out, "process_resident_memory_bytes", "gauge",
            "Resident memory size in bytes.", (double)resident * (double)page);
        if (err == PEAL_OK)
            err = put(out, "process_virtual_memory_bytes", "gauge",
                "Virtual memory size in bytes.", (double)size * (double)page);
    }
    fclose(f);
    return err;
}

/* Open file descriptors, or -1. Linux tells since 6.2; before, they must be listed. */
static long
count_fds(int64_t connections)
{
    struct stat st;
    long n = 0;
    DIR *d;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (long)st.st_size;
    if (connections > LIST_MAX || (d = opendir("/proc/self/fd")) == NULL)
        return -1;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 3; /* . and .. and that of the listing itself */
}

static peal_err
put_fds(struct peal_buf *out, int64_t connections)
{
    long n = count_fds(connections);
    struct rlimit lim;
    peal_err err = PEAL_OK;

    if (n >= 0)
        err = put(out, "process_open_fds", "gauge", "Number of open file descriptors.",
            (double)n);
    if (err == PEAL_OK && getrlimit(RLIMIT_NOFILE, &lim) == 0)
        err = put(out, "process_max_fds", "gauge",
            "Maximum number of open file descriptors.", (double)lim.rlim_cur);
    return err;
}

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

peal_err
peal_api_process_text(int64_t connections, int64_t started_s, struct peal_buf *out)
{
    struct rusage use;
    peal_err err = put_memory(out);

    if (err == PEAL_OK)
        err = put_fds(out, connections);
    if (err == PEAL_OK && getrusage(RUSAGE_SELF, &use) == 0)
        err = put(out, "process_cpu_seconds_total", "counter",
            "Total user and system CPU time spent in seconds.",
            seconds(use.ru_utime) + seconds(use.ru_stime));
    if (err == PEAL_OK && started_s > 0)
        err = put(out, "process_start_time_seconds", "gauge",
            "Start time of the process since unix epoch in seconds.", (double)started_s);
    return err;
}

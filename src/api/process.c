/* SPDX-License-Identifier: MIT */
/*
 * The metrics of the process that the operating system keeps, under the names that
 * Prometheus' own libraries use. A number that the system does not give is left out.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api_priv.h"
#include "base/writer.h"

/* Beyond this many connections file descriptors are not listed one by one: it would hold
 * up the worker. */
#define LIST_MAX 20000

static void
put(struct peal_writer *w, const char *name, const char *type, const char *help,
    double value)
{
    peal_writer_printf(
        w, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

static void
put_memory(struct peal_writer *w)
{
    FILE *f = fopen("/proc/self/statm", "re");
    double page = (double)sysconf(_SC_PAGESIZE);
    unsigned long size, resident;

    if (f == NULL)
        return;
    if (fscanf(f, "%lu %lu", &size, &resident) == 2) {
        put(w, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
            (double)resident * page);
        put(w, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
            (double)size * page);
    }
    fclose(f);
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

static void
put_fds(struct peal_writer *w, int64_t connections)
{
    long n = count_fds(connections);
    struct rlimit lim;

    if (n >= 0)
        put(w, "process_open_fds", "gauge", "Number of open file descriptors.",
            (double)n);
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0)
        put(w, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
            (double)lim.rlim_cur);
}

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

peal_err
peal_api_process_text(int64_t connections, int64_t started_s, struct peal_buf *out)
{
    struct peal_writer w = peal_writer_on(out);
    struct rusage use;

    put_memory(&w);
    put_fds(&w, connections);
    if (getrusage(RUSAGE_SELF, &use) == 0)
        put(&w, "process_cpu_seconds_total", "counter",
            "Total user and system CPU time spent in seconds.",
            seconds(use.ru_utime) + seconds(use.ru_stime));
    if (started_s > 0)
        put(&w, "process_start_time_seconds", "gauge",
            "Start time of the process since unix epoch in seconds.", (double)started_s);
    return peal_writer_end(&w);
}

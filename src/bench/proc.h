/* SPDX-License-Identifier: MIT */
/*
 * The processor time and memory of a process, as the kernel accounts for them.
 *
 * CPU is the scheduler's: nanoseconds on a processor of every thread, in user and kernel
 * mode, not sampled by ticks. Memory is what is resident, without the kernel's own.
 */
#ifndef PEAL_BENCH_PROC_H
#define PEAL_BENCH_PROC_H

#include <stdint.h>
#include <sys/types.h>

/* CPU of all threads of the processes so far, in nanoseconds. A process that is gone
 * counts nothing. */
uint64_t peal_bench_proc_cpu_ns(const pid_t *pids, unsigned n);

/* Resident bytes. Of several processes, shared pages count once (PSS). */
uint64_t peal_bench_proc_rss_bytes(const pid_t *pids, unsigned n);

/* The processes that listen on the port, whatever the address; returns how many. Only
 * those whose descriptors the caller may read are found. */
unsigned peal_bench_proc_listening(uint16_t port, pid_t *pids_out, unsigned n_max);

/* CPU of the calling process. */
uint64_t peal_bench_proc_self_ns(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Clients that are at a node while something happens to it: each sends an event every 50
 * ms, and how long the acknowledgements take is what they notice.
 *
 * They have a thread of their own, so that what keeps the generator busy meanwhile is not
 * taken for time of the server.
 */
#ifndef PEAL_BENCH_PRESENT_H
#define PEAL_BENCH_PRESENT_H

#include "bench/net.h"
#include "bench/report.h"

struct peal_bench_present;

/* Connects opts->present Socket.IO clients to opts->target and starts the thread. opts is
 * kept. NULL: it was said on standard error why not. */
struct peal_bench_present *peal_bench_present_start(const struct peal_bench_opts *opts);

/* From now on they count as being in the storm. */
void peal_bench_present_storm(struct peal_bench_present *p);

/* Ends the thread and reports what they noticed before, and in the storm. false: some
 * lost their connection. */
bool peal_bench_present_end(
    struct peal_bench_present *p, struct peal_bench_report *report);

#endif

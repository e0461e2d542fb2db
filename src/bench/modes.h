/* SPDX-License-Identifier: MIT */
/* The measurements: each opens what it needs, runs, fills the report. */
#ifndef PEAL_BENCH_MODES_H
#define PEAL_BENCH_MODES_H

#include "bench/opts.h"
#include "bench/report.h"

/* Returns true if all that was to be measured was, and every message arrived once, in
 * order and as it was sent; what did not is on standard error and in the report. */
typedef bool peal_bench_mode_fn(
    const struct peal_bench_opts *opts, struct peal_bench_report *report);

peal_bench_mode_fn peal_bench_fanout, peal_bench_echo, peal_bench_connect,
    peal_bench_storm, peal_bench_relay, peal_bench_avalanche, peal_bench_drops;

/* A stretch of time and what was spent in it. */
struct peal_bench_span {
    uint64_t began_ns, server_ns, self_ns;
};

struct peal_bench_cost {
    double seconds;
    double server_us; /* CPU of the server; NaN when its processes are not known */
    double self_us;   /* CPU of the generator */
};

void peal_bench_span_begin(struct peal_bench_span *s, const struct peal_bench_opts *opts);
struct peal_bench_cost peal_bench_span_end(
    const struct peal_bench_span *s, const struct peal_bench_opts *opts);

/* Adds the rows that every mode has: seconds, server and generator CPU. */
void peal_bench_report_cost(
    struct peal_bench_report *r, const struct peal_bench_cost *cost);

#endif

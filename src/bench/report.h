/* SPDX-License-Identifier: MIT */
/* The results of a run: named numbers in order, printed as a table or as JSON. */
#ifndef PEAL_BENCH_REPORT_H
#define PEAL_BENCH_REPORT_H

#include <stdbool.h>

#include "bench/hist.h"

#define PEAL_BENCH_REPORT_MAX 48

struct peal_bench_report {
    unsigned n;
    struct {
        const char *name; /* kept; static text, also the JSON key */
        const char *unit; /* kept; "" for a count */
        const char *text; /* kept; instead of value, or NULL */
        double value;
    } rows[PEAL_BENCH_REPORT_MAX];
};

void peal_bench_report_add(
    struct peal_bench_report *r, const char *name, double value, const char *unit);
void peal_bench_report_text(
    struct peal_bench_report *r, const char *name, const char *text);

/* Adds latency_p50_us, latency_p99_us and latency_max_us, if anything was recorded. */
void peal_bench_report_hist(struct peal_bench_report *r, const struct peal_bench_hist *h);

/* Writes to standard output. */
void peal_bench_report_print(const struct peal_bench_report *r, bool json);

#endif

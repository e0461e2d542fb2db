/* SPDX-License-Identifier: MIT */
/* The report: nothing but formatting. */
#include "bench/report.h"

#include <math.h>
#include <stdio.h>

#include "base/assert.h"

void
peal_bench_report_add(
    struct peal_bench_report *r, const char *name, double value, const char *unit)
{
    PEAL_ASSERT(r->n < PEAL_BENCH_REPORT_MAX);
    r->rows[r->n].name = name;
    r->rows[r->n].unit = unit;
    r->rows[r->n].text = NULL;
    r->rows[r->n++].value = value;
}

void
peal_bench_report_text(struct peal_bench_report *r, const char *name, const char *text)
{
    peal_bench_report_add(r, name, 0, "");
    r->rows[r->n - 1].text = text;
}

void
peal_bench_report_hist(struct peal_bench_report *r, const struct peal_bench_hist *h)
{
    if (h->count == 0)
        return;
    peal_bench_report_add(
        r, "latency_p50_us", (double)peal_bench_hist_quantile(h, 0.5) / 1e3, "us");
    peal_bench_report_add(
        r, "latency_p99_us", (double)peal_bench_hist_quantile(h, 0.99) / 1e3, "us");
    peal_bench_report_add(r, "latency_max_us", (double)h->max_ns / 1e3, "us");
}

/* JSON has no NaN and no infinity. */
static void
print_number(double v)
{
    if (!isfinite(v))
        printf("null");
    else if (v == floor(v) && fabs(v) < 1e15)
        printf("%.0f", v);
    else
        printf("%.4g", v);
}

static void
print_json(const struct peal_bench_report *r)
{
    for (unsigned i = 0; i < r->n; i++) {
        printf("%s\"%s\":", i ? "," : "{", r->rows[i].name);
        if (r->rows[i].text != NULL)
            printf("\"%s\"", r->rows[i].text);
        else
            print_number(r->rows[i].value);
    }
    printf("}\n");
}

void
peal_bench_report_print(const struct peal_bench_report *r, bool json)
{
    if (json) {
        print_json(r);
        return;
    }
    for (unsigned i = 0; i < r->n; i++) {
        printf("%-26s ", r->rows[i].name);
        if (r->rows[i].text != NULL)
            printf("%s", r->rows[i].text);
        else
            print_number(r->rows[i].value);
        printf(" %s\n", r->rows[i].unit);
    }
}

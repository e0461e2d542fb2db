/* SPDX-License-Identifier: MIT */
/* The entry: options, who the server is, the mode, the report. */
#include "bench/bench.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>

#include "bench/modes.h"
#include "bench/net.h"
#include "bench/proc.h"

void
peal_bench_span_begin(struct peal_bench_span *s, const struct peal_bench_opts *opts)
{
    s->server_ns = peal_bench_proc_cpu_ns(opts->pids, opts->n_pids);
    s->self_ns = peal_bench_proc_self_ns();
    s->began_ns = peal_bench_now_ns();
}

struct peal_bench_cost
peal_bench_span_end(const struct peal_bench_span *s, const struct peal_bench_opts *opts)
{
    struct peal_bench_cost cost = { .server_us = NAN };

    cost.seconds = (double)(peal_bench_now_ns() - s->began_ns) / 1e9;
    cost.self_us = (double)(peal_bench_proc_self_ns() - s->self_ns) / 1e3;
    if (opts->n_pids > 0)
        cost.server_us =
            (double)(peal_bench_proc_cpu_ns(opts->pids, opts->n_pids) - s->server_ns) /
            1e3;
    return cost;
}

void
peal_bench_report_cost(struct peal_bench_report *r, const struct peal_bench_cost *cost)
{
    peal_bench_report_add(r, "seconds", cost->seconds, "s");
    peal_bench_report_add(
        r, "server_cpu_percent", cost->server_us / 1e4 / cost->seconds, "% of a core");
    peal_bench_report_add(
        r, "generator_cpu_percent", cost->self_us / 1e4 / cost->seconds, "% of a core");
}

int
peal_bench_main(int argc, char **argv)
{
    static const struct {
        const char *name;
        peal_bench_mode_fn *run;
    } modes[] = {
        [PEAL_BENCH_FANOUT] = { "fanout", peal_bench_fanout },
        [PEAL_BENCH_ECHO] = { "echo", peal_bench_echo },
        [PEAL_BENCH_CONNECT] = { "connect", peal_bench_connect },
        [PEAL_BENCH_STORM] = { "storm", peal_bench_storm },
        [PEAL_BENCH_RELAY] = { "relay", peal_bench_relay },
        [PEAL_BENCH_AVALANCHE] = { "avalanche", peal_bench_avalanche },
        [PEAL_BENCH_DROPS] = { "drops", peal_bench_drops },
    };
    struct peal_bench_opts opts;
    struct peal_bench_report report = { 0 };
    int status = peal_bench_opts_parse(argc, argv, &opts);
    bool complete;

    if (status >= 0)
        return status;
    if (opts.n_pids == 0)
        opts.n_pids = peal_bench_proc_listening(
            ntohs(opts.target.addr.sin_port), opts.pids, PEAL_BENCH_PIDS_MAX);
    if (opts.n_pids == 0)
        fprintf(stderr, "peal bench: the server's process was not found (--pid): "
                        "no CPU, no memory\n");
    peal_bench_report_text(&report, "mode", modes[opts.mode].name);
    peal_bench_report_text(&report, "protocol",
        opts.target.protocol == PEAL_BENCH_SOCKETIO ? "socketio" : "ws");
    complete = modes[opts.mode].run(&opts, &report);
    peal_bench_report_add(&report, "complete", complete, "");
    peal_bench_report_print(&report, opts.json);
    return complete ? 0 : 1;
}

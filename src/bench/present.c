/* SPDX-License-Identifier: MIT */
/* Present clients: one event of each is on its way at a time, so a server that is late is
 * not asked for more. */
#include "bench/present.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define EVENT_NS 50000000u /* between two events of one client */
#define EVENT "421[\"present\",\"how long does it take?\"]"

struct one {
    uint64_t due_ns;  /* of the next event */
    uint64_t sent_ns; /* of the one that is not answered, or 0 */
};

struct peal_bench_present {
    struct peal_bench_net net;
    struct one *all;
    pthread_t thread;
    _Atomic bool storm, over;
    struct peal_bench_hist calm, during;
};

static void
on_message(struct peal_bench_net *net, struct peal_bench_conn *c, struct peal_slice data)
{
    struct peal_bench_present *p = net->user;
    struct one *one = &p->all[c->index];

    if (one->sent_ns == 0 || !peal_slice_starts(data, PEAL_S("431")))
        return;
    peal_bench_hist_add(
        p->storm ? &p->during : &p->calm, peal_bench_now_ns() - one->sent_ns);
    one->sent_ns = 0;
}

static void
send_events(struct peal_bench_present *p)
{
    uint64_t now = peal_bench_now_ns();

    for (unsigned i = 0; i < p->net.n; i++) {
        struct one *one = &p->all[i];

        if (one->sent_ns != 0 || one->due_ns > now ||
            p->net.conns[i].state != PEAL_BENCH_READY)
            continue;
        one->due_ns = now + EVENT_NS;
        one->sent_ns = peal_bench_now_ns();
        peal_bench_net_say(&p->net, &p->net.conns[i], PEAL_S(EVENT));
    }
}

static void *
run(void *arg)
{
    struct peal_bench_present *p = arg;

    while (!p->over) {
        send_events(p);
        peal_bench_net_turn(&p->net, 1);
    }
    return NULL;
}

static void
present_free(struct peal_bench_present *p)
{
    peal_bench_net_fini(&p->net);
    free(p->all);
    free(p);
}

struct peal_bench_present *
peal_bench_present_start(const struct peal_bench_opts *opts)
{
    struct peal_bench_present *p = calloc(1, sizeof(*p));
    uint64_t now = peal_bench_now_ns();

    if (p == NULL)
        return NULL;
    p->net.ep = -1;
    p->all = calloc(opts->present + 1, sizeof(*p->all));
    if (p->all == NULL || peal_bench_net_init(&p->net, opts, opts->present) != PEAL_OK) {
        fprintf(stderr, "peal bench: FAILED: out of memory\n");
        goto fail;
    }
    p->net.user = p;
    p->net.on_message = on_message;
    for (unsigned i = 0; i < opts->present; i++) /* not all at the same moment */
        p->all[i].due_ns = now + i * (uint64_t)EVENT_NS / opts->present;
    if (peal_bench_net_open_all(&p->net, opts->present) &&
        pthread_create(&p->thread, NULL, run, p) == 0)
        return p;
fail:
    present_free(p);
    return NULL;
}

void
peal_bench_present_storm(struct peal_bench_present *p)
{
    p->storm = true;
}

bool
peal_bench_present_end(struct peal_bench_present *p, struct peal_bench_report *report)
{
    const struct {
        const char *name;
        const struct peal_bench_hist *hist;
        double q;
    } rows[] = { { "present_calm_p99_ms", &p->calm, 0.99 },
        { "present_p50_ms", &p->during, 0.5 }, { "present_p99_ms", &p->during, 0.99 },
        { "present_max_ms", &p->during, 1 } };
    bool ok;

    p->over = true;
    pthread_join(p->thread, NULL);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        peal_bench_report_add(report, rows[i].name,
            (double)peal_bench_hist_quantile(rows[i].hist, rows[i].q) / 1e6, "ms");
    if (!(ok = p->net.n_broken == 0))
        fprintf(stderr, "peal bench: LOST: %u of %u present clients: %s\n",
            p->net.n_broken, p->net.n, p->net.last_failure);
    present_free(p);
    return ok;
}

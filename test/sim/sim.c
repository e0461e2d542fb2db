/* SPDX-License-Identifier: MIT */
/*
 * The simulator: hubs of several nodes in one thread, over a broker with faults. What
 * happens next is chosen by chance, so each seed is another world; the same seed is
 * always the same one.
 *
 *   sim             a few hundred seeds
 *   sim FROM TO     these
 *   sim SEED        one, and everything that happens in it
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "chance.h"
#include "world.h"

#define SEEDS 300
#define STEPS 3000

static uint64_t seed;
static bool talk;

void
sim_wrong(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 ": ", seed);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\nsee all that happens: sim %" PRIu64 "\n", seed);
    va_end(ap);
    abort();
}

void
sim_trace(const char *fmt, ...)
{
    va_list ap;

    if (!talk)
        return;
    va_start(ap, fmt);
    printf("%6" PRIu64 " ", sim_now_ms);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

static void
some_fault(struct world *w, struct node *n)
{
    switch (sim_pick(8)) {
    case 0:
        node_end(w, n, sim_pick(2) == 0);
        break;
    case 1:
    case 2:
    case 3:
        world_lose(w, n);
        break;
    default:
        link_cut(n->link);
    }
}

static void
some_client(struct world *w)
{
    switch (sim_pick(24)) {
    case 23:
        world_request(w);
        break;
    case 22:
        if (sim_pick(4) == 0)
            world_cancel_request(w);
        break;
    case 21:
        world_answer(w);
        break;
    case 0:
        world_end(w);
        break;
    case 1:
    case 2:
        world_begin(w);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        world_join(w);
        break;
    case 7:
    case 8:
        world_leave(w);
        break;
    case 9:
        world_steal(w);
        break;
    default:
        world_publish(w);
    }
}

/* Something moves on, somewhere. */
static void
some_move(struct world *w, struct node *n)
{
    switch (sim_pick(20)) {
    case 0:
        node_proceed(w, n);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        for (unsigned i = sim_pick(8); i > 0; i--)
            link_serve(n->link);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        for (unsigned i = sim_pick(8); i > 0; i--)
            node_arrive(w, n);
        break;
    default:
        node_turn(w, n, sim_pick(n->n_shards + 1));
    }
}

/* pace: how much, mostly. */
static void
some_time(unsigned pace)
{
    sim_now_ms += sim_pick(pace);
    if (sim_chance(2))
        sim_now_ms += sim_pick(500);
    if (sim_pick(5000) == 0)
        sim_now_ms += sim_pick(8000);
}

/* faults: in a thousand steps. */
static void
live(struct world *w, unsigned faults, unsigned pace)
{
    for (unsigned i = 0; i < STEPS; i++) {
        struct node *n = &w->nodes[sim_pick(w->n_places)];

        if (!n->alive) {
            if (sim_chance(10))
                node_start(w, n->place);
        } else if (sim_chance(faults)) {
            some_fault(w, n);
        } else if (sim_pick(4) == 0) {
            some_client(w);
        } else {
            some_move(w, n);
        }
        some_time(pace);
    }
}

struct totals {
    uint64_t delivered, lost, paused, digest;
};

static void
run(uint64_t which, struct totals *t)
{
    static const unsigned faults[] = { 0, 1, 5, 20 }, paces[] = { 2, 4, 40 };
    static struct model model;
    struct world w;
    unsigned pace;

    seed = which;
    memset(&model, 0, sizeof(model));
    sim_seed(seed);
    world_open(&w, &model);
    for (unsigned i = 0; i < 20; i++)
        world_begin(&w);
    pace = paces[sim_pick(3)];
    live(&w, faults[sim_pick(4)], pace);
    switch (sim_pick(8)) {
    case 0: /* it ends in the middle of everything */
        break;
    case 1:
        world_dark(&w);
        break;
    default:
        world_quiet(&w);
        model_settle(&model);
        world_end_all(&w);
        world_quiet(&w);
        world_check(&w);
    }
    world_close(&w);
    t->delivered += model.n_delivered;
    t->lost += model.n_lost;
    t->paused += model.n_paused;
    t->digest = model.digest;
}

int
main(int argc, char **argv)
{
    uint64_t from = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t to = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? from : SEEDS;
    struct totals t = { 0 }, again = { 0 };
    uint64_t first;

    talk = argc == 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    run(from, &t);
    first = t.digest;
    for (uint64_t i = from + 1; i <= to; i++)
        run(i, &t);
    talk = false;
    run(from, &again);
    if (again.digest != first)
        sim_wrong("it is another world the second time");
    printf("seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " deliveries, %" PRIu64
           " lost to faults, %" PRIu64 " publishers paused\n",
        from, to, t.delivered, t.lost, t.paused);
    return 0;
}

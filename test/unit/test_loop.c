/* SPDX-License-Identifier: MIT */
/* io/loop: tasks have a budget, and work that comes after the hooks is not left lying. */
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "io/loop.h"

#define PATIENCE_S 20
#define TASKS (2 * PEAL_TASKS_PER_TURN + 10)

static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };

static struct peal_loop *
loop_of(void)
{
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL, .log = &log_to };
    struct peal_loop *l;

    CHECK_OK(peal_loop_new(&config, &l));
    return l;
}

/* Tasks that say their number, and how many came in each turn. */
struct count {
    unsigned n, this_turn, most;
};

struct numbered {
    struct peal_task task; /* first */
    struct count *count;
    unsigned number;
};

static void
count_task(struct peal_loop *l, struct peal_task *task)
{
    struct numbered *t = (struct numbered *)task;

    CHECK_INT(t->number, t->count->n);
    t->count->n++;
    t->count->this_turn++;
    if (t->count->n == TASKS)
        peal_loop_stop(l);
    free(t);
}

static bool
count_turn(void *count)
{
    struct count *c = count;

    if (c->this_turn > c->most)
        c->most = c->this_turn;
    c->this_turn = 0;
    return false;
}

static void
post_all(struct peal_loop *l, struct count *c)
{
    for (unsigned i = 0; i < TASKS; i++) {
        struct numbered *t = malloc(sizeof(*t));

        CHECK(t != NULL);
        *t = (struct numbered){ .task.fn = count_task, .count = c, .number = i };
        peal_loop_post(l, &t->task);
    }
}

static void
tasks_run_in_order_within_a_budget(void **state)
{
    struct peal_loop *l = loop_of();
    struct count c = { 0 };

    peal_loop_hook(l, count_turn, &c);
    post_all(l, &c);
    peal_loop_run(l);
    CHECK_INT(c.n, TASKS);
    CHECK_INT(c.most, PEAL_TASKS_PER_TURN);
    peal_loop_free(&l);
}

/* They may hold memory. */
static void
tasks_of_a_loop_that_ends_run_all_the_same(void **state)
{
    struct peal_loop *l = loop_of();
    struct count c = { 0 };

    post_all(l, &c);
    peal_loop_free(&l);
    CHECK_INT(c.n, TASKS);
}

/* What is done at the very end of a turn makes work for a hook, which has run. */
struct late {
    struct peal_task task;
    struct peal_loop *loop;
    bool work, done;
};

static bool
late_hook(void *late)
{
    struct late *w = late;

    if (w->work) {
        w->done = true;
        peal_loop_stop(w->loop);
    }
    return false;
}

static void
late_make_work(void *late)
{
    struct late *w = late;

    w->work = true;
    peal_loop_again(w->loop);
}

static void
late_task(struct peal_loop *l, struct peal_task *task)
{
    peal_loop_free_later(l, late_make_work, PEAL_CONTAINER(task, struct late, task));
}

static void
work_that_comes_after_the_hooks_does_not_wait(void **state)
{
    struct late w = { .task.fn = late_task, .loop = loop_of() };

    alarm(PATIENCE_S);
    peal_loop_hook(w.loop, late_hook, &w);
    peal_loop_post(w.loop, &w.task);
    peal_loop_run(w.loop);
    alarm(0);
    CHECK(w.done);
    peal_loop_free(&w.loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_run_in_order_within_a_budget),
        cmocka_unit_test(tasks_of_a_loop_that_ends_run_all_the_same),
        cmocka_unit_test(work_that_comes_after_the_hooks_does_not_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The suite of protocols: see the header. */
#include "protocol.h"

#include <stdio.h>
#include <string.h>

static struct proto_setup
setup_of(const struct suite_protocol *p)
{
    struct proto_setup setup = proto_setup_default;

    setup.more = p->row;
    return setup;
}

static void
begin(const struct suite_protocol *p)
{
    struct proto_setup setup = setup_of(p);

    rig_start(&setup);
}

/* Tells lines of client A for another one. */
static void
tell_for(const struct suite_protocol *p, const char *const *lines, char client)
{
    char text[1000];
    const char *const script[] = { text, NULL };

    for (; *lines != NULL; lines++) {
        snprintf(text, sizeof(text), "%s", *lines);
        text[0] = client;
        rig_tell(p->name, script);
    }
}

static void
reset(const struct suite_protocol *p, char client)
{
    char text[] = "A RESET";
    const char *const script[] = { text, NULL };

    text[0] = client;
    rig_tell(p->name, script);
}

static void
check_counts(const struct suite_protocol *p, unsigned n)
{
    struct peal_protocol *pr = rig_protocol(p->name);

    CHECK(pr != NULL);
    CHECK_INT(pr->ops->count(pr), n);
    CHECK_INT(peal_stats_sessions_of(peal_loop_stats(rig.loop), pr->index), n);
    CHECK_INT(peal_stats_sessions(peal_loop_stats(rig.loop)), n);
}

static void
routes_are_found(const struct suite_protocol *p)
{
    struct peal_http_route routes[PEAL_PROTOCOL_ROUTES_MAX] = { 0 };
    struct peal_protocol *pr;
    unsigned n;

    begin(p);
    CHECK((pr = rig_protocol(p->name)) != NULL);
    CHECK(pr->proto == &rig.proto);
    n = pr->ops->routes(pr, routes);
    CHECK(n >= 1 && n <= PEAL_PROTOCOL_ROUTES_MAX);
    for (unsigned i = 0; i < n; i++) {
        CHECK(routes[i].path.len > 0 && routes[i].path.data[0] == '/');
        CHECK(routes[i].handle != NULL && routes[i].ctx != NULL);
    }
    rig_stop();
}

static void
sessions_are_counted(const struct suite_protocol *p)
{
    begin(p);
    check_counts(p, 0);
    for (char c = 'A'; c <= 'C'; c++)
        tell_for(p, p->open, c);
    check_counts(p, 3);
    reset(p, 'B');
    check_counts(p, 2);
    rig_stop();
}

static void
sessions_are_drained_in_order(const struct suite_protocol *p)
{
    struct peal_protocol *pr;

    begin(p);
    for (char c = 'A'; c <= 'D'; c++)
        tell_for(p, p->open, c);
    pr = rig_protocol(p->name);
    pr->ops->drain(pr, 0, PEAL_OLDEST_FIRST);
    check_counts(p, 4);
    pr->ops->drain(pr, 1, PEAL_OLDEST_FIRST);
    rig_turn();
    tell_for(p, p->drained, 'A');
    check_counts(p, 3);
    pr->ops->drain(pr, 1, PEAL_MIDDLE_FIRST);
    rig_turn();
    tell_for(p, p->drained, 'C');
    check_counts(p, 2);
    if (pr->ops->prepare_drain != NULL)
        pr->ops->prepare_drain(pr);
    pr->ops->drain(pr, UINT32_MAX, PEAL_OLDEST_FIRST);
    rig_turn();
    tell_for(p, p->drained, 'B');
    tell_for(p, p->drained, 'D');
    check_counts(p, 0);
    rig_stop();
}

static void
sessions_are_shed(const struct suite_protocol *p)
{
    begin(p);
    for (char c = 'A'; c <= 'C'; c++)
        tell_for(p, p->open, c);
    peal_sessions_shed(&rig.proto, 2);
    rig_turn();
    tell_for(p, p->drained, 'A');
    tell_for(p, p->drained, 'B');
    check_counts(p, 1);
    peal_sessions_shed(&rig.proto, 100);
    rig_turn();
    check_counts(p, 0);
    rig_stop();
}

static void
sessions_grow_old(const struct suite_protocol *p)
{
    struct proto_setup setup = setup_of(p);

    setup.proto.sessions_max_age_ms = 10000;
    rig_start(&setup);
    tell_for(p, p->open, 'A');
    rig_tell(p->name, (const char *const[]){ "TICK 8900", NULL });
    check_counts(p, 1);
    rig_tell(p->name, (const char *const[]){ "TICK 2200", NULL });
    tell_for(p, p->drained, 'A');
    check_counts(p, 0);
    rig_stop();
}

static void
a_draining_node_begins_none(const struct suite_protocol *p)
{
    const char *const ask[] = { p->ask, NULL };

    begin(p);
    peal_admission_close(&rig.proto);
    rig_tell(p->name, ask);
    check_counts(p, 0);
    rig_stop();
}

static void
what_is_left_is_freed(const struct suite_protocol *p)
{
    begin(p);
    for (char c = 'A'; c <= 'C'; c++)
        tell_for(p, p->open, c);
    rig_stop(); /* checks that no session is counted any more */
}

static void
opening_without_memory_leaves_nothing(const struct suite_protocol *p, long *fail_after)
{
    struct peal_protocol *pr, *one = NULL;
    const struct peal_protocol_ops *ops;
    peal_err err = PEAL_ENOMEM;

    begin(p);
    CHECK((pr = rig_protocol(p->name)) != NULL);
    ops = pr->ops;
    for (long n = 0; err != PEAL_OK; n++) {
        const void *config = rig_config(p->name);

        *fail_after = n;
        err = ops->open(&rig.proto, config, &one);
        *fail_after = -1;
        CHECK(err == PEAL_OK || err == PEAL_ENOMEM);
    }
    *one = (struct peal_protocol){ .ops = ops, .proto = &rig.proto, .index = pr->index };
    ops->free(&one);
    CHECK(one == NULL);
    rig_stop();
}

/* Each allocation of a request fails once: a session has begun or not, both in order. */
static void
a_session_without_memory_is_none(const struct suite_protocol *p, long *fail_after)
{
    for (long n = 0; n < 60; n++) {
        const char *const ask[] = { p->ask, NULL };
        struct peal_protocol *pr;

        begin(p);
        pr = rig_protocol(p->name);
        tell_for(p, p->open, 'B');
        *fail_after = n;
        rig_tell(p->name, ask);
        *fail_after = -1;
        rig_turn();
        CHECK(pr->ops->count(pr) == 1 || pr->ops->count(pr) == 2);
        CHECK_INT(peal_stats_sessions(peal_loop_stats(rig.loop)), pr->ops->count(pr));
        rig_stop();
    }
}

void
suite_protocol_run(const struct suite_protocol *p, long *fail_after)
{
    routes_are_found(p);
    sessions_are_counted(p);
    sessions_are_drained_in_order(p);
    sessions_are_shed(p);
    sessions_grow_old(p);
    a_draining_node_begins_none(p);
    what_is_left_is_freed(p);
    opening_without_memory_leaves_nothing(p, fail_after);
    a_session_without_memory_is_none(p, fail_after);
}

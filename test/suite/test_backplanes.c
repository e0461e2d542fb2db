/* SPDX-License-Identifier: MIT */
/* Every backplane, held to the suite of backplane.h. */
#include "../unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../sim/broker.h"
#include "../sim/chance.h"
#include "../sim/model.h"
#include "backplane.h"
#include "backplane/memory.h"
#include "redis_server.h"

/* Memory. */

static struct peal_memory_bus *bus;

static const char *
memory_begin(void)
{
    CHECK_OK(peal_memory_bus_new(&bus));
    peal_memory_bus_forbid(bus, PEAL_S("no:"));
    return NULL;
}

static void
memory_end(void)
{
    peal_memory_bus_release(&bus);
}

static struct peal_backplane *
memory_open(const struct peal_backplane_config *config)
{
    struct peal_backplane *b;

    CHECK_OK(peal_memory_new(bus, config, &b));
    return b;
}

static void
memory_cut(struct peal_backplane *const *links, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        peal_memory_cut(links[i]);
}

static const struct backplane_maker memory = { .name = "memory",
    .begin = memory_begin,
    .end = memory_end,
    .open = memory_open,
    .cut = memory_cut,
    .take_away = peal_memory_take_away,
    .ordered_over_topics = true };

/* Redis: a real one. */

static struct redis_server server;
static const char *scheme;

static const char *
redis_begin(void)
{
    scheme = "redis";
    return redis_server_start(&server, 0);
}

static const char *
cluster_begin(void)
{
    scheme = "redis+cluster";
    return redis_server_start(&server, 1);
}

static void
redis_end(void)
{
    redis_server_stop(&server);
}

static struct peal_backplane *
redis_open(const struct peal_backplane_config *config)
{
    struct peal_backplane_config with_url = *config;
    struct peal_backplane *b;
    struct peal_buf why = { 0 };
    char url[64];

    snprintf(url, sizeof(url), "%s://suite:pw@127.0.0.1:%u", scheme, server.port);
    with_url.url = url;
    CHECK_OK(peal_backplane_open(&with_url, &b, &why));
    peal_buf_fini(&why);
    return b;
}

static void
redis_cut(struct peal_backplane *const *links, unsigned n)
{
    CHECK(redis_server_ask(&server, "CLIENT KILL TYPE pubsub"));
    CHECK(redis_server_ask(&server, "CLIENT KILL USER suite"));
}

static const struct backplane_maker redis = { .name = "redis",
    .begin = redis_begin,
    .end = redis_end,
    .open = redis_open,
    .cut = redis_cut,
    .ordered_over_topics = true };

/* Of one master; what several do to each other is written in transcripts. */
static const struct backplane_maker cluster = { .name = "redis cluster",
    .begin = cluster_begin,
    .end = redis_end,
    .open = redis_open,
    .cut = redis_cut };

/* The broker of the simulator, which moves only when it is told to. */

static struct broker broker;

/* Nothing here is by chance. */
unsigned
sim_pick(unsigned n)
{
    return 0;
}

void
sim_trace(const char *fmt, ...)
{
}

static void
broker_on_cut(void *arg, unsigned node)
{
}

static const char *
broker_begin(void)
{
    broker = (struct broker){ .on_cut = broker_on_cut };
    return NULL;
}

static void
broker_end(void)
{
}

static struct peal_backplane *
broker_open(const struct peal_backplane_config *config)
{
    unsigned node = 0;

    while (broker.links[node] != NULL)
        node++;
    return link_backplane(link_new(&broker, node, config->loop));
}

static struct link *
link_of(const struct peal_backplane *b)
{
    for (unsigned i = 0; i < BROKER_LINKS_MAX; i++)
        if (broker.links[i] != NULL && link_backplane(broker.links[i]) == b)
            return broker.links[i];
    fail();
    return NULL;
}

static void
broker_cut(struct peal_backplane *const *links, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        link_cut(link_of(links[i]));
}

static void
broker_take_away(struct peal_backplane *b, struct peal_slice topic)
{
    link_take_away(link_of(b), topic);
}

/* Everything that can move does. */
static void
broker_turn(void)
{
    for (unsigned i = 0; i < BROKER_LINKS_MAX; i++) {
        struct link *l = broker.links[i];

        while (l != NULL && (link_serve(l) || link_arrive(l)))
            continue;
        if (l != NULL)
            (void)link_proceed(l);
    }
}

static const struct backplane_maker simulated = { .name = "the simulator's broker",
    .begin = broker_begin,
    .end = broker_end,
    .open = broker_open,
    .cut = broker_cut,
    .take_away = broker_take_away,
    .turn = broker_turn,
    .ordered_over_topics = true };

static void
hold_to_suite(const struct backplane_maker *maker)
{
    const char *why = suite_backplane(maker);

    if (why == NULL)
        return;
    print_message("left out: %s: %s\n", maker->name, why);
    skip();
}

static void
memory_keeps_the_promises(void **state)
{
    hold_to_suite(&memory);
}

static void
the_broker_of_the_simulator_keeps_the_promises(void **state)
{
    hold_to_suite(&simulated);
}

static void
redis_keeps_the_promises(void **state)
{
    hold_to_suite(&redis);
}

static void
a_redis_cluster_keeps_the_promises(void **state)
{
    hold_to_suite(&cluster);
}

static void
urls_find_their_backplane(void **state)
{
    static const struct {
        const char *url, *why; /* NULL: right */
    } urls[] = { { "memory", NULL }, { "redis://h", NULL }, { "redis+cluster://h", NULL },
        { "rediss+sentinel://h/m", NULL }, { "memory://x", "memory, or the URL" },
        { "nats://h", "memory, or the URL" }, { "", "memory, or the URL" },
        { "redis:/h", "expected redis://" }, { "redis://h/1", "no databases" } };

    for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        const char *why = peal_backplane_check(urls[i].url);

        CHECK_INT(why == NULL, urls[i].why == NULL);
        CHECK(why == NULL || strstr(why, urls[i].why) != NULL);
    }
    CHECK(peal_backplane_kind_of("memory")->alone);
    CHECK(!peal_backplane_kind_of("redis+unix:///s")->alone);
}

/* The one of the registry is alone on a bus of its own. */
static void
memory_from_the_registry_hears_itself(void **state)
{
    static const struct peal_backplane_counters counters;
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL };
    struct peal_backplane_config link = { .url = "memory", .counters = &counters };
    struct peal_backplane *b;
    struct peal_buf why = { 0 };

    CHECK_OK(peal_loop_new(&config, &link.loop));
    CHECK_OK(peal_backplane_open(&link, &b, &why));
    assert_string_equal(b->ops->name, "memory");
    peal_backplane_free(&b);
    CHECK(b == NULL);
    peal_loop_free(&link.loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_find_their_backplane),
        cmocka_unit_test(memory_from_the_registry_hears_itself),
        cmocka_unit_test(memory_keeps_the_promises),
        cmocka_unit_test(the_broker_of_the_simulator_keeps_the_promises),
        cmocka_unit_test(redis_keeps_the_promises),
        cmocka_unit_test(a_redis_cluster_keeps_the_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The suite of backplanes. Three links of one loop; each writes down what it is told, a
 * line each, and a check waits for lines and never for time.
 */
#include "backplane.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../unit/check.h"

/* A turn takes a tenth of a millisecond or more. Turns are counted, and not time: for a
 * machine that stands still meanwhile that is one turn. */
#define TURNS_MAX 300000
#define MANY 500

/* A link and its user. */
struct user {
    struct peal_backplane *b;
    struct peal_buf got; /* lines that were not waited for yet */
    unsigned n_up, n_down;
    bool is_up;
};

struct bed {
    const struct backplane_maker *maker;
    const char *check;
    struct peal_loop *loop;
    struct user users[SUITE_LINKS];
};

static const struct peal_backplane_counters counters = {
    .connects = PEAL_STAT_BACKPLANE_CONNECTS,
    .topics_refused = PEAL_STAT_BACKPLANE_TOPICS_REFUSED,
    .refused = PEAL_STAT_BACKPLANE_ERRORS,
    .unanswered = PEAL_STAT_BACKPLANE_UNANSWERED,
};

static struct peal_log suite_log = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };

static void
wrong(const struct bed *bed, const char *what, const char *detail)
{
    print_error("%s, %s: %s %s\n", bed->maker->name, bed->check, what, detail);
    fail();
}

/* What a link is told. */

static void
note(struct user *u, const char *what, struct peal_slice topic, struct peal_slice text)
{
    CHECK_OK(peal_buf_printf(&u->got, "%s %.*s%s%.*s\n", what, (int)topic.len,
        topic.len > 0 ? topic.data : "", text.len > 0 ? " " : "", (int)text.len,
        text.len > 0 ? text.data : ""));
}

static void
on_up(void *arg)
{
    struct user *u = arg;

    CHECK(!u->is_up);
    u->is_up = true;
    u->n_up++;
}

static void
on_down(void *arg)
{
    struct user *u = arg;

    CHECK(u->is_up);
    u->is_up = false;
    u->n_down++;
}

static void
on_subscribed(void *arg, struct peal_slice topic)
{
    CHECK(((struct user *)arg)->is_up);
    note(arg, "subscribed", topic, PEAL_S(""));
}

static void
on_lost(void *arg, struct peal_slice topic)
{
    note(arg, "lost", topic, PEAL_S(""));
}

static void
on_refused(void *arg, struct peal_slice topic, const char *why)
{
    CHECK(why != NULL && why[0] != '\0');
    note(arg, "refused", topic, PEAL_S(""));
}

/* A payload is its text up to the first x; the rest makes it long. */
static void
on_message(void *arg, struct peal_slice topic, struct peal_slice payload)
{
    struct peal_slice rest = payload;

    CHECK(((struct user *)arg)->is_up);
    note(arg, "message", topic, peal_slice_cut(&rest, 'x'));
}

static const struct peal_backplane_events events = { .up = on_up,
    .down = on_down,
    .subscribed = on_subscribed,
    .lost = on_lost,
    .refused = on_refused,
    .message = on_message };

/* The bed. */

static void
turn(const struct bed *bed)
{
    if (bed->maker->turn != NULL)
        bed->maker->turn();
    uv_run(peal_loop_uv(bed->loop), UV_RUN_NOWAIT);
    usleep(100);
}

/* A turn of a wait that may have taken this many before. A wait that is over tells how
 * the links are: one that was lost meanwhile brings nothing. */
static void
wait_turn(const struct bed *bed, unsigned *turns, const char *what, const char *detail)
{
    if (++*turns <= TURNS_MAX) {
        turn(bed);
        return;
    }
    for (unsigned i = 0; i < SUITE_LINKS; i++) {
        const struct user *u = &bed->users[i];

        print_error("link %u: up %u times, down %u times, %zu bytes told: %.*s\n", i,
            u->n_up, u->n_down, u->got.len, (int)u->got.len,
            u->got.len > 0 ? u->got.data : "");
    }
    wrong(bed, what, detail);
}

static void
bed_open(struct bed *bed, const struct backplane_maker *maker, const char *check)
{
    struct peal_loop_config config = {
        .engine = PEAL_IO_EPOLL, .queue_bytes_max = 64 << 20, .log = &suite_log
    };

    *bed = (struct bed){ .maker = maker, .check = check };
    CHECK_OK(peal_loop_new(&config, &bed->loop));
    for (unsigned i = 0; i < SUITE_LINKS; i++) {
        struct peal_backplane_config link = {
            .loop = bed->loop, .name = "suite", .counters = &counters
        };

        bed->users[i].b = maker->open(&link);
    }
}

static void
bed_start(struct bed *bed, const struct backplane_maker *maker, const char *check)
{
    unsigned turns = 0, n_up = 0;

    bed_open(bed, maker, check);
    for (unsigned i = 0; i < SUITE_LINKS; i++)
        peal_backplane_start(bed->users[i].b, &events, &bed->users[i]);
    while (n_up < SUITE_LINKS) {
        wait_turn(bed, &turns, "a link does not come up", "");
        n_up = 0;
        for (unsigned i = 0; i < SUITE_LINKS; i++)
            n_up += bed->users[i].is_up;
    }
}

static void
bed_close(struct bed *bed)
{
    for (unsigned i = 0; i < SUITE_LINKS; i++)
        peal_backplane_free(&bed->users[i].b);
    for (int i = 0; i < 3; i++)
        turn(bed);
    peal_loop_free(&bed->loop);
    for (unsigned i = 0; i < SUITE_LINKS; i++)
        peal_buf_fini(&bed->users[i].got);
}

static void
subscribe(struct user *u, const char *topic)
{
    u->b->ops->subscribe(u->b, peal_slice_str(topic));
}

static void
publish(struct user *u, const char *topic, const char *text)
{
    struct peal_payload p = { peal_slice_str(topic), peal_slice_str(text) };

    peal_backplane_publish(u->b, &p, 1);
}

/* The next line has to be this one. */
static void
expect(struct bed *bed, struct user *u, const char *want)
{
    unsigned turns = 0;
    char *line_end;
    size_t n;

    while (u->got.len == 0)
        wait_turn(bed, &turns, "waited in vain for", want);
    line_end = memchr(u->got.data, '\n', u->got.len);
    *line_end = '\0';
    if (strcmp(u->got.data, want) != 0) {
        print_error("wanted %s\n", want);
        wrong(bed, "this came instead:", u->got.data);
    }
    n = (size_t)(line_end - u->got.data) + 1;
    u->got.len -= n;
    memmove(u->got.data, u->got.data + n, u->got.len);
}

static void
join(struct bed *bed, struct user *u, const char *topic)
{
    char want[64];

    subscribe(u, topic);
    snprintf(want, sizeof(want), "subscribed %s", topic);
    expect(bed, u, want);
}

/* Waits until the link of every user has been lost and made again. */
static void
wait_for_new_links(struct bed *bed, unsigned n_users, unsigned n_down)
{
    unsigned turns = 0, done = 0;

    while (done < n_users) {
        wait_turn(bed, &turns, "a link is not mended", "");
        done = 0;
        for (unsigned i = 0; i < n_users; i++)
            done += bed->users[i].n_down == n_down && bed->users[i].is_up;
    }
}

/* The checks. */

static void
payloads_reach_those_who_subscribed(struct bed *bed)
{
    struct user *a = &bed->users[0], *b = &bed->users[1], *c = &bed->users[2];

    join(bed, a, "ok:1");
    join(bed, b, "ok:1");
    join(bed, c, "ok:2");
    publish(a, "ok:1", "one");
    publish(a, "ok:2", "two");
    publish(a, "ok:nobody", "three");
    expect(bed, a, "message ok:1 one");
    expect(bed, b, "message ok:1 one");
    expect(bed, c, "message ok:2 two");
    publish(b, "ok:1", ""); /* an empty one is one, too */
    publish(b, "ok:1", "four");
    expect(bed, a, "message ok:1");
    expect(bed, a, "message ok:1 four");
    expect(bed, b, "message ok:1");
    expect(bed, b, "message ok:1 four");
    CHECK_INT(peal_stat_get(peal_loop_stats(bed->loop), counters.connects), SUITE_LINKS);
}

static void
each_publisher_keeps_its_order(struct bed *bed)
{
    static char text[70000];
    struct user *a = &bed->users[0], *b = &bed->users[1];
    bool ordered = bed->maker->ordered_over_topics;

    memset(text, 'x', sizeof(text));
    join(bed, b, "ok:even");
    join(bed, b, "ok:odd");
    for (unsigned i = 0; i < MANY; i++) {
        size_t n = (size_t)snprintf(text, sizeof(text), "%u", i);
        const char *topic = ordered && i % 2 == 1 ? "ok:odd" : "ok:even";
        struct peal_payload p = { peal_slice_str(topic),
            peal_slice_of(text, n + (i % 50 == 0 ? sizeof(text) - n : i % 7)) };

        text[n] = 'x';
        peal_backplane_publish(a->b, &p, 1);
        if (i % 10 == 0)
            turn(bed);
    }
    for (unsigned i = 0; i < MANY; i++) {
        char want[64];

        snprintf(want, sizeof(want), "message %s %u",
            ordered && i % 2 == 1 ? "ok:odd" : "ok:even", i);
        expect(bed, b, want);
    }
    CHECK_INT(a->b->ops->queued(a->b), 0);
}

/* All that was published after the confirmation, and maybe some of before. */
static void
nothing_is_missed_after_a_confirmation(struct bed *bed)
{
    struct user *a = &bed->users[0], *b = &bed->users[1];
    unsigned turns = 0, n = 0, first;
    char text[64];

    subscribe(b, "ok:1");
    while (b->got.len == 0) {
        snprintf(text, sizeof(text), "%u", n++);
        publish(a, "ok:1", text);
        wait_turn(bed, &turns, "is not confirmed", "");
    }
    first = n;
    for (unsigned last = n + 50; n < last; n++) {
        snprintf(text, sizeof(text), "%u", n);
        publish(a, "ok:1", text);
    }
    expect(bed, b, "subscribed ok:1");
    while (b->got.len == 0)
        wait_turn(bed, &turns, "waited in vain for", "a message");
    CHECK(sscanf(b->got.data, "message ok:1 %u", &n) == 1);
    CHECK(n <= first);
    for (; n < first + 50; n++) {
        snprintf(text, sizeof(text), "message ok:1 %u", n);
        expect(bed, b, text);
    }
}

static void
what_was_left_is_silent(struct bed *bed)
{
    struct user *a = &bed->users[0], *b = &bed->users[1];

    join(bed, b, "ok:1");
    b->b->ops->unsubscribe(b->b, PEAL_S("ok:1"));
    b->b->ops->unsubscribe(b->b, PEAL_S("ok:never"));
    join(bed, b, "ok:2"); /* so the other is left by now */
    publish(a, "ok:1", "unheard");
    publish(a, "ok:2", "heard");
    expect(bed, b, "message ok:2 heard");
    join(bed, b, "ok:1");
    join(bed, b, "ok:1"); /* again: it is confirmed again, and brings nothing twice */
    publish(a, "ok:1", "back");
    publish(a, "ok:1", "once");
    expect(bed, b, "message ok:1 back");
    expect(bed, b, "message ok:1 once");
}

static void
a_topic_is_refused_alone(struct bed *bed)
{
    struct user *a = &bed->users[0], *b = &bed->users[1];

    join(bed, b, "ok:1");
    subscribe(b, "no:2");
    subscribe(b, "ok:3");
    expect(bed, b, "refused no:2");
    expect(bed, b, "subscribed ok:3");
    publish(a, "ok:1", "one");
    publish(a, "ok:1", "two");
    publish(a, "ok:3", "three");
    expect(bed, b, "message ok:1 one");
    expect(bed, b, "message ok:1 two");
    expect(bed, b, "message ok:3 three");
    CHECK_INT(peal_stat_get(peal_loop_stats(bed->loop), counters.topics_refused), 1);
    CHECK_INT(b->n_down, 0);
}

static void
what_is_taken_away_is_told(struct bed *bed)
{
    struct user *a = &bed->users[0], *b = &bed->users[1];

    if (bed->maker->take_away == NULL)
        return;
    join(bed, b, "ok:1");
    join(bed, b, "ok:2");
    bed->maker->take_away(b->b, PEAL_S("ok:1"));
    expect(bed, b, "lost ok:1");
    publish(a, "ok:1", "unheard");
    publish(a, "ok:2", "heard");
    expect(bed, b, "message ok:2 heard");
    join(bed, b, "ok:1");
    publish(a, "ok:1", "back");
    expect(bed, b, "message ok:1 back");
    CHECK_INT(b->n_down, 0);
}

/* After a link was lost nothing is subscribed, and all goes on as at first. */
static void
begin_again(struct bed *bed, struct user *a, struct user *b)
{
    a->got.len = b->got.len = 0;
    join(bed, b, "ok:mark");
    publish(a, "ok:1", "unheard");
    publish(a, "ok:mark", "heard");
    expect(bed, b, "message ok:mark heard");
    join(bed, b, "ok:1");
    publish(a, "ok:1", "back");
    expect(bed, b, "message ok:1 back");
}

static void
a_link_that_is_lost_is_made_again(struct bed *bed)
{
    struct user *a = &bed->users[0], *b = &bed->users[1];

    join(bed, b, "ok:1");
    for (unsigned i = 1; i <= 2; i++) {
        struct peal_backplane *links[SUITE_LINKS];

        for (unsigned k = 0; k < SUITE_LINKS; k++)
            links[k] = bed->users[k].b;
        bed->maker->cut(links, SUITE_LINKS);
        wait_for_new_links(bed, SUITE_LINKS, i);
        begin_again(bed, a, b);
    }
}

static void
a_link_is_made_again_when_its_user_says_so(struct bed *bed)
{
    struct user *a = &bed->users[0], *b = &bed->users[1], *c = &bed->users[2];

    join(bed, b, "ok:1");
    b->b->ops->restart(b->b, "the suite says so");
    b->b->ops->restart(b->b, "once is enough");
    publish(b, "ok:1", "unheard");
    subscribe(b, "ok:unheard"); /* it is not up: this does nothing */
    a->b->ops->restart(a->b, "the suite says so");
    wait_for_new_links(bed, 2, 1);
    begin_again(bed, a, b);
    CHECK_INT(c->n_down, 0);
}

static void
a_payload_that_is_too_large_is_refused(struct bed *bed)
{
    struct user *a = &bed->users[0], *b = &bed->users[1];
    size_t max = a->b->ops->payload_max;
    struct peal_payload list[3] = { { PEAL_S("ok:1"), PEAL_S("one") },
        { PEAL_S("ok:1"), PEAL_S("") }, { PEAL_S("ok:1"), PEAL_S("two") } };
    char *large;

    CHECK(max > 0);
    if (max > 64u << 20)
        return; /* more than a test should take */
    CHECK((large = calloc(1, max + 1)) != NULL);
    list[1].bytes = peal_slice_of(large, max + 1);
    suite_log.level = -1;
    join(bed, b, "ok:1");
    peal_backplane_publish(a->b, list, 3);
    expect(bed, b, "message ok:1 one");
    expect(bed, b, "message ok:1 two");
    CHECK_INT(peal_stat_get(peal_loop_stats(bed->loop), counters.refused), 1);
    suite_log.level = PEAL_LOG_ERROR;
    free(large);
}

static const struct {
    const char *name;
    void (*fn)(struct bed *bed);
} checks[] = {
    { "payloads reach those who subscribed", payloads_reach_those_who_subscribed },
    { "each publisher keeps its order", each_publisher_keeps_its_order },
    { "nothing is missed after a confirmation", nothing_is_missed_after_a_confirmation },
    { "what was left is silent", what_was_left_is_silent },
    { "a topic is refused alone", a_topic_is_refused_alone },
    { "what is taken away is told", what_is_taken_away_is_told },
    { "a link that is lost is made again", a_link_that_is_lost_is_made_again },
    { "a link is made again when its user says so",
        a_link_is_made_again_when_its_user_says_so },
    { "a payload that is too large is refused", a_payload_that_is_too_large_is_refused },
};

/* Nothing is told after free, and the loop ends. */
static void
links_can_be_freed_in_any_state(const struct backplane_maker *maker)
{
    struct peal_backplane *links[SUITE_LINKS];
    struct bed bed;

    bed_open(&bed, maker, "freed before the start");
    bed_close(&bed);
    bed_open(&bed, maker, "freed while it connects");
    for (unsigned i = 0; i < SUITE_LINKS; i++)
        peal_backplane_start(bed.users[i].b, &events, &bed.users[i]);
    peal_backplane_free(&bed.users[0].b);
    turn(&bed);
    bed_close(&bed);
    bed_start(&bed, maker, "freed with answers under way");
    for (unsigned i = 0; i < SUITE_LINKS; i++) {
        subscribe(&bed.users[i], "ok:1");
        publish(&bed.users[i], "ok:1", "one");
    }
    peal_backplane_free(&bed.users[0].b);
    bed_close(&bed);
    bed_start(&bed, maker, "freed when it is lost");
    for (unsigned i = 0; i < SUITE_LINKS; i++)
        links[i] = bed.users[i].b;
    maker->cut(links, SUITE_LINKS);
    bed_close(&bed);
    bed_start(&bed, maker, "freed when it is down");
    for (unsigned i = 0; i < SUITE_LINKS; i++)
        bed.users[i].b->ops->restart(bed.users[i].b, "the suite says so");
    bed_close(&bed);
}

const char *
suite_backplane(const struct backplane_maker *maker)
{
    const char *why = maker->begin();

    if (why != NULL)
        return why;
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
        struct bed bed;

        bed_start(&bed, maker, checks[i].name);
        checks[i].fn(&bed);
        bed_close(&bed);
    }
    links_can_be_freed_in_any_state(maker);
    maker->end();
    return NULL;
}

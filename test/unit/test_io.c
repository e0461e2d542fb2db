/* SPDX-License-Identifier: MIT */
/* io: connections over socket pairs; the test makes the loop's turns itself. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "io/conn.h"
#include "io/loop_priv.h"

static struct peal_log log_to = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };
static enum peal_io_engine engine;

/* An owner, and the other end of its connection. */
struct rig {
    struct peal_loop *loop;
    struct peal_conn *conn; /* NULL once it is closed */
    int peer;
    struct peal_buf got;   /* bytes that the owner has consumed */
    struct peal_buf heard; /* bytes that the peer has read */
    size_t want;           /* the owner consumes nothing below this many bytes */
    unsigned calls, drained, n_closed;
    enum peal_close why;
    _Atomic int64_t open;
};

static size_t
on_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct rig *r = peal_conn_owner(c);

    r->calls++;
    if (len < r->want)
        return 0;
    CHECK_OK(peal_buf_add(&r->got, data, len));
    return len;
}

static void
on_closed(struct peal_conn *c, enum peal_close why)
{
    struct rig *r = peal_conn_owner(c);

    r->conn = NULL;
    r->why = why;
    r->n_closed++;
}

static void
on_drained(struct peal_conn *c)
{
    ((struct rig *)peal_conn_owner(c))->drained++;
}

static const struct peal_conn_ops ops = {
    .data = on_data, .closed = on_closed, .drained = on_drained
};

/* sndbuf: bytes that the kernel holds, roughly; 0: as it likes. */
static void
rig_init(struct rig *r, struct peal_loop_config config, int sndbuf)
{
    int fds[2];

    memset(r, 0, sizeof(*r));
    config.engine = engine;
    config.log = &log_to;
    config.open = &r->open;
    if (config.queue_age_ms == 0)
        config.queue_age_ms = 60000;
    if (config.queue_bytes_max == 0)
        config.queue_bytes_max = 1 << 20;
    CHECK_OK(peal_loop_new(&config, &r->loop));
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    if (sndbuf > 0)
        CHECK_INT(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf)), 0);
    CHECK_OK(peal_conn_new(r->loop, fds[0], PEAL_CONN_CLIENT, &ops, r, &r->conn));
    r->peer = fds[1];
}

static void
rig_fini(struct rig *r)
{
    peal_loop_free(&r->loop);
    close(r->peer);
    CHECK_INT(r->open, 0);
    peal_buf_fini(&r->got);
    peal_buf_fini(&r->heard);
}

/* A few turns without waiting: what can happen now has happened after them. */
static void
turns(struct rig *r)
{
    for (int i = 0; i < 5; i++)
        uv_run(peal_loop_uv(r->loop), UV_RUN_NOWAIT);
}

/* The peer reads what is there. false: the end, after that. */
static bool
hear(struct rig *r)
{
    char bytes[65536];
    ssize_t n;

    while ((n = recv(r->peer, bytes, sizeof(bytes), 0)) > 0)
        CHECK_OK(peal_buf_add(&r->heard, bytes, (size_t)n));
    return n < 0 && errno == EAGAIN;
}

/* Reads until nothing more comes. */
static bool
hear_all(struct rig *r)
{
    size_t before;
    bool open;

    do {
        before = r->heard.len;
        turns(r);
        open = hear(r);
    } while (open && r->heard.len > before);
    return open;
}

static bool
send_text(struct rig *r, const char *text, uint32_t tag)
{
    struct peal_blob *b = peal_blob_copy(peal_slice_str(text));
    bool ok;

    CHECK(b != NULL);
    ok = peal_conn_send(r->conn, b, tag);
    peal_blob_release(b);
    return ok;
}

/* A line of len bytes with a number. */
static bool
send_line(struct rig *r, unsigned number, size_t len, uint32_t tag)
{
    char *text = malloc(len + 1);
    bool ok;

    CHECK(text != NULL && len >= 12);
    memset(text, '.', len);
    text[snprintf(text, len, "%08u", number)] = ' ';
    text[len - 1] = '\n';
    text[len] = 0;
    ok = send_text(r, text, tag);
    free(text);
    return ok;
}

/* The next line of what was heard; false: no more. Each must be whole. */
static bool
next_line(struct peal_slice *rest, unsigned *number, size_t *len)
{
    struct peal_slice line;

    if (rest->len == 0)
        return false;
    line = peal_slice_cut(rest, '\n');
    CHECK(rest->data != NULL);
    *number = (unsigned)strtoul(line.data, NULL, 10);
    *len = line.len + 1;
    for (size_t i = 9; i < line.len; i++)
        CHECK_INT(line.data[i], '.');
    return true;
}

static void
what_is_sent_in_a_turn_is_one_write(void **state)
{
    struct rig r;

    rig_init(&r, (struct peal_loop_config){ 0 }, 0);
    CHECK(send_text(&r, "one ", 0));
    CHECK(send_text(&r, "two ", 1));
    CHECK(send_text(&r, "", 0));
    CHECK(peal_conn_send_bytes(r.conn, PEAL_S("three")));
    CHECK(hear(&r));
    CHECK_INT(r.heard.len, 0); /* not before the end of the turn */
    turns(&r);
    CHECK(hear(&r));
    CHECK_SLICE(peal_buf_slice(&r.heard), "one two three");
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_WRITES), 1);
    CHECK_INT(peal_conn_queued(r.conn), 0);
    for (unsigned i = 0; i < 500; i++) /* more than one call of the system can take */
        CHECK(send_line(&r, i, 12 + i * 7 % 300, 0));
    r.heard.len = 0;
    CHECK(hear_all(&r));
    for (struct peal_slice rest = peal_buf_slice(&r.heard); rest.len > 0;) {
        static unsigned i;
        unsigned number;
        size_t len;

        CHECK(next_line(&rest, &number, &len));
        CHECK_INT(number, i % 500);
        CHECK_INT(len, 12 + i++ % 500 * 7 % 300);
    }
    rig_fini(&r);
}

static void
bytes_that_are_not_consumed_are_kept(void **state)
{
    struct rig r;

    rig_init(&r, (struct peal_loop_config){ 0 }, 0);
    r.want = 7;
    CHECK_INT(send(r.peer, "abc", 3, 0), 3);
    turns(&r);
    CHECK_INT(r.got.len, 0);
    CHECK_INT(send(r.peer, "def", 3, 0), 3);
    turns(&r);
    CHECK_INT(r.calls, 2);
    r.want = 5;
    peal_conn_read_again(r.conn);
    turns(&r);
    CHECK_SLICE(peal_buf_slice(&r.got), "abcdef");
    peal_conn_pause(r.conn);
    CHECK_INT(send(r.peer, "ghijk", 5, 0), 5);
    turns(&r);
    CHECK_INT(r.calls, 3);
    peal_conn_resume(r.conn);
    turns(&r);
    CHECK_SLICE(peal_buf_slice(&r.got), "abcdefghijk");
    close(r.peer);
    r.peer = -1;
    turns(&r);
    CHECK_INT(r.n_closed, 1);
    CHECK_INT(r.why, PEAL_CLOSE_PEER);
    rig_fini(&r);
}

/* Sends lines of len bytes, a turn each, until the kernel takes no more. */
static unsigned
stall(struct rig *r, size_t len, uint32_t tag)
{
    unsigned n = 0;

    while (peal_conn_queued(r->conn) == 0) {
        CHECK(send_line(r, n++, len, tag));
        turns(r);
        CHECK(n < 10000);
    }
    CHECK(!peal_conn_ready(r->conn));
    return n;
}

static void
a_slow_reader_is_disconnected(void **state)
{
    struct rig r;
    unsigned n;

    rig_init(&r, (struct peal_loop_config){ .queue_bytes_max = 10000 }, 4096);
    n = stall(&r, 1000, 1);
    while (send_line(&r, n++, 1000, 1))
        CHECK(peal_conn_queued(r.conn) <= 10000);
    CHECK_INT(r.n_closed, 0); /* never from inside a send */
    CHECK(!send_line(&r, n, 12, 0));
    turns(&r);
    CHECK_INT(r.n_closed, 1);
    CHECK_INT(r.why, PEAL_CLOSE_SLOW);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_CLOSED_SLOW), 1);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_QUEUE_BYTES), 0);
    rig_fini(&r);
}

static void
who_reads_nothing_for_too_long_is_disconnected(void **state)
{
    struct rig r;

    rig_init(&r, (struct peal_loop_config){ .queue_age_ms = 50 }, 4096);
    (void)stall(&r, 1000, 1);
    while (r.n_closed == 0)
        uv_run(peal_loop_uv(r.loop), UV_RUN_ONCE);
    CHECK_INT(r.why, PEAL_CLOSE_SLOW);
    rig_fini(&r);
}

static void
a_slow_reader_loses_the_oldest(void **state)
{
    struct peal_slice rest;
    unsigned number, next = 0, lines = 0, plain = 0, n, last_plain = 0;
    struct rig r;
    size_t len;

    rig_init(&r,
        (struct peal_loop_config){
            .slow_policy = PEAL_SLOW_DROP_OLDEST, .queue_bytes_max = 20000 },
        4096);
    n = stall(&r, 1000, 1);
    for (; n < 500; n++) { /* every tenth may not be dropped */
        CHECK(
            send_line(&r, n, n % 10 == 5 ? 20 : 100 + n % 7 * 300, n % 10 == 5 ? 0 : 1));
        CHECK(peal_conn_queued(r.conn) <= 20000);
        if (n % 50 == 0)
            turns(&r);
        last_plain += n % 10 == 5;
    }
    CHECK(hear_all(&r));
    for (rest = peal_buf_slice(&r.heard); next_line(&rest, &number, &len); lines++) {
        CHECK(number >= next);
        next = number + 1;
        plain += len == 20;
    }
    CHECK_INT(next, 500);
    CHECK_INT(plain, last_plain);
    CHECK(lines < 500);
    CHECK_INT(
        peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_SLOW_DROPPED), 500 - lines);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_QUEUE_BYTES), 0);
    CHECK(r.drained > 0);
    CHECK_INT(r.n_closed, 0);
    /* What cannot be dropped is bounded too. */
    (void)stall(&r, 1000, 0);
    while (send_line(&r, 0, 1000, 0))
        continue;
    turns(&r);
    CHECK_INT(r.why, PEAL_CLOSE_SLOW);
    rig_fini(&r);
}

/* Tiny items take far more memory than their bytes, and it is memory that is limited. */
static void
a_queue_is_limited_by_the_memory_it_takes(void **state)
{
    struct rig r;
    unsigned n = 0;

    rig_init(&r, (struct peal_loop_config){ .queue_bytes_max = 100000 }, 4096);
    (void)stall(&r, 1000, 1);
    while (send_text(&r, "ab", 0))
        n++;
    CHECK(n > 1000 && n < 100000 / 32);
    turns(&r);
    CHECK_INT(r.why, PEAL_CLOSE_SLOW);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_QUEUE_BYTES), 0);
    rig_fini(&r);
}

static void
many_tiny_items_are_few_writes(void **state)
{
    struct rig r;

    rig_init(&r, (struct peal_loop_config){ 0 }, 0);
    for (unsigned i = 0; i < 20000; i++)
        CHECK(send_text(&r, i % 2 ? "ab" : "cde", i % 3));
    turns(&r);
    CHECK(hear_all(&r));
    CHECK_INT(r.heard.len, 50000);
    for (unsigned i = 0; i < 10000; i++)
        CHECK_INT(memcmp(r.heard.data + 5 * i, "cdeab", 5), 0);
    CHECK(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_WRITES) < 10);
    rig_fini(&r);
}

/* Each time that something is dropped the queue is passed over: so it must not happen
 * for each message. */
static void
dropping_makes_room_for_many(void **state)
{
    struct rig r;
    unsigned n, passes = 0;
    int64_t dropped = 0;

    rig_init(&r,
        (struct peal_loop_config){
            .slow_policy = PEAL_SLOW_DROP_OLDEST, .queue_bytes_max = 1 << 20 },
        4096);
    (void)stall(&r, 1000, 0);
    for (n = 0; n < 100; n++) /* what cannot be dropped stands before the rest */
        CHECK(send_line(&r, n, 20, 0));
    for (; n < 100000; n++) {
        CHECK(send_line(&r, n, 20, 1));
        passes +=
            peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_SLOW_DROPPED) > dropped;
        dropped = peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_SLOW_DROPPED);
    }
    CHECK(dropped > 50000);
    CHECK(passes > 10 && passes < 100);
    rig_fini(&r);
}

static void
a_slow_reader_gets_the_latest(void **state)
{
    struct peal_slice rest;
    unsigned number, seen[4] = { 0 }, n, after;
    struct rig r;
    size_t len;

    rig_init(&r, (struct peal_loop_config){ .slow_policy = PEAL_SLOW_LATEST }, 4096);
    n = after = stall(&r, 1000, 1);
    for (; n < after + 300; n++)
        CHECK(send_line(&r, n, 100, 1 + n % 3));
    CHECK(peal_conn_queued(r.conn) <= 1000 + 3 * 100 + 4 * PEAL_CONN_ITEM_COST);
    CHECK(hear_all(&r));
    for (rest = peal_buf_slice(&r.heard); next_line(&rest, &number, &len);) {
        if (number < after)
            continue;
        CHECK(number >= after + 297);
        seen[1 + number % 3]++;
    }
    for (int tag = 1; tag <= 3; tag++)
        CHECK_INT(seen[tag], 1);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_QUEUE_BYTES), 0);
    rig_fini(&r);
}

/* All that waited was dropped: that is an empty queue, not one to be written for ever. */
static void
a_queue_that_was_dropped_whole_is_empty(void **state)
{
    struct rig r;

    rig_init(&r,
        (struct peal_loop_config){
            .slow_policy = PEAL_SLOW_DROP_OLDEST, .queue_bytes_max = 1000 },
        4096);
    /* A write of this size is taken whole or not at all. */
    for (unsigned n = 0; peal_conn_ready(r.conn); n++) {
        CHECK(send_line(&r, n, 1500, 1));
        uv_run(peal_loop_uv(r.loop), UV_RUN_NOWAIT);
        CHECK(n < 100);
    }
    CHECK_INT(peal_conn_queued(r.conn), 0);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_SLOW_DROPPED), 1);
    CHECK(hear_all(&r));
    CHECK(peal_conn_ready(r.conn));
    CHECK_INT(r.drained, 1);
    r.heard.len = 0;
    CHECK(send_text(&r, "again", 1));
    CHECK(hear_all(&r));
    CHECK_SLICE(peal_buf_slice(&r.heard), "again");
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_QUEUE_BYTES), 0);
    rig_fini(&r);
}

static void
finishing_writes_what_is_queued(void **state)
{
    struct rig r;

    for (int half = 0; half < 2; half++) { /* the peer may be half gone already */
        rig_init(&r, (struct peal_loop_config){ 0 }, 4096);
        for (unsigned i = 0; i < 50; i++)
            CHECK(send_line(&r, i, 1000, 0));
        if (half)
            CHECK_INT(shutdown(r.peer, SHUT_WR), 0);
        peal_conn_finish(r.conn, PEAL_CLOSE_LOCAL);
        CHECK(!send_text(&r, "too late", 0));
        CHECK(!hear_all(&r));
        CHECK_INT(r.heard.len, 50 * 1000);
        CHECK_INT(r.n_closed, 0);
        CHECK_INT(
            peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_CONNECTIONS), half ? 0 : 1);
        CHECK_INT(shutdown(r.peer, SHUT_RDWR), 0); /* it waits for this */
        turns(&r);
        CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_CONNECTIONS), 0);
        CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_CLOSED_LOCAL), 1);
        CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_QUEUE_BYTES), 0);
        rig_fini(&r);
    }
}

static void
a_peer_that_is_half_gone_gets_what_is_queued(void **state)
{
    struct rig r;

    rig_init(&r, (struct peal_loop_config){ 0 }, 4096);
    for (unsigned i = 0; i < 50; i++)
        CHECK(send_line(&r, i, 1000, 0));
    CHECK_INT(shutdown(r.peer, SHUT_WR), 0);
    turns(&r);
    CHECK_INT(r.n_closed, 1); /* the owner knows */
    CHECK_INT(r.why, PEAL_CLOSE_PEER);
    CHECK(!hear_all(&r));
    CHECK_INT(r.heard.len, 50 * 1000);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_CONNECTIONS), 0);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_CLOSED_PEER), 1);
    rig_fini(&r);
}

/* An owner that answers with more than the queue may hold. */
static size_t
on_data_answer_much(struct peal_conn *c, uint8_t *data, size_t len)
{
    for (unsigned i = 0; i < 50; i++)
        CHECK(send_line(peal_conn_owner(c), i, 1000, 0));
    return len;
}

/* The write at the end of the peer's bytes may find that the queue is too long: then it
 * is that what ends the connection. */
static void
a_peer_that_is_half_gone_may_be_too_slow(void **state)
{
    static const struct peal_conn_ops answering = { .data = on_data_answer_much,
        .closed = on_closed };
    static char bytes[PEAL_READ_SIZE]; /* the end is read in the same turn */
    int room = 4 * PEAL_READ_SIZE;
    struct rig r;

    rig_init(&r, (struct peal_loop_config){ .queue_bytes_max = 20000 }, 4096);
    CHECK_INT(setsockopt(r.peer, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    peal_conn_set_owner(r.conn, &answering, &r);
    CHECK_INT(send(r.peer, bytes, sizeof(bytes), 0), sizeof(bytes));
    CHECK_INT(shutdown(r.peer, SHUT_WR), 0);
    turns(&r);
    CHECK_INT(r.n_closed, 1);
    CHECK_INT(r.why, PEAL_CLOSE_SLOW);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_CONNECTIONS), 0);
    CHECK_INT(peal_stat_get(peal_loop_stats(r.loop), PEAL_STAT_QUEUE_BYTES), 0);
    rig_fini(&r);
}

/* A socket that has failed may still have bytes; its end must not be missed after them.
 */
static void
a_reset_with_bytes_before_it_ends_the_connection(void **state)
{
    struct rig r;

    for (int paused = 0; paused < 2; paused++) {
        rig_init(&r, (struct peal_loop_config){ 0 }, paused ? 4096 : 0);
        if (paused) {
            (void)stall(&r, 1000, 0);
            peal_conn_pause(r.conn);
        } else { /* unread by the peer: closing it is a reset */
            CHECK(send_text(&r, "unread", 0));
        }
        turns(&r);
        CHECK_INT(send(r.peer, "last", 4, 0), 4);
        close(r.peer);
        r.peer = -1;
        turns(&r);
        CHECK_INT(r.n_closed, 1);
        CHECK_INT(r.why, PEAL_CLOSE_PEER);
        if (!paused)
            CHECK_SLICE(peal_buf_slice(&r.got), "last");
        rig_fini(&r);
    }
}

/* Reading that stopped for all that was kept goes on when that is consumed. */
static void
a_lot_of_kept_bytes_stops_reading_until_they_are_consumed(void **state)
{
    static char bytes[16384];
    size_t sent = 0;
    struct rig r;
    ssize_t n;

    rig_init(&r, (struct peal_loop_config){ 0 }, 0);
    r.want = SIZE_MAX;
    while ((n = send(r.peer, bytes, sizeof(bytes), 0)) > 0) {
        sent += (size_t)n;
        turns(&r);
        CHECK(sent < 10 << 20);
    }
    CHECK(sent > 256 * 1024);
    r.want = 0;
    peal_conn_read_again(r.conn);
    turns(&r);
    turns(&r);
    CHECK_INT(r.got.len, sent);
    CHECK_INT(send(r.peer, "more", 4, 0), 4);
    turns(&r);
    CHECK_INT(r.got.len, sent + 4);
    rig_fini(&r);
}

static void
a_connection_moves_to_another_loop(void **state)
{
    struct peal_loop_config config = { .engine = engine, .log = &log_to };
    struct peal_conn_parts parts;
    struct peal_loop *other;
    struct rig r;

    rig_init(&r, (struct peal_loop_config){ 0 }, 0);
    config.open = &r.open;
    config.queue_bytes_max = 1000;
    CHECK_OK(peal_loop_new(&config, &other));
    r.want = 100;
    CHECK_INT(send(r.peer, " kept", 5, 0), 5);
    turns(&r);
    CHECK_OK(peal_conn_detach(r.conn, PEAL_S("unread"), &parts));
    CHECK_INT(r.open, 1);
    r.want = 0;
    CHECK_OK(peal_conn_adopt(other, &parts, &ops, &r, &r.conn));
    CHECK_INT(r.open, 1);
    CHECK_INT(send(r.peer, " new", 4, 0), 4);
    for (int i = 0; i < 5; i++)
        uv_run(peal_loop_uv(other), UV_RUN_NOWAIT);
    CHECK_SLICE(peal_buf_slice(&r.got), "unread kept new");
    CHECK_OK(peal_conn_detach(r.conn, PEAL_S(""), &parts));
    peal_conn_parts_fini(&parts); /* nobody wants it: closed */
    CHECK_INT(r.open, 0);
    CHECK(!hear(&r));
    peal_loop_free(&other);
    rig_fini(&r);
}

static void
every_failing_allocation_is_survived(void **state)
{
    long n = 0;
    bool all;

    do {
        struct rig r;
        bool open;

        rig_init(&r, (struct peal_loop_config){ 0 }, 0);
        alloc_left = n++;
        all = true;
        for (int i = 0; i < 30; i++)
            all &= peal_conn_send_bytes(r.conn, PEAL_S("line\n"));
        alloc_left = -1;
        open = hear_all(&r);
        CHECK_INT(r.heard.len % 5, 0);
        /* Everything has come, or the connection was closed: nothing is missing within.
         */
        CHECK_INT(open, all);
        CHECK_INT(r.n_closed, !all);
        CHECK(!all || r.heard.len == 150);
        rig_fini(&r);
    } while (!all);
    CHECK(n > 30);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_in_a_turn_is_one_write),
        cmocka_unit_test(bytes_that_are_not_consumed_are_kept),
        cmocka_unit_test(a_slow_reader_is_disconnected),
        cmocka_unit_test(who_reads_nothing_for_too_long_is_disconnected),
        cmocka_unit_test(a_slow_reader_loses_the_oldest),
        cmocka_unit_test(a_queue_is_limited_by_the_memory_it_takes),
        cmocka_unit_test(many_tiny_items_are_few_writes),
        cmocka_unit_test(dropping_makes_room_for_many),
        cmocka_unit_test(a_slow_reader_gets_the_latest),
        cmocka_unit_test(a_queue_that_was_dropped_whole_is_empty),
        cmocka_unit_test(finishing_writes_what_is_queued),
        cmocka_unit_test(a_peer_that_is_half_gone_gets_what_is_queued),
        cmocka_unit_test(a_peer_that_is_half_gone_may_be_too_slow),
        cmocka_unit_test(a_reset_with_bytes_before_it_ends_the_connection),
        cmocka_unit_test(a_lot_of_kept_bytes_stops_reading_until_they_are_consumed),
        cmocka_unit_test(a_connection_moves_to_another_loop),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    int failed;

    signal(SIGPIPE, SIG_IGN);
    failed = cmocka_run_group_tests_name("the best engine", tests, NULL, NULL);
    engine = PEAL_IO_EPOLL;
    return failed + cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
}

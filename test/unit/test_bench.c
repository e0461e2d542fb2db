/* SPDX-License-Identifier: MIT */
/* bench/: what its numbers rest on. Latencies in buckets, frames, the command line. */
#include "check.h"

#include <stdlib.h>

#include "bench/frame.h"
#include "bench/hist.h"
#include "bench/message.h"
#include "bench/opts.h"

static struct peal_bench_hist *
new_hist(void)
{
    struct peal_bench_hist *h = calloc(1, sizeof(*h));

    assert_non_null(h);
    return h;
}

/* Fixed numbers that look like chance, of every size up to 2^40. */
static uint64_t
next_ns(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 24) >> (*state >> 8 & 31);
}

static int
by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void
an_empty_histogram_says_zero(void **state)
{
    struct peal_bench_hist *h = new_hist();

    CHECK_INT(peal_bench_hist_quantile(h, 0.5), 0);
    CHECK_INT(peal_bench_hist_quantile(h, 1), 0);
    free(h);
}

static void
small_values_are_exact(void **state)
{
    struct peal_bench_hist *h = new_hist();

    for (uint64_t ns = 1; ns <= 100; ns++)
        peal_bench_hist_add(h, ns);
    CHECK_INT(peal_bench_hist_quantile(h, 0), 1);
    CHECK_INT(peal_bench_hist_quantile(h, 0.01), 1);
    CHECK_INT(peal_bench_hist_quantile(h, 0.5), 50);
    CHECK_INT(peal_bench_hist_quantile(h, 0.505), 51);
    CHECK_INT(peal_bench_hist_quantile(h, 0.99), 99);
    CHECK_INT(peal_bench_hist_quantile(h, 1), 100);
    CHECK_INT(h->max_ns, 100);
    free(h);
}

/* 0.99 of 160 is 158.4: 158 do not reach it. */
static void
a_quantile_is_never_short_of_its_share(void **state)
{
    struct peal_bench_hist *h = new_hist();

    for (unsigned i = 0; i < 158; i++)
        peal_bench_hist_add(h, 10);
    peal_bench_hist_add(h, 20);
    peal_bench_hist_add(h, 30);
    CHECK_INT(peal_bench_hist_quantile(h, 0.98), 10);
    CHECK_INT(peal_bench_hist_quantile(h, 0.99), 20);
    CHECK_INT(peal_bench_hist_quantile(h, 1), 30);
    free(h);
}

static void
quantiles_are_those_of_the_sorted_values_within_a_64th(void **state)
{
    enum {
        N = 10000
    };
    struct peal_bench_hist *h = new_hist();
    uint64_t *all = calloc(N, sizeof(*all)), seed = 1;

    assert_non_null(all);
    for (unsigned i = 0; i < N; i++)
        peal_bench_hist_add(h, all[i] = next_ns(&seed));
    qsort(all, N, sizeof(*all), by_size);
    CHECK_INT(h->count, N);
    CHECK_INT(h->max_ns, all[N - 1]);
    for (unsigned k = 1; k <= 1000; k++) {
        uint64_t want = all[k * (N / 1000) - 1];
        uint64_t got = peal_bench_hist_quantile(h, k / 1000.0);

        CHECK(got >= want);
        CHECK(got <= want + want / 64);
    }
    free(all);
    free(h);
}

static void
powers_of_two_stay_apart(void **state)
{
    for (unsigned bit = 0; bit < 45; bit++) {
        struct peal_bench_hist *h = new_hist();
        uint64_t edge = (uint64_t)1 << bit;

        peal_bench_hist_add(h, edge - 1);
        peal_bench_hist_add(h, edge);
        CHECK_INT(peal_bench_hist_quantile(h, 0.5), edge - 1);
        CHECK_INT(peal_bench_hist_quantile(h, 1), edge);
        free(h);
    }
}

static void
what_no_bucket_holds_is_counted_in_the_last(void **state)
{
    struct peal_bench_hist *h = new_hist();

    peal_bench_hist_add(h, 1);
    peal_bench_hist_add(h, UINT64_MAX);
    CHECK_INT(h->count, 2);
    CHECK_INT(h->max_ns, UINT64_MAX);
    CHECK_INT(peal_bench_hist_quantile(h, 0.5), 1);
    CHECK(peal_bench_hist_quantile(h, 1) > (uint64_t)1 << 44);
    free(h);
}

/* A frame as a server would have it: the mask bit off, the mask taken away. */
static void
unmask(struct peal_buf *b, size_t head)
{
    char *p = b->data;

    CHECK((p[1] & 0x80) != 0);
    for (size_t i = head + 4; i < b->len; i++)
        p[i] ^= p[head + (i - head - 4) % 4];
    p[1] &= 0x7f;
    memmove(p + head, p + head + 4, b->len - head - 4);
    b->len -= 4;
}

static void
frames_of_every_length_form_come_back(void **state)
{
    static const struct {
        size_t len, head;
    } cases[] = { { 0, 2 }, { 1, 2 }, { 125, 2 }, { 126, 4 }, { 65535, 4 },
        { 65536, 10 } };
    char *data = malloc(65536);

    assert_non_null(data);
    for (size_t i = 0; i < 65536; i++)
        data[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peal_buf b = { 0 };
        struct peal_bench_frame f;
        size_t used;

        CHECK_OK(peal_bench_frame_add(
            &b, PEAL_BENCH_OP_BINARY, peal_slice_of(data, cases[i].len)));
        CHECK_INT(b.len, cases[i].head + 4 + cases[i].len);
        unmask(&b, cases[i].head);
        for (size_t cut = 0; cut < b.len; cut += cut < 16 ? 1 : 997)
            CHECK_ERR(peal_bench_frame_take(peal_slice_of(b.data, cut), &f, &used),
                PEAL_EAGAIN);
        CHECK_OK(peal_bench_frame_take(peal_buf_slice(&b), &f, &used));
        CHECK_INT(used, b.len);
        CHECK_INT(f.opcode, PEAL_BENCH_OP_BINARY);
        CHECK_MEM(f.payload.data, f.payload.len, data, cases[i].len);
        peal_buf_fini(&b);
    }
    free(data);
}

static void
masked_and_fragmented_frames_are_refused(void **state)
{
    static const char *const wrong[] = { "\x81\x81.....", "\x01\x01x", "\x80\x01x",
        "\xc1\x01x" };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct peal_bench_frame f;
        size_t used;

        CHECK_ERR(
            peal_bench_frame_take(peal_slice_str(wrong[i]), &f, &used), PEAL_EPROTO);
    }
}

static int
parse(struct peal_bench_opts *o, const char *const *words)
{
    char *argv[16] = { "bench" };
    int argc = 1;

    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = (char *)words[argc - 1];
    return peal_bench_opts_parse(argc, argv, o);
}

static void
the_url_says_where_and_how(void **state)
{
    static const char *const ws[] = { "fanout", "--url", "ws://127.0.0.1:81/ws/a", NULL };
    static const char *const sio[] = { "echo", "--url", "http://127.0.0.1", "--size",
        "20", "--pid", "1,2", NULL };
    struct peal_bench_opts o;

    CHECK_INT(parse(&o, ws), -1);
    CHECK_INT(o.mode, PEAL_BENCH_FANOUT);
    CHECK_INT(o.target.protocol, PEAL_BENCH_WS);
    CHECK_INT(ntohs(o.target.addr.sin_port), 81);
    assert_string_equal(o.target.host, "127.0.0.1:81");
    assert_string_equal(o.target.path, "/ws/a");
    assert_string_equal(o.publish.path, "/ws/a");
    CHECK_INT(o.size, 100);

    CHECK_INT(parse(&o, sio), -1);
    CHECK_INT(o.target.protocol, PEAL_BENCH_SOCKETIO);
    CHECK_INT(ntohs(o.target.addr.sin_port), 80);
    assert_string_equal(o.target.path, "/socket.io/?EIO=4&transport=websocket");
    CHECK_INT(o.size, 20);
    CHECK_INT(o.n_pids, 2);
    CHECK_INT(o.pids[1], 2);
}

static void
wrong_command_lines_are_refused(void **state)
{
#define URL "--url", "ws://127.0.0.1:81/"
    static const char *const wrong[][8] = {
        { NULL },
        { "fanout", NULL },
        { "nothing", URL, NULL },
        { "fanout", "--url", "ftp://127.0.0.1/", NULL },
        { "fanout", URL, "--size", "15", NULL },
        { "fanout", URL, "--size", "1000001", NULL },
        { "fanout", URL, "--connections", "0", NULL },
        { "fanout", URL, "--connections", "5x", NULL },
        { "fanout", URL, "--duration", "-1", NULL },
        { "fanout", URL, "--protocol", "mqtt", NULL },
        { "fanout", URL, "--room", "a\"b", NULL },
        { "fanout", URL, "--pid", "1,", NULL },
        { "fanout", URL, "--nothing", "1", NULL },
        { "fanout", URL, "more", NULL },
        { "relay", URL, "--channels", "0", NULL },
        { "relay", URL, "--channels", "3", "--connections", "10", NULL },
        { "avalanche", URL, NULL },
        { "avalanche", "--url", "https://127.0.0.1:81", "--lost", "http://127.0.0.1:82",
            NULL },
        { "connect", URL, "--polling", NULL },
    };
    struct peal_bench_opts o;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK_INT(parse(&o, wrong[i]), 2);
}

static void
each_mode_has_its_own_defaults(void **state)
{
    static const char *const fanout[] = { "fanout", URL, "--publish",
        "http://127.0.0.1:82/p", NULL };
    static const char *const relay[] = { "relay", URL, "--publish", "http://127.0.0.1:82",
        "--channels", "5", NULL };
    static const char *const avalanche[] = { "avalanche", "--url", "http://127.0.0.1:81",
        "--lost", "http://127.0.0.1:82", NULL };
    struct peal_bench_opts o;

    CHECK_INT(parse(&o, fanout), -1);
    CHECK_INT(o.publish.protocol, PEAL_BENCH_POST);
    CHECK_INT(o.connections, 1000);
    CHECK_INT(o.outstanding, 1);
    assert_string_equal(o.room, "bench");
    CHECK_INT(parse(&o, relay), -1);
    CHECK_INT(o.publish.protocol, o.target.protocol);
    CHECK_INT(o.connections, 5);
    CHECK_INT(o.outstanding, 256);
    assert_string_equal(o.room, "bench-{i}");
    CHECK_INT(parse(&o, avalanche), -1);
    CHECK_INT(ntohs(o.lost.addr.sin_port), 82);
    CHECK_INT(o.lost.protocol, PEAL_BENCH_SOCKETIO);
    assert_string_equal(o.lost.path, o.target.path);
    CHECK_INT(o.present, 100);
    CHECK(!o.target.tls && !o.lost.tls && !o.polling && o.resume);
}

static void
tls_goes_by_the_url(void **state)
{
    static const char *const socketio[] = { "avalanche", "--url", "https://127.0.0.1:81",
        "--lost", "https://127.0.0.1:82", "--polling", "--no-resume", NULL };
    static const char *const ws[] = { "connect", "--url", "wss://127.0.0.1/ws/a", NULL };
    struct peal_bench_opts o;

    CHECK_INT(parse(&o, socketio), -1);
    CHECK(o.target.tls && o.lost.tls && o.polling && !o.resume);
    CHECK_INT(o.target.protocol, PEAL_BENCH_SOCKETIO);
    CHECK_INT(parse(&o, ws), -1);
    CHECK(o.target.tls);
    CHECK_INT(o.target.protocol, PEAL_BENCH_WS);
    CHECK_INT(ntohs(o.target.addr.sin_port), 443);
}

static void
a_number_takes_its_place_once(void **state)
{
    char out[8];

    peal_bench_numbered("a{i}b", 42, out, sizeof(out));
    assert_string_equal(out, "a42b");
    peal_bench_numbered("{i}{i}", 0, out, sizeof(out));
    assert_string_equal(out, "0{i}");
    peal_bench_numbered("ab", 1, out, sizeof(out));
    assert_string_equal(out, "ab");
    peal_bench_numbered("abcdef{i}", 1234, out, sizeof(out));
    assert_string_equal(out, "abcdef1");
}

static void
only_what_was_published_is_a_message(void **state)
{
    static const char *const wrong[] = { "", "0000000007 xxxx", "0000000007 xxxxxx",
        "0000000007 xxxxy", "000000000a xxxxx", "9999999999 xxxxx" };
    struct peal_bench_opts o = { .size = 16 };
    struct peal_bench_message m;
    struct peal_buf wire = { 0 };
    uint32_t seq = 0;

    CHECK_OK(peal_bench_message_init(&m, &o));
    CHECK_OK(peal_bench_message_publish(&m, &o.target, 0, 4294967295u, &wire));
    unmask(&wire, 2);
    CHECK(peal_bench_message_read(&m, peal_slice_skip(peal_buf_slice(&wire), 2), &seq));
    CHECK_INT(seq, 4294967295u);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK(!peal_bench_message_read(&m, peal_slice_str(wrong[i]), &seq));
    peal_buf_fini(&wire);
    peal_bench_message_fini(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_says_zero),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(a_quantile_is_never_short_of_its_share),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_values_within_a_64th),
        cmocka_unit_test(powers_of_two_stay_apart),
        cmocka_unit_test(what_no_bucket_holds_is_counted_in_the_last),
        cmocka_unit_test(frames_of_every_length_form_come_back),
        cmocka_unit_test(masked_and_fragmented_frames_are_refused),
        cmocka_unit_test(the_url_says_where_and_how),
        cmocka_unit_test(wrong_command_lines_are_refused),
        cmocka_unit_test(each_mode_has_its_own_defaults),
        cmocka_unit_test(tls_goes_by_the_url),
        cmocka_unit_test(a_number_takes_its_place_once),
        cmocka_unit_test(only_what_was_published_is_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* base/: slices, ids, maps, timers, messages. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/id.h"
#include "base/map.h"
#include "base/msg.h"
#include "base/siphash.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "base/wheel.h"

static void
numbers_are_read_up_to_their_maximum(void **state)
{
    uint64_t n = 0;

    CHECK_OK(peal_slice_u64(PEAL_S("0"), 10, &n));
    CHECK_OK(peal_slice_u64(PEAL_S("255"), 255, &n));
    CHECK_INT(n, 255);
    CHECK_OK(peal_slice_u64(PEAL_S("18446744073709551615"), UINT64_MAX, &n));
    CHECK(n == UINT64_MAX);
    CHECK_ERR(peal_slice_u64(PEAL_S("256"), 255, &n), PEAL_EINVAL);
    CHECK_ERR(
        peal_slice_u64(PEAL_S("18446744073709551616"), UINT64_MAX, &n), PEAL_EINVAL);
    CHECK_ERR(peal_slice_u64(PEAL_S(""), 255, &n), PEAL_EINVAL);
    CHECK_ERR(peal_slice_u64(PEAL_S("-1"), 255, &n), PEAL_EINVAL);
    CHECK_ERR(peal_slice_u64(PEAL_S("1 "), 255, &n), PEAL_EINVAL);
}

static void
a_glob_star_stands_for_any_run(void **state)
{
    CHECK(peal_slice_glob(PEAL_S("*"), PEAL_S("")));
    CHECK(peal_slice_glob(PEAL_S("news.*"), PEAL_S("news.eu")));
    CHECK(peal_slice_glob(PEAL_S("a*b*c"), PEAL_S("aXbXbc")));
    CHECK(!peal_slice_glob(PEAL_S("news.*"), PEAL_S("news")));
    CHECK(!peal_slice_glob(PEAL_S("a*b"), PEAL_S("abc")));
    CHECK(!peal_slice_glob(PEAL_S(""), PEAL_S("x")));
}

static void
utf8_is_checked_at_its_borders(void **state)
{
    CHECK(peal_utf8_valid(PEAL_S("plain ascii, more than eight bytes")));
    CHECK(peal_utf8_valid(PEAL_S("\xc2\x80 \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80")));
    CHECK(peal_utf8_valid(PEAL_S("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")));
    CHECK(!peal_utf8_valid(PEAL_S("\xc1\xbf")));
    CHECK(!peal_utf8_valid(PEAL_S("\xed\xa0\x80")));
    CHECK(!peal_utf8_valid(PEAL_S("\xf4\x90\x80\x80")));
    CHECK(!peal_utf8_valid(PEAL_S("12345678\xe2\x82")));
    CHECK(!peal_utf8_valid(PEAL_S("\x80")));
}

static void
utf8_may_come_in_pieces(void **state)
{
    const struct peal_slice text = PEAL_S("a\xc2\x80 \xe0\xa0\x80\xf4\x8f\xbf\xbf.");

    for (size_t cut = 0; cut <= text.len; cut++) {
        struct peal_utf8 u = { 0 };

        CHECK(peal_utf8_feed(&u, peal_slice_of(text.data, cut)));
        CHECK(peal_utf8_complete(&u) == peal_utf8_valid(peal_slice_of(text.data, cut)));
        CHECK(peal_utf8_feed(&u, peal_slice_skip(text, cut)));
        CHECK(peal_utf8_complete(&u));
    }
}

static void
arrays_grow_by_doubling(void **state)
{
    struct {
        uint32_t *v, n;
        uint16_t cap;
    } a = { 0 };

    for (uint32_t i = 0; i < 1000; i++) {
        CHECK_OK(PEAL_GROW(a.v, a.cap, a.n + 1));
        a.v[a.n++] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        CHECK_INT(a.v[i], i);
    CHECK_INT(a.cap, 1024);
    CHECK_ERR(PEAL_GROW(a.v, a.cap, SIZE_MAX / 2), PEAL_ENOMEM);
    CHECK_INT(a.cap, 1024);
    free(a.v);
}

/* The reference implementation's vectors (vectors_sip64): the key is 00 01 .. 0f, the
 * message of vector n is the n bytes 00 01 .. n-1. */
static const uint64_t siphash_vectors[64] = {
    0x726fdb47dd0e0e31ull,
    0x74f839c593dc67fdull,
    0x0d6c8009d9a94f5aull,
    0x85676696d7fb7e2dull,
    0xcf2794e0277187b7ull,
    0x18765564cd99a68dull,
    0xcbc9466e58fee3ceull,
    0xab0200f58b01d137ull,
    0x93f5f5799a932462ull,
    0x9e0082df0ba9e4b0ull,
    0x7a5dbbc594ddb9f3ull,
    0xf4b32f46226bada7ull,
    0x751e8fbc860ee5fbull,
    0x14ea5627c0843d90ull,
    0xf723ca908e7af2eeull,
    0xa129ca6149be45e5ull,
    0x3f2acc7f57c29bdbull,
    0x699ae9f52cbe4794ull,
    0x4bc1b3f0968dd39cull,
    0xbb6dc91da77961bdull,
    0xbed65cf21aa2ee98ull,
    0xd0f2cbb02e3b67c7ull,
    0x93536795e3a33e88ull,
    0xa80c038ccd5ccec8ull,
    0xb8ad50c6f649af94ull,
    0xbce192de8a85b8eaull,
    0x17d835b85bbb15f3ull,
    0x2f2e6163076bcfadull,
    0xde4daaaca71dc9a5ull,
    0xa6a2506687956571ull,
    0xad87a3535c49ef28ull,
    0x32d892fad841c342ull,
    0x7127512f72f27cceull,
    0xa7f32346f95978e3ull,
    0x12e0b01abb051238ull,
    0x15e034d40fa197aeull,
    0x314dffbe0815a3b4ull,
    0x027990f029623981ull,
    0xcadcd4e59ef40c4dull,
    0x9abfd8766a33735cull,
    0x0e3ea96b5304a7d0ull,
    0xad0c42d6fc585992ull,
    0x187306c89bc215a9ull,
    0xd4a60abcf3792b95ull,
    0xf935451de4f21df2ull,
    0xa9538f0419755787ull,
    0xdb9acddff56ca510ull,
    0xd06c98cd5c0975ebull,
    0xe612a3cb9ecba951ull,
    0xc766e62cfcadaf96ull,
    0xee64435a9752fe72ull,
    0xa192d576b245165aull,
    0x0a8787bf8ecb74b2ull,
    0x81b3e73d20b49b6full,
    0x7fa8220ba3b2eceaull,
    0x245731c13ca42499ull,
    0xb78dbfaf3a8d83bdull,
    0xea1ad565322a1a0bull,
    0x60e61c23a3795013ull,
    0x6606d7e446282b93ull,
    0x6ca4ecb15c5f91e1ull,
    0x9f626da15c9625f3ull,
    0xe51b38608ef25f57ull,
    0x958a324ceb064572ull,
};

static void
siphash_gives_the_reference_vectors(void **state)
{
    uint8_t key[PEAL_SIPHASH_KEY_LEN], data[64];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)i;
    memcpy(key, data, sizeof(key));
    for (size_t n = 0; n < sizeof(data); n++)
        CHECK(peal_siphash(key, data, n) == siphash_vectors[n]);
}

static void
an_id_tells_its_owner(void **state)
{
    char a[PEAL_ID_LEN], b[PEAL_ID_LEN];
    struct peal_slice id = { a, PEAL_ID_LEN };
    uint32_t node;
    uint8_t worker;
    struct peal_id_key key = { { 7 } }, other = { { 7, [15] = 1 } };

    for (unsigned i = 0; i < 256; i++) {
        peal_id_new(&key, (uint32_t)(i * 16843009u), (uint8_t)i, a);
        peal_id_new(&key, (uint32_t)(i * 16843009u), (uint8_t)i, b);
        CHECK(memcmp(a, b, PEAL_ID_LEN) != 0);
        CHECK(peal_id_owner(&key, id, &node, &worker));
        CHECK_INT(node, i * 16843009u);
        CHECK_INT(worker, i);
        CHECK(!peal_id_owner(&other, id, &node, &worker));
    }
    a[PEAL_ID_LEN - 1] ^= 1;
    CHECK(!peal_id_owner(&key, id, &node, &worker));
    CHECK(!peal_id_owner(&key, PEAL_S("short"), &node, &worker));
    CHECK(!peal_id_owner(&key, PEAL_S("twenty characters ok"), &node, &worker));
}

static void
base64_goes_there_and_back(void **state)
{
    unsigned char in[64], out[70];
    char text[96];
    size_t len;

    for (size_t n = 0; n < sizeof(in); n++) {
        in[n] = (unsigned char)(n * 37 + 250);
        peal_base64_encode(in, n, text);
        CHECK_OK(peal_base64_decode(peal_slice_of(text, peal_base64_len(n)), out, &len));
        CHECK_MEM(out, len, in, n);
    }
    CHECK_OK(peal_base64_decode(PEAL_S("AQI"), out, &len)); /* without padding */
    CHECK_MEM(out, len, "\x01\x02", 2);
    CHECK_ERR(peal_base64_decode(PEAL_S("A"), out, &len), PEAL_EPROTO);
    CHECK_ERR(peal_base64_decode(PEAL_S("AQ_="), out, &len), PEAL_EPROTO);
    CHECK_ERR(peal_base64_decode(PEAL_S("===="), out, &len), PEAL_EPROTO);
}

/* Random keys can meet by chance, so this is an answer and no assertion. */
static void
a_key_that_is_there_keeps_its_value(void **state)
{
    static char first[] = "first", second[] = "second";
    struct peal_map m;

    peal_map_init(&m);
    CHECK_OK(peal_map_put(&m, PEAL_S("id"), first));
    CHECK_ERR(peal_map_put(&m, PEAL_S("id"), second), PEAL_EEXIST);
    CHECK_INT(m.n, 1);
    CHECK(peal_map_del(&m, PEAL_S("id")) == first);
    CHECK_OK(peal_map_put(&m, PEAL_S("id"), second));
    CHECK(peal_map_get(&m, PEAL_S("id")) == second);
    peal_map_fini(&m);
}

static void
a_map_holds_what_was_put_and_not_deleted(void **state)
{
    enum {
        N = 5000
    };
    static char keys[N][8];
    struct peal_map m;
    size_t pos = 0, seen = 0;

    peal_map_init(&m);
    CHECK(peal_map_get(&m, PEAL_S("x")) == NULL);
    CHECK(peal_map_del(&m, PEAL_S("x")) == NULL);
    for (int i = 0; i < N; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%d", i);
        CHECK_OK(peal_map_put(&m, peal_slice_str(keys[i]), keys[i]));
    }
    for (int i = 0; i < N; i++)
        if (i % 7 != 0)
            CHECK(peal_map_del(&m, peal_slice_str(keys[i])) == keys[i]);
    for (int i = 0; i < N; i++)
        CHECK(peal_map_get(&m, peal_slice_str(keys[i])) == (i % 7 ? NULL : keys[i]));
    while (peal_map_next(&m, &pos) != NULL)
        seen++;
    CHECK_INT(seen, m.n);
    CHECK_INT(seen, (N + 6) / 7);
    CHECK(m.size <= 4096);
    peal_map_fini(&m);
}

struct alarm {
    struct peal_timer timer;
    struct peal_wheel *wheel;
    uint64_t due_ms, fired_ms;
    unsigned fired;
};

static void
ring(struct peal_timer *t)
{
    struct alarm *a = PEAL_CONTAINER(t, struct alarm, timer);

    a->fired++;
    a->fired_ms = a->wheel->now * PEAL_WHEEL_TICK_MS;
}

static void
timers_fire_once_never_early_and_hardly_late(void **state)
{
    enum {
        N = 3000
    };
    static struct alarm alarms[N];
    struct peal_wheel w;
    uint64_t now = 123456789;

    srand(7);
    peal_wheel_init(&w, now);
    for (int i = 0; i < N; i++) {
        uint64_t delay = (uint64_t)rand() % (i % 3 == 0      ? 600
                                                : i % 3 == 1 ? 60000
                                                             : 9000000);

        alarms[i] =
            (struct alarm){ .timer.fn = ring, .wheel = &w, .due_ms = now + delay };
        peal_timer_start(&w, &alarms[i].timer, delay);
    }
    for (int i = 0; i < N; i += 10)
        peal_timer_stop(&alarms[i].timer);
    while (peal_wheel_next_ms(&w) >= 0) {
        now += (uint64_t)peal_wheel_next_ms(&w);
        if (peal_wheel_next_ms(&w) == 0)
            now++;
        peal_wheel_advance(&w, now);
    }
    for (int i = 0; i < N; i++) {
        CHECK_INT(alarms[i].fired, i % 10 != 0);
        if (i % 10 == 0)
            continue;
        CHECK(alarms[i].fired_ms >= alarms[i].due_ms);
        CHECK(alarms[i].fired_ms <= alarms[i].due_ms + 2 * PEAL_WHEEL_TICK_MS);
    }
}

static void
a_clock_that_jumps_fires_everything_once(void **state)
{
    struct peal_wheel w;
    struct alarm a = { .timer.fn = ring, .wheel = &w }, b = a;

    peal_wheel_init(&w, 1000);
    peal_timer_start(&w, &a.timer, 50);
    peal_timer_start(&w, &b.timer, 5000000000ull);
    peal_wheel_advance(&w, 10); /* back: nothing */
    CHECK_INT(a.fired, 0);
    peal_wheel_advance(&w, 10000000000ull);
    CHECK_INT(a.fired, 1);
    CHECK_INT(b.fired, 1);
    CHECK_INT(peal_wheel_next_ms(&w), -1);
}

static int n_encoded;

static struct peal_blob *
encode(const struct peal_msg *m, void *ctx)
{
    n_encoded++;
    return peal_blob_copy(m->args);
}

static void
a_message_is_encoded_once_a_format(void **state)
{
    struct peal_slice channels[] = { PEAL_S("news"), PEAL_S("sport") };
    struct peal_slice except[] = { PEAL_S("muted") };
    struct peal_msg_spec spec = { .channels = channels,
        .n_channels = 2,
        .except = except,
        .n_except = 1,
        .kind = PEAL_DATA_JSON,
        .n_args = 2,
        .event = PEAL_S("\"say\""),
        .args = PEAL_S("1,{\"a\":2}") };
    struct peal_msg *m;

    CHECK_OK(peal_msg_new(&spec, &m));
    CHECK_SLICE(m->channels[1].name, "sport");
    CHECK_SLICE(m->except[0], "muted");
    CHECK_SLICE(m->nsp, "/");
    CHECK_SLICE(m->event, "\"say\"");
    CHECK_SLICE(peal_blob_slice(peal_msg_bytes(m, 0, encode, NULL)), "1,{\"a\":2}");
    CHECK(peal_msg_bytes(m, 0, encode, NULL) == peal_msg_bytes(m, 0, encode, NULL));
    CHECK_INT(n_encoded, 1);
    peal_msg_release(m);
    spec.n_channels = PEAL_MSG_NAMES_MAX + 1;
    CHECK_ERR(peal_msg_new(&spec, &m), PEAL_ELIMIT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_up_to_their_maximum),
        cmocka_unit_test(a_glob_star_stands_for_any_run),
        cmocka_unit_test(utf8_is_checked_at_its_borders),
        cmocka_unit_test(utf8_may_come_in_pieces),
        cmocka_unit_test(arrays_grow_by_doubling),
        cmocka_unit_test(siphash_gives_the_reference_vectors),
        cmocka_unit_test(an_id_tells_its_owner),
        cmocka_unit_test(base64_goes_there_and_back),
        cmocka_unit_test(a_map_holds_what_was_put_and_not_deleted),
        cmocka_unit_test(a_key_that_is_there_keeps_its_value),
        cmocka_unit_test(timers_fire_once_never_early_and_hardly_late),
        cmocka_unit_test(a_clock_that_jumps_fires_everything_once),
        cmocka_unit_test(a_message_is_encoded_once_a_format),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}

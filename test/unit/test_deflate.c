/* SPDX-License-Identifier: MIT */
/* wire/deflate: compressed messages. */
#include "check.h"

#include <stdlib.h>
#include <zlib.h>

#include "alloc.h"
#include "wire/deflate.h"

static struct peal_deflate *
scratch(int level)
{
    struct peal_deflate *z = NULL;

    CHECK_OK(peal_deflate_new(level, 8, &z));
    return z;
}

/* Text that compresses, or noise that does not; the same every time. */
static void
fill(char *p, size_t n, bool noise)
{
    uint32_t x = 12345;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = noise ? (char)(x >> 24) : "etaoin shrdlu"[(x >> 24) % 13];
    }
}

static void
the_examples_of_rfc_7692_are_read(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } hello[] = {
        { "\xf2\x48\xcd\xc9\xc9\x07\x00", 7 },                         /* 7.2.3.1 */
        { "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11 },        /* 7.2.3.3 */
        { "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8 },                     /* 7.2.3.4 */
        { "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13 } /* 7.2.3.5 */
    };
    struct peal_deflate *z = scratch(6);
    struct peal_buf out = { 0 };

    for (size_t i = 0; i < sizeof(hello) / sizeof(hello[0]); i++) {
        out.len = 0;
        CHECK_OK(peal_inflate_message(
            z, peal_slice_of(hello[i].bytes, hello[i].len), 5, &out));
        CHECK_SLICE(peal_buf_slice(&out), "Hello");
    }
    /* Context was taken over in the second message of 7.2.3.2; without it, it is bad. */
    CHECK_ERR(
        peal_inflate_message(z, PEAL_S("\xf2\x00\x11\x00\x00"), 100, &out), PEAL_EPROTO);
    CHECK_SLICE(peal_buf_slice(&out), "Hello");
    peal_buf_fini(&out);
    peal_deflate_free(&z);
    CHECK(z == NULL);
    peal_deflate_free(&z);
}

static void
the_first_example_is_what_we_write(void **state)
{
    struct peal_deflate *z = scratch(6);
    struct peal_buf out = { 0 };

    for (int again = 0; again < 2; again++) {
        out.len = 0;
        CHECK_OK(peal_deflate_message(z, 15, PEAL_S("Hello"), &out));
        CHECK_MEM(out.data, out.len, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    }
    out.len = 0;
    CHECK_OK(peal_deflate_message(z, 15, PEAL_S(""), &out)); /* 7.2.3.6 */
    CHECK_MEM(out.data, out.len, "\x00", 1);
    peal_buf_fini(&out);
    peal_deflate_free(&z);
}

static void
what_was_appended_to_stays(void **state)
{
    struct peal_deflate *z = scratch(1);
    struct peal_buf out = { 0 };

    CHECK_OK(peal_buf_add(&out, "head", 4));
    CHECK_OK(peal_inflate_message(z, PEAL_S("\xf2\x48\xcd\xc9\xc9\x07\x00"), 5, &out));
    CHECK_SLICE(peal_buf_slice(&out), "headHello");
    CHECK_ERR(peal_inflate_message(z, PEAL_S("\xf2\x48\xcd\xc9\xc9\x07\x00"), 4, &out),
        PEAL_ELIMIT);
    CHECK_SLICE(peal_buf_slice(&out), "headHello");
    CHECK_OK(peal_deflate_message(z, 9, PEAL_S(""), &out));
    CHECK_MEM(out.data, out.len, "headHello\0", 10);
    peal_buf_fini(&out);
    peal_deflate_free(&z);
}

static void
round_trip(struct peal_deflate *z, int bits, struct peal_slice text)
{
    struct peal_buf packed = { 0 }, out = { 0 };

    CHECK_OK(peal_deflate_message(z, bits, text, &packed));
    CHECK_OK(peal_inflate_message(z, peal_buf_slice(&packed), text.len, &out));
    CHECK_MEM(out.data, out.len, text.data, text.len);
    if (text.len > 0) {
        out.len = 0;
        CHECK_ERR(peal_inflate_message(z, peal_buf_slice(&packed), text.len - 1, &out),
            PEAL_ELIMIT);
        CHECK_INT(out.len, 0);
    }
    peal_buf_fini(&packed);
    peal_buf_fini(&out);
}

static void
every_size_level_and_window_makes_the_round_trip(void **state)
{
    static const size_t sizes[] = { 1, 2, 7, 63, 64, 65, 511, 4096, 65535, 65536, 65537,
        300000 };
    static const int levels[] = { 0, 1, 6, 9 };
    char *text = malloc(300000);

    CHECK(text != NULL);
    for (size_t l = 0; l < sizeof(levels) / sizeof(levels[0]); l++) {
        struct peal_deflate *z = scratch(levels[l]);

        for (int bits = PEAL_DEFLATE_BITS_MIN; bits <= PEAL_DEFLATE_BITS_MAX; bits++) {
            for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                fill(text, sizes[i], i % 2 == 0);
                round_trip(z, bits, peal_slice_of(text, sizes[i]));
            }
        }
        peal_deflate_free(&z);
    }
    free(text);
}

/* A receiver that has only the window that was negotiated must be able to read it. */
static void
the_window_is_kept_to(void **state)
{
    struct peal_deflate *z = scratch(9);
    struct peal_buf packed = { 0 };
    unsigned char text[8192], out[8192];

    fill((char *)text, 2048, true);
    for (size_t i = 2048; i < sizeof(text); i += 2048)
        memcpy(text + i, text, 2048); /* repeats beyond 1024, so bits 10 cannot use it */
    for (int bits = PEAL_DEFLATE_BITS_MIN; bits <= PEAL_DEFLATE_BITS_MAX; bits++) {
        z_stream s = { 0 };

        packed.len = 0;
        CHECK_OK(
            peal_deflate_message(z, bits, peal_slice_of(text, sizeof(text)), &packed));
        CHECK(bits >= 12 ? packed.len < 4096 : packed.len > 8000);
        CHECK_INT(inflateInit2(&s, -bits), Z_OK);
        s.next_in = (unsigned char *)packed.data;
        s.avail_in = (unsigned)packed.len;
        /* In small pieces, so that zlib works from its window and not from out. */
        for (s.next_out = out; s.next_out < out + sizeof(out);) {
            s.avail_out = 64;
            CHECK_INT(inflate(&s, Z_SYNC_FLUSH), Z_OK);
        }
        CHECK(memcmp(out, text, sizeof(text)) == 0);
        inflateEnd(&s);
    }
    peal_buf_fini(&packed);
    peal_deflate_free(&z);
}

static void
a_bomb_is_stopped_at_the_bound(void **state)
{
    struct peal_deflate *z = scratch(9);
    struct peal_buf packed = { 0 }, out = { 0 };
    char *zeros = calloc(1, 50 << 20);

    CHECK(zeros != NULL);
    CHECK_OK(peal_deflate_message(z, 15, peal_slice_of(zeros, 50 << 20), &packed));
    CHECK(packed.len < 60000);
    CHECK_ERR(
        peal_inflate_message(z, peal_buf_slice(&packed), 100000, &out), PEAL_ELIMIT);
    CHECK_INT(out.len, 0);
    CHECK(out.cap <= 1 << 18);
    CHECK_ERR(peal_inflate_message(z, peal_buf_slice(&packed), 0, &out), PEAL_ELIMIT);
    free(zeros);
    peal_buf_fini(&packed);
    peal_buf_fini(&out);
    peal_deflate_free(&z);
}

static void
a_final_block_may_be_followed_by_others(void **state)
{
    struct peal_deflate *z = scratch(6);
    struct peal_buf out = { 0 };

    /* The final block of 7.2.3.4 twice, then the empty block. */
    CHECK_OK(peal_inflate_message(z,
        PEAL_S("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), 10,
        &out));
    CHECK_SLICE(peal_buf_slice(&out), "HelloHello");
    /* The same, ending at the final block. */
    out.len = 0;
    CHECK_OK(peal_inflate_message(
        z, PEAL_S("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00"), 10, &out));
    CHECK_SLICE(peal_buf_slice(&out), "HelloHello");
    /* And the next message does not see any of it. */
    out.len = 0;
    CHECK_OK(peal_inflate_message(z, PEAL_S("\xf2\x48\xcd\xc9\xc9\x07\x00"), 5, &out));
    CHECK_SLICE(peal_buf_slice(&out), "Hello");
    peal_buf_fini(&out);
    peal_deflate_free(&z);
}

static void
broken_streams_are_refused(void **state)
{
    static const struct peal_slice bad[] = {
        PEAL_S("\xff"),                                 /* reserved block type */
        PEAL_S("\x00\x05\x00\xfa\xfe\x48\x65"),         /* length and its complement */
        PEAL_S("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c"), /* ends in a stored block */
        PEAL_S("\xf2\x48\xcd"),                         /* ends in the middle */
        PEAL_S("Hello, not compressed at all"),
        PEAL_S("\x02\x08\x20\x80") /* a distance before the start */
    };
    struct peal_deflate *z = scratch(6);
    struct peal_buf out = { 0 };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_ERR(peal_inflate_message(z, bad[i], 1000, &out), PEAL_EPROTO);
        CHECK_INT(out.len, 0);
        CHECK_OK(
            peal_inflate_message(z, PEAL_S("\xf2\x48\xcd\xc9\xc9\x07\x00"), 5, &out));
        CHECK_SLICE(peal_buf_slice(&out), "Hello");
        out.len = 0;
    }
    CHECK_OK(peal_inflate_message(z, PEAL_S(""), 0, &out)); /* lenient */
    CHECK_OK(peal_inflate_message(z, PEAL_S("\x00"), 0, &out));
    CHECK_INT(out.len, 0);
    peal_buf_fini(&out);
    peal_deflate_free(&z);
}

static void
every_failing_allocation_is_survived(void **state)
{
    char text[5000];
    long n = 0;

    fill(text, sizeof(text), false);
    for (;; n++) {
        struct peal_deflate *z = NULL;
        struct peal_buf packed = { 0 }, out = { 0 };
        peal_err err;

        alloc_left = n;
        err = peal_deflate_new(6, 8, &z);
        if (err == PEAL_OK)
            err = peal_deflate_message(z, 15, peal_slice_of(text, sizeof(text)), &packed);
        if (err == PEAL_OK)
            err = peal_inflate_message(z, peal_buf_slice(&packed), sizeof(text), &out);
        alloc_left = -1;
        if (err == PEAL_OK) {
            CHECK_MEM(out.data, out.len, text, sizeof(text));
        } else {
            CHECK_ERR(err, PEAL_ENOMEM);
            CHECK_INT(out.len, 0);
            if (z != NULL) /* and works once there is memory again */
                round_trip(z, 15, peal_slice_of(text, sizeof(text)));
        }
        peal_buf_fini(&packed);
        peal_buf_fini(&out);
        peal_deflate_free(&z);
        if (err == PEAL_OK)
            break;
    }
    CHECK(n > 8);
}

static void
levels_out_of_range_are_refused(void **state)
{
    struct peal_deflate *z = NULL;

    CHECK_ERR(peal_deflate_new(-1, 8, &z), PEAL_EINVAL);
    CHECK_ERR(peal_deflate_new(10, 8, &z), PEAL_EINVAL);
    CHECK_ERR(peal_deflate_new(6, 0, &z), PEAL_EINVAL);
    CHECK_ERR(peal_deflate_new(6, 10, &z), PEAL_EINVAL);
    CHECK(z == NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_rfc_7692_are_read),
        cmocka_unit_test(the_first_example_is_what_we_write),
        cmocka_unit_test(what_was_appended_to_stays),
        cmocka_unit_test(every_size_level_and_window_makes_the_round_trip),
        cmocka_unit_test(the_window_is_kept_to),
        cmocka_unit_test(a_bomb_is_stopped_at_the_bound),
        cmocka_unit_test(a_final_block_may_be_followed_by_others),
        cmocka_unit_test(broken_streams_are_refused),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(levels_out_of_range_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

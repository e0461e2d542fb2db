/* SPDX-License-Identifier: MIT */
/* wire/http_body: chunked bodies, in one piece and in pieces of every size. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "wire/http_body.h"

#define BODY_MAX 1000

struct outcome {
    peal_err err; /* PEAL_OK: done */
    size_t used;
    struct peal_buf data;
};

/* Feeds in, step bytes at a time, each in memory of exactly that size. */
static struct outcome
decode(struct peal_slice in, size_t step, uint64_t body_max)
{
    struct outcome o = { .err = PEAL_EAGAIN };
    struct peal_chunked c;

    peal_chunked_init(&c, body_max);
    while (o.used < in.len && o.err == PEAL_EAGAIN) {
        size_t n = in.len - o.used < step ? in.len - o.used : step, at = 0;
        char *piece = malloc(n);

        CHECK(piece != NULL);
        memcpy(piece, in.data + o.used, n);
        do {
            struct peal_slice data;
            size_t used = 0;

            o.err = peal_chunked_decode(&c, piece + at, n - at, &used, &data);
            CHECK(used <= n - at);
            CHECK(o.err == PEAL_OK || data.len == 0);
            CHECK(o.err != PEAL_EAGAIN || used == n - at);
            at += used;
            CHECK_OK(peal_buf_add_slice(&o.data, data));
        } while (o.err == PEAL_OK && !c.done);
        free(piece);
        o.used += at;
    }
    if (o.err != PEAL_OK && o.err != PEAL_EAGAIN) { /* and it stays so */
        struct peal_slice data;
        size_t used;

        CHECK_ERR(peal_chunked_decode(&c, "0\r\n\r\n", 5, &used, &data), PEAL_EPROTO);
        CHECK_INT(used, 0);
    }
    return o;
}

static void
check_body(struct peal_slice in, peal_err want, const char *data, size_t rest, int line)
{
    for (size_t step = 1; step <= in.len; step++) {
        struct outcome o = decode(in, step, BODY_MAX);
        bool good = o.err == want && (want != PEAL_OK || o.used == in.len - rest);

        if (good && want == PEAL_OK)
            good = peal_slice_eq(peal_buf_slice(&o.data), peal_slice_str(data));
        if (!good)
            print_error("line %d, step %zu: err %d, used %zu, data \"%.*s\"\n", line,
                step, (int)o.err, o.used, (int)o.data.len, o.data.data);
        peal_buf_fini(&o.data);
        CHECK(good);
    }
}

#define GIVES(lit, data, rest) check_body(PEAL_S(lit), PEAL_OK, data, rest, __LINE__)
#define FAILS(lit) check_body(PEAL_S(lit), PEAL_EPROTO, NULL, 0, __LINE__)
#define WAITS(lit) check_body(PEAL_S(lit), PEAL_EAGAIN, NULL, 0, __LINE__)
#define TOO_LONG(lit) check_body(PEAL_S(lit), PEAL_ELIMIT, NULL, 0, __LINE__)

static void
bodies_survive_every_split(void **state)
{
    GIVES("0\r\n\r\n", "", 0);
    GIVES("5\r\nHello\r\n0\r\n\r\n", "Hello", 0);
    GIVES("5\r\nHello\r\n7\r\n, world\r\n0\r\n\r\n", "Hello, world", 0);
    GIVES(
        "a\r\n0123456789\r\nB\r\n0123456789a\r\n000\r\n\r\n", "01234567890123456789a", 0);
    GIVES("0000000000000001\r\nx\r\n0\r\n\r\n", "x", 0);
    GIVES("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0);
    GIVES("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "x", 16);
}

static void
extensions_and_trailers_are_skipped(void **state)
{
    GIVES("1;a\r\nx\r\n0;b=\"c\r\n\r\n", "x", 0);
    GIVES("1;a=b;c=\"; d\\\"\"\r\nx\r\n0\r\n\r\n", "x", 0);
    GIVES("1\r\nx\r\n0\r\nA: b\r\nContent-Length: 7\r\n\r\nrest", "x", 4);
}

static void
sizes_are_hex_digits_alone(void **state)
{
    FAILS("\r\n");
    FAILS(";a\r\n");
    FAILS("g\r\n");
    FAILS("0x5\r\nHello\r\n");
    FAILS(" 5\r\nHello\r\n");
    FAILS("5 \r\nHello\r\n");
    FAILS("5 ;a\r\nHello\r\n");
    FAILS("+5\r\nHello\r\n");
    FAILS("-1\r\nHello\r\n");
    FAILS("00000000000000001\r\nx\r\n0\r\n\r\n"); /* 17 digits */
    FAILS("1\r\nx\r\n00000000000000000\r\n\r\n");
    FAILS("\0\r\n");
    FAILS("\xb5\r\n");
}

static void
lines_end_in_crlf_and_nothing_else(void **state)
{
    FAILS("5\nHello\r\n0\r\n\r\n");
    FAILS("5\r\nHello\n0\r\n\r\n");
    FAILS("5\rHello\r\n");
    FAILS("5\r\nHello0\r\n\r\n");
    FAILS("5\r\nHelloo\r\n");
    FAILS("5\r\nHello\r0\r\n");
    FAILS("5;a\nHello\r\n");
    FAILS("5;a\rb\r\nHello\r\n");
    FAILS("5;a\0\r\nHello\r\n");
    FAILS("0\r\n\n");
    FAILS("0\r\n\r\r\n");
    FAILS("0\r\nA: b\n\r\n");
    FAILS("0\r\nA: b\rC: d\r\n\r\n");
    FAILS("0\r\nA: \x01\r\n\r\n");
}

static void
what_is_incomplete_is_waited_for(void **state)
{
    WAITS("5");
    WAITS("5\r\nHel");
    WAITS("5\r\nHello\r\n");
    WAITS("0\r\n");
    WAITS("0\r\nA: b\r\n");
    WAITS("0\r\n\r");
}

static void
a_body_too_long_is_refused_by_its_announcement(void **state)
{
    struct outcome o;
    char text[64];

    TOO_LONG("3e9\r\n");
    TOO_LONG("ffffffffffffffff\r\n");
    TOO_LONG("ffffffffffffffff;a\r\n");
    TOO_LONG("1\r\nx\r\n3e8\r\n");
    o = decode(PEAL_S("1\r\nx\r\n4\r\nabcd\r\n0\r\n\r\n"), 3, 5);
    CHECK_OK(o.err);
    peal_buf_fini(&o.data);
    o = decode(PEAL_S("1\r\nx\r\n5\r\nabcde\r\n0\r\n\r\n"), 3, 5);
    CHECK_ERR(o.err, PEAL_ELIMIT);
    CHECK_MEM(o.data.data, o.data.len, "x", 1);
    peal_buf_fini(&o.data);
    snprintf(text, sizeof(text), "%x\r\n", BODY_MAX);
    o = decode(peal_slice_str(text), 1, BODY_MAX);
    CHECK_ERR(o.err, PEAL_EAGAIN);
    peal_buf_fini(&o.data);
    o = decode(PEAL_S("0\r\n\r\n"), 5, 0);
    CHECK_OK(o.err);
    peal_buf_fini(&o.data);
}

/* Of a text with n times more in it between two others. */
static peal_err
padded(const char *before, char c, size_t n, const char *after)
{
    struct peal_buf b = { 0 };
    struct outcome o;

    CHECK_OK(peal_buf_add(&b, before, strlen(before)));
    for (size_t i = 0; i < n; i++)
        CHECK_OK(peal_buf_add_char(&b, c));
    CHECK_OK(peal_buf_add(&b, after, strlen(after)));
    o = decode(peal_buf_slice(&b), 1000, BODY_MAX);
    peal_buf_fini(&b);
    peal_buf_fini(&o.data);
    return o.err;
}

static void
extensions_and_trailers_are_bounded(void **state)
{
    struct peal_buf many = { 0 };
    struct outcome o;

    CHECK_OK(padded("0;", 'x', PEAL_CHUNKED_EXT_MAX, "\r\n\r\n"));
    CHECK_ERR(padded("0;", 'x', PEAL_CHUNKED_EXT_MAX + 1, "\r\n\r\n"), PEAL_EPROTO);
    CHECK_OK(padded("0\r\nA:", 'x', PEAL_CHUNKED_TRAILER_MAX - 2, "\r\n\r\n"));
    CHECK_ERR(
        padded("0\r\nA:", 'x', PEAL_CHUNKED_TRAILER_MAX - 1, "\r\n\r\n"), PEAL_EPROTO);
    /* Over the whole body, not for each chunk. */
    for (int i = 0; i < 500; i++)
        CHECK_OK(peal_buf_add_slice(&many, PEAL_S("1;123456789\r\nx\r\n")));
    o = decode(peal_buf_slice(&many), 7, BODY_MAX);
    CHECK_ERR(o.err, PEAL_EPROTO);
    CHECK_INT(o.data.len, PEAL_CHUNKED_EXT_MAX / 9);
    peal_buf_fini(&o.data);
    peal_buf_fini(&many);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_survive_every_split),
        cmocka_unit_test(extensions_and_trailers_are_skipped),
        cmocka_unit_test(sizes_are_hex_digits_alone),
        cmocka_unit_test(lines_end_in_crlf_and_nothing_else),
        cmocka_unit_test(what_is_incomplete_is_waited_for),
        cmocka_unit_test(a_body_too_long_is_refused_by_its_announcement),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

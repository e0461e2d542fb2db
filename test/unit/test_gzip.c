/* SPDX-License-Identifier: MIT */
/* wire/gzip: bodies in a content coding, and who takes which. */
#include "check.h"

#include <stdlib.h>
#include <zlib.h>

#include "alloc.h"
#include "wire/gzip.h"

#define BODY_MAX 300000

static enum peal_coding
accepted(const char *value)
{
    struct peal_httphead head = { .n_headers = 2,
        .headers = { { PEAL_S("Accept"), PEAL_S("gzip") },
            { PEAL_S("accept-encoding"), peal_slice_str(value) } } };

    return peal_coding_accepted(&head);
}

static void
what_a_client_takes_is_read_from_its_header(void **state)
{
    static const struct {
        const char *value;
        enum peal_coding want;
    } cases[] = {
        { "", PEAL_CODING_NONE },
        { "identity", PEAL_CODING_NONE },
        { "br, zstd", PEAL_CODING_NONE },
        { "gzip", PEAL_CODING_GZIP },
        { "GZip", PEAL_CODING_GZIP },
        { "deflate", PEAL_CODING_DEFLATE },
        { "gzip, deflate, br", PEAL_CODING_GZIP },
        { "deflate,gzip", PEAL_CODING_GZIP },
        { "deflate, gzip;q=1.0, *;q=0.5", PEAL_CODING_GZIP },
        { "gzip;q=0.5, deflate", PEAL_CODING_DEFLATE },
        { "gzip;q=0.01,deflate;q=0.001", PEAL_CODING_GZIP },
        { "gzip;q=0", PEAL_CODING_NONE },
        { "gzip;q=0.000, deflate;q=0.", PEAL_CODING_NONE },
        { "gzip;q=0, deflate", PEAL_CODING_DEFLATE },
        { "gzip ; q=0.2 , deflate ; Q=0.1", PEAL_CODING_GZIP },
        { "*", PEAL_CODING_GZIP },
        { "*;q=0", PEAL_CODING_NONE },
        { "*, gzip;q=0", PEAL_CODING_DEFLATE },
        { "gzip;q=0.1, *;q=0.9", PEAL_CODING_DEFLATE },
        { "identity;q=0", PEAL_CODING_NONE },
        { "gzip;level=9;q=0", PEAL_CODING_NONE },
        { "gzip;level=9", PEAL_CODING_GZIP },
        { "gzipp, xgzip, x-gzip2", PEAL_CODING_NONE },
        { ",, ,gzip,", PEAL_CODING_GZIP },
        { ";q=1", PEAL_CODING_NONE },
        /* Weights that are none. */
        { "gzip;q=", PEAL_CODING_NONE },
        { "gzip;q=x", PEAL_CODING_NONE },
        { "gzip;q=1.5", PEAL_CODING_NONE },
        { "gzip;q=1.001", PEAL_CODING_NONE },
        { "gzip;q=0.1234", PEAL_CODING_NONE },
        { "gzip;q=-1", PEAL_CODING_NONE },
        { "gzip;q=10", PEAL_CODING_NONE },
        { "gzip;q=.5", PEAL_CODING_NONE },
        { "gzip;q=0.1x", PEAL_CODING_NONE },
        { "gzip;", PEAL_CODING_GZIP },
        { "gzip;q", PEAL_CODING_NONE },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (accepted(cases[i].value) != cases[i].want)
            fail_msg("Accept-Encoding: %s", cases[i].value);
}

static void
a_header_may_be_absent_or_repeated(void **state)
{
    struct peal_httphead head = { .n_headers = 0 };

    CHECK_INT(peal_coding_accepted(&head), PEAL_CODING_NONE);
    head = (struct peal_httphead){ .n_headers = 2,
        .headers = { { PEAL_S("Accept-Encoding"), PEAL_S("gzip;q=0") },
            { PEAL_S("Accept-Encoding"), PEAL_S("deflate") } } };
    CHECK_INT(peal_coding_accepted(&head), PEAL_CODING_DEFLATE);
}

/* Text that compresses; the same every time. */
static void
fill(char *p, size_t n)
{
    uint32_t x = 12345;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = "etaoin shrdlu"[(x >> 24) % 13];
    }
}

/* What any receiver makes of it; the format is asked for by name, not guessed. */
static void
check_reads_back(
    const struct peal_blob *b, enum peal_coding coding, struct peal_slice text)
{
    static char out[BODY_MAX];
    z_stream s = { 0 };

    CHECK(b != NULL && b->len < text.len);
    CHECK_INT(inflateInit2(&s, coding == PEAL_CODING_GZIP ? 15 + 16 : 15), Z_OK);
    s.next_in = (z_const Bytef *)b->data;
    s.avail_in = b->len;
    s.next_out = (Bytef *)out;
    s.avail_out = sizeof(out);
    CHECK_INT(inflate(&s, Z_FINISH), Z_STREAM_END);
    CHECK_INT(s.avail_in, 0);
    CHECK_MEM(out, sizeof(out) - s.avail_out, text.data, text.len);
    inflateEnd(&s);
}

static void
bodies_of_every_size_read_back(void **state)
{
    static const size_t sizes[] = { 200, 1024, 4096, 65535, 65536, 65537, BODY_MAX };
    static char text[BODY_MAX];

    fill(text, sizeof(text));
    for (int level = 1; level <= 9; level += 4) {
        struct peal_gzip *z = NULL;

        CHECK_OK(peal_gzip_new(level, &z));
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            for (int c = PEAL_CODING_GZIP; c <= PEAL_CODING_DEFLATE; c++) {
                struct peal_slice body = { text, sizes[i] };
                struct peal_blob *b = peal_gzip_body(z, (enum peal_coding)c, body);

                check_reads_back(b, (enum peal_coding)c, body);
                peal_blob_release(b);
            }
        peal_gzip_free(&z);
        CHECK(z == NULL);
        peal_gzip_free(&z);
    }
}

static void
a_body_that_would_grow_goes_as_it_is_and_harms_no_other(void **state)
{
    struct peal_gzip *z = NULL;
    struct peal_blob *b;
    char noise[5000], text[5000];
    uint32_t x = 1;

    for (size_t i = 0; i < sizeof(noise); i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = (char)(x >> 24);
    }
    fill(text, sizeof(text));
    CHECK_OK(peal_gzip_new(1, &z));
    for (int c = PEAL_CODING_GZIP; c <= PEAL_CODING_DEFLATE; c++) {
        enum peal_coding coding = (enum peal_coding)c;

        CHECK(peal_gzip_body(z, coding, peal_slice_of(noise, sizeof(noise))) == NULL);
        CHECK(peal_gzip_body(z, coding, PEAL_S("")) == NULL);
        CHECK(peal_gzip_body(z, coding, PEAL_S("x")) == NULL);
        CHECK(peal_gzip_body(z, coding, PEAL_S("abc")) == NULL);
        b = peal_gzip_body(z, coding, peal_slice_of(text, sizeof(text)));
        check_reads_back(b, coding, peal_slice_of(text, sizeof(text)));
        peal_blob_release(b);
    }
    peal_gzip_free(&z);
}

static void
every_failing_allocation_is_survived(void **state)
{
    struct peal_blob *b = NULL;
    char text[5000];
    long n;

    fill(text, sizeof(text));
    for (n = 0; b == NULL; n++) {
        struct peal_gzip *z = NULL;

        alloc_left = n;
        if (peal_gzip_new(1, &z) == PEAL_OK)
            b = peal_gzip_body(z, PEAL_CODING_GZIP, peal_slice_of(text, sizeof(text)));
        alloc_left = -1;
        if (z != NULL && b == NULL) { /* works once there is memory again */
            struct peal_blob *later =
                peal_gzip_body(z, PEAL_CODING_GZIP, peal_slice_of(text, sizeof(text)));

            check_reads_back(later, PEAL_CODING_GZIP, peal_slice_of(text, sizeof(text)));
            peal_blob_release(later);
        }
        peal_gzip_free(&z);
    }
    CHECK(n > 4);
    peal_blob_release(b);
}

static void
levels_out_of_range_are_refused(void **state)
{
    struct peal_gzip *z = NULL;

    CHECK_ERR(peal_gzip_new(0, &z), PEAL_EINVAL);
    CHECK_ERR(peal_gzip_new(10, &z), PEAL_EINVAL);
    CHECK(z == NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_client_takes_is_read_from_its_header),
        cmocka_unit_test(a_header_may_be_absent_or_repeated),
        cmocka_unit_test(bodies_of_every_size_read_back),
        cmocka_unit_test(a_body_that_would_grow_goes_as_it_is_and_harms_no_other),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(levels_out_of_range_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

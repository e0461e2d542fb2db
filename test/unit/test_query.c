/* SPDX-License-Identifier: MIT */
/* wire/query: query strings and percent escapes. */
#include "check.h"

#include "alloc.h"
#include "wire/query.h"

static void
pairs_are_walked_in_order(void **state)
{
    static const char *const want[][2] = { { "a", "1" }, { "b", "" }, { "c", "" },
        { "", "x" }, { "d", "e=f" }, { "%61", "+%20" } };
    struct peal_slice rest = PEAL_S("a=1&&b&c=&=x&d=e=f&%61=+%20&"), key, value;

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        CHECK(peal_query_next(&rest, &key, &value));
        CHECK_SLICE(key, want[i][0]);
        CHECK_SLICE(value, want[i][1]);
        CHECK(value.data != NULL);
    }
    CHECK(!peal_query_next(&rest, &key, &value));
    rest = PEAL_S("&&");
    CHECK(!peal_query_next(&rest, &key, &value));
    rest = (struct peal_slice){ NULL, 0 };
    CHECK(!peal_query_next(&rest, &key, &value));
}

/* The decoded value of "k", or an error; found says whether it is there. */
static peal_err
get(const char *query, struct peal_buf *out, bool *found)
{
    struct peal_slice raw = peal_query_raw(peal_slice_str(query), PEAL_S("k"));

    out->len = 0;
    *found = raw.data != NULL;
    return peal_percent_decode(raw, PEAL_PLUS_IS_SPACE, out);
}

static void
values_are_decoded(void **state)
{
    static const struct {
        const char *query, *value; /* value NULL: absent */
    } cases[] = {
        { "k=v", "v" },
        { "a=b&k=v&c=d", "v" },
        { "k=1&k=2", "2" },
        { "k=1&%6B=2", "2" },
        { "k=1&%6b=2&kk=3&K=4&=5", "2" },
        { "k", "" },
        { "k=", "" },
        { "k=a+b%2Bc%2bd", "a b+c+d" },
        { "k=%E2%82%ac%ff", "\xe2\x82\xac\xff" },
        { "k=%25%32%35", "%25" },
        { "k=a=b", "a=b" },
        { "k=%26%3d", "&=" },
        { "", NULL },
        { "kk=v&%6=v&k%=v&%00k=v&k+=v", NULL },
    };
    struct peal_buf out = { 0 };
    bool found;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_OK(get(cases[i].query, &out, &found));
        CHECK_INT(found, cases[i].value != NULL);
        CHECK_SLICE(peal_buf_slice(&out), cases[i].value ? cases[i].value : "");
    }
    peal_buf_fini(&out);
}

static void
bad_escapes_are_refused(void **state)
{
    static const char *const bad[] = { "k=%", "k=%4", "k=%4g", "k=%g4", "k=a%%", "k=%00",
        "k=% 1", "k=%+1", "k=%u0041", "k=1&k=%" };
    struct peal_buf out = { 0 };
    bool found;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_ERR(get(bad[i], &out, &found), PEAL_EPROTO);
        CHECK_INT(out.len, 0);
    }
    CHECK_OK(peal_buf_add(&out, "head", 4));
    CHECK_ERR(peal_percent_decode(PEAL_S("ab%zz"), PEAL_PLUS_IS_PLUS, &out), PEAL_EPROTO);
    CHECK_ERR(peal_percent_decode(PEAL_S("ab\0"), PEAL_PLUS_IS_PLUS, &out), PEAL_EPROTO);
    CHECK_SLICE(peal_buf_slice(&out), "head");
    CHECK_OK(peal_percent_decode(PEAL_S("+%2b"), PEAL_PLUS_IS_PLUS, &out));
    CHECK_OK(peal_percent_decode(PEAL_S("+%2b"), PEAL_PLUS_IS_SPACE, &out));
    CHECK_SLICE(peal_buf_slice(&out), "head++ +");
    peal_buf_fini(&out);
}

static void
raw_values_keep_their_escapes(void **state)
{
    struct peal_slice q = PEAL_S("a=1&k=%31&b=2");

    CHECK_SLICE(peal_query_raw(q, PEAL_S("k")), "%31");
    CHECK(peal_query_raw(q, PEAL_S("c")).data == NULL);
    CHECK(peal_query_raw(PEAL_S("k"), PEAL_S("k")).data != NULL);
    CHECK_SLICE(peal_query_raw(PEAL_S("x+y=1"), PEAL_S("x y")), "1");
}

static void
every_byte_can_be_escaped(void **state)
{
    struct peal_buf code = { 0 }, out = { 0 };
    char all[255];

    for (int i = 0; i < 255; i++) {
        all[i] = (char)(i + 1);
        CHECK_OK(peal_buf_printf(&code, i % 2 ? "%%%02x" : "%%%02X", i + 1));
    }
    CHECK_OK(peal_percent_decode(peal_buf_slice(&code), PEAL_PLUS_IS_SPACE, &out));
    CHECK_MEM(out.data, out.len, all, sizeof(all));
    peal_buf_fini(&code);
    peal_buf_fini(&out);
}

static void
every_failing_allocation_is_survived(void **state)
{
    struct peal_buf out = { 0 };
    bool found = false;

    alloc_left = 0;
    CHECK_ERR(get("k=v", &out, &found), PEAL_ENOMEM);
    alloc_left = -1;
    CHECK_INT(out.len, 0);
    CHECK_OK(get("k=v", &out, &found));
    CHECK_SLICE(peal_buf_slice(&out), "v");
    peal_buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_walked_in_order),
        cmocka_unit_test(values_are_decoded),
        cmocka_unit_test(bad_escapes_are_refused),
        cmocka_unit_test(raw_values_keep_their_escapes),
        cmocka_unit_test(every_byte_can_be_escaped),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

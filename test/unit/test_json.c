/* SPDX-License-Identifier: MIT */
/* JSON slices: what is JSON, how it is cut, and a comparison with jansson. */
#include "check.h"

#include <jansson.h>

#include "alloc.h"
#include "base/json.h"

static void
json_is_what_rfc_8259_says(void **state)
{
    static const char *const good[] = { "{}", "[]", "0", "-0", "12", "-1.5e+10", "1E5",
        "0.25", "\"\"", "\"a\"", "true", "false", "null", " [ 1 , 2 ] \n", "{\"a\":{}}",
        "{ \"a\" : [ 1 , { \"b\" : null } ] , \"c\" : \"d\" }", "\"\\u0000\\ud800\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\x7f\"", "\"h\xc3\xa9llo, eight and more\"",
        "[[[[[[]]]]]]", "\"\xf0\x9f\x94\x94\"" };
    static const char *const bad[] = { "", " ", "{", "[", "]", "}", "[1", "[1,", "[1,]",
        "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "{,}",
        "{\"a\":1 \"b\":2}", "{\"a\" 1}", "01", "-", "-a", "1.", ".5", "1.e5", "1e",
        "1e+", "+1", "0x10", "Infinity", "NaN", "tru", "nulll", "True", "\"", "\"a",
        "\"\\", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u123\"", "\"\x01\"",
        "\"tab\there\"", "\"eight bytes then\x1e\"", "'a'", "1 2", "{}{}", "[]x",
        "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", "/**/1", "[1}",
        "{\"a\":1]", "\xef\xbb\xbf{}", "1" };

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        if (peal_json_check(peal_slice_str(good[i])) != PEAL_OK)
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (peal_json_check(peal_slice_str(bad[i])) != PEAL_EPROTO)
            fail_msg("taken: %s", bad[i]);
    CHECK_ERR(peal_json_check((struct peal_slice){ NULL, 0 }), PEAL_EPROTO);
    CHECK_ERR(peal_json_check(peal_slice_of("\"a\0b\"", 5)), PEAL_EPROTO);
}

/* Every prefix of a document, in memory of exactly that size, so that ASan sees a read
 * beyond it. */
static void
no_prefix_is_json_and_none_is_overrun(void **state)
{
    static const char doc[] = "{\"key\\u0041 longer than eight\":[1.5e3,true,false,null,"
                              "\"h\xc3\xa9 \\ud83d\\udd14\",{\"\":[]}]}";

    for (size_t n = 0; n < sizeof(doc) - 1; n++) {
        char *exact = malloc(n + 1);

        memcpy(exact + 1, doc, n);
        CHECK_ERR(peal_json_check(peal_slice_of(exact + 1, n)), PEAL_EPROTO);
        free(exact);
    }
    CHECK_OK(peal_json_check(peal_slice_str(doc)));
}

/* A string stop at every position of the eight-byte words, after every kind of byte. */
static void
strings_end_where_they_end(void **state)
{
    char text[40];

    for (size_t n = 0; n < 30; n++)
        for (int fill = 0x20; fill < 0x80; fill++) {
            struct peal_slice v;
            size_t used;

            if (fill == '"' || fill == '\\')
                continue;
            memset(text, fill, sizeof(text));
            text[0] = '"';
            text[n + 1] = '"';
            CHECK_OK(peal_json_skip(peal_slice_of(text, sizeof(text)), &v, &used));
            CHECK_INT(used, n + 2);
            text[n + 1] = 0x1f;
            CHECK_ERR(peal_json_skip(peal_slice_of(text, sizeof(text)), &v, &used),
                PEAL_EPROTO);
        }
}

static void
depth_has_a_limit(void **state)
{
    char text[2 * PEAL_JSON_DEPTH_MAX + 2];

    memset(text, '[', PEAL_JSON_DEPTH_MAX);
    memset(text + PEAL_JSON_DEPTH_MAX, ']', PEAL_JSON_DEPTH_MAX);
    CHECK_OK(peal_json_check(peal_slice_of(text, 2 * PEAL_JSON_DEPTH_MAX)));
    memset(text, '[', PEAL_JSON_DEPTH_MAX + 1);
    memset(text + PEAL_JSON_DEPTH_MAX + 1, ']', PEAL_JSON_DEPTH_MAX + 1);
    CHECK_ERR(peal_json_check(peal_slice_of(text, sizeof(text))), PEAL_ELIMIT);
}

static void
arrays_and_objects_come_apart(void **state)
{
    struct peal_slice rest = PEAL_S(" 1 ,\"a,b\" , [2,{\"c\":3}],{} "), key, v;

    CHECK_INT(peal_json_count(rest), 4);
    CHECK_INT(peal_json_count(PEAL_S("")), 0);
    CHECK_INT(peal_json_count(PEAL_S(" ")), 0);
    CHECK(peal_json_next(&rest, &v));
    CHECK_SLICE(v, "1");
    CHECK(peal_json_next(&rest, &v));
    CHECK_SLICE(v, "\"a,b\"");
    CHECK(peal_json_next(&rest, &v));
    CHECK_SLICE(v, "[2,{\"c\":3}]");
    CHECK(peal_json_next(&rest, &v));
    CHECK_SLICE(v, "{}");
    CHECK(!peal_json_next(&rest, &v));
    CHECK(!peal_json_next(&rest, &v));

    rest = PEAL_S(" \"a:\" : 1 , \"b\":{\"c\":2}");
    CHECK(peal_json_field(&rest, &key, &v));
    CHECK_SLICE(key, "\"a:\"");
    CHECK_SLICE(v, "1");
    CHECK(peal_json_field(&rest, &key, &v));
    CHECK_SLICE(key, "\"b\"");
    CHECK_SLICE(v, "{\"c\":2}");
    CHECK(!peal_json_field(&rest, &key, &v));
}

static void
fields_are_found_by_name(void **state)
{
    struct peal_json_field f[] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };
    struct peal_json_field g[] = { { .name = "a" }, { .name = "b" } };
    struct peal_slice key;

    CHECK_OK(
        peal_json_fields(PEAL_S("{\"b\":[1,{}],\"x\":{\"c\":1},\"\\u0061\":2,\"b\":3}"),
            PEAL_JSON_SKIP_OTHERS, f, 3, &key));
    CHECK_SLICE(f[0].value, "2");
    CHECK_SLICE(f[1].value, "3");
    CHECK(f[2].value.data == NULL);
    CHECK_OK(peal_json_fields(
        PEAL_S("{ \"b\" : null , \"a\" : \"t\" }"), PEAL_JSON_REFUSE_OTHERS, g, 2, &key));
    CHECK_SLICE(g[0].value, "\"t\"");
    CHECK_SLICE(g[1].value, "null");
    CHECK_ERR(peal_json_fields(PEAL_S("{\"a\":1}"), PEAL_JSON_REFUSE_OTHERS, g, 2, &key),
        PEAL_EEXIST);
    CHECK_SLICE(key, "\"a\"");
    CHECK_ERR(peal_json_fields(PEAL_S("{\"z\":1}"), PEAL_JSON_REFUSE_OTHERS, g, 2, &key),
        PEAL_ENOTFOUND);
    CHECK_SLICE(key, "\"z\"");
    CHECK_ERR(
        peal_json_fields(PEAL_S("[1]"), PEAL_JSON_SKIP_OTHERS, g, 2, &key), PEAL_EPROTO);
    CHECK_ERR(
        peal_json_fields(PEAL_S(""), PEAL_JSON_SKIP_OTHERS, g, 2, &key), PEAL_EPROTO);
}

static void
strings_are_quoted_and_unquoted(void **state)
{
    static const struct {
        const char *token, *text;
    } both[] = { { "\"\"", "" }, { "\"plain text here\"", "plain text here" },
        { "\"\\\"\\\\/\"", "\"\\/" }, { "\"\\b\\f\\n\\r\\t\"", "\b\f\n\r\t" },
        { "\"\\u0001\\u001e\x7f\"", "\x01\x1e\x7f" },
        { "\"h\xc3\xa9 \xf0\x9f\x94\x94\"", "h\xc3\xa9 \xf0\x9f\x94\x94" } };
    static const struct {
        const char *token, *text;
    } one_way[] = { { "\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac" },
        { "\"\\ud83d\\uDD14!\"", "\xf0\x9f\x94\x94!" }, { "\"\\ud83d\"", "\xef\xbf\xbd" },
        { "\"\\udd14\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                                "A" },
        { "\"\\/\"", "/" } };
    struct peal_buf b = { 0 };

    for (size_t i = 0; i < sizeof(both) / sizeof(*both); i++) {
        b.len = 0;
        CHECK_OK(peal_json_quote(&b, peal_slice_str(both[i].text)));
        CHECK_SLICE(peal_buf_slice(&b), both[i].token);
        b.len = 0;
        CHECK_OK(peal_json_unquote(&b, peal_slice_str(both[i].token)));
        CHECK_SLICE(peal_buf_slice(&b), both[i].text);
        CHECK(peal_json_string_is(
            peal_slice_str(both[i].token), peal_slice_str(both[i].text)));
    }
    for (size_t i = 0; i < sizeof(one_way) / sizeof(*one_way); i++) {
        b.len = 0;
        CHECK_OK(peal_json_unquote(&b, peal_slice_str(one_way[i].token)));
        CHECK_SLICE(peal_buf_slice(&b), one_way[i].text);
        CHECK(peal_json_string_is(
            peal_slice_str(one_way[i].token), peal_slice_str(one_way[i].text)));
    }
    CHECK(!peal_json_string_is(PEAL_S("\"ab\""), PEAL_S("a")));
    CHECK(!peal_json_string_is(PEAL_S("\"a\""), PEAL_S("ab")));
    CHECK(!peal_json_string_is(PEAL_S("\"\\u0061\""), PEAL_S("b")));
    CHECK(!peal_json_string_is(PEAL_S("12"), PEAL_S("12")));
    CHECK(!peal_json_string_is(PEAL_S("12"), PEAL_S("")));
    b.len = 0;
    CHECK_OK(peal_json_unquote(&b, PEAL_S("\"\\u0000\"")));
    CHECK_MEM(b.data, b.len, "\0", 1);
    peal_buf_fini(&b);
}

/* Bytes that nobody has checked. Each token ends where something else begins that must
 * not be read, and its text must fit the room that its length reserves. */
static void
broken_escapes_stay_within_their_token(void **state)
{
    static const struct {
        const char *token, *text;
    } all[] = { { "\"a\\\"", "a\\" }, { "\"a\\u\"", "a\\u" }, { "\"\\u00e\"", "\\u00e" },
        { "\"\\u00g9\"", "\\u00g9" }, { "\"\\ud83d\\u\"", "\xef\xbf\xbd\\u" },
        { "\"\\ud83d\\udd1\"", "\xef\xbf\xbd\\udd1" } };
    char bytes[64];

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        size_t n = strlen(all[i].token);
        struct peal_slice token = { bytes, n };
        struct peal_buf b = { 0 };

        memset(bytes, 'f', sizeof(bytes));
        memcpy(bytes, all[i].token, n);
        CHECK_OK(peal_json_unquote(&b, token));
        CHECK_SLICE(peal_buf_slice(&b), all[i].text);
        CHECK(peal_json_string_is(token, peal_slice_str(all[i].text)));
        peal_buf_fini(&b);
    }
}

static void
quoting_without_memory_changes_nothing(void **state)
{
    char text[300];
    struct peal_buf b = { 0 };
    peal_err err;
    long n = 0;

    memset(text, '\x01', sizeof(text));
    for (;; n++) {
        peal_buf_fini(&b);
        CHECK_OK(peal_buf_add(&b, "x", 1));
        alloc_left = n;
        err = peal_json_quote(&b, peal_slice_of(text, sizeof(text)));
        alloc_left = -1;
        if (err != PEAL_ENOMEM)
            break;
        CHECK_SLICE(peal_buf_slice(&b), "x");
    }
    CHECK_OK(err);
    CHECK(n >= 2);
    CHECK_INT(b.len, 1 + 2 + 6 * sizeof(text));
    peal_buf_fini(&b);
    alloc_left = 0;
    CHECK_ERR(peal_json_unquote(&b, PEAL_S("\"abc\"")), PEAL_ENOMEM);
    alloc_left = -1;
}

/* A small generator of documents; hexadecimal escapes stay below \u1000 so that damage
 * cannot make lone surrogates, which jansson refuses and JavaScript does not. */
static uint64_t seed = 42;

static unsigned
dice(unsigned n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(seed >> 33) % n;
}

static void
put(struct peal_buf *b, const char *text)
{
    CHECK_OK(peal_buf_add_slice(b, peal_slice_str(text)));
}

static void
generate_string(struct peal_buf *b)
{
    static const char *const pieces[] = { "a", "long enough for words ", "\\n", "\\\"",
        "\\\\", "\\u0012", "\xc3\xa9", "\xf0\x9f\x94\x94", "\xe2\x82\xac", "{", "]",
        "," };

    put(b, "\"");
    for (unsigned n = dice(6); n > 0; n--)
        put(b, pieces[dice(sizeof(pieces) / sizeof(*pieces))]);
    put(b, "\"");
}

static void
generate(struct peal_buf *b, unsigned depth)
{
    static const char *const scalars[] = { "0", "-1", "12", "1.25", "-3e2", "4E-1",
        "true", "false", "null", "5.5e+1" };
    static const char *const spaces[] = { "", "", "", " ", "\n\t" };
    unsigned kind = dice(depth > 4 ? 3 : 6), n = dice(4);

    put(b, spaces[dice(5)]);
    if (kind == 0 || kind == 1) {
        put(b, scalars[dice(sizeof(scalars) / sizeof(*scalars))]);
    } else if (kind == 2) {
        generate_string(b);
    } else {
        put(b, kind == 3 ? "{" : "[");
        for (unsigned i = 0; i < n; i++) {
            put(b, i > 0 ? "," : "");
            if (kind == 3) {
                put(b, spaces[dice(5)]);
                generate_string(b);
                put(b, spaces[dice(5)]);
                put(b, ":");
            }
            generate(b, depth + 1);
        }
        put(b, kind == 3 ? "}" : "]");
    }
    put(b, spaces[dice(5)]);
}

static void
damage(struct peal_buf *b)
{
    static const char bytes[] = "{}[],:\"\\ x\x01\x80\xc3-.";
    unsigned at = dice((unsigned)b->len);

    switch (dice(3)) {
    case 0: /* one byte less */
        memmove(b->data + at, b->data + at + 1, b->len - at - 1);
        b->len--;
        break;
    case 1: /* another byte */
        b->data[at] = bytes[dice(sizeof(bytes) - 1)];
        break;
    default: /* cut */
        b->len = at;
    }
}

static void
jansson_agrees_on_100000_documents(void **state)
{
    unsigned good = 0, bad = 0;

    for (int i = 0; i < 100000; i++) {
        struct peal_buf b = { 0 };
        json_t *doc;
        bool ours;

        generate(&b, 0);
        for (unsigned n = dice(3); n > 0 && b.len > 0; n--)
            damage(&b);
        doc = json_loadb(b.data, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        ours = peal_json_check(peal_buf_slice(&b)) == PEAL_OK;
        if (ours != (doc != NULL))
            fail_msg("document %d: ours %d: %.*s", i, ours, (int)b.len, b.data);
        *(ours ? &good : &bad) += 1;
        json_decref(doc);
        peal_buf_fini(&b);
    }
    CHECK(good > 20000);
    CHECK(bad > 20000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_what_rfc_8259_says),
        cmocka_unit_test(no_prefix_is_json_and_none_is_overrun),
        cmocka_unit_test(strings_end_where_they_end),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(arrays_and_objects_come_apart),
        cmocka_unit_test(fields_are_found_by_name),
        cmocka_unit_test(strings_are_quoted_and_unquoted),
        cmocka_unit_test(broken_escapes_stay_within_their_token),
        cmocka_unit_test(quoting_without_memory_changes_nothing),
        cmocka_unit_test(jansson_agrees_on_100000_documents),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* YAML trees: what is read, where it stands, what is refused, how it is written. */
#include "check.h"

#include "alloc.h"
#include "base/suggest.h"
#include "config/yaml.h"

static struct peal_yaml *
read_ok(const char *text)
{
    struct peal_buf why = { 0 };
    struct peal_yaml *y = NULL;
    peal_err err = peal_yaml_read(peal_slice_str(text), "f", &y, &why);

    if (err != PEAL_OK)
        print_error("%s: %.*s\n", text, (int)why.len, why.data);
    CHECK_OK(err);
    CHECK_INT(why.len, 0);
    return y;
}

static void
check_refused(const char *text, peal_err want, const char *message)
{
    struct peal_buf why = { 0 };
    struct peal_yaml *y = NULL;

    CHECK_ERR(peal_yaml_read(peal_slice_str(text), "f", &y, &why), want);
    CHECK(y == NULL);
    CHECK_SLICE(peal_buf_slice(&why), message);
    peal_buf_fini(&why);
}

static void
check_written(const char *text, const char *want)
{
    struct peal_yaml *y = read_ok(text);
    struct peal_buf out = { 0 };

    CHECK_OK(peal_yaml_write(y, &out));
    CHECK_SLICE(peal_buf_slice(&out), want);
    peal_buf_fini(&out);
    peal_yaml_free(&y);
}

static void
nodes_know_where_they_stand(void **state)
{
    struct peal_yaml *doc = read_ok("# a comment\n"
                                    "a: one\n"
                                    "b:\n"
                                    "  - x\n"
                                    "  - {k: v}\n");
    const struct peal_yaml *a = peal_yaml_get(doc, "a"), *b = peal_yaml_get(doc, "b");
    const struct peal_yaml *map;

    CHECK_INT(doc->n, 2);
    CHECK(a->kind == PEAL_YAML_SCALAR);
    CHECK_SLICE(peal_yaml_slice(a), "one");
    CHECK_INT(a->line, 2);
    CHECK_INT(a->column, 4);
    CHECK_INT(a->key->column, 1);
    CHECK(b->kind == PEAL_YAML_SEQ);
    CHECK_INT(b->n, 2);
    map = b->first->next;
    CHECK(map->kind == PEAL_YAML_MAP);
    CHECK_INT(map->line, 5);
    CHECK_INT(map->column, 5);
    CHECK_INT(map->first->column, 9);
    CHECK(peal_yaml_get(doc, "c") == NULL);
    CHECK(peal_yaml_get(b, "k") == NULL);
    peal_yaml_free(&doc);
    CHECK(doc == NULL);
    peal_yaml_free(&doc);
}

static void
an_empty_document_is_an_empty_map(void **state)
{
    const char *const texts[] = { "", "\n", "# only words\n", "---\n", "~", "null" };

    for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct peal_yaml *y = read_ok(texts[i]);

        CHECK(y->kind == PEAL_YAML_MAP);
        CHECK_INT(y->n, 0);
        peal_yaml_free(&y);
    }
}

static void
null_is_what_is_written_without_quotes(void **state)
{
    struct peal_yaml *y = read_ok("{a: , b: ~, c: null, d: '', e: 'null', f: nil}");
    const char *key[] = { "a", "b", "c", "d", "e", "f" };

    for (unsigned i = 0; i < 6; i++)
        CHECK_INT(peal_yaml_is_null(peal_yaml_get(y, key[i])), i < 3);
    peal_yaml_free(&y);
}

static void
booleans_have_six_words(void **state)
{
    struct peal_yaml *y = read_ok("[true, yes, on, false, no, off]");
    struct peal_yaml *other = read_ok("[True, '1', y, {}, '']");
    unsigned i = 0;
    bool on;

    for (const struct peal_yaml *v = y->first; v != NULL; v = v->next, i++) {
        CHECK_OK(peal_yaml_bool(v, &on));
        CHECK_INT(on, i < 3);
    }
    CHECK_INT(i, 6);
    for (const struct peal_yaml *v = other->first; v != NULL; v = v->next)
        CHECK_ERR(peal_yaml_bool(v, &on), PEAL_EINVAL);
    peal_yaml_free(&y);
    peal_yaml_free(&other);
}

static void
what_is_no_such_yaml_is_refused_with_its_place(void **state)
{
    check_refused(
        "a: 1\nb: 2\na: 3\n", PEAL_EINVAL, "f:3:1: a: duplicate key, first in line 1");
    check_refused("a: &x 1\n", PEAL_EINVAL, "f:1:4: anchors are not supported");
    check_refused("a: !!int 1\n", PEAL_EINVAL, "f:1:4: tags are not supported");
    check_refused("a: *x\n", PEAL_EINVAL,
        "f:1:4: aliases are not supported; quote a value that begins with *");
    check_refused("[a]: 1\n", PEAL_EINVAL, "f:1:1: a key must be a word");
    check_refused("{\"a\\0b\": 1}\n", PEAL_EINVAL, "f:1:2: a key with a zero byte");
    check_refused("--- a\n--- b\n", PEAL_EINVAL, "f:2:1: a second document");
    check_refused("a: b: c\n", PEAL_EINVAL,
        "f:1:5: mapping values are not allowed in this context");
    check_refused("a: [1, 2\n", PEAL_EINVAL, "f:2:1: did not find expected ',' or ']'");
}

static void
bytes_that_are_not_utf8_are_refused(void **state)
{
    struct peal_buf why = { 0 };
    struct peal_yaml *y = NULL;

    CHECK_ERR(peal_yaml_read(PEAL_S("a: \xff\n"), "f", &y, &why), PEAL_EINVAL);
    CHECK(why.len > 0 && memchr(why.data, '\n', why.len) == NULL);
    peal_buf_fini(&why);
}

static void
depth_nodes_and_bytes_are_bounded(void **state)
{
    struct peal_buf text = { 0 }, why = { 0 };
    struct peal_yaml *y = NULL;

    for (unsigned i = 0; i < PEAL_YAML_DEPTH_MAX; i++)
        CHECK_OK(peal_buf_add_char(&text, '['));
    for (unsigned i = 0; i < PEAL_YAML_DEPTH_MAX; i++)
        CHECK_OK(peal_buf_add_char(&text, ']'));
    CHECK_OK(peal_yaml_read(peal_buf_slice(&text), "f", &y, &why));
    peal_yaml_free(&y);
    text.data[PEAL_YAML_DEPTH_MAX] = '[';
    CHECK_ERR(peal_yaml_read(peal_buf_slice(&text), "f", &y, &why), PEAL_ELIMIT);
    CHECK_SLICE(peal_buf_slice(&why), "f:1:33: nested too deeply");

    text.len = why.len = 0;
    for (unsigned i = 0; i <= PEAL_YAML_NODES_MAX; i++)
        CHECK_OK(peal_buf_add_slice(&text, PEAL_S("- 1\n")));
    CHECK_ERR(peal_yaml_read(peal_buf_slice(&text), "f", &y, &why), PEAL_ELIMIT);
    CHECK_SLICE(peal_buf_slice(&why), "f:20000:3: too many values");

    text.len = why.len = 0;
    while (text.len <= PEAL_YAML_BYTES_MAX)
        CHECK_OK(peal_buf_add_slice(&text, PEAL_S("# nothing but words here\n")));
    CHECK_ERR(peal_yaml_read(peal_buf_slice(&text), "f", &y, &why), PEAL_ELIMIT);
    CHECK_SLICE(peal_buf_slice(&why), "f:1:1: larger than 1 MiB");
    peal_buf_fini(&text);
    peal_buf_fini(&why);
}

static void
a_tree_is_written_on_one_line(void **state)
{
    check_written("a:\n  - 1\n  - x y\nb: ~\n", "{a: [1, \"x y\"], b: null}");
    check_written("{a: 'null', b: '', c: []}", "{a: \"null\", b: \"\", c: []}");
    check_written("a: \"q\\\"\\\\\\n\"", "{a: \"q\\\"\\\\\\x0a\"}");
    check_written("\"a\\N\\L\\P\\uFEFF\\x7f\\u00e9\"",
        "\"a\\x85\\u2028\\u2029\\ufeff\\x7f\xc3\xa9\"");
    check_written("at: a/b:80", "{at: a/b:80}");
    check_written("- 'a, b'\n- '{'\n- 'a: b'\n", "[\"a, b\", \"{\", \"a: b\"]");
}

/* What is written is read again as the same: also a comma, a colon, a hash. */
static void
what_is_written_reads_as_the_same(void **state)
{
    struct peal_yaml *y =
        read_ok("{a: [x, 'y, z', \"\\t#\"], 'b: c': {d: /p/*, e: a#b}}");
    struct peal_yaml *again;
    struct peal_buf one = { 0 }, two = { 0 };

    CHECK_OK(peal_yaml_write(y, &one));
    CHECK_OK(peal_buf_add_char(&one, '\0'));
    again = read_ok(one.data);
    one.len--;
    CHECK_OK(peal_yaml_write(again, &two));
    CHECK_MEM(two.data, two.len, one.data, one.len);
    peal_yaml_free(&y);
    peal_yaml_free(&again);
    peal_buf_fini(&one);
    peal_buf_fini(&two);
}

static void
the_nearest_name_is_one_that_is_near(void **state)
{
    static const char *const names[] = { "listen", "log.level", "ws.ping_interval",
        "socketio.cors", "app", NULL };

    CHECK_SLICE(peal_slice_str(peal_text_suggest(PEAL_S("lisen"), names)), "listen");
    CHECK_SLICE(peal_slice_str(peal_text_suggest(PEAL_S("lsiten"), names)), "listen");
    CHECK_SLICE(
        peal_slice_str(peal_text_suggest(PEAL_S("log.levle"), names)), "log.level");
    CHECK_SLICE(peal_slice_str(peal_text_suggest(PEAL_S("ping_interval"), names)),
        "ws.ping_interval");
    CHECK(peal_text_suggest(PEAL_S("zebra"), names) == NULL);
    CHECK(peal_text_suggest(PEAL_S(""), names) == NULL);
    CHECK(peal_text_suggest(
              PEAL_S("listenlistenlistenlistenlistenlistenlistenlistenlistenlisten"
                     "listenlisten"),
              names) == NULL);
}

static void
without_memory_nothing_is_made(void **state)
{
    const char *text = "a: [1, {b: c}, 'd']\ne: f\n";
    long n = 0;

    for (;; n++) {
        struct peal_buf why = { 0 };
        struct peal_yaml *y = NULL;
        peal_err err;

        alloc_left = n;
        err = peal_yaml_read(peal_slice_str(text), "f", &y, &why);
        alloc_left = -1;
        peal_buf_fini(&why);
        if (err == PEAL_OK) {
            peal_yaml_free(&y);
            break;
        }
        CHECK_ERR(err, PEAL_ENOMEM);
        CHECK(y == NULL);
    }
    CHECK(n > 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_know_where_they_stand),
        cmocka_unit_test(an_empty_document_is_an_empty_map),
        cmocka_unit_test(null_is_what_is_written_without_quotes),
        cmocka_unit_test(booleans_have_six_words),
        cmocka_unit_test(what_is_no_such_yaml_is_refused_with_its_place),
        cmocka_unit_test(bytes_that_are_not_utf8_are_refused),
        cmocka_unit_test(depth_nodes_and_bytes_are_bounded),
        cmocka_unit_test(a_tree_is_written_on_one_line),
        cmocka_unit_test(what_is_written_reads_as_the_same),
        cmocka_unit_test(the_nearest_name_is_one_that_is_near),
        cmocka_unit_test(without_memory_nothing_is_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

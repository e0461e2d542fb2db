/* SPDX-License-Identifier: MIT */
/* Socket.IO packets, default parser: reading, refusing, building, placeholders. */
#include "check.h"

#include <stdio.h>

#include "alloc.h"
#include "base/json.h"
#include "wire/sio.h"

#define PH0 "{\"_placeholder\":true,\"num\":0}"
#define PH1 "{\"_placeholder\":true,\"num\":1}"
#define PH_TEXT "{\\\"_placeholder\\\":true,\\\"num\\\":9}"

struct good {
    const char *text;
    enum peal_sio_type type;
    unsigned n_atts, n_args;
    const char *nsp, *id, *payload, *event, *args; /* NULL: must not be there */
};

static const struct good good[] = {
    { "0", PEAL_SIO_CONNECT, 0, 0, "/", NULL, NULL, NULL, NULL },
    { "0/chat,{\"token\":\"123\"}", PEAL_SIO_CONNECT, 0, 0, "/chat", NULL,
        "{\"token\":\"123\"}", NULL, NULL },
    { "0/chat", PEAL_SIO_CONNECT, 0, 0, "/chat", NULL, NULL, NULL, NULL },
    { "0/,{}", PEAL_SIO_CONNECT, 0, 0, "/", NULL, "{}", NULL, NULL },
    { "0 { } ", PEAL_SIO_CONNECT, 0, 0, "/", NULL, "{ }", NULL, NULL },
    { "1", PEAL_SIO_DISCONNECT, 0, 0, "/", NULL, NULL, NULL, NULL },
    { "1/chat,", PEAL_SIO_DISCONNECT, 0, 0, "/chat", NULL, NULL, NULL, NULL },
    { "2[\"foo\",1]", PEAL_SIO_EVENT, 0, 1, "/", NULL, "[\"foo\",1]", "\"foo\"", "1" },
    { "2/chat,12[\"echo\",\"\xc3\xa9\"]", PEAL_SIO_EVENT, 0, 1, "/chat", "12",
        "[\"echo\",\"\xc3\xa9\"]", "\"echo\"", "\"\xc3\xa9\"" },
    { "2 [ \"a b\" , 1 , [ 2 ] ,{}] ", PEAL_SIO_EVENT, 0, 3, "/", NULL,
        "[ \"a b\" , 1 , [ 2 ] ,{}]", "\"a b\"", "1 , [ 2 ] ,{}" },
    { "2[\"none\"]", PEAL_SIO_EVENT, 0, 0, "/", NULL, "[\"none\"]", "\"none\"", NULL },
    { "2[1,2]", PEAL_SIO_EVENT, 0, 1, "/", NULL, "[1,2]", "1", "2" },
    { "2[-1.5e3]", PEAL_SIO_EVENT, 0, 0, "/", NULL, "[-1.5e3]", "-1.5e3", NULL },
    { "2[\"\"]", PEAL_SIO_EVENT, 0, 0, "/", NULL, "[\"\"]", "\"\"", NULL },
    { "2[\"connected\"]", PEAL_SIO_EVENT, 0, 0, "/", NULL, "[\"connected\"]",
        "\"connected\"", NULL },
    { "2[\"p\"," PH1 "]", PEAL_SIO_EVENT, 0, 1, "/", NULL, "[\"p\"," PH1 "]", "\"p\"",
        PH1 },
    { "299999999999999999999[\"x\"]", PEAL_SIO_EVENT, 0, 0, "/", "99999999999999999999",
        "[\"x\"]", "\"x\"", NULL },
    { "3/chat,12[\"\xc3\xa9\"]", PEAL_SIO_ACK, 0, 1, "/chat", "12", "[\"\xc3\xa9\"]",
        NULL, "\"\xc3\xa9\"" },
    { "30[]", PEAL_SIO_ACK, 0, 0, "/", "0", "[]", NULL, NULL },
    { "35[\"connect\",null]", PEAL_SIO_ACK, 0, 2, "/", "5", "[\"connect\",null]", NULL,
        "\"connect\",null" },
    { "4/chat,{\"message\":\"no\"}", PEAL_SIO_CONNECT_ERROR, 0, 0, "/chat", NULL,
        "{\"message\":\"no\"}", NULL, NULL },
    { "4\"no\"", PEAL_SIO_CONNECT_ERROR, 0, 0, "/", NULL, "\"no\"", NULL, NULL },
    { "52-9[\"echo\"," PH1 "," PH0 "]", PEAL_SIO_EVENT, 2, 2, "/", "9",
        "[\"echo\"," PH1 "," PH0 "]", "\"echo\"", PH1 "," PH0 },
    { "51-/a,[\"b\",1]", PEAL_SIO_EVENT, 1, 1, "/a", NULL, "[\"b\",1]", "\"b\"", "1" },
    { "510-[\"b\",{\"num\":9,\"_placeholder\":true}]", PEAL_SIO_EVENT, 10, 1, "/", NULL,
        "[\"b\",{\"num\":9,\"_placeholder\":true}]", "\"b\"",
        "{\"num\":9,\"_placeholder\":true}" },
    { "62-9[" PH0 "," PH1 "]", PEAL_SIO_ACK, 2, 2, "/", "9", "[" PH0 "," PH1 "]", NULL,
        PH0 "," PH1 },
};

static void
check_part(struct peal_slice got, const char *want)
{
    if (want == NULL)
        CHECK_INT(got.len, 0);
    else
        CHECK_SLICE(got, want);
}

static void
packets_come_apart(void **state)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        const struct good *g = &good[i];
        struct peal_sio_packet p;
        peal_err err = peal_sio_parse(peal_slice_str(g->text), &p);

        if (err != PEAL_OK)
            fail_msg("refused (%d): %s", (int)err, g->text);
        CHECK_INT(p.type, g->type);
        CHECK_INT(p.binary, g->n_atts > 0);
        CHECK_INT(p.n_atts, g->n_atts);
        CHECK_INT(p.n_args, g->n_args);
        CHECK(!p.ignore);
        CHECK_SLICE(p.nsp, g->nsp);
        check_part(p.id, g->id);
        CHECK_INT(p.id.data == NULL, g->id == NULL);
        check_part(p.payload, g->payload);
        check_part(p.event, g->event);
        check_part(p.args, g->args);
        CHECK_INT(peal_json_count(p.args), p.n_args);
    }
}

static void
what_node_refuses_is_refused(void **state)
{
    static const char *const bad[] = { "", "7", "a", "2abc", "2{}", "2[]", "2[\"a",
        "2abc[\"x\"]", "2[\"disconnect\"]", "0[1]", "0\"x\"", "0null", "0{", "0{}x",
        "1{}", "1[]", "2[null]", "2[true]", "2[{}]", "2[[\"x\"]]", "2\"x\"", "2[\"x\"]]",
        "2[\"x\",]", "2[\"x\" 1]", "2[,\"x\"]", "2 ", "2[\"x\"", "2[\"\xff\"]",
        "2[\"\x1e\"]", "2[\"x\"]\x1e", "3{}", "3[1", "3\"x\"", "51[\"x\"]", "50-[\"x\"]",
        "5-[\"x\"]", "5[\"x\"]", "51-", "51-9", "5", "6", "61", "61-", "4", "4[]", "41",
        "51-[\"x\"," PH1 "]", "61-[" PH1 "]", "51-[" PH0 "]",
        "51-[\"x\",{\"_placeholder\":true}]",
        "51-[\"x\",{\"_placeholder\":true,\"num\":-1}]",
        "51-[\"x\",{\"_placeholder\":true,\"num\":\"0\"}]",
        "51-[\"x\",[{\"a\":{\"_placeholder\":true,\"num\":7}}]]", "2/\x01,[\"x\"]",
        "2/a\x1e,[\"x\"]", "2/\xff,[\"x\"]", "2/\x7f,[\"x\"]", "2[\"connect\"]",
        "2[\"connect_error\"]", "2[\"disconnecting\"]", "2[\"newListener\"]",
        "2[\"removeListener\",1]", "2[\"\\u0063onnect\"]", "2[\"dis\\u0063onnect\"]" };
    struct peal_sio_packet p;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (peal_sio_parse(peal_slice_str(bad[i]), &p) != PEAL_EPROTO)
            fail_msg("taken: %s", bad[i]);
    CHECK_ERR(peal_sio_parse(peal_slice_of("2[\"a\0\"]", 7), &p), PEAL_EPROTO);
}

static void
an_event_without_payload_means_nothing(void **state)
{
    static const char *const texts[] = { "2", "2/chat,", "2/chat", "212", "2/chat,12" };
    struct peal_sio_packet p;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        CHECK_OK(peal_sio_parse(peal_slice_str(texts[i]), &p));
        CHECK(p.ignore);
    }
}

static void
limits_are_limits(void **state)
{
    char text[PEAL_SIO_NSP_MAX + 40];
    char deep[2 * PEAL_JSON_DEPTH_MAX + 16];
    struct peal_sio_packet p;
    int n = PEAL_JSON_DEPTH_MAX;

    snprintf(text, sizeof(text), "2/%0*d,[\"x\"]", PEAL_SIO_NSP_MAX - 1, 0);
    CHECK_OK(peal_sio_parse(peal_slice_str(text), &p));
    CHECK_INT(p.nsp.len, PEAL_SIO_NSP_MAX);
    snprintf(text, sizeof(text), "2/%0*d,[\"x\"]", PEAL_SIO_NSP_MAX, 0);
    CHECK_ERR(peal_sio_parse(peal_slice_str(text), &p), PEAL_ELIMIT);
    CHECK_ERR(peal_sio_parse(PEAL_S("2123456789012345678901[\"x\"]"), &p), PEAL_ELIMIT);
    CHECK_ERR(peal_sio_parse(PEAL_S("511-[\"x\"]"), &p), PEAL_ELIMIT);
    CHECK_ERR(peal_sio_parse(PEAL_S("599999999999999999999-[\"x\"]"), &p), PEAL_ELIMIT);

    memcpy(deep, "51-[0,", 6);
    memset(deep + 6, '[', (size_t)n);
    memset(deep + 6 + n, ']', (size_t)n);
    deep[6 + 2 * n] = ']';
    CHECK_OK(peal_sio_parse(peal_slice_of(deep, 7 + 2 * (size_t)n), &p));
    memmove(deep + 7 + n, deep + 6 + n, (size_t)n);
    deep[6 + n] = '[';
    deep[7 + 2 * n] = deep[8 + 2 * n] = ']';
    CHECK_ERR(peal_sio_parse(peal_slice_of(deep, 9 + 2 * (size_t)n), &p), PEAL_ELIMIT);
}

/* In memory of exactly that size, so that ASan sees a read beyond it. An event or an ack
 * is complete with its last bracket, and until its payload starts. */
static void
no_prefix_is_overrun_or_taken_for_more(void **state)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        size_t len = strlen(good[i].text);

        for (size_t n = 0; n < len; n++) {
            char *exact = malloc(n + 1);
            struct peal_sio_packet p;

            memcpy(exact + 1, good[i].text, n);
            if (peal_sio_parse(peal_slice_of(exact + 1, n), &p) == PEAL_OK &&
                p.payload.len > 0 && good[i].text[len - 1] != ' ')
                fail_msg("taken: %.*s", (int)n, good[i].text);
            free(exact);
        }
    }
}

static void
placeholders_are_objects_whose_last_mark_is_true(void **state)
{
    static const struct {
        const char *args;
        unsigned n_atts;
        peal_err err;
        uint32_t used;
    } cases[] = { { "", 0, PEAL_OK, 0 }, { "1,\"a\",[{}]", 2, PEAL_OK, 0 },
        { PH0, 1, PEAL_OK, 1 }, { PH1 "," PH0, 2, PEAL_OK, 3 }, { PH1, 2, PEAL_OK, 2 },
        { PH0 "," PH0, 1, PEAL_OK, 1 }, { PH1, 1, PEAL_EPROTO, 0 },
        { PH0, 0, PEAL_EPROTO, 0 },
        { "[[{\"a\":[1,{\"b\":" PH1 ",\"c\":2}]}]]", 2, PEAL_OK, 2 },
        { " { \"num\" : 1 , \"_placeholder\" : true } ", 2, PEAL_OK, 2 },
        { "{\"_placeholder\":true,\"num\":0,\"more\":[1]}", 1, PEAL_OK, 1 },
        { "{\"_placeholder\":false,\"num\":9}", 1, PEAL_OK, 0 },
        { "{\"_placeholder\":1,\"num\":9}", 1, PEAL_OK, 0 },
        { "{\"_placeholder\":\"true\",\"num\":9}", 1, PEAL_OK, 0 },
        { "{\"_placeholder\":true,\"_placeholder\":false,\"num\":9}", 1, PEAL_OK, 0 },
        { "{\"_placeholder\":false,\"_placeholder\":true,\"num\":0}", 1, PEAL_OK, 1 },
        { "{\"_placeholder\":true,\"num\":5,\"num\":0}", 1, PEAL_OK, 1 },
        { "{\"_placeholder\":true,\"num\":0,\"num\":{}}", 1, PEAL_EPROTO, 0 },
        { "{\"_placeholder\":[true],\"num\":9}", 1, PEAL_OK, 0 },
        { "{\"_plac\\u0065holder\":true,\"n\\u0075m\":0}", 1, PEAL_OK, 1 },
        { "[\"_placeholder\",true,\"num\",9]", 1, PEAL_OK, 0 },
        { "{\"a\":\"_placeholder\",\"b\":true}", 1, PEAL_OK, 0 },
        { "{\"_placeholder\":{\"_placeholder\":true,\"num\":0}}", 1, PEAL_OK, 1 },
        /* What is inside of one is not looked at: neither missing nor used. */
        { "{\"x\":" PH1 ",\"_placeholder\":true,\"num\":0}", 1, PEAL_OK, 1 },
        { "{\"x\":" PH1 ",\"_placeholder\":true,\"num\":0}", 2, PEAL_OK, 1 } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint32_t used = 99;

        if (peal_sio_check_placeholders(
                peal_slice_str(cases[i].args), cases[i].n_atts, &used) != cases[i].err)
            fail_msg("case %zu: %s", i, cases[i].args);
        if (cases[i].err == PEAL_OK)
            CHECK_INT(used, cases[i].used);
        CHECK_ERR(peal_sio_check_placeholders(
                      peal_slice_str(cases[i].args), cases[i].n_atts, NULL),
            cases[i].err);
    }
}

static void
placeholders_are_counted(void **state)
{
    unsigned n = 99;

    CHECK_OK(peal_sio_count_placeholders(PEAL_S(""), 1, &n));
    CHECK_INT(n, 0);
    CHECK_OK(peal_sio_count_placeholders(PEAL_S("[" PH0 "],{\"a\":" PH0 "},1"), 1, &n));
    CHECK_INT(n, 2);
    CHECK_OK(peal_sio_count_placeholders(
        PEAL_S("{\"x\":[" PH0 "," PH1 "],\"_placeholder\":true,\"num\":0}," PH1), 2, &n));
    CHECK_INT(n, 2);
    CHECK_ERR(peal_sio_count_placeholders(PEAL_S(PH0 "," PH1), 1, &n), PEAL_EPROTO);
}

static void
one_value_is_a_placeholder_or_not(void **state)
{
    unsigned num = 99;

    CHECK(peal_sio_is_placeholder(PEAL_S(PH1), &num));
    CHECK_INT(num, 1);
    CHECK(peal_sio_is_placeholder(
        PEAL_S("{\"num\":0,\"_placeholder\":true,\"x\":1}"), &num));
    CHECK_INT(num, 0);
    CHECK(!peal_sio_is_placeholder(PEAL_S("{}"), &num));
    CHECK(!peal_sio_is_placeholder(PEAL_S(""), &num));
    CHECK(!peal_sio_is_placeholder(PEAL_S("[" PH0 "]"), &num));
    CHECK(!peal_sio_is_placeholder(PEAL_S("{\"a\":" PH0 "}"), &num));
    CHECK(!peal_sio_is_placeholder(PEAL_S("{\"_placeholder\":true}"), &num));
    CHECK(!peal_sio_is_placeholder(PEAL_S("{\"_placeholder\":true,\"num\":1.5}"), &num));
    CHECK(!peal_sio_is_placeholder(PEAL_S("{\"_placeholder\":null,\"num\":1}"), &num));
}

static void
attachments_become_strings_in_their_places(void **state)
{
    struct peal_blob *atts[] = { peal_blob_copy(PEAL_S("\x01\x02\x03")),
        peal_blob_copy(PEAL_S("")) };
    static const struct {
        const char *args, *want;
    } cases[] = { { "", "" }, { "1, 2", "1, 2" }, { PH0, "\"AQID\"" }, { PH1, "\"\"" },
        { "[ " PH0 " , {\"a\":" PH1 "}]," PH0, "[ \"AQID\" , {\"a\":\"\"}],\"AQID\"" },
        { "{\"x\":" PH1 ",\"_placeholder\":true,\"num\":0},1", "\"AQID\",1" },
        { "{\"_placeholder\":false,\"num\":9}", "{\"_placeholder\":false,\"num\":9}" },
        { "\"" PH_TEXT "\"", "\"" PH_TEXT "\"" } };
    struct peal_buf b = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        b.len = 0;
        CHECK_OK(peal_sio_inline(&b, peal_slice_str(cases[i].args), atts, 2));
        CHECK_SLICE(peal_buf_slice(&b), cases[i].want);
    }
    b.len = 0;
    CHECK_OK(peal_buf_add(&b, "x", 1));
    CHECK_ERR(peal_sio_inline(&b, PEAL_S("[1," PH0 "," PH1 "]"), atts, 1), PEAL_EPROTO);
    CHECK_SLICE(peal_buf_slice(&b), "x");
    peal_buf_fini(&b);
    peal_blob_release(atts[0]);
    peal_blob_release(atts[1]);
}

static unsigned
count(struct peal_slice s, const char *word)
{
    size_t len = strlen(word);
    unsigned n = 0;

    for (size_t i = 0; i + len <= s.len; i++)
        n += memcmp(s.data + i, word, len) == 0;
    return n;
}

/* 300 references to an attachment of 150 kB would be 60 MB of text. */
static void
a_repeated_attachment_has_a_budget(void **state)
{
    struct peal_blob *att = peal_blob_new(150000);
    struct peal_buf args = { 0 }, out = { 0 };
    unsigned nulls;

    memset(att->data, 0, att->len);
    for (unsigned i = 0; i < 300; i++)
        CHECK_OK(peal_buf_add_slice(&args, i > 0 ? PEAL_S("," PH0) : PEAL_S(PH0)));
    CHECK_OK(peal_sio_inline(&out, peal_buf_slice(&args), &att, 1));
    CHECK_OK(peal_json_check(
        peal_slice_of(out.data, 200002))); /* the first one, whole, is a string */
    CHECK_INT(peal_json_count(peal_buf_slice(&out)), 300);
    nulls = count(peal_buf_slice(&out), "null");
    CHECK_INT(nulls, 300 - 1 - PEAL_SIO_REPEAT_MAX / 200000);
    peal_buf_fini(&args);
    peal_buf_fini(&out);
    peal_blob_release(att);
}

static void
packets_are_built_as_node_builds_them(void **state)
{
    struct peal_slice none = PEAL_S(""), chat = PEAL_S("/chat");
    struct peal_buf b = { 0 };

#define BUILT(call, want)                                                                \
    do {                                                                                 \
        b.len = 0;                                                                       \
        CHECK_OK(call);                                                                  \
        CHECK_SLICE(peal_buf_slice(&b), want);                                           \
    } while (0)

    BUILT(peal_sio_event(
              &b, PEAL_SIO_MESSAGE, none, none, PEAL_S("\"foo\""), PEAL_S("1"), 0),
        "42[\"foo\",1]");
    BUILT(peal_sio_event(&b, PEAL_SIO_PACKET, PEAL_S("/"), none, none, none, 0),
        "2[\"message\"]");
    BUILT(peal_sio_event(&b, PEAL_SIO_MESSAGE, chat, PEAL_S("12"), PEAL_S("\"echo\""),
              PEAL_S("\"\xc3\xa9\""), 0),
        "42/chat,12[\"echo\",\"\xc3\xa9\"]");
    BUILT(peal_sio_event(&b, PEAL_SIO_MESSAGE, none, PEAL_S("9"), PEAL_S("\"echo\""),
              PEAL_S(PH1 "," PH0), 2),
        "452-9[\"echo\"," PH1 "," PH0 "]");
    BUILT(peal_sio_event(&b, PEAL_SIO_PACKET, chat, none, PEAL_S("7"), PEAL_S(PH0), 10),
        "510-/chat,[7," PH0 "]");
    BUILT(
        peal_sio_ack(&b, PEAL_SIO_MESSAGE, chat, PEAL_S("12"), PEAL_S("\"\xc3\xa9\""), 0),
        "43/chat,12[\"\xc3\xa9\"]");
    BUILT(peal_sio_ack(&b, PEAL_SIO_MESSAGE, none, PEAL_S("0"), none, 0), "430[]");
    BUILT(peal_sio_ack(&b, PEAL_SIO_MESSAGE, none, PEAL_S("9"), PEAL_S(PH0 "," PH1), 2),
        "462-9[" PH0 "," PH1 "]");
    BUILT(peal_sio_connected(&b, PEAL_SIO_MESSAGE, none, PEAL_S("abc"), none),
        "40{\"sid\":\"abc\"}");
    BUILT(peal_sio_connected(&b, PEAL_SIO_PACKET, chat, PEAL_S("abc"), PEAL_S("def")),
        "0/chat,{\"sid\":\"abc\",\"pid\":\"def\"}");
    BUILT(peal_sio_refused(
              &b, PEAL_SIO_MESSAGE, PEAL_S("/nope"), PEAL_S("Invalid namespace"), none),
        "44/nope,{\"message\":\"Invalid namespace\"}");
    BUILT(peal_sio_refused(&b, PEAL_SIO_MESSAGE, chat, PEAL_S("not \"it\""),
              PEAL_S("{\"content\":\"retry later\"}")),
        "44/chat,{\"message\":\"not \\\"it\\\"\",\"data\":{\"content\":\"retry "
        "later\"}}");
    BUILT(peal_sio_disconnect(&b, PEAL_SIO_MESSAGE, PEAL_S("/")), "41");
    BUILT(peal_sio_disconnect(&b, PEAL_SIO_MESSAGE, chat), "41/chat,");
#undef BUILT
    peal_buf_fini(&b);
}

/* Every event and ack that can be read is built again as the same bytes, but for the
 * white space around its items. */
static void
what_is_read_is_built_again(void **state)
{
    struct peal_buf b = { 0 };

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct peal_sio_packet p;

        CHECK_OK(peal_sio_parse(peal_slice_str(good[i].text), &p));
        b.len = 0;
        if (p.type == PEAL_SIO_EVENT)
            CHECK_OK(peal_sio_event(
                &b, PEAL_SIO_PACKET, p.nsp, p.id, p.event, p.args, p.n_atts));
        else if (p.type == PEAL_SIO_ACK)
            CHECK_OK(peal_sio_ack(&b, PEAL_SIO_PACKET, p.nsp, p.id, p.args, p.n_atts));
        else
            continue;
        if (good[i].text[1] != ' ')
            CHECK_SLICE(peal_buf_slice(&b), good[i].text);
    }
    peal_buf_fini(&b);
}

static peal_err
build(struct peal_buf *b, int what, struct peal_blob **att)
{
    struct peal_slice nsp = PEAL_S("/chat-with-a-rather-long-name-to-make-it-grow-a-lot-"
                                   "more-than-the-first-size-of-a-buffer");
    struct peal_slice none = PEAL_S("");

    switch (what) {
    case 0:
        return peal_sio_event(b, PEAL_SIO_MESSAGE, nsp, none, none, PEAL_S("1"), 0);
    case 1:
        return peal_sio_ack(b, PEAL_SIO_MESSAGE, nsp, PEAL_S("1"), PEAL_S("1"), 0);
    case 2:
        return peal_sio_connected(b, PEAL_SIO_MESSAGE, nsp, nsp, nsp);
    case 3:
        return peal_sio_refused(b, PEAL_SIO_MESSAGE, nsp, nsp, nsp);
    case 4:
        return peal_sio_disconnect(b, PEAL_SIO_MESSAGE, nsp);
    default:
        return peal_sio_inline(b, PEAL_S("[[" PH0 "],{\"a\":" PH0 "}]"), att, 1);
    }
}

static void
building_without_memory_changes_nothing(void **state)
{
    struct peal_blob *att = peal_blob_new(500);
    struct peal_buf b = { 0 };

    memset(att->data, 7, att->len);
    for (int what = 0; what < 6; what++) {
        peal_err err = PEAL_ENOMEM;

        for (long n = 0; err == PEAL_ENOMEM; n++) {
            peal_buf_fini(&b);
            CHECK_OK(peal_buf_add(&b, "x", 1));
            alloc_left = n;
            err = build(&b, what, &att);
            alloc_left = -1;
            if (err == PEAL_ENOMEM)
                CHECK_SLICE(peal_buf_slice(&b), "x");
            else
                CHECK(n > 0);
        }
        CHECK_OK(err);
    }
    peal_buf_fini(&b);
    peal_blob_release(att);
}

/* Parsing allocates nothing at all. */
static void
parsing_needs_no_memory(void **state)
{
    struct peal_sio_packet p;
    peal_err err;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        alloc_left = 0;
        err = peal_sio_parse(peal_slice_str(good[i].text), &p);
        alloc_left = -1;
        CHECK_OK(err);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_come_apart),
        cmocka_unit_test(what_node_refuses_is_refused),
        cmocka_unit_test(an_event_without_payload_means_nothing),
        cmocka_unit_test(limits_are_limits),
        cmocka_unit_test(no_prefix_is_overrun_or_taken_for_more),
        cmocka_unit_test(placeholders_are_objects_whose_last_mark_is_true),
        cmocka_unit_test(placeholders_are_counted),
        cmocka_unit_test(one_value_is_a_placeholder_or_not),
        cmocka_unit_test(attachments_become_strings_in_their_places),
        cmocka_unit_test(a_repeated_attachment_has_a_budget),
        cmocka_unit_test(packets_are_built_as_node_builds_them),
        cmocka_unit_test(what_is_read_is_built_again),
        cmocka_unit_test(building_without_memory_changes_nothing),
        cmocka_unit_test(parsing_needs_no_memory),
    };

    return cmocka_run_group_tests_name("sio", tests, NULL, NULL);
}

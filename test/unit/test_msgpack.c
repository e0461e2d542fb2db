/* SPDX-License-Identifier: MIT */
/* MessagePack to JSON and back, and the packets of the msgpack parser. Vectors were taken
 * from the wire of Node servers (adapter 8.3.0, msgpack parser 3.0.2). */
#include "check.h"

#include <stdio.h>

#include "alloc.h"
#include "base/json.h"
#include "wire/msgpack.h"
#include "wire/sio_msgpack.h"

#define PH0 "{\"_placeholder\":true,\"num\":0}"
#define PH1 "{\"_placeholder\":true,\"num\":1}"

/* The bytes of a text in hexadecimal; the buffer is the caller's. */
static struct peal_buf
unhex(const char *text)
{
    struct peal_buf b = { 0 };
    unsigned byte;

    for (; *text != '\0'; text += 2) {
        CHECK_INT(sscanf(text, "%2x", &byte), 1);
        CHECK_OK(peal_buf_add_char(&b, (char)byte));
    }
    return b;
}

/* One value, all of it, as JSON. */
static peal_err
to_json(struct peal_slice bytes, struct peal_buf *out, struct peal_msgpack_atts *atts)
{
    peal_err err = peal_msgpack_to_json(&bytes, out, atts);

    if (err == PEAL_OK)
        CHECK_INT(bytes.len, 0);
    return err;
}

static const struct {
    const char *name, *hex;
} wire[] = {
    { "A1", "93a64c756c6d766483a47479706502a46461746193a2686901a178a36e7370a12f83a5726f6f"
            "6d7390a665786365707490a5666c61677380" },
    { "A2", "93a64c756c6d766483a47479706502a46461746193a5677265657482a16101a16293c3c0cb3f"
            "f8000000000000a668c3a96c6c6fa36e7370a12f83a5726f6f6d7391a46e657773a665786365"
            "707491a56d75746564a5666c61677380" },
    { "A3", "93a64c756c6d766483a47479706502a46461746191a374776fa36e7370a12f83a5726f6f6d73"
            "92a46e657773a573706f7274a665786365707490a5666c61677380" },
    { "A4", "93a64c756c6d766483a47479706502a46461746193a362696ec4040102030481a16ec402fffe"
            "a36e7370a12f83a5726f6f6d7391a46e657773a665786365707490a5666c61677380" },
    { "A5", "93a64c756c6d766483a47479706502a46461746191a176a36e7370a12f83a5726f6f6d7391a4"
            "6e657773a665786365707490a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373"
            "c2" },
    { "A6", "93a657545a77333983a47479706502a46461746197a16dcd012cce00011170ffd1ff38cf0000"
            "00012a05f200cb3ff4000000000000a36e7370a52f6368617483a5726f6f6d7391a27231a665"
            "786365707490a5666c61677380" },
    { "A8", "85a3756964a64c756c6d7664a9726571756573744964a64a386d644472a47479706507a67061"
            "636b657483a47479706502a46461746192a361736ba171a36e7370a12fa46f70747383a5726f"
            "6f6d7391a46e657773a665786365707490a5666c61677381a774696d656f7574cd03e8" },
    { "A9",
        "83a47479706509a9726571756573744964a64a386d644472a67061636b6574a661636b2d6332" },
    { "A10",
        "85a3756964a64c756c6d7664a9726571756573744964a64b504b72544ba47479706507a67061"
        "636b657483a47479706502a46461746192a36f6e6501a36e7370a12fa46f70747383a5726f6f"
        "6d7391b47a327a54633463426249547a3545506641414142a665786365707490a5666c616773"
        "82b465787065637453696e676c65526573706f6e7365c3a774696d656f7574cd0320" },
    { "A11",
        "83a47479706509a9726571756573744964a64b504b72544ba67061636b6574a661636b2d6332" },
    { "A12",
        "93a64c756c6d766483a47479706502a46461746191a26263a36e7370a12f83a5726f6f6d7390"
        "a665786365707491b444774169594f6f6c6b394742624b336a41414141a5666c61677380" },
    { "A13",
        "93a64c756c6d766483a47479706502a46461746191a2706da36e7370a12f83a5726f6f6d7391"
        "b47a327a54633463426249547a3545506641414142a665786365707490a5666c61677380" },
    { "A14",
        "93a64c756c6d766483a47479706502a46461746191a36e756da36e7370a12f83a5726f6f6d73"
        "912aa665786365707490a5666c61677380" },
    { "A15",
        "93a7656d697474657283a47479706502a46461746192a474696d65a36e6f77a36e7370a12f83"
        "a5726f6f6d7390a5666c61677380a665786365707490" },
    { "A16",
        "93a7656d697474657283a47479706502a46461746192a178c4026162a36e7370a12f83a5726f"
        "6f6d7391a46e657773a5666c61677380a665786365707491a56d75746564" },
    { "A17",
        "93a7656d697474657283a47479706502a46461746191a179a36e7370a52f6368617483a5726f"
        "6f6d7392a161a162a5666c61677381a8766f6c6174696c65c3a665786365707490" },
    { "B1", "84a47479706503a46461746182a67061636b657482a47479706502a46461746192a362696ec4"
            "0401020304a46f70747383a5726f6f6d7391a46e657773a665786365707490a5666c61677380"
            "a3756964b032396430366162373736363932663530a36e7370a12f" },
    { "B2", "84a47479706507a46461746182a46f70747383a5726f6f6d7391a46e657773a6657863657074"
            "90a5666c61677380a9726571756573744964b036313265623231306162343836343432a37569"
            "64b061326138313237363938376233333130a36e7370a12f" },
    { "B3", "84a47479706509a46461746181a67061636b657492a568656c6c6fa177a3756964b061326138"
            "313237363938376233333130a36e7370a12f" },
    { "B4", "84a47479706509a46461746182a9726571756573744964b03837393366363766366461343532"
            "3438a67061636b657492a568656c6c6fa177a3756964b0613261383132373639383762333331"
            "30a36e7370a12f" },
    { "B5", "84a4747970650aa46461746182a9726571756573744964b03837393366363766366461343532"
            "3438a67061636b6574ab706f6e672d66726f6d2d42a3756964b0346163383965366137303830"
            "33326139a36e7370a12f" },
    { "B6", "84a47479706503a46461746183a67061636b657482a47479706502a46461746192a361736ba1"
            "71a9726571756573744964b036643965623564376533623930353464a46f70747383a5726f6f"
            "6d7391a46e657773a665786365707490a5666c61677381a774696d656f7574cd03e8a3756964"
            "b061326138313237363938376233333130a36e7370a12f" },
    { "B7", "84a4747970650ba46461746182a9726571756573744964b03664396562356437653362393035"
            "3464ab636c69656e74436f756e7401a3756964b034616338396536613730383033326139a36e"
            "7370a12f" },
    { "B8", "84a4747970650ca46461746182a9726571756573744964b03664396562356437653362393035"
            "3464a67061636b6574a661636b2d6332a3756964b034616338396536613730383033326139a3"
            "6e7370a12f" },
};

static void
what_node_writes_is_read_and_written_again(void **state)
{
    for (size_t i = 0; i < sizeof(wire) / sizeof(*wire); i++) {
        struct peal_buf bytes = unhex(wire[i].hex), json = { 0 }, again = { 0 };
        struct peal_msgpack_atts atts = { 0 };
        struct peal_slice rest = peal_buf_slice(&bytes);

        CHECK_OK(to_json(rest, &json, &atts));
        CHECK_OK(peal_json_check(peal_buf_slice(&json)));
        CHECK_OK(
            peal_msgpack_from_json(&again, peal_buf_slice(&json), atts.blobs, atts.n));
        if (!peal_slice_eq(peal_buf_slice(&again), peal_buf_slice(&bytes)))
            fail_msg("%s is not the same: %.*s", wire[i].name, (int)json.len, json.data);
        CHECK_OK(peal_msgpack_skip(&rest));
        CHECK_INT(rest.len, 0);
        peal_msgpack_atts_fini(&atts);
        CHECK_INT(atts.n, 0);
        peal_buf_fini(&bytes);
        peal_buf_fini(&json);
        peal_buf_fini(&again);
    }
}

/* Every kind of value, by hand: what it says in JSON, and how JSON is written. */
static const struct {
    const char *hex, *json;
    bool both; /* JSON becomes these bytes again */
} values[] = { { "c0", "null", true }, { "c2", "false", true }, { "c3", "true", true },
    { "00", "0", true }, { "7f", "127", true }, { "cc80", "128", true },
    { "ccff", "255", true }, { "cd0100", "256", true }, { "cdffff", "65535", true },
    { "ce00010000", "65536", true }, { "ceffffffff", "4294967295", true },
    { "cf0000000100000000", "4294967296", true },
    { "cfffffffffffffffff", "18446744073709551615", true }, { "ff", "-1", true },
    { "e0", "-32", true }, { "d0df", "-33", true }, { "d080", "-128", true },
    { "d1ff7f", "-129", true }, { "d18000", "-32768", true },
    { "d2ffff7fff", "-32769", true }, { "d280000000", "-2147483648", true },
    { "d3ffffffff7fffffff", "-2147483649", true },
    { "d38000000000000001", "-9223372036854775807", true },
    { "d38000000000000000", "-9223372036854775808", true }, { "d005", "5", false },
    { "cd0001", "1", false }, { "ca3f800000", "1", false },
    { "ca3fc00000", "1.5", false }, { "ca3dcccccd", "0.10000000149011612", false },
    { "cb3ff8000000000000", "1.5", true }, { "cb3fb999999999999a", "0.1", true },
    { "cbbff4000000000000", "-1.25", true },
    { "cb4340000000000000", "9007199254740992", false },
    { "cb408f400000000000", "1000", false }, { "cb8000000000000000", "0", false },
    { "cb7ff0000000000000", "null", false }, { "cb7ff8000000000000", "null", false },
    { "cb7fefffffffffffff", "1.7976931348623157e+308", true },
    { "cb0000000000000001", "4.94065645841247e-324", true }, { "a0", "\"\"", true },
    { "a16b", "\"k\"", true }, { "a568c3a96c6c", "\"h\xc3\xa9ll\"", true },
    { "a3e282ac", "\"\xe2\x82\xac\"", true }, { "a3220a1e", "\"\\\"\\n\\u001e\"", true },
    { "d90161", "\"a\"", false }, { "da000161", "\"a\"", false },
    { "db0000000161", "\"a\"", false }, { "a1ff", NULL, false },
    { "a3eda080", NULL, false }, { "90", "[]", true },
    { "9301a16190", "[1,\"a\",[]]", true }, { "dc000101", "[1]", false },
    { "dd0000000101", "[1]", false }, { "80", "{}", true },
    { "82a16101a16281a163c0", "{\"a\":1,\"b\":{\"c\":null}}", true },
    { "8107a161", "{\"7\":\"a\"}", false }, { "de0001a16101", "{\"a\":1}", false },
    { "df00000001a16101", "{\"a\":1}", false }, { "81c001", NULL, false },
    { "81ff01", NULL, false }, { "819001", NULL, false }, { "c40101", PH0, true },
    { "c50001ff", PH0, false }, { "c60000000100", PH0, false },
    { "92c40101c40102", "[" PH0 "," PH1 "]", true }, { "c1", NULL, false },
    /* Extensions: undefined, bytes and dates of the old library, timestamps, unknown. */
    { "d40000", "null", false }, { "c702000506", PH0, false }, { "c70000", PH0, false },
    { "c80001007f", PH0, false }, { "c9000000010009", PH0, false },
    { "d50001ff", PH0, false }, { "c708000000018cc251f400", PH0, false },
    { "d7000000018cc251f400", "\"2024-01-01T00:00:00.000Z\"", false },
    { "d700ffffffffffffffff", "\"1969-12-31T23:59:59.999Z\"", false },
    { "d7008000000000000000", "null", false }, { "d7007fffffffffffffff", "null", false },
    { "d6ff65920080", "\"2024-01-01T00:00:00.000Z\"", false },
    { "d7ff1d53530065920080", "\"2024-01-01T00:00:00.123Z\"", false },
    { "c70cff075bca00ffffffffffffffff", "\"1969-12-31T23:59:59.123Z\"", false },
    { "c70cff000000007fffffffffffffff", "null", false },
    { "c702ff0000", "[-1," PH0 "]", false }, { "d40501", "[5," PH0 "]", false },
    { "92d48001c40102", "[[-128," PH0 "]," PH1 "]", false } };

static void
every_kind_of_value_is_read(void **state)
{
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        struct peal_buf bytes = unhex(values[i].hex), json = { 0 }, again = { 0 };
        struct peal_msgpack_atts atts = { 0 };
        peal_err err = to_json(peal_buf_slice(&bytes), &json, &atts);

        if (err != (values[i].json != NULL ? PEAL_OK : PEAL_EPROTO))
            fail_msg("error %d: %s", (int)err, values[i].hex);
        if (err == PEAL_OK)
            CHECK_SLICE(peal_buf_slice(&json), values[i].json);
        if (values[i].both) {
            CHECK_OK(peal_msgpack_from_json(
                &again, peal_buf_slice(&json), atts.blobs, atts.n));
            CHECK_MEM(again.data, again.len, bytes.data, bytes.len);
        }
        peal_msgpack_atts_fini(&atts);
        peal_buf_fini(&bytes);
        peal_buf_fini(&json);
        peal_buf_fini(&again);
    }
}

static void
json_is_written_small(void **state)
{
    static const struct {
        const char *json, *hex;
    } cases[] = { { "", "" }, { "1 , \"a\",[ ]", "01a16190" },
        { "{ \"a\" : [ 1 , 2.0 ] }", "81a1619201cb4000000000000000" },
        { "\"\\u00e9\\ud83d\"", "a5c3a9efbfbd" }, { "{\"\\u0061\":1}", "81a16101" },
        { "1e2", "cb4059000000000000" }, { "-0", "00" },
        { "18446744073709551616", "cb43f0000000000000" },
        { "-9223372036854775809", "cbc3e0000000000000" },
        { "100000000000000000000000000000000000000000000000000000000000000000000000",
            "cb4eacfa698c95390c" },
        /* Without attachments an object that looks like a placeholder is one like others.
         */
        { "{\"_placeholder\":true}", "81ac5f706c616365686f6c646572c3" } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct peal_buf out = { 0 }, want = unhex(cases[i].hex);

        CHECK_OK(peal_msgpack_from_json(&out, peal_slice_str(cases[i].json), NULL, 0));
        if (!peal_slice_eq(peal_buf_slice(&out), peal_buf_slice(&want)))
            fail_msg("not as expected: %s", cases[i].json);
        peal_buf_fini(&out);
        peal_buf_fini(&want);
    }
}

/* Heads of every size, for text, bytes, arrays and maps. */
/* Short ones are computed, long ones are strtod's: to the bit the same. */
static void
fractions_are_rounded_right(void **state)
{
    static const char *const heads[] = { "0", "1", "-1", "7", "-0", "123",
        "9007199254740", "9007199254740992", "9007199254740993", "99999999999999999999" };
    char text[64];

    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        for (unsigned n = 1; n <= 40; n++) {
            unsigned char want[9] = { 0xcb };
            struct peal_buf out = { 0 };
            uint64_t bits;
            double d;

            snprintf(text, sizeof(text), "%s.%0*u", heads[i], (int)n, n * 7919u);
            d = strtod(text, NULL);
            memcpy(&bits, &d, sizeof(bits));
            for (unsigned k = 0; k < 8; k++)
                want[1 + k] = (unsigned char)(bits >> (56 - 8 * k));
            CHECK_OK(peal_msgpack_from_json(&out, peal_slice_str(text), NULL, 0));
            CHECK_MEM(out.data, out.len, want, sizeof(want));
            peal_buf_fini(&out);
        }
}

static void
a_text_may_come_in_pieces(void **state)
{
    const struct peal_slice pieces[] = { PEAL_S("[1,"), PEAL_S("{\"a\""), PEAL_S(":"),
        PEAL_S(""), PEAL_S("[2]}"), PEAL_S("]") };
    struct peal_buf out = { 0 };

    CHECK_OK(peal_msgpack_from_pieces(&out, pieces, 6, NULL, 0));
    CHECK_MEM(out.data, out.len, "\x92\x01\x81\xa1\x61\x91\x02", 7);
    CHECK_ERR(peal_msgpack_from_pieces(&out, pieces, 5, NULL, 0), PEAL_EPROTO);
    CHECK_INT(out.len, 7);
    peal_buf_fini(&out);
}

static void
sizes_survive_both_ways(void **state)
{
    static const size_t sizes[] = { 0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536 };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct peal_buf json = { 0 }, bytes = { 0 }, again = { 0 };
        struct peal_blob *att = peal_blob_new(sizes[i]);
        struct peal_msgpack_atts atts = { 0 };

        memset(att->data, 'b', sizes[i]);
        CHECK_OK(peal_buf_add(&json, "[\"", 2));
        for (size_t k = 0; k < sizes[i]; k++)
            CHECK_OK(peal_buf_add(&json, "x", 1));
        CHECK_OK(peal_buf_add_slice(&json, PEAL_S("\"," PH0 ",[")));
        for (size_t k = 0; k < sizes[i]; k++)
            CHECK_OK(peal_buf_add(&json, k > 0 ? ",1" : "1", k > 0 ? 2 : 1));
        CHECK_OK(peal_buf_add_slice(&json, PEAL_S("],{")));
        for (size_t k = 0; k < sizes[i]; k++)
            CHECK_OK(peal_buf_printf(&json, "%s\"k%zu\":[]", k > 0 ? "," : "", k));
        CHECK_OK(peal_buf_add_slice(&json, PEAL_S("}]")));
        CHECK_OK(peal_msgpack_from_json(&bytes, peal_buf_slice(&json), &att, 1));
        CHECK_OK(to_json(peal_buf_slice(&bytes), &again, &atts));
        CHECK_MEM(again.data, again.len, json.data, json.len);
        CHECK_INT(atts.n, 1);
        CHECK_MEM(atts.blobs[0]->data, atts.blobs[0]->len, att->data, att->len);
        peal_msgpack_atts_fini(&atts);
        peal_blob_release(att);
        peal_buf_fini(&json);
        peal_buf_fini(&bytes);
        peal_buf_fini(&again);
    }
}

/* In memory of exactly that size, so that ASan sees a read beyond it. */
static void
no_prefix_is_a_value_and_none_is_overrun(void **state)
{
    for (size_t i = 0; i < sizeof(wire) / sizeof(*wire); i++) {
        struct peal_buf bytes = unhex(wire[i].hex), json = { 0 };

        for (size_t n = 0; n < bytes.len; n++) {
            struct peal_msgpack_atts atts = { 0 };
            char *exact = malloc(n + 1);
            struct peal_slice rest = peal_slice_of(exact + 1, n);

            memcpy(exact + 1, bytes.data, n);
            json.len = 0;
            CHECK_ERR(to_json(rest, &json, &atts), PEAL_EPROTO);
            CHECK_ERR(peal_msgpack_skip(&rest), PEAL_EPROTO);
            peal_msgpack_atts_fini(&atts);
            free(exact);
        }
        peal_buf_fini(&bytes);
        peal_buf_fini(&json);
    }
}

static void
depth_and_attachments_have_limits(void **state)
{
    struct peal_msgpack_atts atts = { 0 };
    struct peal_buf json = { 0 };
    char bytes[2 * PEAL_ATTACHMENTS_MAX + 20];
    struct peal_slice rest;

    memset(bytes, '\x91', PEAL_MSGPACK_DEPTH_MAX);
    bytes[PEAL_MSGPACK_DEPTH_MAX] = '\xc0';
    rest = peal_slice_of(bytes, PEAL_MSGPACK_DEPTH_MAX + 1);
    CHECK_OK(to_json(rest, &json, &atts));
    CHECK_OK(peal_msgpack_skip(&rest));
    bytes[PEAL_MSGPACK_DEPTH_MAX] = '\x91';
    bytes[PEAL_MSGPACK_DEPTH_MAX + 1] = '\xc0';
    rest = peal_slice_of(bytes, PEAL_MSGPACK_DEPTH_MAX + 2);
    CHECK_ERR(to_json(rest, &json, &atts), PEAL_ELIMIT);
    CHECK_ERR(peal_msgpack_skip(&rest), PEAL_ELIMIT);

    memset(bytes, 0, sizeof(bytes));
    bytes[0] = '\xdc';
    bytes[2] = PEAL_ATTACHMENTS_MAX;
    for (size_t i = 0; i < PEAL_ATTACHMENTS_MAX + 1; i++)
        bytes[3 + 2 * i] = '\xc4';
    CHECK_OK(to_json(peal_slice_of(bytes, 3 + 2 * PEAL_ATTACHMENTS_MAX), &json, &atts));
    CHECK_INT(atts.n, PEAL_ATTACHMENTS_MAX);
    peal_msgpack_atts_fini(&atts);
    bytes[2]++;
    CHECK_ERR(to_json(peal_slice_of(bytes, 5 + 2 * PEAL_ATTACHMENTS_MAX), &json, &atts),
        PEAL_ELIMIT);
    peal_msgpack_atts_fini(&atts);
    peal_buf_fini(&json);
}

static void
placeholders_become_bytes(void **state)
{
    struct peal_blob *atts[] = { peal_blob_copy(PEAL_S("\x01\x02")),
        peal_blob_copy(PEAL_S("")) };
    struct peal_buf out = { 0 };

    CHECK_OK(
        peal_msgpack_from_json(&out, PEAL_S(PH1 ",[" PH0 ",{\"a\":" PH0 "}]"), atts, 2));
    CHECK_MEM(out.data, out.len,
        "\xc4\x00\x92\xc4\x02\x01\x02\x81\xa1\x61\xc4\x02\x01\x02", 14);
    CHECK_ERR(peal_msgpack_from_json(&out, PEAL_S("[1," PH1 "]"), atts, 1), PEAL_EPROTO);
    CHECK_INT(out.len, 14);
    /* What is inside of one is not looked at. */
    out.len = 0;
    CHECK_OK(peal_msgpack_from_json(
        &out, PEAL_S("{\"x\":" PH1 ",\"_placeholder\":true,\"num\":0}"), atts, 1));
    CHECK_MEM(out.data, out.len, "\xc4\x02\x01\x02", 4);
    peal_buf_fini(&out);
    peal_blob_release(atts[0]);
    peal_blob_release(atts[1]);
}

static void
a_repeated_attachment_has_a_budget(void **state)
{
    struct peal_blob *att = peal_blob_new(600000);
    struct peal_buf out = { 0 };

    memset(att->data, 0, att->len);
    CHECK_OK(peal_msgpack_from_json(&out, PEAL_S(PH0 "," PH0 "," PH0), &att, 1));
    CHECK_INT(out.len, 2 * (5 + 600000) + 1);
    CHECK_INT((unsigned char)out.data[out.len - 1], 0xc0);
    peal_buf_fini(&out);
    peal_blob_release(att);
}

static void
values_can_be_taken_one_by_one(void **state)
{
    struct peal_buf b = { 0 };
    struct peal_slice rest, s;
    uint64_t u;
    uint32_t n;

    CHECK_OK(peal_msgpack_add_map(&b, 1));
    CHECK_OK(peal_msgpack_add_array(&b, 70000));
    CHECK_OK(peal_msgpack_add_str(&b, PEAL_S("key")));
    CHECK_OK(peal_msgpack_add_uint(&b, UINT64_MAX));
    CHECK_OK(peal_buf_add_char(&b, '\xc0'));
    rest = peal_buf_slice(&b);
    CHECK_INT(peal_msgpack_peek(rest), PEAL_MSGPACK_MAP);
    CHECK_ERR(peal_msgpack_array(&rest, &n), PEAL_EPROTO);
    CHECK_OK(peal_msgpack_map(&rest, &n));
    CHECK_INT(n, 1);
    CHECK_INT(peal_msgpack_peek(rest), PEAL_MSGPACK_ARRAY);
    CHECK_OK(peal_msgpack_array(&rest, &n));
    CHECK_INT(n, 70000);
    CHECK_INT(peal_msgpack_peek(rest), PEAL_MSGPACK_STR);
    CHECK_ERR(peal_msgpack_uint(&rest, &u), PEAL_EPROTO);
    CHECK_OK(peal_msgpack_str(&rest, &s));
    CHECK_SLICE(s, "key");
    CHECK_INT(peal_msgpack_peek(rest), PEAL_MSGPACK_UINT);
    CHECK_OK(peal_msgpack_uint(&rest, &u));
    CHECK(u == UINT64_MAX);
    CHECK_INT(peal_msgpack_peek(rest), PEAL_MSGPACK_NIL);
    CHECK_OK(peal_msgpack_skip(&rest));
    CHECK_INT(peal_msgpack_peek(rest), PEAL_MSGPACK_OTHER);
    CHECK_ERR(peal_msgpack_skip(&rest), PEAL_EPROTO);
    CHECK_ERR(peal_msgpack_map(&rest, &n), PEAL_EPROTO);
    peal_buf_fini(&b);
    alloc_left = 0;
    CHECK_ERR(peal_msgpack_add_str(&b, PEAL_S("key")), PEAL_ENOMEM);
    CHECK_ERR(peal_msgpack_add_map(&b, 1), PEAL_ENOMEM);
    alloc_left = -1;
}

static void
conversion_without_memory_leaks_nothing(void **state)
{
    static const char text[] = "[\"escaped\\n text\",{\"a\":" PH0 "},[[" PH0
                               "]],1.5,123456789012345678901234567890123456789012345678"
                               "90123456789012345,true,false,null]";
    struct peal_blob *att = peal_blob_copy(PEAL_S("0123456789"));
    struct peal_buf bytes = { 0 }, json = { 0 };
    peal_err err = PEAL_ENOMEM;
    long n;

    for (n = 0; err == PEAL_ENOMEM; n++) {
        peal_buf_fini(&bytes);
        CHECK_OK(peal_buf_add(&bytes, "x", 1));
        alloc_left = n;
        err = peal_msgpack_from_json(&bytes, peal_slice_str(text), &att, 1);
        alloc_left = -1;
        if (err == PEAL_ENOMEM)
            CHECK_SLICE(peal_buf_slice(&bytes), "x");
    }
    CHECK_OK(err);
    CHECK(n > 3);
    err = PEAL_ENOMEM;
    for (n = 0; err == PEAL_ENOMEM; n++) {
        struct peal_msgpack_atts atts = { 0 };

        peal_buf_fini(&json);
        alloc_left = n;
        err = to_json(peal_slice_of(bytes.data + 1, bytes.len - 1), &json, &atts);
        alloc_left = -1;
        peal_msgpack_atts_fini(&atts);
    }
    CHECK_OK(err);
    CHECK(n > 3);
    peal_buf_fini(&bytes);
    peal_buf_fini(&json);
    peal_blob_release(att);
}

/* Packets. */

struct packet {
    struct peal_buf bytes, scratch;
    struct peal_sio_packet p;
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
};

static peal_err
parse(struct packet *k, const char *hex)
{
    *k = (struct packet){ .bytes = unhex(hex) };
    return peal_sio_msgpack_parse(peal_buf_slice(&k->bytes), &k->scratch, &k->p, k->atts);
}

static void
packet_fini(struct packet *k, bool parsed)
{
    for (unsigned i = 0; parsed && i < k->p.n_atts; i++)
        peal_blob_release(k->atts[i]);
    peal_buf_fini(&k->bytes);
    peal_buf_fini(&k->scratch);
}

#define TYPE "a474797065"          /* "type" */
#define DATA "a464617461"          /* "data" */
#define NSP "a36e7370"             /* "nsp" */
#define ROOT NSP "a12f"            /* "nsp": "/" */
#define OPTIONS "a76f7074696f6e73" /* "options" */

static void
packets_of_the_client_are_read(void **state)
{
    struct packet k;

    /* CONNECT with {"token":"x"}, and without data. */
    CHECK_OK(parse(&k, "83" TYPE "00" DATA "81a5746f6b656ea178" ROOT));
    CHECK_INT(k.p.type, PEAL_SIO_CONNECT);
    CHECK_SLICE(k.p.payload, "{\"token\":\"x\"}");
    CHECK_SLICE(k.p.nsp, "/");
    CHECK(k.p.id.data == NULL);
    packet_fini(&k, true);
    CHECK_OK(parse(&k, "83" TYPE "00" DATA "d40000" NSP "a32f6d77"));
    CHECK_INT(k.p.payload.len, 0);
    CHECK_SLICE(k.p.nsp, "/mw");
    packet_fini(&k, true);
    /* ["e",1,<0102>] with options */
    CHECK_OK(parse(&k,
        "84" TYPE "02" DATA "93a16501c4020102" OPTIONS "81a8636f6d7072657373c3" ROOT));
    CHECK_INT(k.p.type, PEAL_SIO_EVENT);
    CHECK(k.p.binary);
    CHECK_INT(k.p.n_args, 2);
    CHECK_INT(k.p.n_atts, 1);
    CHECK_SLICE(k.p.event, "\"e\"");
    CHECK_SLICE(k.p.args, "1," PH0);
    CHECK_SLICE(peal_blob_slice(k.atts[0]), "\x01\x02");
    packet_fini(&k, true);
    /* ["e",{"u":undefined},<0506 as extension>] with id 0 */
    CHECK_OK(parse(&k, "84" TYPE "02" DATA "93a16581a175d40000c702000506a2696400" ROOT));
    CHECK_SLICE(k.p.id, "0");
    CHECK_SLICE(k.p.args, "{\"u\":null}," PH0);
    packet_fini(&k, true);
    /* an acknowledgement, its key first */
    CHECK_OK(parse(&k, "84a269640c" TYPE "03" DATA "92a26f6bc40107" ROOT));
    CHECK_INT(k.p.type, PEAL_SIO_ACK);
    CHECK_SLICE(k.p.id, "12");
    CHECK_SLICE(k.p.args, "\"ok\"," PH0);
    packet_fini(&k, true);
    CHECK_OK(parse(&k, "82" TYPE "01" ROOT));
    CHECK_INT(k.p.type, PEAL_SIO_DISCONNECT);
    packet_fini(&k, true);
}

static void
what_is_no_packet_is_refused(void **state)
{
    static const char *const bad[] = { "", "c0", "90", "80", "81" TYPE "01", "81" ROOT,
        "82" TYPE "05" ROOT, "82" TYPE "ff" ROOT, "82" TYPE "a132" ROOT,
        "82" TYPE "01" NSP "a0", "82" TYPE "01" NSP "a161", "82" TYPE "01" NSP "01",
        "82" TYPE "01" NSP "a22f01", "82" TYPE "01" NSP "a22fff",
        "82" TYPE "01" ROOT "00", "82" TYPE "0101" ROOT, "82" TYPE "01",
        "83" TYPE "01" DATA "80" ROOT, "83" TYPE "00" DATA "90" ROOT,
        "83" TYPE "00" DATA "a161" ROOT, "83" TYPE "02" DATA "80" ROOT,
        "83" TYPE "02" DATA "90" ROOT, "83" TYPE "02" DATA "91c0" ROOT,
        "83" TYPE "02" DATA "91a7636f6e6e656374" ROOT,
        "83" TYPE "02" DATA "91c40101" ROOT, "83" TYPE "02" DATA "92a165a1ff" ROOT,
        "84" TYPE "02" DATA "91a165a26964a130" ROOT,
        "84" TYPE "02" DATA "91a165a26964ff" ROOT };
    struct packet k;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (parse(&k, bad[i]) != PEAL_EPROTO)
            fail_msg("taken: %s", bad[i]);
        packet_fini(&k, false);
    }
}

static void
packets_are_built_as_the_client_reads_them(void **state)
{
    struct peal_slice none = PEAL_S(""), root = PEAL_S("/");
    struct peal_blob *att = peal_blob_copy(PEAL_S("\x07"));
    struct peal_buf b = { 0 }, want;

#define BUILT(call, hex)                                                                 \
    do {                                                                                 \
        b.len = 0;                                                                       \
        CHECK_OK(call);                                                                  \
        want = unhex(hex);                                                               \
        CHECK_MEM(b.data, b.len, want.data, want.len);                                   \
        peal_buf_fini(&want);                                                            \
    } while (0)

    BUILT(peal_sio_msgpack_event(
              &b, none, none, PEAL_S("\"e\""), PEAL_S("1," PH0), &att, 1),
        "83" TYPE "02" ROOT DATA "93a16501c40107");
    BUILT(peal_sio_msgpack_event(&b, PEAL_S("/mw"), PEAL_S("300"), none, none, NULL, 0),
        "84" TYPE "02" NSP "a32f6d77a26964cd012c" DATA "91a76d657373616765");
    BUILT(peal_sio_msgpack_ack(&b, root, PEAL_S("0"), PEAL_S("\"ok\"," PH0), &att, 1),
        "84" TYPE "03" ROOT "a2696400" DATA "92a26f6bc40107");
    BUILT(peal_sio_msgpack_connected(&b, root, PEAL_S("ab"), none),
        "83" TYPE "00" ROOT DATA "81a3736964a26162");
    BUILT(peal_sio_msgpack_connected(&b, root, PEAL_S("ab"), PEAL_S("c")),
        "83" TYPE "00" ROOT DATA "82a3736964a26162a3706964a163");
    BUILT(peal_sio_msgpack_refused(&b, root, PEAL_S("no\n"), none),
        "83" TYPE "04" ROOT DATA "81a76d657373616765a36e6f0a");
    BUILT(peal_sio_msgpack_refused(&b, root, PEAL_S("no"), PEAL_S("{\"a\":[1]}")),
        "83" TYPE "04" ROOT DATA "82a76d657373616765a26e6f" DATA "81a1619101");
    BUILT(peal_sio_msgpack_disconnect(&b, PEAL_S("/mw")), "82" TYPE "01" NSP "a32f6d77");
#undef BUILT
    peal_buf_fini(&b);
    peal_blob_release(att);
}

static void
parsing_without_memory_leaks_nothing(void **state)
{
    struct peal_buf bytes =
        unhex("85" TYPE "02" DATA "94a16501c4020102c40103" OPTIONS "80"
              "a269640c" ROOT);
    peal_err err = PEAL_ENOMEM;
    long n = 0;

    for (; err == PEAL_ENOMEM; n++) {
        struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
        struct peal_buf scratch = { 0 };
        struct peal_sio_packet p;

        alloc_left = n;
        err = peal_sio_msgpack_parse(peal_buf_slice(&bytes), &scratch, &p, atts);
        alloc_left = -1;
        for (unsigned i = 0; err == PEAL_OK && i < p.n_atts; i++)
            peal_blob_release(atts[i]);
        peal_buf_fini(&scratch);
    }
    CHECK_OK(err);
    CHECK(n > 3);
    peal_buf_fini(&bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_node_writes_is_read_and_written_again),
        cmocka_unit_test(every_kind_of_value_is_read),
        cmocka_unit_test(json_is_written_small),
        cmocka_unit_test(fractions_are_rounded_right),
        cmocka_unit_test(a_text_may_come_in_pieces),
        cmocka_unit_test(sizes_survive_both_ways),
        cmocka_unit_test(no_prefix_is_a_value_and_none_is_overrun),
        cmocka_unit_test(depth_and_attachments_have_limits),
        cmocka_unit_test(placeholders_become_bytes),
        cmocka_unit_test(a_repeated_attachment_has_a_budget),
        cmocka_unit_test(values_can_be_taken_one_by_one),
        cmocka_unit_test(conversion_without_memory_leaks_nothing),
        cmocka_unit_test(packets_of_the_client_are_read),
        cmocka_unit_test(what_is_no_packet_is_refused),
        cmocka_unit_test(packets_are_built_as_the_client_reads_them),
        cmocka_unit_test(parsing_without_memory_leaks_nothing),
    };

    return cmocka_run_group_tests_name("msgpack", tests, NULL, NULL);
}

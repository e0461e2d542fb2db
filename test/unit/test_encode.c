/* SPDX-License-Identifier: MIT */
/* One message, every form: the table of docs/PROTOCOLS.md, byte for byte. */
#include "check.h"

#include <stdio.h>

#include "alloc.h"
#include "wire/deflate.h"
#include "wire/encode.h"
#include "wire/ws.h"

#define PH0 "{\"_placeholder\":true,\"num\":0}"
#define PH1 "{\"_placeholder\":true,\"num\":1}"
#define SEP "\x1e"

/* What is published: one row of the table. */
struct published {
    enum peal_data_kind kind;
    unsigned n_args;
    const char *event, *args; /* event as JSON, or "" */
    unsigned n_atts;          /* of 01 02 03, ff */
};

static struct peal_msg *
message_on(const char *nsp, struct published p, unsigned flags)
{
    struct peal_slice channels[] = { PEAL_S("orders"), PEAL_S("st\"ock") };
    struct peal_blob *atts[] = { peal_blob_copy(PEAL_S("\x01\x02\x03")),
        peal_blob_copy(PEAL_S("\xff")) };
    struct peal_msg_spec spec = { .channels = channels,
        .n_channels = 2,
        .atts = atts,
        .n_atts = p.n_atts,
        .kind = p.kind,
        .flags = flags,
        .n_args = p.n_args,
        .nsp = peal_slice_str(nsp),
        .event = peal_slice_str(p.event),
        .args = peal_slice_str(p.args) };
    struct peal_msg *m;

    CHECK_OK(peal_msg_new(&spec, &m));
    peal_blob_release(atts[0]);
    peal_blob_release(atts[1]);
    return m;
}

static struct peal_msg *
message(struct published p)
{
    return message_on("", p, 0);
}

/* Takes one unmasked frame off *rest and describes it: "t:text", "b:bytes". */
static void
take_frame(struct peal_slice *rest, struct peal_buf *out, struct peal_deflate *z)
{
    size_t at = 2, len;
    unsigned first;
    struct peal_slice payload;

    CHECK(rest->len >= 2);
    first = (unsigned char)rest->data[0];
    len = (unsigned char)rest->data[1];
    CHECK((first & 0xb0) == 0x80);
    CHECK(len < 127);
    if (len == 126) {
        len = (size_t)(unsigned char)rest->data[2] << 8 | (unsigned char)rest->data[3];
        at = 4;
    }
    CHECK(rest->len >= at + len);
    payload = peal_slice_of(rest->data + at, len);
    *rest = peal_slice_skip(*rest, at + len);
    CHECK_OK(peal_buf_add(out, (first & 15) == PEAL_WS_TEXT ? "t:" : "b:", 2));
    if ((first & 0x40) != 0)
        CHECK_OK(peal_inflate_message(z, payload, 1 << 20, out));
    else
        CHECK_OK(peal_buf_add_slice(out, payload));
}

/* All frames of a blob, joined by "|". */
static void
check_frames(struct peal_blob *b, const char *want, struct peal_deflate *z)
{
    struct peal_buf got = { 0 };
    struct peal_slice rest;

    assert_non_null(b);
    rest = peal_blob_slice(b);
    while (rest.len > 0) {
        if (got.len > 0)
            CHECK_OK(peal_buf_add_char(&got, '|'));
        take_frame(&rest, &got, z);
    }
    CHECK_SLICE(peal_buf_slice(&got), want);
    peal_buf_fini(&got);
}

static const struct {
    struct published p;
    const char *ws, *envelope, *sse, *sio, *poll, *b64;
    struct peal_slice msgpack; /* of the packet, its data */
} table[] = {
    { { PEAL_DATA_JSON, 1, "\"created\"", "{\"id\":7}", 0 }, "t:{\"id\":7}",
        "t:{\"channel\":\"orders\",\"event\":\"created\",\"data\":{\"id\":7}}",
        "event: created\ndata: {\"id\":7}\n\n", "t:42[\"created\",{\"id\":7}]",
        "42[\"created\",{\"id\":7}]", "t:42[\"created\",{\"id\":7}]",
        PEAL_S("\x92\xa7"
               "created\x81\xa2"
               "id\x07") },
    { { PEAL_DATA_JSON, 1, "", "\"hi \\\"\\u00e9\\\"\"", 0 }, "t:hi \"\xc3\xa9\"",
        "t:{\"channel\":\"orders\",\"data\":\"hi \\\"\\u00e9\\\"\"}",
        "data: hi \"\xc3\xa9\"\n\n", "t:42[\"message\",\"hi \\\"\\u00e9\\\"\"]",
        "42[\"message\",\"hi \\\"\\u00e9\\\"\"]",
        "t:42[\"message\",\"hi \\\"\\u00e9\\\"\"]",
        PEAL_S("\x92\xa7"
               "message\xa7"
               "hi \"\xc3\xa9\"") },
    { { PEAL_DATA_JSON, 2, "\"say\"", "1,{\"a\": 2.50}", 0 }, "t:[1,{\"a\": 2.50}]",
        "t:{\"channel\":\"orders\",\"event\":\"say\",\"data\":[1,{\"a\": 2.50}]}",
        "event: say\ndata: [1,{\"a\": 2.50}]\n\n", "t:42[\"say\",1,{\"a\": 2.50}]",
        "42[\"say\",1,{\"a\": 2.50}]", "t:42[\"say\",1,{\"a\": 2.50}]",
        PEAL_S("\x93\xa3"
               "say\x01\x81\xa1"
               "a\xcb@\x04\0\0\0\0\0\0") },
    { { PEAL_DATA_JSON, 0, "\"tick\"", "", 0 }, "t:[]",
        "t:{\"channel\":\"orders\",\"event\":\"tick\",\"data\":[]}",
        "event: tick\ndata: []\n\n", "t:42[\"tick\"]", "42[\"tick\"]", "t:42[\"tick\"]",
        PEAL_S("\x91\xa4tick") },
    { { PEAL_DATA_JSON, 1, "7", "null", 0 }, "t:null",
        "t:{\"channel\":\"orders\",\"event\":7,\"data\":null}",
        "event: 7\ndata: null\n\n", "t:42[7,null]", "42[7,null]", "t:42[7,null]",
        PEAL_S("\x92\x07\xc0") },
    { { PEAL_DATA_TEXT, 1, "", "two\nlines", 0 }, "t:two\nlines",
        "t:{\"channel\":\"orders\",\"data\":\"two\\nlines\"}",
        "data: two\ndata: lines\n\n", "t:42[\"message\",\"two\\nlines\"]",
        "42[\"message\",\"two\\nlines\"]", "t:42[\"message\",\"two\\nlines\"]",
        PEAL_S("\x92\xa7message\xa9two\nlines") },
    { { PEAL_DATA_TEXT, 1, "", "", 0 }, "t:", "t:{\"channel\":\"orders\",\"data\":\"\"}",
        "data: \n\n", "t:42[\"message\",\"\"]", "42[\"message\",\"\"]",
        "t:42[\"message\",\"\"]", PEAL_S("\x92\xa7message\xa0") },
    { { PEAL_DATA_BYTES, 1, "", "\x01\x02\x03", 0 }, "b:\x01\x02\x03",
        "t:{\"channel\":\"orders\",\"encoding\":\"base64\",\"data\":\"AQID\"}",
        "event: binary\ndata: AQID\n\n", "t:451-[\"message\"," PH0 "]|b:\x01\x02\x03",
        "451-[\"message\"," PH0 "]" SEP "bAQID", "t:451-[\"message\"," PH0 "]|t:bAQID",
        PEAL_S("\x92\xa7message\xc4\x03\x01\x02\x03") },
    { { PEAL_DATA_BYTES, 1, "", "", 0 },
        "b:", "t:{\"channel\":\"orders\",\"encoding\":\"base64\",\"data\":\"\"}",
        "event: binary\ndata: \n\n",
        "t:451-[\"message\"," PH0 "]|b:", "451-[\"message\"," PH0 "]" SEP "b",
        "t:451-[\"message\"," PH0 "]|t:b", PEAL_S("\x92\xa7message\xc4\0") },
    /* One attachment alone is bytes to plain clients; its event's name stays. */
    { { PEAL_DATA_JSON, 1, "\"pic\"", PH0, 1 }, "b:\x01\x02\x03",
        "t:{\"channel\":\"orders\",\"event\":\"pic\",\"encoding\":\"base64\",\"data\":"
        "\"AQID\"}",
        "event: pic\ndata: AQID\n\n", "t:451-[\"pic\"," PH0 "]|b:\x01\x02\x03",
        "451-[\"pic\"," PH0 "]" SEP "bAQID", "t:451-[\"pic\"," PH0 "]|t:bAQID",
        PEAL_S("\x92\xa3pic\xc4\x03\x01\x02\x03") },
    { { PEAL_DATA_JSON, 1, "\"message\"", PH0, 1 }, "b:\x01\x02\x03",
        "t:{\"channel\":\"orders\",\"event\":\"message\",\"encoding\":\"base64\","
        "\"data\":\"AQID\"}",
        "event: binary\ndata: AQID\n\n", "t:451-[\"message\"," PH0 "]|b:\x01\x02\x03",
        "451-[\"message\"," PH0 "]" SEP "bAQID", "t:451-[\"message\"," PH0 "]|t:bAQID",
        PEAL_S("\x92\xa7message\xc4\x03\x01\x02\x03") },
    /* Among others it is a string to them. */
    { { PEAL_DATA_JSON, 2, "\"x\"", PH1 ",{\"f\":" PH0 "}", 2 },
        "t:[\"/w==\",{\"f\":\"AQID\"}]",
        "t:{\"channel\":\"orders\",\"event\":\"x\",\"data\":[\"/w==\",{\"f\":\"AQID\"}]}",
        "event: x\ndata: [\"/w==\",{\"f\":\"AQID\"}]\n\n",
        "t:452-[\"x\"," PH1 ",{\"f\":" PH0 "}]|b:\x01\x02\x03|b:\xff",
        "452-[\"x\"," PH1 ",{\"f\":" PH0 "}]" SEP "bAQID" SEP "b/w==",
        "t:452-[\"x\"," PH1 ",{\"f\":" PH0 "}]|t:bAQID|t:b/w==",
        PEAL_S("\x93\xa1x\xc4\x01\xff\x81\xa1"
               "f\xc4\x03\x01\x02\x03") },
    /* Without attachments an object that looks like a placeholder is just an object. */
    { { PEAL_DATA_JSON, 1, "", PH0, 0 }, "t:" PH0,
        "t:{\"channel\":\"orders\",\"data\":" PH0 "}", "data: " PH0 "\n\n",
        "t:42[\"message\"," PH0 "]", "42[\"message\"," PH0 "]",
        "t:42[\"message\"," PH0 "]",
        PEAL_S("\x92\xa7message\x82\xac_placeholder\xc3\xa3num\0") },
};

#define ROWS (sizeof(table) / sizeof(*table))

static void
check_slice_of(struct peal_blob *b, const char *want)
{
    assert_non_null(b);
    CHECK_SLICE(peal_blob_slice(b), want);
}

static void
every_row_of_the_table_holds(void **state)
{
    for (size_t i = 0; i < ROWS; i++) {
        struct peal_msg *m = message(table[i].p);
        char chunk[1000];

        check_frames(peal_encode_form(m, PEAL_FMT_WS, NULL), table[i].ws, NULL);
        check_frames(
            peal_encode_form(m, PEAL_FMT_ENVELOPE, NULL), table[i].envelope, NULL);
        check_slice_of(peal_encode_form(m, PEAL_FMT_SSE, NULL), table[i].sse);
        snprintf(
            chunk, sizeof(chunk), "%zx\r\n%s\r\n", strlen(table[i].sse), table[i].sse);
        check_slice_of(peal_encode_form(m, PEAL_FMT_SSE_CHUNKED, NULL), chunk);
        check_frames(peal_encode_form(m, PEAL_FMT_SIO, NULL), table[i].sio, NULL);
        check_slice_of(peal_encode_form(m, PEAL_FMT_SIO_POLL, NULL), table[i].poll);
        check_frames(peal_encode_form(m, PEAL_FMT_SIO_B64, NULL), table[i].b64, NULL);
        for (int f = 0; f < PEAL_FMT_N; f++)
            assert_ptr_equal(peal_encode_form(m, (enum peal_format)f, NULL),
                peal_encode_form(m, (enum peal_format)f, NULL));
        peal_msg_release(m);
    }
}

static void
check_msgpack(struct peal_slice got, struct peal_slice data)
{
    static const struct peal_slice head = PEAL_S("\x83\xa4type\x02\xa3nsp\xa1/\xa4"
                                                 "data");

    CHECK(peal_slice_starts(got, head));
    got = peal_slice_skip(got, head.len);
    CHECK_MEM(got.data, got.len, data.data, data.len);
}

static void
every_row_holds_in_msgpack(void **state)
{
    for (size_t i = 0; i < ROWS; i++) {
        struct peal_msg *m = message(table[i].p);
        struct peal_blob *b = peal_encode_form(m, PEAL_FMT_SIO_MSGPACK, NULL), *bytes,
                         *piece;

        assert_non_null(b);
        CHECK_INT((unsigned char)b->data[0], 0x82);
        CHECK_INT(b->data[1], b->len - 2);
        check_msgpack(peal_slice_of(b->data + 2, b->len - 2), table[i].msgpack);
        bytes = peal_blob_copy(peal_slice_of(b->data + 2, b->len - 2));
        piece = peal_sio_pack_binary(peal_blob_slice(bytes), PEAL_SIO_POLL);
        b = peal_encode_form(m, PEAL_FMT_SIO_MSGPACK_POLL, NULL);
        CHECK_MEM(b->data, b->len, piece->data, piece->len);
        CHECK_INT(b->data[0], 'b');
        peal_blob_release(bytes);
        peal_blob_release(piece);
        peal_msg_release(m);
    }
}

static struct peal_deflate *
deflate(size_t threshold)
{
    struct peal_deflate *z;

    CHECK_OK(peal_deflate_new(6, 8, &z));
    peal_deflate_set_threshold(z, threshold);
    return z;
}

static void
every_row_survives_compression(void **state)
{
    struct peal_deflate *z = deflate(1);

    for (size_t i = 0; i < ROWS; i++) {
        struct peal_msg *m = message(table[i].p);

        check_frames(peal_encode_form(m, PEAL_FMT_WS_DEFLATE, z), table[i].ws, z);
        check_frames(
            peal_encode_form(m, PEAL_FMT_ENVELOPE_DEFLATE, z), table[i].envelope, z);
        check_frames(peal_encode_form(m, PEAL_FMT_SIO_DEFLATE, z), table[i].sio, z);
        /* Every frame that has something in it is compressed. */
        CHECK_INT(
            (peal_encode_form(m, PEAL_FMT_ENVELOPE_DEFLATE, z)->data[0] & 0x40) != 0,
            true);
        CHECK_INT(
            (peal_encode_form(m, PEAL_FMT_SIO_DEFLATE, z)->data[0] & 0x40) != 0, true);
        peal_msg_release(m);
    }
    peal_deflate_free(&z);
}

static bool
same(struct peal_blob *a, struct peal_blob *b)
{
    return a != b && peal_slice_eq(peal_blob_slice(a), peal_blob_slice(b));
}

static void
what_is_small_or_must_not_is_not_compressed(void **state)
{
    struct peal_deflate *large = deflate(1000), *any = deflate(1);

    for (int i = 0; i < 3; i++) {
        struct peal_deflate *z = i == 0 ? large : i == 1 ? any : NULL;
        struct peal_msg *m =
            message_on("", table[11].p, i == 1 ? PEAL_MSG_NO_COMPRESS : 0);

        CHECK(same(peal_encode_form(m, PEAL_FMT_WS, z),
            peal_encode_form(m, PEAL_FMT_WS_DEFLATE, z)));
        CHECK(same(peal_encode_form(m, PEAL_FMT_ENVELOPE, z),
            peal_encode_form(m, PEAL_FMT_ENVELOPE_DEFLATE, z)));
        CHECK(same(peal_encode_form(m, PEAL_FMT_SIO, z),
            peal_encode_form(m, PEAL_FMT_SIO_DEFLATE, z)));
        peal_msg_release(m);
    }
    peal_deflate_free(&large);
    peal_deflate_free(&any);
}

/* The header is small, one attachment is large: only that one is compressed. */
static void
each_frame_is_compressed_if_it_pays(void **state)
{
    static const struct published p = { PEAL_DATA_BYTES, 1, "",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaa",
        0 };
    struct peal_deflate *z = deflate(80);
    struct peal_msg *m = message(p);
    struct peal_blob *b = peal_encode_form(m, PEAL_FMT_SIO_DEFLATE, z);
    struct peal_slice text = PEAL_S("451-[\"message\"," PH0 "]");

    CHECK_INT((unsigned char)b->data[0], 0x81);
    CHECK_INT(b->data[1], text.len);
    CHECK_INT((unsigned char)b->data[2 + text.len], 0xc2);
    CHECK(b->len < 2 + text.len + 30);
    peal_msg_release(m);
    peal_deflate_free(&z);
}

static void
namespaces_are_in_the_packet_only(void **state)
{
    struct peal_msg *m = message_on("/chat", table[11].p, 0);

    check_frames(peal_encode_form(m, PEAL_FMT_WS, NULL), table[11].ws, NULL);
    check_frames(peal_encode_form(m, PEAL_FMT_SIO, NULL),
        "t:452-/chat,[\"x\"," PH1 ",{\"f\":" PH0 "}]|b:\x01\x02\x03|b:\xff", NULL);
    CHECK(memmem(peal_encode_form(m, PEAL_FMT_SIO_MSGPACK, NULL)->data,
              peal_encode_form(m, PEAL_FMT_SIO_MSGPACK, NULL)->len, "nsp\xa5/chat",
              9) != NULL);
    peal_msg_release(m);
}

static void
an_envelope_can_name_another_channel(void **state)
{
    struct peal_msg *m = message(table[0].p);
    struct peal_blob *b = peal_encode_envelope_for(m, 1, NULL);

    check_frames(b,
        "t:{\"channel\":\"st\\\"ock\",\"event\":\"created\",\"data\":{\"id\":7}}", NULL);
    peal_blob_release(b);
    peal_msg_release(m);
}

/* Official clients disconnect at more than ten attachments. */
static void
too_many_attachments_for_a_client_become_strings(void **state)
{
    struct peal_slice channel = PEAL_S("c");
    struct peal_blob *atts[PEAL_SIO_ATTACHMENTS_MAX + 1];
    struct peal_msg_spec spec = { .channels = &channel,
        .n_channels = 1,
        .atts = atts,
        .n_atts = PEAL_SIO_ATTACHMENTS_MAX + 1,
        .n_args = 2,
        .args = PEAL_S("{\"_placeholder\":true,\"num\":10},[" PH0 "]") };
    struct peal_slice rest;
    struct peal_msg *m;
    struct peal_buf got = { 0 };

    for (unsigned i = 0; i < spec.n_atts; i++)
        atts[i] = peal_blob_copy(i == 10 ? PEAL_S("\xff") : PEAL_S("\x01\x02\x03"));
    CHECK_OK(peal_msg_new(&spec, &m));
    check_frames(peal_encode_form(m, PEAL_FMT_SIO, NULL),
        "t:42[\"message\",\"/w==\",[\"AQID\"]]", NULL);
    check_slice_of(peal_encode_form(m, PEAL_FMT_SIO_POLL, NULL),
        "42[\"message\",\"/w==\",[\"AQID\"]]");
    check_frames(peal_encode_form(m, PEAL_FMT_SIO_B64, NULL),
        "t:42[\"message\",\"/w==\",[\"AQID\"]]", NULL);
    rest = peal_blob_slice(peal_encode_form(m, PEAL_FMT_SIO_MSGPACK, NULL));
    take_frame(&rest, &got, NULL);
    CHECK(memmem(got.data, got.len, "message\xc4\x01\xff\x91\xc4\x03\x01", 13) != NULL);
    peal_msg_release(m);
    m = NULL;
    spec.n_atts--;
    spec.args = PEAL_S("1");
    spec.n_args = 1;
    CHECK_OK(peal_msg_new(&spec, &m));
    CHECK(peal_slice_starts(
        peal_blob_slice(peal_encode_form(m, PEAL_FMT_SIO_POLL, NULL)), PEAL_S("4510-[")));
    peal_msg_release(m);
    spec.kind = PEAL_DATA_TEXT; /* text has no placeholders, so none of them is sent */
    spec.n_atts++;
    CHECK_OK(peal_msg_new(&spec, &m));
    check_slice_of(peal_encode_form(m, PEAL_FMT_SIO_POLL, NULL), "42[\"message\",\"1\"]");
    peal_msg_release(m);
    for (unsigned i = 0; i <= PEAL_SIO_ATTACHMENTS_MAX; i++)
        peal_blob_release(atts[i]);
    peal_buf_fini(&got);
}

/* Lengths at which a frame's head grows. */
static void
long_data_has_a_longer_head(void **state)
{
    static const struct {
        size_t len;
        const char *head;
        size_t head_len;
    } cases[] = { { 125, "\x81\x7d", 2 }, { 126, "\x81\x7e\0\x7e", 4 },
        { 65535, "\x81\x7e\xff\xff", 4 }, { 65536, "\x81\x7f\0\0\0\0\0\1\0\0", 10 } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *text = calloc(1, cases[i].len + 1);
        struct published p = { PEAL_DATA_TEXT, 1, "", text, 0 };
        struct peal_msg *m;
        struct peal_blob *b;

        memset(text, 'x', cases[i].len);
        m = message(p);
        b = peal_encode_form(m, PEAL_FMT_WS, NULL);
        CHECK_INT(b->len, cases[i].head_len + cases[i].len);
        CHECK_MEM(b->data, cases[i].head_len, cases[i].head, cases[i].head_len);
        CHECK_MEM(b->data + cases[i].head_len, cases[i].len, text, cases[i].len);
        peal_msg_release(m);
        free(text);
    }
}

static void
packets_for_one_session_are_packed(void **state)
{
    struct peal_blob *atts[] = { peal_blob_copy(PEAL_S("\x01\x02\x03")),
        peal_blob_copy(PEAL_S("")) };
    struct peal_blob *b;

#define PACKED(call, check, ...)                                                         \
    do {                                                                                 \
        b = call;                                                                        \
        check(b, __VA_ARGS__);                                                           \
        peal_blob_release(b);                                                            \
    } while (0)

    PACKED(peal_sio_pack(PEAL_S("30[]"), NULL, 0, PEAL_SIO_WS), check_frames, "t:430[]",
        NULL);
    PACKED(
        peal_sio_pack(PEAL_S("30[]"), NULL, 0, PEAL_SIO_POLL), check_slice_of, "430[]");
    PACKED(peal_sio_pack(PEAL_S("30[]"), NULL, 0, PEAL_SIO_B64), check_frames, "t:430[]",
        NULL);
    PACKED(peal_sio_pack(PEAL_S("62-9[" PH0 "]"), atts, 2, PEAL_SIO_WS), check_frames,
        "t:462-9[" PH0 "]|b:\x01\x02\x03|b:", NULL);
    PACKED(peal_sio_pack(PEAL_S("62-9[" PH0 "]"), atts, 2, PEAL_SIO_POLL), check_slice_of,
        "462-9[" PH0 "]" SEP "bAQID" SEP "b");
    PACKED(peal_sio_pack(PEAL_S("62-9[" PH0 "]"), atts, 2, PEAL_SIO_B64), check_frames,
        "t:462-9[" PH0 "]|t:bAQID|t:b", NULL);
    PACKED(
        peal_sio_pack_binary(PEAL_S("\xff"), PEAL_SIO_WS), check_frames, "b:\xff", NULL);
    PACKED(peal_sio_pack_binary(PEAL_S("\xff"), PEAL_SIO_POLL), check_slice_of, "b/w==");
    PACKED(peal_sio_pack_binary(PEAL_S("\xff"), PEAL_SIO_B64), check_frames,
        "t:b/w==", NULL);
    PACKED(peal_sio_pack_engine(PEAL_S("3probe"), PEAL_SIO_WS), check_frames, "t:3probe",
        NULL);
    PACKED(peal_sio_pack_engine(PEAL_S("6"), PEAL_SIO_POLL), check_slice_of, "6");
    PACKED(peal_sio_pack_engine(PEAL_S("2"), PEAL_SIO_B64), check_frames, "t:2", NULL);
#undef PACKED
    peal_blob_release(atts[0]);
    peal_blob_release(atts[1]);
}

static void
a_form_without_memory_is_null(void **state)
{
    struct peal_deflate *z = deflate(1);

    for (size_t i = 0; i < ROWS; i++)
        for (int f = 0; f < PEAL_FMT_N; f++) {
            struct peal_msg *m = message(table[i].p);
            struct peal_blob *b = NULL;

            for (long n = 0; b == NULL; n++) {
                alloc_left = n;
                b = peal_encode_form(m, (enum peal_format)f, z);
                alloc_left = -1;
                CHECK(n > 0 || b == NULL);
                CHECK(n < 100);
            }
            peal_msg_release(m);
        }
    peal_deflate_free(&z);
}

static struct peal_blob *
pack(int what, struct peal_blob **atts, struct peal_msg *m)
{
    switch (what) {
    case 0:
        return peal_sio_pack(PEAL_S("30[]"), atts, 1, PEAL_SIO_WS);
    case 1:
        return peal_sio_pack(PEAL_S("30[]"), atts, 1, PEAL_SIO_POLL);
    case 2:
        return peal_sio_pack(PEAL_S("30[]"), atts, 1, PEAL_SIO_B64);
    case 3:
        return peal_sio_pack_binary(PEAL_S("x"), PEAL_SIO_WS);
    case 4:
        return peal_sio_pack_binary(PEAL_S("x"), PEAL_SIO_B64);
    case 5:
        return peal_sio_pack_engine(PEAL_S("2"), PEAL_SIO_POLL);
    case 6:
        return peal_encode_envelope_for(m, 1, NULL);
    default:
        return peal_encode_sse_chunked(m, NULL);
    }
}

static void
packing_without_memory_is_null(void **state)
{
    struct peal_blob *att = peal_blob_copy(PEAL_S("\x01\x02\x03"));
    struct peal_msg *m = message(table[7].p);

    for (int what = 0; what < 8; what++) {
        struct peal_blob *b = NULL;

        for (long n = 0; b == NULL; n++) {
            alloc_left = n;
            b = pack(what, &att, m);
            alloc_left = -1;
            CHECK(n > 0 || b == NULL);
            CHECK(n < 100);
        }
        peal_blob_release(b);
    }
    peal_msg_release(m);
    peal_blob_release(att);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_holds),
        cmocka_unit_test(every_row_holds_in_msgpack),
        cmocka_unit_test(every_row_survives_compression),
        cmocka_unit_test(what_is_small_or_must_not_is_not_compressed),
        cmocka_unit_test(each_frame_is_compressed_if_it_pays),
        cmocka_unit_test(namespaces_are_in_the_packet_only),
        cmocka_unit_test(an_envelope_can_name_another_channel),
        cmocka_unit_test(too_many_attachments_for_a_client_become_strings),
        cmocka_unit_test(long_data_has_a_longer_head),
        cmocka_unit_test(packets_for_one_session_are_packed),
        cmocka_unit_test(a_form_without_memory_is_null),
        cmocka_unit_test(packing_without_memory_is_null),
    };

    return cmocka_run_group_tests_name("forms", tests, NULL, NULL);
}

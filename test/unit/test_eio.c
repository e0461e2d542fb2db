/* SPDX-License-Identifier: MIT */
/* Engine.IO: packets, polling payloads, the handshake, errors. */
#include "check.h"

#include "alloc.h"
#include "base/base64.h"
#include "base/id.h"
#include "wire/eio.h"

static void
payloads_are_cut_as_split_does(void **state)
{
    static const struct {
        const char *body;
        unsigned n;
        const char *packets[3];
    } cases[] = {
        { "", 1, { "" } }, { "2", 1, { "2" } }, { "\x1e", 2, { "", "" } },
        { "4a\x1e", 2, { "4a", "" } },
        { "6\x1e"
          "1",
            2, { "6", "1" } },
        { "42[\"f\",0]\x1e"
          "451-[\"b\",{\"_placeholder\":true,\"num\":0}]\x1e"
          "bAQID",
            3,
            { "42[\"f\",0]", "451-[\"b\",{\"_placeholder\":true,\"num\":0}]", "bAQID" } }
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct peal_slice rest = peal_slice_str(cases[i].body), packet;
        unsigned n = 0;

        while (peal_eiopkt_payload_next(&rest, &packet)) {
            CHECK(n < cases[i].n);
            CHECK_SLICE(packet, cases[i].packets[n]);
            n++;
        }
        CHECK_INT(n, cases[i].n);
        CHECK(!peal_eiopkt_payload_next(&rest, &packet));
    }
}

static void
a_packet_is_a_digit_and_the_rest(void **state)
{
    static const char *const good[] = { "0{}", "1", "2probe", "3", "4hello", "5", "6" };
    static const char *const bad[] = { "", "7", "9x", "abc", "B", " 4", "\x1e", "-1",
        "\xff" };
    struct peal_eiopkt p;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CHECK_OK(peal_eiopkt_parse(peal_slice_str(good[i]), &p));
        CHECK_INT(p.type, i);
        CHECK(!p.binary);
        CHECK_SLICE(p.data, good[i] + 1);
        CHECK(p.data.data != NULL);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CHECK_ERR(peal_eiopkt_parse(peal_slice_str(bad[i]), &p), PEAL_EPROTO);
    CHECK_OK(peal_eiopkt_parse(PEAL_S("bAQID"), &p));
    CHECK_INT(p.type, PEAL_EIO_MESSAGE);
    CHECK(p.binary);
    CHECK_SLICE(p.data, "AQID");
}

static void
binary_is_base64_with_or_without_padding(void **state)
{
    static const struct {
        const char *text, *bytes;
    } good[] = { { "", "" }, { "AQID", "\x01\x02\x03" }, { "AQI=", "\x01\x02" },
        { "AQI", "\x01\x02" }, { "AQ==", "\x01" }, { "AQ", "\x01" },
        { "+/+/", "\xfb\xff\xbf" }, { "AQI\n", "\x01\x02" },
        { "A\r\nQ\nI=\r", "\x01\x02" }, { "\n", "" } };
    static const char *const bad[] = { "A", "AQIDA", "AQ=D", "====", "AQ I", "-_-_",
        "A\n", "\tAQI", "\xff\xff\xff\xff" };
    struct peal_blob *b;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CHECK_OK(peal_eiopkt_binary(peal_slice_str(good[i].text), &b));
        CHECK_SLICE(peal_blob_slice(b), good[i].bytes);
        peal_blob_release(b);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CHECK_ERR(peal_eiopkt_binary(peal_slice_str(bad[i]), &b), PEAL_EPROTO);
    alloc_left = 0;
    CHECK_ERR(peal_eiopkt_binary(PEAL_S("AQID"), &b), PEAL_ENOMEM);
    alloc_left = -1;
}

/* Each length, in memory of exactly that size. */
static void
binary_of_every_length_survives(void **state)
{
    for (size_t n = 0; n < 50; n++) {
        size_t len = peal_base64_len(n);
        char *text = malloc(len + 1);
        unsigned char bytes[50];
        struct peal_blob *b;

        for (size_t i = 0; i < n; i++)
            bytes[i] = (unsigned char)(i * 37 + n);
        peal_base64_encode(bytes, n, text);
        CHECK_OK(peal_eiopkt_binary(peal_slice_of(text, len), &b));
        CHECK_MEM(b->data, b->len, bytes, n);
        peal_blob_release(b);
        free(text);
    }
}

/* What engine.io-client-java 2.1.0 sends for 60 bytes, i * 7 each: lines as MIME has. */
static void
binary_of_the_java_client_has_line_breaks(void **state)
{
    struct peal_slice body = PEAL_S(
        "bAAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tng5+71/AMKERgfJi00O0JJUFdeZWxzeoGI\n"
        "j5ad\n");
    struct peal_slice packet;
    struct peal_eiopkt p;
    unsigned char bytes[60];
    struct peal_blob *b;

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 7);
    CHECK(peal_eiopkt_payload_next(&body, &packet));
    CHECK_OK(peal_eiopkt_parse(packet, &p));
    CHECK_OK(peal_eiopkt_binary(p.data, &b));
    CHECK_MEM(b->data, b->len, bytes, sizeof(bytes));
    peal_blob_release(b);
}

static void
the_handshake_has_five_keys(void **state)
{
    struct peal_slice sid = PEAL_S("8K1IlYmAP0KQa09-AAAA");
    struct peal_buf b = { 0 };

    CHECK_OK(peal_eiopkt_open(&b, sid, true, 25000, 20000, 1000000));
    CHECK_SLICE(peal_buf_slice(&b),
        "0{\"sid\":\"8K1IlYmAP0KQa09-AAAA\",\"upgrades\":[\"websocket\"],"
        "\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}");
    b.len = 0;
    CHECK_OK(peal_eiopkt_open(&b, sid, false, 300, 200, 5000000000));
    CHECK_SLICE(peal_buf_slice(&b),
        "0{\"sid\":\"8K1IlYmAP0KQa09-AAAA\",\"upgrades\":[],"
        "\"pingInterval\":300,\"pingTimeout\":200,\"maxPayload\":5000000000}");
    peal_buf_fini(&b);
    alloc_left = 0;
    CHECK_ERR(peal_eiopkt_open(&b, sid, true, 1, 1, 1), PEAL_ENOMEM);
    alloc_left = -1;
}

static void
errors_are_nodes(void **state)
{
    static const char *const bodies[] = {
        "{\"code\":0,\"message\":\"Transport unknown\"}",
        "{\"code\":1,\"message\":\"Session ID unknown\"}",
        "{\"code\":2,\"message\":\"Bad handshake method\"}",
        "{\"code\":3,\"message\":\"Bad request\"}",
        "{\"code\":4,\"message\":\"Forbidden\"}",
        "{\"code\":5,\"message\":\"Unsupported protocol version\"}"
    };
    struct peal_buf b = { 0 };

    for (unsigned i = 0; i < PEAL_EIO_CODE_N; i++) {
        b.len = 0;
        CHECK_OK(peal_eiopkt_error_body(&b, (enum peal_eiopkt_code)i, PEAL_S("")));
        CHECK_SLICE(peal_buf_slice(&b), bodies[i]);
        CHECK_INT(peal_eiopkt_errors[i].code, i);
        CHECK_INT(peal_eiopkt_errors[i].status, i == PEAL_EIO_FORBIDDEN ? 403 : 400);
    }
    b.len = 0;
    CHECK_OK(peal_eiopkt_error_body(&b, PEAL_EIO_FORBIDDEN, PEAL_S("no \"entry\"\n")));
    CHECK_SLICE(peal_buf_slice(&b), "{\"code\":4,\"message\":\"no \\\"entry\\\"\\n\"}");
    peal_buf_fini(&b);
}

static void
an_error_without_memory_changes_nothing(void **state)
{
    struct peal_buf b = { 0 };
    char message[200];
    peal_err err;
    long n = 0;

    memset(message, '\n', sizeof(message));
    for (;; n++) {
        peal_buf_fini(&b);
        CHECK_OK(peal_buf_add(&b, "x", 1));
        alloc_left = n;
        err = peal_eiopkt_error_body(
            &b, PEAL_EIO_FORBIDDEN, peal_slice_of(message, sizeof(message)));
        alloc_left = -1;
        if (err != PEAL_ENOMEM)
            break;
        CHECK_SLICE(peal_buf_slice(&b), "x");
    }
    CHECK_OK(err);
    CHECK(n >= 2);
    peal_buf_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_are_cut_as_split_does),
        cmocka_unit_test(a_packet_is_a_digit_and_the_rest),
        cmocka_unit_test(binary_is_base64_with_or_without_padding),
        cmocka_unit_test(binary_of_every_length_survives),
        cmocka_unit_test(binary_of_the_java_client_has_line_breaks),
        cmocka_unit_test(the_handshake_has_five_keys),
        cmocka_unit_test(errors_are_nodes),
        cmocka_unit_test(an_error_without_memory_changes_nothing),
    };

    return cmocka_run_group_tests_name("eio", tests, NULL, NULL);
}

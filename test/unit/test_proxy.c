/* SPDX-License-Identifier: MIT */
/* wire/proxy: the PROXY protocol, both versions, at every split. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "wire/proxy.h"

static peal_err
parse(struct peal_slice in, struct peal_proxy *p, size_t *used)
{
    char *copy = malloc(in.len ? in.len : 1);
    peal_err err;

    CHECK(copy != NULL);
    if (in.len > 0)
        memcpy(copy, in.data, in.len);
    err = peal_proxy_parse(peal_slice_of(copy, in.len), p, used);
    free(copy);
    return err;
}

/* Every beginning is waited for; the whole is taken; what follows is left. */
static struct peal_proxy
whole(struct peal_slice in)
{
    struct peal_proxy p;
    struct peal_buf more = { 0 };
    size_t used = 0;

    for (size_t n = 0; n < in.len; n++) {
        peal_err err = parse(peal_slice_of(in.data, n), &p, &used);

        if (err != PEAL_EAGAIN)
            print_error("after %zu bytes of %.*s\n", n, (int)in.len, in.data);
        CHECK_ERR(err, PEAL_EAGAIN);
        CHECK_INT(used, 0);
    }
    CHECK_OK(peal_buf_add_slice(&more, in));
    CHECK_OK(peal_buf_add_slice(&more, PEAL_S("GET / HTTP/1.1\r\n")));
    CHECK_OK(parse(peal_buf_slice(&more), &p, &used));
    CHECK_INT(used, in.len);
    used = 0;
    CHECK_OK(parse(in, &p, &used));
    CHECK_INT(used, in.len);
    peal_buf_fini(&more);
    return p;
}

/* Refused, and not before byte at (from 1), nor after it. */
static void
refused(struct peal_slice in, size_t at, int line)
{
    struct peal_proxy p;
    size_t used = 0, n = 1;
    peal_err err = PEAL_EAGAIN;

    for (; n <= in.len && err == PEAL_EAGAIN; n++)
        err = parse(peal_slice_of(in.data, n), &p, &used);
    if (err != PEAL_EPROTO || n - 1 != at)
        print_error("line %d: %d after %zu bytes\n", line, (int)err, n - 1);
    CHECK_ERR(err, PEAL_EPROTO);
    CHECK_INT(n - 1, at);
    CHECK_INT(used, 0);
    CHECK_ERR(parse(in, &p, &used), PEAL_EPROTO);
    CHECK_INT(p.src.kind, PEAL_ADDR_NONE);
}

/* lit up to and with the byte that cannot be right, and what may follow. */
#define REFUSED(lit, rest) refused(PEAL_S(lit rest), sizeof(lit) - 1, __LINE__)

static void
check_pair(const struct peal_proxy *p, const char *src, const char *dst)
{
    char text[PEAL_ADDR_TEXT_MAX];

    CHECK(!p->local);
    peal_addr_format(&p->src, text);
    assert_string_equal(text, src);
    peal_addr_format(&p->dst, text);
    assert_string_equal(text, dst);
}

static void
version_1_is_read(void **state)
{
    struct peal_proxy p;

    p = whole(PEAL_S("PROXY TCP4 192.168.0.1 10.0.0.2 56324 443\r\n"));
    check_pair(&p, "192.168.0.1:56324", "10.0.0.2:443");
    CHECK(!p.tls);
    p = whole(PEAL_S("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"));
    check_pair(&p, "255.255.255.255:65535", "255.255.255.255:65535");
    p = whole(PEAL_S("PROXY TCP6 2001:db8::1 ::1 0 1\r\n"));
    check_pair(&p, "[2001:db8::1]:0", "[::1]:1");
    p = whole(PEAL_S("PROXY TCP6 ::ffff:1.2.3.4 ::1 5 1\r\n"));
    check_pair(&p, "1.2.3.4:5", "[::1]:1");
    p = whole(PEAL_S("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"));
    CHECK_INT(p.src.port, 65535);
    p = whole(PEAL_S("PROXY UNKNOWN\r\n"));
    CHECK(p.local);
    p = whole(PEAL_S("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"));
    CHECK(p.local && p.src.kind == PEAL_ADDR_NONE); /* 107 bytes, the longest */
}

static void
version_1_is_refused_at_the_first_wrong_byte(void **state)
{
    REFUSED("G", "ET / HTTP/1.1\r\n");
    REFUSED("p", "roxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n");
    REFUSED("\x16", "\x03\x01");
    REFUSED("PROXYT", "CP4 ");
    REFUSED("PROXY  ", "TCP4 1.1.1.1 2.2.2.2 1 2\r\n");
    REFUSED("PROXY X", "");
    REFUSED("PROXY TCP5", " ");
    REFUSED("PROXY TCP46", " ");
    REFUSED("PROXY UNKNOWNX", "\r\n");
    REFUSED("PROXY UNKNOWN \r\r", "\n");
    REFUSED("PROXY TCP4  ", "1.1.1.1 2.2.2.2 1 2\r\n");
    REFUSED("PROXY TCP4 a", ".1.1.1 2.2.2.2 1 2\r\n");
    REFUSED("PROXY TCP4 :", ":1 ::1 1 2\r\n");
    REFUSED("PROXY TCP4 1.1.1 ", "2.2.2.2 1 2\r\n");
    REFUSED("PROXY TCP4 01.1.1.1 ", "2.2.2.2 1 2\r\n");
    REFUSED("PROXY TCP4 256.1.1.1 ", "2.2.2.2 1 2\r\n");
    REFUSED("PROXY TCP4 1.1.1.1.1.1.1.1.", "1 2.2.2.2 1 2\r\n");
    REFUSED("PROXY TCP6 1.1.1.1 ", "2.2.2.2 1 2\r\n");
    REFUSED("PROXY TCP6 ::1::2 ", "::1 1 2\r\n");
    REFUSED("PROXY TCP6 ::g", " ::1 1 2\r\n");
    REFUSED("PROXY TCP4 1.1.1.1 2.2.2.2 x", " 2\r\n");
    REFUSED("PROXY TCP4 1.1.1.1 2.2.2.2 01 ", "2\r\n");
    REFUSED("PROXY TCP4 1.1.1.1 2.2.2.2 65536 ", "2\r\n");
    REFUSED("PROXY TCP4 1.1.1.1 2.2.2.2 123456", " 2\r\n");
    REFUSED("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "");
    REFUSED("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 ", "\r\n");
    REFUSED("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rx", "");
    REFUSED("PROXY TCP4 1.1.1.1 2.2.2.2 1\r", "\n");
    REFUSED("PROXY TCP4 1.1.1.1 2.2.2.2 1 \r", "\n");
    REFUSED("PROXY TCP4 1.1.1.1 \0", "");
}

static void
a_line_without_an_end_is_refused(void **state)
{
    struct peal_proxy p;
    char text[200] = "PROXY UNKNOWN ";
    size_t used;

    memset(text + 14, 'x', sizeof(text) - 14);
    CHECK_ERR(parse(peal_slice_of(text, 106), &p, &used), PEAL_EAGAIN);
    CHECK_ERR(parse(peal_slice_of(text, 107), &p, &used), PEAL_EPROTO);
    CHECK_ERR(parse(peal_slice_of(text, 200), &p, &used), PEAL_EPROTO);
    memcpy(text + 106, "\r\n", 2); /* one byte too long */
    CHECK_ERR(parse(peal_slice_of(text, 200), &p, &used), PEAL_EPROTO);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_BYTES "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb"
#define V6_BYTES                                                                         \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"           \
    "\x00\x50\x01\xbb"

static void
version_2_is_read(void **state)
{
    struct peal_proxy p;

    p = whole(PEAL_S(SIGNATURE "\x21\x11\x00\x0c" V4_BYTES));
    check_pair(&p, "1.2.3.4:80", "5.6.7.8:443");
    CHECK(!p.tls);
    p = whole(PEAL_S(SIGNATURE "\x21\x21\x00\x24" V6_BYTES));
    check_pair(&p, "[2001:db8::1]:80", "[::1]:443");
    /* ALPN, a no-op, and a client that came over TLS. */
    p = whole(PEAL_S(SIGNATURE "\x21\x11\x00\x1d" V4_BYTES "\x01\x00\x02h2"
                               "\x04\x00\x01x\x20\x00\x05\x01\0\0\0\0"));
    check_pair(&p, "1.2.3.4:80", "5.6.7.8:443");
    CHECK(p.tls);
    p = whole(PEAL_S(SIGNATURE "\x21\x11\x00\x14" V4_BYTES "\x20\x00\x05\x06\0\0\0\0"));
    CHECK(!p.tls);
    /* The balancer itself, whatever follows; and a client it does not know. */
    p = whole(PEAL_S(SIGNATURE "\x20\x00\x00\x00"));
    CHECK(p.local);
    p = whole(PEAL_S(SIGNATURE "\x20\x11\x00\x03"
                               "abc"));
    CHECK(p.local && p.src.kind == PEAL_ADDR_NONE);
    p = whole(PEAL_S(SIGNATURE "\x20\xff\x00\x00"));
    CHECK(p.local);
    p = whole(PEAL_S(SIGNATURE "\x21\x00\x00\x03"
                               "abc"));
    CHECK(p.local);
}

static void
version_2_over_unix_sockets_is_read(void **state)
{
    char text[16 + 216] = SIGNATURE "\x21\x31\x00\xd8"
                                    "/a";
    struct peal_proxy p = whole(peal_slice_of(text, sizeof(text)));

    CHECK_INT(p.src.kind, PEAL_ADDR_UNIX);
    CHECK_INT(p.dst.kind, PEAL_ADDR_UNIX);
    CHECK(!p.local);
}

static void
version_2_is_refused_at_the_first_wrong_byte(void **state)
{
    REFUSED("\n", "");
    REFUSED("\r\r", "");
    REFUSED("\r\n\r\nP", "ROXY ");
    REFUSED("\r\n\r\n\0\r\nQUIT\r", "\n");
    REFUSED(SIGNATURE "\x11", "\x11\x00\x0c" V4_BYTES); /* version 1 in version 2 */
    REFUSED(SIGNATURE "\x22", "\x11\x00\x0c" V4_BYTES); /* no such command */
    REFUSED(SIGNATURE "\x21\x12", "\x00\x0c" V4_BYTES); /* UDP */
    REFUSED(SIGNATURE "\x21\x10", "\x00\x0c" V4_BYTES);
    REFUSED(SIGNATURE "\x21\x41", "\x00\x0c" V4_BYTES);
    REFUSED(SIGNATURE "\x21\x11\x00\x0b", V4_BYTES); /* too short for its addresses */
    REFUSED(SIGNATURE "\x21\x21\x00\x0c", V4_BYTES);
    REFUSED(SIGNATURE "\x21\x11\x00\x0d" V4_BYTES "\x01", ""); /* TLVs that are cut off */
    REFUSED(SIGNATURE "\x21\x11\x00\x0e" V4_BYTES "\x01\x00", "");
    REFUSED(SIGNATURE "\x21\x11\x00\x10" V4_BYTES "\x01\x00\x02h", "2");
    REFUSED(SIGNATURE "\x21\x11\x00\x13" V4_BYTES "\x20\x00\x04\x01\0\0\0", "");
    REFUSED(SIGNATURE "\x21\x11\x00\x12" V4_BYTES "\x03\x00\x03"
                      "abc",
        "");
}

static void
version_2_is_bounded(void **state)
{
    char *text = calloc(1, 16 + 65535);
    struct peal_proxy p;
    size_t used = 0;

    CHECK(text != NULL);
    memcpy(text, SIGNATURE "\x21\x00", 14);
    text[14] = (PEAL_PROXY_V2_MAX - 16) >> 8;
    text[15] = (char)((PEAL_PROXY_V2_MAX - 16) & 0xff);
    CHECK_ERR(parse(peal_slice_of(text, PEAL_PROXY_V2_MAX - 1), &p, &used), PEAL_EAGAIN);
    CHECK_OK(parse(peal_slice_of(text, PEAL_PROXY_V2_MAX), &p, &used));
    CHECK_INT(used, PEAL_PROXY_V2_MAX);
    text[15]++;
    CHECK_ERR(parse(peal_slice_of(text, 16), &p, &used), PEAL_ELIMIT);
    text[14] = text[15] = '\xff';
    CHECK_ERR(parse(peal_slice_of(text, 16 + 65535), &p, &used), PEAL_ELIMIT);
    free(text);
}

/* CRC32C of RFC 3720, a bit at a time. */
static uint32_t
crc32c(const char *p, size_t n)
{
    uint32_t crc = 0xffffffff;

    while (n-- > 0) {
        crc ^= (unsigned char)*p++;
        for (int i = 0; i < 8; i++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return crc ^ 0xffffffff;
}

static void
a_checksum_is_checked(void **state)
{
    char text[] =
        SIGNATURE "\x21\x11\x00\x17" V4_BYTES "\x03\x00\x04\0\0\0\0\x04\x00\x01x";
    struct peal_slice in = { text, sizeof(text) - 1 };
    struct peal_proxy p;
    uint32_t crc;
    size_t used = 0;

    CHECK_INT(crc32c("123456789", 9), 0xe3069283);
    crc = crc32c(text, in.len);
    for (int i = 0; i < 4; i++)
        text[31 + i] = (char)(crc >> (24 - 8 * i));
    p = whole(in);
    check_pair(&p, "1.2.3.4:80", "5.6.7.8:443");
    for (size_t i = 16; i < in.len; i++) { /* any byte that is covered */
        if (i >= 28 && i < 31)
            continue; /* type and length of the checksum itself */
        text[i] ^= 1;
        CHECK_ERR(parse(in, &p, &used), PEAL_EPROTO);
        text[i] ^= 1;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_is_read),
        cmocka_unit_test(version_1_is_refused_at_the_first_wrong_byte),
        cmocka_unit_test(a_line_without_an_end_is_refused),
        cmocka_unit_test(version_2_is_read),
        cmocka_unit_test(version_2_over_unix_sockets_is_read),
        cmocka_unit_test(version_2_is_refused_at_the_first_wrong_byte),
        cmocka_unit_test(version_2_is_bounded),
        cmocka_unit_test(a_checksum_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

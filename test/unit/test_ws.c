/* SPDX-License-Identifier: MIT */
/* wire/ws: frames and messages, at every split of every vector, and the handshake. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "base/utf8.h"
#include "wire/ws.h"

#define MESSAGE_MAX 1000

static const struct peal_wsframe_limits limits = { .message_max = MESSAGE_MAX };
static struct peal_deflate *scratch;

static int
set_up(void **state)
{
    return peal_deflate_new(6, 8, &scratch) == PEAL_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
    peal_deflate_free(&scratch);
    return 0;
}

/* "1:text;" for each event, "8:1000:reason;" for a close. */
static void
log_event(struct peal_buf *log, const struct peal_wsframe_event *ev)
{
    CHECK_OK(peal_buf_printf(log, "%d:", (int)ev->type));
    if (ev->type == PEAL_WS_CLOSE)
        CHECK_OK(peal_buf_printf(log, "%u:", ev->close_code));
    CHECK_OK(peal_buf_add_slice(log, ev->payload));
    CHECK_OK(peal_buf_add_char(log, ';'));
}

/* Decodes one piece, which is in memory of exactly its size. */
static peal_err
decode_piece(
    struct peal_wsframe_decoder *d, const char *in, size_t len, struct peal_buf *log)
{
    uint8_t *piece = malloc(len ? len : 1);
    struct peal_wsframe_event ev;
    size_t at = 0, used;
    peal_err err;

    CHECK(piece != NULL);
    if (len > 0)
        memcpy(piece, in, len);
    while ((err = peal_wsframe_decode(d, piece + at, len - at, scratch, &used, &ev)) ==
           PEAL_OK) {
        at += used;
        CHECK(at <= len);
        log_event(log, &ev);
    }
    free(piece);
    return err;
}

struct outcome {
    peal_err err;
    unsigned code; /* to close with */
    bool idle;     /* nothing is held */
    size_t taken;  /* bytes fed when it ended */
    struct peal_buf log;
};

static struct outcome
decode(struct peal_slice in, size_t step, unsigned flags)
{
    struct outcome o = { .err = PEAL_EAGAIN };
    struct peal_wsframe_decoder d;

    peal_wsframe_decoder_init(&d, flags, &limits);
    for (size_t at = 0; at < in.len && o.err == PEAL_EAGAIN; at += step) {
        size_t n = in.len - at < step ? in.len - at : step;

        o.err = decode_piece(&d, in.data + at, n, &o.log);
        o.taken = at + n;
    }
    o.code = d.fail_code;
    o.idle = d.part == NULL;
    if (o.err != PEAL_EAGAIN) { /* an error stays */
        CHECK_ERR(decode_piece(&d, "\x81\x80\0\0\0\0", 6, &o.log), o.err);
        CHECK(o.idle);
        CHECK_INT(d.fail_code, o.code);
    }
    peal_wsframe_decoder_fini(&d);
    return o;
}

/* Whatever the pieces are, the events are these; then the error that code says, or 0. */
static void
check_events(
    struct peal_slice in, unsigned flags, const char *want, unsigned code, int line)
{
    for (size_t step = in.len; step >= 1; step--) {
        struct outcome o = decode(in, step, flags);
        bool good = peal_slice_eq(peal_buf_slice(&o.log), peal_slice_str(want)) &&
                    o.code == code && (code == 0) == (o.err == PEAL_EAGAIN);

        if (!good)
            print_error("line %d, step %zu: err %d, code %u, \"%.*s\"\n", line, step,
                (int)o.err, o.code, (int)o.log.len, o.log.data);
        peal_buf_fini(&o.log);
        CHECK(good);
    }
}

/* Frames as a client receives them, and masked as a server does, must mean the same. */
#define MASK_KEY "\x37\xfa\x21\x3d"

static void
add_masked(struct peal_buf *out, const char *in, size_t head, size_t len)
{
    uint8_t payload[2048];

    CHECK(len <= sizeof(payload));
    if (len > 0)
        memcpy(payload, in + head, len);
    peal_wsframe_mask(payload, len, (const uint8_t *)MASK_KEY, 0);
    CHECK_OK(peal_buf_add_char(out, in[0]));
    CHECK_OK(peal_buf_add_char(out, (char)(in[1] | 0x80)));
    CHECK_OK(peal_buf_add(out, in + 2, head - 2));
    CHECK_OK(peal_buf_add(out, MASK_KEY, 4));
    CHECK_OK(peal_buf_add(out, payload, len));
}

/* The same frames, masked. Only whole ones with lengths that are small and honest. */
static struct peal_buf
masked(struct peal_slice in)
{
    struct peal_buf out = { 0 };

    while (in.len > 0) {
        size_t len = (unsigned char)in.data[1] & 0x7f, head = 2;

        if (len == 126) {
            len = (size_t)(unsigned char)in.data[2] << 8 | (unsigned char)in.data[3];
            head = 4;
        }
        CHECK(len < 127 || head == 4);
        CHECK(in.len >= head + len);
        add_masked(&out, in.data, head, len);
        in = peal_slice_skip(in, head + len);
    }
    return out;
}

static void
check_both(
    struct peal_slice in, unsigned flags, const char *want, unsigned code, int line)
{
    struct peal_buf m = masked(in);

    check_events(in, PEAL_WS_CLIENT | flags, want, code, line);
    check_events(peal_buf_slice(&m), PEAL_WS_SERVER | flags, want, code, line);
    peal_buf_fini(&m);
}

#define GIVES(lit, want) check_both(PEAL_S(lit), 0, want, 0, __LINE__)
#define FAILS(lit, want, code) check_both(PEAL_S(lit), 0, want, code, __LINE__)
#define GIVES_Z(lit, want) check_both(PEAL_S(lit), PEAL_WS_DEFLATE, want, 0, __LINE__)
#define FAILS_Z(lit, want, code)                                                         \
    check_both(PEAL_S(lit), PEAL_WS_DEFLATE, want, code, __LINE__)
/* As they are, to a server. */
#define RAW_FAILS(lit, code) check_events(PEAL_S(lit), PEAL_WS_SERVER, "", code, __LINE__)

static void
the_examples_of_rfc_6455_are_read(void **state) /* section 5.7 */
{
    GIVES("\x81\x05Hello", "1:Hello;");
    check_events(PEAL_S("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), PEAL_WS_SERVER,
        "1:Hello;", 0, __LINE__);
    GIVES("\x01\x03Hel\x80\x02lo", "1:Hello;");
    GIVES("\x89\x05Hello", "9:Hello;");
    check_events(PEAL_S("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), PEAL_WS_SERVER,
        "10:Hello;", 0, __LINE__);
}

static void
messages_are_joined_from_fragments(void **state)
{
    GIVES("\x81\x00\x82\x00", "1:;2:;");
    GIVES("\x01\x00\x00\x00\x80\x00", "1:;");
    GIVES("\x01\x01"
          "a\x00\x01"
          "b\x00\x00\x80\x01"
          "c\x82\x01"
          "d",
        "1:abc;2:d;");
    GIVES("\x02\x02\xff\xfe\x80\x01\xfd", "2:\xff\xfe\xfd;");
    /* Control frames come between fragments, with their own payloads. */
    GIVES("\x01\x01"
          "a\x89\x02pi\x8a\x00\x00\x01"
          "b\x89\x00\x80\x01"
          "c",
        "9:pi;10:;9:;1:abc;");
    GIVES("\x01\x01"
          "a\x88\x02\x03\xe8\x80\x01"
          "b",
        "8:1000:;");
}

static void
frames_out_of_place_are_refused(void **state)
{
    FAILS("\x80\x01"
          "a",
        "", 1002); /* nothing to continue */
    FAILS("\x81\x01"
          "a\x80\x01"
          "b",
        "1:a;", 1002);
    FAILS("\x01\x01"
          "a\x81\x01"
          "b",
        "", 1002);
    FAILS("\x01\x01"
          "a\x02\x01"
          "b",
        "", 1002);
    FAILS("\x01\x01"
          "a\x89\x00\x01\x01"
          "b",
        "9:;", 1002);
    FAILS("\x09\x00", "", 1002); /* a control frame in fragments */
    FAILS("\x08\x00", "", 1002);
    FAILS("\x91\x00", "", 1002); /* reserved bits */
    FAILS("\xa1\x00", "", 1002);
    FAILS("\xc1\x00", "", 1002);
    FAILS("\x83\x00", "", 1002); /* reserved opcodes */
    FAILS("\x87\x00", "", 1002);
    FAILS("\x8b\x00", "", 1002);
    FAILS("\x8f\x00", "", 1002);
    RAW_FAILS("\x81\x05Hello", 1002); /* not masked, to a server */
    check_events(PEAL_S("\x81\x81\0\0\0\0x"), PEAL_WS_CLIENT, "", 1002, __LINE__);
    RAW_FAILS("\x89\xfe\x00\x7e\0\0\0\0", 1002);           /* a ping of 126 bytes */
    RAW_FAILS("\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 1002); /* the highest bit is 0 */
}

static void
closes_are_read(void **state)
{
    GIVES("\x88\x00", "8:1005:;");
    GIVES("\x88\x02\x03\xe8", "8:1000:;");
    GIVES("\x88\x06\x0f\xa0"
          "b\xc3\xa9"
          "e",
        "8:4000:b\xc3\xa9"
        "e;");
    /* What follows does not count, whatever it is. */
    check_events(PEAL_S("\x88\x80\0\0\0\0\x83\xffgarbage"), PEAL_WS_SERVER, "8:1005:;", 0,
        __LINE__);
    FAILS("\x88\x01\x03", "", 1002);
    FAILS("\x88\x02\x03\xe7", "", 1002);
    FAILS("\x88\x02\x03\xed", "", 1002); /* 1005 */
    FAILS("\x88\x03\x03\xe8\xff", "", 1007);
    FAILS("\x88\x04\x03\xe8\xe2\x82", "", 1007);
    FAILS("\x81\x01"
          "a\x88\x02\x00\x00",
        "1:a;", 1002);
}

static void
close_codes_are_those_of_the_registry(void **state)
{
    static const unsigned yes[] = { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011,
        1012, 1013, 1014, 3000, 3999, 4000, 4999 };
    static const unsigned no[] = { 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000,
        2999, 5000, 65535, 1000 + 65536 };

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        CHECK(peal_wsframe_close_code_valid(yes[i]));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        CHECK(!peal_wsframe_close_code_valid(no[i]));
}

static void
close_payloads_are_written(void **state)
{
    uint8_t out[PEAL_WS_CONTROL_MAX];
    char reason[200];

    CHECK_INT(peal_wsframe_close_payload(out, PEAL_WS_CLOSE_NONE, PEAL_S("x")), 0);
    CHECK_MEM(out, peal_wsframe_close_payload(out, 1000, PEAL_S("bye")),
        "\x03\xe8"
        "bye",
        5);
    CHECK_MEM(out, peal_wsframe_close_payload(out, 4999, PEAL_S("")), "\x13\x87", 2);
    for (size_t i = 0; i < sizeof(reason); i++)
        reason[i] = "\xe2\x82\xac"[i % 3];
    CHECK_INT(peal_wsframe_close_payload(out, 1000, peal_slice_of(reason, 123)), 125);
    for (size_t len = 124; len < sizeof(reason); len++)
        CHECK_INT(peal_wsframe_close_payload(out, 1000, peal_slice_of(reason, len)), 125);
    for (size_t shift = 1; shift < 3; shift++) { /* cut between two characters */
        memset(reason, 'a', shift);
        for (size_t i = shift; i < sizeof(reason); i++)
            reason[i] = "\xe2\x82\xac"[(i - shift) % 3];
        CHECK_INT(peal_wsframe_close_payload(out, 1000, peal_slice_of(reason, 180)),
            2 + shift + (123 - shift) / 3 * 3);
        CHECK(peal_utf8_valid(peal_slice_of(out + 2, shift + (123 - shift) / 3 * 3)));
    }
}

static void
text_is_utf_8(void **state)
{
    static const char *const good[] = { "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
        "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf", "12345678\xc3\xa9xyzxyzxy", "\xce\xba\xe1\xbd\xb9" };
    static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3",
        "\xc3\x28", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff",
        "\xf0\x90\x80", "12345678\xc3", "12345678\xffxyzxyzxy", "\xc3\xc3\xa9" };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]) + sizeof(bad) / sizeof(bad[0]);
         i++) {
        bool ok = i < sizeof(good) / sizeof(good[0]);
        const char *text = ok ? good[i] : bad[i - sizeof(good) / sizeof(good[0])];
        size_t len = strlen(text);

        for (size_t cut = 0; cut <= len; cut++) { /* as fragments, cut anywhere */
            struct peal_buf in = { 0 }, want = { 0 };

            CHECK_OK(peal_buf_printf(&in, "\x01%c%.*s", (int)cut, (int)cut, text));
            CHECK_OK(peal_buf_add_slice(&in, PEAL_S("\x89\x01p")));
            CHECK_OK(peal_buf_printf(&in, "\x80%c%s", (int)(len - cut), text + cut));
            /* A ping is answered only if the text was good so far. */
            if (ok)
                CHECK_OK(peal_buf_printf(&want, "9:p;1:%s;", text));
            if (ok) {
                CHECK_OK(peal_buf_add_char(&want, 0));
                check_both(peal_buf_slice(&in), 0, want.data, 0, __LINE__);
            } else {
                struct outcome o = decode(peal_buf_slice(&in), 1, PEAL_WS_CLIENT);

                CHECK_INT(o.code, 1007);
                peal_buf_fini(&o.log);
            }
            peal_buf_fini(&in);
            peal_buf_fini(&want);
        }
    }
}

static void
bad_text_is_refused_as_soon_as_it_comes(void **state)
{
    struct outcome o;

    /* A first fragment of 100 bytes whose third is wrong. */
    o = decode(PEAL_S("\x01\x64"
                      "ab\xff"
                      "defgh"),
        1, PEAL_WS_CLIENT);
    CHECK_INT(o.code, 1007);
    CHECK_INT(o.taken, 5);
    peal_buf_fini(&o.log);
    /* A surrogate half: its second byte tells. */
    o = decode(PEAL_S("\x01\x64"
                      "ab\xed\xa0"
                      "efgh"),
        1, PEAL_WS_CLIENT);
    CHECK_INT(o.code, 1007);
    CHECK_INT(o.taken, 6);
    peal_buf_fini(&o.log);
}

/* A frame of a server with len bytes of x; announced: without most of them. */
static struct peal_buf
frame_of(unsigned first, uint64_t len, size_t have)
{
    struct peal_buf b = { 0 };
    uint8_t head[PEAL_WS_HEAD_MAX];
    size_t n = peal_wsframe_head(head, first & 15, false, len);

    head[0] = (uint8_t)first;
    CHECK_OK(peal_buf_add(&b, head, n));
    for (size_t i = 0; i < have; i++)
        CHECK_OK(peal_buf_add_char(&b, 'x'));
    return b;
}

static unsigned
code_of(struct peal_buf in, size_t step, size_t *taken)
{
    struct outcome o = decode(peal_buf_slice(&in), step, PEAL_WS_CLIENT);

    CHECK_INT(o.err, o.code == 0 ? PEAL_EAGAIN : PEAL_ELIMIT);
    *taken = o.taken;
    peal_buf_fini(&in);
    peal_buf_fini(&o.log);
    return o.code;
}

static void
lengths_are_written_and_read_in_every_size(void **state)
{
    static const size_t lens[] = { 0, 1, 124, 125, 126, 127, 128, 255, 256, 999, 1000 };
    size_t taken;

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        CHECK_INT(code_of(frame_of(0x82, lens[i], lens[i]), 7, &taken), 0);
        CHECK_INT(code_of(frame_of(0x82, lens[i], lens[i]), 5000, &taken), 0);
    }
    /* A length need not be in its shortest form, as we are a lenient reader of it. */
    check_events(PEAL_S("\x82\x7e\x00\x01x"), PEAL_WS_CLIENT, "2:x;", 0, __LINE__);
    check_events(
        PEAL_S("\x82\x7f\0\0\0\0\0\0\0\x01x"), PEAL_WS_CLIENT, "2:x;", 0, __LINE__);
}

static void
a_message_too_long_is_refused_by_its_announcement(void **state)
{
    struct peal_buf b;
    size_t taken;

    CHECK_INT(code_of(frame_of(0x82, 1001, 1001), 1, &taken), 1009);
    CHECK_INT(taken, 4);
    CHECK_INT(code_of(frame_of(0x82, 1001, 1001), 5000, &taken), 1009);
    CHECK_INT(code_of(frame_of(0x82, INT64_MAX, 3), 1, &taken), 1009);
    CHECK_INT(taken, 10);
    b = frame_of(0x02, 600, 600);
    CHECK_OK(peal_buf_add_slice(&b, PEAL_S("\x80\x7e\x01\x90"))); /* 400 more: fits */
    CHECK_INT(code_of(b, 9, &taken), 0);
    b = frame_of(0x02, 600, 600);
    CHECK_OK(peal_buf_add_slice(&b, PEAL_S("\x89\x01p\x80\x7e\x01\x91")));
    CHECK_INT(code_of(b, 1, &taken), 1009);
    CHECK_INT(taken, 4 + 600 + 3 + 4);
}

static void
heads_are_those_of_the_rfc(void **state)
{
    uint8_t h[PEAL_WS_HEAD_MAX];

    CHECK_MEM(h, peal_wsframe_head(h, PEAL_WS_TEXT, false, 5), "\x81\x05", 2);
    CHECK_MEM(h, peal_wsframe_head(h, PEAL_WS_TEXT, true, 125), "\xc1\x7d", 2);
    CHECK_MEM(h, peal_wsframe_head(h, PEAL_WS_BINARY, false, 126), "\x82\x7e\x00\x7e", 4);
    CHECK_MEM(h, peal_wsframe_head(h, PEAL_WS_BINARY, false, 256), "\x82\x7e\x01\x00", 4);
    CHECK_MEM(
        h, peal_wsframe_head(h, PEAL_WS_BINARY, false, 65535), "\x82\x7e\xff\xff", 4);
    CHECK_MEM(h, peal_wsframe_head(h, PEAL_WS_BINARY, false, 65536),
        "\x82\x7f\0\0\0\0\0\1\0\0", 10);
    CHECK_MEM(h,
        peal_wsframe_head_masked(h, PEAL_WS_PING, false, 0, (const uint8_t *)"abcd"),
        "\x89\x80"
        "abcd",
        6);
    CHECK_INT(peal_wsframe_head_masked(h, PEAL_WS_TEXT, false, 1ull << 40, h), 14);
}

static void
masking_is_the_same_at_every_offset(void **state)
{
    static const uint8_t key[4] = { 1, 20, 77, 255 };
    uint8_t plain[64], whole[64], parts[64];

    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * 7);
    for (size_t len = 0; len <= sizeof(plain); len++) {
        memcpy(whole, plain, sizeof(plain));
        peal_wsframe_mask(whole, len, key, 0);
        for (size_t i = 0; i < len; i++)
            CHECK_INT(whole[i], plain[i] ^ key[i % 4]);
        for (size_t cut = 0; cut <= len; cut++) {
            memcpy(parts, plain, sizeof(plain));
            peal_wsframe_mask(parts, cut, key, 0);
            peal_wsframe_mask(parts + cut, len - cut, key, cut);
            CHECK(memcmp(parts, whole, sizeof(whole)) == 0);
        }
    }
}

static void
compressed_messages_are_read(void **state)
{
    GIVES_Z("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", "1:Hello;");
    GIVES_Z("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", "1:Hello;"); /* fragments */
    GIVES_Z(
        "\x41\x03\xf2\x48\xcd\x89\x01p\x00\x00\x80\x04\xc9\xc9\x07\x00", "9:p;1:Hello;");
    GIVES_Z("\x81\x05Hello\xc2\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x81\x01x",
        "1:Hello;2:Hello;1:x;");
    GIVES_Z("\xc1\x01\x00\xc2\x01\x00", "1:;2:;");
    FAILS_Z("\xc9\x00", "", 1002); /* control frames are never compressed */
    FAILS_Z("\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00", "", 1002);
    FAILS_Z("\xc1\x01\xff", "", 1007);
    FAILS_Z("\xc1\x03\xf2\x48\xcd", "", 1007);
    FAILS_Z("\x41\x01\xff\x80\x01\xff", "", 1007);
    /* A stored block of one byte that is no UTF-8; as binary it may be. */
    FAILS_Z("\xc1\x06\x00\x01\x00\xfe\xff\xff", "", 1007);
    GIVES_Z("\xc2\x07\x00\x01\x00\xfe\xff\xff\x00", "2:\xff;");
}

static void
a_bomb_is_refused(void **state)
{
    struct peal_buf packed = { 0 }, in = { 0 };
    uint8_t head[PEAL_WS_HEAD_MAX];
    char *zeros = calloc(1, 1 << 20);
    size_t n;

    CHECK(zeros != NULL);
    for (size_t len = MESSAGE_MAX; len <= 1 << 20;
         len = len == MESSAGE_MAX ? len + 1 : len * 2) {
        packed.len = in.len = 0;
        CHECK_OK(peal_deflate_message(scratch, 15, peal_slice_of(zeros, len), &packed));
        n = peal_wsframe_head(head, PEAL_WS_BINARY, true, packed.len);
        CHECK_OK(peal_buf_add(&in, head, n));
        CHECK_OK(peal_buf_add_slice(&in, peal_buf_slice(&packed)));
        for (size_t step = 1; step <= in.len; step += 13) {
            struct outcome o = decode(peal_buf_slice(&in), step, PEAL_WS_DEFLATE);

            CHECK_INT(o.code, len == MESSAGE_MAX ? 0 : 1009);
            peal_buf_fini(&o.log);
        }
    }
    free(zeros);
    peal_buf_fini(&packed);
    peal_buf_fini(&in);
}

static void
nothing_is_held_between_messages(void **state)
{
    struct peal_wsframe_decoder d;
    struct peal_buf log = { 0 };

    CHECK(sizeof(d) <= 24);
    peal_wsframe_decoder_init(&d, PEAL_WS_CLIENT, &limits);
    CHECK_ERR(decode_piece(&d, "\x81\x05Hello", 7, &log), PEAL_EAGAIN);
    CHECK(d.part == NULL);
    CHECK_ERR(decode_piece(&d, "\x81\x05He", 4, &log), PEAL_EAGAIN);
    CHECK(d.part != NULL);
    CHECK_ERR(decode_piece(&d, "llo", 3, &log), PEAL_EAGAIN);
    CHECK(d.part == NULL);
    CHECK_ERR(decode_piece(&d, "\x01\x02He", 4, &log), PEAL_EAGAIN);
    CHECK(d.part != NULL);
    peal_wsframe_decoder_fini(&d);
    CHECK(d.part == NULL);
    peal_buf_fini(&log);
}

/* Fragments, a ping in pieces, a compressed message; three bytes at a time. */
static const char mixed[] = "\x01\x03"
                            "abc\x89\x04pong\x80\x03"
                            "def"
                            "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00";

static void
every_failing_allocation_is_survived(void **state)
{
    long n = 0;

    for (;; n++) {
        struct peal_wsframe_decoder d;
        struct peal_wsframe_event ev;
        struct peal_deflate *z = NULL;
        peal_err err = PEAL_EAGAIN;
        size_t used;
        unsigned events = 0;

        CHECK_OK(peal_deflate_new(1, 8, &z));
        peal_wsframe_decoder_init(&d, PEAL_WS_CLIENT | PEAL_WS_DEFLATE, &limits);
        alloc_left = n;
        for (size_t at = 0; at < sizeof(mixed) - 1 && err == PEAL_EAGAIN; at += 3) {
            uint8_t piece[3];
            size_t len = sizeof(mixed) - 1 - at < 3 ? sizeof(mixed) - 1 - at : 3,
                   from = 0;

            memcpy(piece, mixed + at, len);
            while ((err = peal_wsframe_decode(
                        &d, piece + from, len - from, z, &used, &ev)) == PEAL_OK) {
                from += used;
                events++;
            }
        }
        alloc_left = -1;
        if (err == PEAL_EAGAIN) {
            CHECK_INT(events, 3);
        } else {
            CHECK_ERR(err, PEAL_ENOMEM);
            CHECK_INT(d.fail_code, 1011);
            CHECK(d.part == NULL);
        }
        peal_wsframe_decoder_fini(&d);
        peal_deflate_free(&z);
        if (err == PEAL_EAGAIN)
            break;
    }
    CHECK(n > 4);
}

static void
keys_are_answered(void **state)
{
    static const struct peal_slice bad[] = { PEAL_S(""),
        PEAL_S("dGhlIHNhbXBsZSBub25jZQ="), PEAL_S("dGhlIHNhbXBsZSBub25jZQ==="),
        PEAL_S("dGhlIHNhbXBsZSBub25jZQ"), PEAL_S("dGhlIHNhbXBsZSBub25jZS4="),
        PEAL_S("dGhlIHNhbXBsZSBub25j ZQ="), PEAL_S("dGhlIHNhbXBsZSBub25jZS4u"),
        PEAL_S("========================"), PEAL_S("dGhlIHNhbXBsZSBub25j!Q=="),
        PEAL_S("dGhlIHNhbXBsZSBub25jZS4uLi4u") };
    char out[PEAL_WS_ACCEPT_LEN];

    CHECK_OK(peal_wshandshake_accept_key(PEAL_S("dGhlIHNhbXBsZSBub25jZQ=="), out));
    CHECK_MEM(out, sizeof(out), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_ERR(peal_wshandshake_accept_key(bad[i], out), PEAL_EPROTO);
}

#define ANSWER                                                                           \
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static void
check_answer(
    const char *offers, unsigned server, unsigned client, const char *want, unsigned bits)
{
    struct peal_wsdeflate_settings s = { (uint8_t)server, (uint8_t)client };
    struct peal_wsdeflate out;
    struct peal_buf answer = { 0 };

    CHECK_OK(peal_wsdeflate_negotiate(peal_slice_str(offers), &s, &out, &answer));
    CHECK_SLICE(peal_buf_slice(&answer), want);
    CHECK_INT(out.on, want[0] != 0);
    CHECK_INT(out.deflate_bits, bits);
    peal_buf_fini(&answer);
}

static void
deflate_is_negotiated(void **state)
{
    check_answer("", 15, 15, "", 0);
    check_answer("permessage-deflate", 15, 15, ANSWER, 15);
    check_answer("permessage-deflate; client_max_window_bits", 15, 15, ANSWER, 15);
    check_answer("permessage-deflate; client_max_window_bits", 15, 10,
        ANSWER "; client_max_window_bits=10", 15);
    check_answer("permessage-deflate; client_max_window_bits=9", 15, 10,
        ANSWER "; client_max_window_bits=9", 15);
    check_answer("permessage-deflate; client_max_window_bits=12", 15, 10,
        ANSWER "; client_max_window_bits=10", 15);
    check_answer("permessage-deflate", 15, 10, ANSWER, 15); /* not asked: not answered */
    check_answer("permessage-deflate; server_max_window_bits=10", 15, 15,
        ANSWER "; server_max_window_bits=10", 10);
    check_answer("permessage-deflate; server_max_window_bits=15", 15, 15,
        ANSWER "; server_max_window_bits=15", 15);
    check_answer("permessage-deflate; server_max_window_bits=12", 11, 15,
        ANSWER "; server_max_window_bits=11", 11);
    check_answer("permessage-deflate", 11, 15, ANSWER "; server_max_window_bits=11", 11);
    check_answer(
        "permessage-deflate;server_no_context_takeover;client_no_context_takeover"
        ";server_max_window_bits=\"9\"",
        15, 15, ANSWER "; server_max_window_bits=9", 9);
    check_answer(
        " , x-other; a=\"b,;\\\"\"; c ,permessage-deflate ; client_max_window_bits", 15,
        15, ANSWER, 15);
    /* The first offer that we can follow. */
    check_answer("permessage-deflate; server_max_window_bits=8, permessage-deflate", 15,
        15, ANSWER, 15);
    check_answer("permessage-deflate; server_max_window_bits=10, permessage-deflate", 15,
        15, ANSWER "; server_max_window_bits=10", 10);
    check_answer("permessage-deflate; unknown, permessage-deflate", 15, 15, ANSWER, 15);
}

static void
offers_that_are_wrong_are_declined(void **state)
{
    static const char *const declined[] = { "x-webkit-deflate-frame",
        "Permessage-Deflate", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover=\"x\"",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=\"1\\0\"",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; a=b" };
    static const char *const broken[] = { "permessage-deflate;", "permessage-deflate; ;",
        "permessage-deflate; a=", "permessage-deflate; =a", "permessage-deflate; a=\"\"",
        "permessage-deflate; a=\"b", "permessage-deflate; a=\"b\\", "a b", "a; b c",
        "a; b=\"c\"d", ";a", "(a)", "a, b=c", "permessage-deflate; a==b" };
    struct peal_wsdeflate_settings s = { 15, 15 };
    struct peal_wsdeflate out;
    struct peal_buf answer = { 0 };

    for (size_t i = 0; i < sizeof(declined) / sizeof(declined[0]); i++)
        check_answer(declined[i], 15, 15, "", 0);
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        peal_err err =
            peal_wsdeflate_negotiate(peal_slice_str(broken[i]), &s, &out, &answer);

        if (err != PEAL_EPROTO)
            print_error("taken: %s\n", broken[i]);
        CHECK_ERR(err, PEAL_EPROTO);
        CHECK(!out.on && answer.len == 0);
    }
    peal_buf_fini(&answer);
}

static void
answers_are_held_against_the_offer(void **state)
{
    static const char *const bad[] = { "permessage-deflate", "x", ANSWER ", " ANSWER,
        ANSWER "; client_max_window_bits", ANSWER "; client_max_window_bits=8",
        ANSWER "; x", "permessage-deflate; client_no_context_takeover", ANSWER ";" };
    struct peal_wsdeflate out;

    CHECK_OK(peal_wsdeflate_accept(PEAL_S(""), &out));
    CHECK(!out.on);
    CHECK_OK(peal_wsdeflate_accept(PEAL_S(ANSWER), &out));
    CHECK(out.on);
    CHECK_INT(out.deflate_bits, 15);
    CHECK_OK(peal_wsdeflate_accept(
        PEAL_S(ANSWER "; server_max_window_bits=8; client_max_window_bits=11"), &out));
    CHECK_INT(out.deflate_bits, 11);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_ERR(peal_wsdeflate_accept(peal_slice_str(bad[i]), &out), PEAL_EPROTO);
        CHECK(!out.on);
    }
}

static void
an_answer_without_memory_is_none(void **state)
{
    struct peal_wsdeflate_settings s = { 10, 10 };
    struct peal_wsdeflate out;
    peal_err err = PEAL_ENOMEM;

    for (long n = 0; err == PEAL_ENOMEM; n++) {
        struct peal_buf answer = { 0 };

        CHECK_OK(peal_buf_add(&answer, "head", 4));
        alloc_left = n;
        err = peal_wsdeflate_negotiate(
            PEAL_S("permessage-deflate; client_max_window_bits"), &s, &out, &answer);
        alloc_left = -1;
        if (err != PEAL_OK) {
            CHECK_SLICE(peal_buf_slice(&answer), "head");
            CHECK(!out.on);
        } else {
            CHECK(n > 0);
            CHECK(out.on);
        }
        peal_buf_fini(&answer);
    }
    CHECK_OK(err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_rfc_6455_are_read),
        cmocka_unit_test(messages_are_joined_from_fragments),
        cmocka_unit_test(frames_out_of_place_are_refused),
        cmocka_unit_test(closes_are_read),
        cmocka_unit_test(close_codes_are_those_of_the_registry),
        cmocka_unit_test(close_payloads_are_written),
        cmocka_unit_test(text_is_utf_8),
        cmocka_unit_test(bad_text_is_refused_as_soon_as_it_comes),
        cmocka_unit_test(lengths_are_written_and_read_in_every_size),
        cmocka_unit_test(a_message_too_long_is_refused_by_its_announcement),
        cmocka_unit_test(heads_are_those_of_the_rfc),
        cmocka_unit_test(masking_is_the_same_at_every_offset),
        cmocka_unit_test(compressed_messages_are_read),
        cmocka_unit_test(a_bomb_is_refused),
        cmocka_unit_test(nothing_is_held_between_messages),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(keys_are_answered),
        cmocka_unit_test(deflate_is_negotiated),
        cmocka_unit_test(offers_that_are_wrong_are_declined),
        cmocka_unit_test(answers_are_held_against_the_offer),
        cmocka_unit_test(an_answer_without_memory_is_none),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: MIT */
/* Server-Sent Events: what is written, and what an EventSource makes of it. */
#include "check.h"

#include "alloc.h"
#include "wire/sse.h"

static void
an_event_is_fields_and_an_empty_line(void **state)
{
    static const struct {
        const char *event, *id, *data, *want;
    } cases[] = { { "", "", "hi", "data: hi\n\n" }, { "", "", "", "data: \n\n" },
        { "created", "", "{\"id\":7}", "event: created\ndata: {\"id\":7}\n\n" },
        { "e", "5-12", "x", "event: e\nid: 5-12\ndata: x\n\n" },
        { "", "", "a\nb", "data: a\ndata: b\n\n" },
        { "", "", "a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n\n" },
        { "", "", "\n\r", "data: \ndata: \ndata: \n\n" },
        { "", "", " : data: event: x", "data:  : data: event: x\n\n" },
        { "a\nid: 1\r", "2\n3", "x", "event: aid: 1\nid: 23\ndata: x\n\n" },
        { "h\xc3\xa9", "", "\xf0\x9f\x94\x94",
            "event: h\xc3\xa9\ndata: \xf0\x9f\x94\x94\n\n" } };
    struct peal_buf b = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        b.len = 0;
        CHECK_OK(peal_sse_event(&b, peal_slice_str(cases[i].event),
            peal_slice_str(cases[i].id), peal_slice_str(cases[i].data)));
        CHECK_SLICE(peal_buf_slice(&b), cases[i].want);
    }
    b.len = 0;
    CHECK_OK(peal_sse_event(&b, (struct peal_slice){ NULL, 0 },
        peal_slice_of("1\0002", 3), (struct peal_slice){ NULL, 0 }));
    CHECK_SLICE(peal_buf_slice(&b), "id: 12\ndata: \n\n");
    peal_buf_fini(&b);
}

static void
retry_and_ping_say_no_more(void **state)
{
    struct peal_buf b = { 0 };

    CHECK_OK(peal_sse_retry(&b, 3000));
    CHECK_SLICE(peal_buf_slice(&b), "retry: 3000\n\n");
    CHECK_SLICE(PEAL_S(PEAL_SSE_PING), ":\n\n");
    peal_buf_fini(&b);
}

/* What the specification's parser makes of the data fields of one event, lines joined by
 * line feeds. Written for what peal_sse_event writes: "data: " in front of every line. */
static void
read_back(struct peal_slice text, struct peal_buf *data)
{
    struct peal_slice line;
    bool first = true;

    while ((line = peal_slice_cut(&text, '\n')).len > 0) {
        CHECK(peal_slice_starts(line, PEAL_S("data: ")));
        CHECK(memchr(line.data, '\r', line.len) == NULL);
        if (!first)
            CHECK_OK(peal_buf_add_char(data, '\n'));
        CHECK_OK(peal_buf_add_slice(data, peal_slice_skip(line, 6)));
        first = false;
    }
    CHECK_INT(text.len, 0);
}

/* All texts of up to six of these characters: every kind and place of a line's end. */
static void
every_mix_of_line_ends_can_be_read(void **state)
{
    static const char letters[] = "a\r\n ";
    struct peal_buf out = { 0 }, want = { 0 }, got = { 0 };

    for (unsigned size = 1; size <= 6; size++)
        for (unsigned k = 0; k < 1u << 2 * size; k++) {
            char text[6];

            want.len = got.len = out.len = 0;
            for (unsigned i = 0; i < size; i++) {
                text[i] = letters[k >> 2 * i & 3];
                /* CR LF is one end of a line, CR another. */
                if (text[i] == '\n' && i > 0 && text[i - 1] == '\r')
                    continue;
                CHECK_OK(peal_buf_add_char(&want, text[i] == '\r' ? '\n' : text[i]));
            }
            CHECK_OK(
                peal_sse_event(&out, PEAL_S(""), PEAL_S(""), peal_slice_of(text, size)));
            read_back(peal_buf_slice(&out), &got);
            CHECK_MEM(got.data, got.len, want.data, want.len);
        }
    peal_buf_fini(&out);
    peal_buf_fini(&want);
    peal_buf_fini(&got);
}

static void
an_event_without_memory_changes_nothing(void **state)
{
    struct peal_buf b = { 0 };
    char data[500];
    peal_err err;
    long n = 0;

    memset(data, '\n', sizeof(data));
    for (;; n++) {
        peal_buf_fini(&b);
        CHECK_OK(peal_buf_add(&b, "x", 1));
        alloc_left = n;
        err = peal_sse_event(
            &b, PEAL_S("event"), PEAL_S("id"), peal_slice_of(data, sizeof(data)));
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
        cmocka_unit_test(an_event_is_fields_and_an_empty_line),
        cmocka_unit_test(retry_and_ping_say_no_more),
        cmocka_unit_test(every_mix_of_line_ends_can_be_read),
        cmocka_unit_test(an_event_without_memory_changes_nothing),
    };

    return cmocka_run_group_tests_name("sse", tests, NULL, NULL);
}

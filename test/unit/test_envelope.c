/* SPDX-License-Identifier: MIT */
/* wire/envelope: messages there and back, and bytes that are none. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "wire/envelope.h"

/* The next record, which is a message. */
static peal_err
next_msg(struct peal_slice *records, uint32_t *number_out, struct peal_msg **out)
{
    struct peal_record r;
    peal_err err = peal_envelope_next(records, &r);

    *number_out = r.number;
    *out = NULL;
    if (err == PEAL_OK && r.kind != PEAL_RECORD_NONE) {
        CHECK_INT(r.kind, PEAL_RECORD_MESSAGE);
        *out = peal_msg_retain(r.msg);
    }
    peal_record_fini(&r);
    return err;
}

/* On the channel "orders", unless spec names some. */
static struct peal_msg *
msg_of(struct peal_msg_spec spec)
{
    static const struct peal_slice one = { "orders", 6 };
    struct peal_msg *m;

    if (spec.n_channels == 0) {
        spec.channels = &one;
        spec.n_channels = 1;
    }
    CHECK_OK(peal_msg_new(&spec, &m));
    return m;
}

/* A batch of node 0x01020304, with the records of some messages. */
static struct peal_buf
batch_of(struct peal_msg *const *msgs, unsigned n, uint32_t number)
{
    struct peal_buf b = { 0 };
    char head[PEAL_ENVELOPE_HEAD];

    peal_envelope_head(0x01020304, head);
    CHECK_OK(peal_buf_add(&b, head, sizeof(head)));
    for (unsigned i = 0; i < n; i++) {
        struct peal_blob *record = peal_envelope_record(msgs[i], number);

        CHECK(record != NULL);
        CHECK_OK(peal_buf_add_slice(&b, peal_blob_slice(record)));
        peal_blob_release(record);
    }
    return b;
}

static void
check_same(const struct peal_msg *a, const struct peal_msg *b)
{
    CHECK_INT(a->kind, b->kind);
    CHECK_INT(a->flags, b->flags);
    CHECK_INT(a->n_args, b->n_args);
    CHECK_INT(a->n_channels, b->n_channels);
    CHECK_INT(a->n_except, b->n_except);
    CHECK_INT(a->n_atts, b->n_atts);
    for (unsigned i = 0; i < a->n_channels; i++) {
        CHECK(peal_slice_eq(a->channels[i].name, b->channels[i].name));
        CHECK_INT(a->channels[i].hash, b->channels[i].hash);
    }
    for (unsigned i = 0; i < a->n_except; i++)
        CHECK(peal_slice_eq(a->except[i], b->except[i]));
    for (unsigned i = 0; i < a->n_atts; i++)
        CHECK(peal_slice_eq(peal_blob_slice(a->atts[i]), peal_blob_slice(b->atts[i])));
    CHECK(peal_slice_eq(a->nsp, b->nsp));
    CHECK(peal_slice_eq(a->event, b->event));
    CHECK(peal_slice_eq(a->args, b->args));
}

/* Takes m. */
static void
check_there_and_back(struct peal_msg *m, uint32_t number)
{
    struct peal_buf b = batch_of(&m, 1, number);
    struct peal_slice records;
    struct peal_msg *back;
    uint32_t node, number_back;

    CHECK_OK(peal_envelope_open(peal_buf_slice(&b), &node, &records));
    CHECK_INT(node, 0x01020304);
    CHECK_OK(next_msg(&records, &number_back, &back));
    CHECK(back != NULL);
    CHECK_INT(number_back, number);
    check_same(m, back);
    peal_msg_release(back);
    CHECK_OK(next_msg(&records, &number_back, &back));
    CHECK(back == NULL);
    peal_msg_release(m);
    peal_buf_fini(&b);
}

static void
all_kinds_come_back_as_they_were(void **state)
{
    static const struct peal_msg_spec specs[] = {
        { .kind = PEAL_DATA_JSON, .n_args = 0 },
        { .kind = PEAL_DATA_JSON, .n_args = 1, .args = { "{\"a\":1}", 7 } },
        { .kind = PEAL_DATA_JSON, .n_args = 3, .args = { "1,2,3", 5 } },
        { .kind = PEAL_DATA_JSON, .n_args = UINT32_MAX, .args = { "1", 1 } },
        { .kind = PEAL_DATA_TEXT, .args = { "hello", 5 } },
        { .kind = PEAL_DATA_TEXT },
        { .kind = PEAL_DATA_BYTES, .args = { "\0\1\xff\0", 4 } },
    };
    static const unsigned flags[] = { 0, PEAL_MSG_VOLATILE, PEAL_MSG_NO_COMPRESS,
        PEAL_MSG_VOLATILE | PEAL_MSG_NO_COMPRESS };

    for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++)
        for (size_t f = 0; f < sizeof(flags) / sizeof(*flags); f++) {
            struct peal_msg_spec s = specs[i];

            s.flags = flags[f];
            check_there_and_back(msg_of(s), 0);
            s.event = PEAL_S("\"created\"");
            check_there_and_back(msg_of(s), 1);
            s.nsp = PEAL_S("/admin");
            check_there_and_back(msg_of(s), UINT32_MAX);
        }
}

static void
lengths_and_numbers_come_back_at_the_steps_of_a_varint(void **state)
{
    static const uint32_t steps[] = { 0, 1, 127, 128, 16383, 16384, 2097151, 2097152 };
    static char bytes[2097152];

    memset(bytes, 'x', sizeof(bytes));
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        check_there_and_back(msg_of((struct peal_msg_spec){ .kind = PEAL_DATA_BYTES,
                                 .args = peal_slice_of(bytes, steps[i]) }),
            steps[i]);
    check_there_and_back(msg_of((struct peal_msg_spec){ .n_args = 1 }), 1u << 28);
}

/* As much of everything as a message may have. */
static struct peal_msg *
largest_msg(void)
{
    static char text[PEAL_CHANNELS_MAX][8];
    struct peal_slice names[PEAL_CHANNELS_MAX];
    struct peal_blob *atts[PEAL_ATTACHMENTS_MAX];
    struct peal_msg *m;

    for (unsigned i = 0; i < PEAL_CHANNELS_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), "c%u", i);
        names[i] = peal_slice_str(text[i]);
    }
    for (unsigned i = 0; i < PEAL_ATTACHMENTS_MAX; i++)
        CHECK((atts[i] = peal_blob_copy(peal_slice_of(text[i], i % 8))) != NULL);
    m = msg_of((struct peal_msg_spec){ .channels = names,
        .n_channels = PEAL_CHANNELS_MAX,
        .except = names,
        .n_except = PEAL_CHANNELS_MAX,
        .atts = atts,
        .n_atts = PEAL_ATTACHMENTS_MAX,
        .n_args = 1,
        .args = PEAL_S("[]") });
    for (unsigned i = 0; i < PEAL_ATTACHMENTS_MAX; i++)
        peal_blob_release(atts[i]);
    return m;
}

static void
a_message_may_be_as_large_as_the_limits(void **state)
{
    check_there_and_back(largest_msg(), 7);
}

/* Fields by hand. */
static void
put(struct peal_buf *b, unsigned tag, const char *bytes, size_t len)
{
    CHECK(len < 128);
    CHECK_OK(peal_buf_add_char(b, (char)tag));
    CHECK_OK(peal_buf_add_char(b, (char)len));
    CHECK_OK(peal_buf_add(b, bytes, len));
}

enum {
    CHANNEL = 1,
    EXCEPT = 2,
    EVENT = 4,
    ARGS = 5,
    N_ARGS = 6,
    KIND = 7,
    FLAGS = 8,
    ATT = 9,
    NUMBER = 10
};

/* What becomes of a record with these fields; takes them. */
static peal_err
read_fields(struct peal_buf *fields, struct peal_msg **out)
{
    struct peal_buf b = { 0 };
    struct peal_slice records;
    uint32_t number;
    peal_err err;

    CHECK(fields->len < 16384);
    CHECK_OK(peal_buf_add_char(&b, (char)(fields->len | 128)));
    CHECK_OK(peal_buf_add_char(&b, (char)(fields->len >> 7)));
    CHECK_OK(peal_buf_add_slice(&b, peal_buf_slice(fields)));
    records = peal_buf_slice(&b);
    err = next_msg(&records, &number, out);
    CHECK_INT(records.len, 0);
    peal_buf_fini(&b);
    peal_buf_fini(fields);
    return err;
}

static void
what_a_later_version_adds_is_skipped(void **state)
{
    struct peal_buf b = { 0 };
    struct peal_msg *m;

    put(&b, 100, "later", 5);
    put(&b, CHANNEL, "a", 1);
    CHECK_OK(peal_buf_add(&b, "\xff\xff\xff\xff\x0f\x02xx", 8)); /* the highest tag */
    put(&b, 0, "", 0);
    put(&b, FLAGS, "\x87\x01", 2); /* more flags than are known */
    put(&b, ARGS, "1", 1);
    put(&b, 99, "", 0);
    CHECK_OK(read_fields(&b, &m));
    CHECK_INT(m->n_channels, 1);
    CHECK_SLICE(m->channels[0].name, "a");
    CHECK_SLICE(m->args, "1");
    CHECK_INT(m->flags, PEAL_MSG_VOLATILE | PEAL_MSG_NO_COMPRESS);
    peal_msg_release(m);
}

/* Takes b, the fields of a record. */
static void
put_record(struct peal_buf *out, struct peal_buf *b)
{
    CHECK(b->len < 128);
    CHECK_OK(peal_buf_add_char(out, (char)b->len));
    CHECK_OK(peal_buf_add_slice(out, peal_buf_slice(b)));
    peal_buf_fini(b);
    *b = (struct peal_buf){ 0 };
}

static void
records_of_a_kind_that_is_not_known_are_skipped(void **state)
{
    struct peal_buf b = { 0 }, all = { 0 };
    struct peal_slice records;
    struct peal_record r;

    put(&b, 11, "\x07", 1); /* another kind, and no field in it is looked at */
    put(&b, NUMBER, "", 0);
    put_record(&all, &b);
    put(&b, CHANNEL, "a", 1);
    put(&b, 11, "\x07", 1); /* not the first field: it is none of a message's */
    put(&b, ARGS, "1", 1);
    put_record(&all, &b);
    records = peal_buf_slice(&all);
    CHECK_ERR(peal_envelope_next(&records, &r), PEAL_EUNSUPP);
    peal_record_fini(&r);
    CHECK_OK(peal_envelope_next(&records, &r));
    CHECK_INT(r.kind, PEAL_RECORD_MESSAGE);
    CHECK_SLICE(r.msg->args, "1");
    peal_record_fini(&r);
    CHECK_OK(peal_envelope_next(&records, &r));
    CHECK_INT(r.kind, PEAL_RECORD_NONE);
    peal_buf_fini(&all);
}

static void
requests_and_answers_come_back_as_they_were(void **state)
{
    const struct peal_msg_spec spec = {
        .event = PEAL_S("\"e\""), .args = PEAL_S("1,2"), .n_args = 2, .nsp = PEAL_S("/n")
    };
    struct peal_blob *att = peal_blob_copy(PEAL_S("bytes"));
    struct peal_record all[] = {
        { .kind = PEAL_RECORD_REQUEST, .id = 1, .op = 2, .timeout_ms = 5000 },
        { .kind = PEAL_RECORD_REQUEST, .id = UINT32_MAX, .msg = msg_of(spec) },
        { .kind = PEAL_RECORD_ANSWER, .id = 7, .part = 1, .n = 300 },
        { .kind = PEAL_RECORD_ANSWER, .id = 7, .last = true, .status = 3 },
        { .kind = PEAL_RECORD_ANSWER,
            .args = PEAL_S("{\"_placeholder\":true,\"num\":0},3"),
            .n_args = 2,
            .atts = { att },
            .n_atts = 1 },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        struct peal_blob *blob = peal_envelope_other(&all[i]);
        struct peal_slice records = peal_blob_slice(blob);
        struct peal_record r;

        CHECK_OK(peal_envelope_next(&records, &r));
        CHECK_INT(records.len, 0);
        CHECK_INT(r.kind, all[i].kind);
        CHECK_INT(r.id, all[i].id);
        CHECK_INT(r.op, all[i].op);
        CHECK_INT(r.timeout_ms, all[i].timeout_ms);
        CHECK_INT(r.part, all[i].part);
        CHECK_INT(r.n, all[i].n);
        CHECK_INT(r.last, all[i].last);
        CHECK_INT(r.status, all[i].status);
        CHECK_INT(r.n_args, all[i].n_args);
        CHECK(peal_slice_eq(r.args, all[i].args));
        CHECK_INT(r.n_atts, all[i].n_atts);
        if (r.n_atts > 0)
            CHECK_SLICE(peal_blob_slice(r.atts[0]), "bytes");
        CHECK_INT(r.msg != NULL, all[i].msg != NULL);
        if (r.msg != NULL)
            check_same(r.msg, all[i].msg);
        peal_record_fini(&r);
        peal_msg_release(all[i].msg);
        peal_blob_release(blob);
    }
    peal_blob_release(att);
}

static void
fields_that_make_no_message_are_errors(void **state)
{
    static const struct {
        unsigned tag;
        const char *bytes;
        size_t len;
        peal_err err;
    } cases[] = {
        { KIND, "\x02", 1, PEAL_OK },
        { KIND, "\x03", 1, PEAL_EPROTO },               /* no such kind */
        { KIND, "", 0, PEAL_EPROTO },                   /* no number */
        { KIND, "\x81", 1, PEAL_EPROTO },               /* a number without an end */
        { KIND, "\x01\x01", 2, PEAL_EPROTO },           /* a number and more */
        { KIND, "\x81\x00", 2, PEAL_OK },               /* 1 as well */
        { N_ARGS, "\xff\xff\xff\xff\x0f", 5, PEAL_OK }, /* 2^32 - 1 */
        { N_ARGS, "\x80\x80\x80\x80\x10", 5, PEAL_EPROTO },
        { N_ARGS, "\x80\x80\x80\x80\x80\x00", 6, PEAL_EPROTO },
        { FLAGS, "\x80\x80\x80\x80\x10", 5, PEAL_EPROTO },
        { NUMBER, "\x80\x80\x80\x80\x10", 5, PEAL_EPROTO },
        { NUMBER, "\x05", 1, PEAL_OK },
        { EVENT, "\"say\"", 5, PEAL_OK },
        { EVENT, "1", 1, PEAL_OK },              /* emit(1) */
        { EVENT, "\"say\\u\"", 7, PEAL_EPROTO }, /* half an escape */
        { EVENT, "\"say", 4, PEAL_EPROTO },
        { EVENT, "\"say\" ", 6, PEAL_EPROTO },
        { EVENT, "\"a\",\"b\"", 7, PEAL_EPROTO },
        { EVENT, "", 0, PEAL_EPROTO },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct peal_buf b = { 0 };
        struct peal_msg *m;

        put(&b, CHANNEL, "a", 1);
        put(&b, ARGS, "1", 1);
        put(&b, cases[i].tag, cases[i].bytes, cases[i].len);
        CHECK_ERR(read_fields(&b, &m), cases[i].err);
        CHECK_INT(m != NULL, cases[i].err == PEAL_OK);
        peal_msg_release(m);
    }
    for (unsigned kind = PEAL_DATA_JSON; kind <= PEAL_DATA_BYTES; kind++) {
        struct peal_buf b = { 0 };
        struct peal_msg *m;

        put(&b, CHANNEL, "a", 1);
        put(&b, ARGS, "1", 1);
        put(&b, KIND, (char[]){ (char)kind }, 1);
        put(&b, ATT, "x", 1); /* only JSON has placeholders for them */
        CHECK_ERR(read_fields(&b, &m), kind == PEAL_DATA_JSON ? PEAL_OK : PEAL_EPROTO);
        peal_msg_release(m);
    }
    for (unsigned tag = CHANNEL; tag <= ARGS; tag += ARGS - CHANNEL) {
        struct peal_buf b = { 0 };
        struct peal_msg *m;

        put(&b, tag, "a", 1); /* one without the other */
        CHECK_ERR(read_fields(&b, &m), PEAL_EPROTO);
    }
}

static void
more_than_the_limits_is_refused(void **state)
{
    static const struct {
        unsigned tag, max;
    } cases[] = { { CHANNEL, PEAL_CHANNELS_MAX }, { EXCEPT, PEAL_CHANNELS_MAX },
        { ATT, PEAL_ATTACHMENTS_MAX } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (unsigned beyond = 0; beyond < 2; beyond++) {
            struct peal_buf b = { 0 };
            struct peal_msg *m;

            if (cases[i].tag != CHANNEL)
                put(&b, CHANNEL, "a", 1);
            put(&b, ARGS, "1", 1);
            for (unsigned n = 0; n < cases[i].max + beyond; n++)
                put(&b, cases[i].tag, "b", 1);
            CHECK_ERR(read_fields(&b, &m), beyond ? PEAL_ELIMIT : PEAL_OK);
            peal_msg_release(m);
        }
}

static void
a_batch_says_who_and_which_version(void **state)
{
    char head[PEAL_ENVELOPE_HEAD + 1] = { 0 };
    struct peal_slice records;
    uint32_t node;

    peal_envelope_head(0xfffefdfc, head);
    CHECK_OK(peal_envelope_open(
        peal_slice_of(head, PEAL_ENVELOPE_HEAD), &node, &records)); /* empty */
    CHECK_INT(node, 0xfffefdfc);
    CHECK_INT(records.len, 0);
    CHECK_OK(peal_envelope_open(peal_slice_of(head, sizeof(head)), &node, &records));
    CHECK_INT(records.len, 1);
    for (size_t n = 0; n < PEAL_ENVELOPE_HEAD; n++)
        CHECK_ERR(
            peal_envelope_open(peal_slice_of(head, n), &node, &records), PEAL_EPROTO);
    for (unsigned version = 0; version < 256; version++) {
        head[1] = (char)version;
        CHECK_ERR(peal_envelope_open(peal_slice_of(head, sizeof(head)), &node, &records),
            version == 0   ? PEAL_EPROTO
            : version == 1 ? PEAL_OK
                           : PEAL_EUNSUPP);
    }
    head[1] = 1;
    head[0] = '{';
    CHECK_ERR(peal_envelope_open(peal_slice_of(head, sizeof(head)), &node, &records),
        PEAL_EPROTO);
}

static void
one_bad_record_spoils_no_other(void **state)
{
    struct peal_msg *m = msg_of(
                        (struct peal_msg_spec){ .n_args = 1, .args = PEAL_S("1") }),
                    *back;
    struct peal_buf b = batch_of(&m, 1, 0);
    struct peal_blob *record = peal_envelope_record(m, 0);
    struct peal_slice records;
    uint32_t node, number;

    CHECK(record != NULL);
    CHECK_OK(peal_buf_add(&b, "\x00", 1));         /* of nothing */
    CHECK_OK(peal_buf_add(&b, "\x02\x01\x05", 3)); /* its field is longer than it */
    CHECK_OK(peal_buf_add_slice(&b, peal_blob_slice(record)));
    CHECK_OK(peal_buf_add(&b, "\x05\x01", 2)); /* cut off */
    CHECK_OK(peal_envelope_open(peal_buf_slice(&b), &node, &records));
    for (unsigned i = 0; i < 5; i++) {
        bool good = i == 0 || i == 3;

        CHECK_ERR(next_msg(&records, &number, &back), good ? PEAL_OK : PEAL_EPROTO);
        CHECK_INT(back != NULL, good);
        peal_msg_release(back);
    }
    CHECK_OK(next_msg(&records, &number, &back));
    CHECK(back == NULL);
    peal_blob_release(record);
    peal_msg_release(m);
    peal_buf_fini(&b);
}

/* Reads all that there is, from a copy of exactly that size. */
static void
read_all(const char *data, size_t len)
{
    char *copy = __real_malloc(len > 0 ? len : 1);
    struct peal_slice records;
    uint32_t node, number;
    struct peal_msg *m;
    unsigned n = 0;

    if (len > 0)
        memcpy(copy, data, len);
    if (peal_envelope_open(peal_slice_of(copy, len), &node, &records) == PEAL_OK)
        while (next_msg(&records, &number, &m) != PEAL_OK || m != NULL) {
            CHECK(n++ <= len); /* it ends */
            peal_msg_release(m);
        }
    free(copy);
}

/* Two records with everything in them. */
static struct peal_buf
rich_batch(void)
{
    static const struct peal_slice channels[] = { { "a", 1 }, { "/n#b", 4 } };
    static const struct peal_slice except[] = { { "c", 1 } };
    struct peal_blob *atts[2] = { peal_blob_copy(PEAL_S("\1\2\3")),
        peal_blob_copy(PEAL_S("")) };
    struct peal_msg *m[2];
    struct peal_buf b;

    CHECK(atts[0] != NULL && atts[1] != NULL);
    m[0] = msg_of((struct peal_msg_spec){ .channels = channels,
        .n_channels = 2,
        .except = except,
        .n_except = 1,
        .atts = atts,
        .n_atts = 2,
        .flags = PEAL_MSG_VOLATILE,
        .n_args = 2,
        .nsp = PEAL_S("/n"),
        .event = PEAL_S("\"e\""),
        .args = PEAL_S("1,{\"_placeholder\":true,\"num\":0}") });
    m[1] =
        msg_of((struct peal_msg_spec){ .kind = PEAL_DATA_TEXT, .args = PEAL_S("hello") });
    b = batch_of(m, 2, 300);
    peal_msg_release(m[0]);
    peal_msg_release(m[1]);
    peal_blob_release(atts[0]);
    peal_blob_release(atts[1]);
    return b;
}

static void
nothing_is_read_beyond_a_batch_that_is_cut_off_or_wrong(void **state)
{
    struct peal_buf b = rich_batch();

    for (size_t n = 0; n <= b.len; n++)
        read_all(b.data, n);
    for (size_t i = 0; i < b.len; i++) {
        char was = b.data[i];

        for (unsigned c = 0; c < 256; c++) {
            b.data[i] = (char)c;
            read_all(b.data, b.len);
        }
        b.data[i] = was;
    }
    peal_buf_fini(&b);
}

static void
every_failing_allocation_is_survived(void **state)
{
    struct peal_buf b = rich_batch();
    struct peal_msg *m = NULL;
    struct peal_slice records, rest;
    uint32_t node, number;
    peal_err err = PEAL_ENOMEM;
    long n;

    CHECK_OK(peal_envelope_open(peal_buf_slice(&b), &node, &records));
    for (n = 0; err == PEAL_ENOMEM; n++) {
        rest = records;
        alloc_left = n;
        err = next_msg(&rest, &number, &m);
        alloc_left = -1;
        CHECK_INT(m != NULL, err == PEAL_OK);
    }
    CHECK_OK(err);
    CHECK(n > 3); /* two attachments and the message */
    alloc_left = 0;
    CHECK(peal_envelope_record(m, 1) == NULL);
    alloc_left = -1;
    peal_msg_release(m);
    peal_buf_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_come_back_as_they_were),
        cmocka_unit_test(lengths_and_numbers_come_back_at_the_steps_of_a_varint),
        cmocka_unit_test(a_message_may_be_as_large_as_the_limits),
        cmocka_unit_test(what_a_later_version_adds_is_skipped),
        cmocka_unit_test(records_of_a_kind_that_is_not_known_are_skipped),
        cmocka_unit_test(requests_and_answers_come_back_as_they_were),
        cmocka_unit_test(fields_that_make_no_message_are_errors),
        cmocka_unit_test(more_than_the_limits_is_refused),
        cmocka_unit_test(a_batch_says_who_and_which_version),
        cmocka_unit_test(one_bad_record_spoils_no_other),
        cmocka_unit_test(nothing_is_read_beyond_a_batch_that_is_cut_off_or_wrong),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

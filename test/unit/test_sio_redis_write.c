/* SPDX-License-Identifier: MIT */
/* The Redis wire of Socket.IO, written: as Node does, and so that Node survives it. */
#include "alloc.h"
#include "sio_redis_vectors.h"
#include "wire/sio.h"

static void
it_is_written_as_node_writes_it(void **state)
{
    struct peal_buf out = { 0 };

    for (const struct vector *v = vectors; v < vectors + N_VECTORS; v++) {
        struct peal_buf bytes = bytes_of(v->bytes);
        struct peal_sio_redis_msg m;

        if (v->same) {
            CHECK_OK(v->dialect->read(peal_buf_slice(&bytes), &reader, &m));
            out.len = 0;
            CHECK_OK(peal_buf_add(&out, "x", 1));
            CHECK_OK(v->dialect->write(&out, &m));
            if (!peal_slice_eq(
                    peal_slice_skip(peal_buf_slice(&out), 1), peal_buf_slice(&bytes)))
                fail_msg("%s: %.*s", v->name, (int)out.len, out.data);
        }
        peal_buf_fini(&bytes);
    }
    peal_buf_fini(&out);
}

/* Whatever was understood is understood again after it was written. */
static void
what_is_written_says_the_same(void **state)
{
    struct peal_buf out = { 0 }, says = { 0 };

    for (const struct vector *v = vectors; v < vectors + N_VECTORS; v++) {
        struct peal_buf bytes = bytes_of(v->bytes);
        struct peal_sio_redis_msg m;

        CHECK_OK(v->dialect->read(peal_buf_slice(&bytes), &reader, &m));
        out.len = 0;
        if (m.uid.len == 0 && v->dialect == &request) {
            CHECK_ERR(v->dialect->write(&out, &m), PEAL_EINVAL); /* an emitter's */
        } else {
            CHECK_OK(v->dialect->write(&out, &m));
            CHECK_OK(read_copy(v->dialect, peal_buf_slice(&out), &says));
            CHECK_SLICE(peal_buf_slice(&says), v->says);
        }
        peal_buf_fini(&bytes);
    }
    peal_buf_fini(&out);
    peal_buf_fini(&says);
}

static const struct peal_sio_redis_msg plain = {
    .op = PEAL_SIO_REDIS_BROADCAST, .uid = { "Lulmvd", 6 }, .event = { "\"e\"", 3 }
};

static void
what_would_harm_node_is_not_written(void **state)
{
    static const char *const clients[] = { "\"connect\"", "\"connect_error\"",
        "\"disconnect\"", "\"disconnecting\"", "\"newListener\"", "\"removeListener\"",
        "\"c\\u006fnnect\"" };
    static const char *const servers[] = { "\"connect\"", "\"connection\"",
        "\"new_namespace\"", "\"error\"", "\"e\\u0072ror\"" };
    struct peal_slice bad = PEAL_S("a\xff");
    struct peal_buf out = { 0 };
    struct peal_sio_redis_msg m;

#define BOTH(expected)                                                                   \
    do {                                                                                 \
        CHECK_ERR(peal_sio_redis_write(&out, &m), expected);                             \
        CHECK_ERR(peal_sio_redis_write_sharded(&out, &m), expected);                     \
        CHECK_INT(out.len, 0);                                                           \
    } while (0)

    for (size_t i = 0; i < sizeof(clients) / sizeof(*clients); i++) {
        m = plain;
        m.event = peal_slice_str(clients[i]);
        BOTH(PEAL_EINVAL);
    }
    for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++) {
        m = plain;
        m.op = PEAL_SIO_REDIS_SERVER_EMIT;
        m.event = peal_slice_str(servers[i]);
        BOTH(PEAL_EINVAL);
    }
    m = plain;
    m.uid = PEAL_S("");
    BOTH(PEAL_EINVAL);
    m.uid = bad;
    BOTH(PEAL_EINVAL);
    m = plain;
    m.nsp = bad;
    BOTH(PEAL_EINVAL);
    m = plain;
    m.rooms = &bad;
    m.n_rooms = 1;
    BOTH(PEAL_EINVAL);
    m = plain;
    m.except = &bad;
    m.n_except = 1;
    BOTH(PEAL_EINVAL);
    m.op = PEAL_SIO_REDIS_FETCH; /* no id */
    m.n_except = 0;
    BOTH(PEAL_EINVAL);
    m.op = PEAL_SIO_REDIS_SOCKETS;
    BOTH(PEAL_EINVAL);
    m.request_id = PEAL_S("r"); /* no list */
    BOTH(PEAL_EINVAL);
    m.list = PEAL_S("{}");
    BOTH(PEAL_EINVAL);
#undef BOTH
    m.op = PEAL_SIO_REDIS_ASK_IDS;
    CHECK_ERR(peal_sio_redis_write_sharded(&out, &m), PEAL_EUNSUPP);
    m.op = PEAL_SIO_REDIS_ASK_ROOMS;
    CHECK_ERR(peal_sio_redis_write_sharded(&out, &m), PEAL_EUNSUPP);
    m.op = PEAL_SIO_REDIS_ROOMS;
    CHECK_ERR(peal_sio_redis_write_sharded(&out, &m), PEAL_EUNSUPP);
    m.op = PEAL_SIO_REDIS_DONE;
    CHECK_ERR(peal_sio_redis_write_sharded(&out, &m), PEAL_EUNSUPP);
    peal_buf_fini(&out);
}

/* Writes m, reads it again, and compares with words. */
static void
check_written(const struct dialect *d, const struct peal_sio_redis_msg *m, char first,
    const char *want)
{
    struct peal_buf out = { 0 }, says = { 0 };

    CHECK_OK(d->write(&out, m));
    CHECK_INT(out.data[0] == '{' ? '{' : 'm', first);
    CHECK_OK(read_copy(d, peal_buf_slice(&out), &says));
    CHECK_SLICE(peal_buf_slice(&says), want);
    peal_buf_fini(&out);
    peal_buf_fini(&says);
}

/* Where bytes are, JSON becomes MessagePack, in both dialects. */
static void
bytes_are_sent_as_bytes(void **state)
{
    struct peal_blob *atts[] = { peal_blob_copy(PEAL_S("\x07")),
        peal_blob_copy(PEAL_S("")) };
    struct peal_sio_redis_msg m = { .op = PEAL_SIO_REDIS_SERVER_EMIT,
        .uid = { "u", 1 },
        .nsp = { "/n", 2 },
        .request_id = { "r", 1 },
        .event = { "\"e\"", 3 },
        .args = PEAL_S(PH1 ",[" PH0 "]"),
        .n_args = 2,
        .atts = atts,
        .n_atts = 2 };

    check_written(
        &request, &m, 'm', "server-emit uid=u id=r event=\"e\" 2:" PH0 ",[" PH1 "]  07");
    check_written(&sharded, &m, 'm',
        "server-emit uid=u nsp=/n id=r event=\"e\" 2:" PH0 ",[" PH1 "]  07");
    m.op = PEAL_SIO_REDIS_EMIT_ANSWER;
    check_written(&response, &m, 'm', "emit-answer id=r 1:" PH0 " ");
    check_written(&sharded, &m, 'm', "emit-answer uid=u nsp=/n id=r 1:" PH0 " ");
    m.op = PEAL_SIO_REDIS_ACK;
    check_written(&response, &m, 'm', "ack id=r 1:" PH0 " ");
    m.args = PEAL_S("1,2");
    m.n_atts = 0;
    check_written(&response, &m, 'm', "ack id=r 1:1");
    check_written(&sharded, &m, '{', "ack uid=u nsp=/n id=r 1:1");
    m.args = PEAL_S("");
    check_written(&response, &m, 'm', "ack id=r");
    check_written(&sharded, &m, '{', "ack uid=u nsp=/n id=r");
    m.op = PEAL_SIO_REDIS_SOCKETS;
    m.list = PEAL_S("[{\"data\":" PH0 "}]");
    m.n_atts = 2;
    check_written(
        &sharded, &m, 'm', "sockets uid=u nsp=/n id=r 07 list=[{\"data\":" PH0 "}]");
    peal_blob_release(atts[0]);
    peal_blob_release(atts[1]);
}

/* Only where it is asked for, and only what JavaScript writes in the same way. */
static void
rooms_that_are_numbers_are_said_twice(void **state)
{
    static const struct peal_slice names[] = { PEAL_S("a"), PEAL_S("42"), PEAL_S("0"),
        PEAL_S("007"), PEAL_S("-5"), PEAL_S("-1001234567890"), PEAL_S("1.5"),
        PEAL_S("-0.25"), PEAL_S("-0"), PEAL_S("1.50"), PEAL_S("0.000123"),
        PEAL_S("0.0000001"), PEAL_S("1.5x"), PEAL_S("1."), PEAL_S(".5"), PEAL_S("--1"),
        PEAL_S("-"), PEAL_S("1e3"), PEAL_S("123456789.1234567"),
        PEAL_S("9007199254740991"), PEAL_S("-9007199254740991"),
        PEAL_S("9007199254740992"), PEAL_S("") };
    static const char twice[] =
        "[\"a\",\"42\",42,\"0\",0,\"007\",\"-5\",-5,\"-1001234567890\",-1001234567890,"
        "\"1.5\",1.5,\"-0.25\",-0.25,\"-0\",\"1.50\",\"0.000123\",0.000123,"
        "\"0.0000001\",\"1.5x\",\"1.\",\".5\",\"--1\",\"-\",\"1e3\","
        "\"123456789.1234567\",\"9007199254740991\",9007199254740991,"
        "\"-9007199254740991\",-9007199254740991,\"9007199254740992\",\"\"]";
    struct peal_sio_redis_msg m = plain;
    struct peal_buf out = { 0 }, json = { 0 }, text = { 0 };
    struct peal_slice bytes;

    m.rooms = m.except = names;
    m.n_rooms = m.n_except = sizeof(names) / sizeof(*names);
    m.numbers = true;
    CHECK_OK(peal_buf_printf(&json,
        "[\"Lulmvd\",{\"type\":2,\"data\":[\"e\"],\"nsp\":\"/\"},"
        "{\"rooms\":%s,\"except\":%s,\"flags\":{}}]",
        twice, twice));
    CHECK_OK(peal_sio_redis_write(&out, &m));
    bytes = peal_buf_slice(&out);
    CHECK_OK(peal_msgpack_to_json(&bytes, &text, &reader.atts));
    CHECK_SLICE(peal_buf_slice(&text), json.data);
    out.len = json.len = 0;
    CHECK_OK(peal_buf_printf(&json,
        "{\"type\":3,\"data\":{\"packet\":{\"type\":2,\"data\":[\"e\"]},"
        "\"opts\":{\"rooms\":%s,\"except\":%s,\"flags\":{}}},"
        "\"uid\":\"Lulmvd\",\"nsp\":\"/\"}",
        twice, twice));
    CHECK_OK(peal_sio_redis_write_sharded(&out, &m));
    CHECK_MEM(out.data, out.len, json.data, json.len);
    peal_buf_fini(&out);
    peal_buf_fini(&json);
    peal_buf_fini(&text);
}

/* Node makes an attachment for its clients of each of them. */
static void
clients_never_get_too_many_attachments(void **state)
{
    struct peal_blob *att = peal_blob_copy(PEAL_S("hi"));
    struct peal_buf args = { 0 }, out = { 0 };
    struct peal_sio_redis_msg m = plain, again;

    m.atts = &att;
    m.n_atts = 1;
    for (m.n_args = 1; m.n_args <= PEAL_SIO_ATTACHMENTS_MAX + 1; m.n_args++) {
        bool most = m.n_args <= PEAL_SIO_ATTACHMENTS_MAX;

        CHECK_OK(peal_buf_printf(&args, "%s[" PH0 "]", m.n_args > 1 ? "," : ""));
        m.args = peal_buf_slice(&args);
        out.len = 0;
        CHECK_OK(peal_sio_redis_write(&out, &m));
        CHECK_OK(peal_sio_redis_read_broadcast(peal_buf_slice(&out), &reader, &again));
        CHECK_INT(again.n_atts, most ? m.n_args : 0);
        CHECK_INT(again.n_args, m.n_args);
        out.len = 0;
        CHECK_OK(peal_sio_redis_write_sharded(&out, &m));
        CHECK_INT(out.data[0] != '{', most);
    }
    CHECK(peal_slice_starts(again.args, PEAL_S("[\"aGk=\"],[\"aGk=\"]")));
    /* Servers may have them. */
    m.op = PEAL_SIO_REDIS_SERVER_EMIT;
    out.len = 0;
    CHECK_OK(peal_sio_redis_write(&out, &m));
    CHECK(out.data[0] != '{');
    /* A placeholder without its attachment. */
    m.op = PEAL_SIO_REDIS_BROADCAST;
    m.args = PEAL_S(PH1);
    out.len = 0;
    CHECK_ERR(peal_sio_redis_write(&out, &m), PEAL_EPROTO);
    CHECK_INT(out.len, 0);
    peal_blob_release(att);
    peal_buf_fini(&args);
    peal_buf_fini(&out);
}

static void
an_event_without_a_name_is_a_message(void **state)
{
    struct peal_slice room = PEAL_S("\"\n\xc3\xa9");
    struct peal_sio_redis_msg m = plain;

    m.event = PEAL_S("");
    m.rooms = m.except = &room;
    m.n_rooms = m.n_except = 1;
    check_written(&broadcast, &m, 'm',
        "broadcast uid=Lulmvd nsp=/ in=\"\n\xc3\xa9 except=\"\n\xc3\xa9 "
        "event=\"message\"");
    check_written(&sharded, &m, '{',
        "broadcast uid=Lulmvd nsp=/ in=\"\n\xc3\xa9 except=\"\n\xc3\xa9 "
        "event=\"message\"");
}

static void
sockets_are_listed(void **state)
{
    struct peal_slice rooms[] = { PEAL_S("s1"), PEAL_S("a\"b") }, bad = PEAL_S("\xff");
    struct peal_slice empty = PEAL_S("{}");
    struct peal_buf b = { 0 };

    CHECK_OK(peal_sio_redis_add_socket(
        &b, PEAL_S("s1"), PEAL_S("{\"auth\":{}}"), rooms, 2, empty));
    CHECK_ERR(
        peal_sio_redis_add_socket(&b, PEAL_S("s"), empty, &bad, 1, empty), PEAL_EINVAL);
    CHECK_OK(peal_sio_redis_add_socket(&b, PEAL_S("s2"), empty, rooms, 0, empty));
    CHECK_SLICE(peal_buf_slice(&b),
        "{\"id\":\"s1\",\"handshake\":{\"auth\":{}},\"rooms\":[\"s1\",\"a\\\"b\"],"
        "\"data\":{}},"
        "{\"id\":\"s2\",\"handshake\":{},\"rooms\":[],\"data\":{}}");
    peal_buf_fini(&b);
}

static void
writing_without_memory_leaves_nothing(void **state)
{
    struct peal_blob *att = peal_blob_copy(PEAL_S("hi"));
    struct peal_slice room = PEAL_S("\n");
    struct peal_sio_redis_msg m = plain;

    m.atts = &att;
    m.n_atts = 1;
    m.rooms = &room;
    m.n_rooms = 1;
    m.request_id = PEAL_S("r");
    m.timeout_ms = 5;
    for (unsigned i = 0; i < 4; i++) {
        const struct dialect *d = i % 2 == 0 ? &request : &sharded;
        struct peal_buf out = { 0 };
        peal_err err = PEAL_ENOMEM;
        long n;

        m.args = i < 2 ? PEAL_S(PH0 ",\"\\n\"")
                       : PEAL_S(PH0 "," PH0 "," PH0 "," PH0 "," PH0 "," PH0 "," PH0
                                    "," PH0 "," PH0 "," PH0 "," PH0);
        for (n = 0; err == PEAL_ENOMEM; n++) {
            peal_buf_fini(&out);
            CHECK_OK(peal_buf_add(&out, "x", 1));
            alloc_left = n;
            err = d->write(&out, &m);
            alloc_left = -1;
            if (err == PEAL_ENOMEM)
                CHECK_SLICE(peal_buf_slice(&out), "x");
        }
        CHECK_OK(err);
        CHECK(n > 2);
        peal_buf_fini(&out);
    }
    peal_blob_release(att);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_written_as_node_writes_it),
        cmocka_unit_test(what_is_written_says_the_same),
        cmocka_unit_test(what_would_harm_node_is_not_written),
        cmocka_unit_test(bytes_are_sent_as_bytes),
        cmocka_unit_test(rooms_that_are_numbers_are_said_twice),
        cmocka_unit_test(clients_never_get_too_many_attachments),
        cmocka_unit_test(an_event_without_a_name_is_a_message),
        cmocka_unit_test(sockets_are_listed),
        cmocka_unit_test(writing_without_memory_leaves_nothing),
    };

    return cmocka_run_group_tests_name("sio_redis_write", tests, NULL, fini_reader);
}

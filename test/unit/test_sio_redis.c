/* SPDX-License-Identifier: MIT */
/* The Redis wire of Socket.IO, read: messages, of Node and of others, and channels. */
#include "alloc.h"
#include "sio_redis_vectors.h"

static void
what_node_publishes_is_read(void **state)
{
    struct peal_buf says = { 0 };

    for (const struct vector *v = vectors; v < vectors + N_VECTORS; v++) {
        struct peal_buf bytes = bytes_of(v->bytes);
        peal_err err = read_copy(v->dialect, peal_buf_slice(&bytes), &says);

        if (err != PEAL_OK ||
            !peal_slice_eq(peal_buf_slice(&says), peal_slice_str(v->says)))
            fail_msg("%s: error %d: %.*s", v->name, (int)err, (int)says.len, says.data);
        peal_buf_fini(&bytes);
    }
    peal_buf_fini(&says);
}

static void
no_part_of_a_message_is_one(void **state)
{
    for (const struct vector *v = vectors; v < vectors + N_VECTORS; v++) {
        struct peal_buf bytes = bytes_of(v->bytes);

        for (size_t n = 0; n < bytes.len; n++)
            CHECK_ERR(
                read_copy(v->dialect, peal_slice_of(bytes.data, n), NULL), PEAL_EPROTO);
        CHECK_OK(peal_buf_add(&bytes, "\xc0", 1));
        CHECK_ERR(read_copy(v->dialect, peal_buf_slice(&bytes), NULL), PEAL_EPROTO);
        peal_buf_fini(&bytes);
    }
}

/* Any byte may be wrong: there is an answer, of whatever kind. */
static void
no_change_of_a_byte_does_harm(void **state)
{
    struct peal_buf says = { 0 };

    for (const struct vector *v = vectors; v < vectors + N_VECTORS; v++) {
        struct peal_buf bytes = bytes_of(v->bytes);

        for (size_t i = 0; i < bytes.len; i++) {
            char was = bytes.data[i];

            for (unsigned bit = 0; bit < 8; bit++) {
                bytes.data[i] = (char)(was ^ 1 << bit);
                (void)!read_copy(v->dialect, peal_buf_slice(&bytes), &says);
            }
            bytes.data[i] = was;
        }
        peal_buf_fini(&bytes);
    }
    peal_buf_fini(&says);
}

static void
the_sender_is_seen_without_reading(void **state)
{
    struct peal_sio_redis_msg m;

    for (const struct vector *v = vectors; v < vectors + N_VECTORS; v++) {
        struct peal_buf bytes = bytes_of(v->bytes);
        struct peal_slice uid = peal_sio_redis_uid(peal_buf_slice(&bytes));

        CHECK_OK(v->dialect->read(peal_buf_slice(&bytes), &reader, &m));
        CHECK(peal_slice_eq(uid, m.uid));
        CHECK((uid.data == NULL) == (m.uid.len == 0));
        peal_buf_fini(&bytes);
    }
    CHECK(peal_sio_redis_uid(PEAL_S("")).data == NULL);
    CHECK(peal_sio_redis_uid(PEAL_S("{")).data == NULL);
    CHECK(peal_sio_redis_uid(PEAL_S("{\"uid\":7}")).data == NULL);
    CHECK(peal_sio_redis_uid(PEAL_S("{\"a\":[{\"uid\":\"b\"}")).data == NULL);
    CHECK(peal_sio_redis_uid(PEAL_S("\x90")).data == NULL);
    CHECK(peal_sio_redis_uid(PEAL_S("\x91\x07")).data == NULL);
    CHECK(peal_sio_redis_uid(PEAL_S("\x81\xa3uid\x07")).data == NULL);
    CHECK(peal_sio_redis_uid(PEAL_S("\x82\x01\x02\xa3uid\xa1x")).data == NULL);
}

/* JSON as the MessagePack that says the same. */
static struct peal_buf
packed(const char *json)
{
    struct peal_buf b = { 0 };

    CHECK_OK(peal_msgpack_from_json(&b, peal_slice_str(json), NULL, 0));
    return b;
}

#define ANY_PACKET "{\"type\":2,\"data\":[\"e\"],\"nsp\":\"/\"}"
#define NO_OPTS "{\"rooms\":[],\"except\":[],\"flags\":{}}"

/* Written as JSON here, to be packed first: broadcasts are never JSON. */
static void
old_emitters_are_understood(void **state)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        /* Rust: no except. Python: null, flags that are false, another order of keys. */
        { "[\"emitter\"," ANY_PACKET ",{\"rooms\":[\"r\"],\"flags\":{}}]",
            "broadcast uid=emitter nsp=/ in=r event=\"e\"" },
        { "[\"emitter\",{\"data\":[\"e\",1],\"type\":2,\"nsp\":\"/\"},{\"flags\":{"
          "\"compress\":false,\"volatile\":false},\"except\":null,\"rooms\":null}]",
            "broadcast uid=emitter nsp=/ event=\"e\" 1:1 uncompressed" },
        /* Python, another one: empty strings. */
        { "[\"emitter\"," ANY_PACKET ",{\"rooms\":\"\",\"flags\":\"\"}]",
            "broadcast uid=emitter nsp=/ event=\"e\"" },
        { "[\"emitter\"," ANY_PACKET ",{\"rooms\":[\"a\"],\"except\":\"\","
          "\"flags\":null}]",
            "broadcast uid=emitter nsp=/ in=a event=\"e\"" },
        { "[\"emitter\"," ANY_PACKET ",{}]", "broadcast uid=emitter nsp=/ event=\"e\"" },
        /* Java: type 5, no namespace. */
        { "[\"emitter\",{\"type\":5,\"data\":[\"e\"]}," NO_OPTS "]",
            "broadcast uid=emitter nsp=/ event=\"e\"" },
        { "[\"emitter\",{\"type\":2,\"data\":[\"e\"],\"nsp\":null}," NO_OPTS "]",
            "broadcast uid=emitter nsp=/ event=\"e\"" },
        /* Numbers and flags of all kinds; what is unknown; a fourth item. */
        { "[\"u\",{\"type\":2,\"data\":[7,[]],\"nsp\":\"/n\",\"id\":3,\"options\":{}},"
          "{\"rooms\":[42,\"42\",-1,1.5],\"except\":[0],\"flags\":{\"volatile\":true,"
          "\"compress\":true,\"broadcast\":true,\"binary\":false,\"timeout\":-1,"
          "\"expectSingleResponse\":true},\"more\":[{}]},{}]",
            "broadcast uid=u nsp=/n in=42,42,-1,1.5 except=0 event=7 1:[] volatile" },
        { "[null," ANY_PACKET "," NO_OPTS "]", "broadcast nsp=/ event=\"e\"" },
        { "[\"u\",{\"type\":2,\"data\":[\"e\"],\"type\":5,\"nsp\":\"/x\",\"nsp\":\"/y\"},"
          "{\"rooms\":[\"a\"],\"rooms\":[\"b\"]}]",
            "broadcast uid=u nsp=/y in=b event=\"e\"" },
    };
    struct peal_buf says = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct peal_buf bytes = packed(cases[i].json);

        CHECK_OK(read_copy(&broadcast, peal_buf_slice(&bytes), &says));
        CHECK_SLICE(peal_buf_slice(&says), cases[i].says);
        peal_buf_fini(&bytes);
    }
    peal_buf_fini(&says);
}

static const struct {
    const struct dialect *dialect;
    const char *json, *says;
} tolerated[] = {
    { &request, " {\"type\":2}", NULL }, /* not JSON if it does not begin with it */
    { &request, "{ \"type\" : 2 , \"opts\" : { \"rooms\" : null } , \"rooms\" : null } ",
        "join" },
    { &request, "{\"rooms\":[\"a\"],\"opts\":{\"rooms\":\"\"},\"type\":3,\"uid\":null}",
        "leave to=a" },
    { &request, "{\"type\":4,\"opts\":{}}", "disconnect" },
    { &request, "{\"type\":0,\"requestId\":\"r\",\"rooms\":null}", "ask-ids id=r" },
    { &request, "{\"type\":5,\"requestId\":\"r\",\"opts\":{},\"x\":{\"type\":9}}",
        "fetch id=r" },
    { &request, "{\"type\":2,\"opts\":{},\"rooms\":[1,\"\\u00e9\\n\",\"\\\"\",\"x\"]}",
        "join to=1,\xc3\xa9\n,\",x" },
    { &request, "{\"type\":6,\"data\":[ \"\\u0065\" , [ 1 ] , 2 ],\"requestId\":\"\"}",
        "server-emit event=\"\\u0065\" 2:[ 1 ] , 2" },
    { &request, "{\"type\":3,\"requestId\":\"r\",\"opts\":{},\"close\":true}", "leave" },
    { &sharded,
        "{\"type\":4,\"data\":{\"opts\":{\"flags\":{\"volatile\":true,"
        "\"compress\":false,\"timeout\":7}},\"rooms\":[\"a\"]},\"uid\":\"u\","
        "\"nsp\":\"/\"}",
        "join uid=u nsp=/ to=a" },
    { &sharded,
        "{\"type\":7,\"data\":{\"requestId\":\"r\",\"opts\":{\"flags\":{"
        "\"volatile\":true,\"timeout\":7}}},\"uid\":\"u\",\"nsp\":\"/\"}",
        "fetch uid=u nsp=/ id=r timeout=7" },
    { &request, "{\"type\":6,\"data\":[\"disconnect\"]}",
        "server-emit event=\"disconnect\"" },
    /* Adapters up to 7. */
    { &request,
        "{\"uid\":\"u\",\"requestId\":\"r\",\"type\":2,\"sid\":\"s\\u0031\","
        "\"room\":\"x\"}",
        "join uid=u id=r in=s1 to=x legacy" },
    { &request, "{\"requestId\":\"r\",\"type\":3,\"sid\":\"s\",\"room\":7}",
        "leave id=r in=s to=7 legacy" },
    { &request, "{\"requestId\":\"r\",\"type\":4,\"sid\":\"s\",\"close\":true}",
        "disconnect id=r in=s close legacy" },
    { &response, "{\"requestId\":\"r\",\"type\":5,\"sockets\":[]}",
        "sockets id=r list=[]" },
    { &response, "{\"type\":6,\"requestId\":\"r\",\"data\":null}",
        "emit-answer id=r 1:null" },
    { &response, "{\"type\":9,\"requestId\":\"r\"}", "ack id=r" },
    { &sharded,
        "{\"nsp\":\"/\\u0061\",\"uid\":\"\\u0062\",\"data\":{\"packet\":[\"e\"]},"
        "\"type\":9}",
        "server-emit uid=b nsp=/a event=\"e\"" },
    { &sharded,
        "{\"type\":3,\"data\":{\"packet\":{\"type\":5,\"data\":[\"e\"," PH1 "]},\"opts\":"
        "{}},\"uid\":\"u\",\"nsp\":\"/\"}",
        "broadcast uid=u nsp=/ event=\"e\" 1:" PH1 }, /* JSON cannot have attachments */
};

static void
requests_may_look_different(void **state)
{
    struct peal_buf says = { 0 };

    for (size_t i = 0; i < sizeof(tolerated) / sizeof(*tolerated); i++) {
        struct peal_slice json = peal_slice_str(tolerated[i].json);
        struct peal_buf bytes = { 0 };
        peal_err err = read_copy(tolerated[i].dialect, json, &says);

        if (tolerated[i].says == NULL) {
            CHECK_ERR(err, PEAL_EPROTO);
            continue;
        }
        CHECK_OK(err);
        CHECK_SLICE(peal_buf_slice(&says), tolerated[i].says);
        /* In MessagePack too; only the raw text of arguments differs. */
        CHECK_OK(peal_msgpack_from_json(&bytes, json, NULL, 0));
        CHECK_OK(read_copy(tolerated[i].dialect, peal_buf_slice(&bytes), &says));
        if (strchr(tolerated[i].says, '\\') == NULL)
            CHECK_SLICE(peal_buf_slice(&says), tolerated[i].says);
        peal_buf_fini(&bytes);
    }
    peal_buf_fini(&says);
}

/* Broadcasts are packed first. */
static const struct {
    const struct dialect *dialect;
    const char *json;
    peal_err err;
} refused[] = {
    /* What ends a Node server, §27: not an array, two items, no third, text. */
    { &broadcast, "{}", PEAL_EPROTO },
    { &broadcast, "[]", PEAL_EPROTO },
    { &broadcast, "[" ANY_PACKET "," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET "]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",null]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",\"\"]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",[]]", PEAL_EPROTO },
    { &broadcast, "[\"u\",null," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\",[]," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[7," ANY_PACKET "," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[{}," ANY_PACKET "," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "\"text\"", PEAL_EPROTO },
    { &broadcast, "7", PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"data\":[\"e\"]}," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"type\":3,\"data\":[\"e\"]}," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"type\":\"2\",\"data\":[\"e\"]}," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"type\":2}," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"type\":2,\"data\":[]}," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"type\":2,\"data\":{}}," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"type\":2,\"data\":\"e\"}," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"type\":2,\"data\":[null]}," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"type\":2,\"data\":[[\"e\"]]}," NO_OPTS "]", PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"type\":2,\"data\":[\"connect\"]}," NO_OPTS "]",
        PEAL_EPROTO },
    { &broadcast, "[\"u\",{\"type\":2,\"data\":[\"e\"],\"nsp\":7}," NO_OPTS "]",
        PEAL_EPROTO },
    /* A list of rooms that is not understood must not mean everybody. */
    { &broadcast, "[\"u\"," ANY_PACKET ",{\"rooms\":\"news\"}]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",{\"rooms\":{}}]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",{\"rooms\":7}]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",{\"rooms\":false}]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",{\"rooms\":[null]}]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",{\"rooms\":[[\"a\"]]}]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",{\"rooms\":[],\"except\":7}]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",{\"flags\":[]}]", PEAL_EPROTO },
    { &broadcast, "[\"u\"," ANY_PACKET ",{\"flags\":7}]", PEAL_EPROTO },
    { &request, "{}", PEAL_EPROTO },
    { &request, "{\"type\":null}", PEAL_EPROTO },
    { &request, "{\"type\":\"2\",\"opts\":{}}", PEAL_EPROTO },
    { &request, "{\"type\":-1}", PEAL_EPROTO },
    { &request, "{\"type\":2.5}", PEAL_EPROTO },
    { &request, "{\"type\":8,\"requestId\":\"r\",\"clientCount\":1}", PEAL_EUNSUPP },
    { &request, "{\"type\":255}", PEAL_EUNSUPP },
    { &request, "{\"type\":4294967295}", PEAL_EUNSUPP },
    { &request, "{\"type\":5,\"requestId\":\"r\"}", PEAL_EPROTO },
    { &request, "{\"type\":5,\"opts\":{}}", PEAL_EPROTO },
    { &request, "{\"type\":5,\"requestId\":7,\"opts\":{}}", PEAL_EPROTO },
    { &request, "{\"type\":5,\"requestId\":\"r\",\"opts\":[]}", PEAL_EPROTO },
    { &request, "{\"type\":1}", PEAL_EPROTO },
    { &request, "{\"type\":0,\"requestId\":\"r\",\"rooms\":{}}", PEAL_EPROTO },
    { &request, "{\"type\":2}", PEAL_EPROTO },
    { &request, "{\"type\":2,\"opts\":null,\"rooms\":[\"a\"]}", PEAL_EPROTO },
    { &request, "{\"type\":2,\"sid\":\"s\"}", PEAL_EPROTO },
    { &request, "{\"type\":2,\"sid\":7,\"room\":\"r\"}", PEAL_EPROTO },
    { &request, "{\"type\":2,\"opts\":{},\"rooms\":\"a\"}", PEAL_EPROTO },
    { &request, "{\"type\":2,\"opts\":{},\"rooms\":[{}]}", PEAL_EPROTO },
    { &request, "{\"type\":6}", PEAL_EPROTO },
    { &request, "{\"type\":6,\"data\":[]}", PEAL_EPROTO },
    { &request, "{\"type\":6,\"data\":\"e\"}", PEAL_EPROTO },
    { &request, "{\"type\":6,\"data\":[{}]}", PEAL_EPROTO },
    { &request, "{\"type\":6,\"data\":[\"e\"],\"uid\":[]}", PEAL_EPROTO },
    { &request, "{\"type\":7,\"packet\":" ANY_PACKET ",\"opts\":" NO_OPTS "}",
        PEAL_EPROTO },
    { &request, "{\"type\":7,\"requestId\":\"r\",\"opts\":" NO_OPTS "}", PEAL_EPROTO },
    { &request, "{\"type\":7,\"requestId\":\"r\",\"packet\":" ANY_PACKET "}",
        PEAL_EPROTO },
    { &response, "{}", PEAL_EPROTO },
    { &response, "{\"requestId\":null,\"sockets\":[]}", PEAL_EPROTO },
    { &response, "{\"requestId\":\"r\",\"sockets\":{}}", PEAL_EPROTO },
    { &response, "{\"requestId\":\"r\",\"sockets\":null}", PEAL_EPROTO },
    { &response, "{\"requestId\":\"r\",\"rooms\":7}", PEAL_EPROTO },
    { &response, "{\"requestId\":\"r\",\"type\":8}", PEAL_EPROTO },
    { &response, "{\"requestId\":\"r\",\"type\":8,\"clientCount\":-1}", PEAL_EPROTO },
    { &response, "{\"requestId\":\"r\",\"type\":8,\"clientCount\":4294967296}",
        PEAL_EPROTO },
    { &response, "{\"requestId\":\"r\",\"type\":10}", PEAL_EUNSUPP },
    { &response, "{\"requestId\":\"r\",\"type\":\"8\"}", PEAL_EPROTO },
    { &sharded, "{}", PEAL_EPROTO },
    { &sharded, "{\"type\":1,\"uid\":\"u\",\"nsp\":\"/\"}", PEAL_EUNSUPP },
    { &sharded, "{\"type\":2,\"uid\":\"u\",\"nsp\":\"/\"}", PEAL_EUNSUPP },
    { &sharded, "{\"type\":13,\"uid\":\"u\",\"nsp\":\"/\"}", PEAL_EUNSUPP },
    { &sharded, "{\"type\":0,\"data\":{},\"uid\":\"u\",\"nsp\":\"/\"}", PEAL_EUNSUPP },
    { &sharded, "{\"type\":6,\"uid\":\"u\",\"nsp\":\"/\"}", PEAL_EPROTO },
    { &sharded, "{\"type\":6,\"data\":{\"opts\":{}},\"nsp\":\"/\"}", PEAL_EPROTO },
    { &sharded, "{\"type\":6,\"data\":{\"opts\":{}},\"uid\":\"u\"}", PEAL_EPROTO },
    { &sharded, "{\"type\":6,\"data\":{\"sid\":\"s\"},\"uid\":\"u\",\"nsp\":\"/\"}",
        PEAL_EPROTO },
    { &sharded, "{\"type\":7,\"data\":{\"opts\":{}},\"uid\":\"u\",\"nsp\":\"/\"}",
        PEAL_EPROTO },
    { &sharded, "{\"type\":8,\"data\":{\"requestId\":\"r\"},\"uid\":\"u\",\"nsp\":\"/\"}",
        PEAL_EPROTO },
    { &sharded,
        "{\"type\":11,\"data\":{\"requestId\":\"r\"},\"uid\":\"u\",\"nsp\":\"/\"}",
        PEAL_EPROTO },
};

static void
what_is_malformed_is_refused(void **state)
{
    struct peal_slice text = PEAL_S("[\"u\"," ANY_PACKET "," NO_OPTS "]");

    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct peal_buf bytes = packed(refused[i].json);
        peal_err err = read_copy(refused[i].dialect, peal_buf_slice(&bytes), NULL);

        if (err != refused[i].err)
            fail_msg("error %d: %s", (int)err, refused[i].json);
        if (refused[i].dialect != &broadcast &&
            read_copy(refused[i].dialect, peal_slice_str(refused[i].json), NULL) !=
                refused[i].err)
            fail_msg("as JSON: %s", refused[i].json);
        peal_buf_fini(&bytes);
    }
    CHECK_ERR(read_copy(&broadcast, text, NULL), PEAL_EPROTO); /* in JSON */
}

/* {..."rooms":["0","1",...]} */
static struct peal_buf
with_rooms(const char *head, unsigned n, const char *tail)
{
    struct peal_buf b = { 0 };

    CHECK_OK(peal_buf_printf(&b, "%s[", head));
    for (unsigned i = 0; i < n; i++)
        CHECK_OK(peal_buf_printf(&b, i > 0 ? ",\"%u\"" : "\"%u\"", i));
    CHECK_OK(peal_buf_printf(&b, "]%s", tail));
    return b;
}

static void
names_have_a_limit(void **state)
{
    static const char *const heads[] = { "{\"type\":2,\"rooms\":[],\"opts\":{\"rooms\":",
        "{\"type\":2,\"rooms\":[],\"opts\":{\"except\":",
        "{\"type\":2,\"opts\":{},\"rooms\":" };
    static const char *const tails[] = { "}}", "}}", "}" };

    for (unsigned i = 0; i < 3; i++) {
        struct peal_buf most = with_rooms(heads[i], PEAL_SIO_REDIS_NAMES_MAX, tails[i]);
        struct peal_buf more =
            with_rooms(heads[i], PEAL_SIO_REDIS_NAMES_MAX + 1, tails[i]);
        struct peal_sio_redis_msg m;

        CHECK_OK(peal_sio_redis_read_request(peal_buf_slice(&most), &reader, &m));
        CHECK_INT(m.n_rooms + m.n_except + m.n_targets, PEAL_SIO_REDIS_NAMES_MAX);
        CHECK_ERR(
            peal_sio_redis_read_request(peal_buf_slice(&more), &reader, &m), PEAL_ELIMIT);
        peal_buf_fini(&most);
        peal_buf_fini(&more);
    }
}

static void
ids_depth_and_attachments_have_limits(void **state)
{
    struct peal_buf b = { 0 };
    struct peal_sio_redis_msg m;

    for (unsigned more = 0; more < 2; more++) {
        b.len = 0;
        CHECK_OK(peal_buf_printf(
            &b, "{\"type\":1,\"requestId\":\"%0*d\"}", PEAL_SIO_REDIS_ID_MAX + more, 0));
        CHECK_ERR(peal_sio_redis_read_request(peal_buf_slice(&b), &reader, &m),
            more ? PEAL_ELIMIT : PEAL_OK);
        /* ["u",{type:2,data:["e",<00>...]},{}] */
        b.len = 0;
        CHECK_OK(peal_buf_add_slice(&b, PEAL_S("\x93\xa1u\x82\xa4type\x02")));
        CHECK_OK(peal_buf_add_slice(&b, PEAL_S("\244data\xdc\x00")));
        CHECK_OK(peal_buf_add_char(&b, (char)(1 + PEAL_ATTACHMENTS_MAX + more)));
        CHECK_OK(peal_buf_add_slice(&b, PEAL_S("\241e")));
        for (unsigned i = 0; i < PEAL_ATTACHMENTS_MAX + more; i++)
            CHECK_OK(peal_buf_add(&b, "\xc4\x01\x00", 3));
        CHECK_OK(peal_buf_add(&b, "\x80", 1));
        CHECK_ERR(peal_sio_redis_read_broadcast(peal_buf_slice(&b), &reader, &m),
            more ? PEAL_ELIMIT : PEAL_OK);
    }
    b.len = 0;
    for (unsigned i = 0; i < 100000; i++)
        CHECK_OK(peal_buf_add(&b, "\x91", 1));
    CHECK_ERR(
        peal_sio_redis_read_broadcast(peal_buf_slice(&b), &reader, &m), PEAL_ELIMIT);
    b.len = 0;
    for (unsigned i = 0; i < 100000; i++)
        CHECK_OK(peal_buf_add_slice(&b, PEAL_S("{\"uid\":")));
    CHECK_ERR(peal_sio_redis_read_sharded(peal_buf_slice(&b), &reader, &m), PEAL_ELIMIT);
    CHECK(peal_sio_redis_uid(peal_buf_slice(&b)).data == NULL);
    peal_buf_fini(&b);
}

/* An object of the sender's that looks like a placeholder, beside real bytes. */
static void
a_placeholder_out_of_range_is_refused(void **state)
{
    static const char *const cases[] = { /* ["u",{type:2,data:["e",<07>,PH1]},{}] */
        "93a17582a47479706502a46461746193a165c4010782ac5f706c616365686f6c646572c3a36e756d"
        "0180",
        /* {type:9,requestId:"r",packet:[<07>,PH1]} */
        "83a47479706509a9726571756573744964a172a67061636b657492c4010782ac5f706c616365686f"
        "6c"
        "646572c3a36e756d01"
    };
    const struct dialect *dialects[] = { &broadcast, &response };

    for (unsigned i = 0; i < 2; i++) {
        struct peal_buf bytes = bytes_of(cases[i]);

        CHECK_ERR(read_copy(dialects[i], peal_buf_slice(&bytes), NULL), PEAL_EPROTO);
        peal_buf_fini(&bytes);
    }
}

static void
bytes_that_nothing_refers_to_are_left_out(void **state)
{
    /* ["u",{type:2,x:<07>,data:["e"]},{}], and the same with data:["e",<08>] */
    static const char *const hex[] = { "93a17583a47479706502a178c40107a46461746191a16580",
        "93a17583a47479706502a178c40107a46461746192a165c4010880" };
    static const char *const says[] = { "broadcast uid=u nsp=/ event=\"e\"",
        "broadcast uid=u nsp=/ event=\"e\" 1:" PH1 " 07 08" };
    struct peal_buf got = { 0 };

    for (unsigned i = 0; i < 2; i++) {
        struct peal_buf bytes = bytes_of(hex[i]);

        CHECK_OK(read_copy(&broadcast, peal_buf_slice(&bytes), &got));
        CHECK_SLICE(peal_buf_slice(&got), says[i]);
        peal_buf_fini(&bytes);
    }
    peal_buf_fini(&got);
}

/* Names that had escapes do not move while more of them are read. */
static void
names_with_escapes_stay_where_they_are(void **state)
{
    struct peal_buf b = { 0 };
    struct peal_sio_redis_msg m;
    char want[16];

    CHECK_OK(
        peal_buf_printf(&b, "{\"type\":2,\"uid\":\"\\u0075\",\"opts\":{\"rooms\":["));
    for (unsigned i = 0; i < 500; i++)
        CHECK_OK(peal_buf_printf(&b, i > 0 ? ",\"\\n%u\"" : "\"\\n%u\"", i));
    CHECK_OK(peal_buf_printf(&b, "]},\"rooms\":[\"\\ud83d\\ude00\",\"\\ud83d\"]}"));
    CHECK_OK(peal_sio_redis_read_request(peal_buf_slice(&b), &reader, &m));
    CHECK_SLICE(m.uid, "u");
    for (unsigned i = 0; i < 500; i++) {
        snprintf(want, sizeof(want), "\n%u", i);
        CHECK_SLICE(m.rooms[i], want);
    }
    CHECK_SLICE(m.targets[0], "\xf0\x9f\x98\x80");
    CHECK_SLICE(m.targets[1], "\xef\xbf\xbd");
    peal_buf_fini(&b);
}

static void
memory_for_large_messages_is_not_kept(void **state)
{
    struct peal_buf b = bytes_of("93a17582a47479706502a46461746192a165db00100000");
    struct peal_buf small = bytes_of(vectors[0].bytes);
    struct peal_sio_redis_msg m;

    CHECK_OK(peal_buf_reserve(&b, 1 << 20));
    memset(b.data + b.len, 'x', 1 << 20);
    b.len += 1 << 20;
    CHECK_OK(peal_buf_add(&b, "\x80", 1));
    CHECK_OK(peal_sio_redis_read_broadcast(peal_buf_slice(&b), &reader, &m));
    CHECK_INT(m.args.len, (1 << 20) + 2);
    CHECK_OK(peal_sio_redis_read_broadcast(peal_buf_slice(&small), &reader, &m));
    CHECK(reader.text.cap < 1024);
    peal_buf_fini(&b);
    peal_buf_fini(&small);
}

static void
a_broadcast_becomes_a_message(void **state)
{
    struct peal_buf bytes = bytes_of(vectors[3].bytes); /* A4 */
    struct peal_sio_redis_msg m;
    struct peal_msg *msg;

    CHECK_OK(peal_sio_redis_read_broadcast(peal_buf_slice(&bytes), &reader, &m));
    CHECK_OK(peal_msg_new(&(struct peal_msg_spec){ .channels = m.rooms,
                              .n_channels = m.n_rooms,
                              .except = m.except,
                              .n_except = m.n_except,
                              .atts = m.atts,
                              .n_atts = m.n_atts,
                              .flags = m.flags,
                              .n_args = m.n_args,
                              .nsp = m.nsp,
                              .event = m.event,
                              .args = m.args },
        &msg));
    peal_sio_redis_reader_fini(&reader);
    peal_buf_fini(&bytes);
    CHECK_SLICE(msg->args, PH0 ",{\"n\":" PH1 "}");
    CHECK_SLICE(peal_blob_slice(msg->atts[1]), "\xff\xfe");
    peal_msg_release(msg);
}

static void
reading_without_memory_leaks_nothing(void **state)
{
    static const char join[] = "{\"type\":2,\"uid\":\"\\u0075\",\"opts\":{\"rooms\":["
                               "\"\\n\"]},\"rooms\":[\"\\t\"]}";
    struct peal_buf says = { 0 }, bin = bytes_of(vectors[3].bytes),
                    map = bytes_of(vectors[17].bytes);
    const struct {
        const struct dialect *dialect;
        struct peal_slice bytes;
    } cases[] = { { &broadcast, peal_buf_slice(&bin) },
        { &sharded, peal_buf_slice(&map) }, { &request, peal_slice_str(join) } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        peal_err err = PEAL_ENOMEM;
        long n;

        for (n = 0; err == PEAL_ENOMEM; n++) {
            struct peal_sio_redis_reader r = { 0 };
            struct peal_sio_redis_msg m;

            alloc_left = n;
            err = cases[i].dialect->read(cases[i].bytes, &r, &m);
            alloc_left = -1;
            if (err == PEAL_OK)
                describe(&says, &m);
            peal_sio_redis_reader_fini(&r);
        }
        CHECK_OK(err);
        CHECK(n > 1);
    }
    peal_buf_fini(&says);
    peal_buf_fini(&bin);
    peal_buf_fini(&map);
}

/* Channels. */

static const struct {
    enum peal_sio_redis_channel channel;
    const char *key, *nsp, *tail, *name; /* tail NULL: none */
} channels[] = {
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", NULL, "socket.io#/#" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", "", "socket.io#/##" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", "news", "socket.io#/#news#" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/chat", "r1", "socket.io#/chat#r1#" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", "a#b", "socket.io#/#a#b#" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", "#", "socket.io#/###" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", "29d06ab776692f50",
        "socket.io#/#29d06ab776692f50#" },
    { PEAL_SIO_REDIS_ON_REQUEST, "socket.io", "/", NULL, "socket.io-request#/#" },
    { PEAL_SIO_REDIS_ON_RESPONSE, "k", "/chat", NULL, "k-response#/chat#" },
    { PEAL_SIO_REDIS_ON_RESPONSE, "a#b", "/chat", "WTZw39",
        "a#b-response#/chat#WTZw39#" },
};

static void
channels_have_names(void **state)
{
    for (size_t i = 0; i < sizeof(channels) / sizeof(*channels); i++) {
        struct peal_slice key = peal_slice_str(channels[i].key), nsp, tail;
        enum peal_sio_redis_channel c;
        struct peal_buf b = { 0 };

        CHECK_OK(peal_sio_redis_channel(&b, channels[i].channel, key,
            peal_slice_str(channels[i].nsp), peal_slice_str(channels[i].tail)));
        CHECK_SLICE(peal_buf_slice(&b), channels[i].name);
        CHECK(peal_sio_redis_split(peal_buf_slice(&b), key, &c, &nsp, &tail));
        CHECK_INT(c, channels[i].channel);
        CHECK_SLICE(nsp, channels[i].nsp);
        CHECK_SLICE(tail, channels[i].tail);
        CHECK_INT(tail.data == NULL, channels[i].tail == NULL);
        peal_buf_fini(&b);
        alloc_left = 0;
        CHECK_ERR(peal_sio_redis_channel(&b, c, key, nsp, tail), PEAL_ENOMEM);
        alloc_left = -1;
        CHECK_INT(b.len, 0);
    }
}

static void
other_channels_are_not_taken(void **state)
{
    static const char *const names[] = { "", "#", "socket.io", "socket.io#",
        "socket.io#/", "socket.io##", "socket.io#/a", "socket.io#/#a",
        "socket.io#emitter", "socket.io#room#", "socket.io-request#",
        "socket.io-reply#/#", "socket.io2#/#", "socket.ip#/#", "engine.io#/#",
        "socket.i#/#" };
    enum peal_sio_redis_channel c;
    struct peal_slice nsp, tail;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (peal_sio_redis_split(
                peal_slice_str(names[i]), PEAL_S("socket.io"), &c, &nsp, &tail))
            fail_msg("taken: %s", names[i]);
    CHECK(!peal_sio_redis_split(PEAL_S(""), PEAL_S(""), &c, &nsp, &tail));
}

static void
patterns_match_their_namespace_only(void **state)
{
    struct peal_buf b = { 0 };

    CHECK_OK(peal_sio_redis_pattern(&b, PEAL_S("socket.io"), PEAL_S("/chat")));
    CHECK_SLICE(peal_buf_slice(&b), "socket.io#/chat#*");
    b.len = 0;
    CHECK_OK(peal_sio_redis_pattern(&b, PEAL_S("k?"), PEAL_S("/a*[b]\\")));
    CHECK_SLICE(peal_buf_slice(&b), "k\\?#/a\\*\\[b\\]\\\\#*");
    peal_buf_fini(&b);
    alloc_left = 0;
    CHECK_ERR(peal_sio_redis_pattern(&b, PEAL_S("k"), PEAL_S("/")), PEAL_ENOMEM);
    alloc_left = -1;
    CHECK_INT(b.len, 0);
}

static void
some_rooms_have_a_sharded_channel(void **state)
{
    struct peal_slice room = PEAL_S("news"), sid = PEAL_S("z2zTc4cBbITz5EPfAAAB");
    /* 20 UTF-16 code units in 21 and 40 bytes, and 20 bytes that are fewer. */
    struct peal_slice wide = PEAL_S("z2zTc4cBbITz5EPfAAA\xc3\xa9");
    struct peal_slice pairs = PEAL_S("\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80"
                                     "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80"
                                     "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80"
                                     "\xf0\x9f\x98\x80");
    struct peal_slice fewer = PEAL_S("z2zTc4cBbITz5EPfAA\xc3\xa9");

    CHECK(peal_sio_redis_own_channel(room));
    CHECK(!peal_sio_redis_own_channel(sid));
    CHECK(!peal_sio_redis_own_channel(wide));
    CHECK(!peal_sio_redis_own_channel(pairs));
    CHECK(peal_sio_redis_own_channel(fewer));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_node_publishes_is_read),
        cmocka_unit_test(no_part_of_a_message_is_one),
        cmocka_unit_test(no_change_of_a_byte_does_harm),
        cmocka_unit_test(the_sender_is_seen_without_reading),
        cmocka_unit_test(old_emitters_are_understood),
        cmocka_unit_test(requests_may_look_different),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(names_have_a_limit),
        cmocka_unit_test(ids_depth_and_attachments_have_limits),
        cmocka_unit_test(a_placeholder_out_of_range_is_refused),
        cmocka_unit_test(bytes_that_nothing_refers_to_are_left_out),
        cmocka_unit_test(names_with_escapes_stay_where_they_are),
        cmocka_unit_test(memory_for_large_messages_is_not_kept),
        cmocka_unit_test(a_broadcast_becomes_a_message),
        cmocka_unit_test(reading_without_memory_leaks_nothing),
        cmocka_unit_test(channels_have_names),
        cmocka_unit_test(other_channels_are_not_taken),
        cmocka_unit_test(patterns_match_their_namespace_only),
        cmocka_unit_test(some_rooms_have_a_sharded_channel),
    };

    return cmocka_run_group_tests_name("sio_redis", tests, NULL, fini_reader);
}

/* SPDX-License-Identifier: MIT */
/* The Redis wire of Socket.IO. Vectors were taken from the wire of Node servers (redis
 * adapter 8.3.0, emitter 5.1.0, streams adapter 0.3.1). */
#include "check.h"

#include <stdio.h>

#include "alloc.h"
#include "wire/sio.h"
#include "wire/sio_redis.h"

#define PH0 "{\"_placeholder\":true,\"num\":0}"
#define PH1 "{\"_placeholder\":true,\"num\":1}"

static struct peal_sio_redis_reader reader;

static int
fini_reader(void **state)
{
    peal_sio_redis_reader_fini(&reader);
    return 0;
}

/* The bytes of a text in hexadecimal, or of a JSON text; the buffer is the caller's. */
static struct peal_buf
bytes_of(const char *text)
{
    struct peal_buf b = { 0 };
    unsigned byte;

    if (*text == '{') {
        CHECK_OK(peal_buf_add_slice(&b, peal_slice_str(text)));
        return b;
    }
    for (; *text != '\0'; text += 2) {
        CHECK_INT(sscanf(text, "%2x", &byte), 1);
        CHECK_OK(peal_buf_add_char(&b, (char)byte));
    }
    return b;
}

/* A message in words. */

static void
say(struct peal_buf *b, const char *key, struct peal_slice value)
{
    if (value.len > 0)
        CHECK_OK(peal_buf_printf(b, " %s=%.*s", key, (int)value.len, value.data));
}

static void
say_names(struct peal_buf *b, const char *key, const struct peal_slice *names, unsigned n)
{
    if (n > 0)
        CHECK_OK(peal_buf_printf(b, " %s", key));
    for (unsigned i = 0; i < n; i++)
        CHECK_OK(peal_buf_printf(
            b, "%c%.*s", i > 0 ? ',' : '=', (int)names[i].len, names[i].data));
}

static void
describe(struct peal_buf *b, const struct peal_sio_redis_msg *m)
{
    static const char *const ops[] = { "broadcast", "join", "leave", "disconnect",
        "fetch", "server-emit", "ask-ids", "ask-rooms", "sockets", "rooms", "emit-answer",
        "count", "ack", "done" };

    b->len = 0;
    CHECK_OK(peal_buf_printf(b, "%s", ops[m->op]));
    say(b, "uid", m->uid);
    say(b, "nsp", m->nsp);
    say(b, "id", m->request_id);
    say_names(b, "in", m->rooms, m->n_rooms);
    say_names(b, "except", m->except, m->n_except);
    say_names(b, "to", m->targets, m->n_targets);
    say(b, "event", m->event);
    if (m->n_args > 0)
        CHECK_OK(
            peal_buf_printf(b, " %u:%.*s", m->n_args, (int)m->args.len, m->args.data));
    for (unsigned i = 0; i < m->n_atts; i++) {
        CHECK_OK(peal_buf_printf(b, " "));
        for (unsigned k = 0; k < m->atts[i]->len; k++)
            CHECK_OK(peal_buf_printf(b, "%02x", (uint8_t)m->atts[i]->data[k]));
    }
    say(b, "list", m->list);
    if (m->op == PEAL_SIO_REDIS_COUNT)
        CHECK_OK(peal_buf_printf(b, " count=%u", m->count));
    if ((m->flags & PEAL_MSG_VOLATILE) != 0)
        CHECK_OK(peal_buf_printf(b, " volatile"));
    if ((m->flags & PEAL_MSG_NO_COMPRESS) != 0)
        CHECK_OK(peal_buf_printf(b, " uncompressed"));
    if (m->timeout_ms > 0)
        CHECK_OK(peal_buf_printf(b, " timeout=%u", m->timeout_ms));
    if (m->close)
        CHECK_OK(peal_buf_printf(b, " close"));
    if (m->legacy)
        CHECK_OK(peal_buf_printf(b, " legacy"));
}

/* How a channel's messages are read, and written. */
struct dialect {
    peal_sio_redis_read_fn *read;
    peal_err (*write)(struct peal_buf *, const struct peal_sio_redis_msg *);
};

static const struct dialect broadcast = { peal_sio_redis_read_broadcast,
    peal_sio_redis_write };
static const struct dialect request = { peal_sio_redis_read_request,
    peal_sio_redis_write };
static const struct dialect response = { peal_sio_redis_read_response,
    peal_sio_redis_write };
static const struct dialect sharded = { peal_sio_redis_read_sharded,
    peal_sio_redis_write_sharded };

/* same: we would have written it in just this way. */
static const struct vector {
    const char *name;
    const struct dialect *dialect;
    bool same;
    const char *bytes, *says;
} vectors[] = {
    { "A1", &broadcast, true,
        "93a64c756c6d766483a47479706502a46461746193a2686901a178a36e7370a12f83a5726f6f6d73"
        "90a6"
        "65786365707490a5666c61677380",
        "broadcast uid=Lulmvd nsp=/ event=\"hi\" 2:1,\"x\"" },
    { "A2", &broadcast, true,
        "93a64c756c6d766483a47479706502a46461746193a5677265657482a16101a16293c3c0cb3ff800"
        "0000"
        "000000a668c3a96c6c6fa36e7370a12f83a5726f6f6d7391a46e657773a665786365707491a56d75"
        "7465"
        "64a5666c61677380",
        "broadcast uid=Lulmvd nsp=/ in=news except=muted event=\"greet\" "
        "2:{\"a\":1,\"b\":[true,null,1.5]},\"h\xc3\xa9llo\"" },
    { "A3", &broadcast, true,
        "93a64c756c6d766483a47479706502a46461746191a374776fa36e7370a12f83a5726f6f6d7392a4"
        "6e65"
        "7773a573706f7274a665786365707490a5666c61677380",
        "broadcast uid=Lulmvd nsp=/ in=news,sport event=\"two\"" },
    { "A4", &broadcast, true,
        "93a64c756c6d766483a47479706502a46461746193a362696ec4040102030481a16ec402fffea36e"
        "7370"
        "a12f83a5726f6f6d7391a46e657773a665786365707490a5666c61677380",
        "broadcast uid=Lulmvd nsp=/ in=news event=\"bin\" 2:" PH0 ",{\"n\":" PH1
        "} 01020304 fffe" },
    { "A5", &broadcast, true,
        "93a64c756c6d766483a47479706502a46461746191a176a36e7370a12f83a5726f6f6d7391a46e65"
        "7773"
        "a665786365707490a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c2",
        "broadcast uid=Lulmvd nsp=/ in=news event=\"v\" volatile uncompressed" },
    { "A6", &broadcast, true,
        "93a657545a77333983a47479706502a46461746197a16dcd012cce00011170ffd1ff38cf00000001"
        "2a05"
        "f200cb3ff4000000000000a36e7370a52f6368617483a5726f6f6d7391a27231a665786365707490"
        "a566"
        "6c61677380",
        "broadcast uid=WTZw39 nsp=/chat in=r1 event=\"m\" "
        "6:300,70000,-1,-200,5000000000,1.25" },
    { "A7", &broadcast, false,
        "93a64c756c6d766483a47479706502a46461746195a164d6ff65920080d7ff1d53530065920080c0"
        "81a1"
        "6b01a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380",
        "broadcast uid=Lulmvd nsp=/ event=\"d\" 4:\"2024-01-01T00:00:00.000Z\","
        "\"2024-01-01T00:00:00.123Z\",null,{\"k\":1}" },
    { "A8", &request, true,
        "85a3756964a64c756c6d7664a9726571756573744964a64a386d644472a47479706507a67061636b"
        "6574"
        "83a47479706502a46461746192a361736ba171a36e7370a12fa46f70747383a5726f6f6d7391a46e"
        "6577"
        "73a665786365707490a5666c61677381a774696d656f7574cd03e8",
        "broadcast uid=Lulmvd nsp=/ id=J8mdDr in=news event=\"ask\" 1:\"q\" "
        "timeout=1000" },
    { "A9", &response, true,
        "83a47479706509a9726571756573744964a64a386d644472a67061636b6574a661636b2d6332",
        "ack id=J8mdDr 1:\"ack-c2\"" },
    { "A10", &request, false, /* we would not say what only the sender needs to know */
        "85a3756964a64c756c6d7664a9726571756573744964a64b504b72544ba47479706507a67061636b"
        "6574"
        "83a47479706502a46461746192a36f6e6501a36e7370a12fa46f70747383a5726f6f6d7391b47a32"
        "7a54"
        "633463426249547a3545506641414142a665786365707490a5666c61677382b46578706563745369"
        "6e67"
        "6c65526573706f6e7365c3a774696d656f7574cd0320",
        "broadcast uid=Lulmvd nsp=/ id=KPKrTK in=z2zTc4cBbITz5EPfAAAB event=\"one\" 1:1 "
        "timeout=800" },
    { "A11", &response, true,
        "83a47479706509a9726571756573744964a64b504b72544ba67061636b6574a661636b2d6332",
        "ack id=KPKrTK 1:\"ack-c2\"" },
    { "A12", &broadcast, true,
        "93a64c756c6d766483a47479706502a46461746191a26263a36e7370a12f83a5726f6f6d7390a665"
        "7863"
        "65707491b444774169594f6f6c6b394742624b336a41414141a5666c61677380",
        "broadcast uid=Lulmvd nsp=/ except=DwAiYOolk9GBbK3jAAAA event=\"bc\"" },
    { "A13", &broadcast, true,
        "93a64c756c6d766483a47479706502a46461746191a2706da36e7370a12f83a5726f6f6d7391b47a"
        "327a"
        "54633463426249547a3545506641414142a665786365707490a5666c61677380",
        "broadcast uid=Lulmvd nsp=/ in=z2zTc4cBbITz5EPfAAAB event=\"pm\"" },
    { "A14", &broadcast, false, /* a room is text for us */
        "93a64c756c6d766483a47479706502a46461746191a36e756da36e7370a12f83a5726f6f6d73912a"
        "a665"
        "786365707490a5666c61677380",
        "broadcast uid=Lulmvd nsp=/ in=42 event=\"num\"" },
    { "A15", &broadcast, false, /* emitters have another order of keys */
        "93a7656d697474657283a47479706502a46461746192a474696d65a36e6f77a36e7370a12f83a572"
        "6f6f"
        "6d7390a5666c61677380a665786365707490",
        "broadcast uid=emitter nsp=/ event=\"time\" 1:\"now\"" },
    { "A16", &broadcast, false,
        "93a7656d697474657283a47479706502a46461746192a178c4026162a36e7370a12f83a5726f6f6d"
        "7391"
        "a46e657773a5666c61677380a665786365707491a56d75746564",
        "broadcast uid=emitter nsp=/ in=news except=muted event=\"x\" 1:" PH0 " 6162" },
    { "A17", &broadcast, false,
        "93a7656d697474657283a47479706502a46461746191a179a36e7370a52f6368617483a5726f6f6d"
        "7392"
        "a161a162a5666c61677381a8766f6c6174696c65c3a665786365707490",
        "broadcast uid=emitter nsp=/chat in=a,b event=\"y\" volatile" },
    { "B1", &sharded, true,
        "84a47479706503a46461746182a67061636b657482a47479706502a46461746192a362696ec40401"
        "0203"
        "04a46f70747383a5726f6f6d7391a46e657773a665786365707490a5666c61677380a3756964b032"
        "3964"
        "30366162373736363932663530a36e7370a12f",
        "broadcast uid=29d06ab776692f50 nsp=/ in=news event=\"bin\" 1:" PH0 " 01020304" },
    /* Of the streams adapter: the same envelope, always in MessagePack. */
    { "B2", &sharded, false,
        "84a47479706507a46461746182a46f70747383a5726f6f6d7391a46e657773a665786365707490a5"
        "666c"
        "61677380a9726571756573744964b036313265623231306162343836343432a3756964b061326138"
        "3132"
        "37363938376233333130a36e7370a12f",
        "fetch uid=a2a81276987b3310 nsp=/ id=612eb210ab486442 in=news" },
    { "B3", &sharded, false,
        "84a47479706509a46461746181a67061636b657492a568656c6c6fa177a3756964b0613261383132"
        "3736"
        "3938376233333130a36e7370a12f",
        "server-emit uid=a2a81276987b3310 nsp=/ event=\"hello\" 1:\"w\"" },
    { "B4", &sharded, false,
        "84a47479706509a46461746182a9726571756573744964b038373933663637663664613435323438"
        "a670"
        "61636b657492a568656c6c6fa177a3756964b061326138313237363938376233333130a36e7370a1"
        "2f",
        "server-emit uid=a2a81276987b3310 nsp=/ id=8793f67f6da45248 event=\"hello\" "
        "1:\"w\"" },
    { "B5", &sharded, false,
        "84a4747970650aa46461746182a9726571756573744964b038373933663637663664613435323438"
        "a670"
        "61636b6574ab706f6e672d66726f6d2d42a3756964b034616338396536613730383033326139a36e"
        "7370"
        "a12f",
        "emit-answer uid=4ac89e6a708032a9 nsp=/ id=8793f67f6da45248 1:\"pong-from-B\"" },
    { "B6", &sharded, false,
        "84a47479706503a46461746183a67061636b657482a47479706502a46461746192a361736ba171a9"
        "7265"
        "71756573744964b036643965623564376533623930353464a46f70747383a5726f6f6d7391a46e65"
        "7773"
        "a665786365707490a5666c61677381a774696d656f7574cd03e8a3756964b0613261383132373639"
        "3837"
        "6233333130a36e7370a12f",
        "broadcast uid=a2a81276987b3310 nsp=/ id=6d9eb5d7e3b9054d in=news event=\"ask\" "
        "1:\"q\" timeout=1000" },
    { "B7", &sharded, false,
        "84a4747970650ba46461746182a9726571756573744964b036643965623564376533623930353464"
        "ab63"
        "6c69656e74436f756e7401a3756964b034616338396536613730383033326139a36e7370a12f",
        "count uid=4ac89e6a708032a9 nsp=/ id=6d9eb5d7e3b9054d count=1" },
    { "B8", &sharded, false,
        "84a4747970650ca46461746182a9726571756573744964b036643965623564376533623930353464"
        "a670"
        "61636b6574a661636b2d6332a3756964b034616338396536613730383033326139a36e7370a12f",
        "ack uid=4ac89e6a708032a9 nsp=/ id=6d9eb5d7e3b9054d 1:\"ack-c2\"" },
    /* What is JSON. */
    { "join", &request, true,
        "{\"uid\":\"Lulmvd\",\"type\":2,\"opts\":{\"rooms\":[\"news\"],\"except\":["
        "\"muted\"]},\"rooms\":[\"r2\",\"r3\"]}",
        "join uid=Lulmvd in=news except=muted to=r2,r3" },
    { "leave", &request, true,
        "{\"uid\":\"Lulmvd\",\"type\":3,\"opts\":{\"rooms\":[],\"except\":[]},"
        "\"rooms\":[\"r2\"]}",
        "leave uid=Lulmvd to=r2" },
    { "disconnect", &request, true,
        "{\"uid\":\"Lulmvd\",\"type\":4,\"opts\":{\"rooms\":[\"nobody\"],\"except\":[]},"
        "\"close\":true}",
        "disconnect uid=Lulmvd in=nobody close" },
    { "server emit", &request, true,
        "{\"uid\":\"Lulmvd\",\"type\":6,\"data\":[\"hello\",\"w\",{\"x\":1}]}",
        "server-emit uid=Lulmvd event=\"hello\" 2:\"w\",{\"x\":1}" },
    { "server emit, answer wanted", &request, true,
        "{\"uid\":\"Lulmvd\",\"requestId\":\"w3qCEx\",\"type\":6,\"data\":[\"hello\","
        "\"w\"]}",
        "server-emit uid=Lulmvd id=w3qCEx event=\"hello\" 1:\"w\"" },
    { "emit answer", &response, true,
        "{\"type\":6,\"requestId\":\"w3qCEx\",\"data\":\"pong-from-B\"}",
        "emit-answer id=w3qCEx 1:\"pong-from-B\"" },
    { "emit answer, nothing", &response, true, "{\"type\":6,\"requestId\":\"w3qCEx\"}",
        "emit-answer id=w3qCEx" },
    { "fetch", &request, true,
        "{\"uid\":\"Lulmvd\",\"requestId\":\"0XK3UF\",\"type\":5,\"opts\":{\"rooms\":["
        "\"news\"],\"except\":[]}}",
        "fetch uid=Lulmvd id=0XK3UF in=news" },
    { "sockets", &response, true,
        "{\"requestId\":\"0XK3UF\",\"sockets\":[{\"id\":\"z2zTc4cBbITz5EPfAAAB\","
        "\"handshake\":{\"auth\":{}},\"rooms\":[\"news\"],\"data\":{}}]}",
        "sockets id=0XK3UF "
        "list=[{\"id\":\"z2zTc4cBbITz5EPfAAAB\",\"handshake\":{\"auth\":{}"
        "},\"rooms\":[\"news\"],\"data\":{}}]" },
    { "ask rooms", &request, true,
        "{\"uid\":\"Lulmvd\",\"requestId\":\"yfbyo4\",\"type\":1}",
        "ask-rooms uid=Lulmvd id=yfbyo4" },
    { "rooms", &response, true,
        "{\"requestId\":\"yfbyo4\",\"rooms\":[\"news\",\"muted\"]}",
        "rooms id=yfbyo4 list=[\"news\",\"muted\"]" },
    { "ask ids", &request, true,
        "{\"uid\":\"Lulmvd\",\"requestId\":\"abcdef\",\"type\":0,\"rooms\":[\"news\"]}",
        "ask-ids uid=Lulmvd id=abcdef in=news" },
    { "ids", &response, true, "{\"requestId\":\"abcdef\",\"sockets\":[\"a\",\"b\"]}",
        "sockets id=abcdef list=[\"a\",\"b\"]" },
    { "done", &response, true, "{\"requestId\":\"abcdef\"}", "done id=abcdef" },
    { "count", &response, true, "{\"type\":8,\"requestId\":\"J8mdDr\",\"clientCount\":1}",
        "count id=J8mdDr count=1" },
    { "emitter's join", &request, false,
        "{\"type\":2,\"opts\":{\"rooms\":[\"news\"],\"except\":[]},\"rooms\":[\"zz\"]}",
        "join in=news to=zz" },
    { "emitter's disconnect", &request, false,
        "{\"type\":4,\"opts\":{\"rooms\":[\"news\"],\"except\":[]},\"close\":false}",
        "disconnect in=news" },
    { "emitter's server emit", &request, false,
        "{\"uid\":\"emitter\",\"type\":6,\"data\":[\"hello\",\"w\"]}",
        "server-emit uid=emitter event=\"hello\" 1:\"w\"" },
    { "broadcast in JSON", &request, false, /* heard, never sent */
        "{\"uid\":\"Lulmvd\",\"requestId\":\"J8mdDr\",\"type\":7,\"packet\":{\"type\":2,"
        "\"data\":[\"ask\"],\"nsp\":\"/\"},\"opts\":{\"rooms\":[],\"except\":[],"
        "\"flags\":{\"timeout\":5}}}",
        "broadcast uid=Lulmvd nsp=/ id=J8mdDr event=\"ask\" timeout=5" },
    { "sharded broadcast", &sharded, true,
        "{\"type\":3,\"data\":{\"packet\":{\"type\":2,\"data\":[\"greet\",{\"a\":1}]},"
        "\"opts\":{\"rooms\":[\"news\"],\"except\":[\"muted\"],\"flags\":{}}},"
        "\"uid\":\"29d06ab776692f50\",\"nsp\":\"/\"}",
        "broadcast uid=29d06ab776692f50 nsp=/ in=news except=muted event=\"greet\" "
        "1:{\"a\":1}" },
    { "sharded broadcast, acknowledgements wanted", &sharded, true,
        "{\"type\":3,\"data\":{\"packet\":{\"type\":2,\"data\":[\"ask\",\"q\"]},"
        "\"requestId\":\"199fd90862f6e751\",\"opts\":{\"rooms\":[\"news\"],\"except\":[],"
        "\"flags\":{\"timeout\":1000}}},\"uid\":\"29d06ab776692f50\",\"nsp\":\"/\"}",
        "broadcast uid=29d06ab776692f50 nsp=/ id=199fd90862f6e751 in=news event=\"ask\" "
        "1:\"q\" timeout=1000" },
    { "sharded join", &sharded, true,
        "{\"type\":4,\"data\":{\"opts\":{\"rooms\":[\"news\"],\"except\":[],\"flags\":{}}"
        ","
        "\"rooms\":[\"r2\"]},\"uid\":\"29d06ab776692f50\",\"nsp\":\"/chat\"}",
        "join uid=29d06ab776692f50 nsp=/chat in=news to=r2" },
    { "sharded leave", &sharded, true,
        "{\"type\":5,\"data\":{\"opts\":{\"rooms\":[],\"except\":[\"x\"],\"flags\":{}},"
        "\"rooms\":[\"r2\"]},\"uid\":\"29d06ab776692f50\",\"nsp\":\"/\"}",
        "leave uid=29d06ab776692f50 nsp=/ except=x to=r2" },
    { "sharded disconnect", &sharded, true,
        "{\"type\":6,\"data\":{\"opts\":{\"rooms\":[\"r\"],\"except\":[],\"flags\":{}},"
        "\"close\":false},\"uid\":\"29d06ab776692f50\",\"nsp\":\"/\"}",
        "disconnect uid=29d06ab776692f50 nsp=/ in=r" },
    { "sharded fetch", &sharded, true,
        "{\"type\":7,\"data\":{\"opts\":{\"rooms\":[\"news\"],\"except\":[],\"flags\":{}}"
        ","
        "\"requestId\":\"1ee2b6a1c6d9562c\"},\"uid\":\"29d06ab776692f50\",\"nsp\":\"/\"}",
        "fetch uid=29d06ab776692f50 nsp=/ id=1ee2b6a1c6d9562c in=news" },
    { "sharded sockets", &sharded, true,
        "{\"type\":8,\"data\":{\"requestId\":\"1ee2b6a1c6d9562c\",\"sockets\":[]},"
        "\"uid\":\"8840b5117650113d\",\"nsp\":\"/\"}",
        "sockets uid=8840b5117650113d nsp=/ id=1ee2b6a1c6d9562c list=[]" },
    { "sharded server emit", &sharded, true,
        "{\"type\":9,\"data\":{\"packet\":[\"hello\",\"w\"]},\"uid\":"
        "\"29d06ab776692f50\","
        "\"nsp\":\"/\"}",
        "server-emit uid=29d06ab776692f50 nsp=/ event=\"hello\" 1:\"w\"" },
    { "sharded server emit, answer wanted", &sharded, true,
        "{\"type\":9,\"data\":{\"requestId\":\"347dcd0c17294886\",\"packet\":[\"hello\","
        "\"w\"]},\"uid\":\"29d06ab776692f50\",\"nsp\":\"/\"}",
        "server-emit uid=29d06ab776692f50 nsp=/ id=347dcd0c17294886 event=\"hello\" "
        "1:\"w\"" },
    { "sharded emit answer", &sharded, true,
        "{\"type\":10,\"data\":{\"requestId\":\"347dcd0c17294886\",\"packet\":"
        "\"pong-from-B\"},\"uid\":\"8840b5117650113d\",\"nsp\":\"/\"}",
        "emit-answer uid=8840b5117650113d nsp=/ id=347dcd0c17294886 1:\"pong-from-B\"" },
    { "sharded count", &sharded, true,
        "{\"type\":11,\"data\":{\"requestId\":\"199fd90862f6e751\",\"clientCount\":1},"
        "\"uid\":\"8840b5117650113d\",\"nsp\":\"/\"}",
        "count uid=8840b5117650113d nsp=/ id=199fd90862f6e751 count=1" },
    { "sharded acknowledgement", &sharded, true,
        "{\"type\":12,\"data\":{\"requestId\":\"199fd90862f6e751\",\"packet\":\"ack-c2\"}"
        ","
        "\"uid\":\"8840b5117650113d\",\"nsp\":\"/\"}",
        "ack uid=8840b5117650113d nsp=/ id=199fd90862f6e751 1:\"ack-c2\"" },
};

#define N_VECTORS (sizeof(vectors) / sizeof(*vectors))

/* Reads bytes of exactly their size, so that ASan sees a read beyond them. */
static peal_err
read_copy(const struct dialect *d, struct peal_slice bytes, struct peal_buf *says)
{
    char *exact = malloc(bytes.len + 1);
    struct peal_slice copy = peal_slice_of(exact + 1, bytes.len);
    struct peal_sio_redis_msg m;
    peal_err err;

    if (bytes.len > 0)
        memcpy(exact + 1, bytes.data, bytes.len);
    err = d->read(copy, &reader, &m);
    if (err == PEAL_OK && says != NULL)
        describe(says, &m);
    peal_sio_redis_uid(copy);
    free(exact);
    return err;
}

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
                    peal_slice_from(peal_buf_slice(&out), 1), peal_buf_slice(&bytes)))
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
        struct peal_buf most = with_rooms(heads[i], PEAL_CHANNELS_MAX, tails[i]);
        struct peal_buf more = with_rooms(heads[i], PEAL_CHANNELS_MAX + 1, tails[i]);
        struct peal_sio_redis_msg m;

        CHECK_OK(peal_sio_redis_read_request(peal_buf_slice(&most), &reader, &m));
        CHECK_INT(m.n_rooms + m.n_except + m.n_targets, PEAL_CHANNELS_MAX);
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
    peal_msg_drop(msg);
}

/* Writing. */

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
    peal_blob_drop(atts[0]);
    peal_blob_drop(atts[1]);
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
    peal_blob_drop(att);
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

/* Without memory. */

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
    peal_blob_drop(att);
}

/* Channels. */

static const struct {
    enum peal_sio_redis_channel channel;
    const char *key, *nsp, *tail, *name;
} channels[] = {
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", "", "socket.io#/#" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", "news", "socket.io#/#news#" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/chat", "r1", "socket.io#/chat#r1#" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", "a#b", "socket.io#/#a#b#" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", "#", "socket.io#/###" },
    { PEAL_SIO_REDIS_ON_BROADCAST, "socket.io", "/", "29d06ab776692f50",
        "socket.io#/#29d06ab776692f50#" },
    { PEAL_SIO_REDIS_ON_REQUEST, "socket.io", "/", "", "socket.io-request#/#" },
    { PEAL_SIO_REDIS_ON_RESPONSE, "k", "/chat", "", "k-response#/chat#" },
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
    /* A room without a name is told like no room: everybody reads the message. */
    CHECK(peal_sio_redis_split(PEAL_S("k#/##"), PEAL_S("k"), &c, &nsp, &tail));
    CHECK_INT(tail.len, 0);
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

    CHECK(!peal_sio_redis_own_channel(PEAL_SIO_REDIS_STATIC, room));
    CHECK(peal_sio_redis_own_channel(PEAL_SIO_REDIS_DYNAMIC, room));
    CHECK(!peal_sio_redis_own_channel(PEAL_SIO_REDIS_DYNAMIC, sid));
    CHECK(!peal_sio_redis_own_channel(PEAL_SIO_REDIS_DYNAMIC, wide));
    CHECK(!peal_sio_redis_own_channel(PEAL_SIO_REDIS_DYNAMIC, pairs));
    CHECK(peal_sio_redis_own_channel(PEAL_SIO_REDIS_DYNAMIC, fewer));
    CHECK(peal_sio_redis_own_channel(PEAL_SIO_REDIS_DYNAMIC_PRIVATE, sid));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_node_publishes_is_read),
        cmocka_unit_test(it_is_written_as_node_writes_it),
        cmocka_unit_test(what_is_written_says_the_same),
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
        cmocka_unit_test(a_broadcast_becomes_a_message),
        cmocka_unit_test(what_would_harm_node_is_not_written),
        cmocka_unit_test(bytes_are_sent_as_bytes),
        cmocka_unit_test(clients_never_get_too_many_attachments),
        cmocka_unit_test(an_event_without_a_name_is_a_message),
        cmocka_unit_test(sockets_are_listed),
        cmocka_unit_test(reading_without_memory_leaks_nothing),
        cmocka_unit_test(writing_without_memory_leaves_nothing),
        cmocka_unit_test(channels_have_names),
        cmocka_unit_test(other_channels_are_not_taken),
        cmocka_unit_test(patterns_match_their_namespace_only),
        cmocka_unit_test(some_rooms_have_a_sharded_channel),
    };

    return cmocka_run_group_tests_name("sio_redis", tests, NULL, fini_reader);
}

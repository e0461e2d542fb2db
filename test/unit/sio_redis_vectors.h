/* SPDX-License-Identifier: MIT */
/*
 * Messages of the Redis wire of Socket.IO, as taken from Node servers (redis
 * adapter 8.3.0, emitter 5.1.0, streams adapter 0.3.1), and what they say, in words.
 */
#ifndef TEST_SIO_REDIS_VECTORS_H
#define TEST_SIO_REDIS_VECTORS_H

#include <stdio.h>

#include "check.h"
#include "wire/sio_redis.h"

#define PH0 "{\"_placeholder\":true,\"num\":0}"
#define PH1 "{\"_placeholder\":true,\"num\":1}"

static struct peal_sio_redis_reader reader;

static inline int
fini_reader(void **state)
{
    peal_sio_redis_reader_fini(&reader);
    return 0;
}

/* The bytes of a text in hexadecimal, or of a JSON text; the buffer is the caller's. */
static inline struct peal_buf
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

static inline void
say(struct peal_buf *b, const char *key, struct peal_slice value)
{
    if (value.len > 0)
        CHECK_OK(peal_buf_printf(b, " %s=%.*s", key, (int)value.len, value.data));
}

static inline void
say_names(struct peal_buf *b, const char *key, const struct peal_slice *names, unsigned n)
{
    if (n > 0)
        CHECK_OK(peal_buf_printf(b, " %s", key));
    for (unsigned i = 0; i < n; i++)
        CHECK_OK(peal_buf_printf(
            b, "%c%.*s", i > 0 ? ',' : '=', (int)names[i].len, names[i].data));
}

static inline void
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
static inline peal_err
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

#endif

/* SPDX-License-Identifier: MIT */
/* backplane/redis_slots: where a name is in a cluster. */
#include "check.h"

#include "backplane/redis_slots.h"

/* As CLUSTER KEYSLOT of Redis 7.0.15 has them. */
static void
slots_are_those_of_redis(void **state)
{
    static const struct {
        const char *name;
        unsigned slot;
    } cases[] = {
        { "", 0 },
        { "a", 15495 },
        { "123456789", 12739 },
        { "peal:nodes", 13364 },
        { "peal:all", 14730 },
        { "peal:c:/chat#orders", 6251 },
        { "foo{bar}baz", 5061 },
        { "bar", 5061 },
        { "foo{}bar", 14292 },
        { "foo{bar", 15278 },
        { "foo}bar{", 11073 },
        { "{user1000}.following", 3443 },
        { "user1000", 3443 },
        { "foo{{bar}}zap", 4015 },
        { "foo{bar}{zap}", 5061 },
        { "a}{b}c", 3300 },
        { "naïve", 2847 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        CHECK_INT(peal_redis_slot(peal_slice_str(cases[i].name)), cases[i].slot);
}

static void
answers_that_tell_a_new_place_are_read(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned slot, port;
    } cases[] = {
        { "MOVED 3999 127.0.0.1:6381", "127.0.0.1", 3999, 6381 },
        { "MOVED 0 redis-1.example:1", "redis-1.example", 0, 1 },
        { "MOVED 16383 ::1:65535", "::1", 16383, 65535 },
        { "MOVED 5 :7000", "", 5, 7000 },
        { "MOVED 5 ?:7000", "", 5, 7000 },
    };
    static const char *const others[] = { "", "MOVED", "MOVED 1", "MOVED 1 ", "MOVED 1 h",
        "MOVED 1 h:", "MOVED 1 h:0", "MOVED 1 h:65536", "MOVED 1 h:x", "MOVED 16384 h:1",
        "MOVED x h:1", "MOVED  h:1", "ASK 1 h:1", "moved 1 h:1", "ERR MOVED 1 h:1" };
    struct peal_redis_range r;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CHECK(peal_redis_moved_read(peal_slice_str(cases[i].text), &r));
        CHECK_SLICE(r.host, cases[i].host);
        CHECK_INT(r.first, cases[i].slot);
        CHECK_INT(r.last, cases[i].slot);
        CHECK_INT(r.port, cases[i].port);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        CHECK(!peal_redis_moved_read(peal_slice_str(others[i]), &r));
}

/* The first element of the reply that these bytes are. */
static bool
read_row(const char *bytes, struct peal_redis_range *out, redisReply **reply_out)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;

    CHECK_INT(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);
    CHECK_INT(redisReaderGetReply(reader, &reply), REDIS_OK);
    CHECK(reply != NULL);
    redisReaderFree(reader);
    *reply_out = reply;
    return peal_redis_range_read(reply, out);
}

static void
rows_of_the_map_are_read(void **state)
{
    static const struct {
        const char *bytes, *host; /* host NULL: no row */
        unsigned first, last, port;
    } cases[] = {
        { "*3\r\n:0\r\n:16383\r\n*3\r\n$1\r\nh\r\n:7000\r\n$2\r\nid\r\n", "h", 0, 16383,
            7000 },
        { "*4\r\n:5\r\n:5\r\n*4\r\n$3\r\n::1\r\n:1\r\n$2\r\nid\r\n*0\r\n*0\r\n", "::1", 5,
            5, 1 },
        { "*3\r\n:0\r\n:1\r\n*2\r\n$-1\r\n:7000\r\n", "", 0, 1, 7000 },
        { "*3\r\n:0\r\n:1\r\n*2\r\n$0\r\n\r\n:7000\r\n", "", 0, 1, 7000 },
        { "*3\r\n:0\r\n:1\r\n*2\r\n$1\r\n?\r\n:7000\r\n", "", 0, 1, 7000 },
        { "+OK\r\n", NULL, 0, 0, 0 },
        { "*0\r\n", NULL, 0, 0, 0 },
        { "*2\r\n:0\r\n:1\r\n", NULL, 0, 0, 0 },
        { "*3\r\n:1\r\n:0\r\n*2\r\n$1\r\nh\r\n:7000\r\n", NULL, 0, 0, 0 },
        { "*3\r\n:-1\r\n:0\r\n*2\r\n$1\r\nh\r\n:7000\r\n", NULL, 0, 0, 0 },
        { "*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nh\r\n:7000\r\n", NULL, 0, 0, 0 },
        { "*3\r\n+0\r\n:1\r\n*2\r\n$1\r\nh\r\n:7000\r\n", NULL, 0, 0, 0 },
        { "*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:0\r\n", NULL, 0, 0, 0 },
        { "*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:65536\r\n", NULL, 0, 0, 0 },
        { "*3\r\n:0\r\n:1\r\n*2\r\n:1\r\n:7000\r\n", NULL, 0, 0, 0 },
        { "*3\r\n:0\r\n:1\r\n*1\r\n$1\r\nh\r\n", NULL, 0, 0, 0 },
        { "*3\r\n:0\r\n:1\r\n$1\r\nh\r\n", NULL, 0, 0, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct peal_redis_range r;
        redisReply *reply;
        bool is_row = read_row(cases[i].bytes, &r, &reply);

        CHECK_INT(is_row, cases[i].host != NULL);
        if (is_row) {
            CHECK_SLICE(r.host, cases[i].host);
            CHECK_INT(r.first, cases[i].first);
            CHECK_INT(r.last, cases[i].last);
            CHECK_INT(r.port, cases[i].port);
        }
        freeReplyObject(reply);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_those_of_redis),
        cmocka_unit_test(answers_that_tell_a_new_place_are_read),
        cmocka_unit_test(rows_of_the_map_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

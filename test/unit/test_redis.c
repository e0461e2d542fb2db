/* SPDX-License-Identifier: MIT */
/* backplane/redis and all below it, as transcripts: see redis_script.h. */
#include "check.h"

#include "redis_script.h"

/* The greetings of both connections, the one that publishes first. */
#define GREETED(out, in)                                                                 \
    out "> CLIENT SETNAME n\n" out "> PING\n" out "> ROLE\n" out "< +OK\n" out           \
        "< +PONG\n" out "< [master, :0, []]\n" in "> CLIENT SETNAME n\n" in              \
        "> PING\n" in "> ROLE\n" in "< +OK\n" in "< +PONG\n" in "< [master, :0, []]\n"   \
        "= up\n"
#define UP GREETED("A1", "A2")

static const struct script one_redis[] = {
    { "subscribing, publishing, and leaving", "redis://127.0.0.1:$A", false,
        UP "! sub a\n"
           "A2> SUBSCRIBE a\n"
           "A2< [subscribe, a, :1]\n"
           "= subscribed a\n"
           "log redis connected\" host=127.0.0.1 port=$A\n"
           "! pub a hello\n"
           "A1> PUBLISH a hello\n"
           "A1< :1\n"
           "A2< [message, a, hello]\n"
           "= message a hello\n"
           "! unsub a\n"
           "A2> UNSUBSCRIBE a\n"
           "A2< [unsubscribe, a, :0]\n"
           "count connects 1\n"
           "count unanswered 0\n" },

    { "a subscription that is refused is refused alone", "redis://127.0.0.1:$A", false,
        UP
        "! sub a\n"
        "! sub b\n"
        "! psub c*\n"
        "! sub d\n"
        "A2> SUBSCRIBE a\n"
        "A2> SUBSCRIBE b\n"
        "A2> PSUBSCRIBE c*\n"
        "A2> SUBSCRIBE d\n"
        "A2< [subscribe, a, :1]\n"
        "A2< -NOPERM this user has no permissions to access one of the channels\n"
        "A2< -NOPERM once more\n"
        "A2< [subscribe, d, :2]\n"
        "= subscribed a\n"
        "= refused b NOPERM this user has no permissions to access one of the channels\n"
        "= refused c* NOPERM once more\n"
        "= subscribed d\n"
        "A2< [message, a, still here]\n"
        "= message a still here\n"
        "log redis refused a subscription\" topic=\"b\" why=\"NOPERM this user\n"
        "log level=debug msg=\"redis refused a subscription\" topic=\"c*\"\n"
        "count topics_refused 2\n"
        "count connects 1\n" },

    { "an unsubscription that is refused is about nobody else", "redis://127.0.0.1:$A",
        false,
        UP "! sub a\n"
           "! sub b\n"
           "A2> SUBSCRIBE a\n"
           "A2> SUBSCRIBE b\n"
           "A2< [subscribe, a, :1]\n"
           "= subscribed a\n"
           "! unsub a\n"
           "A2> UNSUBSCRIBE a\n"
           "A2< [subscribe, b, :2]\n"
           "A2< -NOPERM no unsubscribe\n"
           "= subscribed b\n"
           "count topics_refused 0\n" },

    { "an error that is about the connection ends the link", "redis://127.0.0.1:$A",
        false,
        UP "! sub a\n"
           "A2> SUBSCRIBE a\n"
           "A2< -NOAUTH Authentication required.\n"
           "A1 closed\n"
           "A2 closed\n"
           "= down\n"
           "log redis unavailable\" host=127.0.0.1 port=$A why=\"NOAUTH\n" },

    { "a master that becomes a replica is left, and what it took is counted",
        "redis://127.0.0.1:$A", false,
        UP "! pub a one\n"
           "A1> PUBLISH a one\n"
           "A1< :1\n"
           "+ 1000\n"
           "A1> ROLE\n"
           "A1< [master, :10, []]\n"
           "! pub a two\n"
           "A1> PUBLISH a two\n"
           "A1< :1\n"
           "+ 1000\n"
           "A1> ROLE\n"
           "! pub a three\n"
           "A1> PUBLISH a three\n"
           "A1< [slave, 127.0.0.1, :1, connected, :10]\n"
           "A1 closed\n"
           "A2 closed\n"
           "= down\n"
           "log it is not a master any more, its role is slave\n"
           "count unanswered 2\n"
           "+ 6000\n"
           /* The name still leads to it. */
           "A3> CLIENT SETNAME n\n"
           "A3> PING\n"
           "A3> ROLE\n"
           "A3< +OK\n"
           "A3< +PONG\n"
           "A3< [slave, 127.0.0.1, :1, connected, :10]\n"
           "+ 1\n"
           "A3 closed\n"
           "log it is not a master, its role is slave\n"
           "+ 6000\n" GREETED("A4", "A5") },

    { "a Redis that does not tell its role is taken for a master", "redis://127.0.0.1:$A",
        false,
        "A1> CLIENT SETNAME n\n"
        "A1> PING\n"
        "A1> ROLE\n"
        "A1< -NOPERM this user has no permissions to run the 'client|setname' command\n"
        "A1< +PONG\n"
        "A1< -NOPERM this user has no permissions to run the 'role' command\n"
        "A2> CLIENT SETNAME n\n"
        "A2> PING\n"
        "A2> ROLE\n"
        "A2< +OK\n"
        "A2< +PONG\n"
        "A2< -ERR unknown command 'role'\n"
        "= up\n"
        "log redis does not tell its role\n"
        "+ 3000\n" },

    { "a role that may not be asked any more is asked no more", "redis://127.0.0.1:$A",
        false,
        UP "! pub a one\n"
           "A1> PUBLISH a one\n"
           "+ 1000\n"
           "A1> ROLE\n"
           "A1< -NOPERM no publish\n"
           "A1< -NOPERM no role\n"
           "! pub a two\n"
           "A1> PUBLISH a two\n"
           "count refused 1\n"
           "log redis refused a publish\" why=\"NOPERM no publish\n"
           "+ 3000\n" },

    { "classic pub/sub of a cluster asks nobody's role", "redis+cluster://127.0.0.1:$A",
        false,
        "A1> CLIENT SETNAME n\n"
        "A1> PING\n"
        "A1< +OK\n"
        "A1< +PONG\n"
        "A2> CLIENT SETNAME n\n"
        "A2> PING\n"
        "A2< +OK\n"
        "A2< +PONG\n"
        "= up\n"
        "+ 3000\n" },

    { "a host name that does not resolve", "redis://no..name:$A", false,
        "log redis unavailable\" host=no..name port=$A why=\"its host name does not "
        "resolve\"\n" },
};

static void
one_redis_is_as_written(void **state)
{
    for (size_t i = 0; i < sizeof(one_redis) / sizeof(*one_redis); i++)
        script_run(&one_redis[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_redis_is_as_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

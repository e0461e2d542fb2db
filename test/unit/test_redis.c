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

static const struct script connections[] = {
    { "a password, and no name", "redis://user:pass@127.0.0.1:$A", false,
        "A1> AUTH user pass\n"
        "A1> CLIENT SETNAME n\n"
        "A1> PING\n"
        "A1> ROLE\n"
        "A1< -WRONGPASS invalid username-password pair\n"
        "+ 1\n"
        "A1 closed\n"
        "log why=\"redis answered: WRONGPASS invalid username-password pair\n" },

    { "something that is no Redis", "redis://127.0.0.1:$A", false,
        "A1> CLIENT SETNAME n\n"
        "A1> PING\n"
        "A1> ROLE\n"
        "A1< HTTP/1.1 400 Bad Request\n"
        "+ 1\n"
        "A1 closed\n"
        "log why=\"not a Redis: \n" },

    { "a server that says nothing in time", "redis://127.0.0.1:$A", false,
        "A1> CLIENT SETNAME n\n"
        "A1> PING\n"
        "A1> ROLE\n"
        "A1< +OK\n"
        "+ 5000\n"
        "A1 closed\n"
        "log why=\"no answer in time\n" },

    { "a connection that falls silent is asked, and then ended", "redis://127.0.0.1:$A",
        false,
        UP "A2 mute\n"
           "+ 1000\n"
           "A1> ROLE\n"
           "A1< [master, :0, []]\n"
           "+ 1000\n"
           "A2> PING\n"
           "A1> ROLE\n"
           "A1< [master, :0, []]\n"
           "+ 1000\n"
           "A2> PING\n"
           "A1> ROLE\n"
           "A1< [master, :0, []]\n"
           "A2< +PONG\n"
           "A2< +PONG\n"
           "+ 1000\n"
           "A1> ROLE\n"
           "A1< [master, :0, []]\n"
           "+ 1000\n"
           "A2> PING\n"
           "A1> ROLE\n"
           "A1< [master, :0, []]\n"
           "+ 1000\n"
           "A2> PING\n"
           "A1> ROLE\n"
           "A1< [master, :0, []]\n"
           "+ 1000\n"
           "A2> PING\n"
           "A1> ROLE\n"
           "A1< [master, :0, []]\n"
           "+ 1000\n"
           "A2> PING\n"
           "A1> ROLE\n"
           "A1< [master, :0, []]\n"
           "+ 1000\n"
           "= down\n"
           "log why=\"no answer in time\n" },

    { "one that is closed ends the other", "redis://127.0.0.1:$A", false,
        UP "A2 close\n"
           "A1 closed\n"
           "= down\n"
           "log why=\"closed by the other side\n"
           "+ 6000\n" GREETED("A3", "A4") "count connects 2\n" },

    { "restart begins again with new connections", "redis://127.0.0.1:$A", false,
        UP "! pub a one\n"
           "A1> PUBLISH a one\n"
           "! restart\n"
           "A1 closed\n"
           "A2 closed\n"
           "= down\n"
           "log why=\"the test says so\n"
           "count unanswered 1\n"
           /* Nothing of what is asked meanwhile is done. */
           "! sub a\n"
           "! pub a two\n"
           "! restart\n"
           "+ 6000\n" GREETED("A3", "A4") },

    { "freed while it dials", "redis://127.0.0.1:$A", false, "! free\n" },
    { "freed while it greets", "redis://127.0.0.1:$A", false,
        "A1> CLIENT SETNAME n\n"
        "! free\n"
        "A1> PING\n"
        "A1> ROLE\n"
        "A1 closed\n" },
    { "freed while it is up", "redis://127.0.0.1:$A", false,
        UP "! sub a\n"
           "A2> SUBSCRIBE a\n"
           "! free\n"
           "A1 closed\n"
           "A2 closed\n" },
    { "freed while it is down", "redis://127.0.0.1:$A", false,
        UP "A1 close\n"
           "= down\n"
           "! free\n" },
};

static void
connections_are_as_written(void **state)
{
    for (size_t i = 0; i < sizeof(connections) / sizeof(*connections); i++)
        script_run(&connections[i]);
}

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

    { "a host name that does not resolve", "redis://no..name:$A", false,
        "log redis unavailable\" host=no..name port=$A why=\"its host name does not "
        "resolve\"\n" },
};

/* The greeting of a connection to a master of a cluster, and of both. */
#define CLUSTER_GREETED(conn)                                                            \
    conn "> CLIENT SETNAME n\n" conn "> PING\n" conn "< +OK\n" conn "< +PONG\n"
#define MEMBER_UP(out, in) CLUSTER_GREETED(out) CLUSTER_GREETED(in)

/* a is in slot 15495, b in 3300. */
#define ROW(first, last, at) "[:" first ", :" last ", [127.0.0.1, :$" at "]]"
#define MAP_A "[" ROW("0", "16383", "A") "]"
#define MAP_AB "[" ROW("0", "8191", "A") ", " ROW("8192", "16383", "B") "]"
#define MAP_AB_A_TO_A                                                                    \
    "[" ROW("0", "8191", "A") ", " ROW("8192", "15494", "B") ", " ROW(                   \
        "15495", "15495", "A") ", " ROW("15496", "16383", "B") "]"

/* A payload is sent from B to A and back. */
#define CIRCLE                                                                           \
    "B1> SPUBLISH a one\n"                                                               \
    "B1< -MOVED 15495 127.0.0.1:$A\n"                                                    \
    "A2> SPUBLISH a one\n"                                                               \
    "A2< -MOVED 15495 127.0.0.1:$B\n"

/* A, which has all slots; A1 has told so, A2 publishes, A3 listens. */
#define CLUSTER_UP                                                                       \
    CLUSTER_GREETED("A1")                                                                \
    "A1> CLUSTER SLOTS\n"                                                                \
    "A1< " MAP_A "\n"                                                                    \
    "A1 closed\n" MEMBER_UP("A2", "A3") "= up\n"

/* The same with two masters: B1 publishes, B2 listens. */
#define CLUSTER_UP_2                                                                     \
    CLUSTER_GREETED("A1")                                                                \
    "A1> CLUSTER SLOTS\n"                                                                \
    "A1< " MAP_AB "\n"                                                                   \
    "A1 closed\n" MEMBER_UP("A2", "A3") MEMBER_UP("B1", "B2") "= up\n"

static const struct script clusters[] = {
    { "topics live where their slots are", "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP_2 "! sub a\n"
                     "! sub b\n"
                     "B2> SSUBSCRIBE a\n"
                     "A3> SSUBSCRIBE b\n"
                     "A3< [ssubscribe, b, :1]\n"
                     "= subscribed b\n"
                     "log redis connected\" masters=2\n"
                     "B2< [ssubscribe, a, :1]\n"
                     "= subscribed a\n"
                     "! pub b hello\n"
                     "A2> SPUBLISH b hello\n"
                     "A2< :1\n"
                     "A3< [smessage, b, hello]\n"
                     "= message b hello\n" },

    { "a subscription that is refused is refused alone", "redis+cluster://127.0.0.1:$A",
        true,
        CLUSTER_UP "! sub a\n"
                   "! sub b\n"
                   "A3> SSUBSCRIBE a\n"
                   "A3> SSUBSCRIBE b\n"
                   "A3< -NOPERM no\n"
                   "A3< [ssubscribe, b, :1]\n"
                   "= refused a NOPERM no\n"
                   "= subscribed b\n"
                   "count topics_refused 1\n" },

    { "a cluster that is down is left", "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP "! sub a\n"
                   "A3> SSUBSCRIBE a\n"
                   "A3< -CLUSTERDOWN The cluster is down\n"
                   "A2 closed\n"
                   "A3 closed\n"
                   "= down\n" },

    { "MOVED is followed by subscriptions, unsubscriptions and payloads",
        "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP "! sub a\n"
                   "! pub a one\n"
                   "! pub a two\n"
                   "A3> SSUBSCRIBE a\n"
                   "A2> SPUBLISH a one\n"
                   "A2> SPUBLISH a two\n"
                   "A3< -MOVED 15495 127.0.0.1:$B\n"
                   "A2< -MOVED 15495 127.0.0.1:$B\n"
                   "A2< -MOVED 15495 127.0.0.1:$B\n" MEMBER_UP(
                       "B1", "B2") "B1> SPUBLISH a one\n"
                                   "B1> SPUBLISH a two\n"
                                   "B2> SSUBSCRIBE a\n"
                                   "B2< [ssubscribe, a, :1]\n"
                                   "= subscribed a\n"
                                   "! unsub a\n"
                                   "B2> SUNSUBSCRIBE a\n"
                                   "B2< -MOVED 15495 127.0.0.1:$A\n"
                                   "A3> SUNSUBSCRIBE a\n"
                                   "A3< [sunsubscribe, a, :0]\n"
                                   "B1< :1\n"
                                   "B1< :1\n"
                                   "count refused 0\n" },

    { "payloads are not overtaken when a subscription is told first that a slot has "
      "moved",
        "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP "! sub a\n"
                   "A3> SSUBSCRIBE a\n"
                   "A3< [ssubscribe, a, :1]\n"
                   "= subscribed a\n"
                   "! pub a one\n"
                   "A2> SPUBLISH a one\n"
                   "A3< [sunsubscribe, a, :0]\n"
                   "= lost a\n"
                   "! sub a\n"
                   "A3> SSUBSCRIBE a\n"
                   "A3< -MOVED 15495 127.0.0.1:$B\n" MEMBER_UP(
                       "B1", "B2") "B2> SSUBSCRIBE a\n"
                                   "! pub a two\n"
                                   "A2> SPUBLISH a two\n"
                                   "A2< -MOVED 15495 127.0.0.1:$B\n"
                                   "B1> SPUBLISH a one\n"
                                   "B1> SPUBLISH a two\n"
                                   "! pub a three\n"
                                   "B1> SPUBLISH a three\n"
                                   "A2< -MOVED 15495 127.0.0.1:$B\n"
                                   "B2< [ssubscribe, a, :1]\n"
                                   "= subscribed a\n"
                                   "B1< :1\n"
                                   "B1< :1\n"
                                   "B1< :1\n"
                                   "count refused 0\n" },

    { "payloads are not overtaken when a new map tells first that a slot has moved",
        "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP_2 "+ 30000\n"
                     "A2> CLUSTER SLOTS\n"
                     "! pub a one\n"
                     "B1> SPUBLISH a one\n"
                     "A2< " MAP_AB_A_TO_A "\n"
                     "+ 1\n"
                     "! pub a two\n"
                     "B1> SPUBLISH a two\n"
                     "B1< -MOVED 15495 127.0.0.1:$A\n"
                     "A2> SPUBLISH a one\n"
                     "A2> SPUBLISH a two\n"
                     "! pub a three\n"
                     "A2> SPUBLISH a three\n"
                     "B1< -MOVED 15495 127.0.0.1:$A\n"
                     "+ 500\n"
                     "A2> CLUSTER SLOTS\n"
                     "count refused 0\n" },

    { "a map that another one has kept out is asked for again",
        "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP_2 "+ 30000\n"
                     "A2> CLUSTER SLOTS\n"
                     "! pub a one\n"
                     "B1> SPUBLISH a one\n"
                     "A2< " MAP_AB_A_TO_A "\n"
                     "+ 1\n"
                     "B1< :1\n"
                     "+ 500\n"
                     "A2> CLUSTER SLOTS\n"
                     "A2< " MAP_AB_A_TO_A "\n"
                     "+ 1\n"
                     "! pub a two\n"
                     "A2> SPUBLISH a two\n" },

    { "payloads follow a slot that moves back, in their order",
        "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP_2 "! pub a one\n"
                     "B1> SPUBLISH a one\n"
                     "B1< -MOVED 15495 127.0.0.1:$A\n"
                     "A2> SPUBLISH a one\n"
                     "! pub a two\n"
                     "A2> SPUBLISH a two\n"
                     "A2< -MOVED 15495 127.0.0.1:$B\n"
                     "B1> SPUBLISH a one\n"
                     "B1> SPUBLISH a two\n"
                     "! pub a three\n"
                     "B1> SPUBLISH a three\n"
                     "A2< -MOVED 15495 127.0.0.1:$B\n"
                     "B1< :1\n"
                     "B1< :1\n"
                     "B1< :1\n"
                     "count refused 0\n" },

    { "a payload that is sent in circles is not followed for ever",
        "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP_2 "! pub a one\n" CIRCLE CIRCLE CIRCLE CIRCLE "B1> SPUBLISH a one\n"
                     "B1< -MOVED 15495 127.0.0.1:$A\n"
                     "log its slot is redirected in circles\n"
                     "count refused 1\n" },

    { "a slot that is sent in circles is not followed for ever",
        "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP "! sub a\n"
                   "A3> SSUBSCRIBE a\n"
                   "A3< -MOVED 15495 127.0.0.1:$B\n" MEMBER_UP(
                       "B1", "B2") "B2> SSUBSCRIBE a\n"
                                   "B2< -MOVED 15495 127.0.0.1:$A\n"
                                   "A3> SSUBSCRIBE a\n"
                                   "A3< -MOVED 15495 127.0.0.1:$B\n"
                                   "B2> SSUBSCRIBE a\n"
                                   "B2< -MOVED 15495 127.0.0.1:$A\n"
                                   "A3> SSUBSCRIBE a\n"
                                   "A3< -MOVED 15495 127.0.0.1:$B\n"
                                   "B2> SSUBSCRIBE a\n"
                                   "B2< -MOVED 15495 127.0.0.1:$A\n"
                                   "A3> SSUBSCRIBE a\n"
                                   "A3< -MOVED 15495 127.0.0.1:$B\n"
                                   "B2> SSUBSCRIBE a\n"
                                   "B2< -MOVED 15495 127.0.0.1:$A\n"
                                   "A3> SSUBSCRIBE a\n"
                                   "A3< -MOVED 15495 127.0.0.1:$B\n"
                                   "= down\n"
                                   "log a slot is redirected in circles\n" },

    { "old maps of others do not take a new master away", "redis+cluster://127.0.0.1:$A",
        true,
        CLUSTER_UP "! sub a\n"
                   "A3> SSUBSCRIBE a\n"
                   "A3< -MOVED 15495 127.0.0.1:$B\n" MEMBER_UP(
                       "B1", "B2") "B2> SSUBSCRIBE a\n"
                                   "B2< [ssubscribe, a, :1]\n"
                                   "= subscribed a\n"
                                   "+ 500\n"
                                   "A2> CLUSTER SLOTS\n"
                                   "A2< " MAP_A "\n"
                                   "+ 500\n"
                                   "B1> CLUSTER SLOTS\n"
                                   "B1< " MAP_AB "\n"
                                   "+ 1\n"
                                   "no log unavailable\n" },

    { "a master that has become a replica is left", "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP_2 "! sub a\n"
                     "B2> SSUBSCRIBE a\n"
                     "B2< [ssubscribe, a, :1]\n"
                     "= subscribed a\n"
                     "+ 30000\n"
                     "A2> CLUSTER SLOTS\n"
                     "A2< " MAP_A "\n"
                     "+ 500\n"
                     "B1> CLUSTER SLOTS\n"
                     "B1< " MAP_A "\n"
                     "= down\n"
                     "log why=\"it is not a master any more\n" },

    { "a slot that is taken away is told", "redis+cluster://127.0.0.1:$A", true,
        CLUSTER_UP "! sub a\n"
                   "A3> SSUBSCRIBE a\n"
                   "A3< [ssubscribe, a, :1]\n"
                   "= subscribed a\n"
                   "A3< [sunsubscribe, a, :0]\n"
                   "= lost a\n"
                   "! sub a\n"
                   "A3> SSUBSCRIBE a\n"
                   "A3< -MOVED 15495 127.0.0.1:$B\n" MEMBER_UP(
                       "B1", "B2") "B2> SSUBSCRIBE a\n"
                                   "B2< [ssubscribe, a, :1]\n"
                                   "= subscribed a\n" },
};

/* A and B are Sentinels, C and D the Redis servers. */
#define SENTINEL_ASKED(conn)                                                             \
    CLUSTER_GREETED(conn)                                                                \
    conn "> SENTINEL get-master-addr-by-name main\n" conn "> SUBSCRIBE +switch-master\n"
#define MASTER_GREETED(conn)                                                             \
    conn "> CLIENT SETNAME n\n" conn "> ROLE\n" conn "< +OK\n" conn "< [master, :0, "    \
         "[]]\n"

static const struct script sentinels[] = {
    { "one that knows tells where the master is, and where it moves",
        "redis+sentinel://127.0.0.1:$A,127.0.0.1:$B/main", false,
        SENTINEL_ASKED(
            "A1") "A1< nil\n"
                  "A1 closed\n" SENTINEL_ASKED(
                      "B1") "B1< [127.0.0.1, $C]\n"
                            "B1< [subscribe, +switch-master, :1]\n" MASTER_GREETED("C1")
                                MASTER_GREETED(
                                    "C2") "= up\n"
                                          "B1< [message, +switch-master, other 127.0.0.1 "
                                          "$C 127.0.0.1 $D]\n"
                                          "B1< [message, +switch-master, main 127.0.0.1 "
                                          "$C 127.0.0.1 $D]\n"
                                          "C1 closed\n"
                                          "C2 closed\n"
                                          "= down\n"
                                          "log the master has moved\n" MASTER_GREETED(
                                              "D1")
                                              MASTER_GREETED(
                                                  "D2") "= up\n"
                                                        /* The Sentinel may go: what it
                                                           said holds. */
                                                        "B1 close\n"
                                                        "+ 100\n" SENTINEL_ASKED(
                                                            "A2") "A2< [127.0.0.1, $D]\n"
                                                                  "A2< [subscribe, "
                                                                  "+switch-master, :1]\n"
                                                                  "! pub a still\n"
                                                                  "D1> PUBLISH a "
                                                                  "still\n" },

    { "a master that is none is asked for again", "redis+sentinel://127.0.0.1:$A/main",
        false,
        SENTINEL_ASKED(
            "A1") "A1< [127.0.0.1, $C]\n"
                  "A1< [subscribe, +switch-master, :1]\n"
                  "C1> CLIENT SETNAME n\n"
                  "C1> ROLE\n"
                  "C1< +OK\n"
                  "C1< [slave, 127.0.0.1, :1, connect, :0]\n"
                  "+ 1\n"
                  "C1 closed\n"
                  "+ 100\n"
                  "A1 closed\n" SENTINEL_ASKED(
                      "A2") "A2< [127.0.0.1, $D]\n"
                            "A2< [subscribe, +switch-master, :1]\n" MASTER_GREETED("D1")
                                MASTER_GREETED("D2") "= up\n" },

    { "none knows the master", "redis+sentinel://127.0.0.1:$A/main", false,
        SENTINEL_ASKED("A1") "A1< nil\n"
                             "A1 closed\n"
                             "log redis unavailable\n"
                             "log it does not know this master\n" },

    { "a sentinel that tells nonsense is left", "redis+sentinel://127.0.0.1:$A/main",
        false,
        SENTINEL_ASKED("A1") "A1< [127.0.0.1, 99999]\n"
                             "A1 closed\n"
                             "log it reported an address that is not valid\n" },
};

static void
sentinels_are_as_written(void **state)
{
    for (size_t i = 0; i < sizeof(sentinels) / sizeof(*sentinels); i++)
        script_run(&sentinels[i]);
}

static void
clusters_are_as_written(void **state)
{
    for (size_t i = 0; i < sizeof(clusters) / sizeof(*clusters); i++)
        script_run(&clusters[i]);
}

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
        cmocka_unit_test(connections_are_as_written),
        cmocka_unit_test(one_redis_is_as_written),
        cmocka_unit_test(sentinels_are_as_written),
        cmocka_unit_test(clusters_are_as_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Transcripts: what a backplane and the Redis servers behind it say to each other, line
 * by line, with the test as every one of these servers and as the backplane's user.
 * Servers are called A to D; A2 is the second connection that A has accepted. In any line
 * $A is A's port.
 *
 *   ! sub a             the user: sub, unsub, psub, punsub, pub TOPIC TEXT, restart, free
 *   A2> SUBSCRIBE a     the next command on this connection has to be this
 *   A2< [subscribe, a, :1]   a reply; also +OK, -ERR text, :1, nil, nested [..]
 *   A2 mute             PING is not answered unseen any more, as it is after the first
 *   A2 close            the server closes the connection
 *   A2 closed           the backplane has to close it
 *   = subscribed a      the next event has to be this: up, down, lost TOPIC,
 *                       refused TOPIC WHY, message TOPIC TEXT
 *   + 1000              so many milliseconds pass
 *   log TEXT            TEXT comes in the log, after what an earlier log line has found;
 *                       a millisecond passes in every turn that waits for it
 *   no log TEXT         and this does not, anywhere
 *   count NAME 1        the counter: connects, topics_refused, refused, unanswered
 *
 * At the end no command and no event may be left over. Time and chance are the test's.
 */
#ifndef TEST_REDIS_SCRIPT_H
#define TEST_REDIS_SCRIPT_H

#include <stdbool.h>

struct script {
    const char *name;
    const char *url; /* of the backplane */
    bool sharded;
    const char *lines;
};

void script_run(const struct script *s);

#endif

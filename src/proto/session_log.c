/* SPDX-License-Identifier: MIT */
/* Lines about sessions: one table says how each end is worded, and how loud it is. */
#include "proto/session_log.h"

#include "proto/proto.h"

static const struct {
    const char *text;
    bool failed; /* at info: somebody may want to do something about it */
} ends[] = {
    [PEAL_END_CLIENT] = { "the client closed it", false },
    [PEAL_END_LOST] = { "the connection was lost", false },
    [PEAL_END_DRAIN] = { "drained", false },
    [PEAL_END_SERVER] = { "disconnected by the server", false },
    [PEAL_END_STOP] = { "the node stops", false },
    [PEAL_END_PING_TIMEOUT] = { "no pong in time", false },
    [PEAL_END_CONNECT_TIMEOUT] = { "no namespace joined in time", true },
    [PEAL_END_SLOW] = { "the client reads too slowly", true },
    [PEAL_END_BAD_INPUT] = { "the client broke the protocol", true },
    [PEAL_END_MEMORY] = { "out of memory", true },
};

enum peal_session_end
peal_session_end_of(enum peal_close why)
{
    switch (why) {
    case PEAL_CLOSE_SLOW:
        return PEAL_END_SLOW;
    case PEAL_CLOSE_PROTO:
        return PEAL_END_BAD_INPUT;
    case PEAL_CLOSE_TIMEOUT:
        return PEAL_END_PING_TIMEOUT;
    case PEAL_CLOSE_MEMORY:
        return PEAL_END_MEMORY;
    default:
        return PEAL_END_LOST;
    }
}

void
peal_session_log_refused(struct peal_proto *p, const struct peal_http *h,
    const char *protocol, const char *transport, const char *why)
{
    char client[PEAL_ADDR_TEXT_MAX];

    peal_addr_format_ip(&h->client, client);
    peal_log_limited(peal_loop_log(p->loop), &p->log.refused, peal_loop_now_ms(p->loop),
        PEAL_LOG_INFO, "client refused", "protocol=%s transport=%s client=%s why=%s",
        protocol, transport != NULL ? transport : protocol, client, why);
}

void
peal_session_log_engineio3(struct peal_proto *p, const struct peal_http *h)
{
    char client[PEAL_ADDR_TEXT_MAX];

    peal_stat_add(peal_loop_stats(p->loop), PEAL_STAT_EIO3_REFUSED, 1);
    peal_addr_format_ip(&h->client, client);
    peal_log_limited(peal_loop_log(p->loop), &p->log.refused_engineio3,
        peal_loop_now_ms(p->loop), PEAL_LOG_INFO, "client of Socket.IO 2 refused",
        "protocol=socketio client=%s hint=\"update it to socket.io-client 3 or 4\"",
        client);
}

void
peal_session_log_ended(struct peal_proto *p, const struct peal_session_name *s,
    enum peal_session_end end, const char *detail)
{
    bool failed = ends[end].failed;

    peal_log_limited(peal_loop_log(p->loop), failed ? &p->log.failed : &p->log.ended,
        peal_loop_now_ms(p->loop), failed ? PEAL_LOG_INFO : PEAL_LOG_DEBUG,
        "session closed", "protocol=%s transport=%s id=%.*s why=\"%s%s%s\"", s->protocol,
        s->transport, (int)s->id.len, s->id.len > 0 ? s->id.data : "", ends[end].text,
        detail != NULL ? ": " : "", detail != NULL ? detail : "");
}

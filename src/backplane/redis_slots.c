/* SPDX-License-Identifier: MIT */
/* Slots: the hash of a topic, and the two replies in which a cluster tells who serves
 * which. */
#include "backplane/redis_slots.h"

#include "wire/hostport.h"

/* x^16 + x^12 + x^5 + 1 from zero, bit by bit: a name is short, and hashed once for each
 * payload. */
static unsigned
crc16(struct peal_slice s)
{
    unsigned crc = 0;

    for (size_t i = 0; i < s.len; i++) {
        crc ^= (unsigned)(unsigned char)s.data[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return crc & 0xffff;
}

unsigned
peal_redis_slot(struct peal_slice name)
{
    struct peal_slice rest = name, tag;

    (void)peal_slice_cut(&rest, '{');
    if (rest.data != NULL) {
        tag = peal_slice_cut(&rest, '}');
        if (rest.data != NULL && tag.len > 0)
            name = tag;
    }
    return crc16(name) % PEAL_REDIS_SLOTS;
}

static bool
is_port(long long n)
{
    return n > 0 && n <= 65535;
}

/* An unknown host stands as "?" and means the one that was asked. */
static struct peal_slice
known_host(struct peal_slice host)
{
    return peal_slice_eq(host, PEAL_S("?")) ? PEAL_S("") : host;
}

static bool
is_slot(const redisReply *r)
{
    return r->type == REDIS_REPLY_INTEGER && r->integer >= 0 &&
           r->integer < PEAL_REDIS_SLOTS;
}

/* [first, last, [host, port, ...], replica, ...] */
bool
peal_redis_range_read(const redisReply *row, struct peal_redis_range *out)
{
    const redisReply *master, *host, *port;

    if (row->type != REDIS_REPLY_ARRAY || row->elements < 3 ||
        !is_slot(row->element[0]) || !is_slot(row->element[1]))
        return false;
    master = row->element[2];
    if (master->type != REDIS_REPLY_ARRAY || master->elements < 2)
        return false;
    host = master->element[0];
    port = master->element[1];
    if ((host->type != REDIS_REPLY_STRING && host->type != REDIS_REPLY_NIL) ||
        port->type != REDIS_REPLY_INTEGER || !is_port(port->integer))
        return false;
    out->first = (unsigned)row->element[0]->integer;
    out->last = (unsigned)row->element[1]->integer;
    out->port = (uint16_t)port->integer;
    out->host = host->type == REDIS_REPLY_NIL
                    ? PEAL_S("")
                    : known_host(peal_slice_of(host->str, (size_t)host->len));
    return out->first <= out->last && out->host.len < PEAL_REDIS_HOST_MAX;
}

bool
peal_redis_moved_read(struct peal_slice error, struct peal_redis_range *out)
{
    struct peal_slice rest = error, slot;
    struct peal_hostport hp;
    uint64_t n;

    if (!peal_slice_eq(peal_slice_cut(&rest, ' '), PEAL_S("MOVED")))
        return false;
    slot = peal_slice_cut(&rest, ' ');
    if (peal_slice_u64(slot, PEAL_REDIS_SLOTS - 1, &n) != PEAL_OK ||
        peal_hostport_split_last(rest, &hp) != PEAL_OK ||
        peal_hostport_port(&hp, -1, &out->port) != PEAL_OK || out->port == 0)
        return false;
    out->first = out->last = (unsigned)n;
    out->host = known_host(hp.host);
    return out->host.len < PEAL_REDIS_HOST_MAX;
}

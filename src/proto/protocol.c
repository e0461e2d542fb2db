/* SPDX-License-Identifier: MIT */
/*
 * The protocols of a worker, as one: they are opened in the order of the table, counted,
 * drained and freed together. Each protocol with wire formats of its own gets the indices
 * of the message's cache that follow those of wire/encode.h.
 */
#include "proto/protocol.h"

#include "base/assert.h"
#include "base/msg.h"
#include "proto/proto.h"
#include "wire/encode.h"

peal_err
peal_protocols_open(
    struct peal_proto *p, const struct peal_protocol_row *rows, unsigned n)
{
    unsigned format = PEAL_FMT_N;

    PEAL_ASSERT(n <= PEAL_PROTOCOLS_MAX);
    for (unsigned i = 0; i < n; i++) {
        struct peal_protocol *pr = NULL;
        peal_err err = rows[i].ops->open(p, rows[i].config, &pr);

        if (err != PEAL_OK)
            return err;
        *pr = (struct peal_protocol){
            .ops = rows[i].ops, .proto = p, .index = i, .first_format = format
        };
        format += rows[i].ops->n_formats;
        PEAL_ASSERT(format <= PEAL_MSG_FORMATS_MAX);
        p->protocols[p->n_protocols++] = pr;
    }
    return PEAL_OK;
}

void
peal_protocols_free(struct peal_proto *p)
{
    while (p->n_protocols > 0) {
        struct peal_protocol *pr = p->protocols[--p->n_protocols];

        pr->ops->free(&pr);
    }
}

unsigned
peal_protocols_routes(
    const struct peal_proto *p, struct peal_http_route *out, unsigned max)
{
    unsigned n = 0;

    for (unsigned i = 0; i < p->n_protocols; i++) {
        PEAL_ASSERT(max - n >= PEAL_PROTOCOL_ROUTES_MAX);
        n += p->protocols[i]->ops->routes(p->protocols[i], out + n);
    }
    return n;
}

void
peal_protocol_began(struct peal_protocol *pr)
{
    peal_stats_add_sessions(peal_proto_stats(pr->proto), pr->index, 1);
}

void
peal_protocol_ended(struct peal_protocol *pr)
{
    struct peal_stats *stats = peal_proto_stats(pr->proto);

    PEAL_ASSERT(peal_stats_sessions_of(stats, pr->index) > 0);
    peal_stats_add_sessions(stats, pr->index, -1);
}

void
peal_sessions_shed(struct peal_proto *p, unsigned n)
{
    uint64_t left = 0;

    for (unsigned i = 0; i < p->n_protocols; i++)
        left += p->protocols[i]->ops->count(p->protocols[i]);
    if (n > left)
        n = (unsigned)left;
    /* The rest of n is spread over the rest of the sessions, so that the shares add up to
     * n whatever is rounded off. */
    for (unsigned i = 0; i < p->n_protocols && n > 0; i++) {
        struct peal_protocol *pr = p->protocols[i];
        unsigned count = pr->ops->count(pr);
        unsigned share = (unsigned)((uint64_t)count * n / left);

        pr->ops->drain(pr, share, PEAL_MIDDLE_FIRST);
        left -= count;
        n -= share;
    }
}

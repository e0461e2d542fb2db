/* SPDX-License-Identifier: MIT */
/*
 * The Redis wire of Socket.IO. The first byte says which channel the rest came by. What
 * is read is written again, in both dialects, unless there is a reason not to; and what
 * is written is read as the same, and then written as the same bytes.
 */
#include "fuzz.h"

#include "base/json.h"
#include "base/utf8.h"
#include "wire/sio_redis.h"

static void
check(bool ok)
{
    if (!ok)
        abort();
}

static bool
same_names(
    const struct peal_slice *a, unsigned n_a, const struct peal_slice *b, unsigned n_b)
{
    if (n_a != n_b)
        return false;
    for (unsigned i = 0; i < n_a; i++)
        if (!peal_slice_eq(a[i], b[i]))
            return false;
    return true;
}

/* Arguments are compared by what becomes of them: numbers may be written otherwise. */
static void
check_same(const struct peal_sio_redis_msg *a, const struct peal_sio_redis_msg *b)
{
    check(a->op == b->op && a->flags == b->flags);
    check(a->timeout_ms == b->timeout_ms || a->op == PEAL_SIO_REDIS_FETCH);
    check(a->count == b->count && a->close == b->close && a->n_args == b->n_args);
    check(peal_slice_eq(a->request_id, b->request_id) || a->legacy);
    check(same_names(a->rooms, a->n_rooms, b->rooms, b->n_rooms));
    check(same_names(a->except, a->n_except, b->except, b->n_except));
    check(same_names(a->targets, a->n_targets, b->targets, b->n_targets));
}

static void
check_sound(const struct peal_sio_redis_msg *m)
{
    check(peal_json_count(m->args) == m->n_args && m->n_atts <= PEAL_ATTACHMENTS_MAX);
    check(m->n_rooms <= PEAL_CHANNELS_MAX && m->n_except <= PEAL_CHANNELS_MAX);
    check(m->n_targets <= PEAL_CHANNELS_MAX);
    for (unsigned i = 0; i < m->n_rooms; i++)
        check(peal_utf8_valid(m->rooms[i]));
    for (unsigned i = 0; i < m->n_atts; i++)
        check(m->atts[i] != NULL);
    check(m->list.len == 0 || peal_json_check(m->list) == PEAL_OK);
}

typedef peal_err write_fn(struct peal_buf *out, const struct peal_sio_redis_msg *m);

static void
write_again(
    const struct peal_sio_redis_msg *m, write_fn *write, peal_sio_redis_read_fn *read)
{
    static struct peal_sio_redis_reader r;
    struct peal_buf bytes = { 0 }, again = { 0 };
    struct peal_sio_redis_msg n;
    peal_err err = write(&bytes, m);

    check(err == PEAL_OK || (bytes.len == 0 && err != PEAL_ENOMEM));
    if (err == PEAL_OK)
        err = read(peal_buf_slice(&bytes), &r, &n);
    else
        goto done; /* no uid, an event not for servers, a dialect without the op */
    /* Deeper, or more often an attachment: each placeholder has become one of its own. */
    check(err == PEAL_OK || err == PEAL_ELIMIT);
    if (err == PEAL_OK) {
        check_same(m, &n);
        check(write(&again, &n) == PEAL_OK);
        check(peal_slice_eq(peal_buf_slice(&bytes), peal_buf_slice(&again)));
    }

done:
    peal_buf_fini(&bytes);
    peal_buf_fini(&again);
    peal_sio_redis_reader_fini(&r);
}

static peal_sio_redis_read_fn *
classic_reader(const struct peal_sio_redis_msg *m)
{
    if (m->op == PEAL_SIO_REDIS_BROADCAST && m->request_id.len == 0)
        return peal_sio_redis_read_broadcast;
    return m->op < PEAL_SIO_REDIS_SOCKETS ? peal_sio_redis_read_request
                                          : peal_sio_redis_read_response;
}

static void
message(peal_sio_redis_read_fn *read, struct peal_slice bytes)
{
    static struct peal_sio_redis_reader r;
    struct peal_sio_redis_msg m;

    if (read(bytes, &r, &m) == PEAL_OK) {
        check_sound(&m);
        write_again(&m, peal_sio_redis_write, classic_reader(&m));
        write_again(&m, peal_sio_redis_write_sharded, peal_sio_redis_read_sharded);
    }
    peal_sio_redis_reader_fini(&r);
}

static void
channel(struct peal_slice name)
{
    struct peal_slice key = PEAL_S("k"), nsp, tail;
    enum peal_sio_redis_channel c;
    struct peal_buf b = { 0 };

    if (!peal_sio_redis_split(name, key, &c, &nsp, &tail))
        return;
    check(peal_sio_redis_channel(&b, c, key, nsp, tail) == PEAL_OK);
    check(peal_slice_eq(peal_buf_slice(&b), name));
    peal_buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static peal_sio_redis_read_fn *const readers[] = { peal_sio_redis_read_broadcast,
        peal_sio_redis_read_request, peal_sio_redis_read_response,
        peal_sio_redis_read_sharded };
    struct peal_slice bytes;

    if (size == 0)
        return 0;
    bytes = peal_slice_of(data + 1, size - 1);
    peal_sio_redis_uid(bytes);
    channel(bytes);
    message(readers[data[0] % 4], bytes);
    return 0;
}

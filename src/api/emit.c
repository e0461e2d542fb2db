/* SPDX-License-Identifier: MIT */
/*
 * POST /api/emit: an event for Socket.IO clients, as io.of(namespace).to(rooms)
 * .except(rooms).emit(event, ...args) would send it.
 *
 *   {"namespace":"/chat","rooms":["red"],"event":"say","args":[1,{"a":2}]}
 *
 * Without rooms it is for everybody in the namespace. An empty list of rooms is refused:
 * a program that found no room to write to hardly means everybody.
 *
 * With "ack":true each client is to acknowledge it, see ack_request.c.
 */
#include "api/api_priv.h"
#include "base/json.h"
#include "wire/sio.h"

enum {
    NAMESPACE,
    ROOMS,
    EXCEPT,
    EVENT,
    ARGS,
    VOLATILE,
    ACK,
    TIMEOUT,
    N_FIELDS
};

#define ACK_TIMEOUT_MS 5000 /* if the request says nothing else */
#define ACK_TIMEOUT_MAX_MS 60000

struct emit {
    struct peal_buf nsp;
    struct peal_names rooms, except;
    struct peal_msg_spec spec;
    uint64_t timeout_ms; /* of acknowledgements */
};

static bool
invalid(struct peal_http *h, struct peal_api *api, const char *why)
{
    peal_api_error(h, api, 400, "invalid_field", "%s", why);
    return false;
}

static bool
read_namespace(
    struct peal_http *h, struct peal_api *api, struct peal_slice token, struct emit *e)
{
    struct peal_slice nsp;

    if (token.data == NULL)
        token = PEAL_S("\"/\"");
    if (token.data[0] != '"')
        return invalid(h, api, "namespace: expected a string");
    if (peal_json_unquote(&e->nsp, token) != PEAL_OK) {
        peal_api_memory(h, api);
        return false;
    }
    nsp = peal_buf_slice(&e->nsp);
    if (!peal_slice_starts(nsp, PEAL_S("/")) || memchr(nsp.data, '#', nsp.len) != NULL)
        return invalid(h, api, "namespace: begins with / and has no #");
    if (nsp.len > PEAL_SIO_NSP_MAX)
        return invalid(h, api, "namespace: longer than 256 bytes");
    e->spec.nsp = nsp;
    return true;
}

/* The text from the first argument to the last, as it is. */
static bool
read_args(
    struct peal_http *h, struct peal_api *api, struct peal_slice value, struct emit *e)
{
    struct peal_slice rest, arg, args = PEAL_S("");

    if (value.data == NULL)
        return true;
    if (value.data[0] != '[')
        return invalid(h, api, "args: expected an array");
    rest = peal_slice_of(value.data + 1, value.len - 2);
    while (peal_json_next(&rest, &arg)) {
        if (e->spec.n_args++ == 0)
            args = arg;
        args.len = (size_t)(arg.data + arg.len - args.data);
    }
    e->spec.args = args;
    return true;
}

static bool
is_empty_array(struct peal_slice value)
{
    return value.data[0] == '[' &&
           peal_json_blank(peal_slice_of(value.data + 1, value.len - 2));
}

static bool
read_rooms(struct peal_http *h, struct peal_api *api, const struct peal_json_field *rooms,
    const struct peal_json_field *except, struct emit *e)
{
    if (rooms->value.data != NULL && is_empty_array(rooms->value))
        return invalid(h, api, "rooms: empty; leave it out to reach everybody");
    if (rooms->value.data != NULL &&
        !peal_api_read_names(h, api, rooms, e->spec.nsp, &e->rooms))
        return false;
    return except->value.data == NULL || is_empty_array(except->value) ||
           peal_api_read_names(h, api, except, e->spec.nsp, &e->except);
}

static bool
read_ack(struct peal_http *h, struct peal_api *api, const struct peal_json_field *ack,
    const struct peal_json_field *timeout, struct emit *e)
{
    bool wanted;

    if (!peal_api_read_flag(h, api, ack, &wanted))
        return false;
    e->timeout_ms = ACK_TIMEOUT_MS;
    if (timeout->value.data != NULL && !wanted)
        return invalid(h, api, "timeout_ms: only with ack");
    if (timeout->value.data != NULL &&
        (peal_slice_u64(timeout->value, ACK_TIMEOUT_MAX_MS, &e->timeout_ms) != PEAL_OK ||
            e->timeout_ms == 0))
        return invalid(h, api, "timeout_ms: expected a whole number from 1 to 60000");
    e->spec.flags |= wanted ? PEAL_MSG_NEEDS_ACK : 0;
    return true;
}

static bool
read_emit(struct peal_http *h, struct peal_api *api, const struct peal_json_field *f,
    struct emit *e)
{
    bool may_drop;

    if (f[EVENT].value.data == NULL)
        return invalid(h, api, "event: required");
    if (!peal_api_check_event(h, api, &f[EVENT]) ||
        !read_namespace(h, api, f[NAMESPACE].value, e) ||
        !read_args(h, api, f[ARGS].value, e) ||
        !peal_api_read_flag(h, api, &f[VOLATILE], &may_drop) ||
        !read_ack(h, api, &f[ACK], &f[TIMEOUT], e) ||
        !read_rooms(h, api, &f[ROOMS], &f[EXCEPT], e))
        return false;
    e->spec.event = f[EVENT].value;
    e->spec.kind = PEAL_DATA_JSON;
    e->spec.flags |= may_drop ? PEAL_MSG_VOLATILE : 0;
    e->spec.channels = e->rooms.n > 0 ? e->rooms.v : &e->spec.nsp;
    e->spec.n_channels = e->rooms.n > 0 ? e->rooms.n : 1;
    e->spec.except = e->except.v;
    e->spec.n_except = e->except.n;
    return true;
}

void
peal_api_emit(struct peal_http *h, void *ctx)
{
    struct peal_json_field f[N_FIELDS] = {
        [NAMESPACE] = { .name = "namespace" },
        [ROOMS] = { .name = "rooms" },
        [EXCEPT] = { .name = "except" },
        [EVENT] = { .name = "event" },
        [ARGS] = { .name = "args" },
        [VOLATILE] = { .name = "volatile" },
        [ACK] = { .name = "ack" },
        [TIMEOUT] = { .name = "timeout_ms" },
    };
    struct emit e = { .spec.n_args = 0 };
    struct peal_api *api = ctx;

    if ((h->user != api && !peal_api_enter(h, api)) ||
        !peal_api_read(h, api, f, N_FIELDS))
        return;
    if (read_emit(h, api, f, &e)) {
        if ((e.spec.flags & PEAL_MSG_NEEDS_ACK) != 0)
            peal_api_ask(h, api, &e.spec, e.timeout_ms);
        else
            peal_api_send(h, api, &e.spec);
    }
    peal_names_fini(&e.rooms);
    peal_names_fini(&e.except);
    peal_buf_fini(&e.nsp);
}

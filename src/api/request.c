/* SPDX-License-Identifier: MIT */
/*
 * Requests and answers of the HTTP API. A body is checked as JSON once and cut into its
 * fields; names are decoded, payloads stay the bytes they are. Whatever is wrong is said
 * with the field's name.
 */
#include "api/api_priv.h"

#include <stdlib.h>

#include "base/json.h"
#include "wire/sio.h"

#define SHOWN_MAX 100 /* bytes of a foreign name in a message */

static peal_err
put_error(struct peal_buf *out, const char *code, struct peal_slice message)
{
    peal_err err = peal_buf_printf(out, "{\"error\":{\"code\":\"%s\",\"message\":", code);

    if (err == PEAL_OK)
        err = peal_json_quote(out, message);
    return err == PEAL_OK ? peal_buf_add(out, "}}\n", 3) : err;
}

void
peal_api_error(struct peal_http *h, struct peal_api *api, unsigned status,
    const char *code, const char *fmt, ...)
{
    bool stranger = status == 401 || status == 403;
    struct peal_buf message = { 0 }, body = { 0 };
    struct peal_slice text = PEAL_S("{\"error\":{\"code\":\"out_of_memory\"}}\n");
    va_list ap;
    peal_err err;

    va_start(ap, fmt);
    err = peal_buf_vprintf(&message, fmt, ap);
    va_end(ap);
    if (err == PEAL_OK && put_error(&body, code, peal_buf_slice(&message)) == PEAL_OK)
        text = peal_buf_slice(&body);
    peal_stat_add(peal_shard_stats(api->shard),
        stranger ? PEAL_STAT_API_UNAUTHORIZED : PEAL_STAT_API_ERRORS, 1);
    peal_http_reply(h, status, "application/json", text);
    peal_buf_fini(&message);
    peal_buf_fini(&body);
}

void
peal_api_memory(struct peal_http *h, struct peal_api *api)
{
    peal_http_add(h, "Retry-After", "1");
    peal_api_error(h, api, 503, "out_of_memory", "out of memory; nothing was sent");
}

static void
bad_field(struct peal_http *h, struct peal_api *api, const struct peal_api_field *f,
    const char *why)
{
    peal_api_error(h, api, 400, "invalid_field", "%s: %s", f->name, why);
}

/* Takes one field; false: it is wrong, and answered. */
static bool
take_field(struct peal_http *h, struct peal_api *api, struct peal_api_field *fields,
    unsigned n, struct peal_slice key, struct peal_slice value)
{
    for (unsigned i = 0; i < n; i++) {
        if (!peal_json_string_is(key, peal_slice_str(fields[i].name)))
            continue;
        if (fields[i].value.data != NULL) {
            bad_field(h, api, &fields[i], "stands here twice");
            return false;
        }
        fields[i].value = value;
        return true;
    }
    if (key.len > SHOWN_MAX)
        peal_api_error(h, api, 400, "unknown_field", "a field with a long name");
    else
        peal_api_error(
            h, api, 400, "unknown_field", "unknown field %.*s", (int)key.len, key.data);
    return false;
}

bool
peal_api_read(
    struct peal_http *h, struct peal_api *api, struct peal_api_field *fields, unsigned n)
{
    struct peal_slice object, rest, key, value;
    size_t used = 0;
    peal_err err = peal_json_skip(h->body, &object, &used);

    if (err != PEAL_OK || !peal_json_blank(peal_slice_skip(h->body, used))) {
        peal_api_error(h, api, 400, "invalid_json", "%s",
            err == PEAL_ELIMIT ? "the body is nested too deeply"
                               : "the body is not valid JSON");
        return false;
    }
    if (object.data[0] != '{') {
        peal_api_error(h, api, 400, "invalid_json", "the body is not a JSON object");
        return false;
    }
    rest = peal_slice_of(object.data + 1, object.len - 2);
    while (peal_json_field(&rest, &key, &value))
        if (!take_field(h, api, fields, n, key, value))
            return false;
    return true;
}

/* Names. */

/* What is wrong with one; NULL: nothing. Appends its channel to out->text, where there is
 * room for it. */
static const char *
take_name(struct peal_slice token, struct peal_slice nsp, struct peal_api_names *out)
{
    struct peal_slice plain = { token.data + 1, token.len - 2 };
    struct peal_buf name = { 0 };
    size_t at = out->text.len;
    peal_err err = PEAL_OK;

    if (token.data[0] != '"')
        return "expected a string, or an array of strings";
    if (memchr(token.data, '\\', token.len) != NULL) {
        if ((err = peal_json_unquote(&name, token)) == PEAL_OK)
            plain = peal_buf_slice(&name);
    }
    if (err == PEAL_OK)
        err = nsp.data != NULL ? peal_room_channel(nsp, plain, &out->text)
                               : peal_buf_add_slice(&out->text, plain);
    peal_buf_fini(&name);
    if (err != PEAL_OK)
        return "";
    out->v[out->n] = peal_slice_of(out->text.data + at, out->text.len - at);
    if (out->v[out->n].len > PEAL_CHANNEL_NAME_MAX)
        return "a name is longer than 1024 bytes";
    if (nsp.data == NULL && out->v[out->n].len == 0)
        return "a channel's name is empty";
    if (nsp.data == NULL && out->v[out->n].data[0] == '/')
        return "names that begin with / are namespaces; use /api/emit";
    out->n++;
    return NULL;
}

/* The values of an array, or the one value. */
static struct peal_slice
values_of(struct peal_slice value)
{
    return value.data[0] == '[' ? peal_slice_of(value.data + 1, value.len - 2) : value;
}

bool
peal_api_read_names(struct peal_http *h, struct peal_api *api,
    const struct peal_api_field *field, struct peal_slice nsp, struct peal_api_names *out)
{
    struct peal_slice rest = values_of(field->value), value;
    unsigned n = peal_json_count(rest);
    const char *why = NULL;

    if (n == 0)
        why = "must not be empty";
    else if (n > PEAL_CHANNELS_MAX)
        why = "more than 1000 names";
    /* No text is longer than its token, so what has been put stays where it is. */
    else if ((out->v = calloc(n, sizeof(*out->v))) == NULL ||
             peal_buf_reserve(&out->text, rest.len + n * (nsp.len + 1)) != PEAL_OK)
        why = "";
    while (why == NULL && peal_json_next(&rest, &value))
        why = take_name(value, nsp, out);
    if (why == NULL)
        return true;
    if (why[0] == '\0')
        peal_api_memory(h, api);
    else
        bad_field(h, api, field, why);
    return false;
}

void
peal_api_names_fini(struct peal_api_names *names)
{
    free(names->v);
    peal_buf_fini(&names->text);
    *names = (struct peal_api_names){ 0 };
}

bool
peal_api_check_event(
    struct peal_http *h, struct peal_api *api, const struct peal_api_field *field)
{
    struct peal_slice token = field->value;

    if (token.data[0] != '"' || token.len == 2)
        bad_field(h, api, field, "expected a string that is not empty");
    else if (peal_sio_event_reserved(token))
        bad_field(h, api, field, "a reserved name that only Socket.IO itself may emit");
    else
        return true;
    return false;
}

bool
peal_api_read_flag(struct peal_http *h, struct peal_api *api,
    const struct peal_api_field *field, bool *out)
{
    *out = peal_slice_eq(field->value, PEAL_S("true"));
    if (*out || field->value.data == NULL || peal_slice_eq(field->value, PEAL_S("false")))
        return true;
    bad_field(h, api, field, "expected true or false");
    return false;
}

void
peal_api_send(struct peal_http *h, struct peal_api *api, const struct peal_msg_spec *spec)
{
    struct peal_msg *m;
    peal_err err;

    if (peal_msg_new(spec, &m) != PEAL_OK) {
        peal_api_memory(h, api);
        return;
    }
    err = peal_publish(api->shard, m);
    peal_msg_release(m);
    if (err != PEAL_OK) {
        peal_api_error(h, api, 503, "backplane_unavailable",
            "only clients of this node have it: the backplane takes nothing now");
        return;
    }
    peal_stat_add(peal_shard_stats(api->shard), PEAL_STAT_API_REQUESTS, 1);
    peal_http_reply(h, 200, "application/json", PEAL_S("{}\n"));
}

unsigned
peal_api_routes(struct peal_api *api, struct peal_http_route out[PEAL_API_ROUTES_MAX])
{
    const struct peal_http_route routes[] = {
        { .path = PEAL_S("/api/publish"),
            .body_max = api->body_max,
            .begin = peal_api_begin,
            .handle = peal_api_publish,
            .ctx = api },
        { .path = PEAL_S("/api/emit"),
            .body_max = api->body_max,
            .begin = peal_api_begin,
            .handle = peal_api_emit,
            .ctx = api },
        { .path = PEAL_S("/api/nodes"), .handle = peal_api_nodes, .ctx = api },
        { .path = PEAL_S("/api/"),
            .prefix = true,
            .begin = peal_api_not_found,
            .handle = peal_api_not_found,
            .ctx = api },
    };

    memcpy(out, routes, sizeof(routes));
    return sizeof(routes) / sizeof(routes[0]);
}

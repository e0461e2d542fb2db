/* SPDX-License-Identifier: MIT */
/*
 * Requests and answers of the HTTP API. A body is checked as JSON once and cut into its
 * fields; names are decoded, payloads stay the bytes they are. An error names the field
 * that is wrong.
 */
#include "api/api_priv.h"

#include <stdlib.h>

#include "base/writer.h"
#include "hub/publish.h"
#include "wire/sio.h"

#define SHOWN_MAX 100 /* bytes of a foreign name in a message */

static peal_err
write_error(struct peal_buf *out, const char *code, struct peal_slice message)
{
    struct peal_writer w = peal_writer_on(out);

    peal_writer_printf(&w, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    peal_writer_json_str(&w, message);
    peal_writer_puts(&w, "}}\n");
    return peal_writer_end(&w);
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
    if (err == PEAL_OK && write_error(&body, code, peal_buf_slice(&message)) == PEAL_OK)
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
bad_field(struct peal_http *h, struct peal_api *api, const struct peal_json_field *f,
    const char *why)
{
    peal_api_error(h, api, 400, "invalid_field", "%s: %s", f->name, why);
}

/* Answers that a key of the request, a raw token, is not known. */
static void
unknown_field(struct peal_http *h, struct peal_api *api, struct peal_slice key)
{
    if (key.len > SHOWN_MAX)
        peal_api_error(h, api, 400, "unknown_field", "a field with a long name");
    else
        peal_api_error(h, api, 400, "unknown_field", "unknown field %.*s", PEAL_ARG(key));
}

static const struct peal_json_field *
field_of(const struct peal_json_field *fields, unsigned n, struct peal_slice key)
{
    unsigned i = 0;

    while (i + 1 < n && !peal_json_string_is(key, peal_slice_str(fields[i].name)))
        i++;
    return &fields[i];
}

bool
peal_api_read(
    struct peal_http *h, struct peal_api *api, struct peal_json_field *fields, unsigned n)
{
    struct peal_slice object, key;
    size_t used = 0;
    peal_err err = peal_json_skip(h->body, &object, &used);

    if (err != PEAL_OK || !peal_json_blank(peal_slice_skip(h->body, used))) {
        peal_api_error(h, api, 400, "invalid_json", "%s",
            err == PEAL_ELIMIT ? "the body is nested too deeply"
                               : "the body is not valid JSON");
        return false;
    }
    err = peal_json_fields(object, PEAL_JSON_REFUSE_OTHERS, fields, n, &key);
    if (err == PEAL_EPROTO)
        peal_api_error(h, api, 400, "invalid_json", "the body is not a JSON object");
    else if (err == PEAL_ENOTFOUND)
        unknown_field(h, api, key);
    else if (err == PEAL_EEXIST)
        bad_field(h, api, field_of(fields, n, key), "duplicate field");
    return err == PEAL_OK;
}

/* Names. */

static const char out_of_memory[] = "";

/* Adds the channel of one name to out. Returns NULL, or what is wrong with the name. */
static const char *
take_name(struct peal_slice token, struct peal_slice nsp, struct peal_names *out)
{
    struct peal_slice plain = { token.data + 1, token.len - 2 };
    struct peal_buf name = { 0 };
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
        return out_of_memory;
    plain = peal_names_add(out);
    if (plain.len > PEAL_CHANNEL_NAME_MAX)
        return "a name is longer than 1024 bytes";
    if (nsp.data == NULL && plain.len == 0)
        return "a channel's name is empty";
    if (nsp.data == NULL && plain.data[0] == '/')
        return "names that begin with / are namespaces; use /api/emit";
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
    const struct peal_json_field *field, struct peal_slice nsp, struct peal_names *out)
{
    struct peal_slice rest = values_of(field->value), value;
    unsigned n = peal_json_count(rest);
    const char *why = NULL;

    if (n == 0)
        why = "must not be empty";
    else if (n > PEAL_CHANNELS_MAX)
        why = "more than 1000 names";
    else if (peal_names_begin(out, n) != PEAL_OK ||
             peal_buf_reserve(&out->text, rest.len + n * (nsp.len + 1)) != PEAL_OK)
        why = out_of_memory;
    while (why == NULL && peal_json_next(&rest, &value))
        why = take_name(value, nsp, out);
    if (why == NULL) {
        peal_names_end(out);
        return true;
    }
    if (why == out_of_memory)
        peal_api_memory(h, api);
    else
        bad_field(h, api, field, why);
    return false;
}

bool
peal_api_check_event(
    struct peal_http *h, struct peal_api *api, const struct peal_json_field *field)
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
    const struct peal_json_field *field, bool *out)
{
    *out = peal_slice_eq(field->value, PEAL_S("true"));
    if (*out || field->value.data == NULL || peal_slice_eq(field->value, PEAL_S("false")))
        return true;
    bad_field(h, api, field, "expected true or false");
    return false;
}

/* Answers when the message has been accepted: so a back end cannot publish faster than
 * it is delivered. */

static void
send_answer(struct peal_http *h, struct peal_api *api, peal_err err)
{
    if (err != PEAL_OK) {
        peal_api_error(h, api, 503, "backplane_unavailable",
            "only clients of this node have it: the backplane takes nothing now");
        return;
    }
    peal_stat_add(peal_shard_stats(api->shard), PEAL_STAT_API_REQUESTS, 1);
    peal_http_reply(h, 200, "application/json", PEAL_S("{}\n"));
}

/* A message that has not been accepted yet. */
struct send {
    struct peal_api *api;
    struct peal_publish *publish;
};

static void
send_on_published(void *http, peal_err err)
{
    struct peal_http *h = http;
    struct send s = *(struct send *)h->user;

    free(h->user);
    h->gone = NULL;
    send_answer(h, s.api, err);
}

static void
send_on_gone(struct peal_http *h)
{
    struct send *s = h->user;

    peal_publish_cancel(s->publish);
    free(s);
}

/* false: without memory nobody waits. */
static bool
send_wait(struct peal_http *h, struct peal_api *api, struct peal_publish *publish)
{
    struct send *s = malloc(sizeof(*s));

    if (s == NULL) {
        peal_publish_cancel(publish);
        return false;
    }
    *s = (struct send){ api, publish };
    h->user = s;
    h->gone = send_on_gone;
    return true;
}

void
peal_api_send(struct peal_http *h, struct peal_api *api, const struct peal_msg_spec *spec)
{
    struct peal_publish *publish;
    struct peal_msg *m;
    peal_err err;

    if (peal_msg_new(spec, &m) != PEAL_OK) {
        peal_api_memory(h, api);
        return;
    }
    err = peal_publish_then(api->shard, m, send_on_published, h, &publish);
    peal_msg_release(m);
    if (publish == NULL || !send_wait(h, api, publish))
        send_answer(h, api, err);
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

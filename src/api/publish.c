/* SPDX-License-Identifier: MIT */
/*
 * POST /api/publish: a message on channels, for clients of any protocol.
 *
 *   {"channel":"orders","event":"created","data":{"id":7}}
 */
#include "api/api_priv.h"

enum {
    CHANNEL,
    CHANNELS,
    EVENT,
    DATA,
    VOLATILE,
    N_FIELDS
};

static void
publish(struct peal_http *h, struct peal_api *api, const struct peal_json_field *f,
    const struct peal_names *channels)
{
    struct peal_slice data = f[DATA].value.data != NULL ? f[DATA].value : PEAL_S("null");
    struct peal_msg_spec spec = { .channels = channels->v,
        .n_channels = channels->n,
        .kind = PEAL_DATA_JSON,
        .event = f[EVENT].value,
        .args = data,
        .n_args = 1 };
    bool may_drop;

    if (f[EVENT].value.data != NULL && !peal_api_check_event(h, api, &f[EVENT]))
        return;
    if (!peal_api_read_flag(h, api, &f[VOLATILE], &may_drop))
        return;
    spec.flags = may_drop ? PEAL_MSG_VOLATILE : 0;
    peal_api_send(h, api, &spec);
}

void
peal_api_publish(struct peal_http *h, void *ctx)
{
    struct peal_json_field f[N_FIELDS] = {
        [CHANNEL] = { .name = "channel" },
        [CHANNELS] = { .name = "channels" },
        [EVENT] = { .name = "event" },
        [DATA] = { .name = "data" },
        [VOLATILE] = { .name = "volatile" },
    };
    struct peal_names channels = { 0 };
    const struct peal_slice none = { NULL, 0 };
    struct peal_api *api = ctx;
    bool one, many;

    if ((h->user != api && !peal_api_enter(h, api)) ||
        !peal_api_read(h, api, f, N_FIELDS))
        return;
    one = f[CHANNEL].value.data != NULL;
    many = f[CHANNELS].value.data != NULL;
    if (one == many)
        peal_api_error(h, api, 400, "invalid_field", "channel: %s",
            one ? "channel and channels exclude each other" : "required");
    else if (one && f[CHANNEL].value.data[0] != '"')
        peal_api_error(h, api, 400, "invalid_field",
            "channel: expected a string; channels takes an array");
    else if (peal_api_read_names(
                 h, api, one ? &f[CHANNEL] : &f[CHANNELS], none, &channels))
        publish(h, api, f, &channels);
    peal_names_fini(&channels);
}

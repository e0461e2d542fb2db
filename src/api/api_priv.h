/* SPDX-License-Identifier: MIT */
/* The files of api/ share this: access, the fields of a request, and its answers. */
#ifndef PEAL_API_API_PRIV_H
#define PEAL_API_API_PRIV_H

#include "api/api.h"
#include "base/json.h"
#include "base/names.h"
#include "hub/publisher.h"

/* peal_api_error answers {"error":{"code":...,"message":...}} and counts. fmt gives UTF-8
 * text. */
void peal_api_error(struct peal_http *h, struct peal_api *api, unsigned status,
    const char *code, const char *fmt, ...) PEAL_PRINTF(5, 6);

/* peal_api_memory answers 503. */
void peal_api_memory(struct peal_http *h, struct peal_api *api);

/* peal_api_method answers 405 unless the method is in allow, a list as the field Allow
 * has it. true: it is. */
bool peal_api_method(struct peal_http *h, const char *allow);

/* These read the request of h. They return false after they have answered what is wrong
 * with it. */

/* peal_api_enter checks whether this client may ask, and in this form. Called once, by
 * begin or the handler. */
bool peal_api_enter(struct peal_http *h, struct peal_api *api);

/* peal_api_enter_get: the same for what is only looked at. */
bool peal_api_enter_get(struct peal_http *h, struct peal_api *api);

/* peal_api_read cuts the body's object into the n fields; others are an error. */
bool peal_api_read(struct peal_http *h, struct peal_api *api,
    struct peal_json_field *fields, unsigned n);

/*
 * peal_api_read_names reads a string, or an array of them, 1 to PEAL_CHANNELS_MAX.
 *   nsp  data NULL: channels, which must not be empty; else rooms of this namespace, out
 *        has their channels
 *   out  release with peal_names_fini, also on false
 */
bool peal_api_read_names(struct peal_http *h, struct peal_api *api,
    const struct peal_json_field *field, struct peal_slice nsp, struct peal_names *out);

/* peal_api_check_event: a string that is not empty and not a reserved name. */
bool peal_api_check_event(
    struct peal_http *h, struct peal_api *api, const struct peal_json_field *field);

/* peal_api_read_flag: true or false; absent is false. */
bool peal_api_read_flag(struct peal_http *h, struct peal_api *api,
    const struct peal_json_field *field, bool *out);

/* peal_api_send publishes what spec says and answers. */
void peal_api_send(
    struct peal_http *h, struct peal_api *api, const struct peal_msg_spec *spec);

/* peal_api_ask does the same, and answers when its clients have, or at the timeout. spec
 * has PEAL_MSG_NEEDS_ACK. */
void peal_api_ask(struct peal_http *h, struct peal_api *api,
    const struct peal_msg_spec *spec, uint64_t timeout_ms);

/* peal_api_unready is why clients should not be sent here, or NULL. */
const char *peal_api_unready(const struct peal_api_node *node);

/* peal_api_process_text appends the process_ metrics that this system has; process.c.
 *   connections  open now: listing many file descriptors would take too long
 * Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_api_process_text(
    int64_t connections, int64_t started_s, struct peal_buf *out);

#endif

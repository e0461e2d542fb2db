/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 request heads (RFC 9110, RFC 9112), read strictly: whatever two parsers could
 * understand differently is refused, so nothing can be smuggled past a proxy in front.
 *
 * Pure: bytes in, slices of them out; nothing is allocated. Any thread.
 */
#ifndef PEAL_WIRE_HTTP_HEAD_H
#define PEAL_WIRE_HTTP_HEAD_H

#include "base/slice.h"

/* The room of a head, 4 KiB: 128 of a client, and the one that a node adds. */
#define PEAL_HTTP_HEADERS_MAX 129
#define PEAL_HTTP_DATE_LEN 29

struct peal_httphead_limits {
    size_t line_max;      /* bytes of the request line without CRLF; 414 beyond */
    size_t head_max;      /* bytes of the whole head; 431 beyond */
    unsigned headers_max; /* fields, at most PEAL_HTTP_HEADERS_MAX; 431 beyond */
};

/* 8 KiB, 16 KiB, 64. */
extern const struct peal_httphead_limits peal_httphead_limits_default;

struct peal_httphead_field {
    struct peal_slice name;  /* as sent: compare with peal_slice_ieq */
    struct peal_slice value; /* without white space at its ends; may hold obs-text */
};

struct peal_httphead {
    struct peal_slice method;
    struct peal_slice target; /* as sent */
    struct peal_slice path;   /* raw, from '/' to '?'; "*" for OPTIONS of the server */
    struct peal_slice query;  /* raw, after '?'; data NULL: there was no '?' */
    struct peal_slice host; /* of an absolute target, else of Host; may be empty in 1.0 */
    unsigned minor;         /* of the version: 0 or 1 */

    int64_t content_length; /* -1: none announced */
    bool chunked;           /* the body is read with peal_chunked_decode */
    bool keep_alive;        /* version and Connection together */
    /* Connection: upgrade and Upgrade: websocket, 1.1 and no body. The method and the
     * Sec-WebSocket headers are the caller's to check. */
    bool upgrade_websocket;
    bool content_coded;   /* Content-Encoding says something else than identity */
    bool expect_continue; /* a body follows only after 100, or after a wait */

    unsigned status; /* on an error: 400, 405, 413, 414, 417, 431, 501 or 505 */
    const char *why; /* on an error: a static English text, for the body and the log */

    unsigned n_headers;
    struct peal_httphead_field headers[PEAL_HTTP_HEADERS_MAX];
};

/*
 * peal_httphead_parse reads a request head at the start of in.
 *   in    everything received for this request so far, from its first byte
 *   lim   borrowed; NULL: peal_httphead_limits_default
 *   scan  0 before the first call for a head; after PEAL_EAGAIN the bytes that need no
 *         second look, so a head that trickles in costs its length once. May be NULL.
 *   out   borrows from in: good while those bytes stay where they are
 *   used_out  bytes of the head, the blank line included; what follows is body, or the
 *         next request. Set only on PEAL_OK.
 * Errors: PEAL_EAGAIN: incomplete. PEAL_EPROTO, PEAL_ELIMIT: refused; answer out->status
 * and close, since where the next request starts is not known.
 */
PEAL_MUST_USE peal_err peal_httphead_parse(struct peal_slice in,
    const struct peal_httphead_limits *lim, size_t *scan, struct peal_httphead *out,
    size_t *used_out);

/* peal_httphead_get is the first value of a field, name in any case; data NULL: absent.
 */
struct peal_slice peal_httphead_get(
    const struct peal_httphead *head, struct peal_slice name);

/*
 * peal_httphead_next walks the values of a repeated field. *i starts at 0.
 * false: no more.
 */
bool peal_httphead_next(const struct peal_httphead *head, struct peal_slice name,
    unsigned *i, struct peal_slice *value_out);

/* peal_httphead_list_next takes one non-empty element, trimmed, off a comma list. Commas
 * inside quoted strings do not separate. false: no more. */
bool peal_httphead_list_next(struct peal_slice *rest, struct peal_slice *item_out);

/* peal_httphead_has_token says whether a comma list holds token, in any case. */
bool peal_httphead_has_token(struct peal_slice list, struct peal_slice token);

/* peal_httphead_is_token says whether s is a token of RFC 9110 section 5.6.2. */
bool peal_httphead_is_token(struct peal_slice s);

/* peal_httphead_reason is the reason phrase of a status, "Unknown" for strange ones. */
const char *peal_httphead_reason(unsigned status);

/* peal_httphead_date writes an IMF-fixdate (RFC 9110 section 5.6.7) and a zero.
 *   unix_s  seconds since 1970; the years 1970 to 9999 */
void peal_httphead_date(int64_t unix_s, char out[PEAL_HTTP_DATE_LEN + 1]);

#endif

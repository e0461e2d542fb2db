/* SPDX-License-Identifier: MIT */
/*
 * Query strings and percent escapes (RFC 3986; '+' as in forms). Pure. Any thread.
 */
#ifndef PEAL_WIRE_QUERY_H
#define PEAL_WIRE_QUERY_H

#include "base/buf.h"

/*
 * peal_query_next takes one pair off *rest, which starts as the text after '?'.
 * Empty pairs are skipped; a pair without '=' has an empty value. false: no more.
 */
bool peal_query_next(
    struct peal_slice *rest, struct peal_slice *key_raw, struct peal_slice *value_raw);

/*
 * peal_percent_decode appends the bytes that in stands for.
 * Errors: PEAL_EPROTO: a bad escape, or a zero byte; PEAL_ENOMEM. On an error out holds
 * what it held before.
 */
PEAL_MUST_USE peal_err peal_percent_decode(
    struct peal_slice in, bool plus_is_space, struct peal_buf *out);

/*
 * peal_query_get appends the decoded value of key; on repeats the last one wins.
 *   key  plain, compared with the decoded keys; a key with a bad escape equals nothing
 *   found_out  false, and nothing appended, when absent
 * Errors: as peal_percent_decode.
 */
PEAL_MUST_USE peal_err peal_query_get(struct peal_slice query, struct peal_slice key,
    struct peal_buf *value_out, bool *found_out);

/*
 * peal_query_raw is the raw value of key, escapes and all, for values that need none
 * (numbers, ids). The same pair wins as in peal_query_get. data NULL: absent.
 */
struct peal_slice peal_query_raw(struct peal_slice query, struct peal_slice key);

/* peal_percent_encode appends in with everything but RFC 3986's unreserved characters
 * escaped. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_percent_encode(struct peal_slice in, struct peal_buf *out);

#endif

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

enum peal_plus {
    PEAL_PLUS_IS_PLUS, /* in a path */
    PEAL_PLUS_IS_SPACE /* in a query */
};

/*
 * peal_percent_decode appends the bytes that in stands for.
 * Errors: PEAL_EPROTO: a bad escape, or a zero byte; PEAL_ENOMEM. On an error out holds
 * what it held before.
 */
PEAL_MUST_USE peal_err peal_percent_decode(
    struct peal_slice in, enum peal_plus plus, struct peal_buf *out);

/*
 * peal_query_raw is the raw value of key, escapes and all; of equal keys the last counts.
 *   key  plain, compared with the decoded keys; a key with a bad escape equals nothing
 * data NULL: absent.
 */
struct peal_slice peal_query_raw(struct peal_slice query, struct peal_slice key);

#endif

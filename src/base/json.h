/* SPDX-License-Identifier: MIT */
/*
 * JSON as raw slices: check it, cut it into values, never rebuild it, so that a payload
 * passes through byte for byte. Text is written by base/writer.h.
 *
 * Grammar: RFC 8259, UTF-8, nothing after the value but white space. Depth is bounded by
 * PEAL_JSON_DEPTH_MAX. All functions are pure; any thread.
 */
#ifndef PEAL_BASE_JSON_H
#define PEAL_BASE_JSON_H

#include "base/buf.h"

#define PEAL_JSON_DEPTH_MAX 128

/*
 * peal_json_skip reads one value at the start of s (leading white space allowed).
 *   out  the value without white space around it
 *   used_out  bytes up to its end
 * Errors: PEAL_EPROTO: not JSON (also: not UTF-8). PEAL_ELIMIT: too deep.
 */
PEAL_MUST_USE peal_err peal_json_skip(
    struct peal_slice s, struct peal_slice *out, size_t *used_out);

/* peal_json_check is PEAL_OK if s is one value and nothing else but white space. */
PEAL_MUST_USE peal_err peal_json_check(struct peal_slice s);

/* peal_json_blank: there is nothing in s but white space. */
bool peal_json_blank(struct peal_slice s);

/*
 * peal_json_next walks an array. Start with *rest = the text between its brackets,
 * already checked; each call takes one value off. false: no more values.
 */
bool peal_json_next(struct peal_slice *rest, struct peal_slice *value_out);

/*
 * peal_json_field walks an object in the same way: *rest starts as the text between its
 * braces, already checked; key_out is the raw token with its quotes.
 */
bool peal_json_field(
    struct peal_slice *rest, struct peal_slice *key_out, struct peal_slice *value_out);

/* A field that is looked for; value is its raw token, data NULL: it is missing. */
struct peal_json_field {
    const char *name;
    struct peal_slice value;
};

enum peal_json_others {
    PEAL_JSON_SKIP_OTHERS,  /* unknown fields are passed over; of equal ones the last
                               counts */
    PEAL_JSON_REFUSE_OTHERS /* unknown fields, and equal ones, are errors */
};

/*
 * peal_json_fields fills in the values of n fields from the checked text of an object,
 * with its braces.
 *   key_out  the key that is wrong, a raw token; only for the last two errors
 * Errors: PEAL_EPROTO: not an object; PEAL_ENOTFOUND: an unknown field; PEAL_EEXIST: a
 * field that stands there twice.
 */
PEAL_MUST_USE peal_err peal_json_fields(struct peal_slice object,
    enum peal_json_others others, struct peal_json_field *fields, unsigned n,
    struct peal_slice *key_out);

/* peal_json_count is the number of values in the checked text between brackets. */
unsigned peal_json_count(struct peal_slice inner);

/* peal_json_token is the size of the string, number or word that checked text starts
 * with; anything else counts as one byte. For those who walk a document in one pass. */
size_t peal_json_token(struct peal_slice s);

/* peal_json_quote appends s, UTF-8 text, as a string token with quotes: as JSON.stringify
 * does, non-ASCII stays raw. Errors: PEAL_ENOMEM. */
PEAL_MUST_USE peal_err peal_json_quote(struct peal_buf *b, struct peal_slice s);

/*
 * peal_json_unquote appends the text of a checked string token (with quotes). A lone
 * surrogate escape becomes U+FFFD. Of a token that was not checked the text is anything,
 * but never longer than the token. Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_json_unquote(struct peal_buf *b, struct peal_slice token);

/* peal_json_string_is compares the text of a checked string token with s, without a copy:
 * "\u0061" is a. Not a string: false. */
bool peal_json_string_is(struct peal_slice token, struct peal_slice s);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Base64 (RFC 4648). Decoding is strict, unlike OpenSSL's: no line breaks, no other
 * characters, no length that no encoder makes.
 *
 * Pure. Any thread.
 */
#ifndef PEAL_BASE_BASE64_H
#define PEAL_BASE_BASE64_H

#include "base/slice.h"

/* Bytes of the text of n bytes of data, and room enough for the data of a text. */
static inline size_t
peal_base64_len(size_t n)
{
    return (n + 2) / 3 * 4;
}
static inline size_t
peal_base64_data_max(size_t text_len)
{
    return text_len / 4 * 3 + 3;
}

/* peal_base64_encode writes peal_base64_len(n) characters with padding, no zero. */
void peal_base64_encode(const void *data, size_t n, char *out);

/* peal_base64_decode takes padded or unpadded text; out holds peal_base64_data_max(s.len)
 * bytes. Errors: PEAL_EPROTO: other characters, or a length that no encoder makes. */
PEAL_MUST_USE peal_err peal_base64_decode(
    struct peal_slice s, unsigned char *out, size_t *len_out);

/*
 * The alphabet for URLs (section 5), with - and _ instead of + and /, for data whose
 * length is a multiple of three, so that there is no padding: four characters for each
 * three bytes. peal_base64url_decode returns false for other characters or a length that
 * is no multiple of four.
 */
void peal_base64url_encode(const void *data, size_t n, char *out);
bool peal_base64url_decode(struct peal_slice s, unsigned char *out);

#endif

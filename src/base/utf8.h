/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 as RFC 3629 has it: no surrogates, nothing overlong, nothing above U+10FFFF. Text
 * may come in pieces, cut anywhere; a piece is refused at its first byte that nothing
 * could make right.
 *
 * Pure. Any thread.
 */
#ifndef PEAL_BASE_UTF8_H
#define PEAL_BASE_UTF8_H

#include "base/slice.h"

/* The state of a text after its pieces so far. All zero: between two characters. */
struct peal_utf8 {
    uint8_t need;   /* bytes that the character still lacks */
    uint8_t lo, hi; /* range of the next one */
};

/* peal_utf8_feed goes on with the next piece. false: this is not UTF-8. */
bool peal_utf8_feed(struct peal_utf8 *u, struct peal_slice piece);

/* peal_utf8_complete: the text has ended with a whole character. */
static inline bool
peal_utf8_complete(const struct peal_utf8 *u)
{
    return u->need == 0;
}

/* peal_utf8_valid says whether s is UTF-8, from its beginning to its end. */
bool peal_utf8_valid(struct peal_slice s);

/* peal_utf8_encode writes the code point c, 1 to 4 bytes, and returns how many. */
size_t peal_utf8_encode(unsigned c, char out[4]);

#endif

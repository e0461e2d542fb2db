/* SPDX-License-Identifier: MIT */
/*
 * "Did you mean": the fewest letters to insert, drop, change or swap, which may be up to
 * a third of the word (optimal string alignment).
 */
#include "base/suggest.h"

#define WORD_MAX 64 /* bytes; a longer word resembles nothing */

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* Letters to insert, drop, change or swap with their neighbour, to get from a to b. */
static unsigned
distance(struct peal_slice a, struct peal_slice b)
{
    unsigned row[3][WORD_MAX + 1];
    unsigned *two = row[0], *one = row[1], *cur = row[2], *spare;

    for (unsigned j = 0; j <= b.len; j++)
        one[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        cur[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            cur[j] = least(one[j] + 1, cur[j - 1] + 1,
                one[j - 1] + (a.data[i - 1] != b.data[j - 1]));
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
                a.data[i - 2] == b.data[j - 1] && two[j - 2] + 1 < cur[j])
                cur[j] = two[j - 2] + 1;
        }
        spare = two;
        two = one;
        one = cur;
        cur = spare;
    }
    return one[b.len];
}

const char *
peal_text_suggest(struct peal_slice word, const char *const *names)
{
    const char *best = NULL;
    unsigned best_d = (unsigned)(word.len / 3) + 1;

    if (word.len == 0 || word.len > WORD_MAX)
        return NULL;
    for (; *names != NULL; names++) {
        struct peal_slice name = peal_slice_str(*names);
        unsigned d;

        if (name.len > WORD_MAX)
            continue;
        d = distance(word, name);
        /* "ping_interval" for "ws.ping_interval": the right word in the wrong place. */
        if (name.len > word.len && name.data[name.len - word.len - 1] == '.' &&
            memcmp(name.data + name.len - word.len, word.data, word.len) == 0)
            d = 1;
        if (d < best_d || (d == best_d && best == NULL)) {
            best = *names;
            best_d = d;
        }
    }
    return best;
}

/* SPDX-License-Identifier: MIT */
/* Counters: the table of names. */
#include "base/stats.h"

const struct peal_stat_info peal_stat_table[PEAL_STAT_N] = {
#define C 'C'
#define G 'G'
#define ROW(id, type, family, labels, help) { type, family, labels, help },
    PEAL_STATS(ROW)
#undef ROW
};

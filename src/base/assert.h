/* SPDX-License-Identifier: MIT */
/*
 * Assertions: what a header promises in words, the code checks here, in every build.
 *
 * An assertion that fails is a bug of Peal's, never a peer's mistake: nothing may be
 * asserted of bytes from outside, of chance, or of what the system answers.
 *
 * Thread: any.
 */
#ifndef PEAL_BASE_ASSERT_H
#define PEAL_BASE_ASSERT_H

/* Writes "file:line: function: condition" to standard error and aborts. */
_Noreturn void peal_assert_failed(
    const char *file, int line, const char *function, const char *condition);

#define PEAL_ASSERT(condition)                                                           \
    ((condition) ? (void)0 : peal_assert_failed(__FILE__, __LINE__, __func__, #condition))

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Classes of ASCII characters, without a locale. Bytes beyond ASCII are in none of them,
 * whatever the sign of char is.
 *
 * Pure. Any thread.
 */
#ifndef PEAL_BASE_ASCII_H
#define PEAL_BASE_ASCII_H

#include <stdbool.h>

static inline bool
peal_ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool
peal_ascii_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
peal_ascii_is_alnum(char c)
{
    return peal_ascii_is_digit(c) || peal_ascii_is_letter(c);
}

/* A space or a tab: optional white space of HTTP. */
static inline bool
peal_ascii_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* C0 controls and DEL. */
static inline bool
peal_ascii_is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* A visible character: neither space nor control, and within ASCII. */
static inline bool
peal_ascii_is_visible(char c)
{
    return c > 0x20 && c < 0x7f;
}

static inline char
peal_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* The value of a hexadecimal digit, or -1. */
static inline int
peal_ascii_hex(char c)
{
    if (peal_ascii_is_digit(c))
        return c - '0';
    c = peal_ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif

/* UTF-8, one scalar value at a time (RFC 3629, Unicode 15 table 3-7).
 *
 * Owns what the compiler takes for well-formed, and what may be shown on a terminal. Never
 * allocates, never keeps state. */
#ifndef SLUICE_UTF8_H
#define SLUICE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What utf8_decode stores for a byte that begins no well-formed sequence. */
#define UTF8_INVALID UINT32_MAX

/* Decodes the sequence at the start of `length` (at least 1) bytes into *scalar. Returns how many
 * bytes it took: 1 to 4, and 1 for a malformed one. Overlong forms, surrogates and values over
 * U+10FFFF are malformed. */
size_t utf8_decode(const char *bytes, size_t length, uint32_t *scalar);

/* Writes a scalar value's UTF-8 into `bytes` (no NUL after it). Returns its length, 1 to 4. */
size_t utf8_encode(uint32_t scalar, char bytes[4]);

/* Whether the scalar can stand in a line on a terminal and be seen for what it is: no control
 * character, no line or paragraph separator, nothing that reorders or hides its neighbours. */
bool utf8_is_visible(uint32_t scalar);

/* Terminal columns that a visible scalar takes: 0 (combining), 1, or 2 (East Asian wide, emoji). */
unsigned utf8_width(uint32_t scalar);

#endif

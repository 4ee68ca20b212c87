/* UTF-8, read strictly.
 *
 * Owns: which byte strings are text, and one scalar value at a time from them. Shortest forms only,
 * no surrogates, nothing above U+10FFFF: RFC 3629, section 4. Never: repairs, allocates, or reads
 * beyond the length given. */
#ifndef SLUICE_UTF8_H
#define SLUICE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the scalar value at the start of `bytes`. Returns how many bytes it takes (1 to 4), or 0
 * when `length` is 0 or no well-formed sequence starts there; `*scalar` is set only otherwise. */
size_t utf8_read(const char *bytes, size_t length, uint32_t *scalar);

/* Whether `bytes` is well-formed UTF-8 without NUL: what an argument must be. */
bool utf8_is_text(const char *bytes, size_t length);

/* Whether a scalar value is a control character (Unicode Cc: U+0000 to U+001F, U+007F to U+009F).
 */
bool utf8_is_control(uint32_t scalar);

#endif
